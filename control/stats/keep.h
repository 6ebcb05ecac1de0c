/* SPDX-License-Identifier: BSD-3-Clause */
/* What control keeps of a keyed table for one interval, within a budget.
 *
 * A hash table of items of one size, each with some octets of text beside it. Exact
 * below its budget; above it the items with the lowest ranks (a keyed hash) stay:
 * those below 2^(64 - shift), with the least shift that fits, and so the same ones in
 * whatever order they came. Control's thread; allocates as it grows. */
#ifndef CONTROL_STATS_KEEP_H
#define CONTROL_STATS_KEEP_H

#include "rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begins every item; what is behind it is zero at first. */
struct keep_item {
	uint64_t key;  /* trusted to tell items apart; spread well */
	uint64_t rank; /* decides which stay */
	uint32_t text_off, text_bytes;
};

struct keep;

struct keep_settings {
	size_t item_bytes; /* a multiple of 8 */
	size_t items_cap;
	size_t text_cap;  /* octets, at most 2^31 */
	size_t row_bytes; /* of the structure that begins with struct keep */
	/* An item leaves: count it as left out. */
	void (*drop)(struct keep *k, const void *item);
};

struct keep {
	struct stat_row head;
	const struct keep_settings *set;
	unsigned shift;
	size_t n, room;
	uint8_t *item; /* [room] */
	size_t slots;  /* power of two */
	/* With a part of the key beside it, another's item need not come from memory. */
	struct keep_slot {
		uint32_t number; /* of the item, + 1; 0: free */
		uint32_t tag;
	} * slot;
	size_t text_used, text_room;
	uint8_t *text;
};

/* The keep of a row in a list of them in rising order; where it is not there, made, all
 * zero behind struct keep. NULL: no memory. */
struct keep *keep_row(struct stat_row **list, uint64_t row, const struct keep_settings *set);
/* Frees one that is in no list any more; accepts NULL. */
void keep_free(void *keep);
/* Lets only ranks below 2^(64 - shift) stay, where more do now. */
void keep_thin(struct keep *k, unsigned shift);

/* The item of a key, made where it is not there (*fresh). NULL: *left_out, or no
 * memory. Valid until the next call. */
void *keep_get(struct keep *k, uint64_t key, uint64_t rank, bool *fresh, bool *left_out);
/* Fetch what keep_find will look at: first its slot, then, some time later, its item; and
 * when that is there, its text. */
void keep_fetch_slot(const struct keep *k, uint64_t key);
void keep_fetch_item(const struct keep *k, uint64_t key);
void keep_fetch_text(const struct keep *k, uint64_t key);
/* NULL: not there. */
void *keep_find(const struct keep *k, uint64_t key);
/* Gives an item octets of text instead of those it has. 0; 1 where it had to leave
 * for want of room; -ENOMEM. Items may move. */
int keep_put_text(struct keep *k, void *item, const void *data, uint32_t n);

static inline const uint8_t *keep_text(const struct keep *k, const void *item)
{
	return k->text + ((const struct keep_item *)item)->text_off;
}

static inline const void *keep_at(const struct keep *k, size_t i)
{
	return k->item + i * k->set->item_bytes;
}

#endif

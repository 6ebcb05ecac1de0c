/* SPDX-License-Identifier: BSD-3-Clause */
#include "taps.h"

#include "flow.h"
#include "keyed.h"

#include <errno.h>
#include <stdlib.h>

#define ENTRIES 1024u /* of 64 octets */
#define STEP_SETS 256u

struct entry {
	_Alignas(CACHE_LINE) struct keyed_entry head;
	struct ft_tap sum;
};
static_assert(sizeof(struct entry) == CACHE_LINE, "one line an entry");

struct taps {
	struct tally *tally;
	struct keyed *table;
	uint64_t hash_key;
};

static void emit(void *ctx, const void *entry)
{
	const struct taps *t = ctx;
	const struct entry *e = entry;
	uint8_t *p = tally_entry_begin(t->tally, FT_REC_TAP, e->head.row, FT_TAP_ENTRY_CAP);

	tally_entry_end(t->tally, ft_tap_write(p, &e->sum));
}

static void close_begin(void *ctx, uint64_t row)
{
	struct taps *t = ctx;

	(void)row;
	keyed_close_begin(t->table);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct taps *t = ctx;

	return keyed_close(t->table, row, STEP_SETS);
}

struct taps *taps_create(struct tally *tally, uint64_t hash_key)
{
	struct taps *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->tally = tally;
	t->hash_key = hash_key;
	t->table = keyed_create(ENTRIES, sizeof(struct entry), emit, t);
	if (t->table == NULL) {
		taps_destroy(t);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, t});
	return t;
}

void taps_destroy(struct taps *t)
{
	if (t == NULL)
		return;
	keyed_destroy(t->table);
	free(t);
}

void taps_count(struct taps *t, uint64_t t_us, const struct ft_tap *more)
{
	const uint64_t row = clock_row(t->tally->clock, t_us);
	const uint64_t key =
	    hash_mix(hash_mix(more->tag ^ t->hash_key) + row * 0x9e3779b97f4a7c15ull);
	bool fresh;
	/* Of 64 bits of a secret hash no two in use are the same; 0 is for free entries. */
	struct entry *e = keyed_get(t->table, key != 0 ? key : 1, row, &fresh);

	e->sum.tag = more->tag;
	e->sum.packets += more->packets;
	e->sum.bytes += more->bytes;
	e->sum.messages += more->messages;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "keep.h"

#include "../../dataplane/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT_CAP 64u

static int make_room(struct keep *k, size_t room);

struct keep *keep_row(struct stat_row **list, uint64_t row, const struct keep_settings *set)
{
	struct keep *k = rows_find(*list, row);

	if (k != NULL)
		return k;
	/* An interval is about as rich as the one before, if that is still here. */
	const struct keep *before = (const struct keep *)*list;
	k = rows_get(list, row, set->row_bytes);
	if (k == NULL)
		return NULL;
	k->set = set;
	if (before != NULL && before->room != 0)
		(void)make_room(k, before->room); /* it can grow later */
	return k;
}

void keep_free(void *keep)
{
	struct keep *k = keep;

	if (k == NULL)
		return;
	free(k->item);
	free(k->slot);
	free(k->text);
	free(k);
}

static struct keep_item *item_at(const struct keep *k, size_t i)
{
	return (struct keep_item *)(k->item + i * k->set->item_bytes);
}

static bool stays(const struct keep *k, uint64_t rank)
{
	return k->shift == 0 || (k->shift < SHIFT_CAP && rank >> (SHIFT_CAP - k->shift) == 0);
}

static size_t slot_at(const struct keep *k, uint64_t key)
{
	return (size_t)(key * 0x9e3779b97f4a7c15ull >> 32) & (k->slots - 1);
}

/* The first slot from one on whose item may have the key, or a free one. */
static size_t next_slot(const struct keep *k, size_t at, uint64_t key)
{
	while (k->slot[at].number != 0 && k->slot[at].tag != (uint32_t)key)
		at = (at + 1) & (k->slots - 1);
	return at;
}

/* The slot where the key is, or where it would be put. */
static struct keep_slot *slot_of(const struct keep *k, uint64_t key)
{
	size_t at = next_slot(k, slot_at(k, key), key);

	while (k->slot[at].number != 0 && item_at(k, k->slot[at].number - 1)->key != key)
		at = next_slot(k, (at + 1) & (k->slots - 1), key);
	return &k->slot[at];
}

static void put_slot(const struct keep *k, size_t i)
{
	const uint64_t key = item_at(k, i)->key;

	*slot_of(k, key) = (struct keep_slot){(uint32_t)i + 1, (uint32_t)key};
}

static void index_all(struct keep *k)
{
	memset(k->slot, 0, k->slots * sizeof(*k->slot));
	for (size_t i = 0; i < k->n; i++)
		put_slot(k, i);
}

/* Room for so many items (a power of two); half of the slots stay free. */
static int make_room(struct keep *k, size_t room)
{
	uint8_t *item = realloc(k->item, room * k->set->item_bytes);
	if (item == NULL)
		return -ENOMEM;
	k->item = item;
	struct keep_slot *slot = calloc(2 * room, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	free(k->slot);
	k->slot = slot;
	k->slots = 2 * room;
	k->room = room;
	index_all(k);
	return 0;
}

static int grow(struct keep *k)
{
	return k->n < k->room ? 0 : make_room(k, k->room == 0 ? 64 : k->room * 2);
}

/* Halves the ranks that stay. */
static void thin(struct keep *k)
{
	size_t n = 0, used = 0;

	k->shift++;
	for (size_t i = 0; i < k->n; i++) {
		const struct keep_item *x = item_at(k, i);
		if (!stays(k, x->rank)) {
			k->set->drop(k, x);
			continue;
		}
		if (n != i)
			memcpy(item_at(k, n), x, k->set->item_bytes);
		n++;
	}
	k->n = n;
	if (k->text_used != 0) {
		uint8_t *old = malloc(k->text_used);
		for (size_t i = 0; old != NULL && i < n; i++) {
			struct keep_item *x = item_at(k, i);
			memcpy(old + used, k->text + x->text_off, x->text_bytes);
			x->text_off = (uint32_t)used;
			used += x->text_bytes;
		}
		if (old != NULL) {
			memcpy(k->text, old, used);
			k->text_used = used;
			free(old);
		}
	}
	if (k->slots != 0)
		index_all(k);
}

void keep_thin(struct keep *k, unsigned shift)
{
	while (k->shift < shift)
		thin(k);
}

void keep_fetch_slot(const struct keep *k, uint64_t key)
{
	if (k->slots != 0)
		fetch_write(&k->slot[slot_at(k, key)]);
}

/* By what is in the index alone. */
static const struct keep_item *item_by_tag(const struct keep *k, uint64_t key)
{
	const uint32_t number =
	    k->slots != 0 ? k->slot[next_slot(k, slot_at(k, key), key)].number : 0;

	return number != 0 ? item_at(k, number - 1) : NULL;
}

void keep_fetch_item(const struct keep *k, uint64_t key)
{
	const struct keep_item *x = item_by_tag(k, key);

	if (x != NULL)
		fetch_write(x);
}

void keep_fetch_text(const struct keep *k, uint64_t key)
{
	const struct keep_item *x = item_by_tag(k, key);

	if (x != NULL)
		fetch_read(keep_text(k, x));
}

void *keep_find(const struct keep *k, uint64_t key)
{
	const uint32_t number = k->slots != 0 ? slot_of(k, key)->number : 0;

	return number != 0 ? item_at(k, number - 1) : NULL;
}

void *keep_get(struct keep *k, uint64_t key, uint64_t rank, bool *fresh, bool *left_out)
{
	void *found = keep_find(k, key);

	*fresh = *left_out = false;
	if (found != NULL)
		return found;
	while (stays(k, rank) && k->n >= k->set->items_cap)
		thin(k);
	*left_out = !stays(k, rank);
	if (*left_out || grow(k) != 0)
		return NULL;
	struct keep_item *x = item_at(k, k->n);
	memset(x, 0, k->set->item_bytes);
	x->key = key;
	x->rank = rank;
	put_slot(k, k->n++);
	*fresh = true;
	return x;
}

/* Room for n more octets of text. */
static int grow_text(struct keep *k, uint32_t n)
{
	size_t room = k->text_room == 0 ? 4096 : k->text_room;

	if (k->text_room >= k->text_used + n)
		return 0;
	while (room < k->text_used + n)
		room *= 2;
	uint8_t *text = realloc(k->text, room);
	if (text == NULL)
		return -ENOMEM;
	k->text = text;
	k->text_room = room;
	return 0;
}

int keep_put_text(struct keep *k, void *item, const void *data, uint32_t n)
{
	struct keep_item *x = item;
	const uint64_t key = x->key;

	if (n <= x->text_bytes) {
		if (n != 0)
			memcpy(k->text + x->text_off, data, n);
		x->text_bytes = n;
		return 0;
	}
	while (k->text_used + n > k->set->text_cap && k->n != 0) {
		thin(k);
		x = keep_find(k, key);
		if (x == NULL)
			return 1;
	}
	if (grow_text(k, n) != 0)
		return -ENOMEM;
	x->text_off = (uint32_t)k->text_used;
	x->text_bytes = n;
	memcpy(k->text + k->text_used, data, n);
	k->text_used += n;
	return 0;
}

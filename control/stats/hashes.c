/* SPDX-License-Identifier: BSD-3-Clause */
#include "hashes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16u

static void lists_free(struct hashes *h)
{
	free(h->key);
	free(h->count);
	h->key = h->count = NULL;
	h->n = h->slots = 0;
}

void hashes_fini(struct hashes *h)
{
	lists_free(h);
	free(h->dense);
	h->dense = NULL;
}

static uint32_t slot_of(const struct hashes *h, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash * 0x9e3779b97f4a7c15ull >> 32) & (h->slots - 1);

	while (h->key[at] != 0 && h->key[at] != hash)
		at = (at + 1) & (h->slots - 1);
	return at;
}

static int grow(struct hashes *h)
{
	const uint32_t slots = h->slots != 0 ? h->slots * 2 : SLOTS_MIN;
	struct hashes more = {.slots = slots, .n = h->n};

	more.key = calloc(slots, sizeof(*more.key));
	more.count = h->counted ? calloc(slots, sizeof(*more.count)) : NULL;
	if (more.key == NULL || (h->counted && more.count == NULL)) {
		lists_free(&more);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < h->slots; i++) {
		if (h->key[i] == 0)
			continue;
		const uint32_t at = slot_of(&more, h->key[i]);
		more.key[at] = h->key[i];
		if (h->counted)
			more.count[at] = h->count[i];
	}
	free(h->key);
	free(h->count);
	h->key = more.key;
	h->count = more.count;
	h->slots = slots;
	return 0;
}

static int make_dense(struct hashes *h)
{
	h->dense = calloc(1, sizeof(*h->dense));
	if (h->dense == NULL)
		return -ENOMEM;
	h->dense->dense = 1;
	for (uint32_t i = 0; i < h->slots; i++)
		if (h->key[i] != 0)
			distinct_add(h->dense, h->key[i]);
	lists_free(h);
	return 0;
}

int hashes_add(struct hashes *h, uint64_t hash, uint64_t count)
{
	hash += hash == 0;
	if (h->dense == NULL && h->n * 4 >= h->slots * 3 && grow(h) != 0)
		return -ENOMEM;
	if (h->dense == NULL) {
		const uint32_t at = slot_of(h, hash);
		if (h->key[at] != 0 || h->n < h->cap) {
			h->n += h->key[at] == 0;
			h->key[at] = hash;
			if (h->counted)
				h->count[at] += count;
			return 0;
		}
		if (make_dense(h) != 0)
			return -ENOMEM;
	}
	distinct_add(h->dense, hash);
	return 0;
}

uint64_t hashes_count(const struct hashes *h)
{
	return h->dense != NULL ? distinct_count(h->dense) : h->n;
}

uint64_t hashes_top(const struct hashes *h)
{
	uint64_t top = 0;

	for (uint32_t i = 0; h->counted && i < h->slots; i++)
		if (h->count[i] > top)
			top = h->count[i];
	return top;
}

void hashes_regs(const struct hashes *h, uint8_t *regs)
{
	static struct distinct d; /* 16 KB: too much for a stack */

	if (h->dense != NULL) {
		distinct_regs(h->dense, regs);
		return;
	}
	memset(&d, 0, sizeof(d));
	d.dense = 1;
	for (uint32_t i = 0; i < h->slots; i++)
		if (h->key[i] != 0)
			distinct_add(&d, h->key[i]);
	distinct_regs(&d, regs);
}

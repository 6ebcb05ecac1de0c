/* SPDX-License-Identifier: BSD-3-Clause */
#include "heavy.h"

#include "text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SLOTS (2u * HEAVY_CAP)

struct heavy {
	uint32_t n;
	uint64_t error;
	uint16_t slot[SLOTS]; /* entry + 1; 0: free */
	struct heavy_entry entry[HEAVY_CAP];
};

struct heavy *heavy_create(void)
{
	return calloc(1, sizeof(struct heavy));
}

void heavy_destroy(struct heavy *h)
{
	free(h);
}

void heavy_clear(struct heavy *h)
{
	if (h->n != 0)
		memset(h->slot, 0, sizeof(h->slot));
	h->n = 0;
	h->error = 0;
}

uint64_t heavy_error(const struct heavy *h)
{
	return h->error;
}

/* The slot of a hash, or the free one where it would stand: never full. */
static uint16_t *find(struct heavy *h, uint64_t hash)
{
	uint32_t i = (uint32_t)(hash % SLOTS);

	while (h->slot[i] != 0 && h->entry[h->slot[i] - 1].hash != hash)
		i = (i + 1) % SLOTS;
	return &h->slot[i];
}

static int by_count(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Takes the median off every count; those with nothing left go: half of them at least. */
static void prune(struct heavy *h)
{
	uint64_t *count = malloc(h->n * sizeof(*count));
	uint64_t least = UINT64_MAX; /* no memory: all go, which is right and of no use */
	uint32_t kept = 0;

	for (uint32_t i = 0; count != NULL && i < h->n; i++)
		count[i] = h->entry[i].count;
	if (count != NULL) {
		qsort(count, h->n, sizeof(*count), by_count);
		least = count[h->n / 2];
	}
	free(count);
	for (uint32_t i = 0; i < h->n; i++)
		if (h->entry[i].count > least)
			h->entry[kept++] = h->entry[i];
	memset(h->slot, 0, sizeof(h->slot));
	h->n = kept;
	for (uint32_t i = 0; i < kept; i++) {
		h->entry[i].count -= least;
		*find(h, h->entry[i].hash) = (uint16_t)(i + 1);
	}
	h->error = least < UINT64_MAX - h->error ? h->error + least : UINT64_MAX;
}

void heavy_add(struct heavy *h, uint8_t which, const char *name, uint64_t n)
{
	const uint64_t hash = XXH3_64bits_withSeed(name, strlen(name), which);
	uint16_t *slot = find(h, hash);

	if (*slot == 0 && h->n == HEAVY_CAP) {
		prune(h);
		slot = find(h, hash);
	}
	if (*slot == 0) {
		struct heavy_entry *e = &h->entry[h->n++];
		e->hash = hash;
		e->count = 0;
		e->rows = 0;
		e->which = which;
		text_put(e->name, sizeof(e->name), name);
		*slot = (uint16_t)h->n;
	}
	h->entry[*slot - 1].count += n;
	h->entry[*slot - 1].rows++;
}

static bool before(const struct heavy_entry *a, const struct heavy_entry *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	const int order = strcmp(a->name, b->name);
	return order != 0 ? order < 0 : a->which < b->which;
}

size_t heavy_top(const struct heavy *h, const struct heavy_entry **top, size_t cap)
{
	size_t n = 0;

	for (uint32_t i = 0; i < h->n; i++) {
		const struct heavy_entry *e = &h->entry[i];
		if (n == cap && (cap == 0 || !before(e, top[n - 1])))
			continue;
		size_t at = n < cap ? n++ : n - 1;
		for (; at > 0 && before(e, top[at - 1]); at--)
			top[at] = top[at - 1];
		top[at] = e;
	}
	return n;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyed.h"

#include "fetch.h"
#include "lanes.h"
#include "mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAYS LANES_WAYS

struct keyed {
	uint64_t *tags; /* [sets], a lane of 16 bits for each way */
	uint8_t *entry; /* [sets * WAYS] of entry_bytes */
	size_t sets, entry_bytes;
	keyed_emit_fn emit;
	void *ctx;
	size_t close_at; /* next set to look at */
	struct keyed_stats stats;
};

struct keyed *keyed_create(size_t entries, size_t entry_bytes, keyed_emit_fn emit, void *ctx)
{
	struct keyed *k = calloc(1, sizeof(*k));

	assert(entry_bytes != 0 && entry_bytes % CACHE_LINE == 0);
	if (k == NULL)
		return NULL;
	k->sets = 16;
	while (k->sets * WAYS < entries)
		k->sets *= 2;
	k->entry_bytes = entry_bytes;
	k->emit = emit;
	k->ctx = ctx;
	k->tags = mem_map(k->sets * sizeof(*k->tags));
	k->entry = mem_map(k->sets * WAYS * entry_bytes);
	if (k->tags == NULL || k->entry == NULL) {
		keyed_destroy(k);
		errno = ENOMEM;
		return NULL;
	}
	k->close_at = k->sets;
	return k;
}

void keyed_destroy(struct keyed *k)
{
	if (k == NULL)
		return;
	mem_unmap(k->tags, k->sets * sizeof(*k->tags));
	mem_unmap(k->entry, k->sets * WAYS * k->entry_bytes);
	free(k);
}

const struct keyed_stats *keyed_stats_get(const struct keyed *k)
{
	return &k->stats;
}

static inline struct keyed_entry *entry_at(const struct keyed *k, size_t set, unsigned way)
{
	return (struct keyed_entry *)(k->entry + (set * WAYS + way) * k->entry_bytes);
}

static inline size_t set_of(const struct keyed *k, uint64_t key)
{
	return key & (k->sets - 1);
}

void keyed_prefetch_tags(const struct keyed *k, uint64_t key)
{
	fetch_write(&k->tags[set_of(k, key)]);
}

const void *keyed_prefetch_entry(const struct keyed *k, uint64_t key, bool *there)
{
	const size_t set = set_of(k, key);
	const uint64_t word = k->tags[set], tag = lanes_tag(key), lanes = lanes_of(word, tag);
	const void *e = entry_at(k, set, lanes != 0 ? lanes_way(lanes) : lanes_victim(word, tag));

	fetch_write(e);
	*there = lanes != 0;
	return e;
}

/* What stands in the way is emitted. */
static unsigned make_room(struct keyed *k, size_t set, uint64_t tag)
{
	const uint64_t word = k->tags[set];
	const unsigned way = lanes_victim(word, tag);

	if (!lanes_is_free(word, way)) {
		k->stats.evicted++;
		k->emit(k->ctx, entry_at(k, set, way));
	}
	k->tags[set] = lanes_put(word, way, tag);
	return way;
}

static __attribute__((noinline)) void *make_entry(struct keyed *k, size_t set, uint64_t key,
						  uint64_t row)
{
	struct keyed_entry *e = entry_at(k, set, make_room(k, set, lanes_tag(key)));

	k->stats.misses++;
	memset(e, 0, k->entry_bytes);
	e->key = key;
	e->row = row;
	return e;
}

void *keyed_get(struct keyed *k, uint64_t key, uint64_t row, bool *fresh)
{
	const size_t set = set_of(k, key);
	const uint64_t word = k->tags[set];

	for (uint64_t lanes = lanes_of(word, lanes_tag(key)); lanes != 0; lanes &= lanes - 1) {
		struct keyed_entry *e = entry_at(k, set, lanes_way(lanes));
		if (e->key != key)
			continue;
		if ((word & lanes & -lanes) == 0) /* most have it: their line stays clean */
			k->tags[set] = word | (lanes & -lanes);
		k->stats.hits++;
		*fresh = false;
		return e;
	}
	*fresh = true;
	return make_entry(k, set, key, row);
}

void keyed_close_begin(struct keyed *k)
{
	k->close_at = 0;
}

static void close_set(struct keyed *k, size_t set, uint64_t row)
{
	for (uint64_t used = lanes_used(k->tags[set]); used != 0; used &= used - 1) {
		const unsigned way = lanes_way(used);
		struct keyed_entry *e = entry_at(k, set, way);
		if (e->row > row)
			continue;
		k->tags[set] &= ~(0xffffull << (16 * way));
		k->emit(k->ctx, e);
	}
}

bool keyed_close(struct keyed *k, uint64_t row, uint32_t steps)
{
	for (; steps != 0 && k->close_at < k->sets; steps--, k->close_at++) {
		const size_t ahead = k->close_at + 4;
		if (ahead < k->sets && k->tags[ahead] != 0)
			for (unsigned way = 0; way < WAYS; way++)
				fetch_write(entry_at(k, ahead, way));
		if (k->tags[k->close_at] != 0)
			close_set(k, k->close_at, row);
	}
	return k->close_at == k->sets;
}

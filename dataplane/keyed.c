/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyed.h"

#include "mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 4u
#define LANES(x) ((x)*0x0001000100010001ull)
#define HIT 0x8000u /* lane: bit 15 says it was found again, bits 0-14 are the tag, 0: free */

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

/* The top bits choose the tag, the low ones the set. */
static inline uint64_t tag_of(uint64_t key)
{
	const uint64_t tag = key >> 49;

	return tag + (tag == 0);
}

/* The top bit of each lane whose tag is `tag`: lanes of 15 bits cannot carry over. */
static inline uint64_t lanes_of(uint64_t word, uint64_t tag)
{
	const uint64_t other = (word & ~LANES(HIT)) ^ LANES(tag);

	return ~(other + LANES(HIT - 1)) & LANES(HIT);
}

static inline unsigned way_of(uint64_t lanes)
{
	return (unsigned)__builtin_ctzll(lanes) / 16;
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
	__builtin_prefetch(&k->tags[set_of(k, key)], 1);
}

/* The way for a new entry: a free one, else, from one that its tag chooses on, the first
 * that was not found again since all had been. */
static inline unsigned victim_of(uint64_t word, uint64_t tag)
{
	const uint64_t free_lanes = lanes_of(word, 0), cold = ~word & LANES(HIT);
	unsigned way = tag % WAYS;

	if (free_lanes != 0)
		return way_of(free_lanes);
	while (cold != 0 && (cold >> (16 * way) & HIT) == 0)
		way = (way + 1) % WAYS;
	return way;
}

const void *keyed_prefetch_entry(const struct keyed *k, uint64_t key, bool *there)
{
	const size_t set = set_of(k, key);
	const uint64_t word = k->tags[set], tag = tag_of(key), lanes = lanes_of(word, tag);
	const void *e = entry_at(k, set, lanes != 0 ? way_of(lanes) : victim_of(word, tag));

	__builtin_prefetch(e, 1);
	*there = lanes != 0;
	return e;
}

/* What stands in the way is emitted. */
static unsigned make_room(struct keyed *k, size_t set, uint64_t tag)
{
	uint64_t *word = &k->tags[set];
	const unsigned way = victim_of(*word, tag);

	if ((*word >> (16 * way) & 0xffff) == 0)
		return way;
	if ((*word & LANES(HIT)) == LANES(HIT))
		*word &= ~LANES(HIT);
	k->stats.evicted++;
	k->emit(k->ctx, entry_at(k, set, way));
	return way;
}

static __attribute__((noinline)) void *make_entry(struct keyed *k, size_t set, uint64_t key,
						  uint64_t row)
{
	const unsigned way = make_room(k, set, tag_of(key));
	struct keyed_entry *e = entry_at(k, set, way);

	k->stats.misses++;
	k->tags[set] &= ~(0xffffull << (16 * way));
	k->tags[set] |= tag_of(key) << (16 * way);
	memset(e, 0, k->entry_bytes);
	e->key = key;
	e->row = row;
	return e;
}

void *keyed_get(struct keyed *k, uint64_t key, uint64_t row, bool *fresh)
{
	const size_t set = set_of(k, key);
	const uint64_t word = k->tags[set];

	for (uint64_t lanes = lanes_of(word, tag_of(key)); lanes != 0; lanes &= lanes - 1) {
		struct keyed_entry *e = entry_at(k, set, way_of(lanes));
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
	/* Every used lane has a tag, and so a bit below the hit bit. */
	uint64_t used = ~lanes_of(k->tags[set], 0) & LANES(HIT);

	for (; used != 0; used &= used - 1) {
		const unsigned way = way_of(used);
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
				__builtin_prefetch(entry_at(k, ahead, way), 1);
		if (k->tags[k->close_at] != 0)
			close_set(k, k->close_at, row);
	}
	return k->close_at == k->sets;
}

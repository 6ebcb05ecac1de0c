/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rules list a name: a fixed hash table from the keyed hash of a folded name
 * to rule numbers. Control makes it, then it never changes; any thread reads.
 *
 * A bucket is one cache line of five slots: 1 M names take 17 MiB. Names themselves are
 * not kept: of n listed names one is taken for a name that is not listed with a chance
 * of n * 2^-64 a look-up (n = 1 M, 1 M look-ups/s: once in half a million years). The
 * hash has a secret seed, so nobody can choose names that collide. */
#ifndef DATAPLANE_NAMESET_H
#define DATAPLANE_NAMESET_H

#include "batch.h"
#include "fetch.h"

#include <stddef.h>
#include <stdint.h>

#define NAMESET_SLOTS 5u

struct nameset_entry {
	uint64_t key;  /* name_hash of the folded name */
	uint32_t tag;  /* rule number, 1 .. 2^31 - 1 */
	uint32_t note; /* the caller's own */
};

/* Slots fill from the first on; value 0 is free, MANY: the rest is where in the
 * pool the numbers stand, how many first. */
struct nameset_bucket {
	_Alignas(CACHE_LINE) uint64_t key[NAMESET_SLOTS];
	uint32_t value[NAMESET_SLOTS];
	uint32_t passed; /* names of this bucket or earlier ones that stand further on */
};
static_assert(sizeof(struct nameset_bucket) == CACHE_LINE, "one line a bucket");

struct nameset {
	struct nameset_bucket *buckets;
	uint32_t *pool;
	size_t buckets_len, pool_len;
	size_t names, lines; /* different names; different pairs of name and rule */
};

/* Sorts entries[0..n) by key and tag, and makes a table of them; repeated ones count
 * once. Entries stay the caller's. NULL + errno. */
struct nameset *nameset_create(struct nameset_entry *entries, size_t n);
void nameset_destroy(struct nameset *s);
size_t nameset_bytes(const struct nameset *s);

static inline size_t nameset_home(const struct nameset *s, uint64_t key)
{
	return (size_t)((key >> 32) * s->buckets_len >> 32);
}

static inline void nameset_prefetch(const struct nameset *s, uint64_t key)
{
	fetch_read(&s->buckets[nameset_home(s, key)]);
}

/* The rules that list a name: points *tags at their numbers, rising, and returns how
 * many; 0 where it is not listed. */
uint32_t nameset_get(const struct nameset *s, uint64_t key, const uint32_t **tags);

#endif

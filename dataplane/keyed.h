/* SPDX-License-Identifier: BSD-3-Clause */
/* A keyed table: a cache of fixed size whose eviction emits.
 *
 * Sets of four entries of one or two cache lines; 16-bit tags lie apart, so that
 * a look-up reads the tags of a set (eight octets) and then one entry. An entry
 * that is pushed out, or whose interval closes, is handed to `emit`, and control
 * merges by key: small tables give more records, not wrong ones. One worker's own;
 * all memory is taken by keyed_create. */
#ifndef DATAPLANE_KEYED_H
#define DATAPLANE_KEYED_H

#include "batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begins every entry. */
struct keyed_entry {
	uint64_t key; /* hash of everything that tells entries apart, interval included */
	uint64_t row; /* the interval since 1970 */
};

typedef void (*keyed_emit_fn)(void *ctx, const void *entry);

struct keyed_stats {
	uint64_t hits, misses, evicted;
};

struct keyed;

/* entries: rounded up to a power of two, at least 64. entry_bytes: a multiple of
 * CACHE_LINE. NULL + errno. */
struct keyed *keyed_create(size_t entries, size_t entry_bytes, keyed_emit_fn emit, void *ctx);
/* Emits nothing. Accepts NULL. */
void keyed_destroy(struct keyed *k);

/* Three phases over a batch: tags, then entries, then keyed_get for each. The second
 * fetches an entry's first line, or that of the entry that would have to go, and returns
 * where it is, so that the caller can fetch more of it. *there: it is there, very
 * likely. */
void keyed_prefetch_tags(const struct keyed *k, uint64_t key);
const void *keyed_prefetch_entry(const struct keyed *k, uint64_t key, bool *there);
/* The entry of `key`, made if it is not there: then all behind struct keyed_entry is
 * zero and *fresh true. Valid until the next keyed_get. */
void *keyed_get(struct keyed *k, uint64_t key, uint64_t row, bool *fresh);

/* Emits and frees entries of rows up to `row`, looking at `steps` sets a call; that is
 * not counted as evicted. True when the whole table has been looked at since keyed_close_begin. */
void keyed_close_begin(struct keyed *k);
bool keyed_close(struct keyed *k, uint64_t row, uint32_t steps);

const struct keyed_stats *keyed_stats_get(const struct keyed *k);

#endif

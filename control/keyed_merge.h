/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of keyed tables, merged by key: a map from key to accumulator for one interval.
 *
 * Exact up to a budget of keys. Above it the keys with the lowest keyed hash stay (ties by
 * key octets) and the others leave: which ones stay depends on the set of keys alone, and
 * whoever stays has been there from its first entry on, so that nothing of it is missing.
 * One thread at a time; memory grows with the keys, up to 9/8 of the budget. */
#ifndef CONTROL_KEYED_MERGE_H
#define CONTROL_KEYED_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyed_merge_settings {
	size_t key_bytes, acc_bytes;
	size_t part_bytes; /* of what an accumulator may have besides; may be 0 */
	size_t budget;     /* keys, at least 1 */
	size_t expected;   /* keys that room is made for at the start */
	uint64_t seed;     /* of the hash */
	/* Called before an accumulator leaves. */
	void (*leave)(void *ctx, const void *acc);
	void *ctx;
};

struct keyed_merge;

/* NULL + errno. */
struct keyed_merge *keyed_merge_create(const struct keyed_merge_settings *settings);
/* Accepts NULL. */
void keyed_merge_destroy(struct keyed_merge *m);

/* The accumulator of a key, made of zeros if it is not there. Returns 0 and *acc; 1 where
 * the key is left out; -ENOMEM. Valid until the next call. */
int keyed_merge_get(struct keyed_merge *m, const void *key, void **acc);
/* The same in steps, so that others are on their way from memory meanwhile: the hash of a
 * key, its place in the index, what stands there; then keyed_merge_get with its hash. */
uint64_t keyed_merge_hash(const struct keyed_merge *m, const void *key);
/* That of an accumulator's key: the same wherever keys of the same octets and seed are. */
uint64_t keyed_merge_hash_of(const struct keyed_merge *m, const void *acc);
void keyed_merge_fetch_place(const struct keyed_merge *m, uint64_t hash);
void keyed_merge_fetch(const struct keyed_merge *m, uint64_t hash);
int keyed_merge_get_hashed(struct keyed_merge *m, const void *key, uint64_t hash, void **acc);
/* Likewise without making one: NULL where there is none. */
const void *keyed_merge_find(const struct keyed_merge *m, const void *key);
/* The part `id` of an accumulator, made of zeros if it is not there; NULL: no memory. */
void *keyed_merge_part(struct keyed_merge *m, void *acc, uint32_t id);
/* Parts of an accumulator one after the other, newest first: *part is NULL at first.
 * False at the end. */
bool keyed_merge_next_part(const struct keyed_merge *m, const void *acc, const void **part,
			   uint32_t *id);
/* A copy of octets that lives as long as *m; NULL: no memory. */
const void *keyed_merge_keep(struct keyed_merge *m, const void *octets, size_t bytes);

/* Lets leave what is above the budget, so that the sums of what left are final. -ENOMEM. */
int keyed_merge_settle(struct keyed_merge *m);
/* All keys that stay, by rising key octets: accumulators. NULL and *n = 0 where there is
 * none, or no memory (then *n is not 0). Valid until the next keyed_merge_get. */
const void *const *keyed_merge_sorted(struct keyed_merge *m, size_t *n);
/* Likewise in no order: *at is 0 at first. NULL at the end. */
const void *keyed_merge_next(const struct keyed_merge *m, size_t *at);
const void *keyed_merge_key(const struct keyed_merge *m, const void *acc);
size_t keyed_merge_keys(const struct keyed_merge *m);
/* True once a key was left out. */
bool keyed_merge_is_over(const struct keyed_merge *m);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is followed of each owner of a CNAME over a day: 40 octets for the many that
 * keep their target, a pointer to more for the few that do not.
 *
 * A hash table in which keys lie in rising order around the place that the key gives,
 * in 256 parts that grow by a sixteenth each where they lie: at least 86 % of the
 * memory is in use once there are many. Owners are told apart by their key alone:
 * 16 million share one with a chance of 7 in a million. Control's thread. */
#ifndef CONTROL_STATS_OWNERS_H
#define CONTROL_STATS_OWNERS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWNERS_SHARDS 256u
#define OWNERS_SCATTER 0x9e3779b97f4a7c15ull /* odd: a bijection */
#define OWNER_VIEWS 7u                       /* in the owner itself; more need more */
#define OWNER_VIEW_IDS 0xfff0u               /* view ids are 1 to this */
#define OWNER_MORE 0xffffu                   /* in view[0]: `target` is a pointer */
#define OWNER_BLOCKED 0xfffeu                /* in view[0]: the owner's TTL is beyond the gate */

struct owner {
	uint64_t place; /* the key, scattered; 0: free */
	uint64_t target;
	/* Seconds of the day, and TTLs below the gate. */
	uint64_t first : 17, last : 17, ttl_min : 14, ttl_max : 14, vantage : 2;
	uint16_t view[OWNER_VIEWS]; /* 0 behind the last */
	uint16_t count;             /* observations */
};
static_assert(sizeof(struct owner) == 40, "16 million within the budget");

struct owners_shard {
	struct owner *slot;
	size_t n, cap, bytes; /* cap: places; behind them a few slots for what is pushed on */
};

struct owners {
	struct owners_shard shard[OWNERS_SHARDS];
	size_t n, bytes;
};

/* All zero is an empty table; gives its memory back. */
void owners_fini(struct owners *t);

/* NULL: not there. Valid, as all that is returned, until the next get or remove. */
struct owner *owners_find(const struct owners *t, uint64_t key, unsigned vantage);
/* The owner, made (all else zero) where it is not there. NULL: no memory. */
struct owner *owners_get(struct owners *t, uint64_t key, unsigned vantage, bool *fresh);
void owners_remove(struct owners *t, struct owner *o);
/* Keeps owners for which `stays` is true, which may change all but where they lie. */
void owners_sift(struct owners *t, bool (*stays)(void *ctx, struct owner *o), void *ctx);
/* Keeps owners with keys below 2^(64 - shift) and calls `drop` for each of the rest. */
void owners_thin(struct owners *t, unsigned shift, void (*drop)(void *ctx, struct owner *o),
		 void *ctx);
/* In the same order for the same owners. */
void owners_each(const struct owners *t, void (*each)(void *ctx, const struct owner *o), void *ctx);
uint64_t owners_key(const struct owner *o);
/* Who goes through owners in rising order of this goes through memory in order. */
static inline uint64_t owners_place(uint64_t key)
{
	return (key == 0 ? 1 : key) * OWNERS_SCATTER; /* 0 is taken for 1 */
}

static inline bool owners_stays(uint64_t key, unsigned shift)
{
	return shift == 0 || (shift < 64 && key >> (64 - shift) == 0);
}

#endif

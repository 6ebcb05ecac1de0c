/* SPDX-License-Identifier: BSD-3-Clause */
/* The flood guard: which new names are worth a full look.
 *
 * Owned by one worker and asked for every name that misses in the verdict cache, once
 * its registered domain is known. Exact and suffix rules are looked up in any case; this
 * decides on expressions, shapes, score and a place in the cache. In windows of one
 * second of event time it holds a domain's new names against the domain's own history;
 * while they are far above it, one name in GUARD_KEPT gets the full look, by the run's
 * own name hash, and the rest is counted and goes out as FT_FLOOD_SKIPPED.
 *
 * Each worker judges by its own share, and a skipped name's expressions and shapes are
 * not known: both change what is exported. So the guard is for live runs (and bench);
 * file runs leave it off and are the same with any number of workers. Everything that
 * counts queries, answers, clients and distinct names sees every packet all the same. */
#ifndef DATAPLANE_FLOOD_GUARD_H
#define DATAPLANE_FLOOD_GUARD_H

#include "tally.h"

#define GUARD_KEPT 64u        /* one name in so many, of a flooded domain */
#define GUARD_FLOOR 256u      /* new names in a second, on one worker: less is never a flood */
#define GUARD_FACTOR 8u       /* times its history */
#define GUARD_CALM_WINDOWS 5u /* in a row, before a flood is over */
/* No flood begins so long after the start, after new rules (the cache is empty, every
 * name is new) and, of a domain, after its last one (its names were not kept). */
#define GUARD_REST_WINDOWS 10u

struct flood_guard;

/* Adds its part to the tally, which must outlive it. NULL + errno. */
struct flood_guard *flood_guard_create(struct tally *t);
void flood_guard_destroy(struct flood_guard *g);

/* The cache has been emptied. */
void flood_guard_reset(struct flood_guard *g);
/* A name that is new to the cache. True: look at it in full; false: it was counted as
 * skipped in the interval at now_us. */
bool flood_guard_step(struct flood_guard *g, uint64_t domain_key, uint64_t name_key,
		      uint64_t now_us);
/* Whether a domain is flooded, as far as this worker sees. */
bool flood_guard_is_flooded(const struct flood_guard *g, uint64_t domain_key);

struct flood_guard_stats {
	uint64_t floods, skipped;
};
const struct flood_guard_stats *flood_guard_stats_get(const struct flood_guard *g);

#endif

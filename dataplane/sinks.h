/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked about names that groups of sinkholes follow, and whose answers carry
 * what the groups list.
 *
 * Owned by one worker. A followed name costs two table entries (its registered domain,
 * the client) and a look at the names sent already; other names cost nothing, but for a
 * look at their answer's records where addresses or names are listed. Tables are caches
 * whose eviction emits (keyed.h). All memory is taken by sinks_create. */
#ifndef DATAPLANE_SINKS_H
#define DATAPLANE_SINKS_H

#include "keyed.h"
#include "pair.h"
#include "ruleset.h"
#include "tally.h"

struct sinks_settings {
	size_t domains;     /* entries, about 1.3 KB each */
	size_t clients;     /* entries, 64 octets each */
	size_t sent;        /* names remembered as sent, 8 octets each; a power of two */
	uint64_t minute_us; /* parts of the interval, of which there are FT_SINK_MINUTES at most */
	uint64_t hash_key, sketch_seed;
};

struct sinks;

/* Adds its part to the tally, which must outlive it. NULL + errno. */
struct sinks *sinks_create(struct tally *t, const struct sinks_settings *settings);
/* Accepts NULL. */
void sinks_destroy(struct sinks *s);

/* The rules that verdicts are made by from now on; as match_adopt. */
void sinks_adopt(struct sinks *s, const struct ruleset *rules, struct ruleset_scratch *scratch);

/* Counts settled transactions, whose responses are in the batch. */
void sinks_step(struct sinks *s, const struct msgs *batch, const struct txn *txn, uint32_t n);

const struct keyed_stats *sinks_stats_get(const struct sinks *s);

#endif

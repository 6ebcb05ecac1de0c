/* SPDX-License-Identifier: BSD-3-Clause */
/* Sampling of flows, for keyed tables alone: everything else sees every packet.
 *
 * A flow is a client and a server address. A keyed hash of it, the same in both
 * directions, on every worker and on every site with that key, is below p = 2^-s or is
 * not: whole flows are in or out, and what is in at s + 1 is in at s. Other bits of it
 * put the flow into one of 16 random groups, from whose sums control tells the standard
 * error (control/estimate.h). Control stores the level s; workers load it once a batch. */
#ifndef DATAPLANE_SAMPLE_H
#define DATAPLANE_SAMPLE_H

#include "flow.h"

#include <fluxtap/rec_tables.h>

#include <stdatomic.h>

struct sample {
	uint64_t key;                  /* shared by the sites whose samples shall agree */
	const _Atomic uint32_t *level; /* s; NULL: always 0. Not owned */
};

/* The level for a batch: 0 keeps all flows. */
static inline uint32_t sample_level(const struct sample *s)
{
	const uint32_t level =
	    s->level != NULL ? atomic_load_explicit(s->level, memory_order_relaxed) : 0;

	return level < FT_SAMPLE_LEVEL_MAX ? level : FT_SAMPLE_LEVEL_MAX;
}

static inline uint64_t sample_hash(const struct sample *s, const struct addr *client,
				   const struct addr *server)
{
	return flow_hash(client, server, s->key);
}

static inline bool sample_takes(uint64_t hash, uint32_t level)
{
	return hash >> 1 >> (63 - level) == 0;
}

/* 0 to FT_GROUPS - 1, independent of sample_takes. */
static inline uint32_t sample_group(uint64_t hash)
{
	return hash % FT_GROUPS;
}

#endif

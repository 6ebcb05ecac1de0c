/* SPDX-License-Identifier: BSD-3-Clause */
/* What set `ttl` is made of: TTLs of watched RRsets as answers carry them, and queries with
 * RD=0 to recursive servers, each with its time.
 *
 * Nothing is decided here: lines of falling TTLs need answers in their order, which no
 * worker knows. Where no list is loaded answers cost nothing, and queries with RD=1 cost
 * a branch. Owned by one worker; takes its memory at creation. */
#ifndef DATAPLANE_TTLS_H
#define DATAPLANE_TTLS_H

#include "pair.h"
#include "ruleset.h"
#include "tally.h"

#include <fluxtap/rec_ttl.h>

struct ttls_settings {
	uint64_t name_seed; /* secret of this run, as parse_step has it */
	size_t entries;     /* answers remembered, so as not to say them twice; power of two */
	bool watch;         /* there is a watch list */
};

struct ttls_stats {
	uint64_t seen;    /* TTLs of watched RRsets */
	uint64_t emitted; /* of them */
	uint64_t snoops;  /* queries with RD=0 to recursive servers */
};

struct ttls;

/* NULL + errno. The tally must outlive it. */
struct ttls *ttls_create(struct tally *tally, const struct ttls_settings *settings);
/* Accepts NULL. */
void ttls_destroy(struct ttls *r);
/* From now on names are watched as these rules say. Not owned. */
void ttls_adopt(struct ttls *r, const struct ruleset *rules);
/* Looks at settled transactions, whose responses are in the batch; before tally_step. */
void ttls_step(struct ttls *r, const struct msgs *batch, const struct txn *txn, uint32_t n);

const struct ttls_stats *ttls_stats_get(const struct ttls *r);

#endif

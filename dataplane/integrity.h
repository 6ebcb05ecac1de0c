/* SPDX-License-Identifier: BSD-3-Clause */
/* Watched RRsets: what responses say of owners and types that are on the watch list.
 *
 * Owned by one worker, and made only where there is a list. A response about another
 * registered domain than those of watched names costs a test of its verdict. Nothing is
 * decided here about change: who saw which set in which second goes to control. The table
 * is a cache whose eviction emits (keyed.h). Takes its memory at creation. */
#ifndef DATAPLANE_INTEGRITY_H
#define DATAPLANE_INTEGRITY_H

#include "keyed.h"
#include "pair.h"
#include "ruleset.h"
#include "tally.h"

struct integrity_settings {
	uint64_t name_seed; /* as parse_step has it: owners' keys */
	size_t entries;     /* of the table, 128 octets each */
	size_t sent;        /* sets remembered as sent, 8 octets each; a power of two */
};

struct integrity_stats {
	uint64_t seen; /* observations */
	uint64_t cut;  /* messages and sets left out, because they were damaged or too long */
};

struct integrity;

/* Adds its part to the tally, which must outlive it. NULL + errno. */
struct integrity *integrity_create(struct tally *t, const struct integrity_settings *settings);
/* Emits nothing. Accepts NULL. */
void integrity_destroy(struct integrity *s);

/* The rules whose watch list holds from now on; as match_adopt. */
void integrity_adopt(struct integrity *s, const struct ruleset *rules);

/* Looks at settled transactions, whose responses are in the batch; before tally_step. */
void integrity_step(struct integrity *s, const struct msgs *batch, const struct txn *txn,
		    uint32_t n);

const struct integrity_stats *integrity_stats_get(const struct integrity *s);

#endif

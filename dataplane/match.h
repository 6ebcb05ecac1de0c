/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 5, match: what the name and the addresses alone decide.
 *
 * Runs before pairing, because the waiting query keeps the verdict. The verdict of
 * a name is computed once and kept in a cache by the name's keyed hash (struct
 * verdict, sets of four lines with their tags apart); names that miss are evaluated together.
 * Called by one worker, whose cache it is; rules are read only and adopted at loop top.
 *
 * A look-up compares 64 bits of keyed hash and not the name. With 2^20 names kept, a new
 * one takes another's verdict with probability 2^20 / 2^64 = 2^-44: at a million new
 * names a second once in 200 days, and nobody without the key can make it happen. */
#ifndef DATAPLANE_MATCH_H
#define DATAPLANE_MATCH_H

#include "msg.h"
#include "ruleset.h"
#include "vantage.h"

struct match_settings {
	uint64_t name_seed;                  /* secret of this run, as parse_step has it */
	uint64_t sketch_seed;                /* shared by the sites whose sketches shall merge */
	size_t entries;                      /* verdicts kept; rounded up to a power of two */
	const struct vantage_rules *vantage; /* not owned */
};

struct match_stats {
	uint64_t looked_up, missed, spilled;
};

struct match;

/* Takes all memory. NULL + errno. */
struct match *match_create(const struct match_settings *settings);
void match_destroy(struct match *m);

/* From now on names are evaluated by these rules; older verdicts count as missing.
 * Not owned. NULL: no rules, and the registered domain is the name itself. */
void match_adopt(struct match *m, const struct ruleset *rules, struct ruleset_scratch *scratch);

/* Names that the guard finds not worth it get a brief verdict, which is kept apart and for
 * seconds: a flood of new names pushes nothing out. Not owned. NULL: all in full. */
struct flood_guard;
void match_guard(struct match *m, struct flood_guard *guard);

/* Fills the match part of every message that is still kept. The verdicts stay until
 * the next call. */
void match_step(struct match *m, struct msgs *batch);
/* The verdict of one folded name; stays until the next match_step, or the next
 * MSG_CAP calls. */
const struct verdict *match_get(struct match *m, const uint8_t *folded, uint32_t len);

const struct match_stats *match_stats_get(const struct match *m);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that look generated (DOMAIN section 6): which transactions say something about a
 * client's registered domains, and what the names are.
 *
 * Runs before tables_step, which writes what it finds into the clients' diaries; decides
 * nothing itself. A name goes out as text once, and again with the earliest answer. Owned
 * by one worker; takes its memory at creation. */
#ifndef DATAPLANE_DGA_H
#define DATAPLANE_DGA_H

#include "diary.h"
#include "keyed.h"
#include "ruleset.h"
#include "tally.h"

/* With a shape, one ordinary name in twenty is below this score (1/256 bits a pair). */
#define DGA_SCORE_LOW (-1200)

struct dga_settings {
	uint64_t hash_key; /* secret of this run */
	size_t entries;    /* names at a time; with less, texts go out more often */
};

struct dga;

/* Adds itself to the tally, which must outlive it. NULL + errno. */
struct dga *dga_create(struct tally *tally, const struct dga_settings *settings);
/* Accepts NULL. */
void dga_destroy(struct dga *d);
/* NULL: nothing is listed, no shape is narrow. Not owned. */
void dga_adopt(struct dga *d, const struct ruleset *rules);

/* Whether a name by its own looks (a shape with a strange score, a narrow shape, a list)
 * could be generated. rules may be NULL. */
bool dga_looks_made_up(const struct ruleset *rules, const struct verdict *v);

/* What each of n (at most MSG_CAP) settled transactions is worth a note for; valid until
 * the next call. */
const struct diary_note *dga_step(struct dga *d, const struct msgs *batch, const struct txn *txn,
				  uint32_t n);

#endif

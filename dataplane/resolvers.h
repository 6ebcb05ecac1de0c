/* SPDX-License-Identifier: BSD-3-Clause */
/* How resolvers ask: EDNS, 0x20, minimised names, ports, TCP after truncation.
 *
 * One entry of a keyed table for each client of AUTH and R2A traffic and interval;
 * transactions of others cost a branch. Owned by one worker; takes its memory at creation. */
#ifndef DATAPLANE_RESOLVERS_H
#define DATAPLANE_RESOLVERS_H

#include "keyed.h"
#include "pair.h"
#include "tally.h"

#include <fluxtap/rec_resolver.h>

struct resolvers_settings {
	uint64_t hash_key; /* secret of this run */
	size_t entries;
};

struct resolvers;

/* Adds itself to the tally, which must outlive it. NULL + errno. */
struct resolvers *resolvers_create(struct tally *tally, const struct resolvers_settings *settings);
/* Emits nothing. Accepts NULL. */
void resolvers_destroy(struct resolvers *r);
/* Counts settled transactions; before tally_step. */
void resolvers_step(struct resolvers *r, const struct txn *txn, uint32_t n);

#endif

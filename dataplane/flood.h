/* SPDX-License-Identifier: BSD-3-Clause */
/* What control finds random-subdomain attacks by: for each registered domain, how many
 * different names were asked for, seen through a sample of the names.
 *
 * Owned by one worker. Fifteen of sixteen names cost one comparison here, whether there
 * is a flood or not. Control decides what a flood is, from the sum over all workers, so
 * that their number never shows; what the worker itself saves is flood_guard.h. An entry's
 * domain goes out as text with its second name, so that some worker of up to 31 sends
 * that of every flood that control can see. */
#ifndef DATAPLANE_FLOOD_H
#define DATAPLANE_FLOOD_H

#include "pair.h"
#include "tally.h"

struct flood_settings {
	size_t domains, clients; /* entries of the two tables: 1.2 KB and 64 octets each */
};

struct flood;

/* Adds its parts to the tally, which must outlive it. NULL + errno. */
struct flood *flood_create(struct tally *t, const struct flood_settings *settings);
void flood_destroy(struct flood *f);

/* Counts settled transactions, after tally_step has. */
void flood_step(struct flood *f, const struct txn *txn, uint32_t n);

#endif

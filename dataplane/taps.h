/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets, octets and messages by tags and interval, for the set `tap`.
 *
 * One worker's own, called for packets with tags alone: others cost it nothing. A cache
 * of fixed size whose eviction emits; all memory is taken by taps_create. */
#ifndef DATAPLANE_TAPS_H
#define DATAPLANE_TAPS_H

#include "tally.h"

#include <fluxtap/rec_tap.h>

struct taps;

/* Adds itself to the tally's parts. NULL + errno. */
struct taps *taps_create(struct tally *t, uint64_t hash_key);
/* Accepts NULL. */
void taps_destroy(struct taps *t);
/* Counts what came with these tags (never 0) at event time t_us. */
void taps_count(struct taps *t, uint64_t t_us, const struct ft_tap *more);

#endif

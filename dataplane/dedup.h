/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of a packet that several mirror ports gave: the first one counts.
 *
 * A packet is what its innermost IP packet says: addresses, identification, fragment,
 * ports, TCP header and payload; not what changes from hop to hop (TTL, DSCP, check sums)
 * nor what lies around it (tags, tunnels). One worker's own: a table of fixed size, in
 * which the oldest of a set of four gives way. All memory is taken by dedup_create. */
#ifndef DATAPLANE_DEDUP_H
#define DATAPLANE_DEDUP_H

#include "decode.h"

#include <stddef.h>

struct dedup;

/* entries: rounded up to a power of two, at least 64; 16 octets each. NULL + errno. */
struct dedup *dedup_create(size_t entries, uint64_t window_us, uint64_t hash_key);
/* Accepts NULL. */
void dedup_destroy(struct dedup *d);

/* Was this packet seen less than a window ago? Else it is remembered from now on. d: what
 * decode_frame found, no drop; common: what it returned. */
bool dedup_seen(struct dedup *t, const struct pkt *p, const struct decoded *d, bool common);

#endif

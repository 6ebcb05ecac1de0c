/* SPDX-License-Identifier: BSD-3-Clause */
/* Which flow a packet belongs to, for the fan-out of one source to several workers.
 *
 * The innermost addresses say it, but not those of a tunnel's fragments: only the first
 * of a datagram shows what is inside, and all must meet where its flow is. So that its
 * others can follow, firsts are remembered for as long as defrag waits; who must tell the
 * flow of one that came before its first holds the packets back until then. Reader thread
 * alone; allocates at creation alone. */
#ifndef DATAPLANE_FAN_WAY_H
#define DATAPLANE_FAN_WAY_H

#include "batch.h"

#include <stdbool.h>
#include <stddef.h>

struct fan_way;

/* NULL + errno. */
struct fan_way *fan_way_create(uint64_t key);
/* Accepts NULL. */
void fan_way_destroy(struct fan_way *w);

/* The hash of the packet's flow, the same in both directions. *pending: 0, or what
 * fan_way_find wants to know it later; then the hash is that of the outer addresses. */
uint64_t fan_way_hash(struct fan_way *w, const struct pkt *p, uint64_t *pending);
/* True and *hash once the first fragment has come. */
bool fan_way_find(const struct fan_way *w, uint64_t pending, uint64_t now_us, uint64_t *hash);

#endif

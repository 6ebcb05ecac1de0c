/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of servers beside the counters in tables.c: DDSketches of their response
 * times and of retries, and windows of ten seconds by query type.
 *
 * Parts of twelve counters, a cache line each, in sets of two lines: so a server has as
 * many lines as its response times are wide, and memory is bounded whatever servers there
 * are. What has to make room, or whose interval closes, is emitted. Where other workers
 * have flows of the same clients, queries go out one by one instead of being joined here.
 * Called by tables.c; owned by one worker. */
#ifndef DATAPLANE_SERVERS_H
#define DATAPLANE_SERVERS_H

#include "pair.h"
#include "tally.h"

#include <fluxtap/rec_server.h>

struct servers_settings {
	uint64_t hash_key;    /* secret of this run */
	size_t entries;       /* parts; a power of two */
	bool asks;            /* emit queries for a join */
	uint32_t asked_level; /* of them, those with a hash below 2^-level */
};

struct servers_stats {
	uint64_t made, evicted; /* parts */
};

struct servers;

/* Adds itself to the tally, which must outlive it. NULL + errno. */
struct servers *servers_create(struct tally *tally, const struct servers_settings *settings);
/* Emits nothing. Accepts NULL. */
void servers_destroy(struct servers *s);

/* Counts a transaction whose query came in a second of an interval (row). key: of its
 * server, interval and vantage. */
void servers_count(struct servers *s, const struct txn *x, uint64_t key, uint64_t row,
		   uint32_t second, uint8_t vantage);
/* A handshake of event time t_us took tcp_us from SYN-ACK to ACK. */
void servers_handshake(struct servers *s, const struct addr *server, uint8_t vantage, uint64_t t_us,
		       uint64_t tcp_us);

const struct servers_stats *servers_stats_get(const struct servers *s);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A client that goes through IPv4 space by its reverse zone, in an interval (DOMAIN section
 * 2.6): how far apart the addresses are that it asks about one after another, as points
 * with four coordinates. Questions for the same address again say nothing. */
#ifndef CONTROL_STATS_CLIENT_SEARCH_H
#define CONTROL_STATS_CLIENT_SEARCH_H

#include <stddef.h>
#include <stdint.h>

#define SEARCH_KEY 17u     /* vantage, address */
#define SEARCH_LEAST 20u   /* queries of a client in an interval */
#define SEARCH_CAP 786432u /* of all clients, 32 octets each: 24 MB */

struct search_query {
	uint8_t key[SEARCH_KEY];
	uint8_t ipv4[4];
	uint64_t t_us;
};

enum search_form { SEARCH_NONE, SEARCH_CONSECUTIVE, SEARCH_RANDOM };

/* By client, then in the order in which they were asked. */
int search_order(const void *left, const void *right);
/* Reads the queries of one client, in order; *mean: the mean distance. */
enum search_form search_read(const struct search_query *q, size_t n, double *mean);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients that asked most, by vantage and group of types: of an interval exactly, of a
 * day by merging the intervals' lists of TOP_CAP (SpaceSaving, Metwally et al. 2005: what a
 * list leaves out counts as its least one, and err says how much that made). Ties break by
 * address, so that the order in which clients come never shows. One thread at a time. */
#ifndef CONTROL_STATS_CLIENT_TOP_H
#define CONTROL_STATS_CLIENT_TOP_H

#include "state.h"

#include <fluxtap/dns.h>

#include <stddef.h>
#include <stdint.h>

#define TOP_CAP 1000u
#define TOP_TYPES (FT_QGROUP_CAP + 1u) /* by enum ft_qgroup, then all */
#define TOP_ALL FT_QGROUP_CAP

struct top_client {
	uint8_t id[16];
	uint64_t queries, err; /* err: most that queries can be over */
	double est, se;        /* over all flows, and the standard error; else queries, 0 */
};

struct client_top;

/* NULL + errno. */
struct client_top *client_top_create(void);
/* Accepts NULL. */
void client_top_destroy(struct client_top *t);

/* One client of the interval; counts by enum ft_qgroup. Once for each. */
void client_top_add(struct client_top *t, unsigned vantage, const uint8_t id[16],
		    const uint64_t *counts);
/* Where flows are sampled: each one in the interval's lists, for est and se. */
typedef void client_top_fn(void *ctx, unsigned vantage, unsigned type, struct top_client *c);
void client_top_estimate(struct client_top *t, client_top_fn *fn, void *ctx);
/* The interval's list, most queries first; *n of them, `most` at most. */
const struct top_client *client_top_interval(struct client_top *t, unsigned vantage, unsigned type,
					     size_t most, size_t *n);
/* Ends the interval: its lists go into the day's. */
void client_top_close(struct client_top *t);
/* Likewise the day's list; valid until the next call of this room. */
const struct top_client *client_top_day(struct client_top *t, unsigned vantage, unsigned type,
					size_t *n);
void client_top_end_day(struct client_top *t);
/* The day's lists for a snapshot, as of stat.h. */
int client_top_save(const struct client_top *t, state_write_fn *write, void *ctx);
int client_top_load(struct client_top *t, state_read_fn *read, void *ctx);

#endif

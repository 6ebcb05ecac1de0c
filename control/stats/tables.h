/* SPDX-License-Identifier: BSD-3-Clause */
/* The keyed tables of all workers, merged: registered domains, clients and servers.
 *
 * A merge (stat.h). `p` is what an interval left of it, and may be NULL; what is handed out
 * is valid as long as the interval closes. Counts are what was seen, estimates stand beside
 * where flows were sampled. */
#ifndef CONTROL_STATS_TABLES_H
#define CONTROL_STATS_TABLES_H

#include "../estimate.h"
#include "../keyed_merge.h"
#include "diaries.h"

#include <fluxtap/rec_tables.h>

#define TABLES_KEYS 262144u /* budget of each table where the run does not say */

struct stat_parts;
struct tables_part;

/* One domain, client or server of one vantage. */
struct table_sum {
	enum ft_table table;
	uint8_t vantage;
	const uint8_t *id;        /* the address; domains: see tables_domain_id */
	uint64_t hash;            /* of (vantage, id) by the run's sample key */
	uint32_t first_s, last_s; /* seconds since the interval's begin; first > last: none */
	uint64_t rtt_max_us;
	uint64_t entries; /* of the workers that were added up */
	uint32_t level;   /* the highest at which it was sampled; 0: all is exact */
	/* Domains only, else NULL. The text is the folded name; NULL if it was lost. */
	const uint8_t *text;
	uint32_t text_bytes;
	const struct ft_mini *names, *clients; /* of the flows that were taken; servers: clients */
	const uint64_t *c;                     /* by enum ft_*_counter */
	const struct diary_acc *diary;         /* clients only, else NULL */
	const struct tables_part *from;
};

/* What the keys that were left out sum up to. */
struct table_left {
	uint64_t entries;
	uint64_t c[FT_TABLE_COUNTERS];
	double estimated_queries;
};

typedef void (*tables_walk_fn)(void *ctx, const struct table_sum *s);
/* Calls fn for every key that stays, in no order. */
void tables_each(const struct stat_parts *p, enum ft_table table, tables_walk_fn fn, void *ctx);
/* By rising (vantage, id). -ENOMEM. */
int tables_walk(const struct stat_parts *p, enum ft_table table, tables_walk_fn fn, void *ctx);
/* One key; false where it is not there. */
bool tables_get(const struct stat_parts *p, enum ft_table table, uint8_t vantage,
		const uint8_t id[16], struct table_sum *s);
/* Fetches what tables_get will look at: step 0, and, some time later, step 1. */
void tables_fetch(const struct stat_parts *p, enum ft_table table, uint8_t vantage,
		  const uint8_t id[16], unsigned step);
/* All queries of a key: estimate and standard error. */
struct estimate tables_queries(const struct table_sum *s);
/* One counter, estimated: sum / p. Where level is 0, it is c[counter]. */
double tables_estimate(const struct table_sum *s, unsigned counter);
/* Zeros while no key is left out. */
struct table_left tables_left(const struct stat_parts *p, enum ft_table table);

#endif

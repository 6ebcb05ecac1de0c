/* SPDX-License-Identifier: BSD-3-Clause */
/* The keyed tables of all workers, merged: registered domains, clients and servers.
 *
 * A statistic without records of its own. When an interval closes it leaves a pointer to
 * what it has in struct stat_interval, for the statistics behind it in the list; that
 * holds until the next interval closes. Counts are what was seen, estimates stand beside
 * where flows were sampled. */
#ifndef CONTROL_STATS_TABLES_H
#define CONTROL_STATS_TABLES_H

#include "../estimate.h"
#include "../keyed_merge.h"

#include <fluxtap/rec_tables.h>

#define TABLES_KEYS 262144u /* budget of each table where the run does not say */

/* One domain, client or server of one vantage. */
struct table_sum {
	uint8_t vantage;
	const uint8_t *id;        /* the address; domains: see tables_domain_id */
	uint32_t first_s, last_s; /* seconds since the interval's begin; first > last: none */
	uint64_t rtt_max_us;
	uint64_t entries; /* of the workers that were added up */
	uint32_t level;   /* the highest at which it was sampled; 0: all is exact */
	/* Domains only, else NULL. The text is the folded name; NULL if it was lost. */
	const uint8_t *text;
	uint32_t text_bytes;
	const struct ft_mini *names, *clients; /* of the flows that were taken */
	const uint64_t *c;                     /* by enum ft_*_counter */
};

/* What the keys that were left out sum up to. */
struct table_left {
	uint64_t entries;
	uint64_t c[FT_TABLE_COUNTERS];
	double estimated_queries;
};

struct tables_merged;

/* Calls fn for every key that stays, by rising (vantage, id). -ENOMEM. */
typedef void (*tables_walk_fn)(void *ctx, const struct tables_merged *m, const struct table_sum *s);
void tables_merged_each(const struct tables_merged *m, enum ft_table table, tables_walk_fn fn,
			void *ctx); /* in no order */
int tables_merged_walk(const struct tables_merged *m, enum ft_table table, tables_walk_fn fn,
		       void *ctx);
/* One key; false where it is not there. */
bool tables_merged_get(const struct tables_merged *m, enum ft_table table, uint8_t vantage,
		       const uint8_t id[16], struct table_sum *s);
/* All queries of a key that fn was given or get found: estimate and standard error. */
struct estimate tables_merged_queries(const struct tables_merged *m, enum ft_table table,
				      const struct table_sum *s);
/* One counter, estimated: sum / p. Where level is 0, it is c[counter]. */
double tables_merged_estimate(const struct tables_merged *m, enum ft_table table,
			      const struct table_sum *s, unsigned counter);
/* Zeros while no key is left out. */
const struct table_left *tables_merged_left(const struct tables_merged *m, enum ft_table table);

#endif

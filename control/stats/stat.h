/* SPDX-License-Identifier: BSD-3-Clause */
/* A statistic: one file here, which subscribes to block records and emits a set.
 *
 * Control's thread alone. A statistic sees every record of every worker, in any
 * order, keeps what it needs by interval ("row"), and writes its records when the
 * interval closes. The list of statistics stands in stats.c. */
#ifndef CONTROL_STATS_STAT_H
#define CONTROL_STATS_STAT_H

#include <fluxtap/block.h>
#include <fluxtap/counters.h>

#include "state.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct lookups;
struct rules;
struct tables_merged;

struct stat_record {
	const struct ft_block_hdr *block;
	const struct ft_rec_hdr *hdr;
	const void *body; /* aligned to 8 */
	size_t bytes;     /* of the body, without its pad */
};

/* What a statistic may know of the run. */
struct stat_run {
	const char *probe;
	unsigned workers;
	uint32_t interval_s;
	const struct rules *rules;     /* NULL: none; what rule numbers mean, see rules.h */
	const struct lookups *lookups; /* NULL: none */
	const char *psl;               /* the list of public suffixes; NULL: the system's */
	uint64_t name_seed;            /* of this run: what owners' keys are hashed with */
	uint64_t sample_key;  /* of the flow sampling, and of what stays above table_keys */
	uint32_t table_keys;  /* keys of each keyed table and interval; 0: see tables.h */
	uint32_t rrset_keys;  /* RRset observations and texts of an interval; 0: see rrsets.h */
	uint32_t flux_mb;     /* of owners of CNAMEs; 0: see flux_cname.h */
	uint32_t top_domains; /* that `domain` has by each of its orders; 0: none */
	/* Of sinkholes, see settings; 0: default, none. */
	uint32_t sinkhole_hour_s, sinkhole_domains, sinkhole_history;
	const struct state_gap *gap; /* that a restart left; NULL: none */
	/* Packets that worker i's source has lost since it was asked last. */
	uint64_t (*source_dropped)(void *ctx, unsigned worker);
	/* Takes over the record. */
	void (*write)(void *ctx, const char *set, uint64_t start_s, json_t *record);
	void *ctx;
};

/* An interval that closes. */
struct stat_interval {
	uint64_t row, start_s, end_s;
	uint64_t loss_ppm; /* known once `ledger` has closed it: it is first in the list */
	/* Of all workers; likewise, and valid as long as the others close. NULL: no memory. */
	const struct ft_ledger *ledger;
	/* Known once `tables` has closed it, the third; NULL: no entries. See tables.h. */
	const struct tables_merged *tables;
	/* Known once `rrsets` has closed it, for rrsets_each and the like. See rrsets.h. */
	const void *rrsets;
	/* Known once `errors` has closed it, for errors_each. See errors.h. */
	const void *errors;
	void *flux_ns; /* known once it has closed it, for kind `ip` of the set */
};

struct stat_ops {
	const char *set;
	void *(*create)(const struct stat_run *run); /* NULL + errno */
	/* -ENOMEM, or -EBADMSG for a body that cannot be. NULL, as is first_row: all that it
	 * needs is what others leave in an interval that closes. */
	int (*record)(void *stat, const struct stat_record *rec);
	/* The smallest row it holds something for; UINT64_MAX: none. */
	uint64_t (*first_row)(const void *stat);
	void (*close)(void *stat, struct stat_interval *interval);
	/* The input has ended and all rows are closed; NULL: nothing is left to be written. */
	void (*end)(void *stat);
	void (*destroy)(void *stat);
	/* What it remembers over intervals, for a snapshot; NULL: nothing. `state` is the
	 * name of it there. save: between two closes, also in another thread while records
	 * come in; what is held for open rows is not part of it. load: before the first close
	 * and in a run with the same name_seed, sample_key and interval; 0, or -errno: it
	 * holds nothing unsound then. */
	const char *state;
	int (*save)(const void *stat, state_write_fn *write, void *ctx);
	int (*load)(void *stat, state_read_fn *read, void *ctx);
};

extern const struct stat_ops stat_ledger, stat_traffic, stat_match, stat_tables, stat_rrsets,
    stat_errors, stat_flood, stat_nxtrend, stat_domains, stat_flux_cname, stat_flux_ns,
    stat_flux_ip, stat_sinkhole, stat_tap;

/* All of them, ledger first, ended by NULL. */
extern const struct stat_ops *const stat_all[];

/* Sums since the start, for the summary. */
struct ledger_sums {
	struct ft_ledger sum; /* levels: of the end */
	uint64_t source_dropped, merged;
	uint64_t intervals, first_s, end_s;
	uint64_t broken;       /* interval rows whose equations do not hold */
	char broken_text[256]; /* of the first one */
};
const struct ledger_sums *ledger_sums_get(const void *stat);
/* What was written of a worker so far; levels: added up, and of no use. */
const struct ft_ledger *ledger_told_get(const void *stat, unsigned worker);
struct traffic_sums {
	uint64_t dense[FT_TRAFFIC_DENSE_CAP]; /* all vantages; FT_TRAFFIC_RTT_MAX by maximum */
	uint64_t *rtt;                        /* [DD_BINS] */
};
const struct traffic_sums *traffic_sums_get(const void *stat);

#endif

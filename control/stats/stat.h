/* SPDX-License-Identifier: BSD-3-Clause */
/* A statistic: one file here, which subscribes to block records and emits a set; a merge:
 * entries of all workers added up by key, for statistics to read.
 *
 * Records come in any order; what is kept of them is kept by interval ("row") until it
 * closes. Statistics with records of their own are control's thread's. One that only reads
 * what an interval leaves may run in another thread, while records of later intervals come
 * in. Merges are split into shards by key, each with one thread at a time. Lists: stats.c. */
#ifndef CONTROL_STATS_STAT_H
#define CONTROL_STATS_STAT_H

#include <fluxtap/block.h>
#include <fluxtap/counters.h>

#include "state.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct lookups;
struct prefix_set;
struct rules;

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
	uint32_t top_clients; /* likewise of `client` by each type */
	bool flux_sliding;    /* and their changes within any 24 h */
	uint32_t top_domains; /* that `domain` has by each of its orders; 0: none */
	/* Of sinkholes, see settings; 0: default, none. */
	double dga_p0; /* see dga_test.h; 0: its default */
	uint32_t sinkhole_hour_s, sinkhole_domains, sinkhole_history;
	const struct state_gap *gap;       /* that a restart left; NULL: none */
	const struct prefix_set *monitors; /* clients that may snoop; NULL: none */
	bool by_address;                   /* vantage points go by --auth and --resolvers */
	/* Packets that worker i's source has lost since it was asked last. */
	uint64_t (*source_dropped)(void *ctx, unsigned worker);
	/* A sentence for the log; may be NULL. Control's thread. */
	void (*alarm)(void *ctx, const char *text);
	/* Takes over the record. Any of control's threads may call. */
	void (*write)(void *ctx, const char *set, uint64_t start_s, json_t *record);
	void *ctx;
};

enum stat_merge { STAT_TABLES, STAT_RRSETS, STAT_ERRORS, STAT_SERVERS, STAT_MERGES };
#define STAT_SHARDS_CAP 16u

/* What the shards of a merge have of an interval; NULL where one has nothing. */
struct stat_parts {
	unsigned n;
	void *part[STAT_SHARDS_CAP];
};

/* An interval that closes. */
struct stat_interval {
	uint64_t row, start_s, end_s;
	uint64_t cut_s;    /* so many seconds at its end lie behind the end of the input */
	uint64_t loss_ppm; /* known once `ledger` has closed it: it is first in the list */
	/* For what tables.h, rrsets.h, errors.h and servers.h offer; NULL: nothing has come. */
	const struct stat_parts *tables, *rrsets, *errors, *servers;
	/* Of all workers, known once `ledger` has closed it, the first in the list. NULL: no
	 * memory. */
	const struct ft_ledger *ledger;
	void *flux_ns; /* known once it has closed it, for kind `ip` of the set */
};

struct merge_ops {
	/* So many shards share the budget of the run. NULL + errno. */
	void *(*create)(const struct stat_run *run, unsigned shards);
	/* As of a statistic; for records that `shard_of` is for, and others. */
	int (*record)(void *merge, const struct stat_record *rec);
	/* The shard of n of the entry at *at, and *at behind it; -EBADMSG; -ENOTSUP: records
	 * of this type are not for this merge. */
	int (*shard_of)(uint16_t type, const uint8_t **at, const uint8_t *end, unsigned n);
	/* Hands over what it has of a row; NULL: nothing. */
	void *(*take)(void *merge, uint64_t row);
	void (*part_free)(void *part); /* accepts NULL */
	/* All parts of a row are there; NULL: they need nothing more. */
	void (*join)(const struct stat_parts *parts);
	void (*destroy)(void *merge);
};
extern const struct merge_ops merge_tables, merge_rrsets, merge_errors, merge_servers;
/* By enum stat_merge. */
extern const struct merge_ops *const merge_all[STAT_MERGES];

struct stat_ops {
	const char *set;
	void *(*create)(const struct stat_run *run); /* NULL + errno */
	/* -ENOMEM, or -EBADMSG for a body that cannot be. NULL, as is first_row: it only
	 * reads what an interval leaves. */
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
	bool behind; /* it reads what the one before it in the list leaves, too */
};

extern const struct stat_ops stat_ledger, stat_traffic, stat_match, stat_flood, stat_sinkhole,
    stat_flux_cname, stat_dga, stat_client, stat_flux_ns, stat_flux_ip, stat_channels, stat_domains,
    stat_nxtrend, stat_server, stat_cookie, stat_resolver, stat_search, stat_tap, stat_transport,
    stat_integrity, stat_ttl, stat_snoop;

/* All statistics, ledger first and readers last, ended by NULL. */
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

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the statistic `sinkhole` share: rows as workers fill them, and lines
 * of a closing interval on their way to records. */
#ifndef CONTROL_STATS_SINK_STAT_H
#define CONTROL_STATS_SINK_STAT_H

#include "../../dataplane/few.h"
#include "hashes.h"
#include "keep.h"
#include "sink_table.h"
#include "stat.h"

#include <fluxtap/rec_sink.h>

/* A registered domain of a group, as the workers counted it. */
struct sink_sum {
	uint32_t rule;
	uint16_t parts;
	uint8_t vantage, signals;
	bool counted; /* it is followed by name, and was asked for */
	uint64_t domain, bytes, neg_ttl, ans_ttl;
	struct hashes names;
	struct few *clients; /* NULL: none yet */
	uint8_t *text;       /* NULL: not come */
	uint32_t text_bytes;
	uint64_t by_class[]; /* [parts][FT_CLASS_CAP] */
};

/* A whole group. */
struct sink_group {
	struct sink_group *next;
	uint32_t rule;
	uint8_t vantage;
	struct hashes names, clients; /* clients with their queries */
};

#define SINK_GROUP_BUCKETS 256u
struct sink_row {
	struct keep keep; /* of struct sink_entry */
	struct sink_group *group[SINK_GROUP_BUCKETS];
	uint64_t left_out; /* transactions of domains that did not fit */
};
struct sink_entry {
	struct keep_item keep;
	struct sink_sum *sum;
};

/* A record to be: a domain of a group, or a group. */
struct sink_line {
	struct sink_key key;
	const uint8_t *text; /* NULL: the group */
	uint32_t text_bytes;
	const uint64_t *by_class; /* [parts][FT_CLASS_CAP] */
	unsigned parts;
	uint64_t total[FT_CLASS_CAP];
	uint64_t queries, names, clients, bytes, neg_ttl, ans_ttl, domains, top_client;
	uint8_t signals;             /* of the domain, whatever group or vantage point saw them */
	bool automatic;              /* found by its answers: counts are those of the keyed table */
	const struct ft_mini *asked; /* its names, where it is automatic */
	unsigned level;              /* sampled at 2^-level */
	double est_queries, se_queries;
	struct sink_item *item;         /* NULL: no past */
	const struct sink_group *group; /* of a group: its sets; NULL: not exact */
	uint64_t left_out;
};

struct sinkhole {
	const struct stat_run *run;
	struct stat_row *rows; /* struct sink_row */
	struct keep_settings set;
	struct sink_table table;
	unsigned parts; /* of an interval */
	uint64_t part_us;
	uint64_t begin_us; /* of the first interval: from there on all is seen */
	uint64_t expired_us;
	uint64_t closed_us; /* end of the last interval */
	bool loaded;        /* from a snapshot, and no interval has closed since */
};

#define STALE_HOURS 49u /* without queries and signals */

/* Sums up a line's parts of the interval; adds them to its past. */
void sink_line_sum(struct sink_line *l);
void sink_line_add_past(struct sinkhole *s, const struct stat_interval *in, struct sink_line *l);

/* sink_group.c: writes the line of the group whose lines are v[0..n). -ENOMEM. */
int sink_group_write(struct sinkhole *s, const struct stat_interval *in, const struct sink_line *v,
		     size_t n, const struct sink_row *r);
/* Gives each line the signals of its domain. -ENOMEM. */
int sink_put_signals(const struct sinkhole *s, const struct stat_interval *in, struct sink_line *v,
		     size_t lines);
/* sink_write.c: one record of each line. */
void sink_write(const struct sinkhole *s, const struct stat_interval *in,
		const struct sink_line *line);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the statistic `sinkhole` remembers from interval to interval: pasts of domains in
 * groups, of whole groups, and of all other domains that may yet turn out to be sinkholes.
 *
 * A map within two budgets: domains of groups; other domains. A newcomer for which there
 * is no room is counted and has no past. Which ones have depends on the order of calls
 * alone. Control's thread. */
#ifndef CONTROL_STATS_SINK_TABLE_H
#define CONTROL_STATS_SINK_TABLE_H

#include "sink_past.h"

#include <fluxtap/rec_sink.h>

#include <stddef.h>

struct sink_key {
	uint8_t id[16]; /* tables_domain_id; zeros: the group as a whole */
	uint32_t rule;  /* number of the group; 0: of none */
	uint8_t vantage, pad[3];
};

struct sink_item {
	struct sink_item *next; /* of its bucket */
	struct sink_key key;
	uint32_t seen_s[FT_SINK_SIGNALS]; /* when a signal was seen last; 0: never */
	uint8_t *text;                    /* the domain, folded; NULL: not known */
	uint32_t text_bytes;
	struct sink_past past;
};

struct sink_table {
	struct sink_item **bucket;
	size_t buckets, grouped, others; /* items of each budget */
	size_t grouped_cap, others_cap;
	uint64_t refused; /* newcomers of groups */
	struct sink_clock clock;
};

/* 0 or -ENOMEM. */
int sink_table_init(struct sink_table *t, size_t grouped_cap, size_t others_cap);
void sink_table_fini(struct sink_table *t);

struct sink_item *sink_table_find(const struct sink_table *t, const struct sink_key *key);
/* The item of a key, made where it is not there: then its past is all zeros. NULL: there
 * is no room, or no memory. */
struct sink_item *sink_table_get(struct sink_table *t, const struct sink_key *key, bool *fresh);
/* Gives an item its name, if it has none. -ENOMEM. */
int sink_item_name(struct sink_item *i, const uint8_t *text, uint32_t bytes);
/* Forgets items without queries and signals since then. */
void sink_table_expire(struct sink_table *t, uint64_t before_us);
/* Items one after the other, NULL first and last; in no order. */
struct sink_item *sink_table_next(const struct sink_table *t, const struct sink_item *i);

#endif

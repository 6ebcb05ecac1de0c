/* SPDX-License-Identifier: BSD-3-Clause */
/* What the live views show of exported records: the last interval, sums since the start,
 * and a history of points for charts; all in bounded memory.
 *
 * Control's threads put in each record that they write, and say when an interval is
 * whole. Any thread takes a copy. Both hold a mutex for microseconds; nothing here waits
 * for a client, logs, or keeps a reference to a record. Accepts NULL for no view. */
#ifndef CONTROL_VIEW_VIEW_H
#define CONTROL_VIEW_VIEW_H

#include "../../dataplane/sketch.h"

#include <fluxtap/counters.h>
#include <fluxtap/dns.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIEW_POINTS 240u /* intervals of history */
#define VIEW_ROWS 20u    /* of each table */
#define VIEW_MIX_CAP 96u
#define VIEW_GROUPS 64u /* of sinkholes, told apart in counters */
#define VIEW_TEXT_CAP 256u

/* Counts by a short text. What has no room, and texts that any sender can make up (TYPE4711),
 * are counted as "other": the number of time series must not depend on strangers. */
struct view_mix {
	uint32_t n;
	struct {
		char key[20];
		uint64_t count;
	} v[VIEW_MIX_CAP];
};

#define VIEW_TRAFFIC_COUNTS(X)                                                                     \
	X(QUERIES, queries)                                                                        \
	X(RESPONSES, responses)                                                                    \
	X(PAIRS, pairs)                                                                            \
	X(UNANSWERED, unanswered)                                                                  \
	X(UNSOLICITED, unsolicited)                                                                \
	X(MALFORMED, malformed)                                                                    \
	X(QUERY_BYTES, query_bytes)                                                                \
	X(RESPONSE_BYTES, response_bytes)
enum view_traffic_count {
#define X(n, key) VIEW_##n,
	VIEW_TRAFFIC_COUNTS(X)
#undef X
	    VIEW_TRAFFIC_CAP
};

#define VIEW_MIXES(X)                                                                              \
	X(QTYPE, by_qtype)                                                                         \
	X(RCODE, by_rcode)                                                                         \
	X(CLASS, by_class)                                                                         \
	X(OPCODE, by_opcode)                                                                       \
	X(TRANSPORT, by_transport)
enum view_mix_kind {
#define X(n, key) VIEW_BY_##n,
	VIEW_MIXES(X)
#undef X
	    VIEW_MIX_KINDS
};

/* One vantage point. */
struct view_traffic {
	bool seen;
	uint64_t count[VIEW_TRAFFIC_CAP];
	struct view_mix mix[VIEW_MIX_KINDS];
	uint64_t rtt[DD_BINS];
	uint64_t clients, names; /* distinct, of one interval */
};

/* The ledger of all workers, one interval. */
struct view_ledger {
	uint64_t plain[FT_CTR_PLAIN_CAP];
	uint64_t source_dropped, merged;
	struct view_mix dropped, msg_dropped;
	uint32_t loss_ppm;
	bool closes; /* the three equations hold */
};

/* A row of any table; which fields it has, and what they mean, stands in view_tables. */
struct view_row {
	char name[VIEW_TEXT_CAP];
	char more[64], vantage[8], kind[16], class[20], state[12];
	uint64_t count, at_s;
	double value[4]; /* NaN: not known */
};

enum view_table {
	VIEW_FLUX,
	VIEW_SINKHOLE,
	VIEW_NXDOMAIN,
	VIEW_DOMAIN,
	VIEW_CLIENT,
	VIEW_MATCH,
	VIEW_SPIKE,
	VIEW_TABLES
};

struct view_list {
	uint32_t n;
	struct view_row row[VIEW_ROWS];
};

/* Columns of a table: JSON key, heading, and where it stands in a row. */
enum view_cell { CELL_END, CELL_TEXT, CELL_COUNT, CELL_SECOND, CELL_VALUE };
struct view_column {
	const char *key, *title;
	enum view_cell cell;
	size_t off;
};
#define VIEW_COLUMNS 10u
struct view_table_text {
	const char *key, *title, *empty;
	struct view_column column[VIEW_COLUMNS];
};
extern const struct view_table_text view_tables[VIEW_TABLES];

/* One interval of the history. */
struct view_point {
	uint64_t start_s, end_s;
	uint64_t queries, responses, class[FT_CLASS_CAP], a, aaaa;
	double rtt_us[3], rtt_max_us; /* p50, p90, p99; NaN: none */
	uint64_t packets, dropped, msg_dropped, source_dropped, ring_full, export_lost;
	uint32_t loss_ppm;
	double p;
};

struct view_group {
	char name[64], vantage[8];
	uint64_t queries; /* since the start */
	double qps;       /* of the last interval */
};

/* Counters of events since the start. */
enum view_event {
	VIEW_SPIKE_NXDOMAIN,
	VIEW_DRIFT_NXDOMAIN,
	VIEW_SPIKE_DNSBL,
	VIEW_DRIFT_DNSBL,
	VIEW_FLOOD,
	VIEW_HIJACK, /* changes of watched RRsets that nobody has allowed */
	VIEW_ONSET_CNAME,
	VIEW_ONSET_IP,
	VIEW_ONSET_NS,
	VIEW_EVENTS
};

#define VIEW_FLUX_KINDS 3u
extern const char *const view_flux_kinds[VIEW_FLUX_KINDS];

struct view_data {
	uint64_t intervals, broken_intervals, records;
	uint64_t start_s, end_s; /* of the last interval; 0: none yet */
	struct view_traffic total[FT_VANTAGE_CAP], last[FT_VANTAGE_CAP];
	struct view_ledger ledger;
	double p; /* share of flows kept, of the last interval */
	struct view_list list[VIEW_TABLES];
	uint64_t nx_error; /* counts of VIEW_NXDOMAIN may be too low by so many */
	uint64_t event[VIEW_EVENTS];
	uint64_t flux_day, flux_owners[VIEW_FLUX_KINDS]; /* onsets of that UTC day */
	struct view_mix match_kinds; /* queries by kind of rule, since the start */
	uint32_t groups;
	struct view_group group[VIEW_GROUPS];
	uint32_t points, first_point; /* a ring */
	struct view_point point[VIEW_POINTS];
};

struct view;

/* NULL + errno. */
struct view *view_create(void);
void view_destroy(struct view *v);

/* Reads a record that is being exported; borrows it. Any of control's threads. */
void view_put(struct view *v, const char *set, const json_t *record);
/* The interval is written. export_lost: records that its export gave up. */
void view_close(struct view *v, uint64_t start_s, uint64_t end_s, uint64_t export_lost);
/* Any thread. */
void view_copy(struct view *v, struct view_data *out);

/* The i-th point of the history, the oldest first. */
const struct view_point *view_point_get(const struct view_data *d, uint32_t i);
/* The q-quantile of response times over all vantage points, in us; NaN: none. */
double view_rtt(const struct view_traffic *all, double q);
uint64_t view_mix_get(const struct view_mix *m, const char *key);
void view_mix_add(struct view_mix *m, const char *key, uint64_t n);

#endif

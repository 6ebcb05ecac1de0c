/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics.h"

#include "../../dataplane/worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum metric_type { COUNTER, GAUGE, HISTOGRAM, INFO };

struct out;
struct metric {
	const char *name; /* without what the type adds */
	enum metric_type type;
	const char *unit; /* a base unit that the name ends in, or NULL */
	const char *help;
	void (*samples)(const struct out *o, const struct metric *m, const struct glance *g);
	unsigned arg; /* which one */
};

struct out {
	FILE *f;
	bool open;
};

struct label {
	const char *key, *value; /* key NULL: none */
};

static void put_escaped(FILE *f, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			(void)fputs("\\n", f);
		else if (*text == '\\' || *text == '"')
			(void)fprintf(f, "\\%c", *text);
		else
			(void)fputc(*text, f);
	}
}

static void begin(const struct out *o, const struct metric *m, const char *suffix, struct label a,
		  struct label b)
{
	(void)fprintf(o->f, "%s%s", m->name, suffix);
	if (a.key != NULL) {
		(void)fprintf(o->f, "{%s=\"", a.key);
		put_escaped(o->f, a.value);
		(void)fputc('"', o->f);
	}
	if (b.key != NULL) {
		(void)fprintf(o->f, ",%s=\"", b.key);
		put_escaped(o->f, b.value);
		(void)fputc('"', o->f);
	}
	(void)fputs(a.key != NULL ? "} " : " ", o->f);
}

#define NONE ((struct label){0})
#define LABEL(key, value) ((struct label){key, value})

static const char *suffix_of(const struct metric *m)
{
	return m->type == COUNTER ? "_total" : m->type == INFO ? "_info" : "";
}

static void count2(const struct out *o, const struct metric *m, struct label a, struct label b,
		   uint64_t n)
{
	begin(o, m, suffix_of(m), a, b);
	(void)fprintf(o->f, "%" PRIu64 "\n", n);
}

static void count(const struct out *o, const struct metric *m, struct label a, uint64_t n)
{
	count2(o, m, a, NONE, n);
}

static void real2(const struct out *o, const struct metric *m, struct label a, struct label b,
		  double x)
{
	begin(o, m, suffix_of(m), a, b);
	if (isnan(x))
		(void)fputs("NaN\n", o->f);
	else
		(void)fprintf(o->f, "%.15g\n", x);
}

static const char *number(char out[16], unsigned n)
{
	(void)snprintf(out, 16, "%u", n);
	return out;
}

static void worker_counter(const struct out *o, const struct metric *m, const struct glance *g)
{
	char w[16];

	for (unsigned i = 0; i < g->counts.workers; i++)
		count(o, m, LABEL("worker", number(w, i)), g->counts.worker[i].total[m->arg]);
}

static void packet_drops(const struct out *o, const struct metric *m, const struct glance *g)
{
	char w[16];

	for (unsigned i = 0; i < g->counts.workers; i++)
		for (unsigned r = 1; r < FT_PKT_DROP_CAP; r++)
			count2(o, m, LABEL("worker", number(w, i)),
			       LABEL("reason", ft_pkt_drop_texts[r].metric),
			       g->counts.worker[i].total[FT_CTR_PKT_DROP + r]);
}

static void message_drops(const struct out *o, const struct metric *m, const struct glance *g)
{
	char w[16];

	for (unsigned i = 0; i < g->counts.workers; i++)
		for (unsigned r = 1; r < FT_MSG_DROP_CAP; r++)
			count2(o, m, LABEL("worker", number(w, i)),
			       LABEL("reason", ft_msg_drop_texts[r].metric),
			       g->counts.worker[i].total[FT_CTR_MSG_DROP + r]);
}

enum worker_figure { SOURCE_DROPPED, RING_USED, RING_SIZE, GENERATION, STAGE_PACKETS, CLOCK };

static void worker_figure(const struct out *o, const struct metric *m, const struct glance *g)
{
	char number_of[16];

	for (unsigned i = 0; i < g->counts.workers; i++) {
		const struct counts_worker *w = &g->counts.worker[i];
		const struct label a = LABEL("worker", number(number_of, i));
		switch ((enum worker_figure)m->arg) {
		case SOURCE_DROPPED: count(o, m, a, w->source_dropped); break;
		case RING_USED: count(o, m, a, w->ring_used); break;
		case RING_SIZE: count(o, m, a, w->ring_bytes); break;
		case GENERATION: count(o, m, a, w->generation); break;
		case STAGE_PACKETS: count(o, m, a, w->timed_packets); break;
		case CLOCK:
			real2(o, m, a, NONE,
			      w->clock_us < UINT64_MAX ? (double)w->clock_us / 1e6 : NAN);
			break;
		}
	}
}

static void worker_turns(const struct out *o, const struct metric *m, const struct glance *g)
{
	char w[16];

	for (unsigned i = 0; i < g->counts.workers; i++) {
		const struct label a = LABEL("worker", number(w, i));
		count2(o, m, a, LABEL("kind", "busy"), g->counts.worker[i].turns);
		count2(o, m, a, LABEL("kind", "idle"), g->counts.worker[i].idle_turns);
	}
}

static void stages(const struct out *o, const struct metric *m, const struct glance *g)
{
	char w[16];

	for (unsigned i = 0; i < g->counts.workers && g->ticks_per_ns > 0; i++)
		for (unsigned s = 0; s < STAGE_CAP; s++)
			real2(o, m, LABEL("worker", number(w, i)),
			      LABEL("stage", worker_stage_texts[s]),
			      (double)g->counts.worker[i].stage_ticks[s] / g->ticks_per_ns / 1e9);
}

static void traffic_count(const struct out *o, const struct metric *m, const struct glance *g)
{
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		count(o, m, LABEL("vantage", ft_vantage_texts[v]), g->data.total[v].count[m->arg]);
}

static void traffic_mix(const struct out *o, const struct metric *m, const struct glance *g)
{
	static const char *const keys[VIEW_MIX_KINDS] = {"qtype", "rcode", "class", "opcode",
							 "transport"};

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		const struct view_mix *mix = &g->data.total[v].mix[m->arg];
		for (uint32_t i = 0; i < mix->n; i++)
			count2(o, m, LABEL("vantage", ft_vantage_texts[v]),
			       LABEL(keys[m->arg], mix->v[i].key), mix->v[i].count);
	}
}

/* Of the sketch's bins every 20th bound: from 9 us to 6 s in steps of 1.5. Bin i ends at
 * gamma^(i - 1) us, so that counts up to a bound are exact. */
#define LE_FIRST 111u
#define LE_LAST 791u
#define LE_STEP 20u

static void response_times(const struct out *o, const struct metric *m, const struct glance *g)
{
	const double gamma = (1 + DD_ALPHA) / (1 - DD_ALPHA);
	char le[32];

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		const uint64_t *bins = g->data.total[v].rtt;
		const struct label a = LABEL("vantage", ft_vantage_texts[v]);
		uint64_t n = 0;
		double sum_us = 0;
		for (unsigned i = 0; i < DD_BINS; i++) {
			n += bins[i];
			sum_us += (double)bins[i] * dd_value(i);
			if (i < LE_FIRST || i > LE_LAST || (i - LE_FIRST) % LE_STEP != 0)
				continue;
			(void)snprintf(le, sizeof(le), "%.6g", pow(gamma, (double)i - 1) / 1e6);
			begin(o, m, "_bucket", a, LABEL("le", le));
			(void)fprintf(o->f, "%" PRIu64 "\n", n);
		}
		begin(o, m, "_bucket", a, LABEL("le", "+Inf"));
		(void)fprintf(o->f, "%" PRIu64 "\n", n);
		begin(o, m, "_sum", a, NONE);
		(void)fprintf(o->f, "%.15g\n", sum_us / 1e6);
		begin(o, m, "_count", a, NONE);
		(void)fprintf(o->f, "%" PRIu64 "\n", n);
	}
}

enum interval_figure { CLIENTS, NAMES };

static void interval_figure(const struct out *o, const struct metric *m, const struct glance *g)
{
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		const struct view_traffic *t = &g->data.last[v];
		count(o, m, LABEL("vantage", ft_vantage_texts[v]),
		      m->arg == CLIENTS ? t->clients : t->names);
	}
}

static void flux_owners(const struct out *o, const struct metric *m, const struct glance *g)
{
	const bool today = g->data.flux_day == g->now_us / 86400000000u || !g->counts.live;

	for (unsigned k = 0; k < VIEW_FLUX_KINDS; k++)
		count(o, m, LABEL("kind", view_flux_kinds[k]), today ? g->data.flux_owners[k] : 0);
}

static void flux_onsets(const struct out *o, const struct metric *m, const struct glance *g)
{
	for (unsigned k = 0; k < VIEW_FLUX_KINDS; k++)
		count(o, m, LABEL("kind", view_flux_kinds[k]), g->data.event[VIEW_ONSET_CNAME + k]);
}

static void sinkhole(const struct out *o, const struct metric *m, const struct glance *g)
{
	for (uint32_t i = 0; i < g->data.groups; i++) {
		const struct view_group *s = &g->data.group[i];
		const struct label a = LABEL("group", s->name), b = LABEL("vantage", s->vantage);
		if (m->type == COUNTER)
			count2(o, m, a, b, s->queries);
		else
			real2(o, m, a, b, s->qps);
	}
}

static void spikes(const struct out *o, const struct metric *m, const struct glance *g)
{
	static const char *const sets[] = {"nxdomain", "dnsbl"};

	for (unsigned i = 0; i < 2; i++) {
		const uint64_t *n = &g->data.event[i == 0 ? VIEW_SPIKE_NXDOMAIN : VIEW_SPIKE_DNSBL];
		count2(o, m, LABEL("of", sets[i]), LABEL("state", "spike"), n[0]);
		count2(o, m, LABEL("of", sets[i]), LABEL("state", "drift"), n[1]);
	}
}

static void match_kinds(const struct out *o, const struct metric *m, const struct glance *g)
{
	const struct view_mix *mix = &g->data.match_kinds;

	for (uint32_t i = 0; i < mix->n; i++)
		count(o, m, LABEL("kind", mix->v[i].key), mix->v[i].count);
}

enum figure {
	WRITTEN,
	LOST,
	FAILURES,
	FAILING,
	INTERVALS,
	BROKEN,
	INTERVAL_END,
	HELD_PACKETS,
	HELD_MESSAGES,
	FLOODS,
	HIJACKS,
	SAMPLE_LEVEL,
	SAMPLE_SHARE,
	READY,
	START,
	RESIDENT,
	CPU
};

static double figure_of(const struct glance *g, enum figure f)
{
	const struct view_data *d = &g->data;
	const struct counts *c = &g->counts;

	switch (f) {
	case WRITTEN: return (double)c->records_written;
	case LOST: return (double)c->records_lost;
	case FAILURES: return (double)c->export_failures;
	case FAILING: return c->export_failing;
	case INTERVALS: return (double)d->intervals;
	case BROKEN: return (double)d->broken_intervals;
	case INTERVAL_END: return (double)d->end_s;
	case HELD_PACKETS: return (double)d->ledger.plain[FT_CTR_HELD_PACKETS];
	case HELD_MESSAGES: return (double)d->ledger.plain[FT_CTR_HELD];
	case FLOODS: return (double)d->event[VIEW_FLOOD];
	case HIJACKS: return (double)d->event[VIEW_HIJACK];
	case SAMPLE_LEVEL: return (double)c->sample_level;
	case SAMPLE_SHARE: return ldexp(1, -(int)(c->sample_level & 63));
	case READY: return g->ready;
	case START: return (double)c->started_us / 1e6;
	case RESIDENT: return (double)g->resident_bytes;
	case CPU: return g->cpu_s;
	}
	return NAN;
}

static void figure(const struct out *o, const struct metric *m, const struct glance *g)
{
	real2(o, m, NONE, NONE, figure_of(g, (enum figure)m->arg));
}

static void build(const struct out *o, const struct metric *m, const struct glance *g)
{
	count2(o, m, LABEL("version", g->version), LABEL("probe", g->counts.probe), 1);
}

/* clang-format off */
#define WORKER(name, unit, help, c) {name, COUNTER, unit, help " (live)", worker_counter, FT_CTR_##c}
#define TRAFFIC(name, unit, help, c) {name, COUNTER, unit, help, traffic_count, VIEW_##c}
#define MIX(name, help, c) {name, COUNTER, NULL, help, traffic_mix, VIEW_BY_##c}
static const struct metric metrics[] = {
    {"fluxtap_build", INFO, NULL, "Version, and the probe's name", build, 0},
    {"fluxtap_start_time_seconds", GAUGE, "seconds", "When the probe started, since 1970", figure, START},
    {"fluxtap_ready", GAUGE, NULL, "1: nothing has been lost in the last seconds; 0: /readyz says what", figure, READY},
    WORKER("fluxtap_packets", NULL, "Packets received", RX_PACKETS),
    WORKER("fluxtap_received_bytes", "bytes", "Frame octets received, as on the wire", RX_BYTES),
    WORKER("fluxtap_packets_carried", NULL, "Packets whose content went on to the next stage", CARRIED),
    {"fluxtap_packets_dropped", COUNTER, NULL, "Packets that left early, by reason (live)", packet_drops, 0},
    {"fluxtap_source_dropped_packets", COUNTER, NULL, "Packets that the source lost before the probe got them (live)", worker_figure, SOURCE_DROPPED},
    WORKER("fluxtap_late_packets", NULL, "Packets whose own interval had closed already", LATE),
    WORKER("fluxtap_messages", NULL, "DNS messages found", MESSAGES),
    WORKER("fluxtap_messages_counted", NULL, "DNS messages that reached the statistics", COUNTED),
    WORKER("fluxtap_messages_malformed", NULL, "DNS messages counted although their records are damaged", MALFORMED),
    {"fluxtap_messages_dropped", COUNTER, NULL, "DNS messages that left early, by reason (live)", message_drops, 0},
    WORKER("fluxtap_tcp_gaps", NULL, "Gaps in TCP streams", TCP_GAPS),
    WORKER("fluxtap_tcp_lost_bytes", "bytes", "TCP octets skipped", TCP_LOST_BYTES),
    WORKER("fluxtap_tcp_evicted_connections", NULL, "TCP connections forgotten to make room", TCP_EVICTED),
    WORKER("fluxtap_records", NULL, "Records that workers put into blocks", RECORDS),
    WORKER("fluxtap_ring_full_records", NULL, "Records lost to a full ring", RING_FULL_RECORDS),
    WORKER("fluxtap_blocks", NULL, "Blocks sealed", BLOCKS),
    WORKER("fluxtap_block_bytes", "bytes", "Octets of blocks in the ring", BLOCK_BYTES),
    {"fluxtap_ring_used_bytes", GAUGE, "bytes", "Octets of the ring that control has not read", worker_figure, RING_USED},
    {"fluxtap_ring_size_bytes", GAUGE, "bytes", "Octets of the ring", worker_figure, RING_SIZE},
    {"fluxtap_worker_turns", COUNTER, NULL, "Turns of the worker's loop: with packets, without", worker_turns, 0},
    {"fluxtap_worker_clock_seconds", GAUGE, "seconds", "The worker's event clock, since 1970", worker_figure, CLOCK},
    {"fluxtap_stage_seconds", COUNTER, "seconds", "Time spent in a stage, in the turns that are timed", stages, 0},
    {"fluxtap_stage_packets", COUNTER, NULL, "Packets of the turns that are timed", worker_figure, STAGE_PACKETS},
    {"fluxtap_rules_generation", GAUGE, NULL, "Generation of the rules in use", worker_figure, GENERATION},
    TRAFFIC("fluxtap_queries", NULL, "Queries seen", QUERIES),
    TRAFFIC("fluxtap_responses", NULL, "Responses seen", RESPONSES),
    TRAFFIC("fluxtap_pairs", NULL, "Queries whose response was seen", PAIRS),
    TRAFFIC("fluxtap_unanswered_queries", NULL, "Queries without a response in time", UNANSWERED),
    TRAFFIC("fluxtap_unsolicited_responses", NULL, "Responses without a query", UNSOLICITED),
    TRAFFIC("fluxtap_query_bytes", "bytes", "Octets of DNS queries", QUERY_BYTES),
    TRAFFIC("fluxtap_response_bytes", "bytes", "Octets of DNS responses", RESPONSE_BYTES),
    MIX("fluxtap_queries_by_qtype", "Queries by type", QTYPE),
    MIX("fluxtap_queries_by_opcode", "Queries by opcode", OPCODE),
    MIX("fluxtap_queries_by_transport", "Queries by transport", TRANSPORT),
    MIX("fluxtap_responses_by_rcode", "Responses by extended response code", RCODE),
    MIX("fluxtap_transactions", "Queries by how they were answered", CLASS),
    {"fluxtap_response_time_seconds", HISTOGRAM, "seconds", "From query to response; the bounds are those of the probe's sketch, the sum is within 1 %", response_times, 0},
    {"fluxtap_interval_clients", GAUGE, NULL, "Distinct clients of the last interval", interval_figure, CLIENTS},
    {"fluxtap_interval_names", GAUGE, NULL, "Distinct names of the last interval", interval_figure, NAMES},
    {"fluxtap_flux_owners", GAUGE, NULL, "Names that became flux since midnight UTC, or since the start", flux_owners, 0},
    {"fluxtap_flux_onsets", COUNTER, NULL, "Names that became flux", flux_onsets, 0},
    {"fluxtap_sinkhole_queries", COUNTER, NULL, "Queries for a group of sinkholes", sinkhole, 0},
    {"fluxtap_sinkhole_queries_per_second", GAUGE, NULL, "The same, of the last interval; an estimate where sampled", sinkhole, 0},
    {"fluxtap_match_queries", COUNTER, NULL, "Queries that rules hit, by kind of rule", match_kinds, 0},
    {"fluxtap_spikes", COUNTER, NULL, "Records that say that something is asked for far more than its past lets expect", spikes, 0},
    {"fluxtap_floods", COUNTER, NULL, "Floods of random names that began", figure, FLOODS},
    {"fluxtap_unauthorised_changes", COUNTER, NULL, "Changes of watched records that neither baseline nor list allows", figure, HIJACKS},
    {"fluxtap_intervals", COUNTER, NULL, "Intervals that were closed and written", figure, INTERVALS},
    {"fluxtap_ledger_broken_intervals", COUNTER, NULL, "Intervals whose books do not close, which is a fault in fluxtap", figure, BROKEN},
    {"fluxtap_interval_end_seconds", GAUGE, "seconds", "End of the last interval that was closed, since 1970", figure, INTERVAL_END},
    {"fluxtap_held_packets", GAUGE, NULL, "Fragments that waited at the end of the last interval", figure, HELD_PACKETS},
    {"fluxtap_held_messages", GAUGE, NULL, "Queries that waited at the end of the last interval", figure, HELD_MESSAGES},
    {"fluxtap_sample_level", GAUGE, NULL, "Level of the sampling of tables: one in 2^level flows is kept", figure, SAMPLE_LEVEL},
    {"fluxtap_sample_ratio", GAUGE, NULL, "Share of flows that the tables keep", figure, SAMPLE_SHARE},
    {"fluxtap_export_records", COUNTER, NULL, "Records given to the export", figure, WRITTEN},
    {"fluxtap_export_lost_records", COUNTER, NULL, "Records that the export gave up", figure, LOST},
    {"fluxtap_export_failures", COUNTER, NULL, "Attempts to write that failed", figure, FAILURES},
    {"fluxtap_export_failing", GAUGE, NULL, "1: the last attempt to write failed", figure, FAILING},
    {"process_start_time_seconds", GAUGE, "seconds", "When the process started, since 1970", figure, START},
    {"process_resident_memory_bytes", GAUGE, "bytes", "Resident memory", figure, RESIDENT},
    {"process_cpu_seconds", COUNTER, "seconds", "CPU time of all threads", figure, CPU},
};
/* clang-format on */

static void put_family(const struct out *o, const struct metric *m, const struct glance *g)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "info"};
	/* The older format knows no info, and gives families their samples' name. */
	const char *suffix = o->open ? "" : suffix_of(m);
	const char *type = !o->open && m->type == INFO ? "gauge" : types[m->type];

	(void)fprintf(o->f, "# HELP %s%s %s.\n# TYPE %s%s %s\n", m->name, suffix, m->help, m->name,
		      suffix, type);
	if (o->open && m->unit != NULL)
		(void)fprintf(o->f, "# UNIT %s %s\n", m->name, m->unit);
	m->samples(o, m, g);
}

char *metrics_text(const struct glance *g, bool open, size_t *len)
{
	char *text = NULL;
	struct out o = {.f = open_memstream(&text, len), .open = open};

	if (o.f == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++)
		put_family(&o, &metrics[i], g);
	if (open)
		(void)fputs("# EOF\n", o.f);
	const int failed = ferror(o.f);
	if (fclose(o.f) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}

bool metrics_wants_open(const char *accept)
{
	/* Prometheus names it first where it can read it; q=0 is a no. */
	const char *at = accept != NULL ? strstr(accept, "application/openmetrics-text") : NULL;

	if (at == NULL)
		return false;
	const char *end = at + strcspn(at, ",");
	const char *q = strstr(at, ";q=");
	return q == NULL || q > end || strtod(q + 3, NULL) > 0;
}

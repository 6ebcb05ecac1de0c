/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../dataplane/worker.h"
#include "glance.h"

#include <math.h>

static void set_count(json_t *o, const char *key, uint64_t n)
{
	(void)json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *number(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

/* Three digits behind the point are enough for what is looked at. */
static json_t *rounded(double x)
{
	return isfinite(x) ? json_real(round(x * 1000) / 1000) : json_null();
}

static json_t *mix_json(const struct view_mix *m)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < m->n; i++)
		set_count(o, m->v[i].key, m->v[i].count);
	return o;
}

static json_t *drops_json(const uint64_t *total, unsigned cap, const struct ft_drop_text *text)
{
	json_t *o = json_object();

	for (unsigned i = 1; i < cap; i++)
		if (total[i] != 0)
			set_count(o, text[i].metric, total[i]);
	return o;
}

static void set_ledger(json_t *o, const uint64_t *total, uint64_t source_dropped)
{
	for (unsigned i = 0; i < FT_CTR_PLAIN_CAP; i++)
		if (i != FT_CTR_HELD && i != FT_CTR_HELD_PACKETS) /* levels, which do not add up */
			set_count(o, ft_counter_texts[i].name, total[i]);
	set_count(o, "source_dropped", source_dropped);
	(void)json_object_set_new(
	    o, "dropped", drops_json(total + FT_CTR_PKT_DROP, FT_PKT_DROP_CAP, ft_pkt_drop_texts));
	(void)json_object_set_new(
	    o, "msg_dropped",
	    drops_json(total + FT_CTR_MSG_DROP, FT_MSG_DROP_CAP, ft_msg_drop_texts));
}

static json_t *worker_json(const struct glance *g, unsigned i)
{
	const struct counts_worker *w = &g->counts.worker[i];
	json_t *o = json_object(), *stages = json_object();

	set_count(o, "worker", i);
	set_ledger(o, w->total, w->source_dropped);
	set_count(o, "ring_used", w->ring_used);
	set_count(o, "ring_bytes", w->ring_bytes);
	set_count(o, "turns", w->turns);
	set_count(o, "idle_turns", w->idle_turns);
	set_count(o, "generation", w->generation);
	set_count(o, "clock_us", w->clock_us);
	(void)json_object_set_new(o, "ended", json_boolean(w->ended));
	for (unsigned s = 0; s < STAGE_CAP; s++)
		(void)json_object_set_new(stages, worker_stage_texts[s],
					  rounded(glance_stage_ns(w, s, g->ticks_per_ns)));
	(void)json_object_set_new(o, "stage_ns", stages);
	return o;
}

static json_t *totals_json(const struct glance *g)
{
	uint64_t sum[FT_CTR_CAP];
	json_t *o = json_object();

	for (unsigned c = 0; c < FT_CTR_CAP; c++)
		sum[c] = counts_sum(&g->counts, c);
	set_ledger(o, sum, counts_source_dropped(&g->counts));
	return o;
}

static json_t *traffic_json(const struct view_traffic *all, bool interval)
{
	static const char *const count_keys[VIEW_TRAFFIC_CAP] = {
#define X(n, key) #key,
	    VIEW_TRAFFIC_COUNTS(X)
#undef X
	};
	static const char *const mix_keys[VIEW_MIX_KINDS] = {
#define X(n, key) #key,
	    VIEW_MIXES(X)
#undef X
	};
	json_t *list = json_object();

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		const struct view_traffic *t = &all[v];
		json_t *o = json_object();
		if (!t->seen) {
			json_decref(o);
			continue;
		}
		for (unsigned i = 0; i < VIEW_TRAFFIC_CAP; i++)
			set_count(o, count_keys[i], t->count[i]);
		for (unsigned i = 0; i < VIEW_MIX_KINDS; i++)
			(void)json_object_set_new(o, mix_keys[i], mix_json(&t->mix[i]));
		if (interval) {
			set_count(o, "clients", t->clients);
			set_count(o, "names", t->names);
		}
		(void)json_object_set_new(list, ft_vantage_texts[v], o);
	}
	return list;
}

static json_t *interval_json(const struct glance *g)
{
	const struct view_data *d = &g->data;
	const struct view_ledger *l = &d->ledger;
	json_t *o = json_object(), *ledger = json_object();

	if (d->intervals == 0) {
		json_decref(o);
		json_decref(ledger);
		return json_null();
	}
	for (unsigned i = 0; i < FT_CTR_PLAIN_CAP; i++)
		set_count(ledger, ft_counter_texts[i].name, l->plain[i]);
	set_count(ledger, "source_dropped", l->source_dropped);
	set_count(ledger, "merged", l->merged);
	(void)json_object_set_new(ledger, "dropped", mix_json(&l->dropped));
	(void)json_object_set_new(ledger, "msg_dropped", mix_json(&l->msg_dropped));
	(void)json_object_set_new(ledger, "closes", json_boolean(l->closes));
	set_count(o, "start", d->start_s);
	set_count(o, "end", d->end_s);
	set_count(o, "loss_ppm", l->loss_ppm);
	(void)json_object_set_new(o, "p", number(d->p));
	(void)json_object_set_new(o, "ledger", ledger);
	(void)json_object_set_new(o, "traffic", traffic_json(d->last, true));
	(void)json_object_set_new(o, "p50_us", rounded(view_rtt(d->last, 0.5)));
	(void)json_object_set_new(o, "p90_us", rounded(view_rtt(d->last, 0.9)));
	(void)json_object_set_new(o, "p99_us", rounded(view_rtt(d->last, 0.99)));
	return o;
}

static json_t *cell_json(const struct view_row *r, const struct view_column *c)
{
	const char *at = (const char *)r + c->off;

	switch (c->cell) {
	case CELL_TEXT: return json_string(at);
	case CELL_COUNT:
	case CELL_SECOND: return json_integer((json_int_t) * (const uint64_t *)(const void *)at);
	case CELL_VALUE: return rounded(*(const double *)(const void *)at);
	case CELL_END: break;
	}
	return json_null();
}

/* Titles and columns come along, so that every view shows the same ones. */
static json_t *table_json(const struct glance *g, enum view_table t)
{
	static const char *const cells[] = {"end", "text", "count", "second", "value"};
	const struct view_table_text *text = &view_tables[t];
	const struct view_list *l = &g->data.list[t];
	json_t *columns = json_array(), *rows = json_array();

	for (unsigned c = 0; c < VIEW_COLUMNS && text->column[c].cell != CELL_END; c++)
		(void)json_array_append_new(
		    columns, json_pack("{s:s, s:s, s:s}", "key", text->column[c].key, "title",
				       text->column[c].title, "kind", cells[text->column[c].cell]));
	for (uint32_t i = 0; i < l->n; i++) {
		json_t *row = json_array();
		for (unsigned c = 0; c < VIEW_COLUMNS && text->column[c].cell != CELL_END; c++) {
			json_t *cell = cell_json(&l->row[i], &text->column[c]);
			(void)json_array_append_new(row, cell != NULL ? cell : json_null());
		}
		(void)json_array_append_new(rows, row);
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "title", text->title, "empty", text->empty,
			 "columns", columns, "rows", rows);
}

static json_t *tables_json(const struct glance *g)
{
	json_t *o = json_object();

	for (unsigned t = 0; t < VIEW_TABLES; t++)
		(void)json_object_set_new(o, view_tables[t].key, table_json(g, t));
	return o;
}

static json_t *point_json(const struct view_point *p)
{
	json_t *o = json_object(), *class = json_object();

	set_count(o, "start", p->start_s);
	set_count(o, "end", p->end_s);
	set_count(o, "queries", p->queries);
	set_count(o, "responses", p->responses);
	set_count(o, "a", p->a);
	set_count(o, "aaaa", p->aaaa);
	set_count(o, "packets", p->packets);
	set_count(o, "dropped", p->dropped);
	set_count(o, "msg_dropped", p->msg_dropped);
	set_count(o, "source_dropped", p->source_dropped);
	set_count(o, "ring_full", p->ring_full);
	set_count(o, "export_lost", p->export_lost);
	for (unsigned c = 0; c < FT_CLASS_CAP; c++)
		if (p->class[c] != 0)
			set_count(class, ft_class_texts[c], p->class[c]);
	(void)json_object_set_new(o, "class", class);
	(void)json_object_set_new(o, "p50_us", rounded(p->rtt_us[0]));
	(void)json_object_set_new(o, "p90_us", rounded(p->rtt_us[1]));
	(void)json_object_set_new(o, "p99_us", rounded(p->rtt_us[2]));
	(void)json_object_set_new(o, "p", number(p->p));
	return o;
}

static void set_events(json_t *o, const struct view_data *d)
{
	json_t *owners = json_object(), *onsets = json_object();

	for (unsigned k = 0; k < VIEW_FLUX_KINDS; k++) {
		set_count(owners, view_flux_kinds[k], d->flux_owners[k]);
		set_count(onsets, view_flux_kinds[k], d->event[VIEW_ONSET_CNAME + k]);
	}
	(void)json_object_set_new(o, "flux_owners", owners);
	(void)json_object_set_new(o, "flux_onsets", onsets);
	set_count(o, "spikes",
		  d->event[VIEW_SPIKE_NXDOMAIN] + d->event[VIEW_DRIFT_NXDOMAIN] +
		      d->event[VIEW_SPIKE_DNSBL] + d->event[VIEW_DRIFT_DNSBL]);
	set_count(o, "floods", d->event[VIEW_FLOOD]);
	set_count(o, "unauthorised_changes", d->event[VIEW_HIJACK]);
	set_count(o, "nxdomain_error", d->nx_error);
	set_count(o, "broken_intervals", d->broken_intervals);
}

json_t *glance_json(const struct glance *g, bool history)
{
	const struct counts *c = &g->counts;
	json_t *o = json_object(), *workers = json_array();

	(void)json_object_set_new(o, "ok", json_true());
	(void)json_object_set_new(o, "probe", json_string(c->probe));
	(void)json_object_set_new(o, "version", json_string(g->version));
	(void)json_object_set_new(o, "source", json_string(g->source));
	(void)json_object_set_new(o, "live", json_boolean(c->live));
	(void)json_object_set_new(o, "alive", json_boolean(g->alive));
	(void)json_object_set_new(o, "ready", json_boolean(g->ready));
	(void)json_object_set_new(o, "why", json_string(g->why));
	set_count(o, "pid", c->pid);
	set_count(o, "started_us", c->started_us);
	set_count(o, "now_us", g->now_us);
	set_count(o, "mono_us", c->mono_us);
	set_count(o, "interval_s", g->interval_s);
	set_count(o, "intervals", g->data.intervals);
	set_count(o, "sample_level", c->sample_level);
	set_count(o, "resident_bytes", g->resident_bytes);
	(void)json_object_set_new(o, "cpu_s", rounded(g->cpu_s));
	set_count(o, "records_written", c->records_written);
	set_count(o, "records_lost", c->records_lost);
	set_count(o, "export_failures", c->export_failures);
	(void)json_object_set_new(o, "export_failing", json_boolean(c->export_failing));
	for (unsigned i = 0; i < c->workers; i++)
		(void)json_array_append_new(workers, worker_json(g, i));
	(void)json_object_set_new(o, "workers", workers);
	(void)json_object_set_new(o, "totals", totals_json(g));
	(void)json_object_set_new(o, "traffic", traffic_json(g->data.total, false));
	(void)json_object_set_new(o, "interval", interval_json(g));
	(void)json_object_set_new(o, "tables", tables_json(g));
	set_events(o, &g->data);
	if (history) {
		json_t *points = json_array();
		for (uint32_t i = 0; i < g->data.points; i++)
			(void)json_array_append_new(points,
						    point_json(view_point_get(&g->data, i)));
		(void)json_object_set_new(o, "points", points);
	}
	return o;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "feed.h"

#include "text.h"

#include <math.h>
#include <string.h>

static const char *const mix_keys[VIEW_MIX_KINDS] = {
#define X(n, key) [VIEW_BY_##n] = #key,
    VIEW_MIXES(X)
#undef X
};
static const char *const count_keys[VIEW_TRAFFIC_CAP] = {
#define X(n, key) [VIEW_##n] = #key,
    VIEW_TRAFFIC_COUNTS(X)
#undef X
};

static uint64_t count_of(const json_t *record, const char *key)
{
	const json_int_t n = json_integer_value(json_object_get(record, key));

	return n > 0 ? (uint64_t)n : 0;
}

static double number_of(const json_t *record, const char *key)
{
	const json_t *n = json_object_get(record, key);

	return json_is_number(n) ? json_number_value(n) : NAN;
}

static const char *text_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text != NULL ? text : "";
}

static unsigned vantage_of(const json_t *record)
{
	const char *text = text_of(record, "vantage");
	unsigned v = 0;

	while (v < FT_VANTAGE_CAP && strcmp(text, ft_vantage_texts[v]) != 0)
		v++;
	return v;
}

static void add_object(struct view_mix *m, const json_t *object)
{
	const char *key;
	json_t *n;

	json_object_foreach((json_t *)(uintptr_t)object, key, n)
	{
		if (json_integer_value(n) > 0)
			view_mix_add(m, key, (uint64_t)json_integer_value(n));
	}
}

static void put_traffic(struct feed *f, const json_t *record)
{
	const unsigned v = vantage_of(record);
	size_t i;
	json_t *bin;

	if (v == FT_VANTAGE_CAP)
		return;
	struct view_traffic *t = &f->traffic[v];
	t->seen = true;
	for (i = 0; i < VIEW_TRAFFIC_CAP; i++)
		t->count[i] += count_of(record, count_keys[i]);
	for (i = 0; i < VIEW_MIX_KINDS; i++)
		add_object(&t->mix[i], json_object_get(record, mix_keys[i]));
	t->clients = count_of(record, "clients");
	t->names = count_of(record, "names");
	json_array_foreach(json_object_get(json_object_get(record, "rtt_us"), "bins"), i, bin)
	{
		const json_int_t at = json_integer_value(json_array_get(bin, 0));
		const json_int_t n = json_integer_value(json_array_get(bin, 1));
		if (at >= 0 && at < DD_BINS && n > 0)
			t->rtt[at] += (uint64_t)n;
	}
}

static uint64_t sum_of(const struct view_mix *m)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < m->n; i++)
		sum += m->v[i].count;
	return sum;
}

/* The equations again, from what is exported. */
static bool closes(const struct feed *f, const struct view_ledger *l)
{
	const uint64_t *c = l->plain;
	const uint64_t packets = sum_of(&l->dropped) + c[FT_CTR_CARRIED] + c[FT_CTR_HELD_PACKETS];
	const uint64_t messages = sum_of(&l->msg_dropped) + c[FT_CTR_COUNTED] + c[FT_CTR_HELD];

	return c[FT_CTR_RECORDS] == l->merged + c[FT_CTR_RING_FULL_RECORDS] &&
	       (!f->held_known || (packets == c[FT_CTR_RX_PACKETS] + f->held_packets &&
				   messages == c[FT_CTR_MESSAGES] + f->held));
}

static void put_ledger(struct feed *f, const json_t *record)
{
	struct view_ledger *l = &f->ledger;

	if (json_object_get(record, "gap") != NULL || strcmp(text_of(record, "worker"), "all") != 0)
		return;
	memset(l, 0, sizeof(*l));
	for (unsigned i = 0; i < FT_CTR_PLAIN_CAP; i++)
		l->plain[i] = count_of(record, ft_counter_texts[i].name);
	l->source_dropped = count_of(record, "source_dropped");
	l->merged = count_of(record, "merged");
	l->loss_ppm = (uint32_t)count_of(record, "loss_ppm");
	add_object(&l->dropped, json_object_get(record, "dropped"));
	add_object(&l->msg_dropped, json_object_get(record, "msg_dropped"));
	l->closes = closes(f, l);
	f->held_packets = l->plain[FT_CTR_HELD_PACKETS];
	f->held = l->plain[FT_CTR_HELD];
	f->held_known = true;
}

static bool ranks_before(const struct view_row *a, const struct view_row *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	const int order = strcmp(a->name, b->name);
	return order != 0 ? order < 0 : strcmp(a->more, b->more) < 0;
}

void feed_rank(struct view_list *l, const struct view_row *row)
{
	if (l->n == VIEW_ROWS && !ranks_before(row, &l->row[VIEW_ROWS - 1]))
		return;
	uint32_t at = l->n < VIEW_ROWS ? l->n++ : VIEW_ROWS - 1;
	for (; at > 0 && ranks_before(row, &l->row[at - 1]); at--)
		l->row[at] = l->row[at - 1];
	l->row[at] = *row;
}

void feed_latest(struct view_list *l, const struct view_row *row)
{
	uint32_t at = 0;

	while (at < l->n && (strcmp(l->row[at].name, row->name) != 0 ||
			     strcmp(l->row[at].vantage, row->vantage) != 0 ||
			     strcmp(l->row[at].kind, row->kind) != 0))
		at++;
	if (at == l->n)
		at = l->n < VIEW_ROWS ? l->n++ : VIEW_ROWS - 1;
	memmove(&l->row[1], &l->row[0], at * sizeof(*row));
	l->row[0] = *row;
}

/* What most tables have. */
static struct view_row row_of(const json_t *record, const char *name_key, const char *count_key)
{
	struct view_row r = {.value = {NAN, NAN, NAN, NAN}};
	const char *name = json_string_value(json_object_get(record, name_key));

	text_put(r.name, sizeof(r.name), name != NULL ? name : "(not known)");
	text_put(r.vantage, sizeof(r.vantage), text_of(record, "vantage"));
	text_put(r.kind, sizeof(r.kind), text_of(record, "kind"));
	text_put(r.class, sizeof(r.class), text_of(record, "class"));
	text_put(r.state, sizeof(r.state), text_of(record, "state"));
	r.count = count_of(record, count_key);
	r.at_s = count_of(record, "end");
	return r;
}

static void put_flux(struct view_data *d, const json_t *record)
{
	static const char *const counts[VIEW_FLUX_KINDS] = {"trans", "n_a", "n_changes"};
	unsigned kind = 0;

	while (kind < VIEW_FLUX_KINDS && strcmp(text_of(record, "kind"), view_flux_kinds[kind]))
		kind++;
	if (kind == VIEW_FLUX_KINDS || json_object_get(record, "owners") != NULL)
		return; /* of all together */
	if (json_object_get(record, "window") != NULL)
		return; /* not of a day */
	struct view_row r = row_of(record, "owner", counts[kind]);
	const uint64_t at_us = count_of(record, "at_us");
	r.value[0] = number_of(record, kind == 0 ? "vtrans" : "f_holz");
	r.value[1] = number_of(record, "views");
	r.value[2] = number_of(record, "targets");
	if (strcmp(r.state, "onset") == 0) {
		const uint64_t day = count_of(record, "start") / 86400;
		if (day > d->flux_day) {
			memset(d->flux_owners, 0, sizeof(d->flux_owners));
			d->flux_day = day;
		}
		d->flux_owners[kind] += day == d->flux_day;
		d->event[VIEW_ONSET_CNAME + kind]++;
		if (at_us != 0)
			r.at_s = at_us / 1000000;
	} else if (r.state[0] == '\0') {
		text_put(r.state, sizeof(r.state), "day");
	}
	feed_latest(&d->list[VIEW_FLUX], &r);
}

static void put_sinkhole(struct feed *f, const json_t *record)
{
	struct view_row r = row_of(record, "name", "queries");

	text_put(r.more, sizeof(r.more), text_of(record, "group"));
	r.value[0] = number_of(record, "qps");
	r.value[1] = number_of(record, "names");
	r.value[2] = number_of(record, "clients");
	r.value[3] = number_of(record, "ratio");
	feed_rank(&f->list[VIEW_SINKHOLE], &r);
	if (strcmp(r.name, "ALL") != 0 || f->groups == VIEW_GROUPS)
		return;
	struct view_group *g = &f->group[f->groups++];
	memcpy(g->name, r.more, sizeof(g->name));
	memcpy(g->vantage, r.vantage, sizeof(g->vantage));
	g->queries = r.count;
	g->qps = r.value[0];
}

static void put_spike(struct view_data *d, const json_t *record, const char *name_key,
		      const char *kind)
{
	struct view_row r =
	    row_of(record, name_key, kind[0] == 'n' /* nxdomain */ ? "count" : "queries");
	const bool drift = strcmp(r.state, "drift") == 0;

	text_put(r.kind, sizeof(r.kind), kind);
	text_put(r.more, sizeof(r.more), text_of(record, "zone"));
	r.value[0] = number_of(record, strcmp(kind, "flood") == 0 ? "names_before" : "expected");
	feed_latest(&d->list[VIEW_SPIKE], &r);
	if (strcmp(kind, "flood") == 0)
		d->event[VIEW_FLOOD] += strcmp(r.state, "onset") == 0;
	else
		d->event[(kind[0] == 'n' ? VIEW_SPIKE_NXDOMAIN : VIEW_SPIKE_DNSBL) + drift]++;
}

static void put_nxdomain(struct feed *f, struct view_data *d, const json_t *record)
{
	const char *name = json_string_value(json_object_get(record, "nx_cut"));
	const unsigned v = vantage_of(record);

	if (json_object_get(record, "state") != NULL) {
		put_spike(d, record, "nx_cut", "nxdomain");
		return;
	}
	if (name == NULL)
		name = json_string_value(json_object_get(record, "qname"));
	if (name != NULL && v < FT_VANTAGE_CAP)
		heavy_add(f->heavy, (uint8_t)v, name, count_of(record, "count"));
}

/* The same that control logs. */
static void put_integrity(struct view_data *d, const json_t *record)
{
	d->event[VIEW_HIJACK] += strcmp(text_of(record, "state"), "CHANGED") == 0 &&
				 strcmp(text_of(record, "auth"), "UNAUTHORISED") == 0;
}

static void put_match(struct feed *f, struct view_data *d, const json_t *record)
{
	const char *kind = text_of(record, "kind");
	const bool dnsbl = strcmp(kind, "dnsbl") == 0;

	if (strcmp(kind, "flood") == 0) {
		put_spike(d, record, "domain", "flood");
	} else if (json_object_get(record, "state") != NULL) {
		const bool whole = json_is_null(json_object_get(record, "subject"));
		put_spike(d, record, whole ? "zone" : "subject", "dnsbl");
	} else if (strcmp(kind, "ALL") != 0) {
		struct view_row r = row_of(record, dnsbl ? "subject" : "domain", "queries");
		text_put(r.more, sizeof(r.more), text_of(record, "rule"));
		r.value[0] = number_of(record, "names");
		r.value[1] = number_of(record, "clients");
		feed_rank(&f->list[VIEW_MATCH], &r);
		view_mix_add(&d->match_kinds, kind, r.count);
	}
}

static void put_domain(struct feed *f, const json_t *record)
{
	struct view_row r = row_of(record, "domain", "queries");
	const double p = number_of(record, "p");

	r.value[0] = (double)count_of(json_object_get(record, "by_class"),
				      ft_class_texts[FT_CLASS_NXDOMAIN]);
	r.value[1] = number_of(record, "names");
	r.value[2] = number_of(record, "clients");
	if (p < f->p)
		f->p = p;
	feed_rank(&f->list[VIEW_DOMAIN], &r);
}

/* Kind `top` of the interval, over all types. */
static void put_client(struct feed *f, const json_t *record)
{
	if (strcmp(text_of(record, "kind"), "top") != 0 ||
	    strcmp(text_of(record, "span"), "interval") != 0 ||
	    strcmp(text_of(record, "qtype"), "ALL") != 0)
		return;
	const struct view_row r = row_of(record, "client", "queries");
	feed_rank(&f->list[VIEW_CLIENT], &r);
}

void feed_put(struct feed *f, struct view_data *d, const char *set, const json_t *record)
{
	if (strcmp(set, "nxdomain") == 0) /* the one with many records */
		put_nxdomain(f, d, record);
	else if (strcmp(set, "domain") == 0)
		put_domain(f, record);
	else if (strcmp(set, "traffic") == 0)
		put_traffic(f, record);
	else if (strcmp(set, "ledger") == 0)
		put_ledger(f, record);
	else if (strcmp(set, "flux") == 0)
		put_flux(d, record);
	else if (strcmp(set, "sinkhole") == 0)
		put_sinkhole(f, record);
	else if (strcmp(set, "integrity") == 0)
		put_integrity(d, record);
	else if (strcmp(set, "match") == 0)
		put_match(f, d, record);
	else if (strcmp(set, "client") == 0)
		put_client(f, record);
}

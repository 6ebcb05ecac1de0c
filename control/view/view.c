/* SPDX-License-Identifier: BSD-3-Clause */
#include "view.h"

#include "feed.h"
#include "text.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct view_row, field)
#define NAME(key, title)                                                                           \
	{                                                                                          \
		key, title, CELL_TEXT, AT(name)                                                    \
	}
#define TEXT(key, title, field)                                                                    \
	{                                                                                          \
		key, title, CELL_TEXT, AT(field)                                                   \
	}
#define COUNT(key, title)                                                                          \
	{                                                                                          \
		key, title, CELL_COUNT, AT(count)                                                  \
	}
#define VALUE(key, title, i)                                                                       \
	{                                                                                          \
		key, title, CELL_VALUE, AT(value) + (i) * sizeof(double)                           \
	}
#define VANTAGE TEXT("vantage", "seen at", vantage)
#define WHEN                                                                                       \
	{                                                                                          \
		"at_s", "when", CELL_SECOND, AT(at_s)                                              \
	}

const struct view_table_text view_tables[VIEW_TABLES] = {
    [VIEW_FLUX] = {"flux",
		   "Who changes too often",
		   "no name has crossed",
		   {WHEN, NAME("owner", "name"), TEXT("kind", "kind", kind),
		    TEXT("class", "class", class), TEXT("state", "state", state),
		    COUNT("changes", "changes"), VALUE("score", "score", 0),
		    VALUE("views", "views", 1), VANTAGE}},
    [VIEW_SINKHOLE] = {"sinkhole",
		       "Sinkholes",
		       "none was asked for, or no list is given",
		       {TEXT("group", "group", more), NAME("name", "name"),
			COUNT("queries", "queries"), VALUE("qps", "queries/s", 0),
			VALUE("names", "names", 1), VALUE("clients", "clients", 2),
			VALUE("ratio", "before/after", 3), TEXT("class", "class", class), VANTAGE}},
    [VIEW_NXDOMAIN] = {"nxdomain",
		       "Names that do not exist",
		       "no NXDOMAIN in the error channels (those of S2R need --channels all)",
		       {NAME("name", "topmost missing name"), COUNT("count", "answers"),
			VALUE("keys", "records", 0), VANTAGE}},
    [VIEW_DOMAIN] = {"domain",
		     "Domains asked for most",
		     "none",
		     {NAME("domain", "domain"), COUNT("queries", "queries"),
		      VALUE("nxdomain", "NXDOMAIN", 0), VALUE("names", "names", 1),
		      VALUE("clients", "clients", 2), VANTAGE}},
    [VIEW_CLIENT] = {"client",
		     "Clients that ask most",
		     "none",
		     {NAME("client", "client"), COUNT("queries", "queries"), VANTAGE}},
    [VIEW_MATCH] = {"match",
		    "Rule hits",
		    "no rule has hit",
		    {TEXT("rule", "rule", more), NAME("name", "domain or subject"),
		     TEXT("kind", "kind", kind), COUNT("queries", "queries"),
		     VALUE("names", "names", 0), VALUE("clients", "clients", 1), VANTAGE}},
    [VIEW_SPIKE] = {"spike",
		    "Spikes and floods",
		    "nothing unusual",
		    {WHEN, NAME("name", "name"), TEXT("kind", "set", kind),
		     TEXT("state", "state", state), COUNT("count", "count"),
		     VALUE("expected", "expected", 0), TEXT("zone", "list", more), VANTAGE}},
};

const char *const view_flux_kinds[VIEW_FLUX_KINDS] = {"cname", "ip", "ns"};

struct view {
	pthread_mutex_t lock;
	struct feed feed;
	struct view_data data;
};

static void feed_clear(struct feed *f)
{
	memset(f->traffic, 0, sizeof(f->traffic));
	memset(&f->ledger, 0, sizeof(f->ledger));
	for (unsigned i = 0; i < VIEW_TABLES; i++)
		f->list[i].n = 0;
	f->groups = 0;
	f->p = 1;
	heavy_clear(f->heavy);
}

struct view *view_create(void)
{
	struct view *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->feed.heavy = heavy_create();
	if (v->feed.heavy == NULL || pthread_mutex_init(&v->lock, NULL) != 0) {
		heavy_destroy(v->feed.heavy);
		free(v);
		return NULL;
	}
	v->data.p = 1;
	feed_clear(&v->feed);
	return v;
}

void view_destroy(struct view *v)
{
	if (v == NULL)
		return;
	(void)pthread_mutex_destroy(&v->lock);
	heavy_destroy(v->feed.heavy);
	free(v);
}

void view_put(struct view *v, const char *set, const json_t *record)
{
	if (v == NULL)
		return;
	(void)pthread_mutex_lock(&v->lock);
	v->data.records++;
	feed_put(&v->feed, &v->data, set, record);
	(void)pthread_mutex_unlock(&v->lock);
}

/* TYPE4711 and the like: there are as many as a sender wants. */
static bool is_made_up(const char *key)
{
	static const char *const prefixes[] = {"TYPE", "RCODE", "OPCODE"};

	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		const size_t len = strlen(prefixes[i]);
		if (strncmp(key, prefixes[i], len) == 0 && key[len] >= '0' && key[len] <= '9')
			return true;
	}
	return false;
}

void view_mix_add(struct view_mix *m, const char *key, uint64_t n)
{
	uint32_t i = 0;

	if (is_made_up(key) || strlen(key) >= sizeof(m->v[0].key))
		key = "other";
	while (i < m->n && strcmp(m->v[i].key, key) != 0)
		i++;
	/* The last place is for "other". */
	if (i == m->n && m->n + 1 >= VIEW_MIX_CAP && strcmp(key, "other") != 0) {
		view_mix_add(m, "other", n);
		return;
	}
	if (i == m->n) {
		text_put(m->v[i].key, sizeof(m->v[i].key), key);
		m->v[i].count = 0;
		m->n++;
	}
	m->v[i].count += n;
}

uint64_t view_mix_get(const struct view_mix *m, const char *key)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].key, key) == 0)
			return m->v[i].count;
	return 0;
}

double view_rtt(const struct view_traffic *all, double q)
{
	uint64_t bins[DD_BINS] = {0}, count = 0;

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		for (unsigned i = 0; i < DD_BINS; i++)
			bins[i] += all[v].rtt[i];
	for (unsigned i = 0; i < DD_BINS; i++)
		count += bins[i];
	return count != 0 ? dd_quantile(bins, count, q) : NAN;
}

static void add_traffic(struct view_traffic *to, const struct view_traffic *from)
{
	to->seen = true;
	for (unsigned i = 0; i < VIEW_TRAFFIC_CAP; i++)
		to->count[i] += from->count[i];
	for (unsigned k = 0; k < VIEW_MIX_KINDS; k++)
		for (uint32_t i = 0; i < from->mix[k].n; i++)
			view_mix_add(&to->mix[k], from->mix[k].v[i].key, from->mix[k].v[i].count);
	for (unsigned i = 0; i < DD_BINS; i++)
		to->rtt[i] += from->rtt[i];
	to->clients = from->clients;
	to->names = from->names;
}

static uint64_t sum_of(const struct view_mix *m)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < m->n; i++)
		sum += m->v[i].count;
	return sum;
}

static void put_point(struct view_data *d, uint64_t export_lost)
{
	const uint32_t at = (d->first_point + d->points) % VIEW_POINTS;
	struct view_point *p = &d->point[at];

	if (d->points < VIEW_POINTS)
		d->points++;
	else
		d->first_point = (d->first_point + 1) % VIEW_POINTS;
	*p = (struct view_point){
	    .start_s = d->start_s,
	    .end_s = d->end_s,
	    .packets = d->ledger.plain[FT_CTR_RX_PACKETS],
	    .dropped = sum_of(&d->ledger.dropped),
	    .msg_dropped = sum_of(&d->ledger.msg_dropped),
	    .source_dropped = d->ledger.source_dropped,
	    .ring_full = d->ledger.plain[FT_CTR_RING_FULL_RECORDS],
	    .loss_ppm = d->ledger.loss_ppm,
	    .export_lost = export_lost,
	    .p = d->p,
	    .rtt_us = {view_rtt(d->last, 0.5), view_rtt(d->last, 0.9), view_rtt(d->last, 0.99)},
	    .rtt_max_us = view_rtt(d->last, 1),
	};
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		const struct view_traffic *t = &d->last[v];
		p->queries += t->count[VIEW_QUERIES];
		p->responses += t->count[VIEW_RESPONSES];
		p->a += view_mix_get(&t->mix[VIEW_BY_QTYPE], "A");
		p->aaaa += view_mix_get(&t->mix[VIEW_BY_QTYPE], "AAAA");
		for (unsigned c = 0; c < FT_CLASS_CAP; c++)
			p->class[c] += view_mix_get(&t->mix[VIEW_BY_CLASS], ft_class_texts[c]);
	}
}

static void close_nxdomain(struct view_data *d, const struct heavy *h)
{
	const struct heavy_entry *top[VIEW_ROWS];
	struct view_list *l = &d->list[VIEW_NXDOMAIN];

	l->n = (uint32_t)heavy_top(h, top, VIEW_ROWS);
	d->nx_error = heavy_error(h);
	for (uint32_t i = 0; i < l->n; i++) {
		struct view_row *r = &l->row[i];
		*r = (struct view_row){.count = top[i]->count,
				       .value = {(double)top[i]->rows, NAN, NAN, NAN}};
		text_put(r->name, sizeof(r->name), top[i]->name);
		text_put(r->vantage, sizeof(r->vantage), ft_vantage_texts[top[i]->which]);
	}
}

/* Groups that were not asked for have a rate of zero, and keep their sum. */
static void close_groups(struct view_data *d, const struct feed *f)
{
	for (uint32_t i = 0; i < d->groups; i++)
		d->group[i].qps = 0;
	for (uint32_t i = 0; i < f->groups; i++) {
		const struct view_group *from = &f->group[i];
		uint32_t at = 0;
		while (at < d->groups && (strcmp(d->group[at].name, from->name) != 0 ||
					  strcmp(d->group[at].vantage, from->vantage) != 0))
			at++;
		if (at == VIEW_GROUPS)
			continue;
		if (at == d->groups) {
			d->group[d->groups++] = *from;
			continue;
		}
		d->group[at].queries += from->queries;
		d->group[at].qps = from->qps;
	}
}

void view_close(struct view *v, uint64_t start_s, uint64_t end_s, uint64_t export_lost)
{
	static const enum view_table of_interval[] = {VIEW_SINKHOLE, VIEW_DOMAIN, VIEW_CLIENT,
						      VIEW_MATCH};

	if (v == NULL)
		return;
	(void)pthread_mutex_lock(&v->lock);
	struct view_data *d = &v->data;
	struct feed *f = &v->feed;
	d->intervals++;
	d->start_s = start_s;
	d->end_s = end_s;
	d->p = f->p;
	d->ledger = f->ledger;
	d->broken_intervals += !f->ledger.closes;
	memcpy(d->last, f->traffic, sizeof(d->last));
	for (unsigned i = 0; i < FT_VANTAGE_CAP; i++) {
		if (f->traffic[i].seen)
			add_traffic(&d->total[i], &f->traffic[i]);
	}
	for (unsigned i = 0; i < sizeof(of_interval) / sizeof(*of_interval); i++)
		d->list[of_interval[i]] = f->list[of_interval[i]];
	close_nxdomain(d, f->heavy);
	close_groups(d, f);
	put_point(d, export_lost);
	feed_clear(f);
	(void)pthread_mutex_unlock(&v->lock);
}

void view_copy(struct view *v, struct view_data *out)
{
	(void)pthread_mutex_lock(&v->lock);
	memcpy(out, &v->data, sizeof(*out));
	(void)pthread_mutex_unlock(&v->lock);
}

const struct view_point *view_point_get(const struct view_data *d, uint32_t i)
{
	return &d->point[(d->first_point + i) % VIEW_POINTS];
}

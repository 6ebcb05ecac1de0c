/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `sinkhole`: what is asked about domains that groups of sinkholes follow or answer,
 * when that changed, and by how much (DOMAIN.md section 7).
 *
 * Followed names come counted from the workers (FT_REC_SINK). Domains that answers give
 * away are looked up in the merged tables, and so is what they were before: while a list
 * has addresses, servers or aliases, the pasts of all registered domains are kept. */
#include "../../dataplane/mini.h"
#include "../../dataplane/name.h"
#include "../../dataplane/tables.h"
#include "../rules.h"
#include "sink_stat.h"
#include "sinkhole.h"
#include "tables.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SUMS_CAP 65536u     /* of an interval */
#define NAMES_EXACT 2048u   /* of a domain and interval */
#define GROUP_EXACT 131072u /* names, and clients, of a group and interval */

/* --- rows --- */

static void sum_free(struct sink_sum *s)
{
	hashes_fini(&s->names);
	free(s->clients);
	free(s->text);
	free(s);
}

static uint64_t queries_of(const uint64_t *by_class, size_t parts)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < parts * FT_CLASS_CAP; i++)
		sum += by_class[i];
	return sum;
}

static void drop(struct keep *k, const void *item)
{
	struct sink_row *r = (struct sink_row *)k;
	struct sink_sum *s = ((const struct sink_entry *)item)->sum;

	r->left_out += queries_of(s->by_class, s->parts);
	sum_free(s);
}

static void row_free(struct stat_row **rows)
{
	struct sink_row *r = (struct sink_row *)*rows;

	for (size_t i = 0; i < r->keep.n; i++)
		sum_free(((const struct sink_entry *)keep_at(&r->keep, i))->sum);
	for (unsigned b = 0; b < SINK_GROUP_BUCKETS; b++) {
		while (r->group[b] != NULL) {
			struct sink_group *g = r->group[b];
			r->group[b] = g->next;
			hashes_fini(&g->names);
			hashes_fini(&g->clients);
			free(g);
		}
	}
	keep_free(rows_pop(rows));
}

static void *sinkhole_create(const struct stat_run *run)
{
	struct sinkhole *s = calloc(1, sizeof(*s));
	const uint32_t hour_s = run->sinkhole_hour_s != 0 ? run->sinkhole_hour_s : 3600;

	if (s == NULL)
		return NULL;
	s->run = run;
	if (sink_table_init(&s->table, run->sinkhole_domains != 0 ? run->sinkhole_domains : 16384,
			    run->sinkhole_history) != 0) {
		free(s);
		return NULL;
	}
	sink_clock_init(&s->table.clock, run->interval_s, hour_s);
	s->part_us = sink_part_us(run->interval_s, hour_s);
	s->parts = (unsigned)(run->interval_s * 1000000ull / s->part_us);
	s->set = (struct keep_settings){
	    .item_bytes = sizeof(struct sink_entry),
	    .items_cap = SUMS_CAP,
	    .row_bytes = sizeof(struct sink_row),
	    .drop = drop,
	};
	return s;
}

static void sinkhole_destroy(void *stat)
{
	struct sinkhole *s = stat;

	if (s == NULL)
		return;
	while (s->rows != NULL)
		row_free(&s->rows);
	sink_table_fini(&s->table);
	free(s);
}

/* --- what workers emit --- */

static struct sink_group *group_get(struct sink_row *r, uint32_t rule, uint8_t vantage)
{
	struct sink_group **at = &r->group[(rule * 4 + vantage) % SINK_GROUP_BUCKETS];

	while (*at != NULL && ((*at)->rule != rule || (*at)->vantage != vantage))
		at = &(*at)->next;
	if (*at != NULL)
		return *at;
	*at = calloc(1, sizeof(**at));
	if (*at == NULL)
		return NULL;
	(*at)->rule = rule;
	(*at)->vantage = vantage;
	(*at)->names.cap = (*at)->clients.cap = GROUP_EXACT;
	(*at)->clients.counted = true;
	return *at;
}

/* 0 and *out; NULL where it is left out. */
static int sum_get(const struct sinkhole *st, struct sink_row *r, const struct ft_sink_rec *x,
		   struct sink_sum **out)
{
	const uint64_t key =
	    hash_mix(x->domain + ((uint64_t)x->rule << 8 | x->vantage) * 0x9e3779b97f4a7c15ull);
	bool fresh, left_out;
	struct sink_entry *e = keep_get(&r->keep, key, x->domain, &fresh, &left_out);

	*out = NULL;
	if (e == NULL)
		return left_out ? 0 : -ENOMEM;
	if (fresh) {
		e->sum = calloc(1, sizeof(*e->sum) + st->parts * FT_CLASS_CAP * sizeof(uint64_t));
		if (e->sum == NULL)
			return -ENOMEM;
		e->sum->parts = (uint16_t)st->parts;
		e->sum->rule = x->rule;
		e->sum->vantage = x->vantage;
		e->sum->domain = x->domain;
		e->sum->names.cap = NAMES_EXACT;
	}
	*out = e->sum;
	return 0;
}

static int add_text(struct sink_sum *s, const struct ft_sink_rec *x)
{
	s->signals |= x->signals;
	if (s->text != NULL)
		return 0;
	s->text = malloc(x->data_bytes);
	if (s->text == NULL)
		return -ENOMEM;
	memcpy(s->text, x->data, x->data_bytes);
	s->text_bytes = (uint32_t)x->data_bytes;
	return 0;
}

static int add_counts(const struct sinkhole *st, struct sink_sum *s, const struct ft_sink_rec *x)
{
	if (x->minute >= st->parts)
		return -EBADMSG;
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		s->by_class[x->minute * FT_CLASS_CAP + i] += x->by_class[i];
	s->counted = true;
	s->bytes += x->bytes;
	s->neg_ttl = x->neg_ttl > s->neg_ttl ? x->neg_ttl : s->neg_ttl;
	s->ans_ttl = x->ans_ttl > s->ans_ttl ? x->ans_ttl : s->ans_ttl;
	return 0;
}

static int add_clients(struct sink_sum *s, const struct ft_sink_rec *x)
{
	if (s->clients == NULL)
		s->clients = calloc(1, sizeof(*s->clients));
	if (s->clients == NULL)
		return -ENOMEM;
	return few_merge(s->clients, x->data, x->data_bytes) ? 0 : -EBADMSG;
}

static int add(struct sinkhole *st, struct sink_row *r, const struct ft_sink_rec *x)
{
	struct sink_group *g;
	struct sink_sum *s = NULL;

	if (x->part == FT_SINK_NAME || x->part == FT_SINK_CLIENT) {
		g = group_get(r, x->rule, x->vantage);
		if (g == NULL)
			return -ENOMEM;
		const int result = x->part == FT_SINK_NAME
				       ? hashes_add(&g->names, x->hash, 1)
				       : hashes_add(&g->clients, x->hash, x->queries);
		if (result != 0 || x->part == FT_SINK_CLIENT)
			return result;
	}
	const int result = sum_get(st, r, x, &s);
	if (result != 0)
		return result;
	switch ((enum ft_sink_part)x->part) {
	case FT_SINK_COUNTS:
		if (s != NULL)
			return add_counts(st, s, x);
		r->left_out += queries_of(x->by_class, 1);
		return 0;
	case FT_SINK_CLIENTS: return s != NULL ? add_clients(s, x) : 0;
	case FT_SINK_NAME: return s != NULL ? hashes_add(&s->names, x->hash, 1) : 0;
	case FT_SINK_TEXT: return s != NULL ? add_text(s, x) : 0;
	case FT_SINK_CLIENT:
	case FT_SINK_PART_CAP: break;
	}
	return -EBADMSG;
}

static int sinkhole_record(void *stat, const struct stat_record *rec)
{
	struct sinkhole *s = stat;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	struct ft_sink_rec x;

	if (rec->hdr->type != FT_REC_SINK)
		return 0;
	struct sink_row *row = (struct sink_row *)keep_row(&s->rows, rec->hdr->row, &s->set);
	if (row == NULL)
		return -ENOMEM;
	while (ft_entry_next(&r, &body)) {
		if (!ft_sink_read(&body, &x))
			return -EBADMSG;
		const int result = add(s, row, &x);
		if (result != 0)
			return result;
	}
	return r.bad ? -EBADMSG : 0;
}

static uint64_t sinkhole_first_row(const void *stat)
{
	return rows_first(((const struct sinkhole *)stat)->rows);
}

/* --- closing --- */

/* The lines of an interval; they grow. */
struct lines {
	struct sink_line *v;
	size_t n, cap;
};

static struct sink_line *line_add(struct lines *l)
{
	if (l->n == l->cap) {
		const size_t cap = l->cap != 0 ? l->cap * 2 : 256;
		struct sink_line *more = realloc(l->v, cap * sizeof(*more));
		if (more == NULL)
			return NULL;
		l->v = more;
		l->cap = cap;
	}
	l->v[l->n] = (struct sink_line){.parts = 1};
	return &l->v[l->n++];
}

static int order_lines(const void *left, const void *right)
{
	const struct sink_line *a = left, *b = right;

	if (a->key.vantage != b->key.vantage)
		return a->key.vantage < b->key.vantage ? -1 : 1;
	if (a->key.rule != b->key.rule)
		return a->key.rule < b->key.rule ? -1 : 1;
	const int d =
	    memcmp(a->text, b->text, a->text_bytes < b->text_bytes ? a->text_bytes : b->text_bytes);
	return d != 0 ? d : (a->text_bytes > b->text_bytes) - (a->text_bytes < b->text_bytes);
}

void sink_line_sum(struct sink_line *l)
{
	for (unsigned part = 0; part < l->parts; part++)
		for (unsigned i = 0; i < FT_CLASS_CAP; i++)
			l->total[i] += l->by_class[part * FT_CLASS_CAP + i];
	l->queries = queries_of(l->total, 1);
}

/* The item of a domain that has just been seen in a group. What was known of it before
 * goes with it, if it is not followed by name. */
static struct sink_item *item_get(struct sinkhole *s, const struct stat_interval *in,
				  const struct sink_key *key, bool by_name)
{
	bool fresh;
	struct sink_item *i = sink_table_get(&s->table, key, &fresh);

	if (i == NULL || !fresh)
		return i;
	struct sink_key other = *key;
	other.rule = 0;
	const struct sink_item *past = by_name ? NULL : sink_table_find(&s->table, &other);
	if (past != NULL)
		sink_past_copy(&i->past, &past->past);
	else
		sink_past_init(&i->past, &s->table.clock,
			       by_name ? s->begin_us : in->start_s * 1000000, by_name);
	return i;
}

/* Domains that workers counted or found; those found are counted by collect_found. */
static int collect_counted(struct sinkhole *s, const struct stat_interval *in, struct sink_row *r,
			   struct lines *out)
{
	for (size_t n = 0; r != NULL && n < r->keep.n; n++) {
		const struct sink_sum *sum = ((const struct sink_entry *)keep_at(&r->keep, n))->sum;
		struct sink_key key = {.rule = sum->rule, .vantage = sum->vantage};
		if (sum->text == NULL) /* its block was lost */
			continue;
		tables_domain_id(sum->text, sum->text_bytes, s->run->sample_key, key.id);
		struct sink_item *i = item_get(s, in, &key, (sum->signals & FT_SINK_NAMED) != 0);
		for (unsigned k = 0; i != NULL && k < FT_SINK_SIGNALS; k++)
			if ((sum->signals >> k & 1) != 0)
				i->seen_s[k] = (uint32_t)in->end_s;
		if (i != NULL && sink_item_name(i, sum->text, sum->text_bytes) != 0)
			return -ENOMEM;
		if (!sum->counted)
			continue;
		struct sink_line *l = line_add(out);
		if (l == NULL)
			return -ENOMEM;
		l->key = key;
		l->item = i;
		l->text = sum->text;
		l->text_bytes = sum->text_bytes;
		l->by_class = sum->by_class;
		l->parts = s->parts;
		sink_line_sum(l);
		l->names = hashes_count(&sum->names);
		l->clients = sum->clients != NULL ? few_count(sum->clients) : 0;
		l->bytes = sum->bytes;
		l->neg_ttl = sum->neg_ttl;
		l->ans_ttl = sum->ans_ttl;
		l->domains = 1;
	}
	return 0;
}

/* Domains that answers have given away, now or not long ago. */
static int collect_found(struct sinkhole *s, const struct stat_interval *in, struct lines *out)
{
	struct sink_item *i = NULL;
	struct table_sum t;

	while (in->tables != NULL && (i = sink_table_next(&s->table, i)) != NULL) {
		if (i->key.rule == 0 || i->text == NULL || i->past.has_names ||
		    !tables_get(in->tables, FT_TABLE_DOMAINS, i->key.vantage, i->key.id, &t))
			continue;
		struct sink_line *l = line_add(out);
		if (l == NULL)
			return -ENOMEM;
		l->key = i->key;
		l->item = i;
		l->text = i->text;
		l->text_bytes = i->text_bytes;
		l->by_class = t.c + FT_DOMAIN_CLASS;
		sink_line_sum(l);
		l->names = mini_count(t.names);
		l->clients = mini_count(t.clients);
		l->bytes = t.c[FT_DOMAIN_RESPONSE_BYTES];
		l->domains = 1;
		l->automatic = true;
		l->level = t.level;
		l->asked = t.names;
		if (t.level != 0) {
			const struct estimate e = tables_queries(&t);
			l->est_queries = e.value;
			l->se_queries = e.se;
		}
	}
	return 0;
}

void sink_line_add_past(struct sinkhole *s, const struct stat_interval *in, struct sink_line *l)
{
	struct sink_past *p = l->item != NULL ? &l->item->past : NULL;

	if (p == NULL)
		return;
	if (l->neg_ttl > p->neg_ttl)
		p->neg_ttl = l->neg_ttl;
	if (l->ans_ttl > p->ans_ttl)
		p->ans_ttl = l->ans_ttl;
	for (unsigned part = 0; part < l->parts; part++)
		sink_past_add(p, &s->table.clock, in->start_s * 1000000 + part * s->part_us,
			      l->by_class + (size_t)part * FT_CLASS_CAP);
	if (l->asked != NULL)
		sink_past_asked(p, &s->table.clock, in->start_s * 1000000, l->asked);
}

/* The interval has ended for all of them, and for those with a past from a snapshot it
 * begins anew: what was in between is not known. */
static void advance(struct sinkhole *s, const struct stat_interval *in)
{
	struct sink_item *i = NULL;

	while ((i = sink_table_next(&s->table, i)) != NULL)
		if (i->key.rule != 0 && !i->past.is_group) /* groups: write_group */
			sink_past_advance(&i->past, &s->table.clock, in->end_s * 1000000);
}

static void resume(struct sinkhole *s, const struct stat_interval *in)
{
	struct sink_item *i = NULL;

	while (s->loaded && (i = sink_table_next(&s->table, i)) != NULL) {
		sink_past_advance(&i->past, &s->table.clock, s->closed_us);
		sink_past_resume(&i->past, &s->table.clock, in->start_s * 1000000);
	}
	s->loaded = false;
}

static int add_names(struct sinkhole *s, const struct stat_interval *in, struct sink_row *r)
{
	const uint64_t hours =
	    sink_hours(&s->table.clock, in->start_s * 1000000, in->end_s * 1000000);

	for (size_t n = 0; r != NULL && n < r->keep.n; n++) {
		const struct sink_sum *sum = ((const struct sink_entry *)keep_at(&r->keep, n))->sum;
		struct sink_key key = {.rule = sum->rule, .vantage = sum->vantage};
		if (sum->text == NULL || !sum->counted)
			continue;
		tables_domain_id(sum->text, sum->text_bytes, s->run->sample_key, key.id);
		struct sink_item *i = sink_table_find(&s->table, &key);
		for (uint32_t k = 0; i != NULL && i->past.has_names && k < sum->names.slots; k++)
			if (sum->names.key[k] != 0 && sink_past_name(&i->past, &s->table.clock,
								     sum->names.key[k], hours) != 0)
				return -ENOMEM;
	}
	return 0;
}

/* All other domains: what they are now may be asked for once they are sinkholes. */
struct others {
	struct sinkhole *s;
	const struct stat_interval *in;
};

static void add_other(void *ctx, const struct table_sum *t)
{
	struct others *o = ctx;
	struct sink_table *table = &o->s->table;
	struct sink_key key = {.vantage = t->vantage};
	const uint64_t start_us = o->in->start_s * 1000000;
	bool fresh;

	memcpy(key.id, t->id, sizeof(key.id));
	struct sink_item *i = sink_table_get(table, &key, &fresh);
	if (i == NULL)
		return;
	if (fresh)
		sink_past_init(&i->past, &table->clock, start_us, false);
	sink_past_add(&i->past, &table->clock, start_us, t->c + FT_DOMAIN_CLASS);
	sink_past_asked(&i->past, &table->clock, start_us, t->names);
}

static void write_lines(struct sinkhole *s, const struct stat_interval *in, struct lines *l,
			const struct sink_row *r)
{
	for (size_t i = 0, begin = 0; i < l->n; i++) {
		sink_write(s, in, &l->v[i]);
		if (i + 1 < l->n && l->v[i + 1].key.rule == l->v[i].key.rule &&
		    l->v[i + 1].key.vantage == l->v[i].key.vantage)
			continue;
		(void)sink_group_write(s, in, &l->v[begin], i + 1 - begin, r);
		begin = i + 1;
	}
}

static void expire(struct sinkhole *s, const struct stat_interval *in)
{
	const uint64_t now_us = in->end_s * 1000000, hour_us = s->table.clock.hour_us;

	if (now_us < s->expired_us + hour_us)
		return;
	s->expired_us = now_us;
	if (now_us > STALE_HOURS * hour_us)
		sink_table_expire(&s->table, now_us - STALE_HOURS * hour_us);
}

static void sinkhole_close(void *stat, struct stat_interval *in)
{
	struct sinkhole *s = stat;
	struct sink_row *r = rows_is_first(s->rows, in->row) ? (struct sink_row *)s->rows : NULL;
	struct others others = {s, in};
	struct lines l = {0};

	if (s->begin_us == 0)
		s->begin_us = in->start_s * 1000000;
	resume(s, in);
	expire(s, in);
	if (collect_counted(s, in, r, &l) == 0 && collect_found(s, in, &l) == 0) {
		if (l.n != 0)
			qsort(l.v, l.n, sizeof(*l.v), order_lines);
		for (size_t i = 0; i < l.n; i++)
			sink_line_add_past(s, in, &l.v[i]);
		(void)add_names(s, in, r);
		advance(s, in);
		if (sink_put_signals(s, in, l.v, l.n) == 0)
			write_lines(s, in, &l, r);
	}
	if (s->table.others_cap != 0 && s->run->rules != NULL &&
	    rules_have_answers(s->run->rules) && in->tables != NULL)
		(void)tables_walk(in->tables, FT_TABLE_DOMAINS, add_other, &others);
	s->closed_us = in->end_s * 1000000;
	free(l.v);
	if (r != NULL)
		row_free(&s->rows);
}

static int sinkhole_save_state(const void *stat, state_write_fn *write, void *ctx)
{
	return state_save_piece(sinkhole_save, stat, write, ctx);
}

static int sinkhole_load_state(void *stat, state_read_fn *read, void *ctx)
{
	return state_load_piece(sinkhole_load, stat, read, ctx);
}

const struct stat_ops stat_sinkhole = {
    .set = "sinkhole",
    .create = sinkhole_create,
    .record = sinkhole_record,
    .first_row = sinkhole_first_row,
    .close = sinkhole_close,
    .destroy = sinkhole_destroy,
    .state = "sinkhole",
    .save = sinkhole_save_state,
    .load = sinkhole_load_state,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tables.h"

#include "../../dataplane/mini.h"
#include "../../dataplane/tables.h"
#include "rows.h"
#include "stat.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 17u /* vantage, id */

/* What is merged of a key. Behind it struct domain_acc (domains). */
struct acc {
	uint32_t first_s, last_s;
	uint32_t level, unused;
	uint64_t rtt_max_us, entries;
	uint64_t c[];
};

struct domain_acc {
	const uint8_t *text;
	uint32_t text_bytes;
	struct ft_mini names, clients;
};

/* A part of an accumulator: what was sampled at one level above 0. */
struct level_acc {
	uint64_t group[FT_GROUPS];
	uint64_t c[];
};

struct side { /* one table */
	enum ft_table table;
	struct keyed_merge *merge;
	struct table_left left;
};

struct tables_merged {
	struct stat_row head;
	struct side side[FT_TABLE_CAP];
};

struct tables_stat {
	const struct stat_run *run;
	struct stat_row *rows;
	struct tables_merged *closed; /* the one closed last */
};

static struct domain_acc *domain_of(const struct acc *a)
{
	return (struct domain_acc *)(uintptr_t)(a->c + FT_DOMAIN_CAP);
}

static double weight_of(uint32_t level)
{
	return ldexp(1, (int)level);
}

/* A key leaves: its counts go into the totals of those that are left out. */
static void leave(void *ctx, const void *acc)
{
	struct side *s = ctx;
	const struct acc *a = acc;
	const void *part = NULL;
	uint32_t level;

	s->left.entries += a->entries;
	for (size_t i = 0; i < ft_table_counters(s->table); i++)
		s->left.c[i] += a->c[i];
	s->left.estimated_queries += (double)ft_table_queries(s->table, a->c);
	while (keyed_merge_next_part(s->merge, acc, &part, &level))
		s->left.estimated_queries +=
		    (weight_of(level) - 1) *
		    (double)ft_table_queries(s->table, ((const struct level_acc *)part)->c);
}

static void row_free(struct tables_merged *r)
{
	for (unsigned k = 0; r != NULL && k < FT_TABLE_CAP; k++)
		keyed_merge_destroy(r->side[k].merge);
	free(r);
}

static struct tables_merged *row_create(const struct tables_stat *t)
{
	/* An interval is about as rich as the one before, if that is still here. */
	const struct tables_merged *before =
	    t->rows != NULL ? (const struct tables_merged *)t->rows : t->closed;
	struct tables_merged *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++) {
		const size_t counters = ft_table_counters((enum ft_table)k) * sizeof(uint64_t);
		const struct keyed_merge_settings s = {
		    .key_bytes = KEY_BYTES,
		    .acc_bytes = sizeof(struct acc) + counters +
				 (k == FT_TABLE_DOMAINS ? sizeof(struct domain_acc) : 0),
		    .part_bytes = sizeof(struct level_acc) + counters,
		    .budget = t->run->table_keys != 0 ? t->run->table_keys : TABLES_KEYS,
		    .expected = before != NULL ? keyed_merge_keys(before->side[k].merge) : 0,
		    .seed = t->run->sample_key,
		    .leave = leave,
		    .ctx = &r->side[k],
		};
		r->side[k].table = (enum ft_table)k;
		r->side[k].merge = keyed_merge_create(&s);
		if (r->side[k].merge == NULL) {
			row_free(r);
			return NULL;
		}
	}
	return r;
}

static struct tables_merged *row_get(struct tables_stat *t, uint64_t number)
{
	struct stat_row **place = rows_place(&t->rows, number);

	if (*place != NULL && (*place)->number == number)
		return (struct tables_merged *)*place;
	struct tables_merged *r = row_create(t);
	if (r != NULL)
		rows_put(place, &r->head, number);
	return r;
}

static void *merged_create(const struct stat_run *run)
{
	struct tables_stat *t = calloc(1, sizeof(*t));

	if (t != NULL)
		t->run = run;
	return t;
}

static void merged_destroy(void *stat)
{
	struct tables_stat *t = stat;

	if (t == NULL)
		return;
	while (t->rows != NULL)
		row_free(rows_pop(&t->rows));
	row_free(t->closed);
	free(t);
}

static int add_text(struct side *s, struct acc *a, const struct ft_table_rec *rec)
{
	struct domain_acc *d = domain_of(a);

	if (d->text != NULL)
		return 0;
	d->text = keyed_merge_keep(s->merge, rec->text, rec->text_bytes);
	d->text_bytes = (uint32_t)rec->text_bytes;
	return d->text != NULL ? 0 : -ENOMEM;
}

static int add_level(struct side *s, struct acc *a, const struct ft_table_rec *rec)
{
	struct level_acc *l = keyed_merge_part(s->merge, a, rec->level);

	if (l == NULL)
		return -ENOMEM;
	for (unsigned g = 0; g < FT_GROUPS; g++)
		l->group[g] += rec->group[g];
	for (size_t i = 0; i < ft_table_counters(s->table); i++)
		l->c[i] += rec->c[i];
	if (rec->level > a->level)
		a->level = rec->level;
	return 0;
}

static int add_counts(struct side *s, struct acc *a, const struct ft_table_rec *rec)
{
	if (a->entries++ == 0 || rec->first_s < a->first_s)
		a->first_s = rec->first_s;
	if (rec->last_s > a->last_s)
		a->last_s = rec->last_s;
	for (size_t i = 0; i < ft_table_counters(s->table); i++)
		a->c[i] += rec->c[i];
	if (s->table == FT_TABLE_SERVERS && rec->rtt_max_us > a->rtt_max_us)
		a->rtt_max_us = rec->rtt_max_us;
	if (s->table == FT_TABLE_DOMAINS) {
		mini_merge(&domain_of(a)->names, &rec->names);
		mini_merge(&domain_of(a)->clients, &rec->clients);
	}
	return rec->level != 0 ? add_level(s, a, rec) : 0;
}

static void add_left(struct side *s, const struct ft_table_rec *rec)
{
	if (!rec->counts)
		return;
	s->left.entries++;
	for (size_t i = 0; i < ft_table_counters(s->table); i++)
		s->left.c[i] += rec->c[i];
	s->left.estimated_queries +=
	    weight_of(rec->level) * (double)ft_table_queries(s->table, rec->c);
}

static int add_entry(const struct tables_stat *t, struct side *s, const struct ft_table_rec *rec)
{
	uint8_t key[KEY_BYTES] = {rec->vantage};
	void *acc;

	if (s->table == FT_TABLE_DOMAINS && !rec->by_id)
		tables_domain_id(rec->text, rec->text_bytes, t->run->sample_key, key + 1);
	else
		memcpy(key + 1, rec->id, sizeof(rec->id));
	int r = keyed_merge_get(s->merge, key, &acc);
	if (r == 1)
		add_left(s, rec);
	if (r != 0)
		return r < 0 ? r : 0;
	if (rec->text != NULL)
		r = add_text(s, acc, rec);
	return r == 0 && rec->counts ? add_counts(s, acc, rec) : r;
}

static int merged_record(void *stat, const struct stat_record *rec)
{
	struct tables_stat *t = stat;
	const uint8_t *at = rec->body, *end = at + rec->bytes;
	uint32_t left = ft_rec_records(rec->hdr);
	struct ft_table_rec entry;

	if (rec->hdr->type < FT_REC_DOMAIN || rec->hdr->type > FT_REC_SERVER)
		return 0;
	struct tables_merged *row = row_get(t, rec->hdr->row);
	if (row == NULL)
		return -ENOMEM;
	const enum ft_table table = (enum ft_table)(rec->hdr->type - FT_REC_DOMAIN);
	for (; at != end; left--) {
		if (left == 0 || !ft_table_read(table, &at, end, &entry))
			return -EBADMSG;
		const int r = add_entry(t, &row->side[table], &entry);
		if (r != 0)
			return r;
	}
	return left == 0 ? 0 : -EBADMSG;
}

static uint64_t merged_first_row(const void *stat)
{
	const struct tables_stat *t = stat;

	return rows_first(t->rows);
}

static void merged_close(void *stat, struct stat_interval *in)
{
	struct tables_stat *t = stat;

	if (!rows_is_first(t->rows, in->row))
		return;
	struct tables_merged *r = rows_pop(&t->rows);
	row_free(t->closed);
	t->closed = r;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++)
		(void)keyed_merge_settle(r->side[k].merge); /* without memory: a few keys more */
	in->tables = r;
}

const struct stat_ops stat_tables = {
    .set = "tables",
    .create = merged_create,
    .record = merged_record,
    .first_row = merged_first_row,
    .close = merged_close,
    .destroy = merged_destroy,
};

static void fill(const struct side *s, const struct acc *a, struct table_sum *out)
{
	const uint8_t *key = keyed_merge_key(s->merge, a);

	*out = (struct table_sum){
	    .vantage = key[0],
	    .id = key + 1,
	    .first_s = a->entries != 0 ? a->first_s : 1,
	    .last_s = a->last_s,
	    .rtt_max_us = a->rtt_max_us,
	    .entries = a->entries,
	    .level = a->level,
	    .c = a->c,
	};
	if (s->table != FT_TABLE_DOMAINS)
		return;
	const struct domain_acc *d = domain_of(a);
	out->text = d->text;
	out->text_bytes = d->text_bytes;
	out->names = &d->names;
	out->clients = &d->clients;
}

void tables_merged_each(const struct tables_merged *m, enum ft_table table, tables_walk_fn fn,
			void *ctx)
{
	const struct side *s = &m->side[table];
	struct table_sum sum;
	const void *acc;
	size_t at = 0;

	while ((acc = keyed_merge_next(s->merge, &at)) != NULL) {
		fill(s, acc, &sum);
		if (sum.entries != 0)
			fn(ctx, m, &sum);
	}
}

int tables_merged_walk(const struct tables_merged *m, enum ft_table table, tables_walk_fn fn,
		       void *ctx)
{
	const struct side *s = &m->side[table];
	struct table_sum sum;
	size_t n;
	const void *const *acc = keyed_merge_sorted(s->merge, &n);

	if (acc == NULL)
		return n == 0 ? 0 : -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		fill(s, acc[i], &sum);
		if (sum.entries != 0) /* a name whose counts were lost */
			fn(ctx, m, &sum);
	}
	return 0;
}

static const struct acc *acc_of(const struct side *s, uint8_t vantage, const uint8_t *id)
{
	uint8_t key[KEY_BYTES] = {vantage};

	memcpy(key + 1, id, KEY_BYTES - 1);
	return keyed_merge_find(s->merge, key);
}

bool tables_merged_get(const struct tables_merged *m, enum ft_table table, uint8_t vantage,
		       const uint8_t id[16], struct table_sum *s)
{
	const struct acc *a = acc_of(&m->side[table], vantage, id);

	if (a == NULL || a->entries == 0)
		return false;
	fill(&m->side[table], a, s);
	return true;
}

struct estimate tables_merged_queries(const struct tables_merged *m, enum ft_table table,
				      const struct table_sum *sum)
{
	const struct side *s = &m->side[table];
	const struct acc *a = acc_of(s, sum->vantage, sum->id);
	struct estimate_level level[FT_SAMPLE_LEVEL_MAX];
	uint64_t exact = ft_table_queries(table, a->c);
	const void *part = NULL;
	uint32_t id;
	size_t n = 0;

	while (keyed_merge_next_part(s->merge, a, &part, &id)) {
		const struct level_acc *l = part;
		exact -= ft_table_queries(table, l->c);
		level[n++] = (struct estimate_level){.level = id, .group = l->group};
	}
	return estimate_sum(exact, level, n);
}

double tables_merged_estimate(const struct tables_merged *m, enum ft_table table,
			      const struct table_sum *sum, unsigned counter)
{
	const struct side *s = &m->side[table];
	const struct acc *a = acc_of(s, sum->vantage, sum->id);
	double value = (double)a->c[counter];
	const void *part = NULL;
	uint32_t level;

	while (keyed_merge_next_part(s->merge, a, &part, &level))
		value +=
		    (weight_of(level) - 1) * (double)((const struct level_acc *)part)->c[counter];
	return value;
}

const struct table_left *tables_merged_left(const struct tables_merged *m, enum ft_table table)
{
	return &m->side[table].left;
}

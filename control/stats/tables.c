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

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEY_BYTES 17u /* vantage, id */
#define BATCH 8u      /* entries: what each will touch is on its way while others are read */

/* What is merged of a key. Behind it struct diary_acc (clients) or more_acc (the others). */
struct acc {
	uint32_t first_s, last_s;
	uint32_t level, unused;
	uint64_t rtt_max_us, entries;
	uint64_t c[];
};

struct more_acc {
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
	struct diary_pool diaries;
	struct table_left left;
};

struct tables_part {
	struct stat_row head;
	struct side side[FT_TABLE_CAP];
};

struct tables_merge {
	const struct stat_run *run;
	unsigned shards; /* that share the budget */
	struct stat_row *rows;
	size_t expected[FT_TABLE_CAP]; /* an interval is about as rich as the one before */
	struct ft_table_rec batch[BATCH];
	uint8_t key[BATCH][KEY_BYTES];
	uint64_t hash[BATCH];
};

static struct more_acc *more_of(enum ft_table table, const struct acc *a)
{
	return (struct more_acc *)(uintptr_t)(a->c + ft_table_counters(table));
}

static struct diary_acc *diary_of(const struct acc *a)
{
	return (struct diary_acc *)(uintptr_t)(a->c + FT_CLIENT_CAP);
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

static void part_free(void *part)
{
	struct tables_part *r = part;

	for (unsigned k = 0; r != NULL && k < FT_TABLE_CAP; k++) {
		diary_pool_fini(&r->side[k].diaries);
		keyed_merge_destroy(r->side[k].merge);
	}
	free(r);
}

static struct tables_part *part_create(const struct tables_merge *t)
{
	struct tables_part *r = calloc(1, sizeof(*r));
	const size_t keys = t->run->table_keys != 0 ? t->run->table_keys : TABLES_KEYS;

	if (r == NULL)
		return NULL;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++) {
		const size_t counters = ft_table_counters((enum ft_table)k) * sizeof(uint64_t);
		const struct keyed_merge_settings s = {
		    .key_bytes = KEY_BYTES,
		    .acc_bytes = sizeof(struct acc) + counters +
				 (k != FT_TABLE_CLIENTS ? sizeof(struct more_acc)
							: sizeof(struct diary_acc)),
		    .part_bytes = sizeof(struct level_acc) + counters,
		    .budget = (keys + t->shards - 1) / t->shards,
		    .expected = t->expected[k],
		    .seed = t->run->sample_key,
		    .leave = leave,
		    .ctx = &r->side[k],
		};
		r->side[k].table = (enum ft_table)k;
		r->side[k].merge = keyed_merge_create(&s);
		r->side[k].diaries.arena = r->side[k].merge;
		if (r->side[k].merge == NULL) {
			part_free(r);
			return NULL;
		}
	}
	return r;
}

static struct tables_part *row_get(struct tables_merge *t, uint64_t number)
{
	struct stat_row **place = rows_place(&t->rows, number);

	if (*place != NULL && (*place)->number == number)
		return (struct tables_part *)*place;
	struct tables_part *r = part_create(t);
	if (r != NULL)
		rows_put(place, &r->head, number);
	return r;
}

static void *merge_create(const struct stat_run *run, unsigned shards)
{
	struct tables_merge *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->run = run;
	t->shards = shards;
	return t;
}

static void merge_destroy(void *merge)
{
	struct tables_merge *t = merge;

	while (t != NULL && t->rows != NULL)
		part_free(rows_pop(&t->rows));
	free(t);
}

static int add_text(struct side *s, struct acc *a, const struct ft_table_rec *rec)
{
	struct more_acc *d = more_of(s->table, a);

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
	if (s->table == FT_TABLE_DOMAINS)
		mini_merge(&more_of(s->table, a)->names, &rec->names);
	if (s->table != FT_TABLE_CLIENTS)
		mini_merge(&more_of(s->table, a)->clients, &rec->clients);
	if (rec->level != 0 && add_level(s, a, rec) != 0)
		return -ENOMEM;
	/* A diary that cannot be read says nothing; its entry is sound. */
	return s->table == FT_TABLE_CLIENTS && diary_acc_add(diary_of(a), &s->diaries, rec->more,
							     rec->more_bytes) == -ENOMEM
		   ? -ENOMEM
		   : 0;
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

static int add_entry(struct side *s, const struct ft_table_rec *rec, const uint8_t *key,
		     uint64_t hash)
{
	void *acc;
	int r = keyed_merge_get_hashed(s->merge, key, hash, &acc);

	if (r == 1)
		add_left(s, rec);
	if (r != 0)
		return r < 0 ? r : 0;
	if (rec->text != NULL)
		r = add_text(s, acc, rec);
	return r == 0 && rec->counts ? add_counts(s, acc, rec) : r;
}

static void put_key(const struct tables_merge *t, const struct ft_table_rec *rec, uint8_t *key)
{
	key[0] = rec->vantage;
	if (rec->table == FT_TABLE_DOMAINS && !rec->by_id)
		tables_domain_id(rec->text, rec->text_bytes, t->run->sample_key, key + 1);
	else
		memcpy(key + 1, rec->id, sizeof(rec->id));
}

static int add_batch(struct tables_merge *t, struct side *s, size_t n)
{
	int result = 0;

	for (size_t i = 0; i < n; i++) {
		put_key(t, &t->batch[i], t->key[i]);
		t->hash[i] = keyed_merge_hash(s->merge, t->key[i]);
		keyed_merge_fetch_place(s->merge, t->hash[i]);
	}
	for (size_t i = 0; i < n; i++)
		keyed_merge_fetch(s->merge, t->hash[i]);
	for (size_t i = 0; i < n && result == 0; i++)
		result = add_entry(s, &t->batch[i], t->key[i], t->hash[i]);
	return result;
}

static int merge_record(void *merge, const struct stat_record *rec)
{
	struct tables_merge *t = merge;
	const uint8_t *at = rec->body, *end = at + rec->bytes;
	uint32_t left = ft_rec_records(rec->hdr);

	if (rec->hdr->type < FT_REC_DOMAIN || rec->hdr->type > FT_REC_SERVER)
		return 0;
	struct tables_part *row = row_get(t, rec->hdr->row);
	if (row == NULL)
		return -ENOMEM;
	const enum ft_table table = (enum ft_table)(rec->hdr->type - FT_REC_DOMAIN);
	while (at != end) {
		size_t n = 0;
		bool bad = false;
		for (; at != end && n < BATCH && !bad; n++)
			bad = left-- == 0 || !ft_table_read(table, &at, end, &t->batch[n]);
		const int r = add_batch(t, &row->side[table], n - bad);
		if (r != 0 || bad)
			return bad ? -EBADMSG : r;
	}
	return left == 0 ? 0 : -EBADMSG;
}

/* By the octets that stand for it: a name is always written in the same way. */
static int merge_shard_of(uint16_t type, const uint8_t **at, const uint8_t *end, unsigned n)
{
	struct ft_reader r = {.at = *at, .end = end};
	struct ft_table_rec rec = {.table = FT_TABLE_CAP};

	if (type < FT_REC_DOMAIN || type > FT_REC_SERVER)
		return -ENOTSUP;
	if (!ft_table_read_key((enum ft_table)(type - FT_REC_DOMAIN), &r, &rec))
		return -EBADMSG;
	*at = r.end;
	const uint64_t hash = rec.table == FT_TABLE_DOMAINS && !rec.by_id
				  ? XXH3_64bits(rec.text, rec.text_bytes)
				  : XXH3_64bits(rec.id, sizeof(rec.id));
	return (int)((hash >> 32) * n >> 32);
}

static void *merge_take(void *merge, uint64_t row)
{
	struct tables_merge *t = merge;

	if (!rows_is_first(t->rows, row))
		return NULL;
	struct tables_part *r = rows_pop(&t->rows);
	for (unsigned k = 0; k < FT_TABLE_CAP; k++) {
		(void)keyed_merge_settle(r->side[k].merge); /* without memory: a few keys more */
		t->expected[k] = keyed_merge_keys(r->side[k].merge);
	}
	return r;
}

const struct merge_ops merge_tables = {
    .create = merge_create,
    .record = merge_record,
    .shard_of = merge_shard_of,
    .take = merge_take,
    .part_free = part_free,
    .destroy = merge_destroy,
};

static void fill(const struct tables_part *from, const struct side *s, const struct acc *a,
		 struct table_sum *out)
{
	const uint8_t *key = keyed_merge_key(s->merge, a);

	*out = (struct table_sum){
	    .table = s->table,
	    .vantage = key[0],
	    .id = key + 1,
	    .hash = keyed_merge_hash_of(s->merge, a),
	    .first_s = a->entries != 0 ? a->first_s : 1,
	    .last_s = a->last_s,
	    .rtt_max_us = a->rtt_max_us,
	    .entries = a->entries,
	    .level = a->level,
	    .c = a->c,
	    .from = from,
	};
	if (s->table == FT_TABLE_CLIENTS) {
		out->diary = diary_of(a);
		return;
	}
	const struct more_acc *m = more_of(s->table, a);
	out->clients = &m->clients;
	if (s->table != FT_TABLE_DOMAINS)
		return;
	out->text = m->text;
	out->text_bytes = m->text_bytes;
	out->names = &m->names;
}

static void each_of(const struct tables_part *part, enum ft_table table, tables_walk_fn fn,
		    void *ctx)
{
	const struct side *s = &part->side[table];
	struct table_sum sum;
	const void *acc;
	size_t at = 0;

	while ((acc = keyed_merge_next(s->merge, &at)) != NULL) {
		fill(part, s, acc, &sum);
		if (sum.entries != 0) /* not a name whose counts were lost */
			fn(ctx, &sum);
	}
}

void tables_each(const struct stat_parts *p, enum ft_table table, tables_walk_fn fn, void *ctx)
{
	for (unsigned i = 0; p != NULL && i < p->n; i++)
		if (p->part[i] != NULL)
			each_of(p->part[i], table, fn, ctx);
}

/* What is left of each part while they are walked together. */
struct heads {
	struct {
		const struct tables_part *part;
		const struct side *side;
		const void *const *acc, *const *end;
	} of[STAT_SHARDS_CAP];
	unsigned n;
};

static int heads_init(struct heads *h, const struct stat_parts *p, enum ft_table table)
{
	h->n = 0;
	for (unsigned i = 0; p != NULL && i < p->n; i++) {
		const struct tables_part *part = p->part[i];
		size_t n;
		if (part == NULL)
			continue;
		const void *const *acc = keyed_merge_sorted(part->side[table].merge, &n);
		if (acc == NULL && n != 0)
			return -ENOMEM;
		if (n == 0)
			continue;
		h->of[h->n].part = part;
		h->of[h->n].side = &part->side[table];
		h->of[h->n].acc = acc;
		h->of[h->n++].end = acc + n;
	}
	return 0;
}

/* The head with the smallest key. */
static unsigned heads_first(const struct heads *h)
{
	unsigned first = 0;

	for (unsigned i = 1; i < h->n; i++)
		if (memcmp(keyed_merge_key(h->of[i].side->merge, *h->of[i].acc),
			   keyed_merge_key(h->of[first].side->merge, *h->of[first].acc),
			   KEY_BYTES) < 0)
			first = i;
	return first;
}

int tables_walk(const struct stat_parts *p, enum ft_table table, tables_walk_fn fn, void *ctx)
{
	struct table_sum sum;
	struct heads h;

	if (heads_init(&h, p, table) != 0)
		return -ENOMEM;
	while (h.n != 0) {
		const unsigned i = heads_first(&h);
		fill(h.of[i].part, h.of[i].side, *h.of[i].acc, &sum);
		if (sum.entries != 0)
			fn(ctx, &sum);
		if (++h.of[i].acc == h.of[i].end)
			h.of[i] = h.of[--h.n];
	}
	return 0;
}

static void make_key(uint8_t key[KEY_BYTES], uint8_t vantage, const uint8_t *id)
{
	key[0] = vantage;
	memcpy(key + 1, id, KEY_BYTES - 1);
}

static const struct acc *acc_of(const struct side *s, uint8_t vantage, const uint8_t *id)
{
	uint8_t key[KEY_BYTES];

	make_key(key, vantage, id);
	return keyed_merge_find(s->merge, key);
}

void tables_fetch(const struct stat_parts *p, enum ft_table table, uint8_t vantage,
		  const uint8_t id[16], unsigned step)
{
	uint8_t key[KEY_BYTES];

	make_key(key, vantage, id);
	for (unsigned i = 0; p != NULL && i < p->n; i++) {
		const struct tables_part *part = p->part[i];
		if (part == NULL)
			continue;
		const struct keyed_merge *m = part->side[table].merge;
		const uint64_t hash = keyed_merge_hash(m, key);
		if (step == 0)
			keyed_merge_fetch_place(m, hash);
		else
			keyed_merge_fetch(m, hash);
	}
}

bool tables_get(const struct stat_parts *p, enum ft_table table, uint8_t vantage,
		const uint8_t id[16], struct table_sum *s)
{
	for (unsigned i = 0; p != NULL && i < p->n; i++) {
		const struct tables_part *part = p->part[i];
		const struct acc *a = part != NULL ? acc_of(&part->side[table], vantage, id) : NULL;
		if (a == NULL || a->entries == 0)
			continue;
		fill(part, &part->side[table], a, s);
		return true;
	}
	return false;
}

struct estimate tables_queries(const struct table_sum *sum)
{
	const struct side *s = &sum->from->side[sum->table];
	const struct acc *a = acc_of(s, sum->vantage, sum->id);
	struct estimate_level level[FT_SAMPLE_LEVEL_MAX];
	uint64_t exact = ft_table_queries(sum->table, a->c);
	const void *part = NULL;
	uint32_t id;
	size_t n = 0;

	while (keyed_merge_next_part(s->merge, a, &part, &id)) {
		const struct level_acc *l = part;
		exact -= ft_table_queries(sum->table, l->c);
		level[n++] = (struct estimate_level){.level = id, .group = l->group};
	}
	return estimate_sum(exact, level, n);
}

double tables_estimate(const struct table_sum *sum, unsigned counter)
{
	const struct side *s = &sum->from->side[sum->table];
	const struct acc *a = acc_of(s, sum->vantage, sum->id);
	double value = (double)a->c[counter];
	const void *part = NULL;
	uint32_t level;

	while (keyed_merge_next_part(s->merge, a, &part, &level))
		value +=
		    (weight_of(level) - 1) * (double)((const struct level_acc *)part)->c[counter];
	return value;
}

struct table_left tables_left(const struct stat_parts *p, enum ft_table table)
{
	struct table_left sum = {0};

	for (unsigned i = 0; p != NULL && i < p->n; i++) {
		if (p->part[i] == NULL)
			continue;
		const struct table_left *l =
		    &((const struct tables_part *)p->part[i])->side[table].left;
		sum.entries += l->entries;
		sum.estimated_queries += l->estimated_queries;
		for (size_t k = 0; k < FT_TABLE_COUNTERS; k++)
			sum.c[k] += l->c[k];
	}
	return sum;
}

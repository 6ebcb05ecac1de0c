/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `match`, kind `flood`: random-subdomain attacks, found by how many names of a
 * registered domain are asked for, against what it was before.
 *
 * The workers send samples (rec_flood.h) that add up whatever the split, so what is
 * found is the same with any number of workers. A flood begins in an interval with more
 * names than the floor and FACTOR times the domain's history; in a run's first interval,
 * where there is no history, most queries must have failed as well. It is over in the
 * first interval with less than half of that. History learns nothing while it lasts. */
#include "flood_state.h"

#include "../../dataplane/few.h"
#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "../field.h"

#include <fluxtap/rec_flood.h>

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define FACTOR 8.0
#define LEARN 0.25             /* share of an interval in the history */
#define WORTH_KNOWING 64.0     /* names: histories below are no help to anybody */
#define NAMES_A_SECOND 20.0    /* of the floor, but */
#define FLOOR_LO 1000.0        /* no less */
#define FLOOR_HI 20000.0       /* and no more than this in an interval */
#define DOMAINS_CAP (1u << 18) /* of an interval; more are not looked at */
#define INLINE 4u              /* hashes that need no struct few */
#define TOP 8u
#define CLIENTS_CAP (1u << 20) /* pairs of domain and client; more are not told apart */

struct domain {
	struct domain *next; /* of its bucket */
	uint64_t key, queries, failed;
	uint64_t bin[FT_FLOOD_BINS];
	struct few *names; /* NULL: in hash */
	uint64_t hash[INLINE];
	uint8_t n, vantage;
	char *text;
};

struct client {
	uint64_t key; /* of the domain; 0: free */
	uint64_t queries;
	uint8_t addr[16], vantage;
};

struct skipped {
	struct skipped *next;
	uint64_t key, names;
};

struct row {
	struct stat_row head;
	struct domain *bucket[FLOOD_BUCKETS];
	uint32_t domains;
	struct client *client; /* open addressing, clients_cap a power of two */
	size_t clients, clients_cap;
	struct skipped *skipped;
};

/* One record to be. */
struct finding {
	const struct past *past;
	const struct domain *domain; /* NULL: nothing came of it any more */
	const char *state;
};

static void *flood_create(const struct stat_run *run)
{
	struct flood *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->floor = fmin(fmax(NAMES_A_SECOND * run->interval_s, FLOOR_LO), FLOOR_HI);
	return s;
}

static void row_free(struct row *r)
{
	for (unsigned i = 0; i < FLOOD_BUCKETS; i++) {
		while (r->bucket[i] != NULL) {
			struct domain *next = r->bucket[i]->next;
			free(r->bucket[i]->names);
			free(r->bucket[i]->text);
			free(r->bucket[i]);
			r->bucket[i] = next;
		}
	}
	while (r->skipped != NULL) {
		struct skipped *next = r->skipped->next;
		free(r->skipped);
		r->skipped = next;
	}
	free(r->client);
	free(r);
}

static void past_free(struct past *p)
{
	free(p->text);
	free(p);
}

static void flood_destroy(void *stat)
{
	struct flood *s = stat;

	if (s == NULL)
		return;
	while (s->rows != NULL)
		row_free(rows_pop(&s->rows));
	for (unsigned i = 0; i < FLOOD_BUCKETS; i++) {
		while (s->past[i] != NULL) {
			struct past *next = s->past[i]->next;
			past_free(s->past[i]);
			s->past[i] = next;
		}
	}
	free(s);
}

/* 0 and *out; *out is NULL where there are too many. -ENOMEM. */
static int domain_get(struct row *r, uint64_t key, uint8_t vantage, struct domain **out)
{
	struct domain **bucket = &r->bucket[flood_bucket(key, vantage)], *d = *bucket;

	while (d != NULL && (d->key != key || d->vantage != vantage))
		d = d->next;
	*out = d;
	if (d != NULL || r->domains == DOMAINS_CAP)
		return 0;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->key = key;
	d->vantage = vantage;
	d->next = *bucket;
	*bucket = d;
	r->domains++;
	*out = d;
	return 0;
}

/* --- merging --- */

static void add_hash(struct domain *d, uint64_t hash)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->hash[i] == hash)
			return;
	d->hash[d->n++] = hash;
}

static int add_names(struct domain *d, const struct ft_flood_entry *e)
{
	uint64_t hash;

	if (e->bytes < 1)
		return -EBADMSG;
	if (d->names == NULL && d->n + (size_t)e->data[0] <= INLINE) {
		if (e->bytes != 1 + e->data[0] * sizeof(hash))
			return -EBADMSG;
		for (unsigned i = 0; i < e->data[0]; i++) {
			memcpy(&hash, e->data + 1 + i * sizeof(hash), sizeof(hash));
			add_hash(d, hash);
		}
		return 0;
	}
	if (d->names == NULL) {
		d->names = calloc(1, sizeof(*d->names));
		if (d->names == NULL)
			return -ENOMEM;
		for (unsigned i = 0; i < d->n; i++)
			few_add(d->names, d->hash[i]);
	}
	return few_merge(d->names, e->data, e->bytes) ? 0 : -EBADMSG;
}

static int add_counts(struct row *r, const struct ft_flood_entry *e)
{
	struct domain *d;
	const int result = domain_get(r, e->id.domain_key, e->id.vantage, &d);

	if (d == NULL)
		return result;
	d->queries += e->id.count;
	d->failed += e->counts.failed;
	for (unsigned i = 0; i < FT_FLOOD_BINS; i++)
		d->bin[i] += e->counts.bin[i];
	return add_names(d, e);
}

static int add_text(struct row *r, const struct ft_flood_entry *e)
{
	struct domain *d;
	const int result = domain_get(r, e->id.domain_key, e->id.vantage, &d);
	char text[NAME_TEXT_CAP];

	if (d == NULL)
		return result;
	if (d->text == NULL) {
		(void)name_text(e->data, (uint32_t)e->bytes, text, true);
		d->text = strdup(text);
	}
	return d->text != NULL ? 0 : -ENOMEM;
}

static struct client *client_at(struct client *table, size_t cap, const struct client *c)
{
	uint64_t h = c->key ^ c->vantage, words[2];

	memcpy(words, c->addr, sizeof(words));
	h = (h ^ words[0]) * 0x9e3779b97f4a7c15ull;
	h = ((h ^ h >> 29) + words[1]) * 0xbf58476d1ce4e5b9ull;
	for (size_t at = (size_t)(h ^ h >> 32);; at++) {
		struct client *x = &table[at & (cap - 1)];
		if (x->key == 0 || (x->key == c->key && x->vantage == c->vantage &&
				    memcmp(x->addr, c->addr, sizeof(x->addr)) == 0))
			return x;
	}
}

static int grow_clients(struct row *r)
{
	const size_t cap = r->clients_cap == 0 ? 1024 : 2 * r->clients_cap;
	struct client *table = calloc(cap, sizeof(*table));

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->clients_cap; i++)
		if (r->client[i].key != 0)
			*client_at(table, cap, &r->client[i]) = r->client[i];
	free(r->client);
	r->client = table;
	r->clients_cap = cap;
	return 0;
}

static int add_client(struct row *r, const struct ft_flood_entry *e)
{
	struct client c = {.key = e->id.domain_key, .vantage = e->id.vantage};

	if (r->clients * 2 >= r->clients_cap && grow_clients(r) != 0)
		return -ENOMEM;
	memcpy(c.addr, e->data, sizeof(c.addr));
	struct client *at = client_at(r->client, r->clients_cap, &c);
	if (at->key == 0 && c.key != 0) {
		if (r->clients == CLIENTS_CAP)
			return 0;
		*at = c;
		r->clients++;
	}
	at->queries += c.key != 0 ? e->id.count : 0;
	return 0;
}

/* Few domains are flooded at a time. */
static int add_skipped(struct row *r, const struct ft_flood_entry *e)
{
	struct skipped *k = r->skipped;

	while (k != NULL && k->key != e->id.domain_key)
		k = k->next;
	if (k == NULL) {
		k = calloc(1, sizeof(*k));
		if (k == NULL)
			return -ENOMEM;
		k->key = e->id.domain_key;
		k->next = r->skipped;
		r->skipped = k;
	}
	k->names += e->id.count;
	return 0;
}

static int flood_record(void *stat, const struct stat_record *rec)
{
	struct flood *s = stat;
	struct ft_flood_entry e;
	size_t at = 0;
	int more, result = 0;

	if (rec->hdr->type != FT_REC_FLOOD)
		return 0;
	struct row *r = rows_get(&s->rows, rec->hdr->row, sizeof(struct row));
	if (r == NULL)
		return -ENOMEM;
	while (result == 0 && (more = ft_flood_next(rec->body, rec->bytes, &at, &e)) != 0) {
		if (more < 0)
			return -EBADMSG;
		switch ((enum ft_flood_part)e.id.part) {
		case FT_FLOOD_COUNTS: result = add_counts(r, &e); break;
		case FT_FLOOD_TEXT: result = add_text(r, &e); break;
		case FT_FLOOD_CLIENT: result = add_client(r, &e); break;
		case FT_FLOOD_SKIPPED: result = add_skipped(r, &e); break;
		case FT_FLOOD_PART_CAP: break;
		}
	}
	return result;
}

static uint64_t flood_first_row(const void *stat)
{
	const struct flood *s = stat;

	return rows_first(s->rows);
}

/* --- deciding --- */

static uint64_t names_of(const struct domain *d)
{
	return FT_FLOOD_NAMES * (d->names != NULL ? few_count(d->names) : d->n);
}

/* NULL without memory. */
static struct past *past_get(struct flood *s, const struct domain *d, bool make)
{
	struct past **bucket = &s->past[flood_bucket(d->key, d->vantage)], *p = *bucket;

	while (p != NULL && (p->key != d->key || p->vantage != d->vantage))
		p = p->next;
	if (p != NULL || !make)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->key = d->key;
	p->vantage = d->vantage;
	p->next = *bucket;
	*bucket = p;
	return p;
}

/* Bins that make up the bulk: at least a quarter of the fullest. Returns how many. */
static unsigned active(const struct domain *d, unsigned *first, unsigned *last, uint64_t *queries)
{
	uint64_t most = 0;
	unsigned n = 0;

	*queries = 0;
	*first = *last = 0;
	for (unsigned i = 0; i < FT_FLOOD_BINS; i++)
		most = d->bin[i] > most ? d->bin[i] : most;
	for (unsigned i = 0; i < FT_FLOOD_BINS && most != 0; i++) {
		if (d->bin[i] * 4 < most)
			continue;
		*first = n++ == 0 ? i : *first;
		*last = i;
		*queries += d->bin[i];
	}
	return n;
}

/* What this interval says of the domain; NULL: nothing to be written. */
static const char *judge(const struct flood *s, const struct stat_interval *in, struct past *p,
			 const struct domain *d)
{
	const double names = d != NULL ? (double)names_of(d) : 0;
	const double limit = fmax(s->floor, FACTOR * p->history);

	if (p->flooded) {
		p->flooded = names >= limit / 2;
		return p->flooded ? "ongoing" : "end";
	}
	if (names >= limit && (s->closed != 0 || d->failed * 2 >= d->queries)) {
		unsigned first, last;
		uint64_t queries;
		(void)active(d, &first, &last, &queries);
		p->flooded = true;
		p->since_us = in->start_s * 1000000u +
			      first * (s->run->interval_s * 1000000ull / FT_FLOOD_BINS);
		return "onset";
	}
	p->history += LEARN * (names - p->history);
	return NULL;
}

/* --- writing --- */

static void set_tenths(json_t *o, const char *key, double value)
{
	json_object_set_new(o, key, json_real(round(value * 10) / 10));
}

static int order_clients(const void *left, const void *right)
{
	const struct client *a = left, *b = right;

	if (a->queries != b->queries)
		return a->queries < b->queries ? 1 : -1;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

static json_t *client_json(const struct client *c)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool v4 = memcmp(c->addr, mapped, sizeof(mapped)) == 0;
	const double p = 1.0 / FT_FLOOD_CLIENTS;
	char text[INET6_ADDRSTRLEN];

	(void)inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? c->addr + 12 : c->addr, text, sizeof(text));
	return json_pack("{s:s, s:I, s:I}", "client", text, "queries",
			 (json_int_t)(c->queries * FT_FLOOD_CLIENTS), "se",
			 (json_int_t)llround(sqrt((double)c->queries * (1 - p)) / p));
}

static json_t *top_json(const struct row *r, const struct past *p)
{
	struct client top[TOP + 1];
	size_t n = 0;
	json_t *a = json_array();

	for (size_t i = 0; i < r->clients_cap; i++) {
		if (r->client[i].key != p->key || r->client[i].vantage != p->vantage)
			continue;
		top[n++] = r->client[i];
		qsort(top, n, sizeof(*top), order_clients);
		n = n < TOP ? n : TOP;
	}
	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, client_json(&top[i]));
	return a;
}

static uint64_t skipped_of(const struct row *r, uint64_t key)
{
	for (const struct skipped *k = r->skipped; k != NULL; k = k->next)
		if (k->key == key)
			return k->names;
	return 0;
}

static void put_numbers(const struct flood *s, json_t *o, const struct domain *d)
{
	const double bin_s = (double)s->run->interval_s / FT_FLOOD_BINS, p = 1.0 / FT_FLOOD_NAMES;
	const uint64_t names = names_of(d);
	const double sample = (double)names / FT_FLOOD_NAMES;
	double variance = sample * (1 - p) / (p * p);
	uint64_t queries, most = 0;
	unsigned first, last;
	const unsigned n = active(d, &first, &last, &queries);

	for (unsigned i = 0; i < FT_FLOOD_BINS; i++)
		most = d->bin[i] > most ? d->bin[i] : most;
	if (d->names != NULL && d->names->dense)
		variance += pow(1.04 / sqrt(FT_FEW_REGS) * (double)names, 2);
	set_tenths(o, "rate",
		   n != 0 && d->queries != 0
		       ? (double)names * (double)queries / (double)d->queries / (bin_s * n)
		       : 0);
	set_tenths(o, "peak_qps", (double)(most * FT_FLOOD_NAMES) / bin_s);
	field_count(o, "names", names);
	field_count(o, "se_names", (uint64_t)llround(sqrt(variance)));
	field_count(o, "queries", d->queries * FT_FLOOD_NAMES);
	json_object_set_new(
	    o, "failed",
	    json_real(round((double)d->failed / (double)(d->queries + !d->queries) * 1000) / 1000));
}

static void write_finding(const struct flood *s, const struct stat_interval *in,
			  const struct row *r, const struct finding *f)
{
	static const struct domain nothing;
	json_t *o = envelope_create("match", s->run->probe, ft_vantage_texts[f->past->vantage],
				    in->start_s, in->end_s, 1, in->loss_ppm);

	json_object_set_new(o, "rule", json_string("flood"));
	json_object_set_new(o, "kind", json_string("flood"));
	json_object_set_new(o, "domain",
			    f->past->text != NULL ? json_string(f->past->text) : json_null());
	json_object_set_new(o, "state", json_string(f->state));
	field_count(o, "since_us", f->past->since_us);
	put_numbers(s, o, f->domain != NULL ? f->domain : &nothing);
	set_tenths(o, "names_before", f->past->history);
	field_count(o, "names_skipped", skipped_of(r, f->past->key));
	json_object_set_new(o, "top_resolvers", top_json(r, f->past));
	s->run->write(s->run->ctx, "match", in->start_s, o);
}

static int order_findings(const void *left, const void *right)
{
	const struct past *a = ((const struct finding *)left)->past,
			  *b = ((const struct finding *)right)->past;

	if (a->vantage != b->vantage)
		return a->vantage < b->vantage ? -1 : 1;
	return strcmp(a->text != NULL ? a->text : "", b->text != NULL ? b->text : "");
}

/* --- closing an interval --- */

struct findings {
	struct finding *v;
	size_t n, cap;
};

static void judge_one(struct flood *s, const struct stat_interval *in, struct past *p,
		      struct domain *d, struct findings *all)
{
	const char *state = judge(s, in, p, d);

	if (state == NULL)
		return;
	if (all->n == all->cap) {
		const size_t cap = all->cap == 0 ? 64 : 2 * all->cap;
		struct finding *v = realloc(all->v, cap * sizeof(*v));
		if (v == NULL)
			return;
		all->v = v;
		all->cap = cap;
	}
	if (p->text == NULL && d != NULL && d->text != NULL)
		p->text = strdup(d->text);
	all->v[all->n++] = (struct finding){p, d, state};
}

/* Domains that have a history and did not come; and histories that say nothing more. */
static void age(struct flood *s, const struct stat_interval *in, struct findings *all, bool forget)
{
	for (unsigned i = 0; i < FLOOD_BUCKETS; i++) {
		for (struct past **at = &s->past[i]; *at != NULL;) {
			struct past *p = *at;
			if (!p->seen && !forget)
				judge_one(s, in, p, NULL, all);
			if (forget && !p->flooded && p->history < WORTH_KNOWING / 4) {
				*at = p->next;
				past_free(p);
				continue;
			}
			if (forget)
				p->seen = false;
			at = &p->next;
		}
	}
}

static void judge_row(struct flood *s, const struct stat_interval *in, struct row *r)
{
	struct findings all = {0};

	for (unsigned i = 0; i < FLOOD_BUCKETS; i++) {
		for (struct domain *d = r->bucket[i]; d != NULL; d = d->next) {
			struct past *p = past_get(s, d, (double)names_of(d) >= WORTH_KNOWING);
			if (p == NULL)
				continue;
			p->seen = true;
			judge_one(s, in, p, d, &all);
		}
	}
	age(s, in, &all, false);
	if (all.n != 0)
		qsort(all.v, all.n, sizeof(*all.v), order_findings);
	for (size_t i = 0; i < all.n; i++)
		write_finding(s, in, r, &all.v[i]);
	age(s, in, &all, true);
	free(all.v);
}

static void flood_close(void *stat, struct stat_interval *in)
{
	struct flood *s = stat;
	static struct row empty; /* an interval in which no sampled name came */
	struct row *r = rows_is_first(s->rows, in->row) ? (struct row *)s->rows : NULL;

	judge_row(s, in, r != NULL ? r : &empty);
	s->closed++;
	if (r == NULL)
		return;
	row_free(rows_pop(&s->rows));
}

const struct stat_ops stat_flood = {
    .set = "match",
    .create = flood_create,
    .record = flood_record,
    .first_row = flood_first_row,
    .close = flood_close,
    .destroy = flood_destroy,
    .state = "flood",
    .save = flood_save,
    .load = flood_load,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `domain`: the registered domains of an interval that were asked for most, and those
 * of which most did not exist. Exact until flows are sampled; then the estimates and their
 * standard errors stand beside. Reads what `tables` leaves in an interval. */
#include "../../dataplane/mini.h"
#include "../envelope.h"
#include "../field.h"
#include "../select.h"
#include "stat.h"
#include "tables.h"

#include <stdlib.h>
#include <string.h>

struct domains {
	const struct stat_run *run;
};

/* The first of an order among those that were offered. */
struct ranking {
	int (*order)(const void *, const void *);
	size_t n, cap; /* cap: twice as many as stay */
	bool full; /* the first cap / 2 are better than all others, the last of them the worst */
	struct table_sum *sum;
};

struct rankings {
	struct ranking asked, missing;
};

static void *domains_create(const struct stat_run *run)
{
	struct domains *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static void domains_destroy(void *stat)
{
	free(stat);
}

static uint64_t queries_of(const struct table_sum *t)
{
	return ft_table_queries(FT_TABLE_DOMAINS, t->c);
}

static uint64_t missing_of(const struct table_sum *t)
{
	return t->c[FT_DOMAIN_CLASS + FT_CLASS_NXDOMAIN];
}

/* Ties by what the domain is. */
static int order_ids(const struct table_sum *a, const struct table_sum *b)
{
	if (a->vantage != b->vantage)
		return a->vantage < b->vantage ? -1 : 1;
	return memcmp(a->id, b->id, 16);
}

static int order_asked(const void *left, const void *right)
{
	const uint64_t x = queries_of(left), y = queries_of(right);

	return x != y ? (x > y ? -1 : 1) : order_ids(left, right);
}

static int order_missing(const void *left, const void *right)
{
	const uint64_t x = missing_of(left), y = missing_of(right);

	return x != y ? (x > y ? -1 : 1) : order_ids(left, right);
}

/* Leaves the first half, of which the last one stands last. */
static void cut(struct ranking *r)
{
	const size_t half = r->cap / 2;
	size_t last = 0;

	if (r->n <= half)
		return;
	select_first(r->sum, r->n, sizeof(*r->sum), half, r->order);
	r->n = half;
	for (size_t i = 1; i < half; i++)
		last = r->order(&r->sum[i], &r->sum[last]) > 0 ? i : last;
	const struct table_sum x = r->sum[last];
	r->sum[last] = r->sum[half - 1];
	r->sum[half - 1] = x;
}

static void finish(struct ranking *r)
{
	cut(r);
	if (r->n != 0)
		qsort(r->sum, r->n, sizeof(*r->sum), r->order);
}

static void offer(struct ranking *r, const struct table_sum *t)
{
	if (r->full && r->order(t, &r->sum[r->cap / 2 - 1]) > 0)
		return; /* behind the last of those that are in already */
	if (r->n == r->cap) {
		cut(r);
		r->full = true;
	}
	r->sum[r->n++] = *t;
}

static void rank(void *ctx, const struct table_sum *t)
{
	struct rankings *r = ctx;

	if (t->text == NULL) /* lost with a block, to a full ring */
		return;
	offer(&r->asked, t);
	if (missing_of(t) != 0)
		offer(&r->missing, t);
}

static void put_estimates(json_t *o, const struct table_sum *t)
{
	const struct estimate e = tables_queries(t);

	json_object_set_new(o, "est_queries", json_real(e.value));
	json_object_set_new(o, "se_queries", json_real(e.se));
	json_object_set_new(o, "est_query_bytes",
			    json_real(tables_estimate(t, FT_DOMAIN_QUERY_BYTES)));
	json_object_set_new(o, "est_response_bytes",
			    json_real(tables_estimate(t, FT_DOMAIN_RESPONSE_BYTES)));
	json_t *classes = json_object();
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		if (t->c[FT_DOMAIN_CLASS + i] != 0)
			json_object_set_new(classes, ft_class_texts[i],
					    json_real(tables_estimate(t, FT_DOMAIN_CLASS + i)));
	json_object_set_new(o, "est_by_class", classes);
}

static void write_domain(const struct domains *s, const struct stat_interval *in,
			 const struct table_sum *t)
{
	json_t *o =
	    envelope_create("domain", s->run->probe, ft_vantage_texts[t->vantage], in->start_s,
			    in->end_s, 1.0 / (double)(1u << t->level), in->loss_ppm);
	json_t *classes = json_object();

	field_name(o, "domain", t->text, t->text_bytes);
	field_count(o, "queries", queries_of(t));
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		if (t->c[FT_DOMAIN_CLASS + i] != 0)
			field_count(classes, ft_class_texts[i], t->c[FT_DOMAIN_CLASS + i]);
	json_object_set_new(o, "by_class", classes);
	field_count(o, "names", mini_count(t->names));
	field_count(o, "clients", mini_count(t->clients));
	field_count(o, "query_bytes", t->c[FT_DOMAIN_QUERY_BYTES]);
	field_count(o, "response_bytes", t->c[FT_DOMAIN_RESPONSE_BYTES]);
	if (t->level != 0)
		put_estimates(o, t);
	s->run->write(s->run->ctx, "domain", in->start_s, o);
}

/* Those asked for most, then those missing most that are not among them. */
static void write_rankings(const struct domains *s, const struct stat_interval *in,
			   struct rankings *r)
{
	finish(&r->asked);
	finish(&r->missing);
	for (size_t i = 0; i < r->asked.n; i++)
		write_domain(s, in, &r->asked.sum[i]);
	for (size_t i = 0; i < r->missing.n; i++) {
		const struct table_sum *t = &r->missing.sum[i];
		/* The ranking is whole where it is not full, and sorted. */
		if (bsearch(t, r->asked.sum, r->asked.n, sizeof(*t), order_asked) == NULL)
			write_domain(s, in, t);
	}
}

static void domains_close(void *stat, struct stat_interval *in)
{
	struct domains *s = stat;
	const size_t cap = 2 * (size_t)s->run->top_domains;

	if (in->tables == NULL || cap == 0)
		return;
	struct table_sum *sum = malloc(2 * cap * sizeof(*sum));
	if (sum == NULL)
		return;
	struct rankings r = {{.order = order_asked, .cap = cap, .sum = sum},
			     {.order = order_missing, .cap = cap, .sum = sum + cap}};
	tables_each(in->tables, FT_TABLE_DOMAINS, rank, &r);
	write_rankings(s, in, &r);
	free(sum);
}

const struct stat_ops stat_domains = {
    .set = "domain",
    .create = domains_create,
    .close = domains_close,
    .destroy = domains_destroy,
};

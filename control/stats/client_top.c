/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_top.h"

#include "../select.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A list: of an interval a heap with the worst client first. */
struct list {
	struct top_client *v; /* [2 * TOP_CAP + 1] of a day, [TOP_CAP] of an interval; or NULL */
	size_t n;
	uint64_t floor; /* who is not in it has at most so many */
};

struct client_top {
	struct list now[FT_VANTAGE_CAP][TOP_TYPES];
	struct list day[FT_VANTAGE_CAP][TOP_TYPES]; /* by rising id */
	struct top_client shown[2 * TOP_CAP], chosen[2 * TOP_CAP];
};

struct client_top *client_top_create(void)
{
	return calloc(1, sizeof(struct client_top));
}

void client_top_destroy(struct client_top *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < FT_VANTAGE_CAP * TOP_TYPES; i++) {
		free(t->now[i / TOP_TYPES][i % TOP_TYPES].v);
		free(t->day[i / TOP_TYPES][i % TOP_TYPES].v);
	}
	free(t);
}

/* Best first. */
static int order(const void *left, const void *right)
{
	const struct top_client *a = left, *b = right;

	if (a->queries != b->queries)
		return a->queries > b->queries ? -1 : 1;
	return memcmp(a->id, b->id, sizeof(a->id));
}

static int order_ids(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(((const struct top_client *)left)->id));
}

static void sift_down(struct list *l)
{
	const struct top_client x = l->v[0];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < l->n && order(&l->v[child + 1], &l->v[child]) > 0)
			child++;
		if (child >= l->n || order(&l->v[child], &x) <= 0)
			break;
		l->v[at] = l->v[child];
		at = child;
	}
	l->v[at] = x;
}

static void sift_up(struct list *l, const struct top_client *x)
{
	size_t at = l->n++;

	for (; at != 0 && order(x, &l->v[(at - 1) / 2]) > 0; at = (at - 1) / 2)
		l->v[at] = l->v[(at - 1) / 2];
	l->v[at] = *x;
}

static void offer(struct list *l, const uint8_t id[16], uint64_t queries)
{
	struct top_client x = {.queries = queries, .est = (double)queries};

	if (l->n == TOP_CAP && queries < l->v[0].queries) {
		l->floor = queries > l->floor ? queries : l->floor;
		return;
	}
	memcpy(x.id, id, sizeof(x.id));
	if (l->v == NULL)
		l->v = malloc(TOP_CAP * sizeof(*l->v));
	if (l->v == NULL)
		return;
	if (l->n < TOP_CAP) {
		sift_up(l, &x);
		return;
	}
	const uint64_t out = order(&x, &l->v[0]) < 0 ? l->v[0].queries : queries;
	l->floor = out > l->floor ? out : l->floor;
	if (order(&x, &l->v[0]) < 0) {
		l->v[0] = x;
		sift_down(l);
	}
}

void client_top_add(struct client_top *t, unsigned vantage, const uint8_t id[16],
		    const uint64_t *counts)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < FT_QGROUP_CAP; i++) {
		sum += counts[i];
		if (counts[i] != 0)
			offer(&t->now[vantage][i], id, counts[i]);
	}
	if (sum != 0)
		offer(&t->now[vantage][TOP_ALL], id, sum);
}

void client_top_estimate(struct client_top *t, client_top_fn *fn, void *ctx)
{
	for (unsigned i = 0; i < FT_VANTAGE_CAP * TOP_TYPES; i++) {
		struct list *l = &t->now[i / TOP_TYPES][i % TOP_TYPES];
		for (size_t k = 0; k < l->n; k++)
			fn(ctx, i / TOP_TYPES, i % TOP_TYPES, &l->v[k]);
	}
}

const struct top_client *client_top_interval(struct client_top *t, unsigned vantage, unsigned type,
					     size_t most, size_t *n)
{
	struct list *l = &t->now[vantage][type];

	*n = l->n < most ? l->n : most;
	if (*n == 0)
		return NULL;
	select_first(l->v, l->n, sizeof(*l->v), *n, order);
	qsort(l->v, *n, sizeof(*l->v), order);
	return l->v;
}

/* Two lists by rising id into out, which has room for both; who is in one of them counts as
 * the other's floor there. The flows of a day are those of its intervals, and so are the
 * errors. */
static size_t merge(const struct list *a, const struct list *b, struct top_client *out)
{
	size_t i = 0, k = 0, n = 0;

	while (i < a->n || k < b->n) {
		const int d = i == a->n ? 1 : k == b->n ? -1 : order_ids(&a->v[i], &b->v[k]);
		struct top_client *x = &out[n++];
		*x = d <= 0 ? a->v[i] : b->v[k];
		if (d == 0) {
			x->queries += b->v[k].queries;
			x->err += b->v[k].err;
			x->est += b->v[k].est;
			x->se += b->v[k].se;
		} else {
			x->queries += d < 0 ? b->floor : a->floor;
			x->err += d < 0 ? b->floor : a->floor;
			x->est += (double)(d < 0 ? b->floor : a->floor);
		}
		i += d <= 0;
		k += d >= 0;
	}
	return n;
}

/* Leaves the first TOP_CAP of `shown`, by rising id still. Returns what the best of the
 * others has. */
static uint64_t cut(struct client_top *t, size_t n)
{
	size_t last = 0, kept = 0;

	memcpy(t->chosen, t->shown, n * sizeof(*t->shown));
	select_first(t->chosen, n, sizeof(*t->chosen), TOP_CAP, order);
	for (size_t i = 1; i < TOP_CAP; i++)
		last = order(&t->chosen[i], &t->chosen[last]) > 0 ? i : last;
	uint64_t best = 0;
	for (size_t i = TOP_CAP; i < n; i++)
		best = t->chosen[i].queries > best ? t->chosen[i].queries : best;
	for (size_t i = 0; i < n; i++)
		if (order(&t->shown[i], &t->chosen[last]) <= 0)
			t->shown[kept++] = t->shown[i];
	return best;
}

static void add_to_day(struct client_top *t, struct list *day, struct list *now)
{
	if (day->v == NULL)
		day->v = malloc(TOP_CAP * sizeof(*day->v));
	if (day->v == NULL)
		return;
	if (now->n != 0)
		qsort(now->v, now->n, sizeof(*now->v), order_ids);
	size_t n = merge(day, now, t->shown);
	uint64_t floor = day->floor + now->floor;
	if (n > TOP_CAP) {
		const uint64_t best = cut(t, n);
		floor = best > floor ? best : floor;
		n = TOP_CAP;
	}
	if (n != 0)
		memcpy(day->v, t->shown, n * sizeof(*day->v));
	day->n = n;
	day->floor = floor;
}

void client_top_close(struct client_top *t)
{
	for (unsigned i = 0; i < FT_VANTAGE_CAP * TOP_TYPES; i++) {
		struct list *now = &t->now[i / TOP_TYPES][i % TOP_TYPES];
		if (now->n != 0)
			add_to_day(t, &t->day[i / TOP_TYPES][i % TOP_TYPES], now);
		now->n = 0;
		now->floor = 0;
	}
}

const struct top_client *client_top_day(struct client_top *t, unsigned vantage, unsigned type,
					size_t *n)
{
	const struct list *l = &t->day[vantage][type];

	*n = l->n;
	if (l->n == 0)
		return NULL;
	memcpy(t->shown, l->v, l->n * sizeof(*l->v));
	qsort(t->shown, l->n, sizeof(*l->v), order);
	return t->shown;
}

void client_top_end_day(struct client_top *t)
{
	for (unsigned i = 0; i < FT_VANTAGE_CAP * TOP_TYPES; i++) {
		struct list *l = &t->day[i / TOP_TYPES][i % TOP_TYPES];
		l->n = 0;
		l->floor = 0;
	}
}

/* --- snapshots --- */

struct list_head {
	uint64_t n, floor;
};

int client_top_save(const struct client_top *t, state_write_fn *write, void *ctx)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < FT_VANTAGE_CAP * TOP_TYPES; i++) {
		const struct list *l = &t->day[i / TOP_TYPES][i % TOP_TYPES];
		const struct list_head h = {l->n, l->floor};
		result = write(ctx, &h, sizeof(h));
		if (result == 0 && l->n != 0)
			result = write(ctx, l->v, l->n * sizeof(*l->v));
	}
	return result;
}

static int load_list(struct list *l, state_read_fn *read, void *ctx)
{
	struct list_head h;
	int result = read(ctx, &h, sizeof(h));

	if (result != 0 || h.n == 0)
		return result;
	if (h.n > TOP_CAP)
		return -EBADMSG;
	if (l->v == NULL)
		l->v = malloc(TOP_CAP * sizeof(*l->v));
	if (l->v == NULL)
		return -ENOMEM;
	result = read(ctx, l->v, h.n * sizeof(*l->v));
	for (size_t i = 1; result == 0 && i < h.n; i++)
		if (order_ids(&l->v[i - 1], &l->v[i]) >= 0)
			result = -EBADMSG;
	for (size_t i = 0; result == 0 && i < h.n; i++)
		if (!isfinite(l->v[i].est) || !isfinite(l->v[i].se))
			result = -EBADMSG;
	l->n = result == 0 ? h.n : 0;
	l->floor = h.floor;
	return result;
}

int client_top_load(struct client_top *t, state_read_fn *read, void *ctx)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < FT_VANTAGE_CAP * TOP_TYPES; i++)
		result = load_list(&t->day[i / TOP_TYPES][i % TOP_TYPES], read, ctx);
	return result;
}

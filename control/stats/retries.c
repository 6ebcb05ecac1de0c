/* SPDX-License-Identifier: BSD-3-Clause */
#include "retries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPEN 16u /* queries of a group that are remembered, as in dataplane/retry.h */

struct query {
	struct ft_server_asked a;
	uint64_t first_us; /* of the queries that it stands in a row with */
	bool old;          /* of an earlier interval */
};

struct list {
	size_t n, room;
	struct query *v;
};

struct row {
	struct stat_row head;
	struct list list;
	uint32_t level;
};

struct retries {
	size_t cap;
	struct stat_row *rows;
	struct list kept; /* of rows that are closed */
};

struct retries *retries_create(size_t cap)
{
	struct retries *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->cap = cap;
	return r;
}

void retries_destroy(struct retries *r)
{
	struct row *row;

	if (r == NULL)
		return;
	while ((row = rows_pop(&r->rows)) != NULL) {
		free(row->list.v);
		free(row);
	}
	free(r->kept.v);
	free(r);
}

static int put(struct list *l, const struct query *q)
{
	if (l->n == l->room) {
		const size_t room = l->room != 0 ? 2 * l->room : 1024;
		struct query *v = realloc(l->v, room * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = *q;
	return 0;
}

static bool takes(uint32_t level, uint64_t group)
{
	return level == 0 || group >> (64 - level) == 0;
}

static void thin(struct list *l, uint32_t level)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		if (takes(level, l->v[i].a.group))
			l->v[n++] = l->v[i];
	l->n = n;
}

int retries_add(struct retries *r, uint64_t row, const struct ft_server_asked *a)
{
	struct row *w = rows_get(&r->rows, row, sizeof(*w));
	const struct query q = {.a = *a, .first_us = a->begin_us};

	if (w == NULL)
		return -ENOMEM;
	while (w->list.n >= r->cap && w->level < 32)
		thin(&w->list, ++w->level);
	return takes(w->level, a->group) ? put(&w->list, &q) : 0;
}

uint64_t retries_first_row(const struct retries *r)
{
	return rows_first(r->rows);
}

static int compare(const void *left, const void *right)
{
	const struct ft_server_asked *a = left, *b = right; /* first in struct query */

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	if (a->begin_us != b->begin_us)
		return a->begin_us < b->begin_us ? -1 : 1;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* Queries of one group that are not answered, in order. */
struct open {
	const struct query *q[OPEN];
	size_t n;
};

/* The one that a query is a retry of: the latest before it that was not answered by then,
 * of equal times the one with the greatest server. */
static const struct query *find(struct open *o, const struct query *q)
{
	const struct query *best = NULL;
	size_t n = 0;

	if (o->n != 0 && o->q[0]->a.group != q->a.group)
		o->n = 0;
	for (size_t i = 0; i < o->n; i++) {
		const struct query *b = o->q[i];
		if (b->a.end_us <= q->a.begin_us ||
		    q->a.begin_us - b->a.begin_us > FT_SERVER_RETRY_US)
			continue;
		o->q[n++] = b;
		if (b->a.begin_us < q->a.begin_us)
			best = b;
	}
	o->n = n;
	return best;
}

static void keep_rest(struct retries *r, const struct list *l, uint64_t end_us)
{
	r->kept.n = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct query q = l->v[i];
		q.old = true;
		if (q.a.end_us > end_us && q.a.begin_us + FT_SERVER_RETRY_US > end_us)
			(void)put(&r->kept, &q); /* without memory a retry is not seen */
	}
}

uint32_t retries_join(struct retries *r, uint64_t row, uint64_t end_us, retries_fn fn, void *ctx)
{
	struct row *w = rows_find(r->rows, row);
	struct list none = {0}, *l = w != NULL ? &w->list : &none;
	const uint32_t level = w != NULL ? w->level : 0;
	struct open open = {.n = 0};

	for (size_t i = 0; i < r->kept.n; i++)
		(void)put(l, &r->kept.v[i]);
	if (l->n != 0)
		qsort(l->v, l->n, sizeof(*l->v), compare);
	for (size_t i = 0; i < l->n; i++) {
		struct query *q = &l->v[i];
		const struct query *left = find(&open, q);
		if (open.n < OPEN)
			open.q[open.n++] = q;
		if (left == NULL || q->old)
			continue;
		q->first_us = left->first_us;
		fn(ctx, &left->a, memcmp(left->a.addr, q->a.addr, sizeof(q->a.addr)) == 0,
		   q->a.begin_us - left->first_us);
	}
	keep_rest(r, l, end_us);
	free(l->v);
	if (rows_is_first(r->rows, row))
		free(rows_pop(&r->rows));
	return level;
}

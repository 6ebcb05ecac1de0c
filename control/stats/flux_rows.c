/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_rows.h"

#include "rrsets.h"

#include <errno.h>
#include <stdlib.h>

/* Keys of owners are hashes: by their top bits they fall into buckets of one or two. */
#define BUCKET_BITS_CAP 20u

static uint32_t *bucket_of(const struct flux_rows *r, const struct ft_rrset *x)
{
	return &r->bucket[r->bits != 0 ? x->owner_key >> (64 - r->bits) : 0];
}

static void count(void *ctx, const struct ft_rrset *x)
{
	struct flux_rows *r = ctx;

	if (r->wanted != NULL && !r->wanted(r->ctx, x))
		return;
	r->n++;
	++*bucket_of(r, x);
}

/* Into the next place of its bucket. */
static void take(void *ctx, const struct ft_rrset *x)
{
	struct flux_rows *r = ctx;

	if (r->wanted == NULL || r->wanted(r->ctx, x))
		r->v[(*bucket_of(r, x))++] = *x;
}

static int compare(const void *a, const void *b)
{
	const struct ft_rrset *x = a, *y = b;

	if (x->owner_key != y->owner_key)
		return x->owner_key < y->owner_key ? -1 : 1;
	if ((x->what & FT_RRSET_KEY) != (y->what & FT_RRSET_KEY))
		return (x->what & FT_RRSET_KEY) < (y->what & FT_RRSET_KEY) ? -1 : 1;
	if (x->view != y->view)
		return x->view < y->view ? -1 : 1;
	if (x->minute != y->minute)
		return x->minute < y->minute ? -1 : 1;
	return (x->set_key > y->set_key) - (x->set_key < y->set_key);
}

static int make_buckets(struct flux_rows *r, size_t items)
{
	r->bits = 0;
	while (r->bits < BUCKET_BITS_CAP && items >> (r->bits + 1) != 0)
		r->bits++;
	free(r->bucket);
	r->bucket = calloc((size_t)1 << r->bits, sizeof(*r->bucket));
	return r->bucket != NULL ? 0 : -ENOMEM;
}

static int make_room(struct flux_rows *r)
{
	if (r->n <= r->room)
		return 0;
	struct ft_rrset *more = realloc(r->v, r->n * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	r->v = more;
	r->room = r->n;
	return 0;
}

/* Few stand in one: they are put in order by hand. */
static void sort_bucket(struct ft_rrset *v, size_t n)
{
	if (n > 32) {
		qsort(v, n, sizeof(*v), compare);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		const struct ft_rrset x = v[i];
		size_t at = i;
		for (; at > 0 && compare(&v[at - 1], &x) > 0; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
}

int flux_rows_read(struct flux_rows *r, const struct stat_parts *rrsets, uint32_t kinds,
		   bool (*wanted)(void *ctx, const struct ft_rrset *x), void *ctx)
{
	size_t sum = 0;

	r->n = 0;
	r->wanted = wanted;
	r->ctx = ctx;
	if ((rrsets_kinds(rrsets) & kinds) == 0)
		return 0;
	if (make_buckets(r, rrsets_totals_get(rrsets).kept) != 0)
		return -ENOMEM;
	rrsets_each(rrsets, kinds, count, r);
	if (make_room(r) != 0) {
		r->n = 0;
		return -ENOMEM;
	}
	for (size_t i = 0; i < (size_t)1 << r->bits; i++) {
		const uint32_t n = r->bucket[i];
		r->bucket[i] = (uint32_t)sum;
		sum += n;
	}
	rrsets_each(rrsets, kinds, take, r);
	/* Now each bucket's number is where it ends. */
	for (size_t i = 0, begin = 0; i < (size_t)1 << r->bits; begin = r->bucket[i++])
		sort_bucket(r->v + begin, r->bucket[i] - begin);
	return 0;
}

void flux_rows_fini(struct flux_rows *r)
{
	free(r->v);
	free(r->bucket);
	*r = (struct flux_rows){0};
}

uint8_t *flux_out_room(struct flux_out *o, size_t n)
{
	if (o->short_of_memory)
		return NULL;
	if (o->room - o->n < n) {
		size_t room = o->room == 0 ? 4096 : o->room;
		while (room - o->n < n)
			room *= 2;
		uint8_t *more = realloc(o->p, room);
		if (more == NULL) {
			o->short_of_memory = true;
			return NULL;
		}
		o->p = more;
		o->room = room;
	}
	return o->p + o->n;
}

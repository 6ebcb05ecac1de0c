/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_rows.h"

#include "rrsets.h"

#include <errno.h>
#include <stdlib.h>

static void take(void *ctx, const struct ft_rrset *x)
{
	struct flux_rows *r = ctx;

	if (r->short_of_memory || !r->wanted(r->ctx, x))
		return;
	if (r->n == r->room) {
		const size_t room = r->room == 0 ? 1024 : r->room * 2;
		struct ft_rrset *more = realloc(r->v, room * sizeof(*more));
		if (more == NULL) {
			r->short_of_memory = true;
			return;
		}
		r->v = more;
		r->room = room;
	}
	r->v[r->n++] = *x;
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

int flux_rows_read(struct flux_rows *r, const void *rrsets, uint64_t row,
		   bool (*wanted)(void *ctx, const struct ft_rrset *x), void *ctx)
{
	r->n = 0;
	r->short_of_memory = false;
	r->wanted = wanted;
	r->ctx = ctx;
	if (rrsets != NULL)
		rrsets_each(rrsets, row, take, r);
	if (r->n != 0)
		qsort(r->v, r->n, sizeof(*r->v), compare);
	return r->short_of_memory ? -ENOMEM : 0;
}

void flux_rows_fini(struct flux_rows *r)
{
	free(r->v);
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

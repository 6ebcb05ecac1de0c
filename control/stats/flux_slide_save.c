/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_slide.h"

#include <fluxtap/dns.h>

#include <errno.h>
#include <string.h>

#define MAGIC 0x31534658u /* "XFS1" */
#define VERSION 1u
#define OWNER_END 0u /* what stands in front of an owner: this is behind the last */
#define OWNER_PLAIN 1u
#define OWNER_FULL 2u /* with its views behind it */

/* Little-endian machines alone, as blocks are. */
struct head {
	uint32_t magic, version, day, ids;
};

struct owner_image {
	uint64_t key, target; /* of one with more: hash of the domain of its targets */
	uint16_t view[OWNER_VIEWS], count;
	uint32_t vantage, kind, views, until, changed_s, domains;
};

static void put_owner(void *ctx, const struct owner *o)
{
	const struct slide_more *m = flux_is_more(o) ? slide_more_of(o) : NULL;
	struct owner_image x = {
	    .key = owners_key(o),
	    .target = o->target,
	    .count = o->count,
	    .vantage = (uint32_t)o->vantage,
	    .kind = OWNER_PLAIN,
	};

	memcpy(x.view, o->view, sizeof(x.view));
	if (m == NULL) {
		state_put(ctx, &x, sizeof(x));
		return;
	}
	x.kind = OWNER_FULL;
	x.target = m->domain;
	x.views = m->views;
	x.until = m->until;
	x.changed_s = m->changed_s;
	x.domains = m->domains;
	state_put(ctx, &x, sizeof(x));
	state_put(ctx, m->view, m->views * sizeof(*m->view));
}

int flux_slide_save(const struct flux_slide *l, state_write_fn *write, void *ctx)
{
	struct state_out out = {write, ctx, 0};
	const struct owner_image end = {.kind = OWNER_END};
	const struct head h = {MAGIC, VERSION, l->day, l->ids.n};

	state_put(&out, &h, sizeof(h));
	state_put(&out, l->ids.view, l->ids.n * sizeof(*l->ids.view));
	owners_each(&l->table, put_owner, &out);
	state_put(&out, &end, sizeof(end));
	return out.result;
}

/* --- reading: nothing is believed, and no more is taken than has come --- */

struct in {
	state_read_fn *read;
	void *ctx;
	struct flux_slide *l;
};

static bool view_is_sound(const struct flux_slide *l, const struct slide_view *v)
{
	const uint32_t end_s = (l->day + 1) * LAY_DAY_S;

	if (v->last == 0 || v->day > l->day || v->changed[LAY_FLUX - 1] >= end_s)
		return false;
	for (unsigned i = 1; i < LAY_FLUX; i++)
		if (v->changed[i - 1] > v->changed[i])
			return false;
	return true;
}

static int get_more(struct in *in, struct owner *o, const struct owner_image *x)
{
	struct slide_view view;
	struct slide_more *m = slide_more_create(in->l, o);

	if (m == NULL)
		return -ENOMEM;
	m->domain = x->target;
	m->domains = (uint8_t)x->domains;
	m->until = x->until;
	m->changed_s = x->changed_s;
	for (uint32_t i = 0; i < x->views; i++) {
		const int result = in->read(in->ctx, &view, sizeof(view));
		if (result != 0)
			return result;
		if (!view_is_sound(in->l, &view) || slide_more_view(m, view.key) != NULL)
			return -EBADMSG;
		struct slide_view *v = slide_more_add_view(in->l, m, view.key);
		if (v == NULL)
			return -ENOMEM;
		*v = view;
	}
	return 0;
}

static bool owner_is_sound(const struct flux_slide *l, const struct owner_image *x)
{
	const uint32_t end_s = (l->day + 1) * LAY_DAY_S;
	unsigned n = 0;

	if (x->kind > OWNER_FULL || x->vantage >= FT_VANTAGE_CAP || x->key == 0)
		return false;
	if (x->kind == OWNER_FULL)
		return x->view[0] == OWNER_MORE && x->views != 0 && x->views <= FLUX_VIEWS &&
		       x->until < end_s + SLIDE_S && x->changed_s < end_s &&
		       x->domains <= FLUX_DOMAIN_MANY;
	while (n < OWNER_VIEWS && x->view[n] != 0)
		if (x->view[n++] > l->ids.n)
			return false;
	for (unsigned i = n; i < OWNER_VIEWS; i++)
		if (x->view[i] != 0)
			return false;
	return n != 0 && x->count >> n == 0 && x->target != 0;
}

/* 1: there was another one; 0: it was the end. */
static int get_owner(struct in *in)
{
	struct owner_image x;
	bool fresh;
	const int result = in->read(in->ctx, &x, sizeof(x));

	if (result != 0)
		return result;
	if (x.kind == OWNER_END)
		return 0;
	if (!owner_is_sound(in->l, &x))
		return -EBADMSG;
	struct owner *o = owners_get(&in->l->table, x.key, x.vantage, &fresh);
	if (o == NULL)
		return -ENOMEM;
	if (!fresh)
		return -EBADMSG;
	if (x.kind == OWNER_FULL) {
		const int more = get_more(in, o, &x);
		return more != 0 ? more : 1;
	}
	o->target = x.target;
	o->count = x.count;
	memcpy(o->view, x.view, sizeof(o->view));
	return 1;
}

int flux_slide_load(struct flux_slide *l, state_read_fn *read, void *ctx)
{
	struct in in = {read, ctx, l};
	struct head h;
	int result = read(ctx, &h, sizeof(h));

	if (result != 0)
		return result;
	if (h.magic != MAGIC || h.version != VERSION || h.ids > OWNER_VIEW_IDS ||
	    h.day > UINT32_MAX / LAY_DAY_S - 3)
		return -EBADMSG;
	l->day = h.day;
	result = flux_ids_load(&l->ids, h.ids, read, ctx);
	for (int more = 1; result == 0 && more == 1;) {
		more = get_owner(&in);
		result = more < 0 ? more : 0;
	}
	if (result != 0)
		flux_slide_reset(l);
	return result;
}

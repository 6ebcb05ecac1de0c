/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_cname_state.h"
#include "flux_slide.h"

#include <fluxtap/varint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x31434658u /* "XFC1" */
#define VERSION 1u
#define VERSION_SLIDING 2u /* with the state of flux_slide behind it */
#define OWNER_END 0u       /* what stands in front of an owner: this is behind the last */
#define OWNER_PLAIN 1u
#define OWNER_FULL 2u /* with more behind it */

/* Little-endian machines alone, as blocks are. */
struct head {
	uint32_t magic, version;
	uint64_t day, loss_ppm, left_out, dropped;
	uint32_t shift, ids;
};

struct owner_image {
	uint64_t key, target;
	uint32_t first, last, ttl_min, ttl_max;
	uint16_t view[OWNER_VIEWS], count;
	uint32_t vantage, kind;
};

struct more_image {
	uint64_t last, domain;
	uint32_t trans, vtrans, multi, onset_s;
	uint32_t targets, views, seen_n, names;
	uint32_t owner_len;
	uint8_t domains, onset, has_seen, pad;
};

/* --- writing --- */

static void put_more(struct state_out *out, const struct flux_more *m)
{
	const struct flux_names *names = m->names;
	const struct more_image x = {
	    .last = m->last,
	    .domain = m->domain,
	    .trans = m->trans,
	    .vtrans = m->vtrans,
	    .multi = m->multi,
	    .onset_s = m->onset_s,
	    .targets = m->targets,
	    .views = m->views,
	    .seen_n = m->seen_n,
	    .names = names != NULL ? names->n : 0,
	    .owner_len = names != NULL ? names->owner_len : 0,
	    .domains = m->domains,
	    .onset = m->onset,
	    .has_seen = m->seen != NULL,
	};

	state_put(out, &x, sizeof(x));
	for (uint32_t i = 0; i < m->target_cap; i++)
		if (m->target[i].key != 0)
			state_put(out, &m->target[i], sizeof(m->target[i]));
	state_put(out, m->view, m->views * sizeof(*m->view));
	state_put(out, m->seen, m->seen_n * sizeof(*m->seen));
	for (uint32_t i = 0; i < x.names; i++) {
		state_put(out, &names->target[i].key, sizeof(names->target[i].key));
		state_put(out, &names->target[i].len, sizeof(names->target[i].len));
		state_put(out, names->target[i].wire, names->target[i].len);
	}
	if (x.owner_len != 0)
		state_put(out, names->owner, x.owner_len);
}

static void put_owner(void *ctx, const struct owner *o)
{
	struct state_out *out = ctx;
	struct owner_image x = {
	    .key = owners_key(o),
	    .target = flux_is_more(o) ? 0 : o->target,
	    .first = (uint32_t)o->first,
	    .last = (uint32_t)o->last,
	    .ttl_min = (uint32_t)o->ttl_min,
	    .ttl_max = (uint32_t)o->ttl_max,
	    .count = o->count,
	    .vantage = (uint32_t)o->vantage,
	    .kind = flux_is_more(o) ? OWNER_FULL : OWNER_PLAIN,
	};

	memcpy(x.view, o->view, sizeof(x.view));
	state_put(out, &x, sizeof(x));
	if (flux_is_more(o))
		put_more(out, flux_more_of(o));
}

int flux_cname_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct flux_cname *s = stat;
	struct state_out out = {write, ctx, 0};
	const struct owner_image end = {.kind = OWNER_END};
	const struct head h = {
	    .magic = MAGIC,
	    .version = s->slide != NULL ? VERSION_SLIDING : VERSION,
	    .day = s->day,
	    .loss_ppm = s->loss_ppm,
	    .left_out = s->left_out,
	    .dropped = s->dropped,
	    .shift = s->shift,
	    .ids = s->ids.n,
	};

	state_put(&out, &h, sizeof(h));
	state_put(&out, s->ids.view, s->ids.n * sizeof(*s->ids.view));
	owners_each(&s->table, put_owner, &out);
	state_put(&out, &end, sizeof(end));
	if (out.result == 0 && s->slide != NULL)
		out.result = flux_slide_save(s->slide, write, ctx);
	return out.result;
}

/* --- reading: nothing is believed, and no more is taken than has come --- */

struct in {
	state_read_fn *read;
	void *ctx;
	struct flux_cname *s;
};

static int get_targets(struct in *in, struct flux_more *m, uint32_t n)
{
	struct flux_target x;

	for (uint32_t i = 0; i < n; i++) {
		const int result = in->read(in->ctx, &x, sizeof(x));
		if (result != 0)
			return result;
		if (x.key == 0 || x.first > x.last || x.last >= LAY_DAY_S)
			return -EBADMSG;
		struct flux_target *t = flux_more_target(m, x.key, &in->s->more_bytes);
		if (t == NULL)
			return -ENOMEM;
		*t = x;
	}
	return m->targets == n ? 0 : -EBADMSG;
}

static int get_views(struct in *in, struct flux_more *m, uint32_t n)
{
	struct flux_view x;

	for (uint32_t i = 0; i < n; i++) {
		const int result = in->read(in->ctx, &x, sizeof(x));
		if (result != 0)
			return result;
		if (flux_more_view(m, x.key) != NULL)
			return -EBADMSG;
		struct flux_view *v = flux_more_add_view(m, x.key, &in->s->more_bytes);
		if (v == NULL)
			return -ENOMEM;
		*v = x;
	}
	return 0;
}

static int get_seen(struct in *in, struct flux_more *m, const struct more_image *x)
{
	int result = 0;

	if (!x->has_seen)
		return x->seen_n == 0 ? 0 : -EBADMSG;
	result = flux_more_begin_seen(m, &in->s->more_bytes);
	if (result == 0)
		result = in->read(in->ctx, m->seen, x->seen_n * sizeof(*m->seen));
	m->seen_n = result == 0 ? x->seen_n : 0;
	for (uint32_t i = 1; i < m->seen_n; i++)
		if (m->seen[i - 1] >= m->seen[i])
			return -EBADMSG;
	return result;
}

static int get_wire(struct in *in, uint8_t *out, uint32_t len)
{
	const int result = len <= FT_NAME_CAP ? in->read(in->ctx, out, len) : -EBADMSG;

	return result != 0 || ft_name_is_whole(out, len) ? result : -EBADMSG;
}

static int get_names(struct in *in, struct flux_more *m, const struct more_image *x)
{
	uint8_t wire[FT_NAME_CAP];
	uint64_t key;
	uint32_t len;
	int result = 0;

	for (uint32_t i = 0; i < x->names && result == 0; i++) {
		result = in->read(in->ctx, &key, sizeof(key));
		if (result == 0)
			result = in->read(in->ctx, &len, sizeof(len));
		if (result == 0)
			result = get_wire(in, wire, len);
		if (result == 0 && flux_more_name(m, key) != NULL)
			result = -EBADMSG;
		if (result == 0)
			result = flux_more_name_target(m, key, wire, len, &in->s->more_bytes);
	}
	if (result == 0 && x->owner_len != 0) {
		result = get_wire(in, wire, x->owner_len);
		if (result == 0)
			result = flux_more_name_owner(m, wire, x->owner_len, &in->s->more_bytes);
	}
	return result;
}

static int get_more(struct in *in, struct owner *o)
{
	struct more_image x;
	int result = in->read(in->ctx, &x, sizeof(x));

	if (result != 0)
		return result;
	if (x.views > FLUX_VIEWS || x.seen_n > FLUX_SEEN || x.names > FLUX_TOP || x.onset > 1 ||
	    x.has_seen > 1 || x.domains > FLUX_DOMAIN_MANY || x.onset_s >= LAY_DAY_S)
		return -EBADMSG;
	struct flux_more *m = flux_more_create(&in->s->more_bytes);
	if (m == NULL)
		return -ENOMEM;
	o->target = (uint64_t)(uintptr_t)m; /* from here on it goes with the owner */
	o->view[0] = OWNER_MORE;
	m->last = x.last;
	m->domain = x.domain;
	m->trans = x.trans;
	m->vtrans = x.vtrans;
	m->multi = x.multi;
	m->onset_s = x.onset_s;
	m->domains = x.domains;
	m->onset = x.onset != 0;
	result = get_targets(in, m, x.targets);
	if (result == 0)
		result = get_views(in, m, x.views);
	if (result == 0)
		result = get_seen(in, m, &x);
	if (result == 0)
		result = get_names(in, m, &x);
	return result;
}

static bool owner_is_sound(const struct flux_cname *s, const struct owner_image *x)
{
	bool ended = false;

	if (x->kind > OWNER_FULL || x->vantage >= FT_VANTAGE_CAP || x->key == 0 ||
	    x->first > x->last || x->last >= LAY_DAY_S || x->ttl_min > x->ttl_max ||
	    x->ttl_max > FLUX_TTL_CAP || !owners_stays(x->key, s->shift))
		return false;
	if (x->kind == OWNER_FULL)
		return x->view[0] == OWNER_MORE;
	if (x->view[0] == OWNER_BLOCKED)
		return true;
	for (unsigned i = 0; i < OWNER_VIEWS; i++) {
		if (x->view[i] > s->ids.n || (ended && x->view[i] != 0))
			return false;
		ended |= x->view[i] == 0;
	}
	return true;
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
	if (!owner_is_sound(in->s, &x))
		return -EBADMSG;
	struct owner *o = owners_get(&in->s->table, x.key, x.vantage, &fresh);
	if (o == NULL)
		return -ENOMEM;
	if (!fresh)
		return -EBADMSG;
	o->first = x.first & 0x1ffff;
	o->last = x.last & 0x1ffff;
	o->ttl_min = x.ttl_min & 0x3fff;
	o->ttl_max = x.ttl_max & 0x3fff;
	o->count = x.count;
	if (x.kind == OWNER_FULL) {
		const int more = get_more(in, o);
		return more != 0 ? more : 1;
	}
	o->target = x.target;
	memcpy(o->view, x.view, sizeof(o->view));
	return 1;
}

/* Where the option is off now, what it left is read and forgotten. */
static int get_slide(const struct in *in)
{
	struct flux_slide *l = in->s->slide != NULL ? in->s->slide : flux_slide_create();

	if (l == NULL)
		return -ENOMEM;
	const int result = flux_slide_load(l, in->read, in->ctx);
	if (l != in->s->slide)
		flux_slide_destroy(l);
	return result;
}

int flux_cname_load(void *stat, state_read_fn *read, void *ctx)
{
	struct in in = {read, ctx, stat};
	struct flux_cname *s = stat;
	struct head h;
	int result = read(ctx, &h, sizeof(h));

	if (result != 0)
		return result;
	if (h.magic != MAGIC || (h.version != VERSION && h.version != VERSION_SLIDING) ||
	    h.shift > 63 || h.ids > OWNER_VIEW_IDS || h.loss_ppm > 1000000 ||
	    (h.day != UINT64_MAX && h.day > UINT32_MAX / LAY_DAY_S))
		return -EBADMSG;
	s->shift = h.shift;
	result = flux_ids_load(&s->ids, h.ids, read, ctx);
	for (int more = 1; result == 0 && more == 1;) {
		more = get_owner(&in);
		result = more < 0 ? more : 0;
	}
	if (result == 0 && h.version == VERSION_SLIDING)
		result = get_slide(&in);
	if (result != 0) {
		flux_cname_reset(s);
		flux_slide_reset(s->slide);
		return result;
	}
	s->day = h.day;
	s->loss_ppm = h.loss_ppm;
	s->left_out = h.left_out;
	s->dropped = h.dropped;
	return 0;
}

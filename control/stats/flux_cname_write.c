/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_cname_state.h"
#include "flux_slide.h"

#include "../envelope.h"
#include "../field.h"

#include <fluxtap/dns.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double share(const struct flux_cname *s)
{
	return ldexp(1, -(int)s->shift);
}

static const char *class_of(const struct flux_more *m)
{
	if (m->vtrans < LAY_FLUX)
		return "GEO";
	return m->domains == FLUX_DOMAIN_ONE ? "LB" : "FLUX";
}

static json_t *targets_json(const struct flux_more *m, uint64_t day_s)
{
	struct flux_top top[FLUX_TOP + 1];
	const unsigned n = flux_more_top(m, NULL, NULL, top);
	json_t *a = json_array();

	for (unsigned i = 0; i < n; i++) {
		json_t *t = json_object();
		field_name(t, "name", top[i].wire, top[i].len);
		field_count(t, "count", top[i].target->count);
		field_count(t, "first", day_s + top[i].target->first);
		field_count(t, "last", day_s + top[i].target->last);
		json_array_append_new(a, t);
	}
	return a;
}

/* at_s: of an onset, the second of the day in which it came; else LAY_NEVER. */
static void write_owner(const struct flux_cname *s, const struct owner *o, uint64_t start_s,
			uint64_t end_s, uint32_t at_s)
{
	const struct flux_more *m = flux_more_of(o);
	const struct flux_names *names = m->names;
	const uint64_t day_s = s->day * LAY_DAY_S;
	const bool is_onset = at_s != LAY_NEVER;
	json_t *r = envelope_create("flux", s->run->probe, ft_vantage_texts[o->vantage], start_s,
				    end_s, share(s), is_onset ? s->in->loss_ppm : s->loss_ppm);

	json_object_set_new(r, "kind", json_string("cname"));
	field_name(r, "owner", names != NULL ? names->owner : NULL,
		   names != NULL ? names->owner_len : 0);
	json_object_set_new(r, "class", json_string(class_of(m)));
	if (is_onset) {
		json_object_set_new(r, "state", json_string("onset"));
		field_count(r, "at_us", (day_s + at_s) * 1000000);
	}
	field_count(r, "trans", m->trans);
	field_count(r, "vtrans", m->vtrans);
	field_count(r, "views", flux_more_views(m));
	field_count(r, "targets", m->targets);
	field_count(r, "multi_cname", m->multi);
	field_count(r, "ttl_min", o->ttl_min);
	field_count(r, "ttl_max", o->ttl_max);
	field_count(r, "first_us", (day_s + o->first) * 1000000);
	field_count(r, "last_us", (day_s + o->last) * 1000000);
	json_object_set_new(r, "top_targets", targets_json(m, day_s));
	if (!is_onset && state_gap_of(s->run->gap, s->day) != 0)
		field_count(r, "gap_s", state_gap_of(s->run->gap, s->day));
	s->run->write(s->run->ctx, "flux", start_s, r);
}

static int order_owners(const void *left, const void *right)
{
	const struct owner *a = left, *b = right;
	const struct flux_names *x = flux_more_of(a)->names, *y = flux_more_of(b)->names;

	if (a->vantage != b->vantage)
		return a->vantage < b->vantage ? -1 : 1;
	if (x == NULL || y == NULL || x->owner == NULL || y->owner == NULL)
		return (x != NULL && x->owner != NULL) - (y != NULL && y->owner != NULL);
	const uint32_t n = x->owner_len < y->owner_len ? x->owner_len : y->owner_len;
	const int d = memcmp(x->owner, y->owner, n);
	return d != 0 ? d : (x->owner_len > y->owner_len) - (x->owner_len < y->owner_len);
}

void flux_cname_write_onsets(struct flux_cname *s)
{
	if (s->onsets.n != 0)
		qsort(s->onsets.v, s->onsets.n, sizeof(*s->onsets.v), order_owners);
	for (size_t i = 0; i < s->onsets.n; i++)
		write_owner(s, &s->onsets.v[i], s->in->start_s, s->in->end_s,
			    flux_more_of(&s->onsets.v[i])->onset_s);
	s->onsets.n = 0;
}

static int order_sliding(const void *left, const void *right)
{
	const struct slide_onset *a = left, *b = right;

	if (a->vantage != b->vantage)
		return a->vantage < b->vantage ? -1 : 1;
	if (a->span.from != b->span.from)
		return a->span.from < b->span.from ? -1 : 1;
	if (a->name == NULL || b->name == NULL)
		return (a->name != NULL) - (b->name != NULL);
	const int d =
	    memcmp(a->name, b->name, a->name_len < b->name_len ? a->name_len : b->name_len);
	return d != 0 ? d : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

void flux_cname_write_sliding(struct flux_cname *s)
{
	struct flux_slide *l = s->slide;

	if (l->onsets != 0)
		qsort(l->onset, l->onsets, sizeof(*l->onset), order_sliding);
	for (size_t i = 0; i < l->onsets; i++) {
		const struct slide_onset *x = &l->onset[i];
		json_t *r =
		    envelope_create("flux", s->run->probe, ft_vantage_texts[x->vantage],
				    s->in->start_s, s->in->end_s, share(s), s->in->loss_ppm);
		json_object_set_new(r, "kind", json_string("cname"));
		field_name(r, "owner", x->name, x->name_len);
		json_object_set_new(r, "class", json_string(x->one_domain ? "LB" : "FLUX"));
		json_object_set_new(r, "state", json_string("onset"));
		json_object_set_new(r, "window", json_string("sliding"));
		field_count(r, "at_us", x->span.from * 1000000ull);
		field_count(r, "since_us", x->span.since * 1000000ull);
		field_count(r, "views", x->views);
		s->run->write(s->run->ctx, "flux", s->in->start_s, r);
	}
	l->onsets = 0;
}

struct day {
	struct flux_list due;
	uint64_t owners, fluxers, lost;
};

static void take_owner(void *ctx, const struct owner *o)
{
	struct day *d = ctx;

	d->owners += o->view[0] != OWNER_BLOCKED;
	if (!flux_is_more(o))
		return;
	const struct flux_more *m = flux_more_of(o);
	d->fluxers += m->vtrans >= LAY_FLUX;
	/* A view alone cannot change more often than all together, but in seconds with
	 * several sets, where the order may differ. */
	if ((m->trans >= LAY_FLUX || m->vtrans >= LAY_FLUX) && !flux_list_add(&d->due, o))
		d->lost++;
}

/* What the budget left out, and how many there would have been. */
static void write_all(const struct flux_cname *s, const struct day *d)
{
	const uint64_t day_s = s->day * LAY_DAY_S;
	const double p = share(s);
	json_t *r =
	    envelope_create("flux", s->run->probe, "ALL", day_s, day_s + LAY_DAY_S, p, s->loss_ppm);

	json_object_set_new(r, "kind", json_string("cname"));
	json_object_set_new(r, "owner", json_string("ALL"));
	field_count(r, "owners", d->owners);
	field_count(r, "dropped_owners", s->dropped);
	field_count(r, "left_out", s->left_out);
	field_count(r, "lost_records", d->lost);
	field_count(r, "fluxers", d->fluxers);
	field_count(r, "est_fluxers", (uint64_t)llround((double)d->fluxers / p));
	field_count(r, "se_fluxers", (uint64_t)llround(sqrt((double)d->fluxers * (1 - p)) / p));
	s->run->write(s->run->ctx, "flux", day_s, r);
}

void flux_cname_write_day(struct flux_cname *s)
{
	const uint64_t day_s = s->day * LAY_DAY_S;
	struct day d = {0};

	owners_each(&s->table, take_owner, &d);
	if (d.due.n != 0)
		qsort(d.due.v, d.due.n, sizeof(*d.due.v), order_owners);
	for (size_t i = 0; i < d.due.n; i++)
		write_owner(s, &d.due.v[i], day_s, day_s + LAY_DAY_S, LAY_NEVER);
	if (s->shift != 0 || s->left_out != 0 || d.lost != 0 || s->short_of_memory)
		write_all(s, &d);
	s->short_of_memory = false;
	free(d.due.v);
}

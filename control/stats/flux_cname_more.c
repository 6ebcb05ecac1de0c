/* SPDX-License-Identifier: BSD-3-Clause */
/* An interval's observations of an owner that changes its target. */
#include "flux_cname_state.h"
#include "rrsets.h"

#include "../../dataplane/name.h"
#include "../../dataplane/psl.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN_SEED 1u /* tells domains of one owner apart, no secret needed */

void flux_add_times(struct owner *o, bool fresh, const struct flux_seen *x)
{
	const uint32_t first = x->at + (uint32_t)__builtin_ctzll(x->seconds);
	const uint32_t last = x->at + 63 - (uint32_t)__builtin_clzll(x->seconds);

	if (fresh || first < o->first)
		o->first = first & 0x1ffff;
	if (fresh || last > o->last)
		o->last = last & 0x1ffff;
	if (fresh || x->ttl_min < o->ttl_min)
		o->ttl_min = x->ttl_min & 0x3fff;
	if (fresh || x->ttl_max > o->ttl_max)
		o->ttl_max = x->ttl_max & 0x3fff;
}

static int order_known(const void *left, const void *right)
{
	const struct flux_known *a = left, *b = right;

	return (a->key > b->key) - (a->key < b->key);
}

static int order_names(const void *left, const void *right)
{
	const struct flux_known *a = left, *b = right;

	if (a->wire == NULL || b->wire == NULL)
		return a->wire == b->wire ? order_known(a, b) : a->wire == NULL ? 1 : -1;
	const int d = memcmp(a->wire, b->wire, a->len < b->len ? a->len : b->len);
	return d != 0 ? d : (a->len > b->len) - (a->len < b->len);
}

struct flux_knowing flux_know(struct flux_cname *s, const struct flux_seen *x, size_t n)
{
	struct ft_rrset_text text;
	size_t sets = 0, kept = 0;

	for (size_t i = 0; i < n; i++)
		s->known[sets++] = (struct flux_known){.key = x[i].set};
	qsort(s->known, sets, sizeof(*s->known), order_known);
	for (size_t i = 0; i < sets; i++) {
		if (kept != 0 && s->known[kept - 1].key == s->known[i].key)
			continue;
		struct flux_known *k = &s->known[kept++];
		*k = (struct flux_known){.key = s->known[i].key};
		if (!rrsets_text_get(s->in->rrsets, x->owner, k->key, FT_RRSET_CNAME, &text) ||
		    text.texts != 1)
			continue;
		k->wire = text.rdata + 1;
		k->len = text.rdata[0];
	}
	qsort(s->known, kept, sizeof(*s->known), order_names);
	for (size_t i = 0; i < kept; i++)
		s->known[i].rank = (uint32_t)i;
	qsort(s->known, kept, sizeof(*s->known), order_known);
	return (struct flux_knowing){s->known, kept};
}

static const struct flux_known *known_get(const struct flux_knowing *k, uint64_t key)
{
	const struct flux_known asked = {.key = key};

	return bsearch(&asked, k->v, k->n, sizeof(*k->v), order_known);
}

static bool lookup(void *ctx, uint64_t key, const uint8_t **wire, uint32_t *len)
{
	const struct flux_known *k = known_get(ctx, key);

	if (k == NULL || k->wire == NULL)
		return false;
	*wire = k->wire;
	*len = k->len;
	return true;
}

void flux_note_domains(const struct flux_cname *s, uint8_t *domains, uint64_t *last,
		       const struct flux_knowing *k)
{
	for (size_t i = 0; i < k->n && s->psl != NULL && *domains != FLUX_DOMAIN_MANY; i++) {
		uint32_t suffix;
		if (k->v[i].wire == NULL)
			continue;
		const uint32_t off = psl_domain_off(s->psl, k->v[i].wire, k->v[i].len, &suffix);
		const uint64_t domain =
		    name_hash(k->v[i].wire + off, k->v[i].len - off, DOMAIN_SEED);
		if (*domains == FLUX_DOMAIN_ONE && domain != *last)
			*domains = FLUX_DOMAIN_MANY;
		else
			*domains = FLUX_DOMAIN_ONE;
		*last = domain;
	}
}

void flux_lay_seen(struct flux_cname *s, struct lay *l, const struct flux_seen *x, size_t n,
		   const struct flux_knowing *k, uint32_t begin)
{
	for (size_t i = 0; i < n;) {
		const uint32_t minute = x[i].at, at = begin + minute;
		size_t sets = 0;
		for (; i < n && x[i].at == minute; i++) {
			if (x[i].records != 1)
				continue;
			s->set[sets++] = (struct lay_set){
			    .key = x[i].set,
			    .seconds = x[i].seconds,
			    .rank = known_get(k, x[i].set)->rank,
			    /* The greatest TTL was there no sooner than the first second. */
			    .expiry = at + (uint32_t)__builtin_ctzll(x[i].seconds) + x[i].ttl_max,
			    .ttl_min = x[i].ttl_min,
			};
		}
		lay_minute(l, s->set, sets, at);
	}
}

/* One view's; the second of the crossing, or LAY_NEVER. */
static uint32_t count_view(struct flux_cname *s, struct flux_more *m, const struct flux_seen *x,
			   size_t n, const struct flux_knowing *k)
{
	struct flux_view *v = flux_more_view(m, x->view);
	uint64_t count = 0;

	if (v == NULL)
		v = flux_more_add_view(m, x->view, &s->more_bytes);
	if (v == NULL) {
		s->short_of_memory = true;
		return LAY_NEVER;
	}
	struct lay l = {
	    .last = v->last,
	    .transitions = v->vtrans,
	    .expiry = v->expiry,
	    .reached = LAY_NEVER,
	    .by_origin = x->vantage == FT_VANTAGE_S2R,
	};
	flux_lay_seen(s, &l, x, n, k, 0);
	for (size_t i = 0; i < n; i++)
		count += x[i].count;
	v->last = l.last;
	v->vtrans = l.transitions;
	m->vtrans = l.transitions > m->vtrans ? l.transitions : m->vtrans;
	v->expiry = l.expiry;
	v->count = count < UINT32_MAX - v->count ? v->count + (uint32_t)count : UINT32_MAX;
	return l.reached;
}

int flux_order_times(const void *left, const void *right)
{
	const struct flux_seen *a = left, *b = right;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return (a->set > b->set) - (a->set < b->set);
}

/* All views together: sorts the observations by time. */
static void count_mixed(struct flux_cname *s, struct flux_more *m, struct flux_seen *x, size_t n,
			const struct flux_knowing *k)
{
	struct lay l = {.last = m->last, .transitions = m->trans, .reached = LAY_NEVER};
	size_t kept = 0;

	qsort(x, n, sizeof(*x), flux_order_times);
	for (size_t i = 0; i < n; i++) {
		if (kept != 0 && x[kept - 1].at == x[i].at && x[kept - 1].set == x[i].set)
			x[kept - 1].seconds |= x[i].seconds;
		else
			x[kept++] = x[i];
	}
	flux_lay_seen(s, &l, x, kept, k, 0);
	m->last = l.last;
	m->trans = l.transitions;
}

static void count_target(struct flux_cname *s, struct flux_more *m, const struct flux_seen *x)
{
	const uint32_t first = x->at + (uint32_t)__builtin_ctzll(x->seconds);
	const uint32_t last = x->at + 63 - (uint32_t)__builtin_clzll(x->seconds);
	struct flux_target *t = flux_more_target(m, x->set, &s->more_bytes);

	if (t == NULL) {
		s->short_of_memory = true;
		return;
	}
	t->count += x->count;
	t->first = first < t->first ? first : t->first;
	t->last = last > t->last ? last : t->last;
}

static void keep_names(struct flux_cname *s, struct flux_more *m, const struct flux_seen *x,
		       struct flux_knowing *k)
{
	struct flux_top top[FLUX_TOP + 1];
	struct ft_rrset_text text;

	/* From the second change on: many owners change once. */
	if (m->trans < 2)
		return;
	const unsigned n = flux_more_top(m, lookup, k, top);
	int result = flux_more_keep_names(m, top, n, &s->more_bytes);
	for (size_t i = 0; i < k->n && result == 0 && m->names->owner == NULL; i++)
		if (rrsets_text_get(s->in->rrsets, x->owner, k->v[i].key, FT_RRSET_CNAME, &text))
			result =
			    flux_more_name_owner(m, text.owner, text.owner_len, &s->more_bytes);
	s->short_of_memory |= result != 0;
}

/* Answers with several targets break the protocol and say nothing about change: counts
 * them, and the others move to the front; how many. */
static size_t part_multi(struct flux_more *m, struct flux_seen *x, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (x[i].records == 1)
			x[kept++] = x[i];
		else if (x[i].count < UINT32_MAX - m->multi)
			m->multi += (uint32_t)x[i].count;
	}
	return kept;
}

void flux_count_more(struct flux_cname *s, struct owner *o, struct flux_seen *x, size_t all)
{
	struct flux_more *m = flux_more_of(o);
	const size_t n = part_multi(m, x, all);
	struct flux_knowing k = flux_know(s, x, n);
	uint32_t reached = LAY_NEVER;
	bool fresh = m->targets == 0;

	for (size_t i = 0; i < n; i++) {
		flux_add_times(o, fresh, &x[i]);
		count_target(s, m, &x[i]);
		fresh = false;
	}
	flux_note_domains(s, &m->domains, &m->domain, &k);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && x[end].view == x[i].view; end++)
			;
		const uint32_t at = count_view(s, m, x + i, end - i, &k);
		reached = at < reached ? at : reached;
	}
	count_mixed(s, m, x, n, &k);
	keep_names(s, m, x, &k);
	s->short_of_memory |= flux_more_cut_views(m, &s->more_bytes) != 0;
	if (reached == LAY_NEVER || m->onset)
		return;
	m->onset = true;
	m->onset_s = reached;
	s->short_of_memory |= !flux_list_add(&s->onsets, o);
}

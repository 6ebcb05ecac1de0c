/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_slide.h"
#include "rrsets.h"

#include <stdlib.h>
#include <string.h>

#define HEAP_BYTES 16u /* what each piece of memory costs beside itself */

static void destroy_more(struct flux_slide *l, const struct owner *o)
{
	struct slide_more *m = slide_more_of(o);

	if (!flux_is_more(o))
		return;
	l->more_bytes -= sizeof(*m) + HEAP_BYTES;
	if (m->view != NULL)
		l->more_bytes -= m->cap * sizeof(*m->view) + HEAP_BYTES;
	free(m->view);
	free(m);
}

static void destroy_each(void *ctx, const struct owner *o)
{
	destroy_more(ctx, o);
}

static void drop_owner(void *ctx, struct owner *o)
{
	destroy_more(ctx, o);
}

struct flux_slide *flux_slide_create(void)
{
	return calloc(1, sizeof(struct flux_slide));
}

void flux_slide_reset(struct flux_slide *l)
{
	if (l == NULL)
		return;
	owners_each(&l->table, destroy_each, l);
	owners_fini(&l->table);
	flux_ids_fini(&l->ids);
	free(l->span);
	free(l->onset);
	*l = (struct flux_slide){0};
}

void flux_slide_destroy(struct flux_slide *l)
{
	flux_slide_reset(l);
	free(l);
}

void flux_slide_forget(struct flux_slide *l, uint64_t owner, unsigned vantage)
{
	struct owner *o = owners_find(&l->table, owner, vantage);

	if (o == NULL)
		return;
	destroy_more(l, o);
	owners_remove(&l->table, o);
}

void flux_slide_thin(struct flux_slide *l, unsigned shift)
{
	size_t kept = 0;

	owners_thin(&l->table, shift, drop_owner, l);
	for (size_t i = 0; i < l->onsets; i++)
		if (owners_stays(l->onset[i].owner, shift))
			l->onset[kept++] = l->onset[i];
	l->onsets = kept;
}

/* --- views of owners that have more --- */

struct slide_more *slide_more_create(struct flux_slide *l, struct owner *o)
{
	struct slide_more *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	l->more_bytes += sizeof(*m) + HEAP_BYTES;
	o->target = (uint64_t)(uintptr_t)m;
	memset(o->view, 0, sizeof(o->view));
	o->view[0] = OWNER_MORE;
	o->count = 0;
	return m;
}

struct slide_view *slide_more_view(const struct slide_more *m, uint32_t key)
{
	for (uint32_t i = 0; i < m->views; i++)
		if (m->view[i].key == key)
			return &m->view[i];
	return NULL;
}

struct slide_view *slide_more_add_view(struct flux_slide *l, struct slide_more *m, uint32_t key)
{
	if (m->views == m->cap) {
		const uint32_t cap = m->views < 4 ? m->views + 2 : m->views + m->views / 2;
		struct slide_view *view = realloc(m->view, cap * sizeof(*view));
		if (view == NULL)
			return NULL;
		l->more_bytes += (cap - m->cap) * sizeof(*view) + (m->cap == 0 ? HEAP_BYTES : 0);
		m->view = view;
		m->cap = cap;
	}
	m->view[m->views] = (struct slide_view){.key = key};
	return &m->view[m->views++];
}

static int order_views(const void *left, const void *right)
{
	const struct slide_view *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return (a->key > b->key) - (a->key < b->key);
}

/* The busiest stay, as in the day. */
static void cut_views(struct slide_more *m)
{
	if (m->views <= FLUX_VIEWS)
		return;
	qsort(m->view, m->views, sizeof(*m->view), order_views);
	m->views = FLUX_VIEWS;
}

/* False: no memory; the owner stays as it was. */
static bool promote(struct flux_slide *l, struct owner *o)
{
	const struct owner before = *o;
	struct slide_more *m = slide_more_create(l, o);

	if (m == NULL)
		return false;
	for (unsigned i = 0; i < OWNER_VIEWS && before.view[i] != 0; i++) {
		struct slide_view *v = slide_more_add_view(l, m, l->ids.view[before.view[i] - 1]);
		if (v == NULL) {
			destroy_more(l, o);
			*o = before;
			return false;
		}
		v->last = before.target;
		v->count = 1;
		v->day = l->day - (before.count >> i & 1 ? 0 : 1);
	}
	return true;
}

/* --- a new day --- */

struct sweep {
	struct flux_slide *l;
	struct flux_ids ids; /* the views that still count, numbered anew */
	uint32_t day;
};

/* Views that were seen yesterday. */
static bool sweep_plain(struct sweep *w, struct owner *o)
{
	const struct owner before = *o;
	unsigned n = 0;

	memset(o->view, 0, sizeof(o->view));
	o->count = 0;
	for (unsigned i = 0; i < OWNER_VIEWS && before.view[i] != 0; i++) {
		if ((before.count >> i & 1) == 0 || w->day != w->l->day + 1)
			continue;
		const uint16_t id = flux_ids_get(&w->ids, w->l->ids.view[before.view[i] - 1]);
		if (id != 0) /* never so many as there were, but for want of memory */
			o->view[n++] = id;
		else
			w->l->short_of_memory = true;
	}
	return n != 0;
}

/* Whether the owner has kept one target for so long that there is no more to say. */
static bool is_plain_again(const struct sweep *w, const struct slide_more *m)
{
	if (m->views > OWNER_VIEWS || m->changed_s + SLIDE_S > w->day * LAY_DAY_S)
		return false;
	for (uint32_t i = 1; i < m->views; i++)
		if (m->view[i].last != m->view[0].last)
			return false;
	return true;
}

static bool sweep_more(struct sweep *w, struct owner *o)
{
	struct slide_more *m = slide_more_of(o);
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->views; i++) {
		m->view[i].count -= m->view[i].count / 2;
		if (m->view[i].day + 1 >= w->day)
			m->view[n++] = m->view[i];
	}
	m->views = n;
	if (n == 0) {
		destroy_more(w->l, o);
		return false;
	}
	if (!is_plain_again(w, m))
		return true;
	uint16_t id[OWNER_VIEWS] = {0};
	for (uint32_t i = 0; i < n; i++) {
		id[i] = flux_ids_get(&w->ids, m->view[i].key);
		if (id[i] == 0)
			return true;
	}
	const uint64_t target = m->view[0].last;
	destroy_more(w->l, o);
	o->target = target;
	memcpy(o->view, id, sizeof(id));
	return true;
}

static bool sweep_owner(void *ctx, struct owner *o)
{
	return flux_is_more(o) ? sweep_more(ctx, o) : sweep_plain(ctx, o);
}

void flux_slide_begin_day(struct flux_slide *l, uint32_t day)
{
	struct sweep w = {.l = l, .day = day};

	if (l->table.n != 0)
		owners_sift(&l->table, sweep_owner, &w);
	flux_ids_fini(&l->ids);
	l->ids = w.ids;
	l->day = day;
}

/* --- an interval --- */

/* Whether the owner keeps its target, or gets its only one, and has room for the views. */
static bool count_plain(struct flux_slide *l, struct owner *o, const struct flux_seen *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (x[i].records == 1 && x[i].set != o->target)
			return false;
	for (size_t i = 0; i < n; i++) {
		const uint16_t id = x[i].records == 1 ? flux_ids_get(&l->ids, x[i].view) : 0;
		unsigned at = 0;
		if (x[i].records != 1)
			continue;
		while (at < OWNER_VIEWS && o->view[at] != 0 && o->view[at] != id)
			at++;
		if (id == 0 || at == OWNER_VIEWS)
			return false;
		o->view[at] = id;
		o->count |= (uint16_t)(1u << at);
	}
	return true;
}

static void add_span(struct flux_slide *l, const struct slide_span *x)
{
	struct slide_span *last = l->spans != l->view_begin ? &l->span[l->spans - 1] : NULL;

	if (last != NULL && x->from <= last->to + 1) { /* `to` rises */
		last->to = x->to;
		return;
	}
	if (l->spans == l->span_cap) {
		const size_t cap = l->span_cap == 0 ? 64 : 2 * l->span_cap;
		struct slide_span *span = realloc(l->span, cap * sizeof(*span));
		if (span == NULL) {
			l->short_of_memory = true;
			return;
		}
		l->span = span;
		l->span_cap = cap;
	}
	l->span[l->spans++] = *x;
}

static void note_change(void *ctx, uint32_t second)
{
	struct flux_slide *l = ctx;
	uint32_t *changed = l->at->changed;

	memmove(changed, changed + 1, (LAY_FLUX - 1) * sizeof(*changed));
	changed[LAY_FLUX - 1] = second;
	if (changed[0] == 0 || second - changed[0] >= SLIDE_S)
		return;
	const struct slide_span x = {second, changed[0] + SLIDE_S - 1, changed[0]};
	add_span(l, &x);
}

static void count_view(struct flux_cname *s, struct slide_more *m, const struct flux_seen *x,
		       size_t n, const struct flux_knowing *k)
{
	struct flux_slide *l = s->slide;
	struct slide_view *v = slide_more_view(m, x->view);
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += x[i].records == 1 ? x[i].count : 0;
	if (count == 0)
		return;
	if (v == NULL)
		v = slide_more_add_view(l, m, x->view);
	if (v == NULL) {
		l->short_of_memory = true;
		return;
	}
	struct lay lay = {
	    .last = v->last,
	    .expiry = v->expiry,
	    .by_origin = x->vantage == FT_VANTAGE_S2R,
	    .changed = note_change,
	    .ctx = l,
	};
	l->at = v;
	l->view_begin = l->spans;
	flux_lay_seen(s, &lay, x, n, k, l->day * LAY_DAY_S);
	v->last = lay.last;
	v->expiry = lay.expiry;
	v->day = l->day;
	v->count = count < UINT32_MAX - v->count ? v->count + (uint32_t)count : UINT32_MAX;
	if (v->changed[LAY_FLUX - 1] > m->changed_s)
		m->changed_s = v->changed[LAY_FLUX - 1];
}

static int order_spans(const void *left, const void *right)
{
	const struct slide_span *a = left, *b = right;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return (a->since > b->since) - (a->since < b->since);
}

static void add_onset(struct flux_cname *s, const struct owner *o, const struct flux_seen *x,
		      size_t n, const struct slide_span *span)
{
	struct flux_slide *l = s->slide;
	const struct slide_more *m = slide_more_of(o);
	struct ft_rrset_text text;

	if (l->onsets == l->onset_cap) {
		const size_t cap = l->onset_cap == 0 ? 16 : 2 * l->onset_cap;
		struct slide_onset *onset = realloc(l->onset, cap * sizeof(*onset));
		if (onset == NULL) {
			l->short_of_memory = true;
			return;
		}
		l->onset = onset;
		l->onset_cap = cap;
	}
	struct slide_onset *y = &l->onset[l->onsets++];
	*y = (struct slide_onset){.owner = x->owner,
				  .span = *span,
				  .views = m->views,
				  .vantage = x->vantage,
				  .one_domain = m->domains == FLUX_DOMAIN_ONE};
	for (size_t i = 0; i < n && y->name == NULL; i++) {
		if (!rrsets_text_get(s->in->rrsets, x->owner, x[i].set, FT_RRSET_CNAME, &text))
			continue;
		y->name = text.owner;
		y->name_len = text.owner_len;
	}
}

/* The seconds of all views together: where they begin anew, there is something to tell. */
static void tell(struct flux_cname *s, const struct owner *o, const struct flux_seen *x, size_t n)
{
	struct flux_slide *l = s->slide;
	struct slide_more *m = slide_more_of(o);

	if (l->spans > 1)
		qsort(l->span, l->spans, sizeof(*l->span), order_spans);
	for (size_t i = 0; i < l->spans; i++) {
		if (m->until == 0 || l->span[i].from > m->until + 1)
			add_onset(s, o, x, n, &l->span[i]);
		m->until = l->span[i].to > m->until ? l->span[i].to : m->until;
	}
}

void flux_slide_count(struct flux_cname *s, const struct flux_seen *x, size_t n)
{
	struct flux_slide *l = s->slide;
	size_t first = 0;
	bool fresh;

	while (first < n && x[first].records != 1)
		first++;
	if (first == n)
		return;
	struct owner *o = owners_get(&l->table, x->owner, x->vantage, &fresh);
	if (o == NULL) {
		l->short_of_memory = true;
		return;
	}
	if (fresh)
		o->target = x[first].set;
	if (!flux_is_more(o) && count_plain(l, o, x, n))
		return;
	if (!flux_is_more(o) && !promote(l, o)) {
		l->short_of_memory = true;
		return;
	}
	struct slide_more *m = slide_more_of(o);
	const struct flux_knowing k = flux_know(s, x, n);
	flux_note_domains(s, &m->domains, &m->domain, &k);
	l->spans = 0;
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && x[end].view == x[i].view; end++)
			;
		count_view(s, m, x + i, end - i, &k);
	}
	tell(s, o, x, n);
	cut_views(m);
}

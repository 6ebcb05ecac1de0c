/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `flux`, kind `cname`: owners of CNAMEs that change their target many times a day.
 *
 * At each close the interval's observations are sorted by owner, vantage and view and
 * laid in order of seconds (lay.h). An owner is followed in struct owner until it
 * changes, then in struct flux_more. Over the budget the owners with the lowest keys
 * stay, as a whole: what is counted of them is exact, and the records carry the share. */
#include "flux_cname_state.h"
#include "flux_slide.h"
#include "rrsets.h"

#include "../../dataplane/psl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *flux_create(const struct stat_run *run)
{
	struct flux_cname *s = calloc(1, sizeof(*s));
	char err[256];

	if (s == NULL)
		return NULL;
	s->run = run;
	s->day = UINT64_MAX;
	s->budget = (size_t)(run->flux_mb != 0 ? run->flux_mb : FLUX_CNAME_MB) << 20;
	s->slide = run->flux_sliding ? flux_slide_create() : NULL;
	if (run->flux_sliding && s->slide == NULL) {
		free(s);
		return NULL;
	}
	s->psl = psl_create(run->psl, err, sizeof(err));
	return s;
}

static size_t bytes_of(const struct flux_cname *s)
{
	return s->table.bytes + s->more_bytes + flux_slide_bytes(s->slide);
}

void flux_cname_set_budget(void *stat, size_t bytes)
{
	((struct flux_cname *)stat)->budget = bytes;
}

struct flux_cname_totals flux_cname_totals_get(const void *stat)
{
	const struct flux_cname *s = stat;

	return (struct flux_cname_totals){.owners = s->table.n,
					  .bytes = bytes_of(s),
					  .shift = s->shift,
					  .left_out = s->left_out,
					  .dropped = s->dropped};
}

static void destroy_more(void *ctx, struct owner *o)
{
	struct flux_cname *s = ctx;

	if (flux_is_more(o))
		flux_more_destroy(flux_more_of(o), &s->more_bytes);
}

static void destroy_each(void *ctx, const struct owner *o)
{
	struct owner copy = *o;

	destroy_more(ctx, &copy);
}

void flux_cname_reset(struct flux_cname *s)
{
	owners_each(&s->table, destroy_each, s);
	owners_fini(&s->table);
	flux_ids_fini(&s->ids);
	s->day = UINT64_MAX;
	s->shift = 0;
	s->loss_ppm = s->left_out = s->dropped = 0;
}

static void flux_destroy(void *stat)
{
	struct flux_cname *s = stat;

	if (s == NULL)
		return;
	flux_cname_reset(s);
	flux_slide_destroy(s->slide);
	psl_destroy(s->psl);
	free(s->seen);
	free(s->set);
	free(s->known);
	free(s->onsets.v);
	free(s);
}

bool flux_list_add(struct flux_list *l, const struct owner *o)
{
	if (l->n == l->cap) {
		const size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		struct owner *v = realloc(l->v, cap * sizeof(*v));
		if (v == NULL)
			return false;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *o;
	return true;
}

/* --- numbers of views --- */

static uint16_t *slot_of(const struct flux_ids *d, uint32_t view)
{
	uint32_t at = (view * 0x9e3779b1u >> 8) & (d->slots - 1);

	while (d->slot[at] != 0 && d->view[d->slot[at] - 1] != view)
		at = (at + 1) & (d->slots - 1);
	return &d->slot[at];
}

static bool grow_ids(struct flux_ids *d)
{
	const uint32_t cap = d->cap == 0 ? 64 : 2 * d->cap;
	uint32_t *view = realloc(d->view, cap * sizeof(*view));

	if (view == NULL)
		return false;
	d->view = view;
	uint16_t *slot = calloc(2 * (size_t)cap, sizeof(*slot));
	if (slot == NULL)
		return false;
	free(d->slot);
	d->slot = slot;
	d->slots = 2 * cap;
	d->cap = cap;
	for (uint32_t i = 0; i < d->n; i++)
		*slot_of(d, d->view[i]) = (uint16_t)(i + 1);
	return true;
}

uint16_t flux_ids_get(struct flux_ids *d, uint32_t view)
{
	const uint16_t id = d->slots != 0 ? *slot_of(d, view) : 0;

	if (id != 0 || d->n == OWNER_VIEW_IDS || (d->n == d->cap && !grow_ids(d)))
		return id;
	d->view[d->n++] = view;
	*slot_of(d, view) = (uint16_t)d->n;
	return (uint16_t)d->n;
}

int flux_ids_load(struct flux_ids *d, uint32_t n, state_read_fn *read, void *ctx)
{
	uint32_t view;

	for (uint32_t i = 0; i < n; i++) {
		const int result = read(ctx, &view, sizeof(view));
		if (result != 0)
			return result;
		if (flux_ids_get(d, view) != i + 1) /* there already, or no memory */
			return -EBADMSG;
	}
	return 0;
}

void flux_ids_fini(struct flux_ids *d)
{
	free(d->view);
	free(d->slot);
	*d = (struct flux_ids){0};
}

/* --- owners that keep their target --- */

/* False where there is no room for the view. */
static bool add_view_id(struct owner *o, uint16_t id)
{
	for (unsigned i = 0; i < OWNER_VIEWS && id != 0; i++) {
		if (o->view[i] == 0)
			o->view[i] = id;
		if (o->view[i] == id)
			return true;
	}
	return false;
}

/* Observations that is_plain has passed. False where there is no room for a view: *done of
 * them were counted until then. */
static bool count_plain(struct flux_cname *s, struct owner *o, bool fresh,
			const struct flux_seen *x, size_t n, size_t *done)
{
	uint64_t count = o->count;

	for (*done = 0; *done < n; ++*done, ++x) {
		if (!add_view_id(o, flux_ids_get(&s->ids, x->view)))
			return false;
		count += x->count;
		o->target = x->set;
		o->count = (uint16_t)count;
		flux_add_times(o, fresh, x);
		fresh = false;
	}
	return true;
}

/* Whether the owner keeps its target, or gets its only one, and can hold the count. */
static bool is_plain(const struct owner *o, bool fresh, const struct flux_seen *x, size_t n)
{
	uint64_t count = o->count;

	for (size_t i = 0; i < n; i++) {
		count += x[i].count;
		if (x[i].records != 1 || x[i].set != (fresh ? x->set : o->target))
			return false;
	}
	return count <= UINT16_MAX;
}

/* From here on there is more to say of it. NULL: no memory. */
static struct flux_more *promote(struct flux_cname *s, struct owner *o)
{
	struct flux_more *m = flux_more_create(&s->more_bytes);

	if (m == NULL)
		return NULL;
	if (o->target != 0) {
		struct flux_target *t = flux_more_target(m, o->target, &s->more_bytes);
		if (t == NULL)
			goto undo;
		t->count = o->count;
		t->first = (uint32_t)o->first;
		t->last = (uint32_t)o->last;
	}
	for (unsigned i = 0; i < OWNER_VIEWS && o->view[i] != 0; i++) {
		struct flux_view *v =
		    flux_more_add_view(m, s->ids.view[o->view[i] - 1], &s->more_bytes);
		if (v == NULL)
			goto undo;
		v->last = o->target;
		v->count = 1;
	}
	m->last = o->target;
	o->target = (uint64_t)(uintptr_t)m;
	memset(o->view, 0, sizeof(o->view));
	o->view[0] = OWNER_MORE;
	return m;
undo:
	flux_more_destroy(m, &s->more_bytes);
	return NULL;
}

/* --- an interval --- */

static void drop_owner(void *ctx, struct owner *o)
{
	struct flux_cname *s = ctx;

	s->dropped += o->view[0] != OWNER_BLOCKED;
	destroy_more(ctx, o);
}

static void thin(struct flux_cname *s, unsigned shift)
{
	s->shift = shift;
	owners_thin(&s->table, shift, drop_owner, s);
	if (s->slide != NULL)
		flux_slide_thin(s->slide, shift);
	size_t kept = 0;
	for (size_t i = 0; i < s->onsets.n; i++)
		if (owners_stays(owners_key(&s->onsets.v[i]), shift))
			s->onsets.v[kept++] = s->onsets.v[i];
	s->onsets.n = kept;
}

static void leave_out(struct flux_cname *s, const struct flux_seen *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->left_out += x[i].count;
}

/* The observations of one owner at one vantage point. */
static void count_owner(struct flux_cname *s, struct flux_seen *x, size_t n)
{
	bool fresh, is_long = false;
	size_t done = 0;

	if (!owners_stays(x->owner, s->shift)) {
		leave_out(s, x, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		is_long |= x[i].is_mark || x[i].ttl_max > FLUX_TTL_CAP;
	struct owner *o = owners_get(&s->table, x->owner, x->vantage, &fresh);
	if (o == NULL) {
		leave_out(s, x, n);
		s->short_of_memory = true;
		return;
	}
	if (is_long || o->view[0] == OWNER_BLOCKED) {
		destroy_more(s, o);
		o->target = 0;
		o->view[0] = OWNER_BLOCKED;
		if (s->slide != NULL)
			flux_slide_forget(s->slide, x->owner, x->vantage);
		return;
	}
	if (s->slide != NULL)
		flux_slide_count(s, x, n);
	if (!flux_is_more(o) && is_plain(o, fresh, x, n) && count_plain(s, o, fresh, x, n, &done))
		return;
	x += done;
	n -= done;
	if (!flux_is_more(o) && promote(s, o) == NULL) {
		leave_out(s, x, n);
		s->short_of_memory = true;
		return;
	}
	flux_count_more(s, o, x, n);
}

static void take_seen(void *ctx, const struct ft_rrset *x)
{
	struct flux_cname *s = ctx;
	const uint32_t day_s = (uint32_t)(s->in->start_s % LAY_DAY_S);
	const uint32_t minute = day_s / 60 + x->minute;

	if (s->seen_n == s->seen_cap) {
		const size_t cap = s->seen_cap == 0 ? 1024 : 2 * s->seen_cap;
		struct flux_seen *seen = realloc(s->seen, cap * sizeof(*seen));
		if (seen != NULL)
			s->seen = seen;
		struct lay_set *set = realloc(s->set, cap * sizeof(*set));
		if (set != NULL)
			s->set = set;
		struct flux_known *known = realloc(s->known, cap * sizeof(*known));
		if (known != NULL)
			s->known = known;
		if (seen == NULL || set == NULL || known == NULL) {
			s->short_of_memory = true;
			s->left_out += x->count;
			return;
		}
		s->seen_cap = cap;
	}
	s->seen[s->seen_n++] = (struct flux_seen){
	    .owner = x->owner_key,
	    .set = x->set_key != 0 ? x->set_key : 1,
	    .seconds = x->seconds,
	    .count = x->count,
	    .view = x->view,
	    .at = (minute < LAY_DAY_S / 60 ? minute : LAY_DAY_S / 60 - 1) * 60,
	    .ttl_min = x->ttl_min,
	    .ttl_max = x->ttl_max,
	    .vantage = (x->what & FT_RRSET_VANTAGE) >> FT_RRSET_VANTAGE_SHIFT,
	    .records = x->records,
	    .is_mark = (x->what & FT_RRSET_LONG) != 0,
	};
}

static int order_seen(const void *left, const void *right)
{
	const struct flux_seen *a = left, *b = right;
	const uint64_t x = owners_place(a->owner), y = owners_place(b->owner);

	if (x != y)
		return x < y ? -1 : 1;
	if (a->vantage != b->vantage)
		return a->vantage < b->vantage ? -1 : 1;
	if (a->view != b->view)
		return a->view < b->view ? -1 : 1;
	return flux_order_times(a, b);
}

static void count_row(struct flux_cname *s)
{
	if (s->seen_n != 0)
		qsort(s->seen, s->seen_n, sizeof(*s->seen), order_seen);
	for (size_t i = 0, end; i < s->seen_n; i = end) {
		for (end = i; end < s->seen_n && s->seen[end].owner == s->seen[i].owner &&
			      s->seen[end].vantage == s->seen[i].vantage;)
			end++;
		count_owner(s, s->seen + i, end - i);
		while (bytes_of(s) > s->budget && s->table.n != 0 && s->shift < 63)
			thin(s, s->shift + 1);
	}
}

/* What did not fit the interval was not seen whole: it is out for the day. */
static void follow_interval(struct flux_cname *s)
{
	const struct rrsets_totals t = rrsets_totals_get(s->in->rrsets);
	unsigned shift = 0;

	for (double p = t.p; p > 0 && p < 1; p *= 2)
		shift++;
	shift = t.p == 0 ? 63 : shift;
	s->left_out += t.left_out_of[FT_RRSET_CNAME];
	if (shift > s->shift)
		thin(s, shift);
}

static void end_day(struct flux_cname *s)
{
	if (s->day != UINT64_MAX)
		flux_cname_write_day(s);
	flux_cname_reset(s);
}

static void flux_close(void *stat, struct stat_interval *in)
{
	struct flux_cname *s = stat;
	const uint64_t day = in->start_s / LAY_DAY_S;

	if (day != s->day)
		end_day(s);
	if (s->slide != NULL && s->slide->day != day)
		flux_slide_begin_day(s->slide, (uint32_t)day);
	s->day = day;
	s->in = in;
	s->loss_ppm = in->loss_ppm > s->loss_ppm ? in->loss_ppm : s->loss_ppm;
	s->seen_n = s->onsets.n = 0;
	if (in->rrsets != NULL) {
		rrsets_each(in->rrsets, RRSETS_KIND(FT_RRSET_CNAME), take_seen, s);
		follow_interval(s);
		count_row(s);
		flux_cname_write_onsets(s);
		if (s->slide != NULL) {
			flux_cname_write_sliding(s);
			s->short_of_memory |= s->slide->short_of_memory;
			s->slide->short_of_memory = false;
		}
	}
	if (in->end_s % LAY_DAY_S == 0)
		end_day(s);
	s->in = NULL;
}

static void flux_end(void *stat)
{
	end_day(stat);
}

/* It waits for nothing: rows close when `rrsets` has something in them. */
const struct stat_ops stat_flux_cname = {
    .set = "flux",
    .create = flux_create,
    .close = flux_close,
    .end = flux_end,
    .destroy = flux_destroy,
    .state = "flux_cname",
    .save = flux_cname_save,
    .load = flux_cname_load,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `flux`, kind `ns`: delegations whose NS set changes (the parent's side), and name
 * servers whose addresses change (glue, and answers for names that are known to be name
 * servers). A record when a class is reached ("onset") and one at the day's end. */
#include "flux_ns.h"

#include "../../dataplane/name.h"
#include "flux_ns_state.h"
#include "rrsets.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_CAP (1u << 18)
#define BYTES_CAP ((size_t)96 << 20)
#define HOSTS_CAP (1u << 18)

static void drop(struct keep *k, const void *item)
{
	struct ns_day *d = (struct ns_day *)k;
	const struct ns_item *i = item;

	if (i->moves != NULL) {
		d->bytes -= moves_bytes(i->moves);
		d->left_out++;
	}
	moves_destroy(i->moves);
}

static void drop_host(struct keep *k, const void *item)
{
	(void)k;
	(void)item;
}

void flux_ns_set_budget(void *stat, size_t entries, size_t bytes)
{
	struct flux_ns *s = stat;

	s->entries_cap = s->set.items_cap = entries;
	s->bytes_cap = bytes;
}

static void *flux_ns_create(const struct stat_run *run)
{
	struct flux_ns *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->set = (struct keep_settings){
	    .item_bytes = sizeof(struct ns_item), .row_bytes = sizeof(struct ns_day), .drop = drop};
	s->host_set = (struct keep_settings){.item_bytes = sizeof(struct keep_item),
					     .items_cap = HOSTS_CAP,
					     .row_bytes = sizeof(struct keep),
					     .drop = drop_host};
	flux_ns_set_budget(s, ENTRIES_CAP, BYTES_CAP);
	return s;
}

void flux_ns_pop_day(struct flux_ns *s)
{
	const struct keep *k = (const struct keep *)s->days;

	for (size_t i = 0; k != NULL && i < k->n; i++)
		moves_destroy(((const struct ns_item *)keep_at(k, i))->moves);
	if (s->days != NULL)
		keep_free(rows_pop(&s->days));
	while (s->hosts != NULL)
		keep_free(rows_pop(&s->hosts));
	s->set.items_cap = s->entries_cap;
}

static void flux_ns_destroy(void *stat)
{
	struct flux_ns *s = stat;

	if (s == NULL)
		return;
	flux_ns_pop_day(s);
	flux_rows_fini(&s->rows);
	free(s->event);
	free(s);
}

bool flux_ns_has_other_day(const void *stat, uint64_t number)
{
	const struct flux_ns *s = stat;

	return s->days != NULL && s->days->number != number;
}

void flux_ns_finish_day(void *stat)
{
	struct flux_ns *s = stat;
	const struct ns_day *d = (const struct ns_day *)s->days;

	for (size_t i = 0; d != NULL && i < d->keep.n; i++) {
		const struct ns_item *x = keep_at(&d->keep, i);
		if (x->moves != NULL && x->moves->told != 0)
			flux_ns_write(s, x->moves, false);
	}
	if (d != NULL)
		flux_ns_write_left_out(s, d);
	flux_ns_pop_day(s);
}

/* What a row brings. */

#define NS_KINDS (RRSETS_KIND(FT_RRSET_NS) | RRSETS_KIND(FT_RRSET_NS | FT_RRSET_REFERRAL))
#define GLUE_KINDS                                                                                 \
	(RRSETS_KIND(FT_RRSET_A | FT_RRSET_REFERRAL) |                                             \
	 RRSETS_KIND(FT_RRSET_AAAA | FT_RRSET_REFERRAL))
#define ADDR_KINDS (RRSETS_KIND(FT_RRSET_A) | RRSETS_KIND(FT_RRSET_AAAA))

static bool is_wanted_ns(void *ctx, const struct ft_rrset *x)
{
	(void)ctx;
	return (x->what & FT_RRSET_LONG) == 0;
}

/* Glue, and addresses of names that NS records point to. */
static bool is_wanted_host(void *ctx, const struct ft_rrset *x)
{
	const struct flux_ns *s = ctx;

	if ((x->what & FT_RRSET_LONG) != 0)
		return false;
	return (x->what & FT_RRSET_REFERRAL) != 0 ||
	       (s->hosts != NULL && keep_find((const struct keep *)s->hosts, x->owner_key) != NULL);
}

static bool get_text(const struct flux_ns *s, const struct ft_rrset *x, struct ft_rrset_text *out)
{
	return rrsets_text_get(s->in->rrsets, x->owner_key, x->set_key, x->what, out);
}

static void learn_hosts(struct flux_ns *s, const struct ft_rrset_text *t)
{
	struct keep *hosts = keep_row(&s->hosts, s->in->start_s / DAY_S, &s->host_set);
	bool fresh, left_out;

	for (uint32_t k = 0; hosts != NULL && k < t->rdata_bytes; k += t->rdata[k] + 1u) {
		const uint64_t key = name_hash(t->rdata + k + 1, t->rdata[k], s->run->name_seed);
		(void)keep_get(hosts, key, key, &fresh, &left_out);
	}
}

static int compare_events(const void *a, const void *b)
{
	const struct ns_event *x = a, *y = b;

	if (x->t_s != y->t_s)
		return x->t_s < y->t_s ? -1 : 1;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->obs > y->obs) - (x->obs < y->obs);
}

static bool add_event(struct flux_ns *s, const struct ns_event *e)
{
	if (s->events == s->events_room) {
		const size_t room = s->events_room == 0 ? 256 : s->events_room * 2;
		struct ns_event *more = realloc(s->event, room * sizeof(*more));
		if (more == NULL)
			return false;
		s->event = more;
		s->events_room = room;
	}
	s->event[s->events++] = *e;
	return true;
}

/* The sets of observations in the order of time; of one second by their content. */
static void lay_out(struct flux_ns *s, const struct ft_rrset *x, size_t n)
{
	struct ft_rrset_text t;

	s->events = 0;
	for (size_t i = 0; i < n; i++) {
		if (!get_text(s, &x[i], &t))
			continue;
		struct ns_event e = {
		    .hash = name_sketch_hash(t.rdata, t.rdata_bytes, t.first.records), .obs = i};
		for (uint64_t left = x[i].seconds; left != 0; left &= left - 1) {
			e.t_s = flux_second(s->in->start_s, x[i].minute,
					    (unsigned)__builtin_ctzll(left));
			if (!add_event(s, &e))
				break;
		}
	}
	if (s->events > 1)
		qsort(s->event, s->events, sizeof(*s->event), compare_events);
}

/* Which servers of the parent say the set, in the events from v on; true where one of them
 * has changed its mind. */
static bool note_servers(struct moves **m, const struct ns_event *v, size_t n, unsigned set,
			 const struct ft_rrset *x)
{
	bool other = false;

	for (size_t i = 0; i < n; i++)
		other |= moves_say(m, x[v[i].obs].view, set);
	return other;
}

/* Goes through the events of one view. Sets that there is no room for are passed over. */
static void walk(struct flux_ns *s, const struct ns_day *d, struct moves **m, unsigned view,
		 const struct ft_rrset *x)
{
	const bool parent = ((*m)->what & FT_RRSET_REFERRAL) != 0;
	struct ft_rrset_text t;

	for (size_t i = 0, k; i < s->events; i = k) {
		const struct ns_event *e = &s->event[i];
		for (k = i + 1;
		     k < s->events && s->event[k].t_s == e->t_s && s->event[k].hash == e->hash;)
			k++;
		unsigned set = 0;
		while (set < (*m)->sets && (*m)->set[set].hash != e->hash)
			set++;
		if (set == (*m)->sets) {
			if ((*m)->sets != 0 && d->bytes > s->bytes_cap)
				continue;
			(void)get_text(s, &x[e->obs], &t);
			set = moves_set(*m, e->hash, &t, e->t_s);
			if (set == MOVES_NONE)
				continue;
			if (flux_ns_is_delegation(*m))
				learn_hosts(s, &t);
		}
		const bool other = !parent || note_servers(m, e, k - i, set, x);
		moves_step(*m, view, set, e->t_s, other);
	}
}

static void count_sets(struct flux_ns *s, struct moves *m, const struct ft_rrset *x, size_t n)
{
	struct ft_rrset_text t;

	for (size_t i = 0; i < n; i++) {
		m->ttl_min = x[i].ttl_min < m->ttl_min ? x[i].ttl_min : m->ttl_min;
		m->ttl_max = x[i].ttl_max > m->ttl_max ? x[i].ttl_max : m->ttl_max;
		if (!get_text(s, &x[i], &t))
			continue;
		const uint64_t hash = name_sketch_hash(t.rdata, t.rdata_bytes, t.first.records);
		for (unsigned k = 0; k < m->sets; k++)
			m->set[k].count += m->set[k].hash == hash ? x[i].count : 0;
	}
}

/* One view's part of the observations. */
struct part {
	size_t at, n;
	uint32_t first_s;
	uint64_t first_hash;
	size_t events;
};

static int compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->first_s != y->first_s)
		return x->first_s < y->first_s ? -1 : 1;
	if (x->first_hash != y->first_hash)
		return x->first_hash < y->first_hash ? -1 : 1;
	return (x->events < y->events) - (x->events > y->events);
}

static bool is_known(const struct moves *m, uint32_t view)
{
	for (unsigned i = 0; i < m->views; i++)
		if (m->view[i].view == view)
			return true;
	return false;
}

static void add_part(struct flux_ns *s, const struct ns_day *d, struct moves **m,
		     const struct ft_rrset *x, size_t n)
{
	lay_out(s, x, n);
	if (s->events == 0)
		return;
	const bool parent = ((*m)->what & FT_RRSET_REFERRAL) != 0;
	const unsigned view = moves_view(m, parent ? MOVES_PARENT : x->view);
	if (view != MOVES_NONE)
		walk(s, d, m, view, x);
}

/* The observations of one name, type, side and vantage. Views that are new come behind
 * the others, the one that saw something first in front: which ones find room must not
 * depend on their keys. */
static void add_views(struct flux_ns *s, const struct ns_day *d, struct moves **m,
		      const struct ft_rrset *x, size_t n)
{
	struct part *part = NULL;
	size_t parts = 0;

	if (((*m)->what & FT_RRSET_REFERRAL) != 0) {
		add_part(s, d, m, x, n);
		return;
	}
	part = malloc(n * sizeof(*part));
	for (size_t i = 0, k; part != NULL && i < n; i = k) {
		for (k = i; k < n && x[k].view == x[i].view; k++)
			;
		if (is_known(*m, x[i].view)) {
			add_part(s, d, m, &x[i], k - i);
			continue;
		}
		lay_out(s, &x[i], k - i);
		if (s->events != 0)
			part[parts++] =
			    (struct part){i, k - i, s->event[0].t_s, s->event[0].hash, s->events};
	}
	if (parts > 1)
		qsort(part, parts, sizeof(*part), compare_parts);
	for (size_t i = 0; i < parts; i++)
		add_part(s, d, m, &x[part[i].at], part[i].n);
	free(part);
}

static void look(struct flux_ns *s, struct ns_item *i, const struct ft_rrset *x)
{
	struct moves *m = i->moves;
	struct ft_rrset_text t;
	const unsigned level = flux_ns_level(m);

	if (level <= m->told || !get_text(s, x, &t))
		return;
	if (m->name == NULL) {
		m->name = malloc(t.owner_len);
		if (m->name == NULL)
			return;
		memcpy(m->name, t.owner, t.owner_len);
		m->name_len = (uint8_t)t.owner_len;
	}
	m->told = (uint8_t)level;
	i->keep.rank = 0;
	flux_ns_write(s, m, true);
}

static void add_group(struct flux_ns *s, struct ns_day *d, const struct ft_rrset *x, size_t n)
{
	bool fresh, left_out;
	struct ns_item *i = keep_get(&d->keep, flux_ns_item_key(x->owner_key, x->what),
				     x->owner_key, &fresh, &left_out);

	d->entries += fresh || left_out;
	d->left_out += left_out;
	if (i != NULL && fresh)
		i->moves = moves_create(x);
	if (i == NULL || i->moves == NULL)
		return;
	const size_t before = fresh ? 0 : moves_bytes(i->moves);
	add_views(s, d, &i->moves, x, n);
	count_sets(s, i->moves, x, n);
	d->bytes += moves_bytes(i->moves) - before;
	if (d->bytes > s->bytes_cap && s->set.items_cap > d->keep.n)
		s->set.items_cap = d->keep.n; /* the next one thins them */
	for (size_t k = 0; k < n && flux_ns_level(i->moves) > i->moves->told; k++)
		look(s, i, &x[k]);
}

static void read_row(struct flux_ns *s, struct ns_day *d, uint32_t kinds,
		     bool (*wanted)(void *ctx, const struct ft_rrset *x))
{
	const struct ft_rrset *v;

	(void)flux_rows_read(&s->rows, s->in->rrsets, kinds, wanted, s);
	v = s->rows.v;
	for (size_t i = 0, k; i < s->rows.n; i = k) {
		for (k = i; k < s->rows.n && v[k].owner_key == v[i].owner_key &&
			    (v[k].what & FT_RRSET_KEY) == (v[i].what & FT_RRSET_KEY);
		     k++)
			;
		add_group(s, d, &v[i], k - i);
	}
}

void flux_ns_read_row(void *stat, const struct stat_interval *in)
{
	struct flux_ns *s = stat;

	s->in = in;
	if (in->rrsets == NULL)
		return;
	struct ns_day *d = (struct ns_day *)keep_row(&s->days, in->start_s / DAY_S, &s->set);
	if (d == NULL)
		return;
	d->end_s = in->end_s;
	d->loss_ppm = in->loss_ppm > d->loss_ppm ? in->loss_ppm : d->loss_ppm;
	d->lost += rrsets_totals_get(in->rrsets).left_out;
	read_row(s, d, NS_KINDS, is_wanted_ns); /* first: it says who is a name server */
	read_row(s, d, s->hosts != NULL ? GLUE_KINDS | ADDR_KINDS : GLUE_KINDS, is_wanted_host);
}

static void flux_ns_close(void *stat, struct stat_interval *in)
{
	in->flux_ns = stat; /* kind `ip`, which is next, says when to read and to finish */
}

static int flux_ns_save_state(const void *stat, state_write_fn *write, void *ctx)
{
	return state_save_piece(flux_ns_save, stat, write, ctx);
}

static int flux_ns_load_state(void *stat, state_read_fn *read, void *ctx)
{
	return state_load_piece(flux_ns_load, stat, read, ctx);
}

const struct stat_ops stat_flux_ns = {
    .set = NULL, /* `flux` is in the list once */
    .create = flux_ns_create,
    .close = flux_ns_close,
    .destroy = flux_ns_destroy,
    .state = "flux_ns",
    .save = flux_ns_save_state,
    .load = flux_ns_load_state,
};

/* Double flux. */

static struct moves *find(const struct flux_ns *s, uint64_t name_key, unsigned type, unsigned n)
{
	const uint8_t what = (uint8_t)(type | ((n & 1) != 0 ? FT_RRSET_REFERRAL : 0) |
				       n / 2 << FT_RRSET_VANTAGE_SHIFT);
	const struct ns_item *i =
	    keep_find((const struct keep *)s->days, flux_ns_item_key(name_key, what));

	return i != NULL ? i->moves : NULL;
}

#define SIDES (2u * FT_VANTAGE_CAP) /* and vantages */

/* Whether a host is NS_FLUX, whoever says so. */
static bool host_is_fluxing(struct flux_ns *s, uint64_t key, bool mark)
{
	bool is = false;

	for (unsigned n = 0; n < 2 * SIDES; n++) {
		struct moves *m = find(s, key, n < SIDES ? FT_RRSET_A : FT_RRSET_AAAA, n % SIDES);
		if (m == NULL || flux_ns_level(m) < 2)
			continue;
		is = true;
		m->double_flux |= mark;
	}
	return is;
}

static bool zone_is_fluxing(struct flux_ns *s, uint64_t key, bool mark)
{
	bool is = false;

	for (unsigned n = 0; n < SIDES; n++) {
		struct moves *m = find(s, key, FT_RRSET_NS, n);
		bool mine = false;
		for (unsigned i = 0; m != NULL && i < m->sets; i++) {
			const struct moves_set *x = &m->set[i];
			for (uint32_t k = 0; k < x->bytes; k += x->rdata[k] + 1u)
				mine |= host_is_fluxing(
				    s, name_hash(x->rdata + k + 1, x->rdata[k], s->run->name_seed),
				    mark);
		}
		if (mine && mark)
			m->double_flux = true;
		is |= mine;
	}
	return is;
}

bool flux_ns_is_fluxing(void *stat, const uint8_t *name, uint32_t len, bool mark)
{
	struct flux_ns *s = stat;
	bool is = false;

	for (uint32_t at = 0; s->days != NULL && at < len && name[at] != 0; at += name[at] + 1u)
		is |= zone_is_fluxing(s, name_hash(name + at, len - at, s->run->name_seed), mark);
	return is;
}

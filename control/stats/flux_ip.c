/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `flux`, kind `ip`: owners whose addresses over two TTL epochs of one view cross
 * the flux score, once when they do ("onset") and once at the day's end. Content
 * networks are told apart, and the record says by what. Most names take about 200
 * octets; one that has many addresses grows. */
#include "flux_ip.h"

#include "../../dataplane/batch.h"
#include "../../dataplane/fetch.h"
#include "../../dataplane/name.h"
#include "flux_ip_state.h"
#include "flux_ns.h"
#include "rrsets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OWNERS_CAP (1u << 19)
#define BYTES_CAP ((size_t)128 << 20)
#define CANDIDATE_BYTES_CAP ((size_t)64 << 20)
#define NETS_CAP (1u << 15)

static void drop(struct keep *k, const void *item)
{
	struct flux_day *d = (struct flux_day *)k;
	const struct flux_item *i = item;

	if (i->owner != NULL) {
		d->bytes -= flux_owner_bytes(i->owner);
		d->left_out++;
	}
	flux_owner_destroy(i->owner);
}

static void drop_net(struct keep *k, const void *item)
{
	(void)k;
	(void)item;
}

void flux_ip_set_budget(void *stat, size_t owners, size_t bytes, size_t candidate_bytes)
{
	struct flux_ip *s = stat;

	s->owners_cap = s->set.items_cap = owners;
	s->bytes_cap = bytes;
	s->candidate_cap = candidate_bytes;
}

static void *flux_ip_create(const struct stat_run *run)
{
	struct flux_ip *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->set = (struct keep_settings){.item_bytes = sizeof(struct flux_item),
					.row_bytes = sizeof(struct flux_day),
					.drop = drop};
	s->net_set = (struct keep_settings){.item_bytes = sizeof(struct flux_net),
					    .items_cap = NETS_CAP,
					    .row_bytes = sizeof(struct keep),
					    .drop = drop_net};
	flux_ip_set_budget(s, OWNERS_CAP, BYTES_CAP, CANDIDATE_BYTES_CAP);
	return s;
}

void flux_ip_pop_day(struct flux_ip *s)
{
	const struct keep *k = (const struct keep *)s->days;

	for (size_t i = 0; k != NULL && i < k->n; i++)
		flux_owner_destroy(((const struct flux_item *)keep_at(k, i))->owner);
	if (s->days != NULL)
		keep_free(rows_pop(&s->days));
	while (s->nets != NULL)
		keep_free(rows_pop(&s->nets));
	s->set.items_cap = s->owners_cap;
}

static void flux_ip_destroy(void *stat)
{
	struct flux_ip *s = stat;

	if (s == NULL)
		return;
	flux_ip_pop_day(s);
	flux_rows_fini(&s->rows);
	free(s);
}

size_t flux_ip_bytes(const void *stat)
{
	const struct flux_day *d = (const struct flux_day *)((const struct flux_ip *)stat)->days;

	return d != NULL ? d->bytes : 0;
}

static void finish_day(struct flux_ip *s)
{
	const struct flux_day *d = (const struct flux_day *)s->days;

	for (size_t i = 0; d != NULL && i < d->keep.n; i++) {
		const struct flux_item *x = keep_at(&d->keep, i);
		if (x->owner != NULL && (x->owner->flags & FLUX_CROSSED) != 0)
			flux_ip_write(s, x->owner, false);
	}
	if (d != NULL)
		flux_ip_write_left_out(s, d);
	flux_ip_pop_day(s);
	if (s->ns != NULL)
		flux_ns_finish_day(s->ns);
}

/* What a row brings. */

#define AHEAD 6u         /* observations */
#define OWNER_BYTES 256u /* of most owners */
#define KINDS (RRSETS_KIND(FT_RRSET_A) | RRSETS_KIND(FT_RRSET_AAAA))

static bool get_text(void *ctx, const struct ft_rrset *x, struct ft_rrset_text *out)
{
	const struct flux_ip *s = ctx;

	return rrsets_text_get(s->in->rrsets, x->owner_key, x->set_key, x->what, out);
}

/* An address that is new for its owner: its system, and one more domain for its network. */
static void add_fresh(void *ctx, const struct flux_owner *o, const struct ft_rrset_text *t,
		      struct flux_addr *a)
{
	struct flux_ip *s = ctx;
	bool fresh, left_out;
	struct addr address = {{0}};
	const uint32_t hi = htonl(a->hi), lo = htonl(a->lo);

	if (flux_ip_has_asn(s)) {
		memcpy(address.b, &hi, 4);
		memcpy(address.b + 4, &lo, 4);
		if (!flux_owner_is_v6(o))
			address = addr_from_v4((const uint8_t *)&lo);
		a->asn = asn_get(s->run->lookups->asn, &address);
	}
	struct keep *nets = keep_row(&s->nets, s->days->number, &s->net_set);
	if (nets == NULL)
		return;
	const uint64_t key = flux_ip_net_key(o, a);
	struct flux_net *net = keep_get(nets, key, key, &fresh, &left_out);
	if (net == NULL)
		return;
	/* Once for a set, whose addresses come one after the other. */
	if (s->domain_owner_key != t->first.owner_key || s->domain_row != s->in->row) {
		const uint32_t off = lookups_domain_off(s->run->lookups, t->owner, t->owner_len);
		s->domain_hash = name_sketch_hash(t->owner + off, t->owner_len - off, 0);
		s->domain_owner_key = t->first.owner_key;
		s->domain_row = s->in->row;
	}
	const uint64_t h = s->domain_hash;
	const uint8_t rank = (uint8_t)(__builtin_clzll(h << NET_P | 1u << (NET_P - 1)) + 1);
	uint8_t *reg = &net->reg[h >> (64 - NET_P)];
	*reg = rank > *reg ? rank : *reg;
}

/* Candidates that have not crossed leave by rank until the others fit. */
static void thin_candidates(struct flux_ip *s, struct flux_day *d)
{
	while (d->candidate_bytes > s->candidate_cap && d->candidate_shift < 63) {
		d->candidate_shift++;
		for (size_t i = 0; i < d->keep.n; i++) {
			struct flux_item *x = (struct flux_item *)(uintptr_t)keep_at(&d->keep, i);
			if (x->keep.rank != 0 || x->owner == NULL ||
			    (x->owner->flags & FLUX_CROSSED) != 0 ||
			    x->owner->owner_key >> (64 - d->candidate_shift) == 0)
				continue;
			x->keep.rank = x->owner->owner_key;
			d->candidate_bytes -= flux_owner_bytes(x->owner);
			drop(&d->keep, x);
			x->owner = NULL;
		}
	}
}

/* The books after an owner has grown. */
void flux_ip_account(struct flux_ip *s, struct flux_day *d, struct flux_item *i, size_t before,
		     bool candidate)
{
	const size_t bytes = flux_owner_bytes(i->owner);

	d->bytes += bytes - before;
	if (i->owner->n.addr >= FLUX_CANDIDATE) {
		d->candidate_bytes += bytes - (candidate ? before : 0);
		i->keep.rank = 0;
	}
	if (d->candidate_bytes > s->candidate_cap)
		thin_candidates(s, d);
	if (i->owner != NULL && i->keep.rank == 0 && d->candidate_bytes > s->candidate_cap) {
		d->candidate_bytes -= bytes;
		i->keep.rank = i->owner->owner_key;
		drop(&d->keep, i);
		i->owner = NULL;
	}
	if (d->bytes > s->bytes_cap && s->set.items_cap > d->keep.n)
		s->set.items_cap = d->keep.n; /* the next one thins them */
}

/* The observations of an owner, type and vantage. True: its score is beyond the threshold. */
static bool add_group(struct flux_ip *s, struct flux_day *d, const struct ft_rrset *x, size_t n)
{
	const struct flux_help help = {
	    .text = get_text,
	    .fresh = add_fresh,
	    .read = s->read,
	    .has_asn = flux_ip_has_asn(s),
	    .ctx = s,
	};
	bool fresh, left_out;
	struct flux_item *i = keep_get(&d->keep, flux_ip_item_key(x->owner_key, x->what),
				       x->owner_key, &fresh, &left_out);

	d->owners += fresh || left_out;
	d->left_out += left_out;
	if (i != NULL && fresh)
		i->owner = flux_owner_create(x);
	if (i == NULL || i->owner == NULL)
		return false;
	const size_t before = fresh ? 0 : flux_owner_bytes(i->owner);
	const bool candidate = i->owner->n.addr >= FLUX_CANDIDATE;
	(void)flux_owner_add(&i->owner, x, n, s->in->start_s, &help);
	flux_ip_account(s, d, i, before, candidate);
	return i->owner != NULL && i->owner->f_milli > FLUX_HOLZ_MILLI;
}

static void mark_long(struct flux_day *d, const struct ft_rrset *x)
{
	struct flux_item *i = keep_find(&d->keep, flux_ip_item_key(x->owner_key, x->what));

	if (i != NULL && i->owner != NULL)
		i->owner->flags |= FLUX_LONG;
}

/* Writes the onset where the score is beyond the threshold for the first time. */
static void look(struct flux_ip *s, struct flux_day *d, const struct ft_rrset *x)
{
	const struct flux_item *i = keep_find(&d->keep, flux_ip_item_key(x->owner_key, x->what));
	struct flux_owner *o = i != NULL ? i->owner : NULL;
	struct ft_rrset_text t;

	if (o == NULL || o->f_milli <= FLUX_HOLZ_MILLI || (o->flags & FLUX_CROSSED) != 0 ||
	    flux_ip_is_gated(o) || !get_text(s, x, &t))
		return;
	o->name = malloc(t.owner_len);
	if (o->name == NULL)
		return;
	memcpy(o->name, t.owner, t.owner_len);
	o->name_len = (uint8_t)t.owner_len;
	o->flags |= FLUX_CROSSED;
	flux_ip_write(s, o, true);
}

static bool is_same_group(const struct ft_rrset *a, const struct ft_rrset *b)
{
	return a->owner_key == b->owner_key && (a->what & FT_RRSET_KEY) == (b->what & FT_RRSET_KEY);
}

static uint64_t key_of(const struct ft_rrset *x)
{
	return flux_ip_item_key(x->owner_key, x->what);
}

/* Owners stand anywhere in memory: they are fetched while others are looked at. */
static void fetch_ahead(const struct flux_ip *s, const struct flux_day *d, size_t i)
{
	const struct ft_rrset *v = s->rows.v;

	if (i + 3 * AHEAD >= s->rows.n)
		return;
	rrsets_text_fetch_place(s->in->rrsets, &v[i + 3 * AHEAD]);
	keep_fetch_slot(&d->keep, key_of(&v[i + 3 * AHEAD]));
	rrsets_text_fetch(s->in->rrsets, &v[i + 2 * AHEAD]);
	keep_fetch_item(&d->keep, key_of(&v[i + 2 * AHEAD]));
	rrsets_text_fetch_octets(s->in->rrsets, &v[i + AHEAD]);
	const struct flux_item *x = keep_find(&d->keep, key_of(&v[i + AHEAD]));
	for (size_t at = 0; x != NULL && x->owner != NULL && at < OWNER_BYTES; at += CACHE_LINE)
		fetch_write((const uint8_t *)x->owner + at);
}

static void read_row(struct flux_ip *s, struct flux_day *d)
{
	struct ft_rrset *v = s->rows.v;
	size_t looks = 0;

	for (size_t i = 0, k; i < s->rows.n; i = k) {
		bool beyond = false;
		fetch_ahead(s, d, i);
		for (k = i + 1; k < s->rows.n && is_same_group(&v[i], &v[k]); k++)
			fetch_ahead(s, d, k);
		if ((v[i].what & FT_RRSET_LONG) == 0)
			beyond = add_group(s, d, &v[i], k - i);
		else
			mark_long(d, &v[i]);
		/* Behind all of them: what shares a network with whom is known then. */
		for (size_t g = i; beyond && g < k; g++)
			v[looks++] = v[g];
	}
	for (size_t i = 0; i < looks; i++)
		look(s, d, &v[i]);
}

static void flux_ip_close(void *stat, struct stat_interval *in)
{
	struct flux_ip *s = stat;
	const uint64_t number = in->start_s / DAY_S;

	s->in = in;
	s->ns = in->flux_ns;
	/* Either may have a day that the other has not; no interval may have ended at midnight. */
	if ((s->days != NULL && s->days->number != number) ||
	    (s->ns != NULL && flux_ns_has_other_day(s->ns, number)))
		finish_day(s);
	if (s->ns != NULL)
		flux_ns_read_row(s->ns, in);
	if (flux_rows_read(&s->rows, in->rrsets, KINDS, NULL, s) != 0 || s->rows.n != 0 ||
	    s->days != NULL) {
		struct flux_day *d = (struct flux_day *)keep_row(&s->days, number, &s->set);
		if (d != NULL) {
			d->end_s = in->end_s;
			d->loss_ppm = in->loss_ppm > d->loss_ppm ? in->loss_ppm : d->loss_ppm;
			d->lost += in->rrsets != NULL ? rrsets_totals_get(in->rrsets).left_out : 0;
			read_row(s, d);
		}
	}
	if (in->end_s % DAY_S == 0)
		finish_day(s);
	s->in = NULL;
}

static void flux_ip_end(void *stat)
{
	finish_day(stat);
}

static int flux_ip_save_state(const void *stat, state_write_fn *write, void *ctx)
{
	return state_save_piece(flux_ip_save, stat, write, ctx);
}

static int flux_ip_load_state(void *stat, state_read_fn *read, void *ctx)
{
	return state_load_piece(flux_ip_load, stat, read, ctx);
}

const struct stat_ops stat_flux_ip = {
    .set = "flux",
    .create = flux_ip_create,
    .close = flux_ip_close,
    .end = flux_ip_end,
    .destroy = flux_ip_destroy,
    .state = "flux_ip",
    .save = flux_ip_save_state,
    .load = flux_ip_load_state,
    .behind = true, /* flux_ns */
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `flux`, kind `ip`: owners whose addresses over two TTL epochs of one view cross
 * the flux score, once when they do ("onset") and once at the day's end. Content
 * networks are told apart, and the record says by what. Most names take about 160
 * octets; one that has many addresses grows. */
#include "flux_ip.h"

#include "../../dataplane/flow.h"
#include "../../dataplane/name.h"
#include "../../dataplane/name_text.h"
#include "../../dataplane/sketch.h"
#include "../envelope.h"
#include "../lookups.h"
#include "flux_ns.h"
#include "flux_owner.h"
#include "keep.h"
#include "rrsets.h"
#include "stat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNERS_CAP (1u << 19)
#define BYTES_CAP ((size_t)128 << 20)
#define CANDIDATE_BYTES_CAP ((size_t)64 << 20)
#define NETS_CAP (1u << 15)
#define NET_P 8u /* of the HyperLogLog of each network */
#define SHARED_DOMAINS 1000u
#define SATURATED_EPOCHS 20u
#define TTL_CAP_S 1800u
#define SAMPLE_CAP 8u
#define MAGIC 0x31504946u /* FIP1 */

struct item {
	struct keep_item keep;    /* rank: the owner's key; 0: a candidate, which stays */
	struct flux_owner *owner; /* NULL: a candidate that there was no room for */
};

/* How many registered domains use a network. */
struct net {
	struct keep_item keep;
	uint8_t reg[1u << NET_P];
};

struct day {
	struct keep keep; /* number: the day */
	size_t bytes, candidate_bytes;
	unsigned candidate_shift;
	uint64_t owners, left_out, lost; /* lost: observations that rrsets had no room for */
	uint64_t loss_ppm;               /* the greatest of the intervals' */
	uint64_t end_s;                  /* of the last interval */
};

struct flux_ip {
	const struct stat_run *run;
	struct stat_row *days; /* one at most */
	struct stat_row *nets; /* the same day */
	struct keep_settings set, net_set;
	size_t owners_cap, bytes_cap, candidate_cap;
	struct flux_rows rows;
	void *ns; /* kind `ns`, which stands in front in the list */
	/* While a row is read: */
	const struct stat_interval *in;
	uint64_t domain_hash;
};

static void drop(struct keep *k, const void *item)
{
	struct day *d = (struct day *)k;
	const struct item *i = item;

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
	s->set = (struct keep_settings){
	    .item_bytes = sizeof(struct item), .row_bytes = sizeof(struct day), .drop = drop};
	s->net_set = (struct keep_settings){.item_bytes = sizeof(struct net),
					    .items_cap = NETS_CAP,
					    .row_bytes = sizeof(struct keep),
					    .drop = drop_net};
	flux_ip_set_budget(s, OWNERS_CAP, BYTES_CAP, CANDIDATE_BYTES_CAP);
	return s;
}

static void pop_day(struct flux_ip *s)
{
	const struct keep *k = (const struct keep *)s->days;

	for (size_t i = 0; k != NULL && i < k->n; i++)
		flux_owner_destroy(((const struct item *)keep_at(k, i))->owner);
	if (s->days != NULL)
		keep_pop(&s->days);
	while (s->nets != NULL)
		keep_pop(&s->nets);
	s->set.items_cap = s->owners_cap;
}

static void flux_ip_destroy(void *stat)
{
	struct flux_ip *s = stat;

	if (s == NULL)
		return;
	pop_day(s);
	flux_rows_fini(&s->rows);
	free(s);
}

static int flux_ip_record(void *stat, const struct stat_record *rec)
{
	(void)stat;
	(void)rec;
	return 0; /* everything comes from rrsets */
}

static uint64_t flux_ip_first_row(const void *stat)
{
	(void)stat;
	return UINT64_MAX;
}

size_t flux_ip_bytes(const void *stat)
{
	const struct day *d = (const struct day *)((const struct flux_ip *)stat)->days;

	return d != NULL ? d->bytes : 0;
}

/* What is said about owners. */

static bool has_asn(const struct flux_ip *s)
{
	return s->run->lookups != NULL && s->run->lookups->asn != NULL;
}

static uint64_t net_key(const struct flux_owner *o, const struct flux_addr *a)
{
	return hash_mix(flux_owner_net(o, a, false) * 2 + flux_owner_is_v6(o) +
			0x9e3779b97f4a7c15ull);
}

static bool is_shared(const struct flux_ip *s, const struct flux_owner *o)
{
	const struct keep *nets = (const struct keep *)s->nets;
	const struct flux_addr *a = flux_owner_addrs(o);
	unsigned shared = 0;

	for (unsigned i = 0; nets != NULL && i < o->n.addr; i++) {
		const struct net *net = keep_find(nets, net_key(o, &a[i]));
		shared += net != NULL && hll_count(net->reg, NET_P) > SHARED_DOMAINS + 1;
	}
	return 2 * shared > o->n.addr;
}

static bool is_gated(const struct flux_owner *o)
{
	return (o->flags & (FLUX_LONG | FLUX_AA)) == FLUX_LONG;
}

/* In the order in which they are looked at; NULL: nothing speaks for a content network. */
static const char *suppressed_by(const struct flux_ip *s, const struct flux_owner *o,
				 const struct flux_facts *f)
{
	if (is_gated(o))
		return "ttl";
	if (s->run->lookups != NULL && s->run->lookups->cdn != NULL &&
	    cdn_has(s->run->lookups->cdn, o->name, o->name_len))
		return "cdn_list";
	if (10 * f->top_count >= 8 * f->n_a)
		return "top_asn";
	if (10 * f->n_a < 13 * f->half && o->epochs >= SATURATED_EPOCHS)
		return "saturated";
	if (f->static_views >= 3)
		return "geo";
	return is_shared(s, o) ? "shared" : NULL;
}

static bool is_flux(const struct flux_ip *s, const struct flux_owner *o, const struct flux_facts *f)
{
	return o->f_milli > FLUX_HOLZ_MILLI && suppressed_by(s, o, f) == NULL &&
	       f->ttl_med <= TTL_CAP_S && f->n_16 >= 5 && 10 * f->n_a >= 13 * f->half &&
	       2 * f->top_count < f->n_a;
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

/* To three decimals. */
static void set_real(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, json_real(round(x * 1000) / 1000));
}

static int compare_addrs(const void *a, const void *b)
{
	const struct flux_addr *x = a, *y = b;

	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* The lowest ones; of IPv6 the /64. */
static json_t *sample_addrs(const struct flux_owner *o)
{
	struct flux_addr all[FLUX_ADDRS_CAP];
	json_t *list = json_array();
	char text[INET6_ADDRSTRLEN + 4];

	memcpy(all, flux_owner_addrs(o), o->n.addr * sizeof(*all));
	qsort(all, o->n.addr, sizeof(*all), compare_addrs);
	for (unsigned i = 0; i < o->n.addr && i < SAMPLE_CAP; i++) {
		const uint32_t v6[4] = {htonl(all[i].hi), htonl(all[i].lo)}, v4 = htonl(all[i].lo);
		const bool is_v6 = flux_owner_is_v6(o);
		(void)inet_ntop(is_v6 ? AF_INET6 : AF_INET, is_v6 ? v6 : &v4, text,
				INET6_ADDRSTRLEN);
		if (is_v6)
			(void)strcat(text, "/64");
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void set_asn(const struct flux_ip *s, json_t *r, const struct flux_facts *f)
{
	const bool known = has_asn(s);

	json_object_set_new(r, "asn_missing", json_boolean(!known));
	json_object_set_new(r, "n_asn", known ? json_integer(f->n_asn) : json_null());
	json_object_set_new(r, "top_asn",
			    known && f->top_asn != 0 ? json_integer(f->top_asn) : json_null());
	/* Without systems: of the commonest /16. */
	set_real(r, "top_asn_share", f->n_a != 0 ? (double)f->top_count / f->n_a : 0);
}

static void set_scores(json_t *r, const struct flux_owner *o, const struct flux_facts *f)
{
	json_t *ttl = json_object();

	set_count(r, "n_a", f->n_a);
	set_count(r, "n_24", f->n_24);
	set_count(r, "n_16", f->n_16);
	set_count(r, "n_single", o->single);
	set_real(r, "phi", o->single != 0 ? (double)f->n_a / o->single : 0);
	set_real(r, "f_holz", o->f_milli / 1000.0);
	set_real(r, "s_zeek", o->s_zeek);
	if (f->churn >= 0)
		set_real(r, "churn", f->churn);
	else
		json_object_set_new(r, "churn", json_null());
	set_real(r, "growth", f->half != 0 ? (double)f->n_a / f->half : 1);
	set_count(ttl, "min", o->ttl_min);
	set_count(ttl, "med", f->ttl_med);
	set_count(ttl, "max", o->ttl_max);
	set_count(ttl, "changes", o->ttl_changes);
	json_object_set_new(r, "ttl", ttl);
	set_count(r, "views", f->views);
	set_count(r, "epochs", o->epochs);
}

static void write_owner(struct flux_ip *s, const struct flux_owner *o, bool onset)
{
	const struct day *d = (const struct day *)s->days;
	const uint64_t day_s = d->keep.head.number * DAY_S;
	const uint64_t start_s = onset ? s->in->start_s : day_s;
	const unsigned vantage = (o->what & FT_RRSET_VANTAGE) >> FT_RRSET_VANTAGE_SHIFT;
	char name[NAME_TEXT_CAP];
	struct flux_facts f;

	flux_owner_facts(o, has_asn(s), &f);
	const char *why = suppressed_by(s, o, &f);
	const bool flux = is_flux(s, o, &f);
	json_t *r = envelope_create("flux", s->run->probe, ft_vantage_texts[vantage], start_s,
				    d->end_s, 1, d->loss_ppm);
	(void)name_text(o->name, o->name_len, name, true);
	json_object_set_new(r, "kind", json_string("ip"));
	json_object_set_new(r, "state", json_string(onset ? "onset" : "day"));
	json_object_set_new(r, "owner", json_string(name));
	json_object_set_new(r, "type", json_string(flux_owner_is_v6(o) ? "AAAA" : "A"));
	json_object_set_new(r, "class", flux ? json_string("FLUX") : json_null());
	json_object_set_new(r, "double_flux",
			    json_boolean(flux && s->ns != NULL &&
					 flux_ns_is_fluxing(s->ns, o->name, o->name_len, !onset)));
	json_object_set_new(r, "suppressed_by", why != NULL ? json_string(why) : json_null());
	set_scores(r, o, &f);
	set_asn(s, r, &f);
	set_count(r, "first_us", (day_s + o->first_s) * 1000000);
	set_count(r, "last_us", (day_s + o->last_s) * 1000000);
	json_object_set_new(r, "sample_addrs", sample_addrs(o));
	json_object_set_new(r, "cut", json_boolean((o->flags & FLUX_CUT) != 0));
	s->run->write(s->run->ctx, "flux", start_s, r);
}

static void write_left_out(struct flux_ip *s, const struct day *d)
{
	if (d->left_out == 0 && d->lost == 0)
		return;
	json_t *r = envelope_create("flux", s->run->probe, "ALL", d->keep.head.number * DAY_S,
				    d->end_s, 1, d->loss_ppm);
	json_object_set_new(r, "kind", json_string("ALL"));
	json_object_set_new(r, "of", json_string("ip"));
	set_count(r, "owners", d->owners);
	set_count(r, "left_out", d->left_out);
	set_count(r, "lost", d->lost);
	s->run->write(s->run->ctx, "flux", d->keep.head.number * DAY_S, r);
}

static void finish_day(struct flux_ip *s)
{
	const struct day *d = (const struct day *)s->days;

	for (size_t i = 0; d != NULL && i < d->keep.n; i++) {
		const struct item *x = keep_at(&d->keep, i);
		if (x->owner != NULL && (x->owner->flags & FLUX_CROSSED) != 0)
			write_owner(s, x->owner, false);
	}
	if (d != NULL)
		write_left_out(s, d);
	pop_day(s);
	if (s->ns != NULL)
		flux_ns_finish_day(s->ns);
}

/* What a row brings. */

static bool is_wanted(void *ctx, const struct ft_rrset *x)
{
	const uint8_t type = x->what & FT_RRSET_TYPE;

	(void)ctx;
	return (type == FT_RRSET_A || type == FT_RRSET_AAAA) && (x->what & FT_RRSET_REFERRAL) == 0;
}

static bool get_text(void *ctx, const struct ft_rrset *x, struct ft_rrset_text *out)
{
	const struct flux_ip *s = ctx;

	return rrsets_text_get(s->in->rrsets, s->in->row, x->owner_key, x->set_key, x->what, out);
}

/* An address that is new for its owner: its system, and one more domain for its network. */
static void add_fresh(void *ctx, const struct flux_owner *o, const struct ft_rrset_text *t,
		      struct flux_addr *a)
{
	struct flux_ip *s = ctx;
	bool fresh, left_out;
	struct addr address = {{0}};
	const uint32_t hi = htonl(a->hi), lo = htonl(a->lo);

	if (has_asn(s)) {
		memcpy(address.b, &hi, 4);
		memcpy(address.b + 4, &lo, 4);
		if (!flux_owner_is_v6(o))
			address = addr_from_v4((const uint8_t *)&lo);
		a->asn = asn_get(s->run->lookups->asn, &address);
	}
	struct keep *nets = keep_row(&s->nets, s->days->number, &s->net_set);
	if (nets == NULL)
		return;
	const uint64_t key = net_key(o, a);
	struct net *net = keep_get(nets, key, key, &fresh, &left_out);
	if (net == NULL)
		return;
	const uint32_t off = lookups_domain_off(s->run->lookups, t->owner, t->owner_len);
	const uint64_t h = name_sketch_hash(t->owner + off, t->owner_len - off, 0);
	const uint8_t rank = (uint8_t)(__builtin_clzll(h << NET_P | 1u << (NET_P - 1)) + 1);
	uint8_t *reg = &net->reg[h >> (64 - NET_P)];
	*reg = rank > *reg ? rank : *reg;
}

/* Candidates that have not crossed leave by rank until the others fit. */
static void thin_candidates(struct flux_ip *s, struct day *d)
{
	while (d->candidate_bytes > s->candidate_cap && d->candidate_shift < 63) {
		d->candidate_shift++;
		for (size_t i = 0; i < d->keep.n; i++) {
			struct item *x = (struct item *)(uintptr_t)keep_at(&d->keep, i);
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
static void account(struct flux_ip *s, struct day *d, struct item *i, size_t before, bool candidate)
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

static uint64_t item_key(uint64_t owner_key, uint8_t what)
{
	return hash_mix(owner_key +
			(what & (FT_RRSET_TYPE | FT_RRSET_VANTAGE)) * 0x9e3779b97f4a7c15ull);
}

/* The observations of an owner, type and vantage. */
static void add_group(struct flux_ip *s, struct day *d, const struct ft_rrset *x, size_t n)
{
	const struct flux_help help = {get_text, add_fresh, has_asn(s), s};
	bool fresh, left_out;
	struct item *i =
	    keep_get(&d->keep, item_key(x->owner_key, x->what), x->owner_key, &fresh, &left_out);

	d->owners += fresh || left_out;
	d->left_out += left_out;
	if (i != NULL && fresh)
		i->owner = flux_owner_create(x);
	if (i == NULL || i->owner == NULL)
		return;
	const size_t before = fresh ? 0 : flux_owner_bytes(i->owner);
	const bool candidate = i->owner->n.addr >= FLUX_CANDIDATE;
	(void)flux_owner_add(&i->owner, x, n, s->in->start_s, &help);
	account(s, d, i, before, candidate);
}

static void mark_long(struct day *d, const struct ft_rrset *x)
{
	struct item *i = keep_find(&d->keep, item_key(x->owner_key, x->what));

	if (i != NULL && i->owner != NULL)
		i->owner->flags |= FLUX_LONG;
}

/* Writes the onset where the score is beyond the threshold for the first time. */
static void look(struct flux_ip *s, struct day *d, const struct ft_rrset *x)
{
	const struct item *i = keep_find(&d->keep, item_key(x->owner_key, x->what));
	struct flux_owner *o = i != NULL ? i->owner : NULL;
	struct ft_rrset_text t;

	if (o == NULL || o->f_milli <= FLUX_HOLZ_MILLI || (o->flags & FLUX_CROSSED) != 0 ||
	    is_gated(o) || !get_text(s, x, &t))
		return;
	o->name = malloc(t.owner_len);
	if (o->name == NULL)
		return;
	memcpy(o->name, t.owner, t.owner_len);
	o->name_len = (uint8_t)t.owner_len;
	o->flags |= FLUX_CROSSED;
	write_owner(s, o, true);
}

static bool is_same_group(const struct ft_rrset *a, const struct ft_rrset *b)
{
	return a->owner_key == b->owner_key && (a->what & FT_RRSET_KEY) == (b->what & FT_RRSET_KEY);
}

static void read_row(struct flux_ip *s, struct day *d)
{
	const struct ft_rrset *v = s->rows.v;

	for (size_t i = 0, k; i < s->rows.n; i = k) {
		for (k = i; k < s->rows.n && is_same_group(&v[i], &v[k]); k++)
			;
		if ((v[i].what & FT_RRSET_LONG) == 0)
			add_group(s, d, &v[i], k - i);
		else
			mark_long(d, &v[i]);
	}
	/* Behind all of them: what shares a network with whom is known now. */
	for (size_t i = 0, k; i < s->rows.n; i = k) {
		for (k = i; k < s->rows.n && is_same_group(&v[i], &v[k]); k++)
			if ((v[i].what & FT_RRSET_LONG) == 0)
				look(s, d, &v[k]);
	}
}

static void flux_ip_close(void *stat, struct stat_interval *in)
{
	struct flux_ip *s = stat;
	const uint64_t number = in->start_s / DAY_S;

	s->in = in;
	s->ns = in->flux_ns;
	if (s->days != NULL && s->days->number != number)
		finish_day(s);
	if (s->ns != NULL)
		flux_ns_read_row(s->ns, in);
	if (flux_rows_read(&s->rows, in->rrsets, in->row, is_wanted, s) != 0 || s->rows.n != 0 ||
	    s->days != NULL) {
		struct day *d = (struct day *)keep_row(&s->days, number, &s->set);
		if (d != NULL) {
			d->end_s = in->end_s;
			d->loss_ppm = in->loss_ppm > d->loss_ppm ? in->loss_ppm : d->loss_ppm;
			d->lost += in->rrsets != NULL
				       ? rrsets_totals_get(in->rrsets, in->row).left_out
				       : 0;
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

const struct stat_ops stat_flux_ip = {
    .set = "flux",
    .create = flux_ip_create,
    .record = flux_ip_record,
    .first_row = flux_ip_first_row,
    .close = flux_ip_close,
    .end = flux_ip_end,
    .destroy = flux_ip_destroy,
};

/* Snapshots. */

int flux_ip_save(const void *stat, uint8_t **out, size_t *bytes)
{
	const struct flux_ip *s = stat;
	const struct day *d = (const struct day *)s->days;
	const struct keep *nets = (const struct keep *)s->nets;
	struct flux_out o = {0};
	const uint32_t magic = MAGIC;

	flux_put_octets(&o, &magic, sizeof(magic));
	flux_put(&o, d != NULL);
	if (d != NULL) {
		const uint64_t head[] = {
		    d->keep.head.number, d->owners, d->left_out,   d->lost,
		    d->loss_ppm,         d->end_s,  d->keep.shift, d->candidate_shift};
		for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
			flux_put(&o, head[i]);
	}
	for (size_t i = 0; d != NULL && i < d->keep.n; i++) {
		const struct item *x = keep_at(&d->keep, i);
		if (x->owner == NULL)
			continue;
		flux_put(&o, 1);
		flux_owner_write(x->owner, &o);
	}
	flux_put(&o, 0);
	for (size_t i = 0; nets != NULL && i < nets->n; i++) {
		const struct net *x = keep_at(nets, i);
		flux_put(&o, 1);
		flux_put_octets(&o, &x->keep.key, 8);
		flux_put_octets(&o, x->reg, sizeof(x->reg));
	}
	flux_put(&o, 0);
	if (o.short_of_memory) {
		free(o.p);
		return -ENOMEM;
	}
	*out = o.p;
	*bytes = o.n;
	return 0;
}

static int load_owners(struct flux_ip *s, struct day *d, struct ft_reader *r)
{
	while (ft_get_varint(r, 1) == 1) {
		bool fresh, left_out;
		struct flux_owner *o = flux_owner_read(r);
		if (o == NULL)
			return -errno;
		struct item *i = keep_get(&d->keep, item_key(o->owner_key, o->what), o->owner_key,
					  &fresh, &left_out);
		if (i == NULL || !fresh) {
			flux_owner_destroy(o);
			if (i != NULL)
				return -EBADMSG;
			if (!left_out)
				return -ENOMEM;
			d->left_out++;
			continue;
		}
		i->owner = o;
		account(s, d, i, 0, false);
	}
	return r->bad ? -EBADMSG : 0;
}

static int load_nets(struct flux_ip *s, uint64_t number, struct ft_reader *r)
{
	while (ft_get_varint(r, 1) == 1) {
		const uint64_t key = ft_get_u64(r);
		const uint8_t *reg = ft_get_bytes(r, 1u << NET_P);
		bool fresh, left_out;
		if (reg == NULL)
			return -EBADMSG;
		for (unsigned i = 0; i < 1u << NET_P; i++)
			if (reg[i] > 64 - NET_P + 1)
				return -EBADMSG;
		struct keep *nets = keep_row(&s->nets, number, &s->net_set);
		struct net *net = nets != NULL ? keep_get(nets, key, key, &fresh, &left_out) : NULL;
		if (net != NULL)
			memcpy(net->reg, reg, sizeof(net->reg));
	}
	return r->bad || r->at != r->end ? -EBADMSG : 0;
}

int flux_ip_load(void *stat, const uint8_t *data, size_t bytes)
{
	struct flux_ip *s = stat;
	struct ft_reader r = ft_reader_init(data, bytes);
	int result = 0;

	if (s->days != NULL)
		return -EBUSY;
	const uint32_t magic = ft_get_u32(&r);
	const bool has_day = ft_get_varint(&r, 1) == 1;
	if (magic != MAGIC || r.bad)
		return -EBADMSG;
	if (!has_day)
		return ft_get_varint(&r, 0) == 0 && ft_get_varint(&r, 0) == 0 && !r.bad &&
			       r.at == r.end
			   ? 0
			   : -EBADMSG;
	uint64_t head[8];
	for (unsigned i = 0; i < 8; i++)
		head[i] = ft_get_varint(&r, i == 0   ? UINT32_MAX
					    : i == 4 ? 1000000
					    : i >= 6 ? 63
						     : UINT64_MAX >> 1);
	if (r.bad || head[5] <= head[0] * DAY_S || head[5] > (head[0] + 1) * DAY_S)
		return -EBADMSG;
	struct day *d = (struct day *)keep_row(&s->days, head[0], &s->set);
	if (d == NULL)
		return -ENOMEM;
	d->owners = head[1];
	d->left_out = head[2];
	d->lost = head[3];
	d->loss_ppm = head[4];
	d->end_s = head[5];
	d->keep.shift = (unsigned)head[6];
	d->candidate_shift = (unsigned)head[7];
	result = load_owners(s, d, &r);
	if (result == 0)
		result = load_nets(s, head[0], &r);
	if (result != 0)
		pop_day(s);
	return result;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOLZ_ADDR_MILLI 1320u
#define HOLZ_ASN_MILLI 18540u
#define HOLZ_NET_MILLI 12978u /* a network of 16 bits where systems are not known */
#define NET_SHARE 0.7         /* systems for each of these */

static size_t bits_bytes(const struct flux_caps *c)
{
	return (c->addr + 7u) / 8;
}

static size_t bytes_of(const struct flux_caps *c)
{
	return sizeof(struct flux_owner) + (c->view + 1u) * sizeof(struct flux_view) +
	       c->addr * sizeof(struct flux_addr) + c->ttl * sizeof(struct flux_ttl) +
	       c->seen * sizeof(uint32_t) + (c->view + 1u) * 2 * bits_bytes(c);
}

size_t flux_owner_bytes(const struct flux_owner *o)
{
	return bytes_of(&o->cap);
}

/* One more view than the cap: the one that is looked at before the busiest are chosen. */
struct flux_view *flux_owner_views(const struct flux_owner *o)
{
	return (struct flux_view *)(uintptr_t)(o + 1);
}

struct flux_addr *flux_owner_addrs(const struct flux_owner *o)
{
	return (struct flux_addr *)(flux_owner_views(o) + o->cap.view + 1);
}

struct flux_ttl *flux_owner_ttls(const struct flux_owner *o)
{
	return (struct flux_ttl *)(flux_owner_addrs(o) + o->cap.addr);
}

uint32_t *flux_owner_seen(const struct flux_owner *o)
{
	return (uint32_t *)(flux_owner_ttls(o) + o->cap.ttl);
}

/* Addresses of a view's epoch (which: 0) and of the one before (1). */
static uint8_t *bits_of(const struct flux_owner *o, unsigned view, unsigned which)
{
	return (uint8_t *)(flux_owner_seen(o) + o->cap.seen) +
	       (2 * view + which) * bits_bytes(&o->cap);
}

struct flux_owner *flux_owner_create(const struct ft_rrset *first)
{
	const uint16_t records = first->records < FLUX_CANDIDATE ? first->records : FLUX_CANDIDATE;
	const struct flux_caps cap = {.addr = records < 2 ? 2 : records, .view = 2, .ttl = 1};
	struct flux_owner *o = calloc(1, bytes_of(&cap));

	if (o == NULL)
		return NULL;
	o->cap = cap;
	o->owner_key = first->owner_key;
	o->what = first->what & (FT_RRSET_TYPE | FT_RRSET_VANTAGE);
	o->ttl_min = UINT32_MAX;
	o->first_s = o->full_s = UINT32_MAX;
	return o;
}

void flux_owner_destroy(struct flux_owner *o)
{
	if (o == NULL)
		return;
	free(o->name);
	free(o);
}

static int grow_to(struct flux_owner **o, struct flux_caps cap)
{
	const struct flux_owner *from = *o;
	struct flux_owner *to = calloc(1, bytes_of(&cap));

	if (to == NULL)
		return -ENOMEM;
	*to = *from;
	to->cap = cap;
	memcpy(flux_owner_views(to), flux_owner_views(from),
	       (from->cap.view + 1u) * sizeof(struct flux_view));
	memcpy(flux_owner_addrs(to), flux_owner_addrs(from),
	       from->cap.addr * sizeof(struct flux_addr));
	memcpy(flux_owner_ttls(to), flux_owner_ttls(from), from->cap.ttl * sizeof(struct flux_ttl));
	memcpy(flux_owner_seen(to), flux_owner_seen(from), from->cap.seen * sizeof(uint32_t));
	if (bits_bytes(&cap) == bits_bytes(&from->cap)) { /* back to back, all alike */
		memcpy(bits_of(to, 0, 0), bits_of(from, 0, 0),
		       (from->cap.view + 1u) * 2 * bits_bytes(&cap));
	} else {
		for (unsigned i = 0; i < 2 * (from->cap.view + 1u); i++)
			memcpy(bits_of(to, i / 2, i % 2), bits_of(from, i / 2, i % 2),
			       bits_bytes(&from->cap));
	}
	free(*o);
	*o = to;
	return 0;
}

/* The index of an address, made where it is not there; -ENOMEM; -ENOSPC: as many as are
 * kept. */
static int addr_index(struct flux_owner **o, uint32_t hi, uint32_t lo, bool *fresh)
{
	const struct flux_addr *a = flux_owner_addrs(*o);

	*fresh = false;
	for (unsigned i = 0; i < (*o)->n.addr; i++)
		if (a[i].lo == lo && a[i].hi == hi)
			return (int)i;
	if ((*o)->n.addr == FLUX_ADDRS_CAP) {
		(*o)->flags |= FLUX_CUT;
		return -ENOSPC;
	}
	if ((*o)->n.addr == (*o)->cap.addr) {
		struct flux_caps cap = (*o)->cap;
		cap.addr = (uint16_t)(cap.addr * 2);
		if (grow_to(o, cap) != 0)
			return -ENOMEM;
	}
	flux_owner_addrs(*o)[(*o)->n.addr] = (struct flux_addr){hi, lo, 0, 0, UINT32_MAX};
	*fresh = true;
	return (*o)->n.addr++;
}

static int add_ttl(struct flux_owner **o, uint32_t ttl)
{
	struct flux_ttl *t = flux_owner_ttls(*o);
	unsigned near = 0;

	for (unsigned i = 0; i < (*o)->n.ttl; i++) {
		const uint32_t d = t[i].ttl > ttl ? t[i].ttl - ttl : ttl - t[i].ttl;
		const uint32_t best = t[near].ttl > ttl ? t[near].ttl - ttl : ttl - t[near].ttl;
		if (d < best || (d == best && t[i].ttl < t[near].ttl))
			near = i;
	}
	if ((*o)->n.ttl != 0 && (t[near].ttl == ttl || (*o)->n.ttl == FLUX_TTLS_CAP)) {
		t[near].epochs++;
		return 0;
	}
	if ((*o)->n.ttl == (*o)->cap.ttl) {
		struct flux_caps cap = (*o)->cap;
		cap.ttl = (uint16_t)(cap.ttl * 2);
		if (grow_to(o, cap) != 0)
			return -ENOMEM;
	}
	flux_owner_ttls(*o)[(*o)->n.ttl++] = (struct flux_ttl){ttl, 1};
	return 0;
}

static int begin_epoch(struct flux_owner **o, unsigned v, uint32_t t, uint32_t ttl)
{
	struct flux_view *view = &flux_owner_views(*o)[v];
	const size_t n = bits_bytes(&(*o)->cap);

	(*o)->ttl_changes += view->epochs != 0 && view->ttl != ttl;
	view->begin_s = t;
	view->ttl = ttl;
	view->epochs++;
	(*o)->epochs++;
	memcpy(bits_of(*o, v, 1), bits_of(*o, v, 0), n);
	memset(bits_of(*o, v, 0), 0, n);
	return add_ttl(o, ttl);
}

uint32_t flux_owner_distinct(const uint64_t *v, uint32_t n)
{
	uint64_t list[FLUX_ADDRS_CAP];
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = 0;
		while (k < count && list[k] != v[i])
			k++;
		if (k == count)
			list[count++] = v[i];
	}
	return count;
}

uint64_t flux_owner_net(const struct flux_owner *o, const struct flux_addr *a, bool wide)
{
	if (flux_owner_is_v6(o))
		return wide ? a->hi : ((uint64_t)a->hi << 32 | a->lo) >> 16;
	return a->lo >> (wide ? 16 : 8);
}

static uint32_t take_system(const struct flux_owner *o, bool has_asn, const struct flux_addr *a,
			    uint64_t *system, uint32_t n)
{
	if (has_asn && a->asn != 0)
		system[n++] = a->asn;
	else if (!has_asn)
		system[n++] = flux_owner_net(o, a, true);
	return n;
}

/* Both scores over the two epochs of a view. */
static void evaluate(struct flux_owner *o, unsigned v, bool has_asn)
{
	const struct flux_addr *a = flux_owner_addrs(o);
	const uint8_t *now = bits_of(o, v, 0), *before = bits_of(o, v, 1);
	uint64_t system[FLUX_ADDRS_CAP];
	uint32_t n = 0, systems = 0;

	for (unsigned i = 0; i < o->n.addr; i++) {
		if (((now[i / 8] | before[i / 8]) >> (i % 8) & 1) == 0)
			continue;
		n++;
		systems = take_system(o, has_asn, &a[i], system, systems);
	}
	if (n == 0)
		return;
	systems = flux_owner_distinct(system, systems);
	const uint32_t f =
	    HOLZ_ADDR_MILLI * n + (has_asn ? HOLZ_ASN_MILLI : HOLZ_NET_MILLI) * systems;
	const double s = (has_asn ? 1.0 : NET_SHARE) * systems / n * f / 1000;
	o->f_milli = f > o->f_milli ? f : o->f_milli;
	o->s_zeek = s > o->s_zeek ? s : o->s_zeek;
}

/* The addresses of a set, one bit each, made where they are not there. */
static int read_set(struct flux_owner **o, const struct ft_rrset *x, uint32_t t,
		    const struct flux_help *help, uint8_t mine[FLUX_ADDRS_CAP / 8])
{
	struct ft_rrset_text text;
	uint32_t count = 0;

	memset(mine, 0, FLUX_ADDRS_CAP / 8);
	if (!help->text(help->ctx, x, &text))
		return 0;
	(*o)->flags |= (text.first.what & FT_RRSET_CUT) != 0 ? FLUX_CUT : 0;
	const unsigned octets = flux_owner_is_v6(*o) ? 16 : 4;
	for (uint32_t k = 0; k < text.texts; k++) {
		const uint8_t *p = text.rdata + k * octets;
		const uint32_t first =
		    (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
		const uint32_t hi = octets == 16 ? first : 0;
		const uint32_t lo = octets == 4 ? first
						: (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 |
						      (uint32_t)p[6] << 8 | p[7];
		bool fresh;
		const int i = addr_index(o, hi, lo, &fresh);
		if (i == -ENOMEM)
			return i;
		if (i < 0) {
			(*o)->full_s = t < (*o)->full_s ? t : (*o)->full_s;
			continue;
		}
		struct flux_addr *a = &flux_owner_addrs(*o)[i];
		if (fresh)
			help->fresh(help->ctx, *o, &text, a);
		a->hours |= 1u << t / 3600;
		a->first_s = t < a->first_s ? t : a->first_s;
		count += (mine[i / 8] >> i % 8 & 1) == 0;
		mine[i / 8] |= (uint8_t)(1u << i % 8);
	}
	if (count > (*o)->single)
		(*o)->single = (uint16_t)count;
	return 0;
}

/* Addresses into the epoch of a view; true: one was not there. */
static bool put_set(struct flux_owner *o, unsigned v, const uint8_t *mine)
{
	struct flux_view *view = &flux_owner_views(o)[v];
	uint8_t *now = bits_of(o, v, 0), *before = bits_of(o, v, 1);
	unsigned fresh = 0, moved = 0;

	for (size_t i = 0; i < bits_bytes(&o->cap); i++) {
		fresh |= mine[i] & ~(unsigned)now[i];
		moved |= mine[i] & ~(unsigned)now[i] & ~(unsigned)before[i];
		now[i] |= mine[i];
	}
	view->moved |= view->epochs >= 2 && moved != 0;
	return fresh != 0;
}

/* What a view saw in a minute. */
struct minute {
	const struct ft_rrset *x; /* [n] */
	size_t n;
	const struct flux_help *help;
	uint64_t read[FLUX_READ_CAP / 64]; /* whose addresses are in help->read */
};

/* The sets of one second: one answer to the eye. Each is read once in the minute, as far
 * as there is room to remember it. */
static int add_second(struct flux_owner **o, unsigned v, struct minute *m, unsigned s, uint32_t t)
{
	uint8_t other[FLUX_ADDRS_CAP / 8];
	bool more = false;

	for (size_t i = 0; i < m->n; i++) {
		if ((m->x[i].seconds >> s & 1) == 0)
			continue;
		const bool has_room = i < FLUX_READ_CAP;
		uint8_t *mine = has_room ? m->help->read[i] : other;
		if (!has_room || (m->read[i / 64] >> i % 64 & 1) == 0) {
			if (read_set(o, &m->x[i], t, m->help, mine) != 0)
				return -ENOMEM;
			if (has_room)
				m->read[i / 64] |= 1ull << i % 64;
		}
		more |= put_set(*o, v, mine);
	}
	if (more)
		evaluate(*o, v, m->help->has_asn);
	return 0;
}

static int add_minute(struct flux_owner **o, unsigned v, struct minute *m, uint64_t start_s)
{
	uint64_t seconds = 0;

	for (size_t i = 0; i < m->n; i++)
		seconds |= m->x[i].seconds;
	for (; seconds != 0; seconds &= seconds - 1) {
		const unsigned s = (unsigned)__builtin_ctzll(seconds);
		const uint32_t t = flux_second(start_s, m->x->minute, s);
		const struct flux_view *view = &flux_owner_views(*o)[v];
		uint32_t ttl = 0;
		for (size_t i = 0; i < m->n; i++)
			if ((m->x[i].seconds >> s & 1) != 0 && m->x[i].ttl_max > ttl)
				ttl = m->x[i].ttl_max;
		if (view->epochs == 0 ||
		    t >= view->begin_s + (uint64_t)view->ttl + (view->ttl == 0))
			if (begin_epoch(o, v, t, ttl) != 0)
				return -ENOMEM;
		if (add_second(o, v, m, s, t) != 0)
			return -ENOMEM;
		(*o)->first_s = t < (*o)->first_s ? t : (*o)->first_s;
		(*o)->last_s = t > (*o)->last_s ? t : (*o)->last_s;
	}
	return 0;
}

static int add_view(struct flux_owner **o, unsigned v, const struct ft_rrset *x, size_t n,
		    uint64_t start_s, const struct flux_help *help)
{
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i; k < n && x[k].minute == x[i].minute; k++) {
			flux_owner_views(*o)[v].count += x[k].count;
			(*o)->ttl_min = x[k].ttl_min < (*o)->ttl_min ? x[k].ttl_min : (*o)->ttl_min;
			(*o)->ttl_max = x[k].ttl_max > (*o)->ttl_max ? x[k].ttl_max : (*o)->ttl_max;
			(*o)->flags |= (x[k].what & FT_RRSET_AA) != 0 ? FLUX_AA : 0;
		}
		struct minute m = {.x = x + i, .n = k - i, .help = help};
		if (add_minute(o, v, &m, start_s) != 0)
			return -ENOMEM;
	}
	return 0;
}

static uint64_t least_addr(const struct flux_owner *o, unsigned v)
{
	const struct flux_addr *a = flux_owner_addrs(o);
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < o->n.addr; i++) {
		const uint64_t x = (uint64_t)a[i].hi << 32 | a[i].lo;
		if ((bits_of(o, v, 0)[i / 8] >> i % 8 & 1) != 0 && x < least)
			least = x;
	}
	return least;
}

/* Is a view worth less than another? Nothing here depends on keys of this run before
 * the very last. */
static bool is_lesser(const struct flux_owner *o, unsigned a, unsigned b)
{
	const struct flux_view *x = &flux_owner_views(o)[a], *y = &flux_owner_views(o)[b];

	if (x->count != y->count)
		return x->count < y->count;
	if (x->first_s != y->first_s)
		return x->first_s > y->first_s;
	if (least_addr(o, a) != least_addr(o, b))
		return least_addr(o, a) > least_addr(o, b);
	return x->view > y->view;
}

static int remember_view(struct flux_owner **o, uint32_t view)
{
	if ((*o)->n.seen == FLUX_SEEN_CAP)
		return 0;
	for (unsigned i = 0; i < (*o)->n.seen; i++)
		if (flux_owner_seen(*o)[i] == view)
			return 0;
	if ((*o)->n.seen == (*o)->cap.seen) {
		struct flux_caps cap = (*o)->cap;
		cap.seen = cap.seen == 0 ? 16 : (uint16_t)(cap.seen * 2);
		if (grow_to(o, cap) != 0)
			return -ENOMEM;
	}
	flux_owner_seen(*o)[(*o)->n.seen++] = view;
	return 0;
}

/* The view beyond the cap is remembered by name, and then the least of all leaves. */
static int settle_views(struct flux_owner **o)
{
	const unsigned last = FLUX_VIEWS_CAP;
	unsigned least = last;
	int result = 0;

	for (unsigned v = 0; v <= last && result == 0; v++)
		result = remember_view(o, flux_owner_views(*o)[v].view);
	for (unsigned v = 0; v < last; v++)
		least = is_lesser(*o, v, least) ? v : least;
	struct flux_view *view = flux_owner_views(*o);
	if (least != last) {
		view[least] = view[last];
		memcpy(bits_of(*o, least, 0), bits_of(*o, last, 0), 2 * bits_bytes(&(*o)->cap));
	}
	memset(&view[last], 0, sizeof(*view));
	memset(bits_of(*o, last, 0), 0, 2 * bits_bytes(&(*o)->cap));
	return result;
}

static int add_fresh_view(struct flux_owner **o, const struct ft_rrset *x, size_t n,
			  uint64_t start_s, const struct flux_help *help)
{
	const unsigned v = (*o)->n.view;

	if (v == (*o)->cap.view && v < FLUX_VIEWS_CAP) {
		struct flux_caps cap = (*o)->cap;
		cap.view = (uint16_t)(cap.view * 2);
		if (grow_to(o, cap) != 0)
			return -ENOMEM;
	}
	uint32_t first_s = UINT32_MAX;
	for (size_t i = 0; i < n; i++) {
		const uint32_t t =
		    flux_second(start_s, x[i].minute, (unsigned)__builtin_ctzll(x[i].seconds));
		first_s = t < first_s ? t : first_s;
	}
	flux_owner_views(*o)[v] = (struct flux_view){.view = x->view, .first_s = first_s};
	int result = add_view(o, v, x, n, start_s, help);
	if (v < FLUX_VIEWS_CAP)
		(*o)->n.view++;
	else if (settle_views(o) != 0)
		result = -ENOMEM;
	return result;
}

int flux_owner_add(struct flux_owner **o, const struct ft_rrset *x, size_t n, uint64_t start_s,
		   const struct flux_help *help)
{
	const unsigned known = (*o)->n.view;
	uint32_t before[FLUX_VIEWS_CAP];
	int result = 0;

	for (unsigned v = 0; v < known; v++)
		before[v] = flux_owner_views(*o)[v].view;
	/* Views that are known before those that are not: which ones stay must not depend on
	 * the order of their keys. */
	for (unsigned fresh = 0; fresh < 2; fresh++) {
		for (size_t i = 0, k; i < n && result == 0; i = k) {
			unsigned v = 0;
			for (k = i; k < n && x[k].view == x[i].view; k++)
				;
			while (v < known && before[v] != x[i].view)
				v++;
			if (fresh == 0 && v < known)
				result = add_view(o, v, x + i, k - i, start_s, help);
			else if (fresh == 1 && v == known)
				result = add_fresh_view(o, x + i, k - i, start_s, help);
		}
	}
	return result;
}

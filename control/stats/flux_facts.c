/* SPDX-License-Identifier: BSD-3-Clause */
/* What a day's addresses of an owner say, and their octets in a snapshot. */
#include "flux_owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOURS 24u
#define NONE UINT32_MAX

/* The commonest system; of equals the lowest. */
static void find_top(const struct flux_owner *o, bool has_asn, struct flux_facts *out)
{
	const struct flux_addr *a = flux_owner_addrs(o);
	uint64_t top = UINT64_MAX;

	for (unsigned i = 0; i < o->n.addr; i++) {
		const uint64_t mine = has_asn ? a[i].asn : flux_owner_net(o, &a[i], true);
		uint32_t count = 0;
		if (has_asn && mine == 0)
			continue;
		for (unsigned k = 0; k < o->n.addr; k++)
			count += (has_asn ? a[k].asn : flux_owner_net(o, &a[k], true)) == mine;
		if (count < out->top_count || (count == out->top_count && mine >= top))
			continue;
		top = mine;
		out->top_count = count;
		out->top_asn = (uint32_t)mine;
	}
}

static double mean_churn(const struct flux_owner *o)
{
	const struct flux_addr *a = flux_owner_addrs(o);
	unsigned pairs = 0;
	double sum = 0;

	for (unsigned h = 1; h < HOURS; h++) {
		unsigned now = 0, before = 0, both = 0;
		for (unsigned i = 0; i < o->n.addr; i++) {
			const unsigned x = a[i].hours >> h & 1, y = a[i].hours >> (h - 1) & 1;
			now += x;
			before += y;
			both += x & y;
		}
		if (now == 0 || before == 0)
			continue;
		sum += 1 - (double)both / (now + before - both);
		pairs++;
	}
	return pairs != 0 ? sum / pairs : -1;
}

static uint32_t median_ttl(const struct flux_owner *o)
{
	const struct flux_ttl *t = flux_owner_ttls(o);
	uint64_t all = 0;

	for (unsigned i = 0; i < o->n.ttl; i++)
		all += t[i].epochs;
	for (uint32_t best = NONE, after = 0;; after = best + 1, best = NONE) {
		uint64_t below = 0;
		for (unsigned i = 0; i < o->n.ttl; i++)
			if (t[i].ttl >= after && t[i].ttl < best)
				best = t[i].ttl;
		if (best == NONE)
			return 0;
		for (unsigned i = 0; i < o->n.ttl; i++)
			below += t[i].ttl <= best ? t[i].epochs : 0;
		if (2 * below >= all)
			return best;
	}
}

void flux_owner_facts(const struct flux_owner *o, bool has_asn, struct flux_facts *out)
{
	const struct flux_addr *a = flux_owner_addrs(o);
	const struct flux_view *v = flux_owner_views(o);
	uint64_t narrow[FLUX_ADDRS_CAP], wide[FLUX_ADDRS_CAP], system[FLUX_ADDRS_CAP];
	/* Growth is that of the time in which there was room for it. */
	const uint32_t end_s = o->full_s < o->last_s ? o->full_s : o->last_s;
	const uint32_t half_s = o->first_s + (end_s - o->first_s) / 2;
	uint32_t systems = 0;

	*out = (struct flux_facts){.n_a = o->n.addr};
	for (unsigned i = 0; i < o->n.addr; i++) {
		narrow[i] = flux_owner_net(o, &a[i], false);
		wide[i] = flux_owner_net(o, &a[i], true);
		if (a[i].asn != 0)
			system[systems++] = a[i].asn;
		out->half += a[i].first_s <= half_s;
	}
	out->n_24 = flux_owner_distinct(narrow, o->n.addr);
	out->n_16 = flux_owner_distinct(wide, o->n.addr);
	out->n_asn = flux_owner_distinct(system, systems);
	find_top(o, has_asn, out);
	out->views = o->n.seen != 0 ? o->n.seen : o->n.view;
	for (unsigned i = 0; i < o->n.view; i++)
		out->static_views += v[i].epochs >= 2 && v[i].moved == 0;
	for (unsigned i = 0; i < o->n.view; i++)
		if (v[i].epochs >= 2 && v[i].moved != 0)
			out->static_views = 0;
	out->ttl_med = median_ttl(o);
	out->churn = mean_churn(o);
}

static uint8_t *bits_of(const struct flux_owner *o)
{
	return (uint8_t *)(flux_owner_seen(o) + o->cap.seen);
}

static size_t bits_bytes(const struct flux_owner *o)
{
	return (o->cap.addr + 7u) / 8;
}

void flux_owner_write(const struct flux_owner *o, struct flux_out *out)
{
	const struct flux_addr *a = flux_owner_addrs(o);
	const struct flux_view *v = flux_owner_views(o);

	flux_put_octets(out, &o->owner_key, 8);
	flux_put_octets(out, &o->s_zeek, 8);
	const uint64_t head[] = {o->what,    o->flags,   o->name_len, o->n.addr,
				 o->n.view,  o->n.ttl,   o->n.seen,   o->first_s,
				 o->last_s,  o->full_s,  o->epochs,   o->ttl_changes,
				 o->ttl_min, o->ttl_max, o->f_milli,  o->single};
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		flux_put(out, head[i]);
	flux_put_octets(out, o->name, o->name_len);
	for (unsigned i = 0; i < o->n.addr; i++) {
		const uint64_t x[] = {a[i].hi, a[i].lo, a[i].asn, a[i].hours, a[i].first_s};
		for (unsigned k = 0; k < 5; k++)
			flux_put(out, x[k]);
	}
	for (unsigned i = 0; i < o->n.view; i++) {
		const uint64_t x[] = {v[i].count, v[i].view,   v[i].first_s, v[i].begin_s,
				      v[i].ttl,   v[i].epochs, v[i].moved};
		for (unsigned k = 0; k < 7; k++)
			flux_put(out, x[k]);
		for (unsigned which = 0; which < 2; which++)
			flux_put_octets(out, bits_of(o) + (2 * i + which) * bits_bytes(o),
					(o->n.addr + 7u) / 8);
	}
	for (unsigned i = 0; i < o->n.ttl; i++) {
		flux_put(out, flux_owner_ttls(o)[i].ttl);
		flux_put(out, flux_owner_ttls(o)[i].epochs);
	}
	for (unsigned i = 0; i < o->n.seen; i++)
		flux_put(out, flux_owner_seen(o)[i]);
}

static uint16_t room_for(unsigned n, unsigned least)
{
	unsigned room = least;

	while (room < n)
		room *= 2;
	return (uint16_t)room;
}

static uint32_t get_u32(struct ft_reader *r, uint32_t most)
{
	return (uint32_t)ft_get_varint(r, most);
}

static void read_head(struct ft_reader *r, struct flux_owner *o)
{
	const uint64_t key = ft_get_u64(r), zeek = ft_get_u64(r);

	o->owner_key = key;
	memcpy(&o->s_zeek, &zeek, 8);
	o->what = (uint8_t)get_u32(r, FT_RRSET_TYPE | FT_RRSET_VANTAGE);
	o->flags = (uint8_t)get_u32(r, FLUX_AA | FLUX_LONG | FLUX_CUT | FLUX_CROSSED);
	o->name_len = (uint8_t)get_u32(r, FT_NAME_CAP);
	o->n.addr = (uint16_t)get_u32(r, FLUX_ADDRS_CAP);
	o->n.view = (uint16_t)get_u32(r, FLUX_VIEWS_CAP);
	o->n.ttl = (uint16_t)get_u32(r, FLUX_TTLS_CAP);
	o->n.seen = (uint16_t)get_u32(r, FLUX_SEEN_CAP);
	o->first_s = get_u32(r, DAY_S - 1);
	o->last_s = get_u32(r, DAY_S - 1);
	o->full_s = get_u32(r, UINT32_MAX);
	o->epochs = get_u32(r, UINT32_MAX);
	o->ttl_changes = get_u32(r, UINT32_MAX);
	o->ttl_min = get_u32(r, INT32_MAX);
	o->ttl_max = get_u32(r, INT32_MAX);
	o->f_milli = get_u32(r, UINT32_MAX);
	o->single = (uint16_t)get_u32(r, FLUX_ADDRS_CAP);
	const uint8_t type = o->what & FT_RRSET_TYPE;
	if ((type != FT_RRSET_A && type != FT_RRSET_AAAA) || (o->what & FT_RRSET_REFERRAL) != 0 ||
	    o->first_s > o->last_s || o->full_s < o->first_s ||
	    !(o->s_zeek >= 0 && o->s_zeek < 1e9) ||
	    ((o->flags & FLUX_CROSSED) != 0) != (o->name_len != 0) ||
	    (o->n.addr != 0 && o->single == 0) || o->n.view == 0)
		r->bad = true;
}

static void read_addrs(struct ft_reader *r, struct flux_owner *o)
{
	struct flux_addr *a = flux_owner_addrs(o);

	for (unsigned i = 0; i < o->n.addr; i++) {
		a[i].hi = get_u32(r, flux_owner_is_v6(o) ? UINT32_MAX : 0);
		a[i].lo = get_u32(r, UINT32_MAX);
		a[i].asn = get_u32(r, UINT32_MAX);
		a[i].hours = get_u32(r, (1u << HOURS) - 1);
		a[i].first_s = get_u32(r, DAY_S - 1);
	}
}

static void read_views(struct ft_reader *r, struct flux_owner *o)
{
	struct flux_view *v = flux_owner_views(o);
	const size_t n = (o->n.addr + 7u) / 8;

	for (unsigned i = 0; i < o->n.view; i++) {
		v[i].count = ft_get_varint(r, UINT64_MAX);
		v[i].view = get_u32(r, UINT32_MAX);
		v[i].first_s = get_u32(r, DAY_S - 1);
		v[i].begin_s = get_u32(r, DAY_S - 1);
		v[i].ttl = get_u32(r, INT32_MAX);
		v[i].epochs = get_u32(r, UINT32_MAX);
		v[i].moved = get_u32(r, 1);
		for (unsigned which = 0; which < 2; which++) {
			const uint8_t *p = ft_get_bytes(r, n);
			if (p == NULL)
				return;
			if (n != 0 && o->n.addr % 8 != 0 && p[n - 1] >> o->n.addr % 8 != 0)
				r->bad = true; /* an address that is not there */
			if (n != 0)
				memcpy(bits_of(o) + (2 * i + which) * bits_bytes(o), p, n);
		}
	}
}

static void read_rest(struct ft_reader *r, struct flux_owner *o)
{
	const uint8_t *name = ft_get_bytes(r, o->name_len);

	if (o->name_len != 0) {
		o->name = malloc(o->name_len);
		if (name == NULL || o->name == NULL || !ft_name_is_whole(name, o->name_len)) {
			r->bad = true;
			return;
		}
		memcpy(o->name, name, o->name_len);
	}
	read_addrs(r, o);
	read_views(r, o);
	for (unsigned i = 0; i < o->n.ttl; i++) {
		flux_owner_ttls(o)[i].ttl = get_u32(r, INT32_MAX);
		flux_owner_ttls(o)[i].epochs = get_u32(r, UINT32_MAX);
	}
	for (unsigned i = 0; i < o->n.seen; i++)
		flux_owner_seen(o)[i] = get_u32(r, UINT32_MAX);
}

struct flux_owner *flux_owner_read(struct ft_reader *r)
{
	struct flux_owner head = {0};

	read_head(r, &head);
	if (r->bad) {
		errno = EBADMSG;
		return NULL;
	}
	head.cap = (struct flux_caps){
	    .addr = room_for(head.n.addr, 2),
	    .view = room_for(head.n.view, 1),
	    .ttl = room_for(head.n.ttl, 1),
	    .seen = head.n.seen != 0 ? room_for(head.n.seen, 16) : 0,
	};
	struct flux_owner *o = calloc(1, flux_owner_bytes(&head));
	if (o == NULL)
		return NULL;
	*o = head;
	read_rest(r, o);
	if (!r->bad)
		return o;
	flux_owner_destroy(o);
	errno = EBADMSG;
	return NULL;
}

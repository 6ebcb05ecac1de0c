/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../dataplane/name.h"
#include "integrity_stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int order_host(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct host));
}

static size_t host_place(const struct integrity *s, const struct host *h)
{
	size_t lo = 0, hi = s->hosts;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (order_host(&s->host[mid], h) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int integrity_host_add(struct integrity *s, uint64_t key, const uint8_t *addr)
{
	struct host h = {.key = key};

	memcpy(h.addr, addr, sizeof(h.addr));
	const size_t at = host_place(s, &h);
	if ((at < s->hosts && order_host(&s->host[at], &h) == 0) || s->hosts == HOSTS_CAP)
		return 0;
	if (s->hosts == s->hosts_room) {
		const size_t room = s->hosts_room != 0 ? 2 * s->hosts_room : 64;
		struct host *v = realloc(s->host, room * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		s->host = v;
		s->hosts_room = room;
	}
	memmove(s->host + at + 1, s->host + at, (s->hosts - at) * sizeof(h));
	s->host[at] = h;
	s->hosts++;
	return 0;
}

int integrity_host_add_set(struct integrity *s, uint64_t key, uint16_t qtype,
			   const struct rdset *set)
{
	struct rdata r;
	int result = 0;

	if (qtype != FT_QTYPE_A && qtype != FT_QTYPE_AAAA)
		return 0;
	for (uint32_t at = 0; result == 0 && rdset_next(set, &at, &r);) {
		uint8_t addr[16] = {[10] = 0xff, [11] = 0xff};
		if (r.len == 4)
			memcpy(addr + 12, r.data, 4);
		else if (r.len == 16)
			memcpy(addr, r.data, 16);
		else
			continue;
		result = integrity_host_add(s, key, addr);
	}
	return result;
}

/* Looks for a server among the hosts of a set; *whole: each host has an address. */
static bool set_has_server(const struct integrity *s, const struct rdset *ns, const uint8_t *server,
			   bool *whole)
{
	struct rdata r;

	for (uint32_t at = 0; rdset_next(ns, &at, &r);) {
		struct host h = {.key = name_hash(r.data, r.len, s->run->name_seed)};
		size_t i = host_place(s, &h);
		*whole &= i < s->hosts && s->host[i].key == h.key;
		for (; i < s->hosts && s->host[i].key == h.key; i++)
			if (memcmp(s->host[i].addr, server, 16) == 0)
				return true;
	}
	return false;
}

bool integrity_is_known_server(const struct integrity *s, const struct watched *w,
			       const uint8_t *server)
{
	bool whole = true, any = false;

	if (w->zone == NO_ZONE || w->entry->qtype == FT_QTYPE_DS)
		return true;
	const struct watched *z = &s->v[w->zone];
	for (unsigned k = 0; k < SIDES; k++) {
		const struct integrity_machine *m = &z->side[k];
		const struct rdset *sets[2 + INTEGRITY_CANDIDATES] = {&m->base, &m->all};
		unsigned n = 2;
		for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++)
			if (m->candidate[i] != NULL && m->candidate[i]->by.seen != 0)
				sets[n++] = &m->candidate[i]->set;
		for (unsigned i = 0; i < n; i++) {
			any |= sets[i]->bytes != 0;
			if (set_has_server(s, sets[i], server, &whole))
				return true;
		}
	}
	return !any || !whole;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "fan_way.h"

#include "decode.h"
#include "defrag.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>

#define FIRSTS 16384u /* datagrams in fragments, a power of two */

/* A datagram in fragments: who it is, where what is inside goes, and how much of it has come;
 * once it is whole, the next of that name is another one. */
struct first {
	uint64_t name, hash;
	uint64_t clock_us; /* of its first piece to come */
	uint32_t got, end; /* octets; end 0: not known */
	bool known;        /* hash is */
};

struct fan_way {
	uint64_t key;
	struct first *firsts;
};

struct fan_way *fan_way_create(uint64_t key)
{
	struct fan_way *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->key = key;
	w->firsts = mem_map(FIRSTS * sizeof(*w->firsts));
	if (w->firsts == NULL) {
		free(w);
		errno = ENOMEM;
		return NULL;
	}
	return w;
}

void fan_way_destroy(struct fan_way *w)
{
	if (w == NULL)
		return;
	mem_unmap(w->firsts, FIRSTS * sizeof(*w->firsts));
	free(w);
}

/* As defrag tells datagrams apart; never 0. */
static uint64_t name_of(const struct fan_way *w, const struct decoded *d)
{
	const uint64_t rest = (uint64_t)d->frag_id << 16 | (d->flow.v6 != 0 ? 1u << 8 : d->proto);
	const uint64_t src = addr_hash(&d->flow.src, w->key ^ 1);

	return hash_mix(hash_mix(src ^ rest) + addr_hash(&d->flow.dst, w->key ^ 1)) | 1;
}

static bool is_over(const struct first *f, uint64_t now_us)
{
	return now_us - f->clock_us >= DEFRAG_WAIT_US;
}

static struct first *first_of(struct fan_way *w, uint64_t name, uint64_t now_us)
{
	struct first *f = &w->firsts[name >> 1 & (FIRSTS - 1)];

	if (f->name != name || is_over(f, now_us) || (f->known && f->end != 0 && f->got >= f->end))
		*f = (struct first){.name = name, .clock_us = now_us};
	return f;
}

uint64_t fan_way_hash(struct fan_way *w, const struct pkt *p, uint64_t *pending)
{
	struct decoded d;
	struct addr src, dst;

	*pending = 0;
	if (!decode_outline(p->data, p->cap_len, (enum link_type)p->link, &d))
		return 0;
	const uint64_t outer = flow_hash(&d.flow.src, &d.flow.dst, w->key);
	if (d.kind != DECODE_FRAGMENT)
		return outer;
	struct first *f = first_of(w, name_of(w, &d), p->clock_us);
	f->got += d.len;
	if (!d.frag_more)
		f->end = d.frag_off + d.len;
	if (d.frag_off == 0) {
		decode_addrs_inside(&d, &src, &dst);
		f->hash = flow_hash(&src, &dst, w->key);
		f->known = true;
	}
	if (f->known)
		return f->hash;
	*pending = f->name;
	return outer;
}

bool fan_way_find(const struct fan_way *w, uint64_t pending, uint64_t now_us, uint64_t *hash)
{
	const struct first *f = &w->firsts[pending >> 1 & (FIRSTS - 1)];

	if (f->name != pending || !f->known || is_over(f, now_us))
		return false;
	*hash = f->hash;
	return true;
}

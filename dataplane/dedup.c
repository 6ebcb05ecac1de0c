/* SPDX-License-Identifier: BSD-3-Clause */
#include "dedup.h"

#include "cursor.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WAYS 4u
#define TCP_HEADER 20u

struct seen {
	uint64_t hash; /* 0: free, and then t_us is, too */
	uint64_t t_us;
};
static_assert(WAYS * sizeof(struct seen) == CACHE_LINE, "one line a set");

struct dedup {
	struct seen *seen;
	size_t sets;
	uint64_t window_us, hash_key;
};

struct dedup *dedup_create(size_t entries, uint64_t window_us, uint64_t hash_key)
{
	struct dedup *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->sets = 16;
	while (t->sets * WAYS < entries)
		t->sets *= 2;
	t->window_us = window_us;
	t->hash_key = hash_key;
	t->seen = mem_map(t->sets * WAYS * sizeof(*t->seen));
	if (t->seen == NULL) {
		free(t);
		errno = ENOMEM;
		return NULL;
	}
	return t;
}

void dedup_destroy(struct dedup *t)
{
	if (t == NULL)
		return;
	mem_unmap(t->seen, t->sets * WAYS * sizeof(*t->seen));
	free(t);
}

/* The identification of the common frame: its IP header stands behind Ethernet's. */
static uint32_t common_ip_id(const struct pkt *p, const struct decoded *d)
{
	return d->flow.v6 ? 0 : load_u16_be(p->data + 14 + 4);
}

static uint64_t hash_of(const struct dedup *t, const struct pkt *p, const struct decoded *d,
			bool common)
{
	/* No octet of it is undefined. */
	struct {
		struct addr src, dst;
		uint32_t ip_id, frag;
		uint32_t ports, len;
		uint8_t tcp[16]; /* numbers, flags and window */
	} head = {
	    .src = d->flow.src,
	    .dst = d->flow.dst,
	    .ip_id = common ? common_ip_id(p, d) : d->ip_id,
	    .frag = (uint32_t)d->proto << 24 | (uint32_t)d->flow.v6 << 23,
	    .len = d->len,
	};
	uint64_t seed = t->hash_key;

	if (d->kind == DECODE_FRAGMENT)
		head.frag |= 1u << 22 | (uint32_t)d->frag_more << 21 | d->frag_off;
	else
		head.ports = (uint32_t)d->flow.sport << 16 | d->flow.dport;
	if (d->kind == DECODE_TCP) {
		const uint8_t *tcp = d->data - d->l4_bytes;
		memcpy(head.tcp, tcp + 4, 12);
		seed = XXH3_64bits_withSeed(tcp + TCP_HEADER, d->l4_bytes - TCP_HEADER, seed);
	}
	seed = XXH3_64bits_withSeed(&head, sizeof(head), seed);
	const uint64_t hash = XXH3_64bits_withSeed(d->data, d->len, seed);
	return hash != 0 ? hash : 1;
}

bool dedup_seen(struct dedup *t, const struct pkt *p, const struct decoded *d, bool common)
{
	const uint64_t hash = hash_of(t, p, d, common);
	struct seen *set = &t->seen[(hash & (t->sets - 1)) * WAYS], *out = set;

	for (unsigned i = 0; i < WAYS; i++) {
		struct seen *s = &set[i];
		if (s->hash == hash) {
			/* Captures that were merged may go back a little. */
			const uint64_t apart =
			    p->ts_us > s->t_us ? p->ts_us - s->t_us : s->t_us - p->ts_us;
			if (apart < t->window_us)
				return true;
			out = s;
			break;
		}
		if (s->t_us < out->t_us) /* free ones are the oldest: of time 0 */
			out = s;
	}
	*out = (struct seen){hash, p->ts_us};
	return false;
}

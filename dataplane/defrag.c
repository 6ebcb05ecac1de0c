/* SPDX-License-Identifier: BSD-3-Clause */
#include "defrag.h"

#include "mem.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define DATAGRAM_CAP 65535u /* octets */
#define BUFFER_BYTES 65536u
/* 65,535 octets in fragments of the least IPv4 MTU that hosts use (576) are 119. */
#define PIECES_CAP 128u
#define SLOTS_CAP ((size_t)1 << 20)
#define NIL UINT32_MAX

/* One fragment that is held. */
struct piece {
	uint64_t held_us;
	uint16_t off, end;
};

/* One datagram that waits, or the tombstone of one that was given up. */
struct slot {
	struct addr src, dst;
	uint32_t id;
	uint8_t v6, proto;
	uint8_t first_proto; /* as the fragment with offset 0 says */
	uint8_t given_up;    /* enum ft_pkt_drop, or 0 while it may become whole */
	uint32_t bucket_next, bucket;
	uint32_t older, newer; /* by the clock at the first fragment */
	uint64_t born_us;
	bool end_known;
	uint32_t end; /* octets of the whole, once the last fragment was seen */
	uint32_t got; /* octets held */
	uint32_t n;
	uint64_t frame_bytes; /* of what is held */
	struct piece piece[PIECES_CAP]; /* by offset; they never overlap */
};

struct defrag {
	uint64_t hash_key;
	defrag_settle_fn settle;
	void *ctx;
	size_t map_bytes, held;
	uint32_t slots, fresh; /* slots from fresh on were never used (nor touched) */
	uint32_t free, oldest, newest;
	uint32_t bucket_mask;
	uint32_t *bucket;
	struct slot *slot;
	uint8_t *buffer; /* BUFFER_BYTES for each slot */
};

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

struct defrag *defrag_create(size_t datagrams, uint64_t hash_key, defrag_settle_fn settle,
			     void *ctx)
{
	if (datagrams == 0 || datagrams > SLOTS_CAP || settle == NULL) {
		errno = EINVAL;
		return NULL;
	}
	size_t buckets = 2;
	while (buckets < 2 * datagrams)
		buckets *= 2;
	/* One mapping: the parts that are always in use, the slots, the buffers. */
	const size_t slots_at = round_up(sizeof(struct defrag), 64);
	const size_t buckets_at = round_up(slots_at + datagrams * sizeof(struct slot), 64);
	const size_t buffers_at = round_up(buckets_at + buckets * sizeof(uint32_t), 4096);
	const size_t bytes = buffers_at + datagrams * BUFFER_BYTES;
	uint8_t *base = mem_map(bytes);
	if (base == NULL)
		return NULL;

	struct defrag *d = (struct defrag *)(void *)base;
	d->hash_key = hash_key;
	d->settle = settle;
	d->ctx = ctx;
	d->map_bytes = bytes;
	d->slots = (uint32_t)datagrams;
	d->free = d->oldest = d->newest = NIL;
	d->bucket_mask = (uint32_t)buckets - 1;
	d->slot = (struct slot *)(void *)(base + slots_at);
	d->bucket = (uint32_t *)(void *)(base + buckets_at);
	d->buffer = base + buffers_at;
	memset(d->bucket, 0xff, buckets * sizeof(uint32_t)); /* NIL */
	return d;
}

void defrag_destroy(struct defrag *d)
{
	if (d != NULL)
		mem_unmap(d, d->map_bytes);
}

size_t defrag_held(const struct defrag *d)
{
	return d->held;
}

static uint8_t *slot_buffer(const struct defrag *d, uint32_t i)
{
	return d->buffer + (size_t)i * BUFFER_BYTES;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Tells the fate of all that the slot holds; the slot stays. */
static void slot_settle(struct defrag *d, struct slot *s, uint64_t at_us, enum ft_pkt_drop why)
{
	const uint32_t n = s->n;

	assert(d->held >= n);
	d->held -= n;
	s->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t held_us = s->piece[i].held_us;
		d->settle(d->ctx, held_us, later(held_us, at_us), why);
	}
}

static void slot_free(struct defrag *d, uint32_t i)
{
	struct slot *s = &d->slot[i];
	uint32_t *link = &d->bucket[s->bucket];

	while (*link != i)
		link = &d->slot[*link].bucket_next;
	*link = s->bucket_next;
	*(s->older == NIL ? &d->oldest : &d->slot[s->older].newer) = s->newer;
	*(s->newer == NIL ? &d->newest : &d->slot[s->newer].older) = s->older;
	s->bucket_next = d->free;
	d->free = i;
}

/* RFC 791 names a datagram by both addresses, protocol and identification;
 * RFC 8200 4.5 by both addresses and identification. */
static bool slot_is(const struct slot *s, const struct fragment *f)
{
	return s->id == f->id && s->v6 == f->v6 && (f->v6 || s->proto == f->proto) &&
	       memcmp(&s->src, f->src, sizeof s->src) == 0 &&
	       memcmp(&s->dst, f->dst, sizeof s->dst) == 0;
}

static uint32_t bucket_of(const struct defrag *d, const struct fragment *f)
{
	const uint64_t rest = (uint64_t)f->id << 16 | (f->v6 ? 1u << 8 : f->proto);
	const uint64_t src = addr_hash(f->src, d->hash_key);

	return (uint32_t)hash_mix(hash_mix(src ^ rest) + addr_hash(f->dst, d->hash_key)) &
	       d->bucket_mask;
}

/* A slot for the datagram of this fragment, the first of it that was seen. Where
 * none is free, the oldest is pushed out. */
static uint32_t slot_take(struct defrag *d, const struct fragment *f, uint32_t bucket)
{
	if (d->free == NIL && d->fresh == d->slots) {
		const uint32_t out = d->oldest;
		slot_settle(d, &d->slot[out], f->t_us, FT_PKT_FRAG_FULL);
		slot_free(d, out);
	}
	uint32_t i = d->free;
	if (i != NIL)
		d->free = d->slot[i].bucket_next;
	else
		i = d->fresh++;

	struct slot *s = &d->slot[i];
	s->src = *f->src;
	s->dst = *f->dst;
	s->id = f->id;
	s->v6 = f->v6;
	s->proto = f->proto;
	s->first_proto = f->proto;
	s->given_up = 0;
	s->born_us = f->now_us;
	s->end_known = false;
	s->end = s->got = s->n = 0;
	s->frame_bytes = 0;
	s->bucket = bucket;
	s->bucket_next = d->bucket[bucket];
	d->bucket[bucket] = i;
	s->newer = NIL;
	s->older = d->newest;
	*(d->newest == NIL ? &d->oldest : &d->slot[d->newest].newer) = i;
	d->newest = i;
	return i;
}

static uint32_t slot_find(struct defrag *d, const struct fragment *f)
{
	const uint32_t bucket = bucket_of(d, f);

	for (uint32_t i = d->bucket[bucket]; i != NIL; i = d->slot[i].bucket_next)
		if (slot_is(&d->slot[i], f))
			return i;
	return slot_take(d, f, bucket);
}

/* What is wrong with the fragment itself, whatever else was seen. */
static bool fragment_bad(const struct fragment *f)
{
	return f->off % 8 != 0 || f->off > DATAGRAM_CAP || f->len > DATAGRAM_CAP - f->off ||
	       (f->more && (f->len == 0 || f->len % 8 != 0));
}

/* Where the fragment belongs among the slot's: the first that does not begin before it. */
static uint32_t piece_at(const struct slot *s, uint32_t off)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		const uint32_t mid = (lo + hi) / 2;
		if (s->piece[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* FT_PKT_HELD: it fits at piece `at`. Else the reason against it. */
static enum ft_pkt_drop slot_judge(const struct slot *s, const struct fragment *f, uint32_t at,
				   const uint8_t *buffer)
{
	const uint32_t end = f->off + f->len;
	const struct piece *next = at < s->n ? &s->piece[at] : NULL;
	const bool next_is_last = s->end_known && at + 1 == s->n;

	if (next != NULL && next->off == f->off && next->end == end && next_is_last == !f->more &&
	    (f->len == 0 || memcmp(buffer + f->off, f->data, f->len) == 0))
		return FT_PKT_FRAG_DUPLICATE;
	/* Octets in common: only with the neighbours, because no two of the slot's overlap. */
	if (at > 0 && s->piece[at - 1].end > f->off && f->len > 0)
		return FT_PKT_FRAG_OVERLAP;
	if (next != NULL && next->off < end && next->end > next->off)
		return FT_PKT_FRAG_OVERLAP;
	/* Two ends, or octets behind the end. */
	if (s->end_known && (end > s->end || !f->more))
		return FT_PKT_FRAG_BAD;
	if (!f->more && s->n > 0 && s->piece[s->n - 1].end > end)
		return FT_PKT_FRAG_BAD;
	if (s->n == PIECES_CAP)
		return FT_PKT_FRAG_BAD;
	return FT_PKT_HELD;
}

/* Notes the fragment, whose octets are in the buffer already. */
static void slot_insert(struct slot *s, const struct fragment *f, uint32_t at)
{
	memmove(&s->piece[at + 1], &s->piece[at], (s->n - at) * sizeof s->piece[0]);
	s->piece[at] = (struct piece){
	    .held_us = f->t_us, .off = (uint16_t)f->off, .end = (uint16_t)(f->off + f->len)};
	s->n++;
	s->got += f->len;
	s->frame_bytes += f->frame_bytes;
	if (f->off == 0)
		s->first_proto = f->proto;
	if (!f->more) {
		s->end_known = true;
		s->end = f->off + f->len;
	}
}

/* Takes a fragment that fits. */
static enum ft_pkt_drop slot_put(struct defrag *d, uint32_t i, const struct fragment *f,
				 uint32_t at, struct datagram *out)
{
	struct slot *s = &d->slot[i];
	const uint32_t end = f->more ? s->end : f->off + f->len;

	if (f->len > 0)
		memcpy(slot_buffer(d, i) + f->off, f->data, f->len);
	if ((f->more && !s->end_known) || s->got + f->len < end) {
		slot_insert(s, f, at);
		d->held++;
		return FT_PKT_HELD;
	}
	assert(s->got + f->len == end);
	*out = (struct datagram){.data = slot_buffer(d, i),
				 .len = end,
				 .proto = f->off == 0 ? f->proto : s->first_proto,
				 .frames = s->n + 1,
				 .frame_bytes = s->frame_bytes + f->frame_bytes};
	slot_settle(d, s, f->t_us, FT_PKT_CARRIED);
	slot_free(d, i);
	return FT_PKT_CARRIED;
}

enum ft_pkt_drop defrag_put(struct defrag *d, const struct fragment *f, struct datagram *out)
{
	defrag_expire(d, f->now_us); /* so that it never matters who else called it when */
	if (f->off == 0 && !f->more && f->len <= DATAGRAM_CAP) { /* atomic, RFC 6946 */
		*out = (struct datagram){.data = f->data,
					 .len = f->len,
					 .proto = f->proto,
					 .frames = 1,
					 .frame_bytes = f->frame_bytes};
		return FT_PKT_CARRIED;
	}
	const uint32_t i = slot_find(d, f);
	struct slot *s = &d->slot[i];
	if (s->given_up)
		return (enum ft_pkt_drop)s->given_up;

	const uint32_t at = piece_at(s, f->off);
	const enum ft_pkt_drop why =
	    fragment_bad(f) ? FT_PKT_FRAG_BAD : slot_judge(s, f, at, slot_buffer(d, i));
	if (why == FT_PKT_HELD)
		return slot_put(d, i, f, at, out);
	if (why != FT_PKT_FRAG_DUPLICATE) {
		s->given_up = (uint8_t)why;
		slot_settle(d, s, f->t_us, why);
	}
	return why;
}

void defrag_expire(struct defrag *d, uint64_t now_us)
{
	while (d->oldest != NIL) {
		const uint32_t i = d->oldest;
		const uint64_t end_us = d->slot[i].born_us + DEFRAG_WAIT_US;
		if (now_us < end_us)
			return;
		slot_settle(d, &d->slot[i], end_us, FT_PKT_FRAG_TIMEOUT);
		slot_free(d, i);
	}
}

void defrag_flush(struct defrag *d, uint64_t now_us)
{
	defrag_expire(d, now_us);
	while (d->oldest != NIL) {
		const uint32_t i = d->oldest;
		slot_settle(d, &d->slot[i], now_us, FT_PKT_FRAG_TIMEOUT);
		slot_free(d, i);
	}
	assert(d->held == 0);
}

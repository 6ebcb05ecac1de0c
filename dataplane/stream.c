/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

#include "mem.h"
#include "stream_buf.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#define WAYS 8u /* connections a set */
#define SETS_CAP ((size_t)1 << 24)
/* A sequence number that is further off than any receive window in use is not of this stream. */
#define FAR (1 << 24)

enum { SIDE_FIN = 1, SIDE_DONE = 2 };                     /* fin is known; and reached */
enum { CONN_DATA = 1, CONN_RESET = 2, CONN_SYN_ACK = 4 }; /* what was seen: payload, RST, ... */

struct key {
	struct addr end[2]; /* in a fixed order, whoever sends */
	uint16_t port[2];
	uint8_t v6;
};

struct conn {
	alignas(64) struct key key;
	uint8_t flags;
	uint8_t syn_from;           /* the end that sent the SYN-ACK */
	uint64_t last_us;           /* of the clock */
	uint64_t syn_us;            /* time of the SYN-ACK; 0: none, or the ACK has come */
	struct stream_side side[2]; /* side[0] sends from end[0] */
};
static_assert(sizeof(struct conn) <= 128, "two cache lines a connection");

struct stream {
	struct stream_bufs bufs;
	uint64_t hash_key, idle_us;
	size_t map_bytes;
	uint32_t sets, ways;
	uint64_t handshake_us;
	uint16_t *tag; /* of each connection; 0: free */
	struct conn *conn;
};

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

struct stream *stream_create(const struct stream_limits *limits, uint64_t hash_key,
			     stream_message_fn message, void *ctx)
{
	const size_t ways = limits->connections < WAYS ? limits->connections : WAYS;
	const size_t sets = ways > 0 ? limits->connections / ways : 0;
	size_t bufs_bytes;

	if (sets == 0 || sets > SETS_CAP || message == NULL) {
		errno = EINVAL;
		return NULL;
	}
	struct stream_bufs plan = {.message = message, .ctx = ctx};
	const size_t data_bytes = stream_buf_plan(&plan, limits->buffer_bytes, &bufs_bytes);
	const size_t conns_at = round_up(sizeof(struct stream), 64);
	const size_t tags_at = conns_at + sets * ways * sizeof(struct conn);
	const size_t bufs_at = round_up(tags_at + sets * ways * sizeof(uint16_t), 64);
	const size_t data_at = round_up(bufs_at + bufs_bytes, 4096);
	uint8_t *base = mem_map(data_at + data_bytes);
	if (base == NULL)
		return NULL;

	struct stream *s = (struct stream *)(void *)base;
	s->bufs = plan;
	stream_buf_init(&s->bufs, base + bufs_at, base + data_at);
	s->hash_key = hash_key;
	s->idle_us = limits->idle_us;
	s->map_bytes = data_at + data_bytes;
	s->sets = (uint32_t)sets;
	s->ways = (uint32_t)ways;
	s->tag = (uint16_t *)(void *)(base + tags_at);
	s->conn = (struct conn *)(void *)(base + conns_at);
	return s;
}

void stream_destroy(struct stream *s)
{
	if (s != NULL)
		mem_unmap(s, s->map_bytes);
}

const struct stream_stats *stream_stats_get(const struct stream *s)
{
	return &s->bufs.stats;
}

size_t stream_lent(const struct stream *s)
{
	return s->bufs.lent;
}

/* ---- one side, one segment ---- */

static void side_start(struct stream_side *d, uint32_t next)
{
	*d = (struct stream_side){.next = next, .isn = next - 1, .state = SIDE_SYNCED};
}

/* A segment that belongs to nothing known: the stream begins here or not at all. */
static enum ft_pkt_drop put_stray(struct stream_pass *p, uint32_t seq, enum ft_pkt_drop why)
{
	const struct segment *seg = p->seg;

	if (!stream_buf_plausible(seg->data, seg->len))
		return why;
	if (p->d->state != SIDE_NONE)
		stream_buf_forget(p->s, p->d);
	p->s->stats.gaps += why == FT_PKT_TCP_GAP;
	side_start(p->d, seq);
	stream_buf_take(p, seg->data, seg->len);
	return FT_PKT_CARRIED;
}

/* New octets while the side looks for the beginning of a message. */
static enum ft_pkt_drop put_lost(struct stream_pass *p, uint32_t seq, const uint8_t *data,
				 uint32_t len)
{
	struct stream_side *d = p->d;

	if (seq == p->seg->seq + (p->seg->flags & TCP_SYN ? 1 : 0) &&
	    stream_buf_plausible(data, len)) {
		p->s->stats.lost_bytes += seq - d->next;
		d->next = seq;
		d->state = SIDE_SYNCED;
		stream_buf_take(p, data, len);
		return FT_PKT_CARRIED;
	}
	p->s->stats.lost_bytes += seq + len - d->next;
	d->next = seq + len;
	return (enum ft_pkt_drop)d->why;
}

/* The payload, whose first octet has sequence number `seq`. */
static enum ft_pkt_drop put_data(struct stream_pass *p, uint32_t seq)
{
	struct stream_side *d = p->d;
	const uint8_t *data = p->seg->data;
	uint32_t len = p->seg->len;

	if (d->state == SIDE_NONE)
		return put_stray(p, seq, FT_PKT_TCP_MIDSTREAM);
	for (;;) {
		const int32_t ahead = (int32_t)(seq - d->next);
		if (ahead > FAR || ahead < -FAR)
			return put_stray(p, seq, FT_PKT_TCP_GAP);
		if (ahead + (int64_t)len <= 0)
			return FT_PKT_CARRIED; /* seen before, a keepalive among it */
		if (d->flags & SIDE_DONE)
			return ahead < 0 ? FT_PKT_TCP_MIDSTREAM
					 : put_stray(p, seq, FT_PKT_TCP_MIDSTREAM);
		if (ahead < 0) {
			data += -ahead;
			len -= (uint32_t)-ahead;
			seq = d->next;
		}
		if (d->state == SIDE_LOST)
			return put_lost(p, seq, data, len);
		if (ahead <= 0) {
			stream_buf_take(p, data, len);
			return p->dropped >= len ? (enum ft_pkt_drop)d->why : FT_PKT_CARRIED;
		}
		if (stream_buf_keep(p, seq, data, len))
			return FT_PKT_CARRIED;
	}
}

/* The side ends at `end`, now or when what is missing has come. An end before what
 * was seen already is none. */
static void put_fin(struct stream_pass *p, uint32_t end)
{
	struct stream_side *d = p->d;
	const int32_t ahead = (int32_t)(end - d->next);

	if (p->seg->flags & TCP_FIN && d->state != SIDE_NONE && !(d->flags & SIDE_FIN) &&
	    ahead >= 0 && ahead <= FAR) {
		d->fin = end;
		d->flags |= SIDE_FIN;
	}
	if (d->flags & SIDE_FIN && !(d->flags & SIDE_DONE) && (int32_t)(d->next - d->fin) >= 0) {
		stream_buf_forget(p->s, d);
		d->flags |= SIDE_DONE;
	}
}

/* ---- the table ---- */

/* Returns which end sent this. */
static unsigned key_of(struct key *k, const struct flow *f)
{
	const int order = memcmp(&f->src, &f->dst, sizeof f->src);
	const unsigned from = order > 0 || (order == 0 && f->sport > f->dport);

	k->end[from] = f->src;
	k->end[1 - from] = f->dst;
	k->port[from] = f->sport;
	k->port[1 - from] = f->dport;
	k->v6 = f->v6;
	return from;
}

static uint64_t key_hash(const struct key *k, uint64_t hash_key)
{
	const uint64_t ports = (uint64_t)k->port[0] << 16 | k->port[1];

	return hash_mix(flow_hash(&k->end[0], &k->end[1], hash_key) ^ ports);
}

static bool key_same(const struct key *x, const struct key *y)
{
	return x->port[0] == y->port[0] && x->port[1] == y->port[1] && x->v6 == y->v6 &&
	       memcmp(x->end, y->end, sizeof x->end) == 0;
}

static bool conn_idle(const struct stream *s, const struct conn *c, uint64_t now_us)
{
	return now_us > c->last_us && now_us - c->last_us > s->idle_us;
}

static bool conn_closed(const struct conn *c)
{
	return c->flags & CONN_RESET || (c->side[0].flags & c->side[1].flags & SIDE_DONE);
}

static void conn_forget(struct stream *s, uint32_t i)
{
	stream_buf_forget(&s->bufs, &s->conn[i].side[0]);
	stream_buf_forget(&s->bufs, &s->conn[i].side[1]);
	s->tag[i] = 0;
}

void stream_expire(struct stream *s, uint64_t now_us)
{
	for (unsigned k = 0; k < STREAM_BUF_CLASSES; k++) {
		const struct stream_side *d;
		while ((d = stream_buf_oldest(&s->bufs, k)) != NULL) {
			const size_t at = (size_t)((const char *)d - (const char *)s->conn);
			const uint32_t i = (uint32_t)(at / sizeof(struct conn));
			if (!conn_idle(s, &s->conn[i], now_us))
				break;
			conn_forget(s, i);
		}
	}
}

/* The place for a new connection among ways [i, i + ways): a free one, else the one that
 * was silent longest, but first of those that never sent payload or are over. */
static uint32_t conn_place(struct stream *s, uint32_t i, uint64_t now_us)
{
	uint32_t best = i;
	bool best_cheap = false;

	for (uint32_t w = i; w < i + s->ways; w++) {
		const struct conn *c = &s->conn[w];
		if (s->tag[w] == 0)
			return w;
		if (conn_idle(s, c, now_us)) {
			conn_forget(s, w);
			return w;
		}
		const bool cheap = !(c->flags & CONN_DATA) || conn_closed(c);
		if (w == i || (cheap && !best_cheap) ||
		    (cheap == best_cheap && c->last_us < s->conn[best].last_us)) {
			best = w;
			best_cheap = cheap;
		}
	}
	s->bufs.stats.evicted += !conn_closed(&s->conn[best]);
	conn_forget(s, best);
	return best;
}

/* May this segment begin a connection? */
static bool segment_begins(const struct segment *seg)
{
	if (seg->flags & TCP_RST)
		return false;
	return seg->flags & TCP_SYN || stream_buf_plausible(seg->data, seg->len);
}

/* The connection of this segment, NULL where there is none and none begins. */
static struct conn *conn_get(struct stream *s, const struct segment *seg, unsigned *from)
{
	struct key k;
	*from = key_of(&k, seg->flow);
	const uint64_t h = key_hash(&k, s->hash_key);
	const uint32_t set = (uint32_t)((h >> 32) * s->sets >> 32) * s->ways;
	const uint16_t tag = (uint16_t)((h & 0xffff) | 1);

	for (uint32_t i = set; i < set + s->ways; i++) {
		struct conn *c = &s->conn[i];
		if (s->tag[i] != tag || !key_same(&c->key, &k))
			continue;
		if (!conn_idle(s, c, seg->now_us))
			return c;
		conn_forget(s, i);
	}
	if (!segment_begins(seg))
		return NULL;
	const uint32_t i = conn_place(s, set, seg->now_us);
	s->tag[i] = tag;
	s->conn[i] = (struct conn){.key = k};
	return &s->conn[i];
}

/* SYN: a new connection, a new direction of one, or nothing (retransmitted). */
static void conn_syn(struct stream *s, struct conn *c, unsigned from, const struct segment *seg)
{
	struct stream_side *d = &c->side[from];
	const bool other = d->state != SIDE_NONE && d->isn != seg->seq;

	if (conn_closed(c) || (other && !(seg->flags & TCP_ACK))) {
		stream_buf_forget(&s->bufs, &c->side[0]);
		stream_buf_forget(&s->bufs, &c->side[1]);
		c->side[1 - from] = (struct stream_side){0};
		c->flags = 0;
	} else if (other) {
		stream_buf_forget(&s->bufs, d);
	} else if (d->state != SIDE_NONE) {
		return;
	}
	side_start(d, seg->seq + 1);
}

uint64_t stream_handshake_us(const struct stream *s)
{
	return s->handshake_us;
}

/* A SYN-ACK that comes again makes it unknown which one was acknowledged. */
static void time_handshake(struct stream *s, struct conn *c, unsigned from,
			   const struct segment *seg)
{
	const unsigned both = seg->flags & (TCP_SYN | TCP_ACK);

	if (both == (TCP_SYN | TCP_ACK)) {
		c->syn_us = c->flags & CONN_SYN_ACK ? 0 : seg->ts_us;
		c->syn_from = (uint8_t)from;
		c->flags |= CONN_SYN_ACK;
	} else if (both == TCP_ACK && c->syn_us != 0 && c->syn_from != from) {
		s->handshake_us = seg->ts_us > c->syn_us ? seg->ts_us - c->syn_us : 0;
		c->syn_us = 0;
	}
}

enum ft_pkt_drop stream_put(struct stream *s, const struct segment *seg)
{
	unsigned from;

	s->handshake_us = 0;

	stream_expire(s, seg->now_us); /* so that it never matters who else called it when */
	struct conn *c = conn_get(s, seg, &from);
	if (c == NULL)
		return seg->len == 0 || seg->flags & TCP_RST ? FT_PKT_CARRIED
							     : FT_PKT_TCP_MIDSTREAM;
	c->last_us = seg->now_us;
	stream_buf_touch(&s->bufs, &c->side[0]);
	stream_buf_touch(&s->bufs, &c->side[1]);
	if (seg->flags & TCP_RST) {
		stream_buf_strip(&s->bufs, &c->side[0], FT_PKT_TCP_GAP);
		stream_buf_strip(&s->bufs, &c->side[1], FT_PKT_TCP_GAP);
		c->flags |= CONN_RESET;
		return FT_PKT_CARRIED;
	}
	if (seg->flags & TCP_SYN)
		conn_syn(s, c, from, seg);
	time_handshake(s, c, from, seg);

	struct stream_pass p = {.s = &s->bufs, .d = &c->side[from], .seg = seg};
	const uint32_t seq = seg->seq + (seg->flags & TCP_SYN ? 1 : 0);
	enum ft_pkt_drop why = FT_PKT_CARRIED;
	if (seg->len > 0) {
		c->flags |= CONN_DATA;
		why = put_data(&p, seq);
	} else {
		stream_buf_age(&p, seq);
	}
	put_fin(&p, seq + seg->len);
	return why;
}

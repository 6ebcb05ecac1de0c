/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream_buf.h"

#include "cursor.h"

#include <assert.h>
#include <string.h>

#define NIL UINT32_MAX
#define HEADER 12u      /* octets of a DNS header, RFC 1035 4.1.1 */
#define REQUEST_RRS 16u /* OPT, TSIG, the SOA of an IXFR or NOTIFY, and room for more */

/* How far beyond a message's first octet a segment may end and still be kept: a whole
 * message. The largest buffer has a little more, so that contents seldom move down. */
#define WINDOW 65536u
/* A retransmission takes an RTT or a few; a capture's loss is for ever. */
#define HOLE_WAIT_US 3000000u

/* Most that wait are one short message; the last class holds the longest. */
static const uint32_t class_caps[STREAM_BUF_CLASSES] = {2048, 16384, 67584};
static const uint32_t class_shares[STREAM_BUF_CLASSES] = {4, 4, 2}; /* 1/n of the budget */

/* ---- the pool ---- */

size_t stream_buf_plan(struct stream_bufs *s, size_t budget_bytes, size_t *bufs_bytes)
{
	size_t bytes = 0, first = 0;

	for (unsigned k = 0; k < STREAM_BUF_CLASSES; k++) {
		size_t n = budget_bytes / class_shares[k] / class_caps[k];
		if (n > UINT32_MAX / 8)
			n = UINT32_MAX / 8;
		s->class[k] = (struct stream_class){.cap = class_caps[k],
						    .n = (uint32_t)n,
						    .first = (uint32_t)first,
						    .free = NIL,
						    .oldest = NIL,
						    .newest = NIL};
		first += n;
		bytes += n * class_caps[k];
	}
	*bufs_bytes = first * sizeof(struct stream_buf);
	return bytes;
}

void stream_buf_init(struct stream_bufs *s, void *bufs, uint8_t *data)
{
	s->buf = bufs;
	for (unsigned k = 0; k < STREAM_BUF_CLASSES; k++) {
		s->class[k].data = data;
		data += (size_t)s->class[k].n * s->class[k].cap;
	}
}

static void list_append(struct stream_bufs *s, struct stream_class *c, uint32_t i)
{
	s->buf[i].older = c->newest;
	s->buf[i].newer = NIL;
	*(c->newest == NIL ? &c->oldest : &s->buf[c->newest].newer) = i;
	c->newest = i;
}

static void list_remove(struct stream_bufs *s, struct stream_class *c, uint32_t i)
{
	const uint32_t older = s->buf[i].older, newer = s->buf[i].newer;

	*(older == NIL ? &c->oldest : &s->buf[older].newer) = newer;
	*(newer == NIL ? &c->newest : &s->buf[newer].older) = older;
}

/* Lends a buffer, newest in its list; NIL where none of this class is free. */
static uint32_t pool_get(struct stream_bufs *s, unsigned class, struct stream_side *owner,
			 uint32_t base)
{
	struct stream_class *c = &s->class[class];
	uint32_t i = c->free;

	if (i != NIL)
		c->free = s->buf[i].newer;
	else if (c->fresh < c->n)
		i = c->first + c->fresh++;
	else
		return NIL;
	struct stream_buf *b = &s->buf[i];
	b->owner = owner;
	b->base = base;
	b->class = class;
	b->have = b->ranges = b->starts = 0;
	b->hole_us = 0;
	list_append(s, c, i);
	s->lent++;
	return i;
}

static void pool_put(struct stream_bufs *s, uint32_t i)
{
	struct stream_class *c = &s->class[s->buf[i].class];

	assert(s->lent > 0);
	list_remove(s, c, i);
	s->buf[i].newer = c->free;
	c->free = i;
	s->lent--;
}

void stream_buf_touch(struct stream_bufs *s, const struct stream_side *d)
{
	if (d->buf == 0)
		return;
	const uint32_t i = d->buf - 1;
	struct stream_class *c = &s->class[s->buf[i].class];
	if (c->newest == i)
		return;
	list_remove(s, c, i);
	list_append(s, c, i);
}

struct stream_side *stream_buf_oldest(const struct stream_bufs *s, unsigned class)
{
	const uint32_t i = s->class[class].oldest;

	return i == NIL ? NULL : s->buf[i].owner;
}

/* ---- one buffer ---- */

static uint8_t *pool_data(const struct stream_bufs *s, uint32_t i)
{
	const struct stream_class *c = &s->class[s->buf[i].class];

	return c->data + (size_t)(i - c->first) * c->cap;
}

/* Copies the contents to another buffer (or moves them within one: to == from), so
 * that the octets in order, which begin at offset `body`, begin at 0. */
static void buf_move(struct stream_bufs *s, uint32_t to, uint32_t from, uint32_t body)
{
	struct stream_buf *b = &s->buf[to];
	const struct stream_buf *o = &s->buf[from];
	uint8_t *dst = pool_data(s, to);
	const uint8_t *src = pool_data(s, from) + body;

	/* Downwards and in this order, so that nothing is overwritten before it is moved. */
	memmove(dst, src, o->have);
	for (uint32_t r = 0; r < o->ranges; r++) {
		const struct stream_range x = {o->range[r].lo - body, o->range[r].end - body};
		memmove(dst + x.lo, src + x.lo, x.end - x.lo);
		b->range[r] = x;
	}
	uint32_t starts = 0;
	for (uint32_t k = 0; k < o->starts; k++)
		if (o->start[k] >= body)
			b->start[starts++] = o->start[k] - body;
	b->starts = starts;
	b->ranges = o->ranges;
	b->have = o->have;
	b->hole_us = o->hole_us;
	b->base = o->base + body;
}

static void note_start(struct stream_buf *b, uint32_t off)
{
	uint32_t at = b->starts;

	while (at > 0 && b->start[at - 1] >= off)
		at--;
	if (b->starts == STREAM_BUF_STARTS || (at < b->starts && b->start[at] == off))
		return;
	memmove(&b->start[at + 1], &b->start[at], (b->starts - at) * sizeof b->start[0]);
	b->start[at] = off;
	b->starts++;
}

/* Keeps data[0..len) at off, where nothing is held yet (what came first stays). The
 * room must be there. False, and nothing kept: it would be one range too many. */
static bool buf_insert(struct stream_bufs *s, uint32_t i, uint32_t off, const uint8_t *data,
		       uint32_t len)
{
	struct stream_buf *b = &s->buf[i];
	uint8_t *to = pool_data(s, i);
	const uint32_t end = off + len;
	uint32_t first = 0, last, at = off; /* ranges [first, last) touch the new octets */

	assert(len > 0 && end <= s->class[b->class].cap);
	while (first < b->ranges && b->range[first].end < off)
		first++;
	for (last = first; last < b->ranges && b->range[last].lo <= end; last++)
		;
	if (first == last && b->ranges == STREAM_BUF_RANGES)
		return false;
	struct stream_range whole = {off, end};
	for (uint32_t r = first; r < last; r++) {
		const struct stream_range x = b->range[r];
		if (x.lo > at)
			memcpy(to + at, data + (at - off), x.lo - at);
		at = x.end > at ? x.end : at;
		whole.lo = x.lo < whole.lo ? x.lo : whole.lo;
		whole.end = x.end > whole.end ? x.end : whole.end;
	}
	if (at < end)
		memcpy(to + at, data + (at - off), end - at);
	memmove(&b->range[first + 1], &b->range[last], (b->ranges - last) * sizeof b->range[0]);
	b->range[first] = whole;
	b->ranges = b->ranges - (last - first) + 1;
	note_start(b, off);
	return true;
}

/* Forgets what lies before off, but for the octets in order. */
static void buf_trim(struct stream_buf *b, uint32_t off)
{
	uint32_t n = 0;

	while (n < b->ranges && b->range[n].end <= off)
		n++;
	memmove(&b->range[0], &b->range[n], (b->ranges - n) * sizeof b->range[0]);
	b->ranges -= n;
	if (b->ranges > 0 && b->range[0].lo < off)
		b->range[0].lo = off;
	for (n = 0; n < b->starts && b->start[n] < off; n++)
		;
	memmove(&b->start[0], &b->start[n], (b->starts - n) * sizeof b->start[0]);
	b->starts -= n;
}

/* Octets in ranges. */
static uint32_t buf_beyond(const struct stream_buf *b)
{
	uint32_t n = 0;

	for (uint32_t r = 0; r < b->ranges; r++)
		n += b->range[r].end - b->range[r].lo;
	return n;
}

/* ---- where a message may begin ---- */

/* One question at most, records that fit the length (11 octets each at least), and
 * few of them in what is neither a response nor an update. */
static bool header_plausible(const uint8_t *h, uint32_t len)
{
	const unsigned opcode = h[2] >> 3 & 15;
	const bool many = h[2] & 0x80 || opcode == 5;
	const uint32_t questions = load_u16_be(h + 4);
	const uint32_t rrs =
	    (uint32_t)load_u16_be(h + 6) + load_u16_be(h + 8) + load_u16_be(h + 10);

	return opcode <= 6 && opcode != 3 && questions <= 1 && (many || rrs <= REQUEST_RRS) &&
	       HEADER + 5 * questions + 11 * rrs <= len;
}

bool stream_buf_plausible(const uint8_t *data, uint32_t len)
{
	if (len < 2 + HEADER)
		return false;
	for (unsigned n = 0; n < 2 && len >= 2; n++) {
		const uint32_t want = load_u16_be(data);
		if (want < HEADER || (len >= 2 + HEADER && !header_plausible(data + 2, want)))
			return false;
		if (len <= 2 + want)
			return true;
		data += 2 + want;
		len -= 2 + want;
	}
	return true;
}

/* ---- giving up ---- */

static struct stream_buf *side_buf(const struct stream_bufs *s, const struct stream_side *d)
{
	return d->buf == 0 ? NULL : &s->buf[d->buf - 1];
}

static void side_release(struct stream_bufs *s, struct stream_side *d)
{
	if (d->buf != 0)
		pool_put(s, d->buf - 1);
	d->buf = 0;
}

void stream_buf_forget(struct stream_bufs *s, struct stream_side *d)
{
	const struct stream_buf *b = side_buf(s, d);

	s->stats.lost_bytes += d->prefix;
	if (b != NULL)
		s->stats.lost_bytes += b->have + buf_beyond(b);
	d->prefix = 0;
	d->skip = 0;
	side_release(s, d);
}

/* The next octet is at `to`: the message that was begun and all octets before
 * `to` are lost. Where `to` lies within that message its end is still known. */
static void side_jump(struct stream_bufs *s, struct stream_side *d, uint32_t to,
		      enum ft_pkt_drop why)
{
	struct stream_buf *b = side_buf(s, d);
	const uint32_t far = to - d->next, have = b != NULL ? b->have : 0;
	const uint32_t rest = d->prefix == 2 ? d->len - have : d->skip;

	if (far == 0 && have == 0)
		return;
	s->stats.lost_bytes += far + have + d->prefix;
	if (rest >= far && rest > 0) {
		d->skip = rest - far;
	} else {
		d->skip = 0;
		d->state = SIDE_LOST;
	}
	d->why = (uint8_t)why;
	d->prefix = 0;
	d->next = to;
	if (b != NULL)
		b->have = 0;
}

void stream_buf_strip(struct stream_bufs *s, struct stream_side *d, enum ft_pkt_drop why)
{
	const struct stream_buf *b = side_buf(s, d);

	if (b == NULL)
		return;
	uint32_t to = d->next;
	if (b->ranges > 0) {
		s->stats.gaps++;
		to = b->base + b->range[b->ranges - 1].end;
	}
	side_jump(s, d, to, why);
	side_release(s, d);
}

/* Makes a buffer reach up to sequence number `end`, lending one or a larger one:
 * a free one of its class, or the one whose connection was silent longest. False:
 * the budget has none of that size. */
static bool side_room(struct stream_pass *p, uint32_t end)
{
	struct stream_bufs *s = p->s;
	struct stream_side *d = p->d;
	const struct stream_buf *b = side_buf(s, d);
	const uint32_t body = d->next - (b != NULL ? b->have : 0);
	unsigned class = 0;

	if (b != NULL && end - b->base <= s->class[b->class].cap)
		return true;
	while (class < STREAM_BUF_CLASSES && end - body > s->class[class].cap)
		class ++;
	if (class == STREAM_BUF_CLASSES)
		return false;
	if (b != NULL && class <= b->class) {
		buf_move(s, d->buf - 1, d->buf - 1, body - b->base);
		return true;
	}
	uint32_t i = pool_get(s, class, d, body);
	if (i == NIL) {
		struct stream_side *silent = stream_buf_oldest(s, class);
		if (silent == NULL)
			return false;
		assert(silent != d); /* its own buffer is of a lesser class */
		stream_buf_strip(s, silent, FT_PKT_TCP_FULL);
		i = pool_get(s, class, d, body);
	}
	if (b != NULL) {
		buf_move(s, i, d->buf - 1, body - b->base);
		pool_put(s, d->buf - 1);
	}
	d->buf = i + 1;
	return true;
}

/* ---- octets in order ---- */

/* Some octets of a body that is not whole with them, or was begun before. */
static void take_part(struct stream_pass *p, const uint8_t *data, uint32_t n, bool held)
{
	struct stream_side *d = p->d;

	if (!held && !side_room(p, d->next + n)) {
		struct stream_buf *b = side_buf(p->s, d);
		const uint32_t have = b != NULL ? b->have : 0;
		p->s->stats.lost_bytes += 2 + have;
		p->dropped += have == 0 ? 2 : 0; /* its prefix, mostly of this segment */
		d->skip = d->len - have;
		d->why = FT_PKT_TCP_FULL;
		d->prefix = 0;
		if (b != NULL)
			b->have = 0;
		return; /* the octets are skipped next */
	}
	struct stream_buf *b = side_buf(p->s, d);
	uint8_t *to = pool_data(p->s, d->buf - 1) + (d->next - b->base);
	if (!held)
		memcpy(to, data, n);
	d->next += n;
	b->have += n;
	if (b->have == d->len) {
		b->have = 0;
		d->prefix = 0;
		p->s->message(p->s->ctx, p->seg, to + n - d->len, d->len, false);
	}
}

/* Takes octets at `next`, in the frame or (held) in the side's own buffer, where
 * no room is made and nothing moves. Returns how many, at least one unless it gave
 * a message up. */
static uint32_t take_some(struct stream_pass *p, const uint8_t *data, uint32_t len, bool held)
{
	struct stream_side *d = p->d;

	if (d->skip > 0) {
		const uint32_t n = d->skip < len ? d->skip : len;
		d->skip -= n;
		d->next += n;
		p->s->stats.lost_bytes += n;
		p->dropped += held ? 0 : n;
		return n;
	}
	if (d->prefix < 2) {
		d->len = (uint16_t)(d->prefix == 0 ? data[0] << 8 : d->len | data[0]);
		d->next++;
		if (++d->prefix == 2 && d->len == 0) {
			d->prefix = 0;
			p->s->message(p->s->ctx, p->seg, data + 1, 0, !held);
		}
		return 1;
	}
	const struct stream_buf *b = side_buf(p->s, d);
	const uint32_t have = b != NULL ? b->have : 0;
	const uint32_t n = d->len - have < len ? d->len - have : len;
	const uint32_t before = d->next;
	if (have == 0 && n == d->len) {
		d->prefix = 0;
		d->next += n;
		p->s->message(p->s->ctx, p->seg, data, n, !held);
	} else {
		take_part(p, data, n, held);
	}
	return d->next - before;
}

static void take(struct stream_pass *p, const uint8_t *data, uint32_t len, bool held)
{
	while (len > 0) {
		const uint32_t n = take_some(p, data, len, held);
		data += n;
		len -= n;
	}
}

/* Takes the first range where there is no hole before it any more. */
static void drain(struct stream_pass *p)
{
	struct stream_buf *b = side_buf(p->s, p->d);

	if (b == NULL || b->ranges == 0)
		return;
	const struct stream_range r = b->range[0];
	if (r.lo != p->d->next - b->base)
		return;
	buf_trim(b, r.end);
	b->hole_us = p->seg->now_us; /* of the next one */
	take(p, pool_data(p->s, p->d->buf - 1) + r.lo, r.end - r.lo, true);
}

void stream_buf_take(struct stream_pass *p, const uint8_t *data, uint32_t len)
{
	struct stream_side *d = p->d;

	while (len > 0) { /* what is held already stays as it was */
		const struct stream_buf *b = side_buf(p->s, d);
		const uint32_t from = d->next;
		uint32_t n = len;
		if (b != NULL && b->ranges > 0 && b->range[0].lo - (from - b->base) < n)
			n = b->range[0].lo - (from - b->base);
		take(p, data, n, false);
		drain(p);
		n = d->next - from < len ? d->next - from : len;
		data += n;
		len -= n;
	}
	const struct stream_buf *b = side_buf(p->s, d);
	if (b != NULL && b->have == 0 && b->ranges == 0)
		side_release(p->s, d);
}

/* ---- octets out of order ---- */

/* The first segment start beyond the hole that may begin a message, or the end of
 * all that is held. */
static void resume_held(struct stream_pass *p)
{
	struct stream_side *d = p->d;
	struct stream_buf *b = side_buf(p->s, d);
	const uint8_t *data = pool_data(p->s, d->buf - 1);
	uint32_t to = b->range[b->ranges - 1].end;

	for (uint32_t k = 0; k < b->starts && d->state == SIDE_LOST; k++)
		for (uint32_t r = 0; r < b->ranges; r++) {
			const struct stream_range x = b->range[r];
			if (x.lo <= b->start[k] && b->start[k] < x.end &&
			    stream_buf_plausible(data + b->start[k], x.end - b->start[k])) {
				to = b->start[k];
				d->state = SIDE_SYNCED;
				break;
			}
		}
	p->s->stats.lost_bytes += to - (d->next - b->base);
	d->next = b->base + to;
	buf_trim(b, to);
}

/* The first hole will not be filled. */
static void give_up_hole(struct stream_pass *p)
{
	struct stream_side *d = p->d;
	struct stream_buf *b = side_buf(p->s, d);

	p->s->stats.gaps++;
	side_jump(p->s, d, b->base + b->range[0].lo, FT_PKT_TCP_GAP);
	if (d->state == SIDE_LOST)
		resume_held(p);
	drain(p);
	if (b->have == 0 && b->ranges == 0)
		side_release(p->s, d);
}

bool stream_buf_keep(struct stream_pass *p, uint32_t seq, const uint8_t *data, uint32_t len)
{
	struct stream_bufs *s = p->s;
	struct stream_side *d = p->d;
	struct stream_buf *b = side_buf(s, d);
	const uint64_t now_us = p->seg->now_us;

	if (b == NULL || b->ranges == 0 || now_us < b->hole_us + HOLE_WAIT_US) {
		const uint32_t body = d->next - (b != NULL ? b->have : 0);
		if (seq + len - body <= WINDOW && side_room(p, seq + len)) {
			b = side_buf(s, d);
			const bool first = b->ranges == 0;
			if (buf_insert(s, d->buf - 1, seq - b->base, data, len)) {
				if (first)
					b->hole_us = now_us;
				return true;
			}
		}
	}
	if (b != NULL && b->ranges > 0) {
		give_up_hole(p);
	} else {
		s->stats.gaps++;
		side_jump(s, d, seq, FT_PKT_TCP_GAP);
		side_release(s, d);
	}
	return false;
}

void stream_buf_age(struct stream_pass *p, uint32_t seq)
{
	for (;;) {
		const struct stream_buf *b = side_buf(p->s, p->d);
		if (b == NULL || b->ranges == 0 || (int32_t)(seq - p->d->next) <= 0 ||
		    p->seg->now_us < b->hole_us + HOLE_WAIT_US)
			return;
		give_up_hole(p);
	}
}

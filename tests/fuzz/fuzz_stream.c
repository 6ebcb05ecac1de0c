/* SPDX-License-Identifier: BSD-3-Clause */
/* stream against the byte streams that the segments were cut from.
 *
 * Whatever the order, the holes and the budget: a message that comes out is one of
 * those that were sent, all of its octets were seen, each comes out once and in order,
 * and in the end octets in messages + octets lost = octets sent. Where segments
 * lie about their octets, or connections begin anew, only what holds always is
 * asked for: bounds, and no buffer that is never given back.
 *
 * Input: octet 0 sets stream, budget and sequence numbers, then three octets a step. */
#include "cursor.h"
#include "stream.h"
#include "stream_buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define SIDES 4 /* two connections, both ends of each */
#define SENT_CAP 70000u
#define MESSAGES_CAP 64
#define SCRIPTS 4
#define STEPS_CAP 400
#define IDLE_US 20000000u

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_stream.c:%d: %s\n", line, what);
	abort();
}

/* What an end sends: messages with their length prefixes. */
struct script {
	uint32_t len, n;
	uint32_t at[MESSAGES_CAP]; /* of each message's prefix */
	uint8_t octet[SENT_CAP];
};

static struct script script[SCRIPTS];
static uint8_t big_copy[SENT_CAP];

struct end {
	uint32_t isn, cursor;  /* cursor: how far it has sent in order */
	uint32_t next_message; /* the first that may still come out */
	bool fin, rst;
	uint8_t seen[SENT_CAP];
};

static struct {
	const struct script *script;
	struct end end[SIDES];
	uint64_t now_us, last_us[SIDES / 2], taken;
	uint32_t calls;
	bool lies; /* the octets are not to be believed: ask for little */
} sent;

/* Lengths of messages. No octet of one looks like the beginning of a message but the
 * first: 0xff is no opcode and no count. */
static const uint32_t lengths[SCRIPTS][12] = {
    {40, 0, 40, 12 + 20, 1, 300, 5, 64, 0, 0, 200, 40},
    {600, 1400, 50, 2046, 2048, 40, 3000, 0, 700},
    {40, 16384, 50, 20000, 1, 16385, 40, 9000},
    {50, 65535, 40, 3000, 100},
};

static void script_make(struct script *s, const uint32_t *length)
{
	for (uint32_t i = 0; i < 12 && (length[i] != 0 || (i + 1 < 12 && length[i + 1] != 0));
	     i++) {
		const uint8_t head[12] = {0, (uint8_t)i, i & 1 ? 0x81 : 1, 0x80, 0, 1};
		uint8_t *to = s->octet + s->len;
		s->at[s->n++] = s->len;
		to[0] = (uint8_t)(length[i] >> 8);
		to[1] = (uint8_t)length[i];
		memset(to + 2, 0xff, length[i]);
		memcpy(to + 2, head, length[i] < 12 ? 0 : 12);
		for (uint32_t k = 20; k + 8 < length[i]; k += 97) /* places differ */
			to[2 + k] = (uint8_t)(0xe0 | (k / 97 & 15));
		s->len += 2 + length[i];
	}
	for (uint32_t off = 0, m = 0; off + 14 <= s->len; off++) {
		m += m + 1 < s->n && s->at[m + 1] == off;
		CHECK(s->at[m] == off || !stream_buf_plausible(s->octet + off, 14));
	}
}

static void on_message(void *ctx, const struct segment *seg, const uint8_t *data, uint32_t len,
		       bool in_frame)
{
	const struct script *s = sent.script;
	const uint32_t side = (uint32_t)(seg->flow->src.b[0] & 3);
	uint32_t sum = 0;

	(void)ctx;
	sent.calls++;
	CHECK(len <= 65535);
	if (in_frame)
		CHECK(data >= seg->data && data + len <= seg->data + seg->len);
	if (sent.lies) {
		for (uint32_t i = 0; i < len; i += 61)
			sum += data[i]; /* readable */
		if (len > 0)
			sum += data[len - 1];
		CHECK(sum <= 256 * 65536);
		return;
	}
	struct end *e = &sent.end[side];
	for (uint32_t m = e->next_message; m < s->n; m++) {
		const uint32_t at = s->at[m];
		if (load_u16_be(s->octet + at) != len ||
		    (len > 0 && memcmp(s->octet + at + 2, data, len) != 0) ||
		    memchr(e->seen + at, 0, 2 + len) != NULL)
			continue;
		e->next_message = m + 1;
		sent.taken += 2 + len;
		return;
	}
	check_failed("a message that was not sent, or for the second time", __LINE__);
}

static struct flow flow_of(uint32_t side)
{
	struct flow f = {.sport = 53, .dport = (uint16_t)(5000 + side / 2), .tcp = 1};

	f.src.b[0] = (uint8_t)side;
	f.dst.b[0] = (uint8_t)(side ^ 1);
	if (side & 1) {
		f.dport = 53;
		f.sport = (uint16_t)(5000 + side / 2);
	}
	return f;
}

static enum ft_pkt_drop put(struct stream *s, uint32_t side, uint8_t flags, uint32_t seq,
			    const uint8_t *octets, uint32_t len)
{
	const struct flow flow = flow_of(side);
	const bool copy = len < 8192; /* of this size, for the sanitizer */
	uint8_t *data = copy ? malloc(len > 0 ? len : 1) : big_copy;
	const struct segment seg = {.flow = &flow,
				    .seq = seq,
				    .flags = flags,
				    .data = data,
				    .len = len,
				    .now_us = sent.now_us};

	if (len > 0)
		memcpy(data, octets, len);
	if (sent.lies && len > 0)
		data[(seq ^ sent.calls) % len] ^= (uint8_t)sent.now_us;
	if (sent.now_us - sent.last_us[side / 2] > IDLE_US)
		sent.lies = true; /* forgotten: old octets are new again */
	sent.last_us[side / 2] = sent.now_us;
	const enum ft_pkt_drop why = stream_put(s, &seg);
	CHECK(why == FT_PKT_CARRIED || why == FT_PKT_TCP_GAP || why == FT_PKT_TCP_FULL ||
	      why == FT_PKT_TCP_MIDSTREAM);
	if (copy)
		free(data);
	return why;
}

static void put_octets(struct stream *s, uint32_t side, uint32_t off, uint32_t len)
{
	struct end *e = &sent.end[side];

	off = off < sent.script->len ? off : sent.script->len;
	len = len < sent.script->len - off ? len : sent.script->len - off;
	memset(e->seen + off, 1, len);
	put(s, side, TCP_ACK, e->isn + 1 + off, sent.script->octet + off, len);
}

static void put_flags(struct stream *s, uint32_t side, unsigned which)
{
	struct end *e = &sent.end[side];
	const uint32_t end = e->isn + 1 + sent.script->len;

	switch (which & 7) {
	case 0: /* a retransmission, but for a connection that is over */
		sent.lies |= e->rst || sent.end[side ^ 1].rst || (e->fin && sent.end[side ^ 1].fin);
		put(s, side, TCP_SYN | (side & 1 ? TCP_ACK : 0), e->isn, NULL, 0);
		break;
	case 1:
		e->fin = true;
		put(s, side, TCP_FIN | TCP_ACK, end, NULL, 0);
		break;
	case 2:
		e->rst = true;
		put(s, side, TCP_RST, e->isn + 1 + e->cursor, NULL, 0);
		break;
	case 3: /* keepalive; with an octet that means nothing, where it is old */
		put(s, side, TCP_ACK, e->isn + e->cursor, (const uint8_t *)"", e->cursor == 0);
		break;
	case 4: put(s, side, TCP_ACK, e->isn + 1 + e->cursor, NULL, 0); break;
	case 5: stream_expire(s, sent.now_us); break;
	case 6: /* from here on nothing is certain */
		sent.lies = true;
		e->isn += (uint32_t)sent.now_us;
		break;
	default:
		sent.lies = true;
		put(s, side, TCP_SYN, e->isn + which, sent.script->octet, which);
		break;
	}
}

static void step(struct stream *s, const uint8_t *in)
{
	const uint32_t side = in[0] & 3, b = in[1], c = in[2];
	struct end *e = &sent.end[side];
	const uint32_t chunk = c < 128 ? c : (c - 127) * 24;

	sent.now_us += 50;
	switch (in[0] >> 2 & 7) {
	case 0:
	case 1: /* the next octets */
		put_octets(s, side, e->cursor, b < 16 ? b : chunk);
		e->cursor += b < 16 ? b : chunk;
		break;
	case 2: /* a hole, and octets behind it */
		e->cursor += b * 8;
		put_octets(s, side, e->cursor, chunk);
		e->cursor += chunk;
		break;
	case 3: /* some octets before, again or for the first time */
		put_octets(s, side, e->cursor > b * 32 ? e->cursor - b * 32 : 0, chunk);
		break;
	case 4: /* anywhere */
		put_octets(s, side, (uint32_t)((uint64_t)(b << 8 | c) * sent.script->len >> 16),
			   b + c);
		break;
	case 5: /* the beginning of a message */
		put_octets(s, side, sent.script->at[b % sent.script->n], chunk);
		break;
	case 6: sent.now_us += b < 128 ? b * 1000 : (b - 127) * 100000; break;
	default: put_flags(s, side, b); break;
	}
	e->cursor = e->cursor < sent.script->len ? e->cursor : sent.script->len;
}

static void begin(struct stream *s, uint8_t setting)
{
	for (uint32_t side = 0; side < SIDES; side++) {
		struct end *e = &sent.end[side];
		memset(e->seen, 0, sent.script->len);
		e->isn = setting & 0x40 ? 0xffffff00u - side * 300 : 1000 * side;
		e->cursor = e->next_message = 0;
		e->fin = e->rst = false;
		sent.last_us[side / 2] = sent.now_us;
		put(s, side, TCP_SYN | (side & 1 ? TCP_ACK : 0), e->isn, NULL, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	/* The first has room for all that may wait here. */
	static const size_t budgets[4] = {800000, 140000, 33000, 0};

	if (size < 1)
		return 0;
	if (script[0].len == 0)
		for (unsigned i = 0; i < SCRIPTS; i++)
			script_make(&script[i], lengths[i]);
	const uint8_t setting = input[0];
	const struct stream_limits limits = {16, budgets[setting >> 2 & 3], IDLE_US};
	struct stream *s = stream_create(&limits, setting >> 7, on_message, NULL);
	CHECK(s != NULL);
	sent.script = &script[setting & 3];
	sent.now_us = 1700000000000000;
	sent.taken = sent.calls = 0;
	sent.lies = setting & 0x20;
	begin(s, setting);
	for (size_t at = 1, n = 0; at + 3 <= size && n < STEPS_CAP; at += 3, n++)
		step(s, input + at);
	/* All of it once more fills every hole, and nothing may wait. */
	for (uint32_t side = 0; side < SIDES; side++)
		put_octets(s, side, 0, sent.script->len);
	const struct stream_stats *stats = stream_stats_get(s);
	CHECK(stats->evicted == 0);
	if (!sent.lies) {
		CHECK(stream_lent(s) == 0);
		CHECK(sent.taken + stats->lost_bytes == (uint64_t)SIDES * sent.script->len);
		CHECK(stats->lost_bytes == 0 || stats->gaps > 0 || (setting & 0x0c) != 0 ||
		      sent.end[0].rst || sent.end[1].rst || sent.end[2].rst || sent.end[3].rst);
	}
	stream_expire(s, UINT64_MAX);
	CHECK(stream_lent(s) == 0);
	stream_destroy(s);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* decode over any octets: stays inside the frame, gives a reason of its own room,
 * and a frame cut by the capture is either `truncated` or as sure as the whole one.
 *
 * Input: [link type] [where to cut] [octets more on the wire] [protocol of a datagram],
 * then the frame. */
#include "decode.h"

#include <fluxtap/rec_tap.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))

static const struct decode_ports ports = {.port = {53, 5353}, .n = 2};

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_decode.c:%d: %s\n", line, what);
	abort();
}

static void check_result(const struct decoded *d, const uint8_t *frame, uint32_t len, bool cut)
{
	switch (d->kind) {
	case DECODE_DROP:
		CHECK(d->drop >= FT_PKT_TRUNCATED && d->drop <= FT_PKT_TUNNEL_DEPTH);
		CHECK(cut || d->drop != FT_PKT_TRUNCATED);
		return;
	case DECODE_UDP:
	case DECODE_TCP:
		CHECK(d->flow.tcp == (d->kind == DECODE_TCP));
		CHECK(d->flow.sport == 53 || d->flow.sport == 5353 || d->flow.dport == 53 ||
		      d->flow.dport == 5353);
		break;
	case DECODE_FRAGMENT:
		CHECK(d->frag_more || d->frag_off != 0);
		CHECK(d->frag_off % 8 == 0 && d->frag_off <= 65528);
		CHECK(d->flow.v6 || d->frag_id <= 65535);
		break;
	case DECODE_CRYPT:
		CHECK(d->drop == FT_PKT_NOT_DNS && d->len <= d->whole_len);
		break;
	default: check_failed("kind", __LINE__);
	}
	CHECK(d->flow.v6 <= 1);
	CHECK(d->data >= frame && d->data <= frame + len && d->len <= len - (d->data - frame));
}

static struct decoded decode(const uint8_t *frame, uint32_t cap_len, uint32_t wire_len,
			     unsigned link)
{
	const struct pkt p = {
	    .data = frame, .cap_len = cap_len, .wire_len = wire_len, .link = (uint8_t)link};
	struct decoded d, slow;

	memset(&d, 0xa5, sizeof(d));
	memset(&slow, 0xa5, sizeof(slow));
	if (decode_frame(&p, &ports, &d)) { /* what it leaves alone */
		d.tag = 0;
		CHECK(d.kind == DECODE_UDP && d.data == frame + 14 + (d.flow.v6 ? 48 : 28));
	}
	decode_frame_any(&p, &ports, &slow); /* common frames have a quick way of their own */
	CHECK(d.tag == slow.tag && (d.tag == 0 || ft_tag_is_sound(d.tag)));
	CHECK(slow.kind != DECODE_TCP || slow.l4_bytes >= 20);
	CHECK(d.kind == slow.kind && (d.kind != DECODE_DROP || d.drop == slow.drop));
	if (d.kind != DECODE_DROP) {
		CHECK(memcmp(&d.flow, &slow.flow, offsetof(struct flow, sport)) == 0);
		CHECK(d.data == slow.data && d.len == slow.len && d.proto == slow.proto);
		CHECK(d.flow.v6 == slow.flow.v6);
	}
	if (d.kind == DECODE_UDP)
		CHECK(d.flow.sport == slow.flow.sport && d.flow.dport == slow.flow.dport);
	check_result(&d, frame, cap_len, cap_len < wire_len);
	return d;
}

/* What the first octets of a frame say, once more of them and once less are there. */
static void check_cut(const struct decoded *more, const struct decoded *less, uint32_t less_len,
		      const uint8_t *more_frame, const uint8_t *less_frame)
{
	if (less->kind == DECODE_DROP && less->drop == FT_PKT_TRUNCATED)
		return;
	CHECK(less->kind == more->kind);
	if (less->kind == DECODE_DROP) {
		CHECK(less->drop == more->drop);
		return;
	}
	CHECK(less->data - less_frame == more->data - more_frame);
	CHECK(less->len == more->len || (less->kind == DECODE_CRYPT && less->len < more->len));
	CHECK(less->kind != DECODE_CRYPT || less->whole_len == more->whole_len);
	CHECK((uint32_t)(less->data - less_frame) + less->len <= less_len);
	CHECK(memcmp(&less->flow.src, &more->flow.src, 2 * sizeof(struct addr)) == 0);
}

static void check_addrs(const struct decoded *d, const uint8_t *frame, uint32_t len, unsigned link)
{
	struct addr src = {{0}}, dst = {{0}};
	const bool found = decode_addrs(frame, len, (enum link_type)link, &src, &dst);

	/* A client may use a tunnel's port: decode_addrs knows no DNS ports. */
	if (d->kind == DECODE_DROP || d->flow.dport == 4789 || d->flow.dport == 6081 ||
	    d->flow.dport == 1701)
		return;
	CHECK(found);
	CHECK(memcmp(&src, &d->flow.src, sizeof(src)) == 0);
	CHECK(memcmp(&dst, &d->flow.dst, sizeof(dst)) == 0);
}

/* What a first fragment shows of what is inside: addresses, of it or its own. */
static void check_inside(const struct decoded *d)
{
	struct addr src, dst;

	if (d->kind != DECODE_FRAGMENT)
		return;
	decode_addrs_inside(d, &src, &dst);
	struct decoded inner = *d;
	decode_datagram(d->data, d->len, d->proto, &ports, &inner);
	/* Where the fragment is a whole tunnel packet, both see the same. */
	if ((inner.kind == DECODE_UDP || inner.kind == DECODE_TCP) && inner.flow.dport != 4789 &&
	    inner.flow.dport != 6081 && inner.flow.dport != 1701) {
		CHECK(memcmp(&src, &inner.flow.src, sizeof(src)) == 0);
		CHECK(memcmp(&dst, &inner.flow.dst, sizeof(dst)) == 0);
	}
}

static uint8_t *copy_of(const uint8_t *data, uint32_t len)
{
	uint8_t *p = calloc(len > 0 ? len : 1, 1); /* of this size, for the sanitizer */

	if (len > 0)
		memcpy(p, data, len);
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size < 4 || size > 70000)
		return 0;
	const uint32_t len = (uint32_t)size - 4, less_len = len * input[1] / 256;
	const uint32_t wire_len = len + input[2];
	const unsigned link = input[0] % (LINK_TYPE_CAP + 1);
	uint8_t *more = copy_of(input + 4, len), *less = copy_of(input + 4, less_len);

	const struct decoded whole = decode(more, len, len, link);
	check_addrs(&whole, more, len, link);
	check_inside(&whole);
	const struct decoded cut = decode(less, less_len, len, link);
	check_cut(&whole, &cut, less_len, more, less);
	const struct decoded long_one = decode(more, len, wire_len, link);
	const struct decoded long_cut = decode(less, less_len, wire_len, link);
	check_cut(&long_one, &long_cut, less_len, more, less);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct decoded d;
		memset(&d, 0xa5, sizeof(d));
		d.flow.v6 = (uint8_t)v6;
		d.tag = 0;
		decode_datagram(less, less_len, input[3], &ports, &d);
		check_result(&d, less, less_len, false);
	}
	free(more);
	free(less);
	return 0;
}

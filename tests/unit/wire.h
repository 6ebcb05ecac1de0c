/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and DNS messages, made by hand and octet by octet from the RFCs.
 *
 * For tests alone; shares no code with the rooms. Headers are appended from the
 * outside in; length fields are filled by wire_finish. While a frame grows it
 * notes for each header what a frame that ends inside it is: wire_reason_at. */
#ifndef TESTS_UNIT_WIRE_H
#define TESTS_UNIT_WIRE_H

#include <fluxtap/drop.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WIRE_CAP 66000u
#define WIRE_MARKS 64u
#define WIRE_EDGE 254 /* between two headers: BAD_LINK, NOT_IP and BAD_IP are all true */

struct wire {
	uint8_t b[WIRE_CAP];
	uint32_t n;
	bool open; /* IP lengths left to the NIC (0): damage shows further in */
	bool closed; /* an IP header with its true length has been written */
	struct {
		uint32_t at, from, add;
	} fix[16]; /* u16 at `at` becomes n - from + add */
	struct {
		uint32_t end;
		int reason;
	} mark[WIRE_MARKS];
	uint32_t fixes, marks;
};

static inline void wire_octets(struct wire *w, const void *p, uint32_t n)
{
	if (n > WIRE_CAP - w->n)
		abort();
	if (n > 0)
		memcpy(w->b + w->n, p, n);
	w->n += n;
}

static inline void wire_u8(struct wire *w, unsigned v)
{
	const uint8_t b = (uint8_t)v;

	wire_octets(w, &b, 1);
}

static inline void wire_u16(struct wire *w, unsigned v)
{
	wire_u8(w, v >> 8 & 255);
	wire_u8(w, v & 255);
}

static inline void wire_u32(struct wire *w, uint32_t v)
{
	wire_u16(w, v >> 16);
	wire_u16(w, v & 0xffff);
}

static inline void wire_fill(struct wire *w, unsigned v, uint32_t n)
{
	while (n-- > 0)
		wire_u8(w, v);
}

static inline void wire_put16(struct wire *w, uint32_t at, unsigned v)
{
	w->b[at] = (uint8_t)(v >> 8);
	w->b[at + 1] = (uint8_t)v;
}

/* A length field of 16 bits: what stands behind offset `from` at the end, and `add`. */
static inline void wire_len16(struct wire *w, uint32_t from, uint32_t add)
{
	if (w->fixes == 16)
		abort();
	w->fix[w->fixes].at = w->n;
	w->fix[w->fixes].from = from;
	w->fix[w->fixes++].add = add;
	wire_u16(w, 0);
}

static inline void wire_finish(struct wire *w)
{
	for (uint32_t i = 0; i < w->fixes; i++)
		wire_put16(w, w->fix[i].at, w->n - w->fix[i].from + w->fix[i].add);
	w->fixes = 0;
}

/* A frame that ends before this place, and behind the last mark, leaves for `reason`. */
static inline void wire_mark(struct wire *w, uint32_t end, int reason)
{
	if (w->closed) /* the outermost IP length already says what is wrong */
		reason = FT_PKT_BAD_IP;
	if (w->marks == WIRE_MARKS)
		abort();
	w->mark[w->marks].end = end;
	w->mark[w->marks++].reason = reason;
}

/* Why a whole frame of `len` octets leaves; FT_PKT_CARRIED behind all marks. */
static inline int wire_reason_at(const struct wire *w, uint32_t len)
{
	for (uint32_t i = 0; i < w->marks; i++)
		if (len < w->mark[i].end)
			return w->mark[i].reason;
	return FT_PKT_CARRIED;
}

/* Starts anew. */
static inline void wire_init(struct wire *w, bool open)
{
	w->n = w->fixes = w->marks = 0;
	w->open = open;
	w->closed = false;
}

/* Link layers and tunnels. */

static inline void wire_link(struct wire *w)
{
	wire_mark(w, w->n, FT_PKT_BAD_LINK);
}

static inline void wire_ether(struct wire *w, unsigned type)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

	wire_octets(w, macs, sizeof(macs));
	wire_u16(w, type);
	wire_link(w);
}

/* IEEE 802.1Q: the tag's identifier stood in front. */
static inline void wire_vlan(struct wire *w, unsigned id, unsigned type)
{
	wire_u16(w, 0x2000 | id);
	wire_u16(w, type);
	wire_link(w);
}

/* RFC 3032 2.1: label, S at the bottom, TTL. */
static inline void wire_mpls(struct wire *w, uint32_t label, bool bottom)
{
	wire_u32(w, label << 12 | (bottom ? 0x100u : 0) | 64);
	wire_link(w);
}

/* RFC 2516 4: version and type, code, session, length. */
static inline void wire_pppoe(struct wire *w)
{
	wire_u16(w, 0x1100);
	wire_u16(w, 7);
	wire_len16(w, w->n + 2, 0);
	wire_link(w);
}

/* Internet headers. Outer addresses: 10.0.0.1 to 10.0.0.2, 2001:db8:a::1 to ::2;
 * inner: 192.0.2.1 to 198.51.100.53, 2001:db8::1 to 2001:db8::53. */

static const uint8_t wire_v4_out[8] = {10, 0, 0, 1, 10, 0, 0, 2};
static const uint8_t wire_v4_in[8] = {192, 0, 2, 1, 198, 51, 100, 53};
static const uint8_t wire_v6_out[32] = {
	0x20, 1, 0xd, 0xb8, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0x20, 1, 0xd, 0xb8, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
static const uint8_t wire_v6_in[32] = {
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53};

/* RFC 791 3.1; frag: flags and offset as on the wire; options: octets of them. */
static inline void wire_ipv4_more(struct wire *w, unsigned proto, bool inner, unsigned frag,
                                  uint32_t options)
{
	const uint32_t start = w->n;

	wire_mark(w, start + 1, WIRE_EDGE);
	wire_u8(w, 0x40 | (20 + options) / 4);
	wire_u8(w, 0);
	if (w->open)
		wire_u16(w, 0);
	else
		wire_len16(w, start, 0);
	wire_u16(w, 0x1234);
	wire_u16(w, frag);
	wire_u8(w, 64);
	wire_u8(w, proto);
	wire_u16(w, 0);
	wire_octets(w, inner ? wire_v4_in : wire_v4_out, 8);
	wire_fill(w, 1, options); /* NOP */
	wire_mark(w, w->n, FT_PKT_BAD_IP);
	w->closed = w->closed || !w->open;
}

static inline void wire_ipv4(struct wire *w, unsigned proto, bool inner)
{
	wire_ipv4_more(w, proto, inner, 0x4000, 0);
}

/* RFC 8200 3. */
static inline void wire_ipv6(struct wire *w, unsigned next, bool inner)
{
	wire_mark(w, w->n + 1, WIRE_EDGE);
	wire_u32(w, 0x60000000);
	if (w->open)
		wire_u16(w, 0);
	else
		wire_len16(w, w->n + 36, 0);
	wire_u8(w, next);
	wire_u8(w, 64);
	wire_octets(w, inner ? wire_v6_in : wire_v6_out, 32);
	wire_mark(w, w->n, FT_PKT_BAD_IP);
	w->closed = w->closed || !w->open;
}

/* RFC 8200 4.3: hop-by-hop, routing, destination options; 8 octets and more * 8. */
static inline void wire_ext(struct wire *w, unsigned next, unsigned more)
{
	wire_u8(w, next);
	wire_u8(w, more);
	wire_fill(w, 0, 6 + more * 8);
	wire_mark(w, w->n, FT_PKT_BAD_IP);
}

/* RFC 8200 4.5; off_more: offset and M as on the wire. */
static inline void wire_ext_fragment(struct wire *w, unsigned next, unsigned off_more, uint32_t id)
{
	wire_u8(w, next);
	wire_u8(w, 0);
	wire_u16(w, off_more);
	wire_u32(w, id);
	wire_mark(w, w->n, FT_PKT_BAD_IP);
}

/* RFC 768. */
static inline void wire_udp(struct wire *w, unsigned sport, unsigned dport)
{
	const uint32_t start = w->n;

	wire_u16(w, sport);
	wire_u16(w, dport);
	wire_len16(w, start, 0);
	wire_u16(w, 0);
	wire_mark(w, w->n, FT_PKT_BAD_L4);
}

/* RFC 9293 3.1; flags: PSH and ACK. */
static inline void wire_tcp(struct wire *w, unsigned sport, unsigned dport, uint32_t options)
{
	wire_u16(w, sport);
	wire_u16(w, dport);
	wire_u32(w, 0x01020304);
	wire_u32(w, 0x0a0b0c0d);
	wire_u8(w, (20 + options) / 4 << 4);
	wire_u8(w, 0x18);
	wire_u16(w, 1024);
	wire_u32(w, 0);
	wire_fill(w, 1, options);
	wire_mark(w, w->n, FT_PKT_BAD_L4);
}

/* DNS, RFC 1035 4.1. */

static inline void wire_header(struct wire *w, unsigned id, unsigned flags, unsigned qd, unsigned an,
                               unsigned ns, unsigned ar)
{
	wire_u16(w, id);
	wire_u16(w, flags);
	wire_u16(w, qd);
	wire_u16(w, an);
	wire_u16(w, ns);
	wire_u16(w, ar);
}

/* Labels of a presentation name without escapes; no root octet. */
static inline void wire_labels(struct wire *w, const char *name)
{
	while (*name != '\0') {
		const char *dot = strchr(name, '.');
		const size_t n = dot != NULL ? (size_t)(dot - name) : strlen(name);
		wire_u8(w, (unsigned)n);
		wire_octets(w, name, (uint32_t)n);
		name += n + (dot != NULL);
	}
}

static inline void wire_name(struct wire *w, const char *name)
{
	wire_labels(w, name);
	wire_u8(w, 0);
}

static inline void wire_pointer(struct wire *w, uint32_t to)
{
	wire_u16(w, 0xc000 | to);
}

static inline void wire_question(struct wire *w, const char *name, unsigned type)
{
	wire_name(w, name);
	wire_u16(w, type);
	wire_u16(w, 1);
}

/* Type, class IN, TTL and length of a record whose owner was written before. */
static inline void wire_rr(struct wire *w, unsigned type, unsigned rdlen)
{
	wire_u16(w, type);
	wire_u16(w, 1);
	wire_u32(w, 300);
	wire_u16(w, rdlen);
}

/* A record of 4 octets of RDATA. */
static inline void wire_rr4(struct wire *w, const char *owner, unsigned type)
{
	wire_name(w, owner);
	wire_rr(w, type, 4);
	wire_u32(w, 0xc0000201);
}

/* A CNAME without compression. */
static inline void wire_cname(struct wire *w, const char *owner, const char *target)
{
	const uint32_t len_at = w->n + (*owner != '\0' ? (uint32_t)strlen(owner) + 2 : 1) + 8;

	wire_name(w, owner);
	wire_rr(w, 5, 0);
	wire_name(w, target);
	wire_put16(w, len_at, w->n - len_at - 2);
}

/* RFC 6891 6.1.2: root, OPT, size, extended rcode, version, flags, length. */
static inline void wire_opt(struct wire *w, unsigned size, unsigned rcode_high, unsigned version,
                            unsigned flags, unsigned rdlen)
{
	wire_u8(w, 0);
	wire_u16(w, 41);
	wire_u16(w, size);
	wire_u8(w, rcode_high);
	wire_u8(w, version);
	wire_u16(w, flags);
	wire_u16(w, rdlen);
}

#endif

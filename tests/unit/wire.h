/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and DNS messages, made by hand and octet by octet from the RFCs.
 *
 * For tests alone; shares no code with the rooms. Headers are appended from the
 * outside in; length fields are filled by wire_finish. While a frame grows it
 * notes for each header what a frame that ends inside it is: wire_reason_at. */
#ifndef TESTS_UNIT_WIRE_H
#define TESTS_UNIT_WIRE_H

#include "batch.h"

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
	bool open;   /* IP lengths left to the NIC (0): damage shows further in */
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
static const uint8_t wire_v6_out[32] = {0x20, 1, 0xd, 0xb8, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
					0x20, 1, 0xd, 0xb8, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
static const uint8_t wire_v6_in[32] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
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

static inline void wire_header(struct wire *w, unsigned id, unsigned flags, unsigned qd,
			       unsigned an, unsigned ns, unsigned ar)
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

/* A frame as a recipe: one word for each header, outermost first.
 *   E<type> Ethernet, L/Q/N/I<octets> any header, by what damage to it is (link, any
 *   of several, not DNS, IP), 4[i]<proto>[+options][@frag] and 6[i]<next> IP (i: the
 *   innermost), U<port> UDP to a tunnel's port, D UDP with a DNS message, T<options>
 *   TCP with one, F octets of a fragment. Numbers are hexadecimal. */
struct wire_frame {
	const char *what;
	enum link_type link;
	const char *recipe;
};

static const struct wire_frame wire_frames[] = {
    {"ipv4", LINK_ETHERNET, "E0800 4i11 D"},
    {"ipv6", LINK_ETHERNET, "E86dd 6i11 D"},
    {"vlan", LINK_ETHERNET, "E8100 L20640800 4i11 D"},
    {"vlan, ipv6", LINK_ETHERNET, "E8100 L006486dd 6i11 D"},
    {"qinq", LINK_ETHERNET, "E88a8 L00c88100 L00640800 4i11 D"},
    {"qinq 9100", LINK_ETHERNET, "E9100 L00c88100 L00640800 4i11 D"},
    {"qinq 9200", LINK_ETHERNET, "E9200 L00c88100 L006486dd 6i11 D"},
    {"mpls", LINK_ETHERNET, "E8847 L00010140 4i11 D"},
    {"mpls, upstream, two labels", LINK_ETHERNET, "E8848 L00010040 L00011140 6i11 D"},
    {"mpls, eight labels", LINK_ETHERNET,
     "E8847 L00010040 L00010040 L00010040 L00010040 L00010040 L00010040 L00010040 L00010140 4i11 "
     "D"},
    {"vlan, mpls, pseudowire, vlan", LINK_ETHERNET,
     "E8100 L00648847 L00010140 L00000000 E8100 L00c80800 4i11 D"},
    {"pppoe", LINK_ETHERNET, "E8864 P L0021 4i11 D"},
    {"pppoe, ipv6", LINK_ETHERNET, "E8864 P L0057 6i11 D"},
    {"pppoe, short protocol", LINK_ETHERNET, "E8864 P L21 4i11 D"},
    {"vlan, pppoe, address and control", LINK_ETHERNET, "E8100 L00648864 P Qff03 L0021 4i06 T0"},
    {"snap", LINK_ETHERNET, "E0040 Qaaaa030000000800 4i11 D"},
    {"raw", LINK_RAW_IP, "4i11 D"},
    {"raw, ipv6", LINK_RAW_IP, "6i11 D"},
    {"cooked", LINK_SLL, "L00000001000602000000000100000800 4i11 D"},
    {"cooked, vlan", LINK_SLL, "L00040001000602000000000100008100 L006486dd 6i11 D"},
    {"cooked 2", LINK_SLL2, "L0800000000000002000100060200000000010000 4i11 D"},
    {"cooked 2, ipv6", LINK_SLL2, "L86dd000000000002000104060200000000010000 6i06 T0"},
    {"loopback", LINK_NULL, "L02000000 4i11 D"},
    {"loopback, ipv6, big-endian", LINK_NULL, "L0000001e 6i11 D"},
    {"ppp", LINK_PPP, "Qff03 L0021 4i11 D"},
    {"ppp, bare", LINK_PPP, "L0057 6i11 D"},
    {"ppp, shortest", LINK_PPP, "L21 4i11 D"},
    {"gre", LINK_ETHERNET, "E0800 42f L00000800 4i11 D"},
    {"gre, checksum, key, sequence", LINK_ETHERNET,
     "E0800 42f Lb0000800000000000000000100000002 4i11 D"},
    {"gre over ipv6", LINK_ETHERNET, "E86dd 62f L200086dd00000001 6i11 D"},
    {"gre 1 (pptp)", LINK_RAW_IP, "42f L3081880b004000010000000100000001 Qff03 L0021 4i11 D"},
    {"gre 1, no acknowledgement", LINK_RAW_IP, "42f L3001880b0040000100000001 L0057 6i11 D"},
    {"gre, bridged", LINK_ETHERNET, "E0800 42f L00006558 E8100 L00640800 4i11 D"},
    {"erspan 1", LINK_ETHERNET, "E0800 42f L000088be E0800 4i11 D"},
    {"erspan 2", LINK_ETHERNET, "E0800 42f L100088be000000011064000500000007 E0800 4i11 D"},
    {"erspan 3", LINK_ETHERNET, "E0800 42f L100022eb0000000120640005000000010000000e E86dd 6i11 D"},
    {"erspan 3, subheader", LINK_ETHERNET,
     "E0800 42f L100022eb0000000120640005000000010000000f1234567812345678 E0800 4i06 Tc"},
    {"vxlan", LINK_ETHERNET, "E0800 411 U12b5 N0800000000000100 E0800 4i11 D"},
    {"vxlan over ipv6", LINK_ETHERNET, "E86dd 611 U12b5 N0800000000000100 E8100 L006486dd 6i11 D"},
    {"geneve", LINK_ETHERNET, "E0800 411 U17c1 N0000655800000100 E0800 4i11 D"},
    {"geneve, options", LINK_ETHERNET,
     "E0800 411 U17c1 N02006558000001000102030405060708 E86dd 6i11 D"},
    {"geneve, ip", LINK_ETHERNET, "E0800 411 U17c1 N0000080000000100 4i11 D"},
    {"geneve, ipv6", LINK_ETHERNET, "E86dd 611 U17c1 N000086dd00000100 6i06 T0"},
    {"l2tp", LINK_ETHERNET, "E0800 411 U06a5 Q0002 L00010001 Qff03 L0021 4i11 D"},
    {"l2tp, all fields", LINK_ETHERNET,
     "E0800 411 U06a5 Q4a02 L0040000100010000000000021111 Qff03 L0057 6i11 D"},
    {"ipip", LINK_ETHERNET, "E0800 404 4i11 D"},
    {"6in4", LINK_ETHERNET, "E0800 429 6i11 D"},
    {"4in6", LINK_ETHERNET, "E86dd 604 4i06 T0"},
    {"6in6 with options", LINK_ETHERNET, "E86dd 63c I2900010400000000 6i11 D"},
    {"four tunnels", LINK_RAW_IP, "404 429 604 404 4i11 D"},
    {"ipv4 options", LINK_ETHERNET, "E0800 4i11+28 D"},
    {"ipv4 options, tcp options", LINK_ETHERNET, "E0800 4i06+4 T28"},
    {"ipv6 extensions", LINK_ETHERNET,
     "E86dd 6i00 I3c00010400000000 I2b01010c000000000000000000000000 I3300000000000000 "
     "I870400000000000100000001000000000000000000000000 I1100000000000000 D"},
    {"ipv6 atomic fragment", LINK_ETHERNET, "E86dd 6i2c I1100000000000007 D"},
    {"ipv4 first fragment", LINK_ETHERNET, "E0800 4i11@2000 F"},
    {"ipv4 last fragment", LINK_ETHERNET, "E0800 4i11@00b9 F"},
    {"ipv4 fragment of a tunnel", LINK_ETHERNET, "E0800 42f@2000 F"},
    {"ipv4 fragment inside gre", LINK_ETHERNET, "E0800 42f L00000800 4i11@20b9 F"},
    {"ipv6 first fragment", LINK_ETHERNET, "E86dd 6i2c I1100000100000007 F"},
    {"ipv6 last fragment", LINK_ETHERNET, "E86dd 6i00 I2c00010400000000 I110005a800000007 F"},
    {"tcp", LINK_ETHERNET, "E0800 4i06 T0"},
    {"tcp, ipv6, timestamps", LINK_ETHERNET, "E86dd 6i06 Tc"},
};

#endif

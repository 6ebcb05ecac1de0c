/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* A bounded walk from the first octet of a frame to its ports.
 *
 * Serves XDP (direct access to the packet, for which the kernel asks CAP_PERFMON)
 * and tc (bpf_skb_load_bytes, because an skb may lie in pieces). It answers whether
 * a frame can be DNS, and never more: what only reassembly or decapsulation can
 * tell is left to the worker. */
#ifndef BPF_CURSOR_BPF_H
#define BPF_CURSOR_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <fluxtap/xdp_abi.h>

#define CURSOR_OFF_CAP 4096 /* headers end before this, or the walk does */
#define CURSOR_VLAN_CAP 4
#define CURSOR_EXT_CAP 8   /* IPv6 extension headers */
#define CURSOR_LOAD_CAP 40 /* longest header read at once */

#define PORT_L2TP 1701   /* RFC 2661 */
#define PORT_VXLAN 4789  /* RFC 7348 */
#define PORT_GENEVE 6081 /* RFC 8926 */

/* VERDICT_DOH: to be taken if one of the ends is in the list. */
enum verdict { VERDICT_PASS, VERDICT_TAKE, VERDICT_WALK, VERDICT_DOH };

struct bpf_cursor {
	const __u8 *data, *end; /* XDP */
	struct __sk_buff *skb;  /* tc */
	bool in_skb;            /* a constant: the other way is compiled out */
	__u32 off;
};

/* The two addresses, as two words each in memory order (IPv4 mapped). */
struct ends {
	__u64 src[2], dst[2];
};

/* Points *p at the next `len` octets (a constant) without taking them, in the
 * packet or in `room`; false past the end. */
static __always_inline bool cursor_look(const struct bpf_cursor *c, __u8 *room, __u32 len,
					const __u8 **p)
{
	if (c->off > CURSOR_OFF_CAP)
		return false;
	if (c->in_skb) {
		*p = room;
		return bpf_skb_load_bytes(c->skb, c->off, room, len) == 0;
	}
	*p = c->data + c->off;
	return *p + len <= c->end;
}

static __always_inline __u16 look_u16(const __u8 *p)
{
	return bpf_ntohs(*(const __u16 *)p);
}

static __always_inline __u64 mapped_hi(const __u8 *v4)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u64) * (const __u32 *)v4 << 32 | 0xffff0000u;
#else
	return 0x0000ffff00000000ull | *(const __u32 *)v4;
#endif
}

static __always_inline void ends_v4(struct ends *ends, const __u8 *ip)
{
	ends->src[0] = ends->dst[0] = 0;
	ends->src[1] = mapped_hi(ip + 12);
	ends->dst[1] = mapped_hi(ip + 16);
}

/* Word by word: what is copied as octets is compiled octet by octet. */
static __always_inline void ends_v6(struct ends *ends, const __u8 *ip)
{
	const __u64 *word = (const __u64 *)(ip + 8);

	ends->src[0] = word[0];
	ends->src[1] = word[1];
	ends->dst[0] = word[2];
	ends->dst[1] = word[3];
}

/* Whether `port` is among the settings (defined in steer.bpf.c). */
static __always_inline bool port_set(__u16 port);
static __always_inline bool tunnels_set(void);
static __always_inline bool doh_set(void);

static __always_inline enum verdict tunnel_verdict(void)
{
	return tunnels_set() ? VERDICT_TAKE : VERDICT_PASS;
}

static __always_inline enum verdict ports_verdict(const __u8 *p, bool udp)
{
	const __u16 dport = look_u16(p + 2), sport = look_u16(p);

	if (port_set(dport) || port_set(sport))
		return VERDICT_TAKE;
	if (doh_set() && (dport == FT_XDP_HTTPS_PORT || sport == FT_XDP_HTTPS_PORT))
		return VERDICT_DOH;
	if (udp && (dport == PORT_L2TP || dport == PORT_VXLAN || dport == PORT_GENEVE))
		return tunnel_verdict();
	return VERDICT_PASS;
}

static __always_inline enum verdict walk_ports(struct bpf_cursor *c, bool udp)
{
	__u8 room[CURSOR_LOAD_CAP];
	const __u8 *p;

	if (!cursor_look(c, room, 8, &p)) /* a whole UDP header, the ports of TCP */
		return VERDICT_PASS;
	return ports_verdict(p, udp);
}

/* A protocol that ends the walk. `part`: the packet is a fragment, whose ports
 * nobody but the worker can know. */
static __always_inline enum verdict walk_proto(struct bpf_cursor *c, __u8 proto, bool part)
{
	switch (proto) {
	case IPPROTO_UDP:
	case IPPROTO_TCP: return part ? VERDICT_TAKE : walk_ports(c, proto == IPPROTO_UDP);
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
	case IPPROTO_GRE: return tunnel_verdict();
	default: return VERDICT_PASS;
	}
}

static __always_inline enum verdict walk_ipv4(struct bpf_cursor *c, struct ends *ends)
{
	__u8 room[CURSOR_LOAD_CAP];
	const __u8 *p;
	__u32 header_len;

	if (!cursor_look(c, room, 20, &p) || p[0] >> 4 != 4)
		return VERDICT_PASS;
	header_len = (p[0] & 15u) * 4u;
	if (header_len < 20)
		return VERDICT_PASS;
	ends_v4(ends, p);
	c->off += header_len;
	/* More fragments, or an offset: RFC 791 3.1. */
	return walk_proto(c, p[9], (look_u16(p + 6) & 0x3fff) != 0);
}

static __always_inline enum verdict walk_ipv6(struct bpf_cursor *c, struct ends *ends)
{
	__u8 room[CURSOR_LOAD_CAP];
	const __u8 *p;
	bool part = false;
	__u8 next;
	int i;

	if (!cursor_look(c, room, 40, &p) || p[0] >> 4 != 6)
		return VERDICT_PASS;
	ends_v6(ends, p);
	next = p[6];
	c->off += 40;
	for (i = 0; i < CURSOR_EXT_CAP; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH && next != IPPROTO_MH)
			return walk_proto(c, next, part);
		if (!cursor_look(c, room, 8, &p))
			return VERDICT_PASS;
		if (next == IPPROTO_FRAGMENT) { /* RFC 8200 4.5 */
			c->off += 8;
			if ((look_u16(p + 2) & 0xfff9) != 0)
				part = true;
			if ((look_u16(p + 2) & 0xfff8) != 0) /* what follows is no header */
				return walk_proto(c, p[0], true) == VERDICT_TAKE ||
					       p[0] == IPPROTO_DSTOPTS || p[0] == IPPROTO_AH
					   ? VERDICT_TAKE
					   : VERDICT_PASS;
		} else if (next == IPPROTO_AH) { /* RFC 4302 2.2 */
			c->off += (p[1] + 2u) * 4u;
		} else {
			c->off += (p[1] + 1u) * 8u;
		}
		next = p[0];
	}
	return VERDICT_TAKE; /* more than we follow: the worker decides */
}

/* The commonest frames, told without the walk: IPv4 without options, whole, or IPv6
 * without extension headers, with UDP or TCP in them and at most one tag.
 * VERDICT_WALK for all others. `ends` is filled where `want` says so. */
static __always_inline enum verdict walk_straight(const __u8 *ip, const __u8 *end, bool want,
						  struct ends *ends)
{
	const __u8 *l4;
	__u16 type;
	__u8 proto;

	ip += ETH_HLEN;
	if (ip + 20 + 8 > end)
		return VERDICT_WALK;
	type = *(const __u16 *)(ip - 2);
	if (type == bpf_htons(ETH_P_8021Q)) {
		ip += 4;
		type = *(const __u16 *)(ip - 2);
	}
	if (type == bpf_htons(ETH_P_IP)) {
		l4 = ip + 20;
		if (l4 + 8 > end || ip[0] != 0x45 ||
		    (*(const __u16 *)(ip + 6) & bpf_htons(0x3fff)) != 0)
			return VERDICT_WALK;
		proto = ip[9];
		if (want)
			ends_v4(ends, ip);
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		l4 = ip + 40;
		if (l4 + 8 > end || ip[0] >> 4 != 6)
			return VERDICT_WALK;
		proto = ip[6];
		if (want)
			ends_v6(ends, ip);
	} else {
		return VERDICT_WALK;
	}
	if (proto != IPPROTO_UDP && proto != IPPROTO_TCP)
		return VERDICT_WALK;
	return ports_verdict(l4, proto == IPPROTO_UDP);
}

/* Whether the frame can be DNS. `ends` is filled where it is to be taken: with
 * zeros where there is no IP header. */
static __always_inline enum verdict walk_frame(struct bpf_cursor *c, bool raw_ip, struct ends *ends)
{
	__u8 room[CURSOR_LOAD_CAP];
	const __u8 *p;
	__u16 type;
	int i;

	if (raw_ip) {
		if (!cursor_look(c, room, 1, &p))
			return VERDICT_PASS;
		return p[0] >> 4 == 6 ? walk_ipv6(c, ends) : walk_ipv4(c, ends);
	}
	if (!cursor_look(c, room, ETH_HLEN, &p))
		return VERDICT_PASS;
	type = look_u16(p + 12);
	c->off = ETH_HLEN;
	for (i = 0; i < CURSOR_VLAN_CAP; i++) {
		if (type != ETH_P_8021Q && type != ETH_P_8021AD && type != ETH_P_QINQ1)
			break;
		if (!cursor_look(c, room, 4, &p))
			return VERDICT_PASS;
		type = look_u16(p + 2);
		c->off += 4;
	}
	switch (type) {
	case ETH_P_IP: return walk_ipv4(c, ends);
	case ETH_P_IPV6: return walk_ipv6(c, ends);
	case ETH_P_PPP_SES:
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC: __builtin_memset(ends, 0, sizeof(*ends)); return tunnel_verdict();
	default: return VERDICT_PASS;
	}
}

/* The hash of dataplane/flow.h: the same for both directions. */
static __always_inline __u64 bpf_hash_mix(__u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	x ^= x >> 33;
	return x;
}

static __always_inline __u64 end_hash(const __u64 *a, __u64 key)
{
	return bpf_hash_mix((bpf_hash_mix(a[0] ^ key) ^ a[1]) + 0x9e3779b97f4a7c15ull);
}

static __always_inline __u64 ends_hash(const struct ends *e, __u64 key)
{
	return bpf_hash_mix(end_hash(e->src, key) + end_hash(e->dst, key));
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "decode.h"

#include "cursor.h"

#include <fluxtap/rec_tap.h>

/* EtherTypes (IANA IEEE 802 numbers). */
enum {
	ETHER_IPV4 = 0x0800,
	ETHER_VLAN = 0x8100,
	ETHER_IPV6 = 0x86dd,
	ETHER_MPLS = 0x8847,
	ETHER_MPLS_UPSTREAM = 0x8848,
	ETHER_PPPOE = 0x8864,
	ETHER_QINQ = 0x88a8,
	ETHER_QINQ_OLD = 0x9100,
	ETHER_QINQ_OLDER = 0x9200,
	ETHER_BRIDGED = 0x6558, /* whole Ethernet frames inside GRE and Geneve */
	ETHER_ERSPAN2 = 0x88be,
	ETHER_ERSPAN3 = 0x22eb,
	ETHER_PPP = 0x880b
};

/* IP protocols. */
enum {
	PROTO_HOPOPTS = 0,
	PROTO_IPV4 = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_AH = 51,
	PROTO_DSTOPTS = 60,
	PROTO_MOBILITY = 135
};

enum { PORT_L2TP = 1701, PORT_VXLAN = 4789, PORT_GENEVE = 6081 };
/* RFC 7858, RFC 9250 and the ports of its drafts, RFC 8484. */
enum { PORT_DOT = 853, PORT_DOQ_OLD = 784, PORT_DOQ_OLDER = 8853, PORT_HTTPS = 443 };

#define TAGS_CAP 8u /* VLAN tags or MPLS labels on one frame */
#define EXT_CAP 16u /* IPv6 extension headers */

/* What to look at next. One loop steps from layer to layer, so that no nesting
 * of tunnels can grow the stack. */
enum layer { LAYER_ETHER, LAYER_TYPE, LAYER_PPP, LAYER_IP, LAYER_PROTO, LAYER_DONE };

struct walk {
	struct cursor c;
	const struct decode_ports *ports;
	struct decoded *out;
	uint16_t ether_type;
	uint8_t proto;
	uint8_t depth;
	bool has_addrs;
	uint32_t cut; /* octets that the wire had behind c.end */
};

static enum layer leave(struct walk *w, enum ft_pkt_drop why)
{
	w->out->kind = DECODE_DROP;
	w->out->drop = why;
	return LAYER_DONE;
}

/* A header that ends early: cut by the capture, or damaged in itself. */
static enum layer leave_short(struct walk *w, enum ft_pkt_drop damaged)
{
	return leave(w, w->cut != 0 ? FT_PKT_TRUNCATED : damaged);
}

static void note_vlan(struct walk *w, uint16_t tci)
{
	w->out->tag = ft_tag_add_vlan(w->out->tag, tci);
}

/* A header whose octets were all there. */
static void note_tunnel(struct walk *w, enum ft_tunnel kind, bool has_id, uint32_t id)
{
	if (!w->c.bad)
		w->out->tag = ft_tag_add_tunnel(w->out->tag, kind, has_id, id);
}

static enum layer step_ether(struct walk *w)
{
	cursor_skip(&w->c, 12);
	w->ether_type = cursor_u16(&w->c);
	if (w->c.bad)
		return leave_short(w, FT_PKT_BAD_LINK);
	return LAYER_TYPE;
}

static enum layer step_mpls(struct walk *w)
{
	uint32_t label = 0;

	for (unsigned i = 0; i < TAGS_CAP && (label & 0x100) == 0; i++) {
		label = cursor_u32(&w->c);
		note_tunnel(w, FT_TUNNEL_MPLS, true, label >> 12);
	}
	if (w->c.bad || (label & 0x100) == 0)
		return leave_short(w, FT_PKT_BAD_LINK);
	const uint8_t first = cursor_peek(&w->c) >> 4;
	if (first == 0) { /* pseudowire control word, then Ethernet (RFC 4448 4.6) */
		cursor_skip(&w->c, 4);
		return LAYER_ETHER;
	} else {
		return LAYER_IP;
	}
}

static enum layer step_type(struct walk *w)
{
	uint16_t tci;

	for (unsigned i = 0; i <= TAGS_CAP; i++) {
		switch (w->ether_type) {
		case ETHER_VLAN:
		case ETHER_QINQ:
		case ETHER_QINQ_OLD:
		case ETHER_QINQ_OLDER:
			tci = cursor_u16(&w->c);
			w->ether_type = cursor_u16(&w->c);
			if (w->c.bad)
				return leave_short(w, FT_PKT_BAD_LINK);
			note_vlan(w, tci);
			continue;
		case ETHER_IPV4:
		case ETHER_IPV6: return LAYER_IP;
		case ETHER_MPLS:
		case ETHER_MPLS_UPSTREAM: return step_mpls(w);
		case ETHER_PPPOE:
			cursor_skip(&w->c, 6);
			note_tunnel(w, FT_TUNNEL_PPPOE, false, 0);
			return LAYER_PPP;
		default:
			/* A length instead of a type: LLC/SNAP carries the type (RFC 1042). */
			if (w->ether_type > 1500)
				return leave(w, FT_PKT_NOT_IP);
			const bool snap = cursor_u32(&w->c) >> 8 == 0xaaaa03;
			if (snap) {
				cursor_skip(&w->c, 2);
				w->ether_type = cursor_u16(&w->c);
			}
			if (w->c.bad)
				return leave_short(w, snap ? FT_PKT_BAD_LINK : FT_PKT_NOT_IP);
			if (!snap)
				return leave(w, FT_PKT_NOT_IP);
		}
	}
	return leave(w, FT_PKT_BAD_LINK);
}

/* RFC 1661 2 and RFC 1662: address and control may be left out, and the
 * protocol may be one octet. */
static enum layer step_ppp(struct walk *w)
{
	if (cursor_peek(&w->c) == 0xff) /* no protocol: the address, and control behind it */
		cursor_skip(&w->c, 2);
	const uint16_t proto = cursor_peek(&w->c) & 1 ? cursor_u8(&w->c) : cursor_u16(&w->c);

	if (w->c.bad)
		return leave_short(w, FT_PKT_BAD_LINK);
	if (proto != 0x0021 && proto != 0x0057)
		return leave(w, FT_PKT_NOT_IP);
	return LAYER_IP;
}

/* Narrows the cursor to an IP packet of `len` octets that begins at `start`. */
static bool narrow(struct walk *w, uint32_t start, uint32_t len)
{
	const uint32_t there = w->c.end - start;

	if (len <= there) {
		w->cut = 0;
		w->c.end = start + len;
		return true;
	}
	if (len - there > w->cut) /* longer than the wire had room for */
		return false;
	w->cut = len - there;
	return true;
}

static enum layer fragment(struct walk *w, uint32_t id, uint32_t off, bool more)
{
	struct decoded *d = w->out;

	if (w->cut != 0)
		return leave(w, FT_PKT_TRUNCATED);
	d->kind = DECODE_FRAGMENT;
	d->l4_bytes = 0;
	d->ip_id = id;
	d->frag_id = id;
	d->frag_off = off;
	d->frag_more = more;
	d->proto = w->proto;
	d->data = w->c.base + w->c.off;
	d->len = w->c.end - w->c.off;
	return LAYER_DONE;
}

static enum layer step_ipv4(struct walk *w)
{
	const uint32_t start = w->c.off;

	if (!cursor_has(&w->c, 20))
		return leave_short(w, FT_PKT_BAD_IP);
	const uint8_t *h = w->c.base + start;
	const uint32_t header = (h[0] & 15u) * 4;
	uint32_t len = load_u16_be(h + 2);

	if (len == 0) /* left to the NIC to fill in: segmentation offload */
		len = w->c.end - start + w->cut;
	if (header < 20 || len < header)
		return leave(w, FT_PKT_BAD_IP);
	if (!narrow(w, start, len))
		return leave(w, FT_PKT_BAD_IP);
	if (!cursor_has(&w->c, header))
		return leave_short(w, FT_PKT_BAD_IP);
	w->c.off = start + header;
	w->out->flow.src = addr_from_v4(h + 12);
	w->out->flow.dst = addr_from_v4(h + 16);
	w->out->flow.v6 = 0;
	w->has_addrs = true;
	w->out->ip_id = load_u16_be(h + 4);
	w->proto = h[9];
	const uint16_t frag = load_u16_be(h + 6);
	if ((frag & 0x3fff) != 0)
		return fragment(w, load_u16_be(h + 4), (frag & 0x1fffu) * 8, (frag & 0x2000) != 0);
	return LAYER_PROTO;
}

/* Steps over extension headers (RFC 8200 section 4) to the upper protocol. */
static enum layer step_extensions(struct walk *w)
{
	for (unsigned i = 0; i <= EXT_CAP; i++) {
		uint32_t unit = 8;

		switch (w->proto) {
		case PROTO_FRAGMENT: {
			w->proto = cursor_u8(&w->c);
			cursor_skip(&w->c, 1);
			const uint16_t off = cursor_u16(&w->c);
			const uint32_t id = cursor_u32(&w->c);
			if (w->c.bad)
				return leave_short(w, FT_PKT_BAD_IP);
			if ((off & 0xfff9) != 0)
				return fragment(w, id, off & 0xfff8u, (off & 1) != 0);
			continue; /* atomic fragment, RFC 6946 */
		}
		case PROTO_AH: unit = 4; break;
		case PROTO_HOPOPTS:
		case PROTO_ROUTING:
		case PROTO_DSTOPTS:
		case PROTO_MOBILITY: break;
		default: return LAYER_PROTO;
		}
		w->proto = cursor_u8(&w->c);
		const uint32_t units = cursor_u8(&w->c);
		/* AH counts 4-octet units less 2, the others 8-octet units less 1. */
		cursor_skip(&w->c, unit == 4 ? units * 4 + 6 : units * 8 + 6);
		if (w->c.bad)
			return leave_short(w, FT_PKT_BAD_IP);
	}
	return leave(w, FT_PKT_BAD_IP);
}

static enum layer step_ipv6(struct walk *w)
{
	const uint32_t start = w->c.off;

	if (!cursor_has(&w->c, 40))
		return leave_short(w, FT_PKT_BAD_IP);
	const uint8_t *h = w->c.base + start;
	uint32_t len = load_u16_be(h + 4);

	len = len == 0 ? w->c.end - start + w->cut : len + 40;
	if (!narrow(w, start, len))
		return leave(w, FT_PKT_BAD_IP);
	w->c.off = start + 40;
	w->out->flow.src = addr_from_v6(h + 8);
	w->out->flow.dst = addr_from_v6(h + 24);
	w->out->flow.v6 = 1;
	w->out->ip_id = 0;
	w->has_addrs = true;
	w->proto = h[6];
	return step_extensions(w);
}

static enum layer step_ip(struct walk *w)
{
	if (w->depth++ > DECODE_DEPTH_CAP)
		return leave(w, FT_PKT_TUNNEL_DEPTH);
	switch (cursor_peek(&w->c) >> 4) {
	case 4: return step_ipv4(w);
	case 6: return step_ipv6(w);
	default:
		return cursor_has(&w->c, 1) ? leave(w, FT_PKT_NOT_IP)
					    : leave_short(w, FT_PKT_NOT_IP);
	}
}

/* GRE (RFC 2784, 2890, 2637 for version 1) and what rides in it. */
static enum layer step_gre(struct walk *w)
{
	const uint16_t flags = cursor_u16(&w->c);
	const bool has_key = (flags & 0x2000) != 0;
	enum layer next = LAYER_TYPE;
	uint32_t key = 0;

	w->ether_type = cursor_u16(&w->c);
	if ((flags & 0xc000) != 0)
		cursor_skip(&w->c, 4); /* checksum and offset */
	if (has_key)
		key = cursor_u32(&w->c);
	if ((flags & 0x1000) != 0)
		cursor_skip(&w->c, 4); /* sequence number */
	if ((flags & 7) == 1 && (flags & 0x80) != 0)
		cursor_skip(&w->c, 4); /* acknowledgement */
	switch (w->ether_type) {
	case ETHER_ERSPAN2:
		if ((flags & 0x1000) != 0) { /* type I has neither sequence nor header */
			const uint32_t head = cursor_u32(&w->c);
			cursor_skip(&w->c, 4);
			note_tunnel(w, FT_TUNNEL_ERSPAN, true, head & 0x3ff);
		}
		note_tunnel(w, FT_TUNNEL_ERSPAN, false, 0);
		next = LAYER_ETHER;
		break;
	case ETHER_ERSPAN3: {
		const uint32_t head = cursor_u32(&w->c);
		cursor_skip(&w->c, 7);
		if ((cursor_u8(&w->c) & 1) != 0)
			cursor_skip(&w->c, 8); /* platform subheader */
		note_tunnel(w, FT_TUNNEL_ERSPAN, true, head & 0x3ff);
		next = LAYER_ETHER;
		break;
	}
	case ETHER_BRIDGED: next = LAYER_ETHER; break;
	case ETHER_PPP: next = LAYER_PPP; break;
	default: break;
	}
	note_tunnel(w, FT_TUNNEL_GRE, has_key, key);
	return w->c.bad ? leave_short(w, FT_PKT_BAD_LINK) : next;
}

/* L2TP version 2 data message, RFC 2661 section 3.1; control messages carry no IP. */
static enum layer step_l2tp(struct walk *w)
{
	const uint16_t flags = cursor_u16(&w->c);

	if ((flags & 0x800f) != 2)
		return w->c.bad ? leave_short(w, FT_PKT_NOT_DNS) : leave(w, FT_PKT_NOT_DNS);
	if ((flags & 0x4000) != 0)
		cursor_skip(&w->c, 2); /* length */
	const uint16_t tunnel = cursor_u16(&w->c);
	cursor_skip(&w->c, 2); /* session */
	note_tunnel(w, FT_TUNNEL_L2TP, true, tunnel);
	if ((flags & 0x0800) != 0)
		cursor_skip(&w->c, 4); /* Ns, Nr */
	if ((flags & 0x0200) != 0)
		cursor_skip(&w->c, cursor_u16(&w->c));
	return w->c.bad ? leave_short(w, FT_PKT_BAD_LINK) : LAYER_PPP;
}

static bool is_crypt_port(uint16_t port, bool tcp)
{
	return port == PORT_DOT || port == PORT_HTTPS ||
	       (!tcp && (port == PORT_DOQ_OLD || port == PORT_DOQ_OLDER));
}

/* Neither DNS nor a tunnel: what is known of it, for those who tell encrypted DNS. */
static enum layer leave_crypt(struct walk *w, uint32_t payload_off, uint32_t whole_len)
{
	struct decoded *d = w->out;

	if (!is_crypt_port(d->flow.sport, d->flow.tcp) && !is_crypt_port(d->flow.dport, d->flow.tcp))
		return leave(w, FT_PKT_NOT_DNS);
	if (payload_off > w->c.end) /* the capture ends within the header */
		return leave(w, FT_PKT_TRUNCATED);
	d->kind = DECODE_CRYPT;
	d->drop = FT_PKT_NOT_DNS;
	d->data = w->c.base + payload_off;
	d->len = w->c.end - payload_off;
	if (d->len > whole_len) /* padding */
		d->len = whole_len;
	d->whole_len = whole_len;
	return LAYER_DONE;
}

/* A UDP payload that is no DNS: a tunnel that we know, or nothing of ours. */
static enum layer step_udp_tunnel(struct walk *w, uint32_t udp_len)
{
	enum layer next = LAYER_ETHER;

	switch (w->out->flow.dport) {
	case PORT_VXLAN: { /* RFC 7348 section 5 */
		cursor_skip(&w->c, 4);
		const uint32_t id = cursor_u32(&w->c) >> 8;
		note_tunnel(w, FT_TUNNEL_VXLAN, true, id);
		break;
	}
	case PORT_GENEVE: { /* RFC 8926 section 3.4 */
		const uint32_t options = (cursor_u8(&w->c) & 0x3fu) * 4;
		cursor_skip(&w->c, 1);
		w->ether_type = cursor_u16(&w->c);
		const uint32_t id = cursor_u32(&w->c) >> 8;
		cursor_skip(&w->c, options);
		note_tunnel(w, FT_TUNNEL_GENEVE, true, id);
		next = w->ether_type == ETHER_BRIDGED ? LAYER_ETHER : LAYER_TYPE;
		break;
	}
	case PORT_L2TP: return step_l2tp(w);
	default: return leave_crypt(w, w->c.off, udp_len < 8 ? 0 : udp_len - 8);
	}
	return w->c.bad ? leave_short(w, FT_PKT_NOT_DNS) : next;
}

static inline bool is_dns(const struct decode_ports *ports, uint16_t a, uint16_t b)
{
	/* Which of the two it is cannot be foreseen; that one of them is, can: a product
	 * is zero if either factor is. */
	for (uint32_t i = 0; i < ports->n; i++)
		if ((uint32_t)(ports->port[i] ^ a) * (uint32_t)(ports->port[i] ^ b) == 0)
			return true;
	return false;
}

static enum layer step_udp(struct walk *w)
{
	struct decoded *d = w->out;
	const uint32_t start = w->c.off;

	d->flow.sport = cursor_u16(&w->c);
	d->flow.dport = cursor_u16(&w->c);
	d->flow.tcp = 0;
	uint32_t len = cursor_u16(&w->c);
	cursor_skip(&w->c, 2);
	if (w->c.bad)
		return leave_short(w, FT_PKT_BAD_L4);
	const bool dns = is_dns(w->ports, d->flow.sport, d->flow.dport);
	if (!dns)
		return step_udp_tunnel(w, len);
	const uint32_t there = w->c.end - start;
	if (len == 0) /* jumbogram or offload: the rest of the IP packet */
		len = there + w->cut;
	if (len < 8 || len > there + w->cut)
		return leave(w, FT_PKT_BAD_L4);
	if (len == 8)
		return leave(w, FT_PKT_EMPTY);
	if (len > there)
		return leave(w, FT_PKT_TRUNCATED);
	d->kind = DECODE_UDP;
	d->l4_bytes = 8;
	d->data = w->c.base + w->c.off;
	d->len = len - 8;
	return LAYER_DONE;
}

static enum layer step_tcp(struct walk *w)
{
	struct decoded *d = w->out;
	const uint32_t start = w->c.off;

	d->flow.sport = cursor_u16(&w->c);
	d->flow.dport = cursor_u16(&w->c);
	d->flow.tcp = 1;
	d->tcp_seq = cursor_u32(&w->c);
	d->tcp_ack = cursor_u32(&w->c);
	const uint32_t header = (cursor_u8(&w->c) >> 4) * 4u;
	d->tcp_flags = cursor_u8(&w->c);
	cursor_skip(&w->c, 6);
	if (w->c.bad)
		return leave_short(w, FT_PKT_BAD_L4);
	if (!is_dns(w->ports, d->flow.sport, d->flow.dport)) {
		const uint32_t whole = w->c.end - start + w->cut;
		if (header < 20 || header > whole)
			return leave(w, FT_PKT_NOT_DNS);
		return leave_crypt(w, start + header, whole - header);
	}
	if (header < 20)
		return leave(w, FT_PKT_BAD_L4);
	cursor_skip(&w->c, header - 20);
	if (w->c.bad)
		return leave_short(w, FT_PKT_BAD_L4);
	d->tcp_options = (uint8_t)(header - 20);
	if (w->cut != 0)
		return leave(w, FT_PKT_TRUNCATED);
	d->kind = DECODE_TCP;
	d->l4_bytes = (uint8_t)header;
	d->data = w->c.base + start + header;
	d->len = w->c.end - start - header;
	return LAYER_DONE;
}

static enum layer step_proto(struct walk *w)
{
	w->out->proto = w->proto;
	switch (w->proto) {
	case PROTO_UDP: return step_udp(w);
	case PROTO_TCP: return step_tcp(w);
	case PROTO_IPV4:
	case PROTO_IPV6: note_tunnel(w, FT_TUNNEL_IPIP, false, 0); return LAYER_IP;
	case PROTO_GRE: return step_gre(w);
	default: return leave(w, FT_PKT_NOT_DNS);
	}
}

static void run(struct walk *w, enum layer next)
{
	/* Bounded: every turn but the one to LAYER_IP consumes octets, and
	 * LAYER_IP counts its depth. */
	while (next != LAYER_DONE) {
		switch (next) {
		case LAYER_ETHER: next = step_ether(w); break;
		case LAYER_TYPE: next = step_type(w); break;
		case LAYER_PPP: next = step_ppp(w); break;
		case LAYER_IP: next = step_ip(w); break;
		case LAYER_PROTO: next = step_proto(w); break;
		case LAYER_DONE: break;
		}
	}
}

static enum layer begin(struct walk *w, enum link_type link)
{
	enum layer next = LAYER_TYPE;

	switch (link) {
	case LINK_ETHERNET: return LAYER_ETHER;
	case LINK_RAW_IP: return LAYER_IP;
	case LINK_PPP: return LAYER_PPP;
	case LINK_SLL:
		cursor_skip(&w->c, 14);
		w->ether_type = cursor_u16(&w->c);
		break;
	case LINK_SLL2:
		w->ether_type = cursor_u16(&w->c);
		cursor_skip(&w->c, 18);
		break;
	case LINK_NULL:
		/* The family's value differs by system and byte order; the
		 * version nibble behind it does not. */
		cursor_skip(&w->c, 4);
		next = LAYER_IP;
		break;
	case LINK_TYPE_CAP: return leave(w, FT_PKT_BAD_LINK);
	}
	return w->c.bad ? leave_short(w, FT_PKT_BAD_LINK) : next;
}

void decode_frame_any(const struct pkt *p, const struct decode_ports *ports, struct decoded *out)
{
	struct walk w = {
	    .c = cursor_init(p->data, 0, p->cap_len),
	    .ports = ports,
	    .out = out,
	    .cut = p->wire_len > p->cap_len ? p->wire_len - p->cap_len : 0,
	};

	out->kind = DECODE_DROP;
	out->drop = FT_PKT_BAD_LINK;
	out->tag = 0;
	run(&w, begin(&w, (enum link_type)p->link));
}

/* UDP at offset l4 of a frame whose IP packet ends at `end`. */
static inline bool decode_plain_udp(const struct pkt *p, const struct decode_ports *ports,
				    uint32_t l4, uint32_t end, struct decoded *out)
{
	const uint8_t *udp = p->data + l4;
	const uint32_t udp_len = load_u16_be(udp + 4);

	if ((end > p->cap_len) | (udp_len <= 8) | (l4 + udp_len > end))
		return false;
	out->flow.sport = load_u16_be(udp);
	out->flow.dport = load_u16_be(udp + 2);
	out->flow.tcp = 0;
	out->proto = PROTO_UDP;
	out->kind = DECODE_UDP;
	out->data = udp + 8;
	out->len = udp_len - 8;
	return is_dns(ports, out->flow.sport, out->flow.dport);
}

/* The common frame: whole, Ethernet without tags, IPv4 without options or IPv6
 * without extension headers, no fragment, UDP, one of our ports. False for every
 * other, which the long way looks at. */
static bool decode_plain(const struct pkt *p, const struct decode_ports *ports, struct decoded *out)
{
	const uint8_t *ip = p->data + 14;

	if ((p->link != LINK_ETHERNET) | (p->cap_len < 14 + 20 + 8) | (p->cap_len < p->wire_len))
		return false;
	const uint16_t ether_type = load_u16_be(p->data + 12);
	if (ether_type == ETHER_IPV4) {
		if ((ip[0] != 0x45) | (ip[9] != PROTO_UDP) | ((load_u16_be(ip + 6) & 0x3fff) != 0))
			return false;
		out->flow.v6 = 0;
		out->flow.src = addr_from_v4(ip + 12);
		out->flow.dst = addr_from_v4(ip + 16);
		return decode_plain_udp(p, ports, 14 + 20, 14u + load_u16_be(ip + 2), out);
	}
	if (ether_type != ETHER_IPV6 || p->cap_len < 14 + 40 + 8)
		return false;
	const uint32_t payload = load_u16_be(ip + 4);
	if ((ip[0] >> 4 != 6) | (ip[6] != PROTO_UDP) | (payload == 0))
		return false;
	out->flow.v6 = 1;
	out->flow.src = addr_from_v6(ip + 8);
	out->flow.dst = addr_from_v6(ip + 24);
	return decode_plain_udp(p, ports, 14 + 40, 14 + 40 + payload, out);
}

bool decode_frame(const struct pkt *p, const struct decode_ports *ports, struct decoded *out)
{
	if (decode_plain(p, ports, out))
		return true;
	decode_frame_any(p, ports, out);
	return false;
}

void decode_datagram(const uint8_t *data, uint32_t len, uint8_t proto,
		     const struct decode_ports *ports, struct decoded *out)
{
	struct walk w = {
	    .c = cursor_init(data, 0, len),
	    .ports = ports,
	    .out = out,
	    .proto = proto,
	    .depth = 1,
	};

	out->kind = DECODE_DROP;
	out->drop = FT_PKT_BAD_IP;
	run(&w, out->flow.v6 ? step_extensions(&w) : LAYER_PROTO);
}

/* A client may send from a tunnel's port: what is DNS is no tunnel. */
static const struct decode_ports dns_port = {.port = {53}, .n = 1};
#define ANY_CUT (UINT32_MAX / 2) /* the addresses of a cut packet count, too */

bool decode_outline(const uint8_t *frame, uint32_t cap_len, enum link_type link,
		    struct decoded *out)
{
	struct walk w = {
	    .c = cursor_init(frame, 0, cap_len),
	    .ports = &dns_port,
	    .out = out,
	    .cut = ANY_CUT,
	};

	*out = (struct decoded){.kind = DECODE_DROP};
	run(&w, begin(&w, link));
	return w.has_addrs;
}

void decode_addrs_inside(const struct decoded *first, struct addr *src, struct addr *dst)
{
	struct decoded d = {.kind = DECODE_DROP, .flow = first->flow};
	struct walk w = {
	    .c = cursor_init(first->data, 0, first->len),
	    .ports = &dns_port,
	    .out = &d,
	    .proto = first->proto,
	    .depth = 1,
	    .cut = ANY_CUT,
	};

	run(&w, first->flow.v6 ? step_extensions(&w) : LAYER_PROTO);
	*src = d.flow.src;
	*dst = d.flow.dst;
}

bool decode_addrs(const uint8_t *frame, uint32_t cap_len, enum link_type link, struct addr *src,
		  struct addr *dst)
{
	struct decoded d;
	const bool found = decode_outline(frame, cap_len, link, &d);

	*src = d.flow.src;
	*dst = d.flow.dst;
	return found;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_wrap.h"

#include "gen_state.h"

#include <string.h>

enum {
	ROOM = 512, /* for headers in front of the packet */
	LABEL = 16000,
	VLAN_OUTER = 100,
	VLAN_INNER = 200,
	KEY = INT32_MAX - 5,
	SESSION = 0x155,
	VNI = 0xabcdef,
	L2TP_TUNNEL = 0x7a7a,
	TYPE_BRIDGED = 0x6558,
	PROTO_UDP = 17,
	PROTO_GRE = 47,
	FRAGMENT_GAP_US = 2,
};

/* Layers, outermost first, between the frame's Ethernet and the packet: V 802.1Q, Q 802.1ad, q its
 * old 0x9100, M MPLS label, W pseudowire control word, E Ethernet, P PPPoE, O outer IP, and behind
 * an O: g GRE, G GRE with check sum, key and sequence, 1 2 3 4 ERSPAN of types I, II, III and III
 * with a subheader, x VXLAN, n Geneve with options and Ethernet, m Geneve with IP, l L2TP, I IP. */
static const struct {
	const char *name, *layers;
	struct gen_wrap_facts facts;
} wraps[] = {
#define NO_VLAN                                                                                    \
	{                                                                                          \
		-1, -1                                                                             \
	}
    {"plain", "", {.vlan = NO_VLAN, .id = -1}},
    {"vlan", "V", {.vlan = {VLAN_OUTER, -1}, .id = -1}},
    {"qinq", "QV", {.vlan = {VLAN_OUTER, VLAN_INNER}, .id = -1}},
    {"qinq-9100", "qV", {.vlan = {VLAN_OUTER, VLAN_INNER}, .id = -1}},
    {"three-tags", "QQV", {.vlan = {VLAN_OUTER, VLAN_INNER}, .id = -1}},
    {"mpls", "M", {.vlan = NO_VLAN, .tunnel = "mpls", .id = LABEL}},
    {"mpls-stack", "VMMM", {.vlan = {VLAN_OUTER, -1}, .tunnel = "mpls", .id = LABEL}},
    {"pseudowire", "MMWEV", {.vlan = NO_VLAN, .tunnel = "mpls", .id = LABEL}},
    {"pppoe", "P", {.vlan = NO_VLAN, .tunnel = "pppoe", .id = -1}},
    {"vlan-pppoe", "VP", {.vlan = {VLAN_OUTER, -1}, .tunnel = "pppoe", .id = -1}},
    {"gre", "Og", {.vlan = NO_VLAN, .tunnel = "gre", .id = -1}},
    {"gre-key", "OG", {.vlan = NO_VLAN, .tunnel = "gre", .id = KEY}},
    {"gre-bridged", "OGEV", {.vlan = NO_VLAN, .tunnel = "gre", .id = KEY}},
    {"erspan-1", "O1E", {.vlan = NO_VLAN, .tunnel = "erspan", .id = -1}},
    {"erspan-2", "O2E", {.vlan = NO_VLAN, .tunnel = "erspan", .id = SESSION}},
    {"erspan-3", "O3E", {.vlan = NO_VLAN, .tunnel = "erspan", .id = SESSION}},
    {"erspan-3-sub", "VO4EV", {.vlan = {VLAN_OUTER, -1}, .tunnel = "erspan", .id = SESSION}},
    {"vxlan", "OxE", {.vlan = NO_VLAN, .tunnel = "vxlan", .id = VNI}},
    {"vxlan-vlan", "QVOxEV", {.vlan = {VLAN_OUTER, VLAN_INNER}, .tunnel = "vxlan", .id = VNI}},
    {"geneve", "OnE", {.vlan = NO_VLAN, .tunnel = "geneve", .id = VNI}},
    {"geneve-ip", "Om", {.vlan = NO_VLAN, .tunnel = "geneve", .id = VNI}},
    {"l2tp", "Ol", {.vlan = NO_VLAN, .tunnel = "l2tp", .id = L2TP_TUNNEL}},
    {"ip-in-ip", "OI", {.vlan = NO_VLAN, .tunnel = "ipip", .id = -1}},
    {"four-deep", "OxEVOGOIO2E", {.vlan = NO_VLAN, .tunnel = "vxlan", .id = VNI}},
    {"five-deep", "OIOIOIOIOI", {.vlan = NO_VLAN, .tunnel = "ipip", .id = -1, .too_deep = true}},
#undef NO_VLAN
};

/* A packet that grows to the front. type: what stands at p, as an EtherType; 0: an IP
 * protocol's payload. */
struct build {
	uint8_t octets[ROOM + GEN_MTU];
	uint8_t *p;
	uint32_t len;
	uint16_t type;
	uint8_t proto;
	unsigned labels, tags; /* in front of the packet so far */
};

unsigned gen_wrap_count(void)
{
	return sizeof(wraps) / sizeof(*wraps);
}

struct gen_wrap_facts gen_wrap_facts(unsigned wrap)
{
	struct gen_wrap_facts f = wraps[wrap].facts;

	f.name = wraps[wrap].name;
	f.has_ip = strchr(wraps[wrap].layers, 'O') != NULL;
	return f;
}

static uint8_t *front(struct build *b, uint32_t octets)
{
	b->p -= octets;
	b->len += octets;
	memset(b->p, 0, octets);
	return b->p;
}

static void put_u16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, v >> 16);
	put_u16(p + 2, v & 0xffff);
}

static uint16_t check_sum(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void add_ether(struct build *b, enum gen_dir dir)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	const uint16_t type = b->type;
	uint8_t *p = front(b, 14);

	memcpy(p, mac[dir == GEN_TO_SERVER], 6);
	memcpy(p + 6, mac[dir == GEN_TO_CLIENT], 6);
	put_u16(p + 12, type);
	b->type = TYPE_BRIDGED;
}

/* Tags: ids by how many stand further out, of which `more` says how many. */
static void add_vlan(struct build *b, uint16_t type, unsigned more)
{
	uint8_t *p = front(b, 4);

	put_u16(p, 0x6000 | (more == 0 ? VLAN_OUTER : more == 1 ? VLAN_INNER : 300u));
	put_u16(p + 2, b->type);
	b->type = type;
}

static void add_label(struct build *b, unsigned more)
{
	const bool bottom = b->type != 0x8847;

	put_u32(front(b, 4), (LABEL + more) << 12 | (bottom ? 0x100u : 0) | 64);
	b->type = 0x8847;
}

static uint16_t ppp_of(uint16_t type)
{
	return type == 0x86dd ? 0x0057 : 0x0021;
}

static void add_pppoe(struct build *b)
{
	const uint32_t len = b->len + 2;
	uint8_t *p = front(b, 8);

	p[0] = 0x11;
	put_u16(p + 2, 0x0123);
	put_u16(p + 4, len);
	put_u16(p + 6, ppp_of(b->type));
	b->type = 0x8864;
}

/* RFC 2784 and 2890; ERSPAN: draft-foschiano-erspan-03. */
static void add_gre(struct build *b, char layer)
{
	const bool is_erspan = layer >= '1' && layer <= '4';
	const bool is_numbered = is_erspan && layer != '1';
	uint8_t *p;

	if (layer >= '2' && is_erspan) {
		p = front(b, layer == '2' ? 8 : layer == '3' ? 12 : 20);
		put_u32(p, (layer == '2' ? 0x10000000u : 0x20000000u) | SESSION);
		if (layer == '4')
			p[11] = 1; /* O: a subheader follows */
	}
	if (is_erspan)
		b->type = layer >= '3' ? 0x22eb : 0x88be;
	p = front(b, layer == 'G' ? 16 : is_numbered ? 8 : 4);
	put_u16(p + 2, b->type);
	if (layer == 'G') {
		put_u16(p, 0xb000);
		put_u32(p + 8, KEY);
		put_u32(p + 12, 77);
		put_u16(p + 4, check_sum(p, b->len));
	} else if (is_numbered) {
		put_u16(p, 0x1000);
	}
	b->proto = PROTO_GRE;
}

static void add_udp_tunnel(struct build *b, char layer)
{
	const unsigned port = layer == 'x' ? 4789 : layer == 'l' ? 1701 : 6081;
	uint8_t *p;

	switch (layer) {
	case 'x':
		p = front(b, 8);
		p[0] = 8;
		put_u32(p + 4, (uint32_t)VNI << 8);
		break;
	case 'l': { /* length present, then PPP with address and control */
		const uint32_t len = b->len + 12;
		p = front(b, 12);
		put_u16(p, 0x4002);
		put_u16(p + 2, len);
		put_u16(p + 4, L2TP_TUNNEL);
		put_u16(p + 6, 0x0042);
		put_u16(p + 8, 0xff03);
		put_u16(p + 10, ppp_of(b->type));
		break;
	}
	default:
		p = front(b, layer == 'n' ? 16 : 8);
		p[0] = layer == 'n' ? 2 : 0; /* units of 4 octets */
		put_u16(p + 2, b->type);
		put_u32(p + 4, (uint32_t)VNI << 8);
		if (layer == 'n')
			put_u32(p + 8, 0x01020101); /* an option of 4 octets */
		break;
	}
	const uint32_t len = b->len + 8;
	p = front(b, 8);
	put_u16(p, layer == 'l' ? 1701 : 50000u);
	put_u16(p + 2, port);
	put_u16(p + 4, len);
	b->proto = PROTO_UDP;
}

/* An outer header; frag: as in the IPv4 header, in units of 8 octets, 0x2000: more follow. */
static void add_ip(struct build *b, bool is_v6, unsigned frag, bool is_fragment, uint32_t ident)
{
	static const uint8_t v6[32] = {
	    0x20, 1, 0xd, 0xb8, 0, 0xa, [15] = 1, [16] = 0x20, 1, 0xd, 0xb8, 0, 0xa, [31] = 2};
	const uint32_t len = b->len;
	uint8_t *p;

	if (!is_v6) {
		p = front(b, 20);
		p[0] = 0x45;
		put_u16(p + 2, len + 20);
		put_u16(p + 4, ident & 0xffff);
		put_u16(p + 6, frag);
		p[8] = 61;
		p[9] = b->proto;
		put_u32(p + 12, 0xac100001);
		put_u32(p + 16, 0xac100002);
		put_u16(p + 10, check_sum(p, 20));
		b->type = 0x0800;
		return;
	}
	if (is_fragment) {
		p = front(b, 8);
		p[0] = b->proto;
		put_u16(p + 2, (frag & 0x1fff) << 3 | frag >> 13);
		put_u32(p + 4, ident);
	}
	p = front(b, 40);
	p[0] = 0x60;
	put_u16(p + 4, is_fragment ? len + 8 : len);
	p[6] = is_fragment ? 44 : b->proto;
	p[7] = 61;
	memcpy(p + 8, v6, 32);
	b->type = 0x86dd;
}

/* The layers from number `begin` on up to `end`, from the inside out. */
static void add_layers(const struct gen_path *path, enum gen_dir dir, struct build *b,
		       unsigned begin, unsigned end)
{
	const char *layers = wraps[path->wrap].layers;

	while (end > begin) {
		const char layer = layers[--end];
		unsigned vlans = 0, labels = 0; /* further out */

		for (unsigned i = 0; i < end; i++) {
			vlans += layers[i] == 'V' || layers[i] == 'Q' || layers[i] == 'q';
			labels += layers[i] == 'M';
		}
		switch (layer) {
		case 'V': add_vlan(b, 0x8100, vlans); break;
		case 'Q': add_vlan(b, 0x88a8, vlans); break;
		case 'q': add_vlan(b, 0x9100, vlans); break;
		case 'M': add_label(b, labels); break;
		case 'W': front(b, 4); break;
		case 'E': add_ether(b, dir); break;
		case 'P': add_pppoe(b); break;
		case 'x':
		case 'n':
		case 'm':
		case 'l': add_udp_tunnel(b, layer); break;
		case 'I': b->proto = b->type == 0x86dd ? 41 : 4; break;
		case 'O': add_ip(b, path->is_wrap_v6, 0x4000, false, 1); break;
		default: add_gre(b, layer); break;
		}
	}
}

static void send_frame(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
		       uint64_t ts_us, struct build *b, bool is_part)
{
	add_ether(b, dir);
	gen_frame_whole(g, ts_us, b->p, b->len);
	g->totals->fragments += is_part;
	gen_truth_wrapped(&g->books, path->wrap, is_part, b->len);
}

/* The payload of the outermost IP header in pieces; the last one to go makes it whole. */
static uint64_t send_pieces(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
			    uint64_t ts_us, const struct build *whole, unsigned outer)
{
	const uint32_t room = path->wrap_mtu / 8 * 8, pieces = (whole->len + room - 1) / room;
	const uint32_t ident = (uint32_t)gen_mix64(g->totals->packets ^ g->id_salt);

	for (uint32_t i = 0; i < pieces; i++) {
		const uint32_t k = path->is_reversed ? pieces - 1 - i : i;
		const bool is_last = k + 1 == pieces;
		struct build b = {.proto = whole->proto};

		b.len = is_last ? whole->len - k * room : room;
		b.p = b.octets + ROOM;
		memcpy(b.p, whole->p + k * room, b.len);
		add_ip(&b, path->is_wrap_v6, k * room / 8 | (is_last ? 0 : 0x2000), true, ident);
		add_layers(path, dir, &b, 0, outer);
		ts_us += i > 0 ? FRAGMENT_GAP_US : 0;
		send_frame(g, path, dir, ts_us, &b, i + 1 < pieces);
	}
	return ts_us;
}

uint64_t gen_wrap_send(struct ft_gen *g, const struct gen_path *path, enum gen_dir dir,
		       uint64_t ts_us, const uint8_t *packet, uint32_t len)
{
	const char *layers = wraps[path->wrap].layers, *ip = strchr(layers, 'O');
	const unsigned n = (unsigned)strlen(layers),
		       outer = ip != NULL ? (unsigned)(ip - layers) : 0;
	struct build b = {.len = len, .type = path->is_v6 ? 0x86dd : 0x0800};

	b.p = b.octets + ROOM;
	memcpy(b.p, packet, len);
	if (ip == NULL || path->wrap_mtu == 0) {
		add_layers(path, dir, &b, 0, n);
		send_frame(g, path, dir, ts_us, &b, false);
		return ts_us;
	}
	add_layers(path, dir, &b, outer + 1, n);
	if (b.len <= path->wrap_mtu) {
		add_layers(path, dir, &b, 0, outer + 1);
		send_frame(g, path, dir, ts_us, &b, false);
		return ts_us;
	}
	return send_pieces(g, path, dir, ts_us, &b, outer);
}

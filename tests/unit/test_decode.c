/* SPDX-License-Identifier: BSD-3-Clause */
#include "decode.h"
#include "guard.h"
#include "wire.h"

#include <fluxtap/rec_tap.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define FRAMES (sizeof(wire_frames) / sizeof(*wire_frames))

static const uint8_t message[] = {0x12, 0x34, 1,   0,   0, 1,   0,   0, 0, 0, 0, 0,
				  3,    'w',  'w', 'w', 2, 'd', 'e', 0, 0, 1, 0, 1};
static const struct decode_ports ports = {.port = {53, 5353}, .n = 2};
static struct wire w;
static uint32_t payload_at;
static enum decode_kind kind;
static bool v6;

static void put_payload(enum decode_kind k, int reason)
{
	kind = k;
	payload_at = w.n;
	wire_octets(&w, message, sizeof(message));
	if (w.closed || reason != FT_PKT_CARRIED)
		wire_mark(&w, w.n, reason);
}

static void put_header(const char *hex, int reason)
{
	for (; *hex != '\0'; hex += 2) {
		const char octet[3] = {hex[0], hex[1], '\0'};
		wire_u8(&w, (unsigned)strtoul(octet, NULL, 16));
	}
	wire_mark(&w, w.n, reason);
}

static void put_ip(const char *word)
{
	const bool inner = word[1] == 'i';
	const char *plus = strchr(word, '+'), *at = strchr(word, '@');
	const unsigned proto = (unsigned)strtoul(word + 1 + inner, NULL, 16);

	v6 = word[0] == '6';
	if (v6)
		wire_ipv6(&w, proto, inner || strchr(word, 'F') != NULL);
	else
		wire_ipv4_more(&w, proto, inner,
			       at != NULL ? (unsigned)strtoul(at + 1, NULL, 16) : 0x4000,
			       plus != NULL ? (uint32_t)strtoul(plus + 1, NULL, 16) : 0);
}

static void put_word(const char *word)
{
	const unsigned value = (unsigned)strtoul(word + 1, NULL, 16);

	switch (word[0]) {
	case 'E': wire_ether(&w, value); break;
	case 'L': put_header(word + 1, FT_PKT_BAD_LINK); break;
	case 'Q': put_header(word + 1, WIRE_EDGE); break;
	case 'N': put_header(word + 1, FT_PKT_NOT_DNS); break;
	case 'I': put_header(word + 1, FT_PKT_BAD_IP); break;
	case 'P': wire_pppoe(&w); break;
	case '4':
	case '6': put_ip(word); break;
	case 'U': wire_udp(&w, 50000, value); break;
	case 'D':
		wire_udp(&w, 40000, 53);
		put_payload(DECODE_UDP, FT_PKT_BAD_L4);
		break;
	case 'T':
		wire_tcp(&w, 53, 40000, value);
		put_payload(DECODE_TCP, FT_PKT_CARRIED);
		break;
	case 'F': put_payload(DECODE_FRAGMENT, FT_PKT_CARRIED); break;
	default: abort();
	}
}

static void build(const char *recipe, bool open)
{
	char text[512], *save = NULL;

	wire_init(&w, open);
	if (strlen(recipe) >= sizeof(text))
		abort();
	strcpy(text, recipe);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		put_word(word);
	wire_finish(&w);
}

static struct decoded decode(const uint8_t *data, uint32_t cap_len, uint32_t wire_len,
			     enum link_type link)
{
	const struct pkt p = {
	    .data = data, .cap_len = cap_len, .wire_len = wire_len, .link = (uint8_t)link};
	struct decoded d, slow;

	memset(&d, 0xa5, sizeof(d));
	memset(&slow, 0xa5, sizeof(slow));
	if (decode_frame(&p, &ports, &d)) /* what it leaves alone */
		d.tag = 0;
	decode_frame_any(&p, &ports, &slow); /* common frames have a quick way of their own */
	assert_int_equal(d.kind, slow.kind);
	assert_int_equal(d.tag, slow.tag);
	if (d.kind == DECODE_DROP) {
		assert_int_equal(d.drop, slow.drop);
	} else {
		assert_memory_equal(&d.flow, &slow.flow, offsetof(struct flow, sport));
		assert_ptr_equal(d.data, slow.data);
		assert_int_equal(d.len, slow.len);
		assert_int_equal(d.proto, slow.proto);
	}
	if (d.kind == DECODE_UDP)
		assert_memory_equal(&d.flow, &slow.flow, offsetof(struct flow, tcp) + 1);
	return d;
}

static void check_addrs(const struct addr *src, const struct addr *dst, bool inner)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (v6) {
		assert_memory_equal(src, inner ? wire_v6_in : wire_v6_out, 16);
		assert_memory_equal(dst, (inner ? wire_v6_in : wire_v6_out) + 16, 16);
		return;
	}
	assert_memory_equal(src, mapped, 12);
	assert_memory_equal(dst, mapped, 12);
	assert_memory_equal(src->b + 12, inner ? wire_v4_in : wire_v4_out, 4);
	assert_memory_equal(dst->b + 12, (inner ? wire_v4_in : wire_v4_out) + 4, 4);
}

static bool damage_fits(const struct decoded *d, int want)
{
	if (d->kind != DECODE_DROP)
		return false;
	if (want != WIRE_EDGE)
		return (int)d->drop == want;
	return d->drop == FT_PKT_BAD_LINK || d->drop == FT_PKT_NOT_IP || d->drop == FT_PKT_BAD_IP ||
	       d->drop == FT_PKT_NOT_DNS;
}

/* The frame in w, cut to cap octets of wire_len; a whole one must be carried. */
static void check_cut(const struct wire_frame *f, uint32_t cap, uint32_t wire_len)
{
	uint8_t *p = guard_copy(w.b, cap);
	const struct decoded d = decode(p, cap, wire_len, f->link);
	const int want = cap < wire_len ? FT_PKT_TRUNCATED : wire_reason_at(&w, cap);

	if (want != FT_PKT_CARRIED) {
		if (!damage_fits(&d, want))
			fail_msg("%s: %u of %u octets: kind %d, %s instead of %d", f->what, cap,
				 wire_len, (int)d.kind,
				 ft_pkt_drop_texts[d.drop % FT_PKT_DROP_CAP].metric, want);
		guard_free(p, cap);
		return;
	}
	if (d.kind != kind)
		fail_msg("%s: %u of %u octets: kind %d", f->what, cap, wire_len, (int)d.kind);
	assert_ptr_equal(d.data, p + payload_at);
	assert_int_equal(d.len, cap - payload_at);
	assert_int_equal(d.flow.v6, v6);
	check_addrs(&d.flow.src, &d.flow.dst, strchr(f->recipe, 'i') != NULL);
	if (kind != DECODE_FRAGMENT) {
		assert_int_equal(d.flow.sport, kind == DECODE_TCP ? 53 : 40000);
		assert_int_equal(d.flow.dport, kind == DECODE_TCP ? 40000 : 53);
		assert_int_equal(d.flow.tcp, kind == DECODE_TCP);
	}
	if (kind == DECODE_TCP) {
		assert_int_equal(d.tcp_seq, 0x01020304);
		assert_int_equal(d.tcp_flags, 0x18);
	}
	guard_free(p, cap);
}

/* Octets of which the room today says something else than `truncated`. */
static bool pending_cut(const struct wire_frame *f, uint32_t cap)
{
	const uint32_t before_ip = 14 + 20 + 8;

	if (cap > 0 && w.b[cap - 1] == 0xff && w.b[cap] == 3)
		return true;
	if (strcmp(f->what, "snap") == 0)
		return cap >= 14 && cap < 22;
	return strncmp(f->what, "l2tp", 4) == 0 && cap >= before_ip && cap < before_ip + 2;
}

static void test_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < FRAMES; i++) {
		for (unsigned open = 0; open < 2; open++) {
			build(wire_frames[i].recipe, open);
			for (uint32_t cap = 0; cap <= w.n; cap++) {
				check_cut(&wire_frames[i], cap, cap);
				if (!pending_cut(&wire_frames[i], cap))
					check_cut(&wire_frames[i], cap, w.n);
			}
		}
	}
}

/* A SNAP, L2TP or PPP header cut by the capture is `truncated`. */
static void test_pending_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < FRAMES; i++) {
		build(wire_frames[i].recipe, false);
		for (uint32_t cap = 0; cap < w.n; cap++)
			if (pending_cut(&wire_frames[i], cap))
				check_cut(&wire_frames[i], cap, w.n);
	}
}

/* Ethernet pads short packets; padding that the capture cut off was no loss. */
static void test_padding(void **state)
{
	(void)state;
	for (size_t i = 0; i < FRAMES; i++) {
		build(wire_frames[i].recipe, false);
		const uint32_t n = w.n;
		wire_fill(&w, 0xee, 40);
		for (uint32_t cap = n; cap <= n + 40; cap++) {
			uint8_t *p = guard_copy(w.b, cap);
			const struct decoded d = decode(p, cap, n + 40, wire_frames[i].link);
			if (d.kind != kind)
				fail_msg("%s: %u octets: drop %d", wire_frames[i].what, cap,
					 (int)d.drop);
			assert_int_equal(d.len, sizeof(message));
			assert_ptr_equal(d.data, p + payload_at);
			guard_free(p, cap);
		}
	}
}

static void test_addrs(void **state)
{
	struct addr src, dst;

	(void)state;
	for (size_t i = 0; i < FRAMES; i++) {
		build(wire_frames[i].recipe, false);
		uint32_t first_ip = 0; /* end of the outermost IP header's fixed part */
		for (uint32_t m = 0; m < w.marks && first_ip == 0; m++)
			if (w.mark[m].reason == WIRE_EDGE && wire_frames[i].recipe[0] != 'Q')
				first_ip = w.mark[m].end - 1 + 20;
		for (uint32_t cap = 0; cap <= w.n; cap++) {
			uint8_t *p = guard_copy(w.b, cap);
			const bool found = decode_addrs(p, cap, wire_frames[i].link, &src, &dst);
			if (cap >= payload_at) {
				assert_true(found);
				check_addrs(&src, &dst, strchr(wire_frames[i].recipe, 'i') != NULL);
			}
			if (strchr(wire_frames[i].recipe, 'Q') == NULL && cap < first_ip)
				assert_false(found);
			guard_free(p, cap);
		}
	}
}

/* A DNS response to a client that happens to use a tunnel's port, made to
 * look like the tunnel: decode_frame rightly says DNS, so decode_addrs must not
 * look inside, or the two directions meet on different workers. */
static void test_addrs_of_response(void **state)
{
	struct addr src, dst;

	(void)state;
	build("E0800 411 U12b5 N0800000000000100 E0800 4i11 D", false);
	wire_put16(&w, 34, 53); /* the outer UDP source port */
	assert_int_equal(decode(w.b, w.n, w.n, LINK_ETHERNET).kind, DECODE_UDP);
	assert_true(decode_addrs(w.b, w.n, LINK_ETHERNET, &src, &dst));
	check_addrs(&src, &dst, false);
}

static void expect_drop(const char *recipe, enum link_type link, int want)
{
	build(recipe, false);
	uint8_t *p = guard_copy(w.b, w.n);
	const struct decoded d = decode(p, w.n, w.n, link);

	if (!damage_fits(&d, want))
		fail_msg("%s: kind %d, drop %d instead of %d", recipe, (int)d.kind, (int)d.drop,
			 want);
	guard_free(p, w.n);
}

static void test_reasons(void **state)
{
	static const struct {
		const char *recipe;
		int want;
	} cases[] = {
	    {"E0806 L0001080006040001", FT_PKT_NOT_IP},   /* ARP */
	    {"E88cc L0207040000000000", FT_PKT_NOT_IP},   /* LLDP */
	    {"E0026 L424203000002020000", FT_PKT_NOT_IP}, /* spanning tree: LLC, no SNAP */
	    {"E8863 L1109000000040101", FT_PKT_NOT_IP},   /* PPPoE discovery */
	    {"E8864 P L8021 L01010004", FT_PKT_NOT_IP},   /* PPP: IPCP */
	    {"E0800 L55000000", FT_PKT_NOT_IP},           /* version 5 */
	    {"E8847 L00010140 L10000021", FT_PKT_NOT_IP}, /* pseudowire's own channel */
	    {"E0800 42f L00000000", FT_PKT_NOT_IP},       /* GRE keep-alive */
	    {"E0800 4i01 D", FT_PKT_NOT_DNS},             /* ICMP */
	    {"E86dd 6i3a D", FT_PKT_NOT_DNS},             /* ICMPv6 */
	    {"E86dd 6i3b D", FT_PKT_NOT_DNS},             /* no next header */
	    {"E0800 4i11 U007b", FT_PKT_NOT_DNS},         /* NTP */
	    {"E0800 411 U06a5 L4c02000c0001000000000000", FT_PKT_BAD_LINK}, /* L2TP, no PPP */
	    {"E0800 411 U06a5 Lc802000c0001000000000000", FT_PKT_NOT_DNS},  /* L2TP control */
	    {"E0800 411 U06a5 L000300010001ff030021", FT_PKT_NOT_DNS},      /* L2TP version 3 */
	    {"404 404 404 404 404 4i11 D", FT_PKT_TUNNEL_DEPTH},
	    {"404 429 629 604 404 404 404 4i11 D", FT_PKT_TUNNEL_DEPTH},
	    {"E8847 L00010040 L00010040 L00010040 L00010040 L00010040 L00010040 L00010040 "
	     "L00010040 "
	     "L00010140 4i11 D",
	     FT_PKT_BAD_LINK}, /* nine labels */
	    {"E8100 L00648100 L00648100 L00648100 L00648100 L00648100 L00648100 L00648100 "
	     "L00648100 "
	     "L00640800 4i11 D",
	     FT_PKT_BAD_LINK}, /* nine tags */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_drop(cases[i].recipe,
			    cases[i].recipe[0] == 'E' ? LINK_ETHERNET : LINK_RAW_IP, cases[i].want);
	expect_drop("4i11 D", LINK_TYPE_CAP, FT_PKT_BAD_LINK);
	expect_drop("E0800 4i06 T0", LINK_NULL, FT_PKT_NOT_IP);
}

/* The first octet behind MPLS, PPP, GRE or a raw link says that this is no
 * IP; that the capture cut the rest does not make it less sure. */
static void test_not_ip_though_cut(void **state)
{
	static const uint8_t frame[] = {0x50, 1, 2, 3};

	(void)state;
	assert_int_equal(decode(frame, 4, 100, LINK_RAW_IP).drop, FT_PKT_NOT_IP);
}

/* As many tags, and as many extension headers, as the limits say. */
static void test_limits_inclusive(void **state)
{
	(void)state;
	build(
	    "E8100 L00648100 L00648100 L00648100 L00648100 L00648100 L00648100 L00648100 L00640800 "
	    "4i11 D",
	    false);
	assert_int_equal(decode(w.b, w.n, w.n, LINK_ETHERNET).kind, DECODE_UDP);
	wire_init(&w, false);
	wire_ipv6(&w, 60, true);
	for (unsigned i = 0; i < 16; i++)
		wire_ext(&w, i < 15 ? 60 : 17, 0);
	wire_udp(&w, 40000, 53);
	wire_octets(&w, message, sizeof(message));
	wire_finish(&w);
	assert_int_equal(decode(w.b, w.n, w.n, LINK_RAW_IP).kind, DECODE_UDP);
}

/* One octet of a plain frame changed. */
static void expect_patched(const char *recipe, uint32_t at, unsigned octet, int want)
{
	build(recipe, false);
	w.b[at] = (uint8_t)octet;
	const struct decoded d = decode(w.b, w.n, w.n, LINK_RAW_IP);

	if (want == FT_PKT_CARRIED ? d.kind == DECODE_DROP : !damage_fits(&d, want))
		fail_msg("%s with %02x at %u: kind %d, drop %d instead of %d", recipe, octet, at,
			 (int)d.kind, (int)d.drop, want);
}

static void test_lengths(void **state)
{
	const unsigned ip = 20 + 8 + sizeof(message), udp = 8 + sizeof(message);

	(void)state;
	expect_patched("4i11 D", 0, 0x44, FT_PKT_BAD_IP);   /* IHL 16 octets */
	expect_patched("4i11 D", 3, 19, FT_PKT_BAD_IP);     /* total length below the header */
	expect_patched("4i11 D", 3, ip + 1, FT_PKT_BAD_IP); /* more than came */
	expect_patched("4i11 D", 3, ip - 1, FT_PKT_BAD_L4); /* UDP is longer */
	expect_patched("4i11+4 D", 3, 23, FT_PKT_BAD_IP);
	expect_patched("4i11 D", 25, 7, FT_PKT_BAD_L4); /* UDP length below its header */
	expect_patched("4i11 D", 25, udp + 1, FT_PKT_BAD_L4);
	expect_patched("4i11 D", 25, 8, FT_PKT_EMPTY);
	expect_patched("6i11 D", 45, 8, FT_PKT_EMPTY);
	expect_patched("4i11 D", 25, 9, FT_PKT_CARRIED); /* a message of one octet is parse's */
	expect_patched("4i11 D", 25, 0, FT_PKT_CARRIED); /* offload: the rest */
	expect_patched("6i11 D", 5, udp + 1, FT_PKT_BAD_IP);
	expect_patched("6i11 D", 5, udp - 1, FT_PKT_BAD_L4);
	expect_patched("6i00 I1100010400000000 D", 41, 200, FT_PKT_BAD_IP); /* extension too long */
	expect_patched("4i06 T0", 32, 0x40, FT_PKT_BAD_L4);                 /* data offset 16 */
	expect_patched("4i06 T0", 32, 0xf0, FT_PKT_BAD_L4);  /* data offset 60 of 44 */
	expect_patched("4i06 T0", 32, 0xb0, FT_PKT_CARRIED); /* 44 of 44 */
	expect_patched("4i06 T0", 21, 80, FT_PKT_NOT_DNS);   /* port 80 */
	expect_patched("4i06 T0", 0, 0x4f, FT_PKT_BAD_L4); /* four octets left behind the options */
}

static void test_snaplen_meets_lies(void **state)
{
	(void)state;
	build("4i11 D", false);
	/* A length that the wire had no room for is a lie, however much was captured. */
	wire_put16(&w, 2, w.n + 1);
	for (uint32_t cap = 20; cap <= w.n; cap++)
		assert_int_equal(decode(w.b, cap, w.n, LINK_RAW_IP).drop, FT_PKT_BAD_IP);
	build("4i11 D", false);
	wire_put16(&w, 24, w.n - 20 + 1);
	for (uint32_t cap = 28; cap <= w.n; cap++)
		assert_int_equal(decode(w.b, cap, w.n, LINK_RAW_IP).drop, FT_PKT_BAD_L4);
	/* The headers are there and say that it is none of ours. */
	build("4i11 U007b", false);
	wire_put16(&w, 2, 500);
	wire_put16(&w, 24, 480);
	assert_int_equal(decode(w.b, 28, 500, LINK_RAW_IP).drop, FT_PKT_NOT_DNS);
	build("4i01 D", false);
	assert_int_equal(decode(w.b, 20, w.n, LINK_RAW_IP).drop, FT_PKT_NOT_DNS);
}

static void test_fragment_fields(void **state)
{
	(void)state;
	build("E0800 4i11@20b9 F", false);
	struct decoded d = decode(w.b, w.n, w.n, LINK_ETHERNET);
	assert_int_equal(d.frag_id, 0x1234);
	assert_int_equal(d.frag_off, 1480);
	assert_true(d.frag_more);
	assert_int_equal(d.proto, 17);
	build("E0800 4i06@1fff F", false);
	d = decode(w.b, w.n, w.n, LINK_ETHERNET);
	assert_int_equal(d.frag_off, 65528);
	assert_false(d.frag_more);
	assert_int_equal(d.proto, 6);
	build("E86dd 6i2c I110005a9deadbeef F", false);
	d = decode(w.b, w.n, w.n, LINK_ETHERNET);
	assert_int_equal(d.frag_id, 0xdeadbeef);
	assert_int_equal(d.frag_off, 1448);
	assert_true(d.frag_more);
	assert_int_equal(d.proto, 17);
	build("E86dd 6i2c I3c00fff800000001 F", false);
	d = decode(w.b, w.n, w.n, LINK_ETHERNET);
	assert_int_equal(d.frag_off, 65528);
	assert_false(d.frag_more);
	assert_int_equal(d.proto, 60);
	expect_patched("4i11@4000 D", 6, 0x80, FT_PKT_CARRIED); /* the evil bit is no fragment */
}

/* The outer headers of wire_frames, as their recipes spell them; all others have none. */
static const struct {
	const char *what;
	unsigned vlans, vlan[2];
	enum ft_tunnel tunnel;
	int64_t id; /* -1: none */
} tagged[] = {
    {"vlan", 1, {100}, FT_TUNNEL_NONE, -1},
    {"vlan, ipv6", 1, {100}, FT_TUNNEL_NONE, -1},
    {"qinq", 2, {200, 100}, FT_TUNNEL_NONE, -1},
    {"qinq 9100", 2, {200, 100}, FT_TUNNEL_NONE, -1},
    {"qinq 9200", 2, {200, 100}, FT_TUNNEL_NONE, -1},
    {"mpls", 0, {0}, FT_TUNNEL_MPLS, 16},
    {"mpls, upstream, two labels", 0, {0}, FT_TUNNEL_MPLS, 16},
    {"mpls, eight labels", 0, {0}, FT_TUNNEL_MPLS, 16},
    {"vlan, mpls, pseudowire, vlan", 1, {100}, FT_TUNNEL_MPLS, 16},
    {"pppoe", 0, {0}, FT_TUNNEL_PPPOE, -1},
    {"pppoe, ipv6", 0, {0}, FT_TUNNEL_PPPOE, -1},
    {"pppoe, short protocol", 0, {0}, FT_TUNNEL_PPPOE, -1},
    {"vlan, pppoe, address and control", 1, {100}, FT_TUNNEL_PPPOE, -1},
    {"cooked, vlan", 1, {100}, FT_TUNNEL_NONE, -1},
    {"gre", 0, {0}, FT_TUNNEL_GRE, -1},
    {"gre, checksum, key, sequence", 0, {0}, FT_TUNNEL_GRE, 1},
    {"gre over ipv6", 0, {0}, FT_TUNNEL_GRE, 1},
    {"gre 1 (pptp)", 0, {0}, FT_TUNNEL_GRE, 0x00400001},
    {"gre 1, no acknowledgement", 0, {0}, FT_TUNNEL_GRE, 0x00400001},
    {"gre, bridged", 0, {0}, FT_TUNNEL_GRE, -1},
    {"erspan 1", 0, {0}, FT_TUNNEL_ERSPAN, -1},
    {"erspan 2", 0, {0}, FT_TUNNEL_ERSPAN, 5},
    {"erspan 3", 0, {0}, FT_TUNNEL_ERSPAN, 5},
    {"erspan 3, subheader", 0, {0}, FT_TUNNEL_ERSPAN, 5},
    {"vxlan", 0, {0}, FT_TUNNEL_VXLAN, 1},
    {"vxlan over ipv6", 0, {0}, FT_TUNNEL_VXLAN, 1},
    {"geneve", 0, {0}, FT_TUNNEL_GENEVE, 1},
    {"geneve, options", 0, {0}, FT_TUNNEL_GENEVE, 1},
    {"geneve, ip", 0, {0}, FT_TUNNEL_GENEVE, 1},
    {"geneve, ipv6", 0, {0}, FT_TUNNEL_GENEVE, 1},
    {"l2tp", 0, {0}, FT_TUNNEL_L2TP, 1},
    {"l2tp, all fields", 0, {0}, FT_TUNNEL_L2TP, 1},
    {"ipip", 0, {0}, FT_TUNNEL_IPIP, -1},
    {"6in4", 0, {0}, FT_TUNNEL_IPIP, -1},
    {"4in6", 0, {0}, FT_TUNNEL_IPIP, -1},
    {"6in6 with options", 0, {0}, FT_TUNNEL_IPIP, -1},
    {"four tunnels", 0, {0}, FT_TUNNEL_IPIP, -1},
    {"ipv4 fragment inside gre", 0, {0}, FT_TUNNEL_GRE, -1},
};

static void test_tags(void **state)
{
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < FRAMES; i++) {
		size_t k = 0;
		build(wire_frames[i].recipe, false);
		const uint64_t tag = decode(w.b, w.n, w.n, wire_frames[i].link).tag;
		while (k < sizeof(tagged) / sizeof(*tagged) &&
		       strcmp(tagged[k].what, wire_frames[i].what) != 0)
			k++;
		if (k == sizeof(tagged) / sizeof(*tagged)) {
			assert_int_equal(tag, 0);
			continue;
		}
		seen++;
		assert_true(ft_tag_is_sound(tag));
		assert_int_equal(ft_tag_vlans(tag), tagged[k].vlans);
		for (unsigned v = 0; v < tagged[k].vlans; v++)
			assert_int_equal(ft_tag_vlan(tag, v), tagged[k].vlan[v]);
		assert_int_equal(ft_tag_tunnel(tag), tagged[k].tunnel);
		assert_int_equal(ft_tag_has_id(tag), tagged[k].id >= 0);
		assert_int_equal(ft_tag_id(tag), tagged[k].id >= 0 ? tagged[k].id : 0);
	}
	assert_int_equal(seen, sizeof(tagged) / sizeof(*tagged));
}

/* More than are kept, the greatest values, and tags that cannot be. */
static void test_tag_bits(void **state)
{
	uint64_t tag = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) /* priority and DEI are no part of it */
		tag = ft_tag_add_vlan(tag, (uint16_t)(0xffff - i));
	assert_int_equal(ft_tag_vlans(tag), 2);
	assert_int_equal(ft_tag_vlan(tag, 0), 0xfff);
	assert_int_equal(ft_tag_vlan(tag, 1), 0xffe);
	tag = ft_tag_add_tunnel(tag, FT_TUNNEL_GRE, true, UINT32_MAX);
	tag = ft_tag_add_tunnel(tag, FT_TUNNEL_VXLAN, true, 3);
	assert_int_equal(ft_tag_vlan(ft_tag_add_vlan(0, 0), 0), 0);
	assert_int_equal(ft_tag_tunnel(tag), FT_TUNNEL_GRE);
	assert_int_equal(ft_tag_id(tag), UINT32_MAX);
	assert_true(ft_tag_is_sound(tag));
	assert_true(ft_tag_is_sound(ft_tag_add_vlan(0, 0))); /* VLAN 0: priority alone */
	assert_false(ft_tag_is_sound(0));
	assert_false(ft_tag_is_sound(FT_TUNNEL_CAP));
	assert_false(ft_tag_is_sound(3u << 5));                           /* three VLANs */
	assert_false(ft_tag_is_sound(1u << 5 | 1u << 20));                /* one, and half */
	assert_false(ft_tag_is_sound(FT_TUNNEL_GRE | (uint64_t)1 << 32)); /* an id unsaid */
	assert_false(ft_tag_is_sound(1u << 5 | 1u << 4));                 /* of no tunnel */
}

/* What came out of reassembly: the IP payload alone. */
static void test_datagram(void **state)
{
	static const char *const recipes[] = {
	    "6i3c I1100010400000000 D", "6i11 D",    "4i11 D", "4i06 T4",
	    "42f L00000800 4i11 D",     "404 6i11 D"};

	(void)state;
	for (size_t i = 0; i < sizeof(recipes) / sizeof(*recipes); i++) {
		build(recipes[i], false);
		const bool outer_v6 = recipes[i][0] == '6';
		const uint32_t header = outer_v6 ? 40 : 20;
		for (uint32_t cap = 0; cap <= w.n - header; cap++) {
			uint8_t *p = guard_copy(w.b + header, cap);
			struct decoded d = {.flow.v6 = outer_v6};
			decode_datagram(p, cap, w.b[outer_v6 ? 6 : 9], &ports, &d);
			assert_true(d.kind != DECODE_DROP || d.drop != FT_PKT_TRUNCATED);
			if (cap == w.n - header) {
				assert_int_equal(d.kind, kind);
				assert_ptr_equal(d.data, p + payload_at - header);
				assert_int_equal(d.len, sizeof(message));
			} else {
				assert_true(d.kind == DECODE_DROP || kind == DECODE_TCP);
			}
			guard_free(p, cap);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_cut),
	    cmocka_unit_test(test_pending_cuts),
	    cmocka_unit_test(test_padding),
	    cmocka_unit_test(test_addrs),
	    cmocka_unit_test(test_addrs_of_response),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_not_ip_though_cut),
	    cmocka_unit_test(test_limits_inclusive),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_snaplen_meets_lies),
	    cmocka_unit_test(test_fragment_fields),
	    cmocka_unit_test(test_datagram),
	    cmocka_unit_test(test_tags),
	    cmocka_unit_test(test_tag_bits),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}

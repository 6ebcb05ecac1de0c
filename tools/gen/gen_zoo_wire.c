/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenes of what lies around messages, and of what is none: fragments, tags, options, damage, other
 * protocols. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <string.h>

enum {
	PROTO_ICMP = 1,
	PROTO_ICMP6 = 58,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_LLDP = 0x88cc,
	MTU_SMALL = 96,
	MTU_IP6_LEAST = 1280,
};

static void play_fragmented(struct ft_gen *g, uint64_t ts_us, uint64_t turn, uint32_t least_bytes)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.qtype = turn % 3 == 0 ? GEN_DNSKEY : turn % 3 == 1 ? GEN_TXT : GEN_ANY;
	ask.has_opt = true;
	ask.bufsize = 4096;
	ask.path.is_reversed = turn / 2 % 2;
	ask.path.has_hop_by_hop = turn % 5 == 4;
	ask.path.ip4_options = turn % 7 == 6 ? 8 : 0;
	reply.shape = GEN_SHAPE_DATA;
	reply.least_bytes = least_bytes;
	if (turn % 4 == 3)
		ask.path.mtu = MTU_IP6_LEAST;
	gen_zoo_finish(g, &ask, &reply);
}

void gen_zoo_fragments(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	play_fragmented(g, ts_us, turn, 1600 + gen_rng_below(&g->rng, 2300));
}

/* Queries and replies in pieces, over IPv4, whose least MTU allows that. */
void gen_zoo_small_fragments(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	do
		gen_zoo_begin(g, &ask, &reply, ts_us);
	while (ask.path.is_v6 && g->opts.clients > 2);
	if (ask.path.is_v6) {
		play_fragmented(g, ts_us, turn, 1600);
		return;
	}
	gen_name_odd(&ask.name, turn % 2 ? GEN_NAME_LONGEST : GEN_NAME_DEEP, &g->rng);
	ask.qtype = GEN_A;
	ask.path.mtu = (uint16_t)(MTU_SMALL + 8 * (turn % 8));
	ask.path.is_reversed = turn / 2 % 2;
	reply.shape = GEN_SHAPE_DATA;
	gen_zoo_finish(g, &ask, &reply);
}

static void play_on_path(struct ft_gen *g, struct gen_ask *ask, struct gen_reply *reply)
{
	reply->shape = GEN_SHAPE_DATA;
	gen_zoo_finish(g, ask, reply);
}

void gen_zoo_tags(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.path.tags = (uint8_t)(1 + turn % 2);
	ask.path.mtu =
	    (uint16_t)(GEN_MTU - 4 * ask.path.tags); /* so that frames fit an untagged interface */
	if (turn % 10 == 9)
		reply.least_bytes = 2000;
	play_on_path(g, &ask, &reply);
}

void gen_zoo_options(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	static const uint8_t octets[] = {4, 12, 40, 8};
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.path.ip4_options = octets[turn % 4];
	ask.path.has_hop_by_hop = turn % 3 != 1;
	ask.path.has_dest_options = turn % 3 != 0;
	play_on_path(g, &ask, &reply);
}

void gen_zoo_checksums(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	(void)turn;
	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.path.lacks_checksum = true;
	play_on_path(g, &ask, &reply);
}

/* --- messages that are none --- */

#define BYTES(s) s, sizeof(s) - 1

/* What follows the header (one question), and why the message must be dropped; 0 octets of header:
 * short. */
static const struct {
	const char *octets;
	uint8_t len;
	enum ft_gen_malformed reason;
} damages[] = {
    {BYTES(""), FT_GEN_SHORT},
    {BYTES("\x40\1\2\3\4\5\6\7\0\0\1\0\1"), FT_GEN_BAD_LABEL},
    {BYTES("\xc0\x0c\0\1\0\1"), FT_GEN_NAME_LOOP},
    {BYTES(""), FT_GEN_QUESTION_CUT},
    {BYTES("\3www\x80\0\0\0\1\0\1"), FT_GEN_BAD_LABEL},
    {BYTES("\3www\xc0\x0c\0\1\0\1"), FT_GEN_NAME_LOOP},
    {BYTES("\3www\7exa"), FT_GEN_QUESTION_CUT},
    {BYTES("\3www\x7fxyz\0\0\1\0\1"), FT_GEN_BAD_LABEL},
    {BYTES("\3www\xc0\x16\0\1\0\1\3com\0"), FT_GEN_NAME_LOOP},
    {BYTES("\3www\3com\0"), FT_GEN_QUESTION_CUT},
    {BYTES("\3www\3com\0\0\1"), FT_GEN_QUESTION_CUT},
    {BYTES("\3www\3com\0\0\1\0"), FT_GEN_QUESTION_CUT},
    {BYTES(""), FT_GEN_NAME_LONG},
    {BYTES("\3www"), FT_GEN_QUESTION_CUT},
};

static void write_long_name(struct gen_buf *b)
{
	for (unsigned i = 0; i < 5; i++) {
		gen_buf_u8(b, 60);
		memset(b->p + b->len, 'a', 60);
		b->len += 60;
	}
	gen_buf_u8(b, 0);
	gen_buf_u32(b, 0x00010001);
}

void gen_zoo_malformed(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	size_t i = turn % (sizeof(damages) / sizeof(damages[0]));
	uint64_t round = turn / (sizeof(damages) / sizeof(damages[0]));
	bool is_response = round % 3 == 2;
	struct gen_buf b = {g->l4 + GEN_UDP_HEADER, 0};
	struct gen_ask ask;

	gen_ask_init(g, &ask, ts_us);
	gen_buf_u16(&b, ask.id);
	gen_buf_u16(&b, is_response ? 0x8180 : 0x0100);
	gen_buf_u32(&b, 1 << 16);
	gen_buf_u32(&b, 0);
	if (damages[i].reason == FT_GEN_SHORT)
		b.len = 1 + (uint32_t)(round % 11);
	else if (damages[i].reason == FT_GEN_NAME_LONG)
		write_long_name(&b);
	else
		gen_buf_octets(&b, (const uint8_t *)damages[i].octets, damages[i].len);
	g->totals->dns_messages++;
	g->totals->malformed[damages[i].reason]++;
	gen_frame_udp(g, &ask.path, is_response ? GEN_TO_CLIENT : GEN_TO_SERVER, ts_us, b.len);
}

/* --- other protocols --- */

static void send_icmp(struct ft_gen *g, const struct gen_path *path, uint64_t ts_us, uint8_t type,
		      uint8_t code, uint32_t len)
{
	uint8_t protocol = path->is_v6 ? PROTO_ICMP6 : PROTO_ICMP;
	struct gen_buf b = {g->l4, 0};
	struct gen_path bare = *path;

	gen_buf_u8(&b, type);
	gen_buf_u8(&b, code);
	gen_buf_u16(&b, 0);
	gen_buf_u32(&b, 1 << 16 | 1);
	memset(b.p + b.len, 0xa5, len - b.len);
	b.len = 2;
	if (!path->is_v6) { /* ICMP of IPv4 has no pseudo header: one of zeros sums up to none but
			       for the protocol's */
		memset(&bare.client, 0, sizeof(bare.client));
		memset(&bare.server, 0, sizeof(bare.server));
		uint32_t sum = (uint16_t)~gen_frame_l4_checksum(g, &bare, 0, len);

		sum += 0xffff - len; /* takes the length out again, in ones' complement */
		sum = (sum & 0xffff) + (sum >> 16);
		gen_buf_u16(&b, (uint16_t)~sum);
	} else {
		gen_buf_u16(&b, gen_frame_l4_checksum(g, path, protocol, len));
	}
	gen_frame_ip(g, path, GEN_TO_SERVER, ts_us, protocol, len);
}

static void send_arp(struct ft_gen *g, const struct gen_path *path, uint64_t ts_us)
{
	uint8_t p[28] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1};

	memcpy(p + 14, path->client.b, 4);
	memcpy(p + 24, path->server.b, 4);
	gen_frame_raw(g, ts_us, ETHERTYPE_ARP, p, sizeof(p));
}

void gen_zoo_non_dns(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	static const uint8_t lldp[] = {2, 7, 4,   2,   0, 0, 0, 0,   1, 4,
				       3, 5, 'e', '0', 6, 2, 0, 120, 0, 0};
	struct gen_ask ask;
	struct gen_segment syn = {.seq = 1, .flags = GEN_SYN};

	gen_ask_init(g, &ask, ts_us);
	g->totals->non_dns++;
	switch (turn % 6) {
	case 0: /* NTP, version 4, client */
		memset(g->l4 + GEN_UDP_HEADER, 0, 48);
		g->l4[GEN_UDP_HEADER] = 0x23;
		ask.path.server_port = 123;
		gen_frame_udp(g, &ask.path, GEN_TO_SERVER, ts_us, 48);
		break;
	case 1:
		g->totals->non_ip++;
		send_arp(g, &ask.path, ts_us);
		break;
	case 2: send_icmp(g, &ask.path, ts_us, ask.path.is_v6 ? 128 : 8, 0, 64); break;
	case 3:
		ask.path.server_port = 443;
		gen_frame_tcp(g, &ask.path, GEN_TO_SERVER, ts_us, &syn, NULL, 0);
		break;
	case 4:
		g->totals->non_ip++;
		gen_frame_raw(g, ts_us, ETHERTYPE_LLDP, lldp, sizeof(lldp));
		break;
	default: /* a port far from ours */
		memset(g->l4 + GEN_UDP_HEADER, 0x5a, 100);
		ask.path.server_port = 7;
		gen_frame_udp(g, &ask.path, GEN_TO_CLIENT, ts_us, 100);
		break;
	}
}

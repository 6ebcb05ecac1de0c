/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_msg.h"

#include "gen_rdata.h"

#include <string.h>

enum {
	HEADER_LEN = 12,
	QR_BIT = 0x8000,
	AA_BIT = 0x0400,
	TC_BIT = 0x0200,
	RD_BIT = 0x0100,
	RA_BIT = 0x0080,
	AD_BIT = 0x0020,
	CD_BIT = 0x0010,
	DO_BIT = 0x8000,
	OPTION_NSID = 3,
	OPTION_ECS = 8,
	OPTION_COOKIE = 10,
	OPTION_PADDING = 12,
	OPTION_EDE = 15,
	PAD_BLOCK = 128, /* RFC 8467, section 4.1 */
	COOKIE_AGE_S = 1200,
	REPLY_BUFSIZE = 1232,
	LEAST_ROOM = 1024, /* what an RR of ours stays below */
};

static void write_header(struct gen_buf *b, uint16_t id, uint16_t flags, bool has_question)
{
	b->len = 0;
	gen_buf_u16(b, id);
	gen_buf_u16(b, flags);
	gen_buf_u16(b, has_question);
	gen_buf_u16(b, 0);
	gen_buf_u32(b, 0);
}

static void write_question(struct gen_buf *b, const struct gen_ask *ask)
{
	gen_buf_octets(b, ask->name.wire, ask->name.len);
	gen_buf_u16(b, ask->qtype);
	gen_buf_u16(b, ask->qclass);
}

static void write_counts(struct gen_buf *b, uint16_t answers, uint16_t authorities,
			 uint16_t additionals)
{
	struct gen_buf at = {b->p, 6};

	gen_buf_u16(&at, answers);
	gen_buf_u16(&at, authorities);
	gen_buf_u16(&at, additionals);
}

/* RFC 9018, section 4: version, reserved, time, hash. */
static void write_server_cookie(struct gen_buf *b, uint64_t h, uint64_t now_s)
{
	gen_buf_u32(b, UINT32_C(1) << 24);
	gen_buf_u32(b, (uint32_t)now_s);
	gen_buf_u64(b, gen_mix64(h ^ now_s));
}

/* What a client sends one server, always the same: RFC 7873, section 6. */
static uint64_t client_cookie(const struct gen_ask *ask)
{
	uint64_t h = ask->path.server.b[ask->path.is_v6 ? 15 : 3];

	for (unsigned i = 0; i < 16; i += 4) {
		const uint8_t *p = ask->path.client.b + i;

		h = gen_mix64(
		    h ^ ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]));
	}
	return h;
}

static void write_cookie(struct gen_buf *b, const struct gen_ask *ask, bool is_full, uint64_t now_s)
{
	uint64_t h = client_cookie(ask);

	gen_buf_u16(b, OPTION_COOKIE);
	gen_buf_u16(b, is_full ? 24 : 8);
	gen_buf_u64(b, h);
	if (is_full)
		write_server_cookie(b, h, now_s);
}

static void write_ecs(struct gen_buf *b, const struct gen_path *path, bool is_reply)
{
	unsigned octets = path->is_v6 ? 7 : 3;

	gen_buf_u16(b, OPTION_ECS);
	gen_buf_u16(b, (uint16_t)(4 + octets));
	gen_buf_u16(b, path->is_v6 ? 2 : 1);
	gen_buf_u8(b, (uint8_t)(octets * 8));
	gen_buf_u8(b, is_reply ? (uint8_t)(octets * 8) : 0);
	gen_buf_octets(b, path->client.b, octets);
}

static uint32_t begin_opt(struct gen_buf *b, uint16_t bufsize, uint8_t rcode_high, uint8_t version,
			  bool is_do)
{
	gen_buf_u8(b, 0);
	gen_buf_u16(b, GEN_OPT);
	gen_buf_u16(b, bufsize);
	gen_buf_u8(b, rcode_high);
	gen_buf_u8(b, version);
	gen_buf_u16(b, is_do ? DO_BIT : 0);
	gen_buf_u16(b, 0);
	return b->len;
}

static void end_opt(struct gen_buf *b, uint32_t begin)
{
	struct gen_buf at = {b->p, begin - 2};

	gen_buf_u16(&at, (uint16_t)(b->len - begin));
}

static void write_padding(struct gen_buf *b)
{
	static const uint8_t zeros[PAD_BLOCK];

	gen_buf_u16(b, OPTION_PADDING);
	uint32_t pad = (PAD_BLOCK - (b->len + 2) % PAD_BLOCK) % PAD_BLOCK;

	gen_buf_u16(b, (uint16_t)pad);
	gen_buf_octets(b, zeros, pad);
}

static void write_query_opt(struct gen_buf *b, const struct gen_ask *ask)
{
	uint32_t begin = begin_opt(b, ask->bufsize, 0, ask->version, ask->is_do);
	uint64_t now_s = ask->ts_us / 1000000;

	if (ask->options & (GEN_OPTION_COOKIE | GEN_OPTION_COOKIE_FULL))
		write_cookie(b, ask, ask->options & GEN_OPTION_COOKIE_FULL,
			     now_s - ask->id % COOKIE_AGE_S);
	if (ask->options & GEN_OPTION_ECS)
		write_ecs(b, &ask->path, false);
	if (ask->options & GEN_OPTION_NSID)
		gen_buf_u32(b, OPTION_NSID << 16);
	if (ask->options & GEN_OPTION_PADDING)
		write_padding(b);
	end_opt(b, begin);
}

static void write_reply_opt(struct gen_buf *b, const struct gen_ask *ask,
			    const struct gen_reply *reply)
{
	uint32_t begin = begin_opt(b, REPLY_BUFSIZE, (uint8_t)(reply->rcode >> 4), 0, ask->is_do);

	if (ask->options & (GEN_OPTION_COOKIE | GEN_OPTION_COOKIE_FULL))
		write_cookie(b, ask, true, reply->ts_us / 1000000);
	if (ask->options & GEN_OPTION_ECS)
		write_ecs(b, &ask->path, true);
	if (ask->options & GEN_OPTION_NSID) {
		gen_buf_u32(b, OPTION_NSID << 16 | 6);
		gen_buf_octets(b, (const uint8_t *)"ns1.fr", 6);
	}
	if (reply->has_ede) { /* RFC 8914: 22, no reachable authority */
		gen_buf_u32(b, OPTION_EDE << 16 | 2);
		gen_buf_u16(b, 22);
	}
	if (ask->options & GEN_OPTION_PADDING)
		write_padding(b);
	end_opt(b, begin);
}

/* RFC 8490, section 7.1. */
static void write_keepalive(struct gen_buf *b)
{
	gen_buf_u32(b, 1 << 16 | 8);
	gen_buf_u32(b, 15000);
	gen_buf_u32(b, 60000);
}

/* What stands in place of the sections: a keepalive, or padding (RFC 8490, section 7.3) after an
 * error. */
static void write_stateful_reply(struct gen_buf *b, const struct gen_reply *reply)
{
	if (reply->rcode == 0) {
		write_keepalive(b);
		return;
	}
	gen_buf_u32(b, 3 << 16 | 4);
	gen_buf_u32(b, 0);
}

void gen_msg_write_query(struct gen_buf *b, struct gen_ask *ask)
{
	unsigned flags = (unsigned)ask->opcode << 11 | (ask->rd ? RD_BIT : 0) |
			 (ask->ad ? AD_BIT : 0) | (ask->cd ? CD_BIT : 0);

	write_header(b, ask->id, (uint16_t)flags, ask->has_question);
	if (ask->has_question)
		write_question(b, ask);
	if (ask->opcode == GEN_DSO)
		write_keepalive(b);
	if (ask->has_opt) {
		write_query_opt(b, ask);
		write_counts(b, 0, 0, 1);
	}
	ask->bytes = b->len;
}

/* CNAMEs from the qname on; returns a pointer to the last target. */
static uint16_t write_chain(struct gen_buf *b, const struct gen_ask *ask,
			    const struct gen_reply *reply, uint32_t ttl_s)
{
	uint16_t owner = GEN_POINTER | HEADER_LEN;

	for (unsigned i = 0; i < reply->hops; i++) {
		uint32_t begin = gen_rr_begin(b, owner, GEN_CNAME, ask->qclass, ttl_s);

		owner = (uint16_t)(GEN_POINTER | b->len);
		gen_rdata_label_name(b, ask, "edge", gen_mix64(ask->answer_h + i) & 0xffff);
		gen_rr_end(b, begin);
	}
	return owner;
}

/* 198.51.100.7, wherever the name leads. */
static void write_sink_address(struct gen_buf *b, const struct gen_ask *ask, uint16_t owner,
			       uint32_t ttl_s)
{
	uint32_t begin = gen_rr_begin(b, owner, GEN_A, ask->qclass, ttl_s);

	gen_buf_u32(b, UINT32_C(198) << 24 | 51 << 16 | 100 << 8 | 7);
	gen_rr_end(b, begin);
}

/* ns1.sinkhole.example and so on, without glue, for they are elsewhere. */
static uint16_t write_sink_referral(struct gen_buf *b, const struct gen_ask *ask,
				    const struct gen_reply *reply)
{
	uint16_t owner = (uint16_t)(GEN_POINTER | (HEADER_LEN + ask->name.zone_off));

	for (unsigned i = 0; i < reply->rrs; i++) {
		uint32_t begin = gen_rr_begin(b, owner, GEN_NS, ask->qclass, reply->ttl_s);

		gen_buf_octets(b, (const uint8_t *)"\3ns", 3);
		gen_buf_u8(b, (uint8_t)('1' + i));
		gen_buf_octets(b, (const uint8_t *)"\10sinkhole\7example", 18);
		gen_rr_end(b, begin);
	}
	return 0;
}

static uint16_t write_answers(struct gen_buf *b, const struct gen_ask *ask,
			      const struct gen_reply *reply)
{
	uint32_t ttl_s = reply->ttl_s ? reply->ttl_s : gen_rdata_ttl_s(ask->answer_h, ask->ts_us);
	uint16_t owner = write_chain(b, ask, reply, ttl_s);
	uint16_t count = reply->hops;
	unsigned rrs = reply->rrs ? reply->rrs : 1 + (unsigned)(ask->answer_h >> 8) % 3;

	if (reply->target) {
		uint32_t begin = gen_rr_begin(b, GEN_POINTER | HEADER_LEN, GEN_CNAME, ask->qclass,
					      reply->target_ttl_s);

		gen_buf_octets(b, reply->target, reply->target_len);
		gen_rr_end(b, begin);
		count++;
	}
	if (reply->shape != GEN_SHAPE_DATA && reply->shape != GEN_SHAPE_CHAIN)
		return count;
	for (unsigned i = 0;
	     i < rrs || (b->len < reply->least_bytes && b->len + LEAST_ROOM < GEN_MSG_CAP); i++) {
		if (reply->is_sink)
			write_sink_address(b, ask, owner, ttl_s);
		else
			gen_rdata_write(b, ask, owner, gen_rdata_type(ask->qtype, i), i, ttl_s);
		count++;
	}
	if (reply->has_rrsig && ask->qtype != GEN_ANY) {
		gen_rdata_write_rrsig(b, ask, owner, ask->qtype, ttl_s);
		count++;
	}
	return count;
}

/* NS RRs with glue for the first; returns the number of additional RRs. */
static uint16_t write_referral(struct gen_buf *b, const struct gen_ask *ask, unsigned rrs)
{
	uint16_t owner = (uint16_t)(GEN_POINTER | (HEADER_LEN + ask->name.zone_off));
	uint16_t first = 0;

	for (unsigned i = 0; i < rrs; i++) {
		uint32_t begin = gen_rr_begin(b, owner, GEN_NS, ask->qclass, 86400);

		if (i == 0)
			first = (uint16_t)(GEN_POINTER | b->len);
		gen_rdata_label_name(b, ask, "ns", i + 1);
		gen_rr_end(b, begin);
	}
	gen_rdata_write(b, ask, first, GEN_A, 0, 86400);
	return 1;
}

void gen_msg_write_reply(struct gen_buf *b, const struct gen_ask *ask, struct gen_reply *reply)
{
	bool has_question = ask->has_question && !reply->lacks_question;
	uint16_t answers = 0, authorities = 0, additionals = 0;
	unsigned flags = QR_BIT | (unsigned)ask->opcode << 11 | (ask->rd ? RD_BIT : 0) |
			 (ask->cd ? CD_BIT : 0) | (reply->aa ? AA_BIT : 0) |
			 (reply->tc ? TC_BIT : 0) | (reply->ra ? RA_BIT : 0) | (reply->rcode & 15);

	write_header(b, ask->id, (uint16_t)flags, has_question);
	if (has_question)
		write_question(b, ask);
	if (reply->shape == GEN_SHAPE_REFERRAL) {
		authorities = reply->rrs ? reply->rrs : 2;
		additionals = reply->is_sink ? write_sink_referral(b, ask, reply)
					     : write_referral(b, ask, authorities);
	} else if (reply->shape == GEN_SHAPE_NEGATIVE) {
		authorities = 1;
		gen_rdata_write_negative(b, ask, reply->rcode == 3, reply->ttl_s);
	} else if (reply->shape != GEN_SHAPE_EMPTY) {
		answers = write_answers(b, ask, reply);
		if (reply->shape == GEN_SHAPE_NX_CHAIN) {
			authorities = 1;
			gen_rdata_write_negative(b, ask, true, reply->ttl_s);
		}
	}
	if (ask->opcode == GEN_DSO)
		write_stateful_reply(b, reply);
	if (reply->has_opt) {
		write_reply_opt(b, ask, reply);
		additionals++;
	}
	write_counts(b, answers, authorities, additionals);
	reply->answers = answers;
	reply->bytes = b->len;
}

static enum ft_gen_class class_of_shape(const struct gen_reply *reply)
{
	switch (reply->shape) {
	case GEN_SHAPE_DATA:
	case GEN_SHAPE_CHAIN: return FT_GEN_DATA;
	case GEN_SHAPE_CNAME_ONLY:
	case GEN_SHAPE_NX_CHAIN: return FT_GEN_CNAME_ONLY;
	case GEN_SHAPE_NEGATIVE: return FT_GEN_NODATA;
	case GEN_SHAPE_REFERRAL: return reply->aa ? FT_GEN_OTHER : FT_GEN_REFERRAL;
	case GEN_SHAPE_EMPTY:
	default: return reply->aa ? FT_GEN_NODATA : FT_GEN_OTHER;
	}
}

enum ft_gen_class gen_msg_class(const struct gen_ask *ask, const struct gen_reply *reply)
{
	switch (reply->rcode) {
	case 0:
		if (reply->tc && !ask->path.is_tcp)
			return FT_GEN_TC;
		return class_of_shape(reply);
	case 1: return FT_GEN_FORMERR;
	case 2: return FT_GEN_SERVFAIL;
	case 3: return FT_GEN_NXDOMAIN;
	case 4: return FT_GEN_NOTIMP;
	case 5: return FT_GEN_REFUSED;
	case 16: return FT_GEN_BADVERS;
	case 23: return FT_GEN_BADCOOKIE;
	default: return FT_GEN_OTHER;
	}
}

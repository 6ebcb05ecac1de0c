/* SPDX-License-Identifier: BSD-3-Clause */
#include "parse.h"

#include "cursor.h"
#include "name.h"

#define HEADER_BYTES 12u
#define HOPS_CAP 16u /* CNAMEs followed; a loop ends here */

enum { CLASS_IN = 1 };

/* What the walk over the records found. */
struct records {
	struct rr *rr;    /* MSG_RR_CAP */
	uint32_t kept;    /* in rr; answers first */
	uint32_t answers; /* of these */
	uint32_t opts;
	bool soa, ns; /* in the authority section */
};

static uint32_t bufsize_band(uint16_t size)
{
	if (size < 512)
		return 1u << FT_EDNS_bufsize_511;
	if (size == 512)
		return 1u << FT_EDNS_bufsize_512;
	if (size < 1232)
		return 1u << FT_EDNS_bufsize_1231;
	if (size == 1232)
		return 1u << FT_EDNS_bufsize_1232;
	if (size <= 1400)
		return 1u << FT_EDNS_bufsize_1400;
	if (size < 4096)
		return 1u << FT_EDNS_bufsize_4095;
	if (size == 4096)
		return 1u << FT_EDNS_bufsize_4096;
	return 1u << FT_EDNS_bufsize_65535;
}

static uint32_t option_bit(uint16_t code)
{
	switch (code) {
	case 3: return 1u << FT_EDNS_nsid;       /* RFC 5001 */
	case 8: return 1u << FT_EDNS_ecs;        /* RFC 7871 */
	case 10: return 1u << FT_EDNS_cookie;    /* RFC 7873 */
	case 11: return 1u << FT_EDNS_keepalive; /* RFC 7828 */
	case 12: return 1u << FT_EDNS_padding;   /* RFC 7830 */
	case 15: return 1u << FT_EDNS_ede;       /* RFC 8914 */
	default: return 1u << FT_EDNS_other_option;
	}
}

/* The OPT record's fixed part stands where class and TTL are (RFC 6891 6.1.2). */
static void read_opt(struct msg *m, uint16_t size, uint32_t ttl, struct cursor rdata)
{
	m->edns |= 1u << FT_EDNS_queries | bufsize_band(size);
	if ((ttl & 0x8000) != 0)
		m->edns |= 1u << FT_EDNS_do;
	if ((ttl >> 16 & 0xff) != 0)
		m->edns |= 1u << FT_EDNS_badversion;
	m->rcode = (uint16_t)((ttl >> 24) << 4 | (m->rcode & 15u));
	while (rdata.off < rdata.end && !rdata.bad) {
		const uint16_t code = cursor_u16(&rdata);
		cursor_skip(&rdata, cursor_u16(&rdata));
		if (!rdata.bad)
			m->edns |= option_bit(code);
	}
	if (rdata.bad)
		m->malformed = 1;
}

/* One record; section 0 is answer, 1 authority, 2 additional. */
static void read_record(struct msg *m, struct cursor *c, unsigned section, struct records *r)
{
	const uint32_t owner_off = c->off;

	if (!name_skip(c))
		return;
	const uint16_t type = cursor_u16(c);
	const uint16_t class = cursor_u16(c);
	const uint32_t ttl = cursor_u32(c);
	const uint16_t rdlen = cursor_u16(c);
	const uint32_t rdata_off = c->off;

	cursor_skip(c, rdlen);
	if (c->bad)
		return;
	if (section == RR_AUTHORITY) {
		r->soa |= type == FT_QTYPE_SOA;
		r->ns |= type == FT_QTYPE_NS;
	} else if (section == RR_ADDITIONAL && type == FT_QTYPE_OPT) {
		if (r->opts++ == 0)
			read_opt(m, class, ttl, cursor_init(c->base, rdata_off, c->off));
		return;
	}
	if (!msg_is_response(m) || r->kept == MSG_RR_CAP)
		return;
	r->rr[r->kept++] = (struct rr){
	    .ttl = ttl,
	    .type = type,
	    .class = class,
	    .owner_off = (uint16_t)owner_off,
	    .rdata_off = (uint16_t)rdata_off,
	    .rdlen = rdlen,
	    .section = (uint8_t)section,
	};
	r->answers += section == RR_ANSWER;
}

/* True where an answer of the asked type stands at the end of the CNAME chain;
 * *hops counts the CNAMEs on the way. */
static bool chain_reaches(const struct msg *m, const struct records *r, uint32_t *hops)
{
	uint32_t at = HEADER_BYTES; /* the question's name */

	for (*hops = 0; *hops <= HOPS_CAP; ++*hops) {
		uint32_t next = 0;
		for (uint32_t i = 0; i < r->answers; i++) {
			const bool wanted = r->rr[i].type == m->qtype;
			if (!wanted && r->rr[i].type != FT_QTYPE_CNAME)
				continue;
			if (!name_equal(m->data, m->len, r->rr[i].owner_off, at))
				continue;
			if (wanted)
				return true;
			next = r->rr[i].rdata_off;
		}
		if (next == 0)
			return false;
		at = next;
	}
	return false;
}

/* The answer class of a response without regard to its rcode's own class. */
static enum ft_class class_of_noerror(const struct msg *m, const struct records *r)
{
	uint32_t hops = 0;

	if (m->ancount != 0 && m->qtype == FT_QTYPE_ANY && r->answers != 0)
		return FT_CLASS_DATA;
	if (r->answers != 0 && m->name_len != 0 && chain_reaches(m, r, &hops))
		return FT_CLASS_DATA;
	if (hops != 0)
		return FT_CLASS_CNAME_ONLY;
	if (m->malformed)
		return FT_CLASS_OTHER;
	if (r->soa || ((m->dns_flags & DNS_AA) != 0 && m->ancount == 0))
		return FT_CLASS_NODATA;
	if (m->ancount == 0 && r->ns)
		return FT_CLASS_REFERRAL;
	return FT_CLASS_OTHER;
}

static enum ft_class class_of(const struct msg *m, const struct records *r)
{
	switch (m->rcode) {
	case FT_RCODE_NOERROR:
		if (!m->tcp && (m->dns_flags & DNS_TC) != 0)
			return FT_CLASS_TC;
		return class_of_noerror(m, r);
	case FT_RCODE_FORMERR: return FT_CLASS_FORMERR;
	case FT_RCODE_SERVFAIL: return FT_CLASS_SERVFAIL;
	case FT_RCODE_NXDOMAIN: return FT_CLASS_NXDOMAIN;
	case FT_RCODE_NOTIMP: return FT_CLASS_NOTIMP;
	case FT_RCODE_REFUSED: return FT_CLASS_REFUSED;
	case FT_RCODE_BADVERS: return FT_CLASS_BADVERS;
	case FT_RCODE_BADCOOKIE: return FT_CLASS_BADCOOKIE;
	default: return FT_CLASS_OTHER;
	}
}

static enum ft_msg_drop read_question(struct msg *m, struct cursor *c, uint8_t *name)
{
	uint32_t name_len = 0;
	const enum ft_msg_drop drop = name_read(c, name, &name_len);

	if (drop != FT_MSG_KEPT)
		return drop;
	m->qtype = cursor_u16(c);
	m->qclass = cursor_u16(c);
	m->name_len = (uint8_t)name_len;
	return c->bad ? FT_MSG_QUESTION_CUT : FT_MSG_KEPT;
}

void parse_message(struct msg *m, uint8_t *name, struct rr *rr, uint64_t name_seed)
{
	struct cursor c = cursor_init(m->data, 0, m->len);
	struct records r;

	r.rr = rr;
	r.kept = r.answers = r.opts = 0;
	r.soa = r.ns = false;
	m->id = cursor_u16(&c);
	m->dns_flags = cursor_u16(&c);
	const uint16_t qdcount = cursor_u16(&c);
	m->ancount = cursor_u16(&c);
	const uint16_t nscount = cursor_u16(&c);
	const uint16_t counts[3] = {m->ancount, nscount, cursor_u16(&c)};
	m->rcode = m->dns_flags & 15u;
	m->edns = 0;
	m->qtype = m->qclass = 0;
	m->name_len = 0;
	m->malformed = 0;
	m->rrs = 0;
	m->class = FT_CLASS_OTHER;
	if (c.bad) {
		m->drop = FT_MSG_SHORT;
		return;
	}
	m->drop = FT_MSG_KEPT;
	if (qdcount != 0) {
		m->drop = (uint8_t)read_question(m, &c, name);
		if (m->drop != FT_MSG_KEPT)
			return;
	}
	m->name_key = name_hash(name, m->name_len, name_seed);
	for (unsigned i = 1; i < qdcount && !c.bad; i++) {
		if (name_skip(&c))
			cursor_skip(&c, 4);
	}
	for (unsigned section = 0; section < 3; section++)
		for (unsigned i = 0; i < counts[section] && !c.bad; i++)
			read_record(m, &c, section, &r);
	/* A truncated answer may end anywhere (RFC 2181 section 9). */
	if (c.bad && (m->dns_flags & DNS_TC) == 0)
		m->malformed = 1;
	if (msg_is_response(m))
		m->class = (uint8_t)class_of(m, &r);
	m->rrs = (uint8_t)r.kept;
}

void parse_step(struct msgs *batch, uint64_t name_seed)
{
	batch->names_used = batch->rrs_used = 0;
	for (uint32_t i = 0; i < batch->n; i++) {
		struct msg *m = &batch->m[i];
		/* Names lie back to back; each has room for the longest at its start. */
		parse_message(m, batch->names + batch->names_used, batch->rr + batch->rrs_used,
			      name_seed);
		m->name_off = (uint16_t)batch->names_used;
		m->rr_off = (uint16_t)batch->rrs_used;
		batch->names_used += m->name_len;
		batch->rrs_used += m->rrs;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "parse.h"

#include "cursor.h"
#include "name.h"

#define HEADER_BYTES 12u
#define QUESTION_FIXED_BYTES 4u
#define RR_FIXED_BYTES 10u
#define HOPS_CAP 16u /* CNAMEs followed; a loop ends here */

enum { CLASS_IN = 1, OPTION_COOKIE = 10 };

/* What the walk over the records found. */
struct records {
	struct rr *rr;    /* MSG_RR_CAP */
	uint32_t kept;    /* in rr; answers first */
	uint32_t answers; /* of these */
	uint32_t opt_off; /* type and what follows of the first OPT record; 0: none */
	bool soa, ns;     /* in the authority section */
	bool bad;         /* damaged from here on */
};

/* Sums of comparisons, because sizes come in any order: no branch foresees them. */
static uint32_t bufsize_band(uint16_t size)
{
	static_assert(FT_EDNS_bufsize_65535 == FT_EDNS_bufsize_511 + 7, "bands in order");
	const uint32_t band = (uint32_t)(size >= 512) + (size > 512) + (size >= 1232) +
			      (size > 1232) + (size > 1400) + (size >= 4096) + (size > 4096);

	return 1u << (FT_EDNS_bufsize_511 + band);
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
static void read_opt(struct msg *m, const uint8_t *fixed)
{
	const uint32_t ttl = load_u32_be(fixed + 4), rdlen = load_u16_be(fixed + 8);
	const uint8_t *rdata = fixed + RR_FIXED_BYTES;
	uint32_t edns = 1u << FT_EDNS_queries | bufsize_band(load_u16_be(fixed + 2)), off = 0;

	edns |= (ttl >> 15 & 1) << FT_EDNS_do;
	edns |= (uint32_t)((ttl >> 16 & 0xff) != 0) << FT_EDNS_badversion;
	m->rcode = (uint16_t)((ttl >> 24) << 4 | (m->rcode & 15u));
	while (rdlen - off >= 4) {
		const uint32_t len = load_u16_be(rdata + off + 2);
		if (len > rdlen - off - 4)
			break;
		const uint16_t code = load_u16_be(rdata + off);
		const uint32_t bit = option_bit(code);
		if (bit == 1u << FT_EDNS_ecs && (edns & bit) == 0)
			m->ecs_off = (uint16_t)(rdata + off + 4 - m->data);
		if (code == OPTION_COOKIE && m->cookie_off == 0)
			m->cookie_off = (uint16_t)(rdata + off + 2 - m->data);
		edns |= bit;
		off += 4 + len;
	}
	if (off != rdlen)
		m->malformed = 1;
	m->edns |= edns;
}

/* The record at off; returns the offset behind it. */
static uint32_t read_record(struct msg *m, uint32_t off, enum rr_section section, struct records *r)
{
	const uint32_t fixed = name_end(m->data, off, m->len);
	const uint8_t *p = m->data + fixed;

	if (fixed == 0 || fixed + RR_FIXED_BYTES > m->len) {
		r->bad = true;
		return off;
	}
	const uint16_t type = load_u16_be(p);
	const uint32_t rdlen = load_u16_be(p + 8);
	const uint32_t rdata = fixed + RR_FIXED_BYTES;
	if (rdlen > m->len - rdata) {
		r->bad = true;
		return off;
	}
	/* What is of use depends on the record, and no branch foresees it: everything is
	 * stored, and the place moves on if it counts. */
	const bool opt = (section == RR_ADDITIONAL) & (type == FT_QTYPE_OPT);
	r->opt_off = (opt & (r->opt_off == 0)) ? fixed : r->opt_off;
	r->soa |= (section == RR_AUTHORITY) & (type == FT_QTYPE_SOA);
	r->ns |= (section == RR_AUTHORITY) & (type == FT_QTYPE_NS);
	r->rr[r->kept] = (struct rr){
	    .ttl = load_u32_be(p + 4),
	    .type = type,
	    .class = load_u16_be(p + 2),
	    .owner_off = (uint16_t)off,
	    .rdata_off = (uint16_t)rdata,
	    .rdlen = (uint16_t)rdlen,
	    .section = (uint8_t)section,
	};
	const uint32_t keep = (m->dns_flags >> 15) & !opt & (r->kept < MSG_RR_CAP);
	r->kept += keep;
	r->answers += keep & (section == RR_ANSWER);
	return rdata + rdlen;
}

/* Is the name at owner_off the one at `at`? Nearly always it is a pointer to it. */
static bool is_owner(const struct msg *m, uint32_t owner_off, uint32_t at)
{
	const uint8_t *p = m->data + owner_off;

	if (at == HEADER_BYTES && m->plain && load_u16_be(p) == (0xc000 | HEADER_BYTES))
		return true;
	return name_equal(m->data, m->len, owner_off, at);
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
			if (!is_owner(m, r->rr[i].owner_off, at))
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

/* The first question at *off, which moves behind it. */
static enum ft_msg_drop read_question(struct msg *m, uint32_t *off, uint8_t *name)
{
	uint32_t name_len = name_read_plain(m->data + *off, m->len - *off, name);

	m->plain = name_len != 0;
	if (name_len != 0) {
		*off += name_len;
	} else {
		struct cursor c = cursor_init(m->data, *off, m->len);
		const enum ft_msg_drop drop = name_read_any(&c, name, &name_len);
		if (drop != FT_MSG_KEPT)
			return drop;
		*off = c.off;
	}
	if (m->len - *off < QUESTION_FIXED_BYTES)
		return FT_MSG_QUESTION_CUT;
	m->qtype = load_u16_be(m->data + *off);
	m->qclass = load_u16_be(m->data + *off + 2);
	m->name_len = (uint8_t)name_len;
	*off += QUESTION_FIXED_BYTES;
	return FT_MSG_KEPT;
}

/* Steps over questions behind the first; false where they are damaged. */
static bool skip_questions(const struct msg *m, uint32_t n, uint32_t *off)
{
	for (; n != 0; n--) {
		const uint32_t end = name_end(m->data, *off, m->len);
		if (end == 0 || end + QUESTION_FIXED_BYTES > m->len)
			return false;
		*off = end + QUESTION_FIXED_BYTES;
	}
	return true;
}

static void read_sections(struct msg *m, uint32_t off, struct records *r)
{
	const uint8_t *h = m->data;
	const uint32_t answers = load_u16_be(h + 6), authority = answers + load_u16_be(h + 8);
	const uint32_t all = authority + load_u16_be(h + 10);

	/* One loop: three would be left at three unforeseen points. */
	for (uint32_t i = 0; i < all && !r->bad; i++)
		off = read_record(m, off, (enum rr_section)((i >= answers) + (i >= authority)), r);
	if (r->opt_off != 0)
		read_opt(m, m->data + r->opt_off);
}

void parse_message(struct msg *m, uint8_t *name, struct rr *rr, uint64_t name_seed)
{
	struct records r = {.rr = rr};
	const uint8_t *h = m->data;
	uint32_t off = HEADER_BYTES;

	m->edns = 0;
	m->cookie_off = 0;
	m->qtype = m->qclass = 0;
	m->name_len = 0;
	m->malformed = 0;
	m->plain = false;
	m->rrs = 0;
	m->class = FT_CLASS_OTHER;
	if (m->len < HEADER_BYTES) {
		m->id = m->len >= 2 ? load_u16_be(h) : 0;
		m->dns_flags = m->len >= 4 ? load_u16_be(h + 2) : 0;
		m->rcode = m->ancount = 0;
		m->drop = FT_MSG_SHORT;
		return;
	}
	m->id = load_u16_be(h);
	m->dns_flags = load_u16_be(h + 2);
	m->rcode = m->dns_flags & 15u;
	m->ancount = load_u16_be(h + 6);
	m->drop = FT_MSG_KEPT;
	const uint32_t qdcount = load_u16_be(h + 4);
	if (qdcount != 0) {
		m->drop = (uint8_t)read_question(m, &off, name);
		if (m->drop != FT_MSG_KEPT)
			return;
		if (qdcount > 1)
			r.bad = !skip_questions(m, qdcount - 1, &off);
	}
	m->name_key = name_hash_padded(name, m->name_len, name_seed);
	read_sections(m, off, &r);
	/* A truncated answer may end anywhere (RFC 2181 section 9). */
	if (r.bad && (m->dns_flags & DNS_TC) == 0)
		m->malformed = 1;
	if (msg_is_response(m))
		m->class = (uint8_t)class_of(m, &r);
	m->rrs = (uint8_t)r.kept;
}

STAGE void parse_step(struct msgs *batch, uint64_t name_seed)
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

/* SPDX-License-Identifier: BSD-3-Clause */
/* parse and name against a slow reading of the same message, written from the RFCs:
 * the same fate, question, EDNS facts, malformed mark and answer class.
 *
 * Input: one DNS message, as it is. */
#include "name.h"
#include "parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define REF_ANSWERS 64 /* of which the class is sure, as parse.c looks at no more */
#define REF_HOPS 15
#define REF_JUMPS 128 /* pointers in one name, beyond which it may be refused */
#define NAMES 64      /* offsets at which names are read */

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_parse.c:%d: %s\n", line, what);
	abort();
}

struct ref_name {
	enum ft_msg_drop drop;
	uint8_t octets[256];
	uint32_t len, next; /* next: behind the name, where it stands */
	uint32_t jumps;
};

static bool damaged(const struct ref_name *n)
{
	return n->drop != FT_MSG_KEPT || n->jumps > REF_JUMPS;
}

static struct ref_name ref_no_name(enum ft_msg_drop why, uint32_t jumps)
{
	const struct ref_name r = {.drop = why, .jumps = jumps};

	return r;
}

static struct ref_name ref_read(const uint8_t *msg, uint32_t len, uint32_t off)
{
	struct ref_name r = {.drop = FT_MSG_KEPT};
	uint32_t at = off, run = off;

	for (;;) {
		if (at >= len || (msg[at] >= 0xc0 && at + 1 >= len))
			return ref_no_name(FT_MSG_QUESTION_CUT, r.jumps);
		if (msg[at] >= 0xc0) {
			const uint32_t to = (msg[at] * 256u + msg[at + 1]) % 0x4000;
			r.next = r.next == 0 ? at + 2 : r.next;
			if (to < 12 || to >= run)
				return ref_no_name(FT_MSG_NAME_LOOP, r.jumps);
			at = run = to;
			r.jumps++;
		} else if (msg[at] >= 0x40) {
			return ref_no_name(FT_MSG_BAD_LABEL, r.jumps);
		} else if (msg[at] == 0) {
			r.octets[r.len++] = 0;
			r.next = r.next == 0 ? at + 1 : r.next;
			return r;
		} else {
			if (at + msg[at] >= len)
				return ref_no_name(FT_MSG_QUESTION_CUT, r.jumps);
			if (r.len + 1 + msg[at] + 1 > 255)
				return ref_no_name(FT_MSG_NAME_LONG, r.jumps);
			for (uint32_t i = 0; i <= msg[at]; i++) {
				const uint8_t c = msg[at + i];
				r.octets[r.len++] =
				    i > 0 && c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
			}
			at += 1u + msg[at];
		}
	}
}

/* Behind the name at off without regard to where pointers lead; 0: damaged. */
static uint32_t ref_skip(const uint8_t *msg, uint32_t len, uint32_t off)
{
	while (off < len && msg[off] != 0 && msg[off] < 0x40)
		off += 1u + msg[off];
	if (off >= len)
		return 0;
	if (msg[off] == 0)
		return off + 1;
	return msg[off] >= 0xc0 && off + 1 < len ? off + 2 : 0;
}

struct ref {
	struct ref_name qname;
	uint16_t id, flags, qtype, qclass, rcode, count[4];
	uint32_t edns;
	bool malformed, soa, ns, opt, sure; /* sure: the class can be told */
	uint32_t answers;
	struct {
		uint16_t type;
		struct ref_name owner, target; /* target: of a CNAME */
	} answer[REF_ANSWERS];
	enum ft_class class;
};

static uint16_t ref_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] * 256 + p[1]);
}

/* RFC 6891 6.1.2 and 6.1.3. */
static void ref_opt(struct ref *r, const uint8_t *fixed, const uint8_t *rdata, uint32_t rdlen)
{
	static const uint16_t upper[] = {511, 512, 1231, 1232, 1400, 4095, 4096, 65535};
	static const uint8_t known[] = {3, 8, 10, 11, 12, 15};
	const uint16_t size = ref_u16(fixed + 2);
	unsigned band = 0;

	while (size > upper[band])
		band++;
	r->edns |= 1u << FT_EDNS_queries | 1u << (FT_EDNS_bufsize_511 + band);
	r->rcode = (uint16_t)(fixed[4] * 16 + (r->flags & 15));
	r->edns |= fixed[5] != 0 ? 1u << FT_EDNS_badversion : 0;
	r->edns |= fixed[6] >= 0x80 ? 1u << FT_EDNS_do : 0;
	for (uint32_t at = 0; at < rdlen;) {
		if (rdlen - at < 4 || rdlen - at - 4 < ref_u16(rdata + at + 2)) {
			r->malformed = true;
			return;
		}
		unsigned bit = FT_EDNS_other_option;
		for (unsigned i = 0; i < 6; i++)
			if (ref_u16(rdata + at) == known[i])
				bit = FT_EDNS_nsid + i;
		r->edns |= 1u << bit;
		at += 4u + ref_u16(rdata + at + 2);
	}
}

/* One record at off; returns where it ends, 0: damaged. */
static uint32_t ref_record(struct ref *r, const uint8_t *msg, uint32_t len, uint32_t off,
			   unsigned section)
{
	const uint32_t at = ref_skip(msg, len, off);

	if (at == 0 || len - at < 10 || len - at - 10 < ref_u16(msg + at + 8))
		return 0;
	const uint16_t type = ref_u16(msg + at), rdlen = ref_u16(msg + at + 8);
	if (section == 1 && r->answers == REF_ANSWERS) {
		r->sure = false;
	} else if (section == 1) {
		const uint32_t i = r->answers++;
		r->answer[i].type = type;
		r->answer[i].owner = ref_read(msg, len, off);
		if (damaged(&r->answer[i].owner))
			r->sure = false;
		if (type == 5) {
			r->answer[i].target = ref_read(msg, len, at + 10);
			if (damaged(&r->answer[i].target))
				r->sure = false;
		}
	}
	r->soa |= section == 2 && type == 6;
	r->ns |= section == 2 && type == 2;
	if (section == 3 && type == 41 && !r->opt) {
		r->opt = true;
		ref_opt(r, msg + at, msg + at + 10, rdlen);
	}
	return at + 10 + rdlen;
}

static bool same_name(const struct ref_name *a, const struct ref_name *b)
{
	return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

/* DATA, CNAME_ONLY, or CAP where the answer section says neither. */
static enum ft_class ref_chain(struct ref *r)
{
	const struct ref_name *at = &r->qname;

	if (r->qtype == 255 && r->answers > 0)
		return FT_CLASS_DATA;
	for (unsigned hops = 0; r->count[0] != 0 && r->answers > 0; hops++) {
		const struct ref_name *next = NULL;
		for (uint32_t i = 0; i < r->answers; i++) {
			if (!same_name(&r->answer[i].owner, at))
				continue;
			if (r->answer[i].type == r->qtype)
				return FT_CLASS_DATA;
			if (r->answer[i].type == 5)
				next = &r->answer[i].target;
		}
		if (next == NULL)
			return hops > 0 ? FT_CLASS_CNAME_ONLY : FT_CLASS_CAP;
		if (hops > REF_ANSWERS)
			return FT_CLASS_CNAME_ONLY; /* a loop */
		at = next;
		if (hops + 1 > REF_HOPS)
			r->sure = false;
	}
	return FT_CLASS_CAP;
}

static enum ft_class ref_class(struct ref *r, bool tcp)
{
	static const struct {
		uint16_t rcode;
		enum ft_class class;
	} own[] = {{1, FT_CLASS_FORMERR},   {2, FT_CLASS_SERVFAIL}, {3, FT_CLASS_NXDOMAIN},
		   {4, FT_CLASS_NOTIMP},    {5, FT_CLASS_REFUSED},  {16, FT_CLASS_BADVERS},
		   {23, FT_CLASS_BADCOOKIE}};

	if ((r->flags & 0x8000) == 0)
		return FT_CLASS_OTHER;
	for (unsigned i = 0; i < 7; i++)
		if (r->rcode == own[i].rcode)
			return own[i].class;
	if (r->rcode != 0)
		return FT_CLASS_OTHER;
	if ((r->flags & 0x0200) != 0 && !tcp)
		return FT_CLASS_TC;
	const enum ft_class chain = ref_chain(r);
	if (chain != FT_CLASS_CAP)
		return chain;
	if (r->malformed)
		return FT_CLASS_OTHER;
	if (r->soa || (r->count[1] == 0 && (r->flags & 0x0400) != 0))
		return FT_CLASS_NODATA;
	return r->count[1] == 0 && r->ns ? FT_CLASS_REFERRAL : FT_CLASS_OTHER;
}

static enum ft_msg_drop ref_message(struct ref *r, const uint8_t *msg, uint32_t len, bool tcp)
{
	uint32_t at = 12;

	memset(r, 0, offsetof(struct ref, answer));
	r->sure = true;
	r->class = FT_CLASS_OTHER;
	if (len < 12)
		return FT_MSG_SHORT;
	r->id = ref_u16(msg);
	r->flags = ref_u16(msg + 2);
	r->rcode = r->flags & 15;
	for (unsigned i = 0; i < 4; i++)
		r->count[i] = ref_u16(msg + 4 + i * 2);
	if (r->count[0] > 0) {
		r->qname = ref_read(msg, len, 12);
		if (r->qname.drop != FT_MSG_KEPT)
			return r->qname.drop;
		at = r->qname.next;
		if (len - at < 4)
			return FT_MSG_QUESTION_CUT;
		r->qtype = ref_u16(msg + at);
		r->qclass = ref_u16(msg + at + 2);
		at += 4;
	}
	for (unsigned i = 1; i < r->count[0] && at != 0; i++) {
		at = ref_skip(msg, len, at);
		at = at != 0 && len - at >= 4 ? at + 4 : 0;
	}
	for (unsigned section = 1; section < 4; section++)
		for (unsigned i = 0; i < r->count[section] && at != 0; i++)
			at = ref_record(r, msg, len, at, section);
	if (at == 0 && (r->flags & 0x0200) == 0)
		r->malformed = true;
	r->class = ref_class(r, tcp);
	return FT_MSG_KEPT;
}

static void compare_message(const uint8_t *msg, uint32_t len, bool tcp)
{
	static struct ref r;
	static struct rr rr[MSG_RR_CAP + 1];
	uint8_t *name = malloc(NAME_BUF_BYTES); /* of this size, for the sanitizer */
	struct msg m;

	memset(&m, 0xa5, sizeof(m));
	memset(name, 0xa5, NAME_BUF_BYTES);
	m.data = msg;
	m.len = (uint16_t)len;
	m.tcp = tcp;
	parse_message(&m, name, rr, 7);
	const enum ft_msg_drop drop = ref_message(&r, msg, len, tcp);
	CHECK(m.drop == drop);
	if (drop != FT_MSG_KEPT) {
		free(name);
		return;
	}
	CHECK(m.id == r.id && m.dns_flags == r.flags && m.ancount == r.count[1]);
	CHECK(m.qtype == r.qtype && m.qclass == r.qclass);
	CHECK(m.name_len == r.qname.len && memcmp(name, r.qname.octets, r.qname.len) == 0);
	CHECK(m.name_key == name_hash(r.qname.octets, r.qname.len, 7));
	CHECK(m.rcode == r.rcode && m.edns == r.edns);
	CHECK(m.malformed == r.malformed);
	if (r.sure)
		CHECK(m.class == r.class);
	free(name);
}

static void compare_names(const uint8_t *msg, uint32_t len)
{
	static struct ref_name names[NAMES];
	uint8_t *out = malloc(NAME_BUF_BYTES), *slow = malloc(NAME_BUF_BYTES);
	const uint32_t n = len < NAMES ? len : NAMES;

	for (uint32_t i = 0; i < n; i++) {
		struct cursor c = cursor_init(msg, i, len), any = c;
		uint32_t out_len = 0, slow_len = 0;
		names[i] = ref_read(msg, len, i);
		const enum ft_msg_drop drop = name_read(&c, out, &out_len);
		CHECK(drop == names[i].drop || names[i].jumps > REF_JUMPS);
		CHECK(name_read_any(&any, slow, &slow_len) == drop);
		CHECK(drop != FT_MSG_KEPT ||
		      (any.off == c.off && slow_len == out_len && memcmp(slow, out, out_len) == 0));
		CHECK(name_end(msg, i, len) == ref_skip(msg, len, i));
		if (damaged(&names[i]))
			continue;
		CHECK(c.off == names[i].next && out_len == names[i].len);
		CHECK(memcmp(out, names[i].octets, out_len) == 0);
	}
	for (uint32_t i = 12; i < n; i++) {
		for (uint32_t j = i; j < n; j += 1 + len % 5) {
			const bool is = name_equal(msg, len, i, j);
			CHECK(is == name_equal(msg, len, j, i));
			if (!damaged(&names[i]) && !damaged(&names[j]))
				CHECK(is == same_name(&names[i], &names[j]));
		}
	}
	free(out);
	free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size > 65535)
		return 0;
	uint8_t *msg = calloc(size > 0 ? size : 1, 1); /* of this size, for the sanitizer */
	if (size > 0)
		memcpy(msg, input, size);
	compare_message(msg, (uint32_t)size, false);
	compare_message(msg, (uint32_t)size, true);
	if (size % 8 == 0) /* it takes ten times as long as all the rest */
		compare_names(msg, (uint32_t)size);
	free(msg);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "guard.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The slow reading, for cut and random messages. */
#include "../fuzz/fuzz_parse.c"

enum { QR = 0x8000, AA = 0x0400, TC = 0x0200, RD = 0x0100 };
enum { A = 1, NS = 2, CNAME = 5, SOA = 6, TXT = 16, AAAA = 28, RRSIG = 46, ANY = 255 };

static struct wire w;
static uint8_t name[NAME_BUF_BYTES];
static struct rr rr[MSG_RR_CAP + 1];

static struct msg parse_over(bool tcp)
{
	uint8_t *p = guard_copy(w.b, w.n);
	struct msg m = {.data = p, .len = (uint16_t)w.n, .tcp = tcp};

	parse_message(&m, name, rr, 1);
	guard_free(p, w.n);
	m.data = NULL;
	return m;
}

static struct msg parse(void)
{
	return parse_over(false);
}

/* Header and question "www.example.com" of type A or another. */
static void start(unsigned flags, unsigned type, unsigned an, unsigned ns, unsigned ar)
{
	wire_init(&w, false);
	wire_header(&w, 0xbeef, flags, 1, an, ns, ar);
	wire_question(&w, "www.example.com", type);
}

static void test_question(void **state)
{
	(void)state;
	wire_init(&w, false);
	wire_header(&w, 0xbeef, RD, 1, 0, 0, 0);
	wire_name(&w, "wWw.Example.COM");
	wire_u16(&w, 0xff01);
	wire_u16(&w, 3);
	const struct msg m = parse();
	assert_int_equal(m.drop, FT_MSG_KEPT);
	assert_int_equal(m.id, 0xbeef);
	assert_int_equal(m.dns_flags, RD);
	assert_int_equal(m.qtype, 0xff01);
	assert_int_equal(m.qclass, 3);
	assert_int_equal(m.name_len, 17);
	assert_memory_equal(name, "\3www\7example\3com", 17);
	assert_true(m.name_key == name_hash((const uint8_t *)"\3www\7example\3com", 17, 1));
	assert_int_equal(m.edns | m.rcode | m.ancount | m.malformed, 0);
	assert_int_equal(m.class, FT_CLASS_OTHER);
}

static void test_drops(void **state)
{
	(void)state;
	start(0, A, 0, 0, 0);
	const uint32_t whole = w.n;
	for (w.n = 0; w.n < whole; w.n++)
		assert_int_equal(parse().drop, w.n < 12 ? FT_MSG_SHORT : FT_MSG_QUESTION_CUT);
	assert_int_equal(parse().drop, FT_MSG_KEPT);
	w.b[12] = 0x41;
	assert_int_equal(parse().drop, FT_MSG_BAD_LABEL);
	w.b[12] = 0x80;
	assert_int_equal(parse().drop, FT_MSG_BAD_LABEL);
	for (unsigned to = 0; to <= 40; to++) { /* no name stands before the question's */
		wire_put16(&w, 12, 0xc000 | to);
		assert_int_equal(parse().drop, FT_MSG_NAME_LOOP);
	}
	wire_init(&w, false);
	wire_header(&w, 1, 0, 1, 0, 0, 0);
	for (unsigned i = 0; i < 5; i++) {
		wire_u8(&w, 60);
		wire_fill(&w, 'a', 60);
	}
	wire_u8(&w, 0);
	wire_u32(&w, 0x00010001);
	assert_int_equal(parse().drop, FT_MSG_NAME_LONG);
}

/* qdcount 0: cookies alone (RFC 7873 5.4), later messages of a transfer, bare refusals. */
static void test_no_question(void **state)
{
	(void)state;
	wire_init(&w, false);
	wire_header(&w, 7, QR | 5, 0, 0, 0, 0);
	struct msg m = parse();
	assert_int_equal(m.drop, FT_MSG_KEPT);
	assert_int_equal(m.name_len, 0);
	assert_int_equal(m.class, FT_CLASS_REFUSED);
	wire_init(&w, false);
	wire_header(&w, 7, QR | AA, 0, 1, 0, 0);
	wire_rr4(&w, "a.example", A);
	m = parse();
	assert_int_equal(m.class, FT_CLASS_OTHER);
	assert_int_equal(m.malformed, 0);
	wire_init(&w, false);
	wire_header(&w, 7, RD, 0, 0, 0, 1);
	wire_opt(&w, 1232, 0, 0, 0, 12);
	wire_u32(&w, 10u << 16 | 8);
	wire_fill(&w, 0xcc, 8);
	m = parse();
	assert_int_equal(m.edns,
			 1u << FT_EDNS_queries | 1u << FT_EDNS_bufsize_1232 | 1u << FT_EDNS_cookie);
}

static void test_two_questions(void **state)
{
	(void)state;
	for (unsigned cut = 0; cut < 2; cut++) {
		wire_init(&w, false);
		wire_header(&w, 7, QR, 2, 1, 0, 0);
		wire_question(&w, "one.example", A);
		wire_question(&w, "two.example", AAAA);
		if (cut)
			w.n -= 3;
		else
			wire_rr4(&w, "one.example", A);
		const struct msg m = parse();
		assert_int_equal(m.drop, FT_MSG_KEPT); /* the first question could be read */
		assert_int_equal(m.qtype, A);
		assert_memory_equal(name, "\3one\7example", 13);
		assert_int_equal(m.malformed, cut);
		assert_int_equal(m.class, cut ? FT_CLASS_OTHER : FT_CLASS_DATA);
	}
}

/* Which of the header's counts is which: one NS in the second section, one in the third. */
static void test_sections(void **state)
{
	(void)state;
	start(QR, A, 0, 1, 0);
	wire_rr4(&w, "example.com", NS);
	assert_int_equal(parse().class, FT_CLASS_REFERRAL);
	start(QR, A, 0, 0, 1);
	wire_rr4(&w, "example.com", NS);
	assert_int_equal(parse().class, FT_CLASS_OTHER);
	start(QR, A, 0, 2, 1);
	wire_rr4(&w, "example.com", NS);
	wire_rr4(&w, "example.com", NS);
	wire_opt(&w, 512, 0, 0, 0, 0);
	const struct msg m = parse();
	assert_int_equal(m.edns, 1u << FT_EDNS_queries | 1u << FT_EDNS_bufsize_512);
	assert_int_equal(m.class, FT_CLASS_REFERRAL);
}

static void test_rcodes(void **state)
{
	static const struct {
		unsigned low, high;
		enum ft_class class;
	} codes[] = {
	    {1, 0, FT_CLASS_FORMERR},   {2, 0, FT_CLASS_SERVFAIL}, {3, 0, FT_CLASS_NXDOMAIN},
	    {4, 0, FT_CLASS_NOTIMP},    {5, 0, FT_CLASS_REFUSED},  {6, 0, FT_CLASS_OTHER},
	    {9, 0, FT_CLASS_OTHER},     {15, 0, FT_CLASS_OTHER},   {0, 1, FT_CLASS_BADVERS},
	    {7, 1, FT_CLASS_BADCOOKIE}, {3, 1, FT_CLASS_OTHER},    {15, 255, FT_CLASS_OTHER},
	    {0, 255, FT_CLASS_OTHER}};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		/* Whatever else is in it: the rcode's class comes first, before TC, too. */
		for (unsigned tc = 0; tc < 2; tc++) {
			start(QR | AA | (tc ? TC : 0) | codes[i].low, A, 1, 0, 1);
			wire_rr4(&w, "www.example.com", A);
			wire_opt(&w, 1232, codes[i].high, 0, 0, 0);
			const struct msg m = parse();
			assert_int_equal(m.rcode, codes[i].high * 16 + codes[i].low);
			assert_int_equal(m.class, codes[i].class);
		}
	}
}

static uint32_t edns_of(unsigned size, unsigned version, unsigned flags)
{
	start(RD, A, 0, 0, 1);
	wire_opt(&w, size, 0, version, flags, 0);
	return parse().edns;
}

static void test_edns(void **state)
{
	static const struct {
		uint16_t size;
		enum ft_edns band;
	} bands[] = {{0, FT_EDNS_bufsize_511},      {511, FT_EDNS_bufsize_511},
		     {512, FT_EDNS_bufsize_512},    {513, FT_EDNS_bufsize_1231},
		     {1231, FT_EDNS_bufsize_1231},  {1232, FT_EDNS_bufsize_1232},
		     {1233, FT_EDNS_bufsize_1400},  {1400, FT_EDNS_bufsize_1400},
		     {1401, FT_EDNS_bufsize_4095},  {4095, FT_EDNS_bufsize_4095},
		     {4096, FT_EDNS_bufsize_4096},  {4097, FT_EDNS_bufsize_65535},
		     {65535, FT_EDNS_bufsize_65535}};
	static const struct {
		uint16_t code;
		enum ft_edns bit;
	} options[] = {
	    {3, FT_EDNS_nsid},         {8, FT_EDNS_ecs},          {10, FT_EDNS_cookie},
	    {11, FT_EDNS_keepalive},   {12, FT_EDNS_padding},     {15, FT_EDNS_ede},
	    {1, FT_EDNS_other_option}, {9, FT_EDNS_other_option}, {65001, FT_EDNS_other_option}};

	(void)state;
	for (size_t i = 0; i < sizeof(bands) / sizeof(*bands); i++)
		assert_int_equal(edns_of(bands[i].size, 0, 0),
				 1u << FT_EDNS_queries | 1u << bands[i].band);
	const uint32_t plain = edns_of(512, 0, 0);
	assert_int_equal(edns_of(512, 0, 0x8000), plain | 1u << FT_EDNS_do);
	assert_int_equal(edns_of(512, 0, 0x7fff), plain); /* Z */
	assert_int_equal(edns_of(512, 1, 0), plain | 1u << FT_EDNS_badversion);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		start(RD, A, 0, 0, 1);
		wire_opt(&w, 512, 0, 0, 0, 9);
		wire_u16(&w, options[i].code);
		wire_u16(&w, 5);
		wire_fill(&w, 0, 5);
		const struct msg m = parse();
		assert_int_equal(m.edns, plain | 1u << options[i].bit);
		assert_int_equal(m.malformed, 0);
	}
}

static void test_edns_odd(void **state)
{
	const uint32_t plain = 1u << FT_EDNS_queries | 1u << FT_EDNS_bufsize_512;

	(void)state;
	/* Options that do not fill their record: damage, and the OPT still counts. */
	for (unsigned rdlen = 1; rdlen < 12; rdlen++) {
		start(RD, A, 0, 0, 1);
		wire_opt(&w, 512, 0, 0, 0, rdlen);
		wire_octets(&w, "\0\3\0\0\0\12\0\10........", rdlen < 8 ? rdlen : 8);
		wire_fill(&w, 'c', rdlen > 8 ? rdlen - 8 : 0);
		const struct msg m = parse();
		assert_int_equal(m.malformed, rdlen != 4);
		assert_int_equal(m.edns, plain | (rdlen >= 4 ? 1u << FT_EDNS_nsid : 0));
	}
	/* Twice (RFC 6891 6.1.1 forbids it): the first one speaks. */
	start(QR, A, 0, 0, 2);
	wire_opt(&w, 512, 1, 0, 0, 0);
	wire_opt(&w, 4096, 2, 1, 0x8000, 0);
	struct msg m = parse();
	assert_int_equal(m.edns, plain);
	assert_int_equal(m.rcode, 16);
	/* In another section it is none (6.1.1: additional data). */
	for (unsigned section = 0; section < 2; section++) {
		start(QR, A, section == 0, section == 1, 0);
		wire_opt(&w, 512, 1, 0, 0, 0);
		m = parse();
		assert_int_equal(m.edns | m.rcode, 0);
		assert_int_equal(m.class, FT_CLASS_OTHER);
	}
	/* Before the damage, it has been read. */
	start(QR, A, 0, 0, 2);
	wire_opt(&w, 512, 1, 0, 0, 0);
	m = parse();
	assert_int_equal(m.rcode, 16);
	assert_int_equal(m.malformed, 1);
	assert_int_equal(m.class, FT_CLASS_BADVERS);
}

static enum ft_class class_now(void)
{
	const struct msg m = parse();

	assert_int_equal(m.malformed, 0);
	assert_int_equal(parse_over(true).class, m.class); /* without TC it does not matter */
	return (enum ft_class)m.class;
}

static void test_classes(void **state)
{
	(void)state;
	start(QR, A, 1, 0, 0), wire_rr4(&w, "wWw.example.COM", A);
	assert_int_equal(class_now(), FT_CLASS_DATA);
	start(QR, AAAA, 1, 0, 0), wire_rr4(&w, "www.example.com", A);
	assert_int_equal(class_now(), FT_CLASS_OTHER);
	start(QR, A, 1, 0, 0), wire_rr4(&w, "example.com", A); /* another owner */
	assert_int_equal(class_now(), FT_CLASS_OTHER);
	start(QR, ANY, 1, 0, 0), wire_rr4(&w, "www.example.com", 13); /* RFC 8482 */
	assert_int_equal(class_now(), FT_CLASS_DATA);
	start(QR, ANY, 1, 0, 0), wire_cname(&w, "www.example.com", "a.example");
	assert_int_equal(class_now(), FT_CLASS_DATA);
	start(QR, CNAME, 1, 0, 0), wire_cname(&w, "www.example.com", "a.example");
	assert_int_equal(class_now(), FT_CLASS_DATA);
	start(QR, A, 0, 1, 0), wire_rr4(&w, "example.com", SOA);
	assert_int_equal(class_now(), FT_CLASS_NODATA);
	start(QR | AA, A, 0, 0, 0);
	assert_int_equal(class_now(), FT_CLASS_NODATA);
	start(QR, A, 0, 0, 0);
	assert_int_equal(class_now(), FT_CLASS_OTHER);
	start(QR, A, 0, 2, 0), wire_rr4(&w, "example.com", NS), wire_rr4(&w, "example.com", SOA);
	assert_int_equal(class_now(), FT_CLASS_NODATA); /* SOA outweighs NS */
	start(QR | AA, A, 0, 1, 0), wire_rr4(&w, "example.com", NS);
	assert_int_equal(class_now(), FT_CLASS_NODATA); /* a referral has AA=0 */
	start(QR, A, 1, 1, 0), wire_rr4(&w, "www.example.com", A), wire_rr4(&w, "example.com", SOA);
	assert_int_equal(class_now(), FT_CLASS_DATA);
	start(QR, A, 1, 1, 0), wire_cname(&w, "www.example.com", "a.example");
	wire_rr4(&w, "example", SOA);
	assert_int_equal(class_now(), FT_CLASS_CNAME_ONLY); /* though the end has no data */
	start(QR, A, 1, 1, 0), wire_rr4(&w, "www.example.com", RRSIG),
	    wire_rr4(&w, "example.com", SOA);
	assert_int_equal(class_now(), FT_CLASS_NODATA); /* an answer, but none of the type */
}

static void test_tc(void **state)
{
	(void)state;
	start(QR | TC, A, 0, 0, 0);
	assert_int_equal(parse().class, FT_CLASS_TC);
	assert_int_equal(parse_over(true).class, FT_CLASS_OTHER);
	start(QR | TC | AA, A, 1, 0, 0), wire_rr4(&w, "www.example.com", A);
	assert_int_equal(parse().class, FT_CLASS_TC);
	assert_int_equal(parse_over(true).class, FT_CLASS_DATA);
	/* Cut in mid-record, which TC allows (RFC 2181 9) and nothing else does. */
	const uint32_t end = w.n;
	for (w.n = 12 + 21; w.n < end; w.n++) {
		wire_put16(&w, 2, QR | TC);
		assert_int_equal(parse().malformed, 0);
		assert_int_equal(parse().class, FT_CLASS_TC);
		wire_put16(&w, 2, QR | AA);
		assert_int_equal(parse().malformed, 1);
		assert_int_equal(parse().class, FT_CLASS_OTHER);
		wire_put16(&w, 2, QR | AA | 3);
		assert_int_equal(parse().class, FT_CLASS_NXDOMAIN);
	}
}

/* A damaged tail: what stood before it counts. */
static void test_malformed(void **state)
{
	static const uint8_t tails[][4] = {
	    {0x41, 'a'}, {0x80}, {0xc0}, {3, 'c', 'o'}, {0, 0, 1, 0}};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		start(QR, A, 2, 0, 0);
		wire_rr4(&w, "www.example.com", A);
		wire_octets(&w, tails[i], i == 2 ? 1 : 4);
		struct msg m = parse();
		assert_int_equal(m.drop, FT_MSG_KEPT);
		assert_int_equal(m.malformed, 1);
		assert_int_equal(m.class, FT_CLASS_DATA);
		start(QR | AA, A, 0, 1, 0);
		wire_octets(&w, tails[i], i == 2 ? 1 : 4);
		m = parse();
		assert_int_equal(m.malformed, 1);
		assert_int_equal(m.class, FT_CLASS_OTHER);
	}
	start(0, A, 0, 0, 0);
	wire_fill(&w, 0xff, 9); /* octets behind the message are no damage to it */
	assert_int_equal(parse().malformed, 0);
	start(0, A, 65535, 65535, 65535);
	assert_int_equal(parse().malformed, 1);
	wire_put16(&w, 4, 65535);
	assert_int_equal(parse().malformed, 1);
}

/* The name behind k CNAMEs, in a case of its own each time. */
static const char *hop(unsigned k)
{
	static char text[4][24];
	static unsigned turn;

	turn = (turn + 1) % 4;
	(void)snprintf(text[turn], sizeof(*text), turn % 2 ? "h%u.example.COM" : "H%u.Example.com",
		       k);
	return k == 0 ? "wWw.example.com" : text[turn];
}

/* `hops` CNAMEs from the question's name, in order or reversed, then data or not. */
static void chain(unsigned hops, bool reversed, bool data)
{
	start(QR, A, hops + data, 0, 0);
	if (data && reversed)
		wire_rr4(&w, hop(hops), A);
	for (unsigned i = 0; i < hops; i++) {
		const unsigned k = reversed ? hops - 1 - i : i;
		wire_cname(&w, hop(k), hop(k + 1));
	}
	if (data && !reversed)
		wire_rr4(&w, hop(hops), A);
}

static void test_chain(void **state)
{
	(void)state;
	for (unsigned hops = 0; hops <= 15; hops++) {
		for (unsigned reversed = 0; reversed < 2; reversed++) {
			chain(hops, reversed, true);
			assert_int_equal(class_now(), FT_CLASS_DATA);
			chain(hops, reversed, false);
			assert_int_equal(class_now(),
					 hops == 0 ? FT_CLASS_OTHER : FT_CLASS_CNAME_ONLY);
		}
	}
	/* Data at another name than the chain's end. */
	start(QR, A, 2, 0, 0), wire_cname(&w, "www.example.com", "a.example");
	wire_rr4(&w, "b.example", A);
	assert_int_equal(class_now(), FT_CLASS_CNAME_ONLY);
	/* A DNAME and the CNAME made from it (RFC 6672 5.3.1). */
	start(QR, A, 3, 0, 0), wire_rr4(&w, "example.com", 39);
	wire_cname(&w, "www.example.com", "www.example.net");
	wire_rr4(&w, "www.example.net", A);
	assert_int_equal(class_now(), FT_CLASS_DATA);
}

static void test_chain_loops(void **state)
{
	(void)state;
	start(QR, A, 1, 0, 0), wire_cname(&w, "www.example.com", "www.example.com");
	assert_int_equal(class_now(), FT_CLASS_CNAME_ONLY);
	start(QR, A, 3, 0, 0);
	wire_cname(&w, "www.example.com", "a.example");
	wire_cname(&w, "a.example", "b.example");
	wire_cname(&w, "b.example", "www.example.com");
	assert_int_equal(class_now(), FT_CLASS_CNAME_ONLY);
}

static void test_chain_compressed(void **state)
{
	(void)state;
	start(QR, A, 3, 0, 0); /* "example" at 16, "com" at 24 */
	wire_pointer(&w, 12);
	wire_rr(&w, CNAME, 6);
	const uint32_t edge = w.n;
	wire_labels(&w, "CDN");
	wire_pointer(&w, 16);
	wire_pointer(&w, edge);
	wire_rr(&w, CNAME, 5);
	wire_labels(&w, "z9");
	wire_pointer(&w, edge);
	wire_labels(&w, "Z9");
	wire_labels(&w, "cdn");
	wire_pointer(&w, 16);
	wire_rr(&w, A, 4);
	wire_u32(&w, 0x7f000001);
	assert_int_equal(class_now(), FT_CLASS_DATA);
	w.b[w.n - 22] ^= 1; /* "z9" in the last owner */
	assert_int_equal(class_now(), FT_CLASS_CNAME_ONLY);
}

/* HOPS_CAP CNAMEs are followed, and then the data is looked for. */
static void test_chain_of_the_limit(void **state)
{
	(void)state;
	chain(16, false, true);
	assert_int_equal(class_now(), FT_CLASS_DATA);
}

static void test_every_cut(void **state)
{
	(void)state;
	for (unsigned flags = QR;; flags = QR | TC) {
		start(flags, A, 3, 1, 2);
		wire_cname(&w, "www.example.com", "cdn.example.net");
		wire_pointer(&w, 12);
		wire_rr(&w, RRSIG, 8);
		wire_fill(&w, 9, 8);
		wire_rr4(&w, "cdn.example.net", A);
		wire_rr4(&w, "example.net", NS);
		wire_rr4(&w, "ns.example.net", A);
		wire_opt(&w, 1232, 0, 0, 0x8000, 12);
		wire_u32(&w, 10u << 16 | 8);
		wire_fill(&w, 0x55, 8);
		for (uint32_t len = 0; len <= w.n; len++) {
			uint8_t *p = guard_copy(w.b, len);
			compare_message(p, len, len % 2);
			guard_free(p, len);
		}
		if (flags != QR)
			return;
	}
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
	    T(test_question),
	    T(test_drops),
	    T(test_no_question),
	    T(test_two_questions),
	    T(test_sections),
	    T(test_rcodes),
	    T(test_edns),
	    T(test_edns_odd),
	    T(test_classes),
	    T(test_tc),
	    T(test_malformed),
	    T(test_chain),
	    T(test_chain_loops),
	    T(test_chain_compressed),
	    T(test_chain_of_the_limit),
	    T(test_every_cut),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}

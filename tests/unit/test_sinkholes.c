/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of sinkholes: what a line means, what is refused and why, no octet read beyond
 * the end; and what the compiled list finds in answers, against a plain loop. */
#include "sinkholes.h"

#include "guard.h"
#include "name.h"
#include "sinklist.h"
#include "wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int next_of(const char *text, size_t len, struct sinkhole_line *line, char *err, size_t cap)
{
	const struct rules_file f = {"F", (char *)(uintptr_t)text, len};
	size_t at = 0;

	*line = (struct sinkhole_line){0};
	return sinkholes_next(&f, &at, line, err, cap);
}

static void test_lines(void **state)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "ms ip 192.0.2.0/24\r\n"
				   "ms\tip 2001:db8::1 # one address\n"
				   "cert ns Sinkhole.Example.\n"
				   "cert cname a.b.c\n"
				   "bot name \\065.example";
	const struct rules_file f = {"F", (char *)(uintptr_t)text, sizeof(text) - 1};
	struct sinkhole_line l = {0};
	char err[512];
	size_t at = 0;

	(void)state;
	assert_int_equal(sinkholes_next(&f, &at, &l, err, sizeof(err)), 1);
	assert_int_equal(l.number, 3);
	assert_int_equal(l.kind, SINKHOLE_IP);
	assert_memory_equal(l.group.text, "ms", 2);
	assert_int_equal(l.prefix.bits, 96 + 24);
	assert_memory_equal(l.prefix.addr + 12, "\xc0\x00\x02\x00", 4);
	assert_int_equal(sinkholes_next(&f, &at, &l, err, sizeof(err)), 1);
	assert_int_equal(l.prefix.bits, 128);
	assert_int_equal(l.prefix.addr[15], 1);
	assert_int_equal(sinkholes_next(&f, &at, &l, err, sizeof(err)), 1);
	assert_int_equal(l.kind, SINKHOLE_NS);
	assert_int_equal(l.name_len, 18);
	assert_memory_equal(l.name, "\10sinkhole\7example", 18);
	assert_int_equal(l.labels, 2);
	assert_int_equal(sinkholes_next(&f, &at, &l, err, sizeof(err)), 1);
	assert_int_equal(l.kind, SINKHOLE_CNAME);
	assert_int_equal(l.labels, 3);
	assert_int_equal(sinkholes_next(&f, &at, &l, err, sizeof(err)), 1);
	assert_int_equal(l.kind, SINKHOLE_NAME);
	assert_int_equal(l.number, 7);
	assert_memory_equal(l.name, "\1a\7example", 11);
	assert_int_equal(sinkholes_next(&f, &at, &l, err, sizeof(err)), 0);
	assert_int_equal(at, sizeof(text) - 1);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *says;
		size_t len; /* 0: as long as the text */
	} bad[] = {
	    {"g", "a group and nothing else", 0},
	    {"g ip", "ip without an address or prefix", 0},
	    {"g ns # x", "ns without a name", 0},
	    {"g asn 5", "none of ip, ns, cname and name", 0},
	    {"g IP 1.2.3.4", "none of ip", 0},
	    {"g ip 1.2.3", "no address or prefix", 0},
	    {"g ip 1.2.3.4/33", "no usable length", 0},
	    {"g ip 1.2.3.4/24", "1.2.3.0/24 would be right", 0},
	    {"g ip 1.2.3.4,1.2.3.5", "one a line", 0},
	    {"g ip 2001:db8::/129", "no usable length", 0},
	    {"g ip 11111111111111111111111111111111111111111111111111111111111111111", "no address",
	     0},
	    {"g name .", "the root", 0},
	    {"g name a..b", "empty label", 0},
	    {"g cname a\\3", "bad escape", 0},
	    {"g name a b", "too much", 0},
	    {"a=b name a", "no group", 0},
	    {"g name a\0b", "NUL", 10},
	};
	struct sinkhole_line l;
	char err[512];

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const size_t len = bad[i].len != 0 ? bad[i].len : strlen(bad[i].text);
		assert_int_equal(next_of(bad[i].text, len, &l, err, sizeof(err)), -EINVAL);
		assert_int_equal(l.number, 1);
		if (strstr(err, bad[i].says) == NULL)
			fail_msg("\"%s\" gives \"%s\"", bad[i].text, err);
	}
}

/* Every beginning of a list is read without a look beyond its end, and whole lines in it
 * mean what they meant. */
static void test_truncated(void **state)
{
	static const char text[] =
	    "a ip 10.0.0.0/8\nb ns ns.example # c\nb cname x.\\.y\nc name d.example\n";
	size_t ends[4] = {16, 36, 50, 67}, whole;
	struct sinkhole_line l;
	char err[512];

	(void)state;
	assert_int_equal(sizeof(text) - 1, ends[3]);
	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = (char *)guard_copy(text, n);
		const struct rules_file f = {"F", copy, n};
		size_t at = 0, lines = 0;
		int rc;
		l = (struct sinkhole_line){0};
		while ((rc = sinkholes_next(&f, &at, &l, err, sizeof(err))) == 1)
			lines++;
		for (whole = 0; whole < 4 && ends[whole] <= n;)
			whole++;
		assert_in_range(lines, whole, whole + 1); /* a cut line may be one, too */
		if (rc != 0)
			assert_int_equal(l.number, whole + 1);
		guard_free((uint8_t *)copy, n);
	}
}

/* --- the compiled list --- */

#define SEED 0x1234567890abcdefull
#define PREFIXES 300u

static uint64_t state_of;
static uint32_t draw(uint32_t below)
{
	state_of = state_of * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state_of >> 33) % below;
}

static bool covers(const struct sinklist_prefix *p, const uint8_t *addr)
{
	for (unsigned b = 0; b < p->bits; b++)
		if (((p->addr.b[b / 8] ^ addr[b / 8]) >> (7 - b % 8) & 1) != 0)
			return false;
	return true;
}

static struct sinklist_prefix draw_prefix(void)
{
	struct sinklist_prefix p = {.tag = 1 + draw(9)};
	const bool v6 = draw(2) == 0;

	for (unsigned i = 0; i < 16; i++)
		p.addr.b[i] = (uint8_t)draw(i % 2 == 0 ? 3 : 4);
	if (!v6)
		memcpy(p.addr.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	else
		p.addr.b[0] = 0x20; /* so that it covers no mapped address */
	p.bits = (uint8_t)(v6 ? 32 + draw(97) : 112 + draw(17));
	for (unsigned b = p.bits; b < 128; b++)
		p.addr.b[b / 8] &= (uint8_t) ~(0x80u >> b % 8);
	return p;
}

/* One answer with one address: the tags that a loop over all prefixes finds. */
static void test_addresses(void **state)
{
	struct sinklist_prefix p[PREFIXES];
	struct sinklist_hit hit[SINKLIST_HITS];
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < PREFIXES; i++) {
		do /* few that cover much */
			p[i] = draw_prefix();
		while (p[i].bits % 32 < 24 && draw(8) != 0);
	}
	const struct sinklist_parts parts = {.prefix = p, .prefixes = PREFIXES, .name_seed = SEED};
	struct sinklist *s = sinklist_create(&parts);
	assert_non_null(s);
	for (unsigned run = 0; run < 20000; run++) {
		const struct sinklist_prefix a = draw_prefix();
		const bool v4 = memcmp(a.addr.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
		uint8_t *data = guard_copy(v4 ? a.addr.b + 12 : a.addr.b, v4 ? 4 : 16);
		struct rr rr = {.type = v4 ? 1 : 28, .class = 1, .rdlen = v4 ? 4 : 16};
		const struct msg m = {.data = data, .len = rr.rdlen, .rrs = 1};
		uint32_t want = 0, got = 0;
		for (unsigned i = 0; i < PREFIXES; i++)
			if (covers(&p[i], a.addr.b))
				want |= 1u << p[i].tag;
		const uint32_t n = sinklist_look(s, &m, &rr, hit);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(got >> hit[i].tag & 1, 0);
			assert_int_equal(hit[i].signals, FT_SINK_IP);
			got |= 1u << hit[i].tag;
		}
		assert_int_equal(got, want);
		found += want != 0;
		rr.section = RR_AUTHORITY; /* only answers count */
		assert_int_equal(sinklist_look(s, &m, &rr, hit), 0);
		guard_free(data, rr.rdlen);
	}
	assert_in_range(found, 200, 19800);
	sinklist_destroy(s);
	sinklist_destroy(NULL);
}

static struct nameset_entry entry(const char *text, uint32_t tag, uint32_t labels)
{
	uint8_t name[FT_NAME_CAP];
	const char *why;
	const uint32_t n = name_from_text(text, (uint32_t)strlen(text), name, &why);

	return (struct nameset_entry){name_hash(name, n, SEED), tag, labels};
}

/* A name server or alias counts where it is the listed name or below it. */
static void test_names(void **state)
{
	static const struct {
		const char *target;
		uint16_t type;
		uint8_t section, signals;
	} cases[] = {
	    {"sink.example", 2, RR_AUTHORITY, FT_SINK_NS},
	    {"ns1.Sink.Example", 2, RR_ANSWER, FT_SINK_NS},
	    {"ns1.sink.example", 2, RR_ADDITIONAL, 0},
	    {"xsink.example", 2, RR_AUTHORITY, 0},
	    {"example", 2, RR_AUTHORITY, 0},
	    {"hole.test", 5, RR_ANSWER, FT_SINK_CNAME},
	    {"a.b.hole.test", 5, RR_ANSWER, FT_SINK_CNAME},
	    {"hole.test", 5, RR_AUTHORITY, 0},
	    {"hole.test", 2, RR_AUTHORITY, 0},
	    {"sink.example", 5, RR_ANSWER, 0},
	};
	struct nameset_entry ns = entry("sink.example", 3, 2), cname = entry("hole.test", 4, 2);
	const struct sinklist_parts parts = {
	    .ns = &ns, .cname = &cname, .servers = 1, .aliases = 1, .name_seed = SEED};
	struct sinklist_hit hit[SINKLIST_HITS];
	struct sinklist *s = sinklist_create(&parts);

	(void)state;
	assert_non_null(s);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct wire w;
		wire_init(&w, false);
		wire_labels(&w, cases[i].target);
		wire_u8(&w, 0);
		for (uint32_t cut = 0; cut <= w.n; cut++) {
			uint8_t *data = guard_copy(w.b, cut);
			const struct rr rr = {.type = cases[i].type,
					      .class = 1,
					      .rdlen = (uint16_t)w.n,
					      .section = cases[i].section};
			const struct msg m = {.data = data, .len = (uint16_t)cut, .rrs = 1};
			const uint32_t n = sinklist_look(s, &m, &rr, hit);
			assert_int_equal(n, cut == w.n && cases[i].signals != 0);
			if (n == 1)
				assert_int_equal(hit[0].signals, cases[i].signals);
			guard_free(data, cut);
		}
	}
	sinklist_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),     cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_truncated), cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a verdict says, by hand-written expectation; rule by rule against an
 * independent evaluation: test_match_reference.c. */
#include "bigram.h"
#include "guard.h"
#include "msg.h"
#include "name.h"
#include "name_text.h"
#include "rules_rig.h"

#include <fluxtap/dns.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#define NAME_SEED 0x1122334455667788u
#define SKETCH_SEED 99u

static const char suffixes[] = "com\nnet\norg\nuk\nco.uk\nde\nddns.net\n*.ck\n!www.ck\n";

struct name {
	uint8_t wire[FT_NAME_CAP];
	uint32_t len;
};

static struct name name_of(const char *text)
{
	struct name n;
	const char *why = "";

	n.len = name_from_text(text, (uint32_t)strlen(text), n.wire, &why);
	if (n.len == 0)
		fail_msg("%s: %s", text, why);
	return n;
}

static struct ruleset_name entry(const struct name *n, struct verdict *out)
{
	return (struct ruleset_name){n->wire, n->len, name_hash(n->wire, n->len, NAME_SEED), out};
}

static struct verdict verdict_of(const struct rules_rig *r, const char *text)
{
	const struct name n = name_of(text);
	struct verdict v;
	struct ruleset_name e = entry(&n, &v);

	memset(&v, 0xee, sizeof(v));
	v.stamp = 77;
	ruleset_step(r->set, r->scratch, &e, 1);
	assert_int_equal(v.stamp, 77);
	return v;
}

/* Ids of all rules that a name has, in the order of their numbers: "a b c". */
static const char *ids(const struct rules_rig *r, const char *text)
{
	static char out[1024];
	const struct name n = name_of(text);
	uint32_t tags[16];
	const uint32_t k = ruleset_tags(r->set, r->scratch, n.wire, n.len, tags, 16);
	const struct verdict v = verdict_of(r, text);
	size_t at = 0;

	assert_true(k <= 16);
	assert_int_equal(v.tags, k);
	for (uint32_t i = 0; i < VERDICT_TAGS; i++)
		assert_int_equal(v.tag[i], i < k ? tags[i] : 0);
	out[0] = '\0';
	for (uint32_t i = 0; i < k; i++)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s", i ? " " : "",
				       rules_info(r->rules, tags[i])->id);
	return out;
}

static uint64_t keyed(const char *text)
{
	const struct name n = name_of(text);

	return name_hash(n.wire, n.len, NAME_SEED);
}

static void fields(void **unused)
{
	static const struct {
		const char *name, *domain, *label;
		uint8_t labels;
	} cases[] = {
	    {"www.example.co.uk", "example.co.uk", "example", 4},
	    {"example.com", "example.com", "example", 2},
	    {"a.b.c.ddns.net", "c.ddns.net", "c", 5},
	    {"x.www.ck", "www.ck", "www", 3},
	    {"x.y.z.ck", "y.z.ck", "y", 4},
	    {"host.corp", "host.corp", "host", 2},
	    {"co.uk", "co.uk", "", 2},
	    {"com", "com", "", 1},
	    {".", ".", "", 0},
	};
	struct rules_rig r;

	(void)unused;
	rules_rig_init(&r, "", suffixes, NAME_SEED, SKETCH_SEED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct verdict v = verdict_of(&r, cases[i].name);
		const struct name whole = name_of(cases[i].name), domain = name_of(cases[i].domain);

		assert_int_equal(v.name_key, keyed(cases[i].name));
		assert_int_equal(v.name_sketch,
				 XXH3_64bits_withSeed(whole.wire, whole.len, SKETCH_SEED));
		assert_int_equal(v.domain_key, keyed(cases[i].domain));
		assert_int_equal(v.domain_off, whole.len - domain.len);
		assert_int_equal(v.labels, cases[i].labels);
		assert_int_equal(v.score, bigram_score((const uint8_t *)cases[i].label,
						       (uint32_t)strlen(cases[i].label)));
		assert_int_equal(v.generation, 1);
		assert_int_equal(v.tags, 0);
		assert_int_equal(v.watched, 0);
		for (uint32_t t = 0; t < VERDICT_TAGS; t++)
			assert_int_equal(v.tag[t], 0);
	}
	rules_rig_fini(&r);
}

static void kinds(void **unused)
{
	struct rules_rig r;

	(void)unused;
	rules_rig_init(&r,
		       "e exact evil.example.com\n"
		       "e exact .\n"
		       "s suffix bad.org\n"
		       "s suffix very.bad.org\n"
		       "t suffix org\n"
		       "x regex ^a+\\.\n"
		       "x regex aa\n"
		       "d dnsbl bl.example.net\n"
		       "h shape len=6 charset=a-f tld=com\n"
		       "h shape len=5-7 charset=a-z tld=com,co.uk\n"
		       "both exact very.bad.org\n"
		       "odd exact a\\.b\\000.com\n",
		       suffixes, NAME_SEED, SKETCH_SEED);
	assert_string_equal(ids(&r, "evil.example.com"), "e h");
	assert_string_equal(ids(&r, "EVIL.Example.COM"), "e h");
	assert_string_equal(ids(&r, "x.evil.example.com"), "h");
	assert_string_equal(ids(&r, "."), "e");
	assert_string_equal(ids(&r, "bad.org"), "s t");
	assert_string_equal(ids(&r, "notbad.org"), "t");
	assert_string_equal(ids(&r, "a.very.bad.org"), "s t x");
	assert_string_equal(ids(&r, "very.bad.org"), "s t both");
	assert_string_equal(ids(&r, "org"), "t");
	assert_string_equal(ids(&r, "bad.org.com"), "");
	assert_string_equal(ids(&r, "caab.de"), "x");
	assert_string_equal(ids(&r, "abcdef.com"), "h");
	assert_string_equal(ids(&r, "abcdef.co.uk"), "h");
	assert_string_equal(ids(&r, "abcdef.de"), "");
	assert_string_equal(ids(&r, "a\\.b\\000.com"), "odd");
	assert_string_equal(ids(&r, "1.2.3.4.bl.example.net"), "d");
	assert_string_equal(ids(&r, "bl.example.net"), "");
	assert_int_equal(ruleset_kind(r.set, rules_number(r.rules, "d", 1, RULE_DNSBL)),
			 RULE_DNSBL);
	assert_int_equal(ruleset_kind(r.set, 0), RULE_KIND_CAP);
	assert_int_equal(ruleset_kind(r.set, 1000), RULE_KIND_CAP);
	rules_rig_fini(&r);
}

/* Family bits come from the rules and from what is built in. */
static void families(void **unused)
{
	struct rules_rig r;
	uint64_t mine = 0, tinba = 0;

	(void)unused;
	rules_rig_init(&r,
		       "a shape len=13 charset=a-z tld=de family=mine\n"
		       "b shape len=13 charset=a-z tld=uk\n",
		       suffixes, NAME_SEED, SKETCH_SEED);
	for (unsigned bit = 0; rules_family(r.rules, bit) != NULL; bit++) {
		mine |= strcmp(rules_family(r.rules, bit), "mine") == 0 ? 1ull << bit : 0;
		tinba |= strcmp(rules_family(r.rules, bit), "tinba") == 0 ? 1ull << bit : 0;
	}
	assert_true(mine != 0 && tinba != 0);
	assert_true((verdict_of(&r, "abcdefghijklm.de").shapes & mine) != 0);
	assert_true((verdict_of(&r, "www.abcdefghijklm.de").shapes & mine) != 0);
	assert_true((verdict_of(&r, "abcdefghijklmn.de").shapes & mine) == 0);
	assert_int_equal(verdict_of(&r, "abcdefghijklm.uk").shapes & mine, 0);
	assert_int_equal(verdict_of(&r, "abcdefghijklm.uk").tags, 1);
	/* tinba: 12 letters, .com and others (DOMAIN 6.3). */
	assert_true((verdict_of(&r, "blackfreeqhs.com").shapes & tinba) != 0);
	assert_true((verdict_of(&r, "blackfreeq5s.com").shapes & tinba) == 0);
	assert_int_equal(verdict_of(&r, "com").shapes, 0);
	rules_rig_fini(&r);
}

struct query {
	const char *name; /* in front of the zone */
	int form;         /* -1: none */
	const char *text;
};

#define N8 "0.0.0.0.0.0.0.0."
#define HEX32 "0123456789abcdef0123456789abcdef"
static const struct query queries[] = {
    {"1.2.0.192", DNSBL_IPV4, "192.0.2.1"},
    {"0.0.0.0", DNSBL_IPV4, "0.0.0.0"},
    {"255.255.255.255", DNSBL_IPV4, "255.255.255.255"},
    {"256.2.0.192", -1, NULL},
    {"01.2.0.192", -1, NULL},
    {"00.2.0.192", -1, NULL},
    {"1.2.0.1920", -1, NULL},
    {"1.2.0", -1, NULL},
    {"1.1.2.0.192", -1, NULL},
    {"a.2.0.192", -1, NULL},
    {"1.0.0.0.0.0.0.0." N8 N8 "8.b.d.0.1.0.0.2", DNSBL_IPV6, "2001:db8::1"},
    {"1.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0." N8 "8.B.D.0.1.0.0.2", DNSBL_IPV6, "2001:db8::1:0:1"},
    {"f.f.f.f.0.0.0.0.0.0.0.0.1.0.0.0.1.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2", DNSBL_IPV6,
     "2001:db8:1:1:1::ffff"},
    {N8 N8 N8 "0.0.0.0.0.0.0.0", DNSBL_IPV6, "::"},
    {"1.0.0.0.0.0.0." N8 N8 "8.b.d.0.1.0.0.2", -1, NULL},
    {"1.0.0.0.0.0.0.0.0." N8 N8 "8.b.d.0.1.0.0.2", -1, NULL},
    {"g.0.0.0.0.0.0.0." N8 N8 "8.b.d.0.1.0.0.2", -1, NULL},
    {"11.0.0.0.0.0.0.0." N8 N8 "8.b.d.0.1.0.0.2", -1, NULL},
    {"netATLANTic.COM", DNSBL_DOMAIN, "netatlantic.com"},
    {"a.b.co.uk", DNSBL_DOMAIN, "a.b.co.uk"},
    {"a\\.b\\000.de", DNSBL_DOMAIN, "a\\.b\\000.de"},
    {"x.ck", DNSBL_DOMAIN, "x.ck"},
    {"com", -1, NULL},
    {"example.test", -1, NULL},
    {"x", -1, NULL},
    {HEX32, DNSBL_HASH, HEX32},
    {HEX32 "01234567", DNSBL_HASH, HEX32 "01234567"},
    {"abcdefghijklmnopqrstuvwxyz234567", DNSBL_HASH, "abcdefghijklmnopqrstuvwxyz234567"},
    {"ybndrfg8ejkmcpqxot1uwisza345h769", DNSBL_HASH, "ybndrfg8ejkmcpqxot1uwisza345h769"},
    {"abcdefghijklmnopqrstuvwxyz234560", -1, NULL},
    {"abcdefghijklmnopqrstuvwxyz23456", -1, NULL},
    {HEX32 "0", -1, NULL},
    {HEX32 "0123456g", -1, NULL},
    {"0123456789abcdef0123456789abcde-", -1, NULL},
    {HEX32 ".x", -1, NULL},
};

static void dnsbl_forms(void **unused)
{
	struct rules_rig r;
	struct dnsbl_subject s;
	char text[600];

	(void)unused;
	rules_rig_init(&r, "bl dnsbl multi.surbl.org\ns suffix surbl.org\n", suffixes, NAME_SEED,
		       SKETCH_SEED);
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		const struct query *q = &queries[i];

		snprintf(text, sizeof(text), "%s.MuLTI.SuRBl.ORg.", q->name);
		const struct name n = name_of(text);
		if (strcmp(ids(&r, text), q->form < 0 ? "s" : "bl s") != 0)
			fail_msg("%s: %s", text, ids(&r, text));
		assert_int_equal(ruleset_dnsbl(r.set, 1, n.wire, n.len, &s), q->form >= 0);
		assert_false(ruleset_dnsbl(r.set, 2, n.wire, n.len, &s));
		if (q->form < 0)
			continue;
		assert_int_equal(s.form, q->form);
		assert_string_equal(s.text, q->text);
		assert_int_equal(s.zone_off, n.len - sizeof("\5multi\5surbl\3org"));
	}
	rules_rig_fini(&r);
}

/* A rule with zones inside one another: the longest whose prefix has a form. */
static void dnsbl_zones(void **unused)
{
	static const struct {
		const char *name, *ids, *a, *b; /* what each rule says is asked about */
	} cases[] = {
	    {"x.com.example.org", "a b", "x.com", "x.com"},
	    {"1.2.3.4.com.example.org", "a b", "4.3.2.1", "1.2.3.4.com"},
	    {"1.2.3.4.example.org", "a b", "4.3.2.1", "4.3.2.1"},
	    {"y.x.com.example.org", "a b", "y.x.com", "y.x.com"},
	    {"x.example.org", "", NULL, NULL},
	};
	struct rules_rig r;
	struct dnsbl_subject s;

	(void)unused;
	rules_rig_init(&r,
		       "a dnsbl example.org\na dnsbl com.example.org\nb dnsbl example.org\n"
		       "c dnsbl org\n",
		       "com\n", NAME_SEED, SKETCH_SEED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct name n = name_of(cases[i].name);

		assert_string_equal(ids(&r, cases[i].name), cases[i].ids);
		assert_int_equal(ruleset_dnsbl(r.set, 1, n.wire, n.len, &s), cases[i].a != NULL);
		if (cases[i].a != NULL)
			assert_string_equal(s.text, cases[i].a);
		assert_int_equal(ruleset_dnsbl(r.set, 2, n.wire, n.len, &s), cases[i].b != NULL);
		if (cases[i].b != NULL)
			assert_string_equal(s.text, cases[i].b);
		assert_false(ruleset_dnsbl(r.set, 3, n.wire, n.len, &s));
	}
	rules_rig_fini(&r);
}

/* Zones where customers have a key. */
static void dnsbl_keys(void **unused)
{
	static const struct query cases[] = {
	    {"2.0.0.127.k3y.zen.dq.spamhaus.net", DNSBL_IPV4, "127.0.0.2"},
	    {"2.0.0.127.zen.dq.spamhaus.net", DNSBL_IPV4, "127.0.0.2"},
	    {"x.com.k3y.zen.dq.spamhaus.net", DNSBL_DOMAIN, "x.com"},
	    {HEX32 ".k3y.zen.dq.spamhaus.net", DNSBL_HASH, HEX32},
	    {"k3y.zen.dq.spamhaus.net", -1, NULL},
	    {"com.k3y.zen.dq.spamhaus.net", -1, NULL},
	    {"2.0.0.127.k3y.k3y.zen.dq.spamhaus.net", -1, NULL},
	    {"2.0.0.127.k3y.zen.spamhaus.net", -1, NULL},
	    {"2.0.0.127.zen.spamhaus.net", DNSBL_IPV4, "127.0.0.2"},
	};
	struct rules_rig r;
	struct dnsbl_subject s;

	(void)unused;
	rules_rig_init(&r, "a dnsbl zen.dq.spamhaus.net\na dnsbl zen.spamhaus.net\n", "com\n",
		       NAME_SEED, SKETCH_SEED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct name n = name_of(cases[i].name);

		assert_string_equal(ids(&r, cases[i].name), cases[i].form < 0 ? "" : "a");
		assert_int_equal(ruleset_dnsbl(r.set, 1, n.wire, n.len, &s), cases[i].form >= 0);
		if (cases[i].form < 0)
			continue;
		assert_int_equal(s.form, cases[i].form);
		assert_string_equal(s.text, cases[i].text);
	}
	rules_rig_fini(&r);
}

static void many_rules(void **unused)
{
	static char list[64000];
	static uint32_t tags[400];
	const struct name n = name_of("a.b.example.com");
	struct rules_rig r;
	struct verdict v;
	size_t at = 0;

	(void)unused;
	/* 400 rules; each lists the name twice, and every second another name too. */
	for (unsigned i = 0; i < 400; i++)
		at += (size_t)snprintf(
		    list + at, sizeof(list) - at, "r%u suffix %s\nr%u suffix %s\n", i,
		    i % 3 ? "b.example.com" : "example.com", i, i % 2 ? "com" : "a.b.example.com");
	rules_rig_init(&r, list, suffixes, NAME_SEED, SKETCH_SEED);
	v = verdict_of(&r, "a.b.example.com");
	assert_int_equal(v.tags, 255);
	for (uint32_t i = 0; i < VERDICT_TAGS; i++)
		assert_int_equal(v.tag[i], i + 1);
	assert_int_equal(ruleset_tags(r.set, r.scratch, n.wire, n.len, tags, 10), 400);
	assert_int_equal(tags[10], 0);
	assert_int_equal(ruleset_tags(r.set, r.scratch, n.wire, n.len, tags, 400), 400);
	for (uint32_t i = 0; i < 400; i++)
		assert_int_equal(tags[i], i + 1);
	/* Nothing stays from one call to the next. */
	assert_int_equal(verdict_of(&r, "x.org").tags, 0);
	assert_int_equal(verdict_of(&r, "com").tags, 200);
	rules_rig_fini(&r);
}

/* A batch gives what each of its names alone gives, wherever it stands; and nothing
 * behind a name is read. */
static void batches(void **unused)
{
	static const char *const texts[] = {
	    "a.b.example.com",         "com", ".", "x.bad.org", "1.2.3.4.example.com", "abcdef.com",
	    "\\000.\\255\\255.bad.org"};
	struct verdict v[MSG_CAP], one;
	struct ruleset_name names[MSG_CAP];
	uint8_t *guarded[MSG_CAP];
	struct rules_rig r;

	(void)unused;
	rules_rig_init(&r,
		       "a suffix com\nb exact com\nc suffix bad.org\nd dnsbl example.com\n"
		       "e regex \\.example\\.\nf shape len=6 charset=a-f\n",
		       suffixes, NAME_SEED, SKETCH_SEED);
	memset(v, 0, sizeof(v));
	for (uint32_t i = 0; i < MSG_CAP; i++) {
		const struct name n = name_of(texts[i * 5 % 7]);

		guarded[i] = guard_copy(n.wire, n.len);
		names[i] = entry(&n, &v[i]);
		names[i].folded = guarded[i];
	}
	ruleset_step(r.set, r.scratch, names, MSG_CAP);
	for (uint32_t i = 0; i < MSG_CAP; i++) {
		one = verdict_of(&r, texts[i * 5 % 7]);
		one.stamp = 0;
		assert_memory_equal(&one, &v[i], sizeof(one));
		guard_free(guarded[i], names[i].len);
	}
	ruleset_step(r.set, r.scratch, names, 0);
	rules_rig_fini(&r);
	ruleset_destroy(NULL);
	ruleset_scratch_destroy(NULL);
}

/* A name of 127 labels, each suffix of which is listed. */
static void deep_names(void **unused)
{
	static char list[40000];
	char text[300] = "";
	struct rules_rig r;
	size_t at = 0;

	(void)unused;
	for (unsigned i = 0; i < 127; i++)
		strcat(text, "a.");
	for (unsigned i = 0; i < 127; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "r%u suffix %s\n", i,
				       text + 2 * i);
	at += (size_t)snprintf(list + at, sizeof(list) - at, "root suffix .\n");
	rules_rig_init(&r, list, suffixes, NAME_SEED, SKETCH_SEED);
	assert_int_equal(verdict_of(&r, text).tags, 128);
	assert_int_equal(verdict_of(&r, text).labels, 127);
	assert_int_equal(verdict_of(&r, "a.a").tags, 3);
	assert_int_equal(verdict_of(&r, ".").tags, 1);
	rules_rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields),      cmocka_unit_test(kinds),
	    cmocka_unit_test(families),    cmocka_unit_test(dnsbl_forms),
	    cmocka_unit_test(dnsbl_zones), cmocka_unit_test(dnsbl_keys),
	    cmocka_unit_test(many_rules),  cmocka_unit_test(batches),
	    cmocka_unit_test(deep_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

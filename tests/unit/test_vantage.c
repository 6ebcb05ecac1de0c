/* SPDX-License-Identifier: BSD-3-Clause */
#include "vantage.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PREFIXES 24u

/* Either family; IPv4 as IPv4-mapped. */
static struct addr address(const char *text)
{
	struct addr a = {{0}};

	if (inet_pton(AF_INET6, text, a.b) == 1)
		return a;
	a.b[10] = a.b[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, a.b + 12), 1);
	return a;
}

/* "prefix/bits ..." into a set. */
static struct prefix_set set_of(const char *text)
{
	struct addr addr[PREFIXES];
	uint8_t bits[PREFIXES];
	struct prefix_set s;
	size_t n = 0;
	int used = 0;
	char word[64];
	unsigned len;

	while (sscanf(text, " %63[^/]/%u%n", word, &len, &used) == 2) {
		addr[n] = address(word);
		bits[n++] = (uint8_t)(len + (strchr(word, ':') == NULL ? 96 : 0));
		text += used;
	}
	assert_int_equal(prefix_set_init(&s, addr, bits, n), 0);
	return s;
}

static bool has(const struct prefix_set *s, const char *text)
{
	const struct addr a = address(text);

	return prefix_set_has(s, &a);
}

/* Each word with + must be in the set, each with - must not. */
static void check_set(const char *prefixes, const char *addresses)
{
	struct prefix_set s = set_of(prefixes);
	char word[64];
	int used = 0;

	while (sscanf(addresses, " %63s%n", word, &used) == 1) {
		if (has(&s, word + 1) != (word[0] == '+'))
			fail_msg("%s: %s", prefixes, word);
		addresses += used;
	}
	for (size_t i = 1; i < s.n; i++) { /* disjoint and rising, as the header says */
		assert_true(memcmp(&s.range[i - 1].hi, &s.range[i].lo, 16) < 0);
		assert_true(memcmp(&s.range[i].lo, &s.range[i].hi, 16) <= 0);
	}
	prefix_set_fini(&s);
	assert_null(s.range);
}

static void test_sets(void **state)
{
	(void)state;
	check_set("", "-0.0.0.0 -:: -255.255.255.255 -ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	check_set("192.0.2.0/24", "+192.0.2.0 +192.0.2.255 -192.0.1.255 -192.0.3.0 -::c000:201");
	check_set("192.0.2.77/24",
		  "+192.0.2.0 +192.0.2.255 -192.0.3.0"); /* host bits do not matter */
	check_set("192.0.2.1/32", "+192.0.2.1 -192.0.2.0 -192.0.2.2");
	check_set("10.0.0.0/9", "+10.127.255.255 -10.128.0.0 -9.255.255.255");
	check_set("2001:db8::/32",
		  "+2001:db8:: +2001:db8:ffff:ffff:ffff:ffff:ffff:ffff -2001:db7:ffff:: "
		  "-2001:db9::");
	check_set("2001:db8::1/128", "+2001:db8::1 -2001:db8:: -2001:db8::2");
	check_set("2001:db8:0:10::/61", "+2001:db8:0:17:ffff:: -2001:db8:0:18:: -2001:db8:0:f::");
	/* /0 of a family: that of IPv6 has the mapped addresses in it, that of IPv4 no others. */
	check_set("0.0.0.0/0", "+0.0.0.0 +255.255.255.255 -:: -2001:db8::1 -::1:0:0:0");
	check_set("::/0", "+:: +10.0.0.1 +ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	check_set("::ffff:192.0.2.0/120", "+192.0.2.9 -192.0.3.9"); /* IPv4 written as IPv6 */
	/* Adjacent, nested, the same twice, in any order. */
	check_set("10.0.1.0/24 10.0.0.0/24",
		  "+10.0.0.0 +10.0.0.255 +10.0.1.0 +10.0.1.255 -10.0.2.0");
	check_set("10.0.0.0/24 10.0.0.128/25 10.0.0.0/8 10.0.0.0/8 10.9.0.1/32",
		  "+10.0.0.1 +10.0.0.200 +10.255.255.255 +10.9.0.1 -11.0.0.0 -9.255.255.255");
	check_set("10.0.0.0/8 10.1.0.0/16 10.2.0.0/16 12.0.0.0/8", "+10.3.0.0 -11.0.0.0 +12.0.0.0");
	check_set("::/1 8000::/1", "+:: +7fff:: +8000:: +ffff::");
	check_set("::1/128 ::/128 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		  "+:: +::1 -::2 +ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff -fffe::");
}

static unsigned bit_of(const struct addr *a, unsigned i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

static bool naive_has(const struct addr *addr, const uint8_t *bits, size_t n, const struct addr *a)
{
	for (size_t k = 0; k < n; k++) {
		unsigned same = 0;
		while (same < bits[k] && bit_of(&addr[k], same) == bit_of(a, same))
			same++;
		if (same == bits[k])
			return true;
	}
	return false;
}

/* Addresses out of few values, so that prefixes meet, touch and nest all the time. */
static struct addr random_address(void)
{
	static const uint8_t octets[] = {0, 1, 127, 128, 254, 255};
	struct addr a;

	for (unsigned i = 0; i < 16; i++)
		a.b[i] = i < 13 ? (uint8_t)(rand() % 8 == 0 ? 255 : 0) : octets[rand() % 6];
	return a;
}

static void test_random_sets(void **state)
{
	struct addr addr[PREFIXES];
	uint8_t bits[PREFIXES];

	(void)state;
	srand(1);
	for (unsigned run = 0; run < 5000; run++) {
		const size_t n = (size_t)rand() % PREFIXES;
		struct prefix_set s;
		for (size_t i = 0; i < n; i++) {
			addr[i] = random_address();
			bits[i] = (uint8_t)(rand() % 8 == 0 ? rand() % 129 : 104 + rand() % 25);
		}
		assert_int_equal(prefix_set_init(&s, addr, bits, n), 0);
		for (unsigned k = 0; k < 200; k++) {
			const struct addr a = k < n ? addr[k] : random_address();
			assert_int_equal(prefix_set_has(&s, &a), naive_has(addr, bits, n, &a));
		}
		prefix_set_fini(&s);
	}
}

static uint8_t by_addrs(const char *auth, const char *resolvers, const char *client,
			const char *server)
{
	struct vantage_rules r = {
	    .auth = set_of(auth), .resolvers = set_of(resolvers), .configured = true};
	const struct addr c = address(client), s = address(server);
	const uint8_t v = vantage_of_addrs(&r, &c, &s);

	prefix_set_fini(&r.auth);
	prefix_set_fini(&r.resolvers);
	return v;
}

static void test_addresses(void **state)
{
	const char *auth = "192.0.2.0/24 2001:db8:53::/48",
		   *res = "198.51.100.0/24 2001:db8:1::/48";
	const struct vantage_rules nothing = {.configured = false};
	const struct addr any = address("10.0.0.1");

	(void)state;
	assert_int_equal(by_addrs(auth, res, "203.0.113.1", "192.0.2.1"), FT_VANTAGE_AUTH);
	assert_int_equal(by_addrs(auth, res, "2001:db8::1", "2001:db8:53::1"), FT_VANTAGE_AUTH);
	assert_int_equal(by_addrs(auth, res, "203.0.113.1", "198.51.100.1"), FT_VANTAGE_S2R);
	assert_int_equal(by_addrs(auth, res, "198.51.100.1", "203.0.113.1"), FT_VANTAGE_R2A);
	assert_int_equal(by_addrs(auth, res, "2001:db8:1::9", "2001:db8:2::"), FT_VANTAGE_R2A);
	assert_int_equal(by_addrs(auth, res, "203.0.113.1", "203.0.113.2"), FT_VANTAGE_X);
	assert_int_equal(by_addrs(auth, res, "192.0.2.1", "203.0.113.2"), FT_VANTAGE_X);
	/* Our resolver asks our server: AUTH. A server in both lists: AUTH wins. */
	assert_int_equal(by_addrs(auth, res, "198.51.100.1", "192.0.2.1"), FT_VANTAGE_AUTH);
	assert_int_equal(by_addrs("192.0.2.0/24", "192.0.2.0/24", "10.0.0.1", "192.0.2.1"),
			 FT_VANTAGE_AUTH);
	/* A forwarder asks a resolver, both ours: the server decides. */
	assert_int_equal(by_addrs(auth, res, "198.51.100.1", "198.51.100.2"), FT_VANTAGE_S2R);
	/* One list is enough for addresses alone to decide. */
	assert_int_equal(by_addrs(auth, "", "203.0.113.1", "203.0.113.2"), FT_VANTAGE_X);
	assert_int_equal(by_addrs("", res, "203.0.113.1", "203.0.113.2"), FT_VANTAGE_X);
	assert_int_equal(vantage_of_addrs(&nothing, &any, &any), FT_VANTAGE_CAP);
}

/* DOMAIN 0.1: RD=1 and RA=1 is S2R, RD=0 and AA=1 or a referral is R2A, else X. */
static void test_flags(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		const bool rd = i & 1, ra = i & 2, aa = i & 4, referral = i & 8, query = i & 16,
			   echo = i & 32;
		struct txn t = {.has_query = query, .has_response = true, .ra = ra, .aa = aa};
		t.q.rd = query ? rd : !rd; /* without a query nothing of it may count */
		t.rd = query ? echo : rd;  /* with one, what the server echoes does not */
		t.class = referral ? FT_CLASS_REFERRAL : FT_CLASS_DATA;
		t.q.vantage = query ? FT_VANTAGE_CAP : FT_VANTAGE_AUTH;
		t.vantage = query ? FT_VANTAGE_AUTH : FT_VANTAGE_CAP;
		const enum ft_vantage want = rd ? (ra ? FT_VANTAGE_S2R : FT_VANTAGE_X)
						: (aa || referral ? FT_VANTAGE_R2A : FT_VANTAGE_X);
		assert_int_equal(vantage_of_txn(&t), want);
	}
	for (unsigned rd = 0; rd < 2; rd++) { /* unanswered: RD alone */
		const struct txn t = {.has_query = true,
				      .q = {.rd = (uint8_t)rd, .vantage = FT_VANTAGE_CAP},
				      .ra = true,
				      .aa = true,
				      .rd = !rd};
		assert_int_equal(vantage_of_txn(&t), rd ? FT_VANTAGE_S2R : FT_VANTAGE_R2A);
	}
}

/* What the addresses said stands, whatever the flags say. */
static void test_addresses_first(void **state)
{
	(void)state;
	for (uint8_t v = 0; v < FT_VANTAGE_CAP; v++) {
		for (unsigned i = 0; i < 16; i++) {
			struct txn t = {
			    .has_query = true, .has_response = i & 8, .ra = i & 1, .aa = i & 2};
			t.q.rd = (uint8_t)(i >> 2 & 1);
			t.q.vantage = v;
			t.vantage = FT_VANTAGE_CAP;
			assert_int_equal(vantage_of_txn(&t), v);
			t.has_query = false;
			t.has_response = true;
			t.q.vantage = FT_VANTAGE_CAP;
			t.vantage = v;
			assert_int_equal(vantage_of_txn(&t), v);
		}
	}
}

/* Mnemonics of the IANA DNS parameters. */
struct text {
	uint16_t n;
	const char *text;
};
static const struct text types[] = {
    {0, "TYPE0"},         {1, "A"},        {2, "NS"},     {5, "CNAME"},   {6, "SOA"},
    {12, "PTR"},          {15, "MX"},      {16, "TXT"},   {28, "AAAA"},   {33, "SRV"},
    {35, "NAPTR"},        {39, "DNAME"},   {41, "OPT"},   {43, "DS"},     {46, "RRSIG"},
    {47, "NSEC"},         {48, "DNSKEY"},  {50, "NSEC3"}, {52, "TLSA"},   {54, "TYPE54"},
    {59, "CDS"},          {60, "CDNSKEY"}, {62, "CSYNC"}, {63, "ZONEMD"}, {64, "SVCB"},
    {65, "HTTPS"},        {99, "SPF"},     {249, "TKEY"}, {250, "TSIG"},  {251, "IXFR"},
    {252, "AXFR"},        {255, "ANY"},    {256, "URI"},  {257, "CAA"},   {65280, "TYPE65280"},
    {65535, "TYPE65535"},
};
static const struct text rcodes[] = {
    {0, "NOERROR"},   {1, "FORMERR"},    {2, "SERVFAIL"}, {3, "NXDOMAIN"},     {4, "NOTIMP"},
    {5, "REFUSED"},   {6, "YXDOMAIN"},   {7, "YXRRSET"},  {8, "NXRRSET"},      {9, "NOTAUTH"},
    {10, "NOTZONE"},  {11, "DSOTYPENI"}, {12, "RCODE12"}, {15, "RCODE15"},     {16, "BADVERS"},
    {22, "BADTRUNC"}, {23, "BADCOOKIE"}, {24, "RCODE24"}, {4095, "RCODE4095"},
};
static const struct text opcodes[] = {
    {0, "QUERY"},  {1, "IQUERY"}, {2, "STATUS"},  {3, "OPCODE3"},   {4, "NOTIFY"},
    {5, "UPDATE"}, {6, "DSO"},    {7, "OPCODE7"}, {15, "OPCODE15"},
};

static void test_texts(void **state)
{
	char buf[16];

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		assert_string_equal(ft_qtype_text(types[i].n, buf, sizeof(buf)), types[i].text);
	for (size_t i = 0; i < sizeof(rcodes) / sizeof(*rcodes); i++)
		assert_string_equal(ft_rcode_text(rcodes[i].n, buf, sizeof(buf)), rcodes[i].text);
	for (size_t i = 0; i < sizeof(opcodes) / sizeof(*opcodes); i++)
		assert_string_equal(ft_opcode_text((uint8_t)opcodes[i].n, buf, sizeof(buf)),
				    opcodes[i].text);
	assert_string_equal(ft_class_texts[FT_CLASS_CNAME_ONLY], "CNAME_ONLY");
	assert_string_equal(ft_class_texts[FT_CLASS_TIMEOUT], "TIMEOUT");
	assert_string_equal(ft_vantage_texts[FT_VANTAGE_X], "X");
	assert_string_equal(ft_qgroup_texts[ft_qgroup_of(64)], "HTTPS");
	assert_string_equal(ft_qgroup_texts[ft_qgroup_of(255)], "ANY");
	assert_string_equal(ft_qgroup_texts[ft_qgroup_of(99)], "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sets),
	    cmocka_unit_test(test_random_sets),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_addresses_first),
	    cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests_name("vantage", tests, NULL, NULL);
}

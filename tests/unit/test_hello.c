/* SPDX-License-Identifier: BSD-3-Clause */
/* Hellos, long headers and TCP options: octets as captured or written by hand from the RFCs,
 * and each of them cut at every length before a page that cannot be read. */
#include "doh.h"
#include "guard.h"
#include "hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* RFC 8448 section 3: "Simple 1-RTT Handshake", client's and server's first records. */
static const char client_text[] =
    "16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006"
    "130113031302010000910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100"
    "01010102010301040023000000330026002400 1d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d"
    "5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501060102010402050"
    "206020202002d00020101001c00024001";
static const char server_text[] =
    "160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100"
    "002e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b000203"
    "04";

static uint32_t from_hex(const char *text, uint8_t *out)
{
	uint32_t n = 0;
	unsigned x;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == ' ')
			continue;
		assert_int_equal(sscanf(p, "%2x", &x), 1);
		out[n++] = (uint8_t)x;
		p++;
	}
	return n;
}

static struct hello read_guarded(const uint8_t *p, uint32_t len)
{
	uint8_t *copy = guard_copy(p, len);
	struct hello h;

	hello_read(copy, len, &h);
	if (h.name_len != 0) /* it has to lie inside */
		assert_true(h.name >= copy && h.name + h.name_len <= copy + len);
	guard_free(copy, len);
	return h;
}

static void test_rfc_8448(void **unused)
{
	uint8_t data[512];

	(void)unused;
	uint32_t n = from_hex(client_text, data);
	struct hello h;
	hello_read(data, n, &h);
	assert_int_equal(h.kind, HELLO_CLIENT);
	assert_true(h.whole);
	assert_int_equal(h.name_len, 6);
	assert_memory_equal(h.name, "server", 6);
	assert_false(h.alpn_dot);
	for (uint32_t cut = 0; cut < n; cut++) {
		h = read_guarded(data, cut);
		assert_int_equal(h.kind, cut < 6 ? HELLO_SHORT : HELLO_CLIENT);
		assert_false(h.whole);
	}
	n = from_hex(server_text, data);
	hello_read(data, n, &h);
	assert_int_equal(h.kind, HELLO_SERVER);
	assert_true(h.whole && h.tls13);
	for (uint32_t cut = 0; cut < n; cut++) {
		h = read_guarded(data, cut);
		assert_int_equal(h.kind, cut < 6 ? HELLO_SHORT : HELLO_SERVER);
		assert_false(h.whole || h.tls13); /* that extension is the last one */
	}
	data[48] = 40; /* what stands behind the extensions is none */
	assert_false(read_guarded(data, n).tls13);
	data[48] = 46;
	assert_true(read_guarded(data, n).tls13);
	data[n - 1] = 3; /* TLS 1.2 */
	hello_read(data, n, &h);
	assert_false(h.tls13);
}

static void test_others(void **unused)
{
	static const char *const none[] = {"474554202f",                /* GET / */
					   "15030300020228",            /* an alert */
					   "160303000404000000",        /* a session ticket */
					   "1602",                      /* SSL 2 */
					   "160301000301000000000000"}; /* no room for a header */
	static const char alpn[] =
	    "1603010039010000350303"
	    "0000000000000000000000000000000000000000000000000000000000000000"
	    "000002130101000000"; /* replaced below */
	uint8_t data[256];
	struct hello h;

	(void)unused;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		const uint32_t n = from_hex(none[i], data);
		h = read_guarded(data, n);
		assert_int_equal(h.kind, HELLO_NONE);
	}
	/* ALPN "h2", "dot" behind an empty session id, one suite, one compression. */
	uint32_t n = from_hex(alpn, data);
	n = 43; /* record, handshake, version, random */
	static const uint8_t rest[] = {0, 0, 2, 0x13, 1, 1,   0,   0, 13,  0,   16,
				       0, 9, 0, 7,    2, 'h', '2', 3, 'd', 'o', 't'};
	memcpy(data + n, rest, sizeof(rest));
	n += (uint32_t)sizeof(rest);
	data[4] = (uint8_t)(n - 5);
	h = read_guarded(data, n);
	assert_int_equal(h.kind, HELLO_CLIENT);
	assert_true(h.whole && h.alpn_dot);
	data[n - 1] = 'x';
	assert_false(read_guarded(data, n).alpn_dot);
}

static void test_quic(void **unused)
{
	static const struct {
		const char *hex;
		bool is;
	} v[] = {
	    {"c300000001088394c8f03e5157080000449e", true},        /* RFC 9001 A.2 */
	    {"d36b3343cf088394c8f03e5157080000449e", true},        /* RFC 9369 A.2 */
	    {"c7ff00001d088394c8f03e515708000044", true},          /* draft 29 */
	    {"80000000000008f067a5502a4262b500000001", true},      /* version negotiation */
	    {"4cfe4189655e5cd55c41f69080575d7999c25a5bfb", false}, /* a short header */
	    {"c3000000011588", false},                             /* an id of 21 octets */
	    {"83000000010883", false},                             /* no fixed bit */
	    {"c3deadbeef0883", false},
	    {"16fefd00000000", false}, /* DTLS */
	};
	uint8_t data[64];

	(void)unused;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		const uint32_t n = from_hex(v[i].hex, data);
		for (uint32_t cut = 0; cut <= n; cut++) {
			uint8_t *copy = guard_copy(data, cut);
			assert_int_equal(hello_is_quic(copy, cut), v[i].is && cut >= 7);
			guard_free(copy, cut);
		}
	}
}

static void test_fast_open(void **unused)
{
	static const struct {
		const char *hex;
		enum hello_tfo want;
	} v[] = {
	    {"", HELLO_TFO_NONE},
	    {"020405b40402080a0001020300000000 01030307", HELLO_TFO_NONE}, /* Linux without */
	    {"020405b42202 0101", HELLO_TFO_REQUEST},
	    {"220a0123456789abcdef0000", HELLO_TFO_COOKIE},
	    {"2206 01234567", HELLO_TFO_COOKIE},
	    {"2212 000102030405060708090a0b0c0d0e0f", HELLO_TFO_COOKIE},
	    {"2207 0123456789", HELLO_TFO_NONE}, /* odd */
	    {"2204 0123", HELLO_TFO_NONE},       /* too short */
	    {"fe04f989", HELLO_TFO_REQUEST},
	    {"fe0cf989 0123456789abcdef", HELLO_TFO_COOKIE},
	    {"fe04f988", HELLO_TFO_NONE},
	    {"00 2202", HELLO_TFO_NONE},   /* behind the end */
	    {"0200 2202", HELLO_TFO_NONE}, /* a length that cannot be */
	    {"02ff 2202", HELLO_TFO_NONE},
	};
	uint8_t data[64];

	(void)unused;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		const uint32_t n = from_hex(v[i].hex, data);
		for (uint32_t cut = 0; cut <= n; cut++) {
			uint8_t *copy = guard_copy(data, cut);
			const enum hello_tfo got = hello_tfo(copy, cut);
			if (cut == n)
				assert_int_equal(got, v[i].want);
			guard_free(copy, cut);
		}
	}
}

static bool has(const struct doh_list *l, const char *name)
{
	return doh_has_name(l, (const uint8_t *)name, (uint32_t)strlen(name));
}

static void test_doh_names(void **unused)
{
	static const char *const names[] = {"dns.google", "*.nextdns.io", "doh.example.net",
					    "*.a.example"};
	struct doh_list l = {.names = 0};

	(void)unused;
	l.name = calloc(4, sizeof(*l.name));
	for (; l.names < 4; l.names++)
		l.name[l.names] = strdup(names[l.names]);
	doh_sort(&l);
	assert_true(has(&l, "dns.google") && has(&l, "DNS.Google") && has(&l, "doh.example.net"));
	assert_true(has(&l, "abc.nextdns.io") && has(&l, "x.abc.nextdns.io") &&
		    has(&l, "b.a.example"));
	assert_false(has(&l, "nextdns.io") || has(&l, "xnextdns.io") || has(&l, "google") ||
		     has(&l, "x.dns.google") || has(&l, "") || has(&l, "a.example"));
	assert_false(doh_has_name(&l, (const uint8_t *)"dns.google\0", 11));
	assert_false(doh_has_name(NULL, (const uint8_t *)"dns.google", 10));
	doh_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc_8448),  cmocka_unit_test(test_others),
	    cmocka_unit_test(test_quic),      cmocka_unit_test(test_fast_open),
	    cmocka_unit_test(test_doh_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

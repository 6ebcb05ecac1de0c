/* SPDX-License-Identifier: BSD-3-Clause */
/* Cookies as octets against the test vectors of RFC 9018, appendix A, and of SipHash's
 * authors; entries of both kinds of records, there and back, cut at every octet. */
#include "cookies.h"
#include "guard.h"
#include "siphash.h"

#include <fluxtap/rec_server.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void from_hex(const char *text, uint8_t *out)
{
	unsigned x;

	for (size_t i = 0; text[2 * i] != '\0'; i++) {
		assert_int_equal(sscanf(text + 2 * i, "%2x", &x), 1);
		out[i] = (uint8_t)x;
	}
}

static struct addr address(const char *text)
{
	struct addr a;
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1)
		return addr_from_v4(v4);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static void test_siphash(void **unused)
{
	/* vectors.h of the authors' reference implementation: 0, 1, 8 and 15 octets. */
	static const struct {
		size_t n;
		uint8_t want[8];
	} v[] = {{0, {0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72}},
		 {1, {0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74}},
		 {8, {0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93}},
		 {15, {0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1}}};
	uint8_t key[16], data[16];

	(void)unused;
	for (unsigned i = 0; i < 16; i++)
		key[i] = data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++)
		assert_int_equal(siphash_24(key, data, v[i].n), siphash_load(v[i].want, 8));
}

#define SECRET "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define ROLLED "dd3bdf9344b678b185a6f5cb60fca715"
#define FRESH "445536bcd2513298075a5d379663c962"

static void test_rfc_9018(void **unused)
{
	static const struct {
		const char *secret, *client, *cookie, *address;
		uint32_t at;
		enum ft_cookie_format format;
	} v[] = {
	    {SECRET, "2464c4abcf10c957", "010000005cf79f111f8130c3eee29480", "198.51.100.100",
	     1559731985, FT_COOKIE_FORMAT_V1_OK},
	    {SECRET, "2464c4abcf10c957", "010000005cf7a871d4a564a1442aca77", "198.51.100.100",
	     1559734385, FT_COOKIE_FORMAT_V1_OK},
	    {SECRET, "fc93fc62807ddb86", "01abcdef5cf78f71a314227b6679ebf5", "203.0.113.203",
	     1559734700, FT_COOKIE_FORMAT_V1_RESERVED},
	    {SECRET, "fc93fc62807ddb86", "010000005cf7a9acf73a7810aca2381e", "203.0.113.203",
	     1559734700, FT_COOKIE_FORMAT_V1_OK},
	    {ROLLED, "22681ab97d52c298", "010000005cf7c57926556bd0934c72f8",
	     "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961, FT_COOKIE_FORMAT_V1_OK},
	    {FRESH, "22681ab97d52c298", "010000005cf7c609a6bb79d16625507a",
	     "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961, FT_COOKIE_FORMAT_V1_OK},
	};
	uint8_t secret[16], client[8], cookie[16];

	(void)unused;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		const struct addr who = address(v[i].address), other = address("192.0.2.1");
		from_hex(v[i].secret, secret);
		from_hex(v[i].client, client);
		from_hex(v[i].cookie, cookie);
		assert_true(cookies_is_genuine(secret, client, cookie, &who));
		assert_false(cookies_is_genuine(secret, client, cookie, &other));
		assert_int_equal(cookies_format(cookie, 16, v[i].at * 1000000ull), v[i].format);
		client[0] ^= 1;
		assert_false(cookies_is_genuine(secret, client, cookie, &who));
	}
}

static enum ft_cookie_format format_at(uint32_t then, uint32_t now, uint32_t len)
{
	uint8_t cookie[32] = {1,
			      0,
			      0,
			      0,
			      (uint8_t)(then >> 24),
			      (uint8_t)(then >> 16),
			      (uint8_t)(then >> 8),
			      (uint8_t)then};
	uint8_t *copy = guard_copy(cookie, len);
	const enum ft_cookie_format f = cookies_format(copy, len, now * 1000000ull + 999999);

	guard_free(copy, len);
	return f;
}

static void test_ages(void **unused)
{
	const uint32_t t = 1700000000;

	(void)unused;
	assert_int_equal(format_at(t, t, 16), FT_COOKIE_FORMAT_V1_OK);
	assert_int_equal(format_at(t, t + 3600, 16), FT_COOKIE_FORMAT_V1_OK);
	assert_int_equal(format_at(t, t + 3601, 16), FT_COOKIE_FORMAT_V1_EXPIRED);
	assert_int_equal(format_at(t + 300, t, 16), FT_COOKIE_FORMAT_V1_OK);
	assert_int_equal(format_at(t + 301, t, 16), FT_COOKIE_FORMAT_V1_FUTURE);
	assert_int_equal(format_at(UINT32_MAX, UINT32_MAX - 10, 16), FT_COOKIE_FORMAT_V1_OK);
	for (uint32_t len = 8; len <= 32; len++)
		if (len != 16)
			assert_int_equal(format_at(t, t, len), len == 8 ? FT_COOKIE_FORMAT_LEGACY8
									: FT_COOKIE_FORMAT_OTHER);
}

/* Serial arithmetic: the clock of 32 bits has gone round once (in 2106). */
static void test_serial(void **unused)
{
	const uint8_t cookie[16] = {1, 0, 0, 0, 0xff, 0xff, 0xff, 0xf0};

	(void)unused;
	assert_int_equal(cookies_format(cookie, 16, ((1ull << 32) + 100) * 1000000),
			 FT_COOKIE_FORMAT_V1_OK);
	assert_int_equal(cookies_format(cookie, 16, ((1ull << 32) + 4000) * 1000000),
			 FT_COOKIE_FORMAT_V1_EXPIRED);
}

static void test_records(void **unused)
{
	struct ft_cookie_rec r = {.kind = FT_COOKIE_CLIENT, .vantage = 2}, back;
	uint8_t out[FT_COOKIE_ENTRY_CAP];

	(void)unused;
	for (unsigned i = 0; i < FT_COOKIE_COUNTERS; i++)
		r.c[i] = UINT64_MAX - i;
	memset(r.addr, 7, sizeof(r.addr));
	for (r.kind = 0; r.kind < FT_COOKIE_KINDS; r.kind++) {
		const size_t n = (size_t)(ft_cookie_write(&r, out) - out);
		assert_true(n <= sizeof(out));
		for (size_t cut = 0; cut <= n; cut++) {
			uint8_t *copy = guard_copy(out, cut);
			struct ft_reader all = ft_reader_init(copy, cut), body;
			memset(&back, 0, sizeof(back));
			const bool ok = ft_entry_next(&all, &body) && ft_cookie_read(&body, &back);
			assert_int_equal(ok, cut == n);
			guard_free(copy, cut);
		}
		assert_int_equal(back.kind, r.kind);
		assert_memory_equal(back.addr, r.addr, 16);
		if (r.kind != FT_COOKIE_SENT)
			assert_memory_equal(back.c, r.c, FT_COOKIE_COUNTERS * sizeof(*r.c));
	}
}

static void test_server_records(void **unused)
{
	struct ft_server_part p = {.vantage = 1, .part = 80, .minute = 3, .max_us = 1ull << 40}, q;
	const struct ft_server_asked a = {3, {9}, 77, 1700000000000000, 1700000000000001};
	struct ft_server_asked b;
	uint8_t out[FT_SERVER_ENTRY_CAP];

	(void)unused;
	for (unsigned i = 0; i < FT_SERVER_PART; i++)
		p.c[i] = UINT64_MAX - i;
	for (p.kind = 0; p.kind < FT_SERVER_KINDS; p.kind++) {
		const size_t n = (size_t)(ft_server_write_part(&p, out) - out);
		assert_true(n <= sizeof(out));
		for (size_t cut = 0; cut <= n; cut++) {
			uint8_t *copy = guard_copy(out, cut);
			struct ft_reader all = ft_reader_init(copy, cut), body;
			const bool ok =
			    ft_entry_next(&all, &body) && ft_server_read_part(&body, &q);
			assert_int_equal(ok, cut == n);
			guard_free(copy, cut);
		}
		assert_int_equal(q.part, p.part);
		assert_memory_equal(q.c, p.c, sizeof(p.c));
	}
	const size_t n = (size_t)(ft_server_write_asked(&a, out) - out);
	for (size_t cut = 0; cut <= n; cut++) {
		uint8_t *copy = guard_copy(out, cut);
		struct ft_reader all = ft_reader_init(copy, cut), body;
		const bool ok = ft_entry_next(&all, &body) && ft_server_read_asked(&body, &b);
		assert_int_equal(ok, cut == n);
		guard_free(copy, cut);
	}
	assert_int_equal(b.begin_us, a.begin_us);
	assert_int_equal(b.end_us, a.end_us);
	assert_int_equal(b.group, a.group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_siphash), cmocka_unit_test(test_rfc_9018),
	    cmocka_unit_test(test_ages),    cmocka_unit_test(test_serial),
	    cmocka_unit_test(test_records), cmocka_unit_test(test_server_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

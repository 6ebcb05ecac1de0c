/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of the sets of clients, bots, servers, cookies and resolvers: written and read
 * again, and cut off at every length in front of a page that cannot be read. */
#include "reverse.h"
#include "stats/client_search.h"

#include "guard.h"

#include <fluxtap/rec_cookie.h>
#include <fluxtap/rec_dga.h>
#include <fluxtap/rec_resolver.h>
#include <fluxtap/rec_reverse.h>
#include <fluxtap/rec_server.h>

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 7},
		     v4[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 9};

typedef bool read_fn(struct ft_reader *body);

static bool read_name(struct ft_reader *b)
{
	struct ft_dga_name x;
	return ft_dga_name_read(b, &x);
}

static bool read_cookie(struct ft_reader *b)
{
	struct ft_cookie_rec x;
	return ft_cookie_read(b, &x);
}

static bool read_resolver(struct ft_reader *b)
{
	struct ft_resolver_rec x;
	return ft_resolver_read(b, &x);
}

static bool read_part(struct ft_reader *b)
{
	struct ft_server_part x;
	return ft_server_read_part(b, &x);
}

static bool read_asked(struct ft_reader *b)
{
	struct ft_server_asked x;
	return ft_server_read_asked(b, &x);
}

static bool read_reverse(struct ft_reader *b)
{
	struct ft_reverse_rec x;
	return ft_reverse_read(b, &x);
}

/* The entry is whole, and is not where the record ends before; nor is a body that does. */
static void cut(const uint8_t *entry, size_t n, read_fn *read)
{
	for (size_t len = 0; len <= n; len++) {
		uint8_t *copy = guard_copy(entry, len);
		struct ft_reader r = ft_reader_init(copy, len), body;
		assert_int_equal(ft_entry_next(&r, &body) && read(&body), len == n);
		guard_free(copy, len);
	}
	const size_t head = (entry[0] & 0x80) != 0 ? 2 : 1;
	for (size_t len = 0; len < n - head; len++) {
		uint8_t *copy = guard_copy(entry + head, len);
		struct ft_reader body = ft_reader_init(copy, len);
		(void)read(&body); /* some shorter body may be sound, none is read past */
		assert_true(body.at <= copy + len);
		guard_free(copy, len);
	}
}

static void test_name(void **state)
{
	struct ft_dga_name x = {.hash = 0x123456789abcdef0,
				.shapes = 5,
				.what = FT_DGA_ANSWERED | FT_DGA_NARROW,
				.name = (const uint8_t *)"\3abc\3com",
				.name_len = 9,
				.time_us = 59999999,
				.addrs = 2,
				.v6 = {false, true}};
	struct ft_dga_name back;
	uint8_t out[FT_DGA_NAME_CAP];

	(void)state;
	memcpy(x.addr[0], v4 + 12, 4);
	memcpy(x.addr[1], v6, 16);
	const size_t n = ft_dga_name_write(&x, out);
	struct ft_reader r = ft_reader_init(out, n), body;
	assert_true(ft_entry_next(&r, &body) && ft_dga_name_read(&body, &back));
	assert_int_equal(back.hash, x.hash);
	assert_int_equal(back.time_us, x.time_us);
	assert_int_equal(back.addrs, 2);
	assert_memory_equal(back.name, x.name, 9);
	assert_memory_equal(back.addr[0], v4 + 12, 4);
	assert_memory_equal(back.addr[1], v6, 16);
	cut(out, n, read_name);
}

static void test_cookie(void **state)
{
	struct ft_cookie_rec x = {.kind = FT_COOKIE_CLIENT, .vantage = 2}, back;
	uint8_t out[FT_COOKIE_ENTRY_CAP];

	(void)state;
	memcpy(x.addr, v6, 16);
	for (unsigned i = 0; i < FT_COOKIE_COUNTERS; i += 2)
		x.c[i] = 1ull << i;
	size_t n = (size_t)(ft_cookie_write(&x, out) - out);
	struct ft_reader r = ft_reader_init(out, n), body;
	assert_true(ft_entry_next(&r, &body) && ft_cookie_read(&body, &back));
	assert_memory_equal(back.c, x.c, FT_COOKIE_COUNTERS * sizeof(*x.c));
	cut(out, n, read_cookie);
	x = (struct ft_cookie_rec){.kind = FT_COOKIE_SENT, .cookie = 77, .server = UINT64_MAX};
	memcpy(x.addr, v4, 16);
	n = (size_t)(ft_cookie_write(&x, out) - out);
	r = ft_reader_init(out, n);
	assert_true(ft_entry_next(&r, &body) && ft_cookie_read(&body, &back));
	assert_int_equal(back.cookie, 77);
	assert_true(back.server == UINT64_MAX);
	cut(out, n, read_cookie);
}

static void test_resolver(void **state)
{
	struct ft_resolver_rec x = {.vantage = 1}, back;
	uint8_t out[FT_RESOLVER_ENTRY_CAP];

	(void)state;
	memcpy(x.addr, v4, 16);
	for (unsigned i = 0; i < FT_RESOLVER_COUNTERS; i++)
		x.c[i] = 300 + i;
	x.ports.n = 3;
	for (unsigned i = 0; i < 3; i++)
		x.ports.u.hash[i] = 0xabc001 + i;
	const size_t n = (size_t)(ft_resolver_write(&x, out) - out);
	struct ft_reader r = ft_reader_init(out, n), body;
	assert_true(ft_entry_next(&r, &body) && ft_resolver_read(&body, &back));
	assert_memory_equal(back.c, x.c, FT_RESOLVER_COUNTERS * sizeof(*x.c));
	assert_int_equal(back.ports.n, 3);
	assert_int_equal(back.ports.u.hash[2], 0xabc003);
	cut(out, n, read_resolver);
}

static void test_server(void **state)
{
	struct ft_server_part x = {.kind = FT_SERVER_WINDOWS, .part = 28, .minute = 1439}, back;
	struct ft_server_asked a = {.group = 1, .begin_us = 1ull << 50, .end_us = UINT64_MAX},
			       b = {0};
	uint8_t out[FT_SERVER_ENTRY_CAP];
	struct ft_reader r, body;

	(void)state;
	memcpy(x.addr, v6, 16);
	memcpy(a.addr, v4, 16);
	for (unsigned i = 0; i < FT_SERVER_PART; i++)
		x.c[i] = i * 1000;
	size_t n = (size_t)(ft_server_write_part(&x, out) - out);
	r = ft_reader_init(out, n);
	assert_true(ft_entry_next(&r, &body) && ft_server_read_part(&body, &back));
	assert_memory_equal(back.c, x.c, sizeof(x.c));
	assert_int_equal(back.minute, 1439);
	cut(out, n, read_part);
	n = (size_t)(ft_server_write_asked(&a, out) - out);
	r = ft_reader_init(out, n);
	assert_true(ft_entry_next(&r, &body) && ft_server_read_asked(&body, &b));
	assert_int_equal(b.begin_us, a.begin_us);
	assert_true(b.end_us == UINT64_MAX);
	cut(out, n, read_asked);
}

/* Notes of all kinds and seconds, cut off anywhere: those before the cut are read. */
static void test_diary(void **state)
{
	static const uint8_t notes[] = {
	    FT_DIARY_UNANSWERED | 1,
	    9,
	    1,
	    0,
	    0,
	    4,
	    10,   /* a server, anchor 10 */
	    0x50, /* A, the same second */
	    0x65,
	    1,
	    2,
	    3, /* AAAA, missing, a second later */
	    0x5a,
	    5,
	    4,
	    3,
	    2,
	    1, /* other, made up */
	    0xf0,
	    0x90,
	    0x1c, /* A, far: second 3600 */
	};
	static const size_t ends[] = {7, 8, 12, 18, 21};
	unsigned whole = 0;

	(void)state;
	for (size_t len = 0; len <= sizeof(notes); len++) {
		uint8_t *copy = guard_copy(notes, len);
		struct ft_diary d;
		struct ft_note note = {0};
		unsigned n = 0;
		if (ft_diary_read(ft_reader_init(copy, len), &d)) {
			while (ft_diary_next(&d, &note))
				n++;
			const bool at_end = len == ends[n];
			assert_int_equal(d.notes.bad, !at_end);
			whole += at_end;
			assert_int_equal(d.server[0].unanswered, 4);
			if (len == sizeof(notes)) {
				assert_int_equal(n, 4);
				assert_int_equal(note.second, 3600);
			}
		} else {
			assert_true(len < 7);
		}
		guard_free(copy, len);
	}
	assert_int_equal(whole, 5);
}

static void test_reverse(void **state)
{
	struct ft_reverse_rec x = {.vantage = 3, .ipv4 = {10, 1, 2, 3}, .t_us = 86399999999}, back;
	uint8_t out[FT_REVERSE_ENTRY_CAP];

	(void)state;
	memcpy(x.client, v6, 16);
	const size_t n = (size_t)(ft_reverse_write(&x, out) - out);
	struct ft_reader r = ft_reader_init(out, n), body;
	assert_true(ft_entry_next(&r, &body) && ft_reverse_read(&body, &back));
	assert_memory_equal(back.client, v6, 16);
	assert_memory_equal(back.ipv4, x.ipv4, 4);
	assert_int_equal(back.t_us, x.t_us);
	cut(out, n, read_reverse);
}

/* The wire form of a name in dots. */
static uint32_t wire(const char *text, uint8_t *out)
{
	uint32_t n = 0;

	while (*text != 0) {
		const size_t len = strcspn(text, ".");
		out[n++] = (uint8_t)len;
		memcpy(out + n, text, len);
		n += (uint32_t)len;
		text += len + (text[len] == '.');
	}
	out[n++] = 0;
	return n;
}

static void test_reverse_names(void **state)
{
	static const char *const wrong[] = {"",
					    "arpa",
					    "in-addr.arpa",
					    "3.2.1.in-addr.arpa",
					    "256.2.1.10.in-addr.arpa",
					    "x.2.1.10.in-addr.arpa",
					    "0003.2.1.10.in-addr.arpa",
					    "3.2.1.10.in-addr.arpb",
					    "3.2.1.10.in-addr.arpa.com",
					    "5.3.2.1.10.in-addr.arpa",
					    "3.2.1.10.ip6.arpa",
					    "3.2.1.10",
					    "-1.2.1.10.in-addr.arpa"};
	uint8_t name[256], ipv4[4];
	char text[64];

	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		snprintf(text, sizeof text, "%u.7.%u.254.in-addr.arpa", a, 255 - a);
		const uint32_t n = wire(text, name);
		uint8_t *copy = guard_copy(name, n);
		assert_true(reverse_ipv4(copy, n, ipv4));
		assert_int_equal(ipv4[0], 254);
		assert_int_equal(ipv4[1], 255 - a);
		assert_int_equal(ipv4[2], 7);
		assert_int_equal(ipv4[3], a);
		guard_free(copy, n);
		for (uint32_t len = 0; len < n; len++) {
			copy = guard_copy(name, len);
			assert_false(reverse_ipv4(copy, len, ipv4));
			guard_free(copy, len);
		}
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(reverse_ipv4(name, wire(wrong[i], name), ipv4));
}

static void test_search(void **state)
{
	struct search_query q[40] = {0};
	double mean;

	(void)state;
	for (unsigned i = 0; i < 40; i++) { /* 10.0.0.236 on, over the end of an octet */
		q[i].ipv4[0] = 10;
		q[i].ipv4[2] = (uint8_t)((236 + i) >> 8);
		q[i].ipv4[3] = (uint8_t)(236 + i);
	}
	assert_int_equal(search_read(q, 20, &mean), SEARCH_CONSECUTIVE);
	assert_true(fabs(mean - 1) < 1e-9);
	assert_int_equal(search_read(q, 19, &mean), SEARCH_NONE);
	assert_int_equal(search_read(q, 40, &mean),
			 SEARCH_CONSECUTIVE); /* 38 steps of 1, one of 255 down and 1 up */
	assert_true(fabs(mean - (38 + sqrt(255.0 * 255 + 1)) / 39) < 1e-9);
	for (unsigned i = 0; i < 40; i++) /* there and back: 2 * 90 in all four */
		memset(q[i].ipv4, i % 2 != 0 ? 100 : 190, 4);
	assert_int_equal(search_read(q, 40, &mean), SEARCH_RANDOM);
	assert_true(fabs(mean - 180) < 1e-9);
	for (unsigned i = 0; i < 40; i++)
		memset(q[i].ipv4, 1, 4);
	assert_int_equal(search_read(q, 40, &mean), SEARCH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_name),     cmocka_unit_test(test_cookie),
	    cmocka_unit_test(test_resolver), cmocka_unit_test(test_server),
	    cmocka_unit_test(test_diary),    cmocka_unit_test(test_reverse),
	    cmocka_unit_test(test_search),   cmocka_unit_test(test_reverse_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is a copy and what is not, told from the IP and TCP standards: each octet of a frame
 * is either of the packet or of the way that it took. */
#include "dedup.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WINDOW_US 20000u
#define BEGIN_US 1700000000000000u

static const struct decode_ports ports = {.port = {53}, .n = 1};
static struct wire w;

static bool seen(struct dedup *t, const struct wire *frame, uint64_t t_us)
{
	const struct pkt p = {.data = frame->b,
			      .ts_us = t_us,
			      .cap_len = frame->n,
			      .wire_len = frame->n,
			      .link = LINK_ETHERNET};
	struct decoded d;

	memset(&d, 0xa5, sizeof(d));
	const bool common = decode_frame(&p, &ports, &d);
	assert_int_not_equal(d.kind, DECODE_DROP);
	return dedup_seen(t, &p, &d, common);
}

static struct dedup *make(size_t entries)
{
	struct dedup *t = dedup_create(entries, WINDOW_US, 0x1234567890abcdefu);

	assert_non_null(t);
	return t;
}

enum shape { UDP4, UDP6, TCP4, TCP6, FRAGMENT4, FRAGMENT6, SHAPES };

/* Behind the outer headers that stand in w already. */
static void put_packet(enum shape s)
{
	const bool v6 = s == UDP6 || s == TCP6 || s == FRAGMENT6;
	const bool tcp = s == TCP4 || s == TCP6;

	if (!v6)
		wire_ipv4_more(&w, tcp ? 6 : 17, true, s == FRAGMENT4 ? 0x2010 : 0x4000, 0);
	else
		wire_ipv6(&w, s == FRAGMENT6 ? 44 : tcp ? 6 : 17, true);
	if (s == FRAGMENT6)
		wire_ext_fragment(&w, 17, 0x0081, 0x12345678);
	if (tcp)
		wire_tcp(&w, 40000, 53, 12);
	else if (s != FRAGMENT4 && s != FRAGMENT6)
		wire_udp(&w, 40000, 53);
	const uint32_t message = w.n;
	wire_header(&w, 0x4711, 0x0100, 1, 0, 0, 0);
	wire_question(&w, "www.example.com", 1);
	if (s == FRAGMENT4 || s == FRAGMENT6)
		wire_fill(&w, 0, -(w.n - message) & 7);
	wire_finish(&w);
}

static void build(enum shape s)
{
	wire_init(&w, false);
	wire_ether(&w, s == UDP6 || s == TCP6 || s == FRAGMENT6 ? 0x86dd : 0x0800);
	put_packet(s);
}

/* Octets that differ between copies: Ethernet's; IPv4's DSCP, TTL and check sum; IPv6's
 * traffic class, flow label and hop limit; the check sum of UDP or TCP. The rest must
 * tell packets apart (lengths and versions would make others of them: not tried). */
static bool is_way(enum shape s, uint32_t at)
{
	const bool v6 = s == UDP6 || s == TCP6 || s == FRAGMENT6;
	const uint32_t l4 = v6 ? 54 : 34;

	if (at < 12)
		return true;
	if (!v6 && (at == 15 || at == 22 || at == 24 || at == 25))
		return true;
	if (v6 && ((at > 14 && at < 18) || at == 21))
		return true;
	if (s == UDP4 || s == UDP6)
		return at == l4 + 6 || at == l4 + 7;
	return (s == TCP4 || s == TCP6) && at >= l4 + 16 && at < l4 + 20; /* and urgent */
}

static bool is_structure(enum shape s, uint32_t at)
{
	const bool v6 = s == UDP6 || s == TCP6 || s == FRAGMENT6;
	const uint32_t l4 = v6 ? 54 : 34;

	if (at == 12 || at == 13 || at == 14)
		return true;
	if (!v6 && (at == 16 || at == 17 || at == 20 || at == 21 || at == 23))
		return true;
	if (v6 && (at == 18 || at == 19 || at == 20))
		return true;
	if (s == UDP4 || s == UDP6)
		return at == l4 + 2 || at == l4 + 3 || at == l4 + 4 || at == l4 + 5;
	if (s == TCP4 || s == TCP6)
		return at == l4 + 2 || at == l4 + 3 || at == l4 + 12;
	return s == FRAGMENT6 && at < l4 + 4; /* reserved octets and offset among them */
}

static void test_every_octet(void **state)
{
	(void)state;
	for (enum shape s = UDP4; s < SHAPES; s++) {
		build(s);
		for (uint32_t at = 0; at < w.n; at++) {
			if (is_structure(s, at))
				continue;
			struct dedup *t = make(64);
			assert_false(seen(t, &w, BEGIN_US));
			w.b[at] ^= 0x40;
			if (seen(t, &w, BEGIN_US + 1) != is_way(s, at))
				fail_msg("shape %d octet %u", (int)s, at);
			w.b[at] ^= 0x40;
			assert_true(seen(t, &w, BEGIN_US + 2));
			dedup_destroy(t);
		}
	}
}

static void test_window(void **state)
{
	struct dedup *t = make(64);

	(void)state;
	build(UDP4);
	assert_false(seen(t, &w, BEGIN_US));
	assert_true(seen(t, &w, BEGIN_US));
	assert_true(seen(t, &w, BEGIN_US + WINDOW_US - 1));
	assert_true(seen(t, &w, BEGIN_US - WINDOW_US + 1)); /* captures merged askew */
	assert_false(seen(t, &w, BEGIN_US + WINDOW_US));    /* by the first, not the last copy */
	assert_true(seen(t, &w, BEGIN_US + 2 * WINDOW_US - 1));
	assert_false(seen(t, &w, BEGIN_US + 100 * WINDOW_US));
	assert_false(seen(t, &w, BEGIN_US));
	dedup_destroy(t);
}

/* The same packet in every wrapping that is not a part of it. */
static void test_wrappings(void **state)
{
	(void)state;
	for (enum shape s = UDP4; s < SHAPES; s++) {
		const unsigned type = s == UDP6 || s == TCP6 || s == FRAGMENT6 ? 0x86dd : 0x0800;
		struct dedup *t = make(64);
		build(s);
		assert_false(seen(t, &w, BEGIN_US));
		for (unsigned how = 0; how < 4; how++) {
			wire_init(&w, false);
			wire_ether(&w, how == 0 ? 0x8100 : how == 1 ? 0x8847 : 0x0800);
			if (how == 0)
				wire_vlan(&w, 7, type);
			if (how == 1)
				wire_mpls(&w, 99, true);
			if (how == 2) {
				wire_ipv4(&w, 47, false);
				wire_u32(&w, type);
			}
			if (how == 3) {
				wire_ipv4(&w, 17, false);
				wire_udp(&w, 50000, 4789);
				wire_u32(&w, 0x08000000);
				wire_u32(&w, 0x100);
				wire_ether(&w, type);
			}
			put_packet(s);
			assert_true(seen(t, &w, BEGIN_US + how));
		}
		dedup_destroy(t);
	}
}

/* A table that is too small forgets, and never takes one packet for another. */
static void test_small_table(void **state)
{
	struct dedup *t = make(64);
	unsigned copies = 0;

	(void)state;
	build(UDP4);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 10000; i++) {
			wire_put16(&w, 18, i);
			copies += seen(t, &w, BEGIN_US);
		}
	assert_true(copies < 64);
	copies = 0;
	for (unsigned i = 0; i < 20; i++) /* one after the other nothing is forgotten */
		for (unsigned k = 0; k < 3; k++) {
			wire_put16(&w, 18, 20000 + i);
			copies += seen(t, &w, BEGIN_US + i);
		}
	assert_int_equal(copies, 40);
	dedup_destroy(t);
	dedup_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_octet),
	    cmocka_unit_test(test_window),
	    cmocka_unit_test(test_wrappings),
	    cmocka_unit_test(test_small_table),
	};

	return cmocka_run_group_tests_name("dedup", tests, NULL, NULL);
}

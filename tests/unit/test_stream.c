/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"
#include "guard.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The property test at the end. */
#include "../fuzz/fuzz_stream.c"

#define T0 1700000000000000u
#define S 1000000u

enum { UP, DOWN }; /* from the client, from the server */

static struct {
	uint32_t n, in_frame, len; /* messages, octets with their prefixes */
	uint8_t octet[300000];
} got;
static struct stream *st;
static uint64_t now;
static uint32_t isn[2];

static void collect(void *ctx, const struct segment *seg, const uint8_t *data, uint32_t len,
		    bool in_frame)
{
	(void)ctx;
	if (in_frame)
		assert_true(data >= seg->data && data + len <= seg->data + seg->len);
	assert_true(got.len + 2 + len <= sizeof got.octet);
	got.n++;
	got.in_frame += in_frame;
	got.octet[got.len] = (uint8_t)(len >> 8);
	got.octet[got.len + 1] = (uint8_t)len;
	memcpy(got.octet + got.len + 2, data, len);
	got.len += 2 + len;
}

static void open_with(size_t connections, size_t bytes)
{
	const struct stream_limits limits = {connections, bytes, 60 * S};

	memset(&got, 0, offsetof(__typeof__(got), octet));
	now = T0;
	st = stream_create(&limits, 7, collect, NULL);
	assert_non_null(st);
}

/* A segment of connection `port`, from memory that ends with it. */
static enum ft_pkt_drop seg_of(uint16_t port, int way, unsigned flags, uint32_t seq,
			       const uint8_t *octets, uint32_t len)
{
	struct flow f = {.src = {{1}}, .dst = {{2}}, .sport = port, .dport = 53, .tcp = 1};
	uint8_t *data = guard_copy(octets, len);
	const struct segment s = {.flow = &f,
				  .seq = seq,
				  .flags = (uint8_t)flags,
				  .data = data,
				  .len = len,
				  .now_us = now};

	if (way == DOWN)
		f = (struct flow){.src = {{2}}, .dst = {{1}}, .sport = 53, .dport = port, .tcp = 1};
	const enum ft_pkt_drop why = stream_put(st, &s);
	guard_free(data, len);
	return why;
}

/* Octets [off, off + len) of what the client sends on the one connection. */
static enum ft_pkt_drop up(const uint8_t *octets, uint32_t off, uint32_t len)
{
	return seg_of(5000, UP, TCP_ACK, isn[UP] + 1 + off, octets + off, len);
}

static void shake(uint32_t client_isn, uint32_t server_isn)
{
	isn[UP] = client_isn;
	isn[DOWN] = server_isn;
	assert_int_equal(seg_of(5000, UP, TCP_SYN, client_isn, NULL, 0), FT_PKT_CARRIED);
	assert_int_equal(seg_of(5000, DOWN, TCP_SYN | TCP_ACK, server_isn, NULL, 0),
			 FT_PKT_CARRIED);
	assert_int_equal(seg_of(5000, UP, TCP_ACK, client_isn + 1, NULL, 0), FT_PKT_CARRIED);
}

/* Writes a message with its prefix, whose octets tell `mark`; returns its length in all. */
static uint32_t message_at(uint8_t *to, uint32_t len, uint8_t mark)
{
	static const uint8_t head[12] = {0, 1, 1, 0, 0, 1};

	to[0] = (uint8_t)(len >> 8);
	to[1] = (uint8_t)len;
	memset(to + 2, 0xe0 | mark, len);
	memcpy(to + 2, head, len < 12 ? 0 : 12);
	return 2 + len;
}

static uint8_t sent_octets[200000];

/* Messages of these lengths (0 ends) into sent_octets; returns how many octets. */
static uint32_t script_of(const uint32_t *length)
{
	uint32_t n = 0;

	for (uint8_t i = 0; length[i] != 0; i++)
		n += message_at(sent_octets + n, length[i], i & 15);
	return n;
}

static void check_all(uint32_t messages, uint32_t len)
{
	assert_int_equal(got.n, messages);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.octet, sent_octets, len);
	assert_int_equal(stream_lent(st), 0);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 0);
	assert_int_equal(stream_stats_get(st)->gaps, 0);
}

static void test_create(void **state)
{
	struct stream_limits l = {0, 1 << 20, 1};

	(void)state;
	errno = 0;
	assert_null(stream_create(&l, 1, collect, NULL));
	assert_int_equal(errno, EINVAL);
	l.connections = SIZE_MAX;
	assert_null(stream_create(&l, 1, collect, NULL));
	stream_destroy(NULL);
	for (l.connections = 1; l.connections < 40; l.connections++) {
		struct stream *s = stream_create(&l, 1, collect, NULL);
		assert_non_null(s);
		stream_destroy(s);
	}
}

static void test_every_length(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 65536; len += len < 2100 ? 1 : len < 60000 ? 4093 : 1108) {
		open_with(8, 1 << 20);
		shake(len, 5);
		const uint32_t n = message_at(sent_octets, len, 3);
		for (uint32_t k = 0; k < 3; k++) { /* whole; prefix cut in half; a lone prefix */
			const uint32_t seq = isn[UP] + 1 + n * k;
			if (k > 0)
				seg_of(5000, UP, TCP_ACK, seq, sent_octets, k);
			assert_int_equal(seg_of(5000, UP, TCP_ACK, seq + k, sent_octets + k, n - k),
					 FT_PKT_CARRIED);
		}
		assert_int_equal(got.n, 3);
		assert_int_equal(got.len, 3 * n);
		for (uint32_t k = 0; k < 3; k++)
			assert_memory_equal(got.octet + k * n, sent_octets, n);
		assert_int_equal(got.in_frame, 3); /* a prefix needs no buffer */
		assert_int_equal(stream_lent(st), 0);
		stream_destroy(st);
	}
}

/* Three messages in two and three segments, cut anywhere, in every order. */
static void test_every_split(void **state)
{
	static const uint32_t lengths_of[] = {12, 29, 17, 0};
	static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	for (uint32_t a = 0; a <= n; a++)
		for (uint32_t b = a; b <= n; b++)
			for (unsigned o = 0; o < 6; o++) {
				const uint32_t cut[4] = {0, a, b, n};
				open_with(8, 1 << 20);
				shake(0xffffffe0u, 1); /* wraps on its way */
				for (unsigned i = 0; i < 3; i++) {
					const uint32_t at = cut[orders[o][i]];
					const uint32_t len = cut[orders[o][i] + 1] - at;
					assert_int_equal(up(sent_octets, at, len), FT_PKT_CARRIED);
				}
				check_all(3, n);
				stream_destroy(st);
			}
}

static void permute(const uint32_t *cut, uint32_t n, uint32_t *order, uint32_t k, bool twice)
{
	if (k < n) {
		for (uint32_t i = k; i < n; i++) {
			uint32_t t = order[k];
			order[k] = order[i], order[i] = t;
			permute(cut, n, order, k + 1, twice);
			t = order[k];
			order[k] = order[i], order[i] = t;
		}
		return;
	}
	open_with(8, 1 << 20);
	shake(0xffffff00u + cut[1], 77);
	for (uint32_t i = 0; i < n * (1 + twice); i++) {
		const uint32_t p = order[i >> twice], at = cut[p];
		if (i == 1) /* a FIN that is early */
			seg_of(5000, UP, TCP_FIN | TCP_ACK, isn[UP] + 1 + cut[n], NULL, 0);
		assert_int_equal(up(sent_octets, at, cut[p + 1] - at), FT_PKT_CARRIED);
	}
	check_all(3, cut[n]);
	stream_destroy(st);
}

static void test_permutations(void **state)
{
	static const uint32_t small[] = {40, 300, 12, 0}, large[] = {4000, 16385, 30000, 0};
	const uint32_t *sets[2] = {small, large};

	(void)state;
	for (unsigned s = 0; s < 2; s++) {
		const uint32_t len = script_of(sets[s]);
		for (uint32_t n = 2; n <= 5; n++)
			for (uint32_t variant = 0; variant < 8; variant++) {
				uint32_t cut[6] = {0}, order[5] = {0, 1, 2, 3, 4};
				for (uint32_t i = 1; i < n; i++)
					cut[i] = len * i / n + variant * 7 % 13 - 6;
				cut[n] = len;
				permute(cut, n, order, 0, variant & 1);
			}
	}
}

/* Overlapping segments that differ: what came first stays, against a plain array. */
static void test_overlaps(void **state)
{
	static const uint32_t lengths_of[] = {50, 700, 20, 2500, 400, 0};
	static uint8_t expect[200000], known[200000], lie[200000];
	uint64_t x = 1;
	unsigned whole = 0;

	(void)state;
	for (unsigned run = 0; run < 3000; run++) {
		const uint32_t n = script_of(lengths_of);
		memset(known, 0, n);
		open_with(8, 1 << 20);
		shake((uint32_t)x, 1);
		for (unsigned i = 0; i < 40; i++) {
			x = hash_mix(x + run + 1);
			uint32_t at = (uint32_t)(x % n), len = 1 + (uint32_t)(x >> 32) % 600;
			if (i == 39)
				at = 0, len = n;
			len = len < n - at ? len : n - at;
			for (uint32_t k = at; k < at + len; k++) {
				/* Length prefixes stay, else there are others. */
				const bool prefix =
				    k < 2 || (k >= 52 && k < 54) || (k >= 754 && k < 756) ||
				    (k >= 776 && k < 778) || (k >= 3278 && k < 3280);
				lie[k] = prefix ? sent_octets[k] : (uint8_t)(sent_octets[k] + i);
				if (!known[k])
					known[k] = 1, expect[k] = lie[k];
			}
			const enum ft_pkt_drop why = up(lie, at, len);
			if (stream_stats_get(st)->gaps > 0)
				break; /* more pieces than are kept; not asked here */
			assert_int_equal(why, FT_PKT_CARRIED);
		}
		if (stream_stats_get(st)->gaps == 0) {
			whole++;
			memcpy(sent_octets, expect, n);
			check_all(5, n);
		}
		stream_destroy(st);
	}
	assert_true(whole > 500);
}

static void test_wrap_and_old(void **state)
{
	static const uint32_t lengths_of[] = {30, 30, 30, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	for (uint32_t k = 0; k < 110; k++) {
		open_with(8, 1 << 20);
		shake(0u - k, 0u - k);
		for (uint32_t at = 0; at < n; at += 16) {
			up(sent_octets, at, 16);
			up(sent_octets, at, 16);
			up(sent_octets, 0, at + 16);
			seg_of(5000, UP, TCP_ACK, isn[UP] + at + 16, sent_octets,
			       1); /* keepalives */
			seg_of(5000, UP, TCP_ACK, isn[UP] + at + 16, NULL, 0);
		}
		check_all(3, n);
		stream_destroy(st);
	}
}

static void test_fast_open(void **state)
{
	static const uint32_t lengths_of[] = {30, 40, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		open_with(8, 1 << 20);
		isn[UP] = 900;
		assert_int_equal(seg_of(5000, UP, TCP_SYN, 900, sent_octets, 40), FT_PKT_CARRIED);
		assert_int_equal(got.n, 1);
		if (variant & 1) /* the SYN again, with and without */
			seg_of(5000, UP, TCP_SYN, 900, sent_octets, 40),
			    seg_of(5000, UP, TCP_SYN, 900, NULL, 0);
		seg_of(5000, DOWN, TCP_SYN | TCP_ACK, 70, NULL, 0);
		if (variant & 2)
			up(sent_octets, 0, 40);
		up(sent_octets, 40, n - 40);
		check_all(2, n);
		stream_destroy(st);
	}
}

static void test_midstream(void **state)
{
	static const uint32_t lengths_of[] = {30, 40, 500, 0};
	const uint32_t n = script_of(lengths_of);
	uint8_t bad[32];

	(void)state;
	open_with(1, 1 << 20);
	isn[UP] = 10;
	shake(10, 20); /* the one connection that there may be */
	up(sent_octets, 0, 10);
	for (uint16_t port = 1; port < 50; port++) {
		assert_int_equal(seg_of(port, UP, TCP_ACK, 1, NULL, 0), FT_PKT_CARRIED);
		assert_int_equal(seg_of(port, UP, TCP_ACK | TCP_FIN, 1, NULL, 0), FT_PKT_CARRIED);
		assert_int_equal(seg_of(port, UP, TCP_RST, 1, NULL, 0), FT_PKT_CARRIED);
		assert_int_equal(seg_of(port, UP, TCP_ACK, 1, sent_octets + 3, 60),
				 FT_PKT_TCP_MIDSTREAM);
	}
	assert_int_equal(stream_stats_get(st)->evicted, 0); /* no state for any of these */
	up(sent_octets, 10, n - 10);
	check_all(3, n);
	stream_destroy(st);

	open_with(8, 1 << 20);
	isn[UP] = 10;
	for (uint32_t len = 1; len < 14; len++) /* too short to tell */
		assert_int_equal(up(sent_octets, 0, len), FT_PKT_TCP_MIDSTREAM);
	for (unsigned i = 0; i < 9; i++) {
		static const struct {
			uint8_t at, is;
		} t[9] = {{1, 11}, {4, 3 << 3}, {4, 7 << 3}, {7, 2},  {8, 1},
			  {10, 1}, {12, 1},     {9, 2},      {13, 17}};
		memcpy(bad, sent_octets, 32);
		bad[t[i].at] = t[i].is;
		assert_int_equal(seg_of(6000, UP, TCP_ACK, 1, bad, 32), FT_PKT_TCP_MIDSTREAM);
	}
	memcpy(bad, sent_octets, 32);
	bad[0] = 0, bad[1] = 16; /* what follows is no message */
	assert_int_equal(seg_of(6000, UP, TCP_ACK, 1, bad, 32), FT_PKT_TCP_MIDSTREAM);
	assert_int_equal(up(sent_octets, 0, 45), FT_PKT_CARRIED);
	up(sent_octets, 45, n - 45);
	seg_of(5000, UP, TCP_SYN, 10, NULL, 0); /* its SYN comes late */
	up(sent_octets, 0, 45);
	check_all(3, n);
	stream_destroy(st);
}

/* A hole within a message: the stream goes on behind that message, exactly. */
static void test_gap_inside(void **state)
{
	static const uint32_t lengths_of[] = {30, 3000, 40, 40, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	open_with(8, 1 << 20);
	shake(10, 20);
	up(sent_octets, 0, 1032);
	assert_int_equal(got.n, 1);
	assert_int_equal(up(sent_octets, 2032, n - 42 - 2032), FT_PKT_CARRIED);
	now += 3 * S - 1;
	up(sent_octets, n - 42, 0);
	assert_int_equal(got.n, 1);
	now += 1;
	assert_int_equal(up(sent_octets, n - 42, 42), FT_PKT_CARRIED);
	assert_int_equal(got.n, 3);
	assert_int_equal(stream_stats_get(st)->gaps, 1);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 3002);
	assert_int_equal(up(sent_octets, 1032, 1000), FT_PKT_CARRIED); /* too late: old */
	assert_int_equal(got.n, 3);
	assert_int_equal(stream_lent(st), 0);
	stream_destroy(st);
}

/* A hole over a boundary: the stream goes on at the first plausible segment. */
static void test_gap_over(void **state)
{
	static const uint32_t lengths_of[] = {30, 100, 40, 40, 40, 0};
	const uint32_t n = script_of(lengths_of);
	const uint32_t m2 = 134, m3 = 176, m4 = 218;

	(void)state;
	open_with(8, 1 << 20);
	shake(10, 20);
	up(sent_octets, 0, 40);
	up(sent_octets, m2 + 7, m3 - m2 - 7); /* not a beginning */
	up(sent_octets, m3, m4 - m3);
	now += 3 * S;
	assert_int_equal(seg_of(5000, UP, TCP_ACK, isn[UP] + 1 + m4, NULL, 0), FT_PKT_CARRIED);
	assert_int_equal(got.n, 2);
	assert_memory_equal(got.octet + 32, sent_octets + m3, 42);
	assert_int_equal(stream_stats_get(st)->lost_bytes, m3 - 32);
	up(sent_octets, m4, n - m4);
	assert_int_equal(got.n, 3);
	stream_destroy(st);

	open_with(8, 1 << 20); /* none is held: look for one */
	shake(10, 20);
	up(sent_octets, 0, 40);
	up(sent_octets, m2 + 7, 5);
	now += 3 * S;
	assert_int_equal(up(sent_octets, m2 + 12, 5), FT_PKT_TCP_GAP);
	assert_int_equal(up(sent_octets, m2 + 17, m3 - m2 - 17), FT_PKT_TCP_GAP);
	assert_int_equal(up(sent_octets, m2, 10), FT_PKT_CARRIED); /* old */
	assert_int_equal(up(sent_octets, m3, n - m3), FT_PKT_CARRIED);
	assert_int_equal(got.n, 3);
	assert_int_equal(stream_stats_get(st)->gaps, 1);
	assert_int_equal(stream_stats_get(st)->lost_bytes, m3 - 32);
	stream_destroy(st);
}

/* A hole up to the very end of a message; and two holes, each with its own age. */
static void test_gap_edges(void **state)
{
	static const uint32_t lengths_of[] = {100, 5, 40, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	open_with(8, 1 << 20);
	shake(10, 20);
	up(sent_octets, 0, 50);
	up(sent_octets, 102, 7);
	now += 3 * S;
	up(sent_octets, 109, n - 109);
	assert_int_equal(got.n, 2);
	assert_memory_equal(got.octet, sent_octets + 102, 7);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 102);
	stream_destroy(st);

	open_with(8, 1 << 20);
	shake(10, 20);
	up(sent_octets, 10, 10);
	up(sent_octets, 30, 10);
	now += 2 * S;
	up(sent_octets, 0, 10);
	now += 3 * S - 1;
	up(sent_octets, 50, 10);
	up(sent_octets, 20, 10);
	up(sent_octets, 40, 10);
	up(sent_octets, 60, n - 60);
	check_all(3, n);
	stream_destroy(st);
}

static void test_gap_limits(void **state)
{
	static const uint32_t lengths_of[] = {60000, 50, 60000, 50, 50, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	open_with(8, 1 << 20); /* more pieces than are kept */
	shake(10, 20);
	for (uint32_t i = 0; i < 8; i++)
		up(sent_octets, 100 + i * 100, 50);
	assert_int_equal(stream_stats_get(st)->gaps, 0);
	up(sent_octets, 900, 50);
	assert_int_equal(stream_stats_get(st)->gaps, 1); /* nothing of the first is known */
	stream_destroy(st);

	open_with(8, 1 << 20); /* the window */
	shake(10, 20);
	up(sent_octets, 0, 50);
	assert_int_equal(up(sent_octets, 60002, 52), FT_PKT_CARRIED);
	assert_int_equal(up(sent_octets, 60054, 5000), FT_PKT_CARRIED);
	assert_int_equal(stream_stats_get(st)->gaps, 0);
	assert_int_equal(up(sent_octets, 65054, 5000), FT_PKT_CARRIED);
	assert_int_equal(stream_stats_get(st)->gaps, 1);
	assert_int_equal(got.n, 1);
	up(sent_octets, 70054, n - 70054);
	assert_int_equal(got.n, 4);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 60002);
	assert_int_equal(stream_lent(st), 0);
	/* Far out of any window: taken only where it begins a message. */
	assert_int_equal(seg_of(5000, UP, TCP_ACK, isn[UP] + 0x40000000, sent_octets + 9, 99),
			 FT_PKT_TCP_GAP);
	assert_int_equal(seg_of(5000, UP, TCP_ACK, isn[UP] + 0x40000000, sent_octets + n - 52, 52),
			 FT_PKT_CARRIED);
	assert_int_equal(got.n, 5);
	stream_destroy(st);
}

static void test_ends(void **state)
{
	static const uint32_t lengths_of[] = {30, 40, 50, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	open_with(8, 1 << 20); /* FIN of both: a tombstone that knows old octets */
	shake(10, 20);
	up(sent_octets, 0, n);
	seg_of(5000, UP, TCP_FIN | TCP_ACK, isn[UP] + 1 + n, NULL, 0);
	seg_of(5000, DOWN, TCP_FIN | TCP_ACK, isn[DOWN] + 1, NULL, 0);
	assert_int_equal(up(sent_octets, 0, n), FT_PKT_CARRIED);
	assert_int_equal(up(sent_octets, 32, n - 32), FT_PKT_CARRIED);
	assert_int_equal(up(sent_octets + 5, n, 20), FT_PKT_TCP_MIDSTREAM);
	check_all(3, n);
	/* A message over the end is none; behind it, it may be one: the SYN was not seen. */
	assert_int_equal(seg_of(5000, UP, TCP_ACK, isn[UP] + n - 10, sent_octets, n),
			 FT_PKT_TCP_MIDSTREAM);
	assert_int_equal(seg_of(5000, UP, TCP_ACK, isn[UP] + n + 9000, sent_octets, n),
			 FT_PKT_CARRIED);
	assert_int_equal(got.n, 6);
	seg_of(5000, UP, TCP_FIN | TCP_ACK, isn[UP] + n + 9000 + n, NULL, 0);
	shake(10, 20); /* and a new connection, even from the same number */
	up(sent_octets, 0, n);
	assert_int_equal(got.n, 9);
	stream_destroy(st);

	open_with(8, 1 << 20); /* RST: what waited is lost, what was seen stays seen */
	shake(10, 20);
	up(sent_octets, 0, 60);
	assert_int_equal(stream_lent(st), 1);
	seg_of(5000, DOWN, TCP_RST, isn[DOWN] + 1, NULL, 0);
	assert_int_equal(stream_lent(st), 0);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 28);
	assert_int_equal(up(sent_octets, 0, 32), FT_PKT_CARRIED);
	assert_int_equal(got.n, 1);
	stream_destroy(st);

	open_with(8, 1 << 20); /* another SYN: another connection */
	shake(10, 20);
	up(sent_octets, 0, 60);
	seg_of(5000, DOWN, TCP_ACK, isn[DOWN] + 1, sent_octets, 12);
	shake(10, 20);
	assert_int_equal(stream_lent(st), 2); /* the same SYN again: nothing */
	assert_int_equal(seg_of(5000, UP, TCP_SYN, 5000, NULL, 0), FT_PKT_CARRIED);
	assert_int_equal(stream_lent(st), 0);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 28 + 12);
	shake(5000, 6000);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 28 + 12);
	up(sent_octets, 0, n);
	assert_int_equal(got.n, 4);
	stream_destroy(st);
}

/* A FIN from before what was seen is none; one from the future waits for its turn. */
static void test_fin_elsewhere(void **state)
{
	static const uint32_t lengths_of[] = {30, 40, 50, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	open_with(8, 1 << 20);
	shake(10, 20);
	up(sent_octets, 0, 60);
	seg_of(5000, UP, TCP_FIN | TCP_ACK, isn[UP] + 1 + 20, NULL, 0);
	seg_of(5000, UP, TCP_FIN | TCP_ACK, isn[UP] + 0x50000000, NULL, 0);
	seg_of(5000, UP, TCP_FIN | TCP_ACK, isn[UP] + 1 + n - 10, sent_octets + n - 10, 10);
	assert_int_equal(stream_lent(st), 1);
	up(sent_octets, 60, n - 70);
	check_all(3, n);
	stream_destroy(st);
}

static void test_idle(void **state)
{
	static const uint32_t lengths_of[] = {30, 40, 0};

	script_of(lengths_of);
	(void)state;
	for (unsigned expire = 0; expire < 3; expire++) { /* whoever notices it, and when */
		open_with(8, 1 << 20);
		shake(10, 20);
		up(sent_octets, 0, 40);
		now += 60 * S;
		up(sent_octets, 40, 5); /* not yet */
		now += 60 * S + 1;
		if (expire == 1)
			stream_expire(st, now);
		if (expire == 2)
			seg_of(7, UP, TCP_ACK, 1, NULL, 0);
		assert_int_equal(up(sent_octets, 45, 29), FT_PKT_TCP_MIDSTREAM);
		assert_int_equal(stream_stats_get(st)->lost_bytes, 13);
		assert_int_equal(stream_stats_get(st)->evicted, 0);
		assert_int_equal(stream_lent(st), 0);
		stream_destroy(st);
	}
}

/* More half messages than buffers: memory stays, others lose nothing, and those that
 * lost their buffer go on behind the message that they lost. */
static void test_budget(void **state)
{
	static const uint32_t lengths_of[] = {100, 40, 0};
	const uint32_t n = script_of(lengths_of);
	const uint16_t many = 2000;

	(void)state;
	open_with(32768, 64 << 10); /* 8 buffers of the least class */
	const size_t mapped = mem_mapped(MEM_ORDINARY) + mem_mapped(MEM_HUGE);
	for (uint16_t p = 0; p < many; p++) {
		now++;
		seg_of(p, UP, TCP_SYN, p, NULL, 0);
		assert_int_equal(seg_of(p, UP, TCP_ACK, p + 1u, sent_octets, 50), FT_PKT_CARRIED);
		assert_true(stream_lent(st) <= 8);
		/* Another, with whole messages. */
		assert_int_equal(seg_of((uint16_t)(p + 20000), UP, TCP_ACK, 1, sent_octets, n),
				 FT_PKT_CARRIED);
	}
	assert_int_equal(got.n, 2 * many);
	assert_int_equal(stream_stats_get(st)->lost_bytes, (many - 8u) * 50);
	got.n = got.len = 0;
	for (uint16_t p = 0; p < many; p++) {
		now++;
		const enum ft_pkt_drop why = seg_of(p, UP, TCP_ACK, p + 51u, sent_octets + 50, 52);
		assert_int_equal(why, p < many - 8 ? FT_PKT_TCP_FULL : FT_PKT_CARRIED);
		assert_int_equal(seg_of(p, UP, TCP_ACK, p + 103u, sent_octets + 102, 42),
				 FT_PKT_CARRIED);
	}
	assert_int_equal(got.n, many + 8);
	assert_int_equal(stream_stats_get(st)->lost_bytes, (many - 8u) * 102);
	assert_int_equal(stream_lent(st), 0);
	assert_int_equal(mem_mapped(MEM_ORDINARY) + mem_mapped(MEM_HUGE), mapped);
	stream_destroy(st);

	open_with(64, 64 << 10); /* one that is heard of keeps its buffer */
	shake(10, 20);
	up(sent_octets, 0, 50);
	for (uint16_t p = 0; p < 30; p++) {
		now++;
		seg_of(p, UP, TCP_ACK, 1, sent_octets, 50);
		seg_of(5000, DOWN, TCP_ACK, isn[DOWN] + 1, NULL, 0);
	}
	up(sent_octets, 50, n - 50);
	assert_int_equal(got.n, 2);
	assert_int_equal(stream_stats_get(st)->lost_bytes, (30 - 7) * 50);
	stream_destroy(st);

	open_with(8, 0); /* no buffers at all: what needs none still comes */
	shake(10, 20);
	assert_int_equal(up(sent_octets, 0, 50), FT_PKT_TCP_FULL);
	assert_int_equal(up(sent_octets, 50, n - 50), FT_PKT_CARRIED);
	assert_int_equal(got.n, 1);
	stream_destroy(st);
}

static void test_half_open(void **state)
{
	static const uint32_t lengths_of[] = {100, 40, 0};
	const uint32_t n = script_of(lengths_of);

	(void)state;
	open_with(32768, 1 << 20);
	const size_t mapped = mem_mapped(MEM_ORDINARY) + mem_mapped(MEM_HUGE);
	shake(10, 20);
	up(sent_octets, 0, 50);
	for (uint32_t i = 0; i < 100000; i++) {
		const struct flow f = {
		    .src = {{9, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}},
		    .dst = {{2}},
		    .sport = 1,
		    .dport = 53,
		    .tcp = 1};
		const struct segment s = {.flow = &f, .seq = i, .flags = TCP_SYN, .now_us = ++now};
		assert_int_equal(stream_put(st, &s), FT_PKT_CARRIED);
	}
	assert_true(stream_stats_get(st)->evicted >= 100001 - 32768);
	assert_true(stream_stats_get(st)->evicted < 75000);
	assert_int_equal(stream_stats_get(st)->lost_bytes, 0);
	up(sent_octets, 50, n - 50); /* the one that speaks was spared */
	check_all(2, n);
	assert_int_equal(mem_mapped(MEM_ORDINARY) + mem_mapped(MEM_HUGE), mapped);
	stream_destroy(st);
}

static void test_property(void **state)
{
	uint8_t input[300];
	uint64_t x = 1;

	(void)state;
	for (unsigned run = 0; run < 4000; run++) {
		const size_t n = 1 + run % 300;
		for (size_t i = 0; i < n; i++) {
			x = hash_mix(x + 1);
			input[i] = (uint8_t)x;
		}
		input[0] &= run & 7 ? (uint8_t)~0x20u : 0xff; /* seldom lies */
		for (size_t i = 1; i + 2 < n; i += 3)
			if (input[i] >> 2 & 7 && (input[i] >> 2 & 7) == 7)
				input[i + 1] %= 6;
		LLVMFuzzerTestOneInput(input, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create),      cmocka_unit_test(test_every_length),
	    cmocka_unit_test(test_every_split), cmocka_unit_test(test_permutations),
	    cmocka_unit_test(test_overlaps),    cmocka_unit_test(test_wrap_and_old),
	    cmocka_unit_test(test_fast_open),   cmocka_unit_test(test_midstream),
	    cmocka_unit_test(test_gap_inside),  cmocka_unit_test(test_gap_over),
	    cmocka_unit_test(test_gap_limits),  cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_idle),        cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_half_open),   cmocka_unit_test(test_gap_edges),
	    cmocka_unit_test(test_property),    cmocka_unit_test(test_fin_elsewhere),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}

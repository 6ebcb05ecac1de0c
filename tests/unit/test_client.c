/* SPDX-License-Identifier: BSD-3-Clause */
/* Rankings of clients against full counts, with their error bounds; coupling against a
 * plain correlation over all seconds. */
#include "stats/client_coupling.h"
#include "stats/client_top.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENTS 5000u
#define INTERVALS 12u
#define VANTAGE FT_VANTAGE_S2R

static uint64_t state = 88172645463325252ull;

static uint64_t random_next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static void id_of(unsigned client, uint8_t id[16])
{
	memset(id, 0, 16);
	id[12] = 10;
	id[14] = (uint8_t)(client >> 8);
	id[15] = (uint8_t)client;
}

static unsigned client_of(const uint8_t id[16])
{
	return (unsigned)id[14] << 8 | id[15];
}

/* Queries of a client in an interval: Zipf in the whole, and noise that lets ranks change. */
static uint64_t queries_of(unsigned client, unsigned clients)
{
	return random_next() % (1 + 40 * clients / (client + 1) / 100) + random_next() % 2;
}

/* One interval, clients in an order of its own. */
static void interval(struct client_top *t, unsigned clients, unsigned first, uint64_t *now)
{
	for (unsigned i = 0; i < clients; i++) {
		const unsigned c = (first + i * 7919u) % clients;
		uint64_t counts[FT_QGROUP_CAP] = {[FT_QGROUP_AAAA] = now[c]};
		uint8_t id[16];
		id_of(c, id);
		client_top_add(t, VANTAGE, id, counts);
	}
}

static void check_interval(struct client_top *t, unsigned clients, const uint64_t *now)
{
	size_t n;
	const struct top_client *v = client_top_interval(t, VANTAGE, FT_QGROUP_AAAA, &n);
	uint64_t above = 0;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(v[i].queries, now[client_of(v[i].id)]);
		assert_int_equal(v[i].err, 0);
		if (i != 0)
			assert_true(v[i - 1].queries > v[i].queries ||
				    (v[i - 1].queries == v[i].queries &&
				     memcmp(v[i - 1].id, v[i].id, 16) < 0));
	}
	/* Nobody outside has more than the last one inside. */
	for (unsigned c = 0; c < clients; c++)
		above += n != 0 && now[c] > v[n - 1].queries;
	assert_true(above < TOP_CAP && (n == TOP_CAP || above < n));
}

static void run(unsigned clients)
{
	struct client_top *a = client_top_create(), *b = client_top_create();
	uint64_t *now = calloc(clients, sizeof(*now)), *day = calloc(clients, sizeof(*day));
	size_t n, m;

	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(now);
	assert_non_null(day);
	for (unsigned i = 0; i < INTERVALS; i++) {
		for (unsigned c = 0; c < clients; c++) {
			now[c] = queries_of(c, clients);
			day[c] += now[c];
		}
		interval(a, clients, 0, now);
		interval(b, clients, 17 * i, now);
		check_interval(a, clients, now);
		client_top_close(a);
		client_top_close(b);
	}
	const struct top_client *v = client_top_day(a, VANTAGE, FT_QGROUP_AAAA, &n),
				*w = client_top_day(b, VANTAGE, FT_QGROUP_AAAA, &m);
	/* The order in which clients come does not show. */
	assert_int_equal(n, m);
	assert_memory_equal(v, w, n * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		const uint64_t truth = day[client_of(v[i].id)];
		assert_true(v[i].queries >= truth && v[i].queries - v[i].err <= truth);
		assert_true(clients > TOP_CAP || v[i].err == 0);
	}
	/* The busiest are beyond doubt. */
	for (unsigned c = 0; c < 3; c++)
		assert_true(client_of(v[c].id) < 5 && v[c].queries == day[client_of(v[c].id)]);
	client_top_end_day(a);
	(void)client_top_day(a, VANTAGE, FT_QGROUP_AAAA, &n);
	assert_int_equal(n, 0);
	client_top_destroy(a);
	client_top_destroy(b);
	free(now);
	free(day);
}

static void test_top(void **unused)
{
	(void)unused;
	run(200);
	run(TOP_CAP);
	run(CLIENTS);
}

/* --- coupling --- */

#define SECONDS 4000u

/* By the book: means, then products, over the bins that count. */
static double plain_r2(uint32_t (*n)[2], unsigned width, unsigned from, unsigned to)
{
	double bins = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned s = 0; s < SECONDS; s += width) {
			double x = 0, y = 0;
			if (s / width > from / width && s / width < to / width)
				continue;
			for (unsigned i = 0; i < width; i++) {
				x += n[s + i][0];
				y += n[s + i][1];
			}
			if (pass == 0) {
				bins++;
				mx += x;
				my += y;
			} else {
				xx += (x - mx) * (x - mx);
				yy += (y - my) * (y - my);
				xy += (x - mx) * (y - my);
			}
		}
		if (pass == 0) {
			mx /= bins;
			my /= bins;
		}
	}
	return xy * xy / (xx * yy);
}

static void test_coupling(void **unused)
{
	static uint32_t n[SECONDS][2];
	const uint64_t begin = 1767225600;
	const unsigned from = 1502, to = 2498; /* silent in between */
	struct coupling c = {0};
	struct coupling_result r;

	(void)unused;
	for (unsigned s = 0; s < SECONDS; s++) {
		const bool silent = s > from && s < to;
		n[s][0] = silent ? 0 : (uint32_t)(random_next() % 8);
		n[s][1] = silent ? 0 : n[s][0] + (random_next() % 6 == 0);
	}
	n[0][0] = n[SECONDS - 1][0] = n[from][0] = n[to][0] = 1;
	for (unsigned s = 0; s < SECONDS; s++)
		if ((n[s][0] | n[s][1]) != 0)
			coupling_add(&c, begin + s, n[s][0], n[s][1]);
	coupling_leave_out(&c, begin + from, begin + to);
	assert_true(coupling_get(&c, &r));
	assert_int_equal(r.n, SECONDS - (to - from - 1));
	assert_true(fabs(r.r2_1s - plain_r2(n, 1, from, to)) < 1e-9);
	assert_true(fabs(r.r2_5s - plain_r2(n, 5, from, to)) < 1e-9);
	assert_true(r.coupled && r.r2_1s > 0.9);
}

static void test_too_little(void **unused)
{
	struct coupling c = {0};
	struct coupling_result r;

	(void)unused;
	assert_false(coupling_get(&c, &r));
	for (unsigned i = 0; i < 99; i++)
		coupling_add(&c, 1000 + 10 * i, 1, 1);
	assert_false(coupling_get(&c, &r)); /* 99 of each */
	coupling_add(&c, 2000, 1, 1);
	assert_true(coupling_get(&c, &r));
	assert_int_equal(r.n, 1001);
	struct coupling brief = {0};
	for (unsigned i = 0; i < 599; i++)
		coupling_add(&brief, 1000 + i, 1, 1);
	assert_false(coupling_get(&brief, &r)); /* 599 seconds */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_top),
	    cmocka_unit_test(test_coupling),
	    cmocka_unit_test(test_too_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

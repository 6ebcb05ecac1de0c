/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats/server_state.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The figures that the method was chosen with, and a root of Wilson's own equation. */
static void test_bound(void **unused)
{
	(void)unused;
	assert_true(fabs(server_state_bound(18, 20) - 0.533) < 0.001);
	assert_true(fabs(server_state_bound(5, 50) - 0.026) < 0.001);
	assert_true(fabs(server_state_bound(2, 50) - 0.006) < 0.001);
	assert_true(server_state_bound(0, 1000) < 1e-12);
	for (uint64_t n = 1; n < 200; n += 7) {
		for (uint64_t k = 1; k <= n; k += 5) {
			const double b = server_state_bound(k, n), p = (double)k / (double)n;
			const double z = (p - b) / sqrt(b * (1 - b) / (double)n);
			assert_true(fabs(z - 3.29053) < 1e-3);
		}
	}
}

static struct server_health health;
static uint64_t number;

static void begin(void)
{
	memset(&health, 0, sizeof(health));
	number = 100000;
}

/* One window of one type; returns whether the state changed. */
static bool window(uint64_t queries, uint64_t unanswered)
{
	const struct server_window w = {number++, 1, queries, unanswered};

	return server_state_step(&health, &w, 1, true);
}

static void test_down_and_up(void **unused)
{
	(void)unused;
	begin();
	assert_false(window(10, 0)); /* up from the first answer on: nothing has changed */
	assert_int_equal(health.state, SERVER_UP);
	assert_int_equal(health.since_us, 100000ull * 10000000);
	for (unsigned i = 0; i < 5; i++)
		assert_false(window(10, 0));
	unsigned windows = 0;
	while (health.state != SERVER_DOWN && windows < 10) {
		window(10, 10);
		windows++;
	}
	assert_true(windows <= 6);
	assert_int_equal(health.since_us, number * 10000000);
	assert_false(window(10, 0));
	assert_int_equal(health.state, SERVER_DOWN);
	assert_false(window(10, 0));
	assert_true(window(10, 0)); /* the third clean one */
	assert_int_equal(health.state, SERVER_UP);
	assert_false(window(10, 1)); /* and what was before counts no more */
}

static void test_few(void **unused)
{
	(void)unused;
	begin();
	for (unsigned i = 0; i < 30; i++)
		assert_false(window(3, i % 6 == 0 ? 3 : 0)); /* 18 a minute: too few */
	begin();
	assert_false(window(19, 19));
	assert_int_equal(health.state, SERVER_UNKNOWN);
	assert_true(window(1, 1));
	assert_int_equal(health.state, SERVER_DOWN);
}

static void test_degraded(void **unused)
{
	(void)unused;
	begin();
	assert_false(window(50, 2)); /* 0.006 */
	begin();
	assert_true(window(50, 5)); /* 0.026 */
	assert_int_equal(health.state, SERVER_DEGRADED);
	window(50, 5);
	assert_int_equal(health.state, SERVER_DEGRADED);
	window(500, 480);
	assert_int_equal(health.state, SERVER_DOWN);
}

/* A gap in time is no evidence, and old windows are none either. */
static void test_gap(void **unused)
{
	(void)unused;
	begin();
	window(10, 0);
	window(5, 5);
	number += 6;
	assert_false(window(10, 5)); /* with what was before: 10 of 25 */
	assert_int_equal(health.state, SERVER_UP);
}

static void test_odd_types(void **unused)
{
	struct server_window w[2] = {{100000, 1, 100, 0}, {100000, 65280, 40, 40}};

	(void)unused;
	begin();
	for (unsigned i = 0; i < 8; i++, w[0].number++, w[1].number++)
		assert_false(server_state_step(&health, w, 2, true));
	assert_int_equal(health.state, SERVER_UP);
	w[0].unanswered = 100; /* nothing is answered any more: the odd one counts, too */
	bool changed = false;
	for (unsigned i = 0; i < 6; i++, w[0].number++, w[1].number++)
		changed |= server_state_step(&health, w, 2, true);
	assert_true(changed);
	assert_int_equal(health.state, SERVER_DOWN);
}

static void test_guard(void **unused)
{
	const struct server_window w = {100001, 1, 1000, 1000};

	(void)unused;
	begin();
	window(100, 0);
	assert_false(server_state_step(&health, &w, 1, false));
	assert_int_equal(health.state, SERVER_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bound), cmocka_unit_test(test_down_and_up),
	    cmocka_unit_test(test_few),   cmocka_unit_test(test_degraded),
	    cmocka_unit_test(test_gap),   cmocka_unit_test(test_odd_types),
	    cmocka_unit_test(test_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

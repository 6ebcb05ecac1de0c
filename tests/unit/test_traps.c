/* SPDX-License-Identifier: BSD-3-Clause */
/* Spamtraps: thirty days against a plain array of days, and a table that is full. */
#include "stats/traps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAYS 400u

static bool ask(struct traps *t, uint32_t name, uint64_t day, uint64_t count, uint32_t client,
		struct trap *out)
{
	uint8_t key[TRAP_KEY_BYTES] = {0};
	struct handful h = {0};

	memcpy(key + 1, &name, sizeof(name));
	handful_add(&h, client);
	return traps_step(
	    t, key, &(struct trap_day){day, count, day * 86400000000u, day * 86400000000u + 5, &h},
	    out);
}

static void test_reference(void **state)
{
	struct traps *t = traps_create(100);
	uint64_t by_day[DAYS] = {0}, seed = 7, told = 0;

	(void)state;
	for (uint64_t day = 0; day < DAYS; day++) {
		for (unsigned i = 0; i < 3; i++) {
			struct trap got;
			uint64_t want = 0, days = 0;
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			if (seed >> 61 < 5) /* some days have none */
				continue;
			by_day[day] += i + 1;
			const bool is_trap =
			    ask(t, 1, 1000 + day, i + 1, (uint32_t)(seed >> 60), &got);
			for (uint64_t d = day >= 29 ? day - 29 : 0; d <= day; d++) {
				want += by_day[d];
				days += by_day[d] != 0;
			}
			assert_int_equal(got.count, want);
			assert_int_equal(got.days, days);
			assert_int_equal(got.last_us, (1000 + day) * 86400000000u + 5);
			if (is_trap)
				assert_true(want >= TRAP_COUNT && days >= TRAP_DAYS &&
					    got.clients >= TRAP_CLIENTS);
			told += is_trap;
		}
	}
	uint64_t days = 0;
	for (uint64_t day = 0; day < DAYS; day++)
		days += by_day[day] != 0;
	assert_in_range(told, days / 2, days); /* once a day, but for those in the beginning */
	traps_destroy(t);
	traps_destroy(NULL);
}

/* Whoever comes back after thirty days begins anew: clients, first time and all. */
static void test_back(void **state)
{
	struct traps *t = traps_create(100);
	struct trap got;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_true(ask(t, 1, 1000 + i, 4, i, &got) == (i == 2));
	assert_false(ask(t, 1, 1031, 4, 9, &got)); /* the last day is still one of thirty */
	assert_int_equal(got.count, 8);
	assert_int_equal(got.clients, 4);
	assert_false(ask(t, 1, 1061, 4, 9, &got));
	assert_int_equal(got.count, 4);
	assert_int_equal(got.clients, 1);
	assert_int_equal(got.first_us, 1061 * 86400000000u);
	traps_destroy(t);
}

/* Of a full table, those that were not asked for in thirty days leave. */
static void test_full(void **state)
{
	struct traps *t = traps_create(100);
	struct trap got;

	(void)state;
	for (uint32_t i = 0; i < 150; i++)
		(void)ask(t, i, 1000, 1, 1, &got);
	assert_int_equal(traps_left_out(t), 50);
	for (uint32_t i = 0; i < 40; i++) {
		(void)ask(t, i, 1020, 1, 1, &got);
		assert_int_equal(got.count, 2);
	}
	for (uint32_t i = 200; i < 260; i++)
		(void)ask(t, i, 1030, 1, 1, &got);
	assert_int_equal(traps_left_out(t), 50);
	(void)ask(t, 300, 1030, 1, 1, &got);
	assert_int_equal(traps_left_out(t), 51);
	(void)ask(t, 39, 1030, 1, 1, &got);
	assert_int_equal(got.count, 2); /* the first of them was thirty days ago */
	traps_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reference),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

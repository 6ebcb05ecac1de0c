/* SPDX-License-Identifier: BSD-3-Clause */
/* --sample auto: traces of load, and the steps that must follow. */
#include "sample_auto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static const struct sample_auto_worker calm = {.ring_fill = 0.01, .busy = 0.3};
static const struct sample_auto_worker even = {.ring_fill = 0.3, .busy = 0.8};
static const struct sample_auto_worker drops = {.busy = 0.5, .dropped = 1};
static const struct sample_auto_worker full = {.ring_fill = 0.6, .busy = 0.5};
static const struct sample_auto_worker busy = {.busy = 1};

static uint32_t ticks(struct sample_auto *a, struct sample_auto_worker w, unsigned n)
{
	const struct sample_auto_worker two[] = {calm, w};
	uint32_t level = a->level;

	for (unsigned i = 0; i < n; i++) {
		const uint32_t next = sample_auto_step(a, two, 2);
		assert_true(next <= level + 1 && next + 1 >= level); /* one step at a time */
		level = next;
	}
	return level;
}

static void test_calm_stays_whole(void **state)
{
	struct sample_auto a = {0};

	(void)state;
	assert_int_equal(ticks(&a, calm, 5000), 0);
	assert_int_equal(ticks(&a, even, 5000), 0);
	assert_int_equal(sample_auto_step(&a, NULL, 0), 0);
}

static void test_quick_up(void **state)
{
	const struct sample_auto_worker trace[] = {drops, full};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sample_auto a = {0};
		assert_int_equal(ticks(&a, trace[i], 1), 1); /* at once */
		assert_int_equal(ticks(&a, trace[i], 1), 1); /* not twice in a row */
		assert_int_equal(ticks(&a, trace[i], 1), 2);
		assert_int_equal(ticks(&a, trace[i], 1000), 16); /* and no further */
	}
}

static void test_busy_for_a_while(void **state)
{
	struct sample_auto a = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++) { /* bursts of 0.2 s do nothing */
		assert_int_equal(ticks(&a, busy, 2), 0);
		assert_int_equal(ticks(&a, even, 1), 0);
	}
	assert_int_equal(ticks(&a, busy, 3), 1);
	assert_int_equal(ticks(&a, busy, 2), 2);
}

static void test_slow_down(void **state)
{
	struct sample_auto a = {0};

	(void)state;
	assert_int_equal(ticks(&a, drops, 5), 3);
	assert_int_equal(ticks(&a, even, 10000), 3); /* neither up nor down */
	assert_int_equal(ticks(&a, calm, 99), 3);
	assert_int_equal(ticks(&a, even, 1), 3); /* begins anew */
	assert_int_equal(ticks(&a, calm, 99), 3);
	assert_int_equal(ticks(&a, calm, 1), 2);
	assert_int_equal(ticks(&a, calm, 99), 2);
	assert_int_equal(ticks(&a, calm, 1), 1);
	assert_int_equal(ticks(&a, calm, 100), 0);
	assert_int_equal(ticks(&a, calm, 1000), 0);
}

/* A load that level 1 carries and level 0 does not: ever fewer attempts. */
static void test_no_flapping(void **state)
{
	struct sample_auto a = {0};
	unsigned raises = 0;

	(void)state;
	for (unsigned i = 0; i < 36000; i++) { /* an hour */
		const uint32_t before = a.level;
		const uint32_t level = ticks(&a, before == 0 ? drops : calm, 1);
		raises += level > before;
		assert_in_range(level, 0, 1);
	}
	assert_in_range(raises, 8, 20);
	/* Once the load has gone, the level comes down and stays there, and the next load
	 * finds the old patience. */
	assert_int_equal(ticks(&a, calm, 4000), 0);
	assert_int_equal(ticks(&a, drops, 1), 1);
	assert_int_equal(ticks(&a, calm, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calm_stays_whole), cmocka_unit_test(test_quick_up),
	    cmocka_unit_test(test_busy_for_a_while), cmocka_unit_test(test_slow_down),
	    cmocka_unit_test(test_no_flapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

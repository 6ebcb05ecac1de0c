/* SPDX-License-Identifier: BSD-3-Clause */
/* A device's clock that is made up here, so that the true time of each frame is known. */
#include "rx_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_NS 5000000000000ull /* CLOCK_MONOTONIC of the first frame */
#define LEAST_NS 3000u            /* from wire to worker when nothing is in the way */

static uint64_t noise(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* What the device's clock shows: `ppb` fast, and `bias` away at START_NS. */
static uint64_t shown(uint64_t mono_ns, uint64_t bias_ns, int64_t ppb)
{
	const int64_t since = (int64_t)(mono_ns - START_NS);

	return mono_ns + bias_ns + (uint64_t)(since / 1000 * ppb / 1000000);
}

/* n frames, 10 us apart, each picked up LEAST_NS or up to 500 us later: the greatest
 * error of the times told, after a first tenth in which the clock is learned. */
static uint64_t worst(struct rx_device_clock *c, uint64_t begin_ns, uint64_t bias_ns, int64_t ppb)
{
	const unsigned n = 200000;
	uint64_t most = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t came_ns = begin_ns + i * 10000ull;
		const uint64_t wait_ns = LEAST_NS + (noise() % 4 == 0 ? 0 : noise() % 500000);
		const uint64_t now_ns = came_ns + wait_ns;
		const uint64_t told_ns = rx_device_mono(c, shown(came_ns, bias_ns, ppb), now_ns);

		assert_true(told_ns != 0);
		assert_true(told_ns <= now_ns);
		if (i < n / 10)
			continue;
		const uint64_t error = told_ns > came_ns ? told_ns - came_ns : came_ns - told_ns;
		if (error > most)
			most = error;
	}
	return most;
}

/* UTC, TAI, time since power-on, and one that is about to wrap. */
static void test_anywhere(void **state)
{
	static const uint64_t bias_ns[] = {1780000000000000000ull, 1780000037000000000ull,
					   0ull - START_NS + 12345, 0ull - START_NS - 500000000};

	(void)state;
	for (size_t i = 0; i < sizeof(bias_ns) / sizeof(bias_ns[0]); i++) {
		struct rx_device_clock c = {0};

		assert_int_equal(worst(&c, START_NS, bias_ns[i], 0), LEAST_NS);
		assert_int_equal(c.believed, 200000);
		assert_int_equal(c.odd, 0);
	}
}

/* 50 ppm off, either way: what it drifts in two windows, 25 us, and no more. */
static void test_drift(void **state)
{
	(void)state;
	for (int64_t ppb = -50000; ppb <= 50000; ppb += 100000) {
		struct rx_device_clock c = {0};

		assert_in_range(worst(&c, START_NS, 77, ppb), 0, LEAST_NS + 25000 + 1000);
		assert_int_equal(c.odd, 0);
		/* After an hour without a frame the two are 180 ms further apart. */
		assert_in_range(worst(&c, START_NS + 3600000000000ull, 77, ppb), 0,
				LEAST_NS + 25000 + 1000);
	}
}

/* A stamp that is no time is counted and changes nothing, wherever it stands. */
static void test_absurd(void **state)
{
	static const uint64_t absurd[] = {1, UINT64_MAX, 1ull << 63, START_NS * 3};
	struct rx_device_clock c = {0};
	uint64_t now_ns = START_NS, odd = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		const bool bad = i > 0 && noise() % 3 == 0;
		const uint64_t stamp = bad ? absurd[noise() % 4] : shown(now_ns, 1ull << 60, 0);
		const uint64_t told = rx_device_mono(&c, stamp, now_ns + LEAST_NS);

		assert_int_equal(told, bad ? 0 : now_ns + LEAST_NS);
		odd += bad;
		now_ns += 1000;
	}
	assert_int_equal(c.odd, odd);
	assert_int_equal(c.believed, 100000 - odd);
	/* Just inside and just outside the second that is allowed. */
	now_ns += LEAST_NS;
	assert_true(
	    rx_device_mono(&c, shown(now_ns - 1000000000, 1ull << 60, 0) - LEAST_NS, now_ns));
	assert_false(
	    rx_device_mono(&c, shown(now_ns - 1000000001, 1ull << 60, 0) - LEAST_NS, now_ns));
}

/* The first stamp is not a time, or someone sets the clock: learned anew after so many. */
static void test_set(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 3; way++) {
		struct rx_device_clock c = {0};
		uint64_t now_ns = START_NS;
		unsigned refused = 0;

		if (way == 0)
			(void)rx_device_mono(&c, 1, now_ns);
		else
			(void)worst(&c, START_NS - 2000000000, 10000000000ull, 0);
		const uint64_t bias_ns = way == 2 ? 20000000000ull : 5000000000ull;
		for (unsigned i = 0; i < 1000; i++) {
			now_ns += 1000;
			const uint64_t told =
			    rx_device_mono(&c, shown(now_ns, bias_ns, 0), now_ns + LEAST_NS);
			refused += told == 0;
			if (told != 0)
				assert_int_equal(told, now_ns + LEAST_NS);
		}
		assert_int_equal(refused, RX_DEVICE_ODD_RUN);
		assert_int_equal(c.odd, RX_DEVICE_ODD_RUN);
	}
}

/* A look at what waits agrees with what will be told. */
static void test_peek(void **state)
{
	struct rx_device_clock c = {0};

	(void)state;
	(void)worst(&c, START_NS, 99, 0);
	const uint64_t came_ns = START_NS + 2000000000ull, stamp = shown(came_ns, 99, 0);
	const uint64_t peeked = rx_device_peek(&c, stamp);

	assert_int_equal(peeked, came_ns + LEAST_NS);
	assert_int_equal(rx_device_mono(&c, stamp, came_ns + 400000), peeked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_anywhere), cmocka_unit_test(test_drift),
	    cmocka_unit_test(test_absurd),   cmocka_unit_test(test_set),
	    cmocka_unit_test(test_peek),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

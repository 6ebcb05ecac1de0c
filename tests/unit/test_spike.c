/* SPDX-License-Identifier: BSD-3-Clause */
/* Spikes: the published table of the tail, and a plain reference of the moving mean. */
#include "stats/spike.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* P(X >= x) by adding up the other side. */
static double tail_by_sum(unsigned x, double mu)
{
	long double term = expl(-(long double)mu), below = 0;

	for (unsigned i = 0; i < x; i++) {
		below += term;
		term *= (long double)mu / (i + 1);
	}
	return (double)(1 - below);
}

/* For counts of these means, the least that is one chance in a million: the table of
 * DOMAIN 0.5, without its floor of ten. */
static void test_tail(void **state)
{
	static const struct {
		double mu;
		unsigned x;
	} table[] = {{0.1, 5}, {1, 10}, {10, 29}, {100, 152}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		assert_true(spike_tail(table[i].x, table[i].mu) < SPIKE_CHANCE);
		assert_true(spike_tail(table[i].x - 1, table[i].mu) >= SPIKE_CHANCE);
	}
	for (unsigned x = 2; x < 60; x++) {
		const double mu = x / 2.0, want = tail_by_sum(x, mu);
		assert_true(fabs(spike_tail(x, mu) - want) < 1e-9 + 1e-6 * want);
	}
	assert_true(spike_tail(10, 0) == 0);
	assert_true(spike_tail(10, 20) == 1);
	assert_true(spike_tail(1e6, 1e5) >= 0);
}

static uint64_t rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Knuth's: fine for small means. */
static uint64_t poisson(uint64_t *seed, double mu)
{
	const double limit = exp(-mu);
	double p = 1;
	uint64_t n = 0;

	do {
		p *= (double)(rnd(seed) >> 11) / 9007199254740992.0;
		n++;
	} while (p > limit);
	return n - 1;
}

/* What is expected is the mean with weights that halve in an hour, silent intervals and
 * all; nothing is a spike in the first hour, noise hardly ever is, tenfold always. */
static void test_expected(void **state)
{
	struct spikes *s = spikes_create(60, 4096);
	uint64_t seed = 88172645463325252u;
	static double count[600];
	unsigned alarms = 0;

	(void)state;
	assert_non_null(s);
	for (unsigned i = 0; i < 600; i++) {
		const bool silent = i % 5 == 4;
		count[i] = silent ? 0 : (double)poisson(&seed, 20);
		if (silent) {
			(void)spikes_step(s, 7, i * 60, 1); /* another key goes on */
			continue;
		}
		double sum = 0, weights = 0;
		for (unsigned k = 0; k < i; k++) {
			const double w = exp2(-(double)(i - k) * 60 / SPIKE_HALF_LIFE_S);
			sum += w * count[k];
			weights += w;
		}
		const struct spike x = spikes_step(s, 12345, i * 60, (uint64_t)count[i]);
		if (i > 0)
			assert_true(fabs(x.expected - fmax(sum / weights, 0)) < 1e-6);
		assert_true(i >= 60 || x.kind == SPIKE_NONE);
		alarms += x.kind != SPIKE_NONE;
	}
	assert_true(alarms <= 1);
	assert_int_equal(spikes_step(s, 12345, 600 * 60, 200).kind, SPIKE_SUDDEN);
	spikes_destroy(s);
}

/* A new key, or one that never had two: the floor. */
static void test_new_keys(void **state)
{
	struct spikes *s = spikes_create(60, 64);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		(void)spikes_step(s, 1, i * 60, 50);
	assert_int_equal(spikes_step(s, 2, 6000, SPIKE_FLOOR - 1).kind, SPIKE_NONE);
	assert_int_equal(spikes_step(s, 3, 6000, SPIKE_FLOOR).kind, SPIKE_SUDDEN);
	assert_int_equal(spikes_step(s, 1, 6000, 55).kind, SPIKE_NONE);
	/* Rare keys crowd the table: the busy one stays. */
	for (uint64_t k = 1; k < 4096; k++)
		(void)spikes_step(s, k << 32 | 1, 6060, 4);
	assert_int_equal(spikes_step(s, 1, 6060, 55).kind, SPIKE_NONE);
	for (unsigned i = 2; i < 200; i++)
		assert_int_equal(spikes_step(s, 4, 6000 + i * 60, 1).kind, SPIKE_NONE);
	assert_int_equal(spikes_step(s, 4, 18000, SPIKE_FLOOR).kind, SPIKE_SUDDEN);
	spikes_destroy(s);
	spikes_destroy(NULL);
}

/* A rise that no single interval gives away. */
static void test_drift(void **state)
{
	struct spikes *s = spikes_create(60, 64);
	unsigned first = 0;

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(spikes_step(s, 9, i * 60, 100).kind, SPIKE_NONE);
	for (unsigned i = 300; i < 400 && first == 0; i++) {
		const struct spike x = spikes_step(s, 9, i * 60, 125);
		assert_true(x.kind != SPIKE_SUDDEN);
		if (x.kind == SPIKE_DRIFT)
			first = i;
	}
	assert_in_range(first, 301, 310);
	spikes_destroy(s);
}

/* Three weeks with a busy hour each Monday: that hour is no spike any more. */
static void test_week(void **state)
{
	struct spikes *s = spikes_create(3600, 64);
	unsigned early = 0, late = 0;

	(void)state;
	for (unsigned i = 0; i < 5 * 168; i++) {
		const struct spike x =
		    spikes_step(s, 9, i * 3600ull, i % 168 == 100 ? 400 : 100 + i % 7);
		*(i < 2 * 168 ? &early : &late) += x.kind == SPIKE_SUDDEN;
	}
	assert_int_equal(early, 2);
	assert_int_equal(late, 0);
	spikes_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tail),     cmocka_unit_test(test_expected),
	    cmocka_unit_test(test_new_keys), cmocka_unit_test(test_drift),
	    cmocka_unit_test(test_week),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

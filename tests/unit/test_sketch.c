/* SPDX-License-Identifier: BSD-3-Clause */
#include "sketch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

/* SplitMix64 (Steele, Lea, Flood 2014): numbers that no room makes. */
static uint64_t next(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static double uniform(void)
{
	return (double)(next() >> 11) / 9007199254740992.0;
}

/* Bin i holds (gamma^(i-2), gamma^(i-1)]; true where v stands in it, or so near to a
 * border that a double could not say. */
static bool bin_fits(uint64_t v, uint32_t bin)
{
	const long double gamma = 1.01L / 0.99L;
	const long double at = logl((long double)v) / logl(gamma);
	const long double slack = 1e-12L * (1 + at);

	if (bin == DD_BINS - 1)
		return at > (long double)(DD_BINS - 3) - slack;
	return at > (long double)bin - 2 - slack && at <= (long double)bin - 1 + slack;
}

static void test_bins(void **state)
{
	uint32_t before = 0;

	(void)state;
	assert_int_equal(dd_bin(0), 0);
	assert_int_equal(dd_bin(1), 1);
	for (uint64_t v = 1; v <= 4000000; v++) {
		const uint32_t bin = dd_bin(v);
		if (!bin_fits(v, bin) || bin < before)
			fail_msg("%llu in bin %u", (unsigned long long)v, bin);
		before = bin;
	}
	for (unsigned i = 0; i < 2000000; i++) { /* all magnitudes alike */
		const uint64_t v = next() >> (next() % 64);
		if (v != 0 && !bin_fits(v, dd_bin(v)))
			fail_msg("%llu in bin %u", (unsigned long long)v, dd_bin(v));
	}
	for (unsigned shift = 2; shift < 64; shift++) {
		const uint64_t power = UINT64_C(1) << shift;
		for (uint64_t v = power - 2; v <= power + 2; v++)
			if (!bin_fits(v, dd_bin(v)))
				fail_msg("%llu in bin %u", (unsigned long long)v, dd_bin(v));
	}
	assert_int_equal(dd_bin(UINT64_MAX), DD_BINS - 1);
	dd_init(); /* once more changes nothing */
	assert_true(bin_fits(123456, dd_bin(123456)));
}

/* Within 1 % of every value up to the last bin: ten minutes and more. */
static void test_values(void **state)
{
	(void)state;
	assert_true(dd_value(0) == 0);
	for (uint64_t v = 1; v < 700000000; v += 1 + v / 4000) {
		const double error = dd_value(dd_bin(v)) / (double)v - 1;
		if (fabs(error) > 0.01 + 1e-9)
			fail_msg("%llu: error %f", (unsigned long long)v, error);
	}
}

static double normal(void)
{
	return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

static uint64_t draw(unsigned distribution)
{
	switch (distribution) {
	case 0: return next() % 5000000;                        /* uniform over the wait */
	case 1: return (uint64_t)exp(9.2 + 1.5 * normal());     /* log-normal about 10 ms */
	case 2: return (uint64_t)(-20000 * log(1 - uniform())); /* exponential */
	case 3:
		return next() % 10 < 7 ? 300 + next() % 100
				       : 2000000 + next() % 1000; /* two humps */
	case 4: return next() % 4; /* a local resolver: zeros among them */
	case 5: return 31337;      /* one value */
	default: return (uint64_t)(100 / pow(1 - uniform(), 1 / 1.2)) % 600000000; /* Pareto */
	}
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void test_quantiles(void **state)
{
	enum { N = 100001 };
	static const double q[] = {0,    0.001, 0.01, 0.1,   0.25,   0.5,
				   0.75, 0.9,   0.99, 0.999, 0.9999, 1};
	uint64_t *v = malloc(N * sizeof(*v));
	static uint64_t bins[DD_BINS];

	(void)state;
	for (unsigned distribution = 0; distribution <= 6; distribution++) {
		static const uint32_t sizes[] = {1, 2, 10, 1000, N};
		for (unsigned s = 0; s < 5; s++) {
			const uint32_t n = sizes[s];
			memset(bins, 0, sizeof(bins));
			for (uint32_t i = 0; i < n; i++)
				bins[dd_bin(v[i] = draw(distribution))]++;
			qsort(v, n, sizeof(*v), compare_u64);
			for (unsigned k = 0; k < sizeof(q) / sizeof(*q); k++) {
				const double want = (double)v[(uint64_t)(q[k] * (n - 1))];
				const double got = dd_quantile(bins, n, q[k]);
				if (fabs(got - want) > 0.01 * want + 1e-6)
					fail_msg("distribution %u, %u values, q %f: %f, not %f",
						 distribution, n, q[k], got, want);
			}
		}
	}
	memset(bins, 0, sizeof(bins));
	assert_true(dd_quantile(bins, 0, 0.5) == 0);
	free(v);
}

static struct distinct whole, part[9];

/* Flajolet et al. 2007, literally: the first 14 bits choose the register, the value is the place
 * of the first one among the other 50, 51 where there is none. */
static void plain_regs(const uint64_t *hash, uint32_t n, uint8_t *regs)
{
	memset(regs, 0, FT_DISTINCT_REGS);
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t h = hash[i] != 0 ? hash[i] : 1;
		uint8_t place = 1;
		while (place <= 50 && (h >> (50 - place) & 1) == 0)
			place++;
		uint8_t *reg = &regs[h >> 50];
		*reg = place > *reg ? place : *reg;
	}
}

static void test_exact(void **state)
{
	static uint64_t list[FT_DISTINCT_EXACT], hash[FT_DISTINCT_EXACT];

	(void)state;
	assert_int_equal(distinct_count(&whole), 0);
	for (uint32_t n = 0; n < FT_DISTINCT_EXACT; n++) {
		hash[n] = n % 3 == 0 ? (uint64_t)n << 40 : next(); /* some that are much alike */
		for (unsigned twice = 0; twice < 2; twice++)
			distinct_add(&whole, hash[n]);
		distinct_add(&whole, hash[next() % (n + 1)]);
		assert_int_equal(distinct_count(&whole), n + 1);
	}
	for (uint32_t n = 0; n < FT_DISTINCT_EXACT; n++) /* full, and nothing new */
		distinct_add(&whole, hash[n]);
	assert_int_equal(distinct_count(&whole), FT_DISTINCT_EXACT);
	assert_int_equal(whole.dense, 0);
	assert_int_equal(distinct_list(&whole, list), FT_DISTINCT_EXACT);
	hash[0] = 1; /* zero stands as one */
	qsort(list, FT_DISTINCT_EXACT, sizeof(*list), compare_u64);
	qsort(hash, FT_DISTINCT_EXACT, sizeof(*hash), compare_u64);
	assert_memory_equal(list, hash, sizeof(list));
	distinct_add(&whole, next());
	assert_int_equal(whole.dense, 1);
	distinct_clear(&whole);
	for (size_t i = 0; i < sizeof(whole); i++)
		assert_int_equal(((const uint8_t *)&whole)[i], 0);
}

static void test_estimate(void **state)
{
	static const uint32_t sizes[] = {1025,  2000,   5000,   16384,  40000,
					 60000, 100000, 300000, 1000000};
	double squares = 0;
	unsigned runs = 0;

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		for (unsigned run = 0; run < 6; run++) {
			distinct_clear(&whole);
			for (uint32_t i = 0; i < sizes[s]; i++)
				distinct_add(&whole, next());
			const double error = (double)distinct_count(&whole) / sizes[s] - 1;
			if (fabs(error) > 3 * 0.0081)
				fail_msg("%u: error %f", sizes[s], error);
			squares += error * error;
			runs++;
		}
	}
	assert_true(sqrt(squares / runs) < 0.0081 * 1.2);
	distinct_clear(&whole);
}

/* As control merges: hashes one by one while exact, else registers. */
static void merge(struct distinct *into, const struct distinct *from)
{
	static uint64_t list[FT_DISTINCT_EXACT];

	if (from->dense) {
		distinct_merge_regs(into, from->u.regs);
		return;
	}
	const uint32_t n = distinct_list(from, list);
	for (uint32_t i = 0; i < n; i++)
		distinct_add(into, list[i]);
}

static void check_split(const uint64_t *hash, uint32_t n, uint32_t parts)
{
	static uint8_t regs[FT_DISTINCT_REGS], want[FT_DISTINCT_REGS];

	distinct_clear(&whole);
	for (uint32_t k = 0; k <= parts; k++)
		distinct_clear(&part[k]);
	for (uint32_t i = 0; i < n; i++) {
		distinct_add(&whole, hash[i]);
		distinct_add(&part[next() % parts], hash[n - 1 - i]);
		if (next() % 4 == 0) /* some are seen by several */
			distinct_add(&part[next() % parts], hash[i]);
	}
	struct distinct *sum = &part[parts];
	for (uint32_t k = parts; k-- > 0;)
		merge(sum, &part[k]);
	assert_int_equal(sum->dense, whole.dense);
	assert_int_equal(whole.dense, n > FT_DISTINCT_EXACT);
	assert_true(distinct_count(sum) == distinct_count(&whole));
	plain_regs(hash, n, want);
	distinct_regs(&whole, regs);
	assert_memory_equal(regs, want, sizeof(regs));
	distinct_regs(sum, regs);
	assert_memory_equal(regs, want, sizeof(regs));
}

static void test_split(void **state)
{
	static const uint32_t sizes[] = {0, 1, 100, 1023, 1024, 1025, 1500, 3000, 8200, 50000};
	uint64_t *hash = malloc(50000 * sizeof(*hash));

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		for (uint32_t parts = 1; parts <= 8; parts++) {
			for (uint32_t i = 0; i < sizes[s]; i++)
				hash[i] = next();
			if (sizes[s] > 20) { /* the longest runs of zeros there can be */
				hash[3] = 5ull << 50;
				hash[4] = 6ull << 50 | 1;
				hash[5] = 0;
				hash[6] = UINT64_MAX;
			}
			check_split(hash, sizes[s], parts);
		}
	}
	free(hash);
}

/* A dense set of nothing counts nothing, goes on counting and can be emptied. */
static void test_merge_edges(void **state)
{
	static const uint8_t none[FT_DISTINCT_REGS];

	(void)state;
	distinct_clear(&whole);
	distinct_merge_regs(&whole, none);
	assert_int_equal(distinct_count(&whole), 0);
	distinct_add(&whole, 12345);
	assert_int_equal(distinct_count(&whole), 1);
	distinct_clear(&whole);
	assert_int_equal(whole.dense, 0);
	distinct_add(&whole, 12345);
	assert_int_equal(distinct_count(&whole), 1);
}

static int setup(void **state)
{
	(void)state;
	seed = 1;
	dd_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bins),        cmocka_unit_test(test_values),
	    cmocka_unit_test(test_quantiles),   cmocka_unit_test(test_exact),
	    cmocka_unit_test(test_estimate),    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_merge_edges),
	};

	return cmocka_run_group_tests_name("sketch", tests, setup, NULL);
}

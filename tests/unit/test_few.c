/* SPDX-License-Identifier: BSD-3-Clause */
/* Small distinct counts against sorted lists: exact while small, near enough beyond,
 * the same whatever the split, and no octets that cannot be do harm. */
#include "few.h"
#include "guard.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* splitmix64, Steele et al. 2014: not the hash that the code under test uses. */
static uint64_t nth(uint64_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void test_exact(void **state)
{
	struct few f = {0};

	(void)state;
	assert_int_equal(few_count(&f), 0);
	for (unsigned i = 0; i < FT_FEW_EXACT; i++) {
		for (unsigned k = 0; k <= i; k++)
			few_add(&f, nth(k)); /* again and again */
		assert_int_equal(few_count(&f), i + 1);
	}
	few_add(&f, 0);
	few_add(&f, 1); /* they share a place */
	assert_true(f.dense);
}

static void test_estimate(void **state)
{
	(void)state;
	for (uint64_t n = 200; n <= 200000; n *= 10) {
		double worst = 0;
		for (unsigned run = 0; run < 8; run++) {
			struct few f = {0};
			for (uint64_t i = 0; i < n; i++)
				few_add(&f, nth(i + run * 1000000));
			const double off = fabs((double)few_count(&f) / (double)n - 1);
			worst = off > worst ? off : worst;
		}
		assert_true(worst < 0.13); /* four standard errors of 1.04 / sqrt(1024) */
		assert_true(worst > 0 || n < 1000);
	}
}

/* The same set added at once, and split in four whose records are merged in any order. */
static void test_split(void **state)
{
	static const uint64_t sizes[] = {0, 1, 40, 96, 97, 150, 5000};

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct few whole = {0}, part[4] = {{0}}, merged = {0};
		uint8_t wire[FT_FEW_WIRE_CAP], back[FT_FEW_WIRE_CAP];
		for (uint64_t i = 0; i < sizes[s]; i++) {
			few_add(&whole, nth(i));
			few_add(&part[nth(i) % 4], nth(i));
			few_add(&part[nth(i) % 3], nth(i)); /* some in two of them */
		}
		for (unsigned i = 0; i < 4; i++) {
			const uint32_t n = few_write(&part[(i + s) % 4], wire);
			assert_true(n <= sizeof(wire));
			assert_true(few_merge(&merged, wire, n));
		}
		assert_int_equal(few_count(&merged), few_count(&whole));
		assert_int_equal(merged.dense, sizes[s] > FT_FEW_EXACT);
		assert_int_equal(few_write(&merged, back), few_write(&whole, wire));
		if (merged.dense)
			assert_memory_equal(merged.u.regs, whole.u.regs, FT_FEW_REGS);
		else
			assert_int_equal(few_count(&merged), sizes[s]);
	}
}

static void test_truncated(void **state)
{
	uint8_t wire[FT_FEW_WIRE_CAP];

	(void)state;
	for (uint64_t size = 5; size <= 500; size += 495) {
		struct few f = {0};
		for (uint64_t i = 0; i < size; i++)
			few_add(&f, nth(i));
		const uint32_t n = few_write(&f, wire);
		for (uint32_t len = 0; len <= n; len++) {
			struct few to = {0};
			uint8_t *copy = guard_copy(wire, len);
			assert_int_equal(few_merge(&to, copy, len), len == n);
			assert_int_equal(few_count(&to), len == n ? few_count(&f) : 0);
			guard_free(copy, len);
		}
	}
}

static void test_hostile(void **state)
{
	struct few to = {0};
	uint8_t wire[FT_FEW_WIRE_CAP];

	(void)state;
	memset(wire, 0xff, sizeof(wire)); /* ranks of 63: no hash has so many zeros */
	assert_false(few_merge(&to, wire, sizeof(wire)));
	wire[0] = FT_FEW_EXACT + 1;
	assert_false(few_merge(&to, wire, sizeof(wire)));
	assert_int_equal(to.n + to.dense, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exact),   cmocka_unit_test(test_estimate),
	    cmocka_unit_test(test_split),   cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

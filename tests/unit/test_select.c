/* SPDX-License-Identifier: BSD-3-Clause */
/* The first k of n, beside those of qsort: random, rising, falling and equal values, items
 * of several sizes. */
#include "select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_CAP 500u

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((seed >> 33) * below >> 31);
}

static int order(const void *left, const void *right)
{
	uint32_t a, b;

	memcpy(&a, left, sizeof(a));
	memcpy(&b, right, sizeof(b));
	return (a > b) - (a < b);
}

enum form { RANDOM, FEW_VALUES, RISING, FALLING, EQUAL, FORMS };

static uint32_t value(enum form form, uint32_t i)
{
	switch (form) {
	case RANDOM: return draw(1u << 30);
	case FEW_VALUES: return draw(5);
	case RISING: return i;
	case FALLING: return N_CAP - i;
	default: return 7;
	}
}

/* An item is its value, again and again. */
static void fill(uint8_t *item, size_t size, uint32_t x)
{
	for (size_t at = 0; at < size; at += sizeof(x))
		memcpy(item + at, &x, sizeof(x));
}

static void check(const uint8_t *got, const uint8_t *want, size_t n, size_t size, size_t k)
{
	uint8_t v[N_CAP * SELECT_SIZE_CAP];

	memcpy(v, got, n * size);
	if (k > n)
		k = n;
	if (k != 0)
		qsort(v, k, size, order);
	if (k < n)
		qsort(v + k * size, n - k, size, order);
	assert_memory_equal(v, want, n * size);
}

static void test_select(void **state)
{
	static uint8_t v[N_CAP * SELECT_SIZE_CAP], sorted[N_CAP * SELECT_SIZE_CAP];
	static const size_t sizes[] = {4, 48, 152, SELECT_SIZE_CAP};

	(void)state;
	for (uint32_t turn = 0; turn < 4000; turn++) {
		const enum form form = (enum form)(turn % FORMS);
		const size_t size = sizes[turn / FORMS % 4];
		const uint32_t n = draw(N_CAP + 1);
		const size_t k = draw(N_CAP + 10);
		for (uint32_t i = 0; i < n; i++)
			fill(v + i * size, size, value(form, i));
		memcpy(sorted, v, n * size);
		if (n != 0)
			qsort(sorted, n, size, order);
		select_first(v, n, size, k, order);
		check(v, sorted, n, size, k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_select)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

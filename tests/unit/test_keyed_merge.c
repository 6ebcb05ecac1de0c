/* SPDX-License-Identifier: BSD-3-Clause */
/* Merging by key: sums, parts and texts as in a plain array; above the budget those with
 * the lowest hash stay, whole, whatever the order, and nothing is lost from the totals. */
#include "keyed_merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEYS 20000u
#define ADDS 200000u
#define SEED 99u

struct acc {
	uint64_t id, sum, parts;
};

static uint64_t left;

static void leave(void *ctx, const void *acc)
{
	assert_ptr_equal(ctx, &left);
	left += ((const struct acc *)acc)->sum;
}

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void key_of(uint64_t id, uint8_t key[11])
{
	const uint64_t n = mix(id);

	memcpy(key, &n, 8);
	memset(key + 8, (int)(id % 3), 3);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The hash of the last that may stay, by sorting them all. */
static uint64_t limit_of(size_t budget)
{
	static uint64_t hash[KEYS];

	for (uint64_t id = 0; id < KEYS; id++) {
		uint8_t key[11];
		key_of(id, key);
		hash[id] = XXH3_64bits_withSeed(key, sizeof(key), SEED);
	}
	qsort(hash, KEYS, sizeof(*hash), by_value);
	return budget < KEYS ? hash[budget - 1] : UINT64_MAX;
}

static uint64_t fill(struct keyed_merge *m, uint64_t *want, unsigned order)
{
	uint64_t turned_away = 0;

	for (uint64_t i = 0; i < ADDS; i++) {
		const uint64_t at = order != 0 ? ADDS - 1 - i : i;
		const uint64_t id = at < KEYS ? at : mix(at) % KEYS;
		uint8_t key[11];
		void *acc;
		key_of(id, key);
		want[id] += at;
		const int r = keyed_merge_get(m, key, &acc);
		assert_in_range(r, 0, 1);
		if (r == 1) {
			turned_away += at;
			continue;
		}
		struct acc *a = acc;
		assert_true(a->id == 0 || a->id == id + 1);
		a->id = id + 1;
		a->sum += at;
		uint64_t *part = keyed_merge_part(m, a, (uint32_t)(at % 5));
		assert_non_null(part);
		*part += at;
	}
	return turned_away;
}

static void check_parts(const struct keyed_merge *m, const struct acc *a)
{
	const void *part = NULL;
	uint64_t sum = 0;
	uint32_t id, seen = 0;

	while (keyed_merge_next_part(m, a, &part, &id)) {
		assert_true(id < 5 && (seen >> id & 1) == 0);
		seen |= 1u << id;
		sum += *(const uint64_t *)part;
	}
	assert_int_equal(sum, a->sum);
}

static void merge(size_t budget, unsigned order)
{
	static uint64_t want[KEYS];
	const struct keyed_merge_settings set = {
	    .key_bytes = 11,
	    .acc_bytes = sizeof(struct acc),
	    .part_bytes = 8,
	    .budget = budget,
	    .seed = SEED,
	    .leave = leave,
	    .ctx = &left,
	};
	struct keyed_merge *m = keyed_merge_create(&set);
	uint64_t total = 0, kept = 0;
	size_t n;

	assert_non_null(m);
	memset(want, 0, sizeof(want));
	left = 0;
	const uint64_t turned_away = fill(m, want, order);
	assert_int_equal(keyed_merge_settle(m), 0);
	assert_int_equal(keyed_merge_is_over(m), budget < KEYS);
	const void *const *acc = keyed_merge_sorted(m, &n);
	assert_int_equal(n, budget < KEYS ? budget : KEYS);
	const uint64_t limit = limit_of(budget);
	for (size_t i = 0; i < n; i++) {
		const struct acc *a = acc[i];
		uint8_t key[11];
		key_of(a->id - 1, key);
		assert_memory_equal(keyed_merge_key(m, a), key, sizeof(key));
		assert_ptr_equal(keyed_merge_find(m, key), a);
		assert_true(XXH3_64bits_withSeed(key, sizeof(key), SEED) <= limit);
		assert_true(i == 0 || memcmp(keyed_merge_key(m, acc[i - 1]), key, 11) < 0);
		assert_int_equal(a->sum, want[a->id - 1]);
		check_parts(m, a);
		kept += a->sum;
	}
	for (uint64_t id = 0; id < KEYS; id++)
		total += want[id];
	assert_int_equal(kept + left + turned_away, total);
	keyed_merge_destroy(m);
}

static void test_merge(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 2; order++) {
		merge(1, order);
		merge(1000, order);
		merge(KEYS - 1, order);
		merge(KEYS, order);
		merge(10 * KEYS, order);
	}
}

static void test_empty(void **state)
{
	const struct keyed_merge_settings set = {.key_bytes = 3, .acc_bytes = 1, .budget = 1};
	struct keyed_merge *m = keyed_merge_create(&set);
	size_t n = 1;

	(void)state;
	assert_null(keyed_merge_sorted(m, &n));
	assert_int_equal(n, 0);
	assert_null(keyed_merge_find(m, "abc"));
	assert_string_equal(keyed_merge_keep(m, "text", 5), "text");
	keyed_merge_destroy(m);
	keyed_merge_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_merge),
	    cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

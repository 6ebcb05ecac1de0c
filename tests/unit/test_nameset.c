/* SPDX-License-Identifier: BSD-3-Clause */
/* The table against a plain sorted list of what was put in. */
#include "nameset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state = 1;

/* splitmix64 */
static uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static int by_key_and_tag(const void *a, const void *b)
{
	const struct nameset_entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->tag < y->tag ? -1 : x->tag > y->tag;
}

/* Every key of `plain` leads to its tags, each once and rising; and no other does. */
static void check_all(const struct nameset *s, struct nameset_entry *plain, size_t n)
{
	size_t names = 0, lines = 0;

	qsort(plain, n, sizeof(*plain), by_key_and_tag);
	for (size_t i = 0, end; i < n; i = end) {
		uint32_t want[64], k = 0;
		const uint32_t *got;

		for (end = i; end < n && plain[end].key == plain[i].key; end++)
			if (k == 0 || want[k - 1] != plain[end].tag)
				want[k++] = plain[end].tag;
		assert_int_equal(nameset_get(s, plain[i].key, &got), k);
		assert_memory_equal(got, want, k * sizeof(*want));
		names++;
		lines += k;
	}
	assert_int_equal(s->names, names);
	assert_int_equal(s->lines, lines);
}

static struct nameset *make(const struct nameset_entry *plain, size_t n)
{
	struct nameset_entry *copy = malloc((n + 1) * sizeof(*copy));
	struct nameset *s;

	memcpy(copy, plain, n * sizeof(*copy));
	s = nameset_create(copy, n);
	assert_non_null(s);
	for (size_t i = 1; i < n; i++)
		assert_true(by_key_and_tag(&copy[i - 1], &copy[i]) <= 0);
	free(copy);
	return s;
}

static bool is_listed(const struct nameset_entry *sorted, size_t n, uint64_t key)
{
	for (size_t i = 0; i < n; i++)
		if (sorted[i].key == key)
			return true;
	return false;
}

static void sizes(void **unused)
{
	static const size_t counts[] = {0, 1, 2, 5, 6, 17, 100, 1000, 30000};
	static struct nameset_entry plain[30000];
	const uint32_t *tags;

	(void)unused;
	for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		const size_t n = counts[c];

		for (size_t i = 0; i < n; i++)
			plain[i] = (struct nameset_entry){draw(), 1 + (uint32_t)(draw() % 9), 0};
		struct nameset *s = make(plain, n);
		check_all(s, plain, n);
		for (unsigned i = 0; i < 1000; i++) {
			const uint64_t key = draw();
			assert_int_equal(nameset_get(s, key, &tags) > 0, is_listed(plain, n, key));
		}
		nameset_destroy(s);
	}
}

/* Keys that share their home, in the middle and at the table's end, where names go on
 * at its beginning; keys 0 and all ones. */
static void crowds(void **unused)
{
	static struct nameset_entry plain[400];
	const uint32_t *tags;
	size_t n = 0;

	(void)unused;
	for (uint64_t i = 0; i < 90; i++)
		plain[n++] = (struct nameset_entry){0x8000000000000000u + i * 32, 1, 0};
	for (uint64_t i = 0; i < 90; i++)
		plain[n++] = (struct nameset_entry){UINT64_MAX - i, 2, 0};
	for (uint64_t i = 0; i < 90; i++)
		plain[n++] = (struct nameset_entry){i * 3, 3, 0};
	struct nameset *s = make(plain, n);
	check_all(s, plain, n);
	for (uint64_t i = 0; i < 400; i++) {
		const uint64_t keys[] = {0x8000000000000000u + i, UINT64_MAX - i, i};
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(nameset_get(s, keys[k], &tags) > 0,
					 is_listed(plain, n, keys[k]));
	}
	nameset_destroy(s);
}

/* Names of several rules, lines that come twice, and one name a hundred thousand times
 * with tags in turn. */
static void repeated(void **unused)
{
	const size_t n = 100000;
	struct nameset_entry *plain = calloc(n, sizeof(*plain));
	struct nameset *s;

	(void)unused;
	for (size_t i = 0; i < n; i++)
		plain[i] = (struct nameset_entry){draw() % 5000 * 0x3141592653589793u,
						  1 + (uint32_t)(draw() % 60), 0};
	s = make(plain, n);
	check_all(s, plain, n);
	nameset_destroy(s);
	for (size_t i = 0; i < n; i++)
		plain[i] = (struct nameset_entry){42, 1 + (uint32_t)(i % 60), 0};
	s = make(plain, n);
	check_all(s, plain, n);
	assert_true(nameset_bytes(s) < 4096);
	nameset_destroy(s);
	free(plain);
}

/* Half of a million names stand in two rules each, always the same two. */
static void size_of_a_million(void **unused)
{
	const size_t n = 1000000;
	struct nameset_entry *plain = calloc(n + n / 2, sizeof(*plain));

	(void)unused;
	for (size_t i = 0; i < n; i++)
		plain[i] = (struct nameset_entry){draw(), 1, 0};
	for (size_t i = 0; i < n / 2; i++)
		plain[n + i] = (struct nameset_entry){plain[i].key, 2, 0};
	struct nameset *s = make(plain, n + n / 2);
	check_all(s, plain, n + n / 2);
	assert_in_range(nameset_bytes(s), 12 * n, 20 << 20);
	nameset_destroy(s);
	free(plain);
}

/* Entries of one name keep the caller's notes, in order. */
static void notes(void **unused)
{
	struct nameset_entry e[] = {{7, 2, 30}, {7, 1, 20}, {9, 1, 1}, {7, 1, 10}};
	struct nameset *s = nameset_create(e, 4);

	(void)unused;
	assert_int_equal(e[0].note, 10);
	assert_int_equal(e[1].note, 20);
	assert_int_equal(e[2].note, 30);
	assert_int_equal(e[3].note, 1);
	nameset_destroy(s);
	nameset_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes),    cmocka_unit_test(crowds),
	    cmocka_unit_test(repeated), cmocka_unit_test(size_of_a_million),
	    cmocka_unit_test(notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

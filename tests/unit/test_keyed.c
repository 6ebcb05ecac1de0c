/* SPDX-License-Identifier: BSD-3-Clause */
/* Keyed tables: whatever is pushed out or closed, the sums that come out are those of a
 * plain array; what is found again stays; rows close when they are told to. */
#include "keyed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 5000u
#define ROWS 3u

struct entry {
	struct keyed_entry e;
	uint64_t id, count;
	uint8_t rest[CACHE_LINE - 32];
};
static_assert(sizeof(struct entry) == CACHE_LINE, "one line");

static uint64_t out[ROWS][KEYS]; /* what has come out */
static uint64_t emitted, last_id;

static void emit(void *ctx, const void *entry)
{
	const struct entry *e = entry;

	assert_ptr_equal(ctx, out);
	assert_true(e->e.row < ROWS && e->id < KEYS);
	out[e->e.row][e->id] += e->count;
	last_id = e->id;
	emitted++;
}

static struct keyed *create(size_t entries, size_t entry_bytes)
{
	struct keyed *k = keyed_create(entries, entry_bytes, emit, out);

	assert_non_null(k);
	memset(out, 0, sizeof(out));
	emitted = 0;
	return k;
}

static uint64_t random_next(uint64_t *s)
{
	*s += 0x9e3779b97f4a7c15ull;
	uint64_t z = *s;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* Few bits on purpose: many keys share their set and their tag. */
static uint64_t key_sets = 7;

static uint64_t key_of(uint64_t id, uint64_t row)
{
	const uint64_t n = row * KEYS + id;

	return n % key_sets | n << 20 | (n % 3) << 49;
}

static struct entry *touch(struct keyed *k, uint64_t id, uint64_t row)
{
	static const uint8_t zeros[sizeof(((struct entry *)0)->rest)];
	bool fresh;
	struct entry *e = keyed_get(k, key_of(id, row), row, &fresh);

	assert_true(e->e.key == key_of(id, row) && e->e.row == row);
	if (fresh)
		assert_true(e->id == 0 && e->count == 0);
	else
		assert_int_equal(e->id, id);
	assert_int_equal(memcmp(e->rest, zeros, fresh ? sizeof(zeros) : 0), 0);
	memset(e->rest, 0xa5, sizeof(e->rest));
	e->id = id;
	e->count++;
	return e;
}

static void sums(size_t entries, size_t entry_bytes)
{
	static uint64_t want[ROWS][KEYS];
	struct keyed *k = create(entries, entry_bytes);
	uint64_t s = 1, gets = 200000;

	memset(want, 0, sizeof(want));
	for (uint64_t i = 0; i < gets; i++) {
		const uint64_t row = random_next(&s) % ROWS;
		const uint64_t id = random_next(&s) % (1 + random_next(&s) % KEYS);
		want[row][id]++;
		keyed_prefetch_tags(k, key_of(id, row));
		bool there, made;
		const uint64_t misses = keyed_stats_get(k)->misses;
		const void *hint = keyed_prefetch_entry(k, key_of(id, row), &there);
		const void *e = touch(k, id, row);
		made = keyed_stats_get(k)->misses != misses;
		/* Few tags on purpose: it may be another's. */
		assert_true(there || (made && hint == e));
	}
	keyed_close_begin(k);
	while (!keyed_close(k, ROWS - 1, 3))
		;
	assert_memory_equal(out, want, sizeof(want));
	const struct keyed_stats *st = keyed_stats_get(k);
	assert_int_equal(st->hits + st->misses, gets);
	assert_int_equal(st->misses, emitted);
	assert_true(st->evicted <= st->misses);
	keyed_destroy(k);
}

static void test_sums(void **state)
{
	(void)state;
	sums(1, CACHE_LINE); /* 64 */
	sums(4096, CACHE_LINE);
	sums(4097, 3 * (size_t)CACHE_LINE);
	sums(1 << 16, 2 * (size_t)CACHE_LINE);
}

/* Entries that nobody asks for again pass through; one that is asked for stays. */
static void test_scan_passes(void **state)
{
	struct keyed *k = create(64, CACHE_LINE);
	bool fresh;

	(void)state;
	/* All in set 0, with tags of their own. */
	for (uint64_t i = 1; i <= 1000; i++) {
		((struct entry *)keyed_get(k, i << 49 | 1 << 20, 1, &fresh))->id = i;
		assert_true(fresh);
		struct entry *hot = keyed_get(k, 0, 1, &fresh); /* 0 is a key like any other */
		assert_int_equal(fresh, i == 1);
		hot->id = 4999;
		assert_true(i <= 3 || (last_id < i && last_id + 12 > i));
	}
	assert_int_equal(emitted, 1001 - 4);
	assert_int_equal(keyed_stats_get(k)->evicted, emitted);
	keyed_destroy(k);
}

/* All found again: still one goes, and none is preferred for ever. */
static void test_all_hot(void **state)
{
	struct keyed *k = create(64, CACHE_LINE);
	uint64_t gone = 0;
	bool fresh;

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		for (unsigned again = 0; again < 2; again++)
			((struct entry *)keyed_get(k, i << 49, 1, &fresh))->id = i;
	for (uint64_t i = 5; i <= 8; i++) {
		((struct entry *)keyed_get(k, i << 49, 1, &fresh))->id = i;
		assert_true(fresh);
		gone |= 1ull << last_id;
	}
	assert_int_equal(gone, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
	keyed_destroy(k);
}

static void test_rows(void **state)
{
	struct keyed *k = create(1 << 14, CACHE_LINE);
	unsigned calls = 1;

	(void)state;
	key_sets = 4096;
	for (uint64_t id = 0; id < 100; id++)
		for (uint64_t row = 0; row < ROWS; row++)
			(void)touch(k, id, row);
	assert_int_equal(emitted, 0);
	keyed_close_begin(k);
	while (!keyed_close(k, 1, 16))
		calls++;
	assert_int_equal(calls, (1 << 12) / 16);
	for (uint64_t id = 0; id < 100; id++)
		assert_true(out[0][id] == 1 && out[1][id] == 1);
	const uint64_t before = emitted;
	keyed_close_begin(k);
	assert_true(keyed_close(k, 1, 1 << 12));
	assert_int_equal(emitted, before); /* they were free */
	keyed_close_begin(k);
	assert_true(keyed_close(k, 2, 1 << 12));
	for (uint64_t id = 0; id < 100; id++)
		assert_int_equal(out[2][id], 1);
	assert_true(keyed_close(k, 2, 1)); /* not begun */
	keyed_destroy(k);
	keyed_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_scan_passes),
	    cmocka_unit_test(test_all_hot),
	    cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

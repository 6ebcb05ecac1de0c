/* SPDX-License-Identifier: BSD-3-Clause */
/* Random queries, retries found three times: by pairs of all queries, by the join, and by
 * the table of waiting queries as pair.c drives it. */
#include "retry.h"
#include "stats/retries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUERIES 4000u
#define ROW_US 20000000u
#define WAIT_US 5000000u

static uint64_t state = 7;

static uint32_t rnd(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((state >> 33) % n);
}

static struct ft_server_asked asked[QUERIES];

/* Rising times; a few clients that ask for few names, of three servers. */
static void make(void)
{
	uint64_t t = 1000ull * ROW_US;

	for (unsigned i = 0; i < QUERIES; i++) {
		struct ft_server_asked *a = &asked[i];
		t += rnd(4) == 0 ? 0 : rnd(40000);
		*a = (struct ft_server_asked){.group = 1 + rnd(500), .begin_us = t};
		a->group *= 0x9e3779b97f4a7c15ull;
		memset(a->addr, 0, 16);
		a->addr[10] = a->addr[11] = 0xff;
		a->addr[15] = (uint8_t)rnd(3);
		a->end_us = rnd(2) == 0 ? UINT64_MAX : t + 1 + rnd(2000000);
	}
}

struct found {
	uint64_t row, delay_us;
	uint8_t server, same;
};

struct list {
	struct found v[QUERIES];
	unsigned n;
	uint64_t row;
};

static int compare(const void *left, const void *right)
{
	const struct found *a = left, *b = right;

	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	if (a->delay_us != b->delay_us)
		return a->delay_us < b->delay_us ? -1 : 1;
	if (a->server != b->server)
		return a->server - b->server;
	return a->same - b->same;
}

static void put(struct list *l, const struct found *f)
{
	assert_true(l->n < QUERIES);
	l->v[l->n++] = *f;
}

/* As it is defined: of all earlier queries of the group that are unanswered at that time
 * and at most thirty seconds old, the latest. */
static void by_pairs(struct list *l)
{
	static uint64_t first[QUERIES];

	for (unsigned i = 0; i < QUERIES; i++) {
		const struct ft_server_asked *a = &asked[i];
		int best = -1;
		for (unsigned k = 0; k < QUERIES; k++) {
			const struct ft_server_asked *b = &asked[k];
			if (b->group != a->group || b->begin_us >= a->begin_us ||
			    b->end_us <= a->begin_us || a->begin_us - b->begin_us > 30000000)
				continue;
			if (best < 0 || b->begin_us > asked[best].begin_us ||
			    (b->begin_us == asked[best].begin_us &&
			     b->addr[15] > asked[best].addr[15]))
				best = (int)k;
		}
		first[i] = best < 0 ? a->begin_us : first[best];
		if (best >= 0)
			put(l, &(struct found){.row = a->begin_us / ROW_US,
					       .delay_us = a->begin_us - first[i],
					       .server = asked[best].addr[15],
					       .same = asked[best].addr[15] == a->addr[15]});
	}
	qsort(l->v, l->n, sizeof(*l->v), compare);
}

static void joined(void *ctx, const struct ft_server_asked *left, bool same, uint64_t delay_us)
{
	struct list *l = ctx;

	put(l, &(struct found){
		   .row = l->row, .delay_us = delay_us, .server = left->addr[15], .same = same});
}

/* In any order within a row. */
static void by_join(struct list *l)
{
	struct retries *r = retries_create(QUERIES);

	assert_non_null(r);
	for (unsigned from = 0; from < QUERIES;) {
		const uint64_t row = asked[from].begin_us / ROW_US;
		unsigned end = from, order[QUERIES];
		while (end < QUERIES && asked[end].begin_us / ROW_US == row)
			order[end] = end, end++;
		for (unsigned i = from; i < end; i++) {
			const unsigned k = i + rnd(end - i), t = order[i];
			order[i] = order[k];
			order[k] = t;
			assert_int_equal(retries_add(r, row, &asked[order[i]]), 0);
		}
		assert_int_equal(retries_first_row(r), row);
		l->row = row;
		assert_int_equal(retries_join(r, row, (row + 1) * ROW_US, joined, l), 0);
		from = end;
	}
	retries_destroy(r);
	qsort(l->v, l->n, sizeof(*l->v), compare);
}

/* The packets in their order: answers that came by now first. */
static void by_table(struct list *l)
{
	struct retry *r = retry_create(QUERIES, true);
	static bool gone[QUERIES];

	memset(gone, 0, sizeof(gone));
	assert_non_null(r);
	for (unsigned i = 0; i < QUERIES; i++) {
		const struct ft_server_asked *a = &asked[i];
		struct addr server;
		for (unsigned k = 0; k < i; k++) {
			if (gone[k])
				continue;
			if (asked[k].end_us <= a->begin_us)
				retry_del(r, k);
			else if (asked[k].end_us == UINT64_MAX &&
				 asked[k].begin_us + WAIT_US < a->begin_us)
				retry_expire(r, k);
			else
				continue;
			gone[k] = true;
		}
		memcpy(server.b, a->addr, 16);
		if (retry_put(r, i, a->group, a->begin_us, &server, 2))
			put(l,
			    &(struct found){.row = a->begin_us / ROW_US,
					    .delay_us = r->left[i].delay_us,
					    .server = r->left[i].server.b[15],
					    .same = memcmp(&r->left[i].server, a->addr, 16) == 0});
	}
	retry_destroy(r);
	qsort(l->v, l->n, sizeof(*l->v), compare);
}

static struct list pairs, join, table;

static void test_same(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < 3; round++) {
		pairs.n = join.n = table.n = 0;
		make();
		by_pairs(&pairs);
		by_join(&join);
		by_table(&table);
		assert_true(pairs.n > 100);
		assert_int_equal(join.n, pairs.n);
		assert_int_equal(table.n, pairs.n);
		for (unsigned i = 0; i < pairs.n; i++) {
			assert_int_equal(compare(&join.v[i], &pairs.v[i]), 0);
			assert_int_equal(compare(&table.v[i], &pairs.v[i]), 0);
		}
	}
}

/* One question a million times, unanswered: no chain grows, and nothing is slow. */
static void test_flood(void **unused)
{
	const uint32_t n = 1u << 16;
	struct retry *r = retry_create(n, true);
	const struct addr server = {{0}};
	uint32_t retries = 0;

	(void)unused;
	assert_non_null(r);
	for (uint32_t i = 0; i < 1000000; i++) {
		if (i >= n)
			(i % 3 == 0 ? retry_expire : retry_del)(r, i % n);
		retries += retry_put(r, i % n, 77, 1000 + i, &server, 0);
	}
	assert_true(retries > 900000);
	retry_destroy(r);
}

static void test_thinned(void **unused)
{
	struct retries *r = retries_create(1000);
	uint32_t level;

	(void)unused;
	join.n = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		const struct ft_server_asked a = {.group = (i % 5000 + 1) * 0x9e3779b97f4a7c15ull,
						  .begin_us = 1000 + i,
						  .end_us = UINT64_MAX};
		assert_int_equal(retries_add(r, 5, &a), 0);
	}
	level = retries_join(r, 5, 60000000, joined, &join);
	assert_true(level >= 4 && level <= 7);
	/* Each question that is kept was asked four times. */
	assert_int_equal(join.n % 3, 0);
	assert_true(join.n > 100);
	retries_destroy(r);
}

static void test_late(void **unused)
{
	struct retry *r = retry_create(16, false);

	(void)unused;
	retry_late_put(r, 99, 5000);
	retry_late_put(r, 99, 6000);
	assert_false(retry_late_take(r, 98, 1000));
	assert_true(retry_late_take(r, 99, 1000));
	assert_true(retry_late_take(r, 99, 1000));
	assert_false(retry_late_take(r, 99, 1000)); /* each once */
	retry_late_put(r, 99, 5000);
	assert_false(retry_late_take(r, 99, 5001));
	retry_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_thinned),
	    cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

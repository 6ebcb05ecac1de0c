/* SPDX-License-Identifier: BSD-3-Clause */
/* Diaries of a client against plain arrays: whatever size they go out at and however they
 * are split over workers, seconds, names and servers add up to the same. */
#include "diary.h"
#include "guard.h"
#include "stats/diaries.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORKERS 4u
#define SECONDS 300u
#define NAMES 200u

static uint64_t state = 88172645463325252ull;

static uint64_t random_next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

struct plain {
	uint32_t count[SECONDS][2];
	uint32_t first[4][NAMES]; /* and 1; 0: not seen */
	uint64_t queries[8], unanswered[8];
};

static void send(struct diary *d, struct diary_acc *acc, struct diary_pool *pool)
{
	uint8_t out[DIARY_WIRE_CAP + 8];
	const size_t n = (size_t)(diary_write(d, out) - out);

	assert_true(n <= DIARY_WIRE_CAP);
	assert_int_equal(diary_acc_add(acc, pool, out, n), 0);
	memset(d, 0, sizeof(*d));
}

static uint64_t hash_of(unsigned name)
{
	return (name + 1) * 0x9e3779b97f4a7c15ull;
}

static void one(struct plain *p, struct diary *d, struct diary_acc *acc, struct diary_pool *pool,
		unsigned servers, uint32_t now)
{
	const unsigned name = (unsigned)(random_next() % NAMES);
	const uint32_t late = (uint32_t)(random_next() % 6), second = now > late ? now - late : 0;
	const unsigned server = (unsigned)(random_next() % servers);
	const bool unanswered = random_next() % 4 == 0;
	struct diary_note x = {.hash = hash_of(name),
			       .kind = (uint8_t)(random_next() % 4),
			       .type = (uint8_t)(random_next() % 3)};
	struct diary *mine = &d[server % WORKERS]; /* a flow is one worker's */

	if (!diary_has_room(mine) || !diary_ask(mine, server + 1, unanswered)) {
		send(mine, acc, pool);
		assert_true(diary_ask(mine, server + 1, unanswered));
	}
	diary_put(mine, &x, second);
	p->queries[server]++;
	p->unanswered[server] += unanswered;
	if (x.type != FT_NOTE_OTHER)
		p->count[second][x.type]++;
	if (x.kind != FT_NOTE_PLAIN &&
	    (p->first[x.kind][name] == 0 || second + 1 < p->first[x.kind][name]))
		p->first[x.kind][name] = second + 1;
}

static void check(const struct plain *p, const struct diary_sum *s, unsigned servers)
{
	uint32_t names = 0;

	for (uint32_t i = 0; i < SECONDS; i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct diary_page *page =
			    i / DIARY_PAGE_S < s->pages ? s->page[i / DIARY_PAGE_S] : NULL;
			assert_int_equal(page != NULL ? page->count[i % DIARY_PAGE_S][k] : 0,
					 p->count[i][k]);
		}
	for (unsigned kind = FT_NOTE_MISSING; kind <= FT_NOTE_ANSWERED; kind++)
		for (unsigned n = 0; n < NAMES; n++)
			names += p->first[kind][n] != 0;
	assert_int_equal(s->names, names);
	for (uint32_t i = 0; i < s->slots; i++) {
		const struct diary_name *x = &s->name[i];
		unsigned n = 0;
		if (x->kind == FT_NOTE_PLAIN)
			continue;
		while (n < NAMES && ft_note_hash(hash_of(n), x->kind) != x->hash)
			n++;
		assert_true(n < NAMES);
		assert_int_equal(x->second + 1, p->first[x->kind][n]);
	}
	assert_int_equal(s->many, servers > FT_DIARY_SERVERS);
	for (unsigned i = 0; i < s->servers && !s->many; i++) {
		assert_int_equal(s->server[i].queries, p->queries[s->server[i].id - 1]);
		assert_int_equal(s->server[i].unanswered, p->unanswered[s->server[i].id - 1]);
	}
}

static void run(unsigned txns, unsigned servers)
{
	const struct keyed_merge_settings set = {.key_bytes = 8, .acc_bytes = 8, .budget = 1};
	struct diary_pool pool = {.arena = keyed_merge_create(&set)};
	struct plain *p = calloc(1, sizeof(*p));
	struct diary d[WORKERS];
	struct diary_acc acc = {0};
	struct diary_sum scratch = {0};

	assert_non_null(p);
	memset(d, 0, sizeof(d));
	for (unsigned i = 0; i < txns; i++)
		one(p, d, &acc, &pool, servers, (uint32_t)((uint64_t)i * SECONDS / txns));
	for (unsigned i = 0; i < WORKERS; i++)
		send(&d[i], &acc, &pool);
	check(p, diary_acc_read(&acc, &scratch), servers);
	diary_sum_fini(&scratch);
	diary_pool_fini(&pool);
	keyed_merge_destroy(pool.arena);
	free(p);
}

static void test_sums(void **unused)
{
	(void)unused;
	for (unsigned servers = 1; servers <= 6; servers++) {
		run(3, servers > 3 ? 3 : servers);
		run(40 * servers, servers);
		run(20000, servers);
	}
}

/* Every length up to a whole diary, against memory that cannot be read. */
static void test_cut(void **unused)
{
	struct diary d;
	uint8_t out[DIARY_WIRE_CAP + 8];
	unsigned good = 0;

	(void)unused;
	memset(&d, 0, sizeof(d));
	for (unsigned i = 0; i < 3; i++) {
		const struct diary_note x = {hash_of(i), FT_NOTE_MADE_UP, FT_NOTE_A};
		assert_true(diary_ask(&d, i + 1, true));
		diary_put(&d, &x, 100 * i);
	}
	const size_t n = (size_t)(diary_write(&d, out) - out);
	for (size_t len = 0; len <= n; len++) {
		struct diary_sum s = {0};
		uint8_t *at = guard_copy(out, len);
		const int r = diary_sum_add(&s, at, len);
		assert_true(r == 0 || r == -EBADMSG);
		good += r == 0;
		assert_true(len < n || (r == 0 && s.names == 3 && s.servers == 3));
		diary_sum_fini(&s);
		guard_free(at, len);
	}
	assert_true(good >= 4 && good < n); /* whole, after each note, without one */
}

/* What is a name's second time in a row is no news, unless it is earlier. */
static void test_again(void **unused)
{
	struct diary d;
	const struct diary_note x = {hash_of(1), FT_NOTE_MISSING, FT_NOTE_OTHER};

	(void)unused;
	memset(&d, 0, sizeof(d));
	diary_put(&d, &x, 10);
	const uint8_t n = d.n;
	diary_put(&d, &x, 12);
	assert_int_equal(d.n, n);
	diary_put(&d, &x, 8);
	assert_true(d.n > n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool against a plain list; entries of the records, there and back, cut at every octet;
 * the join of truncated answers against a loop over all pairs; floods stay within bounds. */
#include "guard.h"
#include "pool.h"
#include "stats/cuts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t rng = 7;

static uint32_t below(uint32_t n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(rng >> 33) % n;
}

/* --- the pool --- */

#define CAP 16u

struct plain {
	uint64_t key;
	uint32_t place, list;
};

/* In the order of last use. */
static struct plain plain[CAP];
static uint32_t plain_n;

static void plain_remove(uint32_t i)
{
	plain_n--;
	memmove(&plain[i], &plain[i + 1], (plain_n - i) * sizeof(*plain));
}

static uint32_t plain_oldest(uint32_t list)
{
	for (uint32_t i = 0; i < plain_n; i++)
		if (plain[i].list == list)
			return plain[i].place;
	return POOL_NONE;
}

static void compare(const struct pool *p, uint64_t key)
{
	uint32_t found = 0, want = 0;

	for (uint32_t i = pool_find(p, key); i != POOL_NONE; i = pool_next(p, i))
		found += 1u << i;
	for (uint32_t i = 0; i < plain_n; i++)
		want += plain[i].key == key ? 1u << plain[i].place : 0;
	assert_int_equal(found, want);
	assert_int_equal(p->used, plain_n);
	assert_int_equal(pool_is_full(p), plain_n == CAP);
	for (uint32_t l = 0; l < POOL_LISTS; l++)
		assert_int_equal(pool_oldest(p, l), plain_oldest(l));
}

static void test_pool(void **unused)
{
	struct pool p;

	(void)unused;
	assert_int_equal(pool_init(&p, CAP), 0);
	for (unsigned n = 0; n < 20000; n++) {
		const uint64_t key = (uint64_t)below(6) << 32 | below(2);
		const uint32_t at = plain_n != 0 ? below(plain_n) : 0, list = below(2);
		if (below(2) == 0 && !pool_is_full(&p)) {
			plain[plain_n++] = (struct plain){key, pool_make(&p, key), 0};
		} else if (plain_n != 0 && below(2) == 0) {
			struct plain x = plain[at];
			pool_touch(&p, x.place, list);
			plain_remove(at);
			x.list = list;
			plain[plain_n++] = x;
		} else if (plain_n != 0) {
			pool_drop(&p, plain[at].place);
			plain_remove(at);
		}
		compare(&p, key);
	}
	pool_fini(&p);
}

/* --- entries --- */

static const uint8_t addr_a[16] = {0x20, 1, 0xd, 0xb8, 1}, addr_b[16] = {0x20, 1, 0xd, 0xb8, 2};

static struct ft_reader body_of(const uint8_t *entry, const uint8_t *end, struct ft_reader *all)
{
	struct ft_reader body;

	*all = ft_reader_init(entry, (size_t)(end - entry));
	assert_true(ft_entry_next(all, &body));
	assert_ptr_equal(all->at, end);
	return body;
}

static void test_counters(void **unused)
{
	uint64_t c[FT_TRANSPORT_COUNTERS], got[FT_TRANSPORT_COUNTERS] = {0};
	uint8_t out[FT_TRANSPORT_ENTRY_CAP] = {0};
	struct ft_reader all;

	(void)unused;
	for (unsigned i = 0; i < FT_TRANSPORT_COUNTERS; i++)
		c[i] = i % 3 == 0 ? UINT64_MAX / (i + 1) : i % 3;
	uint8_t *end = ft_transport_write(c, out);
	assert_true(end <= out + sizeof(out));
	struct ft_reader body = body_of(out, end, &all);
	assert_true(ft_transport_read(&body, got));
	assert_memory_equal(c, got, sizeof(c));
	const uint8_t wrong[] = {FT_TRANSPORT_COUNTERS, 1};
	body = ft_reader_init(wrong, sizeof(wrong));
	assert_false(ft_transport_read(&body, got));
}

static void test_tickets(void **unused)
{
	const struct ft_cut_rec k = {4,
				     FT_CUT_TCP_OK,
				     FT_VANTAGE_R2A,
				     0x123456789abcdef0,
				     1700000000000000,
				     1700000004999999,
				     12345,
				     {0}};
	const struct ft_asked_rec q = {0x123456789abcdef0, 1700000000000001, {0}};
	uint8_t out[FT_TRANSPORT_ENTRY_CAP] = {0};
	uint8_t again[FT_TRANSPORT_ENTRY_CAP] = {0};
	struct ft_cut_rec cut = {.level = 0};
	struct ft_asked_rec asked;
	struct ft_reader all;
	bool is_cut;

	(void)unused;
	const uint8_t *end = ft_cut_write(&k, out);
	struct ft_reader body = body_of(out, end, &all);
	assert_true(ft_ticket_read(&body, &is_cut, &cut, &asked) && is_cut);
	assert_ptr_equal(ft_cut_write(&cut, again), again + (end - out)); /* padding is nobody's */
	assert_memory_equal(again, out, (size_t)(end - out));
	for (size_t n = 0; n < (size_t)(end - out) - 1; n++) {
		uint8_t *copy = guard_copy(out + 1, n);
		body = ft_reader_init(copy, n);
		assert_false(ft_ticket_read(&body, &is_cut, &cut, &asked));
		guard_free(copy, n);
	}
	end = ft_asked_write(&q, out);
	body = body_of(out, end, &all);
	assert_true(ft_ticket_read(&body, &is_cut, &cut, &asked) && !is_cut);
	assert_memory_equal(&asked, &q, sizeof(q));
}

static void test_transfers(void **unused)
{
	struct ft_transfer_rec x = {.vantage = FT_VANTAGE_AUTH,
				    .style = FT_STYLE_diff,
				    .ixfr = true,
				    .tsig = true,
				    .has_from = true,
				    .has_to = true,
				    .begin_us = UINT64_MAX,
				    .dur_us = 1,
				    .messages = 2,
				    .rrs = UINT64_MAX,
				    .bytes = 3,
				    .from = 7,
				    .to = UINT32_MAX,
				    .rcode = 9,
				    .zone_len = FT_NAME_CAP},
			       got = {.style = 0};
	const struct ft_xot_rec t = {FT_VANTAGE_X, {1}, {2}, 3, 4, 5, 6, UINT64_MAX};
	struct ft_xot_rec xot = {.vantage = 0};
	uint8_t again[FT_TRANSPORT_ENTRY_CAP] = {0};
	uint8_t out[FT_TRANSPORT_ENTRY_CAP] = {0};
	struct ft_reader all;
	bool is_xot;

	(void)unused;
	memcpy(x.client, addr_a, 16);
	memcpy(x.server, addr_b, 16);
	for (unsigned i = 0; i < FT_NAME_CAP; i++) /* labels of one octet, 127 of them */
		x.zone[i] = i % 2 == 0 && i + 1 < FT_NAME_CAP ? 1 : i + 1 < FT_NAME_CAP ? 'x' : 0;
	const uint8_t *end = ft_transfer_write(&x, out);
	assert_true(end <= out + sizeof(out));
	struct ft_reader body = body_of(out, end, &all);
	assert_true(ft_transfer_read(&body, &is_xot, &got, &xot) && !is_xot);
	assert_ptr_equal(ft_transfer_write(&got, again), again + (end - out));
	assert_memory_equal(again, out, (size_t)(end - out));
	for (size_t n = 0; n + 2 < (size_t)(end - out); n++) {
		uint8_t *copy = guard_copy(out + 2, n);
		body = ft_reader_init(copy, n);
		assert_false(ft_transfer_read(&body, &is_xot, &got, &xot));
		guard_free(copy, n);
	}
	end = ft_xot_write(&t, out);
	body = body_of(out, end, &all);
	assert_true(ft_transfer_read(&body, &is_xot, &got, &xot) && is_xot);
	assert_ptr_equal(ft_xot_write(&xot, again), again + (end - out));
	assert_memory_equal(again, out, (size_t)(end - out));
}

/* --- the join --- */

#define CUTS 300u
#define ASKED 2000u

static void test_join(void **unused)
{
	struct ft_cut_rec cut[CUTS];
	struct ft_asked_rec asked[ASKED];
	struct cuts c = {.n = 0}, later = {.n = 0};
	const struct cuts *of[] = {&c, &later};
	uint64_t want[FT_CUT_CAP] = {0};
	struct cuts_result got;

	(void)unused;
	for (unsigned i = 0; i < ASKED; i++) {
		asked[i] = (struct ft_asked_rec){below(40), below(20000000), {0}};
		memcpy(asked[i].server, below(2) ? addr_a : addr_b, 16);
		assert_int_equal(cuts_add_asked(i % 2 ? &c : &later, &asked[i]), 0);
	}
	for (unsigned i = 0; i < CUTS; i++) {
		cut[i] = (struct ft_cut_rec){
		    .group = below(60), .t_us = below(15000000), .outcome = FT_CUT_NONE};
		memcpy(cut[i].server, below(2) ? addr_a : addr_b, 16);
		if (below(3) == 0) {
			cut[i].first_us = cut[i].t_us + below(5000000);
			cut[i].outcome = FT_CUT_TCP_FAIL;
		}
		assert_int_equal(cuts_add(&c, &cut[i]), 0);
		bool other = false;
		for (unsigned k = 0; k < ASKED; k++)
			other |= asked[k].group == cut[i].group && asked[k].t_us > cut[i].t_us &&
				 asked[k].t_us <= cut[i].t_us + 5000000 &&
				 memcmp(asked[k].server, cut[i].server, 16) != 0 &&
				 (cut[i].first_us == 0 || asked[k].t_us < cut[i].first_us);
		want[other ? FT_CUT_OTHER_SERVER : cut[i].outcome]++;
	}
	cuts_join(&c, of, 2, &got);
	assert_memory_equal(got.outcome, want, sizeof(want));
	assert_true(want[FT_CUT_OTHER_SERVER] > 20 && want[FT_CUT_TCP_FAIL] > 20);
	assert_int_equal(got.level, 0);
	cuts_fini(&c);
	cuts_fini(&later);
}

static void test_bounds(void **unused)
{
	struct cuts c = {.n = 0};
	const struct cuts *of[] = {&c};
	struct cuts_result got;

	(void)unused;
	for (uint64_t i = 0; i < CUTS_CAP + 10; i++)
		assert_int_equal(
		    cuts_add(&c, &(struct ft_cut_rec){.group = i << 46, .outcome = FT_CUT_NONE}),
		    0);
	for (uint64_t i = 0; i < ASKED_CAP / 2 * 3; i++)
		assert_int_equal(
		    cuts_add_asked(&c, &(struct ft_asked_rec){.group = i * 0x9e3779b97f4a7c15ull}),
		    0);
	assert_int_equal(c.n, CUTS_CAP);
	assert_int_equal(c.lost, 10);
	assert_true(c.asked_n <= ASKED_CAP && c.level == 1);
	cuts_join(&c, of, 1, &got);
	assert_int_equal(got.level, 1);
	cuts_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pool),    cmocka_unit_test(test_counters),
	    cmocka_unit_test(test_tickets), cmocka_unit_test(test_transfers),
	    cmocka_unit_test(test_join),    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

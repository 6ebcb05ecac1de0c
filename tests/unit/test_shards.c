/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards: what entries add up to does not depend on how many threads share the keys; over
 * the budget whole owners stay, the same share in each; hostile entries are refused. The
 * sums are compared with plain arrays. */
#include "shards.h"
#include "stats/errors.h"
#include "stats/rrsets.h"
#include "stats/tables.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 3u
#define CLIENTS 400u
#define OWNERS 3000u
#define SETS 3u
#define ENTRIES 60000u
#define BODY_CAP 4096u

static uint64_t random_state;

static uint32_t any(uint32_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((random_state >> 33) % n);
}

/* Any value, well spread. */
static uint64_t key_of(uint64_t x)
{
	x = (x + 1) * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 29;
}

static uint64_t client_sum[ROWS][CLIENTS], owner_sum[ROWS][OWNERS][SETS];
static uint64_t owner_seconds[ROWS][OWNERS][SETS];

struct record {
	struct ft_rec_hdr hdr;
	uint8_t body[BODY_CAP] __attribute__((aligned(8)));
	size_t n;
	unsigned entries;
};

static void give(struct shards *s, struct record *r)
{
	if (r->entries == 0)
		return;
	r->hdr.vantage = (uint8_t)r->entries;
	r->hdr.which = (uint8_t)(r->entries >> 8);
	const struct stat_record rec = {.hdr = &r->hdr, .body = r->body, .bytes = r->n};
	assert_int_equal(shards_record(s, &rec), 0);
	r->n = r->entries = 0;
}

static void put_client(struct record *r, unsigned row, uint32_t client)
{
	struct ft_table_rec x = {.table = FT_TABLE_CLIENTS, .counts = true, .vantage = 1};

	x.id[10] = x.id[11] = 0xff;
	if (client % 2 != 0) /* IPv6 */
		x.id[0] = 0x20;
	memcpy(x.id + 12, &client, 4);
	x.c[FT_CLIENT_QGROUP] = 1 + any(5);
	client_sum[row][client] += x.c[FT_CLIENT_QGROUP];
	r->n += ft_table_write(&x, r->body + r->n);
	r->entries++;
}

static void put_rrset(struct record *r, unsigned row, uint32_t owner, uint32_t set)
{
	const unsigned second = any(60);
	const struct ft_rrset x = {.what = FT_RRSET_A,
				   .records = 1,
				   .owner_key = key_of(owner),
				   .set_key = key_of(set + 77),
				   .seconds = 1ull << second,
				   .count = 1 + any(3)};

	owner_sum[row][owner][set] += x.count;
	owner_seconds[row][owner][set] |= x.seconds;
	r->n += ft_rrset_write(&x, r->body + r->n);
	r->entries++;
}

static void give_all(struct shards *s, uint64_t seed)
{
	static struct record client[ROWS], rrset[ROWS];

	random_state = seed;
	memset(client_sum, 0, sizeof(client_sum));
	memset(owner_sum, 0, sizeof(owner_sum));
	memset(owner_seconds, 0, sizeof(owner_seconds));
	for (unsigned row = 0; row < ROWS; row++) {
		client[row].hdr = (struct ft_rec_hdr){.type = FT_REC_CLIENT, .row = row};
		rrset[row].hdr = (struct ft_rec_hdr){.type = FT_REC_RRSET, .row = row};
	}
	for (unsigned i = 0; i < ENTRIES; i++) {
		const unsigned row = any(ROWS);
		struct record *r = any(2) != 0 ? &client[row] : &rrset[row];
		if (r == &client[row])
			put_client(r, row, any(CLIENTS));
		else
			put_rrset(r, row, any(OWNERS), any(SETS));
		if (r->n > BODY_CAP - 256 || any(50) == 0)
			give(s, r);
	}
	for (unsigned row = 0; row < ROWS; row++) {
		give(s, &client[row]);
		give(s, &rrset[row]);
	}
}

struct reading {
	unsigned row;
	uint64_t clients, sets;
	uint8_t last[16];
	uint64_t most_kept, least_lost; /* ranks of owners */
	bool kept[OWNERS];
};

static void check_client(void *ctx, const struct table_sum *t)
{
	struct reading *r = ctx;
	uint32_t client;

	assert_true(r->clients++ == 0 || memcmp(r->last, t->id, 16) < 0);
	memcpy(r->last, t->id, 16);
	memcpy(&client, t->id + 12, 4);
	assert_true(client < CLIENTS);
	assert_int_equal(t->c[FT_CLIENT_QGROUP], client_sum[r->row][client]);
	assert_true(tables_queries(t).value == (double)client_sum[r->row][client]);
}

static void check_rrset(void *ctx, const struct ft_rrset *x)
{
	struct reading *r = ctx;
	uint32_t owner = 0, set = 0;

	while (owner < OWNERS && key_of(owner) != x->owner_key)
		owner++;
	while (set < SETS && key_of(set + 77) != x->set_key)
		set++;
	assert_true(owner < OWNERS && set < SETS);
	assert_int_equal(x->count, owner_sum[r->row][owner][set]);
	assert_true(x->seconds == owner_seconds[r->row][owner][set]);
	r->kept[owner] = true;
	r->sets++;
}

static void take(struct shards *s, struct crew *c, unsigned row, struct shards_row *out)
{
	assert_int_equal(shards_first_row(s), row);
	shards_take(s, row);
	while (!shards_taken(s, out))
		if (!crew_help(c))
			(void)sched_yield();
}

static uint64_t count_clients(unsigned row)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < CLIENTS; i++)
		n += client_sum[row][i] != 0;
	return n;
}

/* What stays of an owner stays as a whole, and by rank. */
static void check_kept(const struct reading *r, const struct rrsets_totals *t)
{
	uint64_t sets = 0, all = 0, most = 0, least = UINT64_MAX;

	for (uint32_t owner = 0; owner < OWNERS; owner++) {
		for (uint32_t set = 0; set < SETS; set++) {
			all += owner_sum[r->row][owner][set];
			sets += r->kept[owner] && owner_sum[r->row][owner][set] != 0;
		}
		if (r->kept[owner] && key_of(owner) > most)
			most = key_of(owner);
		if (!r->kept[owner] && owner_sum[r->row][owner][0] != 0 && key_of(owner) < least)
			least = key_of(owner);
	}
	assert_int_equal(r->sets, sets);
	assert_int_equal(t->observations, all);
	assert_true(most < least);
	if (t->p < 1)
		assert_true(most < (uint64_t)(t->p * 0x1p64) && t->left_out > 0);
}

static void run_shards(unsigned threads, uint32_t rrset_keys, double p)
{
	const struct stat_run run = {
	    .probe = "test", .workers = 1, .interval_s = 60, .rrset_keys = rrset_keys};
	struct crew *c = crew_create(threads, NULL, 0);
	struct shards *s = shards_create(&run, c, threads);
	static struct reading r;
	struct shards_row row;

	assert_non_null(s);
	give_all(s, 5);
	for (unsigned i = 0; i < ROWS; i++) {
		memset(&r, 0, sizeof(r));
		r.row = i;
		take(s, c, i, &row);
		assert_int_equal(
		    tables_walk(&row.parts[STAT_TABLES], FT_TABLE_CLIENTS, check_client, &r), 0);
		assert_int_equal(r.clients, count_clients(i));
		rrsets_each(&row.parts[STAT_RRSETS], RRSETS_KINDS, check_rrset, &r);
		const struct rrsets_totals t = rrsets_totals_get(&row.parts[STAT_RRSETS]);
		assert_true(t.p == p);
		check_kept(&r, &t);
		assert_int_equal(rrsets_kinds(&row.parts[STAT_RRSETS]), RRSETS_KIND(FT_RRSET_A));
		shards_row_fini(&row);
	}
	assert_true(shards_first_row(s) == UINT64_MAX);
	assert_int_equal(shards_bad(s), 0);
	crew_destroy(c);
	shards_destroy(s);
}

static void test_sums(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 4; threads++)
		run_shards(threads, 0, 1);
}

/* About 8,500 sets in a row, of which a quarter or an eighth fit. */
static void test_budget(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 4; threads++)
		run_shards(threads, 3000, 0.25);
}

static void test_empty(void **state)
{
	const struct stat_run run = {.probe = "test", .workers = 1, .interval_s = 60};
	struct crew *c = crew_create(2, NULL, 0);
	struct shards *s = shards_create(&run, c, 2);
	struct shards_row row;

	(void)state;
	assert_non_null(s);
	shards_take(s, 9); /* a row of which nothing has come */
	while (!shards_taken(s, &row))
		(void)sched_yield();
	for (unsigned k = 0; k < STAT_MERGES; k++)
		for (unsigned i = 0; i < row.parts[k].n; i++)
			assert_null(row.parts[k].part[i]);
	assert_int_equal(rrsets_totals_get(NULL).kept, 0);
	assert_int_equal(tables_left(NULL, FT_TABLE_CLIENTS).entries, 0);
	shards_row_fini(&row);
	crew_destroy(c);
	shards_destroy(s);
	shards_destroy(NULL);
}

/* Entries that end anywhere, or are not as many as the record says. */
static void test_hostile(void **state)
{
	const struct stat_run run = {.probe = "test", .workers = 1, .interval_s = 60};
	static const uint16_t types[] = {FT_REC_DOMAIN,    FT_REC_CLIENT,     FT_REC_SERVER,
					 FT_REC_RRSET,     FT_REC_RRSET_TEXT, FT_REC_ERROR,
					 FT_REC_ERROR_TEXT};
	struct record good = {.n = 0};
	unsigned refused = 0;

	(void)state;
	put_client(&good, 0, 3);
	for (unsigned threads = 1; threads <= 2; threads++) {
		struct crew *c = crew_create(threads, NULL, 0);
		struct shards *s = shards_create(&run, c, threads);
		assert_non_null(s);
		for (unsigned t = 0; t < sizeof(types) / sizeof(*types); t++) {
			for (size_t n = 1; n < good.n; n++) {
				uint8_t *copy = malloc(n); /* of this size, for the sanitizer */
				const struct ft_rec_hdr h = {.type = types[t], .vantage = 1};
				const struct stat_record rec = {
				    .hdr = &h, .body = copy, .bytes = n};
				assert_non_null(copy);
				memcpy(copy, good.body, n);
				const int r = shards_record(s, &rec);
				assert_true(r == 0 || r == -EBADMSG);
				refused += r != 0;
				free(copy);
			}
		}
		const struct ft_rec_hdr two = {.type = FT_REC_CLIENT, .vantage = 2};
		const struct stat_record rec = {.hdr = &two, .body = good.body, .bytes = good.n};
		assert_int_equal(shards_record(s, &rec), -EBADMSG);
		shards_flush(s);
		crew_destroy(c);
		shards_destroy(s);
	}
	assert_true(refused > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums), cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_empty), cmocka_unit_test(test_hostile)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of keyed tables: what was written is read again, octet by octet as the header
 * says; what is cut short anywhere is refused without reading behind its end. */
#include "guard.h"

#include <fluxtap/rec_tables.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct ft_table_rec record(enum ft_table table, bool heavy)
{
	struct ft_table_rec r = {.table = table, .vantage = 2, .first_s = 5, .last_s = 5};

	r.level = heavy ? 16 : 0;
	r.counts = true;
	r.by_id = heavy || table != FT_TABLE_DOMAINS;
	for (unsigned i = 0; r.by_id && i < 16; i++)
		r.id[i] = (uint8_t)(0xa0 + i);
	r.text = r.by_id ? NULL : (const uint8_t *)"\1a\3com";
	r.text_bytes = r.by_id ? 0 : 7;
	r.last_s = heavy ? UINT32_MAX : 5;
	for (size_t i = 0; i < ft_table_counters(table); i++)
		r.c[i] = heavy ? UINT64_MAX - i : i == 1;
	for (unsigned i = 0; heavy && i < FT_GROUPS; i++)
		r.group[i] = UINT64_MAX - i;
	r.rtt_max_us = table == FT_TABLE_SERVERS ? (heavy ? UINT64_MAX : 3) : 0;
	if (table == FT_TABLE_CLIENTS)
		return r;
	r.clients.n = 8;
	for (unsigned i = 0; i < 8; i++)
		r.clients.u.hash[i] = i + 1;
	if (table != FT_TABLE_DOMAINS)
		return r;
	r.names.n = heavy ? FT_MINI_DENSE : 2;
	memset(r.names.u.regs, 0x5a, heavy ? sizeof(r.names.u.regs) : 0);
	if (!heavy) {
		r.names.u.hash[0] = 0xfedcba;
		r.names.u.hash[1] = 1;
	}
	return r;
}

static void check_same(const struct ft_table_rec *a, const struct ft_table_rec *b)
{
	assert_int_equal(a->table, b->table);
	assert_int_equal(a->vantage, b->vantage);
	assert_int_equal(a->level, b->level);
	assert_true(a->by_id == b->by_id && a->counts == b->counts);
	assert_memory_equal(a->id, b->id, sizeof(a->id));
	assert_int_equal(a->text_bytes, b->text_bytes);
	assert_true(a->text == NULL ? b->text == NULL
				    : memcmp(a->text, b->text, a->text_bytes) == 0);
	assert_int_equal(a->first_s, b->first_s);
	assert_int_equal(a->last_s, b->last_s);
	assert_memory_equal(a->c, b->c, sizeof(a->c));
	assert_int_equal(a->rtt_max_us, b->rtt_max_us);
	assert_memory_equal(&a->names, &b->names, sizeof(a->names));
	assert_memory_equal(&a->clients, &b->clients, sizeof(a->clients));
	assert_memory_equal(a->group, b->group, sizeof(a->group));
}

static void test_there_and_back(void **state)
{
	uint8_t entry[FT_TABLE_ENTRY_CAP];

	(void)state;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++) {
		for (unsigned heavy = 0; heavy < 2; heavy++) {
			const struct ft_table_rec r = record((enum ft_table)k, heavy != 0);
			const size_t bytes = ft_table_write(&r, entry);
			assert_true(bytes < sizeof(entry) && entry[0] != 0);
			/* Every length: whole at its end, refused before; and nothing is read
			 * behind it. */
			for (size_t n = 0; n <= bytes; n++) {
				uint8_t *copy = guard_copy(entry, n);
				const uint8_t *at = copy;
				struct ft_table_rec back = {0};
				assert_int_equal(ft_table_read(r.table, &at, copy + n, &back),
						 n == bytes);
				if (n == bytes) {
					assert_ptr_equal(at, copy + n);
					check_same(&r, &back);
				}
				guard_free(copy, n);
			}
			const size_t wide = bytes > 128;
			/* Cut short inside, with a length that says so. */
			for (size_t n = 3; n < bytes; n++) {
				uint8_t *copy = guard_copy(entry, n);
				const uint8_t *at = copy;
				struct ft_table_rec back = {0};
				const size_t length = n - 1 - wide;
				copy[0] = (uint8_t)(length | wide << 7);
				if (wide != 0)
					copy[1] = (uint8_t)(length >> 7);
				assert_false(ft_table_read(r.table, &at, copy + n, &back));
				guard_free(copy, n);
			}
		}
	}
}

static void test_octets(void **state)
{
	const struct ft_table_rec client = {
	    .table = FT_TABLE_CLIENTS,
	    .vantage = FT_VANTAGE_S2R,
	    .counts = true,
	    .id = {[10] = 0xff, 0xff, 192, 0, 2, 1},
	    .first_s = 7,
	    .last_s = 9,
	    .c = {[FT_CLIENT_NXDOMAIN] = 300, [FT_CLIENT_QGROUP + FT_QGROUP_A] = 1}};
	static const uint8_t want_client[] = {11, 2, 192, 0, 2, 1, 7, 2, 5, 0xac, 2, 1};
	const struct ft_table_rec domain = {
	    .table = FT_TABLE_DOMAINS,
	    .vantage = FT_VANTAGE_R2A,
	    .level = 3,
	    .counts = true,
	    .text = (const uint8_t *)"\5abcde",
	    .text_bytes = 7,
	    .c = {[FT_DOMAIN_QUERY_BYTES] = 40, [FT_DOMAIN_CLASS + FT_CLASS_DATA] = 1},
	    .names = {.n = 1, .u.hash = {0x030201}},
	    .clients = {.n = 0},
	    .group = {[9] = 1}};
	static const uint8_t want_domain[] = {23,  1 | 3 << 3, 7, 5, 'a', 'b', 'c', 'd',
					      'e', 0,          0, 0, 5,   40,  1,   1,
					      1,   2,          3, 0, 0,   2,   1};
	const struct ft_table_rec text = {.table = FT_TABLE_DOMAINS,
					  .by_id = true,
					  .id = {9},
					  .text = (const uint8_t *)"\1a",
					  .text_bytes = 3};
	static const uint8_t want_text[] = {21, 4, 9, 0, 0, 0, 0, 0, 0, 0,   0,
					    0,  0, 0, 0, 0, 0, 0, 3, 1, 'a', 0};
	uint8_t buf[FT_TABLE_ENTRY_CAP];
	const uint8_t *e = buf;
	struct ft_table_rec back;

	(void)state;
	size_t bytes = ft_table_write(&client, buf);
	assert_int_equal(bytes, sizeof(want_client));
	assert_memory_equal(e, want_client, bytes);
	bytes = ft_table_write(&domain, buf);
	assert_int_equal(bytes, sizeof(want_domain));
	assert_memory_equal(e + 1, want_domain + 1, bytes - 1);
	assert_int_equal(e[0], sizeof(want_domain) - 1);
	bytes = ft_table_write(&text, buf);
	assert_int_equal(bytes, sizeof(want_text));
	assert_memory_equal(e + 1, want_text + 1, bytes - 1);
	assert_true(ft_table_read(FT_TABLE_DOMAINS, &e, e + bytes, &back));
	assert_int_equal(back.text_bytes, 3);
	assert_memory_equal(back.text, "\1a", 3);
}

/* True where these octets are refused. */
static bool refused(enum ft_table table, const uint8_t *octets, size_t n)
{
	uint8_t *copy = guard_copy(octets, n);
	const uint8_t *at = copy;
	struct ft_table_rec r;
	const bool ok = ft_table_read(table, &at, copy + n, &r);

	guard_free(copy, n);
	return !ok;
}

#define REFUSED(table, ...)                                                                        \
	assert_true(refused(table, (const uint8_t[]){__VA_ARGS__},                                 \
			    sizeof((const uint8_t[]){__VA_ARGS__})))
#define TAKEN(table, ...)                                                                          \
	assert_false(refused(table, (const uint8_t[]){__VA_ARGS__},                                \
			     sizeof((const uint8_t[]){__VA_ARGS__})))

static void test_what_cannot_be(void **state)
{
	(void)state;
	TAKEN(FT_TABLE_CLIENTS, 8, 0, 1, 2, 3, 4, 0, 0, 0);
	TAKEN(FT_TABLE_CLIENTS, 9, 0, 1, 2, 3, 4, 0, 0, 0, 99); /* of a later version */
	REFUSED(FT_TABLE_CLIENTS, 0);                           /* no length */
	REFUSED(FT_TABLE_CLIENTS, 0x80, 0);
	REFUSED(FT_TABLE_CLIENTS, 8, 17 << 3, 1, 2, 3, 4, 0, 0, 0);        /* level */
	REFUSED(FT_TABLE_CLIENTS, 10, 0, 1, 2, 3, 4, 0, 0, 0x80, 0x80, 2); /* counter 15 */
	TAKEN(FT_TABLE_CLIENTS, 11, 0, 1, 2, 3, 4, 0, 0, 0x80, 0x80, 1, 1);
	/* A span beyond 32 bits, and numbers beyond 64. */
	REFUSED(FT_TABLE_CLIENTS, 12, 0, 1, 2, 3, 4, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0);
	TAKEN(FT_TABLE_CLIENTS, 12, 0, 1, 2, 3, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0);
	TAKEN(FT_TABLE_CLIENTS, 18, 0, 1, 2, 3, 4, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	      0xff, 0xff, 0xff, 1);
	REFUSED(FT_TABLE_CLIENTS, 18, 0, 1, 2, 3, 4, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 2);
	/* Sketches: nine hashes, a hash of zero, another p. */
	TAKEN(FT_TABLE_DOMAINS, 8, 0, 1, 0, 0, 0, 0, 0, 0);
	REFUSED(FT_TABLE_DOMAINS, 8, 0, 1, 0, 0, 0, 0, 9, 0);
	REFUSED(FT_TABLE_DOMAINS, 11, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0);
	TAKEN(FT_TABLE_DOMAINS, 11, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0);
	REFUSED(FT_TABLE_DOMAINS, 8, 0, 1, 0, 0, 0, 0, 0x87, 0);
	/* A name of no octets; by id, it is one without a name. */
	REFUSED(FT_TABLE_DOMAINS, 7, 0, 0, 0, 0, 0, 0, 0);
	TAKEN(FT_TABLE_DOMAINS, 23, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0,
	      0, 0, 0, 0);
	REFUSED(FT_TABLE_DOMAINS, 19, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 2,
		'a');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_octets),
	    cmocka_unit_test(test_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

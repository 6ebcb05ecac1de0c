/* SPDX-License-Identifier: BSD-3-Clause */
/* Seal: records come out as they went in; a full ring costs records and nothing else. */
#include "ring.h"
#include "seal.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include <cmocka.h>

#define HEADER sizeof(struct ft_rec_hdr)
/* The least ring that is of any use: data blocks have to find room beside the reserve. */
#define RING_BYTES ((uint64_t)2 * SEAL_LEDGER_RESERVE)

static _Atomic int abandon;

static struct ft_ring *ring_create(uint64_t bytes)
{
	struct ft_ring *r = aligned_alloc(64, sizeof(*r) + bytes);

	assert_non_null(r);
	memset(r, 0xa5, sizeof(*r) + bytes);
	ring_init(r, bytes);
	return r;
}

/* Octets that zstd cannot shorten. */
static void noise(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static struct ft_rec_hdr header_of(uint64_t row)
{
	return (struct ft_rec_hdr){.type = FT_REC_RTT, .vantage = 2, .which = 1, .row = row};
}

struct block {
	struct ft_block_hdr h;
	uint8_t raw[FT_BLOCK_RAW_CAP];
	uint32_t bytes; /* in the ring */
};

/* Takes the next block out of the ring by hand; false: there is none. */
static bool take(struct ft_ring *ring, struct block *b)
{
	const uint8_t *p = ring_peek(ring, &b->bytes);

	if (p == NULL)
		return false;
	assert_true(b->bytes > sizeof(b->h));
	memcpy(&b->h, p, sizeof(b->h));
	const size_t n =
	    ZSTD_decompress(b->raw, sizeof(b->raw), p + sizeof(b->h), b->bytes - sizeof(b->h));
	assert_false(ZSTD_isError(n));
	assert_int_equal(n, b->h.raw_bytes);
	assert_int_equal(b->h.magic, FT_BLOCK_MAGIC);
	assert_int_equal(b->h.version, FT_BLOCK_VERSION);
	ring_pop(ring);
	return true;
}

static void test_round_trip(void **state)
{
	struct ft_ring *ring = ring_create(RING_BYTES);
	struct seal *s = seal_create(ring, 5, false, &abandon);
	struct ft_ledger l = {{0}}, none = {{0}};
	static const size_t sizes[] = {0, 8, 16, 56, 4096, FT_DISTINCT_REGS};
	uint8_t body[FT_DISTINCT_REGS];
	static struct block b;
	size_t at = 0;

	(void)state;
	assert_non_null(s);
	assert_true(seal_is_empty(s));
	assert_true(seal_push(s, 1, false, &l)); /* nothing in it: nothing done */
	assert_memory_equal(&l, &none, sizeof(l));
	assert_false(take(ring, &b));
	for (size_t i = 0; i < 6; i++) {
		const struct ft_rec_hdr h = header_of(i);
		noise(body, sizes[i], (uint32_t)i);
		assert_true(seal_has_room(s, sizes[i]));
		seal_put(s, &h, body, sizes[i]);
		assert_false(seal_is_empty(s));
	}
	assert_true(seal_push(s, 77, false, &l));
	assert_true(seal_is_empty(s));
	assert_true(take(ring, &b));
	assert_int_equal(b.h.worker, 5);
	assert_int_equal(b.h.row, 77);
	assert_int_equal(b.h.records, 6);
	for (size_t i = 0; i < 6; i++) {
		struct ft_rec_hdr h, want = header_of(i);
		want.bytes = (uint16_t)(HEADER + sizes[i]);
		memcpy(&h, b.raw + at, HEADER);
		assert_memory_equal(&h, &want, HEADER);
		noise(body, sizes[i], (uint32_t)i);
		assert_memory_equal(b.raw + at + HEADER, body, sizes[i]);
		at += h.bytes;
	}
	assert_int_equal(at, b.h.raw_bytes);
	assert_int_equal(l.c[FT_CTR_RECORDS], 6);
	assert_int_equal(l.c[FT_CTR_BLOCKS], 1);
	assert_int_equal(l.c[FT_CTR_BLOCK_BYTES_RAW], at);
	assert_int_equal(l.c[FT_CTR_BLOCK_BYTES], b.bytes);
	assert_int_equal(l.c[FT_CTR_RING_FULL_RECORDS], 0);
	seal_destroy(s);
	free(ring);
}

/* A block of exactly FT_BLOCK_RAW_CAP that zstd cannot shorten, and not an octet more. */
static void test_full_block(void **state)
{
	struct ft_ring *ring = ring_create(RING_BYTES);
	struct seal *s = seal_create(ring, 0, false, &abandon);
	struct ft_ledger l = {{0}};
	const struct ft_rec_hdr h = header_of(1);
	static uint8_t body[FT_BLOCK_RAW_CAP];
	static struct block b;

	(void)state;
	noise(body, sizeof(body), 9);
	assert_true(seal_has_room(s, FT_BLOCK_RAW_CAP - HEADER));
	assert_false(seal_has_room(s, FT_BLOCK_RAW_CAP - HEADER + 1));
	for (unsigned round = 0; round < 20; round++) { /* past the end of the ring, too */
		for (size_t i = 0; i < 8; i++) {
			const size_t bytes = FT_BLOCK_RAW_CAP / 8 - HEADER;
			assert_true(seal_has_room(s, bytes));
			assert_int_equal(seal_has_room(s, bytes + 1), i < 7);
			seal_put(s, &h, body + i * bytes, bytes);
		}
		assert_false(seal_has_room(s, 0));
		assert_true(seal_push(s, round, false, &l));
		assert_true(take(ring, &b));
		assert_int_equal(b.h.raw_bytes, FT_BLOCK_RAW_CAP);
		assert_int_equal(b.h.row, round);
	}
	assert_int_equal(l.c[FT_CTR_RECORDS], 160);
	assert_int_equal(l.c[FT_CTR_RING_FULL_RECORDS], 0);
	seal_destroy(s);
	free(ring);
}

/* n records in one block; false where seal_push says so. */
static bool push_block(struct seal *s, uint64_t row, unsigned n, bool is_ledger,
		       struct ft_ledger *l)
{
	struct ft_rec_hdr h = header_of(row);
	uint8_t body[1024];

	h.type = is_ledger ? FT_REC_LEDGER : FT_REC_RTT;
	for (unsigned i = 0; i < n; i++) {
		noise(body, sizeof(body), (uint32_t)row * 100 + i);
		seal_put(s, &h, body, sizeof(body));
	}
	return seal_push(s, row, is_ledger, is_ledger ? NULL : l);
}

/* Nobody takes anything: what finds no room is counted as lost, and the rest stays. */
static void test_full_ring(void **state)
{
	struct ft_ring *ring = ring_create(RING_BYTES);
	struct seal *s = seal_create(ring, 0, false, &abandon);
	struct ft_ledger l = {{0}};
	uint64_t records = 0, blocks = 0, bytes = 0, sealed = 0, ledgers = 0, row = 0;
	static struct block b;

	(void)state;
	for (; row < 60; row++) {
		sealed += 1 + row % 20;
		assert_true(push_block(s, row, (unsigned)(1 + row % 20), false, &l));
		assert_true(seal_is_empty(s));
	}
	assert_int_equal(l.c[FT_CTR_RECORDS], sealed);
	assert_int_equal(l.c[FT_CTR_BLOCKS], 60);
	assert_true(l.c[FT_CTR_RING_FULL_RECORDS] > 0);
	/* The reserve is for ledgers alone, and they are not accounted. */
	struct ft_ledger before = l;
	while (push_block(s, 1000 + ledgers, 1, true, NULL))
		ledgers++;
	assert_true(seal_is_empty(s)); /* refused, its records are forgotten */
	assert_true(ledgers >= (SEAL_LEDGER_RESERVE - FT_BLOCK_RAW_CAP) / 2 / 1200);
	assert_memory_equal(&l, &before, sizeof(l));
	for (uint64_t last = 0; take(ring, &b) && b.h.row < 1000; last = b.h.row, blocks++) {
		assert_true(blocks == 0 || b.h.row > last);
		assert_int_equal(b.h.records, 1 + b.h.row % 20);
		records += b.h.records;
		bytes += b.bytes;
	}
	assert_int_equal(records + l.c[FT_CTR_RING_FULL_RECORDS], sealed);
	assert_int_equal(bytes, l.c[FT_CTR_BLOCK_BYTES]);
	for (uint64_t i = 0; i < ledgers; i++) {
		assert_int_equal(b.h.row, 1000 + i);
		assert_int_equal(b.h.records, 0);
		assert_int_equal(take(ring, &b), i + 1 < ledgers);
	}
	assert_true(push_block(s, row, 1, false, &l)); /* room again */
	assert_int_equal(l.c[FT_CTR_RING_FULL_RECORDS], before.c[FT_CTR_RING_FULL_RECORDS]);
	seal_destroy(s);
	free(ring);
}

/* Wherever the last block ended, an empty ring has room for the next. */
static void test_no_dead_position(void **state)
{
	struct ft_ring *ring = ring_create(RING_BYTES);
	struct seal *s = seal_create(ring, 0, false, &abandon);
	struct ft_ledger l = {{0}};
	const struct ft_rec_hdr h = header_of(1);

	(void)state;
	for (uint64_t at = 0; at < RING_BYTES; at += 8 * 7) {
		atomic_store(&ring->head, at);
		atomic_store(&ring->tail, at);
		seal_put(s, &h, &h, 8);
		assert_true(seal_push(s, 1, false, &l));
	}
	assert_int_equal(l.c[FT_CTR_RING_FULL_RECORDS], 0);
	seal_destroy(s);
	free(ring);
}

struct waiter {
	struct seal *seal;
	struct ft_ledger ledger;
	unsigned blocks;
	_Atomic unsigned pushed;
	bool ledger_pushed;
};

static void *push_all(void *arg)
{
	struct waiter *w = arg;

	for (unsigned i = 0; i < w->blocks; i++) {
		(void)push_block(w->seal, i, 20, false, &w->ledger);
		atomic_fetch_add(&w->pushed, 1);
	}
	w->ledger_pushed = push_block(w->seal, 1000, 1, true, NULL);
	return NULL;
}

static void rest_ms(long ms)
{
	const struct timespec t = {.tv_nsec = ms * 1000000};

	(void)nanosleep(&t, NULL);
}

/* In a file run a full ring makes the worker wait, and nothing is lost. */
static void test_wait(void **state)
{
	struct ft_ring *ring = ring_create(RING_BYTES);
	struct waiter w = {.seal = seal_create(ring, 0, true, &abandon), .blocks = 40};
	pthread_t thread;
	static struct block b;
	uint64_t records = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, push_all, &w), 0);
	rest_ms(100);
	assert_true(atomic_load(&w.pushed) < w.blocks);
	for (unsigned i = 0; i < w.blocks + 1;) {
		if (!take(ring, &b)) {
			rest_ms(1);
			continue;
		}
		assert_int_equal(b.h.row, i < w.blocks ? i : 1000);
		records += b.h.records;
		i++;
	}
	pthread_join(thread, NULL);
	assert_true(w.ledger_pushed);
	assert_int_equal(records, w.blocks * 20);
	assert_int_equal(w.ledger.c[FT_CTR_RECORDS], records);
	assert_int_equal(w.ledger.c[FT_CTR_RING_FULL_RECORDS], 0);
	seal_destroy(w.seal);
	free(ring);
}

/* Abandoned, it waits no longer; what finds no room is lost and counted. */
static void test_abandon(void **state)
{
	struct ft_ring *ring = ring_create(RING_BYTES);
	struct waiter w = {.seal = seal_create(ring, 0, true, &abandon), .blocks = 40};
	pthread_t thread;
	static struct block b;
	uint64_t records = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, push_all, &w), 0);
	rest_ms(50);
	assert_true(atomic_load(&w.pushed) < w.blocks);
	atomic_store(&abandon, 1);
	pthread_join(thread, NULL); /* or the test's time runs out */
	atomic_store(&abandon, 0);
	assert_int_equal(atomic_load(&w.pushed), w.blocks);
	assert_true(w.ledger_pushed); /* the reserve was free */
	while (take(ring, &b))
		records += b.h.records;
	assert_true(w.ledger.c[FT_CTR_RING_FULL_RECORDS] > 0);
	assert_int_equal(w.ledger.c[FT_CTR_RECORDS], w.blocks * 20);
	assert_int_equal(records + w.ledger.c[FT_CTR_RING_FULL_RECORDS], w.blocks * 20);
	seal_destroy(w.seal);
	free(ring);
}

static void test_destroy_nothing(void **state)
{
	(void)state;
	seal_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_full_block),
	    cmocka_unit_test(test_full_ring),
	    cmocka_unit_test(test_no_dead_position),
	    cmocka_unit_test(test_wait),
	    cmocka_unit_test(test_abandon),
	    cmocka_unit_test(test_destroy_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

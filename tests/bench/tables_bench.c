/* SPDX-License-Identifier: BSD-3-Clause */
/* ns per keyed_get and per transaction of tables_step, on synthetic keys; not a test.
 *
 * tables_bench [SAMPLE_LEVEL [ENTRIES]]: transactions of 5 M names of 1 M domains, 100,000 clients,
 * 8 servers, all by Zipf with exponent 1, over ten intervals of a minute; tables of 65,536
 * entries (domains, clients) and 1,024 (servers). Blocks are sealed and thrown away. */
#include "flow.h"
#include "keyed.h"
#include "mem.h"
#include "ring.h"
#include "tables.h"
#include "timing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GETS 20000000u
#define BATCH 32u
#define TXNS (1u << 20)
#define ROUNDS 10u
#define DOMAINS 1000000u
#define CLIENTS 100000u

static const _Atomic int never;
static _Atomic uint32_t level;

static double ns_per_tick;

/* Ticks of the TSC: a system call a batch would be in the figures. */
static void calibrate(void)
{
	struct timespec a, b;
	const uint64_t begin = timing_now();

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	do
		(void)clock_gettime(CLOCK_MONOTONIC, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec < 50000000);
	ns_per_tick = (double)((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec) /
		      (double)(timing_now() - begin);
}

/* What another process took is left out, nearly. */
static double ns_between(uint64_t from, uint64_t to)
{
	const double ns = (double)(to - from) * ns_per_tick;

	return ns < 1e6 ? ns : 0;
}

static double now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void forget(void *ctx, const void *entry)
{
	(void)ctx;
	(void)entry;
}

/* keys: how many there are; table: entries of one line. */
static void bench_get(const char *what, size_t entries, uint64_t keys)
{
	struct keyed *k = keyed_create(entries, CACHE_LINE, forget, NULL);
	uint64_t key[BATCH], sum = 0, n = 1;
	bool fresh;

	if (k == NULL)
		exit(1);
	for (uint64_t i = 0; i < keys && i < GETS; i++)
		(void)keyed_get(k, hash_mix(i + 1), 1, &fresh);
	const uint64_t missed = keyed_stats_get(k)->misses;
	const double begin = now_ns();
	for (uint32_t i = 0; i < GETS / BATCH; i++) {
		for (unsigned j = 0; j < BATCH; j++) {
			n = n * 6364136223846793005ull + 1442695040888963407ull;
			key[j] = hash_mix((n >> 20) % keys + 1);
			keyed_prefetch_tags(k, key[j]);
		}
		for (unsigned j = 0; j < BATCH; j++)
			(void)keyed_prefetch_entry(k, key[j], &fresh);
		for (unsigned j = 0; j < BATCH; j++) {
			uint64_t *e = keyed_get(k, key[j], 1, &fresh);
			sum += ++e[2];
		}
	}
	printf(
	    "keyed_get %-34s %6.1f ns, %4.1f %% missing (%lu)\n", what, (now_ns() - begin) / GETS,
	    100.0 * (double)(keyed_stats_get(k)->misses - missed) / GETS, (unsigned long)sum % 10);
	keyed_destroy(k);
}

struct input {
	struct txn txn[TXNS];
	struct verdict verdict[TXNS];
	struct addr client[CLIENTS], server[8];
};

/* 0 to n - 1 by Zipf with exponent 1, near enough. */
static uint32_t zipf(uint64_t *s, uint32_t n)
{
	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	const double u = (double)(*s >> 11) / (double)(1ull << 53);

	return (uint32_t)(exp(u * log((double)n + 1)) - 1);
}

static struct input *make_input(uint32_t domains, uint32_t clients)
{
	static const uint8_t name[] = "\3www\7example\3com";
	struct input *in = mem_map(sizeof(*in));
	uint64_t s = 1;

	if (in == NULL)
		exit(1);
	for (uint32_t i = 0; i < CLIENTS; i++)
		in->client[i] = addr_from_v4(
		    (const uint8_t[]){10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i});
	for (uint8_t i = 0; i < 8; i++)
		in->server[i] = addr_from_v4((const uint8_t[]){192, 0, 2, i});
	for (uint32_t i = 0; i < TXNS; i++) {
		const uint32_t n = zipf(&s, 5 * domains), c = zipf(&s, clients);
		struct txn *x = &in->txn[i];
		in->verdict[i] =
		    (struct verdict){.domain_key = hash_mix(n % domains + 1), .domain_off = 4};
		*x = (struct txn){
		    .q = {.client_sketch = hash_mix(c + 7),
			  .name_sketch = hash_mix(n + 9),
			  .bytes = 40,
			  .qtype = 1,
			  .has_name = 1},
		    .has_query = true,
		    .has_response = true,
		    .class = n % 10 < 3 ? FT_CLASS_NXDOMAIN : FT_CLASS_DATA,
		    .bytes = 120,
		    .rtt_us = 1000 + n % 5000,
		    .name = name,
		    .name_len = sizeof(name),
		    .client = &in->client[c],
		    .server = &in->server[zipf(&s, 8)],
		    .verdict = &in->verdict[i],
		};
	}
	return in;
}

static void bench_tables(struct input *in, size_t entries, size_t ring_bytes)
{
	struct ft_ring *ring = mem_map(sizeof(*ring) + ring_bytes);
	struct evclock clock = {.interval_us = 60000000};
	const uint64_t begin_us = 28333334ull * 60000000, step_us = 60000000 / (TXNS / BATCH);
	static struct txn txn[BATCH];
	static struct verdict verdict[BATCH];
	static struct addr client[BATCH];
	double step_ns = 1e18, close_ns = 1e18; /* of the best round: others use the machine */

	if (ring == NULL)
		exit(1);
	ring_init(ring, ring_bytes);
	struct seal *seal = seal_create(ring, 0, false, &never);
	struct tally *tally = tally_create(&clock, seal);
	const struct tables_settings set = {
	    .hash_key = 3,
	    .entries = {entries, entries, 1024},
	    .sample = {.key = 5, .level = level != 0 ? &level : NULL}};
	struct tables *t = tables_create(tally, &set);
	if (t == NULL)
		exit(1);
	for (uint32_t r = 0; r < ROUNDS; r++) {
		double step = 0, closing = 0;
		for (uint32_t i = 0; i < TXNS; i += BATCH) {
			const uint64_t t_us = begin_us + r * 60000000ull + i / BATCH * step_us;
			clock.now_us = t_us;
			/* As in the worker's loop: transactions and verdicts are in L1. */
			for (unsigned j = 0; j < BATCH; j++) {
				verdict[j] = *in->txn[i + j].verdict;
				txn[j] = in->txn[i + j];
				txn[j].verdict = &verdict[j];
				client[j] = *in->txn[i + j].client;
				txn[j].client = &client[j];
				txn[j].q.t_us = txn[j].settled_us = t_us;
			}
			(void)tally_ledger(tally, t_us);
			const uint64_t before = timing_now();
			tables_step(t, txn, BATCH);
			const uint64_t between = timing_now();
			(void)tally_close(tally, false);
			const uint64_t end = timing_now();
			/* A consumer that is always there. */
			atomic_store(&ring->tail, atomic_load(&ring->head));
			closing += ns_between(between, end);
			step += ns_between(before, between);
		}
		if (r == 0)
			continue; /* first touch */
		step_ns = step < step_ns ? step : step_ns;
		close_ns = closing < close_ns ? closing : close_ns;
	}
	const struct tables_stats *st = tables_stats_get(t);
	uint64_t bytes = 0, raw = 0;
	for (unsigned i = 0; i < TALLY_ROWS; i++) {
		bytes += tally->row[i].ledger.c[FT_CTR_BLOCK_BYTES];
		raw += tally->row[i].ledger.c[FT_CTR_BLOCK_BYTES_RAW];
	}
	bytes += tally->done.c[FT_CTR_BLOCK_BYTES];
	raw += tally->done.c[FT_CTR_BLOCK_BYTES_RAW];
	const double n = (double)TXNS * ROUNDS;
	printf("tables_step %7zu entries, level %u: %5.1f ns, closing %5.1f ns; %.3f entries, "
	       "%.2f raw, %.2f sealed octets a transaction; evicted %lu, full %lu\n",
	       entries, atomic_load(&level), step_ns / TXNS, close_ns / TXNS,
	       (double)st->emitted / n, (double)raw / n, (double)bytes / n,
	       (unsigned long)tables_keyed_stats(t, FT_TABLE_DOMAINS)->evicted,
	       (unsigned long)st->full);
	tables_destroy(t);
	tally_destroy(tally);
	seal_destroy(seal);
	mem_unmap(ring, sizeof(*ring) + ring_bytes);
}

static void bench_gets(void)
{
	bench_get("4,096 keys in 65,536 (L2)", 65536, 4096);
	bench_get("40,000 keys in 65,536 (L3)", 65536, 40000);
	bench_get("400,000 keys in 1 M (memory)", 1 << 20, 400000);
	bench_get("new keys, 65,536 entries", 65536, 1ull << 40);
	bench_get("new keys, 1 M entries", 1 << 20, 1ull << 40);
}

int main(int argc, char **argv)
{
	calibrate();
	if (argc <= 2)
		bench_gets();
	struct input *in = make_input(4000, 4000);
	atomic_store(&level, argc > 1 ? (uint32_t)atoi(argv[1]) : 0);
	puts("20,000 names of 4,000 domains, 4,000 clients: nothing is pushed out");
	bench_tables(in, 65536, 4u << 20);
	mem_unmap(in, sizeof(*in));
	in = make_input(DOMAINS, CLIENTS);
	puts("the whole mix");
	if (argc > 2)
		bench_tables(in, (size_t)atol(argv[2]), 4u << 20);
	for (size_t entries = 4096; argc <= 2 && entries <= 1 << 20; entries *= 16)
		bench_tables(in, entries, 4u << 20);
	mem_unmap(in, sizeof(*in));
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include "../dataplane/mem.h"
#include "../dataplane/worker.h"
#include "bench_load.h"
#include "config.h"
#include "drain.h"
#include "exit.h"
#include "process.h"
#include "segment.h"
#include "worker_config.h"

#include <fluxtap/floor.h>
#include <fluxtap/gen.h>

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLICE 65536u /* packets of one turn of the floor, then of the probe */
#define WORKERS_CAP 16u
#define HASH_KEY 0x9e3779b97f4a7c15ull /* the same in every run: figures compare */

struct bench {
	struct config config;
	struct load load;
	struct segment segment;
	struct rules *rules;
	struct ruleset *ruleset;
	unsigned workers;
	struct bench_worker {
		struct ruleset_scratch *scratch;
		struct rules_slot slot;
		struct rules_seat seat;
		struct rx *rx;
		struct worker *worker;
	} w[WORKERS_CAP];
	struct vantage_rules vantage;
	struct stat_run stat_run;
	struct drain *drain;
	pthread_t drainer;
	uint8_t *table;
	uint64_t control_cpu_ns;
	/* results */
	uint64_t packets, floor_packets; /* measured */
	uint64_t timed_packets;          /* of the worker whose stages are shown */
	uint64_t warm_packets;
	double worker_ns, floor_ns;
	double ticks_per_ns;
	uint64_t floor_sum;
};

static double cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double wall_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t no_drops(void *ctx, unsigned worker)
{
	(void)ctx;
	(void)worker;
	return 0;
}

static void discard(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)set;
	(void)start_s;
	json_decref(record);
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* Control drains as in a live run, beside the measured core. */
static void *drain_all(void *arg)
{
	struct bench *b = arg;
	const struct timespec pause = {.tv_nsec = 1000000};

	if (b->config.control_core.n != 0)
		pin(b->config.control_core.v[0]);
	while (drain_step(b->drain))
		(void)nanosleep(&pause, NULL);
	b->control_cpu_ns = (uint64_t)cpu_ns() + drain_cpu_ns(b->drain);
	return NULL;
}

static int create_worker(struct bench *b, unsigned i)
{
	struct bench_worker *w = &b->w[i];

	w->scratch = ruleset_scratch_create(b->ruleset);
	w->rx = rx_mem_create(b->load.frame, b->load.n, b->load.link, 0, b->load.span_us);
	if (w->scratch == NULL || w->rx == NULL)
		return EXIT_MACHINE;
	w->slot = (struct rules_slot){b->ruleset, w->scratch, ruleset_generation(b->ruleset)};
	seat_put(&w->seat, &w->slot);
	w->rx->live = true; /* a full ring loses records here, as it does on a wire */
	struct worker_settings s = worker_config(&b->config, &b->segment, i, true);
	s.rx = w->rx;
	s.ports = (struct decode_ports){.port = {53}, .n = 1};
	s.vantage = &b->vantage;
	s.hash_key = HASH_KEY;
	s.seat = &w->seat;
	s.timing = true;
	w->worker = worker_create(&s);
	return w->worker != NULL ? EXIT_DONE : EXIT_MACHINE;
}

static int create_all(struct bench *b, char *err, size_t cap)
{
	const struct config *c = &b->config;

	b->workers = c->cores.n < WORKERS_CAP ? (unsigned)c->cores.n : WORKERS_CAP;
	if (segment_init(&b->segment, "bench", b->workers, (size_t)c->ring_mb << 20, err, cap) != 0)
		return EXIT_MACHINE;
	(void)snprintf(err, cap, "not enough memory");
	b->rules = bench_rules_create(c, HASH_KEY);
	if (b->rules == NULL)
		return EXIT_MACHINE;
	b->ruleset = rules_load(b->rules, err, cap);
	if (b->ruleset == NULL)
		return EXIT_USAGE;
	b->table = mem_map(FT_FLOOR_TABLE_BYTES);
	for (unsigned i = 0; i < b->workers; i++)
		if (create_worker(b, i) != EXIT_DONE)
			return EXIT_MACHINE;
	b->stat_run = (struct stat_run){
	    .probe = "bench",
	    .workers = b->workers,
	    .interval_s = c->interval_s,
	    .table_keys = c->table_keys,
	    .top_clients = c->top_clients,
	    .top_domains = c->top_domains,
	    .sample_key = c->sample_key,
	    .rrset_keys = c->rrset_keys,
	    .flux_mb = c->flux_mb,
	    .flux_sliding = c->flux_sliding,
	    .psl = c->psl,
	    .rules = b->rules,
	    .source_dropped = no_drops,
	    .write = discard,
	};
	const struct drain_opts d = {.segment = &b->segment,
				     .run = &b->stat_run,
				     .threads = (unsigned)c->control_core.n,
				     .cpu = c->control_core.v,
				     .cpus = c->control_core.n};
	b->drain = drain_create(&d);
	if (b->table == NULL || b->drain == NULL)
		return EXIT_MACHINE;
	return pthread_create(&b->drainer, NULL, drain_all, b) == 0 ? EXIT_DONE : EXIT_MACHINE;
}

static void measure_floor(struct bench *b, size_t at, size_t n)
{
	const double begin = cpu_ns();

	b->floor_sum += ft_floor_run(b->load.frame + at, n, b->table);
	b->floor_ns += cpu_ns() - begin;
	b->floor_packets += n;
}

/* One slice of the floor, then as many packets through the worker. */
static void measure_slice(struct bench *b, size_t *at)
{
	const size_t n = b->load.n - *at < SLICE ? b->load.n - *at : SLICE;
	size_t done = 0;

	measure_floor(b, *at, n);
	const double begin = cpu_ns();
	while (done < n) {
		const int got = worker_turn(b->w[0].worker);
		if (got < 0)
			break;
		done += (size_t)got;
	}
	b->worker_ns += cpu_ns() - begin;
	b->packets += done;
	*at = *at + n == b->load.n ? 0 : *at + n;
}

/* At once: packets in memory have no end, and a worker takes in what a live source has left. */
static void stop(struct bench_worker *w)
{
	w->rx->live = false;
	worker_stop(w->worker);
}

/* One worker: in this thread, in turns with the floor. */
static void measure_one(struct bench *b, double begin)
{
	const double seconds = b->config.bench_seconds;
	struct worker *w = b->w[0].worker;
	size_t at = 0;

	/* Warm-up: a pass over the packets, or a fifth of the time. */
	do
		measure_slice(b, &at);
	while (!b->config.bench_flood && at != 0 && wall_ns() - begin < seconds * 2e8);
	b->worker_ns = b->floor_ns = 0;
	b->warm_packets = b->packets;
	b->packets = b->floor_packets = 0;
	worker_timing_reset(w);
	/* Of the flood one pass at most, for then its names would come again. */
	do
		measure_slice(b, &at);
	while (wall_ns() - begin < seconds * 1e9 && !(b->config.bench_flood && at == 0));
	stop(&b->w[0]);
	while (worker_turn(w) != RX_END)
		;
}

/* Several: each in a thread of its own over all packets, by the threads' CPU time; the
 * floor before them, alone. */
static int measure_several(struct bench *b)
{
	const struct timespec run = {.tv_sec = (time_t)b->config.bench_seconds};
	int r = 0;

	measure_floor(b, 0, b->load.n);
	for (unsigned i = 0; i < b->workers && r == 0; i++)
		r = worker_start(b->w[i].worker, b->config.cores.v[i]);
	(void)nanosleep(&run, NULL);
	for (unsigned i = 0; i < b->workers; i++)
		stop(&b->w[i]);
	for (unsigned i = 0; i < b->workers; i++) {
		worker_join(b->w[i].worker);
		b->worker_ns += (double)worker_cpu_ns(b->w[i].worker);
		b->packets +=
		    atomic_load_explicit(&segment_worker(&b->segment, i)->total[FT_CTR_RX_PACKETS],
					 memory_order_relaxed);
	}
	return r;
}

static int measure(struct bench *b)
{
	const double begin = wall_ns();
	const uint64_t begin_ticks = timing_now();
	int r = 0;

	if (b->workers == 1) {
		pin(b->config.cores.v[0]);
		measure_one(b, begin);
		b->timed_packets = b->packets;
	} else {
		r = measure_several(b);
		b->timed_packets =
		    atomic_load_explicit(&segment_worker(&b->segment, 0)->total[FT_CTR_RX_PACKETS],
					 memory_order_relaxed);
	}
	b->ticks_per_ns = (double)(timing_now() - begin_ticks) / (wall_ns() - begin);
	pthread_join(b->drainer, NULL);
	return r;
}

static double turn_quantile_us(const struct bench *b, double q)
{
	const struct worker_timing *t = worker_timing_get(b->w[0].worker);
	uint64_t sum = 0, seen = 0;

	for (unsigned i = 0; i < TIMING_TURN_BINS; i++)
		sum += t->turns[i];
	for (unsigned i = 0; i < TIMING_TURN_BINS; i++) {
		seen += t->turns[i];
		if ((double)seen > q * (double)sum)
			return fmin(timing_turn_ticks(i), (double)t->turn_max) / b->ticks_per_ns /
			       1000;
	}
	return 0;
}

static double rounded(double x)
{
	return (double)(long long)(x * 100 + 0.5) / 100;
}

/* Look-ups of the tables that are caches, of one worker, the warm-up included. */
static json_t *caches(const struct bench *b)
{
	struct worker_cache cache[WORKER_CACHES];
	json_t *o = json_object();

	worker_caches(b->w[0].worker, cache);
	for (unsigned i = 0; i < WORKER_CACHES; i++)
		json_object_set_new(o, cache[i].name,
				    json_pack("{s:I,s:I,s:I}", "hits", (json_int_t)cache[i].hits,
					      "misses", (json_int_t)cache[i].misses, "evicted",
					      (json_int_t)cache[i].evicted));
	return o;
}

static json_t *result(const struct bench *b)
{
	const struct worker_timing *t = worker_timing_get(b->w[0].worker);
	const struct ledger_sums *l = ledger_sums_get(drain_stat(b->drain, 0));
	const double ns = b->worker_ns / (double)b->packets;
	const double floor_ns = b->floor_ns / (double)b->floor_packets;
	const double us = b->ticks_per_ns * 1000;
	/* The ledger has the warm-up in it, too. */
	const uint64_t all = l->sum.c[FT_CTR_MESSAGES], packets = b->packets + b->warm_packets;
	const uint64_t messages =
	    (uint64_t)((double)all * (double)b->packets / (double)packets + 0.5);
	json_t *stages = json_object();

	for (unsigned i = 0; i < STAGE_CAP; i++)
		json_object_set_new(stages, worker_stage_texts[i],
				    json_real(rounded((double)t->ticks[i] / b->ticks_per_ns /
						      (double)b->timed_packets)));
	return json_pack(
	    "{s:f,s:f,s:f,s:I,s:I,s:f,s:I,s:I,s:I,s:{s:f,s:f,s:f,s:f},s:{s:f},s:o,s:o,s:f,s:I,s:I,"
	    "s:I}",
	    "ns_per_packet", rounded(ns), "floor_ns_per_packet", rounded(floor_ns), "ratio",
	    rounded(ns / floor_ns), "packets", (json_int_t)b->packets, "messages",
	    (json_int_t)messages, "mpps", rounded(1000 / ns), "ring_full",
	    (json_int_t)l->sum.c[FT_CTR_RING_FULL_RECORDS], "patterns",
	    (json_int_t)ruleset_patterns(b->ruleset), "listed_names",
	    (json_int_t)ruleset_listed_names(b->ruleset), "loop_us", "p50",
	    rounded(turn_quantile_us(b, 0.5)), "p99", rounded(turn_quantile_us(b, 0.99)), "p999",
	    rounded(turn_quantile_us(b, 0.999)), "max", rounded((double)t->turn_max / us),
	    "seal_us", "max", rounded((double)t->seal_max / us), "stages", stages, "tables",
	    caches(b), "control_ms_per_million_messages",
	    rounded((double)b->control_cpu_ns / (double)(all + 1)), "rss_bytes",
	    (json_int_t)process_memory().most_bytes, "workers", (json_int_t)b->workers,
	    "scanned_patterns", (json_int_t)ruleset_scanned(b->ruleset));
}

static void print_text(const json_t *r)
{
	const json_t *loop = json_object_get(r, "loop_us");
	const char *key;
	json_t *value;
#define N(object, k) json_number_value(json_object_get(object, k))

	(void)printf("probe  %8.2f ns a packet, %.2f M packets/s on one core, %.0f worker(s)\n",
		     N(r, "ns_per_packet"), N(r, "mpps"), N(r, "workers"));
	(void)printf("floor  %8.2f ns a packet\n", N(r, "floor_ns_per_packet"));
	(void)printf("ratio  %8.2f x floor over %.0f packets\n", N(r, "ratio"), N(r, "packets"));
	json_object_foreach(json_object_get(r, "stages"), key, value)(void)
	    printf("  %-8s %7.2f ns\n", key, json_number_value(value));
	(void)printf(
	    "loop turn  p50 %.1f, p99 %.1f, p99.9 %.1f, max %.1f us; sealing at most %.1f us\n",
	    N(loop, "p50"), N(loop, "p99"), N(loop, "p999"), N(loop, "max"),
	    N(json_object_get(r, "seal_us"), "max"));
	(void)printf(
	    "control    %.2f ms of CPU per million messages; ring full: %.0f records lost\n",
	    N(r, "control_ms_per_million_messages"), N(r, "ring_full"));
	json_object_foreach(json_object_get(r, "tables"), key, value)
	{
		const double hits = N(value, "hits"), misses = N(value, "misses");
		(void)printf("table  %-8s %5.1f %% of look-ups miss, %.1f %% push one out\n", key,
			     100 * misses / fmax(hits + misses, 1),
			     100 * N(value, "evicted") / fmax(hits + misses, 1));
	}
	(void)printf("rules      %.0f expressions, %.0f of them Hyperscan's; %.0f listed names\n",
		     N(r, "patterns"), N(r, "scanned_patterns"), N(r, "listed_names"));
	(void)printf("memory     %.0f MiB at most, packets included\n",
		     N(r, "rss_bytes") / 1048576);
#undef N
}

static int print_result(const struct bench *b)
{
	const struct ledger_sums *l = ledger_sums_get(drain_stat(b->drain, 0));
	json_t *r = result(b);

	if (r == NULL)
		return EXIT_FAILED;
	if (b->config.bench_json) {
		(void)json_dumpf(r, stdout,
				 JSON_PRESERVE_ORDER | JSON_COMPACT | JSON_REAL_PRECISION(8));
		(void)printf("\n");
	} else {
		print_text(r);
	}
	json_decref(r);
	if (l->broken == 0)
		return EXIT_DONE;
	(void)fprintf(stderr, "fluxtap: the ledger does not close: %s\n", l->broken_text);
	return EXIT_FAILED;
}

static void destroy_all(struct bench *b)
{
	drain_destroy(b->drain);
	for (unsigned i = 0; i < b->workers; i++) {
		worker_destroy(b->w[i].worker);
		if (b->w[i].rx != NULL)
			b->w[i].rx->ops->destroy(b->w[i].rx);
		ruleset_scratch_destroy(b->w[i].scratch);
	}
	segment_fini(&b->segment);
	mem_unmap(b->table, FT_FLOOR_TABLE_BYTES);
	ruleset_destroy(b->ruleset);
	rules_destroy(b->rules);
	bench_load_fini(&b->load);
	config_fini(&b->config);
}

int bench_main(int argc, char **argv)
{
	static struct bench b;
	char err[1024] = "";
	int code = config_parse_bench(argc, argv, &b.config, err, sizeof(err));

	if (code == 1)
		return EXIT_DONE;
	if (code != 0) {
		(void)fprintf(stderr, "fluxtap: %s\n", err);
		return EXIT_USAGE;
	}
	const int loaded = b.config.pcap.n != 0
			       ? bench_load_pcap(&b.load, &b.config.pcap)
			       : bench_load_generate(&b.load, b.config.bench_flood);
	if (loaded != 0) {
		(void)fprintf(stderr, "fluxtap: cannot load the packets: %s\n", strerror(-loaded));
		code = b.config.pcap.n != 0 ? EXIT_USAGE : EXIT_MACHINE;
	} else {
		code = create_all(&b, err, sizeof(err));
		if (code != EXIT_DONE)
			(void)fprintf(stderr, "fluxtap: %s\n", err);
	}
	if (code == EXIT_DONE) {
		const int r = measure(&b);
		code = r == 0 ? print_result(&b) : EXIT_MACHINE;
		if (r != 0)
			(void)fprintf(stderr, "fluxtap: cannot start a thread: %s\n", strerror(-r));
	}
	destroy_all(&b);
	return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole worker, with control's drain behind it, over packets in memory: the
 * figures are the generator's to the last one, and the ledger closes whatever the
 * clock, the ring and the threads do. */
#include "rig.h"

#include "sketch.h"

#include <fluxtap/dns.h>
#include <fluxtap/gen.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#define PAIRS 8000u
#if defined(__SANITIZE_THREAD__)
#define ONE_THREAD_TOO 0 /* slow, and nothing to be seen there */
#else
#define ONE_THREAD_TOO 1
#endif
#define LARGE_RING ((size_t)16 << 20)
#define SECOND 1000000ull

struct load {
	struct ft_gen *gen;
	const struct ft_gen_truth *truth;
	struct rx_mem_frame *frame;
	size_t n;
};

static struct load load(enum ft_gen_scenario scenario, uint32_t interval_s, double duration_s)
{
	const struct ft_gen_opts o = {.seed = 11,
				      .scenario = scenario,
				      .pairs = PAIRS,
				      .duration_s = duration_s,
				      .interval_s = interval_s,
				      .start_us = 1767225595 * SECOND, /* not at a boundary */
				      .names = 20000,
				      .clients = 3000,
				      .truth = true};
	struct load l = {.gen = ft_gen_create(&o)};
	struct ft_gen_frame f;
	size_t cap = 0;

	assert_non_null(l.gen);
	while (ft_gen_next(l.gen, &f) == 1) {
		if (l.n == cap) {
			cap = cap == 0 ? 4096 : cap * 2;
			l.frame = realloc(l.frame, cap * sizeof(*l.frame));
			assert_non_null(l.frame);
		}
		uint8_t *copy = malloc(f.len);
		assert_non_null(copy);
		memcpy(copy, f.data, f.len);
		l.frame[l.n++] = (struct rx_mem_frame){copy, f.len, f.len, f.ts_us};
	}
	l.truth = ft_gen_truth_get(l.gen);
	assert_non_null(l.truth);
	return l;
}

static void unload(struct load *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((void *)(uintptr_t)l->frame[i].data);
	free(l->frame);
	ft_gen_destroy(l->gen);
}

/* One worker over the frames, control's work done between its turns. */
static void run_alone(struct rig *r, const struct rx_mem_frame *frame, size_t n)
{
	struct rx *rx = rx_mem_create(frame, n, LINK_ETHERNET, 1, 0);
	const struct worker_settings set = rig_settings(r, 0, rx);
	struct worker *w = worker_create(&set);

	assert_non_null(w);
	while (worker_turn(w) != RX_END)
		assert_true(drain_step(r->drain));
	assert_int_equal(worker_turn(w), RX_END);
	assert_false(drain_step(r->drain));
	worker_destroy(w);
	rx->ops->destroy(rx);
}

/* What holds after every run. */
static void check_closed(const struct rig *r, uint64_t packets)
{
	const struct ledger_sums *l = rig_sums(r);

	assert_string_equal(l->broken_text, "");
	assert_int_equal(l->broken, 0);
	assert_int_equal(drain_bad_blocks(r->drain), 0);
	assert_int_equal(l->sum.c[FT_CTR_RX_PACKETS], packets);
	assert_int_equal(l->sum.c[FT_CTR_HELD], 0);
	assert_int_equal(l->sum.c[FT_CTR_HELD_PACKETS], 0);
	assert_int_equal(l->sum.c[FT_CTR_RECORDS], l->merged + l->sum.c[FT_CTR_RING_FULL_RECORDS]);
	assert_true(r->in_order);
}

static void check_counts(const json_t *o, const struct ft_gen_counts *c,
			 const char *(*name)(uint32_t, char *))
{
	char text[FT_GEN_NAME_BUF];

	assert_int_equal(json_object_size(o), c->len);
	for (size_t i = 0; i < c->len; i++)
		assert_int_equal(rig_number(o, name(c->row[i].key, text)), c->row[i].n);
}

static const char *qtype_name(uint32_t key, char *text)
{
	return ft_gen_qtype_name((uint16_t)key, text);
}

static const char *rcode_name(uint32_t key, char *text)
{
	return ft_gen_rcode_name((uint16_t)key, text);
}

static const char *opcode_name(uint32_t key, char *text)
{
	return ft_gen_opcode_name((uint8_t)key, text);
}

/* Exact up to FT_DISTINCT_EXACT, then an estimate of a standard error of 0.8 %. */
static void check_distinct(uint64_t got, uint64_t want)
{
	if (want <= FT_DISTINCT_EXACT)
		assert_int_equal(got, want);
	else
		assert_true(fabs((double)got / (double)want - 1) < 0.04);
}

static void check_quantile(const json_t *rtt, const char *key, uint64_t want)
{
	const double got = (double)rig_number(rtt, key);

	assert_true(fabs(got - (double)want) <= DD_ALPHA * (double)want + 1);
}

static void check_series(const json_t *o, const struct ft_gen_row *t, uint32_t interval_s)
{
	for (unsigned g = 0; g < FT_GEN_GROUPS; g++) {
		const json_t *a = json_object_get(o, ft_gen_group_name((enum ft_gen_group)g));
		assert_int_equal(a != NULL, t->series[g] != NULL);
		for (uint32_t s = 0; a != NULL && s < interval_s; s++)
			assert_int_equal(json_integer_value(json_array_get(a, s)), t->series[g][s]);
	}
}

static void check_row(const json_t *o, const struct ft_gen_row *t, uint32_t interval_s)
{
	const json_t *class = json_object_get(o, "by_class"), *rtt = json_object_get(o, "rtt_us");
	const json_t *transport = json_object_get(o, "by_transport");
	const json_t *edns = json_object_get(o, "edns");

	assert_int_equal(rig_number(o, "queries"), t->queries);
	assert_int_equal(rig_number(o, "responses"), t->responses);
	assert_int_equal(rig_number(o, "pairs"), t->pairs);
	assert_int_equal(rig_number(o, "unanswered"), t->unanswered);
	assert_int_equal(rig_number(o, "unsolicited"), t->unsolicited);
	assert_int_equal(rig_number(o, "query_bytes"), t->query_bytes);
	assert_int_equal(rig_number(o, "response_bytes"), t->response_bytes);
	check_distinct(rig_number(o, "clients"), t->clients);
	check_distinct(rig_number(o, "names"), t->names);
	check_counts(json_object_get(o, "by_qtype"), &t->by_qtype, qtype_name);
	check_counts(json_object_get(o, "by_rcode"), &t->by_rcode, rcode_name);
	check_counts(json_object_get(o, "by_opcode"), &t->by_opcode, opcode_name);
	for (unsigned i = 0; i < FT_GEN_CLASSES; i++)
		assert_int_equal(rig_number(class, ft_gen_class_name((enum ft_gen_class)i)),
				 t->by_class[i]);
	for (unsigned i = 0; i < FT_GEN_TRANSPORTS; i++)
		assert_int_equal(
		    rig_number(transport, ft_gen_transport_name((enum ft_gen_transport)i)),
		    t->by_transport[i]);
	for (unsigned i = 0; i < FT_GEN_EDNS_FIELDS; i++)
		assert_int_equal(rig_number(edns, ft_gen_edns_name((enum ft_gen_edns)i)),
				 t->edns[i]);
	assert_int_equal(rig_number(rtt, "count"), t->rtt_count);
	if (t->rtt_count != 0) {
		assert_int_equal(rig_number(rtt, "max"), t->rtt_max_us);
		check_quantile(rtt, "p50", t->rtt_p50_us);
		check_quantile(rtt, "p99", t->rtt_p99_us);
	}
	check_series(json_object_get(o, "series"), t, interval_s);
}

/* Every record against the generator's books, and the sums of the ledger. */
static void check_truth(const struct rig *r, const struct ft_gen_truth *t)
{
	const struct ft_gen_totals *sum = &t->totals;
	static const unsigned reason[FT_GEN_MALFORMED] = {[FT_GEN_SHORT] = FT_MSG_SHORT,
							  [FT_GEN_BAD_LABEL] = FT_MSG_BAD_LABEL,
							  [FT_GEN_NAME_LOOP] = FT_MSG_NAME_LOOP,
							  [FT_GEN_NAME_LONG] = FT_MSG_NAME_LONG,
							  [FT_GEN_QUESTION_CUT] =
							      FT_MSG_QUESTION_CUT};
	const uint64_t *c = rig_sums(r)->sum.c;
	size_t traffic = 0;

	check_closed(r, sum->packets);
	for (size_t i = 0; i < t->row_count; i++) {
		const json_t *o = rig_find(r, "traffic", t->rows[i].start_s, "vantage",
					   ft_gen_vantage_name(t->rows[i].vantage));
		assert_non_null(o);
		check_row(o, &t->rows[i], t->interval_s);
	}
	for (size_t i = 0; i < r->n; i++)
		traffic += strcmp(r->record[i].set, "traffic") == 0;
	assert_int_equal(traffic, t->row_count);
	assert_int_equal(c[FT_CTR_RX_BYTES], sum->bytes);
	assert_int_equal(c[FT_CTR_MESSAGES], sum->dns_messages);
	for (unsigned i = 0; i < FT_GEN_MALFORMED; i++)
		assert_int_equal(c[FT_CTR_MSG_DROP + reason[i]], sum->malformed[i]);
	assert_int_equal(c[FT_CTR_PKT_DROP + FT_PKT_NOT_IP], sum->non_ip);
	assert_int_equal(c[FT_CTR_PKT_DROP + FT_PKT_NOT_DNS], sum->non_dns - sum->non_ip);
	assert_int_equal(c[FT_CTR_LATE], 0);
	assert_int_equal(c[FT_CTR_RING_FULL_RECORDS], 0);
}

static void test_truth(void **state)
{
	static const enum ft_gen_scenario scenarios[] = {FT_GEN_ZOO, FT_GEN_MIX, FT_GEN_FLOOD};
	static const uint32_t intervals[] = {1, 10, 60};

	(void)state;
	for (unsigned s = 0; s < 3; s++)
		for (unsigned i = 0; i < 3; i++) {
			struct load l = load(scenarios[s], intervals[i], 80);
			struct rig r;
			rig_init(&r, 1, intervals[i], LARGE_RING, false);
			run_alone(&r, l.frame, l.n);
			check_truth(&r, l.truth);
			rig_fini(&r);
			unload(&l);
		}
}

static void rest_us(long us)
{
	const struct timespec t = {.tv_nsec = us * 1000};

	(void)nanosleep(&t, NULL);
}

/* Two workers behind a fan-out, control beside them, each in its thread. */
static void run_fan(uint32_t interval_s, enum ft_gen_scenario scenario, size_t ring_bytes)
{
	struct load l = load(scenario, interval_s, 80);
	struct rx_fan *fan =
	    rx_fan_create(rx_mem_create(l.frame, l.n, LINK_ETHERNET, 1, 0), 2, 1 << 16);
	struct worker *w[2];
	struct rig r;

	assert_non_null(fan);
	rig_init(&r, 2, interval_s, ring_bytes, false);
	for (unsigned i = 0; i < 2; i++) {
		const struct worker_settings set = rig_settings(&r, i, rx_fan_sink(fan, i));
		w[i] = worker_create(&set);
		assert_non_null(w[i]);
		assert_int_equal(worker_start(w[i], -1), 0);
	}
	assert_int_equal(rx_fan_start(fan, -1), 0);
	while (drain_step(r.drain))
		rest_us(300);
	for (unsigned i = 0; i < 2; i++) {
		worker_join(w[i]);
		worker_destroy(w[i]);
	}
	assert_string_equal(rx_fan_error(fan), "");
	rx_fan_destroy(fan);
	check_truth(&r, l.truth);
	rig_fini(&r);
	unload(&l);
}

static void test_two_workers(void **state)
{
	(void)state;
	run_fan(10, FT_GEN_ZOO, 1 << 20);
	run_fan(1, FT_GEN_MIX, 256 << 10); /* the ring makes the workers wait */
}

/* Live, with control away for the first `away` turns. Returns records lost. */
static uint64_t run_away(struct rig *r, const struct load *l, size_t away)
{
	struct rx *rx = rx_mem_create(l->frame, l->n, LINK_ETHERNET, 1, 0);

	rx->live = true;
	const struct worker_settings set = rig_settings(r, 0, rx);
	struct worker *w = worker_create(&set);
	assert_non_null(w);
	do {
		if (away != 0)
			away--;
		else
			assert_true(drain_step(r->drain));
	} while (worker_turn(w) != RX_END);
	assert_false(drain_step(r->drain));
	worker_destroy(w);
	rx->ops->destroy(rx);
	return rig_sums(r)->sum.c[FT_CTR_RING_FULL_RECORDS];
}

/* A ring without room costs records, and each is counted; no packet is lost. */
static void test_tiny_ring(void **state)
{
	struct load l = load(FT_GEN_FLOOD, 1, 60);

	(void)state;
	for (size_t ring_bytes = 128 << 10; ring_bytes <= 256 << 10; ring_bytes *= 2) {
		struct rig r;
		rig_init(&r, 1, 1, ring_bytes, true);
		assert_true(run_away(&r, &l, l.n / BATCH_CAP) > 0);
		check_closed(&r, l.truth->totals.packets);
		assert_int_equal(rig_sums(&r)->sum.c[FT_CTR_MESSAGES],
				 l.truth->totals.dns_messages);
		if (ring_bytes == 128 << 10) /* all of it is the ledgers' reserve */
			assert_int_equal(rig_sums(&r)->merged, 0);
		else
			assert_true(rig_sums(&r)->merged > 0);
		rig_fini(&r);
	}
	unload(&l);
}

/* Control away for so long that not even the ledgers find room: the next one that
 * does speaks for those before it. */
static void test_ring_full_of_ledgers(void **state)
{
	static const double duration_s[] = {1500, 3000, 10000, 100000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct load l = load(FT_GEN_ZOO, 1, duration_s[i]);
		struct rig r;
		rig_init(&r, 1, 1, 256 << 10, true);
		assert_true(run_away(&r, &l, l.n / BATCH_CAP * 3 / 4) > 0);
		assert_true(rig_sums(&r)->merged > 0);
		check_closed(&r, l.truth->totals.packets);
		rig_fini(&r);
		unload(&l);
	}
}

/* Times moved by jump[i / every % jumps]. */
static void run_jumps(uint32_t interval_s, const int64_t *jump, size_t jumps, size_t every,
		      bool live)
{
	struct load l = load(FT_GEN_ZOO, interval_s, 40);
	struct rig r;

	for (size_t i = 0; i < l.n; i++)
		l.frame[i].ts_us += (uint64_t)jump[i / every % jumps];
	rig_init(&r, 1, interval_s, LARGE_RING, live);
	run_alone(&r, l.frame, l.n);
	check_closed(&r, l.truth->totals.packets);
	assert_int_equal(rig_sums(&r)->sum.c[FT_CTR_RX_BYTES], l.truth->totals.bytes);
	rig_fini(&r);
	unload(&l);
}

static void test_clock_jumps(void **state)
{
	const int64_t hour = 3600 * (int64_t)SECOND, year = 8766 * hour;
	const int64_t hours[] = {0, hour, -hour, 5 * hour, 2 * hour, 23 * hour};
	const int64_t years[] = {0, year, -year, 30 * year, -50 * year, 200 * year};
	/* Multiples of the number of rows: the same slot again. */
	const int64_t rows[] = {0, 16 * (int64_t)SECOND, 7 * (int64_t)SECOND,
				160 * (int64_t)SECOND};

	(void)state;
	for (uint32_t interval_s = 1; interval_s <= 60; interval_s *= interval_s == 1 ? 10 : 6) {
		run_jumps(interval_s, hours, 6, 997, false);
		run_jumps(interval_s, years, 6, 997, false);
		run_jumps(interval_s, years, 6, 31, false);
		run_jumps(interval_s, rows, 4, 61, false);
		run_jumps(interval_s, rows, 4, 1, false);
	}
	run_jumps(60, hours, 6, 997, true); /* with a record for every silent interval */
}

/* The ends of time: 0, and so far ahead that sums come near to the sign bit. */
static void test_ends_of_time(void **state)
{
	static const uint64_t starts[] = {0, 1, UINT64_MAX / 2 - 40 * SECOND, UINT64_MAX / 2};
	static const uint32_t intervals[] = {1, 10, 60, 86400};

	(void)state;
	for (unsigned s = 0; s < 4; s++)
		for (unsigned i = 0; i < 4; i++) {
			struct load l = load(FT_GEN_ZOO, intervals[i], 40);
			const uint64_t first = l.frame[0].ts_us;
			struct rig r;
			for (size_t k = 0; k < l.n; k++)
				l.frame[k].ts_us = l.frame[k].ts_us - first + starts[s];
			rig_init(&r, 1, intervals[i], LARGE_RING, false);
			run_alone(&r, l.frame, l.n);
			check_closed(&r, l.truth->totals.packets);
			assert_int_equal(rig_sums(&r)->first_s,
					 starts[s] / SECOND / intervals[i] * intervals[i]);
			assert_int_equal(rig_sums(&r)->sum.c[FT_CTR_LATE], 0);
			rig_fini(&r);
			unload(&l);
		}
}

/* Late is what belongs to an interval that has closed: it counts at the clock. */
static void test_late(void **state)
{
	struct load l = load(FT_GEN_MIX, 10, 10);
	struct rx_mem_frame f[4];
	static const uint64_t times[4] = {100, 126, 109, 126}; /* [100, 110) closes at 116 */
	struct rig r;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		f[i] = l.frame[i];
		f[i].ts_us = times[i] * SECOND;
	}
	rig_init(&r, 1, 10, LARGE_RING, false);
	run_alone(&r, f, 4);
	check_closed(&r, 4);
	assert_int_equal(rig_number(rig_find(&r, "ledger", 100, "worker", "all"), "rx_packets"), 1);
	const json_t *o = rig_find(&r, "ledger", 120, "worker", "all");
	assert_int_equal(rig_number(o, "rx_packets"), 3);
	assert_int_equal(rig_number(o, "late"), 1);
	rig_fini(&r);
	unload(&l);
}

/* A fragment that comes late but in time for its interval waits longer than the
 * interval stays open. */
static void test_old_fragment(void **state)
{
	uint8_t frame[14 + 20 + 64] = {[12] = 0x08, [14] = 0x45, [17] = 84, [20] = 0x20,
				       [22] = 64,   [23] = 17,   [26] = 10, [30] = 11};
	static const uint64_t times[] = {100, 115, 109, 117, 130};
	struct rx_mem_frame f[5 * BATCH_CAP]; /* control looks in between */
	struct rig r;

	(void)state;
	for (size_t i = 0; i < 5 * BATCH_CAP; i++)
		f[i] = (struct rx_mem_frame){frame, i == 2 * BATCH_CAP ? sizeof(frame) : 14, 0,
					     times[i / BATCH_CAP] * SECOND};
	rig_init(&r, 1, 10, LARGE_RING, false);
	run_alone(&r, f, 5 * BATCH_CAP);
	check_closed(&r, 5 * BATCH_CAP);
	assert_int_equal(rig_sums(&r)->sum.c[FT_CTR_PKT_DROP + FT_PKT_FRAG_TIMEOUT], 1);
	rig_fini(&r);
}

/* A queue nobody empties and a worker told to give up: it ends, and says what is lost. */
static void test_abandon(void **state)
{
	struct load l = load(FT_GEN_FLOOD, 1, 60);
	struct rig r;

	(void)state;
	rig_init(&r, 1, 1, 256 << 10, false);
	struct rx *rx = rx_mem_create(l.frame, l.n, LINK_ETHERNET, 1, 0);
	const struct worker_settings set = rig_settings(&r, 0, rx);
	struct worker *w = worker_create(&set);
	assert_int_equal(worker_start(w, -1), 0);
	rest_us(20000);
	worker_abandon(w);
	worker_join(w);
	assert_false(drain_step(r.drain));
	check_closed(&r, rig_sums(&r)->sum.c[FT_CTR_RX_PACKETS]);
	worker_destroy(w);
	rx->ops->destroy(rx);
	rig_fini(&r);
	unload(&l);
}

/* A source with pauses: what each look finds, -1 for ever after. */
struct paused {
	struct rx rx;
	const struct rx_mem_frame *next;
	const int *look;
};

static int paused_recv(struct rx *rx, struct batch *b)
{
	struct paused *p = (struct paused *)rx;

	b->n = 0;
	if (*p->look < 0)
		return RX_END;
	for (; (int)b->n < *p->look; b->n++, p->next++) {
		b->pkt[b->n] = (struct pkt){.data = p->next->data,
					    .cap_len = p->next->len,
					    .wire_len = p->next->wire_len,
					    .link = LINK_ETHERNET};
		rx_stamp(rx, &b->pkt[b->n], p->next->ts_us);
	}
	p->look++;
	return (int)b->n;
}

static void paused_release(struct rx *rx, struct batch *b)
{
	(void)rx;
	(void)b;
}

static uint64_t paused_zero(struct rx *rx)
{
	(void)rx;
	return 0;
}

/* A worker that is stopped takes in what its source holds, and no more; one that is told to
 * give up takes nothing. */
static void test_stopped(void **state)
{
	static const struct rx_ops ops = {
	    .recv = paused_recv,
	    .release = paused_release,
	    .clock = paused_zero,
	    .dropped = paused_zero,
	};
	static const int look[] = {3, 0, /* stop */ 5, 0, 7, 0, 0, 9, -1};
	struct load l = load(FT_GEN_MIX, 60, 80);

	(void)state;
	for (int abandon = 0; abandon < 2; abandon++) {
		struct paused source = {
		    .rx = {.ops = &ops, .live = true}, .next = l.frame, .look = look};
		struct rig r;
		rig_init(&r, 1, 60, LARGE_RING, false);
		const struct worker_settings set = rig_settings(&r, 0, &source.rx);
		struct worker *w = worker_create(&set);
		assert_non_null(w);
		assert_int_equal(worker_turn(w), 3);
		assert_int_equal(worker_turn(w), 0);
		abandon ? worker_abandon(w) : worker_stop(w);
		while (worker_turn(w) != RX_END)
			;
		assert_false(drain_step(r.drain));
		check_closed(&r, abandon ? 3 : 3 + 5 + 7);
		worker_destroy(w);
		rig_fini(&r);
	}
	unload(&l);
}

/* Without being asked to time every turn, a worker times one in TIMING_EVERY, and says what
 * the stages of these took; each of them had a full batch here. */
static void test_timed_turns(void **state)
{
	struct load l = load(FT_GEN_MIX, 60, 80);
	const size_t n = l.n / BATCH_CAP * BATCH_CAP, passes = 5;
	struct rx *rx = rx_mem_create(l.frame, n, LINK_ETHERNET, (unsigned)passes, 80 * SECOND);
	struct rig r;

	(void)state;
	rig_init(&r, 1, 60, LARGE_RING, false);
	const struct worker_settings set = rig_settings(&r, 0, rx);
	struct worker *w = worker_create(&set);
	const struct ft_shm_worker *shm = segment_worker(&r.segment, 0);
	assert_non_null(w);
	while (worker_turn(w) != RX_END)
		(void)drain_step(r.drain);
	while (drain_step(r.drain))
		;
	assert_int_equal(shm->turns, n / BATCH_CAP * passes);
	assert_int_equal(shm->timed_packets, shm->turns / TIMING_EVERY * BATCH_CAP);
	assert_true(shm->timed_packets > 0);
	for (unsigned s = 0; s < STAGE_CAP; s++)
		assert_true(shm->stage_ticks[s] > 0);
	worker_destroy(w);
	rx->ops->destroy(rx);
	rig_fini(&r);
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest threads[] = {
	    cmocka_unit_test(test_two_workers),
	    cmocka_unit_test(test_abandon),
	    cmocka_unit_test(test_stopped),
	};
	const struct CMUnitTest one_thread[] = {
	    cmocka_unit_test(test_truth),
	    cmocka_unit_test(test_tiny_ring),
	    cmocka_unit_test(test_clock_jumps),
	    cmocka_unit_test(test_ends_of_time),
	    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_old_fragment),
	    cmocka_unit_test(test_ring_full_of_ledgers),
	    cmocka_unit_test(test_timed_turns),
	};
	int failed = cmocka_run_group_tests(threads, NULL, NULL);

	if (ONE_THREAD_TOO)
		failed += cmocka_run_group_tests(one_thread, NULL, NULL);
	return failed;
}

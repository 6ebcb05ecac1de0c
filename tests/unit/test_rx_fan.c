/* SPDX-License-Identifier: BSD-3-Clause */
/* Fan-out: every frame once, flows whole and in order, the clock's promise kept. */
#include "decode.h"
#include "rx.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_THREAD__)
#define STRESS_FRAMES 60000u
#else
#define STRESS_FRAMES 300000u
#endif
#define FLOWS 512u
#define SINKS_CAP 4u
#define NO_IP UINT32_MAX

/* What the frames of this test look like. */
struct head {
	uint32_t flow;   /* NO_IP: decode_outline finds nothing */
	uint32_t turned; /* 1: from dst to src */
	uint32_t seq;    /* position in the source */
	uint32_t len;
};

/* In place of the real one: this test is about the fan alone. */
bool decode_outline(const uint8_t *frame, uint32_t cap_len, enum link_type link,
		    struct decoded *out)
{
	struct head h;
	struct addr ends[2] = {{{1}}, {{2}}};

	(void)link;
	if (cap_len < sizeof(h))
		return false;
	memcpy(&h, frame, sizeof(h));
	if (h.flow == NO_IP)
		return false;
	memcpy(ends[0].b + 4, &h.flow, 4);
	memcpy(ends[1].b + 8, &h.flow, 4);
	*out = (struct decoded){
	    .kind = DECODE_UDP,
	    .flow = {.src = ends[h.turned & 1], .dst = ends[(h.turned & 1) ^ 1]},
	};
	return true;
}

void decode_addrs_inside(const struct decoded *first, struct addr *src, struct addr *dst)
{
	(void)first;
	(void)src;
	(void)dst;
	fail(); /* no fragments here: see test_fan_way.c */
}

/* A source that makes frames as it goes. */
struct maker {
	struct rx rx;
	uint32_t frames, made; /* made by the reader */
	bool back;             /* times run backwards now and then */
	unsigned slow_us;      /* pause before each batch */
	uint32_t state;        /* random */
	uint64_t now_us;
	uint32_t large; /* octets of every frame, 0: by chance */
	const char *error;
	uint8_t buf[BATCH_CAP][2048];
	uint8_t *large_buf;
	bool lent; /* a batch is out */
};

static _Atomic unsigned destroyed;

static uint32_t chance(struct maker *m)
{
	m->state = m->state * 1664525u + 1013904223u;
	return m->state >> 8;
}

static uint8_t filling(uint32_t seq, uint32_t i)
{
	return (uint8_t)(seq * 31 + i);
}

static void make_frame(struct maker *m, struct pkt *p, uint8_t *buf)
{
	const uint32_t len =
	    m->large != 0 ? m->large : (uint32_t)sizeof(struct head) + chance(m) % 1500;
	const struct head h = {.flow = chance(m) % 64 == 0 ? NO_IP : chance(m) % FLOWS,
			       .turned = chance(m) & 1,
			       .seq = m->made++,
			       .len = len};

	memcpy(buf, &h, sizeof(h));
	for (uint32_t i = sizeof(h); i < len; i++)
		buf[i] = filling(h.seq, i);
	m->now_us += chance(m) % 50;
	p->data = buf;
	p->cap_len = len;
	p->wire_len = len + 10;
	p->handle = 0;
	p->link = LINK_RAW_IP;
	rx_stamp(&m->rx, p, m->back && chance(m) % 20 == 0 ? m->now_us / 2 : m->now_us);
}

static int maker_recv(struct rx *rx, struct batch *b)
{
	struct maker *m = (struct maker *)rx;

	assert_false(m->lent);
	b->n = 0;
	if (m->made == m->frames) {
		if (m->error != NULL)
			(void)snprintf(rx->error, sizeof(rx->error), "%s", m->error);
		return RX_END;
	}
	if (m->slow_us > 0)
		(void)usleep(m->slow_us);
	if (chance(m) % 8 == 0)
		return 0;
	for (uint32_t n = chance(m) % BATCH_CAP + 1; b->n < n && m->made < m->frames; b->n++)
		make_frame(m, &b->pkt[b->n], m->large != 0 ? m->large_buf : m->buf[b->n]);
	m->lent = true;
	return (int)b->n;
}

static void maker_release(struct rx *rx, struct batch *b)
{
	struct maker *m = (struct maker *)rx;

	assert_true(m->lent);
	m->lent = false;
	for (uint32_t i = 0; i < b->n; i++)
		if (m->large == 0)
			memset(m->buf[i], 0xee, sizeof(m->buf[i]));
}

/* Nothing will come before what has been promised here. */
static uint64_t maker_clock(struct rx *rx)
{
	struct maker *m = (struct maker *)rx;

	m->now_us += 3;
	if (m->now_us > rx->clock_us)
		rx->clock_us = m->now_us;
	return rx->clock_us;
}

static uint64_t maker_dropped(struct rx *rx)
{
	(void)rx;
	return 77;
}

static void maker_destroy(struct rx *rx)
{
	free(((struct maker *)rx)->large_buf);
	free(rx);
	atomic_fetch_add(&destroyed, 1);
}

static const struct rx_ops maker_ops = {maker_recv, maker_release, maker_clock, maker_dropped,
					maker_destroy};

static struct maker *maker_new(uint32_t count)
{
	struct maker *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->rx.ops = &maker_ops;
	m->rx.live = true;
	m->frames = count;
	m->state = 4711;
	m->now_us = 1000000;
	return m;
}

/* What the sinks share, each element written once. */
struct shared {
	_Atomic uint8_t *times;           /* by seq: how often it came */
	_Atomic uint32_t home[FLOWS + 1]; /* by flow: sink + 1 */
};

struct consumer {
	struct rx *rx;
	struct shared *shared;
	uint32_t index;
	bool back;
	unsigned slow_us;
	uint32_t cut; /* frames are cut to this */
	uint64_t promise_us, frames;
	uint32_t next[FLOWS + 1]; /* by flow: least seq that may come */
	unsigned wrong;           /* sum of what was not as it should be */
};

static void check_pkt(struct consumer *c, const struct pkt *p)
{
	struct head h;
	uint32_t none = 0;

	memcpy(&h, p->data, sizeof(h));

	const uint32_t flow = h.flow == NO_IP ? FLOWS : h.flow;
	const uint32_t cap_len = h.len < c->cut ? h.len : c->cut;

	c->wrong += p->cap_len != cap_len || p->wire_len != h.len + 10 || p->link != LINK_RAW_IP;
	for (uint32_t i = sizeof(h); i < p->cap_len; i++)
		c->wrong += p->data[i] != filling(h.seq, i);
	c->wrong += ((uintptr_t)p->data & 15) != 0;
	c->wrong += h.seq < c->next[flow];
	c->next[flow] = h.seq + 1;
	c->wrong += h.flow == NO_IP && c->index != 0;
	if (!atomic_compare_exchange_strong(&c->shared->home[flow], &none, c->index + 1))
		c->wrong += none != c->index + 1;
	c->wrong += atomic_fetch_add(&c->shared->times[h.seq], 1) != 0;
	c->wrong += p->clock_us < c->promise_us || p->clock_us < p->ts_us;
	c->wrong += !c->back && p->ts_us < c->promise_us;
}

static void *consumer_main(void *arg)
{
	struct consumer *c = arg;
	struct batch b;
	int rc;

	while ((rc = c->rx->ops->recv(c->rx, &b)) != RX_END) {
		if (rc == 0) {
			const uint64_t clock_us = c->rx->ops->clock(c->rx);

			c->wrong += clock_us < c->promise_us;
			c->promise_us = clock_us;
			if (c->slow_us == 0)
				(void)sched_yield();
			continue;
		}
		for (uint32_t i = 0; i < b.n; i++)
			check_pkt(c, &b.pkt[i]);
		c->frames += b.n;
		if (c->slow_us > 0 && c->frames % 64 < b.n)
			(void)usleep(c->slow_us);
		c->rx->ops->release(c->rx, &b);
	}
	return NULL;
}

static void run(struct maker *m, size_t sinks, unsigned slow_us)
{
	static struct consumer c[SINKS_CAP];
	static struct shared shared;
	const uint32_t frames = m->frames;
	const bool back = m->back;
	pthread_t threads[SINKS_CAP];
	struct rx_fan *fan = rx_fan_create(&m->rx, sinks, 0);
	uint64_t sum = 0;

	assert_non_null(fan);
	memset(c, 0, sizeof(c));
	memset(&shared, 0, sizeof(shared));
	shared.times = calloc(frames, 1);
	assert_non_null(shared.times);
	for (uint32_t i = 0; i < sinks; i++) {
		c[i].rx = rx_fan_sink(fan, i);
		c[i].shared = &shared;
		c[i].index = i;
		c[i].back = back;
		c[i].slow_us = slow_us;
		c[i].cut = 262144;
		assert_true(c[i].rx->live);
		assert_int_equal(c[i].rx->ops->dropped(c[i].rx), i == 0 ? 77 : 0);
		assert_int_equal(pthread_create(&threads[i], NULL, consumer_main, &c[i]), 0);
	}
	assert_int_equal(rx_fan_start(fan, -1), 0);
	for (uint32_t i = 0; i < sinks; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(c[i].wrong, 0);
		sum += c[i].frames;
		if (sinks > 1 && frames > 10000)
			assert_true(c[i].frames > 0);
	}
	assert_int_equal(sum, frames);
	assert_string_equal(rx_fan_error(fan), "");
	rx_fan_destroy(fan);
	free((void *)shared.times);
}

static void test_flat_out(void **state)
{
	(void)state;
	for (size_t sinks = 1; sinks <= SINKS_CAP; sinks++)
		run(maker_new(STRESS_FRAMES), sinks, 0);
}

static void test_slow_producer(void **state)
{
	struct maker *m = maker_new(5000);

	(void)state;
	m->slow_us = 200;
	run(m, 2, 0);
}

static void test_slow_consumer(void **state)
{
	(void)state;
	run(maker_new(60000), 3, 500);
}

static void test_times_run_backwards(void **state)
{
	struct maker *m = maker_new(60000);

	(void)state;
	m->back = true;
	run(m, 3, 0);
}

/* Frames that nearly fill a ring, and such as are longer than a quarter of it. */
static void test_large(void **state)
{
	static const uint32_t lens[] = {262144 - 64, 262144, 300000};

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct maker *m = maker_new(1); /* there is one buffer for all */

		m->large = lens[i];
		m->large_buf = malloc(lens[i]);
		assert_non_null(m->large_buf);
		run(m, 2, 0);
	}
}

static void test_large_many(void **state)
{
	static uint8_t data[200000];
	static struct rx_mem_frame frames[64];
	struct batch b;
	uint32_t seen = 0;
	int rc;

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		const uint32_t len = 1000 + i * 3100;

		frames[i] = (struct rx_mem_frame){data, len, len, 1 + i};
	}
	memset(data, 0xff, sizeof(data)); /* NO_IP: all to sink 0 */

	struct rx_fan *fan = rx_fan_create(rx_mem_create(frames, 64, LINK_NULL, 20, 64), 2, 0);
	struct rx *rx = rx_fan_sink(fan, 0);

	assert_int_equal(rx_fan_start(fan, 0), 0);
	while ((rc = rx->ops->recv(rx, &b)) != RX_END) {
		for (uint32_t i = 0; i < b.n; i++, seen++) {
			assert_int_equal(b.pkt[i].cap_len, frames[seen % 64].len);
			assert_int_equal(b.pkt[i].ts_us, 1 + seen);
			assert_memory_equal(b.pkt[i].data, data, b.pkt[i].cap_len);
		}
		if (rc > 0)
			rx->ops->release(rx, &b);
	}
	assert_int_equal(seen, 64 * 20);
	rx = rx_fan_sink(fan, 1);
	assert_int_equal(rx->ops->recv(rx, &b), RX_END);
	assert_int_equal(rx->ops->clock(rx), 64 * 20);
	rx_fan_destroy(fan);
}

static void test_error_is_told(void **state)
{
	struct maker *m = maker_new(100);
	struct batch b;
	int rc;

	(void)state;
	m->error = "f.pcap: offset 7: gone";

	struct rx_fan *fan = rx_fan_create(&m->rx, 1, 0);
	struct rx *rx = rx_fan_sink(fan, 0);

	assert_int_equal(rx->ops->recv(rx, &b), 0);
	assert_string_equal(rx_fan_error(fan), "");
	assert_int_equal(rx_fan_start(fan, -1), 0);
	while ((rc = rx->ops->recv(rx, &b)) != RX_END)
		if (rc > 0)
			rx->ops->release(rx, &b);
	assert_string_equal(rx_fan_error(fan), "f.pcap: offset 7: gone");
	rx_fan_destroy(fan);
}

/* A source without end: stop ends it, and what was taken still arrives. */
static void test_stop(void **state)
{
	struct maker *m = maker_new(UINT32_MAX);
	struct batch b;
	uint32_t seen = 0;
	int rc;

	(void)state;

	struct rx_fan *fan = rx_fan_create(&m->rx, 1, 0);
	struct rx *rx = rx_fan_sink(fan, 0);

	assert_int_equal(rx_fan_start(fan, -1), 0);
	while ((rc = rx->ops->recv(rx, &b)) != RX_END) {
		if (rc == 0)
			continue;
		for (uint32_t i = 0; i < b.n; i++) {
			struct head h;

			memcpy(&h, b.pkt[i].data, sizeof(h));
			assert_int_equal(h.seq, seen++);
		}
		rx->ops->release(rx, &b);
		if (seen > 10000)
			rx_fan_stop(fan);
	}
	assert_int_equal(seen, m->made);
	rx_fan_destroy(fan);
}

/* Nobody reads the rings: destroy ends the reader all the same, at any stage. */
static void test_destroy(void **state)
{
	const unsigned before = atomic_load(&destroyed);
	struct rx_fan *fan = rx_fan_create(&maker_new(UINT32_MAX)->rx, 3, 0);

	(void)state;
	rx_fan_destroy(fan);
	fan = rx_fan_create(&maker_new(UINT32_MAX)->rx, 3, 0);
	assert_int_equal(rx_fan_start(fan, -1), 0);
	(void)usleep(50000);
	rx_fan_destroy(fan);
	rx_fan_destroy(NULL);
	assert_int_equal(atomic_load(&destroyed), before + 2);

	struct maker *m = maker_new(1);

	assert_null(rx_fan_create(&m->rx, 0, 0)); /* src stays the caller's */
	m->rx.ops->destroy(&m->rx);

	fan = rx_fan_create(&maker_new(1)->rx, 1, 0);
	assert_true(rx_fan_start(fan, CPU_SETSIZE - 1) < 0); /* no such CPU */
	rx_fan_destroy(fan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flat_out),      cmocka_unit_test(test_slow_producer),
	    cmocka_unit_test(test_slow_consumer), cmocka_unit_test(test_times_run_backwards),
	    cmocka_unit_test(test_large),         cmocka_unit_test(test_large_many),
	    cmocka_unit_test(test_error_is_told), cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

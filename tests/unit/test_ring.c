/* SPDX-License-Identifier: BSD-3-Clause */
/* Ring: every message once, whole and in order; a refusal exactly where there is no room. */
#include "guard.h"
#include "ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#if defined(__SANITIZE_THREAD__)
#define FLAT_OUT 40000u
#else
#define FLAT_OUT 200000u
#endif
#define SMALL 256u

/* A ring whose data ends at a page that cannot be touched; both ends at `at`. */
static struct ft_ring *ring_at(uint64_t data_bytes, uint64_t at)
{
	uint8_t *zeros = calloc(1, sizeof(struct ft_ring) + data_bytes);
	struct ft_ring *r =
	    (struct ft_ring *)guard_copy(zeros, sizeof(struct ft_ring) + data_bytes);

	free(zeros);
	ring_init(r, data_bytes);
	atomic_init(&r->head, at);
	atomic_init(&r->tail, at);
	return r;
}

static void ring_free(struct ft_ring *r)
{
	guard_free((uint8_t *)r, sizeof(*r) + r->bytes);
}

static uint64_t need_of(uint64_t bytes)
{
	return sizeof(struct ring_msg) + (bytes + 7) / 8 * 8;
}

/* What a message takes at a position, with the filler in front of it. */
static uint64_t cost_of(const struct ft_ring *r, uint64_t head, uint64_t bytes)
{
	const uint64_t to_end = r->bytes - head % r->bytes;

	return need_of(bytes) + (need_of(bytes) > to_end ? to_end : 0);
}

static bool push(struct ft_ring *r, uint32_t bytes, uint8_t fill)
{
	uint8_t *p = ring_reserve(r, bytes, 0);

	if (p == NULL)
		return false;
	assert_int_equal((uintptr_t)p % 8, 0);
	memset(p, fill, bytes);
	ring_commit(r, bytes);
	return true;
}

static void expect(struct ft_ring *r, uint32_t bytes, uint8_t fill)
{
	uint32_t got = ~bytes;
	const uint8_t *p = ring_peek(r, &got);

	assert_non_null(p);
	assert_int_equal(got, bytes);
	assert_ptr_equal(ring_peek(r, &got), p); /* looking does not take */
	for (uint32_t i = 0; i < bytes; i++)
		assert_int_equal(p[i], fill);
	ring_pop(r);
}

/* Every size at every position of an empty ring, beyond the largest that fits. Half
 * a ring always fits; what is longer may not, although the ring is empty. */
static void test_every_size_everywhere(void **state)
{
	struct ft_ring *r = ring_at(SMALL, 0);
	uint32_t got;

	(void)state;
	for (uint64_t at = 0; at < 2 * SMALL; at += 8) {
		for (uint32_t bytes = 0; bytes <= SMALL + 8; bytes++) {
			const uint64_t head = ((uint64_t)bytes << 40) + at;
			atomic_store(&r->head, head);
			atomic_store(&r->tail, head);
			const bool fits = cost_of(r, head, bytes) <= SMALL;
			assert_int_equal(push(r, bytes, (uint8_t)bytes), fits);
			assert_true(fits || need_of(bytes) > SMALL / 2);
			if (fits)
				expect(r, bytes, (uint8_t)bytes);
			assert_null(ring_peek(r, &got));
			if (fits)
				assert_int_equal(atomic_load(&r->tail),
						 head + cost_of(r, head, bytes));
			assert_int_equal(atomic_load(&r->head), atomic_load(&r->tail));
		}
	}
	ring_free(r);
}

/* `keep` octets stay free for others: for every fill level, size and reserve. */
static void test_keep(void **state)
{
	struct ft_ring *r = ring_at(SMALL, 0);

	(void)state;
	for (uint64_t at = 0; at < SMALL; at += 8)
		for (uint64_t used = 0; used <= SMALL; used += 8)
			for (uint32_t bytes = 0; bytes <= SMALL; bytes += 4)
				for (uint64_t keep = 0; keep <= SMALL + 8; keep += 24) {
					atomic_store(&r->head, at + used);
					atomic_store(&r->tail, at);
					const bool fits =
					    used + cost_of(r, at + used, bytes) + keep <= SMALL;
					const bool given = ring_reserve(r, bytes, keep) != NULL;
					assert_int_equal(given, fits);
					if (!given) /* a refusal leaves no trace */
						assert_int_equal(atomic_load(&r->head), at + used);
				}
	ring_free(r);
}

static void test_exact_fit_and_full(void **state)
{
	struct ft_ring *r = ring_at(SMALL, 0);

	(void)state;
	assert_true(push(r, SMALL - 8, 1)); /* the largest there is */
	assert_false(push(r, 0, 2));
	expect(r, SMALL - 8, 1);
	for (uint8_t i = 0; i < SMALL / 8; i++)
		assert_true(push(r, 0, i)); /* the smallest */
	assert_false(push(r, 0, 0));
	for (uint8_t i = 0; i < SMALL / 8; i++) {
		expect(r, 0, i);
		assert_true(push(r, 0, i));
		assert_false(push(r, 0, i));
	}
	ring_free(r);
}

/* A filler takes the rest up to the end, even where it is nothing but a header. */
static void test_filler(void **state)
{
	uint32_t got;

	(void)state;
	for (uint64_t rest = 8; rest < SMALL / 2; rest += 8) {
		struct ft_ring *r = ring_at(SMALL, SMALL - rest);
		uint8_t *p = ring_reserve(r, (uint32_t)rest, 0); /* header and this: too long */
		assert_ptr_equal(p, ring_data(r) + sizeof(struct ring_msg));
		assert_int_equal(atomic_load(&r->head), SMALL);
		assert_null(ring_peek(r, &got)); /* reserved and not committed: only a filler */
		assert_int_equal(atomic_load(&r->tail), SMALL);
		/* Given up, the place is given out again; a shorter message is as good. */
		assert_ptr_equal(ring_reserve(r, (uint32_t)rest, 0), p);
		memset(p, 7, rest);
		ring_commit(r, (uint32_t)rest / 2);
		expect(r, (uint32_t)rest / 2, 7);
		ring_free(r);
	}
}

/* The segment is memory that others can reach: no length may lead outside. */
static void test_nonsense_is_not_followed(void **state)
{
	static const uint32_t lengths[] = {249,       250, 256, 4096, INT32_MAX, UINT32_MAX - 7,
					   UINT32_MAX};
	uint32_t got;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		for (uint32_t filler = 0; filler < 2; filler++) {
			struct ft_ring *r = ring_at(SMALL, 0);
			const struct ring_msg m = {.bytes = lengths[i], .filler = filler};
			memcpy(ring_data(r), &m, sizeof(m));
			atomic_store(&r->head, SMALL);
			assert_null(ring_peek(r, &got));
			ring_free(r);
		}
	}
	static const uint64_t heads[] = {SMALL + 8, 1ull << 40, UINT64_MAX - 7};
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		struct ft_ring *r = ring_at(SMALL, 0);
		atomic_store(&r->head, heads[i]); /* further ahead than the ring is long */
		assert_null(ring_peek(r, &got));
		ring_free(r);
	}
	struct ft_ring *r = ring_at(SMALL, 0);
	const struct ring_msg m = {.bytes = 64};
	memcpy(ring_data(r), &m, sizeof(m));
	atomic_store(&r->head, 64); /* less than the message says */
	assert_null(ring_peek(r, &got));
	ring_free(r);
}

/* Against a queue: whatever the order of pushes and pops. */
static void test_like_a_queue(void **state)
{
	struct ft_ring *r = ring_at(1024, UINT64_C(0xfffffff8));
	uint32_t length[1024 / 8], first = 0, n = 0, seed = 1;
	uint64_t used = 0, pushed = 0;

	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		seed = seed * 1664525u + 1013904223u;
		const uint32_t bytes = (seed >> 8) % (seed >> 31 ? 40 : 700);
		const bool wants_push = (seed >> 20 & 255) < (i / 5000 % 2 ? 100u : 160u);
		if (wants_push) {
			used = atomic_load(&r->head) - atomic_load(&r->tail);
			const bool fits =
			    used + cost_of(r, atomic_load(&r->head), bytes) <= r->bytes;
			assert_int_equal(push(r, bytes, (uint8_t)(first + n)), fits);
			if (fits)
				length[(first + n++) % 128] = bytes;
			pushed += fits;
		} else if (n != 0) {
			expect(r, length[first % 128], (uint8_t)first);
			first++;
			n--;
		}
	}
	assert_true(pushed > 100000);
	ring_free(r);
}

/* --- two threads --- */

struct word_head {
	uint32_t seq, words;
};

struct stress {
	struct ft_ring *ring;
	pthread_barrier_t begin;
	uint32_t messages;                 /* that the producer has to give */
	unsigned producer_ns, consumer_ns; /* pauses */
	/* producer's */
	uint32_t sent, refused;
	uint64_t sent_sum;
	_Atomic bool done;
	/* consumer's */
	uint32_t got, damaged, unordered;
	uint64_t got_sum;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15ull;
	return x ^ x >> 29;
}

static void pause_ns(unsigned ns)
{
	const struct timespec t = {.tv_nsec = ns};

	if (ns != 0)
		(void)nanosleep(&t, NULL);
}

/* A message: its number, its length, words that follow from both, their sum. */
static void *produce(void *arg)
{
	struct stress *s = arg;

	pthread_barrier_wait(&s->begin);
	for (uint32_t seq = 0; seq < s->messages; seq++) {
		const struct word_head h = {seq, (uint32_t)(mix(seq) % 150)};
		const uint32_t bytes = (uint32_t)(sizeof(h) + (h.words + 1) * 8);
		pause_ns(s->producer_ns);
		uint8_t *p = ring_reserve(s->ring, bytes, seq % 3 == 0 ? 512 : 0);
		if (p == NULL) {
			s->refused++;
			sched_yield(); /* the consumer may want this CPU */
			continue;
		}
		uint64_t sum = seq;
		memcpy(p, &h, sizeof(h));
		for (uint32_t i = 0; i < h.words; i++) {
			const uint64_t word = mix(((uint64_t)seq << 20) + i);
			memcpy(p + sizeof(h) + (size_t)i * 8, &word, 8);
			sum = mix(sum + word);
		}
		memcpy(p + sizeof(h) + (size_t)h.words * 8, &sum, 8);
		ring_commit(s->ring, bytes);
		s->sent++;
		s->sent_sum += sum;
	}
	atomic_store_explicit(&s->done, true, memory_order_release);
	return NULL;
}

static void check_message(struct stress *s, const uint8_t *p, uint32_t bytes, uint32_t *next)
{
	struct word_head h;
	uint64_t word, sum, said;

	memcpy(&h, p, sizeof(h));
	s->unordered += h.seq < *next;
	*next = h.seq + 1;
	if (bytes != sizeof(h) + (h.words + 1ull) * 8) {
		s->damaged++;
		return;
	}
	sum = h.seq;
	for (uint32_t i = 0; i < h.words; i++) {
		memcpy(&word, p + sizeof(h) + (size_t)i * 8, 8);
		sum = mix(sum + word);
	}
	memcpy(&said, p + sizeof(h) + (size_t)h.words * 8, 8);
	s->damaged += sum != said;
	s->got_sum += said;
	s->got++;
}

static void *consume(void *arg)
{
	struct stress *s = arg;
	uint32_t bytes, next = 0;

	pthread_barrier_wait(&s->begin);
	for (;;) {
		const bool done = atomic_load_explicit(&s->done, memory_order_acquire);
		const uint8_t *p = ring_peek(s->ring, &bytes);
		if (p == NULL) {
			if (done)
				return NULL;
			sched_yield();
			continue;
		}
		check_message(s, p, bytes, &next);
		ring_pop(s->ring);
		pause_ns(s->consumer_ns);
	}
}

static void stress(uint32_t messages, unsigned producer_ns, unsigned consumer_ns, struct stress *s)
{
	pthread_t thread[2];

	*s = (struct stress){.ring = ring_at(8192, UINT32_MAX - 4095ull),
			     .messages = messages,
			     .producer_ns = producer_ns,
			     .consumer_ns = consumer_ns};
	assert_int_equal(pthread_barrier_init(&s->begin, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread[0], NULL, produce, s), 0);
	assert_int_equal(pthread_create(&thread[1], NULL, consume, s), 0);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	pthread_barrier_destroy(&s->begin);
	assert_int_equal(s->sent + s->refused, messages);
	assert_int_equal(s->got, s->sent);
	assert_int_equal(s->got_sum, s->sent_sum);
	assert_int_equal(s->damaged, 0);
	assert_int_equal(s->unordered, 0);
	assert_int_equal(atomic_load(&s->ring->head), atomic_load(&s->ring->tail));
	ring_free(s->ring);
}

static void test_slow_producer(void **state)
{
	struct stress s;

	(void)state;
	stress(5000, 20000, 0, &s);
	assert_true(s.sent > 0);
}

static void test_slow_consumer(void **state)
{
	struct stress s;

	(void)state;
	stress(FLAT_OUT / 4, 0, 20000, &s);
	assert_true(s.sent > 0);
	assert_true(s.refused > 0);
}

static void test_flat_out(void **state)
{
	struct stress s;

	(void)state;
	stress(FLAT_OUT, 0, 0, &s);
	assert_true(s.sent > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_size_everywhere),
	    cmocka_unit_test(test_keep),
	    cmocka_unit_test(test_exact_fit_and_full),
	    cmocka_unit_test(test_filler),
	    cmocka_unit_test(test_nonsense_is_not_followed),
	    cmocka_unit_test(test_like_a_queue),
	    cmocka_unit_test(test_slow_producer),
	    cmocka_unit_test(test_slow_consumer),
	    cmocka_unit_test(test_flat_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

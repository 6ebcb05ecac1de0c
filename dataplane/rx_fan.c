/* SPDX-License-Identifier: BSD-3-Clause */
/* One byte ring for each sink, one producer (the reader) and one consumer (the
 * sink's worker). Both positions only grow; the octet of position p stands at
 * p & mask. A record is a struct record and its frame in one piece; where the
 * piece would wrap, a filler takes the rest of the ring.
 *
 * head:  stored (release) by the reader after the records, loaded (acquire) by
 *        the sink before it looks at them.
 * tail:  stored (release) by the sink after its last look at the frames, loaded
 *        (acquire) by the reader before it writes over them.
 * clock, ended: stored (release) by the reader after the heads of ALL sinks.
 *        The sink loads them (acquire) BEFORE the head by which it finds its
 *        ring empty: so every packet up to that clock was in the ring by then,
 *        and the empty ring means that all of them have been taken. Loaded in
 *        the other order, a packet could slip in between. */
#include "fetch.h"
#include "rx.h"

#include "defrag.h"
#include "fan_way.h"
#include "mem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define RING_MIN_BYTES ((size_t)1 << 20)
#define SPIN_CAP 256u /* turns of pause before the thread gives its core away */
#define YIELD_CAP 64u /* then turns of sched_yield before it sleeps */
#define NAP_NS 50000
#define HELD_BYTES ((size_t)32 << 20) /* of packets that wait for a first fragment */

struct record {
	uint32_t bytes;   /* of the record with its padding; a multiple of its own size */
	uint32_t cap_len; /* FILLER: no frame, the next record is at the ring's start */
	uint32_t wire_len;
	uint32_t link;
	uint64_t ts_us;
	uint64_t clock_us;
};
static_assert(sizeof(struct record) == 32, "two records a cache line");
#define FILLER UINT32_MAX

struct ring {
	_Alignas(CACHE_LINE) _Atomic uint64_t head; /* reader writes */
	uint64_t put;       /* reader's own: behind the last record, published or not */
	uint64_t tail_seen; /* reader's own: the tail when it last looked */
	_Alignas(CACHE_LINE) _Atomic uint64_t tail; /* sink writes */
	_Alignas(CACHE_LINE) uint8_t *data;         /* constant from here on */
	uint64_t bytes, mask;
};

struct sink {
	struct rx rx;
	struct rx_fan *fan;  /* constant */
	struct ring *ring;   /* constant */
	uint64_t taken;      /* sink's own: behind the last record handed out */
	uint64_t head_seen;  /* sink's own: the head when it last looked */
	uint64_t promise_us; /* sink's own: the clock loaded before the ring was empty */
};

/* A packet that waits, and whatever came behind it. */
struct held {
	struct held *next;
	struct pkt pkt;   /* its data is behind this */
	uint64_t pending; /* see fan_way.h; 0: it has its place */
	uint64_t hash;
};

struct rx_fan {
	struct rx *src;
	size_t n;
	uint64_t key;
	struct fan_way *way; /* NULL: one sink */
	struct held *held, **held_end;
	size_t held_bytes;
	struct ring *rings;
	struct sink *sinks;
	pthread_t reader;
	bool started;
	_Alignas(CACHE_LINE) _Atomic uint64_t clock_us; /* reader writes; see above */
	_Atomic bool ended;                             /* likewise */
	_Alignas(CACHE_LINE) _Atomic bool stop;         /* control writes: take no more batches */
	_Atomic bool abandon; /* control writes: do not wait for full sinks either */
};

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* The turns-th turn of waiting: spin, then yield, then sleep (unless `awake`). */
static void wait_turn(unsigned turns, bool awake)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};

	if (turns < SPIN_CAP)
		cpu_relax();
	else if (awake || turns < SPIN_CAP + YIELD_CAP)
		(void)sched_yield();
	else
		(void)nanosleep(&nap, NULL);
}

/* Reader's side */

static void publish(struct ring *r)
{
	/* Relaxed: head is the reader's own. */
	if (atomic_load_explicit(&r->head, memory_order_relaxed) != r->put)
		atomic_store_explicit(&r->head, r->put, memory_order_release); /* with head_look */
}

static void publish_all(struct rx_fan *fan)
{
	for (size_t i = 0; i < fan->n; i++)
		publish(&fan->rings[i]);
}

static bool has_room(struct ring *r, uint64_t bytes)
{
	if (r->put + bytes - r->tail_seen <= r->bytes)
		return true;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire); /* with fan_release */
	return r->put + bytes - r->tail_seen <= r->bytes;
}

/* Waits until the sink has given back enough. False when nobody will. */
static bool wait_room(struct rx_fan *fan, struct ring *r, uint64_t bytes)
{
	if (has_room(r, bytes))
		return true;
	publish_all(fan); /* else the sinks could wait for us as we do for them */
	for (unsigned turns = 0; !has_room(r, bytes); turns++) {
		if (atomic_load_explicit(&fan->abandon, memory_order_relaxed))
			return false;
		wait_turn(turns, false);
	}
	return true;
}

static bool push(struct rx_fan *fan, struct ring *r, const struct pkt *p)
{
	/* Any frame and a filler in front of it fit the ring together. */
	const uint64_t cap_max = r->bytes / 4;
	const uint32_t cap_len = p->cap_len < cap_max ? p->cap_len : (uint32_t)cap_max;
	const uint64_t unit = sizeof(struct record);
	const uint64_t bytes = (unit + cap_len + unit - 1) / unit * unit;
	const uint64_t to_end = r->bytes - (r->put & r->mask);
	const uint64_t filler = bytes > to_end ? to_end : 0;

	if (!wait_room(fan, r, filler + bytes))
		return false;
	if (filler > 0) {
		struct record *f = (struct record *)(void *)(r->data + (r->put & r->mask));

		f->bytes = (uint32_t)filler;
		f->cap_len = FILLER;
		r->put += filler;
	}

	struct record *rec = (struct record *)(void *)(r->data + (r->put & r->mask));

	*rec = (struct record){.bytes = (uint32_t)bytes,
			       .cap_len = cap_len,
			       .wire_len = p->wire_len,
			       .link = p->link,
			       .ts_us = p->ts_us,
			       .clock_us = p->clock_us};
	memcpy(rec + 1, p->data, cap_len);
	r->put += bytes;
	return true;
}

static struct ring *ring_of(struct rx_fan *fan, uint64_t hash)
{
	return &fan->rings[(hash >> 32) * fan->n >> 32];
}

static bool hold(struct rx_fan *fan, const struct pkt *p, uint64_t pending, uint64_t hash)
{
	struct held *h = malloc(sizeof(*h) + p->cap_len);

	if (h == NULL)
		return false;
	*h = (struct held){.pkt = *p, .pending = pending, .hash = hash};
	h->pkt.data = (const uint8_t *)(h + 1);
	memcpy(h + 1, p->data, p->cap_len);
	*fan->held_end = h;
	fan->held_end = &h->next;
	fan->held_bytes += sizeof(*h) + p->cap_len;
	return true;
}

static void drop_held(struct rx_fan *fan)
{
	struct held *h = fan->held;

	fan->held = h->next;
	if (fan->held == NULL)
		fan->held_end = &fan->held;
	fan->held_bytes -= sizeof(*h) + h->pkt.cap_len;
	free(h);
}

/* Hands out what need not wait any longer: its place is known, or no first fragment can
 * be of use any more, or there is no room. False when nobody takes it. */
static bool push_held(struct rx_fan *fan, uint64_t clock_us, bool all)
{
	bool taken = true;

	while (fan->held != NULL && taken) {
		struct held *h = fan->held;
		const bool known =
		    h->pending == 0 || fan_way_find(fan->way, h->pending, clock_us, &h->hash);
		if (!known && !all && clock_us - h->pkt.clock_us < DEFRAG_WAIT_US &&
		    fan->held_bytes <= HELD_BYTES)
			break;
		taken = push(fan, ring_of(fan, h->hash), &h->pkt);
		drop_held(fan);
	}
	return taken;
}

/* A live source cannot wait: what comes before its first fragment goes by outer addresses. */
static bool take(struct rx_fan *fan, const struct pkt *p)
{
	uint64_t pending;

	if (fan->n == 1)
		return push(fan, &fan->rings[0], p);
	const uint64_t hash = fan_way_hash(fan->way, p, &pending);
	if (fan->held == NULL && (pending == 0 || fan->src->live))
		return push(fan, ring_of(fan, hash), p);
	if (!hold(fan, p, pending, hash)) /* no memory: nothing waits any more */
		return push_held(fan, p->clock_us, true) && push(fan, ring_of(fan, hash), p);
	return push_held(fan, p->clock_us, false);
}

static void publish_clock(struct rx_fan *fan, uint64_t clock_us)
{
	/* Relaxed: clock_us is the reader's own. */
	if (clock_us > atomic_load_explicit(&fan->clock_us, memory_order_relaxed))
		atomic_store_explicit(&fan->clock_us, clock_us,
				      memory_order_release); /* with fan_empty */
}

static void *reader_main(void *arg)
{
	struct rx_fan *fan = arg;
	struct rx *src = fan->src;
	struct batch b = {0};
	unsigned idle = 0;

	while (!atomic_load_explicit(&fan->stop, memory_order_relaxed)) {
		const int got = src->ops->recv(src, &b);

		if (got < 0)
			break;
		if (got == 0) {
			if (fan->held == NULL)
				publish_clock(fan, src->ops->clock(src));
			wait_turn(idle++, src->live);
			continue;
		}
		idle = 0;
		for (uint32_t i = 0; i < b.n; i++)
			if (!take(fan, &b.pkt[i]))
				break;
		src->ops->release(src, &b);
		publish_all(fan);
		publish_clock(fan, fan->held != NULL ? fan->held->pkt.clock_us : src->clock_us);
	}
	(void)push_held(fan, 0, true);
	publish_all(fan);
	atomic_store_explicit(&fan->ended, true,
			      memory_order_release); /* with fan_empty, rx_fan_error */
	return NULL;
}

/* Sink's side */

static bool head_look(struct sink *s)
{
	s->head_seen =
	    atomic_load_explicit(&s->ring->head, memory_order_acquire); /* with publish */
	return s->head_seen != s->taken;
}

/* Nothing seen: 0 or RX_END, or 1 where something has come meanwhile. */
static int fan_empty(struct sink *s)
{
	/* Both with reader_main, and before the head: see the top of this file. */
	const bool ended = atomic_load_explicit(&s->fan->ended, memory_order_acquire);
	const uint64_t clock_us = atomic_load_explicit(&s->fan->clock_us, memory_order_acquire);

	if (head_look(s))
		return 1;
	s->promise_us = clock_us;
	return ended ? RX_END : 0;
}

static int fan_recv(struct rx *rx, struct batch *b)
{
	struct sink *s = (struct sink *)rx;
	const struct ring *r = s->ring;

	b->n = 0;
	if (s->taken == s->head_seen && !head_look(s)) {
		const int rc = fan_empty(s);

		if (rc <= 0)
			return rc;
	}
	while (b->n < BATCH_CAP && s->taken != s->head_seen) {
		const struct record *rec =
		    (const struct record *)(const void *)(r->data + (s->taken & r->mask));

		s->taken += rec->bytes;
		if (rec->cap_len == FILLER)
			continue;

		struct pkt *p = &b->pkt[b->n++];

		p->data = (const uint8_t *)(rec + 1);
		p->ts_us = rec->ts_us;
		p->clock_us = rec->clock_us; /* the whole source's, not this sink's */
		p->cap_len = rec->cap_len;
		p->wire_len = rec->wire_len;
		p->handle = 0;
		p->link = (uint8_t)rec->link;
		fetch_read(r->data + (s->taken & r->mask) + CACHE_LINE);
	}
	/* A filler is published only together with the record behind it. */
	if (b->n > 0)
		rx->clock_us = b->pkt[b->n - 1].clock_us;
	return (int)b->n;
}

static void fan_release(struct rx *rx, struct batch *b)
{
	struct sink *s = (struct sink *)rx;

	(void)b;
	atomic_store_explicit(&s->ring->tail, s->taken, memory_order_release); /* with has_room */
}

static uint64_t fan_clock(struct rx *rx)
{
	return ((struct sink *)rx)->promise_us;
}

/* The source's losses are nobody's in particular: the first sink has them all. */
static uint64_t fan_dropped(struct rx *rx)
{
	struct sink *s = (struct sink *)rx;

	return s == s->fan->sinks ? s->fan->src->ops->dropped(s->fan->src) : 0;
}

static void fan_sink_destroy(struct rx *rx)
{
	(void)rx; /* the fan's */
}

static const struct rx_ops sink_ops = {
    .recv = fan_recv,
    .release = fan_release,
    .clock = fan_clock,
    .dropped = fan_dropped,
    .destroy = fan_sink_destroy,
};

/* Control's side */

static size_t ring_size(size_t wanted)
{
	size_t bytes = RING_MIN_BYTES;

	while (bytes < wanted && bytes < (size_t)1 << 31) /* positions fit record.bytes */
		bytes *= 2;
	return bytes;
}

/* Created empty first, so that a failure leaves src to the caller. */
static struct rx_fan *fan_alloc(size_t n)
{
	struct rx_fan *fan = aligned_alloc(CACHE_LINE, sizeof(*fan));

	if (fan == NULL)
		return NULL;
	memset(fan, 0, sizeof(*fan));
	fan->n = n;
	fan->held_end = &fan->held;
	fan->rings = aligned_alloc(CACHE_LINE, n * sizeof(*fan->rings));
	fan->sinks = calloc(n, sizeof(*fan->sinks));
	if (fan->rings == NULL || fan->sinks == NULL) {
		free(fan->rings);
		free(fan->sinks);
		free(fan);
		return NULL;
	}
	memset(fan->rings, 0, n * sizeof(*fan->rings));
	return fan;
}

struct rx_fan *rx_fan_create(struct rx *src, size_t n, size_t ring_bytes)
{
	struct rx_fan *fan;

	if (n == 0) {
		errno = EINVAL;
		return NULL;
	}
	fan = fan_alloc(n);
	if (fan == NULL)
		return NULL;
	if (getrandom(&fan->key, sizeof(fan->key), 0) != (ssize_t)sizeof(fan->key))
		goto undo;
	fan->way = n > 1 ? fan_way_create(fan->key) : NULL;
	if (fan->way == NULL && n > 1)
		goto undo;
	for (size_t i = 0; i < n; i++) {
		struct ring *r = &fan->rings[i];
		struct sink *s = &fan->sinks[i];

		r->bytes = ring_size(ring_bytes);
		r->mask = r->bytes - 1;
		r->data = mem_map(r->bytes);
		if (r->data == NULL)
			goto undo;
		s->rx.ops = &sink_ops;
		s->rx.live = src->live;
		s->fan = fan;
		s->ring = r;
	}
	memcpy(fan->sinks[0].rx.note, src->note, sizeof(src->note));
	fan->src = src;
	return fan;
undo : {
	const int code = errno;

	rx_fan_destroy(fan);
	errno = code;
}
	return NULL;
}

struct rx *rx_fan_sink(struct rx_fan *fan, size_t i)
{
	return &fan->sinks[i].rx;
}

int rx_fan_start(struct rx_fan *fan, int cpu)
{
	pthread_attr_t attr;
	sigset_t all, before;
	cpu_set_t set;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return -rc;
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET((unsigned)cpu, &set);
		rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	if (rc == 0) {
		/* Signals are control's. */
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		rc = pthread_create(&fan->reader, &attr, reader_main, fan);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	(void)pthread_attr_destroy(&attr);
	if (rc != 0)
		return -rc;
	fan->started = true;
	(void)pthread_setname_np(fan->reader, "fluxtap-reader");
	return 0;
}

void rx_fan_stop(struct rx_fan *fan)
{
	atomic_store_explicit(&fan->stop, true, memory_order_relaxed);
}

void rx_fan_destroy(struct rx_fan *fan)
{
	if (fan == NULL)
		return;
	rx_fan_stop(fan);
	atomic_store_explicit(&fan->abandon, true, memory_order_relaxed);
	if (fan->started)
		(void)pthread_join(fan->reader, NULL);
	for (size_t i = 0; i < fan->n; i++)
		mem_unmap(fan->rings[i].data, fan->rings[i].bytes);
	while (fan->held != NULL)
		drop_held(fan);
	fan_way_destroy(fan->way);
	if (fan->src != NULL)
		fan->src->ops->destroy(fan->src);
	free(fan->sinks);
	free(fan->rings);
	free(fan);
}

const char *rx_fan_error(const struct rx_fan *fan)
{
	return atomic_load_explicit(&fan->ended, memory_order_acquire) ? fan->src->error : "";
}

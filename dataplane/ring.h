/* SPDX-License-Identifier: BSD-3-Clause */
/* A byte ring with one producer and one consumer, in shared memory.
 *
 * Both positions only grow. A message is a struct ring_msg and its octets, padded
 * to 8, in one piece: where the rest up to the end of the data is too short, a
 * filler takes it. Memory order: the producer's release store of head publishes
 * the octets before it, and pairs with the consumer's acquire load; the consumer's
 * release store of tail gives octets back, and pairs with the producer's acquire
 * load. Neither side ever waits here. */
#ifndef DATAPLANE_RING_H
#define DATAPLANE_RING_H

#include <fluxtap/shm.h>

#include <stdbool.h>
#include <stddef.h>

struct ring_msg {
	uint32_t bytes;  /* of the content, without padding */
	uint32_t filler; /* 1: skip it */
};
static_assert(sizeof(struct ring_msg) == 8, "ring message header");

static inline uint8_t *ring_data(struct ft_ring *r)
{
	return (uint8_t *)r + r->data_off;
}

/* data_bytes: power of two. The data begins right behind the header. */
static inline void ring_init(struct ft_ring *r, uint64_t data_bytes)
{
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	r->bytes = data_bytes;
	r->data_off = sizeof(*r);
}

/* Producer: room for a message of up to `bytes`, leaving `keep` octets free for
 * others; NULL when there is none. Nothing is published before ring_commit. */
static inline uint8_t *ring_reserve(struct ft_ring *r, uint32_t bytes, uint64_t keep)
{
	const uint64_t need = sizeof(struct ring_msg) + ((bytes + 7ull) & ~7ull);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	const uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	const uint64_t to_end = r->bytes - (head & (r->bytes - 1));
	const uint64_t skip = need > to_end ? to_end : 0;

	if (r->bytes - (head - tail) < need + skip + keep)
		return NULL;
	if (skip != 0) {
		struct ring_msg *filler =
		    (struct ring_msg *)(ring_data(r) + (head & (r->bytes - 1)));
		filler->bytes = (uint32_t)(skip - sizeof(*filler));
		filler->filler = 1;
		head += skip;
		atomic_store_explicit(&r->head, head, memory_order_release);
	}
	return ring_data(r) + (head & (r->bytes - 1)) + sizeof(struct ring_msg);
}

/* Producer: publishes the message reserved last, with its true size. */
static inline void ring_commit(struct ft_ring *r, uint32_t bytes)
{
	const uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct ring_msg *m = (struct ring_msg *)(ring_data(r) + (head & (r->bytes - 1)));

	m->bytes = bytes;
	m->filler = 0;
	atomic_store_explicit(&r->head, head + sizeof(*m) + ((bytes + 7ull) & ~7ull),
			      memory_order_release);
}

/* Consumer: the next message, or NULL. It stays valid until ring_pop. A position
 * or length that cannot be (the segment was damaged) reads as empty. */
static inline const uint8_t *ring_peek(struct ft_ring *r, uint32_t *bytes)
{
	for (;;) {
		const uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
		const uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
		if (head == tail)
			return NULL;
		const uint64_t at = tail & (r->bytes - 1);
		const struct ring_msg *m = (const struct ring_msg *)(ring_data(r) + at);
		const uint64_t whole = sizeof(*m) + ((m->bytes + 7ull) & ~7ull);
		if (head - tail > r->bytes || whole > head - tail || whole > r->bytes - at)
			return NULL;
		if (m->filler == 0) {
			*bytes = m->bytes;
			return (const uint8_t *)(m + 1);
		}
		atomic_store_explicit(&r->tail, tail + whole, memory_order_release);
	}
}

/* Consumer: gives the message of ring_peek back. */
static inline void ring_pop(struct ft_ring *r)
{
	const uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	const struct ring_msg *m =
	    (const struct ring_msg *)(ring_data(r) + (tail & (r->bytes - 1)));

	atomic_store_explicit(&r->tail, tail + sizeof(*m) + ((m->bytes + 7ull) & ~7ull),
			      memory_order_release);
}

#endif

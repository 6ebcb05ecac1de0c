/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t slot_bytes[GEN_SLOT_SIZES] = {256, 640,
						    1664}; /* with their heads; multiples of 8 */

enum { CHUNK_BYTES = 256 * 1024, FIRST_CAP = 1024 };

void gen_queue_init(struct gen_queue *q)
{
	memset(q, 0, sizeof(*q));
}

void gen_queue_fini(struct gen_queue *q)
{
	while (q->chunks) {
		struct gen_chunk *next = q->chunks->next;

		free(q->chunks);
		q->chunks = next;
	}
	free(q->heap);
	gen_queue_init(q);
}

static bool add_chunk(struct gen_queue *q, unsigned size)
{
	struct gen_chunk *chunk = malloc(sizeof(*chunk) + CHUNK_BYTES);

	if (!chunk)
		return false;
	chunk->next = q->chunks;
	q->chunks = chunk;
	for (size_t off = 0; off + slot_bytes[size] <= CHUNK_BYTES; off += slot_bytes[size]) {
		struct gen_slot *slot = (struct gen_slot *)(void *)(chunk->data + off);

		slot->size = (uint8_t)size;
		slot->next = q->spare[size];
		q->spare[size] = slot;
	}
	return true;
}

struct gen_slot *gen_queue_get(struct gen_queue *q, uint32_t len)
{
	unsigned size = 0;

	while (len + sizeof(struct gen_slot) > slot_bytes[size])
		size++;
	if (!q->spare[size] && !add_chunk(q, size))
		return NULL;

	struct gen_slot *slot = q->spare[size];

	q->spare[size] = slot->next;
	slot->len = len;
	return slot;
}

void gen_queue_put(struct gen_queue *q, struct gen_slot *slot)
{
	slot->next = q->spare[slot->size];
	q->spare[slot->size] = slot;
}

static bool is_before(const struct gen_wait *a, const struct gen_wait *b)
{
	return a->ts_us != b->ts_us ? a->ts_us < b->ts_us : a->serial < b->serial;
}

int gen_queue_push(struct gen_queue *q, uint64_t ts_us, struct gen_slot *slot)
{
	struct gen_wait w = {ts_us, q->serial++, slot};
	size_t i = q->len;

	if (q->len == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : FIRST_CAP;
		struct gen_wait *heap = realloc(q->heap, cap * sizeof(*heap));

		if (!heap) {
			gen_queue_put(q, slot);
			return -ENOMEM;
		}
		q->heap = heap;
		q->cap = cap;
	}
	q->len++;
	while (i > 0 && is_before(&w, &q->heap[(i - 1) / 2])) {
		q->heap[i] = q->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	q->heap[i] = w;
	return 0;
}

struct gen_slot *gen_queue_pop(struct gen_queue *q, uint64_t *ts_us)
{
	struct gen_slot *slot = q->heap[0].slot;
	struct gen_wait last = q->heap[--q->len];
	size_t i = 0;

	*ts_us = q->heap[0].ts_us;
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= q->len)
			break;
		if (child + 1 < q->len && is_before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (!is_before(&q->heap[child], &last))
			break;
		q->heap[i] = q->heap[child];
		i = child;
	}
	if (q->len > 0)
		q->heap[i] = last;
	return slot;
}

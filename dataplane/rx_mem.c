/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx.h"

#include "fetch.h"

#include <stdlib.h>
#include <time.h>

#define PREFETCH_LINES 2 /* the headers, and the qname of most queries */

struct rx_mem {
	struct rx rx;
	const struct rx_mem_frame *frames;
	size_t n, at;
	uint64_t pass, passes;      /* passes 0: without end */
	uint64_t span_us, shift_us; /* shift: what this pass adds to every time */
	uint8_t link;
};

uint64_t rx_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* The frames of the batch after this one, while this one is worked on. */
static void prefetch_next(const struct rx_mem *s)
{
	const size_t left = s->n - s->at;
	const size_t end = s->at + (left < BATCH_CAP ? left : BATCH_CAP);

	for (size_t i = s->at; i < end; i++) {
		const uint8_t *p = s->frames[i].data;

		for (size_t line = 0; line < PREFETCH_LINES; line++)
			fetch_read(p + line * CACHE_LINE);
	}
}

static int mem_recv(struct rx *rx, struct batch *b)
{
	struct rx_mem *s = (struct rx_mem *)rx;

	if (s->at == s->n) { /* a batch never spans two passes */
		if (s->n == 0 || s->pass + 1 == s->passes) {
			b->n = 0;
			return RX_END;
		}
		s->pass++;
		s->shift_us += s->span_us;
		s->at = 0;
	}

	const size_t left = s->n - s->at;
	const uint32_t n = left < BATCH_CAP ? (uint32_t)left : BATCH_CAP;
	const struct rx_mem_frame *f = s->frames + s->at;

	for (uint32_t i = 0; i < n; i++, f++) {
		struct pkt *p = &b->pkt[i];

		p->data = f->data;
		p->cap_len = f->len;
		p->wire_len = f->wire_len > f->len ? f->wire_len : f->len;
		p->handle = 0;
		p->link = s->link;
		rx_stamp(rx, p, f->ts_us + s->shift_us);
	}
	s->at += n;
	b->n = n;
	prefetch_next(s);
	return (int)n;
}

static void mem_release(struct rx *rx, struct batch *b)
{
	(void)rx;
	(void)b;
}

static uint64_t mem_clock(struct rx *rx)
{
	(void)rx;
	return 0;
}

static uint64_t mem_dropped(struct rx *rx)
{
	(void)rx;
	return 0;
}

static void mem_destroy(struct rx *rx)
{
	free(rx);
}

static const struct rx_ops mem_ops = {
    .recv = mem_recv,
    .release = mem_release,
    .clock = mem_clock,
    .dropped = mem_dropped,
    .destroy = mem_destroy,
};

struct rx *rx_mem_create(const struct rx_mem_frame *frames, size_t n, enum link_type link,
			 uint64_t passes, uint64_t span_us)
{
	struct rx_mem *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->rx.ops = &mem_ops;
	s->frames = frames;
	s->n = n;
	s->passes = passes;
	s->span_us = span_us;
	s->link = (uint8_t)link;
	prefetch_next(s);
	return &s->rx;
}

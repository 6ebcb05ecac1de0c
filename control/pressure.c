/* SPDX-License-Identifier: BSD-3-Clause */
#include "pressure.h"

#include "../dataplane/rx.h"
#include "sample_auto.h"

#include <stdlib.h>

#define TICK_US 100000u

struct seen {
	uint64_t turns, idle, dropped;
};

struct pressure {
	struct pressure_opts set;
	struct sample_auto state;
	uint64_t next_us;
	struct seen *seen;                /* [workers] */
	struct sample_auto_worker *input; /* [workers] */
};

struct pressure *pressure_create(const struct pressure_opts *o)
{
	struct pressure *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->set = *o;
	p->seen = calloc(o->workers, sizeof(*p->seen));
	p->input = calloc(o->workers, sizeof(*p->input));
	if (p->seen == NULL || p->input == NULL) {
		pressure_destroy(p);
		return NULL;
	}
	return p;
}

void pressure_destroy(struct pressure *p)
{
	if (p == NULL)
		return;
	free(p->seen);
	free(p->input);
	free(p);
}

static double ring_fill(const struct ft_ring *r)
{
	const uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	const uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	return (double)(head - tail) / (double)r->bytes;
}

static void look(struct pressure *p, unsigned i)
{
	const struct ft_shm_worker *w = segment_worker(p->set.segment, i);
	const struct seen now = {
	    .turns = atomic_load_explicit(&w->turns, memory_order_relaxed),
	    .idle = atomic_load_explicit(&w->idle_turns, memory_order_relaxed),
	    .dropped =
		p->set.source_dropped(p->set.ctx, i) +
		atomic_load_explicit(&w->total[FT_CTR_RING_FULL_RECORDS], memory_order_relaxed),
	};
	struct seen *before = &p->seen[i];
	const double turns = (double)(now.turns - before->turns);
	const double all = turns + (double)(now.idle - before->idle);

	p->input[i] = (struct sample_auto_worker){
	    .ring_fill = ring_fill(segment_ring(p->set.segment, i)),
	    .busy = all > 0 ? turns / all : 0,
	    .dropped = now.dropped - before->dropped,
	};
	*before = now;
}

void pressure_step(struct pressure *p)
{
	const uint64_t now_us = rx_now_us();

	if (now_us < p->next_us && p->next_us - now_us <= TICK_US)
		return;
	p->next_us = now_us + TICK_US;
	for (unsigned i = 0; i < p->set.workers; i++)
		look(p, i);
	atomic_store_explicit(p->set.level, sample_auto_step(&p->state, p->input, p->set.workers),
			      memory_order_relaxed);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "watch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOKS (WATCH_S * 1000000u / WATCH_TICK_US + 2)

struct look {
	uint64_t mono_us, source, ring_full, export_lost;
};

struct watch {
	struct watch_opts set;
	uint64_t next_us;
	pthread_mutex_t lock; /* of what follows */
	struct look look[LOOKS];
	unsigned n, at; /* looks there are; place of the next one */
	bool failing;
};

struct watch *watch_create(const struct watch_opts *o)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL || pthread_mutex_init(&w->lock, NULL) != 0) {
		free(w);
		return NULL;
	}
	w->set = *o;
	return w;
}

void watch_destroy(struct watch *w)
{
	if (w == NULL)
		return;
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

static void store(_Atomic uint64_t *to, uint64_t value)
{
	atomic_store_explicit(to, value, memory_order_relaxed);
}

/* Into the segment, and into the look. */
static void publish(struct watch *w, struct look *l, const struct watch_export *e)
{
	struct ft_shm *h = w->set.segment->shm;

	for (unsigned i = 0; i < h->workers; i++) {
		struct ft_shm_worker *s = segment_worker(w->set.segment, i);
		const uint64_t dropped = w->set.source_dropped(w->set.ctx, i);
		/* Never back: whoever computes rates must not see a restart. */
		if (dropped > atomic_load_explicit(&s->source_dropped, memory_order_relaxed))
			store(&s->source_dropped, dropped);
		l->source += dropped;
		l->ring_full +=
		    atomic_load_explicit(&s->total[FT_CTR_RING_FULL_RECORDS], memory_order_relaxed);
	}
	l->export_lost = e->lost;
	store(&h->records_written, e->written);
	store(&h->records_lost, e->lost);
	store(&h->export_failures, e->failures);
	store(&h->export_failing, e->failing);
	store(&h->sample_level, atomic_load_explicit(w->set.sample_level, memory_order_relaxed));
	store(&h->heartbeat_us, l->mono_us);
}

bool watch_step(struct watch *w, uint64_t mono_us, const struct watch_export *e)
{
	struct look l = {.mono_us = mono_us};

	if (w == NULL || mono_us < w->next_us)
		return false;
	w->next_us = mono_us + WATCH_TICK_US;
	publish(w, &l, e);
	(void)pthread_mutex_lock(&w->lock);
	w->look[w->at] = l;
	w->at = (w->at + 1) % LOOKS;
	w->n += w->n < LOOKS;
	w->failing = e->failing;
	(void)pthread_mutex_unlock(&w->lock);
	return true;
}

bool watch_alive(struct watch *w, uint64_t mono_us, char *why, size_t cap)
{
	const uint64_t beat =
	    atomic_load_explicit(&w->set.segment->shm->heartbeat_us, memory_order_relaxed);

	why[0] = '\0';
	if (beat == 0)
		(void)snprintf(why, cap, "starting");
	else if (mono_us > beat && mono_us - beat > WATCH_DEAD_S * 1000000ull)
		(void)snprintf(why, cap, "the control thread has not moved for %" PRIu64 " s",
			       (mono_us - beat) / 1000000);
	return why[0] == '\0';
}

static uint64_t grown(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

bool watch_ready(struct watch *w, uint64_t mono_us, char *why, size_t cap)
{
	struct look last, first;

	if (!watch_alive(w, mono_us, why, cap))
		return false;
	(void)pthread_mutex_lock(&w->lock);
	last = first = w->look[(w->at + LOOKS - 1) % LOOKS];
	for (unsigned i = 1; i < w->n; i++) { /* back to the last one that is old enough */
		first = w->look[(w->at + 2 * LOOKS - 1 - i) % LOOKS];
		if (last.mono_us - first.mono_us >= WATCH_S * 1000000ull)
			break;
	}
	const bool failing = w->failing;
	(void)pthread_mutex_unlock(&w->lock);
	const uint64_t source = grown(first.source, last.source);
	const uint64_t ring = grown(first.ring_full, last.ring_full);
	const uint64_t lost = grown(first.export_lost, last.export_lost);
	if (source != 0)
		(void)snprintf(why, cap,
			       "losing: the source dropped %" PRIu64 " packets in the last %u s",
			       source, WATCH_S);
	else if (ring != 0)
		(void)snprintf(why, cap,
			       "losing: %" PRIu64 " records found a full ring in the last %u s",
			       ring, WATCH_S);
	else if (lost != 0)
		(void)snprintf(why, cap,
			       "losing: %" PRIu64 " records could not be written in the last %u s",
			       lost, WATCH_S);
	else if (failing)
		(void)snprintf(why, cap, "losing: the export fails; records wait in memory");
	return why[0] == '\0';
}

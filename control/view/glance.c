/* SPDX-License-Identifier: BSD-3-Clause */
#include "glance.h"

#include "../../dataplane/rx.h"
#include "../../dataplane/timing.h"
#include "../process.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

void glancer_init(struct glancer *g)
{
	g->begin_us = counts_now_us();
	g->begin_ticks = timing_now();
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* What the kernel says of this process. */
static void take_process(struct glance *out)
{
	struct rusage r = {0};

	(void)getrusage(RUSAGE_SELF, &r);
	out->cpu_s = seconds_of(r.ru_utime) + seconds_of(r.ru_stime);
	out->resident_bytes = process_memory().resident_bytes;
}

struct glance *glance_take(const struct glancer *g)
{
	struct glance *out = malloc(sizeof(*out));

	if (out == NULL)
		return NULL;
	counts_of(g->segment, &out->counts);
	view_copy(g->view, &out->data);
	out->version = g->version;
	out->source = g->source;
	out->interval_s = g->interval_s;
	out->now_us = rx_now_us();
	const uint64_t us = out->counts.mono_us - g->begin_us;
	out->ticks_per_ns =
	    us > 10000 ? (double)(out->counts.ticks - g->begin_ticks) / ((double)us * 1000) : 0;
	out->alive = watch_alive(g->watch, out->counts.mono_us, out->why, sizeof(out->why));
	out->ready = watch_ready(g->watch, out->counts.mono_us, out->why, sizeof(out->why));
	take_process(out);
	return out;
}

double glance_stage_ns(const struct counts_worker *w, unsigned stage, double ticks_per_ns)
{
	if (w->timed_packets == 0 || ticks_per_ns <= 0)
		return NAN;
	return (double)w->stage_ticks[stage] / ticks_per_ns / (double)w->timed_packets;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A glance with figures that a test can tell apart. For tests alone. */
#ifndef TESTS_UNIT_GLANCE_MAKE_H
#define TESTS_UNIT_GLANCE_MAKE_H

#include "view/glance.h"
#include "view/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that hurt where they are not escaped, or not cut. */
#define EVIL_GROUP "a\"b\\c\nd"
#define EVIL_NAME "\x1b[31m<script>alert(1)</script>\\000.example."

static inline void glance_row(struct view_list *l, const char *name, uint64_t count)
{
	struct view_row *r = &l->row[l->n++];

	*r = (struct view_row){.count = count, .value = {1.5, 2, NAN, NAN}, .at_s = 3661};
	text_put(r->name, sizeof(r->name), name);
	text_put(r->vantage, sizeof(r->vantage), "S2R");
	text_put(r->kind, sizeof(r->kind), "cname");
	text_put(r->class, sizeof(r->class), "FLUX");
	text_put(r->state, sizeof(r->state), "onset");
	text_put(r->more, sizeof(r->more), "group");
}

static inline void glance_counts(struct counts *c, unsigned workers, uint64_t factor)
{
	c->workers = workers;
	c->live = true;
	c->pid = 4711;
	c->started_us = 1700000000000000;
	c->mono_us = 1000000 * factor;
	c->heartbeat_us = c->mono_us;
	c->ticks = 2000000000 * factor; /* 2 GHz */
	c->records_written = 55 * factor;
	(void)snprintf(c->probe, sizeof(c->probe), "tap1");
	for (unsigned i = 0; i < workers; i++) {
		struct counts_worker *w = &c->worker[i];
		for (unsigned k = 0; k < FT_CTR_CAP; k++)
			w->total[k] = (1000 * i + k + 1) * factor;
		for (unsigned s = 0; s < FT_SHM_STAGES; s++)
			w->stage_ticks[s] = 640 * (s + 1) * factor; /* 10 ns a packet and more */
		w->timed_packets = 32 * factor;
		w->source_dropped = i * factor;
		w->turns = 30 * factor;
		w->idle_turns = 70 * factor;
		w->ring_bytes = 4000;
		w->ring_used = 1000;
		w->generation = 2;
		w->clock_us = 1700000001000000;
	}
}

/* The caller frees it. */
static inline struct glance *glance_make(unsigned workers)
{
	struct glance *g = calloc(1, sizeof(*g));

	if (g == NULL)
		abort();
	glance_counts(&g->counts, workers, 1);
	g->version = "9.9";
	g->source = "a test";
	g->interval_s = 60;
	g->now_us = 1700000060000000;
	g->ticks_per_ns = 2;
	g->alive = g->ready = true;
	g->resident_bytes = 123456;
	g->cpu_s = 1.25;
	struct view_data *d = &g->data;
	d->intervals = 3;
	d->start_s = 1700000000;
	d->end_s = 1700000060;
	d->p = 1;
	d->ledger.closes = true;
	for (unsigned v = 0; v < 2; v++) {
		struct view_traffic *t =
		    v == 0 ? &d->total[FT_VANTAGE_S2R] : &d->last[FT_VANTAGE_S2R];
		t->seen = true;
		for (unsigned i = 0; i < VIEW_TRAFFIC_CAP; i++)
			t->count[i] = 10 * i + 7;
		view_mix_add(&t->mix[VIEW_BY_QTYPE], "A", 40);
		view_mix_add(&t->mix[VIEW_BY_QTYPE], "AAAA", 20);
		view_mix_add(&t->mix[VIEW_BY_CLASS], "DATA", 45);
		view_mix_add(&t->mix[VIEW_BY_CLASS], "NXDOMAIN", 15);
		view_mix_add(&t->mix[VIEW_BY_RCODE], "NOERROR", 45);
		t->clients = 12;
		t->names = 34;
	}
	for (unsigned t = 0; t < VIEW_TABLES; t++) {
		glance_row(&d->list[t], "plain.example.", 900);
		glance_row(&d->list[t], EVIL_NAME, 800);
	}
	d->groups = 1;
	text_put(d->group[0].name, sizeof(d->group[0].name), EVIL_GROUP);
	text_put(d->group[0].vantage, sizeof(d->group[0].vantage), "AUTH");
	d->group[0].queries = 66;
	d->group[0].qps = 1.1;
	d->event[VIEW_FLOOD] = 2;
	d->event[VIEW_HIJACK] = 3;
	d->event[VIEW_ONSET_NS] = 4;
	d->points = 1;
	d->point[0] = (struct view_point){
	    .start_s = 1, .end_s = 61, .queries = 60, .p = 1, .rtt_us = {NAN, NAN, NAN}};
	return g;
}

#endif

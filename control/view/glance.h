/* SPDX-License-Identifier: BSD-3-Clause */
/* All that the live views show at one moment: the segment's counters, the last interval's
 * records, whether the probe is well. Taken inside the probe, by any thread.
 *
 * A glance is a plain copy: metrics.c and glance_json.c turn it into text without a lock. */
#ifndef CONTROL_VIEW_GLANCE_H
#define CONTROL_VIEW_GLANCE_H

#include "counts.h"
#include "view.h"
#include "watch.h"

#include <stdbool.h>
#include <stdint.h>

struct glance {
	struct counts counts;
	struct view_data data;
	const char *version, *source; /* borrowed, constant */
	uint32_t interval_s;
	uint64_t now_us;     /* since 1970 */
	double ticks_per_ns; /* of the workers' stage clock; 0: not known yet */
	bool alive, ready;
	char why[160];
	uint64_t resident_bytes;
	double cpu_s;
};

/* Where it comes from; constant after start. */
struct glancer {
	const struct segment *segment;
	struct view *view;
	struct watch *watch;
	const char *version, *source;
	uint32_t interval_s;
	uint64_t begin_us, begin_ticks; /* glancer_init */
};

/* Begins to measure the stage clock. */
void glancer_init(struct glancer *g);
/* On the heap, it is large; the caller frees it. NULL + errno. */
struct glance *glance_take(const struct glancer *g);

/* Cost of a stage in ns per packet, of one worker; NaN where nothing was timed yet. */
double glance_stage_ns(const struct counts_worker *w, unsigned stage, double ticks_per_ns);

/* As JSON; history: with the points of the charts. NULL: no memory. */
json_t *glance_json(const struct glance *g, bool history);

#endif

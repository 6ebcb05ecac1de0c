/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample_auto.h"

#include <fluxtap/rec_tables.h>

#define RING_HIGH 0.5
#define RING_LOW 0.125
#define BUSY_HIGH 0.95
#define BUSY_LOW 0.6
#define BUSY_TICKS 3u   /* so long without rest before it counts */
#define RAISE_TICKS 2u  /* between two steps up: the tables' records need a moment */
#define CALM_TICKS 100u /* before a step down: 10 s */
#define CALM_TICKS_CAP 3200u
#define FAILED_TICKS 300u /* a step up within them takes the step down back */

enum pressure { CALM, EVEN, HIGH };

/* Between the two thresholds nothing happens. */
static enum pressure pressure_of(struct sample_auto *a, const struct sample_auto_worker *worker,
				 size_t n)
{
	enum pressure p = CALM;
	int busy = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sample_auto_worker *w = &worker[i];
		if (w->dropped != 0 || w->ring_fill >= RING_HIGH)
			p = HIGH;
		else if (p == CALM && (w->ring_fill > RING_LOW || w->busy > BUSY_LOW))
			p = EVEN;
		busy |= w->busy >= BUSY_HIGH;
	}
	a->busy_ticks = busy ? a->busy_ticks + 1 : 0;
	return a->busy_ticks >= BUSY_TICKS ? HIGH : p;
}

static void raise_level(struct sample_auto *a)
{
	if (a->since_raise < RAISE_TICKS || a->level == FT_SAMPLE_LEVEL_MAX)
		return;
	a->level++;
	a->since_raise = 0;
	if (a->since_lower < FAILED_TICKS && a->calm_needed < CALM_TICKS_CAP)
		a->calm_needed *= 2;
	a->since_lower = FAILED_TICKS;
}

uint32_t sample_auto_step(struct sample_auto *a, const struct sample_auto_worker *worker, size_t n)
{
	if (a->calm_needed == 0)
		*a = (struct sample_auto){.since_raise = RAISE_TICKS,
					  .since_lower = FAILED_TICKS,
					  .calm_needed = CALM_TICKS};
	const enum pressure p = pressure_of(a, worker, n);
	a->since_raise += a->since_raise < RAISE_TICKS;
	if (a->since_lower < FAILED_TICKS && ++a->since_lower == FAILED_TICKS)
		a->calm_needed = CALM_TICKS; /* the step down has held */
	a->calm_ticks = p == CALM ? a->calm_ticks + 1 : 0;
	if (p == HIGH)
		raise_level(a);
	if (a->calm_ticks >= a->calm_needed && a->level != 0) {
		a->level--;
		a->calm_ticks = 0;
		a->since_lower = 0;
	}
	return a->level;
}

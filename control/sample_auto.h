/* SPDX-License-Identifier: BSD-3-Clause */
/* --sample auto: which level of sampling keeps the workers ahead of their input.
 *
 * Raised by one step as soon as something is or is about to be lost, not more often than
 * the last step needs to show; lowered by one step after a long calm. A step down that
 * had to be taken back makes the next calm twice as long, up to a bound. Called once a
 * tick of 0.1 s by control; a pure function of state and input, without clock or log. */
#ifndef CONTROL_SAMPLE_AUTO_H
#define CONTROL_SAMPLE_AUTO_H

#include <stddef.h>
#include <stdint.h>

/* What one worker did in the tick. */
struct sample_auto_worker {
	double ring_fill; /* share of its ring that is in use, 0 to 1 */
	double busy;      /* share of its turns that found packets, 0 to 1 */
	uint64_t dropped; /* packets its source lost, and records its ring had no room for */
};

/* Zeros at first. */
struct sample_auto {
	uint32_t level;       /* s: p = 2^-s, for all workers */
	uint32_t busy_ticks;  /* one after the other, of a worker without rest */
	uint32_t calm_ticks;  /* one after the other */
	uint32_t since_raise; /* ticks since the last step up */
	uint32_t since_lower; /* ticks since the last step down, while it may yet fail */
	uint32_t calm_needed; /* 0: not yet known */
};

/* Returns the level from now on. */
uint32_t sample_auto_step(struct sample_auto *a, const struct sample_auto_worker *worker, size_t n);

#endif

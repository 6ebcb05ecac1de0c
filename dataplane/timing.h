/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a worker's loop: TSC ticks by stage, and how long turns take.
 *
 * Filled by the worker: in every turn where its settings ask for it (bench), else in one of
 * TIMING_EVERY. Read after its end; ticks and packets are published, too. */
#ifndef DATAPLANE_TIMING_H
#define DATAPLANE_TIMING_H

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#else
#include <time.h>
#endif

/* The cheapest steady clock there is, in ticks of its own. */
static inline uint64_t timing_now(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#else
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

enum worker_stage {
	STAGE_RECEIVE,
	STAGE_DECODE,
	STAGE_PARSE,
	STAGE_MATCH,
	STAGE_PAIR,
	STAGE_TABLES,
	STAGE_RRSETS,
	STAGE_ERRORS,
	STAGE_TALLY,
	STAGE_SEAL,
	STAGE_CAP
};

#define TIMING_TURN_BINS 256u
#define TIMING_EVERY 1024u /* power of two; turns with packets */

struct worker_timing {
	uint64_t ticks[STAGE_CAP];
	uint64_t turns[TIMING_TURN_BINS]; /* loop turns, 8 bins to an octave of ticks */
	uint64_t turn_max, seal_max;
	uint64_t packets; /* of the turns that were timed */
};

static inline void timing_turn(struct worker_timing *t, uint64_t ticks)
{
	const unsigned top = ticks < 8 ? 3 : 63u - (unsigned)__builtin_clzll(ticks);
	const unsigned bin = (top - 3) * 8 + (unsigned)(ticks >> (top - 3) & 7);

	t->turns[bin < TIMING_TURN_BINS ? bin : TIMING_TURN_BINS - 1]++;
	if (ticks > t->turn_max)
		t->turn_max = ticks;
}

/* Upper bound in ticks of a bin of `turns`. */
static inline double timing_turn_ticks(unsigned bin)
{
	return (double)((8ull + bin % 8 + 1) << bin / 8);
}

#endif

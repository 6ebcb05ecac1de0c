/* SPDX-License-Identifier: BSD-3-Clause */
/* Is a count far above what its own past lets expect?
 *
 * A table of keys, each with the moving mean of its counts by interval (half-life one
 * hour), times the hour of the week's factor once two weeks of all keys are known. A count
 * of at least SPIKE_FLOOR is a spike where a Poisson tail, spread by the dispersion that
 * was seen, gives it less than one chance in a million; a drift is found by a one-sided
 * cumulative sum. Within the first hour nothing is. Control's thread; bounded memory. */
#ifndef CONTROL_STATS_SPIKE_H
#define CONTROL_STATS_SPIKE_H

#include "state.h"

#include <stdbool.h>

#define SPIKE_FLOOR 10u
#define SPIKE_CHANCE 1e-6
#define SPIKE_HALF_LIFE_S 3600.0
#define SPIKE_REMEMBER 2u /* who never had so many is not kept: a mean of 1 needs the floor, too   \
			   */
#define SPIKE_KEYS 131072u

struct spikes;

enum spike_kind { SPIKE_NONE, SPIKE_SUDDEN, SPIKE_DRIFT };

struct spike {
	enum spike_kind kind;
	double expected;   /* in this interval */
	double dispersion; /* variance over mean, at least 1 */
};

/* interval_s: of the counts. keys: budget; a set of eight that is full gives up the key
 * with the least mean. NULL + errno. */
struct spikes *spikes_create(uint32_t interval_s, size_t keys);
/* Accepts NULL. */
void spikes_destroy(struct spikes *s);

/* Looks at the count of a key (a hash, not 0) in an interval that begins at start_s, and
 * learns it. Once for each key and interval; a key that is not looked at had none.
 * Intervals must not go back. */
struct spike spikes_step(struct spikes *s, uint64_t key, uint64_t start_s, uint64_t count);

/* What is known, for a snapshot; and back, into a table that has seen nothing. 0;
 * -EBADMSG for what cannot be, -EINVAL for another interval, or what `read` returned: the
 * table is empty then. */
int spikes_save(const struct spikes *s, state_write_fn *write, void *ctx);
int spikes_load(struct spikes *s, state_read_fn *read, void *ctx);

/* The chance that a Poisson variable of mean mu is x or more; also of real x > 0. */
double spike_tail(double x, double mu);

#endif

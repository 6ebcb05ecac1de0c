/* SPDX-License-Identifier: BSD-3-Clause */
/* Event time: which interval ("row") a packet belongs to, and which rows are closed.
 *
 * The clock is the greatest packet time of the whole source so far; it never
 * goes back. A row closes when the clock is FT_LAG_US past its end, so that
 * pairing and defragmentation, which both wait FT_WAIT_US at most, have settled.
 * What arrives for a closed row is late: it is counted at the clock instead.
 * Pure arithmetic, no state outside struct evclock, used by workers only. */
#ifndef DATAPLANE_CLOCK_H
#define DATAPLANE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define LAG_US 6000000u

struct evclock {
	uint64_t now_us;
	uint64_t interval_us;
	uint64_t row_lo_us, row_hi_us, row; /* the row asked for last: [lo, hi) */
};

static inline uint64_t clock_row(struct evclock *c, uint64_t t_us)
{
	if (t_us < c->row_lo_us || t_us >= c->row_hi_us) {
		c->row = t_us / c->interval_us;
		c->row_lo_us = c->row * c->interval_us;
		c->row_hi_us = c->row_lo_us + c->interval_us;
	}
	return c->row;
}

/* True once nothing may be added to the row any more. */
static inline bool clock_row_closed(const struct evclock *c, uint64_t row)
{
	return (row + 1) * c->interval_us + LAG_US <= c->now_us;
}

/* The time at which a packet of time ts_us counts: its own, or the clock's when it is late. */
static inline uint64_t clock_effective(struct evclock *c, uint64_t ts_us)
{
	if (ts_us + LAG_US > c->now_us) /* not even an interval of no length has closed */
		return ts_us;
	return clock_row_closed(c, clock_row(c, ts_us)) ? c->now_us : ts_us;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks of live frames: the host's, and that of a network device.
 *
 * Called by the thread that polls the source, which owns them; the counts may be
 * read by any thread. Never waits. */
#ifndef DATAPLANE_RX_CLOCK_H
#define DATAPLANE_RX_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* CLOCK_REALTIME less CLOCK_MONOTONIC. The two are steered alike and differ by a
 * constant, unless someone steps the clock: forward is followed at once, backward
 * by going slower, so that packet times never go back. Written by the worker. */
struct rx_wall {
	int64_t offset_ns;      /* as in use */
	int64_t target_ns;      /* as measured */
	uint64_t measured_ns;   /* CLOCK_MONOTONIC of the last look */
	_Atomic uint64_t steps; /* of the clock; any thread may read */
};

static inline uint64_t rx_wall_read(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t); /* cannot fail for these clocks; vDSO */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Looks at both clocks. */
void rx_wall_measure(struct rx_wall *w);

/* UTC in us of a monotonic time; looks at the clocks once a millisecond at most. */
static inline uint64_t rx_wall_us(struct rx_wall *w, uint64_t mono_ns)
{
	if (mono_ns - w->measured_ns > 1000000u && mono_ns > w->measured_ns)
		rx_wall_measure(w);
	return (mono_ns + (uint64_t)w->offset_ns) / 1000u;
}

/* A device's clock may stand anywhere (UTC, TAI, time since power-on) and drift. No
 * frame is picked up before it came, so the least difference between pick-up and
 * stamp, lately, is that of the two clocks and of the shortest way to the worker.
 * What a stamp then tells is how much longer than that its frame has waited. */
struct rx_device_clock {
	int64_t least_ns[2]; /* of this window and the one before */
	uint64_t window_ns;  /* CLOCK_MONOTONIC at its end */
	uint32_t odd_run;    /* stamps in a row that were not believed */
	bool set;
	_Atomic uint64_t believed, odd; /* stamps; any thread may read */
};

#define RX_DEVICE_ODD_NS 1000000000 /* a stamp that is further off is not believed */
#define RX_DEVICE_ODD_RUN 256u      /* so many of them in a row: the clock was set */

/* CLOCK_MONOTONIC, at most now_ns, of a device's stamp that is read at now_ns; 0
 * where it is not believed. */
uint64_t rx_device_mono(struct rx_device_clock *c, uint64_t stamp_ns, uint64_t now_ns);

/* The same without learning from it, to compare frames that wait. */
static inline uint64_t rx_device_peek(const struct rx_device_clock *c, uint64_t stamp_ns)
{
	const int64_t least = c->least_ns[0] < c->least_ns[1] ? c->least_ns[0] : c->least_ns[1];

	return stamp_ns + (uint64_t)least;
}

#endif

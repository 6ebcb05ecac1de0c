/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_clock.h"

/* Short, so that a drift of 50 ppm is 25 us at most before it is seen. */
#define WINDOW_NS 250000000u

void rx_wall_measure(struct rx_wall *w)
{
	const uint64_t before = rx_wall_read(CLOCK_MONOTONIC);
	const uint64_t real = rx_wall_read(CLOCK_REALTIME);
	const uint64_t after = rx_wall_read(CLOCK_MONOTONIC);
	const int64_t noise_ns = 10000; /* of the measurement; a smaller step is none */
	const int64_t seen = (int64_t)(real - (before + (after - before) / 2));
	const int64_t elapsed = (int64_t)(after - w->measured_ns);

	if (w->measured_ns == 0) {
		w->offset_ns = w->target_ns = seen;
		w->measured_ns = after;
		return;
	}
	w->measured_ns = after;
	if (after - before < (uint64_t)noise_ns &&
	    (seen - w->target_ns > noise_ns || w->target_ns - seen > noise_ns)) {
		w->target_ns = seen;
		atomic_store_explicit(&w->steps,
				      atomic_load_explicit(&w->steps, memory_order_relaxed) + 1,
				      memory_order_relaxed);
	}
	if (w->target_ns >= w->offset_ns)
		w->offset_ns = w->target_ns;
	else if (w->offset_ns - w->target_ns > elapsed / 100)
		w->offset_ns -= elapsed / 100; /* 1 % slower until it has caught up */
	else
		w->offset_ns = w->target_ns;
}

static void count(_Atomic uint64_t *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void window_turn(struct rx_device_clock *c, int64_t delta_ns, uint64_t now_ns)
{
	/* After a pause what was learned before it is stale. */
	c->least_ns[1] = c->set && now_ns - c->window_ns < WINDOW_NS ? c->least_ns[0] : delta_ns;
	c->least_ns[0] = delta_ns;
	c->window_ns = now_ns + WINDOW_NS;
	c->set = true;
}

uint64_t rx_device_mono(struct rx_device_clock *c, uint64_t stamp_ns, uint64_t now_ns)
{
	const int64_t delta_ns = (int64_t)(now_ns - stamp_ns);
	int64_t wait_ns;

	if (c->set) {
		wait_ns = (int64_t)(now_ns - rx_device_peek(c, stamp_ns));
		if (wait_ns > RX_DEVICE_ODD_NS || wait_ns < -RX_DEVICE_ODD_NS) {
			count(&c->odd);
			if (++c->odd_run >= RX_DEVICE_ODD_RUN) {
				c->set = false;
				c->odd_run = 0;
			}
			return 0;
		}
	}
	c->odd_run = 0;
	count(&c->believed);
	if (!c->set || now_ns >= c->window_ns)
		window_turn(c, delta_ns, now_ns);
	else if (delta_ns < c->least_ns[0])
		c->least_ns[0] = delta_ns;
	return rx_device_peek(c, stamp_ns);
}

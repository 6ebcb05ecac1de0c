/* SPDX-License-Identifier: BSD-3-Clause */
/* Between pin_plan.c and its parts: a plan in the making. */
#ifndef CONTROL_PIN_PIN_PLAN_MAKE_H
#define CONTROL_PIN_PIN_PLAN_MAKE_H

#include "pin_drivers.h"
#include "pin_plan.h"

struct pin_making {
	const struct pin_facts *f;
	const struct pin_driver *driver;
	struct pin_plan *plan;
	struct pin_cpus workers;
	bool failed; /* out of memory; nothing more is added */
};

/* A new change; never NULL: without memory it is one that nobody sees. */
struct pin_change *pin_plan_add(struct pin_making *m, enum pin_part part, const char *why);
void pin_plan_note(struct pin_making *m, bool warning, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The parts, in the order of the plan. */
void pin_plan_nic(struct pin_making *m);  /* queues, ring, coalescing, offloads */
void pin_plan_rss(struct pin_making *m);  /* hash, key, table */
void pin_plan_cpus(struct pin_making *m); /* RPS, IRQs, governors */
void pin_plan_warn(struct pin_making *m); /* what is not ours to change */
int pin_plan_control(const struct pin_making *m);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What should be changed on a machine so that each worker has a queue of its own, and why.
 *
 * A pure function of facts and cores: it reads nothing and changes nothing. What is right
 * already is no change. The plan owns its lists until pin_plan_fini. */
#ifndef CONTROL_PIN_PIN_PLAN_H
#define CONTROL_PIN_PIN_PLAN_H

#include "pin.h"

struct pin_change {
	enum pin_part part;
	bool tentative; /* nobody knows whether this driver can: left out where it refuses */
	char what[192], command[512];
	const char *why;

	/* What pin_apply.c does; which of these count depends on the part. */
	char name[PIN_NAME_CAP];  /* feature; IRQ, "" for the queue's */
	uint32_t index;           /* flow; queue of an IRQ */
	uint32_t value;           /* queues, entries, microseconds, hash bits, CPU;
				   * PIN_RSS: queues in the table, 0 leaves it */
	bool on;                  /* feature; PIN_RSS: with the plan's key */
	char path[160], text[16]; /* PIN_FILE */
};

struct pin_note {
	bool warning;
	char text[480];
};

struct pin_plan {
	struct pin_cores cores; /* one worker each */
	int control;            /* CPU for control, -1: none is left */
	uint32_t queues;        /* that receive, afterwards */
	uint8_t key[PIN_KEY_CAP];
	bool rss; /* --xdp IFACE,rss is right afterwards */
	struct pin_change *change;
	size_t changes;
	struct pin_note *note;
	size_t notes;
	char run[256]; /* how to start the probe */
};

/* Plans for a worker on each of the cores; without any, for one on the last CPU of the
 * device's NUMA node. 0, or -errno and a sentence. */
int pin_plan_make(const struct pin_facts *f, const struct pin_cores *cores, struct pin_plan *out,
		  char *err, size_t cap);
void pin_plan_fini(struct pin_plan *p);

#endif

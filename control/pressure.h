/* SPDX-License-Identifier: BSD-3-Clause */
/* How hard pressed the workers are, and the level of sampling that follows from it.
 *
 * Control's thread calls pressure_step in its loop; every 0.1 s it reads what the
 * workers publish and lets sample_auto_step decide. The level is one atomic that all
 * workers load once a batch. */
#ifndef CONTROL_PRESSURE_H
#define CONTROL_PRESSURE_H

#include "segment.h"

#include <stdatomic.h>

struct pressure;

struct pressure_opts {
	const struct segment *segment;
	unsigned workers;
	/* Packets that worker i's source has lost so far. */
	uint64_t (*source_dropped)(void *ctx, unsigned worker);
	void *ctx;
	_Atomic uint32_t *level; /* stored relaxed */
};

/* NULL + errno. */
struct pressure *pressure_create(const struct pressure_opts *o);
void pressure_destroy(struct pressure *p);
void pressure_step(struct pressure *p);

#endif

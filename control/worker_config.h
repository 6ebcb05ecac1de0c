/* SPDX-License-Identifier: BSD-3-Clause */
/* What the configuration says of a worker: the same for `run` and `bench`. */
#ifndef CONTROL_WORKER_CONFIG_H
#define CONTROL_WORKER_CONFIG_H

#include "../dataplane/worker.h"
#include "config.h"
#include "segment.h"

/* Settings of worker i: its place in the segment, times, seeds of sketches and sample, and
 * table sizes. Source, rules, ports, vantage and keys are the caller's to fill in. `live`:
 * packets come as they please. */
struct worker_settings worker_config(const struct config *c, const struct segment *s, unsigned i,
				     bool live);

#endif

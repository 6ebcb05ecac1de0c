/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the probe lives and whether it is losing something, and what control publishes
 * of itself in the segment.
 *
 * Control's main thread calls watch_step in its loop; a few times a second it looks. Any
 * thread asks. Losing means: within the last WATCH_S seconds the source, a full ring or
 * the export has lost something, or the export fails now. */
#ifndef CONTROL_VIEW_WATCH_H
#define CONTROL_VIEW_WATCH_H

#include "../segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_S 10u
#define WATCH_TICK_US 500000u
#define WATCH_DEAD_S                                                                               \
	30u /* without a heartbeat: not alive; closing a large interval takes seconds */

struct watch;

/* What the export has to say. */
struct watch_export {
	uint64_t written, lost, failures; /* records, records, attempts; so far */
	bool failing;                     /* the last attempt failed */
};

struct watch_opts {
	const struct segment *segment;
	/* Packets that worker i's source has lost so far; called by watch_step. */
	uint64_t (*source_dropped)(void *ctx, unsigned worker);
	void *ctx;
	const _Atomic uint32_t *sample_level;
};

/* NULL + errno. */
struct watch *watch_create(const struct watch_opts *o);
void watch_destroy(struct watch *w);
/* True where it has looked. Accepts NULL. */
bool watch_step(struct watch *w, uint64_t mono_us, const struct watch_export *e);

/* At mono_us: lives; is losing nothing. Puts a sentence into why ("" if all is well). */
bool watch_alive(struct watch *w, uint64_t mono_us, char *why, size_t cap);
bool watch_ready(struct watch *w, uint64_t mono_us, char *why, size_t cap);

#endif

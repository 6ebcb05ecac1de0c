/* SPDX-License-Identifier: BSD-3-Clause */
/* New rules for running workers: loaded and compiled on a thread of its own, handed
 * out through seats (dataplane/seat.h), the old ones freed when all have moved on.
 *
 * Control's thread calls everything here and never waits: reload_step looks how far
 * it is. Bad files change nothing. No packet and no message is lost: each message is
 * matched by exactly one generation, the one its worker had at that turn. */
#ifndef CONTROL_RELOAD_H
#define CONTROL_RELOAD_H

#include "../dataplane/seat.h"
#include "rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reload;

/* How one load ended. */
struct reload_result {
	uint64_t ticket;
	const char *error;   /* with file and line; NULL: all workers use the new rules */
	uint64_t generation; /* in use now */
	size_t patterns, listed_names;
	uint64_t load_us, swap_us; /* reading and compiling; until the last worker had moved */
};
typedef void (*reload_fn)(void *ctx, const struct reload_result *result);

struct reload_opts {
	struct rules *rules; /* not owned */
	unsigned workers;
	reload_fn done; /* called by reload_step; may be NULL */
	void *ctx;
};

/* NULL + errno. */
struct reload *reload_create(const struct reload_opts *o);
/* When all workers have been joined; waits for a load that is under way. Accepts NULL. */
void reload_destroy(struct reload *r);

/* Loads the first rules and puts them into the seats, before any worker runs. 0, or -1
 * and a message with file and line. */
int reload_first(struct reload *r, char *err, size_t cap);
struct rules_seat *reload_seat(struct reload *r, unsigned worker);

/* Asks for a load that begins no sooner than now. Its ticket: that of the load that
 * answers it, which may be one that others have asked for as well. */
uint64_t reload_request(struct reload *r);
void reload_step(struct reload *r);

struct reload_state {
	uint64_t generation;     /* in use, or about to be */
	uint64_t loaded, failed; /* loads, the first one included */
	bool busy;
	size_t patterns, listed_names;
	const char *error; /* of the last load, "" where it was good */
};
struct reload_state reload_state_get(const struct reload *r);

#endif

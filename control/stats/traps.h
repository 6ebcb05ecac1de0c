/* SPDX-License-Identifier: BSD-3-Clause */
/* Domains that do not exist and that mail is looked for at, over thirty days.
 *
 * An entry counts its MX questions by day. It is a candidate where the last thirty days
 * have at least TRAP_COUNT of them, from TRAP_CLIENTS clients, on TRAP_DAYS days. Bounded:
 * once it is full, what was not asked for in thirty days makes room, else new ones are
 * counted as left out. Control's thread. */
#ifndef CONTROL_STATS_TRAPS_H
#define CONTROL_STATS_TRAPS_H

#include "../../dataplane/handful.h"
#include "state.h"

#define TRAP_COUNT 10u
#define TRAP_CLIENTS 3u
#define TRAP_DAYS 3u
#define TRAP_SPAN_DAYS 30u
#define TRAP_KEY_BYTES 17u
#define TRAPS_CAP 65536u

struct traps;

/* One domain's questions in one interval. */
struct trap_day {
	uint64_t day; /* since 1970; never goes back */
	uint64_t count, first_us, last_us;
	const struct handful *clients;
};

struct trap {
	uint64_t count; /* in thirty days */
	uint64_t clients, days;
	uint64_t first_us, last_us;
};

/* NULL + errno. */
struct traps *traps_create(size_t cap);
/* Accepts NULL. */
void traps_destroy(struct traps *t);

/* Adds to a domain (a key of TRAP_KEY_BYTES). True, and *out, where it is a candidate:
 * once for each day on which it is asked for. */
bool traps_step(struct traps *t, const uint8_t *key, const struct trap_day *d, struct trap *out);
/* Domains that found no room. */
uint64_t traps_left_out(const struct traps *t);

/* What is known, for a snapshot; and back, into a table that has seen nothing. 0;
 * -EBADMSG for what cannot be, or what `read` returned: the table is empty then. */
int traps_save(const struct traps *t, state_write_fn *write, void *ctx);
int traps_load(struct traps *t, state_read_fn *read, void *ctx);

#endif

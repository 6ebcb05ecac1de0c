/* SPDX-License-Identifier: BSD-3-Clause */
/* Where control hands a worker its rules, and the worker says which it has taken.
 *
 * One seat for each worker, in memory that no one else can reach: what is freed
 * depends on it. Control puts a slot into `next`; the worker takes it at the top of its
 * loop, uses nothing older from then on, and says so in `adopted`. A slot is freed when
 * its worker has adopted a later one. */
#ifndef DATAPLANE_SEAT_H
#define DATAPLANE_SEAT_H

#include "ruleset.h"

#include <stdatomic.h>

/* A generation of rules as one worker uses it; constant. */
struct rules_slot {
	const struct ruleset *rules;
	struct ruleset_scratch *scratch; /* this worker's alone */
	uint64_t generation;             /* rising, from 1 on */
};

#define SEAT_ENDED UINT64_MAX /* the worker uses no rules any more */

struct rules_seat {
	_Alignas(CACHE_LINE) _Atomic(const struct rules_slot *) next; /* control alone stores */
	_Alignas(CACHE_LINE) _Atomic uint64_t adopted;                /* the worker alone stores */
};

/* Worker's thread, at loop top: the slot to use from now on; `now` is the one in use,
 * NULL at first. */
static inline const struct rules_slot *seat_get(const struct rules_seat *s,
						const struct rules_slot *now)
{
	/* Pairs with the release in seat_put: the rules are whole. */
	const struct rules_slot *next = atomic_load_explicit(&s->next, memory_order_acquire);

	return next != NULL ? next : now;
}

/* Worker's thread, when it uses nothing but generation `g`, or SEAT_ENDED. */
static inline void seat_adopted(struct rules_seat *s, uint64_t g)
{
	/* Pairs with the acquire in seat_has_moved: whatever it did with older rules is done. */
	atomic_store_explicit(&s->adopted, g, memory_order_release);
}

/* Control's thread. */
static inline void seat_put(struct rules_seat *s, const struct rules_slot *slot)
{
	atomic_store_explicit(&s->next, slot, memory_order_release);
}

static inline bool seat_has_moved(const struct rules_seat *s, uint64_t g)
{
	return atomic_load_explicit(&s->adopted, memory_order_acquire) >= g;
}

#endif

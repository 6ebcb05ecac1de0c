/* SPDX-License-Identifier: BSD-3-Clause */
/* A fixed number of places, found by a 64-bit key and kept in order of their last use.
 *
 * Several may have one key. A place is in one of two lists, each from the one used least
 * recently on. Whoever wants a place when all are taken gives up the oldest first. Takes
 * its memory at creation; owned by one worker. */
#ifndef DATAPLANE_POOL_H
#define DATAPLANE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_NONE UINT32_MAX
#define POOL_LISTS 2u

struct pool_node {
	uint64_t key;
	uint32_t chain;        /* next with the same low bits; of the free ones */
	uint32_t newer, older; /* in its list */
	uint32_t list;
};

struct pool {
	struct pool_node *node;
	uint32_t *head;
	uint32_t cap, used, spare;
	uint32_t oldest[POOL_LISTS], newest[POOL_LISTS];
};

/* cap: a power of two. 0 or -ENOMEM. */
int pool_init(struct pool *p, uint32_t cap);
void pool_fini(struct pool *p);
/* The first with this key, and the next one; POOL_NONE. */
uint32_t pool_find(const struct pool *p, uint64_t key);
uint32_t pool_next(const struct pool *p, uint32_t i);
/* A place for this key, the newest of list 0; one must be free. */
uint32_t pool_make(struct pool *p, uint64_t key);
/* Makes it the newest of that list. */
void pool_touch(struct pool *p, uint32_t i, uint32_t list);
void pool_drop(struct pool *p, uint32_t i);
/* POOL_NONE: the list is empty. */
static inline uint32_t pool_oldest(const struct pool *p, uint32_t list)
{
	return p->oldest[list];
}
static inline bool pool_is_full(const struct pool *p)
{
	return p->spare == POOL_NONE;
}

#endif

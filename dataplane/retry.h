/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions asked again while an earlier query for the same is unanswered, and responses
 * that come after their query's time was up. For pair.c alone.
 *
 * A node for each waiting query, numbered like pair's slots, in a hash table by group
 * (client, name and type), and a ring of nodes for those whose time is up: they are
 * remembered for FT_SERVER_RETRY_US, and less where more than the ring holds time out
 * meanwhile. One worker's own; all memory is taken at creation. */
#ifndef DATAPLANE_RETRY_H
#define DATAPLANE_RETRY_H

#include "batch.h"
#include "fetch.h"
#include "flow.h"

#include <fluxtap/rec_server.h>

#define RETRY_NONE UINT32_MAX
#define RETRY_LOOK 16u /* nodes of a chain; who comes to a full one is not remembered */
#define RETRY_LATE_WAYS 4u
#define RETRY_LATE_US 5000000u /* so long a response is still one, but late */

/* What an earlier query of the group was, for the one that came behind it. */
struct retry_left {
	struct addr server;
	uint64_t delay_us; /* from the first of them */
	uint8_t vantage;
};

struct retry_node {
	_Alignas(CACHE_LINE) uint64_t group;
	uint64_t t_us, first_us;
	uint32_t next; /* of the chain */
	uint8_t linked, vantage;
	struct addr server;
};
static_assert(sizeof(struct retry_node) == CACHE_LINE, "one line a query");

/* A query whose time was up, by what its response would say. */
struct retry_late {
	uint64_t key, end_us; /* end_us: no response is taken for it then; 0: free */
};

struct retry {
	uint32_t entries, heads_mask, ring, ring_at;
	uint32_t *heads;         /* node + 1; 0: none */
	struct retry_node *node; /* [entries + ring] */
	struct retry_left *left; /* [entries], of those that are retries */
	struct retry_late *late; /* sets of RETRY_LATE_WAYS */
	uint32_t late_mask;
};

/* entries: pair's slots; joins: look for questions asked again. NULL + errno. */
struct retry *retry_create(size_t entries, bool joins);
/* Accepts NULL. */
void retry_destroy(struct retry *r);

/* For a query that meets a chain, or is not at its begin: see retry_put and retry_del. */
bool retry_find(struct retry *r, uint32_t s);
void retry_unlink(struct retry *r, uint32_t i);

/* Query `s` of the group at t_us; true where it is a retry: r->left[s] says of what. */
static inline bool retry_put(struct retry *r, uint32_t s, uint64_t group, uint64_t t_us,
			     const struct addr *server, uint8_t vantage)
{
	struct retry_node *n = &r->node[s];
	uint32_t *head = &r->heads[group & r->heads_mask];

	n->group = group;
	n->t_us = n->first_us = t_us;
	n->next = *head - 1;
	n->linked = true;
	n->vantage = vantage;
	n->server = *server;
	*head = s + 1;
	return n->next != RETRY_NONE && retry_find(r, s);
}

/* It was answered. */
static inline void retry_del(struct retry *r, uint32_t s)
{
	const struct retry_node *n = &r->node[s];
	uint32_t *head = &r->heads[n->group & r->heads_mask];

	if (*head == s + 1) /* nearly always */
		*head = n->next + 1;
	else if (n->linked)
		retry_unlink(r, s);
}
/* Its time is up: it goes into the ring. */
void retry_expire(struct retry *r, uint32_t s);

/* Remembers that a query's time was up, until end_us; and whether one's was that this
 * response is for, which is forgotten with it. */
void retry_late_put(struct retry *r, uint64_t key, uint64_t end_us);
bool retry_late_take(struct retry *r, uint64_t key, uint64_t now_us);

#endif

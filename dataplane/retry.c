/* SPDX-License-Identifier: BSD-3-Clause */
#include "retry.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>

#define HEADS (1u << 15) /* 128 KB: they stay in the L2 cache */
#define RING (1u << 16)  /* 4 MB: 2,000 time-outs a second are remembered in full */
#define LATES (1u << 16) /* 1 MB: 13,000 a second */

struct retry *retry_create(size_t entries, bool joins)
{
	struct retry *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->entries = (uint32_t)entries;
	r->ring = RING;
	r->heads_mask = HEADS - 1;
	r->late_mask = LATES / RETRY_LATE_WAYS - 1;
	r->late = mem_map(LATES * sizeof(*r->late));
	if (joins) {
		r->heads = mem_map(HEADS * sizeof(*r->heads));
		r->node = mem_map((entries + RING) * sizeof(*r->node));
		r->left = mem_map(entries * sizeof(*r->left));
	}
	if (r->late == NULL ||
	    (joins && (r->heads == NULL || r->node == NULL || r->left == NULL))) {
		retry_destroy(r);
		errno = ENOMEM;
		return NULL;
	}
	return r;
}

void retry_destroy(struct retry *r)
{
	if (r == NULL)
		return;
	mem_unmap(r->late, LATES * sizeof(*r->late));
	if (r->heads != NULL)
		mem_unmap(r->heads, HEADS * sizeof(*r->heads));
	if (r->node != NULL)
		mem_unmap(r->node, (r->entries + (size_t)RING) * sizeof(*r->node));
	if (r->left != NULL)
		mem_unmap(r->left, r->entries * sizeof(*r->left));
	free(r);
}

void retry_unlink(struct retry *r, uint32_t i)
{
	const struct retry_node *n = &r->node[i];
	uint32_t *at = &r->heads[n->group & r->heads_mask];

	if (*at == i + 1) {
		*at = n->next + 1;
		return;
	}
	at = &r->node[*at - 1].next;
	while (*at != i)
		at = &r->node[*at].next;
	*at = n->next;
}

/* The latest query of the group before that one, of equal times the one with the greatest
 * server: as a join does that does not know in which order they came. */
bool retry_find(struct retry *r, uint32_t s)
{
	struct retry_node *n = &r->node[s];
	const struct retry_node *best = NULL;
	uint32_t i = n->next, *from = &n->next;
	unsigned look = 0;

	while (i != RETRY_NONE && look < RETRY_LOOK) {
		struct retry_node *b = &r->node[i];
		if (i >= r->entries && b->t_us + FT_SERVER_RETRY_US < n->t_us) {
			/* Nobody asks for it any more; it must not fill the chain. */
			b->linked = false;
			i = *from = b->next;
			continue;
		}
		from = &b->next;
		i = b->next;
		look++;
		if (b->group != n->group || b->t_us >= n->t_us ||
		    n->t_us - b->t_us > FT_SERVER_RETRY_US)
			continue;
		if (best == NULL || b->t_us > best->t_us ||
		    (b->t_us == best->t_us &&
		     memcmp(&b->server, &best->server, sizeof(b->server)) > 0))
			best = b;
	}
	if (i != RETRY_NONE) {
		r->heads[n->group & r->heads_mask] = n->next + 1;
		n->linked = false;
	}
	if (best == NULL)
		return false;
	n->first_us = best->first_us;
	r->left[s] = (struct retry_left){
	    .server = best->server, .delay_us = n->t_us - best->first_us, .vantage = best->vantage};
	return true;
}

void retry_expire(struct retry *r, uint32_t s)
{
	const uint32_t i = r->entries + r->ring_at;
	struct retry_node *n = &r->node[i];

	if (!r->node[s].linked)
		return;
	retry_unlink(r, s);
	if (n->linked) /* the oldest there is */
		retry_unlink(r, i);
	r->ring_at = (r->ring_at + 1) % r->ring;
	*n = r->node[s];
	uint32_t *head = &r->heads[n->group & r->heads_mask];
	n->next = *head - 1;
	*head = i + 1;
}

void retry_late_put(struct retry *r, uint64_t key, uint64_t end_us)
{
	struct retry_late *set = &r->late[(key & r->late_mask) * RETRY_LATE_WAYS], *oldest = set;

	for (unsigned i = 1; i < RETRY_LATE_WAYS; i++)
		if (set[i].end_us < oldest->end_us)
			oldest = &set[i];
	*oldest = (struct retry_late){.key = key, .end_us = end_us};
}

bool retry_late_take(struct retry *r, uint64_t key, uint64_t now_us)
{
	struct retry_late *set = &r->late[(key & r->late_mask) * RETRY_LATE_WAYS];

	for (unsigned i = 0; i < RETRY_LATE_WAYS; i++) {
		if (set[i].key != key || set[i].end_us < now_us)
			continue;
		set[i].end_us = 0;
		return true;
	}
	return false;
}

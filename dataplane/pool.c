/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool.h"

#include "mem.h"

#include <assert.h>
#include <errno.h>

int pool_init(struct pool *p, uint32_t cap)
{
	assert(cap != 0 && (cap & (cap - 1)) == 0);
	*p = (struct pool){.cap = cap};
	p->node = mem_map(cap * sizeof(*p->node));
	p->head = mem_map(cap * sizeof(*p->head));
	if (p->node == NULL || p->head == NULL) {
		pool_fini(p);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cap; i++) {
		p->head[i] = POOL_NONE;
		p->node[i].chain = i + 1 < cap ? i + 1 : POOL_NONE;
	}
	for (unsigned l = 0; l < POOL_LISTS; l++)
		p->oldest[l] = p->newest[l] = POOL_NONE;
	return 0;
}

void pool_fini(struct pool *p)
{
	mem_unmap(p->node, p->cap * sizeof(*p->node));
	mem_unmap(p->head, p->cap * sizeof(*p->head));
	*p = (struct pool){0};
}

static uint32_t *place_of(const struct pool *p, uint64_t key)
{
	return &p->head[key >> 32 & (p->cap - 1)];
}

static uint32_t find_from(const struct pool *p, uint32_t i, uint64_t key)
{
	while (i != POOL_NONE && p->node[i].key != key)
		i = p->node[i].chain;
	return i;
}

uint32_t pool_find(const struct pool *p, uint64_t key)
{
	return find_from(p, *place_of(p, key), key);
}

uint32_t pool_next(const struct pool *p, uint32_t i)
{
	return find_from(p, p->node[i].chain, p->node[i].key);
}

static void list_leave(struct pool *p, uint32_t i)
{
	const struct pool_node *n = &p->node[i];

	if (n->older != POOL_NONE)
		p->node[n->older].newer = n->newer;
	else
		p->oldest[n->list] = n->newer;
	if (n->newer != POOL_NONE)
		p->node[n->newer].older = n->older;
	else
		p->newest[n->list] = n->older;
}

static void list_enter(struct pool *p, uint32_t i, uint32_t list)
{
	struct pool_node *n = &p->node[i];

	n->list = list;
	n->newer = POOL_NONE;
	n->older = p->newest[list];
	if (n->older != POOL_NONE)
		p->node[n->older].newer = i;
	else
		p->oldest[list] = i;
	p->newest[list] = i;
}

uint32_t pool_make(struct pool *p, uint64_t key)
{
	const uint32_t i = p->spare;
	uint32_t *head = place_of(p, key);

	assert(i != POOL_NONE);
	p->spare = p->node[i].chain;
	p->used++;
	p->node[i].key = key;
	p->node[i].chain = *head;
	*head = i;
	list_enter(p, i, 0);
	return i;
}

void pool_touch(struct pool *p, uint32_t i, uint32_t list)
{
	if (p->newest[list] == i)
		return;
	list_leave(p, i);
	list_enter(p, i, list);
}

void pool_drop(struct pool *p, uint32_t i)
{
	uint32_t *at = place_of(p, p->node[i].key);

	while (*at != i)
		at = &p->node[*at].chain;
	*at = p->node[i].chain;
	list_leave(p, i);
	p->node[i].chain = p->spare;
	p->spare = i;
	p->used--;
}

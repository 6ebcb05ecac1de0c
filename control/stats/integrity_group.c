/* SPDX-License-Identifier: BSD-3-Clause */
#include "integrity_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VIEWS_CAP 1024u

static bool find(const struct integrity_views *s, uint64_t hash, uint32_t *at)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		const uint32_t mid = (lo + hi) / 2;
		if (s->v[mid] < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return lo < s->n && s->v[lo] == hash;
}

bool views_has(const struct integrity_views *s, uint64_t hash)
{
	uint32_t at;

	return find(s, hash, &at);
}

static int views_add(struct integrity_views *s, uint64_t hash)
{
	uint32_t at;

	if (find(s, hash, &at) || s->n == VIEWS_CAP)
		return 0;
	if (s->n == s->room) {
		const uint32_t room = s->room != 0 ? 2 * s->room : 4;
		uint64_t *v = realloc(s->v, room * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		s->v = v;
		s->room = room;
	}
	memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof(*s->v));
	s->v[at] = hash;
	s->n++;
	return 0;
}

static int views_merge(struct integrity_views *to, const struct integrity_views *from)
{
	int result = 0;

	for (uint32_t i = 0; i < from->n && result == 0; i++)
		result = views_add(to, from->v[i]);
	return result;
}

static void views_fini(struct integrity_views *s)
{
	free(s->v);
	*s = (struct integrity_views){0};
}

static uint64_t pair_of(const struct integrity_event *x)
{
	return (x->client ^ (x->server << 29 | x->server >> 35)) * 0x9e3779b97f4a7c15ull;
}

bool group_has_pair(const struct integrity_group *g, const struct integrity_event *x)
{
	return views_has(&g->pairs, pair_of(x));
}

int group_add(struct integrity_group *g, const struct integrity_event *x)
{
	int result = views_add(&g->servers, x->server);

	if (x->cached)
		return result;
	g->seen += x->count;
	if (result == 0)
		result = views_add(&g->clients, x->client);
	return result == 0 ? views_add(&g->pairs, pair_of(x)) : result;
}

int group_merge(struct integrity_group *to, const struct integrity_group *from)
{
	int result = views_merge(&to->pairs, &from->pairs);

	to->seen += from->seen;
	if (result == 0)
		result = views_merge(&to->clients, &from->clients);
	return result == 0 ? views_merge(&to->servers, &from->servers) : result;
}

void group_fini(struct integrity_group *g)
{
	views_fini(&g->pairs);
	views_fini(&g->clients);
	views_fini(&g->servers);
	g->seen = 0;
}

bool group_confirms(const struct integrity_group *g, uint64_t least, bool own)
{
	return g->seen >= least && (own || (g->seen >= 2 && g->pairs.n >= 2));
}

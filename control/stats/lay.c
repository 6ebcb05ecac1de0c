/* SPDX-License-Identifier: BSD-3-Clause */
#include "lay.h"

#include <stdlib.h>

#define ROUNDING_S 1u /* TTLs are whole seconds */

/* When a cache that gave it in a second forgets it, at the soonest. */
static uint32_t expiry_at(const struct lay_set *s, uint32_t second)
{
	const uint32_t least = second + s->ttl_min;

	return least > s->expiry ? least : s->expiry;
}

static void step(struct lay *l, const struct lay_set *s, uint32_t second)
{
	const uint32_t expiry = expiry_at(s, second);

	if (l->by_origin && s->key != l->last && expiry + ROUNDING_S < l->expiry)
		return; /* stale */
	if (expiry > l->expiry)
		l->expiry = expiry;
	if (s->key == l->last)
		return;
	if (l->last != 0) {
		if (++l->transitions == LAY_FLUX)
			l->reached = second;
		if (l->changed != NULL)
			l->changed(l->ctx, second);
	}
	l->last = s->key;
}

static int by_rank(const void *left, const void *right)
{
	const struct lay_set *a = left, *b = right;

	return (a->rank > b->rank) - (a->rank < b->rank);
}

static int by_expiry(const void *left, const void *right)
{
	const struct lay_set *a = left, *b = right;

	return a->expiry != b->expiry ? (a->expiry > b->expiry ? 1 : -1) : by_rank(a, b);
}

static void lay_second(struct lay *l, const struct lay_set *set, size_t n, uint64_t bit,
		       uint32_t second)
{
	const uint64_t before = l->last;

	for (size_t i = 0; i < n && before != 0; i++)
		if (set[i].key == before && (set[i].seconds & bit) != 0)
			step(l, &set[i], second);
	for (size_t i = 0; i < n; i++)
		if (set[i].key != before && (set[i].seconds & bit) != 0)
			step(l, &set[i], second);
}

void lay_minute(struct lay *l, struct lay_set *set, size_t n, uint32_t at)
{
	uint64_t all = 0;

	if (n == 1) {
		for (all = set->seconds; all != 0; all &= all - 1) {
			step(l, set, at + (uint32_t)__builtin_ctzll(all));
			if (set->key == l->last)
				break;
		}
		step(l, set, at + 63 - (uint32_t)__builtin_clzll(set->seconds));
		return;
	}
	for (size_t i = 0; i < n; i++)
		all |= set[i].seconds;
	if (n > 1)
		qsort(set, n, sizeof(*set), l->by_origin ? by_expiry : by_rank);
	for (; all != 0; all &= all - 1)
		lay_second(l, set, n, all & -all, at + (uint32_t)__builtin_ctzll(all));
}

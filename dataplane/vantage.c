/* SPDX-License-Identifier: BSD-3-Clause */
#include "vantage.h"

#include <errno.h>
#include <stdlib.h>

static int compare_ranges(const void *a, const void *b)
{
	return memcmp(&((const struct addr_range *)a)->lo, &((const struct addr_range *)b)->lo,
		      sizeof(struct addr));
}

static struct addr_range range_of(const struct addr *addr, unsigned bits)
{
	struct addr_range r = {*addr, *addr};

	for (unsigned i = 0; i < 16; i++) {
		const unsigned kept = bits <= i * 8 ? 0 : bits >= i * 8 + 8 ? 8 : bits - i * 8;
		const uint8_t mask = (uint8_t)(0xff00u >> kept);
		r.lo.b[i] &= mask;
		r.hi.b[i] |= (uint8_t)~mask;
	}
	return r;
}

int prefix_set_init(struct prefix_set *s, const struct addr *addr, const uint8_t *bits, size_t n)
{
	*s = (struct prefix_set){0};
	if (n == 0)
		return 0;
	s->range = calloc(n, sizeof(*s->range));
	if (s->range == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		s->range[i] = range_of(&addr[i], bits[i]);
	qsort(s->range, n, sizeof(*s->range), compare_ranges);
	for (size_t i = 0; i < n; i++) {
		struct addr_range *last = s->n != 0 ? &s->range[s->n - 1] : NULL;
		if (last == NULL || memcmp(&s->range[i].lo, &last->hi, sizeof(struct addr)) > 0)
			s->range[s->n++] = s->range[i];
		else if (memcmp(&s->range[i].hi, &last->hi, sizeof(struct addr)) > 0)
			last->hi = s->range[i].hi;
	}
	return 0;
}

void prefix_set_fini(struct prefix_set *s)
{
	free(s->range);
	*s = (struct prefix_set){0};
}

bool prefix_set_has(const struct prefix_set *s, const struct addr *a)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (memcmp(a, &s->range[mid].hi, sizeof(*a)) > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && memcmp(a, &s->range[lo].lo, sizeof(*a)) >= 0;
}

uint8_t vantage_of_addrs(const struct vantage_rules *r, const struct addr *client,
			 const struct addr *server)
{
	if (!r->configured)
		return FT_VANTAGE_CAP;
	if (prefix_set_has(&r->auth, server))
		return FT_VANTAGE_AUTH;
	if (prefix_set_has(&r->resolvers, server))
		return FT_VANTAGE_S2R;
	return prefix_set_has(&r->resolvers, client) ? FT_VANTAGE_R2A : FT_VANTAGE_X;
}

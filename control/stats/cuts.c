/* SPDX-License-Identifier: BSD-3-Clause */
#include "cuts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool takes(uint32_t level, uint64_t group)
{
	return level == 0 || group >> (64 - level) == 0;
}

static int make_room(void **v, size_t n, size_t *room, size_t bytes)
{
	const size_t more = *room != 0 ? 2 * *room : 256;

	if (n < *room)
		return 0;
	void *p = realloc(*v, more * bytes);
	if (p == NULL)
		return -ENOMEM;
	*v = p;
	*room = more;
	return 0;
}

int cuts_add(struct cuts *c, const struct ft_cut_rec *r)
{
	void *v = c->cut;

	if (c->n == CUTS_CAP) {
		c->lost++;
		return 0;
	}
	if (make_room(&v, c->n, &c->room, sizeof(*c->cut)) != 0)
		return -ENOMEM;
	c->cut = v;
	c->cut[c->n++] = *r;
	return 0;
}

static void thin(struct cuts *c)
{
	size_t n = 0;

	c->level++;
	for (size_t i = 0; i < c->asked_n; i++)
		if (takes(c->level, c->asked[i].group))
			c->asked[n++] = c->asked[i];
	c->asked_n = n;
}

int cuts_add_asked(struct cuts *c, const struct ft_asked_rec *r)
{
	void *v = c->asked;

	while (c->asked_n == ASKED_CAP && c->level < 32)
		thin(c);
	if (!takes(c->level, r->group) || c->asked_n == ASKED_CAP)
		return 0;
	if (make_room(&v, c->asked_n, &c->asked_room, sizeof(*c->asked)) != 0)
		return -ENOMEM;
	c->asked = v;
	c->asked[c->asked_n++] = *r;
	return 0;
}

static int order(const void *left, const void *right)
{
	const struct ft_cut_rec *a = left, *b = right;

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return (a->t_us > b->t_us) - (a->t_us < b->t_us);
}

/* The first of this group. */
static size_t lower(const struct cuts *c, uint64_t group)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (c->cut[mid].group < group)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Whoever asked another one did that before all that the worker knows of, or it is too late. */
static void take(struct cuts *c, const struct ft_asked_rec *q, uint32_t level)
{
	if (!takes(level, q->group))
		return;
	for (size_t i = lower(c, q->group); i < c->n && c->cut[i].group == q->group; i++) {
		struct ft_cut_rec *k = &c->cut[i];
		if (q->t_us <= k->t_us || q->t_us - k->t_us > FT_CUT_WAIT_US ||
		    (k->first_us != 0 && k->first_us <= q->t_us) ||
		    memcmp(q->server, k->server, sizeof(q->server)) == 0)
			continue;
		k->first_us = q->t_us;
		k->outcome = FT_CUT_OTHER_SERVER;
	}
}

void cuts_join(struct cuts *c, const struct cuts *const *of, size_t n, struct cuts_result *out)
{
	*out = (struct cuts_result){.level = 0};
	for (size_t i = 0; i < c->n; i++)
		if (c->cut[i].level > out->level)
			out->level = c->cut[i].level;
	for (size_t i = 0; i < n; i++)
		if (of[i]->level > out->level)
			out->level = of[i]->level;
	if (c->n != 0)
		qsort(c->cut, c->n, sizeof(*c->cut), order);
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < of[k]->asked_n; i++)
			take(c, &of[k]->asked[i], out->level);
	for (size_t i = 0; i < c->n; i++)
		out->outcome[c->cut[i].outcome]++;
}

void cuts_fini(struct cuts *c)
{
	free(c->cut);
	free(c->asked);
	*c = (struct cuts){.n = 0};
}

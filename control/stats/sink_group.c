/* SPDX-License-Identifier: BSD-3-Clause */
/* What the domains of a group say together: its line, when it switched, its rates; and
 * the signals of a domain, whoever has seen them. */
#include "../../dataplane/mini.h"
#include "sink_stat.h"
#include "tables.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- groups --- */

static int order_times(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static bool is_of_group(const struct sink_item *i, const struct sink_key *group)
{
	return i->key.rule == group->rule && i->key.vantage == group->vantage && i->text != NULL;
}

/* The sum of what the domains of a group say of a window; NAN: nothing. */
static double group_rate(const struct sink_table *t, const struct sink_key *group, uint64_t lo_us,
			 uint64_t hi_us)
{
	const struct sink_item *i = NULL;
	double queries = 0, name_s = 0;
	struct sink_window w;

	while ((i = sink_table_next(t, i)) != NULL) {
		if (!is_of_group(i, group) ||
		    !sink_past_window(&i->past, &t->clock, lo_us, hi_us, &w))
			continue;
		queries += (double)w.queries;
		name_s += w.name_s;
	}
	return name_s > 0 ? queries / name_s : NAN;
}

/* The domain that made a group switch says from what to what; the one of the lowest id. */
static void put_group_classes(const struct sink_table *t, struct sink_item *group, uint64_t when)
{
	const struct sink_item *i = NULL, *first = NULL;

	while ((i = sink_table_next(t, i)) != NULL)
		if (is_of_group(i, &group->key) && i->past.switch_us == when &&
		    (first == NULL || memcmp(i->key.id, first->key.id, sizeof(i->key.id)) < 0))
			first = i;
	group->past.from_class = first != NULL ? first->past.from_class : SINK_NONE;
	group->past.to_class = first != NULL ? first->past.to_class : SINK_NONE;
}

/* A set has switched when half of its domains have. */
static int find_group_switch(const struct sink_table *t, struct sink_item *group)
{
	uint64_t *at = malloc((t->grouped + 1) * sizeof(*at)), ttl_us = 0;
	size_t n = 0, domains = 0;
	const struct sink_item *i = NULL;

	if (at == NULL)
		return -ENOMEM;
	while ((i = sink_table_next(t, i)) != NULL) {
		if (!is_of_group(i, &group->key) || i->past.class == SINK_NONE)
			continue;
		domains++;
		if (i->past.switch_us == 0)
			continue;
		at[n++] = i->past.switch_us;
		ttl_us = i->past.old_ttl_us > ttl_us ? i->past.old_ttl_us : ttl_us;
	}
	qsort(at, n, sizeof(*at), order_times);
	const uint64_t when = n * 2 >= domains && n != 0 ? at[(domains + 1) / 2 - 1] : 0;
	free(at);
	struct sink_past *p = &group->past;
	if (when != p->switch_us) {
		p->switch_us = when;
		p->old_ttl_us = ttl_us;
		p->after = p->before = NAN;
		p->after_is_final = false;
		put_group_classes(t, group, when);
		if (when != 0)
			p->before = group_rate(t, &group->key, sink_before_lo(&t->clock, when),
					       sink_before_hi(&t->clock, when));
	}
	const uint64_t lo_us = sink_after_lo(&t->clock, when, p->old_ttl_us);
	if (when != 0 && !p->after_is_final) {
		p->after = group_rate(t, &group->key, lo_us, lo_us + 24 * t->clock.hour_us);
		p->after_is_final = p->end_us >= lo_us + 26 * t->clock.hour_us;
	}
	return 0;
}

/* The line of the group whose lines are v[0..n). */
int sink_group_write(struct sinkhole *s, const struct stat_interval *in, const struct sink_line *v,
		     size_t n, const struct sink_row *r)
{
	struct sink_line all = {
	    .key = {.rule = v->key.rule, .vantage = v->key.vantage},
	    .parts = s->parts,
	    .left_out = r != NULL ? r->left_out : 0,
	};
	uint64_t *by_class = calloc((size_t)s->parts * FT_CLASS_CAP, sizeof(*by_class));
	struct ft_mini clients = {0};
	bool fresh, found = false;

	if (by_class == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct sink_line *l = &v[i];
		struct table_sum t;
		for (size_t k = 0; k < (size_t)l->parts * FT_CLASS_CAP; k++)
			by_class[k] += l->by_class[k];
		all.names += l->names;
		all.bytes += l->bytes;
		all.domains += l->domains;
		all.neg_ttl = l->neg_ttl > all.neg_ttl ? l->neg_ttl : all.neg_ttl;
		all.ans_ttl = l->ans_ttl > all.ans_ttl ? l->ans_ttl : all.ans_ttl;
		all.signals |= l->signals;
		all.level = l->level > all.level ? l->level : all.level;
		all.est_queries += l->level != 0 ? l->est_queries : (double)l->queries;
		all.se_queries = hypot(all.se_queries, l->se_queries);
		found |= l->automatic;
		if (l->automatic &&
		    tables_get(in->tables, FT_TABLE_DOMAINS, l->key.vantage, l->key.id, &t))
			mini_merge(&clients, t.clients);
	}
	all.by_class = by_class;
	sink_line_sum(&all);
	all.clients = mini_count(&clients);
	for (const struct sink_group *g =
		 r != NULL ? r->group[(all.key.rule * 4 + all.key.vantage) % SINK_GROUP_BUCKETS]
			   : NULL;
	     g != NULL; g = g->next) {
		if (g->rule != all.key.rule || g->vantage != all.key.vantage)
			continue;
		const uint64_t counted = hashes_count(&g->clients);
		all.clients = counted > all.clients ? counted : all.clients;
		if (found)
			break;
		all.group = g;
		all.names = hashes_count(&g->names);
		all.top_client = hashes_top(&g->clients);
	}
	all.item = sink_table_get(&s->table, &all.key, &fresh);
	if (all.item != NULL && fresh)
		sink_past_init(&all.item->past, &s->table.clock, s->begin_us, false);
	if (all.item != NULL)
		all.item->past.is_group = true;
	sink_line_add_past(s, in, &all);
	if (all.item != NULL)
		sink_past_advance(&all.item->past, &s->table.clock, in->end_s * 1000000);
	const int result = all.item != NULL ? find_group_switch(&s->table, all.item) : 0;
	sink_write(s, in, &all);
	free(by_class);
	return result;
}

/* --- signals of a domain, whoever has seen them --- */

struct sign {
	uint8_t id[16];
	uint8_t signals;
};

static int order_signs(const void *left, const void *right)
{
	return memcmp(left, right, 16);
}

int sink_put_signals(const struct sinkhole *s, const struct stat_interval *in, struct sink_line *v,
		     size_t lines)
{
	struct sign *sign = malloc((s->table.grouped + 1) * sizeof(*sign));
	const uint64_t stale_us = STALE_HOURS * s->table.clock.hour_us;
	const struct sink_item *i = NULL;
	size_t n = 0;

	if (sign == NULL)
		return -ENOMEM;
	while ((i = sink_table_next(&s->table, i)) != NULL) {
		if (i->key.rule == 0 || i->text == NULL)
			continue;
		memcpy(sign[n].id, i->key.id, sizeof(sign[n].id));
		sign[n].signals = 0;
		for (unsigned k = 0; k < FT_SINK_SIGNALS; k++)
			if (i->seen_s[k] != 0 && (in->end_s - i->seen_s[k]) * 1000000 < stale_us)
				sign[n].signals |= (uint8_t)(1u << k);
		/* History is what is no longer so. */
		if (i->past.did_not_exist && i->past.class != FT_CLASS_NXDOMAIN)
			sign[n].signals |= FT_SINK_NXDOMAIN;
		n++;
	}
	qsort(sign, n, sizeof(*sign), order_signs);
	for (size_t k = 0; k < lines; k++) {
		size_t lo = 0, hi = n;
		while (lo < hi) {
			const size_t mid = (lo + hi) / 2;
			if (memcmp(sign[mid].id, v[k].key.id, 16) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (; lo < n && memcmp(sign[lo].id, v[k].key.id, 16) == 0; lo++)
			v[k].signals |= sign[lo].signals;
	}
	free(sign);
	return 0;
}

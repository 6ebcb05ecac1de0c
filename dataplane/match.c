/* SPDX-License-Identifier: BSD-3-Clause */
#include "match.h"

#include "flood_guard.h"
#include "mem.h"
#include "name.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WAYS 2u

struct match {
	struct match_settings set;
	const struct ruleset *rules;
	struct ruleset_scratch *scratch;
	struct flood_guard *guard; /* NULL: none */
	uint64_t now_us;           /* event clock of this batch */
	uint32_t generation;       /* of the rules in use, plus 1: a fresh entry has 0 */
	uint32_t stamp;            /* of this batch */
	size_t sets;               /* power of two */
	struct verdict *cache;
	struct match_stats stats;
	uint32_t missing, spilled;
	struct ruleset_name miss[MSG_CAP];
	/* Verdicts of names whose set is all in use by this very batch; with a guard, of
	 * all that miss, for which of them are kept is known afterwards. */
	struct verdict spill[2 * MSG_CAP];
};

struct match *match_create(const struct match_settings *settings)
{
	struct match *m = mem_map(sizeof(*m));

	if (m == NULL)
		return NULL;
	m->set = *settings;
	m->generation = 1;
	m->sets = 64;
	while (m->sets * WAYS < settings->entries)
		m->sets *= 2;
	m->cache = mem_map(m->sets * WAYS * sizeof(*m->cache));
	if (m->cache == NULL) {
		match_destroy(m);
		errno = ENOMEM;
		return NULL;
	}
	return m;
}

void match_destroy(struct match *m)
{
	if (m == NULL)
		return;
	mem_unmap(m->cache, m->sets * WAYS * sizeof(*m->cache));
	mem_unmap(m, sizeof(*m));
}

void match_adopt(struct match *m, const struct ruleset *rules, struct ruleset_scratch *scratch)
{
	m->rules = rules;
	m->scratch = scratch;
	m->generation = rules != NULL ? ruleset_generation(rules) + 1 : 1;
	if (m->guard != NULL)
		flood_guard_reset(m->guard);
}

void match_guard(struct match *m, struct flood_guard *guard)
{
	m->guard = guard;
}

const struct match_stats *match_stats_get(const struct match *m)
{
	return &m->stats;
}

static struct verdict *set_of(const struct match *m, uint64_t key)
{
	return &m->cache[(key & (m->sets - 1)) * WAYS];
}

/* Without rules: the sketch's hash, and the name as its own domain. */
static void evaluate_plain(const struct match *m, const struct ruleset_name *n)
{
	n->out->name_sketch = name_sketch_hash(n->folded, n->len, m->set.sketch_seed);
	n->out->domain_key = n->key;
}

static bool is_worth_it(void *ctx, const struct verdict *v)
{
	const struct match *m = ctx;

	return flood_guard_step(m->guard, v->domain_key, v->name_key, m->now_us);
}

/* The way that was not used for longest. */
static struct verdict *oldest(const struct match *m, struct verdict *set)
{
	return m->stamp - set[0].stamp >= m->stamp - set[1].stamp ? &set[0] : &set[1];
}

/* A verdict from beside the cache into it, unless this batch needs what is there. */
static void keep(struct match *m, const struct verdict *v)
{
	struct verdict *set = set_of(m, v->name_key), *to = oldest(m, set);

	for (unsigned way = 0; way < WAYS; way++)
		if (set[way].name_key == v->name_key && set[way].generation == v->generation)
			return;
	if (to->stamp != m->stamp)
		*to = *v;
}

static void evaluate_missing(struct match *m)
{
	if (m->missing == 0)
		return;
	m->stats.missed += m->missing;
	if (m->rules != NULL)
		ruleset_step_guarded(m->rules, m->scratch, m->miss, m->missing,
				     m->guard != NULL ? is_worth_it : NULL, m);
	else
		for (uint32_t i = 0; i < m->missing; i++)
			evaluate_plain(m, &m->miss[i]);
	for (uint32_t i = 0; i < m->missing; i++) {
		m->miss[i].out->name_key = m->miss[i].key;
		m->miss[i].out->generation = m->generation;
		m->miss[i].out->stamp = m->stamp;
		if (m->guard != NULL && !m->miss[i].out->brief)
			keep(m, m->miss[i].out);
	}
	m->missing = 0;
}

/* A place for a new verdict: the way that was not used for longest. What this batch
 * points at stays. */
static struct verdict *make_room(struct match *m, struct verdict *set)
{
	struct verdict *v = oldest(m, set);

	if (m->guard == NULL && v->stamp != m->stamp)
		return v;
	m->stats.spilled += m->guard == NULL;
	return &m->spill[m->spilled++ % (2 * MSG_CAP)];
}

/* The verdict of a name; where it is new, it is filled by evaluate_missing. */
static struct verdict *look_up(struct match *m, const uint8_t *folded, uint32_t len, uint64_t key)
{
	struct verdict *set = set_of(m, key);

	/* The second way where the first is another name's: chosen, not branched to. */
	struct verdict *v = set + (set[0].name_key != key);
	if (v->name_key == key && v->generation == m->generation) {
		v->stamp = m->stamp;
		return v;
	}
	v = make_room(m, set);
	memset(v, 0, sizeof(*v));
	v->name_key = key;
	v->generation = m->generation;
	v->stamp = m->stamp;
	m->miss[m->missing++] =
	    (struct ruleset_name){.folded = folded, .len = len, .key = key, .out = v};
	return v;
}

static void fill_addrs(const struct match *m, struct msg *x)
{
	const struct addr *client = msg_client(x);

	x->vantage = m->set.vantage->configured
			 ? vantage_of_addrs(m->set.vantage, client, msg_server(x))
			 : FT_VANTAGE_CAP;
	/* Distinct counts are over queries: who asked, and for what. That a response gets
	 * one, too, costs less than to ask which it is. */
	x->client_sketch = XXH3_64bits_withSeed(client, sizeof(*client), m->set.sketch_seed);
}

STAGE void match_step(struct match *m, struct msgs *batch)
{
	m->stamp++;
	m->spilled = 0;
	if (m->guard != NULL && batch->n != 0)
		m->now_us = batch->m[batch->n - 1].now_us;
	for (uint32_t i = 0; i < batch->n; i++) {
		const struct verdict *set = set_of(m, batch->m[i].name_key);
		__builtin_prefetch(&set[0], 1);
		__builtin_prefetch(&set[1], 1);
	}
	for (uint32_t i = 0; i < batch->n; i++) {
		struct msg *x = &batch->m[i];
		x->verdict = NULL;
		if (x->drop != FT_MSG_KEPT)
			continue;
		fill_addrs(m, x);
		if (x->name_len == 0)
			continue;
		m->stats.looked_up++;
		x->verdict = look_up(m, batch->names + x->name_off, x->name_len, x->name_key);
	}
	evaluate_missing(m);
}

const struct verdict *match_get(struct match *m, const uint8_t *folded, uint32_t len)
{
	const struct verdict *v = look_up(m, folded, len, name_hash(folded, len, m->set.name_seed));

	evaluate_missing(m);
	return v;
}

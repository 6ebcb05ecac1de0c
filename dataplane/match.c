/* SPDX-License-Identifier: BSD-3-Clause */
#include "match.h"

#include "fetch.h"
#include "flood_guard.h"
#include "lanes.h"
#include "mem.h"
#include "name.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WAYS LANES_WAYS
#define BRIEF_CAP (1u << 16) /* brief verdicts kept: the flood's names within a response time */
#define BRIEF_SECONDS 6u     /* and for so long: more than a response takes */

struct match {
	struct match_settings set;
	const struct ruleset *rules;
	struct ruleset_scratch *scratch;
	struct flood_guard *guard; /* NULL: none */
	uint64_t now_us;           /* event clock of this batch */
	uint32_t generation;       /* of the rules in use, plus 1: a fresh entry has 0 */
	uint32_t stamp;            /* of this batch */
	size_t sets;               /* power of two */
	uint64_t *tags;            /* [sets], see lanes.h */
	struct verdict *cache;     /* [sets * WAYS] */
	struct verdict *brief;     /* [BRIEF_CAP] apart, so that a flood pushes nothing out */
	uint64_t brief_end_us;     /* none is of use from then on */
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
	m->tags = mem_map(m->sets * sizeof(*m->tags));
	m->cache = mem_map(m->sets * WAYS * sizeof(*m->cache));
	m->brief = mem_map(BRIEF_CAP * sizeof(*m->brief));
	if (m->tags == NULL || m->cache == NULL || m->brief == NULL) {
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
	mem_unmap(m->brief, BRIEF_CAP * sizeof(*m->brief));
	mem_unmap(m->tags, m->sets * sizeof(*m->tags));
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

static uint64_t *tags_of(const struct match *m, uint64_t key)
{
	return &m->tags[key & (m->sets - 1)];
}

static struct verdict *entry_at(const struct match *m, uint64_t key, unsigned way)
{
	return &m->cache[(key & (m->sets - 1)) * WAYS + way];
}

static struct verdict *brief_of(const struct match *m, uint64_t key)
{
	return &m->brief[key & (BRIEF_CAP - 1)];
}

static uint8_t second_of(uint64_t t_us)
{
	return (uint8_t)(t_us / 1000000);
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

/* The verdict of a name by the rules in use; NULL: not there. */
static struct verdict *find(const struct match *m, uint64_t key)
{
	uint64_t *word = tags_of(m, key);

	for (uint64_t lanes = lanes_of(*word, lanes_tag(key)); lanes != 0; lanes &= lanes - 1) {
		struct verdict *v = entry_at(m, key, lanes_way(lanes));
		if (v->name_key != key || v->generation != m->generation)
			continue;
		if ((*word & lanes & -lanes) == 0) /* most have it: their line stays clean */
			*word |= lanes & -lanes;
		return v;
	}
	return NULL;
}

/* A place in the cache for a new verdict; NULL where this batch needs what is there. */
static struct verdict *make_room(const struct match *m, uint64_t key)
{
	uint64_t *word = tags_of(m, key);
	const unsigned way = lanes_victim(*word, lanes_tag(key));
	struct verdict *v = entry_at(m, key, way);

	if (v->stamp == m->stamp)
		return NULL;
	*word = lanes_put(*word, way, lanes_tag(key));
	return v;
}

/* A verdict from beside the cache into it. */
static void keep(const struct match *m, const struct verdict *v)
{
	struct verdict *to = find(m, v->name_key) == NULL ? make_room(m, v->name_key) : NULL;

	if (to != NULL)
		*to = *v;
}

/* Its response will ask for it again. */
static void keep_brief(struct match *m, struct verdict *v)
{
	struct verdict *to = brief_of(m, v->name_key);

	if (to->stamp == m->stamp)
		return;
	v->made_s = second_of(m->now_us);
	*to = *v;
	m->brief_end_us = m->now_us + BRIEF_SECONDS * 1000000ull;
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
		if (m->guard == NULL)
			continue;
		if (m->miss[i].out->brief)
			keep_brief(m, m->miss[i].out);
		else
			keep(m, m->miss[i].out);
	}
	m->missing = 0;
}

/* A place for a new verdict: in the cache, or beside it. What this batch points at
 * stays. */
static struct verdict *begin_verdict(struct match *m, uint64_t key)
{
	struct verdict *v = m->guard == NULL ? make_room(m, key) : NULL;

	if (v != NULL)
		return v;
	m->stats.spilled += m->guard == NULL;
	return &m->spill[m->spilled++ % (2 * MSG_CAP)];
}

/* The brief verdict of a name, or NULL. It ends soon: once the flood is over, the name
 * gets its full look. */
static struct verdict *look_up_brief(const struct match *m, uint64_t key)
{
	struct verdict *v = brief_of(m, key);
	const uint8_t age_s = (uint8_t)(second_of(m->now_us) - v->made_s);

	return v->name_key == key && v->generation == m->generation && age_s <= BRIEF_SECONDS
		   ? v
		   : NULL;
}

/* The verdict of a name; where it is new, it is filled by evaluate_missing. */
static struct verdict *look_up(struct match *m, const uint8_t *folded, uint32_t len, uint64_t key)
{
	struct verdict *v = find(m, key);

	if (v == NULL && m->now_us < m->brief_end_us)
		v = look_up_brief(m, key);
	if (v != NULL) {
		v->stamp = m->stamp;
		return v;
	}
	v = begin_verdict(m, key);
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

/* Tags, then the entries that they point at. A new name's has to wait for nothing. */
static void prefetch(const struct match *m, const struct msgs *batch)
{
	const bool briefs = m->now_us < m->brief_end_us;

	for (uint32_t i = 0; i < batch->n; i++)
		fetch_write(tags_of(m, batch->m[i].name_key));
	for (uint32_t i = 0; i < batch->n; i++) {
		const uint64_t key = batch->m[i].name_key;
		const uint64_t lanes = lanes_of(*tags_of(m, key), lanes_tag(key));
		if (lanes != 0)
			fetch_write(entry_at(m, key, lanes_way(lanes)));
		else if (briefs)
			fetch_write(brief_of(m, key));
	}
}

STAGE void match_step(struct match *m, struct msgs *batch)
{
	m->stamp++;
	m->spilled = 0;
	if (m->guard != NULL && batch->n != 0)
		m->now_us = batch->m[batch->n - 1].now_us;
	prefetch(m, batch);
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

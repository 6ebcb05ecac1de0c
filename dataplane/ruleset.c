/* SPDX-License-Identifier: BSD-3-Clause */
#include "ruleset.h"

#include "bigram.h"
#include "dnsbl.h"
#include "match_hs.h"
#include "mem.h"
#include "msg.h"
#include "name.h"
#include "nameset.h"
#include "psl.h"
#include "shape.h"
#include "sinklist.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_CAP 128u /* of a name, and one */
#define HITS_CAP 256u   /* rules of a name that a step tells apart: more than `tags` can say */
static_assert(HITS_CAP > UINT8_MAX, "tags saturates first");

struct ruleset {
	struct ruleset_parts part;
};

/* A suffix to look up: its name's number and where it begins. */
struct probe {
	uint64_t key;
	uint8_t name, off;
};

/* What names that differ in their first label alone have in common: one line. Kept where
 * the registered domain lies behind that label and no block list, which reads it. */
struct parent {
	_Alignas(CACHE_LINE) uint64_t key; /* of the name behind the first label; 0: free */
	uint64_t domain_key;
	uint32_t tag[VERDICT_TAGS];
	uint8_t tags; /* of the suffixes behind the first label */
	uint8_t domain_len, suffix_len;
};
static_assert(sizeof(struct parent) == CACHE_LINE, "one line");
#define PARENTS_CAP 4096u

/* What a step knows of one name. */
struct work {
	uint32_t labels, domain_off, suffix_off, hits;
	struct parent parent; /* as found, or as it will be kept; key 0: neither */
	bool parent_found;
	uint8_t off[LABELS_CAP]; /* of each label, the root's last */
};

struct ruleset_scratch {
	struct work work[MSG_CAP];
	uint32_t hit[MSG_CAP][HITS_CAP]; /* rising, each once */
	struct match_hs_name text[MSG_CAP];
	uint8_t text_name[MSG_CAP]; /* whose it is: brief ones have none */
	struct match_hs_scratch *expressions;
	struct parent *parent; /* [PARENTS_CAP] */
	uint32_t *shape_tags;  /* as many as there are rules */
	uint32_t tags_cap;
	/* ruleset_tags has a bit for each rule, and no cap. */
	bool marking;
	uint64_t *marks;
	size_t marks_len;
	uint32_t probes;
	struct probe probe[MSG_CAP * LABELS_CAP];
};

struct ruleset *ruleset_create(const struct ruleset_parts *parts)
{
	struct ruleset *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->part = *parts;
	return r;
}

void ruleset_destroy(struct ruleset *r)
{
	if (r == NULL)
		return;
	psl_destroy(r->part.psl);
	nameset_destroy(r->part.exact);
	nameset_destroy(r->part.suffix);
	shapes_destroy(r->part.shapes);
	match_hs_destroy(r->part.expressions);
	sinklist_destroy(r->part.sinks);
	nameset_destroy(r->part.watched);
	nameset_destroy(r->part.near);
	free(r->part.kinds);
	free(r);
}

struct ruleset_scratch *ruleset_scratch_create(const struct ruleset *r)
{
	struct ruleset_scratch *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->tags_cap = r->part.tags_cap;
	s->marks_len = r->part.tags_cap / 64 + 1;
	s->marks = calloc(s->marks_len, sizeof(*s->marks));
	s->shape_tags = calloc(s->tags_cap + 1u, sizeof(*s->shape_tags));
	s->parent = mem_map(PARENTS_CAP * sizeof(*s->parent));
	if (r->part.expressions != NULL)
		s->expressions = match_hs_scratch_create(r->part.expressions);
	if (s->marks != NULL && s->shape_tags != NULL && s->parent != NULL &&
	    (r->part.expressions == NULL || s->expressions != NULL))
		return s;
	ruleset_scratch_destroy(s);
	errno = ENOMEM;
	return NULL;
}

void ruleset_scratch_destroy(struct ruleset_scratch *s)
{
	if (s == NULL)
		return;
	match_hs_scratch_destroy(s->expressions);
	mem_unmap(s->parent, PARENTS_CAP * sizeof(*s->parent));
	free(s->shape_tags);
	free(s->marks);
	free(s);
}

const struct sinklist *ruleset_sinks(const struct ruleset *r)
{
	return r->part.sinks;
}

uint32_t ruleset_watched(const struct ruleset *r, uint64_t key, const uint32_t **types)
{
	return r->part.watched != NULL ? nameset_get(r->part.watched, key, types) : 0;
}

uint32_t ruleset_generation(const struct ruleset *r)
{
	return r->part.generation;
}

enum rule_kind ruleset_kind(const struct ruleset *r, uint32_t tag)
{
	return tag < r->part.tags_cap ? (enum rule_kind)(r->part.kinds[tag] & ~RULE_LISTED)
				      : RULE_KIND_CAP;
}

bool ruleset_lists_family(const struct ruleset *r, uint32_t tag)
{
	return tag < r->part.tags_cap && (r->part.kinds[tag] & RULE_LISTED) != 0;
}

uint64_t ruleset_narrow(const struct ruleset *r)
{
	return r->part.narrow;
}

bool ruleset_knows_tld(const struct ruleset *r, const uint8_t *folded, uint32_t len)
{
	return psl_knows_tld(r->part.psl, folded, len);
}

size_t ruleset_patterns(const struct ruleset *r)
{
	return r->part.patterns;
}

size_t ruleset_scanned(const struct ruleset *r)
{
	return r->part.expressions != NULL ? match_hs_scanned(r->part.expressions) : 0;
}

size_t ruleset_listed_names(const struct ruleset *r)
{
	return (r->part.exact != NULL ? r->part.exact->names : 0) +
	       (r->part.suffix != NULL ? r->part.suffix->names : 0);
}

/* Puts a rule among those of a name; where there is no room the greatest falls out. */
static void add_hit(struct ruleset_scratch *s, uint32_t name, uint32_t tag)
{
	uint32_t *hit = s->hit[name], n = s->work[name].hits, at = n;

	if (s->marking) {
		s->marks[tag / 64] |= 1ull << tag % 64;
		return;
	}
	while (at > 0 && hit[at - 1] > tag)
		at--;
	if ((at > 0 && hit[at - 1] == tag) || at == HITS_CAP)
		return;
	if (n == HITS_CAP)
		n--;
	memmove(&hit[at + 1], &hit[at], (n - at) * sizeof(*hit));
	hit[at] = tag;
	s->work[name].hits = n + 1;
}

static void add_expression(void *ctx, uint32_t text, uint32_t tag)
{
	struct ruleset_scratch *s = ctx;

	add_hit(s, s->text_name[text], tag);
}

static inline bool has_depth(const uint64_t depths[2], uint32_t d)
{
	return (depths[d / 64] >> d % 64 & 1) != 0;
}

/* Finds the labels. */
static void split(struct work *w, const struct ruleset_name *n)
{
	uint32_t at = 0, labels = 0;

	for (; at < n->len && n->folded[at] != 0 && labels < LABELS_CAP - 1;
	     at += n->folded[at] + 1u)
		w->off[labels++] = (uint8_t)at;
	w->off[labels] = (uint8_t)at;
	w->labels = labels;
	w->hits = 0;
}

/* The keyed hash of the name from an offset on. */
static uint64_t key_behind(const struct ruleset *r, const struct work *w, const uint8_t *padded,
			   const struct ruleset_name *n, uint32_t off)
{
	if (off == 0)
		return n->key;
	if (w->parent.key != 0 && off == w->off[1])
		return w->parent.key;
	return name_hash_padded(padded + off, n->len - off, r->part.name_seed);
}

/* The suffixes that could be listed, by their depth, become probes. `padded` is the name. */
static void probe(const struct ruleset *r, struct ruleset_scratch *s, const uint8_t *padded,
		  const struct ruleset_name *n, uint32_t name)
{
	const struct work *w = &s->work[name];

	if (r->part.exact != NULL)
		nameset_prefetch(r->part.exact, n->key);
	if (r->part.suffix == NULL)
		return;
	for (uint32_t i = 0; i <= (w->parent_found ? 0 : w->labels); i++) {
		struct probe *p = &s->probe[s->probes];

		if (!has_depth(r->part.depths, w->labels - i))
			continue;
		p->off = w->off[i];
		p->name = (uint8_t)name;
		p->key = key_behind(r, w, padded, n, p->off);
		nameset_prefetch(r->part.suffix, p->key);
		s->probes++;
	}
}

static struct parent *parent_of(const struct ruleset_scratch *s, uint64_t key)
{
	return &s->parent[key & (PARENTS_CAP - 1)];
}

/* What is known of names with these labels behind the first. */
static void find_parent(const struct ruleset *r, const struct ruleset_scratch *s, struct work *w,
			const uint8_t *padded, const struct ruleset_name *n)
{
	w->parent.key = 0;
	w->parent_found = false;
	if (w->labels < 3 || s->marking)
		return;
	const uint64_t key =
	    name_hash_padded(padded + w->off[1], n->len - w->off[1], r->part.name_seed);
	const struct parent *p = parent_of(s, key);
	w->parent_found = key != 0 && p->key == key;
	if (w->parent_found)
		w->parent = *p;
	else
		w->parent = (struct parent){.key = key};
}

/* Where the registered domain begins, out of the parent's or the list's mouth. */
static void find_domain(const struct ruleset *r, struct work *w, const struct ruleset_name *n)
{
	if (w->parent_found) {
		w->domain_off = n->len - w->parent.domain_len;
		w->suffix_off = n->len - w->parent.suffix_len;
		return;
	}
	w->domain_off = psl_domain_off(r->part.psl, n->folded, n->len, &w->suffix_off);
	w->parent.domain_len = (uint8_t)(n->len - w->domain_off);
	w->parent.suffix_len = (uint8_t)(n->len - w->suffix_off);
	if (w->domain_off == 0)
		w->parent.key = 0;
}

static uint8_t watched_of(const struct ruleset *r, const struct verdict *v)
{
	const uint32_t *types;

	if (nameset_get(r->part.near, v->domain_key, &types) == 0)
		return 0;
	return nameset_get(r->part.watched, v->name_key, &types) != 0
		   ? VERDICT_WATCHED | VERDICT_NEAR
		   : VERDICT_NEAR;
}

/* Writes all of the verdict that the name alone gives. */
static void put_verdict(const struct ruleset *r, struct work *w, const uint8_t *padded,
			const struct ruleset_name *n)
{
	struct verdict *v = n->out;

	v->name_key = n->key;
	v->name_sketch = name_sketch_hash(n->folded, n->len, r->part.sketch_seed);
	v->domain_key =
	    w->parent_found ? w->parent.domain_key : key_behind(r, w, padded, n, w->domain_off);
	w->parent.domain_key = v->domain_key;
	v->generation = r->part.generation;
	v->domain_off = (uint8_t)w->domain_off;
	v->labels = (uint8_t)w->labels;
	v->watched = r->part.watched != NULL ? watched_of(r, v) : 0;
	v->brief = 0;
	v->made_s = 0;
}

/* First phase: what is hashed, so that its buckets are on their way. */
static void hash_all(const struct ruleset *r, struct ruleset_scratch *s,
		     const struct ruleset_name *names, uint32_t n)
{
	uint8_t padded[FT_NAME_CAP + NAME_PAD_BYTES] = {0};

	s->probes = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct work *w = &s->work[i];

		memcpy(padded, names[i].folded, names[i].len);
		split(w, &names[i]);
		find_parent(r, s, w, padded, &names[i]);
		probe(r, s, padded, &names[i], i);
		find_domain(r, w, &names[i]);
		put_verdict(r, w, padded, &names[i]);
	}
}

/* A suffix behind the first label is another's, too. */
static void add_parent_hit(struct work *w, uint32_t tag, bool dnsbl)
{
	struct parent *p = &w->parent;

	if (dnsbl || p->tags == VERDICT_TAGS)
		p->key = 0;
	else
		p->tag[p->tags++] = tag;
}

/* A zone of a block list needs something in front of it, of a known form. */
static void look_up_suffix(const struct ruleset *r, struct ruleset_scratch *s,
			   const struct ruleset_name *names, const struct probe *p)
{
	const uint32_t *tags;
	const uint32_t n = nameset_get(r->part.suffix, p->key, &tags);
	int form = -1; /* not asked yet */

	for (uint32_t i = 0; i < n; i++) {
		const bool dnsbl = r->part.kinds[tags[i]] == RULE_DNSBL;
		if (p->off != 0)
			add_parent_hit(&s->work[p->name], tags[i], dnsbl);
		if (dnsbl) {
			if (form < 0)
				form = dnsbl_has_form(r->part.psl, names[p->name].folded, p->off);
			if (form == 0)
				continue;
		}
		add_hit(s, p->name, tags[i]);
	}
}

static void look_up(const struct ruleset *r, struct ruleset_scratch *s,
		    const struct ruleset_name *names, uint32_t n)
{
	const uint32_t *tags;

	for (uint32_t i = 0; r->part.exact != NULL && i < n; i++) {
		const uint32_t k = nameset_get(r->part.exact, names[i].key, &tags);
		for (uint32_t j = 0; j < k; j++)
			add_hit(s, i, tags[j]);
	}
	for (uint32_t i = 0; i < s->probes; i++)
		look_up_suffix(r, s, names, &s->probe[i]);
	for (uint32_t i = 0; i < n; i++) {
		const struct work *w = &s->work[i];
		for (uint32_t j = 0; w->parent_found && j < w->parent.tags; j++)
			add_hit(s, i, w->parent.tag[j]);
		if (!w->parent_found && w->parent.key != 0)
			*parent_of(s, w->parent.key) = w->parent;
	}
}

static void look_at_label(const struct ruleset *r, struct ruleset_scratch *s,
			  const struct ruleset_name *n, uint32_t name)
{
	const struct work *w = &s->work[name];
	const uint8_t *label = n->folded + w->domain_off;
	uint32_t tags = 0;

	n->out->shapes = 0;
	n->out->score = 0;
	if (w->suffix_off == 0 || n->out->brief) /* nothing in front of the public suffix */
		return;
	n->out->score = bigram_score(label + 1, label[0]);
	if (r->part.shapes == NULL)
		return;
	n->out->shapes =
	    shapes_match(r->part.shapes, label + 1, label[0], n->folded + w->suffix_off,
			 n->len - w->suffix_off, s->shape_tags, s->tags_cap, &tags);
	for (uint32_t i = 0; i < tags && i < s->tags_cap; i++)
		add_hit(s, name, s->shape_tags[i]);
}

static void scan(const struct ruleset *r, struct ruleset_scratch *s,
		 const struct ruleset_name *names, uint32_t n)
{
	if (r->part.expressions == NULL)
		return;
	uint32_t texts = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (names[i].out->brief)
			continue;
		s->text_name[texts] = (uint8_t)i;
		s->text[texts++] = (struct match_hs_name){
		    names[i].folded, names[i].len, s->work[i].domain_off, s->work[i].suffix_off};
	}
	match_hs_step(r->part.expressions, s->expressions, s->text, texts, add_expression, s);
}

static void put_tags(const struct work *w, const uint32_t *hit, struct verdict *v)
{
	for (uint32_t i = 0; i < VERDICT_TAGS; i++)
		v->tag[i] = i < w->hits ? hit[i] : 0;
	v->tags = w->hits < UINT8_MAX ? (uint8_t)w->hits : UINT8_MAX;
}

void ruleset_step(const struct ruleset *r, struct ruleset_scratch *s,
		  const struct ruleset_name *names, uint32_t n)
{
	ruleset_step_guarded(r, s, names, n, NULL, NULL);
}

void ruleset_step_guarded(const struct ruleset *r, struct ruleset_scratch *s,
			  const struct ruleset_name *names, uint32_t n, ruleset_guard_fn guard,
			  void *ctx)
{
	hash_all(r, s, names, n);
	for (uint32_t i = 0; i < n; i++)
		names[i].out->brief = guard != NULL && !guard(ctx, names[i].out);
	look_up(r, s, names, n);
	for (uint32_t i = 0; i < n; i++)
		look_at_label(r, s, &names[i], i);
	scan(r, s, names, n);
	for (uint32_t i = 0; i < n; i++)
		put_tags(&s->work[i], s->hit[i], names[i].out);
}

uint32_t ruleset_tags(const struct ruleset *r, struct ruleset_scratch *s, const uint8_t *folded,
		      uint32_t len, uint32_t *tags, uint32_t cap)
{
	struct verdict v;
	const struct ruleset_name name = {folded, len, name_hash(folded, len, r->part.name_seed),
					  &v};
	uint32_t n = 0;

	s->marking = true;
	ruleset_step(r, s, &name, 1);
	s->marking = false;
	for (size_t i = 0; i < s->marks_len; i++) {
		for (uint64_t rest = s->marks[i]; rest != 0; rest &= rest - 1, n++)
			if (n < cap)
				tags[n] = (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(rest);
		s->marks[i] = 0;
	}
	return n;
}

static bool lists(const struct ruleset *r, uint64_t key, uint32_t tag)
{
	const uint32_t *tags;
	const uint32_t n = nameset_get(r->part.suffix, key, &tags);

	for (uint32_t i = 0; i < n; i++)
		if (tags[i] == tag)
			return true;
	return false;
}

bool ruleset_dnsbl(const struct ruleset *r, uint32_t tag, const uint8_t *folded, uint32_t len,
		   struct dnsbl_subject *out)
{
	if (ruleset_kind(r, tag) != RULE_DNSBL || r->part.suffix == NULL)
		return false;
	for (uint32_t off = 0; off + 1 < len; off += folded[off] + 1u) {
		const uint64_t key = name_hash(folded + off, len - off, r->part.name_seed);

		if (lists(r, key, tag) && dnsbl_read(r->part.psl, folded, off, out))
			return true;
	}
	return false;
}

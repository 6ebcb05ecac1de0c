/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules_registry.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define CHUNK_BITS 12
#define CHUNK (1u << CHUNK_BITS)
#define CHUNKS_CAP 65536u
#define TEXT_BYTES 65536u

/* A text that stays: an id or a family's name. */
struct word {
	char *text;
	uint32_t len;
	uint32_t load; /* the last one that used it as an id */
	uint32_t at;   /* the line that did so first in that load */
	enum rule_kind kind;
	uint32_t number[RULE_KIND_CAP]; /* 0: none */
};

/* What the open load says of a rule. */
struct staged {
	const char *family;
	int severity;
	uint32_t at; /* the line that said so, or the rule's first */
	uint32_t load;
};

/* A number: its info as committed, and the next one. Chunks never move. */
struct rule {
	struct rule_info info;
	struct staged staged;
};

/* Things in chunks: an array that grows and never moves, nor does the list of its
 * chunks: control's thread reads what is committed while another one adds to it. */
struct chunks {
	void **v; /* [CHUNKS_CAP], untouched memory for the most part */
	size_t n;
};

struct registry {
	struct chunks words, rules;
	uint32_t *slots; /* number of a word, plus 1 */
	size_t slots_cap;
	char **texts; /* blocks of TEXT_BYTES */
	size_t texts_n, texts_used;
	uint32_t last; /* the word asked for last */
	uint32_t load;
	uint32_t committed; /* rules */
	const char *families[SHAPE_FAMILIES];
	uint32_t families_n, families_committed;
};

static void *chunk_get(const struct chunks *c, size_t i, size_t size)
{
	return (char *)c->v[i >> CHUNK_BITS] + (i & (CHUNK - 1)) * size;
}

/* One thing more, zeroed; NULL: no memory. */
static void *chunk_add(struct chunks *c, size_t size)
{
	const size_t k = c->n >> CHUNK_BITS;

	if (c->v == NULL)
		c->v = calloc(CHUNKS_CAP, sizeof(*c->v));
	if (c->v == NULL || k == CHUNKS_CAP)
		return NULL;
	if (c->v[k] == NULL && (c->v[k] = malloc(CHUNK * size)) == NULL)
		return NULL;
	return memset(chunk_get(c, c->n++, size), 0, size);
}

static void chunks_fini(struct chunks *c)
{
	for (size_t i = 0; c->v != NULL && i < CHUNKS_CAP && c->v[i] != NULL; i++)
		free(c->v[i]);
	free(c->v);
}

static struct word *word_get(const struct registry *g, size_t i)
{
	return chunk_get(&g->words, i, sizeof(struct word));
}

/* Numbers begin with 1. */
static struct rule *rule_get(const struct registry *g, uint32_t number)
{
	return chunk_get(&g->rules, number - 1, sizeof(struct rule));
}

struct registry *registry_create(void)
{
	struct registry *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->slots_cap = 1024;
	g->slots = calloc(g->slots_cap, sizeof(*g->slots));
	if (g->slots != NULL)
		return g;
	registry_destroy(g);
	errno = ENOMEM;
	return NULL;
}

void registry_destroy(struct registry *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->texts_n; i++)
		free(g->texts[i]);
	free(g->texts);
	free(g->slots);
	chunks_fini(&g->words);
	chunks_fini(&g->rules);
	free(g);
}

static char *keep_text(struct registry *g, const char *text, size_t len)
{
	char *to;

	if (g->texts_n == 0 || g->texts_used + len + 1 > TEXT_BYTES) {
		char **texts = realloc(g->texts, (g->texts_n + 1) * sizeof(*texts));

		if (texts == NULL)
			return NULL;
		g->texts = texts;
		g->texts[g->texts_n] = malloc(TEXT_BYTES);
		if (g->texts[g->texts_n] == NULL)
			return NULL;
		g->texts_n++;
		g->texts_used = 0;
	}
	to = g->texts[g->texts_n - 1] + g->texts_used;
	memcpy(to, text, len);
	to[len] = '\0';
	g->texts_used += len + 1;
	return to;
}

static bool is_word(const struct word *w, const char *text, size_t len)
{
	return w->len == len && memcmp(w->text, text, len) == 0;
}

/* The slot of a word, or the free one where it would be. */
static uint32_t *find_slot(const struct registry *g, const char *text, size_t len)
{
	for (size_t at = XXH3_64bits(text, len);; at++) {
		uint32_t *slot = &g->slots[at & (g->slots_cap - 1)];

		if (*slot == 0 || is_word(word_get(g, *slot - 1), text, len))
			return slot;
	}
}

static bool grow_slots(struct registry *g)
{
	uint32_t *slots = calloc(g->slots_cap * 2, sizeof(*slots));

	if (slots == NULL)
		return false;
	free(g->slots);
	g->slots = slots;
	g->slots_cap *= 2;
	for (size_t i = 0; i < g->words.n; i++) {
		const struct word *w = word_get(g, i);
		*find_slot(g, w->text, w->len) = (uint32_t)i + 1;
	}
	return true;
}

/* The word, new if need be; lines of one id mostly stand together. */
static struct word *intern(struct registry *g, const char *text, size_t len)
{
	uint32_t *slot;
	struct word *w;

	if (g->words.n > 0 && is_word(word_get(g, g->last), text, len))
		return word_get(g, g->last);
	slot = find_slot(g, text, len);
	if (*slot == 0) {
		char *copy = keep_text(g, text, len);

		if (copy == NULL || ((g->words.n + 1) * 2 > g->slots_cap && !grow_slots(g)))
			return NULL;
		w = chunk_add(&g->words, sizeof(*w));
		if (w == NULL)
			return NULL;
		w->text = copy;
		w->len = (uint32_t)len;
		slot = find_slot(g, text, len);
		*slot = (uint32_t)g->words.n;
	}
	g->last = *slot - 1;
	return word_get(g, g->last);
}

void registry_begin(struct registry *g)
{
	g->load++;
}

/* The rule of this word and kind, its number given out if it has none. */
static struct rule *rule_of(struct registry *g, struct word *w, enum rule_kind kind)
{
	struct rule *r;

	if (w->number[kind] != 0)
		return rule_get(g, w->number[kind]);
	r = chunk_add(&g->rules, sizeof(*r));
	if (r == NULL)
		return NULL;
	w->number[kind] = (uint32_t)g->rules.n;
	r->info = (struct rule_info){.id = w->text, .severity = -1, .kind = kind};
	return r;
}

/* A second line of a rule may repeat what the first says, or add to it. */
static bool stage(struct rule *r, const char *family, int severity, uint32_t at, char *err,
		  size_t cap)
{
	if (family != NULL && r->staged.family != NULL && family != r->staged.family) {
		snprintf(err, cap, "rule \"%s\" has family=%s here and family=%s", r->info.id,
			 family, r->staged.family);
		return false;
	}
	if (severity >= 0 && r->staged.severity >= 0 && severity != r->staged.severity) {
		snprintf(err, cap, "rule \"%s\" has severity=%d here and severity=%d", r->info.id,
			 severity, r->staged.severity);
		return false;
	}
	if ((family != NULL && r->staged.family == NULL) ||
	    (severity >= 0 && r->staged.severity < 0))
		r->staged.at = at;
	r->staged.family = family != NULL ? family : r->staged.family;
	r->staged.severity = severity >= 0 ? severity : r->staged.severity;
	return true;
}

uint32_t registry_put(struct registry *g, const struct rules_line *line, uint32_t at,
		      uint32_t *other, char *err, size_t cap)
{
	struct word *family =
	    line->family.text == NULL ? NULL : intern(g, line->family.text, line->family.len);
	struct word *w = intern(g, line->id.text, line->id.len);
	struct rule *r;

	if (w == NULL || (family == NULL && line->family.text != NULL))
		return UINT32_MAX;
	if (w->load != g->load) {
		w->load = g->load;
		w->at = at;
		w->kind = line->kind;
	}
	if (w->kind != line->kind) {
		*other = w->at;
		snprintf(err, cap, "rule \"%s\" is of kind %s here and of kind %s", w->text,
			 rule_kind_texts[line->kind], rule_kind_texts[w->kind]);
		return 0;
	}
	r = rule_of(g, w, line->kind);
	if (r == NULL)
		return UINT32_MAX;
	if (r->staged.load != g->load)
		r->staged = (struct staged){.severity = -1, .at = at, .load = g->load};
	if (!stage(r, family != NULL ? family->text : NULL, line->severity, at, err, cap)) {
		*other = r->staged.at;
		return 0;
	}
	return w->number[line->kind];
}

const char *registry_family(const struct registry *g, uint32_t number)
{
	return rule_get(g, number)->staged.family;
}

uint32_t registry_family_bit(struct registry *g, const char *family, size_t len)
{
	const struct word *w = intern(g, family, len);

	if (w == NULL)
		return UINT32_MAX;
	for (uint32_t i = 0; i < g->families_n; i++)
		if (g->families[i] == w->text)
			return i;
	if (g->families_n == SHAPE_FAMILIES)
		return SHAPE_FAMILIES;
	g->families[g->families_n] = w->text;
	return g->families_n++;
}

void registry_commit(struct registry *g)
{
	for (uint32_t i = 1; i <= g->rules.n; i++) {
		struct rule *r = rule_get(g, i);

		if (r->staged.load != g->load)
			continue;
		r->info.family = r->staged.family;
		r->info.severity = r->staged.severity;
	}
	g->committed = (uint32_t)g->rules.n;
	g->families_committed = g->families_n;
}

/* Words stay: they mean nothing without a number. */
void registry_rollback(struct registry *g)
{
	for (size_t i = 0; i < g->words.n; i++)
		for (unsigned k = 0; k < RULE_KIND_CAP; k++)
			if (word_get(g, i)->number[k] > g->committed)
				word_get(g, i)->number[k] = 0;
	g->rules.n = g->committed;
	g->families_n = g->families_committed;
}

uint32_t registry_count(const struct registry *g)
{
	return (uint32_t)g->rules.n;
}

const struct rule_info *registry_info(const struct registry *g, uint32_t number)
{
	return number == 0 || number > g->committed ? NULL : &rule_get(g, number)->info;
}

enum rule_kind registry_kind(const struct registry *g, uint32_t number)
{
	return rule_get(g, number)->info.kind;
}

uint32_t registry_number(const struct registry *g, const char *id, size_t len, enum rule_kind kind)
{
	const uint32_t slot = *find_slot(g, id, len);

	return slot == 0 ? 0 : word_get(g, slot - 1)->number[kind];
}

const char *registry_bit_family(const struct registry *g, uint32_t bit)
{
	return bit < g->families_committed ? g->families[bit] : NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules.h"

#include "../dataplane/match_hs.h"
#include "../dataplane/name.h"
#include "../dataplane/nameset.h"
#include "../dataplane/psl.h"
#include "../dataplane/sinklist.h"
#include "rules_default.h"
#include "rules_read.h"
#include "rules_registry.h"
#include "sinkholes.h"
#include "watchlist.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_CAP 1024

struct rules {
	char **paths;
	size_t paths_len;
	char *psl_path, *cache_dir, *sinkholes, *watch; /* or NULL */
	uint64_t name_seed, sketch_seed;
	struct registry *registry;
	struct watchlist *staged_list, *list;
	uint32_t generation;          /* of the last load */
	bool staged_answers, answers; /* the list of sinkholes has what answers carry */
};

/* An array that grows. */
struct vec {
	void *v;
	size_t n, cap;
};

/* A line that is no name: its rule, where it stands, its text (owned). */
struct text_line {
	uint32_t tag, at;
	char *text;
};

/* One load. A line's mark `at` is its number plus the lines of all files before. */
struct load {
	struct rules *r;
	struct rules_file *files;
	uint32_t *base; /* lines before each file */
	size_t file;    /* being read */
	struct vec exact, suffix;
	struct vec expressions, shapes; /* struct text_line */
	struct vec shape_lines;         /* struct shape_line, one for each of shapes */
	struct vec prefixes;            /* struct sinklist_prefix */
	struct vec servers, aliases;    /* struct nameset_entry; note: labels */
	uint64_t depths[2];
	uint64_t narrow; /* families of built-in shapes whose id says so */
	char *err;
	size_t cap;
};

/* Room for one thing more; NULL: no memory. */
static void *vec_add(struct vec *v, size_t size)
{
	if (v->n == v->cap) {
		const size_t cap = v->cap == 0 ? 64 : v->cap * 2;
		void *more = realloc(v->v, cap * size);

		if (more == NULL)
			return NULL;
		v->v = more;
		v->cap = cap;
	}
	return (char *)v->v + v->n++ * size;
}

static void *copy_text(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

struct rules *rules_create(const struct rules_settings *settings)
{
	struct rules *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->name_seed = settings->name_seed;
	r->sketch_seed = settings->sketch_seed;
	r->registry = registry_create();
	r->psl_path = copy_text(settings->psl_path);
	r->cache_dir = copy_text(settings->cache_dir);
	r->sinkholes = copy_text(settings->sinkholes);
	r->watch = copy_text(settings->watch);
	r->paths = calloc(settings->paths_len + 1, sizeof(*r->paths));
	if (r->registry == NULL || r->paths == NULL || (settings->psl_path && !r->psl_path) ||
	    (settings->cache_dir && !r->cache_dir) || (settings->sinkholes && !r->sinkholes) ||
	    (settings->watch && !r->watch))
		goto fail;
	for (size_t i = 0; i < settings->paths_len; i++) {
		r->paths[i] = strdup(settings->paths[i]);
		if (r->paths[i] == NULL)
			goto fail;
		r->paths_len++;
	}
	return r;
fail:
	rules_destroy(r);
	errno = ENOMEM;
	return NULL;
}

void rules_destroy(struct rules *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->paths_len; i++)
		free(r->paths[i]);
	free(r->paths);
	free(r->psl_path);
	free(r->cache_dir);
	free(r->sinkholes);
	free(r->watch);
	watchlist_destroy(r->staged_list);
	watchlist_destroy(r->list);
	registry_destroy(r->registry);
	free(r);
}

static int refuse_memory(struct load *l)
{
	snprintf(l->err, l->cap, "out of memory for rules; give fewer, or more memory");
	return -ENOMEM;
}

static int refuse(struct load *l, size_t file, uint32_t number, const char *why)
{
	snprintf(l->err, l->cap, "%s:%u: %s", l->files[file].path, number, why);
	return -EINVAL;
}

/* The file a mark is in. */
static size_t file_of(const struct load *l, uint32_t at)
{
	size_t file = l->file;

	while (file > 0 && at <= l->base[file])
		file--;
	return file;
}

static int refuse_at(struct load *l, uint32_t at, const char *why)
{
	const size_t file = file_of(l, at);

	return refuse(l, file, at - l->base[file], why);
}

static int add_name(struct load *l, struct rules_line *line, uint32_t tag, uint32_t at)
{
	struct vec *v = line->kind == RULE_EXACT ? &l->exact : &l->suffix;
	char why[WHY_CAP];
	uint8_t name[FT_NAME_CAP + NAME_PAD_BYTES] = {0};
	const uint32_t len = rules_line_name(line, name, why, sizeof(why));
	struct nameset_entry *e = len > 0 ? vec_add(v, sizeof(*e)) : NULL;
	uint32_t labels = 0;

	if (len == 0)
		return refuse_at(l, at, why);
	if (e == NULL)
		return refuse_memory(l);
	*e = (struct nameset_entry){name_hash_padded(name, len, l->r->name_seed), tag, at};
	if (line->kind != RULE_EXACT) {
		for (uint32_t i = 0; name[i] != 0; i += name[i] + 1u)
			labels++;
		l->depths[labels / 64] |= 1ull << labels % 64;
	}
	return 0;
}

static int add_text(struct load *l, struct vec *v, const struct rules_line *line, uint32_t tag,
		    uint32_t at)
{
	char *text = strndup(line->argument.text, line->argument.len);
	struct text_line *t = text != NULL ? vec_add(v, sizeof(*t)) : NULL;

	if (t == NULL) {
		free(text);
		return refuse_memory(l);
	}
	*t = (struct text_line){tag, at, text};
	return 0;
}

static int add_shape(struct load *l, const struct rules_line *line, uint32_t tag, uint32_t at)
{
	char why[WHY_CAP];
	struct shape_line *s = vec_add(&l->shape_lines, sizeof(*s));
	int rc = s != NULL ? add_text(l, &l->shapes, line, tag, at) : refuse_memory(l);

	if (rc != 0)
		return rc;
	struct text_line *t = (struct text_line *)l->shapes.v + l->shapes.n - 1;
	if (rules_line_shape(line, t->text, s, why, sizeof(why)) != 0)
		return refuse_at(l, at, why);
	s->tag = tag;
	s->family = SHAPE_FAMILIES;
	return 0;
}

static int add_line(struct load *l, struct rules_line *line)
{
	const uint32_t at = l->base[l->file] + line->number;
	char why[WHY_CAP], more[2 * WHY_CAP];
	uint32_t other = 0;
	const uint32_t tag = registry_put(l->r->registry, line, at, &other, why, sizeof(why));

	if (tag == UINT32_MAX)
		return refuse_memory(l);
	if (tag == 0) {
		const size_t file = file_of(l, other);

		snprintf(more, sizeof(more),
			 "%s in %s:%u; let both say the same, or give one another id", why,
			 l->files[file].path, other - l->base[file]);
		return refuse_at(l, at, more);
	}
	switch (line->kind) {
	case RULE_REGEX: return add_text(l, &l->expressions, line, tag, at);
	case RULE_SHAPE: return add_shape(l, line, tag, at);
	default: return add_name(l, line, tag, at);
	}
}

static int read_file(struct load *l, const char *path)
{
	struct rules_file *f = &l->files[l->file];
	struct rules_line line = {0};
	char why[WHY_CAP];
	size_t at = 0;
	int rc = rules_file_read(f, path, l->err, l->cap);

	if (rc != 0)
		return rc;
	while ((rc = rules_file_next(f, &at, &line, why, sizeof(why))) == 1) {
		rc = add_line(l, &line);
		if (rc != 0)
			return rc;
	}
	if (rc < 0)
		return refuse(l, l->file, line.number, why);
	l->base[l->file + 1] = l->base[l->file] + line.number;
	return 0;
}

/* The number of a group of sinkholes; 0: no memory. A rule's id holds no blank, so that
 * rules and groups of one name do not meet. */
static uint32_t group_number(struct load *l, const struct sinkhole_line *line)
{
	char id[RULES_ID_CAP + 1] = SINKHOLE_ID_PREFIX, why[WHY_CAP];
	uint32_t other, n = (uint32_t)strlen(id);

	memcpy(id + n, line->group.text, line->group.len);
	const struct rules_line rule = {
	    .kind = RULE_SINKHOLE,
	    .id = {id, n + line->group.len},
	    .severity = -1,
	};
	const uint32_t tag = registry_put(l->r->registry, &rule, 0, &other, why, sizeof(why));
	return tag != UINT32_MAX ? tag : 0;
}

static int add_sinkhole(struct load *l, const struct sinkhole_line *line)
{
	uint8_t padded[FT_NAME_CAP + NAME_PAD_BYTES] = {0};
	const uint32_t tag = group_number(l, line);
	struct vec *v = line->kind == SINKHOLE_NS      ? &l->servers
			: line->kind == SINKHOLE_CNAME ? &l->aliases
						       : &l->suffix;

	if (tag == 0)
		return refuse_memory(l);
	if (line->kind == SINKHOLE_IP) {
		struct sinklist_prefix *p = vec_add(&l->prefixes, sizeof(*p));
		if (p == NULL)
			return refuse_memory(l);
		*p = (struct sinklist_prefix){.bits = line->prefix.bits, .tag = tag};
		memcpy(p->addr.b, line->prefix.addr, sizeof(p->addr.b));
		return 0;
	}
	struct nameset_entry *e = vec_add(v, sizeof(*e));
	if (e == NULL)
		return refuse_memory(l);
	memcpy(padded, line->name, line->name_len);
	*e = (struct nameset_entry){name_hash_padded(padded, line->name_len, l->r->name_seed), tag,
				    line->labels};
	if (line->kind == SINKHOLE_NAME)
		l->depths[line->labels / 64] |= 1ull << line->labels % 64;
	return 0;
}

static int read_sinkholes(struct load *l)
{
	struct sinkhole_line line = {0};
	struct rules_file f;
	char why[WHY_CAP];
	size_t at = 0;
	int rc;

	if (l->r->sinkholes == NULL)
		return 0;
	rc = rules_file_read(&f, l->r->sinkholes, l->err, l->cap);
	if (rc != 0)
		return rc;
	while ((rc = sinkholes_next(&f, &at, &line, why, sizeof(why))) == 1) {
		rc = add_sinkhole(l, &line);
		if (rc != 0)
			break;
	}
	if (rc == -EINVAL)
		snprintf(l->err, l->cap, "%s:%u: %s", l->r->sinkholes, line.number, why);
	rules_file_fini(&f);
	return rc;
}

static int compile_sinkholes(struct load *l, struct ruleset_parts *p)
{
	const struct sinklist_parts parts = {
	    .prefix = l->prefixes.v,
	    .prefixes = l->prefixes.n,
	    .ns = l->servers.v,
	    .cname = l->aliases.v,
	    .servers = l->servers.n,
	    .aliases = l->aliases.n,
	    .name_seed = l->r->name_seed,
	};

	l->r->staged_answers = parts.prefixes + parts.servers + parts.aliases != 0;
	if (!l->r->staged_answers)
		return 0;
	p->sinks = sinklist_create(&parts);
	return p->sinks != NULL ? 0 : refuse_memory(l);
}

#define NARROW_PREFIX "narrow-"
/* Owners by type, and their registered domains. */
static int compile_watch(const struct load *l, struct ruleset_parts *p)
{
	const struct watchlist *list = l->r->staged_list;
	const size_t n = list != NULL ? list->n : 0;
	struct nameset_entry *e = n != 0 ? calloc(2 * n, sizeof(*e)) : NULL;

	if (n == 0)
		return 0;
	for (size_t i = 0; e != NULL && i < n; i++) {
		const struct watchlist_entry *w = &list->v[i];
		uint32_t suffix;
		const uint32_t off = psl_domain_off(p->psl, w->owner, w->owner_len, &suffix);
		e[i] = (struct nameset_entry){name_hash(w->owner, w->owner_len, l->r->name_seed),
					      w->qtype, 0};
		e[n + i] = (struct nameset_entry){
		    name_hash(w->owner + off, w->owner_len - off, l->r->name_seed), 1, 0};
	}
	if (e != NULL) {
		p->watched = nameset_create(e, n);
		p->near = nameset_create(e + n, n);
		free(e);
	}
	return p->watched != NULL && p->near != NULL ? 0 : -ENOMEM;
}

/* The built-in shapes: families alone, no rules. */
static int read_default_shapes(struct load *l)
{
	const struct rules_file f = {"rules/shapes.rules", (char *)(uintptr_t)shapes_rules_text,
				     shapes_rules_len};
	struct rules_line line = {0};
	size_t at = 0;
	int rc;

	while ((rc = rules_file_next(&f, &at, &line, l->err, l->cap)) == 1) {
		rc = add_shape(l, &line, 0, 0);
		if (rc != 0)
			return rc;
		if (line.family.text == NULL)
			continue;
		const uint32_t bit =
		    registry_family_bit(l->r->registry, line.family.text, line.family.len);
		if (bit == UINT32_MAX)
			return refuse_memory(l);
		((struct shape_line *)l->shape_lines.v)[l->shape_lines.n - 1].family = bit;
		if (bit < SHAPE_FAMILIES && line.id.len > sizeof(NARROW_PREFIX) - 1 &&
		    memcmp(line.id.text, NARROW_PREFIX, sizeof(NARROW_PREFIX) - 1) == 0)
			l->narrow |= 1ull << bit;
	}
	return rc;
}

/* A rule's family is known when all its lines are. */
static int put_families(struct load *l)
{
	struct shape_line *lines = l->shape_lines.v;
	const struct text_line *texts = l->shapes.v;

	for (size_t i = 0; i < l->shape_lines.n; i++) {
		const char *family =
		    lines[i].tag != 0 ? registry_family(l->r->registry, lines[i].tag) : NULL;

		if (family == NULL)
			continue;
		lines[i].family = registry_family_bit(l->r->registry, family, strlen(family));
		if (lines[i].family == UINT32_MAX)
			return refuse_memory(l);
		if (lines[i].family == SHAPE_FAMILIES)
			return refuse_at(
			    l, texts[i].at,
			    "one family of shapes too many: there can be 64, the "
			    "built-in ones among them; use one that there is, or none");
	}
	return 0;
}

static int compile_expressions(struct load *l, struct ruleset_parts *p)
{
	const struct text_line *texts = l->expressions.v;
	const size_t n = l->expressions.n;
	struct match_hs_line *lines = malloc((n + 1) * sizeof(*lines));
	char why[WHY_CAP] = "";
	size_t bad = 0;
	int rc = 0;

	if (lines == NULL)
		return refuse_memory(l);
	for (size_t i = 0; i < n; i++)
		lines[i] = (struct match_hs_line){texts[i].text, texts[i].tag};
	p->patterns = n;
	if (n > 0) {
		p->expressions = match_hs_create(lines, n, l->r->cache_dir, &bad, why, sizeof(why));
		if (p->expressions == NULL && errno != EINVAL)
			rc = refuse_memory(l);
		else if (p->expressions == NULL && bad < n)
			rc = refuse_at(l, texts[bad].at, why);
		else if (p->expressions == NULL) {
			snprintf(l->err, l->cap, "regex rules: %s", why);
			rc = -EINVAL;
		}
	}
	free(lines);
	return rc;
}

static int compile_names(struct load *l, struct ruleset_parts *p)
{
	if (l->exact.n > 0 && (p->exact = nameset_create(l->exact.v, l->exact.n)) == NULL)
		return refuse_memory(l);
	if (l->suffix.n > 0 && (p->suffix = nameset_create(l->suffix.v, l->suffix.n)) == NULL)
		return refuse_memory(l);
	memcpy(p->depths, l->depths, sizeof(p->depths));
	return 0;
}

/* Names with a family are lists of malware; without one, lists of anything. */
static uint8_t kind_of(const struct load *l, uint32_t tag)
{
	const enum rule_kind kind = registry_kind(l->r->registry, tag);
	const bool names = kind == RULE_EXACT || kind == RULE_SUFFIX;

	return (uint8_t)(kind |
			 (names && registry_family(l->r->registry, tag) != NULL ? RULE_LISTED : 0));
}

static int compile_kinds(struct load *l, struct ruleset_parts *p)
{
	p->tags_cap = registry_count(l->r->registry) + 1;
	p->kinds = malloc(p->tags_cap);
	if (p->kinds == NULL)
		return refuse_memory(l);
	p->kinds[0] = RULE_KIND_CAP;
	for (uint32_t tag = 1; tag < p->tags_cap; tag++)
		p->kinds[tag] = kind_of(l, tag);
	return 0;
}

static struct ruleset *compile(struct load *l)
{
	struct ruleset_parts p = {
	    .generation = l->r->generation + 1,
	    .name_seed = l->r->name_seed,
	    .sketch_seed = l->r->sketch_seed,
	    .narrow = l->narrow,
	};
	struct ruleset *set = NULL;

	p.psl = psl_create(l->r->psl_path, l->err, l->cap);
	if (p.psl == NULL)
		return NULL;
	if (compile_names(l, &p) != 0 || compile_sinkholes(l, &p) != 0 ||
	    compile_kinds(l, &p) != 0 || compile_expressions(l, &p) != 0)
		goto undo_parts;
	if (compile_watch(l, &p) != 0) {
		refuse_memory(l);
		goto undo_parts;
	}
	p.shapes = shapes_create(l->shape_lines.v, l->shape_lines.n);
	set = p.shapes != NULL ? ruleset_create(&p) : NULL;
	if (set != NULL)
		return set;
	refuse_memory(l);
undo_parts:
	shapes_destroy(p.shapes);
	match_hs_destroy(p.expressions);
	sinklist_destroy(p.sinks);
	nameset_destroy(p.watched);
	nameset_destroy(p.near);
	nameset_destroy(p.exact);
	nameset_destroy(p.suffix);
	psl_destroy(p.psl);
	free(p.kinds);
	return NULL;
}

static void load_fini(struct load *l)
{
	for (size_t i = 0; i < l->expressions.n; i++)
		free(((struct text_line *)l->expressions.v)[i].text);
	for (size_t i = 0; i < l->shapes.n; i++)
		free(((struct text_line *)l->shapes.v)[i].text);
	for (size_t i = 0; l->files != NULL && i < l->r->paths_len; i++)
		rules_file_fini(&l->files[i]);
	free(l->expressions.v);
	free(l->shapes.v);
	free(l->shape_lines.v);
	free(l->exact.v);
	free(l->suffix.v);
	free(l->prefixes.v);
	free(l->servers.v);
	free(l->aliases.v);
	free(l->files);
	free(l->base);
}

static int read_all(struct load *l)
{
	int rc = read_default_shapes(l);

	for (l->file = 0; rc == 0 && l->file < l->r->paths_len; l->file++)
		rc = read_file(l, l->r->paths[l->file]);
	l->file -= l->file > 0;
	if (rc == 0)
		rc = read_sinkholes(l);
	if (rc == 0 && l->r->watch != NULL) {
		l->r->staged_list = watchlist_read(l->r->watch, l->err, l->cap);
		rc = l->r->staged_list != NULL ? 0 : -EINVAL;
	}
	return rc == 0 ? put_families(l) : rc;
}

struct ruleset *rules_stage(struct rules *r, char *err, size_t cap)
{
	struct load l = {.r = r, .err = err, .cap = cap};
	struct ruleset *set = NULL;

	registry_begin(r->registry);
	watchlist_destroy(r->staged_list);
	r->staged_list = NULL;
	l.files = calloc(r->paths_len + 1, sizeof(*l.files));
	l.base = calloc(r->paths_len + 1, sizeof(*l.base));
	if (l.files == NULL || l.base == NULL)
		refuse_memory(&l);
	else if (read_all(&l) == 0)
		set = compile(&l);
	load_fini(&l);
	return set;
}

void rules_settle(struct rules *r, bool keep)
{
	if (keep) {
		watchlist_destroy(r->list);
		r->list = r->staged_list;
	} else {
		watchlist_destroy(r->staged_list);
	}
	r->staged_list = NULL;
	if (!keep) {
		registry_rollback(r->registry);
		return;
	}
	registry_commit(r->registry);
	r->generation++;
	if (r->list != NULL)
		r->list->serial = r->generation;
	r->answers = r->staged_answers;
}

struct ruleset *rules_load(struct rules *r, char *err, size_t cap)
{
	struct ruleset *set = rules_stage(r, err, cap);

	rules_settle(r, set != NULL);
	return set;
}

const struct watchlist *rules_watch(const struct rules *r)
{
	return r->list;
}

const struct rule_info *rules_info(const struct rules *r, uint32_t number)
{
	return registry_info(r->registry, number);
}

bool rules_have_answers(const struct rules *r)
{
	return r->answers;
}

size_t rules_count(const struct rules *r)
{
	return registry_count(r->registry);
}

uint32_t rules_number(const struct rules *r, const char *id, size_t len, enum rule_kind kind)
{
	return registry_number(r->registry, id, len, kind);
}

const char *rules_family(const struct rules *r, unsigned bit)
{
	return registry_bit_family(r->registry, bit);
}

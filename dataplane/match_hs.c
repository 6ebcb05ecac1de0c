/* SPDX-License-Identifier: BSD-3-Clause */
#include "match_hs.h"
#include "match_cache.h"
#include "match_table.h"

#include <errno.h>
#include <hs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FLAGS (HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH)

/* A different expression of the lines, and whose it is. */
struct expression {
	const char *text; /* the line's: only while control compiles */
	uint32_t line;    /* the first that has it */
	uint32_t tag_at, tag_n;
	unsigned flags;
};

/* Expressions that are scanned for together: by whether they begin with '^' and end with
 * '$'. That much alike they make automata of a kind; all in one database they took
 * three times as long. Any division would be right. */
#define GROUPS 4u
struct group {
	hs_database_t *db; /* NULL: no expressions */
	uint32_t *numbers; /* number in the database to expression */
	uint32_t n;
};

/* Simple expressions are matched by tables, the others by databases. Expressions are
 * sorted, and a database knows them by their places in its group: it depends neither on
 * the lines' order nor on their tags. */
struct match_hs {
	struct expression *expressions;
	uint32_t n;
	uint32_t *tags;
	struct group groups[GROUPS];
	struct match_table *table;
};

struct match_hs_scratch {
	hs_scratch_t *hs; /* NULL: nothing to scan for */
	struct match_view view;
};

struct found {
	const struct match_hs *m;
	const struct group *group;
	uint32_t name;
	match_hs_fn fn;
	void *ctx;
};

static void on_form(void *ctx, uint32_t id)
{
	const struct found *f = ctx;
	const struct expression *e = &f->m->expressions[id];

	for (uint32_t i = 0; i < e->tag_n; i++)
		f->fn(f->ctx, f->name, f->m->tags[e->tag_at + i]);
}

static int on_match(unsigned id, unsigned long long begin, unsigned long long end, unsigned flags,
		    void *ctx)
{
	const struct found *f = ctx;

	(void)begin;
	(void)end;
	(void)flags;
	if (id < f->group->n)
		on_form(ctx, f->group->numbers[id]);
	return 0;
}

/* All databases on one name. */
static void scan(const struct match_hs *m, struct match_hs_scratch *s, struct found *f)
{
	uint32_t len;
	const char *text = match_view_text(&s->view, &len);

	for (uint32_t g = 0; g < GROUPS; g++) {
		f->group = &m->groups[g];
		if (f->group->db != NULL)
			(void)hs_scan(f->group->db, text, len, 0, s->hs, on_match, f);
	}
}

void match_hs_step(const struct match_hs *m, struct match_hs_scratch *s,
		   const struct match_hs_name *names, uint32_t n, match_hs_fn fn, void *ctx)
{
	for (uint32_t i = 0; i < n; i++) {
		struct found f = {m, NULL, i, fn, ctx};

		match_view_init(&s->view, names[i].folded, names[i].len);
		match_table_step(m->table, &s->view, on_form, &f);
		if (s->hs != NULL)
			scan(m, s, &f);
	}
}

size_t match_hs_scanned(const struct match_hs *m)
{
	size_t n = 0;

	for (uint32_t g = 0; g < GROUPS; g++)
		n += m->groups[g].n;
	return n;
}

struct sorted_line {
	const char *text;
	uint32_t line;
};

static int compare_lines(const void *a, const void *b)
{
	const struct sorted_line *x = a, *y = b;
	const int c = strcmp(x->text, y->text);

	return c != 0 ? c : x->line < y->line ? -1 : x->line > y->line;
}

/* Sorts the lines into different expressions and their tags. */
static int collect(struct match_hs *m, const struct match_hs_line *lines, size_t n)
{
	struct sorted_line *sorted = calloc(n + 1, sizeof(*sorted));

	m->expressions = calloc(n + 1, sizeof(*m->expressions));
	m->tags = calloc(n + 1, sizeof(*m->tags));
	if (sorted == NULL || m->expressions == NULL || m->tags == NULL || n > UINT32_MAX) {
		free(sorted);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = (struct sorted_line){lines[i].expression, i};
	qsort(sorted, n, sizeof(*sorted), compare_lines);
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(sorted[i].text, sorted[i - 1].text) != 0)
			m->expressions[m->n++] = (struct expression){.text = sorted[i].text,
								     .line = sorted[i].line,
								     .tag_at = i,
								     .flags = FLAGS};
		m->tags[i] = lines[sorted[i].line].tag;
		m->expressions[m->n - 1].tag_n++;
	}
	free(sorted);
	return 0;
}

/* Takes over the library's reason. */
static int refuse(hs_compile_error_t *error, char *err, size_t cap)
{
	(void)snprintf(err, cap, "%s", error != NULL ? error->message : "no memory");
	if (error == NULL)
		return -ENOMEM;
	hs_free_compile_error(error);
	return -EINVAL;
}

struct adding {
	struct match_table *table;
	uint32_t id;
};

static int add_form(void *ctx, const struct form *f)
{
	const struct adding *a = ctx;

	return match_table_add(a->table, f, a->id);
}

static struct group *group_of(struct match_hs *m, const char *text)
{
	const size_t n = strlen(text);

	return &m->groups[2 * (text[0] == '^') + (n > 0 && text[n - 1] == '$')];
}

/* Puts simple expressions into the table and the others into groups. */
static int divide(struct match_hs *m)
{
	m->table = match_table_create();
	if (m->table == NULL)
		return -ENOMEM;
	for (uint32_t g = 0; g < GROUPS; g++) {
		m->groups[g].numbers = calloc(m->n + 1u, sizeof(*m->groups[g].numbers));
		if (m->groups[g].numbers == NULL)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < m->n; i++) {
		struct adding a = {m->table, i};
		int r = 0;
		const bool simple = form_read(m->expressions[i].text, add_form, &a, &r);
		if (r != 0)
			return r;
		struct group *g = group_of(m, m->expressions[i].text);
		if (!simple)
			g->numbers[g->n++] = i;
	}
	return match_table_build(m->table);
}

/* Looks at each expression of a group alone: the first line that is wrong, and which can
 * match nothing at all. The table's are right, and looking at them takes longer than all
 * else of a start. */
static int inspect(struct match_hs *m, const struct group *g, size_t *bad, char *err, size_t cap)
{
	int r = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		struct expression *e = &m->expressions[g->numbers[i]];
		hs_expr_info_t *info = NULL;
		hs_compile_error_t *error = NULL;
		if (hs_expression_info(e->text, e->flags, &info, &error) == HS_SUCCESS) {
			e->flags |= info->min_width == 0 ? HS_FLAG_ALLOWEMPTY : 0u;
			free(info);
		} else if (e->line < *bad) {
			*bad = e->line;
			r = refuse(error, err, cap);
		} else {
			hs_free_compile_error(error);
		}
	}
	return r;
}

/* What a compiled database depends on. False: no memory. */
static bool make_key(const struct match_hs *m, const struct group *g, struct match_cache_key *key)
{
	struct {
		uint32_t tune, mode;
		uint64_t features;
	} machine = {0, HS_MODE_BLOCK, 0};
	hs_platform_info_t platform = {0};
	XXH3_state_t *state = XXH3_createState();

	if (state == NULL)
		return false;
	if (hs_populate_platform(&platform) == HS_SUCCESS) {
		machine.tune = platform.tune;
		machine.features = platform.cpu_features;
	}
	(void)XXH3_128bits_reset(state);
	(void)XXH3_128bits_update(state, hs_version(), strlen(hs_version()) + 1);
	(void)XXH3_128bits_update(state, &machine, sizeof(machine));
	for (uint32_t i = 0; i < g->n; i++) {
		const struct expression *e = &m->expressions[g->numbers[i]];
		(void)XXH3_128bits_update(state, &e->flags, sizeof(e->flags));
		(void)XXH3_128bits_update(state, e->text, strlen(e->text) + 1);
	}
	const XXH128_hash_t hash = XXH3_128bits_digest(state);
	XXH3_freeState(state);
	*key = (struct match_cache_key){hash.low64, hash.high64};
	return true;
}

static int compile(const struct match_hs *m, struct group *g, size_t *bad, char *err, size_t cap)
{
	const char **texts = calloc(g->n, sizeof(*texts));
	unsigned *flags = calloc(g->n, sizeof(*flags)), *ids = calloc(g->n, sizeof(*ids));
	hs_compile_error_t *error = NULL;
	int r = -ENOMEM;

	if (texts == NULL || flags == NULL || ids == NULL)
		goto done;
	for (uint32_t i = 0; i < g->n; i++) {
		texts[i] = m->expressions[g->numbers[i]].text;
		flags[i] = m->expressions[g->numbers[i]].flags;
		ids[i] = i;
	}
	r = 0;
	if (hs_compile_multi(texts, flags, ids, g->n, HS_MODE_BLOCK, NULL, &g->db, &error) !=
	    HS_SUCCESS) {
		if (error != NULL && error->expression >= 0)
			*bad = m->expressions[g->numbers[error->expression]].line;
		r = refuse(error, err, cap);
	}
done:
	free(texts);
	free(flags);
	free(ids);
	return r;
}

/* From the cache, or compiled and put there. That it could not be kept costs time at
 * the next start alone. */
static int make_database(const struct match_hs *m, struct group *g, const char *cache_dir,
			 size_t *bad, char *err, size_t cap)
{
	struct match_cache_key key = {0, 0};
	size_t len = 0;

	if (cache_dir != NULL && !make_key(m, g, &key))
		cache_dir = NULL;
	uint8_t *bytes = cache_dir != NULL ? match_cache_get(cache_dir, key, &len) : NULL;

	if (bytes != NULL) {
		const hs_error_t r = hs_deserialize_database((char *)bytes, len, &g->db);
		free(bytes);
		if (r == HS_SUCCESS)
			return 0;
		g->db = NULL;
	}
	const int r = compile(m, g, bad, err, cap);
	char *out = NULL;
	if (r == 0 && cache_dir != NULL && hs_serialize_database(g->db, &out, &len) == HS_SUCCESS) {
		(void)match_cache_put(cache_dir, key, out, len);
		free(out);
	}
	return r;
}

struct match_hs *match_hs_create(const struct match_hs_line *lines, size_t n, const char *cache_dir,
				 size_t *bad, char *err, size_t cap)
{
	struct match_hs *m = calloc(1, sizeof(*m));
	int r = m == NULL ? -ENOMEM : collect(m, lines, n);

	*bad = SIZE_MAX;
	if (r == -ENOMEM)
		(void)snprintf(err, cap, "no memory");
	if (r == 0)
		r = divide(m);
	for (uint32_t g = 0; g < GROUPS && (r == 0 || r == -EINVAL); g++) {
		const int wrong = inspect(m, &m->groups[g], bad, err, cap);
		r = wrong != 0 ? wrong : r;
	}
	for (uint32_t g = 0; g < GROUPS && r == 0; g++)
		if (m->groups[g].n > 0)
			r = make_database(m, &m->groups[g], cache_dir, bad, err, cap);
	if (r == 0)
		return m;
	match_hs_destroy(m);
	errno = -r;
	return NULL;
}

void match_hs_destroy(struct match_hs *m)
{
	if (m == NULL)
		return;
	for (uint32_t g = 0; g < GROUPS; g++) {
		(void)hs_free_database(m->groups[g].db);
		free(m->groups[g].numbers);
	}
	free(m->expressions);
	free(m->tags);
	match_table_destroy(m->table);
	free(m);
}

struct match_hs_scratch *match_hs_scratch_create(const struct match_hs *m)
{
	struct match_hs_scratch *s = calloc(1, sizeof(*s));

	for (uint32_t g = 0; g < GROUPS && s != NULL; g++) {
		if (m->groups[g].db == NULL ||
		    hs_alloc_scratch(m->groups[g].db, &s->hs) == HS_SUCCESS)
			continue;
		match_hs_scratch_destroy(s);
		s = NULL;
		errno = ENOMEM;
	}
	return s;
}

void match_hs_scratch_destroy(struct match_hs_scratch *s)
{
	if (s == NULL)
		return;
	(void)hs_free_scratch(s->hs);
	free(s);
}

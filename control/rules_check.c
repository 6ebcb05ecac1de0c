/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules_cli.h"

#include "../dataplane/mem.h"
#include "../dataplane/name.h"
#include "../dataplane/nameset.h"
#include "../dataplane/psl.h"
#include "exit.h"
#include "report.h"
#include "rules_read.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHOWN_CAP 20 /* warnings of one sort that are printed */

enum sort { REPEATED, COVERED, STAR, PUBLIC, LAST_DOT, SORT_CAP };
static const char *const sort_texts[SORT_CAP] = {
    [REPEATED] = "repeats",
    [COVERED] = "is covered by the shorter suffix of the same rule in",
    [STAR] = "\"*\" is an ordinary character; for all names below one write suffix NAME",
    [PUBLIC] = "this is a public suffix: the rule matches every domain below it",
    [LAST_DOT] = "names are searched without their last dot: this may never match",
};

/* A line's mark is its number plus the lines of all files before. */
struct warning {
	uint32_t at, other; /* other 0: none */
	enum sort sort;
};

struct check {
	const struct rules_settings *settings;
	const struct rules *rules;
	struct rules_file *files;
	uint32_t *base;
	size_t file;
	struct nameset_entry *entries; /* a line each, the mark in note */
	size_t n, cap;
	struct nameset *set;
	struct psl *psl;
	struct warning *warnings;
	size_t warnings_n, warnings_cap;
	size_t rules_n[RULE_KIND_CAP], lines[RULE_KIND_CAP], distinct[RULE_KIND_CAP];
};

static bool grow(void *array, size_t n, size_t *cap, size_t size)
{
	void **v = array;
	void *more;

	if (n < *cap)
		return true;
	more = realloc(*v, (*cap * 2 + 64) * size);
	if (more == NULL)
		return false;
	*v = more;
	*cap = *cap * 2 + 64;
	return true;
}

static int warn(struct check *c, enum sort sort, uint32_t at, uint32_t other)
{
	if (!grow(&c->warnings, c->warnings_n, &c->warnings_cap, sizeof(*c->warnings)))
		return -ENOMEM;
	c->warnings[c->warnings_n++] = (struct warning){at, other, sort};
	return 0;
}

static bool is_name(enum rule_kind kind)
{
	return kind == RULE_EXACT || kind == RULE_SUFFIX || kind == RULE_DNSBL;
}

static uint32_t tag_of(const struct check *c, const struct rules_line *line)
{
	return rules_number(c->rules, line->id.text, line->id.len, line->kind);
}

/* First walk: an entry for each line, equal where lines say the same. */
static int enter(struct check *c, const struct rules_line *line, uint32_t at)
{
	const uint64_t seed = c->settings->name_seed;
	uint8_t name[FT_NAME_CAP];
	char why[256];
	uint64_t key;

	if (!grow(&c->entries, c->n, &c->cap, sizeof(*c->entries)))
		return -ENOMEM;
	if (is_name(line->kind))
		key = name_hash(name, rules_line_name(line, name, why, sizeof(why)), seed);
	else
		key = name_sketch_hash((const uint8_t *)line->argument.text, line->argument.len,
				       seed);
	c->entries[c->n++] = (struct nameset_entry){key, tag_of(c, line), at};
	c->lines[line->kind]++;
	return 0;
}

/* Entries are sorted. The mark of the first line that lists a name; 0: none does. */
static uint32_t line_of(const struct check *c, uint64_t key, uint32_t tag)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const struct nameset_entry *e = &c->entries[mid];

		if (e->key < key || (e->key == key && e->tag < tag))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && c->entries[lo].key == key && c->entries[lo].tag == tag
		   ? c->entries[lo].note
		   : 0;
}

static int look_at_suffix(struct check *c, const struct rules_line *line, uint32_t at,
			  const uint8_t *name, uint32_t len)
{
	const uint32_t tag = tag_of(c, line);
	uint32_t suffix_off, other = 0;

	psl_domain_off(c->psl, name, len, &suffix_off);
	if (suffix_off == 0 && (len == 1 || psl_knows_tld(c->psl, name, len)))
		return warn(c, PUBLIC, at, 0);
	for (uint32_t off = 0; other == 0 && name[off] != 0;) {
		const uint32_t *tags;

		off += name[off] + 1u;
		const uint64_t key = name_hash(name + off, len - off, c->settings->name_seed);
		if (nameset_get(c->set, key, &tags) > 0)
			other = line_of(c, key, tag);
	}
	return other != 0 ? warn(c, COVERED, at, other) : 0;
}

/* Second walk: what a line alone, or with the set of all, says. */
static int look_at(struct check *c, const struct rules_line *line, uint32_t at)
{
	uint8_t name[FT_NAME_CAP];
	char why[256];
	uint32_t len;
	int rc = 0;

	if (line->kind == RULE_REGEX && line->argument.len >= 3 &&
	    memcmp(line->argument.text + line->argument.len - 3, "\\.$", 3) == 0)
		return warn(c, LAST_DOT, at, 0);
	if (!is_name(line->kind))
		return 0;
	len = rules_line_name(line, name, why, sizeof(why));
	if (name[0] == 1 && name[1] == '*')
		rc = warn(c, STAR, at, 0);
	return rc == 0 && line->kind == RULE_SUFFIX ? look_at_suffix(c, line, at, name, len) : rc;
}

/* All lines of all files; they were read without fault before. */
static int walk(struct check *c, int (*fn)(struct check *, const struct rules_line *, uint32_t))
{
	char err[256];

	for (size_t i = 0; i < c->settings->paths_len; i++) {
		struct rules_line line = {0};
		size_t at = 0;

		while (rules_file_next(&c->files[i], &at, &line, err, sizeof(err)) == 1) {
			if (fn(c, &line, c->base[i] + line.number) != 0)
				return -ENOMEM;
		}
		c->base[i + 1] = c->base[i] + line.number;
	}
	return 0;
}

static int find_repeated(struct check *c)
{
	for (size_t i = 0, first = 0; i < c->n; i++) {
		const struct nameset_entry *e = &c->entries[i], *f = &c->entries[first];

		if (i > 0 && e->key == f->key && e->tag == f->tag) {
			if (warn(c, REPEATED, e->note, f->note) != 0)
				return -ENOMEM;
			continue;
		}
		first = i;
		c->distinct[rules_info(c->rules, e->tag)->kind]++;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct warning *x = a, *y = b;

	return x->at != y->at ? (x->at < y->at ? -1 : 1) : (int)x->sort - (int)y->sort;
}

static void print_place(const struct check *c, uint32_t at)
{
	size_t file = c->settings->paths_len - 1;

	while (file > 0 && at <= c->base[file])
		file--;
	printf("%s:%u", c->files[file].path, at - c->base[file]);
}

static void print_warnings(const struct check *c)
{
	size_t counts[SORT_CAP] = {0};
	char text[REPORT_NUMBER_CAP];

	if (c->warnings_n > 0)
		qsort(c->warnings, c->warnings_n, sizeof(*c->warnings), compare);
	for (size_t i = 0; i < c->warnings_n; i++) {
		const struct warning *w = &c->warnings[i];

		if (counts[w->sort]++ >= SHOWN_CAP)
			continue;
		print_place(c, w->at);
		printf(": warning: %s", sort_texts[w->sort]);
		if (w->other != 0) {
			putchar(' ');
			print_place(c, w->other);
		}
		putchar('\n');
	}
	for (unsigned i = 0; i < SORT_CAP; i++)
		if (counts[i] > SHOWN_CAP)
			printf("... and %s more: %s\n", report_number(text, counts[i] - SHOWN_CAP),
			       sort_texts[i]);
	if (c->warnings_n > 0)
		putchar('\n');
}

struct cost {
	double seconds;
	size_t bytes;
};

static struct cost cost_now(void)
{
	const struct mallinfo2 m = mallinfo2();
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (struct cost){(double)t.tv_sec + (double)t.tv_nsec * 1e-9,
			     m.uordblks + m.hblkhd + mem_mapped(MEM_HUGE) +
				 mem_mapped(MEM_ORDINARY)};
}

static void print_table(const struct check *c, const struct ruleset *set, const struct cost *a,
			const struct cost *b)
{
	char rules[REPORT_NUMBER_CAP], lines[REPORT_NUMBER_CAP], distinct[REPORT_NUMBER_CAP];

	printf("%-8s %12s %12s %12s\n", "kind", "rules", "lines", "distinct");
	for (unsigned k = 0; k < RULE_SINKHOLE; k++)
		printf("%-8s %12s %12s %12s\n", rule_kind_texts[k],
		       report_number(rules, c->rules_n[k]), report_number(lines, c->lines[k]),
		       report_number(distinct, c->distinct[k]));
	printf("\nnames    %12s\npatterns %12s\n", report_number(lines, ruleset_listed_names(set)),
	       report_number(rules, ruleset_patterns(set)));
	printf("memory   %12.1f MiB\ntime     %12.2f s\nwarnings %12s\n",
	       (double)(b->bytes > a->bytes ? b->bytes - a->bytes : 0) / (1 << 20),
	       b->seconds - a->seconds, report_number(distinct, c->warnings_n));
}

static int explain(struct check *c, char *err, size_t cap)
{
	for (size_t i = 0; i < c->settings->paths_len; i++)
		if (rules_file_read(&c->files[i], c->settings->paths[i], err, cap) != 0)
			return -EIO;
	c->psl = psl_create(c->settings->psl_path, err, cap);
	if (c->psl == NULL)
		return -EIO;
	snprintf(err, cap, "out of memory");
	if (walk(c, enter) != 0)
		return -ENOMEM;
	c->set = nameset_create(c->entries, c->n);
	if (c->set == NULL || find_repeated(c) != 0 || walk(c, look_at) != 0)
		return -ENOMEM;
	for (uint32_t i = 1; i <= rules_count(c->rules); i++)
		c->rules_n[rules_info(c->rules, i)->kind]++;
	return 0;
}

static void check_fini(struct check *c)
{
	for (size_t i = 0; c->files != NULL && i < c->settings->paths_len; i++)
		rules_file_fini(&c->files[i]);
	nameset_destroy(c->set);
	psl_destroy(c->psl);
	free(c->warnings);
	free(c->entries);
	free(c->files);
	free(c->base);
}

static int check_rules(const struct rules_settings *settings, struct rules *rules)
{
	const size_t n = settings->paths_len;
	struct check c = {.settings = settings, .rules = rules};
	char err[4096] = "out of memory";
	const struct cost before = cost_now();
	struct ruleset *set = rules_load(rules, err, sizeof(err));
	const struct cost after = cost_now();
	int code = EXIT_USAGE;

	if (set != NULL) {
		c.files = calloc(n, sizeof(*c.files));
		c.base = calloc(n + 1, sizeof(*c.base));
		code = c.files != NULL && c.base != NULL && explain(&c, err, sizeof(err)) == 0
			   ? EXIT_DONE
			   : EXIT_FAILED;
	}
	if (code == EXIT_DONE) {
		print_warnings(&c);
		print_table(&c, set, &before, &after);
	} else {
		fprintf(stderr, "fluxtap rules: %s\n", err);
	}
	check_fini(&c);
	ruleset_destroy(set);
	return code;
}

int rules_check(const struct rules_settings *settings)
{
	struct rules *rules = rules_create(settings);
	int code = EXIT_FAILED;

	if (rules == NULL)
		fprintf(stderr, "fluxtap rules: out of memory\n");
	else
		code = check_rules(settings, rules);
	rules_destroy(rules);
	return code;
}

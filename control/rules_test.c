/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules_cli.h"

#include "../dataplane/dnsbl.h"
#include "../dataplane/match_hs.h"
#include "../dataplane/name.h"
#include "../dataplane/psl.h"
#include "../dataplane/shape.h"
#include "exit.h"
#include "rules_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const form_texts[DNSBL_FORM_CAP] = {[DNSBL_IPV4] = "address",
						       [DNSBL_IPV6] = "address",
						       [DNSBL_DOMAIN] = "domain",
						       [DNSBL_HASH] = "hash"};

/* A name to test, and what the rules say of it. */
struct subject {
	uint8_t wire[FT_NAME_CAP];
	uint32_t len, domain_off, suffix_off;
	struct verdict verdict;
	uint32_t *tags, tags_n;
};

struct test {
	const struct rules_settings *settings;
	struct rules *rules;
	struct ruleset *set;
	struct ruleset_scratch *scratch;
	struct psl *psl;
	struct rules_file *files;
};

/* From the label at `off` on, as text. */
static const char *text_of(const struct subject *s, uint32_t off, char out[NAME_TEXT_CAP])
{
	name_text(s->wire + off, s->len - off, out, true);
	return out;
}

/* A word of a list may hold anything. */
static void print_word(struct rules_slice w)
{
	for (uint32_t i = 0; i < w.len; i++)
		putchar((unsigned char)w.text[i] < ' ' || w.text[i] == 0x7f ? '?' : w.text[i]);
}

static void found(void *ctx, uint32_t name, uint32_t tag)
{
	(void)name;
	(void)tag;
	*(bool *)ctx = true;
}

/* One expression alone; it has been compiled with the others before. */
static bool matches_regex(const struct subject *s, const struct rules_line *line)
{
	const struct match_hs_name name = {s->wire, s->len, s->domain_off, s->suffix_off};
	char *text = strndup(line->argument.text, line->argument.len), err[256];
	const struct match_hs_line one = {text, 1};
	size_t bad;
	struct match_hs *m =
	    text != NULL ? match_hs_create(&one, 1, NULL, &bad, err, sizeof(err)) : NULL;
	struct match_hs_scratch *scratch = m != NULL ? match_hs_scratch_create(m) : NULL;
	bool hit = false;

	if (scratch != NULL)
		match_hs_step(m, scratch, &name, 1, found, &hit);
	match_hs_scratch_destroy(scratch);
	match_hs_destroy(m);
	free(text);
	return hit;
}

static bool matches_shape(const struct subject *s, const struct rules_line *line)
{
	const uint8_t *label = s->wire + s->domain_off;
	char buf[RULES_WORD_CAP], err[256];
	struct shape_line one;
	struct shapes *shapes;
	uint32_t tag, n = 0;

	if (s->suffix_off == 0 || rules_line_shape(line, buf, &one, err, sizeof(err)) != 0)
		return false;
	one.tag = 1;
	one.family = SHAPE_FAMILIES;
	shapes = shapes_create(&one, 1);
	if (shapes != NULL)
		shapes_match(shapes, label + 1, label[0], s->wire + s->suffix_off,
			     s->len - s->suffix_off, &tag, 1, &n);
	shapes_destroy(shapes);
	return n > 0;
}

/* Where in the subject the line's name begins; -1: nowhere. */
static int find_suffix(const struct subject *s, const struct rules_line *line)
{
	uint8_t name[FT_NAME_CAP];
	char err[256];
	const uint32_t len = rules_line_name(line, name, err, sizeof(err));

	for (uint32_t off = 0; off < s->len; off += s->wire[off] + 1u)
		if (s->len - off == len && memcmp(s->wire + off, name, len) == 0)
			return (int)off;
	return -1;
}

static bool matches(const struct test *t, const struct subject *s, const struct rules_line *line)
{
	int off;

	switch (line->kind) {
	case RULE_REGEX: return matches_regex(s, line);
	case RULE_SHAPE: return matches_shape(s, line);
	case RULE_EXACT: return find_suffix(s, line) == 0;
	case RULE_SUFFIX: return find_suffix(s, line) >= 0;
	case RULE_DNSBL:
		off = find_suffix(s, line);
		return off > 0 && dnsbl_has_form(t->psl, s->wire, (uint32_t)off);
	default: return false;
	}
}

static void print_line(const struct test *t, const struct subject *s, size_t file,
		       const struct rules_line *line)
{
	struct dnsbl_subject subject;

	printf("      %s:%u: %s ", t->files[file].path, line->number, rule_kind_texts[line->kind]);
	print_word(line->argument);
	if (line->kind == RULE_DNSBL &&
	    dnsbl_read(t->psl, s->wire, (uint32_t)find_suffix(s, line), &subject))
		printf(" is asked about the %s %s", form_texts[subject.form], subject.text);
	putchar('\n');
}

/* A rule and the lines that make it match. */
static void print_rule(const struct test *t, const struct subject *s, uint32_t tag)
{
	const struct rule_info *info = rules_info(t->rules, tag);
	char err[256];

	printf("  rule %s", info->id);
	if (info->family != NULL)
		printf(" family=%s", info->family);
	if (info->severity >= 0)
		printf(" severity=%d", info->severity);
	putchar('\n');
	for (size_t i = 0; i < t->settings->paths_len; i++) {
		struct rules_line line = {0};
		size_t at = 0;

		while (rules_file_next(&t->files[i], &at, &line, err, sizeof(err)) == 1)
			if (line.kind == info->kind && strlen(info->id) == line.id.len &&
			    memcmp(info->id, line.id.text, line.id.len) == 0 &&
			    matches(t, s, &line))
				print_line(t, s, i, &line);
	}
}

static void print_families(const struct test *t, uint64_t shapes)
{
	printf("  families %s", shapes == 0 ? "none" : "");
	for (const char *comma = ""; shapes != 0; shapes &= shapes - 1, comma = ", ")
		printf("%s%s", comma, rules_family(t->rules, (unsigned)__builtin_ctzll(shapes)));
	putchar('\n');
}

static void print_subject(const struct test *t, const struct subject *s)
{
	char text[NAME_TEXT_CAP];

	printf("%s\n", text_of(s, 0, text));
	printf("  registered domain %s\n", s->suffix_off > 0 ? text_of(s, s->domain_off, text)
							     : "none: this is a public suffix");
	printf("  public suffix %s\n", text_of(s, s->suffix_off, text));
	printf("  score %.2f\n", s->verdict.score / 256.0);
	print_families(t, s->verdict.shapes);
	for (uint32_t i = 0; i < s->tags_n; i++)
		print_rule(t, s, s->tags[i]);
	if (s->tags_n == 0)
		puts("  no rule matches");
}

static void evaluate(const struct test *t, struct subject *s)
{
	const struct ruleset_name name = {
	    s->wire, s->len, name_hash(s->wire, s->len, t->settings->name_seed), &s->verdict};

	s->domain_off = psl_domain_off(t->psl, s->wire, s->len, &s->suffix_off);
	ruleset_step(t->set, t->scratch, &name, 1);
	s->tags_n = ruleset_tags(t->set, t->scratch, s->wire, s->len, s->tags,
				 (uint32_t)rules_count(t->rules));
}

static int refuse(int code, const char *what, const char *why)
{
	fprintf(stderr, "fluxtap rules: %s%s%s\n", what, *what != '\0' ? ": " : "", why);
	return code;
}

static int test_names(struct test *t, const struct config_texts *names)
{
	struct subject *s = calloc(1, sizeof(*s));
	uint32_t *tags = calloc(rules_count(t->rules) + 1, sizeof(*tags));
	char q[VALUE_QUOTE_CAP];
	const char *why;
	int code = EXIT_DONE;

	if (s == NULL || tags == NULL)
		code = refuse(EXIT_FAILED, "", "out of memory");
	for (size_t i = 0; code == EXIT_DONE && i < names->n; i++) {
		*s = (struct subject){.tags = tags};
		s->len = name_from_text(names->v[i], (uint32_t)strnlen(names->v[i], 4096), s->wire,
					&why);
		if (s->len == 0) {
			code = refuse(EXIT_USAGE, value_quote(q, names->v[i]), why);
			break;
		}
		evaluate(t, s);
		print_subject(t, s);
	}
	free(tags);
	free(s);
	return code;
}

static int load(struct test *t, char *err, size_t cap)
{
	t->rules = rules_create(t->settings);
	t->files = calloc(t->settings->paths_len, sizeof(*t->files));
	if (t->rules == NULL || t->files == NULL)
		return EXIT_FAILED;
	t->set = rules_load(t->rules, err, cap);
	if (t->set == NULL)
		return EXIT_USAGE;
	for (size_t i = 0; i < t->settings->paths_len; i++)
		if (rules_file_read(&t->files[i], t->settings->paths[i], err, cap) != 0)
			return EXIT_FAILED;
	t->psl = psl_create(t->settings->psl_path, err, cap);
	if (t->psl == NULL)
		return EXIT_FAILED;
	t->scratch = ruleset_scratch_create(t->set);
	return t->scratch != NULL ? EXIT_DONE : EXIT_FAILED;
}

int rules_test(const struct rules_settings *settings, const struct config_texts *names)
{
	struct test t = {.settings = settings};
	char err[4096] = "out of memory";
	int code = load(&t, err, sizeof(err));

	code = code == EXIT_DONE ? test_names(&t, names) : refuse(code, "", err);
	for (size_t i = 0; t.files != NULL && i < settings->paths_len; i++)
		rules_file_fini(&t.files[i]);
	ruleset_scratch_destroy(t.scratch);
	ruleset_destroy(t.set);
	psl_destroy(t.psl);
	rules_destroy(t.rules);
	free(t.files);
	return code;
}

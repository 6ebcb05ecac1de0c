/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report sinkhole`: what is known of each group and domain at the end, those with
 * most queries first, and why it stands there. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_CAP 200u

/* The last record of a domain, and its queries over all intervals. */
struct row {
	json_t *last;
	uint64_t queries;
};

struct rows {
	struct row *v;
	size_t n, cap;
	json_t *index; /* "vantage group name": number */
};

static int add(void *ctx, json_t *record)
{
	struct rows *r = ctx;
	char key[512];
	const int len = snprintf(key, sizeof key, "%s %s %s", report_text(record, "vantage"),
				 report_text(record, "group"), report_text(record, "name"));
	const json_t *at = json_object_get(r->index, key);
	size_t i = at != NULL ? (size_t)json_integer_value(at) : r->n;

	if (len < 0)
		return -EINVAL;
	if (i == r->cap) {
		const size_t cap = r->cap != 0 ? r->cap * 2 : 64;
		struct row *more = realloc(r->v, cap * sizeof *more);

		if (more == NULL)
			return -ENOMEM;
		r->v = more;
		r->cap = cap;
	}
	if (i == r->n) {
		r->v[r->n++] = (struct row){0};
		json_object_set_new(r->index, key, json_integer((json_int_t)i));
	}
	json_decref(r->v[i].last);
	r->v[i].last = json_incref(record);
	r->v[i].queries += report_count(record, "queries");
	return 0;
}

/* Groups stand before their domains, and these by queries, then by name. */
static int compare(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int d = strcmp(report_text(a->last, "vantage"), report_text(b->last, "vantage"));

	if (d == 0)
		d = strcmp(report_text(a->last, "group"), report_text(b->last, "group"));
	if (d == 0)
		d = (strcmp(report_text(a->last, "name"), "ALL") != 0) -
		    (strcmp(report_text(b->last, "name"), "ALL") != 0);
	if (d == 0)
		d = (a->queries < b->queries) - (a->queries > b->queries);
	return d != 0 ? d : strcmp(report_text(a->last, "name"), report_text(b->last, "name"));
}

static const char *number(char out[24], const json_t *record, const char *key)
{
	const json_t *x = json_object_get(record, key);

	if (json_is_number(x))
		snprintf(out, 24, "%.4g", json_number_value(x));
	else
		snprintf(out, 24, "-");
	return out;
}

static void print_words(const json_t *list)
{
	size_t i;
	const json_t *word;

	json_array_foreach(list, i, word)
	    printf("%s%s", i != 0 ? "+" : "", json_string_value(word));
}

/* Why: what was seen, what changed, what more is asked under other answers. */
static void print_why(const json_t *record)
{
	const json_t *m, *all = json_object_get(record, "multipliers");
	const char *class;

	printf("    ");
	print_words(json_object_get(record, "signals"));
	if (json_is_string(json_object_get(record, "from_class")))
		printf("; %s to %s", report_text(record, "from_class"),
		       report_text(record, "to_class"));
	json_object_foreach((json_t *)(uintptr_t)all, class, m)
	    printf("; %s x%.3g (%.3g-%.3g)", class, json_number_value(json_object_get(m, "est")),
		   json_number_value(json_object_get(m, "lo")),
		   json_number_value(json_object_get(m, "hi")));
	putchar('\n');
}

static void print_row(const struct row *r)
{
	char queries[REPORT_NUMBER_CAP], before[24], after[24], ratio[24];
	const bool all = strcmp(report_text(r->last, "name"), "ALL") == 0;

	if (all)
		printf("\n%s, group %s: %" PRIu64 " domains, %" PRIu64 " names, %" PRIu64
		       " clients in the last interval\n%-30s %-14s %13s %9s %9s %7s\n",
		       report_text(r->last, "vantage"), report_text(r->last, "group"),
		       report_count(r->last, "domains"), report_count(r->last, "names"),
		       report_count(r->last, "clients"), "domain", "class", "queries", "before",
		       "after", "ratio");
	printf("%-30.60s %-14s %13s %9s %9s %7s\n", report_text(r->last, "name"),
	       all ? "" : report_text(r->last, "class"), report_number(queries, r->queries),
	       number(before, r->last, "before"), number(after, r->last, "after"),
	       number(ratio, r->last, "ratio"));
	print_why(r->last);
}

int report_sinkhole(struct walk *w, size_t width)
{
	struct rows r = {.index = json_object()};
	const int rc = report_each(w, add, &r);

	(void)width;
	if (r.n != 0)
		qsort(r.v, r.n, sizeof *r.v, compare);
	printf("Sinkholes: queries in all, and queries per name and second before and after the "
	       "answers changed\n");
	for (size_t i = 0; i < r.n && i < ROWS_CAP; i++)
		print_row(&r.v[i]);
	if (r.n > ROWS_CAP)
		printf("\nand %zu more\n", r.n - ROWS_CAP);
	for (size_t i = 0; i < r.n; i++)
		json_decref(r.v[i].last);
	json_decref(r.index);
	free(r.v);
	return rc;
}

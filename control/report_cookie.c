/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report cookie`: the shares of each vantage over all intervals, then the servers
 * that deal most in cookies and what became of them. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_CAP 100u

struct row {
	char address[64], vantage[8];
	json_t *classes; /* sums */
	uint64_t transactions, cookies;
	int enforcing; /* 1, 0; -1: not seen */
};

struct table {
	struct row *v;
	size_t n, cap;
	json_t *index; /* "vantage address": number */
	json_t *all;   /* vantage: sums and the last interval's counts */
};

static void add_counts(json_t *sums, json_t *counts)
{
	const char *key;
	json_t *n;

	json_object_foreach(counts, key, n) json_object_set_new(
	    sums, key,
	    json_integer(json_integer_value(json_object_get(sums, key)) + json_integer_value(n)));
}

static json_t *member(json_t *o, const char *key)
{
	if (json_object_get(o, key) == NULL)
		json_object_set_new(o, key, json_object());
	return json_object_get(o, key);
}

static void add_all(struct table *t, json_t *record)
{
	json_t *v = member(t->all, report_text(record, "vantage"));

	add_counts(member(v, "by_class"), json_object_get(record, "by_class"));
	add_counts(member(v, "edns"), json_object_get(record, "edns"));
	json_object_set(v, "servers", json_object_get(record, "servers"));
	json_object_set(v, "clients", json_object_get(record, "clients"));
}

static struct row *row_get(struct table *t, const json_t *record)
{
	char key[96];

	snprintf(key, sizeof key, "%s %s", report_text(record, "vantage"),
		 report_text(record, "address"));
	const json_t *at = json_object_get(t->index, key);
	if (at != NULL)
		return &t->v[json_integer_value(at)];
	if (t->n == t->cap) {
		const size_t cap = t->cap != 0 ? t->cap * 2 : 64;
		struct row *more = realloc(t->v, cap * sizeof *more);

		if (more == NULL)
			return NULL;
		t->v = more;
		t->cap = cap;
	}
	struct row *r = &t->v[t->n];
	*r = (struct row){.classes = json_object(), .enforcing = -1};
	snprintf(r->address, sizeof r->address, "%s", report_text(record, "address"));
	snprintf(r->vantage, sizeof r->vantage, "%s", report_text(record, "vantage"));
	json_object_set_new(t->index, key, json_integer((json_int_t)t->n++));
	return r;
}

static int add(void *ctx, json_t *record)
{
	struct table *t = ctx;
	const char *role = report_text(record, "role");
	const json_t *enforcing = json_object_get(record, "enforcing");
	json_t *classes = json_object_get(record, "by_class"), *n;
	const char *key;

	if (strcmp(role, "ALL") == 0) {
		add_all(t, record);
		return 0;
	}
	if (strcmp(role, "server") != 0)
		return 0;
	struct row *r = row_get(t, record);
	if (r == NULL)
		return -ENOMEM;
	add_counts(r->classes, classes);
	r->transactions += report_count(record, "transactions");
	json_object_foreach(classes, key, n) r->cookies += (uint64_t)json_integer_value(n);
	if (json_is_false(enforcing))
		r->enforcing = 0;
	else if (json_is_true(enforcing) && r->enforcing != 0)
		r->enforcing = 1;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int d = (a->cookies < b->cookies) - (a->cookies > b->cookies);

	if (d == 0)
		d = strcmp(a->vantage, b->vantage);
	return d != 0 ? d : strcmp(a->address, b->address);
}

static double share(const json_t *o, const char *part, const char *of)
{
	const uint64_t n = report_count(o, of);

	return n != 0 ? 100.0 * (double)report_count(o, part) / (double)n : 0;
}

static void print_classes(const json_t *classes)
{
	const char *key;
	json_t *n;

	json_object_foreach((json_t *)(uintptr_t)classes, key, n)
	    printf(" %s %" JSON_INTEGER_FORMAT, key, json_integer_value(n));
	putchar('\n');
}

static void print_all(const char *vantage, const json_t *v)
{
	const json_t *edns = json_object_get(v, "edns"), *servers = json_object_get(v, "servers"),
		     *clients = json_object_get(v, "clients");
	char n[REPORT_NUMBER_CAP];

	printf("%s: %s queries, %.1f %% with EDNS, %.1f %% with a cookie\n", vantage,
	       report_number(n, report_count(edns, "queries")), share(edns, "present", "queries"),
	       share(edns, "cookie", "queries"));
	printf("  in the last interval: %.1f %% of %" PRIu64
	       " servers gave cookies, %.1f %% insist on them; %.1f %% of %" PRIu64
	       " clients sent some, %.1f %% of these the same to several servers\n ",
	       share(servers, "cookies", "seen"), report_count(servers, "seen"),
	       share(servers, "enforcing", "seen"), share(clients, "cookies", "seen"),
	       report_count(clients, "seen"), share(clients, "reused", "cookies"));
	print_classes(json_object_get(v, "by_class"));
}

static void print_table(struct table *t)
{
	const char *vantage;
	json_t *v;

	printf("Cookies: what became of them\n");
	json_object_foreach(t->all, vantage, v) print_all(vantage, v);
	if (t->n == 0)
		return;
	qsort(t->v, t->n, sizeof *t->v, compare);
	printf("\n%-4s %-26s %12s  %-8s classes\n", "", "server", "queries", "insists");
	for (size_t i = 0; i < t->n && i < ROWS_CAP; i++) {
		char n[REPORT_NUMBER_CAP];
		printf("%-4s %-26s %12s  %-8s", t->v[i].vantage, t->v[i].address,
		       report_number(n, t->v[i].transactions),
		       t->v[i].enforcing < 0    ? "-"
		       : t->v[i].enforcing == 0 ? "no"
						: "yes");
		print_classes(t->v[i].classes);
	}
	if (t->n > ROWS_CAP)
		printf("and %zu more\n", t->n - ROWS_CAP);
}

int report_cookie(struct walk *w, size_t width)
{
	struct table t = {.index = json_object(), .all = json_object()};
	const int rc = report_each(w, add, &t);

	(void)width;
	print_table(&t);
	for (size_t i = 0; i < t.n; i++)
		json_decref(t.v[i].classes);
	json_decref(t.index);
	json_decref(t.all);
	free(t.v);
	return rc;
}

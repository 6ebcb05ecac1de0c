/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report match`: what each rule hit, most queries first; what block lists were asked
 * and said; victims of floods. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_CAP 100u
#define DOMAINS_SHOWN 3u

struct tables {
	json_t *rules;  /* by "rule": kind, queries, clients, parts (queries by domain) */
	json_t *zones;  /* likewise by block list, parts by result */
	json_t *floods; /* the last record by "vantage domain" */
	uint64_t left_out, spikes;
};

static void add_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)(report_count(o, key) + n)));
}

static void add_row(json_t *table, const char *key, const char *part, const json_t *record)
{
	json_t *row = json_object_get(table, key);
	const uint64_t queries = report_count(record, "queries"),
		       clients = report_count(record, "clients");

	if (row == NULL) {
		row = json_pack("{s:s, s:s, s:{}}", "key", key, "kind", report_text(record, "kind"),
				"parts");
		json_object_set_new(table, key, row);
	}
	add_count(row, "queries", queries);
	if (clients > report_count(row, "clients"))
		json_object_set_new(row, "clients", json_integer((json_int_t)clients));
	add_count(json_object_get(row, "parts"), part, queries);
}

static int add(void *ctx, json_t *record)
{
	struct tables *t = ctx;
	const char *kind = report_text(record, "kind");
	char key[1100];

	if (strcmp(kind, "ALL") == 0) {
		t->left_out += report_count(record, "left_out_queries");
	} else if (strcmp(kind, "flood") == 0) {
		snprintf(key, sizeof key, "%s %s", report_text(record, "vantage"),
			 report_text(record, "domain"));
		json_object_set(t->floods, key, record);
	} else if (json_object_get(record, "state") != NULL) {
		t->spikes++;
	} else {
		add_row(t->rules, report_text(record, "rule"), report_text(record, "domain"),
			record);
		if (strcmp(kind, "dnsbl") == 0)
			add_row(t->zones, report_text(record, "zone"),
				report_text(record, "result"), record);
	}
	return 0;
}

/* A number or object of numbers, for sorting. */
struct item {
	const char *key;
	const json_t *value;
	uint64_t n;
};

static int compare(const void *left, const void *right)
{
	const struct item *a = left, *b = right;

	return a->n != b->n ? (a->n < b->n ? 1 : -1) : strcmp(a->key, b->key);
}

/* What an object has, most queries first; NULL: no memory. */
static struct item *sorted(const json_t *object, size_t *n)
{
	struct item *v = calloc(json_object_size(object) + 1, sizeof *v);
	const char *key;
	json_t *x;

	*n = 0;
	if (v == NULL)
		return NULL;
	json_object_foreach((json_t *)(uintptr_t)object, key, x) v[(*n)++] = (struct item){
	    key, x,
	    json_is_integer(x) ? (uint64_t)json_integer_value(x) : report_count(x, "queries")};
	if (*n != 0)
		qsort(v, *n, sizeof *v, compare);
	return v;
}

static double share(uint64_t n, uint64_t of)
{
	return of != 0 ? 100.0 * (double)n / (double)of : 0;
}

static void print_rule(const struct item *x)
{
	const json_t *domains = json_object_get(x->value, "parts");
	char q[REPORT_NUMBER_CAP], d[REPORT_NUMBER_CAP], c[REPORT_NUMBER_CAP];
	size_t n;
	struct item *v = sorted(domains, &n);

	printf("%-24s %-7s %14s %9s %9s ", x->key, report_text(x->value, "kind"),
	       report_number(q, x->n), report_number(d, json_object_size(domains)),
	       report_number(c, report_count(x->value, "clients")));
	for (size_t i = 0; v != NULL && i < n && i < DOMAINS_SHOWN; i++)
		printf(" %s", v[i].key);
	printf("%s\n", n > DOMAINS_SHOWN ? " ..." : "");
	free(v);
}

static void print_zone(const struct item *x)
{
	char q[REPORT_NUMBER_CAP];
	size_t n;
	struct item *v = sorted(json_object_get(x->value, "parts"), &n);

	printf("%-32s %14s ", x->key, report_number(q, x->n));
	for (size_t i = 0; v != NULL && i < n; i++)
		printf("%s %s %.1f %%", i != 0 ? "," : "", v[i].key, share(v[i].n, x->n));
	putchar('\n');
	free(v);
}

static void print_flood(const struct item *x)
{
	const json_t *r = x->value;
	char names[REPORT_NUMBER_CAP];

	printf("%-4s %-40s %-7s %14s %12.1f %6.1f %%\n", report_text(r, "vantage"),
	       report_text(r, "domain"), report_text(r, "state"),
	       report_number(names, report_count(r, "names")),
	       json_number_value(json_object_get(r, "peak_qps")),
	       100 * json_number_value(json_object_get(r, "failed")));
}

static int print_all(const json_t *table, void (*print)(const struct item *))
{
	size_t n;
	struct item *v = sorted(table, &n);

	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n && i < ROWS_CAP; i++)
		print(&v[i]);
	if (n > ROWS_CAP)
		printf("and %zu more\n", n - ROWS_CAP);
	free(v);
	return 0;
}

static int print_tables(const struct tables *t)
{
	char n[REPORT_NUMBER_CAP];
	int rc = 0;

	printf("Rules that were hit: %zu\n", json_object_size(t->rules));
	if (json_object_size(t->rules) != 0)
		printf("%-24s %-7s %14s %9s %9s  %s\n", "rule", "kind", "queries", "domains",
		       "clients*", "most asked for");
	rc = print_all(t->rules, print_rule);
	if (json_object_size(t->rules) != 0)
		printf("* the most of an interval and record\n");
	if (rc == 0 && json_object_size(t->zones) != 0) {
		printf("\nBlock lists\n%-32s %14s  %s\n", "zone", "queries", "what it said");
		rc = print_all(t->zones, print_zone);
	}
	if (t->spikes != 0)
		printf("%s times one was suddenly asked more, or about one subject\n",
		       report_number(n, t->spikes));
	if (rc == 0 && json_object_size(t->floods) != 0) {
		printf("\nFloods of random names\n%-4s %-40s %-7s %14s %12s %8s\n", "from",
		       "domain", "state", "names", "peak/s", "failed");
		rc = print_all(t->floods, print_flood);
	}
	if (t->left_out != 0)
		printf(
		    "\n%s queries are in no record: more than there is room for in an interval\n",
		    report_number(n, t->left_out));
	return rc;
}

int report_match(struct walk *w, size_t width)
{
	struct tables t = {.rules = json_object(), .zones = json_object(), .floods = json_object()};
	int rc = report_each(w, add, &t);

	(void)width;
	if (rc == 0)
		rc = print_tables(&t);
	json_decref(t.rules);
	json_decref(t.zones);
	json_decref(t.floods);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report dga`: clients with an alarm as they were last, those with most names
 * first, and the largest clusters of names. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_CAP 100u

/* The last record of a client, and clusters as they come. */
struct rows {
	json_t *clients;  /* "vantage client": record */
	json_t *clusters; /* array */
};

static int add(void *ctx, json_t *record)
{
	struct rows *r = ctx;
	char key[128];

	if (strcmp(report_text(record, "kind"), "cluster") == 0) {
		json_array_append(r->clusters, record);
		return 0;
	}
	snprintf(key, sizeof key, "%s %s", report_text(record, "vantage"),
		 report_text(record, "client"));
	json_object_set(r->clients, key, record);
	return 0;
}

#define WORDS_CAP 4u

/* The first few words of a list. */
static void print_words(const json_t *list, const char *between)
{
	const size_t n = json_array_size(list);

	for (size_t i = 0; i < n && i < WORDS_CAP; i++)
		printf("%s%s", i != 0 ? between : "", json_string_value(json_array_get(list, i)));
	if (n > WORDS_CAP)
		printf(" ...");
}

static int compare(const void *left, const void *right, const char *by, const char *tie)
{
	const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
	const uint64_t x = report_count(a, by), y = report_count(b, by);

	return x != y ? (x < y ? 1 : -1) : strcmp(report_text(a, tie), report_text(b, tie));
}

static int compare_clients(const void *left, const void *right)
{
	return compare(left, right, "flagged", "client");
}

static int compare_clusters(const void *left, const void *right)
{
	return compare(left, right, "names", "tld");
}

static void print_client(const json_t *x)
{
	const json_t *c2 = json_object_get(x, "c2");

	printf("%-39s %-4s %-5s %6.1f %7" PRIu64 " %7" PRIu64 "  ", report_text(x, "client"),
	       report_text(x, "vantage"), report_text(x, "state"),
	       json_number_value(json_object_get(x, "llr")), report_count(x, "nx"),
	       report_count(x, "flagged"));
	print_words(json_object_get(x, "families"), ",");
	printf("\n    asked for ");
	print_words(json_object_get(x, "sample"), " ");
	if (json_is_object(c2)) {
		printf("\n    then %s was there: ", report_text(c2, "name"));
		print_words(json_object_get(c2, "addresses"), " ");
	}
	putchar('\n');
}

static void print_cluster(const json_t *x)
{
	printf("%-12s %-4s %8" PRIu64 " %8" PRIu64 "  ", report_text(x, "tld"),
	       report_text(x, "vantage"), report_count(x, "names"), report_count(x, "clients"));
	print_words(json_object_get(x, "families"), ",");
	putchar('\n');
}

/* At most ROWS_CAP of them, in order. */
static void print_all(const json_t **v, size_t n, int (*order)(const void *, const void *),
		      void (*print)(const json_t *))
{
	if (n != 0)
		qsort(v, n, sizeof *v, order);
	for (size_t i = 0; i < n && i < ROWS_CAP; i++)
		print(v[i]);
	if (n > ROWS_CAP)
		printf("and %zu more\n", n - ROWS_CAP);
}

static void print(const struct rows *r)
{
	const size_t clients = json_object_size(r->clients),
		     clusters = json_array_size(r->clusters);
	const json_t **v = calloc(clients + clusters + 1, sizeof *v), *x;
	const char *key;
	size_t n = 0, i;

	if (v == NULL)
		return;
	printf("Clients that ask for generated names: %zu\n", clients);
	if (clients != 0)
		printf("%-39s %-4s %-5s %6s %7s %7s  %s\n", "client", "from", "state", "llr",
		       "missing", "made up", "looks like");
	json_object_foreach((json_t *)(uintptr_t)r->clients, key, x) v[n++] = x;
	print_all(v, n, compare_clients, print_client);
	n = 0;
	json_array_foreach(r->clusters, i, x) v[n++] = x;
	printf("\nNames of one kind that do not exist, by day: %zu\n", clusters);
	if (clusters != 0)
		printf("%-12s %-4s %8s %8s  %s\n", "suffix", "from", "names", "clients",
		       "looks like");
	print_all(v, n, compare_clusters, print_cluster);
	free(v);
}

int report_dga(struct walk *w, size_t width)
{
	struct rows r = {.clients = json_object(), .clusters = json_array()};
	const int rc = report_each(w, add, &r);

	(void)width;
	if (rc == 0)
		print(&r);
	json_decref(r.clients);
	json_decref(r.clusters);
	return rc;
}

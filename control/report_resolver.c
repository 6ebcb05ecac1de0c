/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report resolver`: how each resolver asked in the latest day, the busiest first. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_CAP 100u

static double share(const json_t *record, const char *key)
{
	const uint64_t n = report_count(record, "queries");

	return n != 0 ? 100.0 * (double)report_count(record, key) / (double)n : 0;
}

static int compare(const void *left, const void *right)
{
	const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
	const uint64_t x = report_count(a, "queries"), y = report_count(b, "queries");

	if (x != y)
		return x < y ? 1 : -1;
	const int d = strcmp(report_text(a, "vantage"), report_text(b, "vantage"));
	return d != 0 ? d : strcmp(report_text(a, "client"), report_text(b, "client"));
}

/* The upper end of the band of buffer sizes that most queries have; "-": none has one. */
static const char *bufsize_of(const json_t *record)
{
	json_t *bands = json_object_get(record, "bufsize"), *n;
	const char *key, *most = "-";
	json_int_t best = 0;

	json_object_foreach(bands, key, n)
	{
		if (json_integer_value(n) <= best)
			continue;
		best = json_integer_value(n);
		most = key;
	}
	return most;
}

static void print_one(const json_t *r)
{
	const uint64_t tc = report_count(r, "tc");
	const char *key;
	json_t *n;
	char number[REPORT_NUMBER_CAP], again[16] = "-";

	if (tc != 0)
		snprintf(again, sizeof again, "%.0f%%",
			 100.0 * (double)report_count(r, "tc_retry_ok") / (double)tc);
	printf("%-4s %-26s %12s %5.1f%% %5.1f%% %6s %5.1f%% %5.1f%% %5.1f%% %6s %5.1f ",
	       report_text(r, "vantage"), report_text(r, "client"),
	       report_number(number, report_count(r, "queries")), share(r, "edns"), share(r, "do"),
	       bufsize_of(r), share(r, "mixed_case"), share(r, "qname_min"),
	       100.0 * json_number_value(json_object_get(r, "tcp_share")), again,
	       json_number_value(json_object_get(r, "port_entropy")));
	json_object_foreach(json_object_get(r, "cookie"), key, n)
	    printf(" %s %" JSON_INTEGER_FORMAT, key, json_integer_value(n));
	putchar('\n');
}

static int print_table(json_t *last)
{
	const size_t n = json_object_size(last);
	json_t **v = malloc((n + 1) * sizeof *v), *record;
	const char *key;
	size_t i = 0;

	if (v == NULL)
		return -ENOMEM;
	json_object_foreach(last, key, record) v[i++] = record;
	if (n != 0)
		qsort(v, n, sizeof *v, compare);
	printf("How resolvers ask: shares of the queries of the latest day\n");
	printf("%-4s %-26s %12s %6s %6s %6s %6s %6s %6s %6s %5s  cookies\n", "", "client",
	       "queries", "EDNS", "DO", "buffer", "0x20", "qmin", "TCP", "TC>TCP", "ports");
	for (i = 0; i < n && i < ROWS_CAP; i++)
		print_one(v[i]);
	if (n > ROWS_CAP)
		printf("and %zu more\n", n - ROWS_CAP);
	free(v);
	return 0;
}

static int keep_last(void *ctx, json_t *record)
{
	char key[96];

	snprintf(key, sizeof key, "%s %s", report_text(record, "vantage"),
		 report_text(record, "client"));
	json_object_set(ctx, key, record);
	return 0;
}

int report_resolver(struct walk *w, size_t width)
{
	json_t *last = json_object(); /* "vantage client": record */
	int rc = report_each(w, keep_last, last);

	(void)width;
	if (print_table(last) != 0)
		rc = -ENOMEM;
	json_decref(last);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report client`: who fell silent and who turned elsewhere, whose A and AAAA go
 * together, and who asked most in each day. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS_CAP 200u

/* Records of each kind, as they come. */
struct rows {
	json_t *events, *couplings, *tops, *readings, *searches;
};

static int add(void *ctx, json_t *record)
{
	struct rows *r = ctx;
	const char *kind = report_text(record, "kind");

	if (strcmp(kind, "silence") == 0 || strcmp(kind, "failover") == 0)
		json_array_append(r->events, record);
	else if (strcmp(kind, "coupling") == 0)
		json_array_append(r->couplings, record);
	else if (strcmp(kind, "top") == 0 && strcmp(report_text(record, "span"), "day") == 0)
		json_array_append(r->tops, record);
	else if (strcmp(kind, "host_search") == 0)
		json_array_append(r->searches, record);
	else if (strcmp(kind, "entropy") == 0 && json_is_string(json_object_get(record, "reading")))
		json_array_append(r->readings, record);
	return 0;
}

static const char *clock_of(char out[32], uint64_t us)
{
	const time_t t = (time_t)(us / 1000000);
	struct tm tm = {0};

	strcpy(out, "-");
	if (us != 0 && gmtime_r(&t, &tm) != NULL)
		strftime(out, 32, "%m-%d %H:%M:%S", &tm);
	return out;
}

static double real(const json_t *x, const char *key)
{
	return json_number_value(json_object_get(x, key));
}

static void print_event(const json_t *x)
{
	const bool silence = strcmp(report_text(x, "kind"), "silence") == 0,
		   ends = strcmp(report_text(x, "state"), "end") == 0;
	char from[32], to[32];

	if (silence)
		printf("%-14s to %-14s %-4s %s %s, after %.2f queries/s%s\n",
		       clock_of(from, report_count(x, "from_us")),
		       clock_of(to, report_count(x, "to_us")), report_text(x, "vantage"),
		       report_text(x, "client"), ends ? "was silent" : "falls silent",
		       real(x, "qps_before"),
		       strcmp(report_text(x, "cause"), "TAP_LOSS") == 0 ? " (as all others)" : "");
	else
		printf("%-14s to %-14s %-4s %s %s %s, %s being silent: %.2f queries/s\n",
		       clock_of(from, report_count(x, "at_us")),
		       clock_of(to, report_count(x, "end_us")), report_text(x, "vantage"),
		       report_text(x, "client"), ends ? "asked" : "turns to", report_text(x, "to"),
		       report_text(x, "from"), real(x, "qps_during"));
}

static void print_coupling(const json_t *x)
{
	printf("%-39s %-4s %9" PRIu64 " %10" PRIu64 " %10" PRIu64 " %6.3f %6.3f %6.3f %s\n",
	       report_text(x, "client"), report_text(x, "vantage"), report_count(x, "n"),
	       report_count(x, "sx"), report_count(x, "sy"), real(x, "r2_1s"), real(x, "r2_5s"),
	       real(x, "ratio"), json_is_true(json_object_get(x, "coupled")) ? "coupled" : "");
}

static void print_top(const json_t *x)
{
	char queries[REPORT_NUMBER_CAP];

	if (report_count(x, "rank") == 1) {
		printf("\n%s, type %s\n", report_text(x, "vantage"), report_text(x, "qtype"));
	}
	printf("%4" PRIu64 "  %-39s %13s", report_count(x, "rank"), report_text(x, "client"),
	       report_number(queries, report_count(x, "queries")));
	if (report_count(x, "err") != 0)
		printf("  (at most %" PRIu64 " less)", report_count(x, "err"));
	putchar('\n');
}

static void print_reading(const json_t *x)
{
	char at[32];

	printf("%-14s %-4s %s: clients %.2f bits, names %.2f bits\n",
	       clock_of(at, report_count(x, "start") * 1000000), report_text(x, "vantage"),
	       report_text(x, "reading"), real(x, "h_client"), real(x, "h_qname"));
}

static void print_search(const json_t *x)
{
	char at[32];

	printf("%s %-4s %s asked about %" PRIu64 " addresses, %s, %.1f apart\n",
	       clock_of(at, report_count(x, "start") * 1000000), report_text(x, "vantage"),
	       report_text(x, "client"), report_count(x, "queries"),
	       strcmp(report_text(x, "form"), "RANDOM") == 0 ? "at random" : "one by one",
	       real(x, "distance_mean"));
}

/* At most ROWS_CAP of them, the latest ones. */
static void print_all(const json_t *list, void (*print)(const json_t *))
{
	const size_t n = json_array_size(list), first = n > ROWS_CAP ? n - ROWS_CAP : 0;

	if (first != 0)
		printf("(%zu before)\n", first);
	for (size_t i = first; i < n; i++)
		print(json_array_get(list, i));
}

static void print(const struct rows *r)
{
	printf("Silences and fail-overs, UTC: %zu records\n", json_array_size(r->events));
	print_all(r->events, print_event);
	printf("\nA and AAAA of a day: %zu clients\n", json_array_size(r->couplings));
	if (json_array_size(r->couplings) != 0)
		printf("%-39s %-4s %9s %10s %10s %6s %6s %6s\n", "client", "from", "seconds", "A",
		       "AAAA", "R2 1s", "R2 5s", "ratio");
	print_all(r->couplings, print_coupling);
	if (json_array_size(r->readings) != 0)
		printf("\nUnusual mixes\n");
	print_all(r->readings, print_reading);
	if (json_array_size(r->searches) != 0)
		printf("\nThrough the reverse zone\n");
	print_all(r->searches, print_search);
	printf("\nMost queries of a day\n");
	print_all(r->tops, print_top);
}

int report_client(struct walk *w, size_t width)
{
	struct rows r = {json_array(), json_array(), json_array(), json_array(), json_array()};
	const int rc = report_each(w, add, &r);

	(void)width;
	if (rc == 0)
		print(&r);
	json_decref(r.events);
	json_decref(r.couplings);
	json_decref(r.tops);
	json_decref(r.readings);
	json_decref(r.searches);
	return rc;
}

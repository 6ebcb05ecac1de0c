/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report server`: sums of each server over all intervals, the last one's quantiles,
 * how it is now, and when that changed. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS_CAP 200u
#define CHANGES_CAP 40u

static const char *const sums[] = {"queries", "unanswered", "late",       "dup",
				   "tc",      "retry_same", "retry_other"};
#define SUMS_LEN (sizeof sums / sizeof *sums)

struct row {
	json_t *last, *rtt; /* rtt: of the last interval that had one */
	uint64_t sum[SUMS_LEN];
};

struct table {
	struct row *v;
	size_t n, cap;
	json_t *index;   /* "vantage server": number */
	json_t *changes; /* records */
};

static int add(void *ctx, json_t *record)
{
	struct table *t = ctx;
	char key[128];
	snprintf(key, sizeof key, "%s %s", report_text(record, "vantage"),
		 report_text(record, "server"));
	const json_t *at = json_object_get(t->index, key);
	const size_t i = at != NULL ? (size_t)json_integer_value(at) : t->n;

	if (json_is_true(json_object_get(record, "state_change"))) {
		json_array_append(t->changes, record);
		return 0;
	}
	if (i == t->cap) {
		const size_t cap = t->cap != 0 ? t->cap * 2 : 64;
		struct row *more = realloc(t->v, cap * sizeof *more);

		if (more == NULL)
			return -ENOMEM;
		t->v = more;
		t->cap = cap;
	}
	if (i == t->n) {
		t->v[t->n++] = (struct row){0};
		json_object_set_new(t->index, key, json_integer((json_int_t)i));
	}
	struct row *r = &t->v[i];
	json_decref(r->last);
	r->last = json_incref(record);
	json_t *rtt = json_object_get(record, "rtt_us");
	if (json_is_object(rtt)) {
		json_decref(r->rtt);
		r->rtt = json_incref(rtt);
	}
	for (size_t k = 0; k < SUMS_LEN; k++)
		r->sum[k] += report_count(record, sums[k]);
	return 0;
}

/* Those with most queries first. */
static int compare(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int d = (a->sum[0] < b->sum[0]) - (a->sum[0] > b->sum[0]);

	if (d == 0)
		d = strcmp(report_text(a->last, "vantage"), report_text(b->last, "vantage"));
	return d != 0 ? d : strcmp(report_text(a->last, "server"), report_text(b->last, "server"));
}

static void print_time(uint64_t us)
{
	const time_t s = (time_t)(us / 1000000);
	struct tm tm = {0};
	char text[32] = "";

	if (gmtime_r(&s, &tm) != NULL)
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s", text);
}

static void print_row(const struct row *r)
{
	const char *state = report_text(r->last, "state"), *guard = report_text(r->last, "guard");
	char n[REPORT_NUMBER_CAP];

	printf("%-4s %-26s %12s %7.2f%% %6" PRIu64 " %6" PRIu64 " %6" PRIu64 " %6" PRIu64
	       " %8.1f %8.1f  %s%s%s\n",
	       report_text(r->last, "vantage"), report_text(r->last, "server"),
	       report_number(n, r->sum[0]),
	       r->sum[0] != 0 ? 100.0 * (double)r->sum[1] / (double)r->sum[0] : 0, r->sum[2],
	       r->sum[3], r->sum[5], r->sum[6], (double)report_count(r->rtt, "p50") / 1000,
	       (double)report_count(r->rtt, "p99") / 1000, *state != '\0' ? state : "-",
	       *guard != '\0' ? " " : "", guard);
}

static void print_table(struct table *t)
{
	size_t i;
	const json_t *change;

	if (t->n != 0)
		qsort(t->v, t->n, sizeof *t->v, compare);
	printf("Servers: queries in all, response times in milliseconds of the last interval\n"
	       "%-4s %-26s %12s %8s %6s %6s %6s %6s %8s %8s  %s\n",
	       "", "server", "queries", "no reply", "late", "dup", "again", "left", "p50", "p99",
	       "state");
	for (i = 0; i < t->n && i < ROWS_CAP; i++)
		print_row(&t->v[i]);
	if (t->n > ROWS_CAP)
		printf("and %zu more\n", t->n - ROWS_CAP);
	if (json_array_size(t->changes) != 0)
		printf("\nChanges of state\n");
	json_array_foreach(t->changes, i, change)
	{
		if (i == CHANGES_CAP) {
			printf("and %zu more\n", json_array_size(t->changes) - i);
			break;
		}
		print_time(report_count(change, "since_us"));
		printf("  %-4s %-26s %s\n", report_text(change, "vantage"),
		       report_text(change, "server"), report_text(change, "state"));
	}
}

int report_server(struct walk *w, size_t width)
{
	struct table t = {.index = json_object(), .changes = json_array()};
	const int rc = report_each(w, add, &t);

	(void)width;
	print_table(&t);
	for (size_t i = 0; i < t.n; i++) {
		json_decref(t.v[i].last);
		json_decref(t.v[i].rtt);
	}
	json_decref(t.index);
	json_decref(t.changes);
	free(t.v);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report integrity`: the changes of watched RRsets in order of time, and what was
 * seen of each RRset on the last day. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COVER_CAP 200u

struct list {
	json_t *changes, *covers; /* covers: by "owner type", the last one */
	uint64_t alarms;
};

static void print_time(const json_t *record, const char *key)
{
	const json_t *us = json_object_get(record, key);
	const uint64_t t_us = (uint64_t)json_integer_value(us);
	const time_t t = (time_t)(t_us / 1000000);
	char text[32] = "?";
	struct tm tm;

	if (json_is_integer(us) && gmtime_r(&t, &tm) != NULL)
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s", text);
}

static void print_set(const char *sign, const json_t *set)
{
	size_t i;
	const json_t *one;

	json_array_foreach(set, i, one) printf("%10s %s %s\n", "", sign, json_string_value(one));
}

static void print_words(const json_t *words)
{
	size_t i;
	const json_t *one;

	json_array_foreach(words, i, one) printf(" %s", json_string_value(one));
}

static void print_change(const json_t *r)
{
	const json_t *old = json_object_get(r, "ttl_old"), *new = json_object_get(r, "ttl_new");
	const json_t *seen = json_object_get(r, "seen_by");

	printf("%-9s %s %s, %s: %s", report_text(r, "state"), report_text(r, "owner"),
	       report_text(r, "type"), report_text(r, "side"), report_text(r, "auth"));
	if (report_text(r, "class")[0] != '\0')
		printf(", %s", report_text(r, "class"));
	print_words(json_object_get(r, "flags"));
	printf("\n%10s began after ", "");
	print_time(r, "onset_lo_us");
	printf(", by ");
	print_time(r, "onset_hi_us");
	if (json_is_integer(json_object_get(r, "revert_hi_us"))) {
		printf("\n%10s ended after ", "");
		print_time(r, "revert_lo_us");
		printf(", by ");
		print_time(r, "revert_hi_us");
	}
	const uint64_t clients = report_count(seen, "clients"),
		       servers = report_count(seen, "servers");
	printf("\n%10s seen by %" PRIu64 " client%s at %" PRIu64 " server%s", "", clients,
	       clients == 1 ? "" : "s", servers, servers == 1 ? "" : "s");
	if (json_is_integer(old) && json_is_integer(new) && !json_equal(old, new))
		printf("; TTL %" JSON_INTEGER_FORMAT " -> %" JSON_INTEGER_FORMAT,
		       json_integer_value(old), json_integer_value(new));
	putchar('\n');
	print_set("-", json_object_get(r, "removed"));
	print_set("+", json_object_get(r, "added"));
}

static uint64_t at_us(const json_t *r)
{
	const char *state = report_text(r, "state");

	return report_count(r, strcmp(state, "REVERTED") == 0 ? "revert_hi_us" : "onset_hi_us");
}

static int compare(const void *left, const void *right)
{
	const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
	const uint64_t x = at_us(a), y = at_us(b);
	int d = (x > y) - (x < y);

	if (d == 0)
		d = strcmp(report_text(a, "owner"), report_text(b, "owner"));
	return d != 0 ? d : strcmp(report_text(a, "type"), report_text(b, "type"));
}

static int print_changes(json_t *changes)
{
	const size_t n = json_array_size(changes);
	json_t **v = calloc(n + 1, sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(changes, i);
	qsort(v, n, sizeof *v, compare);
	for (size_t i = 0; i < n; i++)
		print_change(v[i]);
	free(v);
	return 0;
}

static void print_covers(json_t *covers)
{
	const char *key;
	json_t *r;
	size_t n = 0;

	if (json_object_size(covers) == 0)
		return;
	printf("\nSeen on the last day, in five minutes each\n%7s %12s  %-19s\n", "share",
	       "answers", "last of its own");
	json_object_foreach(covers, key, r)
	{
		char number[REPORT_NUMBER_CAP];
		if (n++ == COVER_CAP)
			break;
		printf("%5.1f %% %12s  ", 100 * json_real_value(json_object_get(r, "cov5")),
		       report_number(number, report_count(r, "observations")));
		if (json_is_null(json_object_get(r, "last_auth_us")))
			printf("%-19s", "never");
		else
			print_time(r, "last_auth_us");
		printf("  %s", key);
		print_words(json_object_get(r, "flags"));
		putchar('\n');
	}
	if (json_object_size(covers) > COVER_CAP)
		printf("and %zu more\n", json_object_size(covers) - COVER_CAP);
}

static int add(void *ctx, json_t *r)
{
	struct list *l = ctx;
	char key[1100];

	if (strcmp(report_text(r, "kind"), "coverage") == 0) {
		snprintf(key, sizeof key, "%s %s", report_text(r, "owner"), report_text(r, "type"));
		json_object_set(l->covers, key, r);
		return 0;
	}
	l->alarms += strcmp(report_text(r, "state"), "CHANGED") == 0 &&
		     strcmp(report_text(r, "auth"), "UNAUTHORISED") == 0;
	json_array_append(l->changes, r);
	return 0;
}

int report_integrity(struct walk *w, size_t width)
{
	struct list l = {.changes = json_array(), .covers = json_object()};
	int rc = report_each(w, add, &l);

	(void)width;
	printf("Integrity: %zu records of changes, %" PRIu64 " unauthorised\n",
	       json_array_size(l.changes), l.alarms);
	if (rc == 0)
		rc = print_changes(l.changes);
	print_covers(l.covers);
	json_decref(l.changes);
	json_decref(l.covers);
	return rc;
}

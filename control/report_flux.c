/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TARGETS_SHOWN 2u
#define KIND_CAP 16u
#define DAY_S 86400u
#define SLIDING 2 /* an onset of any 24 h */
#define SLIDING_CHANGES 8u

/* A line of the table: what stands in it, and what it is ranked by. */
struct line {
	uint64_t day; /* since 1970 */
	int onset;    /* the day is not over, or its record is not there; SLIDING */
	char kind[KIND_CAP], *owner;
	int rank; /* of the class: the worst is 0 */
	uint64_t changes;
	json_t *record;
};

struct lines {
	struct line *v;
	size_t n, cap;
	json_t *all; /* records of what was left out, as they came */
};

static int rank_of(const json_t *record)
{
	static const char *const classes[] = {"FLUX", "LB", "GEO"};
	const char *class = report_text(record, "class");
	int i = 0;

	while (i < 3 && strcmp(class, classes[i]) != 0)
		i++;
	return i + (json_is_string(json_object_get(record, "suppressed_by")) ? 1 : 0);
}

/* Of any 24 h, where a day's record has counts. */
static bool is_sliding(const json_t *record)
{
	return json_object_get(record, "window") != NULL;
}

/* Takes the record over. */
static int add(struct lines *l, json_t *record)
{
	if (l->n == l->cap) {
		const size_t cap = l->cap == 0 ? 256 : 2 * l->cap;
		struct line *v = realloc(l->v, cap * sizeof *v);

		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	struct line x = {
	    .day = report_count(record, "start") / DAY_S,
	    .onset = strcmp(report_text(record, "state"), "onset") == 0,
	    .owner = strdup(report_text(record, "owner")),
	    .rank = rank_of(record),
	    .changes = report_count(record, "vtrans"),
	    .record = record,
	};
	if (x.owner == NULL)
		return -ENOMEM;
	if (x.changes == 0)
		x.changes = report_count(record, "trans");
	if (is_sliding(record)) {
		x.onset = SLIDING;
		x.changes = SLIDING_CHANGES;
	}
	snprintf(x.kind, sizeof x.kind, "%s", report_text(record, "kind"));
	l->v[l->n++] = x;
	return 0;
}

/* An owner's records next to each other, the day's first. */
static int owner_compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = strcmp(x->kind, y->kind);

	if (order == 0)
		order = strcmp(x->owner, y->owner);
	if (order == 0)
		order =
		    strcmp(report_text(x->record, "vantage"), report_text(y->record, "vantage"));
	if (order == 0)
		order = strcmp(report_text(x->record, "probe"), report_text(y->record, "probe"));
	if (order == 0)
		order = (x->day > y->day) - (x->day < y->day);
	return order != 0 ? order : x->onset - y->onset;
}

/* Onsets say nothing more once there is a record of the day. */
static void drop_onsets(struct lines *l)
{
	size_t kept = 0;

	qsort(l->v, l->n, sizeof *l->v, owner_compare);
	for (size_t i = 0; i < l->n; i++) {
		struct line as_day = l->v[i];

		as_day.onset = kept != 0 && l->v[kept - 1].onset;
		/* Of a day in which only views differ, any 24 h may say more. */
		const bool is_more =
		    kept != 0 && l->v[i].onset == SLIDING && l->v[kept - 1].rank > l->v[i].rank;
		if (l->v[i].onset && kept != 0 && !is_more &&
		    owner_compare(&l->v[kept - 1], &as_day) == 0) {
			json_decref(l->v[i].record);
			free(l->v[i].owner);
			continue;
		}
		l->v[kept++] = l->v[i];
	}
	l->n = kept;
}

static int line_compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = strcmp(x->kind, y->kind);

	if (order == 0)
		order = (x->day > y->day) - (x->day < y->day);
	if (order == 0)
		order = x->rank - y->rank;
	if (order == 0)
		order = (x->changes < y->changes) - (x->changes > y->changes);
	return order != 0 ? order : strcmp(x->owner, y->owner);
}

static const char *clock_text(char out[16], uint64_t us)
{
	const time_t t = (time_t)(us / 1000000);
	struct tm tm = {0};

	out[0] = '\0';
	if (gmtime_r(&t, &tm) != NULL)
		strftime(out, 16, "%H:%M:%S", &tm);
	return out;
}

/* --- kind cname --- */

static void print_why_cname(const json_t *r)
{
	const char *class = report_text(r, "class");
	const uint64_t vtrans = report_count(r, "vtrans"), targets = report_count(r, "targets");

	if (strcmp(class, "GEO") == 0)
		printf("      no view saw more than %" PRIu64 " changes; views differ\n", vtrans);
	else if (strcmp(class, "LB") == 0)
		printf("      one view saw %" PRIu64 " changes (8 are flux), all within one "
		       "registered domain\n",
		       vtrans);
	else
		printf("      one view saw %" PRIu64 " changes (8 are flux), between %" PRIu64
		       " targets of several domains\n",
		       vtrans, targets);
}

static void print_targets_cname(const json_t *r)
{
	const json_t *top = json_object_get(r, "top_targets"), *one;
	const uint64_t targets = report_count(r, "targets");
	size_t i;

	json_array_foreach(top, i, one)
	{
		const char *name = report_text(one, "name");

		if (i == TARGETS_SHOWN)
			break;
		printf("%s%s", i == 0 ? "      to " : ", ", name[0] != '\0' ? name : "?");
	}
	if (json_array_size(top) != 0)
		printf(", %" PRIu64 " in all\n", targets);
}

/* One that no day's record speaks of: its changes lie on both sides of midnight. */
static void print_sliding(const struct line *l)
{
	const json_t *r = l->record;
	char at[16], since[16];

	printf("  %-5s %-6s%8s%8s%8s%7" PRIu64 "  %s-%s  %s\n", report_text(r, "class"),
	       report_text(r, "vantage"), "", "", "", report_count(r, "views"),
	       clock_text(since, report_count(r, "since_us")),
	       clock_text(at, report_count(r, "at_us")),
	       l->owner[0] != '\0' ? l->owner : "? (its name was lost)");
	printf("      one view saw 8 changes (8 are flux) within 24 h, though not within a day\n");
}

static void print_cname(const struct line *l)
{
	const json_t *r = l->record;
	char first[16], last[16];

	if (l->onset == SLIDING) {
		print_sliding(l);
		return;
	}
	printf("  %-5s %-6s%8" PRIu64 "%8" PRIu64 "%8" PRIu64 "%7" PRIu64 "  %s-%s  %s\n",
	       report_text(r, "class"), report_text(r, "vantage"), report_count(r, "vtrans"),
	       report_count(r, "trans"), report_count(r, "targets"), report_count(r, "views"),
	       clock_text(first, report_count(r, "first_us")),
	       clock_text(last, report_count(r, "last_us")),
	       l->owner[0] != '\0' ? l->owner : "? (its name was lost)");
	if (l->onset)
		printf("      as it was when it began, at %s; the day's record is not there yet\n",
		       clock_text(first, report_count(r, "at_us")));
	print_why_cname(r);
	print_targets_cname(r);
}

static void heading_cname(void)
{
	printf("  %-5s %-6s%8s%8s%8s%7s  %-17s  %s\n", "class", "seen", "vtrans", "trans",
	       "targets", "views", "from-to", "owner");
}

/* --- kinds without a printer of their own: what there is, field by field --- */

static void print_any(const struct line *l)
{
	const char *key, *owner = l->owner[0] != '\0' ? l->owner : report_text(l->record, "name");
	json_t *value;

	printf("  %-12s %-6s %s\n     ", report_text(l->record, "class"),
	       report_text(l->record, "vantage"), owner);
	json_object_foreach(l->record, key, value)
	{
		if (strcmp(key, "start") == 0 || strcmp(key, "end") == 0 || strcmp(key, "v") == 0 ||
		    strstr(key, "_us") != NULL)
			continue;
		if (json_is_integer(value))
			printf(" %s %" PRId64, key, (int64_t)json_integer_value(value));
		else if (json_is_real(value))
			printf(" %s %.2f", key, json_real_value(value));
		else if (strcmp(key, "suppressed_by") == 0 && json_is_string(value))
			printf(" %s %s", key, json_string_value(value));
	}
	putchar('\n');
}

/* A kind's rows; another kind gets a line here. */
static const struct {
	const char *kind;
	void (*heading)(void); /* or NULL */
	void (*print)(const struct line *l);
} kinds[] = {{"cname", heading_cname, print_cname}};
#define KINDS_LEN (sizeof kinds / sizeof *kinds)

static void heading(const struct line *l)
{
	const time_t t = (time_t)(l->day * DAY_S);
	struct tm tm = {0};
	char text[32] = "";

	if (gmtime_r(&t, &tm) != NULL)
		strftime(text, sizeof text, "%Y-%m-%d", &tm);
	printf("%s UTC, kind %s\n", text, l->kind);
}

static void print_line(const struct line *l, bool first)
{
	for (size_t i = 0; i < KINDS_LEN; i++) {
		if (strcmp(kinds[i].kind, l->kind) != 0)
			continue;
		if (first && kinds[i].heading != NULL)
			kinds[i].heading();
		kinds[i].print(l);
		return;
	}
	print_any(l);
}

static void print_all(const struct lines *l)
{
	const json_t *r;
	size_t i;

	json_array_foreach(l->all, i, r)
	{
		char owners[REPORT_NUMBER_CAP], dropped[REPORT_NUMBER_CAP], lost[REPORT_NUMBER_CAP];

		report_heading(r);
		printf("  %s: not all owners could be followed (p = %g): %s were, %s were dropped, "
		       "%s observations left out\n"
		       "  %" PRIu64 " of those followed flux; among all it is about %" PRIu64
		       " (standard error %" PRIu64 "). A greater --flux-mb helps.\n",
		       report_text(r, "kind"), json_number_value(json_object_get(r, "p")),
		       report_number(owners, report_count(r, "owners")),
		       report_number(dropped, report_count(r, "dropped_owners")),
		       report_number(lost, report_count(r, "left_out")), report_count(r, "fluxers"),
		       report_count(r, "est_fluxers"), report_count(r, "se_fluxers"));
	}
}

static int take(void *ctx, json_t *r)
{
	struct lines *l = ctx;

	if (strcmp(report_text(r, "owner"), "ALL") == 0)
		return json_array_append(l->all, r) == 0 ? 0 : -ENOMEM;
	return add(l, json_incref(r));
}

int report_flux(struct walk *w, size_t width)
{
	struct lines l = {.all = json_array()};
	const int rc = l.all != NULL ? report_each(w, take, &l) : -ENOMEM;

	(void)width;
	if (l.n != 0)
		drop_onsets(&l);
	if (l.n != 0)
		qsort(l.v, l.n, sizeof *l.v, line_compare);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		const bool first = i == 0 || l.v[i].day != l.v[i - 1].day ||
				   strcmp(l.v[i].kind, l.v[i - 1].kind) != 0;
		if (first) {
			if (i != 0)
				putchar('\n');
			heading(&l.v[i]);
		}
		print_line(&l.v[i], first);
	}
	if (rc == 0 && l.n == 0)
		printf("No owner changed often enough for a record.\n");
	if (rc == 0)
		print_all(&l);
	for (size_t i = 0; i < l.n; i++) {
		json_decref(l.v[i].record);
		free(l.v[i].owner);
	}
	free(l.v);
	json_decref(l.all);
	return rc;
}

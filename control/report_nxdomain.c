/* SPDX-License-Identifier: BSD-3-Clause */
/* The names that do not exist, those asked for most first, and why one should look. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS 25u
#define MOST_CLIENTS_FEW 2u /* clients: it is somebody's own trouble */
#define MANY_QUESTIONS 100u

/* One name that does not exist, with all below it. */
struct cut {
	char *name;
	uint64_t count, records, mx;
	uint64_t clients;         /* the most that one record has */
	uint64_t first, interval; /* interval: the answers of the one that is summed up */
	uint64_t interval_start, peak, peak_start;
	uint64_t spikes, spike_start, spike_count;
	double spike_expected;
};

struct cuts {
	struct cut *cut;
	size_t n, cap;
	json_t *index; /* name: number */
	uint64_t count, records, left_out, begin, end;
};

static struct cut *cut_get(struct cuts *c, const char *name)
{
	const json_t *at = json_object_get(c->index, name);

	if (at != NULL)
		return &c->cut[json_integer_value(at)];
	if (c->n == c->cap) {
		const size_t cap = c->cap == 0 ? 1024 : 2 * c->cap;
		struct cut *grown = realloc(c->cut, cap * sizeof *grown);
		if (grown == NULL)
			return NULL;
		c->cut = grown;
		c->cap = cap;
	}
	char *copy = strdup(name);
	if (copy == NULL ||
	    json_object_set_new(c->index, name, json_integer((json_int_t)c->n)) != 0) {
		free(copy);
		return NULL;
	}
	c->cut[c->n] = (struct cut){.name = copy};
	return &c->cut[c->n++];
}

static void add_row(struct cut *u, const json_t *r, uint64_t start)
{
	const uint64_t count = report_count(r, "count"), clients = report_count(r, "clients");

	if (u->records++ == 0)
		u->first = start;
	if (start != u->interval_start) {
		u->interval_start = start;
		u->interval = 0;
	}
	u->count += count;
	u->interval += count;
	if (u->interval > u->peak) {
		u->peak = u->interval;
		u->peak_start = start;
	}
	if (clients > u->clients)
		u->clients = clients;
	if (strcmp(report_text(r, "qtype"), "MX") == 0)
		u->mx += count;
}

static void add_spike(struct cut *u, const json_t *r, uint64_t start)
{
	const uint64_t count = report_count(r, "count");

	u->spikes++;
	if (count <= u->spike_count)
		return;
	u->spike_count = count;
	u->spike_start = start;
	u->spike_expected = json_number_value(json_object_get(r, "expected"));
}

static int take(struct cuts *c, const json_t *r)
{
	const uint64_t start = report_count(r, "start"), end = report_count(r, "end");
	const bool spike = json_object_get(r, "state") != NULL;

	if (start < c->begin)
		c->begin = start;
	if (end > c->end)
		c->end = end;
	c->left_out += report_count(r, "left_out");
	if (json_object_get(r, "kind") != NULL)
		return 0;
	/* Without an SOA nobody says where it ends. */
	const char *name = report_text(r, *report_text(r, "nx_cut") != '\0' ? "nx_cut" : "qname");
	struct cut *u = cut_get(c, *name != '\0' ? name : "(no question)");
	if (u == NULL)
		return -ENOMEM;
	if (spike) {
		add_spike(u, r, start);
		return 0;
	}
	c->count += report_count(r, "count");
	c->records++;
	add_row(u, r, start);
	return 0;
}

/* More first; of two alike, by name. */
static int order(const void *left, const void *right)
{
	const struct cut *a = left, *b = right;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(a->name, b->name);
}

static const char *clock_text(char out[16], uint64_t start)
{
	const time_t t = (time_t)start;
	struct tm tm = {0};

	if (gmtime_r(&t, &tm) == NULL || strftime(out, 16, "%m-%d %H:%M", &tm) == 0)
		out[0] = '\0';
	return out;
}

/* The first reason that fits, for one line. */
static void put_why(const struct cuts *c, const struct cut *u, char *out, size_t cap)
{
	char at[16], number[REPORT_NUMBER_CAP];

	if (u->spikes != 0)
		snprintf(out, cap, "spike: %s at %s, %.1f expected",
			 report_number(number, u->spike_count), clock_text(at, u->spike_start),
			 u->spike_expected);
	else if (2 * u->mx > u->count)
		snprintf(out, cap, "mail: %.0f %% ask for MX",
			 100.0 * (double)u->mx / (double)u->count);
	else if (u->clients <= MOST_CLIENTS_FEW && u->count >= 10)
		snprintf(out, cap, "few clients");
	else if (u->records >= MANY_QUESTIONS)
		snprintf(out, cap, "many questions: %s", report_number(number, u->records));
	else if (u->first > c->begin + (c->end - c->begin) / 2)
		snprintf(out, cap, "new: first seen at %s", clock_text(at, u->first));
	else
		out[0] = '\0';
}

static void print_row(const struct cuts *c, const struct cut *u, size_t width)
{
	const int name_width = width > 100 ? (int)width - 76 : 28;
	char number[REPORT_NUMBER_CAP], clients[REPORT_NUMBER_CAP], peak[REPORT_NUMBER_CAP],
	    why[96];

	put_why(c, u, why, sizeof why);
	printf("%-*.*s %11s %5.1f%% %7s %11s  %s\n", name_width, name_width, u->name,
	       report_number(number, u->count), 100.0 * (double)u->count / (double)c->count,
	       report_number(clients, u->clients), report_number(peak, u->peak), why);
}

static void print(struct cuts *c, size_t width)
{
	char a[REPORT_NUMBER_CAP], b[REPORT_NUMBER_CAP];
	const int name_width = width > 100 ? (int)width - 76 : 28;

	if (c->count == 0) {
		puts("There are no NXDOMAIN answers here. Those between stubs and their resolver "
		     "are\nexported only with --channels all.");
		return;
	}
	qsort(c->cut, c->n, sizeof *c->cut, order);
	printf("%s NXDOMAIN answers, %s names that do not exist\n", report_number(a, c->count),
	       report_number(b, c->n));
	printf("%-*s %11s %6s %7s %11s  %s\n", name_width, "name, and all below it", "answers",
	       "share", "clients", "most at once", "why");
	for (size_t i = 0; i < c->n && i < ROWS && !ferror(stdout); i++)
		print_row(c, &c->cut[i], width);
	if (c->left_out != 0)
		printf("%s more answers had no record: too many different ones at once.\n",
		       report_number(a, c->left_out));
	puts("clients: the most that one question had; most at once: answers of one interval.");
}

int report_nxdomain(struct walk *w, size_t width)
{
	struct cuts c = {.index = json_object(), .begin = UINT64_MAX};
	const char *line;
	size_t len;
	int rc = c.index != NULL ? 1 : -ENOMEM;

	while (rc == 1 && (rc = walk_next(w, &line, &len)) == 1) {
		json_t *record = json_loadb(line, len, 0, NULL);
		const int taken = record != NULL ? take(&c, record) : -ENOMEM;
		json_decref(record);
		if (taken != 0)
			rc = taken;
	}
	if (rc == 0)
		print(&c, width);
	for (size_t i = 0; i < c.n; i++)
		free(c.cut[i].name);
	free(c.cut);
	json_decref(c.index);
	return rc;
}

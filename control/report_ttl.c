/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report ttl`: what the lines of falling TTLs say of each watched record and
 * resolver, day by day, then who looked into caches, with the busiest window of each. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_CAP 100u

struct snooper {
	char client[64], class[16];
	uint64_t windows, rd0, names, hits; /* of the window with most queries */
	double cv;
};

struct table {
	struct snooper *v;
	size_t n, cap;
	json_t *index; /* client: number */
	uint64_t lines, left_out;
};

static void print_line(struct table *t, const json_t *r)
{
	const json_t *idle = json_object_get(r, "idle_us");
	const json_t *rate = json_object_get(r, "demand_qps");
	char idle_text[32] = "-", demand[32] = "-";

	if (t->lines++ == 0)
		printf("%-28s %-6s %-22s %8s %8s %5s %10s %10s\n", "owner", "type", "resolver",
		       "ttl_max", "fills", "live", "idle s", "demand/s");
	if (t->lines > ROWS_CAP)
		return;
	if (json_is_integer(idle))
		(void)snprintf(idle_text, sizeof idle_text, "%.1f",
			       (double)json_integer_value(idle) / 1e6);
	if (json_is_number(rate))
		(void)snprintf(demand, sizeof demand, "%.4f", json_number_value(rate));
	printf("%-28s %-6s %-22s %8" PRIu64 " %8" PRIu64 " %5" PRIu64 " %10s %10s%s%s\n",
	       report_text(r, "owner"), report_text(r, "type"), report_text(r, "server"),
	       report_count(r, "ttl_max"), report_count(r, "fills"), report_count(r, "live_caches"),
	       idle_text, demand, json_is_true(json_object_get(r, "randomised")) ? "  random" : "",
	       json_is_true(json_object_get(r, "stretched")) ? "  stretched" : "");
}

/* The higher of two classes: what a client did once, it did. */
static int rank(const char *class)
{
	return strcmp(class, "TARGETED") == 0 ? 2 : strcmp(class, "PERIODIC") == 0;
}

static struct snooper *snooper_get(struct table *t, const char *client)
{
	const json_t *at = json_object_get(t->index, client);

	if (at != NULL)
		return &t->v[json_integer_value(at)];
	if (t->n == t->cap) {
		const size_t cap = t->cap != 0 ? t->cap * 2 : 64;
		struct snooper *more = realloc(t->v, cap * sizeof *more);
		if (more == NULL)
			return NULL;
		t->v = more;
		t->cap = cap;
	}
	t->v[t->n] = (struct snooper){.class = "SNOOPER"};
	(void)snprintf(t->v[t->n].client, sizeof t->v[t->n].client, "%s", client);
	json_object_set_new(t->index, client, json_integer((json_int_t)t->n));
	return &t->v[t->n++];
}

static int add(void *ctx, json_t *r)
{
	struct table *t = ctx;
	const char *kind = report_text(r, "kind"), *class = report_text(r, "class");

	if (strcmp(kind, "left_out") == 0) {
		t->left_out += report_count(r, "answers") + report_count(r, "queries");
		return 0;
	}
	if (strcmp(kind, "snooper") != 0) {
		print_line(t, r);
		return 0;
	}
	struct snooper *s = snooper_get(t, report_text(r, "client"));
	if (s == NULL)
		return -ENOMEM;
	s->windows++;
	if (rank(class) > rank(s->class))
		(void)snprintf(s->class, sizeof s->class, "%s", class);
	if (report_count(r, "rd0") <= s->rd0)
		return 0;
	s->rd0 = report_count(r, "rd0");
	s->names = report_count(r, "names");
	s->hits = report_count(r, "hits");
	s->cv = json_number_value(json_object_get(r, "cv"));
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct snooper *a = left, *b = right;
	const int by_class = rank(b->class) - rank(a->class);

	if (by_class != 0)
		return by_class;
	if (a->rd0 != b->rd0)
		return a->rd0 < b->rd0 ? 1 : -1;
	return strcmp(a->client, b->client);
}

static void print_snoopers(struct table *t)
{
	if (t->n == 0)
		return;
	qsort(t->v, t->n, sizeof *t->v, compare);
	printf("\n%-26s %8s %8s %8s %8s %8s  %s\n", "snooping client", "windows", "rd0", "names",
	       "hits", "cv", "class");
	for (size_t i = 0; i < t->n && i < ROWS_CAP; i++) {
		const struct snooper *s = &t->v[i];
		printf("%-26s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8.3f  %s\n",
		       s->client, s->windows, s->rd0, s->names, s->hits, s->cv, s->class);
	}
	if (t->n > ROWS_CAP)
		printf("and %zu more\n", t->n - ROWS_CAP);
}

int report_ttl(struct walk *w, size_t width)
{
	struct table t = {.index = json_object()};
	int rc;

	(void)width;
	printf("Caches by their falling TTLs, and who looked into them\n");
	rc = report_each(w, add, &t);
	if (t.lines > ROWS_CAP)
		printf("and %" PRIu64 " more\n", t.lines - ROWS_CAP);
	print_snoopers(&t);
	if (t.left_out != 0)
		printf("\n%" PRIu64 " answers and queries were left out: beyond the budgets\n",
		       t.left_out);
	json_decref(t.index);
	free(t.v);
	return rc;
}

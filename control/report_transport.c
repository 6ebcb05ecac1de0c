/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report transport`: what DNS was carried over in all intervals, Fast Open and truncated
 * answers, then the zone transfers, largest first. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_CAP 100u

struct table {
	json_t *mix, *tfo, *tc; /* sums */
	json_t *latency;        /* of the interval with most answers */
	json_t **row;           /* transfers */
	size_t n, cap;
};

static void add_counts(json_t *sums, const json_t *counts)
{
	const char *key;
	json_t *n;

	json_object_foreach((json_t *)(uintptr_t)counts, key, n)
	{
		if (json_is_object(n)) {
			if (json_object_get(sums, key) == NULL)
				json_object_set_new(sums, key, json_object());
			add_counts(json_object_get(sums, key), n);
		} else if (json_is_integer(n)) {
			json_object_set_new(sums, key,
					    json_integer((json_int_t)report_count(sums, key) +
							 json_integer_value(n)));
		}
	}
}

static int add_transfer(struct table *t, json_t *record)
{
	if (t->n == t->cap) {
		const size_t cap = t->cap != 0 ? t->cap * 2 : 64;
		json_t **more = realloc(t->row, cap * sizeof *more);

		if (more == NULL)
			return -ENOMEM;
		t->row = more;
		t->cap = cap;
	}
	t->row[t->n++] = json_incref(record);
	return 0;
}

static int add(void *ctx, json_t *record)
{
	struct table *t = ctx;
	const json_t *tc = json_object_get(record, "tc");
	json_t *latency = json_object_get(tc, "latency_us");

	if (json_object_get(record, "kind") != NULL)
		return add_transfer(t, record);
	add_counts(t->mix, json_object_get(record, "mix"));
	add_counts(t->tfo, json_object_get(record, "tfo"));
	add_counts(t->tc, tc);
	if (t->latency == NULL ||
	    report_count(latency, "count") > report_count(t->latency, "count")) {
		json_decref(t->latency);
		t->latency = json_incref(latency);
	}
	return 0;
}

static uint64_t octets(const json_t *record)
{
	return report_count(record, "bytes") + report_count(record, "bytes_in");
}

static int compare(const void *left, const void *right)
{
	const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
	const uint64_t x = octets(a), y = octets(b), s = report_count(a, "first_us"),
		       u = report_count(b, "first_us");

	if (x != y)
		return x > y ? -1 : 1;
	return (s > u) - (s < u);
}

static double share(uint64_t n, uint64_t of)
{
	return of != 0 ? 100.0 * (double)n / (double)of : 0;
}

static void print_mix(const json_t *mix)
{
	uint64_t bytes = 0;
	const char *key;
	json_t *m;

	json_object_foreach((json_t *)(uintptr_t)mix, key, m) bytes += report_count(m, "bytes");
	printf("%-6s %14s %18s %8s %14s %14s\n", "over", "packets", "bytes", "share", "connections",
	       "messages");
	json_object_foreach((json_t *)(uintptr_t)mix, key, m)
	{
		char p[REPORT_NUMBER_CAP], b[REPORT_NUMBER_CAP], c[REPORT_NUMBER_CAP],
		    n[REPORT_NUMBER_CAP];
		const bool seen = strcmp(key, "udp53") == 0 || strcmp(key, "tcp53") == 0;
		printf("%-6s %14s %18s %6.1f %% %14s %14s\n", key,
		       report_number(p, report_count(m, "packets")),
		       report_number(b, report_count(m, "bytes")),
		       share(report_count(m, "bytes"), bytes),
		       strcmp(key, "udp53") != 0 ? report_number(c, report_count(m, "connections"))
						 : "-",
		       seen ? report_number(n, report_count(m, "messages")) : "-");
	}
}

static void print_rest(const struct table *t)
{
	static const char *const cuts[] = {"TCP_OK", "TCP_FAIL", "UDP_RETRY", "OTHER_SERVER",
					   "NONE"};
	const uint64_t all = report_count(t->tc, "responses");
	const char *key;
	json_t *n;

	printf("\nTCP Fast Open:");
	json_object_foreach(t->tfo, key, n)
	    printf(" %s %" JSON_INTEGER_FORMAT, key, json_integer_value(n));
	printf("%s\nTruncated answers: %" PRIu64, json_object_size(t->tfo) == 0 ? " -" : "", all);
	for (size_t i = 0; all != 0 && i < sizeof cuts / sizeof *cuts; i++)
		printf(", %s %.1f %%", cuts[i], share(report_count(t->tc, cuts[i]), all));
	if (report_count(t->latency, "count") != 0)
		printf("\n  from the question to the answer over TCP: p50 %.1f ms, p99 %.1f ms, "
		       "most %.1f ms",
		       (double)report_count(t->latency, "p50") / 1e3,
		       (double)report_count(t->latency, "p99") / 1e3,
		       (double)report_count(t->latency, "max") / 1e3);
	putchar('\n');
}

static void print_serials(const json_t *r)
{
	const json_t *from = json_object_get(r, "serial_from"),
		     *to = json_object_get(r, "serial_to");

	if (json_is_integer(from) && json_is_integer(to))
		printf("  %" PRIu64 " -> %" PRIu64, report_count(r, "serial_from"),
		       report_count(r, "serial_to"));
	else if (json_is_integer(to))
		printf("  %" PRIu64, report_count(r, "serial_to"));
	putchar('\n');
}

static void print_transfers(struct table *t)
{
	if (t->n == 0)
		return;
	qsort(t->row, t->n, sizeof *t->row, compare);
	printf("\n%-5s %-8s %-22s %-22s %9s %9s %12s %9s  zone\n", "", "style", "client", "server",
	       "messages", "records", "bytes", "ms");
	for (size_t i = 0; i < t->n && i < ROWS_CAP; i++) {
		const json_t *r = t->row[i];
		const bool xot = strcmp(report_text(r, "kind"), "xot") == 0;
		char m[REPORT_NUMBER_CAP], n[REPORT_NUMBER_CAP], b[REPORT_NUMBER_CAP];
		printf("%-5s %-8s %-22s %-22s %9s %9s %12s %9.1f  %s",
		       xot ? "XoT" : report_text(r, "type"), xot ? "-" : report_text(r, "style"),
		       report_text(r, "client"), report_text(r, "server"),
		       xot ? "-" : report_number(m, report_count(r, "messages")),
		       xot ? "-" : report_number(n, report_count(r, "rrs")),
		       report_number(b, octets(r)), (double)report_count(r, "dur_us") / 1e3,
		       xot ? "(encrypted)" : report_text(r, "zone"));
		print_serials(r);
	}
	if (t->n > ROWS_CAP)
		printf("and %zu more\n", t->n - ROWS_CAP);
}

int report_transport(struct walk *w, size_t width)
{
	struct table t = {.mix = json_object(), .tfo = json_object(), .tc = json_object()};
	const int rc = report_each(w, add, &t);

	(void)width;
	print_mix(t.mix);
	print_rest(&t);
	print_transfers(&t);
	for (size_t i = 0; i < t.n; i++)
		json_decref(t.row[i]);
	free(t.row);
	json_decref(t.mix);
	json_decref(t.tfo);
	json_decref(t.tc);
	json_decref(t.latency);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include "../dataplane/sketch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VANTAGES_CAP 8
#define LIST_CAP 512 /* types or classes of a sum; the rest is not listed */

/* One row: a record, or the sum of a vantage's records. */
struct row {
	char vantage[16];
	uint64_t records, last_start, seconds;
	uint64_t queries, responses, unanswered, unsolicited, malformed, lost_ppm;
	uint64_t clients, names; /* of the only record */
	json_t *by_qtype, *by_class;
	uint64_t rtt_count, rtt_max, bins[DD_BINS];
	uint64_t quantile[3]; /* of the only record */
	bool mergeable;       /* all records had registers */
	struct distinct distinct[FT_DISTINCT_CAP];
};

static const double quantiles[3] = {0.50, 0.90, 0.99};

static struct row *row_create(const char *vantage)
{
	struct row *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	snprintf(r->vantage, sizeof r->vantage, "%s", vantage);
	r->last_start = UINT64_MAX;
	r->mergeable = true;
	r->by_qtype = json_object();
	r->by_class = json_object();
	return r;
}

static void row_destroy(struct row *r)
{
	if (r == NULL)
		return;
	json_decref(r->by_qtype);
	json_decref(r->by_class);
	free(r);
}

static void add_map(json_t *sums, const json_t *map)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)map, key, value)
	{
		const uint64_t n = report_count(sums, key) + report_count(map, key);

		json_object_set_new(sums, key, json_integer((json_int_t)n));
	}
}

static int base64_value(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Decodes exactly FT_DISTINCT_REGS octets (RFC 4648 section 4); false if it is not that. */
static bool read_regs(const char *text, uint8_t regs[FT_DISTINCT_REGS])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (; base64_value(*text) >= 0 && n < FT_DISTINCT_REGS; text++) {
		bits = (bits << 6 | (uint32_t)base64_value(*text)) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			regs[n++] = (uint8_t)(bits >> have);
		}
	}
	return n == FT_DISTINCT_REGS && text[strspn(text, "=")] == '\0';
}

static void add_regs(struct row *r, const json_t *record)
{
	static const char *const keys[FT_DISTINCT_CAP] = {"clients", "names"};
	const json_t *hll = json_object_get(record, "hll");
	static uint8_t regs[FT_DISTINCT_REGS];

	for (size_t i = 0; i < FT_DISTINCT_CAP; i++) {
		const json_t *one = json_object_get(hll, keys[i]);

		if (report_count(one, "p") == FT_DISTINCT_P &&
		    read_regs(report_text(one, "regs"), regs))
			distinct_merge_regs(&r->distinct[i], regs);
		else
			r->mergeable = false;
	}
}

static void add_rtt(struct row *r, const json_t *rtt)
{
	const json_t *bins = json_object_get(rtt, "bins"), *pair;
	size_t i;

	r->rtt_count += report_count(rtt, "count");
	if (report_count(rtt, "max") > r->rtt_max)
		r->rtt_max = report_count(rtt, "max");
	r->quantile[0] = report_count(rtt, "p50");
	r->quantile[1] = report_count(rtt, "p90");
	r->quantile[2] = report_count(rtt, "p99");
	json_array_foreach(bins, i, pair)
	{
		const json_int_t bin = json_integer_value(json_array_get(pair, 0));
		const json_int_t n = json_integer_value(json_array_get(pair, 1));

		if (bin >= 0 && bin < (json_int_t)DD_BINS && n > 0)
			r->bins[bin] += (uint64_t)n;
	}
}

static void row_add(struct row *r, const json_t *record)
{
	const uint64_t start = report_count(record, "start"), end = report_count(record, "end");

	if (start != r->last_start && end > start)
		r->seconds += end - start; /* several probes may cover the same time */
	r->last_start = start;
	r->records++;
	r->queries += report_count(record, "queries");
	r->responses += report_count(record, "responses");
	r->unanswered += report_count(record, "unanswered");
	r->unsolicited += report_count(record, "unsolicited");
	r->malformed += report_count(record, "malformed");
	if (report_count(record, "loss_ppm") > r->lost_ppm)
		r->lost_ppm = report_count(record, "loss_ppm");
	r->clients = report_count(record, "clients");
	r->names = report_count(record, "names");
	add_map(r->by_qtype, json_object_get(record, "by_qtype"));
	add_map(r->by_class, json_object_get(record, "by_class"));
	add_rtt(r, json_object_get(record, "rtt_us"));
	add_regs(r, record);
}

struct share {
	const char *key;
	uint64_t n;
};

static int share_compare(const void *a, const void *b)
{
	const struct share *x = a, *y = b;
	const int order = (x->n < y->n) - (x->n > y->n);

	return order != 0 ? order : strcmp(x->key, y->key);
}

/* Prints "label A 61.2 %  AAAA 20.1 % ...", largest first: one line of them, or all. */
static void print_shares(const char *label, const json_t *map, size_t width, bool all)
{
	static struct share shares[LIST_CAP];
	const char *key;
	json_t *value;
	size_t n = 0, at = 0;
	uint64_t sum = 0;
	char text[64];

	json_object_foreach((json_t *)(uintptr_t)map, key, value)
	{
		sum += report_count(map, key);
		if (n < LIST_CAP)
			shares[n++] = (struct share){key, report_count(map, key)};
	}
	if (sum == 0)
		return;
	qsort(shares, n, sizeof *shares, share_compare);
	for (size_t i = 0; i < n; i++) {
		const int len = snprintf(text, sizeof text, "  %.32s %.1f %%", shares[i].key,
					 100.0 * (double)shares[i].n / (double)sum);

		if (at > 0 && at + (size_t)len > width) {
			if (!all)
				break;
			putchar('\n');
			at = 0;
		}
		if (at == 0)
			at = (size_t)printf("    %-8s", i == 0 ? label : "");
		at += (size_t)len;
		fputs(text, stdout);
	}
	putchar('\n');
}

/* Microseconds in the unit that a person would choose. */
static const char *duration_text(char out[REPORT_NUMBER_CAP], uint64_t us)
{
	if (us < 1000)
		snprintf(out, REPORT_NUMBER_CAP, "%" PRIu64 " us", us);
	else if (us < 1000000)
		snprintf(out, REPORT_NUMBER_CAP, "%.1f ms", (double)us / 1e3);
	else
		snprintf(out, REPORT_NUMBER_CAP, "%.2f s", (double)us / 1e6);
	return out;
}

static void print_rtt(const struct row *r)
{
	char text[4][REPORT_NUMBER_CAP];

	if (r->rtt_count == 0)
		return;
	for (size_t i = 0; i < 3; i++) {
		const double q = r->records == 1 ? (double)r->quantile[i]
						 : dd_quantile(r->bins, r->rtt_count, quantiles[i]);

		/* A bin's value may lie above the largest that is in it. */
		duration_text(text[i], q < (double)r->rtt_max ? (uint64_t)(q + 0.5) : r->rtt_max);
	}
	printf("    %-8s  p50 %s  p90 %s  p99 %s  max %s\n", "rtt", text[0], text[1], text[2],
	       duration_text(text[3], r->rtt_max));
}

/* The count of the only record; over several, what their registers say together. */
static const char *distinct_text(char out[REPORT_NUMBER_CAP], const struct row *r,
				 enum ft_distinct which, uint64_t only)
{
	if (r->records == 1)
		return report_number(out, only);
	return r->mergeable ? report_number(out, distinct_count(&r->distinct[which])) : "-";
}

static void print_columns(void)
{
	printf("  %-6s%15s%11s%15s%10s%10s%11s\n", "", "queries", "queries/s", "responses",
	       "no answer", "clients", "names");
}

static void print_row(const struct row *r, size_t width)
{
	char queries[REPORT_NUMBER_CAP], rate[REPORT_NUMBER_CAP], responses[REPORT_NUMBER_CAP];
	char clients[REPORT_NUMBER_CAP], names[REPORT_NUMBER_CAP], none[REPORT_NUMBER_CAP] = "-";
	char number[REPORT_NUMBER_CAP];

	report_number(rate, r->seconds ? (r->queries + r->seconds / 2) / r->seconds : 0);
	if (r->seconds > 0 && r->queries < 10 * r->seconds)
		snprintf(rate, sizeof rate, "%.2f", (double)r->queries / (double)r->seconds);
	if (r->queries > 0)
		snprintf(none, sizeof none, "%.2f %%",
			 100.0 * (double)r->unanswered / (double)r->queries);
	printf("  %-6s%15s%11s%15s%10s%10s%11s\n", r->vantage, report_number(queries, r->queries),
	       rate, report_number(responses, r->responses), none,
	       distinct_text(clients, r, FT_DISTINCT_CLIENTS, r->clients),
	       distinct_text(names, r, FT_DISTINCT_NAMES, r->names));
	print_shares("types", r->by_qtype, width, false);
	print_shares("classes", r->by_class, width, true);
	print_rtt(r);
	if (r->unsolicited > 0)
		printf("    %-8s  %s responses without a query\n", "note",
		       report_number(number, r->unsolicited));
	if (r->malformed > 0)
		printf("    %-8s  %s messages with damaged records\n", "note",
		       report_number(number, r->malformed));
	if (r->lost_ppm > 0)
		printf("    %-8s  up to %.4f %% of packets were lost or unreadable\n", "note",
		       (double)r->lost_ppm / 1e4);
}

/* All rows so far. */
struct table {
	struct row *totals[VANTAGES_CAP];
	size_t totals_len;
	uint64_t start; /* of the heading printed last */
	char probe[64];
};

static int add_total(struct table *t, const json_t *record)
{
	const char *vantage = report_text(record, "vantage");
	size_t i = 0;

	while (i < t->totals_len && strcmp(t->totals[i]->vantage, vantage) != 0)
		i++;
	if (i == VANTAGES_CAP)
		return 0;
	if (i == t->totals_len) {
		t->totals[i] = row_create(vantage);
		if (t->totals[i] == NULL)
			return -ENOMEM;
		t->totals_len++;
	}
	row_add(t->totals[i], record);
	return 0;
}

static int take_record(struct table *t, const json_t *record, size_t width)
{
	struct row *r = row_create(report_text(record, "vantage"));
	const uint64_t start = report_count(record, "start");

	if (r == NULL)
		return -ENOMEM;
	if (t->totals_len == 0 || t->start != start ||
	    strcmp(t->probe, report_text(record, "probe")) != 0) {
		if (t->totals_len > 0)
			putchar('\n');
		report_heading(record);
		print_columns();
		t->start = start;
		snprintf(t->probe, sizeof t->probe, "%s", report_text(record, "probe"));
	}
	row_add(r, record);
	print_row(r, width);
	row_destroy(r);
	return add_total(t, record);
}

static void print_totals(const struct table *t, size_t width)
{
	uint64_t records = 0;
	char number[REPORT_NUMBER_CAP];

	if (t->totals_len == 0) {
		puts("There are no traffic records here.");
		return;
	}
	for (size_t i = 0; i < t->totals_len; i++)
		records += t->totals[i]->records;
	printf("\nTotal of %s record%s\n", report_number(number, records), records == 1 ? "" : "s");
	print_columns();
	for (size_t i = 0; i < t->totals_len; i++)
		print_row(t->totals[i], width);
}

int report_traffic(struct walk *w, size_t width)
{
	struct table t = {.start = UINT64_MAX};
	const char *line;
	size_t len;
	int rc;

	dd_init();
	while ((rc = walk_next(w, &line, &len)) == 1) {
		json_t *record = json_loadb(line, len, 0, NULL);

		rc = record != NULL ? take_record(&t, record, width) : -ENOMEM;
		json_decref(record);
		if (rc != 0 || ferror(stdout))
			break;
	}
	if (rc == 0)
		print_totals(&t, width);
	for (size_t i = 0; i < t.totals_len; i++)
		row_destroy(t.totals[i]);
	return rc;
}

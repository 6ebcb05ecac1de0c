/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <errno.h>
#include <fluxtap/counters.h>
#include <fluxtap/drop.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS_CAP 8 /* runs that cover the same time */

/* What was held at an interval's end. */
struct level {
	uint64_t packets, messages;
};

/* The levels of one probe and worker at the end of the interval before and of this
 * one: one each, unless several runs were exported for the same time. */
struct chain {
	char *key;
	uint64_t start;
	struct level before[LEVELS_CAP], now[LEVELS_CAP];
	size_t before_len, now_len;
};

struct books {
	struct chain *chains;
	size_t chains_len;
	uint64_t intervals, equations, wrong; /* wrong: that do not close */
	json_t *dropped, *msg_dropped, *sum;  /* over all intervals */
	bool overlap;
};

/* in + before = dropped + on + held */
struct equation {
	const char *name;
	uint64_t in, before, dropped, on, held;
	bool level; /* has `before` and `held` */
};

static uint64_t sum_of(const json_t *map)
{
	const char *key;
	json_t *value;
	uint64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)map, key, value) sum += report_count(map, key);
	return sum;
}

static void add_to(json_t *sums, const char *key, uint64_t n)
{
	json_object_set_new(sums, key, json_integer((json_int_t)(report_count(sums, key) + n)));
}

static void add_map(json_t *sums, const json_t *map)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)map, key, value)
	    add_to(sums, key, report_count(map, key));
}

static bool closes(const struct equation *e)
{
	return e->in + e->before == e->dropped + e->on + e->held;
}

static struct chain *chain_get(struct books *b, const json_t *record)
{
	const json_t *worker = json_object_get(record, "worker");
	char key[128];

	if (json_is_string(worker))
		snprintf(key, sizeof key, "%s %s", report_text(record, "probe"),
			 json_string_value(worker));
	else
		snprintf(key, sizeof key, "%s %" PRIu64, report_text(record, "probe"),
			 report_count(record, "worker"));
	for (size_t i = 0; i < b->chains_len; i++) {
		if (strcmp(b->chains[i].key, key) == 0)
			return &b->chains[i];
	}
	struct chain *grown = realloc(b->chains, (b->chains_len + 1) * sizeof *grown);

	if (grown == NULL)
		return NULL;
	b->chains = grown;
	grown += b->chains_len;
	*grown = (struct chain){.key = strdup(key), .start = UINT64_MAX};
	return grown->key != NULL ? (b->chains_len++, grown) : NULL;
}

/* Moves on to the record's interval and adds what is held at its end. */
static void chain_step(struct books *b, struct chain *c, const json_t *record)
{
	const uint64_t start = report_count(record, "start");

	if (c->start != start) {
		memcpy(c->before, c->now, sizeof c->before);
		c->before_len = c->now_len;
		c->now_len = 0;
		c->start = start;
	}
	if (c->now_len > 0 || c->before_len > 1)
		b->overlap = true;
	if (c->now_len < LEVELS_CAP)
		c->now[c->now_len++] = (struct level){report_count(record, "held_packets"),
						      report_count(record, "held")};
}

/* Sets what was held before: the level that makes the books close, if several
 * runs left one; a run begins with nothing held. */
static void put_before(const struct books *b, const struct chain *c, struct equation *packets,
		       struct equation *messages)
{
	const struct level first = c->before_len > 0 ? c->before[0] : (struct level){0};

	for (size_t i = 0; i <= c->before_len && b->overlap; i++) {
		const struct level l = i < c->before_len ? c->before[i] : (struct level){0};

		packets->before = l.packets;
		messages->before = l.messages;
		if (closes(packets) && closes(messages))
			return;
	}
	packets->before = first.packets;
	messages->before = first.messages;
}

static void print_equation(const struct equation *e)
{
	char in[REPORT_NUMBER_CAP], before[REPORT_NUMBER_CAP], dropped[REPORT_NUMBER_CAP];
	char on[REPORT_NUMBER_CAP], held[REPORT_NUMBER_CAP];
	const uint64_t left = e->in + e->before, right = e->dropped + e->on + e->held;

	printf("  %-8s%15s%10s%13s%15s%9s%s\n", e->name, report_number(in, e->in),
	       e->level ? report_number(before, e->before) : "-",
	       report_number(dropped, e->dropped), report_number(on, e->on),
	       e->level ? report_number(held, e->held) : "-", closes(e) ? "  closes" : "");
	if (!closes(e))
		printf("            DOES NOT CLOSE by %s: the right side is %s\n",
		       report_number(in, left > right ? left - right : right - left),
		       left > right ? "smaller" : "larger");
}

static const char *text_of(const char *metric)
{
	for (size_t i = 1; i < FT_PKT_DROP_CAP; i++) {
		if (strcmp(ft_pkt_drop_texts[i].metric, metric) == 0)
			return ft_pkt_drop_texts[i].text;
	}
	for (size_t i = 1; i < FT_MSG_DROP_CAP; i++) {
		if (strcmp(ft_msg_drop_texts[i].metric, metric) == 0)
			return ft_msg_drop_texts[i].text;
	}
	for (size_t i = 0; i < FT_CTR_PLAIN_CAP; i++) {
		if (strcmp(ft_counter_texts[i].name, metric) == 0)
			return ft_counter_texts[i].help;
	}
	return "";
}

static void print_line(const char *metric, uint64_t n, const char *text)
{
	char number[REPORT_NUMBER_CAP];

	printf("%11s %-14s %s\n", report_number(number, n), metric, text);
}

static void print_map(const char *heading, const json_t *map)
{
	const char *key;
	json_t *value;

	if (sum_of(map) > 0)
		printf("  %s\n", heading);
	json_object_foreach((json_t *)(uintptr_t)map, key, value)
	    print_line(key, report_count(map, key), text_of(key));
}

static void print_reasons(const json_t *dropped, const json_t *msg_dropped, const json_t *counts)
{
	static const char *const also[] = {"late", "malformed", "tcp_gaps", "tcp_lost_bytes",
					   "tcp_evicted"};
	uint64_t any = 0;

	if (report_count(counts, "source_dropped") > 0) {
		puts("  lost before fluxtap saw them:");
		print_line("source_dropped", report_count(counts, "source_dropped"),
			   "packets for which the source had no room");
	}
	print_map("dropped packets, by reason:", dropped);
	print_map("dropped messages, by reason:", msg_dropped);
	for (size_t i = 0; i < sizeof also / sizeof *also; i++)
		any += report_count(counts, also[i]);
	if (any > 0)
		puts("  noted, not dropped:");
	for (size_t i = 0; i < sizeof also / sizeof *also; i++) {
		if (report_count(counts, also[i]) > 0)
			print_line(also[i], report_count(counts, also[i]), text_of(also[i]));
	}
}

static void print_record(const json_t *record, const struct equation e[3])
{
	const json_t *worker = json_object_get(record, "worker");

	report_heading(record);
	if (!json_is_string(worker))
		printf("worker %" PRIu64 " alone:\n", report_count(record, "worker"));
	printf("  %8s%15s%10s%13s%15s%9s\n", "", "received", "+ before", "= dropped", "+ passed on",
	       "+ held");
	print_equation(&e[0]);
	print_equation(&e[1]);
	print_equation(&e[2]);
	print_reasons(json_object_get(record, "dropped"), json_object_get(record, "msg_dropped"),
		      record);
	putchar('\n');
}

static void add_record(struct books *b, const json_t *record, const struct equation e[3])
{
	static const char *const summed[] = {"rx_packets",     "messages",   "source_dropped",
					     "late",           "malformed",  "tcp_gaps",
					     "tcp_lost_bytes", "tcp_evicted"};

	b->intervals++;
	for (size_t i = 0; i < 3; i++) {
		b->equations++;
		b->wrong += !closes(&e[i]);
	}
	for (size_t i = 0; i < sizeof summed / sizeof *summed; i++)
		add_to(b->sum, summed[i], report_count(record, summed[i]));
	add_map(b->dropped, json_object_get(record, "dropped"));
	add_map(b->msg_dropped, json_object_get(record, "msg_dropped"));
}

/* What a killed run took along stands beside the books. */
static void print_gap(const json_t *record)
{
	static const char *const shown[] = {"rx_packets", "messages", "counted", "held", "records"};

	if (!json_is_string(json_object_get(record, "worker")))
		return;
	report_heading(record);
	puts("  GAP: the run was killed. It had counted since its last export, and took along:");
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		print_line(shown[i], report_count(record, shown[i]), text_of(shown[i]));
	putchar('\n');
}

static int take_record(struct books *b, const json_t *record)
{
	if (json_is_true(json_object_get(record, "gap"))) {
		print_gap(record);
		return 0;
	}
	struct equation e[3] = {
	    {"packets", report_count(record, "rx_packets"), 0,
	     sum_of(json_object_get(record, "dropped")), report_count(record, "carried"),
	     report_count(record, "held_packets"), true},
	    {"messages", report_count(record, "messages"), 0,
	     sum_of(json_object_get(record, "msg_dropped")), report_count(record, "counted"),
	     report_count(record, "held"), true},
	    {"records", report_count(record, "records"), 0,
	     report_count(record, "ring_full_records"), report_count(record, "merged"), 0, false},
	};
	struct chain *c = chain_get(b, record);

	if (c == NULL)
		return -ENOMEM;
	chain_step(b, c, record);
	put_before(b, c, &e[0], &e[1]);

	const bool all = json_is_string(json_object_get(record, "worker"));

	/* A worker's own row is worth the room only where its books are wrong. */
	if (all || !closes(&e[0]) || !closes(&e[1]) || !closes(&e[2]))
		print_record(record, e);
	if (all)
		add_record(b, record, e);
	return 0;
}

static void print_total(const struct books *b)
{
	char packets[REPORT_NUMBER_CAP], messages[REPORT_NUMBER_CAP], wrong[REPORT_NUMBER_CAP];
	char intervals[REPORT_NUMBER_CAP], equations[REPORT_NUMBER_CAP];

	if (b->intervals == 0) {
		puts("There are no ledger records here.");
		return;
	}
	printf("Total of %s interval%s: %s packets, %s messages\n",
	       report_number(intervals, b->intervals), b->intervals == 1 ? "" : "s",
	       report_number(packets, report_count(b->sum, "rx_packets")),
	       report_number(messages, report_count(b->sum, "messages")));
	print_reasons(b->dropped, b->msg_dropped, b->sum);
	if (b->wrong == 0)
		printf("All %s equations close.\n", report_number(equations, b->equations));
	else
		printf("%s of %s equations DO NOT CLOSE.\n", report_number(wrong, b->wrong),
		       report_number(equations, b->equations));
	if (b->overlap)
		puts("Several runs were exported here for the same time; each was matched with the "
		     "level\n"
		     "before it that fits.");
}

int report_ledger(struct walk *w, size_t width)
{
	struct books b = {
	    .dropped = json_object(), .msg_dropped = json_object(), .sum = json_object()};
	const char *line;
	size_t len;
	int rc;

	(void)width; /* made for 80 columns */
	while ((rc = walk_next(w, &line, &len)) == 1) {
		json_t *record = json_loadb(line, len, 0, NULL);

		rc = record != NULL ? take_record(&b, record) : -ENOMEM;
		json_decref(record);
		if (rc != 0 || ferror(stdout))
			break;
	}
	if (rc == 0)
		print_total(&b);
	for (size_t i = 0; i < b.chains_len; i++)
		free(b.chains[i].key);
	free(b.chains);
	json_decref(b.dropped);
	json_decref(b.msg_dropped);
	json_decref(b.sum);
	return rc;
}

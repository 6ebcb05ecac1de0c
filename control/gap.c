/* SPDX-License-Identifier: BSD-3-Clause */
#include "gap.h"

#include "envelope.h"

#include <string.h>

/* The time from the last exported interval on. A killed file run's time is its packets',
 * and ends with the last one seen; a live one's gap lasts until now. */
struct span {
	uint64_t start_s, end_s;
};

static struct span span_of(const struct segment_left *left, uint64_t now_s)
{
	const uint64_t begun_s = left->started_us / 1000000;
	struct span t = {left->exported_s, now_s};

	if (!left->live) {
		t.end_s = 0;
		for (unsigned i = 0; i < left->workers; i++)
			if (left->worker[i].clock_us / 1000000 + 1 > t.end_s)
				t.end_s = left->worker[i].clock_us / 1000000 + 1;
	}
	if (t.start_s == 0)
		t.start_s = begun_s;
	if (t.end_s == 0)
		t.end_s = 1;
	if (t.end_s <= t.start_s) /* the clock went back, or its first interval is open */
		t.start_s = t.end_s - 1;
	return t;
}

static uint64_t sum_drops(const uint64_t *c, unsigned base, unsigned cap)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < cap; i++)
		sum += c[base + i];
	return sum;
}

static uint64_t above(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What a worker had counted since the last export; levels are what was held at the end. */
static void in_flight(const struct segment_left_worker *w, uint64_t *out)
{
	const uint64_t *c = w->total;

	for (unsigned i = 0; i < FT_CTR_CAP; i++)
		out[i] = above(c[i], w->exported[i]);
	out[FT_CTR_HELD] = above(
	    c[FT_CTR_MESSAGES], c[FT_CTR_COUNTED] + sum_drops(c, FT_CTR_MSG_DROP, FT_MSG_DROP_CAP));
	out[FT_CTR_HELD_PACKETS] =
	    above(c[FT_CTR_RX_PACKETS],
		  c[FT_CTR_CARRIED] + sum_drops(c, FT_CTR_PKT_DROP, FT_PKT_DROP_CAP));
}

static json_t *drops(const uint64_t *c, unsigned cap, const struct ft_drop_text *text)
{
	json_t *o = json_object();

	for (unsigned i = 1; i < cap; i++)
		if (c[i] != 0)
			json_object_set_new(o, text[i].metric, json_integer((json_int_t)c[i]));
	return o;
}

static json_t *record(const struct span *t, const char *probe, json_t *worker, const uint64_t *c,
		      uint64_t ring_bytes)
{
	json_t *o = envelope_create("ledger", probe, "ALL", t->start_s, t->end_s, 1, 0);

	json_object_set_new(o, "worker", worker);
	json_object_set_new(o, "gap", json_true());
	for (unsigned i = 0; i < FT_CTR_PLAIN_CAP; i++) {
		json_object_set_new(o, ft_counter_texts[i].name, json_integer((json_int_t)c[i]));
		if (i == FT_CTR_RX_BYTES) /* the source took its own figures along */
			json_object_set_new(o, "source_dropped", json_integer(0));
		if (i == FT_CTR_RECORDS)
			json_object_set_new(o, "merged", json_integer(0));
	}
	json_object_set_new(o, "dropped",
			    drops(c + FT_CTR_PKT_DROP, FT_PKT_DROP_CAP, ft_pkt_drop_texts));
	json_object_set_new(o, "msg_dropped",
			    drops(c + FT_CTR_MSG_DROP, FT_MSG_DROP_CAP, ft_msg_drop_texts));
	json_object_set_new(o, "ring_bytes", json_integer((json_int_t)ring_bytes));
	return o;
}

void gap_write(const struct segment_left *left, const char *probe, uint64_t now_s,
	       void (*write)(void *ctx, const char *set, uint64_t start_s, json_t *record),
	       void *ctx)
{
	const struct span t = span_of(left, now_s);
	uint64_t all[FT_CTR_CAP] = {0}, ring_bytes = 0, c[FT_CTR_CAP];

	for (unsigned w = 0; w < left->workers; w++) {
		in_flight(&left->worker[w], c);
		for (unsigned i = 0; i < FT_CTR_CAP; i++)
			all[i] += c[i];
		ring_bytes += left->worker[w].ring_bytes;
	}
	write(ctx, "ledger", t.start_s, record(&t, probe, json_string("all"), all, ring_bytes));
	for (unsigned w = 0; w < left->workers; w++) {
		in_flight(&left->worker[w], c);
		write(ctx, "ledger", t.start_s,
		      record(&t, probe, json_integer(w), c, left->worker[w].ring_bytes));
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The statistic `sinkhole`: its sets and pasts against plain lists of what was put in,
 * its records against a plain count, and its past through a snapshot and back. */
#include "stats/hashes.h"
#include "stats/sink_past.h"
#include "stats/sink_stat.h"
#include "stats/sinkhole.h"

#include "guard.h"
#include "mini.h"
#include "rules.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define US 1000000ull
#define HOUR (3600 * US)
#define MINUTE (60 * US)
#define BEGIN (1767225600 * US) /* begins an hour */

static uint64_t draw_state = 1;
static uint32_t draw(uint32_t below)
{
	draw_state = draw_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(draw_state >> 33) % below;
}

/* splitmix64, Steele et al. 2014. */
static uint64_t nth(uint64_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void test_hashes(void **state)
{
	static uint64_t counts[3000];
	uint8_t one[FT_DISTINCT_REGS], two[FT_DISTINCT_REGS];
	struct hashes h = {.cap = 2000, .counted = true}, back = {.cap = 2000};

	(void)state;
	assert_int_equal(hashes_count(&h), 0);
	for (unsigned i = 0; i < 20000; i++) {
		const uint32_t k = draw(2000), n = 1 + draw(5);
		counts[k] += n;
		assert_int_equal(hashes_add(&h, nth(k), n), 0);
	}
	uint64_t top = 0, members = 0;
	for (unsigned k = 0; k < 2000; k++) {
		top = counts[k] > top ? counts[k] : top;
		members += counts[k] != 0;
	}
	assert_int_equal(hashes_count(&h), members);
	assert_int_equal(hashes_top(&h), top);
	/* Beyond the cap: an estimate, the same in whatever order they came. */
	for (unsigned k = 0; k < 3000; k++)
		assert_int_equal(hashes_add(&h, nth(k), 1), 0);
	for (unsigned k = 3000; k-- > 0;)
		assert_int_equal(hashes_add(&back, nth(k), 1), 0);
	assert_int_equal(hashes_top(&h), 0);
	assert_in_range(hashes_count(&h), 2900, 3100);
	hashes_regs(&h, one);
	hashes_regs(&back, two);
	assert_memory_equal(one, two, sizeof(one));
	hashes_fini(&h);
	hashes_fini(&back);
}

/* --- pasts against lists --- */

struct event {
	uint64_t t_us;
	uint8_t class;
	uint32_t name;
};
static struct event events[400000];
static size_t events_n;

static void put(uint64_t t_us, uint8_t class, uint32_t name)
{
	assert_true(events_n < sizeof(events) / sizeof(*events));
	events[events_n++] = (struct event){t_us, class, name};
}

/* Gives the events, which are in order, to a past, a minute at a time. */
static void feed(struct sink_past *p, struct sink_clock *c, uint64_t end_us)
{
	size_t at = 0;

	sink_past_init(p, c, BEGIN, true);
	for (uint64_t t = BEGIN; t < end_us; t += MINUTE) {
		uint64_t by_class[FT_CLASS_CAP] = {0};
		const size_t first = at;
		for (; at < events_n && events[at].t_us < t + MINUTE; at++)
			by_class[events[at].class]++;
		if (at != first)
			sink_past_add(p, c, t, by_class);
		for (size_t i = first; i < at; i++)
			assert_int_equal(
			    sink_past_name(p, c, nth(events[i].name), sink_hours(c, t, t + MINUTE)),
			    0);
		if (draw(3) == 0 || at != first)
			sink_past_advance(p, c, t + MINUTE);
	}
	sink_past_advance(p, c, end_us);
}

static void count_plain(uint64_t lo_us, uint64_t hi_us, uint64_t *queries, uint64_t *names)
{
	static bool seen[100000];

	memset(seen, 0, sizeof(seen));
	*queries = *names = 0;
	for (size_t i = 0; i < events_n; i++) {
		if (events[i].t_us < lo_us || events[i].t_us >= hi_us)
			continue;
		++*queries;
		*names += !seen[events[i].name];
		seen[events[i].name] = true;
	}
}

static void test_windows(void **state)
{
	struct sink_past p = {0};
	struct sink_clock c;
	struct sink_window w;
	uint64_t queries, names;

	(void)state;
	sink_clock_init(&c, 60, 3600);
	assert_int_equal(c.minute_us, MINUTE);
	events_n = 0;
	for (uint64_t t = BEGIN; t < BEGIN + 40 * HOUR; t += draw(4 * MINUTE)) {
		const uint64_t hour = (t - BEGIN) / HOUR;
		if (hour < 11 || hour > 13) /* and a silence */
			put(t, FT_CLASS_NXDOMAIN, (uint32_t)(hour * 7 + draw(60)));
	}
	feed(&p, &c, BEGIN + 40 * HOUR);
	for (unsigned run = 0; run < 300; run++) {
		const uint64_t lo = BEGIN + draw(40) * HOUR + draw(2) * draw(HOUR),
			       hi = lo + draw(20) * HOUR + draw(HOUR);
		const uint64_t lo_h = (lo + HOUR - 1) / HOUR * HOUR;
		uint64_t hi_h = hi / HOUR * HOUR;
		hi_h = hi_h > BEGIN + 40 * HOUR ? BEGIN + 40 * HOUR : hi_h;
		const bool known = sink_past_window(&p, &c, lo, hi, &w);
		assert_int_equal(known, hi_h > lo_h);
		if (!known)
			continue;
		count_plain(lo_h, hi_h, &queries, &names);
		assert_int_equal(w.queries, queries);
		assert_true(fabs(w.name_s - (double)names * (double)(hi_h - lo_h) / 1e6) < 0.5);
	}
	/* Before it was known, and after it has gone: nothing. */
	assert_false(sink_past_window(&p, &c, BEGIN - 20 * HOUR, BEGIN, &w));
	sink_past_advance(&p, &c, BEGIN + 200 * HOUR);
	assert_true(sink_past_window(&p, &c, BEGIN, BEGIN + 199 * HOUR, &w));
	assert_int_equal(w.queries, 0);
	sink_past_fini(&p, &c);
	assert_int_equal(c.names_left, 1u << 23);
}

/* More names than are kept one by one: near enough. */
static void test_many_names(void **state)
{
	struct sink_past p = {0};
	struct sink_clock c;
	struct sink_window w;
	uint64_t one[FT_CLASS_CAP] = {1};

	(void)state;
	sink_clock_init(&c, 60, 3600);
	sink_past_init(&p, &c, BEGIN, true);
	sink_past_add(&p, &c, BEGIN, one);
	for (unsigned i = 0; i < 400000; i++)
		assert_int_equal(sink_past_name(&p, &c, nth(i), sink_hours(&c, BEGIN, BEGIN + 1)),
				 0);
	sink_past_advance(&p, &c, BEGIN + HOUR);
	assert_true(sink_past_window(&p, &c, BEGIN, BEGIN + HOUR, &w));
	assert_true(fabs(w.name_s / 3600 / 400000 - 1) < 0.03);
	assert_true(p.names.shift > 0);
	sink_past_fini(&p, &c);
}

static const struct {
	unsigned hold_minutes, mixed_minutes, new_minutes, per_minute;
	bool switches;
} switch_cases[] = {
    {61, 0, 61, 20, true}, {60, 0, 1, 20, true}, {59, 0, 61, 20, false}, {90, 15, 30, 20, true},
    {90, 0, 9, 1, false},  {90, 0, 10, 1, true}, {90, 5, 0, 20, false},
};

/* The first minute in which nine in ten answers are others after an hour of the same;
 * minutes in between that say nothing change nothing, and ten answers are needed. */
static void test_switch(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(switch_cases) / sizeof(*switch_cases); i++) {
		struct sink_past p = {0};
		struct sink_clock c;
		uint64_t t = BEGIN;
		sink_clock_init(&c, 60, 3600);
		events_n = 0;
		for (unsigned m = 0; m < switch_cases[i].hold_minutes; m++, t += MINUTE)
			for (unsigned k = 0; k < switch_cases[i].per_minute; k++)
				put(t + k * US, k == 19 ? FT_CLASS_TIMEOUT : FT_CLASS_NXDOMAIN, k);
		for (unsigned m = 0; m < switch_cases[i].mixed_minutes; m++, t += MINUTE)
			for (unsigned k = 0; k < 20; k++)
				put(t + k * US, k < 17 ? FT_CLASS_REFERRAL : FT_CLASS_NXDOMAIN, k);
		const uint64_t want = t;
		for (unsigned m = 0; m < switch_cases[i].new_minutes; m++, t += MINUTE)
			for (unsigned k = 0; k < switch_cases[i].per_minute; k++)
				put(t + k * US, k == 1 ? FT_CLASS_NXDOMAIN : FT_CLASS_REFERRAL, k);
		feed(&p, &c, t);
		assert_int_equal(p.switch_us, switch_cases[i].switches ? want : 0);
		if (switch_cases[i].switches) {
			assert_int_equal(p.from_class, FT_CLASS_NXDOMAIN);
			assert_int_equal(p.to_class, FT_CLASS_REFERRAL);
		}
		assert_int_equal(p.did_not_exist, switch_cases[i].hold_minutes >= 60);
		sink_past_fini(&p, &c);
	}
}

/* Rates before and after a switch in the middle of an hour, against the plain count of
 * the whole hours of both windows. */
static void test_before_and_after(void **state)
{
	static const uint64_t at = BEGIN + 30 * HOUR + 25 * MINUTE;
	static const uint64_t windows[2][2] = {{BEGIN + 7 * HOUR, BEGIN + 29 * HOUR},
					       {BEGIN + 34 * HOUR, BEGIN + 57 * HOUR}};
	struct sink_past p = {0};
	struct sink_clock c;
	double want[2];

	(void)state;
	sink_clock_init(&c, 60, 3600);
	events_n = 0;
	for (uint64_t t = BEGIN; t < BEGIN + 70 * HOUR; t += t < at ? 5 * US : 40 * US)
		put(t, t < at ? FT_CLASS_NXDOMAIN : FT_CLASS_DATA, draw(t < at ? 50 : 30));
	p.neg_ttl = 3 * 3600 + 1; /* longer than two hours, so that counts */
	feed(&p, &c, BEGIN + 70 * HOUR);
	assert_int_equal(p.switch_us, at);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t queries, names;
		count_plain(windows[i][0], windows[i][1], &queries, &names);
		want[i] = (double)queries / (double)names /
			  ((double)(windows[i][1] - windows[i][0]) / 1e6);
	}
	assert_true(fabs(p.before / want[0] - 1) < 1e-9);
	assert_true(fabs(sink_past_after(&p, &c) / want[1] - 1) < 1e-9);
	sink_past_fini(&p, &c);
}

/* Hours of the week, once there are enough, else minutes: the ratio of sums; and a mean
 * of stages whose spread is known gives the interval that Student's t says. */
static void test_multipliers(void **state)
{
	struct sink_past p = {0};
	struct sink_clock c;
	struct sink_multiplier m;

	(void)state;
	sink_clock_init(&c, 60, 3600);
	events_n = 0;
	/* 10 minutes of DATA with 8, 12, ... queries, then of SERVFAIL with 40, 60, ... */
	for (unsigned i = 0; i < 24; i++)
		for (unsigned k = 0; k < (i < 12 ? 8u + i % 2 * 4 : 40 + i % 2 * 20); k++)
			put(BEGIN + i * MINUTE + k, i < 12 ? FT_CLASS_DATA : FT_CLASS_SERVFAIL, k);
	feed(&p, &c, BEGIN + 24 * MINUTE);
	assert_true(sink_past_multiplier(&p, SINK_SERVFAIL, &m));
	assert_false(m.hourly);
	assert_int_equal(m.n, 11); /* the first minute of a stage is not yet its own */
	/* DATA: 12 of mean 10; SERVFAIL: 60, 40, ..., 60: 11 of mean 560 / 11. */
	const double own = 560.0 / 11, var_own = (6 * pow(60 - own, 2) + 5 * pow(40 - own, 2)) / 10;
	const double a = var_own / 11 / own / own, b = 12 * 4.0 / 11 / 12 / 100;
	const double width = log(m.hi / m.est) / sqrt(a + b);
	assert_true(fabs(m.est - own / 10) < 1e-9);
	assert_true(fabs(m.est * m.est - m.lo * m.hi) < 1e-6);
	/* Welch: 20.9 degrees of freedom; the quantiles of 20 and 22 are 2.086 and 2.074. */
	assert_true(width > 2.074 && width < 2.086);
	assert_false(sink_past_multiplier(&p, SINK_TIMEOUT, &m));
	sink_past_fini(&p, &c);

	/* Two weeks: DATA, then REFUSED three times as often, by an hourly wave. */
	p = (struct sink_past){0};
	sink_past_init(&p, &c, BEGIN, true);
	for (uint64_t h = 0; h < 2 * 168; h++)
		for (uint64_t k = 0; k < 60; k++) {
			uint64_t by_class[FT_CLASS_CAP] = {0};
			const uint64_t wave = 1 + h % 168 % 24;
			by_class[h < 168 ? FT_CLASS_DATA : FT_CLASS_REFUSED] =
			    h < 168 ? wave : 3 * wave;
			sink_past_add(&p, &c, BEGIN + h * HOUR + k * MINUTE, by_class);
		}
	sink_past_advance(&p, &c, BEGIN + 2 * 168 * HOUR);
	assert_true(sink_past_multiplier(&p, SINK_REFUSED, &m));
	assert_true(m.hourly);
	assert_in_range(m.n, 60, 168); /* what was still remembered when the second class came */
	assert_true(fabs(m.est - 3) < 0.1 && m.lo <= m.est && m.est <= m.hi);
	sink_past_fini(&p, &c);
}

/* --- records --- */

#define INTERVAL 60u
static json_t *written;

static void take(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)start_s;
	assert_string_equal(set, "sinkhole");
	json_array_append_new(written, record);
}

struct rig {
	char dir[32], list[64];
	struct rules *rules;
	struct ruleset *set;
	struct stat_run run;
	void *stat;
	uint32_t group;
};

static void rig_init(struct rig *r)
{
	char err[512] = "";

	memset(r, 0, sizeof(*r));
	strcpy(r->dir, "/tmp/fluxtap-sink-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->list, sizeof(r->list), "%s/list", r->dir);
	FILE *f = fopen(r->list, "w");
	assert_non_null(f);
	fputs("talk name example\nother ip 192.0.2.1\n", f);
	fclose(f);
	const struct rules_settings settings = {.sinkholes = r->list, .name_seed = 7};
	r->rules = rules_create(&settings);
	r->set = rules_load(r->rules, err, sizeof(err));
	if (r->set == NULL)
		fail_msg("%s", err);
	unlink(r->list);
	rmdir(r->dir);
	r->group = rules_number(r->rules, SINKHOLE_ID_PREFIX "talk", 5, RULE_SINKHOLE);
	assert_int_not_equal(r->group, 0);
	r->run = (struct stat_run){.probe = "unit",
				   .workers = 1,
				   .interval_s = INTERVAL,
				   .rules = r->rules,
				   .sinkhole_hour_s = 3600,
				   .write = take};
	r->stat = stat_sinkhole.create(&r->run);
	assert_non_null(r->stat);
}

static void rig_fini(struct rig *r)
{
	stat_sinkhole.destroy(r->stat);
	ruleset_destroy(r->set);
	rules_destroy(r->rules);
}

static void give(void *stat, uint64_t row, const struct ft_sink_rec *x)
{
	uint8_t at[FT_SINK_ENTRY_CAP];
	const size_t n = ft_sink_write(x, at);
	const struct ft_rec_hdr h = {.type = FT_REC_SINK, .row = row};
	const struct stat_record rec = {.hdr = &h, .body = at, .bytes = n};

	assert_int_equal(stat_sinkhole.record(stat, &rec), 0);
	/* Nothing that is shorter can be taken, and nothing is read beyond it. */
	static unsigned times;
	for (size_t cut = 1; times < 40 && cut < n; cut++) {
		uint8_t *copy = guard_copy(at, cut);
		const struct stat_record bad = {.hdr = &h, .body = copy, .bytes = cut};
		assert_int_equal(stat_sinkhole.record(stat, &bad), -EBADMSG);
		guard_free(copy, cut);
	}
	times++;
}

/* A minute of one domain: so many queries of a class for so many names. */
static void give_minute(const struct rig *r, void *stat, uint64_t row, unsigned domain,
			uint8_t class, unsigned queries, unsigned names)
{
	uint8_t name[32], wire[FT_FEW_WIRE_CAP];
	struct few clients = {0};
	const int n = snprintf((char *)name, sizeof(name), "\2d%u\7example", domain % 10);
	struct ft_sink_rec x = {.part = FT_SINK_COUNTS,
				.vantage = FT_VANTAGE_AUTH,
				.rule = r->group,
				.domain = nth(900 + domain),
				.neg_ttl = 901,
				.bytes = 10 * queries};

	x.by_class[class] = queries;
	give(stat, row, &x);
	x.part = FT_SINK_TEXT;
	x.signals = FT_SINK_NAMED;
	x.data = name;
	x.data_bytes = (size_t)n + 1;
	give(stat, row, &x);
	for (unsigned i = 0; i < names; i++) {
		x.part = FT_SINK_NAME;
		x.hash = nth(domain * 1000 + i);
		give(stat, row, &x);
	}
	few_add(&clients, 4);
	few_add(&clients, 5);
	x.part = FT_SINK_CLIENTS;
	x.data = wire;
	x.data_bytes = few_write(&clients, wire);
	give(stat, row, &x);
	x.part = FT_SINK_CLIENT;
	x.hash = 4;
	x.queries = queries - 1;
	give(stat, row, &x);
	x.hash = 5;
	x.queries = 1;
	give(stat, row, &x);
}

static void close_row(void *stat, uint64_t row)
{
	struct stat_interval in = {
	    .row = row, .start_s = row * INTERVAL, .end_s = (row + 1) * INTERVAL};

	stat_sinkhole.close(stat, &in);
}

static json_int_t integer(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static double number(const json_t *o, const char *key)
{
	assert_true(json_is_number(json_object_get(o, key)));
	return json_number_value(json_object_get(o, key));
}

static void test_records(void **state)
{
	const uint64_t row = BEGIN / US / INTERVAL;
	struct rig r;

	(void)state;
	rig_init(&r);
	written = json_array();
	give_minute(&r, r.stat, row, 1, FT_CLASS_NXDOMAIN, 120, 4);
	give_minute(&r, r.stat, row, 2, FT_CLASS_NXDOMAIN, 60, 2);
	give_minute(&r, r.stat, row, 2, FT_CLASS_DATA, 60, 3); /* of another worker */
	assert_int_equal(stat_sinkhole.first_row(r.stat), row);
	close_row(r.stat, row);
	assert_int_equal(stat_sinkhole.first_row(r.stat), UINT64_MAX);
	assert_int_equal(json_array_size(written), 3);
	const json_t *one = json_array_get(written, 0), *two = json_array_get(written, 1),
		     *all = json_array_get(written, 2);
	assert_string_equal(json_string_value(json_object_get(one, "name")), "d1.example.");
	assert_string_equal(json_string_value(json_object_get(one, "group")), "talk");
	assert_string_equal(json_string_value(json_object_get(one, "class")), "SINKHOLE_MAYBE");
	assert_int_equal(integer(one, "queries"), 120);
	assert_int_equal(integer(one, "names"), 4);
	assert_int_equal(integer(one, "clients"), 2);
	assert_int_equal(integer(one, "neg_ttl"), 900);
	assert_true(json_is_null(json_object_get(one, "ans_ttl")));
	assert_true(json_is_null(json_object_get(one, "before")));
	assert_true(number(one, "qps_per_name") == 0.5);
	assert_int_equal(integer(two, "queries"), 120);
	assert_int_equal(integer(two, "names"), 3);
	assert_int_equal(integer(json_object_get(two, "by_class"), "DATA"), 60);
	assert_string_equal(json_string_value(json_object_get(all, "name")), "ALL");
	assert_int_equal(integer(all, "queries"), 240);
	assert_int_equal(integer(all, "names"), 7);
	assert_int_equal(integer(all, "domains"), 2);
	assert_int_equal(integer(all, "clients"), 2);
	assert_int_equal(integer(all, "response_bytes"), 2400);
	assert_true(number(all, "qps_per_domain") == 2);
	assert_true(fabs(number(all, "top_client_share") - 237.0 / 240) < 1e-5);
	json_decref(written);
	rig_fini(&r);
}

static void give_hours(const struct rig *r, void *stat, unsigned from_h, unsigned to_h)
{
	for (uint64_t m = from_h * 60; m < to_h * 60; m++) {
		const uint64_t row = BEGIN / US / INTERVAL + m;
		const uint8_t class = m < 30 * 60 ? FT_CLASS_NXDOMAIN : FT_CLASS_DATA;
		for (unsigned d = 1; d <= 3; d++)
			if (class == FT_CLASS_NXDOMAIN || m % 5 == 0)
				give_minute(r, stat, row, d, class, 20 + (unsigned)(m % 7), 5);
		close_row(stat, row);
	}
}

/* A past that went through a snapshot says what one says that did not. */
static void test_snapshot(void **state)
{
	uint8_t *octets, *again;
	size_t bytes, more;
	struct rig r;

	(void)state;
	rig_init(&r);
	written = json_array();
	give_hours(&r, r.stat, 0, 33);
	assert_int_equal(sinkhole_save(r.stat, &octets, &bytes), 0);
	void *copy = stat_sinkhole.create(&r.run);
	assert_int_equal(sinkhole_load(copy, octets, bytes), 0);
	assert_int_equal(sinkhole_save(copy, &again, &more), 0);
	assert_int_equal(more, bytes);
	free(again);
	json_array_clear(written);
	give_hours(&r, r.stat, 33, 36);
	json_t *first = written;
	written = json_array();
	give_hours(&r, copy, 33, 36);
	assert_int_equal(json_array_size(first), json_array_size(written));
	const json_t *last = json_array_get(first, json_array_size(first) - 1);
	assert_int_equal(integer(last, "switch_us"), BEGIN + 30 * HOUR);
	assert_true(number(last, "ratio") > 4.9 && number(last, "ratio") < 5.2);
	for (size_t k = 0; k < json_array_size(first); k++)
		if (!json_equal(json_array_get(first, k), json_array_get(written, k)))
			fail_msg("%zu: %s\n%s", k,
				 json_dumps(json_array_get(first, k), JSON_COMPACT),
				 json_dumps(json_array_get(written, k), JSON_COMPACT));
	stat_sinkhole.destroy(copy);

	/* What was cut off is refused, and leaves nothing behind. */
	for (size_t cut = 0; cut < bytes; cut += cut < 400 ? 1 : 97) {
		uint8_t *part = guard_copy(octets, cut);
		void *s = stat_sinkhole.create(&r.run);
		const int rc = sinkhole_load(s, part, cut);
		/* Between two items it may end. */
		assert_true(rc == -EBADMSG || (rc == 0 && cut >= 48));
		assert_int_equal(sinkhole_save(s, &again, &more), 0);
		assert_true(rc == 0 ? more == cut : more == 48);
		free(again);
		stat_sinkhole.destroy(s);
		guard_free(part, cut);
	}
	/* Another hour: not this one's. */
	r.run.sinkhole_hour_s = 36;
	void *other = stat_sinkhole.create(&r.run);
	assert_int_equal(sinkhole_load(other, octets, bytes), -EINVAL);
	stat_sinkhole.destroy(other);
	json_decref(first);
	json_decref(written);
	free(octets);
	rig_fini(&r);
}

/* After a pause that nobody saw, hours in between are not taken for silence. */
static void test_pause(void **state)
{
	struct state_gap gap = {0}; /* as a restart fills it in before the first close */
	const json_t *record;
	uint8_t *octets;
	size_t bytes, k;
	struct rig r;
	struct sink_window w;

	(void)state;
	rig_init(&r);
	r.run.gap = &gap;
	written = json_array();
	give_hours(&r, r.stat, 0, 5);
	assert_true(json_array_size(written) != 0);
	json_array_foreach(written, k, record) assert_null(json_object_get(record, "gap_s"));
	assert_int_equal(sinkhole_save(r.stat, &octets, &bytes), 0);
	stat_sinkhole.destroy(r.stat);
	r.stat = stat_sinkhole.create(&r.run);
	assert_int_equal(sinkhole_load(r.stat, octets, bytes), 0);
	json_array_clear(written);
	state_gap_add(&gap, BEGIN / US + 5 * 3600, BEGIN / US + 8 * 3600);
	give_hours(&r, r.stat, 8, 10);
	assert_true(json_array_size(written) >= 120 * 4);
	json_array_foreach(written, k, record) assert_int_equal(integer(record, "gap_s"), 3 * 3600);
	const struct sinkhole *s = r.stat;
	const struct sink_item *i = NULL;
	unsigned seen = 0;
	while ((i = sink_table_next(&s->table, i)) != NULL) {
		if (i->text == NULL)
			continue;
		/* Of 10 hours 6 were seen in full: 0 to 4, and 9; the ones at the pause's ends not.
		 */
		assert_true(
		    sink_past_window(&i->past, &s->table.clock, BEGIN, BEGIN + 10 * HOUR, &w));
		assert_true(fabs(w.name_s / 5 / 3600 - 6) < 1e-9);
		seen++;
	}
	assert_int_equal(seen, 3);
	/* The next day's records have no gap to speak of. */
	json_array_clear(written);
	give_hours(&r, r.stat, 24, 25);
	assert_true(json_array_size(written) != 0);
	json_array_foreach(written, k, record) assert_null(json_object_get(record, "gap_s"));
	free(octets);
	json_decref(written);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hashes),
	    cmocka_unit_test(test_windows),
	    cmocka_unit_test(test_many_names),
	    cmocka_unit_test(test_switch),
	    cmocka_unit_test(test_before_and_after),
	    cmocka_unit_test(test_multipliers),
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_snapshot),
	    cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

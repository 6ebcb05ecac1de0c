/* SPDX-License-Identifier: BSD-3-Clause */
/* CNAME flux: what is counted is what a plain count over all observations gives, in
 * whatever pieces and order they come, and whatever the secret is. */
#include "flux_rig.h"
#include "stats/owners.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DAY 86400u
#define TARGETS 64u
#define VIEWS 128u

/* --- the reference: one owner at one vantage point, second by second --- */

struct plain {
	uint32_t trans, vtrans, views, targets, ttl_min, ttl_max, first, last, onset;
	bool one_domain;
	uint32_t count[TARGETS], t_first[TARGETS], t_last[TARGETS];
};

/* Order of targets in one second: of the octets of the wire form. */
static int target_before(uint32_t a, uint32_t b)
{
	uint8_t x[64] = {0}, y[64] = {0};
	char text[64];

	flux_rig_target(a, text);
	(void)flux_rig_name(text, x);
	flux_rig_target(b, text);
	(void)flux_rig_name(text, y);
	return memcmp(x, y, sizeof(x)) < 0;
}

/* Changes in the seconds of a day; `there[t]`: seconds are looked up in the list. */
static uint32_t plain_count(const struct flux_obs *o, size_t n, uint32_t owner, uint8_t vantage,
			    int view, uint32_t day, uint32_t *reached)
{
	uint32_t changes = 0;
	int last = -1;

	for (size_t i = 0; i < n;) {
		bool there[TARGETS] = {false};
		const uint32_t at = o[i].at;
		for (; i < n && o[i].at == at; i++)
			if (o[i].owner == owner && o[i].vantage == vantage && !o[i].is_multi &&
			    !o[i].is_long && at / DAY == day &&
			    (view < 0 || o[i].view == (uint32_t)view))
				there[o[i].target] = true;
		if (last >= 0)
			there[last] = false; /* no change, and it comes first */
		for (;;) {
			int next = -1;
			for (uint32_t t = 0; t < TARGETS; t++)
				if (there[t] && (next < 0 || target_before(t, (uint32_t)next)))
					next = (int)t;
			if (next < 0)
				break;
			there[next] = false;
			if (last >= 0 && ++changes == 8 && reached != NULL && at < *reached)
				*reached = at;
			last = next;
		}
	}
	return changes;
}

/* False: nothing is to be said of it. */
static bool plain_owner(const struct flux_obs *o, size_t n, uint32_t owner, uint8_t vantage,
			uint32_t day, struct plain *p)
{
	bool view[VIEWS] = {false};
	uint32_t odd = 0, even = 0;
	bool is_long = false;

	*p = (struct plain){.ttl_min = UINT32_MAX, .first = UINT32_MAX, .onset = UINT32_MAX};
	for (size_t i = 0; i < n; i++) {
		const struct flux_obs *x = &o[i];
		if (x->owner != owner || x->vantage != vantage || x->at / DAY != day)
			continue;
		is_long |= x->is_long;
		if (x->is_multi || x->is_long)
			continue;
		p->views += !view[x->view];
		view[x->view] = true;
		p->ttl_min = x->ttl < p->ttl_min ? x->ttl : p->ttl_min;
		p->ttl_max = x->ttl > p->ttl_max ? x->ttl : p->ttl_max;
		p->first = x->at < p->first ? x->at : p->first;
		p->last = x->at > p->last ? x->at : p->last;
		if (p->count[x->target]++ == 0)
			p->t_first[x->target] = x->at;
		p->t_last[x->target] = x->at;
	}
	for (uint32_t t = 0; t < TARGETS; t++) {
		p->targets += p->count[t] != 0;
		odd += p->count[t] != 0 && t % 2 == 1;
		even += p->count[t] != 0 && t % 2 == 0;
	}
	p->one_domain = odd == 0 || (odd == 1 && even == 0);
	p->trans = plain_count(o, n, owner, vantage, -1, day, NULL);
	for (uint32_t v = 0; v < VIEWS; v++) {
		const uint32_t c =
		    view[v] ? plain_count(o, n, owner, vantage, (int)v, day, &p->onset) : 0;
		p->vtrans = c > p->vtrans ? c : p->vtrans;
	}
	return !is_long && (p->trans >= 8 || p->vtrans >= 8);
}

static json_int_t number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static const char *string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static void check_targets(const json_t *record, const struct plain *p, bool named)
{
	const json_t *top = json_object_get(record, "top_targets"), *one;
	json_int_t before = INT64_MAX;
	uint64_t sum = 0, all = 0;
	size_t i;

	assert_int_equal(json_array_size(top), p->targets < 16 ? p->targets : 16);
	json_array_foreach(top, i, one)
	{
		bool found = false;
		char text[64];
		for (uint32_t t = 0; t < TARGETS && !found; t++)
			found = p->count[t] == number(one, "count") &&
				p->t_first[t] + FLUX_RIG_T0 == number(one, "first") &&
				p->t_last[t] + FLUX_RIG_T0 == number(one, "last") &&
				(!named || json_is_null(json_object_get(one, "name")) ||
				 strcmp(flux_rig_target(t, text), string(one, "name")) == 0);
		assert_true(found);
		assert_true(number(one, "count") <= before);
		before = number(one, "count");
		sum += (uint64_t)before;
	}
	for (uint32_t t = 0; t < TARGETS; t++)
		all += p->count[t];
	assert_true(p->targets > 16 ? sum < all : sum == all);
}

static void check_day(const json_t *r, const struct plain *p, uint32_t day)
{
	assert_int_equal(number(r, "trans"), p->trans);
	assert_int_equal(number(r, "vtrans"), p->vtrans);
	assert_int_equal(number(r, "views"), p->views);
	assert_int_equal(number(r, "targets"), p->targets);
	assert_int_equal(number(r, "ttl_min"), p->ttl_min);
	assert_int_equal(number(r, "ttl_max"), p->ttl_max);
	assert_int_equal(number(r, "first_us"), (p->first + (uint64_t)FLUX_RIG_T0) * 1000000);
	assert_int_equal(number(r, "last_us"), (p->last + (uint64_t)FLUX_RIG_T0) * 1000000);
	assert_int_equal(number(r, "start"), FLUX_RIG_T0 + day * DAY);
	assert_int_equal(number(r, "end"), FLUX_RIG_T0 + (day + 1) * DAY);
	check_targets(r, p, true);
}

/* Every record against the reference; returns how many there were of days and onsets. */
static void check_lines(const struct flux_rig *r, const struct flux_obs *o, size_t n, size_t *days,
			size_t *onsets)
{
	*days = *onsets = 0;
	for (size_t i = 0; i < r->lines; i++) {
		json_t *x = json_loads(r->line[i], 0, NULL);
		struct plain p;
		unsigned owner;
		uint8_t vantage = 0;
		assert_int_equal(sscanf(string(x, "owner"), "o%u.example.org.", &owner), 1);
		while (strcmp(ft_vantage_texts[vantage], string(x, "vantage")) != 0)
			vantage++;
		const uint32_t day = ((uint32_t)number(x, "start") - FLUX_RIG_T0) / DAY;
		const bool due = plain_owner(o, n, owner, vantage, day, &p);
		assert_string_equal(string(x, "kind"), "cname");
		if (strcmp(string(x, "state"), "onset") == 0) {
			assert_int_equal(number(x, "at_us"),
					 (p.onset + (uint64_t)FLUX_RIG_T0) * 1000000);
			assert_true(number(x, "start") <= p.onset + FLUX_RIG_T0 &&
				    number(x, "end") > p.onset + FLUX_RIG_T0);
			++*onsets;
		} else {
			assert_true(due);
			check_day(x, &p, day);
			/* Of a first target that never came again, the domain is not known. */
			if (p.vtrans < 8)
				assert_string_equal(string(x, "class"), "GEO");
			else if (p.one_domain)
				assert_string_equal(string(x, "class"), "LB");
			else
				assert_string_not_equal(string(x, "class"), "GEO");
			++*days;
		}
		json_decref(x);
	}
}

static void count_due(const struct flux_obs *o, size_t n, uint32_t owners, size_t *days,
		      size_t *onsets)
{
	*days = *onsets = 0;
	for (uint32_t owner = 0; owner < owners; owner++)
		for (uint8_t v = 0; v < FT_VANTAGE_CAP; v++)
			for (uint32_t day = 0; day < 3; day++) {
				struct plain p;
				const bool due = plain_owner(o, n, owner, v, day, &p);
				*days += due;
				*onsets += due && p.vtrans >= 8;
			}
}

/* --- random streams --- */

static int by_time(const void *a, const void *b)
{
	const uint32_t x = ((const struct flux_obs *)a)->at, y = ((const struct flux_obs *)b)->at;

	return (x > y) - (x < y);
}

#define OWNERS 40u

/* Owners from the quiet to the restless, seconds with several answers. */
static struct flux_obs *stream(uint64_t seed, size_t n)
{
	struct flux_obs *o = flux_rig_need(calloc(n, sizeof(*o)));
	struct flux_rig r = {.random = seed};

	for (size_t i = 0; i < n; i++) {
		struct flux_obs *x = &o[i];
		x->owner = (uint32_t)flux_rig_rand(&r, OWNERS);
		const uint32_t spread = 1 + x->owner % 20;
		x->target = (uint32_t)flux_rig_rand(&r, x->owner % 7 == 0 ? 2 : spread);
		if (x->owner % 3 == 0)
			x->target = x->target * 2 % TARGETS;
		x->view = (uint32_t)flux_rig_rand(&r, 1 + x->owner % 11 * 4);
		if (x->owner % 5 == 0)
			x->target = x->view % 3; /* each view has its own */
		x->at = (uint32_t)flux_rig_rand(&r, 2 * DAY);
		if (flux_rig_rand(&r, 2) != 0)
			x->at = x->at / 1800 * 1800 + (uint32_t)flux_rig_rand(&r, 4);
		x->ttl = (uint32_t)flux_rig_rand(&r, 10801);
		x->vantage = flux_rig_rand(&r, 3) != 0 ? FT_VANTAGE_R2A : FT_VANTAGE_X;
		x->is_multi = flux_rig_rand(&r, 50) == 0;
		x->is_long = x->owner % 13 == 12 && flux_rig_rand(&r, 100) == 0;
	}
	qsort(o, n, sizeof(*o), by_time);
	return o;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_reference(void **state)
{
	static const struct {
		uint64_t seed;
		uint32_t interval_s;
		size_t n;
	} runs[] = {{1, 60, 6000}, {2, 3600, 6000}, {3, 86400, 4000}, {4, 10, 3000}, {5, 60, 1200}};
	size_t days, onsets, due, due_onsets;

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		struct flux_obs *o = stream(runs[i].seed, runs[i].n);
		count_due(o, runs[i].n, OWNERS, &due, &due_onsets);
		assert_true(due > 20 && due_onsets > 2 && due_onsets < due);
		for (unsigned workers = 1; workers <= 4; workers += 3) {
			struct flux_rig r;
			flux_rig_init(&r, 99 + workers, workers, runs[i].interval_s);
			flux_rig_rows(&r, o, runs[i].n);
			flux_rig_end(&r);
			check_lines(&r, o, runs[i].n, &days, &onsets);
			assert_int_equal(days, due);
			/* A mark may come after the onset. */
			assert_true(onsets >= due_onsets && onsets <= due_onsets + OWNERS / 13);
			flux_rig_fini(&r);
		}
		free(o);
	}
}

/* Neither secret nor split nor order shows. */
static void test_same(void **state)
{
	const size_t n = 5000;
	struct flux_obs *o = stream(17, n);
	struct flux_rig first, r;

	(void)state;
	flux_rig_init(&first, 1, 1, 60);
	flux_rig_rows(&first, o, n);
	flux_rig_end(&first);
	assert_true(first.lines > 20);
	qsort(first.line, first.lines, sizeof(*first.line), by_text);
	for (uint64_t secret = 2; secret < 8; secret++) {
		flux_rig_init(&r, secret * 0x1234567, 1 + secret % 4, 60);
		flux_rig_rows(&r, o, n);
		flux_rig_end(&r);
		assert_int_equal(r.lines, first.lines);
		qsort(r.line, r.lines, sizeof(*r.line), by_text);
		for (size_t i = 0; i < r.lines; i++)
			assert_string_equal(r.line[i], first.line[i]);
		flux_rig_fini(&r);
	}
	flux_rig_fini(&first);
	free(o);
}

/* --- the boundaries, by hand --- */

struct script {
	struct flux_obs o[4096];
	size_t n;
};

static void say(struct script *s, uint32_t at, uint32_t view, uint32_t target)
{
	s->o[s->n++] = (struct flux_obs){
	    .at = at, .view = view, .target = target, .ttl = 60, .vantage = FT_VANTAGE_R2A};
}

/* Runs it; the day's record, or NULL. */
static json_t *play(const struct script *s, size_t *onsets)
{
	json_t *day = NULL;
	struct flux_rig r;

	*onsets = 0;
	flux_rig_init(&r, 5, 2, 60);
	flux_rig_rows(&r, s->o, s->n);
	flux_rig_end(&r);
	for (size_t i = 0; i < r.lines; i++) {
		json_t *x = json_loads(r.line[i], 0, NULL);
		const bool is_onset = json_object_get(x, "state") != NULL;
		*onsets += is_onset;
		assert_true(is_onset || day == NULL);
		if (!is_onset)
			day = json_incref(x);
		json_decref(x);
	}
	flux_rig_fini(&r);
	return day;
}

static void expect(const struct script *s, const char *class, int trans, int vtrans)
{
	size_t onsets;
	json_t *day = play(s, &onsets);

	if (class == NULL) {
		assert_null(day);
		assert_int_equal(onsets, 0);
		return;
	}
	assert_non_null(day);
	assert_string_equal(string(day, "class"), class);
	assert_int_equal(number(day, "trans"), trans);
	assert_int_equal(number(day, "vtrans"), vtrans);
	assert_int_equal(onsets, vtrans >= 8);
	json_decref(day);
}

static void test_boundaries(void **state)
{
	static struct script s;

	(void)state;
	for (uint32_t changes = 7; changes <= 9; changes++) {
		s.n = 0;
		for (uint32_t i = 0; i <= changes; i++)
			say(&s, i * 3600, 0, i * 2 + 1);
		expect(&s, changes >= 8 ? "FLUX" : NULL, (int)changes, (int)changes);
	}
	s.n = 0; /* A B A B ...: four times there and back, and all in one minute */
	for (uint32_t i = 0; i <= 8; i++)
		say(&s, i * 5, 0, i % 2);
	expect(&s, "FLUX", 8, 8);
	s.n = 0; /* the same within one domain */
	for (uint32_t i = 0; i <= 8; i++)
		say(&s, i * 100, 0, i % 2 * 2);
	expect(&s, "LB", 8, 8);
	s.n = 0; /* a static split over five resolvers */
	for (uint32_t i = 0; i < 500; i++)
		say(&s, i * 100, i % 5, i % 5);
	expect(&s, "GEO", 499, 0);
	s.n = 0; /* over twenty */
	for (uint32_t i = 0; i < 2000; i++)
		say(&s, i * 20, i % 20, i % 20 % 7);
	expect(&s, "GEO", 1999 - 0, 0);
	s.n = 0; /* eight sets in one second, then a ninth */
	for (uint32_t i = 0; i < 8; i++)
		say(&s, 77, 0, 7 - i);
	expect(&s, NULL, 0, 0);
	say(&s, 78, 0, 8);
	expect(&s, "FLUX", 8, 8);
	s.n = 0; /* midnight parts what is counted */
	for (uint32_t i = 0; i < 14; i++)
		say(&s, DAY - 700 + i * 100, 0, i % 2);
	expect(&s, NULL, 0, 0);
}

static void test_same_second_again(void **state)
{
	static struct script s;

	(void)state;
	/* A and B in every second: one change in the first, then one in each. */
	for (uint32_t i = 0; i < 20; i++) {
		say(&s, i, 0, 3);
		say(&s, i, 0, 5);
	}
	expect(&s, "FLUX", 20, 20);
}

static void test_gate(void **state)
{
	static struct script s;
	struct flux_rig r;

	(void)state;
	/* What is in a record has to come from observations: none, no owner. */
	flux_rig_init(&r, 5, 1, 60);
	for (uint32_t i = 0; i < 20; i++)
		say(&s, i * 60, 0, i % 2);
	s.o[10].ttl = 10801;
	flux_rig_rows(&r, s.o, s.n);
	flux_rig_end(&r);
	assert_int_equal(r.lines, 1); /* the onset, which came before */
	assert_non_null(strstr(r.line[0], "\"onset\""));
	flux_rig_fini(&r);
	/* A mark before and after, in its own row and within one. */
	for (uint32_t at = 0; at < 20; at += 6) {
		size_t onsets;
		s.o[10].ttl = 60;
		for (uint32_t i = 0; i < 20; i++)
			s.o[i].is_long = i == at;
		json_t *day = play(&s, &onsets);
		assert_null(day);
		assert_int_equal(onsets, at > 8);
	}
	for (uint32_t i = 0; i < 20; i++)
		s.o[i].is_long = false;
	expect(&s, "FLUX", 19, 19);
}

static void test_multi(void **state)
{
	static struct script s;
	size_t onsets;

	(void)state;
	for (uint32_t i = 0; i < 30; i++) {
		say(&s, i * 60, 0, i / 3 % 2);
		s.o[s.n - 1].is_multi = i % 3 == 1;
	}
	json_t *day = play(&s, &onsets);
	assert_int_equal(number(day, "trans"), 9);
	assert_int_equal(number(day, "multi_cname"), 10);
	assert_int_equal(number(day, "targets"), 2);
	json_decref(day);
}

/* Two caches behind one address: what is older than what was last is no news. */
static void test_stale_caches(void **state)
{
	static struct script s;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		say(&s, i * 10, 0, i % 2);
		s.o[s.n - 1].vantage = FT_VANTAGE_S2R;
		/* Target 0 was fetched at 0, target 1 at 5, for 3000 s; both count down. */
		s.o[s.n - 1].ttl = 3000 + i % 2 * 5 - i * 10;
	}
	expect(&s, "GEO", 99, 1);
	for (size_t i = 0; i < s.n; i++) /* at an authority's tap each answer is new */
		s.o[i].vantage = FT_VANTAGE_R2A;
	expect(&s, "FLUX", 99, 99);
	s.n = 0; /* one cache that fetches a new one whenever the old one has expired */
	for (uint32_t i = 0; i < 1000; i++) {
		say(&s, i * 6, 0, i / 10 % 3);
		s.o[s.n - 1].vantage = FT_VANTAGE_S2R;
		s.o[s.n - 1].ttl = 60 - i % 10 * 6;
	}
	expect(&s, "FLUX", 99, 99);
	s.n = 0; /* one that fetches for each answer, and gets two in turn */
	for (uint32_t i = 0; i < 100; i++) {
		say(&s, i * 5, 0, i % 2);
		s.o[s.n - 1].vantage = FT_VANTAGE_S2R;
		s.o[s.n - 1].ttl = 5;
	}
	expect(&s, "FLUX", 99, 99);
	s.n = 0; /* the same, and another one that still has what was first */
	for (uint32_t i = 0; i < 100; i++) {
		say(&s, i * 7, 0, i % 5 == 4 ? 9 : i / 5 % 2);
		s.o[s.n - 1].vantage = FT_VANTAGE_S2R;
		s.o[s.n - 1].ttl = i % 5 == 4 ? 3000 - i * 7 : 3000;
	}
	expect(&s, "FLUX", 39, 19);
}

/* Views beyond what is followed: the busiest stay, all are counted. */
static void test_many_views(void **state)
{
	static struct script s;
	size_t onsets;

	(void)state;
	for (uint32_t i = 0; i < 1200; i++)
		say(&s, i * 30, i % 3 == 0 ? 0 : i % 120, i / 30 % 2);
	json_t *day = play(&s, &onsets);
	assert_int_equal(number(day, "views"), 81);
	assert_int_equal(number(day, "vtrans"), 39);
	assert_int_equal(onsets, 1);
	json_decref(day);
}

/* Without texts everything is counted, and names are null. */
static void test_lost_texts(void **state)
{
	static struct script s;
	struct flux_rig r;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		say(&s, i * 60, 0, i % 2);
	flux_rig_init(&r, 5, 1, 60);
	r.lose_texts = true;
	flux_rig_rows(&r, s.o, s.n);
	flux_rig_end(&r);
	assert_int_equal(r.lines, 2);
	json_t *day = json_loads(r.line[1], 0, NULL);
	assert_true(json_is_null(json_object_get(day, "owner")));
	assert_string_equal(string(day, "class"), "FLUX");
	assert_int_equal(number(day, "vtrans"), 19);
	json_decref(day);
	flux_rig_fini(&r);
}

/* --- more owners than there is room for --- */

static void test_budget(void **state)
{
	enum { MANY = 60000, FLUXERS = 400 };
	struct flux_obs *o = flux_rig_need(calloc(MANY + FLUXERS * 10, sizeof(*o)));
	struct flux_rig r;
	size_t n = 0, days, onsets;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		o[n++] = (struct flux_obs){.at = i, .owner = 1000 + i, .ttl = 60};
	for (uint32_t i = 0; i < FLUXERS * 10; i++)
		o[n++] = (struct flux_obs){.at = MANY + i / FLUXERS * 100,
					   .owner = i % FLUXERS,
					   .target = i / FLUXERS % 3,
					   .ttl = 60};
	qsort(o, n, sizeof(*o), by_time);
	flux_rig_init(&r, 3, 2, 3600);
	flux_cname_set_budget(r.flux, 2 << 20);
	flux_rig_rows(&r, o, n);
	const struct flux_cname_totals t = flux_cname_totals_get(r.flux);
	assert_true(t.bytes <= 2 << 20 && t.shift >= 1 && t.dropped > 10000);
	flux_rig_end(&r);
	json_t *all = json_loads(r.line[--r.lines], 0, NULL);
	free(r.line[r.lines]);
	check_lines(&r, o, n, &days, &onsets); /* who stays is exact */
	const double p = json_number_value(json_object_get(all, "p"));
	assert_string_equal(string(all, "owner"), "ALL");
	assert_true(p == 1.0 / (double)(1u << t.shift));
	assert_int_equal(number(all, "fluxers"), days);
	assert_int_equal(number(all, "owners"), t.owners);
	assert_int_equal(number(all, "left_out"), t.left_out);
	assert_true(number(all, "left_out") > 0);
	const double off = (double)number(all, "est_fluxers") - FLUXERS;
	assert_true(off * off <= 25 * (double)(number(all, "se_fluxers") + 1) *
				     (double)(number(all, "se_fluxers") + 1));
	json_t *one = json_loads(r.line[0], 0, NULL);
	assert_true(json_number_value(json_object_get(one, "p")) <= 0.5);
	json_decref(one);
	json_decref(all);
	flux_rig_fini(&r);
	free(o);
}

/* What the interval's own budget left out is out of the day, and counted. */
static void test_interval_budget(void **state)
{
	const size_t n = 4000;
	struct flux_obs *o = stream(23, n);
	struct flux_rig r;
	size_t days, onsets;

	(void)state;
	flux_rig_init(&r, 3, 2, 3600);
	rrsets_set_budget(r.rrsets, 60, 1 << 20);
	flux_rig_rows(&r, o, n);
	flux_rig_end(&r);
	json_t *all = NULL;
	size_t kept = 0;
	for (size_t i = 0; i < r.lines; i++) {
		json_t *x = json_loads(r.line[i], 0, NULL);
		const double p = json_number_value(json_object_get(x, "p"));
		if (strcmp(string(x, "owner"), "ALL") == 0) {
			assert_true(p < 1 && number(x, "left_out") > 0);
			all = all != NULL ? all : json_incref(x);
		}
		/* Onsets that came before the share fell are no longer checked. */
		if (json_object_get(x, "state") != NULL || strcmp(string(x, "owner"), "ALL") == 0)
			free(r.line[i]);
		else
			r.line[kept++] = r.line[i];
		json_decref(x);
	}
	assert_non_null(all);
	json_decref(all);
	r.lines = kept;
	check_lines(&r, o, n, &days, &onsets);
	flux_rig_fini(&r);
	free(o);
}

/* --- the table --- */

static void count_dropped(void *ctx, struct owner *o)
{
	assert_true(owners_key(o) >> 62 != 0);
	++*(size_t *)ctx;
}

static void test_table(void **state)
{
	enum { KEYS = 5000 };
	static struct owners t;
	static bool there[KEYS][2];
	struct flux_rig r = {.random = 3};
	size_t n = 0, dropped = 0;

	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		const uint64_t k = flux_rig_rand(&r, KEYS);
		const unsigned v = (unsigned)flux_rig_rand(&r, 2);
		const uint64_t key = hash_mix(k + 1);
		bool fresh;
		struct owner *o = owners_find(&t, key, v);
		assert_int_equal(o != NULL, there[k][v]);
		if (o != NULL)
			assert_true(o->target == (k << 1 | v) && owners_key(o) == key);
		if (flux_rig_rand(&r, round < 100000 ? 4 : 2) == 0) {
			if (o != NULL)
				owners_remove(&t, o);
			n -= there[k][v];
			there[k][v] = false;
			continue;
		}
		o = owners_get(&t, key, v, &fresh);
		assert_int_equal(fresh, !there[k][v]);
		o->target = k << 1 | v;
		n += !there[k][v];
		there[k][v] = true;
		assert_int_equal(t.n, n);
	}
	owners_thin(&t, 2, count_dropped, &dropped);
	assert_int_equal(t.n + dropped, n);
	for (uint64_t k = 0; k < KEYS; k++)
		for (unsigned v = 0; v < 2; v++)
			assert_int_equal(owners_find(&t, hash_mix(k + 1), v) != NULL,
					 there[k][v] && hash_mix(k + 1) >> 62 == 0);
	owners_fini(&t);
}

/* 16 million owners in 768 MiB, at a tenth of the size. */
static void test_table_memory(void **state)
{
	static struct owners t;
	bool fresh;

	(void)state;
	/* Few owners take little, and at no size does it take more than its share. */
	for (uint64_t i = 0; i < 1600000; i++) {
		assert_non_null(owners_get(&t, hash_mix(i), 0, &fresh));
		assert_true(t.bytes <= (2u << 20) + (i + 1) * 50);
	}
	assert_true(t.bytes <= (768ull << 20) / 10);
	owners_fini(&t);
	assert_int_equal(t.bytes, 0);
}

/* --- snapshots --- */

static void test_snapshot(void **state)
{
	const size_t n = 4000, half = 1700;
	struct flux_obs *o = stream(31, n);
	struct flux_rig whole, first, second;
	struct flux_rig_bytes b = {0}, again = {0};

	(void)state;
	flux_rig_init(&whole, 8, 2, 60);
	flux_rig_rows(&whole, o, n);
	flux_rig_end(&whole);
	flux_rig_init(&first, 8, 2, 60);
	flux_rig_rows(&first, o, half);
	assert_int_equal(flux_cname_save(first.flux, flux_rig_put_bytes, &b), 0);
	flux_rig_init(&second, 8, 1, 60);
	assert_int_equal(flux_cname_load(second.flux, flux_rig_get_bytes, &b), 0);
	assert_int_equal(b.at, b.n);
	assert_int_equal(flux_cname_save(second.flux, flux_rig_put_bytes, &again), 0);
	assert_int_equal(again.n, b.n);
	const size_t told = first.lines;
	flux_rig_rows(&second, o + half, n - half);
	flux_rig_end(&second);
	assert_int_equal(told + second.lines, whole.lines);
	qsort(second.line, second.lines, sizeof(*second.line), by_text);
	qsort(whole.line + told, whole.lines - told, sizeof(*whole.line), by_text);
	for (size_t i = 0; i < second.lines; i++)
		assert_string_equal(second.line[i], whole.line[told + i]);
	flux_rig_fini(&whole);
	flux_rig_fini(&first);
	flux_rig_fini(&second);
	free(b.b);
	free(again.b);
	free(o);
}

/* Cut anywhere it is refused; with any octet changed it does no harm. */
static void test_snapshot_damaged(void **state)
{
	const size_t n = 300;
	struct flux_obs *o = stream(37, n);
	struct flux_rig r, at;
	struct flux_rig_bytes b = {0};
	size_t refused = 0;

	(void)state;
	flux_rig_init(&r, 8, 2, 3600);
	flux_rig_rows(&r, o, 250);
	assert_int_equal(flux_cname_save(r.flux, flux_rig_put_bytes, &b), 0);
	flux_rig_init(&at, 8, 1, 3600);
	const size_t whole = b.n;
	for (b.n = 0; b.n < whole; b.n++) {
		b.at = 0;
		assert_int_not_equal(flux_cname_load(at.flux, flux_rig_get_bytes, &b), 0);
		assert_int_equal(flux_cname_totals_get(at.flux).owners, 0);
	}
	flux_rig_fini(&at);
	for (size_t i = 0; i < whole; i += i < 200 ? 1 : 5) {
		const uint8_t before = b.b[i];
		b.at = 0;
		b.b[i] ^= (uint8_t)(1 + flux_rig_rand(&r, 255));
		flux_rig_init(&at, 8, 1, 3600);
		if (flux_cname_load(at.flux, flux_rig_get_bytes, &b) != 0)
			refused++;
		else
			flux_rig_rows(&at, o + 250, n - 250);
		flux_rig_end(&at);
		flux_rig_fini(&at);
		b.b[i] = before;
	}
	assert_true(refused > whole / 100);
	flux_rig_fini(&r);
	free(b.b);
	free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_table_memory),
	    cmocka_unit_test(test_boundaries),
	    cmocka_unit_test(test_same_second_again),
	    cmocka_unit_test(test_gate),
	    cmocka_unit_test(test_multi),
	    cmocka_unit_test(test_stale_caches),
	    cmocka_unit_test(test_many_views),
	    cmocka_unit_test(test_lost_texts),
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_reference),
	    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_interval_budget),
	    cmocka_unit_test(test_snapshot),
	    cmocka_unit_test(test_snapshot_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* CNAME flux within any 24 h: every onset is where a plain count, second by second over
 * days, goes from below 8 to 8; and the day's records do not know of it. */
#include "flux_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DAY 86400u
#define DAYS 4u
#define SECONDS (DAYS * DAY)
#define TARGETS 16u
#define VIEWS 48u
#define OWNERS 36u

/* --- the reference --- */

struct plain_view {
	uint16_t changes[SECONDS]; /* in each second */
	uint32_t at[4096], n;      /* all of them, in order */
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

static bool is_of(const struct flux_obs *o, uint32_t owner, uint8_t vantage, uint32_t view)
{
	return o->owner == owner && o->vantage == vantage && o->view == view && !o->is_multi;
}

/* Changes of a view; what it saw is forgotten once a whole day has none of it. */
static void plain_changes(const struct flux_obs *o, size_t n, uint32_t owner, uint8_t vantage,
			  uint32_t view, struct plain_view *p)
{
	uint32_t day = 0;
	int last = -1;

	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < n;) {
		bool there[TARGETS] = {false}, any = false;
		const uint32_t at = o[i].at;
		for (; i < n && o[i].at == at; i++)
			if (is_of(&o[i], owner, vantage, view))
				there[o[i].target] = any = true;
		if (!any)
			continue;
		if (last >= 0 && at / DAY > day + 1)
			last = -1;
		day = at / DAY;
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
			if (last >= 0) {
				assert_true(p->n < 4096);
				p->changes[at]++;
				p->at[p->n++] = at;
			}
			last = next;
		}
	}
}

struct onset {
	uint32_t owner, vantage, at, since, views;
};

struct onsets {
	struct onset v[8192];
	size_t n;
};

/* The oldest of the 8 changes of a view that the one in second `at` makes. */
static uint32_t plain_since(const struct plain_view *p, uint32_t at)
{
	for (uint32_t i = 7; i < p->n; i++)
		if (p->at[i] == at && at - p->at[i - 7] < DAY)
			return p->at[i - 7];
	return UINT32_MAX;
}

/* Views of that day until the interval ends, and of the day before. */
static uint32_t plain_views(const struct flux_obs *o, size_t n, const struct onset *x,
			    uint32_t interval_s)
{
	const uint32_t begin = x->at / DAY == 0 ? 0 : (x->at / DAY - 1) * DAY;
	const uint32_t end = (x->at / interval_s + 1) * interval_s;
	bool seen[VIEWS] = {false};
	uint32_t views = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_of(&o[i], x->owner, (uint8_t)x->vantage, o[i].view) || o[i].at < begin ||
		    o[i].at >= end)
			continue;
		views += !seen[o[i].view];
		seen[o[i].view] = true;
	}
	return views;
}

static void plain_owner(const struct flux_obs *o, size_t n, uint32_t owner, uint8_t vantage,
			uint32_t interval_s, struct onsets *out)
{
	static struct plain_view p[VIEWS];
	static uint16_t most[SECONDS];
	bool before = false;

	memset(most, 0, sizeof(most));
	for (uint32_t v = 0; v < VIEWS; v++) {
		uint32_t sum = 0;
		plain_changes(o, n, owner, vantage, v, &p[v]);
		for (uint32_t s = 0; s < SECONDS && p[v].n >= 8; s++) {
			sum += p[v].changes[s];
			sum -= s >= DAY ? p[v].changes[s - DAY] : 0;
			most[s] = sum > most[s] ? (uint16_t)sum : most[s];
		}
	}
	for (uint32_t s = 0; s < SECONDS; s++) {
		if (most[s] >= 8 && !before) {
			struct onset x = {owner, vantage, s, UINT32_MAX, 0};
			for (uint32_t v = 0; v < VIEWS; v++) {
				const uint32_t since = plain_since(&p[v], s);
				x.since = since < x.since ? since : x.since;
			}
			x.views = plain_views(o, n, &x, interval_s);
			assert_true(out->n < 8192);
			out->v[out->n++] = x;
		}
		before = most[s] >= 8;
	}
}

static int by_onset(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct onset));
}

/* --- what came --- */

static json_int_t number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static bool is_sliding(const char *line)
{
	return strstr(line, "\"window\":\"sliding\"") != NULL;
}

static void read_onsets(const struct flux_rig *r, struct onsets *out)
{
	out->n = 0;
	for (size_t i = 0; i < r->lines; i++) {
		struct onset *x = &out->v[out->n];
		if (!is_sliding(r->line[i]))
			continue;
		json_t *o = json_loads(r->line[i], 0, NULL);
		const char *name = json_string_value(json_object_get(o, "owner"));
		assert_non_null(name);
		assert_int_equal(sscanf(name, "o%u.", &x->owner), 1);
		for (x->vantage = 0; strcmp(ft_vantage_texts[x->vantage],
					    json_string_value(json_object_get(o, "vantage"))) != 0;)
			x->vantage++;
		x->at = (uint32_t)(number(o, "at_us") / 1000000 - FLUX_RIG_T0);
		x->since = (uint32_t)(number(o, "since_us") / 1000000 - FLUX_RIG_T0);
		x->views = (uint32_t)number(o, "views");
		assert_string_equal(json_string_value(json_object_get(o, "state")), "onset");
		assert_true(number(o, "start") <= x->at + FLUX_RIG_T0 &&
			    number(o, "end") > x->at + FLUX_RIG_T0);
		json_decref(o);
		assert_true(++out->n < 8192);
	}
}

static void compare(struct onsets *came, struct onsets *should)
{
	qsort(came->v, came->n, sizeof(*came->v), by_onset);
	qsort(should->v, should->n, sizeof(*should->v), by_onset);
	for (size_t i = 0; i < came->n && i < should->n; i++)
		if (by_onset(&came->v[i], &should->v[i]) != 0)
			fail_msg("%zu: came o%u %u at %u since %u views %u, should be o%u %u at %u "
				 "since %u views %u",
				 i, came->v[i].owner, came->v[i].vantage, came->v[i].at,
				 came->v[i].since, came->v[i].views, should->v[i].owner,
				 should->v[i].vantage, should->v[i].at, should->v[i].since,
				 should->v[i].views);
	assert_int_equal(came->n, should->n);
}

/* --- random streams --- */

static int by_time(const void *a, const void *b)
{
	const uint32_t x = ((const struct flux_obs *)a)->at, y = ((const struct flux_obs *)b)->at;

	return (x > y) - (x < y);
}

/* Owners about the boundary, in few views and in many; some stay away for a day, some
 * views do. */
static struct flux_obs *stream(uint64_t seed, size_t *n)
{
	struct flux_obs *o = flux_rig_need(calloc(*n, sizeof(*o)));
	struct flux_rig r = {.random = seed};
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		struct flux_obs x = {.ttl = 60};
		x.owner = (uint32_t)flux_rig_rand(&r, OWNERS);
		x.view = (uint32_t)flux_rig_rand(&r, 1 + x.owner % 6 * (x.owner % 6));
		x.view += x.owner % 12 == 7 ? (uint32_t)flux_rig_rand(&r, 20) : 0;
		x.at = (uint32_t)flux_rig_rand(&r, SECONDS);
		x.target = (uint32_t)flux_rig_rand(&r, 1 + x.owner % 4);
		if (flux_rig_rand(&r, 6 + x.owner) > 4) /* mostly it is what it was */
			x.target = x.owner % 5 == 0 ? x.view % 3 : 0;
		if (flux_rig_rand(&r, 4) == 0) /* seconds with several, and around midnight */
			x.at = x.at / DAY * DAY + (uint32_t)flux_rig_rand(&r, 3);
		if (flux_rig_rand(&r, 8) == 0 && x.at >= DAY)
			x.at = x.at / DAY * DAY - 1 - (uint32_t)flux_rig_rand(&r, 3);
		x.vantage = flux_rig_rand(&r, 5) != 0 ? FT_VANTAGE_R2A : FT_VANTAGE_X;
		x.is_multi = flux_rig_rand(&r, 50) == 0;
		const uint32_t day = x.at / DAY;
		if ((x.owner % 9 == 8 && day == 1) || (x.owner % 7 == 6 && day != 0 && day != 2) ||
		    (x.view % 4 == 3 && day == 1 + x.owner % 2))
			continue;
		o[kept++] = x;
	}
	*n = kept;
	qsort(o, *n, sizeof(*o), by_time);
	return o;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The other records are those of a run without the option, byte for byte. */
static void check_days(const struct flux_rig *r, const struct flux_obs *o, size_t n)
{
	struct flux_rig plain;
	size_t kept = 0;

	flux_rig_init(&plain, 77, 1, r->interval_s);
	flux_rig_rows(&plain, o, n);
	flux_rig_end(&plain);
	qsort(plain.line, plain.lines, sizeof(*plain.line), by_text);
	char **line = flux_rig_need(calloc(r->lines + 1, sizeof(*line)));
	for (size_t i = 0; i < r->lines; i++)
		if (!is_sliding(r->line[i]))
			line[kept++] = r->line[i];
	qsort(line, kept, sizeof(*line), by_text);
	assert_int_equal(kept, plain.lines);
	for (size_t i = 0; i < kept; i++)
		assert_string_equal(line[i], plain.line[i]);
	assert_true(kept > 5 && kept < r->lines);
	free(line);
	flux_rig_fini(&plain);
}

static void test_reference(void **state)
{
	static const struct {
		uint64_t seed;
		uint32_t interval_s;
		size_t n;
	} runs[] = {{1, 60, 12000}, {2, 3600, 20000}, {3, 86400, 16000}, {4, 300, 30000}};
	static struct onsets came, should;

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		size_t n = runs[i].n;
		struct flux_obs *o = stream(runs[i].seed, &n);
		should.n = 0;
		for (uint32_t owner = 0; owner < OWNERS; owner++)
			for (uint8_t v = 0; v < FT_VANTAGE_CAP; v++)
				plain_owner(o, n, owner, v, runs[i].interval_s, &should);
		size_t again = 0; /* onsets that are not the owner's first */
		for (size_t k = 1; k < should.n; k++)
			again += should.v[k].owner == should.v[k - 1].owner &&
				 should.v[k].vantage == should.v[k - 1].vantage;
		assert_true(should.n > 20 && again > 5);
		for (unsigned workers = 1; workers <= 4; workers += 3) {
			struct flux_rig r;
			flux_rig_init(&r, 99 + workers, workers, runs[i].interval_s);
			flux_rig_slide(&r);
			flux_rig_rows(&r, o, n);
			flux_rig_end(&r);
			read_onsets(&r, &came);
			compare(&came, &should);
			check_days(&r, o, n);
			flux_rig_fini(&r);
		}
		free(o);
	}
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

/* How many sliding onsets, and how many others. */
static size_t play(const struct script *s, size_t *others)
{
	static struct onsets came;
	struct flux_rig r;

	flux_rig_init(&r, 5, 2, 60);
	flux_rig_slide(&r);
	flux_rig_rows(&r, s->o, s->n);
	flux_rig_end(&r);
	read_onsets(&r, &came);
	*others = r.lines - came.n;
	flux_rig_fini(&r);
	return came.n;
}

static void test_boundaries(void **state)
{
	static struct script s;
	size_t others;

	(void)state;
	/* 3 to 6 changes before midnight, 4 after. */
	for (uint32_t before = 3; before <= 6; before++) {
		s.n = 0;
		for (uint32_t i = 0; i <= before + 4; i++)
			say(&s, DAY - 50 - before * 100 + i * 100, 0, i % 2);
		assert_int_equal(play(&s, &others), before >= 4);
		assert_int_equal(others, 0);
	}
	/* None before midnight, but another target behind it. */
	for (uint32_t changes = 7; changes <= 8; changes++) {
		s.n = 0;
		say(&s, DAY - 7000, 0, 0);
		for (uint32_t i = 1; i <= changes; i++)
			say(&s, DAY + i * 100, 0, i % 2);
		assert_int_equal(play(&s, &others), changes == 8);
		assert_int_equal(others, 0);
	}
	/* 8 changes, from the first to the last one of them exactly so long. */
	for (uint32_t span = DAY - 2; span <= DAY + 1; span++) {
		s.n = 0;
		say(&s, 1000, 0, 0);
		for (uint32_t i = 0; i < 8; i++)
			say(&s, 2000 + i * 10000 - (i == 7 ? 70000 - span : 0), 0, 1 + i % 2);
		assert_int_equal(play(&s, &others), span < DAY);
		assert_int_equal(others, 0);
	}
	/* A static split over resolvers, three days long. */
	s.n = 0;
	for (uint32_t i = 0; i < 900; i++)
		say(&s, i * 280, i % 9, i % 9 % 3);
	assert_int_equal(play(&s, &others), 0);
	/* A change every 3 h: one onset for as long as it lasts; then quiet, and again. */
	s.n = 0;
	for (uint32_t i = 0; i < 16; i++)
		say(&s, i * 10800, 0, i % 2);
	assert_int_equal(play(&s, &others), 1);
	for (uint32_t i = 0; i < 4; i++)
		say(&s, 15 * 10800 + 2 * 10800 + 1 + i * 2000, 0, i % 2);
	assert_int_equal(play(&s, &others), 2);
}

/* A TTL beyond the gate: not followed to the day's end, from then on anew. */
static void test_gate(void **state)
{
	static struct script s;
	size_t others;

	(void)state;
	for (uint32_t i = 0; i <= 12; i++)
		say(&s, DAY - 650 + i * 100, 0, i % 2);
	assert_int_equal(play(&s, &others), 1);
	s.o[4].ttl = 10801;
	assert_int_equal(play(&s, &others), 0); /* 6 after midnight */
	s.o[4].ttl = 60;
	s.o[2].is_long = true;
	assert_int_equal(play(&s, &others), 0);
}

/* An owner takes twice the memory and not more; the budget holds for both. */
static void test_budget(void **state)
{
	enum { MANY = 160000 };
	struct flux_obs *o = flux_rig_need(calloc(MANY, sizeof(*o)));
	struct flux_rig r, plain;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		o[i] = (struct flux_obs){.at = i / 2, .owner = i, .ttl = 60, .view = i % 50};
	flux_rig_init(&plain, 3, 2, 3600);
	flux_rig_rows(&plain, o, MANY);
	const size_t once = flux_cname_totals_get(plain.flux).bytes;
	flux_rig_init(&r, 3, 2, 3600);
	flux_rig_slide(&r);
	flux_rig_rows(&r, o, MANY);
	assert_int_equal(flux_cname_totals_get(r.flux).bytes, 2 * once);
	flux_rig_fini(&plain);
	flux_rig_fini(&r);
	flux_rig_init(&r, 3, 2, 3600);
	flux_rig_slide(&r);
	flux_cname_set_budget(r.flux, once);
	for (uint32_t day = 0; day < 3; day++) {
		flux_rig_rows(&r, o, MANY);
		const struct flux_cname_totals t = flux_cname_totals_get(r.flux);
		assert_true(t.bytes <= once && t.shift >= 1 && t.owners > MANY / 16);
		for (uint32_t i = 0; i < MANY; i++)
			o[i].at += DAY;
	}
	flux_rig_end(&r);
	/* Who has not been seen for a day takes no more. */
	o[0].at += 2 * DAY;
	flux_rig_rows(&r, o, 1);
	assert_true(flux_cname_totals_get(r.flux).bytes < once / 2);
	flux_rig_fini(&r);
	free(o);
}

/* --- snapshots --- */

static void test_snapshot(void **state)
{
	size_t n = 9000;
	struct flux_obs *o = stream(31, &n);
	struct flux_rig whole, first, second;

	(void)state;
	flux_rig_init(&whole, 8, 2, 60);
	flux_rig_slide(&whole);
	flux_rig_rows(&whole, o, n);
	flux_rig_end(&whole);
	for (size_t part = 1; part < 8; part++) {
		size_t half = n * part / 8;
		while (o[half].at / 60 == o[half - 1].at / 60)
			half++;
		struct flux_rig_bytes b = {0}, again = {0};
		flux_rig_init(&first, 8, 2, 60);
		flux_rig_slide(&first);
		flux_rig_rows(&first, o, half);
		assert_int_equal(flux_cname_save(first.flux, flux_rig_put_bytes, &b), 0);
		flux_rig_init(&second, 8, 1, 60);
		flux_rig_slide(&second);
		assert_int_equal(flux_cname_load(second.flux, flux_rig_get_bytes, &b), 0);
		assert_int_equal(b.at, b.n);
		assert_int_equal(flux_cname_save(second.flux, flux_rig_put_bytes, &again), 0);
		assert_int_equal(again.n, b.n);
		const size_t told = first.lines;
		flux_rig_rows(&second, o + half, n - half);
		flux_rig_end(&second);
		assert_int_equal(told + second.lines, whole.lines);
		char **line = flux_rig_need(calloc(second.lines + 1, sizeof(*line)));
		memcpy(line, whole.line + told, second.lines * sizeof(*line));
		qsort(line, second.lines, sizeof(*line), by_text);
		qsort(second.line, second.lines, sizeof(*second.line), by_text);
		for (size_t i = 0; i < second.lines; i++)
			assert_string_equal(second.line[i], line[i]);
		free(line);
		flux_rig_fini(&first);
		flux_rig_fini(&second);
		free(b.b);
		free(again.b);
	}
	flux_rig_fini(&whole);
	free(o);
}

/* From a run with the option into one without, and the other way: the day goes on. */
static void test_snapshot_option(void **state)
{
	size_t n = 5000;
	struct flux_obs *o = stream(5, &n);
	struct flux_rig r[2], to[2];

	(void)state;
	size_t half = 0; /* within the second day, between two intervals */
	while (o[half].at / 3600 < 30)
		half++;
	for (unsigned i = 0; i < 2; i++) {
		struct flux_rig_bytes b = {0};
		flux_rig_init(&r[i], 8, 2, 3600);
		flux_rig_init(&to[i], 8, 2, 3600);
		flux_rig_slide(i == 0 ? &r[i] : &to[i]);
		flux_rig_rows(&r[i], o, half);
		assert_int_equal(flux_cname_save(r[i].flux, flux_rig_put_bytes, &b), 0);
		assert_int_equal(flux_cname_load(to[i].flux, flux_rig_get_bytes, &b), 0);
		assert_int_equal(b.at, b.n);
		flux_rig_rows(&to[i], o + half, n - half);
		flux_rig_end(&to[i]);
		size_t kept = 0;
		for (size_t k = 0; k < to[i].lines; k++) {
			char *line = to[i].line[k];
			assert_true(i == 1 || !is_sliding(line));
			if (is_sliding(line))
				free(line);
			else
				to[i].line[kept++] = line;
		}
		assert_true(i == 0 || kept < to[i].lines);
		to[i].lines = kept;
		qsort(to[i].line, kept, sizeof(char *), by_text);
		free(b.b);
	}
	assert_int_equal(to[0].lines, to[1].lines);
	for (size_t k = 0; k < to[0].lines; k++)
		assert_string_equal(to[0].line[k], to[1].line[k]);
	for (unsigned i = 0; i < 2; i++) {
		flux_rig_fini(&r[i]);
		flux_rig_fini(&to[i]);
	}
	free(o);
}

/* Cut anywhere it is refused; with any octet changed it does no harm. */
static void test_snapshot_damaged(void **state)
{
	size_t n = 500;
	struct flux_obs *o = stream(37, &n);
	struct flux_rig r, at;
	struct flux_rig_bytes b = {0};
	size_t refused = 0;

	(void)state;
	flux_rig_init(&r, 8, 2, 3600);
	flux_rig_slide(&r);
	flux_rig_rows(&r, o, n / 2);
	assert_int_equal(flux_cname_save(r.flux, flux_rig_put_bytes, &b), 0);
	flux_rig_init(&at, 8, 1, 3600);
	flux_rig_slide(&at);
	const size_t whole = b.n;
	for (b.n = 0; b.n < whole; b.n++) {
		b.at = 0;
		assert_int_not_equal(flux_cname_load(at.flux, flux_rig_get_bytes, &b), 0);
		assert_int_equal(flux_cname_totals_get(at.flux).bytes, 0);
	}
	flux_rig_fini(&at);
	for (size_t i = whole / 2; i < whole; i += 3) {
		const uint8_t before = b.b[i];
		b.at = 0;
		b.b[i] ^= (uint8_t)(1 + flux_rig_rand(&r, 255));
		flux_rig_init(&at, 8, 1, 3600);
		flux_rig_slide(&at);
		if (flux_cname_load(at.flux, flux_rig_get_bytes, &b) != 0)
			refused++;
		else
			flux_rig_rows(&at, o + n / 2, n - n / 2);
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
	    cmocka_unit_test(test_boundaries),       cmocka_unit_test(test_gate),
	    cmocka_unit_test(test_reference),        cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_snapshot),         cmocka_unit_test(test_snapshot_option),
	    cmocka_unit_test(test_snapshot_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The sequential test against Wald's figures and a plain reading of it, the looks of names
 * of real families, and what a client's interval adds to its evidence. Prints the tables
 * that the README quotes. */
#include "dga.h"
#include "lists.h"
#include "rules.h"
#include "stats/dga_suspects.h"
#include "stats/dga_test.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state = 88172645463325252ull;

static uint64_t random_next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static double random_share(void)
{
	return (double)(random_next() >> 11) / 9007199254740992.0;
}

/* --- the arithmetic --- */

static void test_constants(void **unused)
{
	/* DOMAIN section 6.4. */
	static const struct {
		double p0, up, down;
	} known[] = {{0.05, 2.833, 1.846}, {0.15, 1.735, 1.735}, {0.25, 1.224, 1.609}};

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		const struct dga_params p = dga_params_of(known[i].p0);
		assert_true(fabs(p.up - known[i].up) < 0.001);
		assert_true(fabs(p.down - known[i].down) < 0.001);
		assert_true(fabs(p.alarm - 13.81) < 0.005);
	}
}

/* Against a plain walk: without forgetting it is +-1 with a floor, eight up is an alarm. */
static void test_walk(void **unused)
{
	const struct dga_params p = dga_params_of(DGA_P0);
	struct dga_evidence e = {0};
	int steps = 0;

	(void)unused;
	for (unsigned i = 0; i < 100000; i++) {
		const bool made_up = random_next() % 2 != 0;
		steps += made_up ? 1 : -1;
		steps = steps < 0 ? 0 : steps > 15 ? 15 : steps;
		const double llr = dga_learn(&e, &p, 1000, made_up);
		assert_int_equal(llr >= p.alarm, steps >= 8);
		if (steps == 15) {
			e = (struct dga_evidence){0};
			steps = 0;
		}
	}
}

static void test_forget(void **unused)
{
	const struct dga_params p = dga_params_of(DGA_P0);
	struct dga_evidence e = {.llr = 13.0, .last_s = 100};

	(void)unused;
	assert_true(fabs(dga_forget(&e, &p, 3700) - 6.5) < 1e-9);
	assert_true(fabs(dga_forget(&e, &p, 3600) - 6.5) < 1e-9); /* time does not go back */
	assert_true(fabs(dga_forget(&e, &p, 100 + 3 * 3600) - 1.625) < 1e-9);
	assert_true(dga_forget(&e, &p, 100 + 4 * 3600) == 0); /* less than half a name */
}

/* Names that a bot needs; 1000: more than 999. */
static unsigned names_needed(const struct dga_params *p, double share)
{
	struct dga_evidence e = {0};

	for (unsigned n = 1; n < 1000; n++)
		if (dga_learn(&e, p, n, random_share() < share) >= p->alarm)
			return n;
	return 1000;
}

static void test_mean(void **unused)
{
	static const struct {
		double p0, mean;
	} known[] = {{0.05, 6.9}, {0.15, 11.3}, {0.25, 17.8}}; /* DOMAIN section 6.4 */

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		const struct dga_params p = dga_params_of(known[i].p0);
		double sum = 0;
		for (unsigned k = 0; k < 20000; k++)
			sum += names_needed(&p, DGA_P1);
		print_message("p0 %.2f: %.2f names on average where 85 %% look made up\n",
			      known[i].p0, sum / 20000);
		assert_true(fabs(sum / 20000 - known[i].mean) < 0.06 * known[i].mean);
	}
}

/* A million hours of clients that ask for `rate` new domains that do not exist an hour, of
 * which a share look made up by chance; returns the alarms. */
static unsigned benign_alarms(unsigned hours, unsigned rate, double share)
{
	const struct dga_params p = dga_params_of(DGA_P0);
	struct dga_evidence e = {0};
	unsigned alarms = 0;

	for (unsigned h = 0; h < hours; h++) {
		for (unsigned k = 0; k < rate; k++) {
			const uint64_t now_s = h * 3600ull + k * 3600ull / rate;
			if (dga_learn(&e, &p, now_s, random_share() < share) < p.alarm)
				continue;
			alarms++;
			e.llr = 0;
		}
		if (h % 24 == 23) /* another client's day */
			e = (struct dga_evidence){.last_s = e.last_s};
	}
	return alarms;
}

static void test_benign_hours(void **unused)
{
	(void)unused;
	const unsigned alarms = benign_alarms(1000000, 20, 0.05);
	print_message("a million client-hours, 20 missing domains an hour, 5 %% look made up: "
		      "%u alarms\n",
		      alarms);
	assert_int_equal(alarms, 0);
	/* And the test can speak: with half of them it does. */
	assert_true(benign_alarms(1000, 20, 0.5) > 10);
}

/* --- the looks of names --- */

static struct {
	struct rules *rules;
	struct ruleset *set;
	struct ruleset_scratch *scratch;
} looks;

static int make_looks(void **unused)
{
	const struct rules_settings s = {.name_seed = 1, .sketch_seed = 2};
	char err[512];

	(void)unused;
	looks.rules = rules_create(&s);
	looks.set = looks.rules != NULL ? rules_load(looks.rules, err, sizeof(err)) : NULL;
	looks.scratch = looks.set != NULL ? ruleset_scratch_create(looks.set) : NULL;
	return 0;
}

static int free_looks(void **unused)
{
	(void)unused;
	ruleset_scratch_destroy(looks.scratch);
	ruleset_destroy(looks.set);
	rules_destroy(looks.rules);
	return 0;
}

/* Text to folded wire form; its octets, 0: no name. */
static uint32_t wire_of(const char *text, uint8_t *out)
{
	uint32_t n = 0;

	while (*text != '\0' && *text != '\n') {
		const size_t label = strcspn(text, ".\n");
		if (label == 0 || label > 63 || n + label + 2 > 255)
			return 0;
		out[n++] = (uint8_t)label;
		for (size_t i = 0; i < label; i++)
			out[n++] =
			    (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
		text += label + (text[label] == '.');
	}
	out[n++] = 0;
	return n > 2 ? n : 0;
}

/* 1 made up, 0 not, -1 no name. */
static int look(const char *text)
{
	uint8_t name[FT_NAME_CAP + NAME_PAD_BYTES] = {0};
	struct verdict v;
	const struct ruleset_name n = {name, wire_of(text, name), 1, &v};

	if (n.len == 0)
		return -1;
	ruleset_step(looks.set, looks.scratch, &n, 1);
	return dga_looks_made_up(looks.set, &v);
}

static void test_looks(void **unused)
{
	static const char *const made_up[] = {
	    "xkqjvzpwtrhb.com",         "zct62r6sieqbjezi.net",
	    "pqghiuebgbbafborarqo.com", "3481ca1842b16f5a553a0468697c973a.tk",
	    "abcdefgh.bazar",           "qeoiumwskgcyaqso.org"};
	static const char *const ordinary[] = {"wikipedia.org", "example.com", "bbc.co.uk",
					       "weatherchannel.com", "uni-kumamoto.ac.jp"};

	(void)unused;
	if (looks.scratch == NULL)
		skip(); /* no list of public suffixes here */
	for (size_t i = 0; i < sizeof(made_up) / sizeof(*made_up); i++)
		assert_int_equal(look(made_up[i]), 1);
	for (size_t i = 0; i < sizeof(ordinary) / sizeof(*ordinary); i++)
		assert_int_equal(look(ordinary[i]), 0);
}

struct names {
	uint8_t *made_up; /* [n] */
	uint32_t n, flagged;
};

/* What each name of a list looks like; false: there is no such list here. */
static bool read_list(const char *file, struct names *out)
{
	FILE *f = lists_open(file);
	char line[512];

	*out = (struct names){0};
	if (f == NULL)
		return false;
	out->made_up = malloc(1 << 20);
	assert_non_null(out->made_up);
	while (fgets(line, sizeof(line), f) != NULL && out->n < 1 << 20) {
		const int y = look(line);
		if (y < 0)
			continue;
		out->made_up[out->n++] = (uint8_t)y;
		out->flagged += (uint32_t)y;
	}
	lists_close(f, file);
	return out->n != 0;
}

/* Draws `want` distinct names of a list, or all there are, in random order. */
static unsigned bot_needs(const struct names *l, unsigned want)
{
	const struct dga_params p = dga_params_of(DGA_P0);
	struct dga_evidence e = {0};
	uint8_t *order = malloc(l->n);

	assert_non_null(order);
	memcpy(order, l->made_up, l->n);
	want = want < l->n ? want : l->n;
	for (unsigned i = 0; i < want; i++) {
		const uint32_t k = i + (uint32_t)(random_next() % (l->n - i));
		const uint8_t y = order[k];
		order[k] = order[i];
		if (dga_learn(&e, &p, i, y != 0) >= p.alarm) {
			free(order);
			return i + 1;
		}
	}
	free(order);
	return want + 1;
}

/* Of 100 bots of each family, how many are caught within 30 names. */
static void test_families(void **unused)
{
	static const struct {
		const char *name;
		bool random; /* its letters are */
	} families[] = {
	    {"bazarbackdoor", true}, {"chinad", true},        {"corebot", true},
	    {"cryptolocker", true},  {"dmsniff", true},       {"dnschanger", true},
	    {"fobber", true},        {"gameover_zeus", true}, {"m0yv", true},
	    {"murofet", true},       {"newgoz", true},        {"nymaim", true},
	    {"orchard", true},       {"proslikefan", true},   {"pykspa", true},
	    {"qadars", true},        {"ramdo", true},         {"ranbyus", true},
	    {"shiotob", true},       {"sisron", true},        {"tempedreve", true},
	    {"tinba", true},         {"verblecon", true},     {"pitou", false},
	    {"vawtrak", false},      {"charbot", false},      {"rovnix", false},
	    {"suppobox", false},
	};
	struct names l;
	char file[64];

	(void)unused;
	if (looks.scratch == NULL || !read_list("dga/tinba.txt", &l))
		skip();
	free(l.made_up);
	print_message("%-14s %8s %8s %8s\n", "family", "flagged", "caught", "names");
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		unsigned caught = 0, sum = 0;
		(void)snprintf(file, sizeof(file), "dga/%s.txt", families[i].name);
		if (!read_list(file, &l))
			continue;
		for (unsigned bot = 0; bot < 100; bot++) {
			const unsigned n = bot_needs(&l, 30);
			const bool is_caught = n <= 30 && n <= l.n;
			caught += is_caught;
			sum += is_caught ? n : 0;
		}
		print_message("%-14s %7.1f%% %8u %8.1f%s\n", families[i].name,
			      100.0 * l.flagged / l.n, caught,
			      caught != 0 ? (double)sum / caught : 0,
			      families[i].random ? "" : "  (words or syllables)");
		if (families[i].random)
			assert_true(caught >= 90);
		free(l.made_up);
	}
}

/* By single names, as nDPI judges them: its published figures are the floor. */
static void test_single_names(void **unused)
{
	static const char *const families[] = {
	    "bazarbackdoor", "charbot",       "chinad", "corebot",  "cryptolocker", "dnschanger",
	    "fobber",        "gameover_zeus", "m0yv",   "murofet",  "newgoz",       "nymaim",
	    "pitou",         "proslikefan",   "pykspa", "qadars",   "ramdo",        "ranbyus",
	    "rovnix",        "shiotob",       "sisron", "suppobox", "tempedreve",   "tinba",
	    "vawtrak",       "verblecon"};
	double recall = 0;
	unsigned n = 0;
	struct names l;
	char file[64];

	(void)unused;
	if (looks.scratch == NULL || !read_list("benign.txt", &l))
		skip();
	const double wrong = (double)l.flagged / l.n;
	free(l.made_up);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		(void)snprintf(file, sizeof(file), "dga/%s.txt", families[i]);
		if (!read_list(file, &l))
			continue;
		recall += (double)l.flagged / l.n;
		n++;
		free(l.made_up);
	}
	assert_true(n > 20);
	recall /= n;
	const double precision = recall / (recall + wrong), accuracy = (recall + 1 - wrong) / 2;
	print_message("single names, %u families and ordinary ones in equal parts:\n"
		      "%-8s accuracy %.2f precision %.2f recall %.2f\n"
		      "%-8s accuracy 0.69 precision 0.89 recall 0.40\n",
		      n, "fluxtap", accuracy, precision, recall, "nDPI");
	assert_true(accuracy > 0.69 && precision > 0.89 && recall > 0.40);
	assert_true(wrong < 0.06); /* one in twenty, DOMAIN section 6.4 */
}

/* --- a client's interval --- */

static void note(struct diary_sum *s, uint32_t second, uint64_t hash, unsigned kind)
{
	uint8_t o[32], *p = o;

	*p++ = 0;
	p = ft_put_varint(p, second);
	*p++ = (uint8_t)(FT_NOTE_OTHER | kind << 2 | FT_NOTE_BACK << 4);
	memcpy(p, &hash, 8);
	p += ft_note_hash_bytes(kind);
	assert_int_equal(diary_sum_add(s, o, (size_t)(p - o)), 0);
}

static void put_name(struct dga_names *n, uint64_t hash, const char *text, bool answered)
{
	uint8_t out[FT_DGA_NAME_CAP], name[FT_NAME_CAP];
	const struct ft_dga_name x = {.hash = hash,
				      .shapes = 6,
				      .what = answered ? FT_DGA_ANSWERED : 0,
				      .name = name,
				      .name_len = (uint8_t)wire_of(text, name),
				      .addrs = answered,
				      .addr = {{192, 0, 2, 7}}};

	assert_int_equal(dga_names_add(n, out, ft_dga_name_write(&x, out)), 0);
}

static void test_interval(void **unused)
{
	const struct dga_params p = dga_params_of(DGA_P0);
	struct dga_names *names = dga_names_create(1);
	struct diary_sum sum = {0};
	struct suspect s = {.key = {FT_VANTAGE_S2R}};
	char text[32];

	(void)unused;
	for (unsigned i = 0; i < 9; i++) {
		(void)snprintf(text, sizeof(text), "made%up.com", i);
		put_name(names, 100 + i, text, false);
	}
	put_name(names, 200, "there.com", true);
	/* Seven look made up, one of them twice, and one does not: 6 steps up in the end. */
	for (unsigned i = 0; i < 7; i++)
		note(&sum, 10 + i, 100 + i, FT_NOTE_MADE_UP);
	note(&sum, 30, 103, FT_NOTE_MADE_UP);
	note(&sum, 40, 50, FT_NOTE_MISSING);
	note(&sum, 41, 200, FT_NOTE_ANSWERED); /* before the alarm */
	assert_true(suspect_learn(&s, &p, &sum, names, 6000));
	assert_true(fabs(s.evidence.llr - 6 * p.up) < 0.2);
	assert_int_equal(s.nx, 8);
	assert_int_equal(s.made_up, 7);
	assert_int_equal(s.alarm_s, 0);
	assert_null(s.c2);
	assert_int_equal(s.first_s, 6010);
	/* The same names again are no evidence. */
	const double before = s.evidence.llr;
	assert_true(suspect_learn(&s, &p, &sum, names, 6060));
	assert_true(s.evidence.llr <= before);
	assert_int_equal(s.nx, 8);
	assert_int_equal(s.last_s, 6100);
	/* Nor are answers, where nothing was asked for that is missing. */
	diary_sum_clear(&sum);
	note(&sum, 41, 200, FT_NOTE_ANSWERED);
	assert_false(suspect_learn(&s, &p, &sum, names, 6060));
	/* Three more: the alarm comes with the second of them, what is there behind it. */
	diary_sum_clear(&sum);
	note(&sum, 5, 107, FT_NOTE_MADE_UP);
	note(&sum, 6, 108, FT_NOTE_MADE_UP);
	note(&sum, 7, 109, FT_NOTE_MADE_UP);
	note(&sum, 8, 200, FT_NOTE_ANSWERED);
	assert_true(suspect_learn(&s, &p, &sum, names, 6060));
	assert_int_equal(s.alarm_s, 6067);
	assert_int_equal(s.made_up, 10);
	assert_string_equal(s.c2, "there.com.");
	assert_string_equal(json_string_value(json_array_get(s.c2_addresses, 0)), "192.0.2.7");
	assert_string_equal(s.sample[0], "made0p.com.");
	for (unsigned i = 0; i < s.samples; i++)
		free(s.sample[i]);
	free(s.c2);
	json_decref(s.c2_addresses);
	diary_sum_fini(&sum);
	dga_names_destroy(names);
}

static void test_mixed(void **unused)
{
	const struct dga_params p = dga_params_of(DGA_P0);
	struct diary_sum sum = {0};
	struct suspect resolver = {.key = {FT_VANTAGE_R2A}}, stub = {.key = {FT_VANTAGE_S2R}};

	(void)unused;
	/* Twelve up, and between them forty down: with a floor, an alarm; as a share, none. */
	note(&sum, 1, 1, FT_NOTE_MADE_UP);
	note(&sum, 2, 2, FT_NOTE_MADE_UP);
	note(&sum, 3, 3, FT_NOTE_MADE_UP);
	for (unsigned i = 0; i < 2; i++)
		note(&sum, 4, 1000 + i, FT_NOTE_MISSING);
	for (unsigned i = 0; i < 12; i++)
		note(&sum, 10 + i, 10 + i, FT_NOTE_MADE_UP);
	resolver.nx = 40; /* before */
	stub.nx = 40;
	assert_true(suspect_learn(&resolver, &p, &sum, NULL, 6000));
	assert_true(suspect_learn(&stub, &p, &sum, NULL, 6000));
	assert_int_equal(resolver.alarm_s, 0);
	assert_int_not_equal(stub.alarm_s, 0);
	diary_sum_fini(&sum);
}

/* --- over a restart --- */

struct octets {
	uint8_t *v;
	size_t n, at;
};

static int put(void *ctx, const void *data, size_t len)
{
	struct octets *o = ctx;

	o->v = realloc(o->v, o->n + len + 1);
	assert_non_null(o->v);
	memcpy(o->v + o->n, data, len);
	o->n += len;
	return 0;
}

static int get(void *ctx, void *data, size_t len)
{
	struct octets *o = ctx;

	if (o->n - o->at < len)
		return -EBADMSG;
	memcpy(data, o->v + o->at, len);
	o->at += len;
	return 0;
}

/* One suspect after an alarm and what answered behind it, one before: what was saved is
 * read again, up to the last octet; a shape that has another name has no counts then. */
static void test_restart(void **unused)
{
	static const uint8_t key[2][SUSPECT_KEY_BYTES] = {{FT_VANTAGE_S2R, 1}, {FT_VANTAGE_R2A, 2}};
	const struct dga_params p = dga_params_of(DGA_P0);
	struct dga_names *names = dga_names_create(1);
	struct suspects *s = suspects_create(), *back = suspects_create();
	uint64_t family[64] = {[0] = 11, [1] = 12};
	struct octets o = {0}, again = {0};
	struct diary_sum sum = {0};
	char text[32];

	(void)unused;
	for (unsigned i = 0; i < 12; i++) {
		(void)snprintf(text, sizeof(text), "made%up.com", i);
		put_name(names, 100 + i, text, false);
		note(&sum, 10 + i, 100 + i, FT_NOTE_MADE_UP);
	}
	put_name(names, 200, "there.com", true);
	note(&sum, 40, 200, FT_NOTE_ANSWERED);
	assert_true(suspect_learn(suspects_get(s, key[0], true), &p, &sum, names, 6000));
	diary_sum_clear(&sum);
	note(&sum, 10, 101, FT_NOTE_MADE_UP);
	assert_true(suspect_learn(suspects_get(s, key[1], true), &p, &sum, names, 6000));
	suspects_get(s, key[1], true)->family[0] = 3;
	suspects_get(s, key[1], true)->family[1] = 4;
	assert_int_equal(suspects_save(s, family, put, &o), 0);
	const size_t bytes = o.n;
	for (size_t len = 0; len < bytes; len += len % 61 + 1) {
		struct suspects *part = suspects_create();
		o.n = len;
		o.at = 0;
		assert_true(suspects_load(part, family, get, &o) < 0);
		suspects_destroy(part);
	}
	o.n = bytes;
	o.at = 0;
	assert_int_equal(suspects_load(back, family, get, &o), 0);
	assert_int_equal(o.at, bytes);
	assert_int_equal(suspects_count(back), 2);
	const struct suspect *x = suspects_get(back, key[0], false);
	assert_non_null(x);
	assert_string_equal(x->c2, "there.com.");
	assert_string_equal(json_string_value(json_array_get(x->c2_addresses, 0)), "192.0.2.7");
	assert_string_equal(x->sample[0], "made0p.com.");
	assert_true(x->alarm_s == suspects_get(s, key[0], false)->alarm_s && x->alarm_s != 0);
	assert_true(x->evidence.llr == suspects_get(s, key[0], false)->evidence.llr);
	assert_int_equal(suspects_save(back, family, put, &again), 0);
	assert_int_equal(again.n, bytes);
	assert_memory_equal(again.v, o.v, bytes);
	/* Names that are known are not counted again. */
	const uint64_t nx = suspects_get(back, key[1], false)->nx;
	assert_true(suspect_learn(suspects_get(back, key[1], false), &p, &sum, names, 6060));
	assert_int_equal(suspects_get(back, key[1], false)->nx, nx);
	suspects_destroy(back);
	back = suspects_create();
	family[0] = 99;
	o.at = 0;
	assert_int_equal(suspects_load(back, family, get, &o), 0);
	assert_int_equal(suspects_get(back, key[1], false)->family[0], 0);
	assert_int_equal(suspects_get(back, key[1], false)->family[1], 4);
	suspects_destroy(back);
	suspects_destroy(s);
	diary_sum_fini(&sum);
	dga_names_destroy(names);
	free(o.v);
	free(again.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_constants),    cmocka_unit_test(test_walk),
	    cmocka_unit_test(test_forget),       cmocka_unit_test(test_mean),
	    cmocka_unit_test(test_benign_hours), cmocka_unit_test(test_looks),
	    cmocka_unit_test(test_families),     cmocka_unit_test(test_single_names),
	    cmocka_unit_test(test_interval),     cmocka_unit_test(test_mixed),
	    cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, make_looks, free_looks);
}

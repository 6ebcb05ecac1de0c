/* SPDX-License-Identifier: BSD-3-Clause */
/* Delegations and name servers that move: thresholds, what is no change, double flux,
 * and the same records however sights are split and whatever the keys. */
#include "flux_addr_rig.h"
#include "guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct flux_rig rig;

/* A sight of up to four rdata, given as one text with blanks. */
static void see(const char *owner, uint8_t type, bool parent, uint32_t view, uint32_t t_s,
		const char *rdata)
{
	static char store[1 << 18];
	static size_t used;
	struct sight s = {.owner = owner,
			  .type = type,
			  .referral = parent,
			  .aa = !parent,
			  .vantage = FT_VANTAGE_R2A,
			  .view = view,
			  .t_s = t_s,
			  .ttl = 300};

	used = used > sizeof(store) - 4096 ? 0 : used;
	char *text = strcpy(store + used, rdata);
	used += strlen(rdata) + 1;
	for (char *p = strtok(text, " "); p != NULL; p = strtok(NULL, " "))
		s.rdata[s.n++] = p;
	flux_rig_see(&rig, &s);
}

/* Sets one after another, each seen three times. */
static void see_all(const char *owner, uint8_t type, bool parent, uint32_t gap_s,
		    const char *const *set, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < 3; k++)
			see(owner, type, parent, 1, 100 + i * gap_s + k * 10, set[i]);
}

static unsigned changes_of(const char *owner, const char *type)
{
	const json_t *r = flux_rig_find(&rig, "ns", owner, type, "day");

	return r != NULL ? (unsigned)flux_rig_number(r, "n_changes") : 0;
}

static const char *class_of(const char *owner, const char *type, const char *state)
{
	const json_t *r = flux_rig_find(&rig, "ns", owner, type, state);

	return r != NULL ? flux_rig_string(r, "class") : "none";
}

static void test_thresholds(void **state)
{
	static const char *const nets[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3",
					   "192.0.2.4", "192.0.2.5", "192.0.2.6",
					   "192.0.2.7", "192.0.2.8", "192.0.2.9"};
	static const char *const ns[] = {"ns1.a.example. ns2.a.example.",
					 "ns1.b.example. ns2.b.example.",
					 "ns1.c.example. ns2.c.example."};

	(void)state;
	flux_rig_init(&rig, 60, NULL, NULL);
	see_all("h1.example.", FT_RRSET_A, true, 400, nets, 2);
	see_all("h2.example.", FT_RRSET_A, true, 400, nets, 3);
	see_all("h7.example.", FT_RRSET_A, true, 400, nets, 8);
	see_all("h8.example.", FT_RRSET_A, true, 400, nets, 9);
	see_all("d1.example.", FT_RRSET_NS, true, 400, ns, 2);
	see_all("d2.example.", FT_RRSET_NS, true, 400, ns, 3);
	see_all("child.example.", FT_RRSET_NS, false, 400, ns, 3); /* nobody delegates here */
	flux_rig_run(&rig, 1, 1);
	assert_string_equal(class_of("h1.example.", "A", "day"), "none");
	assert_string_equal(class_of("h2.example.", "A", "day"), "NS_MOVE");
	assert_string_equal(class_of("h7.example.", "A", "day"), "NS_MOVE");
	assert_string_equal(class_of("h8.example.", "A", "day"), "NS_FLUX");
	assert_string_equal(class_of("h8.example.", "A", "onset"), "NS_MOVE"); /* the first one */
	assert_int_equal(changes_of("h8.example.", "A"), 8);
	assert_string_equal(class_of("d1.example.", "NS", "day"), "none");
	assert_string_equal(class_of("d2.example.", "NS", "day"), "DELEG_FLUX");
	assert_string_equal(class_of("child.example.", "NS", "day"), "none");
	const json_t *d = flux_rig_find(&rig, "ns", "d2.example.", "NS", "day");
	assert_true(flux_rig_number(d, "ns_e2lds") == 3);
	assert_int_equal(json_array_size(json_object_get(d, "sets")), 3);
	const json_t *set = json_array_get(json_object_get(d, "sets"), 0);
	assert_true(flux_rig_number(set, "count") == 3);
	assert_string_equal(json_string_value(json_array_get(json_object_get(set, "members"), 1)),
			    "ns2.a.example.");
	flux_rig_fini(&rig);
}

/* What is left out for want of room is no change; what stays away is. */
static void test_subsets(void **state)
{
	static const char *const trimmed[] = {"ns1.x. ns2.x.", "ns1.x. ns2.x. ns3.x."};
	static const char *const grown[] = {"192.0.2.1", "192.0.2.1 192.0.2.2",
					    "192.0.2.1 192.0.2.2 192.0.2.3"};
	static const char *const shrunk[] = {"192.0.2.1 192.0.2.2 192.0.2.3", "192.0.2.1 192.0.2.2",
					     "192.0.2.1"};
	static const char *const disjoint[] = {"192.0.2.1 192.0.2.2", "192.0.2.2 192.0.2.3",
					       "192.0.2.3 192.0.2.4"};

	(void)state;
	flux_rig_init(&rig, 60, NULL, NULL);
	for (unsigned i = 0; i < 60; i++) /* two of three, now and then; never thrice in a row */
		see("trim.example.", FT_RRSET_NS, true, 1, 100 + 400 * (i % 30) + 31 * (i / 30),
		    trimmed[i % 3 != 0]);
	see_all("grow.example.", FT_RRSET_A, true, 400, grown, 3);
	see_all("shrink.example.", FT_RRSET_A, true, 400, shrunk, 3);
	see_all("part.example.", FT_RRSET_A, true, 400, disjoint, 3);
	for (unsigned i = 0; i < 3; i++) /* each once: nothing is settled */
		see("once.example.", FT_RRSET_A, true, 1, 100 + 400 * i, grown[i]);
	flux_rig_run(&rig, 1, 1);
	assert_int_equal(changes_of("grow.example.", "A"), 2);
	assert_int_equal(changes_of("shrink.example.", "A"), 2);
	assert_int_equal(changes_of("part.example.", "A"), 2);
	assert_int_equal(changes_of("once.example.", "A"), 0);
	assert_int_equal(changes_of("trim.example.", "NS"), 0);
	flux_rig_fini(&rig);
}

/* Servers of the parent that are not in step for a while make one change of it. */
static void test_propagation(void **state)
{
	(void)state;
	flux_rig_init(&rig, 60, NULL, NULL);
	for (unsigned i = 0; i < 100; i++) {
		const bool is_new = i >= 40 + 4 * (i % 5);
		see("sync.example.", FT_RRSET_NS, true, i % 5, 100 + 10 * i,
		    is_new ? "ns1.new. ns2.new." : "ns1.old. ns2.old.");
		see("back.example.", FT_RRSET_NS, true, i % 5, 100 + 10 * i,
		    i == 40 ? "ns1.new. ns2.new." : "ns1.old. ns2.old.");
	}
	flux_rig_run(&rig, 1, 1);
	assert_int_equal(changes_of("sync.example.", "NS"), 0); /* one, and no record */
	assert_int_equal(changes_of("back.example.", "NS"), 2); /* there and back */
	flux_rig_fini(&rig);
}

/* A server that goes to and fro does so, however fast, whatever the others say. */
static void test_to_and_fro(void **state)
{
	static const char *const set[] = {"192.0.2.1", "192.0.2.2"};

	(void)state;
	flux_rig_init(&rig, 60, NULL, NULL);
	for (unsigned i = 0; i < 9; i++) {
		see("one.example.", FT_RRSET_A, true, 1, 100 + i, set[i % 2]);
		see("all.example.", FT_RRSET_A, true, 1, 100 + 60 * i, set[i % 2]);
		see("all.example.", FT_RRSET_A, true, 2, 100 + 60 * i, set[i % 2]);
		see("all.example.", FT_RRSET_A, true, 3, 110 + 60 * i, set[i % 2]);
		see("each.example.", FT_RRSET_A, true, 1 + i % 2, 100 + 60 * i, set[i % 2]);
	}
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		flux_rig_forget(&rig);
		flux_rig_run(&rig, workers, workers);
		assert_int_equal(changes_of("one.example.", "A"), 8);
		assert_int_equal(changes_of("all.example.", "A"), 8);
		assert_int_equal(changes_of("each.example.", "A"), 0);
	}
	flux_rig_fini(&rig);
}

/* Answers: each view by itself, and only names that are known as name servers. */
static void test_views(void **state)
{
	(void)state;
	flux_rig_init(&rig, 60, NULL, NULL);
	see("zone.example.", FT_RRSET_NS, true, 1, 50, "geo.example. moves.example.");
	for (unsigned i = 0; i < 40; i++) {
		char text[32];
		(void)sprintf(text, "192.0.2.%u", i % 4);
		see("geo.example.", FT_RRSET_A, false, i % 4, 100 + 60 * i, text);
		(void)sprintf(text, "192.0.2.%u", i / 4);
		see("moves.example.", FT_RRSET_A, false, i % 4, 100 + 60 * i, text);
		see("www.example.", FT_RRSET_A, false, i % 4, 100 + 60 * i, text);
	}
	flux_rig_run(&rig, 1, 1);
	assert_int_equal(changes_of("geo.example.", "A"), 0);
	assert_int_equal(changes_of("moves.example.", "A"), 9);
	assert_string_equal(class_of("moves.example.", "A", "day"), "NS_FLUX");
	assert_int_equal(changes_of("www.example.", "A"), 0);
	const json_t *r = flux_rig_find(&rig, "ns", "moves.example.", "A", "day");
	assert_string_equal(flux_rig_string(r, "side"), "CHILD");
	assert_true(flux_rig_number(r, "views") == 4);
	flux_rig_fini(&rig);
}

/* A name in flux below a zone on fluxing servers, and one on quiet servers. */
static void plant_double(void)
{
	static char text[2][2][128];

	see("bad.example.", FT_RRSET_NS, true, 1, 50, "ns.bad.example.");
	see("good.example.", FT_RRSET_NS, true, 1, 50, "ns.good.example.");
	for (unsigned i = 0; i < 9; i++) {
		char moving[32];
		(void)sprintf(moving, "198.51.100.%u", i);
		see("ns.bad.example.", FT_RRSET_A, true, 1, 50 + 400 * i, moving);
		see("ns.good.example.", FT_RRSET_A, true, 1, 50 + 400 * i, "198.51.100.1");
	}
	for (unsigned k = 0; k < 2; k++) {
		char *p = text[0][k];
		for (unsigned i = 0; i < 6; i++)
			p += sprintf(p, "%u.%u.0.1 ", 64 + k * 6 + i, i);
		see("www.bad.example.", FT_RRSET_A, false, 1, 4000 + 400 * k, text[0][k]);
		see("www.good.example.", FT_RRSET_A, false, 1, 4000 + 400 * k, text[0][k]);
	}
}

static const char asn[] = "64.0.0.0/8 1\n65.0.0.0/8 2\n66.0.0.0/8 3\n67.0.0.0/8 4\n68.0.0.0/8 5\n"
			  "69.0.0.0/8 6\n70.0.0.0/8 7\n71.0.0.0/8 8\n72.0.0.0/8 9\n73.0.0.0/8 10\n"
			  "74.0.0.0/8 11\n75.0.0.0/8 12\n";

static bool is_double(const char *kind, const char *owner, const char *type)
{
	const json_t *r = flux_rig_find(&rig, kind, owner, type, "day");

	assert_non_null(r);
	return json_is_true(json_object_get(r, "double_flux"));
}

static void test_double_flux(void **state)
{
	(void)state;
	flux_rig_init(&rig, 60, asn, NULL);
	plant_double();
	flux_rig_run(&rig, 1, 1);
	assert_true(is_double("ip", "www.bad.example.", "A"));
	assert_false(is_double("ip", "www.good.example.", "A"));
	assert_true(is_double("ns", "ns.bad.example.", "A"));
	flux_rig_fini(&rig);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *all_records(void)
{
	char **line = flux_rig_need(calloc(rig.n + 1, sizeof(*line)));
	size_t bytes = 1;

	for (size_t i = 0; i < rig.n; i++) {
		line[i] = flux_rig_need(json_dumps(rig.record[i], 0));
		bytes += strlen(line[i]) + 1;
	}
	qsort(line, rig.n, sizeof(*line), compare_texts);
	char *all = flux_rig_need(calloc(1, bytes)), *p = all;
	for (size_t i = 0; i < rig.n; i++) {
		p += sprintf(p, "%s\n", line[i]);
		free(line[i]);
	}
	free(line);
	return all;
}

static void swap(struct flux_rig *r, uint64_t row)
{
	uint8_t *data;
	size_t n;

	if (row % 5 != 0)
		return;
	assert_int_equal(flux_ns_save(r->ns, &data, &n), 0);
	stat_flux_ns.destroy(r->ns);
	r->ns = flux_rig_need(stat_flux_ns.create(&r->run));
	assert_int_equal(flux_ns_load(r->ns, data, n), 0);
	free(data);
}

/* Random sets of four servers for hosts and zones, two of them in a second now and then;
 * the reference for the class is a plain walk over disjoint sets. */
static void test_random(void **state)
{
	static const char *const host[] = {"a.host.", "b.host.", "c.host.", "d.host."};
	char *first = NULL;

	(void)state;
	flux_rig_init(&rig, 60, asn, NULL);
	plant_double();
	see("all.example.", FT_RRSET_NS, false, 7, 10, "a.host. b.host. c.host. d.host.");
	unsigned expected[4][3] = {{0}};
	int last[4][3];
	memset(last, 0xff, sizeof(last));
	rig.random = 5;
	for (unsigned i = 0; i < 600; i++) {
		const unsigned h = (unsigned)(flux_rig_random(&rig) % 4);
		const unsigned view = (unsigned)(flux_rig_random(&rig) % 3);
		const int set = (int)(flux_rig_random(&rig) % (3 + 4 * h));
		char text[64];
		(void)sprintf(text, "192.0.2.%d 192.0.2.%d", 2 * set, 2 * set + 1);
		see(host[h], FT_RRSET_A, false, view, 100 + 40 * i, text);
		expected[h][view] += last[h][view] != -1 && last[h][view] != set;
		last[h][view] = set;
	}
	for (unsigned again = 0; again < 5; again++) {
		flux_rig_forget(&rig);
		rig.seed = FLUX_RIG_SEED + again;
		rig.between = again == 4 ? swap : NULL;
		flux_rig_run(&rig, again == 0 ? 1 : 4, again);
		for (unsigned h = 0; h < 4; h++) {
			unsigned most = 0;
			for (unsigned v = 0; v < 3; v++)
				most = expected[h][v] > most ? expected[h][v] : most;
			assert_int_equal(changes_of(host[h], "A"), most);
			assert_string_equal(class_of(host[h], "A", "day"), "NS_FLUX");
		}
		char *text = all_records();
		if (first != NULL)
			assert_string_equal(text, first);
		else
			first = strdup(text);
		free(text);
	}
	free(first);
	flux_rig_fini(&rig);
}

static uint8_t *saved;
static size_t saved_bytes;

static void take(struct flux_rig *r, uint64_t row)
{
	(void)row;
	free(saved);
	assert_int_equal(flux_ns_save(r->ns, &saved, &saved_bytes), 0);
}

static void test_damaged_snapshot(void **state)
{
	struct flux_rig r;

	(void)state;
	flux_rig_init(&rig, 60, asn, NULL);
	plant_double();
	rig.between = take;
	flux_rig_run(&rig, 1, 1);
	flux_rig_init(&r, 60, NULL, NULL);
	assert_true(saved_bytes > 200);
	for (size_t n = 0; n <= saved_bytes; n++) {
		uint8_t *copy = guard_copy(saved, n);
		void *ns = flux_rig_need(stat_flux_ns.create(&r.run));
		assert_int_equal(flux_ns_load(ns, copy, n), n == saved_bytes ? 0 : -EBADMSG);
		stat_flux_ns.destroy(ns);
		guard_free(copy, n);
	}
	for (size_t n = 0; n < 20000; n++) {
		uint8_t *copy = flux_rig_need(malloc(saved_bytes));
		memcpy(copy, saved, saved_bytes);
		copy[flux_rig_random(&rig) % saved_bytes] = (uint8_t)flux_rig_random(&rig);
		void *ns = flux_rig_need(stat_flux_ns.create(&r.run));
		const int result = flux_ns_load(ns, copy, saved_bytes);
		assert_true(result == 0 || result == -EBADMSG);
		flux_ns_finish_day(ns);
		stat_flux_ns.destroy(ns);
		free(copy);
	}
	flux_rig_fini(&r);
	flux_rig_fini(&rig);
	free(saved);
}

static void shrink(struct flux_rig *r, uint64_t row)
{
	(void)row;
	flux_ns_set_budget(r->ns, 100, 1 << 20);
}

static void test_budget(void **state)
{
	static char owner[500][24];
	uint64_t left_out = 0;
	unsigned days = 0;

	(void)state;
	flux_rig_init(&rig, 60, NULL, NULL);
	see("first.example.", FT_RRSET_A, true, 1, 1, "192.0.2.1");
	for (unsigned o = 0; o < 500; o++) {
		(void)sprintf(owner[o], "n%u.example.", o);
		for (unsigned k = 0; k < 3; k++) {
			char text[32];
			(void)sprintf(text, "192.0.2.%u", k);
			see(owner[o], FT_RRSET_A, true, 1, 100 + 400 * k, text);
		}
	}
	rig.between = shrink;
	flux_rig_run(&rig, 1, 1);
	for (size_t i = 0; i < rig.n; i++) {
		const json_t *r = rig.record[i];
		if (strcmp(flux_rig_string(r, "kind"), "ALL") == 0)
			left_out = (uint64_t)flux_rig_number(r, "left_out");
		else if (strcmp(flux_rig_string(r, "state"), "day") == 0) {
			days++;
			assert_true(flux_rig_number(r, "n_changes") == 2);
		}
	}
	assert_true(days > 20 && days <= 100);
	assert_true(left_out >= 400);
	flux_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_thresholds),
	    cmocka_unit_test(test_subsets),
	    cmocka_unit_test(test_propagation),
	    cmocka_unit_test(test_to_and_fro),
	    cmocka_unit_test(test_views),
	    cmocka_unit_test(test_double_flux),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_damaged_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

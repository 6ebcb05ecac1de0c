/* SPDX-License-Identifier: BSD-3-Clause */
/* The live view's store: records in, sums, the last interval and the history out, in bounded
 * memory, with several threads at both ends. Expectations are written by hand or counted by
 * plain loops. */
#include "view/feed.h"
#include "view/heavy.h"
#include "view/text.h"
#include "view/view.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void put(struct view *v, const char *set, const char *text)
{
	json_error_t e;
	json_t *o = json_loads(text, 0, &e);

	if (o == NULL)
		fail_msg("%s at %d: %s", e.text, e.position, text);
	view_put(v, set, o);
	json_decref(o);
}

static struct view_data *copy(struct view *v)
{
	struct view_data *d = malloc(sizeof(*d));

	assert_non_null(d);
	view_copy(v, d);
	return d;
}

#define TRAFFIC(vantage, queries, a, aaaa, data, nx)                                               \
	"{\"vantage\":\"" vantage "\",\"queries\":" #queries ",\"responses\":7,\"pairs\":7,"       \
	"\"unanswered\":1,\"unsolicited\":0,\"malformed\":2,\"query_bytes\":100,"                  \
	"\"response_bytes\":200,\"by_qtype\":{\"A\":" #a ",\"AAAA\":" #aaaa ",\"TYPE4711\":1,"     \
	"\"TYPE9\":2},\"by_class\":{\"DATA\":" #data ",\"NXDOMAIN\":" #nx "},"                     \
	"\"clients\":5,\"names\":6,\"rtt_us\":{\"bins\":[[100,3],[200,4],[9999,1],[-1,2]]}}"
#define LEDGER(rx, carried, held, dropped)                                                         \
	"{\"worker\":\"all\",\"rx_packets\":" #rx ",\"carried\":" #carried                         \
	",\"held_packets\":" #held ",\"messages\":10,\"counted\":10,\"held\":0,\"records\":4,"     \
	"\"merged\":3,\"ring_full_records\":1,\"source_dropped\":9,\"loss_ppm\":12,"               \
	"\"dropped\":{\"not_dns\":" #dropped "},\"msg_dropped\":{}}"

static void test_sums_and_interval(void **state)
{
	struct view *v = view_create();

	(void)state;
	assert_non_null(v);
	put(v, "traffic", TRAFFIC("S2R", 8, 4, 2, 5, 3));
	put(v, "traffic", TRAFFIC("AUTH", 10, 9, 1, 10, 0));
	put(v, "ledger", LEDGER(20, 18, 1, 1));
	put(v, "ledger", "{\"worker\":0,\"rx_packets\":999}");
	put(v, "ledger", "{\"worker\":\"all\",\"gap\":true,\"rx_packets\":999}");
	struct view_data *d = copy(v);
	assert_int_equal(d->intervals, 0); /* nothing is shown before it is whole */
	assert_int_equal(d->total[FT_VANTAGE_S2R].count[VIEW_QUERIES], 0);
	assert_int_equal(d->points, 0);
	free(d);
	view_close(v, 100, 160, 5);
	put(v, "traffic", TRAFFIC("S2R", 1, 1, 0, 1, 0));
	put(v, "ledger", LEDGER(10, 11, 0, 0)); /* one was held before */
	view_close(v, 160, 220, 0);
	d = copy(v);
	const struct view_traffic *s2r = &d->total[FT_VANTAGE_S2R];
	assert_int_equal(d->intervals, 2);
	assert_int_equal(d->broken_intervals, 0);
	assert_int_equal(s2r->count[VIEW_QUERIES], 9);
	assert_int_equal(s2r->count[VIEW_MALFORMED], 4);
	assert_int_equal(view_mix_get(&s2r->mix[VIEW_BY_QTYPE], "A"), 5);
	assert_int_equal(view_mix_get(&s2r->mix[VIEW_BY_QTYPE], "AAAA"), 2);
	assert_int_equal(view_mix_get(&s2r->mix[VIEW_BY_QTYPE], "other"),
			 6); /* made up by anybody */
	assert_int_equal(view_mix_get(&s2r->mix[VIEW_BY_QTYPE], "TYPE4711"), 0);
	assert_int_equal(s2r->rtt[100], 6);
	assert_int_equal(s2r->rtt[200], 8);
	assert_int_equal(d->total[FT_VANTAGE_AUTH].count[VIEW_QUERIES], 10);
	assert_false(d->last[FT_VANTAGE_AUTH].seen);
	assert_false(d->total[FT_VANTAGE_X].seen);
	assert_int_equal(d->last[FT_VANTAGE_S2R].count[VIEW_QUERIES], 1);
	assert_int_equal(d->last[FT_VANTAGE_S2R].clients, 5);
	assert_int_equal(d->points, 2);
	const struct view_point *p = view_point_get(d, 0);
	assert_int_equal(p->start_s, 100);
	assert_int_equal(p->end_s, 160);
	assert_int_equal(p->queries, 18);
	assert_int_equal(p->a, 13);
	assert_int_equal(p->aaaa, 3);
	assert_int_equal(p->class[FT_CLASS_DATA], 15);
	assert_int_equal(p->class[FT_CLASS_NXDOMAIN], 3);
	assert_int_equal(p->packets, 20);
	assert_int_equal(p->dropped, 1);
	assert_int_equal(p->source_dropped, 9);
	assert_int_equal(p->ring_full, 1);
	assert_int_equal(p->export_lost, 5);
	assert_true(p->rtt_us[0] > 0 && p->rtt_us[0] <= p->rtt_us[2]);
	free(d);
	view_destroy(v);
}

/* The books are checked again, from what is exported. */
static void test_broken_books(void **state)
{
	struct view *v = view_create();

	(void)state;
	put(v, "ledger", LEDGER(20, 18, 1, 1));
	view_close(v, 0, 60, 0);
	put(v, "ledger", LEDGER(10, 10, 0, 0)); /* the one that was held is gone */
	view_close(v, 60, 120, 0);
	struct view_data *d = copy(v);
	assert_int_equal(d->broken_intervals, 1);
	assert_false(d->ledger.closes);
	assert_true(isnan(view_point_get(d, 1)->rtt_us[0]));
	free(d);
	view_destroy(v);
}

static void test_history_is_a_ring(void **state)
{
	struct view *v = view_create();

	(void)state;
	for (uint64_t i = 0; i < VIEW_POINTS + 7; i++) {
		put(v, "ledger", LEDGER(1, 1, 0, 0));
		view_close(v, i, i + 1, 0);
	}
	struct view_data *d = copy(v);
	assert_int_equal(d->points, VIEW_POINTS);
	for (uint32_t i = 0; i < VIEW_POINTS; i++)
		assert_int_equal(view_point_get(d, i)->start_s, i + 7);
	free(d);
	view_destroy(v);
}

static void test_flux_and_events(void **state)
{
	struct view *v = view_create();
	char text[512];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		(void)snprintf(text, sizeof(text),
			       "{\"vantage\":\"R2A\",\"kind\":\"cname\",\"owner\":\"n%u.example.\","
			       "\"class\":\"FLUX\",\"state\":\"onset\",\"at_us\":%u000000,"
			       "\"trans\":%u,\"vtrans\":8,\"start\":86400,\"end\":86460}",
			       i, 86400 + i, 10 + i);
		put(v, "flux", text);
	}
	put(v, "flux",
	    "{\"kind\":\"ip\",\"owner\":\"x.\",\"vantage\":\"X\",\"class\":null,\"state\":"
	    "\"onset\","
	    "\"n_a\":20,\"f_holz\":300.5,\"start\":86400,\"end\":86460}");
	put(v, "flux", "{\"kind\":\"cname\",\"owner\":\"ALL\",\"owners\":3,\"vantage\":\"ALL\"}");
	put(v, "flux", "{\"kind\":\"ALL\",\"of\":\"ip\",\"owners\":3}");
	put(v, "flux", /* the day's record takes the onset's place */
	    "{\"kind\":\"cname\",\"owner\":\"n49.example.\",\"vantage\":\"R2A\",\"class\":\"GEO\","
	    "\"trans\":99,\"vtrans\":9,\"start\":86400,\"end\":172800}");
	struct view_data *d = copy(v);
	const struct view_list *l = &d->list[VIEW_FLUX];
	assert_int_equal(l->n, VIEW_ROWS);
	assert_string_equal(l->row[0].name, "n49.example.");
	assert_string_equal(l->row[0].state, "day");
	assert_int_equal(l->row[0].count, 99);
	assert_string_equal(l->row[1].name, "x.");
	assert_true(fabs(l->row[1].value[0] - 300.5) < 1e-9);
	assert_string_equal(l->row[2].name, "n48.example.");
	assert_int_equal(l->row[2].at_s, 86448);
	assert_int_equal(d->event[VIEW_ONSET_CNAME], 50);
	assert_int_equal(d->event[VIEW_ONSET_IP], 1);
	assert_int_equal(d->flux_owners[0], 50);
	free(d);
	put(v, "flux", /* another day */
	    "{\"kind\":\"cname\",\"owner\":\"n.\",\"vantage\":\"R2A\",\"class\":\"FLUX\","
	    "\"state\":\"onset\",\"trans\":9,\"start\":172860,\"end\":172920}");
	put(v, "nxdomain",
	    "{\"state\":\"spike\",\"nx_cut\":\"gone.example.\",\"count\":500,\"expected\":3.5}");
	put(v, "nxdomain", "{\"state\":\"drift\",\"nx_cut\":\"gone.example.\",\"count\":50}");
	put(v, "match",
	    "{\"state\":\"spike\",\"kind\":\"dnsbl\",\"zone\":\"bl.\",\"subject\":null,\"queries\":"
	    "9}");
	put(v, "match",
	    "{\"state\":\"onset\",\"kind\":\"flood\",\"domain\":\"v.\",\"queries\":900}");
	put(v, "integrity", "{\"state\":\"SUSPECT\",\"auth\":\"UNAUTHORISED\"}");
	put(v, "integrity", "{\"state\":\"CHANGED\",\"auth\":\"UNAUTHORISED\"}");
	put(v, "integrity", "{\"state\":\"CHANGED\",\"auth\":\"AUTHORISED\"}");
	put(v, "integrity", "{\"kind\":\"coverage\"}");
	put(v, "match", "{\"state\":\"end\",\"kind\":\"flood\",\"domain\":\"v.\",\"queries\":9}");
	d = copy(v);
	assert_int_equal(d->flux_owners[0], 1);
	assert_int_equal(d->event[VIEW_ONSET_CNAME], 51);
	assert_int_equal(d->event[VIEW_SPIKE_NXDOMAIN], 1);
	assert_int_equal(d->event[VIEW_DRIFT_NXDOMAIN], 1);
	assert_int_equal(d->event[VIEW_SPIKE_DNSBL], 1);
	assert_int_equal(d->event[VIEW_FLOOD], 1);
	assert_int_equal(d->event[VIEW_HIJACK], 1);
	assert_int_equal(d->list[VIEW_SPIKE].n, 3);
	assert_string_equal(d->list[VIEW_SPIKE].row[0].name, "v.");
	assert_string_equal(d->list[VIEW_SPIKE].row[0].state, "end");
	assert_string_equal(d->list[VIEW_SPIKE].row[1].name, "bl.");
	free(d);
	view_destroy(v);
}

static void test_sinkhole_groups(void **state)
{
	struct view *v = view_create();
	char text[256];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = round; i < VIEW_GROUPS + 10; i++) {
			(void)snprintf(text, sizeof(text),
				       "{\"vantage\":\"AUTH\",\"group\":\"g%u\",\"name\":\"ALL\","
				       "\"queries\":%u,\"qps\":0.5,\"ratio\":null}",
				       i, 100 + i);
			put(v, "sinkhole", text);
		}
		view_close(v, round, round + 1, 0);
	}
	struct view_data *d = copy(v);
	assert_int_equal(d->groups, VIEW_GROUPS);
	assert_string_equal(d->group[0].name, "g0");
	assert_int_equal(d->group[0].queries, 100); /* not asked for in the second: the sum stays */
	assert_true(fabs(d->group[0].qps) < 1e-12);
	assert_int_equal(d->group[1].queries, 202);
	assert_true(fabs(d->group[1].qps - 0.5) < 1e-12);
	const struct view_list *l = &d->list[VIEW_SINKHOLE];
	assert_int_equal(l->n, VIEW_ROWS);
	for (uint32_t i = 0; i < l->n; i++)
		assert_int_equal(l->row[i].count, 100 + VIEW_GROUPS + 9 - i);
	assert_true(isnan(l->row[0].value[3]));
	free(d);
	view_destroy(v);
}

static void test_nonsense(void **state)
{
	static const char *const sets[] = {"ledger", "traffic",  "flux",   "sinkhole", "nxdomain",
					   "match",  "dnserror", "domain", "client",   "new"};
	static const char *const texts[] = {
	    "{}",
	    "{\"vantage\":7,\"kind\":[],\"owner\":{},\"queries\":\"x\",\"by_class\":3}",
	    "{\"worker\":\"all\",\"dropped\":[1],\"rx_packets\":-5,\"rtt_us\":{\"bins\":[1,[2]]}}",
	    "{\"kind\":\"flood\",\"state\":null,\"domain\":null}",
	    "{\"kind\":\"dnsbl\",\"state\":\"spike\"}",
	    "{\"kind\":\"cname\"}",
	    "{\"vantage\":\"X\",\"qname\":null,\"nx_cut\":null}",
	};
	struct view *v = view_create();

	(void)state;
	for (unsigned s = 0; s < sizeof(sets) / sizeof(*sets); s++)
		for (unsigned t = 0; t < sizeof(texts) / sizeof(*texts); t++)
			put(v, sets[s], texts[t]);
	view_close(v, 0, 1, 0);
	struct view_data *d = copy(v);
	assert_int_equal(d->records, 70);
	free(d);
	view_put(NULL, "ledger", NULL); /* nobody looks */
	view_close(NULL, 0, 1, 0);
	view_destroy(NULL);
	view_destroy(v);
}

static void test_mix_is_bounded(void **state)
{
	struct view_mix m = {0};
	char key[32];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "K%u", i);
		view_mix_add(&m, key, 1);
	}
	view_mix_add(&m, "a-key-that-is-far-too-long", 3);
	view_mix_add(&m, "TYPE", 4); /* no number: somebody's mnemonic */
	assert_int_equal(m.n, VIEW_MIX_CAP);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < m.n; i++)
		sum += m.v[i].count;
	assert_int_equal(sum, 1007);
	assert_int_equal(view_mix_get(&m, "K0"), 1);
	assert_int_equal(view_mix_get(&m, "other"), 1007 - (VIEW_MIX_CAP - 1));
}

static void test_text_is_cut_between_characters(void **state)
{
	char out[8];

	(void)state;
	text_put(out, sizeof(out), "1234567");
	assert_string_equal(out, "1234567");
	text_put(out, sizeof(out), "12345678");
	assert_string_equal(out, "1234...");
	text_put(out, sizeof(out),
		 "123\xc3\xa9"
		 "456");
	assert_string_equal(out, "123...");
	text_put(out, sizeof(out), NULL);
	assert_string_equal(out, "");
}

/* Against plain counting: exact while there is room; beyond that never too high, and too low
 * by at most what it admits. */
static void check_heavy(unsigned names, unsigned adds, bool exact)
{
	struct heavy *h = heavy_create();
	uint64_t *truth = calloc(names, sizeof(*truth));
	const struct heavy_entry *top[50];
	uint64_t x = 88172645463325252ull;
	char name[32];

	assert_non_null(h);
	assert_non_null(truth);
	for (unsigned i = 0; i < adds; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		const unsigned small = (unsigned)(x >> 32) % 64, any = (unsigned)(x >> 11) % names;
		const unsigned n = x % 4 == 0 ? small % names : any;
		(void)snprintf(name, sizeof(name), "n%u.example.", n);
		heavy_add(h, (uint8_t)(n % 3), name, 1 + x % 5);
		truth[n] += 1 + x % 5;
	}
	const size_t n = heavy_top(h, top, 50);
	assert_int_equal(n, 50);
	assert_int_equal(heavy_error(h) == 0, exact);
	for (size_t i = 0; i < n; i++) {
		const unsigned long at = strtoul(top[i]->name + 1, NULL, 10);
		assert_int_equal(top[i]->which, at % 3);
		assert_true(top[i]->count <= truth[at]);
		assert_true(top[i]->count + heavy_error(h) >= truth[at]);
		assert_true(i == 0 || top[i - 1]->count >= top[i]->count);
		truth[at] = 0; /* none twice */
	}
	for (unsigned i = 0; i < names; i++) /* whoever is missing is smaller */
		assert_true(truth[i] <= top[n - 1]->count + heavy_error(h));
	heavy_clear(h);
	assert_int_equal(heavy_top(h, top, 50), 0);
	assert_int_equal(heavy_error(h), 0);
	free(truth);
	heavy_destroy(h);
}

static void test_heavy(void **state)
{
	(void)state;
	check_heavy(5000, 100000, true);
	check_heavy(100000, 300000, false);
}

static void test_nxdomain(void **state)
{
	struct view *v = view_create();

	(void)state;
	put(v, "nxdomain",
	    "{\"vantage\":\"AUTH\",\"qname\":\"a.b.\",\"nx_cut\":\"b.\",\"count\":3}");
	put(v, "nxdomain",
	    "{\"vantage\":\"AUTH\",\"qname\":\"c.b.\",\"nx_cut\":\"b.\",\"count\":4}");
	put(v, "nxdomain",
	    "{\"vantage\":\"R2A\",\"qname\":\"c.b.\",\"nx_cut\":\"b.\",\"count\":5}");
	put(v, "nxdomain", "{\"vantage\":\"AUTH\",\"qname\":\"q.\",\"nx_cut\":null,\"count\":6}");
	put(v, "nxdomain", "{\"vantage\":\"AUTH\",\"kind\":\"ALL\",\"count\":600}");
	view_close(v, 0, 60, 0);
	struct view_data *d = copy(v);
	const struct view_list *l = &d->list[VIEW_NXDOMAIN];
	assert_int_equal(l->n, 3);
	assert_string_equal(l->row[0].name, "b.");
	assert_string_equal(l->row[0].vantage, "AUTH");
	assert_int_equal(l->row[0].count, 7);
	assert_true(fabs(l->row[0].value[0] - 2) < 1e-9);
	assert_string_equal(l->row[1].name, "q.");
	assert_string_equal(l->row[2].vantage, "R2A");
	free(d);
	view_close(v, 60, 120, 0);
	d = copy(v);
	assert_int_equal(d->list[VIEW_NXDOMAIN].n, 0);
	free(d);
	view_destroy(v);
}

/* Threads: whatever a reader gets, an interval is in it whole or not at all. */
static struct view *shared;
static atomic_bool stop;

static void *write_some(void *arg)
{
	json_t *t = json_loads(TRAFFIC("S2R", 8, 4, 4, 5, 3), 0, NULL);
	json_t *f = json_loads("{\"kind\":\"cname\",\"owner\":\"o.\",\"vantage\":\"X\"}", 0, NULL);

	for (unsigned i = 0; i < 3000; i++) {
		view_put(shared, "traffic", t);
		view_put(shared, "flux", f);
		if (arg != NULL)
			view_close(shared, i, i + 1, 0);
	}
	json_decref(t);
	json_decref(f);
	return NULL;
}

static void *read_some(void *arg)
{
	struct view_data *d = malloc(sizeof(*d));
	uint64_t bad = 0, before = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		view_copy(shared, d);
		const struct view_traffic *t = &d->total[FT_VANTAGE_S2R];
		const struct view_mix *c = &t->mix[VIEW_BY_CLASS];
		bad +=
		    view_mix_get(c, "DATA") + view_mix_get(c, "NXDOMAIN") != t->count[VIEW_QUERIES];
		bad += t->count[VIEW_QUERIES] < before; /* a counter never goes back */
		before = t->count[VIEW_QUERIES];
	}
	free(d);
	return (void *)(uintptr_t)bad;
}

static void test_threads(void **state)
{
	pthread_t t[4];
	void *bad;

	(void)state;
	shared = view_create();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, read_some, NULL), 0);
	assert_int_equal(pthread_create(&t[2], NULL, write_some, NULL), 0);
	assert_int_equal(pthread_create(&t[3], NULL, write_some, &stop), 0);
	assert_int_equal(pthread_join(t[2], NULL), 0);
	assert_int_equal(pthread_join(t[3], NULL), 0);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_ptr_equal(bad, NULL);
	}
	view_close(shared, 0, 1, 0);
	struct view_data *d = copy(shared);
	assert_int_equal(d->total[FT_VANTAGE_S2R].count[VIEW_QUERIES], 2 * 3000 * 8);
	assert_int_equal(d->records, 12000);
	free(d);
	view_destroy(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums_and_interval),
	    cmocka_unit_test(test_broken_books),
	    cmocka_unit_test(test_history_is_a_ring),
	    cmocka_unit_test(test_flux_and_events),
	    cmocka_unit_test(test_sinkhole_groups),
	    cmocka_unit_test(test_nonsense),
	    cmocka_unit_test(test_mix_is_bounded),
	    cmocka_unit_test(test_text_is_cut_between_characters),
	    cmocka_unit_test(test_heavy),
	    cmocka_unit_test(test_nxdomain),
	    cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

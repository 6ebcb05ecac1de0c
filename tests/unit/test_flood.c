/* SPDX-License-Identifier: BSD-3-Clause */
/* Random-subdomain attacks from transactions to records: found when they begin and when
 * they end, estimated within the error they state, the same with any number of workers;
 * what is merely large or failing is none. And the guard, window by window. */
#include "rig.h"

#include "flood.h"
#include "flood_guard.h"
#include "name.h"
#include "seal.h"

#include <fluxtap/rec_flood.h>

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <zstd.h>

#include <cmocka.h>

#include "guard.h"

#define SECOND 1000000ull
#define INTERVAL_S 60u
#define BEGIN_S 1767225600ull
#define RING_BYTES ((size_t)32 << 20)
#define INTERVALS 7u

struct fact {
	uint64_t t_us;
	uint32_t domain, name, client;
	uint8_t class;
};

static uint64_t seed_of_test = 7;
static uint32_t draw(uint32_t below)
{
	seed_of_test = seed_of_test * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed_of_test >> 33) % below;
}

struct facts {
	struct fact *v;
	size_t n, cap;
};

/* n queries of a domain in [from, to) seconds of an interval. names 0: each its own. */
static void add(struct facts *f, uint32_t domain, unsigned interval, unsigned from, unsigned to,
		unsigned n, unsigned names, unsigned clients, uint8_t class)
{
	for (unsigned i = 0; i < n; i++) {
		if (f->n == f->cap) {
			f->cap = f->cap == 0 ? 4096 : 2 * f->cap;
			f->v = realloc(f->v, f->cap * sizeof(*f->v));
			assert_non_null(f->v);
		}
		const uint64_t begin = (BEGIN_S + interval * INTERVAL_S + from) * SECOND;
		f->v[f->n++] = (struct fact){
		    .t_us = begin + draw((to - from) * 1000) * 1000ull,
		    .domain = domain,
		    .name = names != 0 ? draw(names) : 1000000 * interval + i,
		    /* half of all by client 0, a quarter by 1, the rest by many */
		    .client = draw(2)   ? 0
			      : draw(2) ? 1
					: 2 + draw(clients),
		    .class = class,
		};
	}
}

static int order_facts(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;

	if (x->t_us != y->t_us)
		return x->t_us < y->t_us ? -1 : 1;
	return (x->name > y->name) - (x->name < y->name);
}

enum { VICTIM = 1, STEADY, LARGE, GROWING, CALM_FROM = 10 };

/* Intervals 3 and 4: the attack, in 4 from second 0 to 20 only. */
static struct facts make_facts(void)
{
	struct facts f = {0};

	for (unsigned i = 0; i < INTERVALS; i++) {
		add(&f, VICTIM, i, 0, 60, 300, 40, 50, FT_CLASS_DATA);
		add(&f, STEADY, i, 0, 60, 4000, 0, 500, FT_CLASS_DATA); /* every name is new */
		add(&f, LARGE, i, 0, 60, 5000, 30, 500, FT_CLASS_NXDOMAIN);
		add(&f, GROWING, i, 0, 60, 1500u << (i < 3 ? i : 3), 0, 500, FT_CLASS_NXDOMAIN);
		for (uint32_t d = CALM_FROM; d < CALM_FROM + 300; d++)
			add(&f, d, i, 0, 60, 5, 20, 500, FT_CLASS_DATA);
	}
	add(&f, VICTIM, 3, 30, 60, 9000, 0, 200, FT_CLASS_NXDOMAIN);
	add(&f, VICTIM, 4, 0, 20, 6000, 0, 200, FT_CLASS_NXDOMAIN);
	qsort(f.v, f.n, sizeof(*f.v), order_facts);
	return f;
}

struct part {
	struct evclock clock;
	struct seal *seal;
	struct tally *tally;
	struct flood *flood;
};
static const _Atomic int never;

static uint32_t name_of(const struct fact *f, uint8_t *out, uint8_t *off)
{
	char label[16], domain[16];
	const int a = snprintf(label, sizeof(label), "n%u", f->name);
	const int b = snprintf(domain, sizeof(domain), "d%u", f->domain);

	*out++ = (uint8_t)a;
	memcpy(out, label, (size_t)a);
	out += a;
	*off = (uint8_t)(1 + a);
	*out++ = (uint8_t)b;
	memcpy(out, domain, (size_t)b);
	memcpy(out + b, "\4test", 6);
	return (uint32_t)(1 + a + 1 + b + 6);
}

static void give(struct part *p, const struct fact *f)
{
	const struct addr client = {
	    {[10] = 0xff, 0xff, 10, 0, (uint8_t)(f->client >> 8), (uint8_t)f->client}};
	uint8_t name[64];
	struct verdict v = {0};
	struct txn x = {
	    .q = {.t_us = f->t_us, .ts_us = f->t_us, .vantage = FT_VANTAGE_AUTH},
	    .has_query = true,
	    .has_response = true,
	    .class = f->class,
	    .vantage = FT_VANTAGE_AUTH,
	    .name = name,
	    .client = &client,
	    .verdict = &v,
	};

	x.name_len = (uint8_t)name_of(f, name, &v.domain_off);
	v.name_sketch = name_hash(name, x.name_len, 1);
	v.domain_key = name_hash(name + v.domain_off, x.name_len - v.domain_off, 99);
	(void)tally_ledger(p->tally, f->t_us);
	flood_step(p->flood, &x, 1);
}

static void work(struct rig *r, const struct facts *f, unsigned workers, size_t entries)
{
	struct part part[RIG_WORKERS] = {0};
	const struct flood_settings set = {.domains = entries, .clients = entries};

	rig_init(r, workers, INTERVAL_S, RING_BYTES, false);
	for (unsigned i = 0; i < workers; i++) {
		part[i].clock.interval_us = INTERVAL_S * SECOND;
		part[i].seal = seal_create(segment_ring(&r->segment, i), i, false, &never);
		part[i].tally = tally_create(&part[i].clock, part[i].seal);
		part[i].flood = flood_create(part[i].tally, &set);
		assert_non_null(part[i].flood);
	}
	for (size_t i = 0; i < f->n; i++) {
		/* by client and name, as flows are */
		struct part *p = &part[hash_mix(f->v[i].client * 31 + f->v[i].name) % workers];
		p->clock.now_us = f->v[i].t_us;
		(void)tally_close(p->tally, false);
		give(p, &f->v[i]);
	}
	for (unsigned i = 0; i < workers; i++) {
		while (tally_close(part[i].tally, true) != CLOSE_DONE)
			;
		struct ft_shm_worker *w = segment_worker(&r->segment, i);
		atomic_store(&w->closed_us, UINT64_MAX);
		atomic_store(&w->ended, 1);
	}
	assert_false(drain_step(r->drain));
	assert_int_equal(drain_bad_blocks(r->drain), 0);
	assert_int_equal(rig_sums(r)->broken, 0);
	for (unsigned i = 0; i < workers; i++) {
		flood_destroy(part[i].flood);
		tally_destroy(part[i].tally);
		seal_destroy(part[i].seal);
	}
}

static char *dump(const struct rig *r)
{
	char *all = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&all, &bytes);

	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->record[i].set, "match") != 0)
			continue;
		char *line = json_dumps(r->record[i].json, JSON_COMPACT);
		(void)fprintf(out, "%s\n", line);
		free(line);
	}
	assert_int_equal(fclose(out), 0);
	return all;
}

static const char *text_in(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static double real_in(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* Within four of the standard errors that the record states. */
static void check_names(const json_t *o, double truth)
{
	assert_true(fabs(real_in(o, "names") - truth) < 4 * real_in(o, "se_names"));
	assert_true(real_in(o, "se_names") < 0.12 * truth);
}

static void test_attack(void **state)
{
	static const struct {
		const char *domain, *state;
		unsigned interval;
	} want[] = {
	    {"d4.test.", "onset", 0}, /* failing from the start, above the floor of 1,200 */
	    {"d4.test.", "ongoing", 1}, {"d4.test.", "ongoing", 2}, {"d1.test.", "onset", 3},
	    {"d4.test.", "ongoing", 3}, {"d1.test.", "ongoing", 4}, {"d4.test.", "ongoing", 4},
	    {"d1.test.", "end", 5},     {"d4.test.", "ongoing", 5}, {"d4.test.", "ongoing", 6},
	};
	struct facts f = make_facts();
	struct rig r;
	size_t n = 0;

	(void)state;
	work(&r, &f, 2, 1024);
	for (size_t i = 0; i < r.n; i++) {
		const json_t *o = r.record[i].json;
		if (strcmp(r.record[i].set, "match") != 0)
			continue;
		assert_true(n < sizeof(want) / sizeof(*want));
		assert_string_equal(text_in(o, "domain"), want[n].domain);
		assert_string_equal(text_in(o, "state"), want[n].state);
		assert_int_equal(r.record[i].start_s, BEGIN_S + want[n].interval * INTERVAL_S);
		assert_string_equal(text_in(o, "kind"), "flood");
		assert_string_equal(text_in(o, "vantage"), "AUTH");
		n++;
	}
	assert_int_equal(n, sizeof(want) / sizeof(*want));
	const json_t *onset = rig_find(&r, "match", BEGIN_S + 3 * INTERVAL_S, "domain", "d1.test.");
	check_names(onset, 9040);
	/* Half a minute, in bins of 3.75 s. */
	const uint64_t since_us = (BEGIN_S + 3 * INTERVAL_S + 30) * SECOND;
	assert_true(rig_number(onset, "since_us") <= since_us &&
		    rig_number(onset, "since_us") + 3750000 > since_us);
	assert_true(real_in(onset, "rate") > 240 && real_in(onset, "rate") < 360); /* 9000/30 */
	assert_true(real_in(onset, "failed") > 0.9);
	assert_int_equal(rig_number(onset, "names_skipped"), 0);
	const json_t *later = rig_find(&r, "match", BEGIN_S + 4 * INTERVAL_S, "domain", "d1.test.");
	check_names(later, 6040);
	assert_int_equal(rig_number(later, "since_us"), rig_number(onset, "since_us"));
	const json_t *top = json_object_get(onset, "top_resolvers");
	assert_int_equal(json_array_size(top), 8);
	const json_t *first = json_array_get(top, 0), *second = json_array_get(top, 1);
	assert_string_equal(text_in(first, "client"), "10.0.0.0");
	assert_string_equal(text_in(second, "client"), "10.0.0.1");
	assert_true(fabs(real_in(first, "queries") - 4650) < 4 * real_in(first, "se"));
	assert_true(fabs(real_in(second, "queries") - 2325) < 4 * real_in(second, "se"));
	rig_fini(&r);
	free(f.v);
}

static void test_split(void **state)
{
	static const struct {
		unsigned workers;
		size_t entries;
	} ways[] = {{1, 4096}, {2, 1024}, {4, 1024}, {1, 64}, {3, 64}};
	struct facts f = make_facts();
	char *first = NULL;

	(void)state;
	for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct rig r;
		work(&r, &f, ways[i].workers, ways[i].entries);
		char *all = dump(&r);
		if (first == NULL)
			first = strdup(all);
		assert_string_equal(all, first);
		free(all);
		rig_fini(&r);
	}
	free(first);
	free(f.v);
}

/* --- the guard --- */

struct watch {
	struct rig rig;
	struct part part;
	struct flood_guard *guard;
	uint64_t second, number;
};

static void watch_init(struct watch *w)
{
	memset(w, 0, sizeof(*w));
	rig_init(&w->rig, 1, INTERVAL_S, RING_BYTES, false);
	w->part.clock.interval_us = INTERVAL_S * SECOND;
	w->part.seal = seal_create(segment_ring(&w->rig.segment, 0), 0, false, &never);
	w->part.tally = tally_create(&w->part.clock, w->part.seal);
	w->guard = flood_guard_create(w->part.tally);
	w->second = BEGIN_S;
	assert_non_null(w->guard);
}

/* A second with n new names; returns how many get the full look. */
static unsigned second_of(struct watch *w, uint64_t domain, unsigned n)
{
	unsigned full = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t t_us = w->second * SECOND + i * SECOND / n;
		w->part.clock.now_us = t_us;
		(void)tally_ledger(w->part.tally, t_us);
		full += flood_guard_step(w->guard, domain, hash_mix(++w->number), t_us);
	}
	w->second++;
	return full;
}

/* What has gone out as skipped, of a domain. */
static uint64_t watch_fini(struct watch *w)
{
	struct ft_ring *ring = segment_ring(&w->rig.segment, 0);
	const uint64_t skipped = flood_guard_stats_get(w->guard)->skipped;

	while (tally_close(w->part.tally, true) != CLOSE_DONE)
		;
	struct ft_shm_worker *shm = segment_worker(&w->rig.segment, 0);
	atomic_store(&shm->closed_us, UINT64_MAX);
	atomic_store(&shm->ended, 1);
	assert_non_null(ring);
	assert_false(drain_step(w->rig.drain));
	assert_int_equal(drain_bad_blocks(w->rig.drain), 0);
	assert_int_equal(rig_sums(&w->rig)->broken, 0);
	flood_guard_destroy(w->guard);
	tally_destroy(w->part.tally);
	seal_destroy(w->part.seal);
	rig_fini(&w->rig);
	return skipped;
}

static void test_guard(void **state)
{
	struct watch w;

	(void)state;
	watch_init(&w);
	for (unsigned i = 0; i < GUARD_REST_WINDOWS; i++) /* at the start every name is new */
		assert_int_equal(second_of(&w, 7, 5000), 5000);
	for (unsigned i = 0; i < 200; i++) /* below the floor, for ever */
		assert_int_equal(second_of(&w, 5, 200), 200);
	assert_int_equal(second_of(&w, 5, 1500), 1500); /* less than eight times that */
	const unsigned full = second_of(&w, 6, 20000);  /* no history: the floor */
	assert_true(full > GUARD_FLOOR && full < GUARD_FLOOR + 2 * 20000 / GUARD_KEPT);
	assert_true(flood_guard_is_flooded(w.guard, 6));
	assert_false(flood_guard_is_flooded(w.guard, 5));
	assert_int_equal(second_of(&w, 5, 400), 400); /* others pay nothing */
	assert_int_equal(flood_guard_stats_get(w.guard)->floods, 1);
	const unsigned kept = second_of(&w, 6, 20000);
	assert_true(kept > 20000 / GUARD_KEPT / 2 && kept < 20000 / GUARD_KEPT * 2);
	for (unsigned i = 0; i < GUARD_CALM_WINDOWS; i++) { /* still a flood until then */
		assert_true(flood_guard_is_flooded(w.guard, 6));
		assert_true(second_of(&w, 6, 1) <= 1);
	}
	assert_int_equal(second_of(&w, 6, 100), 100);
	assert_false(flood_guard_is_flooded(w.guard, 6));
	for (unsigned i = 0; i < GUARD_REST_WINDOWS - 1; i++) /* its names find their places */
		assert_int_equal(second_of(&w, 6, 5000), 5000);
	/* Silence ends a flood as well. */
	w.second += 300; /* all that is forgotten */
	assert_true(second_of(&w, 6, 20000) < 2000);
	assert_true(flood_guard_is_flooded(w.guard, 6));
	w.second += 60;
	assert_int_equal(second_of(&w, 6, 100), 100);
	/* New rules: every name misses. */
	flood_guard_reset(w.guard);
	assert_int_equal(second_of(&w, 8, 20000), 20000);
	assert_true(watch_fini(&w) > 39000);
}

/* A domain with as many names as it always has, but none of them in the cache: the guard
 * must not hold on to its mistake, as the names it does not keep stay new. */
static void test_guard_lets_go(void **state)
{
	static bool cached[5000];
	struct watch w;
	unsigned skipped = 0;

	(void)state;
	watch_init(&w);
	(void)second_of(&w, 6, 10);
	w.second += GUARD_REST_WINDOWS;
	for (unsigned second = 0; second < 60; second++, w.second++) {
		skipped = 0;
		for (unsigned i = 0; i < 3000; i++) {
			const uint32_t name = draw(5000);
			const uint64_t t_us = w.second * SECOND + i * 300;
			w.part.clock.now_us = t_us;
			(void)tally_ledger(w.part.tally, t_us);
			if (cached[name])
				continue;
			cached[name] = flood_guard_step(w.guard, 9, hash_mix(name + 1), t_us);
			skipped += !cached[name];
		}
	}
	assert_int_equal(flood_guard_stats_get(w.guard)->floods, 1);
	assert_false(flood_guard_is_flooded(w.guard, 9));
	assert_int_equal(skipped, 0);
	(void)watch_fini(&w);
}

/* A history makes the limit: 4,000 a second are nothing new after 2,000. */
static void test_guard_history(void **state)
{
	struct watch w;

	(void)state;
	watch_init(&w);
	unsigned n = 100;
	for (; n < 2000; n += n / 50) /* growing slowly */
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(second_of(&w, 5, n), n);
	assert_int_equal(second_of(&w, 5, 4000), 4000);
	assert_true(second_of(&w, 5, 30000) < 25000);
	assert_true(flood_guard_is_flooded(w.guard, 5));
	(void)watch_fini(&w);
}

/* Everything skipped stands in the entries that went out, by interval. */
static void test_guard_tells(void **state)
{
	struct watch w;
	uint64_t sum[3] = {0}, want[3] = {0};
	uint32_t bytes;
	const uint8_t *data;

	(void)state;
	watch_init(&w);
	w.second = BEGIN_S + 35;
	(void)second_of(&w, 6, 10);
	w.second = BEGIN_S + 50; /* over an interval's end */
	for (unsigned i = 0; i < 20; i++) {
		const uint64_t before = flood_guard_stats_get(w.guard)->skipped;
		const uint64_t row = w.second / INTERVAL_S - BEGIN_S / INTERVAL_S;
		(void)second_of(&w, 6 + i % 2, 5000);
		want[row] += flood_guard_stats_get(w.guard)->skipped - before;
	}
	while (tally_close(w.part.tally, true) != CLOSE_DONE)
		;
	struct ft_ring *ring = segment_ring(&w.rig.segment, 0);
	while ((data = ring_peek(ring, &bytes)) != NULL) {
		static uint8_t raw[FT_BLOCK_RAW_CAP];
		const size_t n =
		    ZSTD_decompress(raw, sizeof(raw), data + sizeof(struct ft_block_hdr),
				    bytes - sizeof(struct ft_block_hdr));
		for (size_t at = 0; at < n;) {
			struct ft_rec_hdr h;
			struct ft_flood_entry e;
			size_t in = 0;
			memcpy(&h, raw + at, sizeof(h));
			while (h.type == FT_REC_FLOOD &&
			       ft_flood_next(raw + at + sizeof(h), h.bytes - sizeof(h) - h.pad, &in,
					     &e) == 1) {
				assert_int_equal(e.id.part, FT_FLOOD_SKIPPED);
				sum[h.row - BEGIN_S / INTERVAL_S] += e.id.count;
			}
			at += h.bytes;
		}
		ring_pop(ring);
	}
	assert_true(want[0] > 10000 && want[1] > 10000);
	assert_int_equal(sum[0], want[0]);
	assert_int_equal(sum[1], want[1]);
	(void)watch_fini(&w);
}

/* --- entries that are none --- */

static void test_truncated(void **state)
{
	static const uint8_t domain[] = "\7example\3com";
	uint8_t out[2 * FT_FLOOD_ENTRY_CAP];
	struct ft_flood_id id = {
	    .part = FT_FLOOD_TEXT, .bytes = sizeof(id) + sizeof(domain), .domain_key = 5};
	const struct ft_flood_counts c = {.failed = 1};
	size_t n = id.bytes;

	(void)state;
	memcpy(out, &id, sizeof(id));
	memcpy(out + sizeof(id), domain, sizeof(domain));
	id.part = FT_FLOOD_COUNTS;
	id.bytes = sizeof(id) + sizeof(c) + 1 + 8;
	memcpy(out + n, &id, sizeof(id));
	memcpy(out + n + sizeof(id), &c, sizeof(c));
	out[n + sizeof(id) + sizeof(c)] = 1;
	memset(out + n + sizeof(id) + sizeof(c) + 1, 7, 8);
	const size_t one = n;
	n += id.bytes;
	for (size_t len = 0; len <= n; len++) {
		const struct stat_run run = {.workers = 1, .interval_s = 60};
		const struct ft_rec_hdr h = {.type = FT_REC_FLOOD, .row = 3};
		void *stat = stat_flood.create(&run);
		uint8_t *copy = guard_copy(out, len);
		const struct stat_record rec = {.hdr = &h, .body = copy, .bytes = len};
		assert_int_equal(stat_flood.record(stat, &rec),
				 len == 0 || len == one || len == n ? 0 : -EBADMSG);
		guard_free(copy, len);
		stat_flood.destroy(stat);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_attack),        cmocka_unit_test(test_split),
	    cmocka_unit_test(test_guard),         cmocka_unit_test(test_guard_lets_go),
	    cmocka_unit_test(test_guard_history), cmocka_unit_test(test_guard_tells),
	    cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

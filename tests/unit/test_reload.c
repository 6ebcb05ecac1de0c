/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules change while workers run: every message is matched by exactly one generation,
 * whole and not yet freed; bad files change nothing; all is freed at the end. The
 * rules are a stand-in that knows when it is used at the wrong time. Also under TSan. */
#include "reload.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define WORKERS 3u
#define SWAPS 100u
#define WORDS 512u

/* --- the stand-in --- */

struct ruleset {
	uint64_t number;
	uint64_t word[WORDS]; /* all the same while it lives */
};
struct ruleset_scratch {
	uint64_t used; /* by its worker alone: TSan sees it if not */
};
struct rules {
	uint64_t settled; /* control's thread's, while the other one may be loading */
	uint64_t loads;   /* of the loading thread, one at a time */
	unsigned bad;     /* every so many loads fail; 0: none */
	unsigned slow_us;
	bool no_scratch; /* from now on */
};

static _Atomic int rulesets, scratches;

struct ruleset *rules_stage(struct rules *r, char *err, size_t cap)
{
	const struct timespec pause = {.tv_nsec = (long)r->slow_us * 1000};

	r->loads++;
	if (r->slow_us != 0)
		(void)nanosleep(&pause, NULL);
	if (r->bad != 0 && r->loads % r->bad == 0) {
		(void)snprintf(err, cap, "lists/a.rules:%u: no such kind", (unsigned)r->loads);
		return NULL;
	}
	struct ruleset *s = malloc(sizeof(*s));
	assert_non_null(s);
	s->number = r->loads;
	for (unsigned i = 0; i < WORDS; i++)
		s->word[i] = r->loads;
	atomic_fetch_add(&rulesets, 1);
	return s;
}

void rules_settle(struct rules *r, bool keep)
{
	r->settled += keep;
}

void ruleset_destroy(struct ruleset *s)
{
	if (s == NULL)
		return;
	memset(s, 0xee, sizeof(*s));
	free(s);
	atomic_fetch_sub(&rulesets, 1);
}

static struct rules the_rules;

struct ruleset_scratch *ruleset_scratch_create(const struct ruleset *r)
{
	(void)r;
	if (the_rules.no_scratch)
		return NULL;
	struct ruleset_scratch *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	atomic_fetch_add(&scratches, 1);
	return s;
}

void ruleset_scratch_destroy(struct ruleset_scratch *s)
{
	if (s == NULL)
		return;
	free(s);
	atomic_fetch_sub(&scratches, 1);
}

size_t ruleset_patterns(const struct ruleset *s)
{
	return (size_t)s->number;
}

size_t ruleset_listed_names(const struct ruleset *s)
{
	return (size_t)s->number * 10;
}

/* --- workers --- */

struct worker {
	struct rules_seat *seat;
	pthread_t thread;
	_Atomic int stop;
	uint64_t messages, matched[4 * SWAPS + 2]; /* by load */
	uint64_t torn, backwards;
	unsigned tempo; /* 0: flat out */
};

static void *work(void *arg)
{
	struct worker *w = arg;
	const struct rules_slot *slot = NULL;

	for (uint64_t turn = 0; !atomic_load(&w->stop); turn++) {
		const struct rules_slot *next = seat_get(w->seat, slot);
		if (next != slot) {
			w->backwards += slot != NULL && next->generation <= slot->generation;
			slot = next;
			seat_adopted(w->seat, slot->generation);
		}
		for (unsigned i = 0; i < 8; i++) { /* a batch, by one generation */
			const uint64_t number = slot->rules->word[(turn * 7 + i) % WORDS];
			w->torn += number != slot->rules->number;
			w->messages++;
			w->matched[number < 4 * SWAPS ? number : 4 * SWAPS + 1]++;
			slot->scratch->used++;
		}
		if (w->tempo != 0 && turn % w->tempo == 0)
			sched_yield();
	}
	seat_adopted(w->seat, SEAT_ENDED);
	return NULL;
}

struct heard {
	uint64_t good, bad, last_ticket, generation;
	char error[512];
};

static void hear(void *ctx, const struct reload_result *result)
{
	struct heard *h = ctx;

	assert_true(result->ticket > h->last_ticket);
	h->last_ticket = result->ticket;
	h->generation = result->generation;
	if (result->error == NULL) {
		h->good++;
		assert_int_equal(result->listed_names, result->patterns * 10);
	} else {
		h->bad++;
		(void)snprintf(h->error, sizeof(h->error), "%s", result->error);
	}
}

static struct reload *start(struct worker *w, unsigned workers, struct heard *h, unsigned tempo)
{
	const struct reload_opts o = {
	    .rules = &the_rules, .workers = workers, .done = hear, .ctx = h};
	struct reload *r = reload_create(&o);
	char err[256];

	assert_non_null(r);
	assert_int_equal(reload_first(r, err, sizeof(err)), 0);
	for (unsigned i = 0; i < workers; i++) {
		memset(&w[i], 0, sizeof(w[i]));
		w[i].seat = reload_seat(r, i);
		w[i].tempo = tempo;
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	return r;
}

static void finish(struct reload *r, struct worker *w, unsigned workers)
{
	for (unsigned i = 0; i < workers; i++)
		atomic_store(&w[i].stop, 1);
	for (unsigned i = 0; i < workers; i++)
		assert_int_equal(pthread_join(w[i].thread, NULL), 0);
	reload_destroy(r);
	assert_int_equal(atomic_load(&rulesets), 0);
	assert_int_equal(atomic_load(&scratches), 0);
}

/* Steps until a ticket has been answered. */
static void wait_for(struct reload *r, const struct heard *h, uint64_t ticket)
{
	while (h->last_ticket < ticket) {
		reload_step(r);
		sched_yield();
	}
}

static void run_swaps(unsigned tempo, unsigned slow_us)
{
	static struct worker w[WORKERS];
	struct heard h = {0};

	the_rules = (struct rules){.bad = 7, .slow_us = slow_us};
	struct reload *r = start(w, WORKERS, &h, tempo);
	while (h.good < SWAPS)
		wait_for(r, &h, reload_request(r));
	const struct reload_state s = reload_state_get(r);
	assert_int_equal(s.loaded, SWAPS + 1);
	assert_int_equal(s.generation, SWAPS + 1);
	assert_int_equal(s.failed, h.bad);
	assert_int_equal(h.bad, the_rules.loads / 7);
	assert_int_equal(the_rules.settled, SWAPS + 1);
	assert_false(s.busy);
	finish(r, w, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		uint64_t sum = 0;
		for (unsigned k = 0; k < sizeof(w[i].matched) / sizeof(*w[i].matched); k++) {
			sum += w[i].matched[k];
			assert_true(k % 7 != 0 || w[i].matched[k] == 0); /* the bad ones */
		}
		assert_int_equal(sum, w[i].messages);
		assert_int_equal(w[i].matched[4 * SWAPS + 1], 0);
		assert_int_equal(w[i].torn + w[i].backwards, 0);
		assert_true(w[i].messages > 0);
	}
}

static void test_flat_out(void **state)
{
	(void)state;
	run_swaps(0, 0);
}

static void test_slow_workers(void **state)
{
	(void)state;
	run_swaps(1, 0);
}

static void test_slow_loads(void **state)
{
	(void)state;
	run_swaps(3, 500);
}

static void test_bad_files(void **state)
{
	static struct worker w[1];
	struct heard h = {0};

	(void)state;
	the_rules = (struct rules){.bad = 2};
	struct reload *r = start(w, 1, &h, 1);
	wait_for(r, &h, reload_request(r));
	assert_int_equal(h.bad, 1);
	assert_string_equal(h.error, "lists/a.rules:2: no such kind");
	assert_int_equal(h.generation, 1); /* as before */
	assert_string_equal(reload_state_get(r).error, h.error);
	assert_int_equal(reload_state_get(r).patterns, 1);
	wait_for(r, &h, reload_request(r));
	assert_int_equal(h.good, 1);
	assert_string_equal(reload_state_get(r).error, "");
	assert_int_equal(reload_state_get(r).patterns, 3);
	the_rules.bad = 0;
	the_rules.no_scratch = true;
	wait_for(r, &h, reload_request(r));
	assert_int_equal(h.bad, 2);
	the_rules.no_scratch = false;
	finish(r, w, 1);
}

/* Requests that come while one is under way share the next load. */
static void test_requests_meet(void **state)
{
	static struct worker w[1];
	struct heard h = {0};

	(void)state;
	the_rules = (struct rules){.slow_us = 20000};
	struct reload *r = start(w, 1, &h, 1);
	const uint64_t first = reload_request(r);
	assert_int_equal(reload_request(r), first);
	reload_step(r); /* it reads the files from here on */
	const uint64_t second = reload_request(r);
	assert_int_equal(second, first + 1);
	assert_int_equal(reload_request(r), second);
	assert_true(reload_state_get(r).busy);
	wait_for(r, &h, second);
	assert_int_equal(h.good, 2);
	assert_int_equal(the_rules.loads, 3);
	reload_step(r);
	assert_int_equal(the_rules.loads, 3);
	/* The end may come in the middle of a load. */
	(void)reload_request(r);
	reload_step(r);
	finish(r, w, 1);
}

/* A worker that has ended holds nobody up; one that is still there does. */
static void test_ended_worker(void **state)
{
	const struct reload_opts o = {.rules = &the_rules, .workers = 2};
	struct reload *r = reload_create(&o);
	char err[64];

	(void)state;
	the_rules = (struct rules){0};
	assert_int_equal(reload_first(r, err, sizeof(err)), 0);
	seat_adopted(reload_seat(r, 0), 1);
	seat_adopted(reload_seat(r, 1), SEAT_ENDED);
	(void)reload_request(r);
	for (unsigned i = 0; i < 2000 && reload_state_get(r).generation == 1; i++) {
		reload_step(r);
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	assert_int_equal(reload_state_get(r).generation, 2);
	reload_step(r);
	assert_true(reload_state_get(r).busy);
	assert_int_equal(atomic_load(&rulesets), 2); /* the old ones are still in use */
	seat_adopted(reload_seat(r, 0), 2);
	reload_step(r);
	assert_false(reload_state_get(r).busy);
	assert_int_equal(atomic_load(&rulesets), 1);
	reload_destroy(r);
	assert_int_equal(atomic_load(&rulesets), 0);
	assert_int_equal(atomic_load(&scratches), 0);
}

static void test_first_is_bad(void **state)
{
	const struct reload_opts o = {.rules = &the_rules, .workers = 2};
	struct reload *r = reload_create(&o);
	char err[64];

	(void)state;
	the_rules = (struct rules){.bad = 1};
	assert_int_equal(reload_first(r, err, sizeof(err)), -1);
	assert_string_equal(err, "lists/a.rules:1: no such kind");
	assert_null(seat_get(reload_seat(r, 0), NULL));
	reload_destroy(r);
	reload_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flat_out),      cmocka_unit_test(test_slow_workers),
	    cmocka_unit_test(test_slow_loads),    cmocka_unit_test(test_bad_files),
	    cmocka_unit_test(test_requests_meet), cmocka_unit_test(test_ended_worker),
	    cmocka_unit_test(test_first_is_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

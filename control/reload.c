/* SPDX-License-Identifier: BSD-3-Clause */
#include "reload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A generation: rules, and what each worker needs to use them. */
struct generation {
	struct ruleset *rules;
	unsigned workers;
	struct rules_slot slot[];
};

enum stage { STAGE_IDLE, STAGE_LOADING, STAGE_SWAPPING };

struct reload {
	struct reload_opts set;
	struct rules_seat *seat;         /* [workers] */
	struct generation *now, *before; /* before: until all have moved */
	enum stage stage;
	bool again;      /* asked for while busy */
	uint64_t ticket; /* of the load under way, or the last one */
	uint64_t number; /* of the newest generation */
	uint64_t loaded, failed, begin_us, load_us, swap_begin_us;
	char error[512];

	/* The loading thread's from its start until `finished` (released) is seen. */
	pthread_t thread;
	struct generation *made;
	char why[512];
	_Atomic int finished;
};

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void generation_free(struct generation *g)
{
	if (g == NULL)
		return;
	for (unsigned i = 0; i < g->workers; i++)
		ruleset_scratch_destroy(g->slot[i].scratch);
	ruleset_destroy(g->rules);
	free(g);
}

/* NULL and a message in err. */
static struct generation *generation_load(const struct reload_opts *o, uint64_t number, char *err,
					  size_t cap)
{
	struct generation *g = calloc(1, sizeof(*g) + o->workers * sizeof(*g->slot));

	(void)snprintf(err, cap, "not enough memory for new rules beside the old ones");
	if (g == NULL)
		return NULL;
	g->rules = rules_stage(o->rules, err, cap);
	if (g->rules == NULL) {
		free(g);
		return NULL;
	}
	for (unsigned i = 0; i < o->workers; i++) {
		struct rules_slot *s = &g->slot[g->workers];
		s->rules = g->rules;
		s->generation = number;
		s->scratch = ruleset_scratch_create(g->rules);
		if (s->scratch == NULL) {
			(void)snprintf(err, cap,
				       "not enough memory for new rules beside the old "
				       "ones");
			generation_free(g);
			return NULL;
		}
		g->workers++;
	}
	return g;
}

struct reload *reload_create(const struct reload_opts *o)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->set = *o;
	r->seat = aligned_alloc(CACHE_LINE, (o->workers + !o->workers) * sizeof(*r->seat));
	if (r->seat == NULL) {
		free(r);
		errno = ENOMEM;
		return NULL;
	}
	memset(r->seat, 0, o->workers * sizeof(*r->seat));
	return r;
}

void reload_destroy(struct reload *r)
{
	if (r == NULL)
		return;
	if (r->stage == STAGE_LOADING) {
		(void)pthread_join(r->thread, NULL);
		rules_settle(r->set.rules, false);
		generation_free(r->made);
	}
	generation_free(r->before);
	generation_free(r->now);
	free(r->seat);
	free(r);
}

struct rules_seat *reload_seat(struct reload *r, unsigned worker)
{
	return &r->seat[worker];
}

static void hand_out(struct reload *r, struct generation *g)
{
	r->before = r->now;
	r->now = g;
	r->number++; /* as its slots say */
	r->loaded++;
	r->error[0] = '\0';
	for (unsigned i = 0; i < g->workers; i++)
		seat_put(&r->seat[i], &g->slot[i]);
}

int reload_first(struct reload *r, char *err, size_t cap)
{
	struct generation *g = generation_load(&r->set, r->number + 1, err, cap);

	rules_settle(r->set.rules, g != NULL);
	if (g == NULL)
		return -1;
	hand_out(r, g);
	return 0;
}

static void *load(void *arg)
{
	struct reload *r = arg;

	r->made = generation_load(&r->set, r->number + 1, r->why, sizeof(r->why));
	/* Pairs with the acquire in reload_step. */
	atomic_store_explicit(&r->finished, 1, memory_order_release);
	return NULL;
}

static void tell(struct reload *r, const char *error)
{
	const struct reload_result result = {
	    .ticket = r->ticket,
	    .error = error,
	    .generation = r->number,
	    .patterns = r->now != NULL ? ruleset_patterns(r->now->rules) : 0,
	    .listed_names = r->now != NULL ? ruleset_listed_names(r->now->rules) : 0,
	    .load_us = r->load_us,
	    .swap_us = error == NULL ? now_us() - r->swap_begin_us : 0,
	};

	if (r->set.done != NULL)
		r->set.done(r->set.ctx, &result);
}

static void fail(struct reload *r, const char *why)
{
	r->failed++;
	r->load_us = now_us() - r->begin_us;
	r->stage = STAGE_IDLE;
	(void)snprintf(r->error, sizeof(r->error), "%s", why);
	tell(r, r->error);
}

static void begin(struct reload *r)
{
	sigset_t all, before;
	char why[128];

	r->again = false;
	r->begin_us = now_us();
	r->made = NULL;
	atomic_store_explicit(&r->finished, 0, memory_order_relaxed);
	/* Signals are the main thread's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	const int result = pthread_create(&r->thread, NULL, load, r);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	r->stage = STAGE_LOADING;
	if (result == 0)
		return;
	(void)snprintf(why, sizeof(why), "cannot start a thread: %s", strerror(result));
	fail(r, why);
}

uint64_t reload_request(struct reload *r)
{
	/* Not the load that is under way: it may have read the files before they were
	 * changed. reload_step begins the next one, so that `done` comes from there alone. */
	r->again = true;
	return r->ticket + 1;
}

static void loaded(struct reload *r)
{
	(void)pthread_join(r->thread, NULL);
	rules_settle(r->set.rules, r->made != NULL);
	if (r->made == NULL) {
		fail(r, r->why);
		return;
	}
	r->load_us = now_us() - r->begin_us;
	r->swap_begin_us = now_us();
	hand_out(r, r->made);
	r->made = NULL;
	r->stage = STAGE_SWAPPING;
}

static bool all_moved(const struct reload *r)
{
	for (unsigned i = 0; i < r->set.workers; i++)
		if (!seat_has_moved(&r->seat[i], r->number))
			return false;
	return true;
}

void reload_step(struct reload *r)
{
	if (r->stage == STAGE_IDLE && r->again) {
		r->ticket++;
		begin(r);
	}
	if (r->stage == STAGE_LOADING &&
	    atomic_load_explicit(&r->finished, memory_order_acquire) != 0)
		loaded(r);
	if (r->stage == STAGE_SWAPPING && all_moved(r)) {
		generation_free(r->before);
		r->before = NULL;
		r->stage = STAGE_IDLE;
		tell(r, NULL);
	}
}

struct reload_state reload_state_get(const struct reload *r)
{
	return (struct reload_state){
	    .generation = r->number,
	    .loaded = r->loaded,
	    .failed = r->failed,
	    .busy = r->stage != STAGE_IDLE || r->again,
	    .patterns = r->now != NULL ? ruleset_patterns(r->now->rules) : 0,
	    .listed_names = r->now != NULL ? ruleset_listed_names(r->now->rules) : 0,
	    .error = r->error,
	};
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The crew: every task runs once, those of an actor in their order and one at a time,
 * with any number of threads, and while the giver helps or does not. */
#include "crew.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ACTORS 5u
#define TASKS 20000u

struct work;

struct job {
	struct crew_task task;
	struct work *of;
	uint32_t number;
};

/* What an actor's tasks touch, without a lock. */
struct work {
	struct crew_actor actor;
	struct job job[TASKS];
	uint32_t next; /* the task that has to come */
	uint64_t sum;
	bool inside, wrong;
};

static struct work work[ACTORS];
static atomic_uint done;

static void run_job(struct crew_task *task)
{
	struct job *j = (struct job *)task;
	struct work *w = j->of;

	w->wrong |= w->inside || j->number != w->next;
	w->inside = true;
	w->next++;
	w->sum += (uint64_t)j->number * j->number;
	if (j->number % 97 == 0)
		(void)sched_yield();
	w->inside = false;
	atomic_fetch_add(&done, 1);
}

static void run_crew(unsigned threads, bool helps)
{
	struct crew *c = crew_create(threads, NULL, 0);

	assert_non_null(c);
	memset(work, 0, sizeof(work));
	atomic_store(&done, 0);
	for (uint32_t i = 0; i < TASKS; i++) {
		for (unsigned a = 0; a < ACTORS; a++) {
			struct job *j = &work[a].job[i];
			*j = (struct job){.task.run = run_job, .of = &work[a], .number = i};
			crew_give(c, &work[a].actor, &j->task);
		}
		if (helps && i % 3 == 0)
			(void)crew_help(c);
	}
	if (threads == 1) /* at once */
		assert_int_equal(atomic_load(&done), ACTORS * TASKS);
	while (helps && atomic_load(&done) != ACTORS * TASKS)
		if (!crew_help(c))
			(void)sched_yield();
	assert_true(threads > 1 || crew_cpu_ns(c) == 0);
	crew_destroy(c); /* does what is left */
	for (unsigned a = 0; a < ACTORS; a++) {
		assert_false(work[a].wrong);
		assert_int_equal(work[a].next, TASKS);
		assert_true(work[a].sum == (uint64_t)(TASKS - 1) * TASKS / 2 * (2 * TASKS - 1) / 3);
	}
}

static void test_order(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 4; threads++) {
		run_crew(threads, true);
		run_crew(threads, false);
	}
}

/* A task may give its actor's next one. */
struct chain {
	struct crew_task task;
	struct crew_actor actor;
	struct crew *crew;
	atomic_uint left;
};

static void go_on(struct crew_task *task)
{
	struct chain *c = (struct chain *)task;

	if (atomic_fetch_sub(&c->left, 1) > 1)
		crew_give(c->crew, &c->actor, task);
}

static void test_chain(void **state)
{
	struct chain chain = {.task.run = go_on};
	struct crew *c = crew_create(3, NULL, 0);

	(void)state;
	assert_non_null(c);
	chain.crew = c;
	atomic_store(&chain.left, 1000);
	crew_give(c, &chain.actor, &chain.task);
	while (atomic_load(&chain.left) != 0)
		(void)sched_yield();
	assert_false(crew_help(c));
	crew_destroy(c);
	crew_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
					   cmocka_unit_test(test_chain)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

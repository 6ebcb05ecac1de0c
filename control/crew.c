/* SPDX-License-Identifier: BSD-3-Clause */
#include "crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct crew {
	unsigned threads; /* without the caller */
	pthread_t *thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	/* Below the lock: actors with tasks and without a thread, in the order in which they
	 * came. */
	struct crew_actor *first, *last;
	bool ends;
};

static void put_in_line(struct crew *c, struct crew_actor *a)
{
	a->next = NULL;
	if (c->first == NULL)
		c->first = a;
	else
		c->last->next = a;
	c->last = a;
}

/* One task of the actor that waits longest. Called with the lock, and returns with it. */
static bool run_one(struct crew *c)
{
	struct crew_actor *a = c->first;

	if (a == NULL)
		return false;
	c->first = a->next;
	struct crew_task *t = a->first;
	a->first = t->next;
	(void)pthread_mutex_unlock(&c->lock);
	t->run(t);
	(void)pthread_mutex_lock(&c->lock);
	a->waits = a->first != NULL;
	if (a->waits) {
		put_in_line(c, a);
		(void)pthread_cond_signal(&c->work); /* who helped may not come back */
	}
	return true;
}

static void *work(void *arg)
{
	struct crew *c = arg;

	(void)pthread_mutex_lock(&c->lock);
	for (;;) {
		if (run_one(c))
			continue;
		if (c->ends)
			break;
		(void)pthread_cond_wait(&c->work, &c->lock);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void place(pthread_t thread, unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)pthread_setaffinity_np(thread, sizeof(set), &set);
}

static int start(struct crew *c, unsigned threads, const uint16_t *cpu, size_t cpus)
{
	sigset_t all, before;
	int result = 0;

	/* Signals are for the caller. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (c->threads + 1 < threads && result == 0) {
		result = pthread_create(&c->thread[c->threads], NULL, work, c);
		if (result != 0)
			break;
		(void)pthread_setname_np(c->thread[c->threads], "fluxtap-control");
		if (cpus != 0)
			place(c->thread[c->threads], cpu[(c->threads + 1) % cpus]);
		c->threads++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

struct crew *crew_create(unsigned threads, const uint16_t *cpu, size_t cpus)
{
	struct crew *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->thread = calloc(threads, sizeof(*c->thread));
	if (c->thread == NULL) {
		free(c);
		errno = ENOMEM;
		return NULL;
	}
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->work, NULL);
	const int result = start(c, threads, cpu, cpus);
	if (result != 0) {
		crew_destroy(c);
		errno = result;
		return NULL;
	}
	return c;
}

void crew_destroy(struct crew *c)
{
	if (c == NULL)
		return;
	(void)pthread_mutex_lock(&c->lock);
	c->ends = true;
	(void)pthread_cond_broadcast(&c->work);
	(void)pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->threads; i++)
		(void)pthread_join(c->thread[i], NULL);
	(void)pthread_cond_destroy(&c->work);
	(void)pthread_mutex_destroy(&c->lock);
	free(c->thread);
	free(c);
}

void crew_give(struct crew *c, struct crew_actor *a, struct crew_task *t)
{
	if (c->threads == 0) {
		t->run(t);
		return;
	}
	t->next = NULL;
	(void)pthread_mutex_lock(&c->lock);
	if (a->first == NULL)
		a->first = t;
	else
		a->last->next = t;
	a->last = t;
	if (!a->waits) {
		a->waits = true;
		put_in_line(c, a);
		(void)pthread_cond_signal(&c->work);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

bool crew_help(struct crew *c)
{
	(void)pthread_mutex_lock(&c->lock);
	const bool ran = run_one(c);
	(void)pthread_mutex_unlock(&c->lock);
	return ran;
}

uint64_t crew_cpu_ns(const struct crew *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->threads; i++) {
		struct timespec t;
		clockid_t clock;
		if (pthread_getcpuclockid(c->thread[i], &clock) == 0 &&
		    clock_gettime(clock, &t) == 0)
			sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	}
	return sum;
}

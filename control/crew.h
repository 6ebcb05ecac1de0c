/* SPDX-License-Identifier: BSD-3-Clause */
/* Control's threads. Work is given to actors: what one actor has to do is done in the
 * order in which it was given, by one thread at a time, whichever is free; different
 * actors work at the same time. What one task writes, the next of its actor sees.
 *
 * The caller is the crew's first thread: it gives, and helps where it has nothing else to
 * do. A crew of one has no other thread, and does what it is given at once. */
#ifndef CONTROL_CREW_H
#define CONTROL_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crew;

/* Begins what is given; it is the crew's until it has run, when it may be given again. */
struct crew_task {
	struct crew_task *next;
	void (*run)(struct crew_task *task);
};

/* All zero at first; the crew's own. */
struct crew_actor {
	struct crew_task *first, *last;
	struct crew_actor *next;
	bool waits; /* in line for a thread, or has one */
};

/* Of so many threads, the caller among them; each further one on the CPU of its number, or
 * where the caller may run for cpus 0. NULL + errno. */
struct crew *crew_create(unsigned threads, const uint16_t *cpu, size_t cpus);
/* Does what was given first. Accepts NULL. */
void crew_destroy(struct crew *c);

void crew_give(struct crew *c, struct crew_actor *a, struct crew_task *t);
/* Runs a task that waits. False: none does (some may be running). */
bool crew_help(struct crew *c);
/* CPU time of the other threads so far, nanoseconds. */
uint64_t crew_cpu_ns(const struct crew *c);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan's part on CPUs: who takes which interrupt, and what else happens there. */
#include "pin_plan_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Control should share the workers' caches and node, but no core with them. */
int pin_plan_control(const struct pin_making *m)
{
	const struct pin_facts *f = m->f;
	const struct pin_cores *w = &m->plan->cores;
	unsigned best = 0;
	int found = -1;

	for (unsigned i = 0; i < f->cpus; i++) {
		unsigned near = PIN_CPU_CAP, score = 0;
		bool thread = false, node = false;

		if (!f->cpu[i].online || pin_cpus_has(&m->workers, i))
			continue;
		for (size_t k = 0; k < w->n; k++) {
			const unsigned apart = i > w->v[k] ? i - w->v[k] : w->v[k] - i;
			near = apart < near ? apart : near;
			thread = thread || f->cpu[i].core == f->cpu[w->v[k]].core;
			node = node || (f->node < 0 && f->cpu[i].node == f->cpu[w->v[k]].node);
		}
		node = node || (f->node >= 0 && f->cpu[i].node == f->node);
		/* What counts more is worth more than all that counts less. */
		score = (thread ? 0 : 4 * PIN_CPU_CAP) + (node ? 2 * PIN_CPU_CAP : 0) +
			(pin_cpus_has(&f->isolated, i) ? 0 : PIN_CPU_CAP) + (PIN_CPU_CAP - near);
		if (score > best) {
			best = score;
			found = (int)i;
		}
	}
	return found;
}

static bool is_zero_mask(const char *text)
{
	return text[strspn(text, "0,")] == '\0';
}

static void plan_rps(struct pin_making *m)
{
	for (size_t i = 0; i < m->f->files; i++) {
		const struct pin_file *file = &m->f->file[i];
		const char *queue = strstr(file->path, "/queues/rx-");
		const char *name = queue != NULL ? strstr(queue, "/rps_cpus") : NULL;

		/* Queues that are about to go take theirs along. */
		if (name == NULL || is_zero_mask(file->text) ||
		    strtoul(queue + 11, NULL, 10) >= m->plan->queues)
			continue;
		struct pin_change *c = pin_plan_add(
		    m, PIN_FILE, "hands packets on to other CPUs, away from the queue's worker");
		queue += strlen("/queues/");
		(void)snprintf(c->what, sizeof(c->what), "RPS of %.*s: mask %.100s -> 0",
			       (int)(name - queue), queue, file->text);
		(void)snprintf(c->path, sizeof(c->path), "%s", file->path);
		(void)snprintf(c->text, sizeof(c->text), "0");
		(void)snprintf(c->command, sizeof(c->command), "echo 0 > %s", file->path);
	}
}

static const struct pin_irq *irq_of(const struct pin_facts *f, uint32_t queue)
{
	for (size_t i = 0; i < f->irqs; i++)
		if (f->irq[i].role == PIN_ROLE_RX && f->irq[i].queue == queue)
			return &f->irq[i];
	return NULL;
}

static bool only(const struct pin_cpus *s, unsigned cpu)
{
	return pin_cpus_has(s, cpu) && pin_cpus_count(s) == 1;
}

static void move_irq(struct pin_making *m, const struct pin_irq *irq, unsigned cpu, const char *why)
{
	char list[PIN_LIST_CAP];
	struct pin_change *c = pin_plan_add(m, PIN_IRQ, why);

	c->value = cpu;
	c->index = irq->queue;
	(void)snprintf(c->name, sizeof(c->name), "%s", irq->name);
	(void)snprintf(c->what, sizeof(c->what), "IRQ %u (%s): CPUs %.60s -> %u", irq->number,
		       irq->name, pin_cpus_text(&irq->affinity, list), cpu);
	(void)snprintf(c->command, sizeof(c->command), "echo %u > /proc/irq/%u/smp_affinity_list",
		       cpu, irq->number);
}

/* On the worker's own CPU: what the driver touches stays in its caches, no second CPU is
 * spent, and with busy polling the worker itself runs the driver there. The other thread
 * of the core would compete for the same caches and units all the time. */
static void plan_irqs(struct pin_making *m)
{
	static const char why[] =
	    "its queue's worker is there: frames stay in that CPU's caches, with interrupts "
	    "and with busy polling";
	static const char away[] = "not about packets, and a worker's CPU is busy";
	const struct pin_facts *f = m->f;
	const struct pin_cores *w = &m->plan->cores;
	struct pin_cpus on;
	uint32_t hidden = 0;

	for (uint32_t q = 0; q < m->plan->queues && f->irqs > 0; q++) {
		const struct pin_irq *irq = irq_of(f, q);
		const unsigned cpu = w->v[q % w->n];

		if (irq != NULL && !only(&irq->affinity, cpu))
			move_irq(m, irq, cpu, why);
		hidden += irq == NULL && q < pin_queues(&f->nic);
		if (irq != NULL || q < pin_queues(&f->nic))
			continue;
		struct pin_change *c = pin_plan_add(m, PIN_IRQ, why);
		c->index = q;
		c->value = cpu;
		c->tentative = true;
		(void)snprintf(c->what, sizeof(c->what),
			       "IRQ of queue %u, once there is one: -> %u", q, cpu);
		(void)snprintf(c->command, sizeof(c->command),
			       "echo %u > /proc/irq/N/smp_affinity_list, N from /proc/interrupts",
			       cpu);
	}
	if (hidden > 0)
		pin_plan_note(m, true,
			      "by their names (pin show) the interrupts of %u %s cannot be told; "
			      "place them by hand",
			      hidden, hidden == 1 ? "queue" : "queues");
	for (size_t i = 0; i < f->irqs && m->plan->control >= 0; i++) {
		const struct pin_irq *irq = &f->irq[i];

		on = pin_cpus_count(&irq->effective) > 0 ? irq->effective : irq->affinity;
		for (size_t k = 0; k < w->n && irq->role == PIN_ROLE_OTHER; k++) {
			/* Where it is, and may stay: a move waits for the next interrupt. */
			if (pin_cpus_has(&on, w->v[k]) && pin_cpus_has(&irq->affinity, w->v[k])) {
				move_irq(m, irq, (unsigned)m->plan->control, away);
				break;
			}
		}
	}
}

static void plan_governors(struct pin_making *m)
{
	for (size_t i = 0; i < m->plan->cores.n; i++) {
		const unsigned cpu = m->plan->cores.v[i];
		const struct pin_cpu *facts = &m->f->cpu[cpu];

		if (facts->governor[0] == '\0' || strcmp(facts->governor, "performance") == 0)
			continue;
		if (!facts->performance) {
			pin_plan_note(m, true, "CPU %u has governor %s and no governor performance",
				      cpu, facts->governor);
			continue;
		}
		struct pin_change *c = pin_plan_add(
		    m, PIN_FILE, "a CPU that slows down while it waits is slow when a burst comes");
		(void)snprintf(c->path, sizeof(c->path),
			       "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", cpu);
		(void)snprintf(c->text, sizeof(c->text), "performance");
		(void)snprintf(c->what, sizeof(c->what), "governor of CPU %u: %s -> performance",
			       cpu, facts->governor);
		(void)snprintf(c->command, sizeof(c->command), "echo performance > %s", c->path);
	}
}

void pin_plan_cpus(struct pin_making *m)
{
	plan_rps(m);
	plan_irqs(m);
	plan_governors(m);
}

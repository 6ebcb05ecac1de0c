/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan's part on what is not ours to change, or cannot be. */
#include "pin_plan_make.h"

#include <string.h>

static void warn_interface(struct pin_making *m)
{
	const struct pin_facts *f = m->f;
	const char *driver = f->nic.driver;
	const bool said = (f->nic.has & PIN_HAS_XDP) != 0;
	const bool xdp = said ? (f->nic.xdp & PIN_XDP_REDIRECT) != 0 : m->driver->xdp;
	const bool zerocopy = said ? (f->nic.xdp & PIN_XDP_ZEROCOPY) != 0 : m->driver->zerocopy;

	if (!said && m->driver->name == NULL)
		pin_plan_note(m, false,
			      "driver %s is not known here; what its XDP can do shows at "
			      "the probe's start",
			      driver);
	else if (!xdp)
		pin_plan_note(m, true,
			      "%s has no XDP of its own: the kernel's generic mode serves, "
			      "at a fraction of the speed",
			      driver);
	else if (!zerocopy)
		pin_plan_note(m, false, "%s has no zero-copy: each frame is copied once", driver);
	if (!f->up)
		pin_plan_note(m, true,
			      "%s is down, and many drivers have interrupts only while up: "
			      "ip link set %s up, then plan again",
			      f->ifname, f->ifname);
	else if (f->irqs == 0)
		pin_plan_note(m, false,
			      "%s has no interrupts of its own: the sender's CPU works on "
			      "its queues",
			      f->ifname);
	if ((f->nic.has & PIN_HAS_RULES) != 0 && f->nic.rules > 0)
		pin_plan_note(m, true,
			      "%u steering %s (ethtool -n %s) may send packets past the "
			      "hash",
			      f->nic.rules, f->nic.rules == 1 ? "rule" : "rules", f->ifname);
}

/* The subject and verb of a sentence on a set of CPUs. */
static const char *cpus_word(const struct pin_cpus *s)
{
	return pin_cpus_count(s) == 1 ? "CPU" : "CPUs";
}

static const char *be_word(const struct pin_cpus *s)
{
	return pin_cpus_count(s) == 1 ? "is" : "are";
}

static void warn_places(struct pin_making *m)
{
	const struct pin_facts *f = m->f;
	const struct pin_cores *w = &m->plan->cores;
	char list[PIN_LIST_CAP], right[PIN_LIST_CAP];
	struct pin_cpus far = {0};

	for (size_t i = 0; i < w->n; i++)
		if (f->node >= 0 && f->cpu[w->v[i]].node >= 0 && f->cpu[w->v[i]].node != f->node)
			pin_cpus_add(&far, w->v[i]);
	if (pin_cpus_count(&far) > 0)
		pin_plan_note(m, true,
			      "%s %.100s %s not on NUMA node %d, where %s is: each frame "
			      "crosses from node to node; better are CPUs %.100s",
			      cpus_word(&far), pin_cpus_text(&far, list), be_word(&far), f->node,
			      f->ifname, pin_cpus_text(&f->node_cpus, right));
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < i; k++)
			if (f->cpu[w->v[i]].core == f->cpu[w->v[k]].core)
				pin_plan_note(m, true,
					      "CPUs %u and %u are two threads of one core "
					      "and share it",
					      w->v[k], w->v[i]);
	if (m->plan->control < 0)
		pin_plan_note(m, true, "no CPU is left for control: it shares one with a worker");
}

static void warn_disturbers(struct pin_making *m)
{
	const struct pin_facts *f = m->f;
	char list[PIN_LIST_CAP], ticks[PIN_LIST_CAP];
	struct pin_cpus shared = {0}, ticking = {0};

	/* Some CPU must be left for all the rest. */
	for (size_t i = 0; i < m->plan->cores.n && m->plan->control >= 0; i++) {
		const unsigned cpu = m->plan->cores.v[i];
		if (!pin_cpus_has(&f->isolated, cpu))
			pin_cpus_add(&shared, cpu);
		if (!pin_cpus_has(&f->nohz_full, cpu))
			pin_cpus_add(&ticking, cpu);
	}
	if (pin_cpus_count(&shared) > 0)
		pin_plan_note(m, true,
			      "%s %.100s %s not isolated, other programs run there too: "
			      "boot with isolcpus=%.100s",
			      cpus_word(&shared), pin_cpus_text(&shared, list), be_word(&shared),
			      list);
	if (pin_cpus_count(&ticking) > 0)
		pin_plan_note(m, true,
			      "timer ticks interrupt %s %.100s: boot with nohz_full=%.100s "
			      "rcu_nocbs=%.100s",
			      cpus_word(&ticking), pin_cpus_text(&ticking, ticks), ticks, ticks);
	if (f->irqbalance)
		pin_plan_note(m, true,
			      "irqbalance runs and moves interrupts again: systemctl disable "
			      "--now irqbalance");
	if (f->route[0] != '\0')
		pin_plan_note(m, true,
			      "%s carries the default route%s%s: apply interrupts it for a "
			      "moment, and only with --force",
			      f->ifname, strcmp(f->route, f->ifname) == 0 ? "" : " by ",
			      strcmp(f->route, f->ifname) == 0 ? "" : f->route);
}

void pin_plan_warn(struct pin_making *m)
{
	warn_interface(m);
	warn_places(m);
	warn_disturbers(m);
}

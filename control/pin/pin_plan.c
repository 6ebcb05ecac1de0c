/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_plan_make.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pin_change *pin_plan_add(struct pin_making *m, enum pin_part part, const char *why)
{
	static struct pin_change nowhere;
	struct pin_plan *p = m->plan;
	struct pin_change *grown =
	    m->failed ? NULL : realloc(p->change, (p->changes + 1) * sizeof(*grown));

	if (grown == NULL) {
		m->failed = true;
		return &nowhere;
	}
	p->change = grown;
	p->change[p->changes] = (struct pin_change){.part = part, .why = why};
	return &p->change[p->changes++];
}

void pin_plan_note(struct pin_making *m, bool warning, const char *format, ...)
{
	struct pin_plan *p = m->plan;
	struct pin_note *grown =
	    m->failed ? NULL : realloc(p->note, (p->notes + 1) * sizeof(*grown));
	va_list ap;

	if (grown == NULL) {
		m->failed = true;
		return;
	}
	p->note = grown;
	p->note[p->notes] = (struct pin_note){.warning = warning};
	va_start(ap, format);
	(void)vsnprintf(p->note[p->notes++].text, sizeof(p->note->text), format, ap);
	va_end(ap);
}

static int take_cores(struct pin_making *m, const struct pin_cores *cores, char *err, size_t cap)
{
	const struct pin_facts *f = m->f;
	char list[PIN_LIST_CAP];

	m->plan->cores = *cores;
	if (cores->n == 0) {
		const struct pin_cpus *from =
		    pin_cpus_count(&f->node_cpus) > 0 ? &f->node_cpus : &f->online;
		m->plan->cores.n = 1;
		for (unsigned i = 0; i < f->cpus; i++)
			if (pin_cpus_has(from, i) && f->cpu[i].online)
				m->plan->cores.v[0] = (uint16_t)i;
	}
	for (size_t i = 0; i < m->plan->cores.n; i++) {
		if (!pin_cpus_has(&f->online, m->plan->cores.v[i])) {
			(void)snprintf(err, cap, "there is no CPU %u; there are CPUs %s",
				       m->plan->cores.v[i], pin_cpus_text(&f->online, list));
			return -EINVAL;
		}
		pin_cpus_add(&m->workers, m->plan->cores.v[i]);
	}
	return 0;
}

static void say_run(const struct pin_making *m)
{
	struct pin_plan *p = m->plan;
	char list[PIN_LIST_CAP];
	size_t len =
	    (size_t)snprintf(p->run, sizeof(p->run), "fluxtap run --xdp %s%s --cores %.150s",
			     m->f->ifname, p->rss ? ",rss" : "", pin_cores_text(&p->cores, list));

	if (p->control >= 0 && len < sizeof(p->run))
		(void)snprintf(p->run + len, sizeof(p->run) - len, " --control-core %d",
			       p->control);
}

int pin_plan_make(const struct pin_facts *f, const struct pin_cores *cores, struct pin_plan *out,
		  char *err, size_t cap)
{
	struct pin_plan plan = {.control = -1};
	struct pin_making m = {.f = f, .driver = pin_driver_find(f->nic.driver), .plan = &plan};
	int rc = take_cores(&m, cores, err, cap);

	if (rc != 0)
		return rc;
	plan.control = pin_plan_control(&m);
	pin_plan_nic(&m);
	pin_plan_rss(&m);
	pin_plan_cpus(&m);
	pin_plan_warn(&m);
	say_run(&m);
	if (m.failed) {
		pin_plan_fini(&plan);
		(void)snprintf(err, cap, "not enough memory");
		return -ENOMEM;
	}
	*out = plan;
	return 0;
}

void pin_plan_fini(struct pin_plan *p)
{
	free(p->change);
	free(p->note);
	*p = (struct pin_plan){.control = -1};
}

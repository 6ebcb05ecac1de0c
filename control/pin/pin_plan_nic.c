/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan's part on queues, ring, coalescing and offloads. */
#include "pin_plan_make.h"

#include <stdio.h>
#include <string.h>

/* 4096 of the smallest frames come in 275 us over 10 GbE: longer than any turn of a
 * worker's loop should take, and few enough to stay in the caches. */
#define RING 4096u
/* A delay that response times can bear, and 20,000 interrupts a second at most. */
#define USECS 50u
#define USECS_MAX 64u

static uint32_t queue_dirs(const struct pin_facts *f)
{
	uint32_t n = 0;

	for (size_t i = 0; i < f->files; i++)
		n += strstr(f->file[i].path, "/queues/rx-") != NULL &&
		     strstr(f->file[i].path, "/rps_cpus") != NULL;
	return n;
}

static void plan_queues(struct pin_making *m)
{
	const struct pin_facts *f = m->f;
	const struct pin_nic *nic = &f->nic;
	const uint32_t workers = (uint32_t)m->plan->cores.n, now = pin_queues(nic);
	/* Drivers with queues of both kinds keep the kind that they use. */
	const bool combined = nic->channels.combined > 0 || nic->channels.rx_max == 0;
	const uint32_t most = combined ? nic->channels.combined_max : nic->channels.rx_max;

	m->plan->queues = now > 0 ? now : queue_dirs(f);
	if ((nic->has & PIN_HAS_CHANNELS) == 0 || most == 0) {
		if (m->plan->queues != workers)
			pin_plan_note(m, false, "%s cannot change its number of queues, %u",
				      nic->driver, m->plan->queues);
	} else {
		m->plan->queues = workers < most ? workers : most;
	}
	if (m->plan->queues < workers)
		pin_plan_note(m, true,
			      "%u workers, but %u %s: fluxtap spreads packets itself, or give "
			      "--cores fewer CPUs",
			      workers, m->plan->queues,
			      m->plan->queues == 1 ? "queue" : "queues at most");
	if (m->plan->queues == now || now == 0)
		return;
	struct pin_change *c =
	    pin_plan_add(m, PIN_CHANNELS,
			 "a queue for each worker: with fewer some stay idle, with more the "
			 "load is uneven");
	/* The kernel refuses to take away a queue that the table names. */
	const bool reset = m->plan->queues < now && (nic->has & PIN_HAS_RSS) != 0 &&
			   !pin_table_equal(&nic->rss, now);
	const char *kind = combined ? "combined" : "rx";

	c->value = m->plan->queues;
	(void)snprintf(c->what, sizeof(c->what), "queues: %s %u -> %u", kind, now, c->value);
	if (reset)
		(void)snprintf(c->command, sizeof(c->command),
			       "ethtool -X %s default && ethtool -L %s %s %u", f->ifname, f->ifname,
			       kind, c->value);
	else
		(void)snprintf(c->command, sizeof(c->command), "ethtool -L %s %s %u", f->ifname,
			       kind, c->value);
}

static void plan_ring(struct pin_making *m)
{
	const struct pin_nic *nic = &m->f->nic;
	const uint32_t most = nic->rings.rx_max, want = most < RING ? most : RING;

	if ((nic->has & PIN_HAS_RINGS) == 0 || most == 0)
		return;
	if (most < RING)
		pin_plan_note(m, false,
			      "the receive ring of %s has room for %u frames at most: a "
			      "longer burst is lost",
			      nic->driver, most);
	if (nic->rings.rx >= want)
		return;
	struct pin_change *c = pin_plan_add(m, PIN_RINGS,
					    "room for a burst while a worker is busy: 4096 of the "
					    "smallest frames are 275 us of 10 GbE");
	c->value = want;
	(void)snprintf(c->what, sizeof(c->what), "receive ring: %u -> %u", nic->rings.rx, want);
	(void)snprintf(c->command, sizeof(c->command), "ethtool -G %s rx %u", m->f->ifname, want);
}

static void plan_coalesce(struct pin_making *m)
{
	const struct pin_nic *nic = &m->f->nic;
	const uint32_t now = nic->coalesce.rx_usecs;
	const bool adaptive = nic->coalesce.adaptive_rx;
	const uint32_t want =
	    now > USECS_MAX || (now > 0 && now <= m->driver->adaptive_usecs) ? USECS : now;
	char usecs[48] = "", args[48] = "";

	if ((nic->has & PIN_HAS_COALESCE) == 0 || m->driver->delay_fixed ||
	    (!adaptive && want == now))
		return;
	struct pin_change *c =
	    pin_plan_add(m, PIN_COALESCE,
			 "packets get their time when they are fetched: a delay "
			 "that adapts or is long moves response times by hundreds of microseconds");
	if (want != now) {
		(void)snprintf(usecs, sizeof(usecs), "%srx-usecs %u -> %u", adaptive ? ", " : "",
			       now, want);
		(void)snprintf(args, sizeof(args), " rx-usecs %u", want);
	}
	c->value = want;
	c->tentative = m->driver->name == NULL;
	(void)snprintf(c->what, sizeof(c->what), "coalescing: %s%s",
		       adaptive ? "adaptive-rx on -> off" : "", usecs);
	(void)snprintf(c->command, sizeof(c->command), "ethtool -C %s%s%s", m->f->ifname,
		       adaptive ? " adaptive-rx off" : "", args);
}

#define JOINS "joins packets into ones that were never on the wire; with it XDP may be refused"
#define UNTAGS "takes VLAN tags out of the frames, and the probe looks for them there"

static void plan_offloads(struct pin_making *m)
{
	static const struct {
		const char *name, *why;
		bool on;
	} wanted[] = {
	    {"rx-lro", JOINS, false},
	    {"rx-gro-hw", JOINS, false},
	    {"rx-gro", "joins packets before generic XDP and host mode see them", false},
	    {"rx-gro-list", "joins packets before generic XDP and host mode see them", false},
	    {"rx-vlan-hw-parse", UNTAGS, false},
	    {"rx-vlan-stag-hw-parse", UNTAGS, false},
	    {"rx-hashing", "some drivers spread packets over queues only with it", true},
	};
	const bool spread = (m->f->nic.has & PIN_HAS_RSS) != 0 && m->plan->queues > 1;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		const struct pin_feature *x = pin_feature_find(&m->f->nic, wanted[i].name);
		const char *way = wanted[i].on ? "on" : "off";

		if (x == NULL || x->active == wanted[i].on || (wanted[i].on && !spread))
			continue;
		if (!x->changeable) {
			if (!wanted[i].on)
				pin_plan_note(m, false, "%s cannot turn %s off here: it %s",
					      m->f->nic.driver, x->name, wanted[i].why);
			continue;
		}
		struct pin_change *c = pin_plan_add(m, PIN_FEATURE, wanted[i].why);
		c->on = wanted[i].on;
		(void)snprintf(c->name, sizeof(c->name), "%s", x->name);
		(void)snprintf(c->what, sizeof(c->what), "%s: %s -> %s", x->name,
			       x->active ? "on" : "off", way);
		(void)snprintf(c->command, sizeof(c->command), "ethtool -K %s %s %s", m->f->ifname,
			       x->name, way);
	}
}

void pin_plan_nic(struct pin_making *m)
{
	plan_queues(m);
	plan_ring(m);
	plan_coalesce(m);
	plan_offloads(m);
}

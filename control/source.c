/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include "../dataplane/capfile.h"
#include "exit.h"
#include "rights.h"
#include "ports.h"
#include "steer.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>

#define FAN_RING_BYTES ((size_t)4 << 20)

struct source {
	unsigned workers;
	size_t n;
	struct rx **rx;     /* [n], owned */
	struct rx_fan *fan; /* owns rx[0] where there is one */
	struct steer *steer;
	struct ports *ports;
	uint64_t ports_keep; /* capabilities */
	bool is_pcap;
	struct rx **sink; /* [workers], what workers get */
};

static int open_pcap(struct source *s, const struct config *c, char *err, size_t cap)
{
	s->rx[0] = rx_pcap_create((const char *const *)c->pcap.v, c->pcap.n, err, cap);
	if (s->rx[0] == NULL)
		return EXIT_USAGE;
	s->n = 1;
	s->is_pcap = true;
	return EXIT_DONE;
}

static int open_xdp(struct source *s, const struct config *c, const struct doh_file *doh, char *err,
		    size_t cap)
{
	const struct steer_opts o = {
	    .spec = c->xdp,
	    .workers = s->workers,
	    .ports = c->ports.v,
	    .n_ports = c->ports.n,
	    .crypt = true,
	    .doh = doh->prefix,
	    .n_doh = doh->prefixes,
	    .doh_all = doh->list.names != 0,
	};

	s->steer = steer_create(&o, err, cap);
	if (s->steer == NULL)
		return errno == EINVAL ? EXIT_USAGE : EXIT_MACHINE;
	for (s->n = 0; s->n < steer_source_count(s->steer); s->n++)
		s->rx[s->n] = steer_source(s->steer, s->n);
	return EXIT_DONE;
}

static int open_dpdk(struct source *s, const struct config *c, char *err, size_t cap)
{
	const struct ports_opts o = {
	    .devargs = c->dpdk,
	    .no_huge = c->no_huge,
	    .workers = s->workers,
	};

	s->ports = ports_create(&o, err, cap);
	if (s->ports == NULL)
		return errno == EINVAL ? EXIT_USAGE : EXIT_MACHINE;
	s->ports_keep = rights_keeps_dpdk(c->dpdk);
	for (s->n = 0; s->n < ports_source_count(s->ports); s->n++)
		s->rx[s->n] = ports_source(s->ports, s->n);
	return EXIT_DONE;
}

static int share_out(struct source *s, char *err, size_t cap)
{
	if (s->n == s->workers) {
		for (size_t i = 0; i < s->n; i++)
			s->sink[i] = s->rx[i];
		return EXIT_DONE;
	}
	s->fan = rx_fan_create(s->rx[0], s->workers, FAN_RING_BYTES);
	if (s->fan == NULL) {
		(void)snprintf(err, cap, "not enough memory to hand packets to %u workers",
			       s->workers);
		return EXIT_MACHINE;
	}
	for (unsigned i = 0; i < s->workers; i++)
		s->sink[i] = rx_fan_sink(s->fan, i);
	return EXIT_DONE;
}

struct source *source_create(const struct config *c, const struct doh_file *doh, int *code,
			     char *err, size_t cap)
{
	struct source *s = calloc(1, sizeof(*s));

	*code = EXIT_MACHINE;
	(void)snprintf(err, cap, "not enough memory");
	if (s == NULL)
		return NULL;
	s->workers = (unsigned)c->cores.n;
	s->rx = calloc(s->workers, sizeof(struct rx *));
	s->sink = calloc(s->workers, sizeof(struct rx *));
	if (s->rx == NULL || s->sink == NULL)
		goto undo;
	if (c->pcap.n != 0)
		*code = open_pcap(s, c, err, cap);
	else if (c->xdp != NULL)
		*code = open_xdp(s, c, doh, err, cap);
	else
		*code = open_dpdk(s, c, err, cap);
	if (*code == EXIT_DONE)
		*code = share_out(s, err, cap);
	if (*code == EXIT_DONE)
		return s;
undo:
	source_destroy(s);
	return NULL;
}

void source_destroy(struct source *s)
{
	if (s == NULL)
		return;
	if (s->fan != NULL)
		rx_fan_destroy(s->fan);
	for (size_t i = 0; s->fan == NULL && i < s->n; i++)
		if (s->rx[i] != NULL)
			s->rx[i]->ops->destroy(s->rx[i]);
	steer_destroy(s->steer);
	ports_destroy(s->ports);
	free(s->rx);
	free(s->sink);
	free(s);
}

int source_start(struct source *s, int cpu)
{
	return s->fan != NULL ? rx_fan_start(s->fan, cpu) : 0;
}

void source_stop(struct source *s)
{
	if (s->steer != NULL)
		steer_stop(s->steer);
	if (s->is_pcap)
		capfile_stop();
	if (s->fan != NULL)
		rx_fan_stop(s->fan);
}

struct rx *source_rx(const struct source *s, unsigned i)
{
	return s->sink[i];
}

uint64_t source_dropped(const struct source *s, unsigned i)
{
	return i < s->n ? s->rx[i]->ops->dropped(s->rx[i]) : 0;
}

const char *source_note(const struct source *s)
{
	if (s->steer != NULL)
		return steer_note(s->steer);
	return s->ports != NULL ? ports_note(s->ports) : "";
}

const char *source_counts(const struct source *s, char *buf, size_t cap)
{
	struct steer_counters n;
	uint64_t stamps, odd;
	size_t at;

	if (s->steer == NULL)
		return "";
	steer_counters_get(s->steer, &n);
	at = (size_t)snprintf(buf, cap,
			      "%" PRIu64 " frames seen, %" PRIu64 " to workers, %" PRIu64
			      " passed on as not DNS, %" PRIu64 " on queues not watched",
			      n.seen, n.taken, n.passed, n.unclaimed);
	if (at < cap)
		at += (size_t)snprintf(buf + at, cap - at, "%s", steer_polling(s->steer));
	if (at < cap && steer_stamps_get(s->steer, &stamps, &odd))
		at += (size_t)snprintf(buf + at, cap - at,
				       ", %" PRIu64 " with the device's time, %" PRIu64
				       " whose was absurd",
				       stamps, odd);
	if (at < cap && steer_clock_steps(s->steer) != 0)
		(void)snprintf(buf + at, cap - at, ", the clock stepped %" PRIu64 " times",
			       steer_clock_steps(s->steer));
	return buf;
}

const char *source_error(const struct source *s)
{
	if (s->steer != NULL && steer_is_gone(s->steer))
		return "the interface has gone; its packets up to then are counted";
	if (s->fan != NULL)
		return rx_fan_error(s->fan);
	for (size_t i = 0; i < s->n; i++)
		if (s->rx[i]->error[0] != 0)
			return s->rx[i]->error;
	return "";
}

void source_progress(const struct source *s, uint64_t *done, uint64_t *total)
{
	*done = *total = 0;
	if (s->is_pcap)
		rx_pcap_progress(s->rx[0], done, total);
}

bool source_tend(struct source *s)
{
	if (s->steer == NULL)
		return true;
	steer_tend(s->steer);
	return !steer_is_gone(s->steer);
}

uint64_t source_keeps(const struct source *s)
{
	if (s->steer != NULL)
		return steer_needs_admin(s->steer) ? RIGHTS_CAP(CAP_NET_ADMIN) : 0;
	return s->ports_keep;
}

bool source_is_live(const struct source *s)
{
	return s->rx[0]->live;
}

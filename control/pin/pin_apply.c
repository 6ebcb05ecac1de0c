/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSES 2 /* the second for what the first one's resets undid */

struct applying {
	const struct pin_door *d;
	const struct pin_teller *t;
	struct pin_applied *out;
	char *err;
	size_t cap;
	char refused[64][64]; /* what the driver would not do, by its beginning */
};

static void tell(const struct pin_teller *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(const struct pin_teller *t, const char *format, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	t->say(t->ctx, line);
}

static int set_queues(const struct pin_door *d, const char *ifname, struct pin_nic *nic,
		      uint32_t queues)
{
	if (nic->channels.combined > 0 || nic->channels.rx_max == 0)
		nic->channels.combined = queues;
	else
		nic->channels.rx = queues;
	const int rc = d->nic_write(d->ctx, ifname, PIN_CHANNELS, 0, nic);
	if (rc >= 0 || (nic->has & PIN_HAS_RSS) == 0)
		return rc;
	/* A table that somebody set names the queues that are to go. */
	nic->rss.key_len = nic->rss.table_len = 0;
	nic->rss.function = 0;
	if (d->nic_write(d->ctx, ifname, PIN_RSS, 0, nic) < 0)
		return rc;
	return d->nic_write(d->ctx, ifname, PIN_CHANNELS, 0, nic);
}

static int set_feature(const struct pin_door *d, const char *ifname, struct pin_nic *nic,
		       const struct pin_change *c)
{
	for (unsigned i = 0; i < nic->features; i++) {
		if (strcmp(nic->feature[i].name, c->name) == 0) {
			nic->feature[i].wanted = c->on;
			return d->nic_write(d->ctx, ifname, PIN_FEATURE, i, nic);
		}
	}
	return -ENOENT;
}

static int set_rss(const struct pin_door *d, const char *ifname, struct pin_nic *nic,
		   const struct pin_plan *p, const struct pin_change *c)
{
	struct pin_rss *rss = &nic->rss;

	if (c->on)
		memcpy(rss->key, p->key, sizeof(rss->key));
	rss->function = PIN_TOEPLITZ;
	/* Its length may have changed with the queues. */
	for (uint32_t i = 0; c->value > 0 && i < rss->table_len; i++)
		rss->table[i] = i % c->value;
	return d->nic_write(d->ctx, ifname, PIN_RSS, 0, nic);
}

static int set_nic(const struct pin_door *d, const char *ifname, const struct pin_plan *p,
		   const struct pin_change *c)
{
	struct pin_nic *nic = malloc(sizeof(*nic));
	int rc = nic == NULL ? -ENOMEM : d->nic_read(d->ctx, ifname, nic);

	if (rc == 0) {
		switch (c->part) {
		case PIN_CHANNELS: rc = set_queues(d, ifname, nic, c->value); break;
		case PIN_FEATURE: rc = set_feature(d, ifname, nic, c); break;
		case PIN_RSS: rc = set_rss(d, ifname, nic, p, c); break;
		case PIN_RINGS:
			nic->rings.rx = c->value;
			rc = d->nic_write(d->ctx, ifname, PIN_RINGS, 0, nic);
			break;
		case PIN_COALESCE:
			nic->coalesce.adaptive_rx = false;
			nic->coalesce.rx_usecs = c->value;
			rc = d->nic_write(d->ctx, ifname, PIN_COALESCE, 0, nic);
			break;
		default:
			nic->flow[c->index] = c->value;
			rc = d->nic_write(d->ctx, ifname, PIN_FLOW, c->index, nic);
		}
	}
	free(nic);
	return rc < 0 ? rc : 0;
}

/* By name or queue, since numbers change with the number of queues. */
static int set_irq(const struct pin_door *d, const char *ifname, const struct pin_change *c)
{
	struct pin_facts now;
	char path[PIN_PATH_CAP], cpu[16], err[256];
	int rc = pin_read(d, ifname, &now, err, sizeof(err));

	if (rc != 0)
		return rc;
	rc = -ENOENT;
	for (size_t i = 0; i < now.irqs && rc == -ENOENT; i++) {
		const struct pin_irq *irq = &now.irq[i];
		if (c->name[0] != '\0' ? strcmp(irq->name, c->name) != 0
				       : irq->role != PIN_ROLE_RX || irq->queue != c->index)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq->number);
		(void)snprintf(cpu, sizeof(cpu), "%u", c->value);
		rc = pin_put(d->root, path, cpu);
	}
	pin_fini(&now);
	return rc;
}

static int do_one(const struct applying *a, const char *ifname, const struct pin_plan *p,
		  const struct pin_change *c)
{
	switch (c->part) {
	case PIN_FILE: return pin_put(a->d->root, c->path, c->text);
	case PIN_IRQ: return set_irq(a->d, ifname, c);
	default: return set_nic(a->d, ifname, p, c);
	}
}

static bool was_refused(const struct applying *a, const struct pin_change *c)
{
	for (size_t i = 0; i < a->out->refused && i < 64; i++)
		if (strncmp(a->refused[i], c->what, sizeof(a->refused[i]) - 1) == 0)
			return true;
	return false;
}

static int do_all(struct applying *a, const char *ifname, const struct pin_plan *p)
{
	for (size_t i = 0; i < p->changes; i++) {
		const struct pin_change *c = &p->change[i];
		if (was_refused(a, c))
			continue;
		const int rc = do_one(a, ifname, p, c);
		if (rc == 0) {
			tell(a->t, "%s", c->what);
			a->out->done++;
		} else if (c->tentative && rc != -EPERM && rc != -EACCES) {
			tell(a->t, "left out, the driver refuses it (%s): %s", strerror(-rc),
			     c->what);
			if (a->out->refused < 64)
				(void)snprintf(a->refused[a->out->refused++], 64, "%.63s", c->what);
		} else {
			(void)snprintf(a->err, a->cap, "%s: %s (%s)", c->what, strerror(-rc),
				       c->command);
			return rc;
		}
	}
	return 0;
}

/* Plans again; a plan that is not empty is told or done. */
static int do_again(struct applying *a, const char *ifname, const struct pin_cores *cores,
		    bool last)
{
	struct pin_facts now;
	struct pin_plan plan;
	int rc = pin_read(a->d, ifname, &now, a->err, a->cap);

	if (rc != 0)
		return rc;
	rc = pin_plan_make(&now, cores, &plan, a->err, a->cap);
	if (rc == 0 && !last)
		rc = do_all(a, ifname, &plan);
	for (size_t i = 0; rc == 0 && last && i < plan.changes; i++) {
		if (was_refused(a, &plan.change[i]))
			continue;
		a->out->left++;
		tell(a->t, "did not hold: %s", plan.change[i].what);
	}
	if (rc == 0)
		pin_plan_fini(&plan);
	pin_fini(&now);
	return rc;
}

int pin_apply(const struct pin_door *d, const struct pin_facts *f, const struct pin_plan *p,
	      const char *path, const struct pin_teller *t, struct pin_applied *out, char *err,
	      size_t cap)
{
	struct applying a = {.d = d, .t = t, .out = out, .err = err, .cap = cap};
	struct pin_state before;
	int rc = pin_state_make(f, p, &before);

	*out = (struct pin_applied){.undone = true};
	if (rc != 0) {
		(void)snprintf(err, cap, "not enough memory");
		return rc;
	}
	rc = pin_state_write(d->root, path, &before, err, cap);
	if (rc != 0)
		goto done;
	rc = do_all(&a, f->ifname, p);
	for (int pass = 1; pass <= PASSES && rc == 0; pass++)
		rc = do_again(&a, f->ifname, &p->cores, pass == PASSES);
	if (rc == 0) {
		out->undone = false;
		goto done;
	}
	out->undone = pin_restore(d, &before, t) == 0;
	if (out->undone)
		(void)pin_state_remove(d->root, path);
done:
	pin_state_fini(&before);
	return rc;
}

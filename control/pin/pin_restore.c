/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One walk over everything that a state holds. The first one writes what differs; the
 * second one only looks, and what differs still could not be put back. */
struct walk {
	const struct pin_door *d;
	const struct pin_state *s;
	const struct pin_teller *t;
	struct pin_facts now;
	bool look;
	size_t left;
};

static void tell(const struct walk *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(const struct walk *w, const char *format, ...)
{
	char line[768];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	w->t->say(w->t->ctx, line);
}

/* Something differs: writes `part` as it stands in w->now.nic, or says that it is left. */
static void put_part(struct walk *w, enum pin_part part, unsigned index, const char *what)
{
	if (w->look) {
		w->left++;
		tell(w, "could not be put back: %s", what);
		return;
	}
	const int rc = w->d->nic_write(w->d->ctx, w->s->was.ifname, part, index, &w->now.nic);
	if (rc < 0)
		tell(w, "%s: %s", what, strerror(-rc));
	else
		tell(w, "put back: %s", what);
}

static void put_channels(struct walk *w)
{
	const struct pin_nic *was = &w->s->was.nic;
	struct pin_nic *now = &w->now.nic;

	if ((was->has & now->has & PIN_HAS_CHANNELS) == 0 ||
	    (now->channels.rx == was->channels.rx && now->channels.tx == was->channels.tx &&
	     now->channels.combined == was->channels.combined))
		return;
	/* The kernel takes away no queue that the table of our making names. */
	if (!w->look && (now->has & PIN_HAS_RSS) != 0) {
		struct pin_nic *reset = malloc(sizeof(*reset));
		if (reset != NULL) {
			*reset = *now;
			reset->rss.key_len = reset->rss.table_len = 0;
			reset->rss.function = 0;
			(void)w->d->nic_write(w->d->ctx, w->s->was.ifname, PIN_RSS, 0, reset);
		}
		free(reset);
	}
	now->channels.rx = was->channels.rx;
	now->channels.tx = was->channels.tx;
	now->channels.combined = was->channels.combined;
	put_part(w, PIN_CHANNELS, 0, "queues");
	if (!w->look)
		(void)w->d->nic_read(w->d->ctx, w->s->was.ifname, now);
}

static void put_rings(struct walk *w)
{
	const struct pin_nic *was = &w->s->was.nic;
	struct pin_nic *now = &w->now.nic;

	if ((was->has & now->has & PIN_HAS_RINGS) == 0 ||
	    (now->rings.rx == was->rings.rx && now->rings.tx == was->rings.tx))
		return;
	now->rings.rx = was->rings.rx;
	now->rings.tx = was->rings.tx;
	put_part(w, PIN_RINGS, 0, "rings");
}

static void put_coalesce(struct walk *w)
{
	const struct pin_nic *was = &w->s->was.nic;
	struct pin_nic *now = &w->now.nic;

	if ((was->has & now->has & PIN_HAS_COALESCE) == 0 ||
	    (now->coalesce.adaptive_rx == was->coalesce.adaptive_rx &&
	     now->coalesce.adaptive_tx == was->coalesce.adaptive_tx &&
	     now->coalesce.rx_usecs == was->coalesce.rx_usecs &&
	     now->coalesce.rx_frames == was->coalesce.rx_frames &&
	     now->coalesce.tx_usecs == was->coalesce.tx_usecs &&
	     now->coalesce.tx_frames == was->coalesce.tx_frames))
		return;
	now->coalesce = was->coalesce;
	put_part(w, PIN_COALESCE, 0, "coalescing");
}

static void put_features(struct walk *w)
{
	const struct pin_nic *was = &w->s->was.nic;
	struct pin_nic *now = &w->now.nic;

	for (unsigned i = 0; i < now->features; i++) {
		const struct pin_feature *f = pin_feature_find(was, now->feature[i].name);

		if (f == NULL || !f->changeable || now->feature[i].wanted == f->wanted)
			continue;
		now->feature[i].wanted = f->wanted;
		put_part(w, PIN_FEATURE, i, f->name);
	}
}

static void put_flows(struct walk *w)
{
	const struct pin_nic *was = &w->s->was.nic;
	struct pin_nic *now = &w->now.nic;
	char what[32];

	for (unsigned i = 0; i < PIN_FLOWS; i++) {
		if (was->flow[i] == PIN_FLOW_UNKNOWN || now->flow[i] == was->flow[i])
			continue;
		now->flow[i] = was->flow[i];
		(void)snprintf(what, sizeof(what), "hash of %s", pin_flow_names[i]);
		put_part(w, PIN_FLOW, i, what);
	}
}

static void put_rss(struct walk *w)
{
	const struct pin_nic *was = &w->s->was.nic;
	struct pin_nic *now = &w->now.nic;

	if ((was->has & now->has & PIN_HAS_RSS) == 0)
		return;
	const bool same_key = now->rss.key_len == was->rss.key_len &&
			      memcmp(now->rss.key, was->rss.key, was->rss.key_len) == 0;
	const bool same_table =
	    now->rss.table_len == was->rss.table_len &&
	    memcmp(now->rss.table, was->rss.table, was->rss.table_len * sizeof(uint32_t)) == 0;
	const bool same = same_key && same_table && now->rss.function == was->rss.function;

	/* Ours looks like nobody's where it is as by default; the kernel knows the difference. */
	if (same && (w->look || !w->s->rss))
		return;
	const uint8_t xfrm = now->rss.xfrm;
	now->rss = was->rss;
	now->rss.xfrm = xfrm;
	if (same_key)
		now->rss.key_len = 0;
	if (pin_table_equal(&was->rss, pin_queues(was)))
		now->rss.table_len = 0;
	put_part(w, PIN_RSS, 0, "RSS");
}

/* A small file; of an interface that is gone only those of the machine. */
static void put_file(struct walk *w, const char *path, const char *text, bool gone)
{
	char now[4096];
	int rc;

	if ((gone && strncmp(path, "/sys/class/net/", 15) == 0) ||
	    pin_line(w->d->root, path, now, sizeof(now)) != 0 || strcmp(now, text) == 0)
		return;
	if (w->look) {
		w->left++;
		tell(w, "could not be put back: %s to %s", path, text);
		return;
	}
	rc = pin_put(w->d->root, path, text);
	if (rc < 0)
		tell(w, "%s: %s", path, strerror(-rc));
	else
		tell(w, "put back: %s", path);
}

/* The IRQ that has the name now: its number may be another one. */
static const struct pin_irq *irq_now(const struct walk *w, const struct pin_irq *was)
{
	const struct pin_irq *found = NULL;

	for (size_t i = 0; i < w->now.irqs; i++) {
		const struct pin_irq *irq = &w->now.irq[i];
		if (strcmp(irq->name, was->name) == 0 &&
		    (found == NULL || irq->number == was->number))
			found = irq;
	}
	return found;
}

static void put_irqs(struct walk *w)
{
	char path[PIN_PATH_CAP], err[256], what[128];
	char *list = malloc(PIN_LIST_MAX);

	if (list == NULL || pin_read_queues(w->d, &w->now, err, sizeof(err)) != 0) {
		w->left += w->look ? 1 : 0;
		tell(w, "interrupts: %s", list == NULL ? "not enough memory" : err);
		free(list);
		return;
	}
	for (size_t i = 0; i < w->s->was.irqs; i++) {
		const struct pin_irq *was = &w->s->was.irq[i], *now = irq_now(w, was);

		if (now == NULL || pin_cpus_equal(&now->affinity, &was->affinity))
			continue;
		(void)pin_cpus_list(&was->affinity, list, PIN_LIST_MAX);
		(void)snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", now->number);
		(void)snprintf(what, sizeof(what), "IRQ %u (%.40s) to CPUs %.40s", now->number,
			       now->name, list);
		const int rc = w->look ? -EIO : pin_put(w->d->root, path, list);
		if (w->look)
			w->left++;
		tell(w, "%s%s",
		     w->look   ? "could not be put back: "
		     : rc == 0 ? "put back: "
			       : "",
		     what);
		if (!w->look && rc < 0)
			tell(w, "%s: %s", path, strerror(-rc));
	}
	free(list);
}

static void walk_all(struct walk *w)
{
	char err[512];
	const bool there = pin_read(w->d, w->s->was.ifname, &w->now, err, sizeof(err)) == 0;
	const bool ours = there && w->now.ifindex == w->s->was.ifindex;

	if (!ours && !w->look)
		tell(w, "%s of then is gone, and its settings with it", w->s->was.ifname);
	if (ours) {
		put_channels(w);
		put_rings(w);
		put_coalesce(w);
		put_features(w);
		put_flows(w);
		put_rss(w);
	}
	for (size_t i = 0; i < w->s->was.files; i++)
		put_file(w, w->s->was.file[i].path, w->s->was.file[i].text, !ours);
	if (ours)
		put_irqs(w);
	if (there)
		pin_fini(&w->now);
}

size_t pin_restore(const struct pin_door *d, const struct pin_state *s, const struct pin_teller *t)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		t->say(t->ctx, "not enough memory");
		return 1;
	}
	*w = (struct walk){.d = d, .s = s, .t = t};
	walk_all(w);
	w->look = true;
	walk_all(w);
	const size_t left = w->left;
	free(w);
	return left;
}

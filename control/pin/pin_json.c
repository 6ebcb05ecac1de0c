/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_print.h"

#include "pin_drivers.h"

static json_t *cpus_json(const struct pin_cpus *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < PIN_CPU_CAP; i++)
		if (pin_cpus_has(s, i))
			(void)json_array_append_new(list, json_integer(i));
	return list;
}

static json_t *number_or_null(int v)
{
	return v < 0 ? json_null() : json_integer(v);
}

static json_t *rss_json(const struct pin_nic *n)
{
	json_t *table = json_array(), *flows = json_object();
	char key[2 * PIN_KEY_CAP + 1] = "";
	const char *why;
	const bool symmetric = pin_symmetric(n, &why);

	for (uint32_t i = 0; i < n->rss.table_len; i++)
		(void)json_array_append_new(table, json_integer(n->rss.table[i]));
	for (uint32_t i = 0; i < n->rss.key_len; i++)
		(void)snprintf(key + 2 * (size_t)i, 3, "%02x", n->rss.key[i]);
	for (int i = 0; i < PIN_FLOWS; i++) {
		json_t *over =
		    n->flow[i] == PIN_FLOW_UNKNOWN
			? json_null()
			: json_pack("{s:b,s:b}", "addresses",
				    (n->flow[i] & PIN_HASH_ADDRESSES) == PIN_HASH_ADDRESSES,
				    "ports", (n->flow[i] & PIN_HASH_PORTS) != 0);
		(void)json_object_set_new(flows, pin_flow_names[i], over);
	}
	return json_pack("{s:s,s:i,s:i,s:o,s:b,s:s,s:o}", "key", key, "function", n->rss.function,
			 "xfrm", n->rss.xfrm, "table", table, "symmetric", symmetric, "why", why,
			 "flows", flows);
}

static json_t *nic_json(const struct pin_nic *n)
{
	const struct pin_driver *d = pin_driver_find(n->driver);
	const bool said = (n->has & PIN_HAS_XDP) != 0;
	json_t *features = json_object();
	json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "driver", n->driver, "version", n->version,
			      "firmware", n->firmware, "bus", n->bus);

	for (size_t i = 0; i < n->features; i++)
		(void)json_object_set_new(features, n->feature[i].name,
					  json_pack("{s:b,s:b}", "on", n->feature[i].active,
						    "fixed", !n->feature[i].changeable));
	(void)json_object_set_new(o, "features", features);
	(void)json_object_set_new(
	    o, "xdp",
	    json_pack("{s:b,s:b,s:b}", "native", said ? (n->xdp & PIN_XDP_REDIRECT) != 0 : d->xdp,
		      "zerocopy", said ? (n->xdp & PIN_XDP_ZEROCOPY) != 0 : d->zerocopy,
		      "from_kernel", said));
	if ((n->has & PIN_HAS_CHANNELS) != 0)
		(void)json_object_set_new(
		    o, "queues",
		    json_pack(
			"{s:I,s:I,s:I,s:I,s:I,s:I}", "combined", (json_int_t)n->channels.combined,
			"combined_max", (json_int_t)n->channels.combined_max, "rx",
			(json_int_t)n->channels.rx, "rx_max", (json_int_t)n->channels.rx_max, "tx",
			(json_int_t)n->channels.tx, "tx_max", (json_int_t)n->channels.tx_max));
	if ((n->has & PIN_HAS_RINGS) != 0)
		(void)json_object_set_new(
		    o, "rings",
		    json_pack("{s:I,s:I,s:I,s:I}", "rx", (json_int_t)n->rings.rx, "rx_max",
			      (json_int_t)n->rings.rx_max, "tx", (json_int_t)n->rings.tx, "tx_max",
			      (json_int_t)n->rings.tx_max));
	if ((n->has & PIN_HAS_COALESCE) != 0)
		(void)json_object_set_new(o, "coalescing",
					  json_pack("{s:b,s:I,s:I}", "adaptive_rx",
						    n->coalesce.adaptive_rx, "rx_usecs",
						    (json_int_t)n->coalesce.rx_usecs, "rx_frames",
						    (json_int_t)n->coalesce.rx_frames));
	if ((n->has & PIN_HAS_RSS) != 0)
		(void)json_object_set_new(o, "rss", rss_json(n));
	if ((n->has & PIN_HAS_RULES) != 0)
		(void)json_object_set_new(o, "steering_rules", json_integer(n->rules));
	return o;
}

json_t *pin_facts_json(const struct pin_facts *f)
{
	json_t *irqs = json_array(), *cpus = json_array(), *files = json_object();
	json_t *o = nic_json(&f->nic);

	for (size_t i = 0; i < f->irqs; i++) {
		const struct pin_irq *irq = &f->irq[i];
		json_t *queue = irq->role != PIN_ROLE_RX && irq->role != PIN_ROLE_TX
				    ? json_null()
				    : json_integer(irq->queue);
		(void)json_array_append_new(
		    irqs, json_pack("{s:i,s:s,s:o,s:o,s:o}", "number", (int)irq->number, "name",
				    irq->name, "queue", queue, "cpus", cpus_json(&irq->affinity),
				    "effective", cpus_json(&irq->effective)));
	}
	for (unsigned i = 0; i < f->cpus; i++) {
		const struct pin_cpu *c = &f->cpu[i];
		json_t *governor = c->governor[0] != '\0' ? json_string(c->governor) : json_null();
		if (c->online)
			(void)json_array_append_new(
			    cpus, json_pack("{s:i,s:o,s:i,s:b,s:b,s:o}", "cpu", (int)i, "node",
					    number_or_null(c->node), "core", (int)c->core,
					    "isolated", pin_cpus_has(&f->isolated, i), "nohz_full",
					    pin_cpus_has(&f->nohz_full, i), "governor", governor));
		else
			json_decref(governor);
	}
	for (size_t i = 0; i < f->files; i++)
		(void)json_object_set_new(files, f->file[i].path, json_string(f->file[i].text));
	(void)json_object_set_new(o, "interface", json_string(f->ifname));
	(void)json_object_set_new(o, "state", json_string(f->state));
	(void)json_object_set_new(o, "up", json_boolean(f->up));
	(void)json_object_set_new(o, "mtu", json_integer(f->mtu));
	(void)json_object_set_new(o, "speed_mbps", number_or_null(f->speed));
	(void)json_object_set_new(o, "bound_to",
				  f->bound[0] != '\0' ? json_string(f->bound) : json_null());
	(void)json_object_set_new(o, "numa_node", number_or_null(f->node));
	(void)json_object_set_new(o, "default_route",
				  f->route[0] != '\0' ? json_string(f->route) : json_null());
	(void)json_object_set_new(o, "irqbalance", json_boolean(f->irqbalance));
	(void)json_object_set_new(o, "irqs", irqs);
	(void)json_object_set_new(o, "cpus", cpus);
	(void)json_object_set_new(o, "queue_files", files);
	return o;
}

json_t *pin_plan_json(const struct pin_facts *f, const struct pin_plan *p)
{
	json_t *cores = json_array(), *changes = json_array(), *notes = json_array();

	for (size_t i = 0; i < p->cores.n; i++)
		(void)json_array_append_new(cores, json_integer(p->cores.v[i]));
	for (size_t i = 0; i < p->changes; i++)
		(void)json_array_append_new(
		    changes, json_pack("{s:s,s:s,s:s,s:b}", "what", p->change[i].what, "why",
				       p->change[i].why, "command", p->change[i].command,
				       "tentative", p->change[i].tentative));
	for (size_t i = 0; i < p->notes; i++)
		(void)json_array_append_new(
		    notes,
		    json_pack("{s:b,s:s}", "warning", p->note[i].warning, "text", p->note[i].text));
	return json_pack("{s:s,s:s,s:o,s:o,s:I,s:b,s:o,s:o,s:s}", "interface", f->ifname, "driver",
			 f->nic.driver, "cores", cores, "control_core", number_or_null(p->control),
			 "queues", (json_int_t)p->queues, "rss", p->rss, "changes", changes,
			 "notes", notes, "run", p->run);
}

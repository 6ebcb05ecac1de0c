/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_print.h"

#include "pin_drivers.h"

#include <string.h>

#define LABEL "  %-14s "
#define WIDTH 79

/* Words between columns `indent` and WIDTH, the cursor standing at `indent`. */
static void wrap(FILE *out, const char *text, int indent)
{
	int at = indent;

	while (*text != '\0') {
		const int word = (int)strcspn(text, " ");

		if (at > indent && at + 1 + word > WIDTH) {
			(void)fprintf(out, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			(void)fputc(' ', out);
			at++;
		}
		(void)fprintf(out, "%.*s", word, text);
		at += word;
		text += word + (int)strspn(text + word, " ");
	}
	(void)fputc('\n', out);
}

static void print_device(FILE *out, const struct pin_facts *f)
{
	const struct pin_driver *driver = pin_driver_find(f->nic.driver);
	const bool said = (f->nic.has & PIN_HAS_XDP) != 0;
	const bool xdp = said ? (f->nic.xdp & PIN_XDP_REDIRECT) != 0 : driver->xdp;
	const bool zerocopy = said ? (f->nic.xdp & PIN_XDP_ZEROCOPY) != 0 : driver->zerocopy;
	char list[PIN_LIST_CAP];

	(void)fprintf(out, LABEL "%s %s%s%s\n", "driver", f->nic.driver, f->nic.version,
		      f->nic.firmware[0] != '\0' ? ", firmware " : "", f->nic.firmware);
	(void)fprintf(out, LABEL, "device");
	if (f->pci)
		(void)fprintf(out, "PCI %s, bound to %s%s\n", f->nic.bus,
			      f->bound[0] != '\0' ? f->bound : "nothing",
			      strcmp(f->bound, "mlx5_core") == 0 ? ", as DPDK wants it"
								 : " (DPDK would want vfio-pci)");
	else
		(void)fprintf(out, "%s, not on PCI: not for DPDK but by net_af_xdp\n",
			      f->nic.bus[0] != '\0' ? f->nic.bus : "virtual");
	if (f->node >= 0)
		(void)fprintf(out, LABEL "node %d, CPUs %s\n", "NUMA", f->node,
			      pin_cpus_text(&f->node_cpus, list));
	else
		(void)fprintf(out, LABEL "not tied to a node\n", "NUMA");
	(void)fprintf(out, LABEL "%s%s%s\n", "XDP",
		      !said && driver->name == NULL ? "not known"
		      : !xdp                        ? "generic only"
		      : zerocopy                    ? "native, zero-copy"
						    : "native, no zero-copy",
		      said                   ? " (the kernel says)"
		      : driver->name == NULL ? ""
					     : " (as newest kernels have it)",
		      "");
	(void)fprintf(out, LABEL "%s%s\n", "default route",
		      f->route[0] != '\0' ? "leaves by " : "elsewhere or none", f->route);
}

static void print_queues(FILE *out, const struct pin_nic *n)
{
	(void)fprintf(out, LABEL, "queues");
	if ((n->has & PIN_HAS_CHANNELS) == 0)
		(void)fputs("the driver does not say", out);
	if (n->channels.combined_max > 0)
		(void)fprintf(out, "combined %u of %u", n->channels.combined,
			      n->channels.combined_max);
	if (n->channels.rx_max > 0 || n->channels.tx_max > 0)
		(void)fprintf(out, "%srx %u of %u, tx %u of %u",
			      n->channels.combined_max > 0 ? ", " : "", n->channels.rx,
			      n->channels.rx_max, n->channels.tx, n->channels.tx_max);
	(void)fprintf(out, "\n" LABEL, "rings");
	if ((n->has & PIN_HAS_RINGS) != 0)
		(void)fprintf(out, "rx %u of %u, tx %u of %u\n", n->rings.rx, n->rings.rx_max,
			      n->rings.tx, n->rings.tx_max);
	else
		(void)fputs("the driver does not say\n", out);
	(void)fprintf(out, LABEL, "coalescing");
	if ((n->has & PIN_HAS_COALESCE) != 0)
		(void)fprintf(out, "adaptive-rx %s, rx-usecs %u, rx-frames %u\n",
			      n->coalesce.adaptive_rx ? "on" : "off", n->coalesce.rx_usecs,
			      n->coalesce.rx_frames);
	else
		(void)fputs("the driver does not say\n", out);
}

static void print_offloads(FILE *out, const struct pin_nic *n)
{
	static const char *const names[] = {
	    "rx-gro",         "rx-gro-hw",        "rx-gro-list",
	    "rx-lro",         "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse",
	    "rx-vlan-filter", "rx-ntuple-filter", "rx-hashing",
	};
	char text[640] = "";
	size_t len = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct pin_feature *x = pin_feature_find(n, names[i]);

		if (x != NULL && (x->active || x->changeable) && len < sizeof(text))
			len += (size_t)snprintf(
			    text + len, sizeof(text) - len, "%s%s %s%s", len > 0 ? ", " : "",
			    x->name, x->active ? "on" : "off", x->changeable ? "" : " (fixed)");
	}
	(void)fprintf(out, LABEL, "offloads");
	wrap(out, text[0] != '\0' ? text : "none of those that matter", 17);
}

static void print_table(FILE *out, const struct pin_rss *rss, uint32_t queues)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < rss->table_len; i++)
		most = rss->table[i] > most ? rss->table[i] : most;
	(void)fprintf(out, LABEL "%u entries", "RSS table", rss->table_len);
	if (queues > 0 && pin_table_equal(rss, queues)) {
		(void)fprintf(out, ", equal over %u %s\n", queues,
			      queues == 1 ? "queue" : "queues");
		return;
	}
	(void)fprintf(out, " over queues 0-%u:", most);
	for (uint32_t i = 0; i < rss->table_len && i < 16; i++)
		(void)fprintf(out, " %u", rss->table[i]);
	(void)fputs(rss->table_len > 16 ? " ...\n" : "\n", out);
}

static const char *over(uint32_t bits)
{
	switch (bits) {
	case PIN_FLOW_UNKNOWN: return "not said";
	case PIN_HASH_ADDRESSES: return "addresses";
	case PIN_HASH_ADDRESSES | PIN_HASH_PORTS: return "addresses and ports";
	default: return "other fields";
	}
}

static const char *function_name(unsigned function)
{
	return function == PIN_TOEPLITZ ? "toeplitz"
	       : function == PIN_XOR    ? "xor"
	       : function == PIN_CRC32  ? "crc32"
					: "unknown function";
}

static void print_rss(FILE *out, const struct pin_facts *f)
{
	const struct pin_nic *n = &f->nic;
	const char *why;
	char text[512];
	size_t len = 0;

	if ((n->has & PIN_HAS_RSS) == 0) {
		(void)fprintf(out, LABEL "the driver has none that could be set\n", "RSS");
		return;
	}
	(void)pin_symmetric(n, &why);
	(void)fprintf(out, LABEL "%s, %s\n", "RSS hash", function_name(n->rss.function), why);
	for (int i = 0; i < PIN_FLOWS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s: %s",
					i > 0 ? ", " : "", pin_flow_names[i], over(n->flow[i]));
	(void)fprintf(out, LABEL, "hashed over");
	wrap(out, text, 17);
	(void)fprintf(out, LABEL, "RSS key");
	for (uint32_t i = 0; i < n->rss.key_len; i++)
		(void)fprintf(out, "%s%02x",
			      i % 20 == 0 && i > 0 ? "\n                 "
			      : i > 0              ? ":"
						   : "",
			      n->rss.key[i]);
	(void)fputs(n->rss.key_len > 0 ? "\n" : "not shown by the driver\n", out);
	print_table(out, &n->rss, pin_queues(n));
	if ((n->has & PIN_HAS_RULES) != 0)
		(void)fprintf(out, LABEL "%u\n", "steering rules", n->rules);
}

static void print_irqs(FILE *out, const struct pin_facts *f)
{
	char list[PIN_LIST_CAP], now[PIN_LIST_CAP];
	bool rps = false;

	for (size_t i = 0; i < f->irqs; i++) {
		const struct pin_irq *irq = &f->irq[i];
		(void)fprintf(out, LABEL "%4u  %-32s CPUs %s, now %s\n", i == 0 ? "IRQs" : "",
			      irq->number, irq->name, pin_cpus_text(&irq->affinity, list),
			      pin_cpus_text(&irq->effective, now));
	}
	if (f->irqs == 0)
		(void)fprintf(out, LABEL "none%s\n", "IRQs", f->up ? "" : " while it is down");
	for (size_t i = 0; i < f->files; i++) {
		const struct pin_file *file = &f->file[i];
		if (strstr(file->path, "/rps_cpus") == NULL ||
		    file->text[strspn(file->text, "0,")] == '\0')
			continue;
		const char *queue = strstr(file->path, "/queues/") + strlen("/queues/");
		(void)fprintf(out, LABEL "%.*s to mask %s\n", rps ? "" : "RPS",
			      (int)strcspn(queue, "/"), queue, file->text);
		rps = true;
	}
	if (!rps)
		(void)fprintf(out, LABEL "off\n", "RPS");
}

static void print_machine(FILE *out, const struct pin_facts *f)
{
	char list[PIN_LIST_CAP];
	struct pin_cpus set;
	bool any = false;

	(void)fprintf(out, LABEL "%s\n", "CPUs", pin_cpus_text(&f->online, list));
	for (int node = 0; node < 64; node++) {
		set = (struct pin_cpus){0};
		for (unsigned i = 0; i < f->cpus; i++)
			if (f->cpu[i].online && f->cpu[i].node == node)
				pin_cpus_add(&set, i);
		if (pin_cpus_count(&set) > 0)
			(void)fprintf(out, LABEL "node %d: %s\n", "", node,
				      pin_cpus_text(&set, list));
	}
	(void)fprintf(out, LABEL "%s\n", "isolated", pin_cpus_text(&f->isolated, list));
	(void)fprintf(out, LABEL "%s\n", "nohz_full", pin_cpus_text(&f->nohz_full, list));
	for (unsigned i = 0; i < f->cpus; i++) {
		bool first = f->cpu[i].governor[0] != '\0';

		set = (struct pin_cpus){0};
		for (unsigned k = 0; k < f->cpus && first; k++) {
			if (strcmp(f->cpu[k].governor, f->cpu[i].governor) != 0)
				continue;
			first = k >= i;
			pin_cpus_add(&set, k);
		}
		if (first)
			(void)fprintf(out, LABEL "%s on CPUs %s\n", any ? "" : "governor",
				      f->cpu[i].governor, pin_cpus_text(&set, list));
		any = any || first;
	}
	if (!any)
		(void)fprintf(out, LABEL "none: the clock is not ours to set\n", "governor");
	(void)fprintf(out, LABEL "%s\n", "irqbalance", f->irqbalance ? "runs" : "does not run");
}

void pin_print_facts(FILE *out, const struct pin_facts *f)
{
	(void)fprintf(out, "%s: %s, ", f->ifname, f->state);
	if (f->speed > 0)
		(void)fprintf(out, "%d Mb/s, ", f->speed);
	(void)fprintf(out, "MTU %u, %s\n", f->mtu, f->mac);
	print_device(out, f);
	print_queues(out, &f->nic);
	print_offloads(out, &f->nic);
	print_rss(out, f);
	print_irqs(out, f);
	print_machine(out, f);
}

void pin_print_plan(FILE *out, const struct pin_facts *f, const struct pin_plan *p)
{
	char list[PIN_LIST_CAP];

	(void)fprintf(out, "%s: %s", f->ifname, f->nic.driver);
	if (f->nic.bus[0] != '\0')
		(void)fprintf(out, " at %s", f->nic.bus);
	if (f->node >= 0)
		(void)fprintf(out, ", NUMA node %d", f->node);
	(void)fprintf(out, "\n%s %s", p->cores.n == 1 ? "worker on CPU" : "workers on CPUs",
		      pin_cores_text(&p->cores, list));
	if (p->control >= 0)
		(void)fprintf(out, ", control on CPU %d", p->control);
	(void)fputs("\n\n", out);
	if (p->changes == 0)
		(void)fputs("Nothing to do: what pin could change is right.\n", out);
	for (size_t i = 0; i < p->changes; i++) {
		const struct pin_change *c = &p->change[i];
		(void)fprintf(out, "%2zu. %s%s\n      %s\n", i + 1, c->what,
			      c->tentative && c->part != PIN_IRQ ? " (if the driver takes it)" : "",
			      c->command);
		/* One reason for all that follow one another with it. */
		if (i + 1 == p->changes || strcmp(p->change[i + 1].why, c->why) != 0) {
			(void)fputs("    why: ", out);
			wrap(out, c->why, 9);
		}
	}
	if (p->notes > 0)
		(void)fputc('\n', out);
	for (size_t i = 0; i < p->notes; i++) {
		(void)fputs(p->note[i].warning ? "warning: " : "note: ", out);
		wrap(out, p->note[i].text, p->note[i].warning ? 9 : 6);
	}
	(void)fprintf(out, "\nThen: %s\n", p->run);
}

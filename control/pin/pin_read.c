/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_irqs.h"

#include "../values.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERRUPTS_CAP (16u << 20)
#define CPUS_PATH "/sys/devices/system/cpu"
#define NODES_CAP 1024u

static DIR *open_dir(const char *root, const char *path)
{
	char full[PIN_PATH_CAP];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return NULL;
	return opendir(full);
}

/* A whole number at a path; `none` where there is none. */
static int read_number(const char *root, const char *path, int none)
{
	char text[32], *end;

	if (pin_line(root, path, text, sizeof(text)) != 0)
		return none;
	errno = 0;
	const long v = strtol(text, &end, 10);
	return end == text || *end != '\0' || errno != 0 || v < -1 || v > 0x7fffffff ? none
										     : (int)v;
}

/* A list of CPUs at a path: 0, also where there is no such file; -EINVAL and a sentence. */
static int read_cpus(const char *root, const char *path, struct pin_cpus *out, char *err,
		     size_t cap)
{
	char text[4096], q[VALUE_QUOTE_CAP];

	*out = (struct pin_cpus){0};
	if (pin_line(root, path, text, sizeof(text)) != 0 ||
	    pin_cpus_parse(text, strlen(text), out) == 0)
		return 0;
	(void)snprintf(err, cap, "%s%s: %s is no list of CPUs", root, path, value_quote(q, text));
	return -EINVAL;
}

static int net_line(const struct pin_door *d, const struct pin_facts *f, const char *name,
		    char *out, size_t cap)
{
	char path[PIN_PATH_CAP];

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", f->ifname, name);
	return pin_line(d->root, path, out, cap);
}

static int net_number(const struct pin_door *d, const struct pin_facts *f, const char *name,
		      int none)
{
	char path[PIN_PATH_CAP];

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", f->ifname, name);
	return read_number(d->root, path, none);
}

static int no_interface(const struct pin_door *d, const char *ifname, char *err, size_t cap)
{
	char have[512] = "", dpdk[256], q[VALUE_QUOTE_CAP];
	struct dirent *e;
	DIR *dir = open_dir(d->root, "/sys/class/net");
	size_t len = 0;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && len + 20 < sizeof(have))
			len += (size_t)snprintf(have + len, sizeof(have) - len, "%s%.15s",
						len > 0 ? ", " : "", e->d_name);
	if (dir != NULL)
		(void)closedir(dir);
	pin_pci_dpdk(d->root, dpdk, sizeof(dpdk));
	(void)snprintf(err, cap, "there is no interface %s; there are: %s%s%s",
		       value_quote(q, ifname), have, dpdk[0] != '\0' ? "; bound for DPDK: " : "",
		       dpdk);
	return -ENODEV;
}

static int read_interface(const struct pin_door *d, struct pin_facts *f, char *err, size_t cap)
{
	char text[64] = "0", path[PIN_PATH_CAP], same[16];

	f->ifindex = (unsigned)net_number(d, f, "ifindex", 0);
	f->mtu = (unsigned)net_number(d, f, "mtu", 0);
	f->speed = net_number(d, f, "speed", -1);
	(void)net_line(d, f, "flags", text, sizeof(text));
	f->up = (strtoul(text, NULL, 16) & 1) != 0;
	if (net_line(d, f, "operstate", f->state, sizeof(f->state)) != 0)
		(void)snprintf(f->state, sizeof(f->state), "unknown");
	(void)net_line(d, f, "address", f->mac, sizeof(f->mac));
	const int rc = d->nic_read(d->ctx, f->ifname, &f->nic);
	if (rc != 0) {
		(void)snprintf(err, cap, "%s: the driver does not answer: %s", f->ifname,
			       strerror(-rc));
		return rc;
	}
	f->pci = pin_pci_find(d->root, f->nic.bus, same, f->bound) == 0;
	if (f->pci)
		(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/numa_node", f->nic.bus);
	else
		(void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/numa_node", f->ifname);
	f->node = read_number(d->root, path, -1);
	return 0;
}

static void read_one_cpu(const struct pin_door *d, unsigned n, struct pin_cpu *cpu)
{
	char path[PIN_PATH_CAP], text[512];
	struct pin_cpus siblings;

	cpu->online = true;
	cpu->core = n;
	(void)snprintf(path, sizeof(path), CPUS_PATH "/cpu%u/topology/thread_siblings_list", n);
	if (pin_line(d->root, path, text, sizeof(text)) == 0 &&
	    pin_cpus_parse(text, strlen(text), &siblings) == 0)
		for (unsigned i = 0; i < n && cpu->core == n; i++)
			if (pin_cpus_has(&siblings, i))
				cpu->core = i;
	(void)snprintf(path, sizeof(path), CPUS_PATH "/cpu%u/cpufreq/scaling_governor", n);
	(void)pin_line(d->root, path, cpu->governor, sizeof(cpu->governor));
	(void)snprintf(path, sizeof(path), CPUS_PATH "/cpu%u/cpufreq/scaling_available_governors",
		       n);
	if (pin_line(d->root, path, text, sizeof(text)) == 0)
		cpu->performance = strstr(text, "performance") != NULL;
}

static int read_nodes(const struct pin_door *d, struct pin_facts *f, char *err, size_t cap)
{
	char path[PIN_PATH_CAP];
	struct pin_cpus cpus, nodes;
	int rc = read_cpus(d->root, "/sys/devices/system/node/online", &nodes, err, cap);

	for (unsigned node = 0; node < NODES_CAP && rc == 0; node++) {
		if (!pin_cpus_has(&nodes, node))
			continue;
		(void)snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/cpulist", node);
		rc = read_cpus(d->root, path, &cpus, err, cap);
		for (unsigned i = 0; i < f->cpus && rc == 0; i++)
			if (pin_cpus_has(&cpus, i))
				f->cpu[i].node = (int)node;
		if (rc == 0 && (int)node == f->node)
			f->node_cpus = cpus;
	}
	return rc;
}

static int read_machine(const struct pin_door *d, struct pin_facts *f, char *err, size_t cap)
{
	int rc = read_cpus(d->root, CPUS_PATH "/online", &f->online, err, cap);

	if (rc == 0)
		rc = read_cpus(d->root, CPUS_PATH "/isolated", &f->isolated, err, cap);
	if (rc == 0)
		rc = read_cpus(d->root, CPUS_PATH "/nohz_full", &f->nohz_full, err, cap);
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < PIN_CPU_CAP; i++)
		if (pin_cpus_has(&f->online, i))
			f->cpus = i + 1;
	f->cpu = calloc(f->cpus + 1, sizeof(*f->cpu));
	if (f->cpus == 0 || f->cpu == NULL) {
		(void)snprintf(err, cap, "%s" CPUS_PATH "/online does not say which CPUs there are",
			       d->root);
		return -EINVAL;
	}
	for (unsigned i = 0; i < f->cpus; i++) {
		f->cpu[i].node = -1;
		if (pin_cpus_has(&f->online, i))
			read_one_cpu(d, i, &f->cpu[i]);
	}
	return read_nodes(d, f, err, cap);
}

static void read_irqbalance(const struct pin_door *d, struct pin_facts *f)
{
	DIR *dir = open_dir(d->root, "/proc");
	char path[PIN_PATH_CAP], name[32];
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", e->d_name);
		if (pin_line(d->root, path, name, sizeof(name)) == 0 &&
		    strcmp(name, "irqbalance") == 0)
			f->irqbalance = true;
	}
	if (dir != NULL)
		(void)closedir(dir);
}

/* Whether a default route leaves by `ifname` or by what stands on it (bond, bridge, VLAN).
 * Where that cannot be learnt the answer is yes: apply then asks for --force. */
static void read_route(const struct pin_door *d, struct pin_facts *f, const char *ifname,
		       unsigned depth)
{
	char path[PIN_PATH_CAP];
	struct dirent *e;

	if (d->carries_default(d->ctx, ifname) != 0)
		(void)snprintf(f->route, sizeof(f->route), "%.15s", ifname);
	if (f->route[0] != '\0' || depth == 0)
		return;
	(void)snprintf(path, sizeof(path), "/sys/class/net/%.15s", ifname);
	DIR *dir = open_dir(d->root, path);
	while (dir != NULL && (e = readdir(dir)) != NULL && f->route[0] == '\0')
		if (strncmp(e->d_name, "upper_", 6) == 0)
			read_route(d, f, e->d_name + 6, depth - 1);
	if (dir != NULL)
		(void)closedir(dir);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct pin_file *)a)->path, ((const struct pin_file *)b)->path);
}

static int add_file(struct pin_facts *f, const char *path, const char *text)
{
	struct pin_file *grown = realloc(f->file, (f->files + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	f->file = grown;
	f->file[f->files] = (struct pin_file){strdup(path), strdup(text)};
	const struct pin_file *new = &f->file[f->files++];
	return new->path != NULL &&new->text != NULL ? 0 : -ENOMEM;
}

static int read_queue_files(const struct pin_door *d, struct pin_facts *f)
{
	static const char *const names[] = {"rps_cpus", "rps_flow_cnt", "xps_cpus", "xps_rxqs"};
	char path[PIN_PATH_CAP], text[4096];
	struct dirent *e;
	int rc = 0;

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/queues", f->ifname);
	DIR *dir = open_dir(d->root, path);
	while (dir != NULL && rc == 0 && (e = readdir(dir)) != NULL) {
		for (size_t i = 0; i < sizeof(names) / sizeof(*names) && rc == 0; i++) {
			if (e->d_name[0] == '.')
				break;
			(void)snprintf(path, sizeof(path), "/sys/class/net/%s/queues/%.40s/%s",
				       f->ifname, e->d_name, names[i]);
			if (pin_line(d->root, path, text, sizeof(text)) == 0)
				rc = add_file(f, path, text);
		}
	}
	if (dir != NULL)
		(void)closedir(dir);
	if (f->files > 0)
		qsort(f->file, f->files, sizeof(*f->file), by_path);
	return rc;
}

/* All of a file of which stat knows no size; the caller frees. */
static char *read_all(const char *root, const char *path, size_t *len)
{
	char full[PIN_PATH_CAP], *text = NULL;
	size_t room = 0;
	ssize_t n = 1;

	*len = 0;
	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	const int fd = open(full, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && n > 0 && room < INTERRUPTS_CAP) {
		if (*len == room) {
			char *grown = realloc(text, room += 65536);
			if (grown == NULL)
				break;
			text = grown;
		}
		n = read(fd, text + *len, room - *len);
		*len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		(void)close(fd);
	return text;
}

/* Whether an IRQ is the interface's: the device's own list says, or else the name does. */
static bool irq_is_ours(const struct pin_door *d, const struct pin_facts *f,
			const struct pin_irq *irq)
{
	char path[PIN_PATH_CAP], full[PIN_PATH_CAP * 2];
	const size_t n = strlen(f->ifname);

	if (f->pci)
		(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs", f->nic.bus);
	else
		(void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/msi_irqs", f->ifname);
	(void)snprintf(full, sizeof(full), "%s%s", d->root, path);
	if (access(full, F_OK) == 0) {
		(void)snprintf(full, sizeof(full), "%s%s/%u", d->root, path, irq->number);
		return access(full, F_OK) == 0;
	}
	if (f->nic.bus[0] != '\0' && strstr(irq->name, f->nic.bus) != NULL)
		return true;
	for (const char *at = irq->name; (at = strstr(at, f->ifname)) != NULL; at++)
		if ((at == irq->name || !isalnum((unsigned char)at[-1])) &&
		    !isalnum((unsigned char)at[n]))
			return true;
	return false;
}

static int by_queue(const void *a, const void *b)
{
	const struct pin_irq *x = a, *y = b;

	const bool a_queue = x->role == PIN_ROLE_RX || x->role == PIN_ROLE_TX;

	if (a_queue != (y->role == PIN_ROLE_RX || y->role == PIN_ROLE_TX))
		return a_queue ? -1 : 1;
	if (x->queue != y->queue)
		return x->queue < y->queue ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int add_irq(const struct pin_door *d, struct pin_facts *f, struct pin_irq *irq, char *err,
		   size_t cap)
{
	char path[PIN_PATH_CAP];

	pin_irqs_classify(irq, f->ifname);
	(void)snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq->number);
	int rc = read_cpus(d->root, path, &irq->affinity, err, cap);
	(void)snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", irq->number);
	if (rc == 0)
		rc = read_cpus(d->root, path, &irq->effective, err, cap);
	if (rc != 0)
		return rc;
	struct pin_irq *grown = realloc(f->irq, (f->irqs + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	f->irq = grown;
	f->irq[f->irqs++] = *irq;
	return 0;
}

static void free_queues(struct pin_facts *f)
{
	for (size_t i = 0; i < f->files; i++) {
		free(f->file[i].path);
		free(f->file[i].text);
	}
	free(f->file);
	free(f->irq);
	f->file = NULL;
	f->irq = NULL;
	f->files = f->irqs = 0;
}

int pin_read_queues(const struct pin_door *d, struct pin_facts *f, char *err, size_t cap)
{
	size_t len = 0, at = 0;
	struct pin_irq irq;
	int rc;

	free_queues(f);
	(void)snprintf(err, cap, "not enough memory");
	rc = read_queue_files(d, f);
	char *text = rc == 0 ? read_all(d->root, "/proc/interrupts", &len) : NULL;
	while (rc == 0 && text != NULL && f->irqs < PIN_IRQ_CAP &&
	       pin_irqs_next(text, len, &at, &irq) > 0)
		if (irq_is_ours(d, f, &irq))
			rc = add_irq(d, f, &irq, err, cap);
	free(text);
	/* A device with a single one has it for packets, too. */
	if (rc == 0 && f->irqs == 1 && f->irq[0].role != PIN_ROLE_TX)
		f->irq[0].role = PIN_ROLE_RX;
	if (f->irqs > 0)
		qsort(f->irq, f->irqs, sizeof(*f->irq), by_queue);
	return rc;
}

int pin_read(const struct pin_door *d, const char *ifname, struct pin_facts *f, char *err,
	     size_t cap)
{
	char path[PIN_PATH_CAP];
	struct dirent *e = NULL;
	DIR *dir = NULL;
	int rc = 0;

	*f = (struct pin_facts){.node = -1};
	if (ifname[0] != '\0' && ifname[0] != '.' && strlen(ifname) < sizeof(f->ifname) &&
	    strchr(ifname, '/') == NULL) {
		(void)snprintf(path, sizeof(path), "/sys/class/net/%s", ifname);
		dir = open_dir(d->root, path);
		e = dir != NULL ? readdir(dir) : NULL;
		if (dir != NULL)
			(void)closedir(dir);
	}
	if (e == NULL)
		return no_interface(d, ifname, err, cap);
	(void)snprintf(f->ifname, sizeof(f->ifname), "%s", ifname);
	rc = read_interface(d, f, err, cap);
	if (rc == 0)
		rc = read_machine(d, f, err, cap);
	if (rc == 0)
		rc = pin_read_queues(d, f, err, cap);
	if (rc != 0) {
		pin_fini(f);
		return rc;
	}
	read_irqbalance(d, f);
	read_route(d, f, ifname, 4);
	return 0;
}

void pin_fini(struct pin_facts *f)
{
	free_queues(f);
	free(f->cpu);
	*f = (struct pin_facts){.node = -1};
}

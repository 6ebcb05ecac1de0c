/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports.h"

#include "../dataplane/capfile.h"
#include "../dataplane/rx_dpdk.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES_CAP 64u
#define NAME_CAP 64u
#define ARGS_CAP 1024u
#define NO_HUGE_MB 256u
#define RX_DESCS 2048u
#define TX_DESCS 512u /* some drivers want as many queues to send as to receive */
#define POOL_MBUFS 8191u
#define MTU_MAX 9600u
#define RSS_KEY_CAP 64u
#define HUGE_HINT "sysctl -w vm.nr_hugepages=512, or use --no-huge"

struct ports {
	uint16_t port;
	bool attached, configured;
	bool spread; /* by the device */
	char name[NAME_CAP];
	size_t n; /* sources, and pools */
	struct rte_mempool *pools[SOURCES_CAP];
	struct rx *sources[SOURCES_CAP];
	char note[RX_TEXT_CAP];
};

/* What the devargs say. */
struct plan {
	char name[NAME_CAP]; /* PCI address or vdev */
	char args[ARGS_CAP]; /* behind the first comma */
	bool pci;
	bool pcap; /* net_pcap */
	bool file; /* ... and all its packets come from capture files */
	bool live; /* ... or some from an interface, or the file without end */
	enum link_type link;
};

/* The first line that DPDK logged since said_forget; written under said_stream's lock. */
static struct {
	FILE *stream;
	size_t n;
	bool whole;
	char text[RX_TEXT_CAP];
} said;

static ssize_t said_write(void *cookie, const char *buf, size_t len)
{
	(void)cookie;
	for (size_t i = 0; i < len && !said.whole; i++) {
		if (buf[i] == '\n' && said.n > 0)
			said.whole = true;
		else if (buf[i] != '\n' && said.n + 1 < sizeof(said.text))
			said.text[said.n++] = buf[i];
	}
	return (ssize_t)len;
}

static void said_forget(void)
{
	if (said.stream == NULL)
		return;
	flockfile(said.stream);
	memset(said.text, 0, sizeof(said.text));
	said.n = 0;
	said.whole = false;
	funlockfile(said.stream);
}

static int fail(char *err, size_t err_cap, int code, const char *name, const char *why)
{
	(void)snprintf(err, err_cap, "%.128s: %s", name, why);
	return -code;
}

/* With what DPDK said, where it said something. */
static int fail_said(char *err, size_t err_cap, int code, const char *name, const char *what)
{
	const char *words = said.text;

	if (strncmp(words, "EAL: ", 5) == 0)
		words += 5;
	(void)snprintf(err, err_cap, "%s: %s%s%.*s", name, what, words[0] != '\0' ? ": " : "",
		       RX_TEXT_CAP - 1, words);
	return -code;
}

/* Devargs */

static bool is_pci(const char *s)
{
	unsigned domain, bus, dev, fn;
	int end = 0;

	if (sscanf(s, "%8x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &end) == 4 ||
	    sscanf(s, "%2x:%2x.%1x%n", &bus, &dev, &fn, &end) == 3)
		return s[end] == '\0' && fn < 8;
	return false;
}

/* Looks into the capture, because the driver says neither what is wrong nor the link type. */
static int plan_capture(struct plan *plan, const char *path, char *err, size_t err_cap)
{
	struct capfile *c = capfile_open(path, err, err_cap);
	const bool first = !plan->file;
	enum link_type link;
	bool packed;

	if (c == NULL)
		return -EINVAL; /* whatever is wrong with it: the devargs name a wrong file */
	link = capfile_link(c);
	packed = capfile_packed(c);
	capfile_close(c);
	if (packed)
		return fail(err, err_cap, EINVAL, path,
			    "net_pcap reads no gzip or zstd; use --pcap, or unpack it");
	if (!first && link != plan->link)
		return fail(err, err_cap, EINVAL, path,
			    "its link type differs from the file before");
	plan->link = link;
	plan->file = true;
	return 0;
}

static int plan_pcap_arg(struct plan *plan, char *arg, char *err, size_t err_cap)
{
	static const char *const keys[] = {"rx_pcap",  "tx_pcap", "rx_iface", "rx_iface_in",
					   "tx_iface", "iface",   "phy_mac",  "infinite_rx"};
	char *value = strchr(arg, '=');
	size_t k = 0;

	if (value != NULL)
		*value++ = '\0';
	while (k < sizeof(keys) / sizeof(keys[0]) && strcmp(arg, keys[k]) != 0)
		k++;
	if (value == NULL || k == sizeof(keys) / sizeof(keys[0])) {
		(void)snprintf(err, err_cap, "%s: bad argument \"%.64s\"; rx_pcap=FILE is right",
			       plan->name, arg);
		return -EINVAL;
	}
	if (strcmp(arg, "rx_pcap") == 0)
		return plan_capture(plan, value, err, err_cap);
	if (strcmp(arg, "iface") == 0 || strncmp(arg, "rx_iface", 8) == 0 ||
	    (strcmp(arg, "infinite_rx") == 0 && strcmp(value, "0") != 0))
		plan->live = true;
	return 0;
}

static int plan_pcap(struct plan *plan, char *err, size_t err_cap)
{
	char args[ARGS_CAP], *rest = NULL;
	int rc = 0;

	memcpy(args, plan->args, sizeof(args));
	for (char *arg = strtok_r(args, ",", &rest); arg != NULL && rc == 0;
	     arg = strtok_r(NULL, ",", &rest))
		rc = plan_pcap_arg(plan, arg, err, err_cap);
	if (rc == 0 && !plan->file && !plan->live)
		rc = fail(err, err_cap, EINVAL, plan->name, "receives nothing; give rx_pcap=FILE");
	return rc;
}

static int plan_make(struct plan *plan, const char *devargs, char *err, size_t err_cap)
{
	const size_t name_len = strcspn(devargs, ",");
	const char *args = devargs[name_len] == ',' ? devargs + name_len + 1 : "";

	*plan = (struct plan){.link = LINK_ETHERNET};
	if (name_len == 0 || name_len + 2 > sizeof(plan->name) ||
	    strlen(args) >= sizeof(plan->args))
		return fail(
		    err, err_cap, EINVAL, devargs[0] != '\0' ? devargs : "--dpdk",
		    "a PCI address or a virtual device is right, e.g. net_af_xdp0,iface=eth0");
	for (size_t i = 0; i < name_len; i++)
		if (!isalnum((unsigned char)devargs[i]) && strchr("_-.:", devargs[i]) == NULL)
			return fail(err, err_cap, EINVAL, devargs, "no name of a device");
	memcpy(plan->name, devargs, name_len);
	memcpy(plan->args, args, strlen(args));
	plan->pci = is_pci(plan->name);
	if (plan->pci)
		return 0;
	if (!isdigit((unsigned char)plan->name[name_len - 1]))
		plan->name[name_len] = '0';
	plan->pcap =
	    strncmp(plan->name, "net_pcap", 8) == 0 || strncmp(plan->name, "eth_pcap", 8) == 0;
	return plan->pcap ? plan_pcap(plan, err, err_cap) : 0;
}

/* The environment */

static unsigned long free_huge_pages(void)
{
	unsigned long sum = 0, n;
	glob_t g;

	if (glob("/sys/kernel/mm/hugepages/hugepages-*/free_hugepages", 0, NULL, &g) != 0)
		return 0;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		FILE *f = fopen(g.gl_pathv[i], "re");

		if (f == NULL)
			continue;
		if (fscanf(f, "%lu", &n) == 1)
			sum += n;
		(void)fclose(f);
	}
	globfree(&g);
	return sum;
}

/* One lcore that floats over all CPUs we may use: DPDK starts no threads of its own. */
static void lcores_text(const cpu_set_t *cpus, char *text, size_t cap)
{
	size_t n = (size_t)snprintf(text, cap, "--lcores=0@(");
	const char *comma = "";

	for (unsigned i = 0; i < CPU_SETSIZE && n + 16 < cap; i++)
		if (CPU_ISSET(i, cpus)) {
			n += (size_t)snprintf(text + n, cap - n, "%s%u", comma, i);
			comma = ",";
		}
	(void)snprintf(text + n, cap - n, ")");
}

struct args {
	int n;
	char *v[16];
};

static void args_add(struct args *a, const char *text)
{
	a->v[a->n++] = (char *)(uintptr_t)text; /* getopt changes their order only */
}

static int eal_init(const struct ports_opts *o, const struct plan *plan)
{
	static char lcores[8192], mb[16], allow[NAME_CAP + ARGS_CAP + 2]; /* EAL keeps pointers */
	struct args a = {0};
	cpu_set_t before;
	int rc;

	(void)pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	lcores_text(&before, lcores, sizeof(lcores));
	(void)snprintf(mb, sizeof(mb), "%u", o->memory_mb != 0 ? o->memory_mb : NO_HUGE_MB);
	(void)snprintf(allow, sizeof(allow), "%s%s%s", plan->name, plan->args[0] != '\0' ? "," : "",
		       plan->args);
	args_add(&a, "fluxtap");
	args_add(&a, lcores);
	args_add(&a, "--no-telemetry");
	args_add(&a, "--log-level=error");
	args_add(&a, o->no_huge ? "--no-huge" : "--in-memory"); /* these two exclude each other */
	if (o->no_huge)
		args_add(&a, "--no-shconf");
	if (o->no_huge || o->memory_mb != 0) {
		args_add(&a, "-m");
		args_add(&a, mb);
	}
	args_add(&a, plan->pci ? "-a" : "--no-pci");
	if (plan->pci)
		args_add(&a, allow);
	rc = rte_eal_init(a.n, a.v);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	return rc < 0 ? -rte_errno : 0;
}

/* Once a process. DPDK can be started neither twice nor again after a failure. */
static int eal_start(const struct ports_opts *o, const struct plan *plan, char *err, size_t err_cap)
{
	static enum { EAL_DOWN, EAL_UP, EAL_FAILED } state;
	const cookie_io_functions_t io = {.write = said_write};
	int rc;

	if (state == EAL_UP)
		return 0;
	if (state == EAL_FAILED)
		return fail(err, err_cap, EALREADY, plan->name, "DPDK failed to start before");
	if (!o->no_huge && free_huge_pages() == 0)
		return fail(err, err_cap, ENOMEM, plan->name, "no free huge pages: " HUGE_HINT);
	said.stream = fopencookie(NULL, "w", io);
	if (said.stream == NULL || rte_openlog_stream(said.stream) < 0)
		return fail(err, err_cap, ENOMEM, plan->name, strerror(ENOMEM));
	rte_log_set_global_level(RTE_LOG_ERR);
	rc = eal_init(o, plan);
	state = rc < 0 ? EAL_FAILED : EAL_UP;
	if (rc == -ENOMEM && !o->no_huge)
		return fail(err, err_cap, ENOMEM, plan->name, "too few huge pages: " HUGE_HINT);
	if (rc < 0)
		return fail_said(err, err_cap, -rc, plan->name, "DPDK does not start");
	return 0;
}

/* The port */

static int port_attach(struct ports *p, const struct plan *plan, char *err, size_t err_cap)
{
	struct rte_dev_iterator it;
	uint16_t port;
	int rc;

	said_forget();
	memcpy(p->name, plan->name, sizeof(p->name));
	p->port = RTE_MAX_ETHPORTS;
	rc = rte_eal_hotplug_add(plan->pci ? "pci" : "vdev", plan->name, plan->args);
	/* A PCI device that the environment's start has taken already is no failure. */
	if (rc < 0 && !(plan->pci && rc == -EEXIST)) {
		if (!plan->pci && (rc == -EFAULT || rc == -EINVAL)) /* no bus knows the name */
			return fail(err, err_cap, EINVAL, plan->name, "DPDK has no such driver");
		return fail_said(err, err_cap, ENODEV, plan->name,
				 plan->pci ? "no such device, or no DPDK driver is bound to it "
					     "(dpdk-devbind.py --status)"
					   : "the device cannot be opened");
	}
	p->attached = true;
	if (rte_eth_dev_get_port_by_name(plan->name, &p->port) == 0)
		return 0;
	RTE_ETH_FOREACH_MATCHING_DEV(port, plan->name, &it)
	{
		p->port = port;
		rte_eth_iterator_cleanup(&it);
		return 0;
	}
	return fail(err, err_cap, ENODEV, plan->name, "no Ethernet port");
}

/* Only devices that hash the addresses of every IP packet alike, fragments too:
 * drivers that tell UDP from other IP do not have the plain types. */
static bool can_spread(const struct plan *plan, const struct rte_eth_dev_info *info,
		       unsigned workers)
{
	const uint64_t both = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6;

	return plan->pci && workers > 1 && info->max_rx_queues >= workers &&
	       info->hash_key_size > 0 && info->hash_key_size <= RSS_KEY_CAP &&
	       info->reta_size > 0 && (info->flow_type_rss_offloads & both) == both;
}

static uint16_t queue_count(const struct ports *p, const struct rte_eth_dev_info *info,
			    unsigned workers)
{
	static const char *const own[] = {"net_pcap", "net_ring", "net_af_xdp"};

	if (p->spread)
		return (uint16_t)workers;
	/* These have as many queues as the devargs (or rings) say, and packets in each. */
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(info->driver_name, own[i]) == 0)
			return info->max_rx_queues < SOURCES_CAP ? info->max_rx_queues
								 : SOURCES_CAP;
	return 1;
}

/* Returns how many queues to send there are (0 where the driver allows it), or -errno. */
static int port_configure(struct ports *p, const struct plan *plan,
			  const struct rte_eth_dev_info *info, uint16_t queues)
{
	struct rte_eth_conf conf = {0};
	uint8_t key[RSS_KEY_CAP];

	conf.rxmode.offloads =
	    info->rx_offload_capa & (RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_TIMESTAMP);
	/* Not for virtual devices: theirs is the MTU of a kernel interface. */
	if (plan->pci && (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0)
		conf.rxmode.mtu = info->max_mtu < MTU_MAX ? info->max_mtu : MTU_MAX;
	if (p->spread) {
		/* The key that makes Toeplitz symmetric: S. Woo, K. Park, "Scalable TCP
		 * Session Monitoring with Symmetric Receive-side Scaling", 2012. */
		for (size_t i = 0; i < sizeof(key); i++)
			key[i] = i % 2 == 0 ? 0x6d : 0x5a;
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_key = key;
		conf.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
		conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IP & info->flow_type_rss_offloads;
	}
	if (rte_eth_dev_configure(p->port, queues, 0, &conf) == 0)
		return 0;
	said_forget();

	const int rc = rte_eth_dev_configure(p->port, queues, queues, &conf);

	return rc < 0 ? rc : queues;
}

/* As rte_pktmbuf_pool_create, but for virtual devices the buffers lie without gaps
 * at page borders: net_af_xdp takes the pool for one piece of memory and loses the
 * buffers behind (pool size x buffer size), which are nearly half on 4 KiB pages. */
static struct rte_mempool *pool_create(const struct plan *plan, unsigned mbufs, int socket)
{
	static unsigned serial;
	const unsigned elt = (unsigned)sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE;
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *mp;

	(void)snprintf(name, sizeof(name), "fluxtap_%u", serial++);
	/* No cache by lcore: a pool has one user, who is no lcore. */
	if (plan->pci)
		return rte_pktmbuf_pool_create(name, mbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					       socket);
	mp = rte_mempool_create_empty(name, mbufs, elt, 0, sizeof(struct rte_pktmbuf_pool_private),
				      socket, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (mp == NULL)
		return NULL;
	/* Last in, first out: the buffers in use stay in the CPU's caches. */
	if (rte_mempool_set_ops_byname(mp, "stack", NULL) != 0)
		goto undo;
	rte_pktmbuf_pool_init(mp, NULL);
	if (rte_mempool_populate_default(mp) < 0)
		goto undo;
	(void)rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
undo:
	rte_mempool_free(mp);
	return NULL;
}

static int port_queues(struct ports *p, const struct plan *plan,
		       const struct rte_eth_dev_info *info, uint16_t rx, uint16_t tx)
{
	/* One that lives in the kernel takes thousands of buffers for each of its queues. */
	const bool fills = strcmp(info->driver_name, "net_af_xdp") == 0;
	const uint16_t per_source = p->spread ? 1 : rx;
	const unsigned mbufs = (POOL_MBUFS + 1) * (fills ? per_source : 1) - 1;
	uint16_t rx_descs = RX_DESCS, tx_descs = TX_DESCS;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->port, &rx_descs, &tx_descs);
	const int socket = rte_eth_dev_socket_id(p->port);

	for (size_t i = 0; i < p->n && rc == 0; i++) {
		if (p->pools[i] == NULL) /* else it is left from the try before */
			p->pools[i] = pool_create(plan, mbufs, socket);
		if (p->pools[i] == NULL)
			rc = -ENOMEM;
	}
	for (uint16_t q = 0; q < rx && rc == 0; q++)
		rc = rte_eth_rx_queue_setup(p->port, q, rx_descs, (unsigned)socket, NULL,
					    p->pools[q / per_source]);
	for (uint16_t q = 0; q < tx && rc == 0; q++)
		rc = rte_eth_tx_queue_setup(p->port, q, tx_descs, (unsigned)socket, NULL);
	return rc;
}

static int port_start(struct ports *p, const struct plan *plan, const struct rte_eth_dev_info *info,
		      uint16_t *queues, unsigned workers)
{
	int rc;

	*queues = queue_count(p, info, workers);
	p->n = p->spread ? workers : 1;
	rc = port_configure(p, plan, info, *queues);
	if (rc >= 0)
		rc = port_queues(p, plan, info, *queues, (uint16_t)rc);
	if (rc == 0)
		rc = rte_eth_dev_start(p->port);
	return rc;
}

static int port_sources(struct ports *p, const struct plan *plan, uint16_t queues)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct rx_dpdk_opts o = {
		    .port = p->port,
		    .first_queue = (uint16_t)i,
		    .queues = (uint16_t)(queues / p->n),
		    .link = plan->link,
		    .live = !plan->pcap || plan->live,
		    .stamps_us = plan->pcap,
		    .counts_drops = i == 0,
		};

		p->sources[i] = rx_dpdk_create(&o);
		if (p->sources[i] == NULL)
			return -ENOMEM;
	}
	memcpy(p->sources[0]->note, p->note, sizeof(p->note));
	return 0;
}

static int port_open(struct ports *p, const struct ports_opts *o, const struct plan *plan,
		     char *err, size_t err_cap)
{
	const unsigned workers = o->workers < 1             ? 1
				 : o->workers > SOURCES_CAP ? SOURCES_CAP
							    : o->workers;
	struct rte_eth_dev_info info;
	uint16_t queues;
	int rc = rte_eth_dev_info_get(p->port, &info);

	said_forget();
	if (rc == 0) {
		p->configured = true;
		p->spread = can_spread(plan, &info, workers);
		rc = port_start(p, plan, &info, &queues, workers);
		if (rc < 0 && p->spread) { /* then our own hash */
			p->spread = false;
			rc = port_start(p, plan, &info, &queues, workers);
		}
	}
	if (rc == -ENOMEM)
		return fail(err, err_cap, ENOMEM, plan->name,
			    o->no_huge ? "too little memory for packet buffers"
				       : "too few huge pages: " HUGE_HINT);
	if (rc < 0)
		return fail_said(err, err_cap, rc == -1 ? ENODEV : -rc, plan->name,
				 "the port does not start");
	(void)rte_eth_promiscuous_enable(p->port); /* virtual ones need not know it */
	(void)snprintf(p->note, sizeof(p->note), "DPDK port %s (driver %s): %u queue%s%s", p->name,
		       info.driver_name, queues, queues == 1 ? "" : "s",
		       workers == 1 ? ""
		       : p->spread  ? ", flows spread by the device"
				    : ", flows spread in software");
	rc = port_sources(p, plan, queues);
	return rc < 0 ? fail(err, err_cap, -rc, plan->name, strerror(-rc)) : 0;
}

struct ports *ports_create(const struct ports_opts *o, char *err, size_t err_cap)
{
	struct ports *p = calloc(1, sizeof(*p));
	struct plan *plan = malloc(sizeof(*plan));
	int rc = -ENOMEM;

	(void)snprintf(err, err_cap, "%s", strerror(ENOMEM));
	if (p != NULL && plan != NULL)
		rc = plan_make(plan, o->devargs, err, err_cap);
	if (rc == 0)
		rc = eal_start(o, plan, err, err_cap);
	if (rc == 0)
		rc = port_attach(p, plan, err, err_cap);
	if (rc == 0)
		rc = port_open(p, o, plan, err, err_cap);
	free(plan);
	if (rc == 0)
		return p;
	ports_destroy(p);
	errno = -rc;
	return NULL;
}

size_t ports_source_count(const struct ports *p)
{
	return p->n;
}

struct rx *ports_source(struct ports *p, size_t i)
{
	return p->sources[i];
}

const char *ports_note(const struct ports *p)
{
	return p->note;
}

void ports_destroy(struct ports *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < SOURCES_CAP; i++)
		rx_dpdk_free(p->sources[i]);
	if (p->attached) {
		struct rte_eth_dev_info info;

		if (rte_eth_dev_info_get(p->port, &info) == 0) {
			if (p->configured)
				(void)rte_eth_dev_stop(p->port);
			(void)rte_eth_dev_close(p->port);
			(void)rte_dev_remove(info.device);
		}
	}
	for (size_t i = 0; i < SOURCES_CAP; i++)
		rte_mempool_free(p->pools[i]);
	free(p);
}

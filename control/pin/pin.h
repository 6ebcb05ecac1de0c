/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap pin`: what an interface and its machine are like, and how they are reached.
 *
 * Facts are plain data, read once; a plan is made of them alone (pin_plan.h). All of
 * sysfs and procfs is reached below `root`, and the driver through the door's functions,
 * so that tests can stand in for both. One thread, as an ordinary program; never from a
 * running probe. Functions return 0 or -errno, with a sentence in err where they have one. */
#ifndef CONTROL_PIN_PIN_H
#define CONTROL_PIN_PIN_H

#include "pin_cpus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIN_NAME_CAP 64u /* of an IRQ, a feature */
#define PIN_KEY_CAP 256u
#define PIN_TABLE_CAP 8192u
#define PIN_FEATURE_CAP 128u
#define PIN_IRQ_CAP 4096u
#define PIN_PATH_CAP 512u

enum pin_has { /* bits: what the driver answers */
	       PIN_HAS_CHANNELS = 1,
	       PIN_HAS_RINGS = 2,
	       PIN_HAS_COALESCE = 4,
	       PIN_HAS_RSS = 8,
	       PIN_HAS_RULES = 16,
	       PIN_HAS_XDP = 32, /* the kernel says what the driver's XDP can do */
};

enum pin_flow { PIN_UDP4, PIN_TCP4, PIN_UDP6, PIN_TCP6, PIN_FLOWS };
extern const char *const pin_flow_names[PIN_FLOWS]; /* as ethtool has them */
#define PIN_FLOW_UNKNOWN UINT32_MAX
/* What a hash is over: bits as in <linux/ethtool.h>. */
#define PIN_HASH_ADDRESSES 0x30u
#define PIN_HASH_PORTS 0xc0u

enum pin_function { PIN_TOEPLITZ = 1, PIN_XOR = 2, PIN_CRC32 = 4 }; /* likewise */

struct pin_feature {
	char name[PIN_NAME_CAP];
	bool changeable, wanted, active;
};

struct pin_rss {
	uint32_t key_len, table_len;
	uint8_t key[PIN_KEY_CAP];
	uint32_t table[PIN_TABLE_CAP];
	uint8_t function; /* enum pin_function */
	uint8_t xfrm;     /* not 0: symmetric by itself, 1 xor, 2 or-xor */
};

/* What ethtool would show of an interface. */
struct pin_nic {
	char driver[32], version[32], firmware[32], bus[32];
	unsigned has; /* enum pin_has */
	struct {
		uint32_t rx, tx, other, combined;
		uint32_t rx_max, tx_max, combined_max;
	} channels;
	struct {
		uint32_t rx, tx, rx_max, tx_max;
	} rings;
	struct {
		bool adaptive_rx, adaptive_tx;
		uint32_t rx_usecs, rx_frames, tx_usecs, tx_frames;
	} coalesce;
	struct pin_rss rss;
	uint32_t flow[PIN_FLOWS]; /* PIN_HASH_ bits, or PIN_FLOW_UNKNOWN */
	struct pin_feature feature[PIN_FEATURE_CAP];
	size_t features;
	uint32_t rules; /* of flow steering */
	uint64_t xdp;   /* NETDEV_XDP_ACT_ bits */
};
#define PIN_XDP_REDIRECT 2u
#define PIN_XDP_ZEROCOPY 8u

enum pin_part {
	PIN_CHANNELS,
	PIN_RINGS,
	PIN_COALESCE,
	PIN_FEATURE,
	PIN_FLOW,
	PIN_RSS,
	PIN_FILE, /* these two are none of nic_write's */
	PIN_IRQ
};

/* The way to a machine. */
struct pin_door {
	const char *root; /* before /sys, /proc and /run; "" is this machine */
	void *ctx;
	int (*nic_read)(void *ctx, const char *ifname, struct pin_nic *out);
	/* Sets one part as in *want; `index` says which feature or flow. Of PIN_RSS a
	 * length of 0 leaves the key as it is, and gives the table its default; function 0
	 * leaves the function; xfrm stays. */
	int (*nic_write)(void *ctx, const char *ifname, enum pin_part part, unsigned index,
			 const struct pin_nic *want);
	/* 1 where a default route leaves by it, 0, or -errno. */
	int (*carries_default)(void *ctx, const char *ifname);
};

/* This machine. */
extern const struct pin_door pin_door_machine;

enum pin_role {
	PIN_ROLE_OTHER, /* not about packets */
	PIN_ROLE_RX,
	PIN_ROLE_TX,
	PIN_ROLE_UNKNOWN /* of a queue, it seems, but of which nobody here knows: left alone */
};

struct pin_irq {
	unsigned number, queue; /* queue: of RX and TX */
	enum pin_role role;
	char name[PIN_NAME_CAP];
	struct pin_cpus affinity, effective;
};

/* A small file of sysfs and what is in it. */
struct pin_file {
	char *path, *text; /* path: without the root */
};

struct pin_cpu {
	bool online;
	bool performance; /* that governor is to be had */
	int node;         /* -1: not known */
	unsigned core;    /* the first of its threads */
	char governor[24];
};

struct pin_facts {
	char ifname[16], state[16], mac[32];
	unsigned ifindex, mtu;
	int speed; /* Mb/s, -1: not known */
	bool up;
	struct pin_nic nic;
	char bound[32]; /* driver that the PCI device is bound to, or "" */
	bool pci;
	int node; /* NUMA, -1: not known or none */
	struct pin_cpus node_cpus, online, isolated, nohz_full;
	struct pin_cpu *cpu; /* `cpus` of them */
	unsigned cpus;
	struct pin_irq *irq;
	size_t irqs;
	struct pin_file *file; /* RPS and XPS of its queues */
	size_t files;
	bool irqbalance;
	char route[16]; /* it, or what stands on it, with a default route; "" */
};

/* Reads everything. The caller owns *f until pin_fini, on success alone. */
int pin_read(const struct pin_door *d, const char *ifname, struct pin_facts *f, char *err,
	     size_t cap);
/* Reads IRQs and queue files anew; they change with the number of queues. */
int pin_read_queues(const struct pin_door *d, struct pin_facts *f, char *err, size_t cap);
void pin_fini(struct pin_facts *f);

/* The interface or device that the user means by a PCI address: *ifname is "" where no
 * kernel driver has made one; `bound` is the driver it is bound to, or "". -ENODEV. */
int pin_pci_find(const char *root, const char *address, char ifname[16], char bound[32]);
/* PCI devices that are bound for DPDK, in words; "" where there are none. */
void pin_pci_dpdk(const char *root, char *out, size_t cap);
bool pin_is_dpdk(const char *driver);

/* The first line of a file below root, without its end; -errno. */
int pin_line(const char *root, const char *path, char *out, size_t cap);
/* Writes a text to a file below root. */
int pin_put(const char *root, const char *path, const char *text);

const struct pin_feature *pin_feature_find(const struct pin_nic *nic, const char *name);
/* The number of queues that receive. */
uint32_t pin_queues(const struct pin_nic *nic);
/* Where both directions of a flow get one hash; `why` says by what means, or why not. */
bool pin_symmetric(const struct pin_nic *nic, const char **why);
/* The table gives queue i % queues to entry i, all of it. */
bool pin_table_equal(const struct pin_rss *rss, uint32_t queues);

#endif

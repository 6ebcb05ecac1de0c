/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment and one of its ports: opened, started, given out as sources.
 *
 * Called by control's main thread alone. Owns the port, its mbuf pools and the
 * sources made on it. The environment is started once a process and stays until
 * its end; a port may be opened again after ports_destroy. */
#ifndef CONTROL_PORTS_H
#define CONTROL_PORTS_H

#include "../dataplane/rx.h"

struct ports;

struct ports_opts {
	const char *devargs; /* a PCI address or a vdev, with its arguments; e.g. net_tap0 */
	bool no_huge;
	unsigned workers;
	unsigned memory_mb; /* 0: a default without huge pages, as needed with them */
};

/* Starts the port. On failure returns NULL, writes a sentence into err and sets
 * errno: EINVAL (bad devargs, also a capture that net_pcap cannot read), ENODEV (no
 * such device, or its driver refuses), ENOMEM (no huge pages; the sentence ends
 * with the command that gives some), or what DPDK said. */
struct ports *ports_create(const struct ports_opts *o, char *err, size_t err_cap);
/* 1, or o->workers where the device itself spreads flows by a symmetric hash of
 * the two addresses. With 1 and more workers the caller wraps it in rx_fan. */
size_t ports_source_count(const struct ports *p);
/* Owned by p: its own destroy does nothing, and p must outlive its last use. */
struct rx *ports_source(struct ports *p, size_t i);
/* Driver, queues, and where the hash is taken; a line for the operator. */
const char *ports_note(const struct ports *p);
/* Accepts NULL. After every thread that receives has ended, and rx_fan is gone. */
void ports_destroy(struct ports *p);

#endif

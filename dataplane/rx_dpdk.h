/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive from the queues of one DPDK port that has been started.
 *
 * The ports room of control opens the port and makes these; the worker's thread
 * is a plain pthread. Frames stay in their mbufs until release; a frame of
 * several segments is copied into one piece. No DPDK header is needed here. */
#ifndef DATAPLANE_RX_DPDK_H
#define DATAPLANE_RX_DPDK_H

#include "rx.h"

struct rx_dpdk_opts {
	uint16_t port;
	uint16_t first_queue, queues; /* polled in turn */
	enum link_type link;
	bool live;         /* false: net_pcap reads a file, whose times alone move the clock */
	bool stamps_us;    /* the driver's time stamps are us since 1970; else ns are looked for */
	bool counts_drops; /* the port's losses are told by this source */
};

/* NULL + errno. The source is freed by rx_dpdk_free alone: its own destroy does
 * nothing, because the port must outlive it. */
struct rx *rx_dpdk_create(const struct rx_dpdk_opts *o);
/* Accepts NULL. */
void rx_dpdk_free(struct rx *rx);

#endif

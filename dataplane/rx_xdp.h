/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive from the kernel's side door: AF_XDP sockets (tap) and BPF ring buffers (host).
 *
 * control/steer.c creates these sources; one worker (or the fan-out reader) polls
 * each. All memory is taken at creation. Frames carry the time at which the BPF
 * program saw them, or the device's own time; rx_clock.h turns it into UTC. */
#ifndef DATAPLANE_RX_XDP_H
#define DATAPLANE_RX_XDP_H

#include "rx.h"
#include "rx_clock.h"

/* How far the tick of an idle source stays behind the clock: a packet that the
 * kernel has stamped but not yet handed over must not be older than a tick. */
#define RX_IDLE_US 100000u

enum rx_xdp_copy { RX_XDP_ANY, RX_XDP_COPY, RX_XDP_ZEROCOPY };

struct rx_xdp_opts {
	const char *ifname;
	const uint32_t *queues; /* of the interface; one socket each */
	size_t n_queues;
	int sockets_fd;       /* the XSKMAP */
	uint32_t frame_bytes; /* of a umem chunk: 2048 or 4096 */
	uint32_t ring_len;    /* receive ring of each socket, a power of two */
	enum rx_xdp_copy copy;
	enum link_type link;
	bool busy_poll; /* the worker drives the device, where its driver lets it */
};

/* Opens the sockets and enters them into the XSKMAP. On failure NULL, errno
 * (EPERM; ENOBUFS: memory that may be locked; ENOTSUP: zero-copy demanded and
 * impossible; ENETDOWN; EBUSY; ...) and a sentence in err. Sets rx->note to why
 * zero-copy is not in use, if it is not. */
struct rx *rx_xdp_create(const struct rx_xdp_opts *o, char *err, size_t err_cap);
/* Whether every socket of the source is in zero-copy mode. */
bool rx_xdp_zerocopy(const struct rx *rx);
/* Looks for sockets that asked for busy polling and of which the kernel by now knows what
 * to poll (from the first frame, unless the driver does not say); from then on the worker
 * polls these. Whether there is one. Control's thread, now and then. */
bool rx_xdp_polls(struct rx *rx);
/* Octets of umem in huge pages, and in all. */
void rx_xdp_memory(const struct rx *rx, size_t *huge_bytes, size_t *all_bytes);
/* Device time stamps believed, and found implausible, so far; any thread. */
void rx_xdp_stamps(const struct rx *rx, uint64_t *believed, uint64_t *odd);
/* Whether the kernel has taken the interface away. Says so once; control's thread. */
bool rx_xdp_gone(const struct rx *rx);
/* Steps of the host's clock seen so far; any thread. */
uint64_t rx_xdp_steps(const struct rx *rx);

struct rx_host_opts {
	int ring_fd;           /* BPF_MAP_TYPE_RINGBUF */
	size_t ring_bytes;     /* its max_entries */
	int lost_fd;           /* memory-mapped array map of the program's counters */
	size_t lost_map_bytes; /* its value size */
	size_t lost_off;       /* octets to this ring's count of lost records */
	enum link_type link;
};

/* Maps the ring and the counters; the descriptors stay the caller's and may be
 * closed. NULL + errno. */
struct rx *rx_host_create(const struct rx_host_opts *o);
uint64_t rx_host_steps(const struct rx *rx);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive from the kernel's side door: AF_XDP sockets (tap) and BPF ring buffers (host).
 *
 * control/steer.c creates these sources; one worker (or the fan-out reader) polls
 * each. All memory is taken at creation. Frames carry the time at which the BPF
 * program saw them, on CLOCK_MONOTONIC; struct rx_wall turns it into UTC. */
#ifndef DATAPLANE_RX_XDP_H
#define DATAPLANE_RX_XDP_H

#include "rx.h"

#include <stdatomic.h>
#include <time.h>

/* How far the tick of an idle source stays behind the clock: a packet that the
 * kernel has stamped but not yet handed over must not be older than a tick. */
#define RX_IDLE_US 100000u

/* CLOCK_REALTIME less CLOCK_MONOTONIC. The two are steered alike and differ by a
 * constant, unless someone steps the clock: forward is followed at once, backward
 * by going slower, so that packet times never go back. Written by the worker. */
struct rx_wall {
	int64_t offset_ns;      /* as in use */
	int64_t target_ns;      /* as measured */
	uint64_t measured_ns;   /* CLOCK_MONOTONIC of the last look */
	_Atomic uint64_t steps; /* of the clock; any thread may read */
};

static inline uint64_t rx_wall_read(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t); /* cannot fail for these clocks; vDSO */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Looks at both clocks. */
void rx_wall_measure(struct rx_wall *w);

/* UTC in us of a monotonic time; looks at the clocks once a millisecond at most. */
static inline uint64_t rx_wall_us(struct rx_wall *w, uint64_t mono_ns)
{
	if (mono_ns - w->measured_ns > 1000000u && mono_ns > w->measured_ns)
		rx_wall_measure(w);
	return (mono_ns + (uint64_t)w->offset_ns) / 1000u;
}

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
};

/* Opens the sockets and enters them into the XSKMAP. On failure NULL, errno
 * (EPERM; ENOBUFS: memory that may be locked; ENOTSUP: zero-copy demanded and
 * impossible; ENETDOWN; EBUSY; ...) and a sentence in err. Sets rx->note to why
 * zero-copy is not in use, if it is not. */
struct rx *rx_xdp_create(const struct rx_xdp_opts *o, char *err, size_t err_cap);
/* Whether every socket of the source is in zero-copy mode. */
bool rx_xdp_zerocopy(const struct rx *rx);
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

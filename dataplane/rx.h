/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 1, receive: one face for every source of packets.
 *
 * A source is created by control before the worker starts and destroyed after
 * it has ended; recv, release and clock are called by one thread, the worker
 * (or the fan-out reader). dropped and error may be called by control at any
 * time. After start, only file sources may allocate or block. */
#ifndef DATAPLANE_RX_H
#define DATAPLANE_RX_H

#include "batch.h"

#include <stdbool.h>
#include <stddef.h>

#define RX_END (-1)
#define RX_TEXT_CAP 256

struct rx;

struct rx_ops {
	/* Fills b with at most BATCH_CAP frames and returns how many (b->n), 0 when
	 * nothing has come, RX_END when nothing will come any more. Never waits
	 * longer than a file read. The frames stay valid until release(b). */
	int (*recv)(struct rx *rx, struct batch *b);
	/* Gives the frames of b back. Called once after every recv that returned > 0. */
	void (*release)(struct rx *rx, struct batch *b);
	/* Called when recv returned 0: the time, in us since 1970, before which no
	 * packet of this source will come any more; 0 where the source cannot tell. */
	uint64_t (*clock)(struct rx *rx);
	/* Packets lost by the source itself so far (its own counters); any thread. */
	uint64_t (*dropped)(struct rx *rx);
	void (*destroy)(struct rx *rx);
};

/* The head of every source; the concrete ones embed it as their first member. */
struct rx {
	const struct rx_ops *ops;
	uint64_t clock_us;       /* greatest ts_us handed out: recv fills pkt.clock_us from it */
	bool live;               /* packets come in their own time; waiting loses them */
	char note[RX_TEXT_CAP];  /* a line for the operator at start, may be empty */
	char error[RX_TEXT_CAP]; /* set before RX_END when the source failed midway */
};

/* Stamps p with its time and the source's clock, which never goes back. */
static inline void rx_stamp(struct rx *rx, struct pkt *p, uint64_t ts_us)
{
	if (ts_us > rx->clock_us)
		rx->clock_us = ts_us;
	p->ts_us = ts_us;
	p->clock_us = rx->clock_us;
}

/* CLOCK_REALTIME in us (vDSO: reads the TSC, no system call). */
uint64_t rx_now_us(void);

/* Capture files, merged by time. Each path may be "-" for standard input, and
 * plain, gzip or zstd. On failure returns NULL, sets errno (EINVAL: not a
 * capture; ENOENT, EACCES, ...: cannot be opened; ENOTSUP: link type) and writes
 * a sentence that names the file into err. */
struct rx *rx_pcap_create(const char *const *paths, size_t n, char *err, size_t err_cap);
/* Octets read so far and in all files together (0 if unknown); any thread. */
void rx_pcap_progress(const struct rx *rx, uint64_t *done, uint64_t *total);

/* Packets in memory, given by reference: frames[i] with its length and time.
 * After the last one it begins again, `passes` times in all (0: without end),
 * with the times moved on by span_us each time. Does not own the arrays. */
struct rx_mem_frame {
	const uint8_t *data;
	uint32_t len;
	uint32_t wire_len;
	uint64_t ts_us;
};
struct rx *rx_mem_create(const struct rx_mem_frame *frames, size_t n, enum link_type link,
			 uint64_t passes, uint64_t span_us);

/* Fan-out: a reader thread of its own takes batches from src and hands every
 * frame to one of n sinks by the symmetric hash of its two addresses. A full sink
 * makes the reader wait. Owns src. start/stop are control's. */
struct rx_fan;
struct rx_fan *rx_fan_create(struct rx *src, size_t n, size_t ring_bytes);
struct rx *rx_fan_sink(struct rx_fan *fan, size_t i); /* owned by the fan */
int rx_fan_start(struct rx_fan *fan, int cpu);        /* cpu -1: anywhere */
void rx_fan_stop(struct rx_fan *fan); /* asks the reader to end; sinks then end too */
/* Ends the reader at once, though a sink be full; for sinks nobody reads any more. */
void rx_fan_destroy(struct rx_fan *fan);
/* Why src failed midway; "" while it runs or when it did not. Any thread. */
const char *rx_fan_error(const struct rx_fan *fan);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A fixed array of packet views: what a source hands to a worker.
 *
 * A view points at the frame's first octet, which belongs to the source until
 * the batch is released; everything inside the frame is an offset. */
#ifndef DATAPLANE_BATCH_H
#define DATAPLANE_BATCH_H

#include <assert.h>
#include <stdint.h>

#define BATCH_CAP 32u
#define CACHE_LINE 64u

/* A stage stays a function of its own, whatever the compiler would rather do: profiles
 * and the instruction counts of tests/bench tell where the time goes. */
#define STAGE __attribute__((noinline))

/* What the first octet of a frame is. */
enum link_type {
	LINK_ETHERNET,
	LINK_RAW_IP, /* version nibble decides */
	LINK_SLL,    /* Linux cooked v1 */
	LINK_SLL2,   /* Linux cooked v2 */
	LINK_NULL,   /* BSD loopback, 4 octets of family in either byte order */
	LINK_PPP,
	LINK_TYPE_CAP
};

struct pkt {
	const uint8_t *data;
	uint64_t ts_us;    /* packet time, whole microseconds since 1970 */
	uint64_t clock_us; /* greatest packet time of the whole source so far */
	uint32_t cap_len;  /* octets at data */
	uint32_t wire_len; /* octets on the wire, >= cap_len */
	uint64_t handle;   /* the source's own: descriptor, mbuf */
	uint8_t link;      /* enum link_type */
	uint8_t pad[23];
};
static_assert(sizeof(struct pkt) == CACHE_LINE, "one line a packet view");

struct batch {
	uint32_t n;
	struct pkt pkt[BATCH_CAP];
};

#endif

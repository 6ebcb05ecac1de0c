/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a pcapng stream fit for libpcap while its octets pass.
 *
 * libpcap refuses a file whose interfaces differ in their snapshot length, and a
 * packet longer than that of the file's first interface. So interfaces that differ
 * are shown to it as if they did not. Works on the caller's octets in place and
 * keeps their number; reads, allocates and logs nothing. Called by the thread that
 * reads the file. What is not pcapng, or is nonsense, passes as it is. */
#ifndef DATAPLANE_PCAPNG_H
#define DATAPLANE_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed at the start of a file. */
struct pcapng {
	bool on;            /* this is pcapng, so far without nonsense */
	bool swapped;       /* byte order of the current section: not ours */
	bool mixed;         /* interfaces differ ahead of the first packet: all get 0, no limit */
	bool iface;         /* an interface of the file is known */
	bool section_iface; /* and one of the current section */
	uint32_t snaplen;   /* the file's first interface's */
	uint32_t section_snaplen; /* the current section's first interface's */
	uint32_t left_bytes;      /* of the block that passes */
	size_t look_off;          /* the next block to look at */
};

/* Looks through the beginning of the file, p[0..len), which grows from call to call
 * and is not changed. Returns true when nothing behind it matters: a packet has come,
 * interfaces differ, or this is not pcapng. To be called before pcapng_pass. */
bool pcapng_look(struct pcapng *g, const uint8_t *p, size_t len);

/* The next octets of the stream are p[0..len): edits what may be handed out now and
 * returns how many octets that are, at most want. 0 with len > 0: the head of a block
 * is cut; come again with more octets behind these, or set on to false where there
 * are none. A simple packet block has no captured length: where its snapshot length
 * is hidden, its wire length is cut to it (pcapng, section 4.4). */
size_t pcapng_pass(struct pcapng *g, uint8_t *p, size_t len, size_t want);

#endif

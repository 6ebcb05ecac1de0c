/* SPDX-License-Identifier: BSD-3-Clause */
/* One capture file, read by libpcap: pcap or pcapng, plain, gzip or zstd.
 *
 * The door to libpcap and zlib, and to zstd's decompressor. Packing is told by
 * the first octets, never by the name, and nothing seeks, so that "-" (standard
 * input) and pipes work alike. Opened and closed by control, read by one thread.
 * Reads may allocate and block, as only file sources may. */
#ifndef DATAPLANE_CAPFILE_H
#define DATAPLANE_CAPFILE_H

#include "batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most octets of one packet that libpcap hands out for our link types. */
#define CAPFILE_FRAME_BYTES 262144u

struct capfile;

struct cap_packet {
	const uint8_t *data; /* libpcap's own; valid until the next capfile_next */
	uint64_t ts_us;
	uint32_t cap_len;
	uint32_t wire_len; /* >= cap_len */
};

/* Opens path ("-": standard input) and reads its header. On failure returns
 * NULL, sets errno (EINVAL: not a capture; ENOTSUP: link type; else why it
 * cannot be opened or read) and writes a sentence that names the file into err. */
struct capfile *capfile_open(const char *path, char *err, size_t err_cap);
/* Accepts NULL. */
void capfile_close(struct capfile *c);

/* Reads one packet. Returns 1 (*out is filled), 0 at the end, -EAGAIN where a
 * pipe has had nothing for wait_ms, or -EIO when the rest cannot be read: then a
 * sentence with file and offset is in err, and the file has ended. */
int capfile_next(struct capfile *c, struct cap_packet *out, int wait_ms, char *err, size_t err_cap);

/* From now on nobody waits for a pipe: a file whose next packet is not there whole has
 * ended, and one that is being opened fails with ECANCELED. Any thread; signal handlers. */
void capfile_stop(void);

enum link_type capfile_link(const struct capfile *c);
/* True for gzip and zstd. */
bool capfile_packed(const struct capfile *c);
/* Octets of the file as it lies on disk: read so far (any thread), and in all (0:
 * unknown, as for a pipe). */
uint64_t capfile_done(const struct capfile *c);
uint64_t capfile_total(const struct capfile *c);

#endif

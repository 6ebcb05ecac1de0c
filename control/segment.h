/* SPDX-License-Identifier: BSD-3-Clause */
/* The probe's shared-memory segment (include/fluxtap/shm.h): made at start,
 * removed at a clean end. Control's main thread.
 *
 * A probe that was killed leaves its segment behind; the next one of the same
 * name takes its place. A second probe of the same name that runs at the same
 * time gets a segment with its process number in the name. */
#ifndef CONTROL_SEGMENT_H
#define CONTROL_SEGMENT_H

#include <fluxtap/shm.h>

#include <stdbool.h>
#include <stddef.h>

struct segment {
	struct ft_shm *shm;
	size_t bytes;
	int fd;
	char name[128]; /* below /dev/shm, with its slash */
};

/* What a killed probe left: its counters as they were last published. */
struct segment_left_worker {
	uint64_t total[FT_CTR_CAP], exported[FT_CTR_CAP];
	uint64_t clock_us, ring_bytes; /* ring_bytes: sealed and not read */
};

struct segment_left {
	uint64_t pid, started_us, exported_s;
	bool live;
	unsigned workers;
	struct segment_left_worker worker[FT_WORKER_CAP];
};

/* Reads the segment that a killed probe of this name left, and leaves it where it is:
 * segment_init takes its place. True where there is one and it can be read. Its octets
 * are not believed. */
bool segment_read_left(const char *probe, struct segment_left *left);

/* ring_bytes: power of two, of each worker's ring. -errno and a sentence. */
int segment_init(struct segment *s, const char *probe, unsigned workers, size_t ring_bytes,
		 char *err, size_t cap);
void segment_fini(struct segment *s);
struct ft_shm_worker *segment_worker(const struct segment *s, unsigned i);
struct ft_ring *segment_ring(const struct segment *s, unsigned i);

#endif

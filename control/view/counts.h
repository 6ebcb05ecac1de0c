/* SPDX-License-Identifier: BSD-3-Clause */
/* What a probe's segment says at a moment: a copy of its header and of each worker's
 * published figures, taken from inside the probe or by another process.
 *
 * Another process reads the file and does not map it: the next probe of that name cuts
 * the file to nothing first, and a mapping would end the viewer with SIGBUS. Nothing
 * here writes to a segment or holds its lock. */
#ifndef CONTROL_VIEW_COUNTS_H
#define CONTROL_VIEW_COUNTS_H

#include "../segment.h"

#include <fluxtap/shm.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct counts_worker {
	uint64_t total[FT_CTR_CAP];
	uint64_t stage_ticks[FT_SHM_STAGES], timed_packets;
	uint64_t source_dropped, clock_us, generation, turns, idle_turns;
	uint64_t ring_bytes, ring_used;
	bool ended;
};

struct counts {
	uint64_t pid, started_us, heartbeat_us, exported_s, sample_level;
	uint64_t records_written, records_lost, export_failures;
	bool live, export_failing;
	char probe[64];
	unsigned workers;
	uint64_t mono_us, ticks; /* when this was read, by two clocks */
	struct counts_worker worker[FT_WORKER_CAP];
};

/* From inside; any thread. */
void counts_of(const struct segment *s, struct counts *out);

/* A segment that another process has made. */
struct counts_file {
	int fd; /* -1: closed */
	char name[128];
};

/* Opens /dev/shm/NAME, with its leading slash. 0 or -errno. */
int counts_open(struct counts_file *f, const char *name);
void counts_close(struct counts_file *f);
/* 0, or -errno: -ESTALE where its probe has ended or gives way to another, -EBADMSG where it
 * is no segment of this version. *out is undefined then. */
int counts_take(const struct counts_file *f, struct counts *out);
/* The names of all segments there are, each with its slash: at most `cap`, sorted. */
size_t counts_list(char (*names)[128], size_t cap);

/* The sum over all workers of one counter (enum ft_counter and what follows). */
uint64_t counts_sum(const struct counts *c, unsigned counter);
uint64_t counts_source_dropped(const struct counts *c);
/* The same over a range of counters of one worker. */
uint64_t counts_range(const struct counts_worker *w, unsigned first, unsigned cap);
/* CLOCK_MONOTONIC in us. */
uint64_t counts_now_us(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 8, drain: blocks out of the rings, merged into statistics, intervals closed.
 *
 * An interval closes when every worker has said that all of its records are in the ring.
 * First its merges are taken out of their shards, then the statistics with records of their
 * own close it, then those that only read; with more than one thread the latter run beside
 * one another and beside later intervals' records. Control's main thread calls. What arrives
 * in a ring is checked as if it came from the wire: others can reach the segment. */
#ifndef CONTROL_DRAIN_H
#define CONTROL_DRAIN_H

#include "segment.h"
#include "stats/stat.h"

struct drain;

struct drain_opts {
	const struct segment *segment;
	const struct stat_run *run; /* must outlive the drain */
	unsigned threads;           /* of control, the caller among them; 0: one */
	const uint16_t *cpu;        /* [cpus], whose they are; see crew.h */
	size_t cpus;
	bool live; /* intervals without a packet get their ledger rows, too */
	/* All of these may be NULL. Before the first interval closes: */
	void (*first)(void *ctx, const struct stat_interval *interval);
	/* Called when all statistics have written an interval. */
	void (*closed)(void *ctx, const struct stat_interval *interval);
	/* True: no interval may close yet. Rings are emptied all the same. */
	bool (*hold)(void *ctx);
	/* Every interval is closed, and statistics do not know yet that this is the end. */
	void (*ending)(void *ctx);
	void *ctx;
};

/* NULL + errno. */
struct drain *drain_create(const struct drain_opts *o);
void drain_destroy(struct drain *d);

/* Takes what is in the rings and closes what is due. True while there is more to
 * come; false once every worker has ended and every interval is closed. */
bool drain_step(struct drain *d);
/* An interval is on its way between `first` and `closed`: statistics are at work. */
bool drain_is_closing(const struct drain *d);
/* CPU time of control's further threads, nanoseconds. */
uint64_t drain_cpu_ns(const struct drain *d);
/* A block that could not be read: a fault of ours. 0 in a sound run. */
uint64_t drain_bad_blocks(const struct drain *d);
/* The statistic `index` of stat_all. */
const void *drain_stat(const struct drain *d, unsigned index);
/* All of them, in its order. */
void *const *drain_stats(const struct drain *d);

/* Reads one block: header and zstd frame. Calls each statistic's record. 0, or
 * -EBADMSG for anything that is no sound block. For fuzzing, too. */
int drain_block(struct drain *d, const uint8_t *data, size_t bytes);

#endif

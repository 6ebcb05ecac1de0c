/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared-memory segment of a probe: what workers publish, and their rings.
 *
 * One header, then one struct ft_shm_worker for each worker, then one ring for
 * each. A viewer maps it read-only. Workers store relaxed, except where a
 * comment names the pairing. The segment is fixed at start. */
#ifndef FLUXTAP_SHM_H
#define FLUXTAP_SHM_H

#include <fluxtap/counters.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define FT_SHM_MAGIC 0x50415458554c46ull /* "FLUXTAP" */
#define FT_SHM_VERSION 3
#define FT_WORKER_CAP 64u
#define FT_SHM_STAGES 16u /* room for the stages of a worker's loop */

/* A byte ring with one producer and one consumer. Both positions only grow; the
 * octet of position p stands at p & (bytes - 1). Messages are aligned to 8 and
 * lie in one piece; see dataplane/ring.h for the protocol. */
struct ft_ring {
	_Alignas(
	    64) _Atomic uint64_t head; /* producer stores (release), consumer loads (acquire) */
	_Alignas(
	    64) _Atomic uint64_t tail; /* consumer stores (release), producer loads (acquire) */
	_Alignas(64) uint64_t bytes;   /* power of two; constant */
	uint64_t data_off;             /* octets from this struct to the data; constant */
};
static_assert(sizeof(struct ft_ring) == 192, "ring header");

struct ft_shm_worker {
	/* All rows that end at or before this time have been emitted, and their
	 * blocks are in the ring: stored (release) by the worker after it has pushed
	 * them, loaded (acquire) by control before it drains. */
	_Alignas(64) _Atomic uint64_t closed_us;
	_Atomic uint64_t ended;      /* 1: nothing more will come (release, as above) */
	_Atomic uint64_t clock_us;   /* the worker's event clock */
	_Atomic uint64_t generation; /* rules in use (adopted at loop top) */
	_Atomic uint64_t turns;      /* loop turns with packets */
	_Atomic uint64_t idle_turns; /* and without */
	_Alignas(64) _Atomic uint64_t total[FT_CTR_CAP]; /* running totals, enum ft_counter */
	/* Of the turns that are timed, one in many: ticks by stage, and packets. */
	_Alignas(64) _Atomic uint64_t stage_ticks[FT_SHM_STAGES];
	_Atomic uint64_t timed_packets;
	/* What control stores: packets that this worker's source has lost so far. */
	_Alignas(64) _Atomic uint64_t source_dropped;
	/* Those of the intervals that are exported: control stores them, behind its export. What
	 * lies between them and `total` is in flight. */
	_Alignas(64) _Atomic uint64_t exported[FT_CTR_CAP];
};

struct ft_shm {
	uint64_t magic;
	uint32_t version, workers;
	uint64_t bytes; /* of the whole segment */
	uint64_t pid, started_us;
	uint64_t worker_off; /* octets from the segment's start to worker 0 */
	uint64_t worker_stride;
	uint64_t ring_off, ring_stride; /* likewise for the rings */
	char probe[64];
	uint64_t live;               /* 0: it reads files, its time is theirs */
	_Atomic uint64_t exported_s; /* end of the last interval that is exported; 0: none yet */
	/* Control, several times a second. */
	_Atomic uint64_t heartbeat_us;                    /* CLOCK_MONOTONIC: it lives */
	_Atomic uint64_t sample_level;                    /* share of flows kept: 2^-level */
	_Atomic uint64_t records_written, records_lost;   /* by the export */
	_Atomic uint64_t export_failures, export_failing; /* so far; 1: the last one failed */
};

#endif

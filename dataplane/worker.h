/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop of one worker core: stages 1 to 7, a batch at a time, to completion.
 *
 * A worker shares nothing with other workers. Control creates it, starts its
 * thread and waits for its end; in between the two meet only in the shared
 * segment (published counters, ring) and in `stop`. After start the worker never
 * allocates, logs, locks or makes a system call beside its source's own. */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include "cookies.h"
#include "decode.h"
#include "errors.h"
#include "match.h"
#include "rx.h"
#include "sample.h"
#include "seat.h"
#include "timing.h"

#include <fluxtap/shm.h>

#include <stdatomic.h>

struct worker_settings {
	unsigned number;
	struct rx *rx;             /* not owned */
	struct ft_shm_worker *shm; /* published part; not owned */
	struct ft_ring *ring;      /* not owned */
	struct decode_ports ports;
	struct vantage_rules *vantage; /* not owned */
	uint64_t interval_us, wait_us; /* interval; longest response time */
	uint64_t hash_key;             /* secret of this run */
	uint64_t sketch_seed;
	struct rules_seat *seat; /* where its rules come from; NULL: no rules. Not owned */
	struct sample sample;    /* of the keyed tables */
	enum errors_channels channels;
	size_t pair_entries, verdict_entries, datagrams, connections, stream_bytes;
	/* of the keyed tables */
	size_t match_entries, domain_entries, client_entries, server_entries;
	size_t rrset_entries, error_entries;
	size_t sink_entries;     /* 0: no list of sinkholes */
	uint64_t sink_minute_us; /* see sinks.h */
	uint64_t dedup_us;       /* window in which a copy of a packet does not count; 0: all do */
	size_t dedup_entries;
	bool watch;              /* there is a watch list */
	bool alone;              /* no other worker has flows of its clients */
	unsigned cookie_secrets; /* of the operator's own servers */
	uint8_t cookie_secret[COOKIES_SECRETS][16];
	const struct doh_list *doh; /* NULL: none. Not owned */
	uint32_t asked_level;       /* where others have: queries to be joined, see servers.h */
	bool flood_guard;           /* spare names below a flood; see flood_guard.h */
	bool timing;                /* measure stages (bench) */
};

extern const char *const worker_stage_texts[STAGE_CAP];

struct worker;

/* Takes all memory. NULL + errno. */
struct worker *worker_create(const struct worker_settings *settings);
/* After the thread has been joined. Accepts NULL. */
void worker_destroy(struct worker *w);

/* Starts the thread on a CPU (-1: anywhere); returns 0 or -errno. */
int worker_start(struct worker *w, int cpu);
/* Asks it to take what a live source holds at this moment, flush and end. Any thread. */
void worker_stop(struct worker *w);
/* As worker_stop, and gives up waiting for room in the ring: what is left in
 * the worker counts as lost. */
void worker_abandon(struct worker *w);
void worker_join(struct worker *w);

/* The same without a thread, for bench and tests: one turn of the loop. Returns
 * packets received, 0 when idle, RX_END when the worker has flushed and ended. */
int worker_turn(struct worker *w);
/* CPU time of the thread in ns (after worker_join: its total). */
uint64_t worker_cpu_ns(const struct worker *w);
const struct worker_timing *worker_timing_get(const struct worker *w);
void worker_timing_reset(struct worker *w);

/* Tables that are caches, and how their look-ups went; evicted: entries pushed out. */
struct worker_cache {
	const char *name;
	uint64_t hits, misses, evicted;
};
#define WORKER_CACHES 7u
void worker_caches(const struct worker *w, struct worker_cache out[WORKER_CACHES]);

/* Tests: after RX_END, goes on with what its source has next, all of it later. */
void worker_rewind(struct worker *w);
/* Tests: called with each batch of messages after parse. */
typedef void (*worker_tap_fn)(void *ctx, const struct msgs *batch);
void worker_tap(struct worker *w, worker_tap_fn tap, void *ctx);

#endif

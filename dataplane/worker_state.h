/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker consists of: for worker.c, which runs it, and worker_make.c, which
 * puts it together. Who writes what stands beside each part. */
#ifndef DATAPLANE_WORKER_STATE_H
#define DATAPLANE_WORKER_STATE_H

#include "clock.h"
#include "cookies.h"
#include "dedup.h"
#include "defrag.h"
#include "dga.h"
#include "errors.h"
#include "flood.h"
#include "flood_guard.h"
#include "integrity.h"
#include "matches.h"
#include "pair.h"
#include "resolvers.h"
#include "reverse.h"
#include "rrsets.h"
#include "seal.h"
#include "sinks.h"
#include "stream.h"
#include "tables.h"
#include "tally.h"
#include "taps.h"
#include "transport.h"
#include "ttls.h"
#include "worker.h"

#include <pthread.h>

struct worker {
	/* Settings: written by control before start, then only read. */
	struct worker_settings set;
	worker_tap_fn tap;
	void *tap_ctx;

	/* Own: the worker thread alone. */
	_Alignas(CACHE_LINE) struct evclock clock;
	struct batch batch;
	struct msgs *msgs;
	struct match *match;
	struct matches *matches; /* the keyed tables: these four */
	struct tables *tables;
	struct servers *servers;
	struct cookies *cookies;
	struct resolvers *resolvers;
	struct dga *dga; /* what clients' diaries say of names */
	struct transport *transport;
	struct ttls *ttls;
	struct rrsets *rrsets;
	struct errors *errors;
	struct sinks *sinks;         /* NULL: no list of sinkholes */
	struct integrity *integrity; /* NULL: no watch list */
	struct flood *flood;
	struct flood_guard *guard;      /* NULL: off */
	const struct rules_slot *rules; /* in use; NULL: none */
	struct txn txn[MSG_CAP];
	struct defrag *defrag;
	struct dedup *dedup; /* NULL: off */
	struct taps *taps;
	uint32_t found; /* messages that the packet with tags completed */
	struct stream *stream;
	struct pair *pair;
	struct tally *tally;
	struct seal *seal;
	struct stream_stats stream_seen; /* what the ledger knows already */
	uint64_t housekeep_us;           /* event time of the next look */
	uint64_t publish_us;
	uint32_t idle;
	uint32_t late, late_empty; /* packets since it was told to stop; looks that found none */
	bool input_ended;
	uint64_t lap;      /* timing: ticks at the end of the last stage */
	uint32_t to_timed; /* turns with packets until one is timed */
	bool timed;        /* this one */
	struct worker_timing timing;

	/* Shared: stop and abandon are control's to set, cpu_ns is the worker's at
	 * its end; all relaxed, joining the thread orders them. */
	_Alignas(CACHE_LINE) _Atomic int stop;
	_Atomic int abandon;
	_Atomic uint64_t cpu_ns;
	pthread_t thread;
	bool started;
};

/* Callbacks of the rooms, in worker.c. */
void worker_stream_message(void *ctx, const struct segment *seg, const uint8_t *data, uint32_t len,
			   bool in_frame);
void worker_defrag_settle(void *ctx, uint64_t held_us, uint64_t settled_us, enum ft_pkt_drop why);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that ask often enough to be missed: their rates, their silences, their coupling,
 * and the servers they turn to when another is silent (DOMAIN sections 2.3 to 2.5).
 *
 * Bounded: TRACK_CAP clients; one more is not taken in. What it finds goes to `tell`, in an
 * order that depends on addresses and times alone. One thread at a time. */
#ifndef CONTROL_STATS_CLIENT_TRACK_H
#define CONTROL_STATS_CLIENT_TRACK_H

#include "client_coupling.h"
#include "state.h"
#include "tables.h"

#include <stdbool.h>
#include <stdint.h>

#define TRACK_CAP 65536u
#define TRACK_KEY_BYTES 17u     /* vantage, address */
#define TRACK_ENTER 3u          /* queries in an interval that make a client tracked */
#define TRACK_SLOW_CAP 4096u    /* with fewer tracked, one query is enough */
#define TRACK_DAY_QUERIES 500.0 /* a day, at its rate, or it is not tracked any more */
#define TRACK_HALF_LIFE_S 600.0 /* of the rate */
#define TRACK_WARM_S 600u       /* of a client, and of the tap, before anything is said */
#define TRACK_WARM_QUERIES 20u  /* of a client */
#define SILENCE_LEAST_S 5.0
#define SILENCE_CHANCE 1e-6
#define SILENCE_END_QUERIES 3u
#define FAILOVER_QPS 1.0
#define FAILOVER_TIMES 20.0
#define FAILOVER_BASE_QPS 0.05
#define FAILOVER_WITHIN_S 60u

enum track_kind {
	TRACK_SILENT,     /* a silence begins */
	TRACK_BACK,       /* and ends */
	TRACK_TURNED,     /* a client turned to another server */
	TRACK_TURNED_BACK /* and does not ask it any more */
};

struct track_event {
	enum track_kind kind;
	const uint8_t *key;    /* of the client */
	uint64_t from_s, to_s; /* silence: last query before, first after (BACK) */
	double qps_before, qps_during;
	bool tap_loss;        /* nobody was heard */
	const uint8_t *from;  /* TURNED: address of who is silent (16 octets) */
	uint8_t to[16];       /* the server */
	uint64_t at_s, end_s; /* TURNED: first query to it, last one (TURNED_BACK) */
};

struct track_interval {
	uint64_t start_s, end_s, loss_ppm;
	uint64_t cut_s; /* of its end: behind the end of the input */
	const struct stat_parts *tables;
	bool after_gap; /* intervals before it had nothing at all */
};

struct tracks;

/* NULL + errno. interval_s: of the run; seed: its sample key, by which the tables' hashes
 * are made. */
struct tracks *tracks_create(uint32_t interval_s, uint64_t seed);
/* Accepts NULL. */
void tracks_destroy(struct tracks *t);

/* Looks at an interval; they must not go back. */
void tracks_step(struct tracks *t, const struct track_interval *in,
		 void (*tell)(void *ctx, const struct track_event *e), void *ctx);
/* Coupling of the day so far, by rising key, for those that have enough; then forgets it. */
void tracks_end_day(struct tracks *t,
		    void (*tell)(void *ctx, const uint8_t *key, const struct coupling_result *r),
		    void *ctx);
/* For a snapshot, as of stat.h. After a load that fails the tracks are of no use. */
int tracks_save(const struct tracks *t, state_write_fn *write, void *ctx);
int tracks_load(struct tracks *t, state_read_fn *read, void *ctx);
size_t tracks_count(const struct tracks *t);
/* Clients that found no room. */
uint64_t tracks_left_out(const struct tracks *t);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What set `server` is made of: an interval's servers, and their pasts. Control's thread.
 *
 * Pasts are bounded: once they are many, a server that was not asked for an hour makes
 * room, else new ones have none, and no state. */
#ifndef CONTROL_STATS_SERVER_H
#define CONTROL_STATS_SERVER_H

#include "../../dataplane/sketch.h"
#include "server_state.h"
#include "servers.h"
#include "stat.h"
#include "tables.h"

#define SERVER_KEY 17u     /* vantage, address */
#define SERVERS_BUSY 1000u /* that get a record, besides those that are configured */
#define SERVER_PASTS 8192u /* 8 MB */
#define SERVER_PAST_SLOTS (2 * SERVER_PASTS)
#define SERVER_ASKED_CAP (1u << 20) /* queries of an interval that are joined: 80 MB */

/* A server over intervals. */
struct server_past {
	uint8_t key[SERVER_KEY];
	uint64_t seen_s;
	struct server_health health;
	/* Windows that wait for their end, in no order. */
	struct server_window *waits;
	size_t n, room;
};

struct server_stat {
	const struct stat_run *run;
	struct retries *retries;
	struct server_past **past; /* [SERVER_PAST_SLOTS], open addressing */
	size_t pasts;
	bool answers; /* some server has answered */
	struct {
		uint64_t number, queries, unanswered;
	} all[FT_SERVER_WINDOW_CAP]; /* of the last windows: all servers */
};

struct server_sketch {
	uint64_t bin[DD_BINS], count, max_us;
};

/* A server in an interval. */
struct server_now {
	uint8_t key[SERVER_KEY];
	bool configured;
	uint64_t queries;
	struct table_sum sum;
	struct server_past *past; /* NULL: no room */
	struct server_sketch *sketch[FT_SERVER_SKETCHES];
};

/* A retry, with the server that was left. */
struct server_joined {
	uint8_t key[SERVER_KEY];
	uint8_t kind;
	uint64_t delay_us;
};

struct server_row {
	struct server_stat *s;
	const struct stat_interval *in;
	struct server_now *v;
	size_t n, room;
	struct server_joined *joined;
	size_t joined_n, joined_room;
	uint64_t queries, unanswered; /* of all servers */
	size_t active;                /* servers that were asked often enough for a judgement */
	uint32_t retry_level;
	bool one_way; /* the tap sees no responses */
};

/* server_past.c. The past of a server, made where it has none; NULL: no room. */
struct server_past *server_past_get(struct server_stat *s, const uint8_t *key, uint64_t now_s);
/* A window of its to be looked at once it is over. */
void server_past_wait(struct server_past *p, const struct server_window *w);
typedef void (*server_past_fn)(void *ctx, const struct server_past *p);
/* Looks at all windows that end by end_s, in order; calls fn for each change of state.
 * believe: packets were not lost. */
void server_past_step(struct server_stat *s, uint64_t end_s, bool believe, server_past_fn fn,
		      void *ctx);
/* Whether sums over all servers say that the tap sees one direction only. Servers that
 * answered before are believed to be down, unless many fell silent at once. */
bool server_past_one_way(const struct server_stat *s, uint64_t queries, uint64_t unanswered,
			 size_t active);
/* Makes room where it is short. */
void server_past_forget(struct server_stat *s, uint64_t now_s);
/* An address as text of INET6_ADDRSTRLEN. */
void server_text(const uint8_t *addr, char *text);

#endif

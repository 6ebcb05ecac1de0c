/* SPDX-License-Identifier: BSD-3-Clause */
/* What client_track.c and client_turn.c know of a tracked client. */
#ifndef CONTROL_STATS_CLIENT_STATE_H
#define CONTROL_STATS_CLIENT_STATE_H

#include "client_track.h"

/* A server that the client asked, by moving rates. */
struct track_server {
	uint32_t id;     /* tables_server_id */
	double qps;      /* as of second at_s */
	double before;   /* likewise, without the last interval in which it was asked */
	double answered; /* share in that interval */
	uint32_t missed; /* queries without an answer in it */
	uint64_t at_s;
	uint8_t addr[16]; /* zeros: not looked up */
};

/* What says whether it is missing stands in front. */
struct track {
	uint8_t key[TRACK_KEY_BYTES];
	bool seen; /* in this interval */
	bool silent;
	bool tap_loss;
	bool couples;           /* it has asked for A or AAAA in this day */
	bool turned, by_server; /* to a server; by_server: away from one that did not answer */
	uint32_t empty;         /* intervals without a query since, not learnt yet */
	uint32_t servers;
	uint64_t since_s;               /* tracked */
	uint64_t asked;                 /* queries since */
	uint64_t last_s;                /* of the last query */
	double mean, var;               /* of queries in an interval */
	double qps;                     /* mean, by second */
	uint64_t silent_from_s, back_s; /* back: first query since, 0: none */
	uint64_t back_queries;
	double qps_before;
	struct coupling coupling;
	struct track_server server[FT_DIARY_SERVERS];
	/* It turned to a server. */
	uint8_t turned_from[16], turned_to[16];
	uint32_t turned_id, left_id;
	uint64_t turned_s, turned_last_s, turned_queries;
	uint64_t turned_now;  /* queries to it in this interval */
	uint64_t turned_in_s; /* end of the interval in which that was found */
	double turned_before;
};

/* A client that began to ask a server, and nobody is known to be silent yet. */
struct turn {
	uint8_t key[TRACK_KEY_BYTES];
	uint32_t id;
	uint64_t at_s, queries; /* queries: since, up to this interval's end */
	double before;
};
#define TURNS_CAP 1024u
#define TURNS_KEEP_S 1800u

/* A place of the index: a client's number + 1, 0: free; and the low bits of its hash, so
 * that another's track need not come from memory. */
struct track_place {
	uint32_t tag, number;
};

struct tracks {
	uint32_t interval_s;
	uint64_t seed;
	double keep;               /* what an interval leaves of the past */
	struct track_place *place; /* [TRACK_PLACES], open addressing */
	struct track *track;       /* [room], of which n are there; they move */
	size_t n, room;
	uint64_t left_out;
	uint64_t begun_s; /* of the first interval */
	/* Queries of an interval by vantage, moving means and this one's. */
	double total[FT_VANTAGE_CAP];
	uint64_t total_now[FT_VANTAGE_CAP];
	struct turn turn[TURNS_CAP];
	unsigned turns;
	unsigned looked_up; /* addresses of servers, in this interval */
	struct diary_sum scratch;
	const struct track_interval *in;
	void (*tell)(void *ctx, const struct track_event *e);
	void *ctx;
};
#define TRACK_PLACES (2u * TRACK_CAP)

/* The second behind the last one of the interval that something is known of. */
static inline uint64_t track_known_s(const struct tracks *t)
{
	return t->in->end_s - t->in->cut_s;
}

/* client_turn.c: what the servers asked in this interval say. */
void track_look_at_servers(struct tracks *t, struct track *x, uint64_t first_s, uint64_t last_s,
			   const struct diary_sum *diary);
/* Who turned away from a silent client when it fell silent. */
void track_match_turns(struct tracks *t, const struct track *silent);
/* Ends what is over; x was not seen, or what it asked has been looked at. */
void track_end_turn(struct tracks *t, struct track *x);

/* NULL: not there. Valid until the next track_enter or track_forget. */
struct track *track_find(const struct tracks *t, const uint8_t *key);
/* One after the other, in no order; *at is 0 at first. NULL at the end. */
struct track *track_next(const struct tracks *t, size_t *at);
/* A new client; NULL: no room. */
struct track *track_enter(struct tracks *t, const uint8_t *key);
/* The last one takes its place in the row. */
void track_forget(struct tracks *t, struct track *x);

#endif

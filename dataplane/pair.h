/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 4, pair: a query and its response become one transaction.
 *
 * Waiting queries stand in a keyed hash table of slots (two cache lines each)
 * that takes all its memory at creation. Queries that are alike in everything
 * (a retransmission) queue up behind one another: the oldest is answered first.
 * A timing wheel settles those whose time is up. Called by one worker. */
#ifndef DATAPLANE_PAIR_H
#define DATAPLANE_PAIR_H

#include "msg.h"
#include "retry.h"

#include <stddef.h>

/* What the statistics need to know of a query once it has settled: one line. */
struct query {
	uint64_t t_us;          /* event time: decides interval and second */
	uint64_t ts_us;         /* packet time: begins the response time */
	uint64_t client_sketch; /* hash of the client's address, sketches' seed */
	uint64_t name_sketch;
	uint32_t edns;
	uint16_t bytes; /* of the DNS message */
	uint16_t qtype;
	uint16_t qclass;
	uint8_t opcode;
	uint8_t transport; /* enum ft_transport */
	uint8_t vantage;   /* enum ft_vantage by address; FT_VANTAGE_CAP: by flags */
	uint8_t rd, has_name, malformed;
	uint8_t dup;          /* one like it in everything waited */
	uint8_t retry;        /* an earlier one of the same client, name and type did */
	uint8_t cookie;       /* the option's length and 1; 0: it has none */
	uint8_t cd, capitals; /* capitals: in the first octets of its name */
	uint8_t spare;
	uint16_t port; /* the client's */
};

struct txn {
	struct query q;       /* valid where has_query */
	uint64_t settled_us;  /* event time at which it settled */
	uint64_t response_us; /* event time of the response, <= settled_us */
	uint64_t rtt_us;      /* where both are there */
	uint32_t rtt_bin;     /* the same as a DDSketch bin, see sketch.h */
	bool has_query, has_response;
	/* of the response, where has_response */
	bool aa, ra, rd, malformed, tc; /* tc: over UDP */
	bool late;              /* no query waits, but one's time was up a short while ago */
	uint8_t class, vantage; /* vantage: by address, of the response's own ends */
	uint16_t rcode, bytes;
	/* Who asked whom for what; these pointers hold until the next call. */
	uint8_t name_len;    /* 0: no question */
	const uint8_t *name; /* folded */
	const uint8_t *raw;  /* as the query had it; NULL: the response has a question */
	const struct addr *client, *server;
	const struct msg *response;    /* NULL: none */
	const struct verdict *verdict; /* NULL: the response has no question to take it from */
	const uint8_t *cookie; /* of the query, where q.cookie says a legal length; else any */
	const struct retry_left *left; /* the query is a retry of this one; NULL: it is none */
};

/* RFC 7873 section 4: a client's part of 8 octets, and a server's of 8 to 32 or none. */
#define PAIR_COOKIE_CAP 40u
static inline bool pair_cookie_is_legal(uint32_t len)
{
	return len == 8 || (len >= 16 && len <= PAIR_COOKIE_CAP);
}

/* What queries of one client for one name and type have in common; 0: nothing to ask for. */
static inline uint64_t pair_group(uint64_t client_sketch, uint64_t name_sketch, uint16_t qtype)
{
	return hash_fold(client_sketch ^ (uint64_t)qtype << 32,
			 name_sketch ^ 0x9e3779b97f4a7c15ull);
}

/* The vantage of a query that nobody has answered, by addresses or else by its flags. */
static inline uint8_t pair_vantage(uint8_t by_addrs, bool rd)
{
	if (by_addrs != FT_VANTAGE_CAP)
		return by_addrs;
	return rd ? FT_VANTAGE_S2R : FT_VANTAGE_R2A;
}

struct pair;

/* entries: queries that may wait at once. wait_us: longest response time. interval_us: of the
 * clock's rows; no query waits for longer than wait_us behind the end of its own. joins: look
 * for retries, which needs all flows of a client here. NULL + errno. */
struct pair *pair_create(size_t entries, uint64_t wait_us, uint64_t interval_us, uint64_t hash_key,
			 bool joins);
void pair_destroy(struct pair *p);

/* Pairs the messages of a batch that are still kept, in order. Writes what
 * settled into out (MSG_CAP) and returns how many; a query for which there is no
 * room gets drop FT_MSG_PAIR_FULL. Needs what match_step fills in. */
uint32_t pair_step(struct pair *p, struct msgs *batch, struct txn *out);

/* Settles queries whose time is up at now_us: at most cap, returns how many;
 * call again while it returns cap. */
uint32_t pair_expire(struct pair *p, uint64_t now_us, struct txn *out, uint32_t cap);
/* Likewise for all that wait, at the end of the input (event clock end_us). */
uint32_t pair_flush(struct pair *p, uint64_t end_us, struct txn *out, uint32_t cap);
/* Queries waiting now. */
size_t pair_held(const struct pair *p);

#endif

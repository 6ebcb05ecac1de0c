/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS cookies (RFC 7873, RFC 9018): what each client and server makes of them.
 *
 * A table of pairs of client and server that have used cookies, and two keyed tables of
 * counters, by server and by client. All flows of a pair come to one worker. A transaction
 * without cookies costs a look at a bitmap, and nothing before the first pair. Owned by one
 * worker; takes its memory at creation. */
#ifndef DATAPLANE_COOKIES_H
#define DATAPLANE_COOKIES_H

#include "keyed.h"
#include "pair.h"
#include "tally.h"

#include <fluxtap/rec_cookie.h>

#define COOKIES_SECRETS 4u

struct cookies_settings {
	uint64_t hash_key;     /* secret of this run */
	uint64_t sketch_seed;  /* hashes that go to control */
	size_t pairs, entries; /* of the tables; powers of two */
	unsigned secrets;      /* of the operator's own servers; 0: none is known */
	uint8_t secret[COOKIES_SECRETS][16];
};

struct cookies_stats {
	uint64_t seen;    /* transactions that had a class */
	uint64_t evicted; /* pairs */
};

struct cookies;

/* Adds itself to the tally, which must outlive it. NULL + errno. */
struct cookies *cookies_create(struct tally *tally, const struct cookies_settings *settings);
/* Emits nothing. Accepts NULL. */
void cookies_destroy(struct cookies *c);
/* Counts settled transactions; before tally_step. */
void cookies_step(struct cookies *c, const struct txn *txn, uint32_t n);

/* The format of a server cookie of len octets, by packet time. */
enum ft_cookie_format cookies_format(const uint8_t *cookie, uint32_t len, uint64_t ts_us);
/* Whether a server cookie of version 1 was made for this client with that secret. */
bool cookies_is_genuine(const uint8_t secret[16], const uint8_t client_cookie[8],
			const uint8_t server_cookie[16], const struct addr *client);

const struct cookies_stats *cookies_stats_get(const struct cookies *c);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* How a client's queries for A and AAAA go together: R2 of their counts in bins of one and
 * of five seconds (DOMAIN section 2.3), from exact sums.
 *
 * Bins count from the client's first to its last query, but for spans that are left out.
 * Seconds must not go back. Pure arithmetic, any thread. */
#ifndef CONTROL_STATS_CLIENT_COUPLING_H
#define CONTROL_STATS_CLIENT_COUPLING_H

#include <stdbool.h>
#include <stdint.h>

#define COUPLING_R2 0.9
#define COUPLING_BINS 600u    /* seconds, and */
#define COUPLING_QUERIES 100u /* queries of each type, at least */

/* Sums over the bins of one width that have queries. */
struct coupling_sums {
	uint64_t sxx, syy, sxy;
	uint64_t bin, x, y; /* the one that is open, by number since 1970 */
	uint64_t left_out;  /* bins */
};

struct coupling {
	struct coupling_sums of[2]; /* one second, five */
	uint64_t sx, sy;
	uint64_t first_s, last_s; /* first 0: nothing yet */
};

struct coupling_result {
	uint64_t n, sx, sy;
	double r2_1s, r2_5s, ratio;
	bool coupled;
};

/* The client asked at that second, for anything. */
void coupling_seen(struct coupling *c, uint64_t second);
/* So many queries for A and AAAA. */
void coupling_add(struct coupling *c, uint64_t second, uint64_t a, uint64_t aaaa);
/* It was silent from the second after from_s to the one before to_s. */
void coupling_leave_out(struct coupling *c, uint64_t from_s, uint64_t to_s);
/* True where there is enough to speak of. */
bool coupling_get(const struct coupling *c, struct coupling_result *out);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of one owner laid in order of seconds, and how often they change.
 *
 * k sets in one second are k - 1 transitions, beginning with the one that was last,
 * the others by rank; ranks go by what is in the sets, not by keys, so that no secret
 * shows. Of a cache's answers those older than what was last are left out: all count
 * down to the second in which they expire, so that the later one was fetched later.
 * Pure, any thread. */
#ifndef CONTROL_STATS_LAY_H
#define CONTROL_STATS_LAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_FLUX 8u /* transitions a day: Spring and Metcalf, "CNAME flux", 2011 */
#define LAY_NEVER UINT32_MAX
#define LAY_DAY_S 86400u

/* A set in one minute. */
struct lay_set {
	uint64_t key, seconds; /* key: not 0 */
	uint32_t rank;
	uint32_t expiry;  /* second up to which a cache keeps it at least */
	uint32_t ttl_min; /* of all that it was seen with */
};

struct lay {
	uint64_t last;        /* set; 0: none yet */
	uint32_t transitions; /* since the day began */
	uint32_t expiry;      /* of what was last */
	uint32_t reached;     /* second in which they became LAY_FLUX, LAY_NEVER: not here */
	bool by_origin;       /* leave out what is older */
	/* Told of each transition, in order; NULL: nobody. */
	void (*changed)(void *ctx, uint32_t second);
	void *ctx;
};

/* Goes on with the sets of one minute, which begins at that second of the day; sorts
 * them. */
void lay_minute(struct lay *l, struct lay_set *set, size_t n, uint32_t at);

#endif

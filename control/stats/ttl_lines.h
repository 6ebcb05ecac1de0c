/* SPDX-License-Identifier: BSD-3-Clause */
/* The lines that falling TTLs draw: t + ttl stays what it is while a cache keeps an entry,
 * so each line ("cluster") is one fill of one cache (DOMAIN section 9.1).
 *
 * One object for a watched (owner, type) and server; answers come by rising time. Lines
 * that still run are kept, 64 at most; what has ended is counted. Days are closed by the
 * caller. Pure but for growing arrays; one thread. */
#ifndef CONTROL_STATS_TTL_LINES_H
#define CONTROL_STATS_TTL_LINES_H

#include "state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TTL_CLUSTERS 64u
#define TTL_SAMPLE 256u /* first TTLs of a day's fills that are kept for the test */

struct ttl_cluster {
	uint64_t first_us;           /* its first answer */
	uint64_t x_first_us;         /* t + ttl of it */
	uint64_t x_min_us, x_max_us; /* over all of its answers */
	uint64_t others;             /* lines that lived at first_us and have ended since */
};

/* Expiries that no fill has taken, oldest first. */
struct ttl_expiries {
	uint64_t *v;
	uint32_t n, room;
	uint64_t idle_us, taken; /* of the day */
};

struct ttl_lines {
	struct ttl_cluster *cluster;
	uint32_t n, room;
	/* Fills begin when the entry was made, by the greatest TTL there was; or, which holds
	 * also where TTLs are random, with their first answer. */
	struct ttl_expiries made, seen;
	uint32_t max_s, max_before_s; /* greatest TTL of this day, and of the one before */
	uint32_t last_ttl_s;
	uint64_t last_us; /* of the last answer */
	/* Answers in a row, a second apart or more, with one and the same TTL. */
	uint64_t run, run_us;
	uint64_t run_below, run_top; /* longest of the day: below max_s, at max_s */
	uint64_t answers, fills, live, evicted;
	uint64_t day_us; /* when the day began */
	uint32_t *sample;
	uint32_t samples;
};

/* What is said of a day. */
struct ttl_report {
	uint64_t fills, live, answers, evicted;
	uint64_t idle_us, idles; /* mean of so many; 0: none */
	uint32_t ttl_max_s;
	uint64_t age_us; /* of the entry in the last answer */
	bool randomised, stretched;
};

/* Zeros are an empty one. Frees what it owns. */
void ttl_lines_fini(struct ttl_lines *l);
/* An answer without AA at t_us, not before the one before it. -ENOMEM. */
int ttl_lines_add(struct ttl_lines *l, uint64_t t_us, uint32_t ttl_s);
/* The day so far; authority_s: the greatest TTL that answers with AA gave the owner. At
 * the input's end all lines end first: that costs them their future. */
void ttl_lines_report(struct ttl_lines *l, uint64_t end_us, uint32_t authority_s,
		      struct ttl_report *out);
int ttl_lines_end(struct ttl_lines *l);
/* Forgets the counts of the day that ends at end_us; lines run on. -ENOMEM. */
int ttl_lines_next_day(struct ttl_lines *l, uint64_t end_us);

/* Kolmogorov-Smirnov test, 1 %, of n whole numbers (which it sorts) against the uniform
 * distribution on 0..max: true where nothing speaks against it. */
bool ttl_is_uniform(uint32_t *v, size_t n, uint32_t max);

int ttl_lines_save(const struct ttl_lines *l, state_write_fn *write, void *ctx);
/* Into an empty one; -EBADMSG, -ENOMEM, or what `read` said: it is to be freed then. */
int ttl_lines_load(struct ttl_lines *l, state_read_fn *read, void *ctx);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Queries of all workers, joined: which are retries of an earlier one that is unanswered.
 *
 * For runs with more than one worker, where none sees all servers that a client asks; the
 * same rules as in dataplane/retry.h. An interval's queries come in any order; those that
 * may still be retried are kept for the next one. Bounded: beyond it, only those with a
 * hash below 2^-level are kept. Control's thread. */
#ifndef CONTROL_STATS_RETRIES_H
#define CONTROL_STATS_RETRIES_H

#include "rows.h"

#include <fluxtap/rec_server.h>

struct retries;

/* NULL + errno. cap: queries of an interval. */
struct retries *retries_create(size_t cap);
/* Accepts NULL. */
void retries_destroy(struct retries *r);

/* A query of an interval. -ENOMEM. */
int retries_add(struct retries *r, uint64_t row, const struct ft_server_asked *a);
/* The smallest row it holds something for; UINT64_MAX: none. */
uint64_t retries_first_row(const struct retries *r);
/* Joins the interval's, which ends at end_us, and forgets it: calls fn for each retry, with
 * the query that was left, and the time from the first one. Returns the level. */
typedef void (*retries_fn)(void *ctx, const struct ft_server_asked *left, bool same,
			   uint64_t delay_us);
uint32_t retries_join(struct retries *r, uint64_t row, uint64_t end_us, retries_fn fn, void *ctx);

#endif

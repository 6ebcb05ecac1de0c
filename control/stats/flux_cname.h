/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `flux`, kind `cname`: its state can be written to a snapshot and read again, by
 * a process whose keyed hashes have the same secret. Control's thread. */
#ifndef CONTROL_STATS_FLUX_CNAME_H
#define CONTROL_STATS_FLUX_CNAME_H

#include "state.h"

#define FLUX_CNAME_MB 256u /* budget where the run names none */

/* Between two intervals: what is held in rows that are still open is not part of it. */
int flux_cname_save(const void *stat, state_write_fn *write, void *ctx);
/* Into a statistic that has seen nothing yet. 0; -EBADMSG for what was not written by
 * flux_cname_save; -ENOMEM; what `read` returned. It is empty again where it fails. */
int flux_cname_load(void *stat, state_read_fn *read, void *ctx);

struct flux_cname_totals {
	size_t owners, bytes; /* followed now; of table, targets, views and names */
	unsigned shift;       /* owners whose keys are below 2^(64 - shift) are followed */
	uint64_t left_out;    /* observations of this day without an owner */
	uint64_t dropped;     /* owners of this day that had to go */
};
struct flux_cname_totals flux_cname_totals_get(const void *stat);
/* Before the first interval; for tests. */
void flux_cname_set_budget(void *stat, size_t bytes);

#endif

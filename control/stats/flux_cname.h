/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `flux`, kind `cname`: its state can be written to a snapshot and read again, by
 * a process whose keyed hashes have the same secret. Control's thread. */
#ifndef CONTROL_STATS_FLUX_CNAME_H
#define CONTROL_STATS_FLUX_CNAME_H

#include <stddef.h>
#include <stdint.h>

#define FLUX_CNAME_MB 256u /* budget where the run names none */

/* Takes len octets, in order; 0 or -errno, which ends it. */
typedef int flux_write_fn(void *ctx, const void *data, size_t len);
/* Fills all of len octets; 0, or -errno where there are not so many. */
typedef int flux_read_fn(void *ctx, void *data, size_t len);

/* Between two intervals: what is held in rows that are still open is not part of it. */
int flux_cname_save(const void *stat, flux_write_fn *write, void *ctx);
/* Into a statistic that has seen nothing yet. 0; -EBADMSG for what was not written by
 * flux_cname_save; -ENOMEM; what `read` returned. It is empty again where it fails. */
int flux_cname_load(void *stat, flux_read_fn *read, void *ctx);

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

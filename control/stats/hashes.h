/* SPDX-License-Identifier: BSD-3-Clause */
/* A distinct count that is exact up to a bound of its own, and then HyperLogLog (p = 14)
 * for good; if wanted, with a count for each member while it is exact.
 *
 * What it is depends on its members alone, not on the order in which they came. Control's
 * thread; grows with its members. All zeros is an empty set once `cap` is set. */
#ifndef CONTROL_STATS_HASHES_H
#define CONTROL_STATS_HASHES_H

#include "../../dataplane/sketch.h"

struct hashes {
	uint64_t *key;          /* open addressing, 0: free */
	uint64_t *count;        /* beside it; NULL: not counted */
	struct distinct *dense; /* not NULL: beyond cap */
	uint32_t n, slots;
	uint32_t cap;
	bool counted;
};

void hashes_fini(struct hashes *h);
/* Adds a member, and so many to its count. 0 or -ENOMEM. */
int hashes_add(struct hashes *h, uint64_t hash, uint64_t count);
uint64_t hashes_count(const struct hashes *h);
/* The greatest count; 0 where that is not known. */
uint64_t hashes_top(const struct hashes *h);
/* HyperLogLog registers (FT_DISTINCT_REGS) of either form. */
void hashes_regs(const struct hashes *h, uint8_t *regs);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Small distinct counts, for tables with many of them: the hashes themselves up to
 * FT_FEW_EXACT, beyond that HyperLogLog registers of precision FT_FEW_P (3.3 %).
 *
 * What a set is depends on its members alone and not on how they were split before
 * merging. Both sides of the ring use it; one writer each; allocates nothing. */
#ifndef DATAPLANE_FEW_H
#define DATAPLANE_FEW_H

#include <fluxtap/rec_match.h>

#include <stdbool.h>
#include <stddef.h>

#define FEW_SLOTS 128u /* open addressing, three quarters full at most */

struct few {
	uint32_t n;     /* hashes kept, while exact */
	uint32_t dense; /* 1: regs */
	union {
		uint64_t set[FEW_SLOTS]; /* 0: free */
		uint8_t regs[FT_FEW_REGS];
	} u;
};

void few_add(struct few *f, uint64_t hash);
/* Number of distinct hashes: exact while exact, then the estimate. */
uint64_t few_count(const struct few *f);

/* Writes the set as a record carries it into out (FT_FEW_WIRE_CAP); returns octets. */
uint32_t few_write(const struct few *f, uint8_t *out);
/* Merges such octets. False, and nothing changed, where they cannot be. */
bool few_merge(struct few *f, const uint8_t *data, size_t bytes);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The smallest distinct count: for tables with millions of them, in 36 octets.
 *
 * The hashes themselves up to FT_ERROR_EXACT, beyond that HyperLogLog registers of
 * four bits (13 % standard error). What a set is depends on its members alone and not
 * on how they were split before merging. Both sides of the ring use it; one writer
 * each; allocates nothing. */
#ifndef DATAPLANE_HANDFUL_H
#define DATAPLANE_HANDFUL_H

#include <fluxtap/rec_error.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct handful {
	uint8_t n;   /* hashes kept; FT_ERROR_EXACT + 1: registers */
	uint8_t tag; /* the owner's own */
	uint8_t pad[2];
	union {
		uint32_t hash[FT_ERROR_EXACT];
		uint8_t regs[FT_ERROR_REGS_BYTES];
	} u;
};
static_assert(sizeof(((struct handful *)0)->u) == 4 * FT_ERROR_EXACT, "both forms take as much");

void handful_add(struct handful *h, uint32_t hash);
/* n and octets as in struct ft_error; the octets need no alignment. */
void handful_merge(struct handful *h, uint32_t n, const uint8_t *octets);
/* Number of distinct hashes: exact while exact, then the estimate. */
uint64_t handful_count(const struct handful *h);

#endif

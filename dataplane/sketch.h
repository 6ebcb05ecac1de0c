/* SPDX-License-Identifier: BSD-3-Clause */
/* Mergeable sketches: DDSketch for response times, exact-then-HyperLogLog for
 * distinct counts. One writer each; merged by addition and by maximum. Both
 * sides of the ring use them. They allocate nothing.
 *
 * DDSketch: Masson, Rim, Lee, "DDSketch", PVLDB 12(12), 2019. HyperLogLog:
 * Flajolet et al. 2007, with the estimator of Ertl, arXiv:1702.01284. */
#ifndef DATAPLANE_SKETCH_H
#define DATAPLANE_SKETCH_H

#include <fluxtap/block.h>

#include <stdbool.h>
#include <stddef.h>

#define DD_ALPHA 0.01
/* Bin 0 holds zero; bin i holds (gamma^(i-2), gamma^(i-1)] microseconds. */
#define DD_BINS 1024u

/* Call once before any dd_bin; idempotent, any thread before workers start. */
void dd_init(void);
/* The bin of a value in us; values beyond the last bin stand in the last. */
uint32_t dd_bin(uint64_t us);
/* The value that stands for a bin: within DD_ALPHA of every value in it. */
double dd_value(uint32_t bin);
/* The q-quantile (0..1) of count values in bins[DD_BINS], in us; 0 if empty. */
double dd_quantile(const uint64_t *bins, uint64_t count, double q);

/* Ertl's estimate from the histogram [0..q + 1] of HyperLogLog registers that hold ranks
 * of at most q + 1. */
uint64_t hll_estimate(const uint32_t *histogram, uint32_t registers, unsigned q);

/* A set of 64-bit hashes: the hashes themselves up to FT_DISTINCT_EXACT, beyond
 * that HyperLogLog registers. What it is depends on the set alone and not on
 * how it was split before merging. */
struct distinct {
	uint32_t n;     /* hashes kept, while exact */
	uint32_t dense; /* 1: regs */
	union {
		uint64_t set[2 * FT_DISTINCT_EXACT]; /* open addressing, 0: free */
		uint8_t regs[FT_DISTINCT_REGS];
	} u;
};

void distinct_add(struct distinct *d, uint64_t hash);
/* Puts the exact hashes into out (FT_DISTINCT_EXACT); returns how many. */
uint32_t distinct_list(const struct distinct *d, uint64_t *out);
void distinct_merge_regs(struct distinct *d, const uint8_t *regs);
/* Number of distinct hashes: exact while exact, then the estimate. */
uint64_t distinct_count(const struct distinct *d);
/* Registers of the set in either form (FT_DISTINCT_REGS octets). */
void distinct_regs(const struct distinct *d, uint8_t *regs);
/* The estimate of 1 << p HyperLogLog registers, p in 4..16. */
uint64_t hll_count(const uint8_t *regs, unsigned p);
/* Empties it; touches no more memory than was used. */
void distinct_clear(struct distinct *d);

#endif

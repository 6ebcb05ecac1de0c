/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_rand.h"

enum {
	RTT_MEDIAN_US = 20000,
	RTT_LEAST_US = 50,
	RTT_MOST_US = 3900000,
};

/*
 * Rejection from octaves: under 1/2^j for all of [2^j, 2^(j+1)) each octave has the same mass, so
 * one is drawn evenly, then a rank within it, and the rank is kept with probability 2^j/rank.
 * About 1.44 rounds a draw.
 */
uint32_t gen_rng_zipf(struct gen_rng *r, uint32_t n)
{
	unsigned octaves = 32 - (unsigned)__builtin_clz(n);

	for (;;) {
		uint64_t x = gen_rng_next(r);
		unsigned j = (unsigned)(((x & UINT32_MAX) * octaves) >> 32);
		uint32_t low = (UINT32_C(1) << j) - 1;
		uint32_t rank = (low + 1) | ((uint32_t)(x >> 32) & low);

		if (rank > n)
			continue;
		if ((gen_rng_next(r) >> 32) * rank < UINT64_C(1) << (j + 32))
			return rank;
	}
}

/* 2^(x / 2^16) in units of 2^-16 for 0 <= x < 2^16, to about 2 parts in 10,000. */
static uint64_t exp2_frac(uint32_t x)
{
	static const uint32_t node[17] = {65536,  68438,  71468,  74632,  77936,  81386,
					  84990,  88752,  92682,  96785,  101070, 105545,
					  110218, 115098, 120194, 125515, 131072};
	uint32_t i = x >> 12;
	uint32_t part = x & 0xfff;

	return node[i] + (((uint64_t)(node[i + 1] - node[i]) * part) >> 12);
}

uint32_t gen_rng_rtt_us(struct gen_rng *r)
{
	uint64_t a = gen_rng_next(r);
	uint64_t b = gen_rng_next(r);
	uint32_t sum = 0;

	/* eight evenly distributed 16-bit numbers: mean 4 * 65535, variance 8/12 * 65536^2 (nearly
	 * normal) */
	for (unsigned i = 0; i < 64; i += 16)
		sum += (uint32_t)(a >> i & 0xffff) + (uint32_t)(b >> i & 0xffff);

	/* sigma 1.0 of the natural logarithm, in units of 2^-16 octaves: 1.0 / ln 2 / sqrt(8/12)
	 * = 1.7669 */
	uint64_t octaves = (uint64_t)sum * 115797 / 65536 + (UINT64_C(16) << 16) -
			   UINT64_C(4) * 65535 * 115797 / 65536;
	uint64_t us = RTT_MEDIAN_US * exp2_frac((uint32_t)(octaves & 0xffff));
	unsigned whole = (unsigned)(octaves >> 16);

	us = us << whole >> 32; /* 16 for the fraction, 16 for the offset of the exponent */
	if (us < RTT_LEAST_US)
		us = RTT_LEAST_US;
	return us > RTT_MOST_US ? RTT_MOST_US : (uint32_t)us;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers of the generator: integer arithmetic only, so that a seed means the same frames
 * everywhere. Called from the generator's thread; owns nothing; never allocates.
 */
#ifndef FLUXTAP_GEN_RAND_H
#define FLUXTAP_GEN_RAND_H

#include <stdbool.h>
#include <stdint.h>

struct gen_rng {
	uint64_t s[4];
};

/* A bijection of 64 bits that scatters them (the finaliser of SplitMix64, Steele et al. 2014). */
static inline uint64_t gen_mix64(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline void gen_rng_init(struct gen_rng *r, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++)
		r->s[i] = gen_mix64(seed + i * UINT64_C(0x632be59bd9b4e019));
	r->s[0] |= 1; /* all zero is the one state without a way out */
}

static inline uint64_t gen_rotl64(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

/* xoshiro256** (Blackman and Vigna 2018). */
static inline uint64_t gen_rng_next(struct gen_rng *r)
{
	uint64_t out = gen_rotl64(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = gen_rotl64(r->s[3], 45);
	return out;
}

/* Uniform in [0, n); `n` > 0. The bias is below 2^-32 * n. */
static inline uint32_t gen_rng_below(struct gen_rng *r, uint32_t n)
{
	return (uint32_t)(((gen_rng_next(r) >> 32) * n) >> 32);
}

/* True `per_10k` times out of 10,000. */
static inline bool gen_rng_chance(struct gen_rng *r, uint32_t per_10k)
{
	return gen_rng_below(r, 10000) < per_10k;
}

/* A rank from 1 to n with probability in proportion to 1/rank (Zipf, exponent 1.0, exact); `n` > 0.
 */
uint32_t gen_rng_zipf(struct gen_rng *r, uint32_t n);

/* A response time, log-normal with median 20 ms and sigma 1.0, below 4 s. */
uint32_t gen_rng_rtt_us(struct gen_rng *r);

#endif

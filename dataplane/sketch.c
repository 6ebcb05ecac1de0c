/* SPDX-License-Identifier: BSD-3-Clause */
#include "sketch.h"

#include <math.h>
#include <string.h>

/* dd_upper[i]: largest whole value of bin i. dd_first[k][m]: a bin at or below
 * that of the smallest value whose top bits are (k, m); see dd_bin. */
#define DD_SUB_BITS 6
static uint64_t dd_upper[DD_BINS];
static uint16_t dd_first[64][1 << DD_SUB_BITS];

static double gamma_of_alpha(void)
{
	return (1 + DD_ALPHA) / (1 - DD_ALPHA);
}

/* The exponent of the highest bit and the DD_SUB_BITS bits behind it. */
static inline unsigned top_bit(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}

static inline unsigned sub_bits(uint64_t v, unsigned top)
{
	const uint64_t frac = v ^ 1ull << top;

	return (unsigned)(top >= DD_SUB_BITS ? frac >> (top - DD_SUB_BITS)
					     : frac << (DD_SUB_BITS - top));
}

void dd_init(void)
{
	const double log_gamma = log(gamma_of_alpha());

	if (dd_upper[DD_BINS - 1] != 0)
		return;
	for (uint32_t i = 1; i < DD_BINS; i++)
		dd_upper[i] = (uint64_t)floor(exp(log_gamma * (double)(i - 1)));
	dd_upper[DD_BINS - 1] = UINT64_MAX;
	for (unsigned top = 0; top < 64; top++) {
		for (unsigned sub = 0; sub < 1u << DD_SUB_BITS; sub++) {
			const uint64_t low =
			    (1ull << top) + (top >= DD_SUB_BITS
						 ? (uint64_t)sub << (top - DD_SUB_BITS)
						 : (uint64_t)sub >> (DD_SUB_BITS - top));
			uint32_t bin = 1;
			while (dd_upper[bin] < low)
				bin++;
			dd_first[top][sub] = (uint16_t)bin;
		}
	}
}

uint32_t dd_bin(uint64_t us)
{
	if (us == 0)
		return 0;
	const unsigned top = top_bit(us);
	uint32_t bin = dd_first[top][sub_bits(us, top)];

	/* A cell is 1/64 of an octave and a bin about 1/35: one step at most. */
	while (dd_upper[bin] < us)
		bin++;
	return bin;
}

double dd_value(uint32_t bin)
{
	const double gamma = gamma_of_alpha();

	return bin == 0 ? 0 : 2 * pow(gamma, (double)(bin - 1)) / (gamma + 1);
}

double dd_quantile(const uint64_t *bins, uint64_t count, double q)
{
	uint64_t seen = 0;

	if (count == 0)
		return 0;
	const uint64_t rank = (uint64_t)(q * (double)(count - 1));
	for (uint32_t i = 0; i < DD_BINS; i++) {
		seen += bins[i];
		if (seen > rank)
			return dd_value(i);
	}
	return dd_value(DD_BINS - 1);
}

static void regs_add(uint8_t *regs, uint64_t hash)
{
	uint8_t *reg = &regs[hash >> (64 - FT_DISTINCT_P)];
	/* The sentinel bit ends the run of zeros at 64 - p. */
	const uint64_t rest = hash << FT_DISTINCT_P | 1ull << (FT_DISTINCT_P - 1);
	const uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);

	if (rank > *reg)
		*reg = rank;
}

/* Returns true where the hash was new. */
static bool set_add(uint64_t *set, uint64_t hash)
{
	/* Not the hash's own top bits: the registers are chosen by these. */
	uint32_t at = (uint32_t)(hash * 0x9e3779b97f4a7c15ull >> 53);

	while (set[at] != 0 && set[at] != hash)
		at = (at + 1) & (2 * FT_DISTINCT_EXACT - 1);
	if (set[at] == hash)
		return false;
	set[at] = hash;
	return true;
}

static void make_dense(struct distinct *d)
{
	uint64_t set[2 * FT_DISTINCT_EXACT]; /* it may hold one more than the exact limit */

	memcpy(set, d->u.set, sizeof(set));
	memset(&d->u, 0, sizeof(d->u));
	d->dense = 1;
	for (uint32_t i = 0; i < 2 * FT_DISTINCT_EXACT; i++)
		if (set[i] != 0)
			regs_add(d->u.regs, set[i]);
}

void distinct_add(struct distinct *d, uint64_t hash)
{
	if (hash == 0)
		hash = 1; /* 0 marks a free place */
	if (d->dense) {
		regs_add(d->u.regs, hash);
		return;
	}
	if (d->n < FT_DISTINCT_EXACT) {
		d->n += set_add(d->u.set, hash);
		return;
	}
	/* Full: only a new hash makes it dense. The set has room for it. */
	if (set_add(d->u.set, hash)) {
		make_dense(d);
		regs_add(d->u.regs, hash);
	}
}

uint32_t distinct_list(const struct distinct *d, uint64_t *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 2 * FT_DISTINCT_EXACT && n < FT_DISTINCT_EXACT; i++)
		if (d->u.set[i] != 0)
			out[n++] = d->u.set[i];
	return n;
}

void distinct_merge_regs(struct distinct *d, const uint8_t *regs)
{
	if (!d->dense)
		make_dense(d);
	for (uint32_t i = 0; i < FT_DISTINCT_REGS; i++)
		if (regs[i] > d->u.regs[i])
			d->u.regs[i] = regs[i];
}

void distinct_regs(const struct distinct *d, uint8_t *regs)
{
	if (d->dense) {
		memcpy(regs, d->u.regs, FT_DISTINCT_REGS);
		return;
	}
	memset(regs, 0, FT_DISTINCT_REGS);
	for (uint32_t i = 0; i < 2 * FT_DISTINCT_EXACT; i++)
		if (d->u.set[i] != 0)
			regs_add(regs, d->u.set[i]);
}

/* Ertl's sigma and tau: the contributions of registers at zero and at the top. */
static double sigma(double x)
{
	double y = 1, z = x, before;

	if (x == 1)
		return INFINITY;
	do {
		x *= x;
		before = z;
		z += x * y;
		y += y;
	} while (z != before);
	return z;
}

static double tau(double x)
{
	double y = 1, z = 1 - x, before;

	if (x == 0 || x == 1)
		return 0;
	do {
		x = sqrt(x);
		before = z;
		y *= 0.5;
		z -= (1 - x) * (1 - x) * y;
	} while (z != before);
	return z / 3;
}

uint64_t hll_estimate(const uint32_t *histogram, uint32_t registers, unsigned q)
{
	const double m = registers;
	double z = m * tau(1 - histogram[q + 1] / m);

	for (unsigned k = q; k >= 1; k--)
		z = 0.5 * (z + histogram[k]);
	z += m * sigma(histogram[0] / m);
	return (uint64_t)llround(m * m / (2 * log(2) * z));
}

uint64_t hll_count(const uint8_t *regs, unsigned p)
{
	const unsigned q = 64 - p;
	uint32_t histogram[64] = {0};

	for (uint32_t i = 0; i < 1u << p; i++)
		histogram[regs[i] <= q + 1 ? regs[i] : q + 1]++;
	return hll_estimate(histogram, 1u << p, q);
}

uint64_t distinct_count(const struct distinct *d)
{
	return d->dense ? hll_count(d->u.regs, FT_DISTINCT_P) : d->n;
}

void distinct_clear(struct distinct *d)
{
	if (d->dense || d->n != 0)
		memset(d, 0, sizeof(*d));
}

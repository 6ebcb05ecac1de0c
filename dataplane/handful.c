/* SPDX-License-Identifier: BSD-3-Clause */
#include "handful.h"

#include "sketch.h"

#include <string.h>

#define REGS (1u << FT_ERROR_P)
#define RANK_CAP 15u /* the greatest that four bits hold */
#define DENSE (FT_ERROR_EXACT + 1)
#define COUNT_CAP 1000000000000u

static uint32_t reg_get(const uint8_t *regs, uint32_t i)
{
	return (uint32_t)regs[i / 2] >> (i % 2 * 4) & 15u;
}

static void reg_raise(uint8_t *regs, uint32_t i, uint32_t rank)
{
	if (rank > reg_get(regs, i))
		regs[i / 2] =
		    (uint8_t)((regs[i / 2] & (0xf0u >> (i % 2 * 4))) | rank << (i % 2 * 4));
}

static void regs_add(uint8_t *regs, uint32_t hash)
{
	/* The sentinel bit ends the run of zeros at the greatest rank. */
	const uint32_t rest = hash << FT_ERROR_P | 1u << (32 - RANK_CAP);

	reg_raise(regs, hash >> (32 - FT_ERROR_P), (uint32_t)__builtin_clz(rest) + 1);
}

static void make_dense(struct handful *h)
{
	uint8_t regs[FT_ERROR_REGS_BYTES] = {0};

	for (uint32_t i = 0; i < h->n; i++)
		regs_add(regs, h->u.hash[i]);
	memcpy(h->u.regs, regs, sizeof(regs));
	h->n = DENSE;
}

void handful_add(struct handful *h, uint32_t hash)
{
	for (uint32_t i = 0; h->n < DENSE && i < h->n; i++)
		if (h->u.hash[i] == hash)
			return;
	if (h->n < FT_ERROR_EXACT) {
		h->u.hash[h->n++] = hash;
		return;
	}
	if (h->n == FT_ERROR_EXACT)
		make_dense(h);
	regs_add(h->u.regs, hash);
}

void handful_merge(struct handful *h, uint32_t n, const uint8_t *octets)
{
	uint32_t hash;

	if (n < DENSE) {
		for (uint32_t i = 0; i < n; i++) {
			memcpy(&hash, octets + sizeof(hash) * i, sizeof(hash));
			handful_add(h, hash);
		}
		return;
	}
	if (h->n < DENSE)
		make_dense(h);
	for (uint32_t i = 0; i < REGS; i++)
		reg_raise(h->u.regs, i, reg_get(octets, i));
}

uint64_t handful_count(const struct handful *h)
{
	uint32_t histogram[RANK_CAP + 1] = {0};

	if (h->n < DENSE)
		return h->n;
	for (uint32_t i = 0; i < REGS; i++)
		histogram[reg_get(h->u.regs, i)]++;
	if (histogram[RANK_CAP] == REGS) /* beyond what the estimate can say */
		return COUNT_CAP;
	/* More than fit the list were there, whatever the estimate says. */
	const uint64_t n = hll_estimate(histogram, REGS, RANK_CAP - 1);
	return n < DENSE ? DENSE : n < COUNT_CAP ? n : COUNT_CAP;
}

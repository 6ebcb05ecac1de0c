/* SPDX-License-Identifier: BSD-3-Clause */
#include "few.h"

#include "sketch.h"

#include <string.h>

#define RANK_MAX (64u - FT_FEW_P + 1u)
static_assert(RANK_MAX < 64, "a register goes out in six bits");

static void regs_add(uint8_t *regs, uint64_t hash)
{
	uint8_t *reg = &regs[hash >> (64 - FT_FEW_P)];
	/* The sentinel bit ends the run of zeros at 64 - p. */
	const uint64_t rest = hash << FT_FEW_P | 1ull << (FT_FEW_P - 1);
	const uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);

	if (rank > *reg)
		*reg = rank;
}

/* Where the hash stands, or the free place for it. Not by the hash's own top bits: the
 * registers are chosen by these. */
static uint64_t *set_at(uint64_t *set, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash * 0x9e3779b97f4a7c15ull >> 57);

	while (set[at] != 0 && set[at] != hash)
		at = (at + 1) & (FEW_SLOTS - 1);
	return &set[at];
}
static_assert(FEW_SLOTS == 1u << (64 - 57), "set_at takes seven bits");
static_assert(FT_FEW_EXACT < FEW_SLOTS, "a free place ends every search");

static void make_dense(struct few *f)
{
	uint64_t set[FEW_SLOTS];

	memcpy(set, f->u.set, sizeof(set));
	memset(&f->u, 0, sizeof(f->u));
	f->dense = 1;
	for (uint32_t i = 0; i < FEW_SLOTS; i++)
		if (set[i] != 0)
			regs_add(f->u.regs, set[i]);
}

void few_add(struct few *f, uint64_t hash)
{
	if (hash == 0)
		hash = 1; /* 0 marks a free place */
	if (!f->dense) {
		uint64_t *at = set_at(f->u.set, hash);
		if (*at == hash)
			return;
		if (f->n < FT_FEW_EXACT) {
			*at = hash;
			f->n++;
			return;
		}
		make_dense(f);
	}
	regs_add(f->u.regs, hash);
}

uint64_t few_count(const struct few *f)
{
	return f->dense ? hll_count(f->u.regs, FT_FEW_P) : f->n;
}

uint32_t few_write(const struct few *f, uint8_t *out)
{
	uint8_t *p = out + 1;

	out[0] = f->dense ? FT_FEW_DENSE : (uint8_t)f->n;
	if (!f->dense) {
		for (uint32_t i = 0; i < FEW_SLOTS; i++) {
			if (f->u.set[i] == 0)
				continue;
			memcpy(p, &f->u.set[i], sizeof(f->u.set[i]));
			p += sizeof(f->u.set[i]);
		}
		return (uint32_t)(p - out);
	}
	for (uint32_t i = 0; i < FT_FEW_REGS; i += 4, p += 3) {
		const uint8_t *r = &f->u.regs[i];
		const uint32_t four = (uint32_t)r[0] | (uint32_t)r[1] << 6 | (uint32_t)r[2] << 12 |
				      (uint32_t)r[3] << 18;
		p[0] = (uint8_t)four;
		p[1] = (uint8_t)(four >> 8);
		p[2] = (uint8_t)(four >> 16);
	}
	return (uint32_t)(p - out);
}

static bool regs_sound(const uint8_t *packed)
{
	for (uint32_t i = 0; i < FT_FEW_REGS; i += 4, packed += 3) {
		const uint32_t four =
		    packed[0] | (uint32_t)packed[1] << 8 | (uint32_t)packed[2] << 16;
		for (unsigned k = 0; k < 4; k++)
			if ((four >> (6 * k) & 63) > RANK_MAX)
				return false;
	}
	return true;
}

static void merge_regs(struct few *f, const uint8_t *packed)
{
	if (!f->dense)
		make_dense(f);
	for (uint32_t i = 0; i < FT_FEW_REGS; i += 4, packed += 3) {
		const uint32_t four =
		    packed[0] | (uint32_t)packed[1] << 8 | (uint32_t)packed[2] << 16;
		for (unsigned k = 0; k < 4; k++) {
			const uint8_t rank = four >> (6 * k) & 63;
			if (rank > f->u.regs[i + k])
				f->u.regs[i + k] = rank;
		}
	}
}

bool few_merge(struct few *f, const uint8_t *data, size_t bytes)
{
	uint64_t hash;

	if (bytes < 1)
		return false;
	if (data[0] == FT_FEW_DENSE) {
		if (bytes != 1 + FT_FEW_PACKED || !regs_sound(data + 1))
			return false;
		merge_regs(f, data + 1);
		return true;
	}
	if (data[0] > FT_FEW_EXACT || bytes != 1 + data[0] * sizeof(hash))
		return false;
	for (unsigned i = 0; i < data[0]; i++) {
		memcpy(&hash, data + 1 + i * sizeof(hash), sizeof(hash));
		few_add(f, hash);
	}
	return true;
}

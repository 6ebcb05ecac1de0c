/* SPDX-License-Identifier: BSD-3-Clause */
#include "mini.h"

#include "sketch.h"

void mini_merge(struct ft_mini *to, const struct ft_mini *from)
{
	if (from->n != FT_MINI_DENSE) {
		for (unsigned i = 0; i < from->n; i++)
			mini_add24(&to->n, &to->u, from->u.hash[i]);
		return;
	}
	if (to->n != FT_MINI_DENSE)
		mini_make_dense(&to->n, &to->u);
	for (uint32_t i = 0; i < FT_MINI_REGS; i++)
		mini_regs_raise(to->u.regs, i, (unsigned)from->u.regs[i / 2] >> (i % 2 * 4) & 15u);
}

bool mini_is_sound(const struct ft_mini *m)
{
	if (m->n == FT_MINI_DENSE)
		return true;
	for (unsigned i = 0; i < FT_MINI_HASHES; i++)
		if ((m->u.hash[i] != 0) != (i < m->n) || m->u.hash[i] >> 24 != 0)
			return false;
	return m->n <= FT_MINI_HASHES;
}

uint64_t mini_count(const struct ft_mini *m)
{
	uint32_t histogram[16] = {0};

	if (m->n != FT_MINI_DENSE)
		return m->n;
	for (uint32_t i = 0; i < FT_MINI_REGS; i++)
		histogram[(unsigned)m->u.regs[i / 2] >> (i % 2 * 4) & 15u]++;
	return hll_estimate(histogram, FT_MINI_REGS, 14);
}

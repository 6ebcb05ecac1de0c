/* SPDX-License-Identifier: BSD-3-Clause */
/* The distinct count inside an entry of a keyed table: 33 octets.
 *
 * Up to 8 hashes of 24 bits, then HyperLogLog with 64 registers of 4 bits (error 13 %).
 * What it is depends on the set alone and not on how it was split before merging. The
 * hash's top 24 bits serve: 6 choose the register, the zeros that begin the other 18
 * are its rank, 15 at most: good for about a million. Both sides of the ring use it. */
#ifndef DATAPLANE_MINI_H
#define DATAPLANE_MINI_H

#include <fluxtap/rec_tables.h>

static inline void mini_regs_raise(uint8_t *regs, uint32_t index, unsigned rank)
{
	uint8_t *octet = &regs[index / 2];
	const unsigned shift = index % 2 * 4;

	if (((unsigned)*octet >> shift & 15u) < rank)
		*octet = (uint8_t)((*octet & ~(15u << shift)) | rank << shift);
}

/* h: 24 bits. */
static inline void mini_regs_add(uint8_t *regs, uint32_t h)
{
	/* The sentinel ends the run of zeros at 14, so that the rank is 15 at most. */
	const uint32_t rest = h << (8 + FT_MINI_P) | 1u << 17;

	mini_regs_raise(regs, h >> (24 - FT_MINI_P), (unsigned)__builtin_clz(rest) + 1);
}

/* All hashes are in use and another one comes. */
static inline void mini_make_dense(uint8_t *n, union ft_mini_set *u)
{
	const union ft_mini_set list = *u;

	memset(u, 0, sizeof(*u));
	for (unsigned i = 0; i < *n; i++)
		mini_regs_add(u->regs, list.hash[i]);
	*n = FT_MINI_DENSE;
}

/* h: 24 bits, not 0. */
static inline void mini_add24(uint8_t *n, union ft_mini_set *u, uint32_t h)
{
	if (*n == FT_MINI_DENSE) {
		mini_regs_add(u->regs, h);
		return;
	}
	uint32_t found = 0;
	for (unsigned i = 0; i < FT_MINI_HASHES; i++) /* free ones are 0: no hash is */
		found |= u->hash[i] == h;
	if (found != 0)
		return;
	if (*n < FT_MINI_HASHES) {
		u->hash[(*n)++] = h;
		return;
	}
	mini_make_dense(n, u);
	mini_regs_add(u->regs, h);
}

/* Adds a hash of 64 bits. */
static inline void mini_add(uint8_t *n, union ft_mini_set *u, uint64_t hash)
{
	const uint32_t h = (uint32_t)(hash >> 40);

	mini_add24(n, u, h + (h == 0));
}

/* mini.c: the union of both, and the number of distinct hashes: exact up to 8, then
 * the estimate of Ertl. */
void mini_merge(struct ft_mini *to, const struct ft_mini *from);
uint64_t mini_count(const struct ft_mini *m);
/* Whether octets from elsewhere are one. */
bool mini_is_sound(const struct ft_mini *m);

#endif

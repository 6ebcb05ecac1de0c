/* SPDX-License-Identifier: BSD-3-Clause */
/* The tags of a set of four entries in one word, apart from the entries.
 *
 * A lane of 16 bits for each way: bits 0-14 are the entry's tag, 0: free; bit 15 says
 * that it was found again, which keeps it longer. So a look-up reads eight octets and
 * then at most one entry, very likely, and a name that is not there costs no more. */
#ifndef DATAPLANE_LANES_H
#define DATAPLANE_LANES_H

#include <stdbool.h>
#include <stdint.h>

#define LANES_WAYS 4u
#define LANES_ALL(x) ((x)*0x0001000100010001ull)
#define LANES_HIT 0x8000u

/* The top bits of a key are its tag; the low ones are free to choose the set. */
static inline uint64_t lanes_tag(uint64_t key)
{
	const uint64_t tag = key >> 49;

	return tag + (tag == 0);
}

/* The top bit of each lane whose tag is `tag`: lanes of 15 bits cannot carry over. */
static inline uint64_t lanes_of(uint64_t word, uint64_t tag)
{
	const uint64_t other = (word & ~LANES_ALL(LANES_HIT)) ^ LANES_ALL(tag);

	return ~(other + LANES_ALL(LANES_HIT - 1)) & LANES_ALL(LANES_HIT);
}

static inline unsigned lanes_way(uint64_t lanes)
{
	return (unsigned)__builtin_ctzll(lanes) / 16;
}

/* The lanes that are in use. */
static inline uint64_t lanes_used(uint64_t word)
{
	return ~lanes_of(word, 0) & LANES_ALL(LANES_HIT);
}

static inline bool lanes_is_free(uint64_t word, unsigned way)
{
	return (word >> (16 * way) & 0xffff) == 0;
}

/* The way for a new entry, from one that its tag chooses on: the first that is free, else
 * the first that was not found again since all had been. (Entries of a table that is not
 * full would else stand in every fourth line, and so in a quarter of the CPU's caches.) */
static inline unsigned lanes_victim(uint64_t word, uint64_t tag)
{
	const uint64_t free_lanes = lanes_of(word, 0), cold = ~word & LANES_ALL(LANES_HIT);
	const uint64_t choice = free_lanes != 0 ? free_lanes : cold;
	const unsigned first = tag % LANES_WAYS, turn = 16 * first;

	if (choice == 0)
		return first;
	return (first + lanes_way(choice >> turn | choice << (-turn & 63))) % LANES_WAYS;
}

/* The word with another tag in that way. Where all had been found again, none has. */
static inline uint64_t lanes_put(uint64_t word, unsigned way, uint64_t tag)
{
	if ((word & LANES_ALL(LANES_HIT)) == LANES_ALL(LANES_HIT))
		word &= ~LANES_ALL(LANES_HIT);
	return (word & ~(0xffffull << (16 * way))) | tag << (16 * way);
}

#endif

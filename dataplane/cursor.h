/* SPDX-License-Identifier: BSD-3-Clause */
/* A bounded reader with a sticky error.
 *
 * Past the end it yields zeros and remembers, so that a parser is a straight
 * list of reads with one check at its end. Big-endian (wire order) throughout. */
#ifndef DATAPLANE_CURSOR_H
#define DATAPLANE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *base;
	uint32_t off, end; /* end is exclusive */
	bool bad;
};

static inline struct cursor cursor_init(const uint8_t *base, uint32_t off, uint32_t end)
{
	return (struct cursor){.base = base, .off = off, .end = end, .bad = off > end};
}

static inline bool cursor_has(const struct cursor *c, uint32_t n)
{
	return !c->bad && c->end - c->off >= n;
}

static inline void cursor_skip(struct cursor *c, uint32_t n)
{
	if (cursor_has(c, n))
		c->off += n;
	else
		c->bad = true;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	if (!cursor_has(c, 1)) {
		c->bad = true;
		return 0;
	}
	return c->base[c->off++];
}

static inline uint16_t load_u16_be(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t load_u32_be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	if (!cursor_has(c, 2)) {
		c->bad = true;
		return 0;
	}
	c->off += 2;
	return load_u16_be(c->base + c->off - 2);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	if (!cursor_has(c, 4)) {
		c->bad = true;
		return 0;
	}
	c->off += 4;
	return load_u32_be(c->base + c->off - 4);
}

/* The next octet without taking it; 0 past the end. */
static inline uint8_t cursor_peek(const struct cursor *c)
{
	return cursor_has(c, 1) ? c->base[c->off] : 0;
}

#endif

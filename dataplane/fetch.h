/* SPDX-License-Identifier: BSD-3-Clause */
/* Prefetch, in a form that stays.
 *
 * A compiler may take a function that only prefetches for one without effect, and its
 * calls away; the empty asm keeps them. */
#ifndef DATAPLANE_FETCH_H
#define DATAPLANE_FETCH_H

/* The line at p, which will be read. */
static inline void fetch_read(const void *p)
{
	__builtin_prefetch(p);
	__asm__ volatile("");
}

/* The line at p, which will be written, and which no other core writes. */
static inline void fetch_write(const void *p)
{
	__builtin_prefetch(p, 1);
	__asm__ volatile("");
}

#endif

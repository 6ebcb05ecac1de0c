/* SPDX-License-Identifier: BSD-3-Clause */
/* The names that most is counted for, in bounded memory: exact up to HEAVY_CAP names in an
 * interval, beyond that the small ones go, and what they had is the most by which any
 * count may be too low (Misra, Gries, "Finding repeated elements", 1982).
 *
 * For the live view alone: exported records do not pass here. Not thread-safe. */
#ifndef CONTROL_VIEW_HEAVY_H
#define CONTROL_VIEW_HEAVY_H

#include <stddef.h>
#include <stdint.h>

#define HEAVY_CAP 8192u
#define HEAVY_NAME_CAP 256u

struct heavy_entry {
	uint64_t hash, count;
	uint32_t rows; /* additions */
	uint8_t which; /* part of the key, such as a vantage point */
	char name[HEAVY_NAME_CAP];
};

struct heavy;

/* NULL + errno. */
struct heavy *heavy_create(void);
void heavy_destroy(struct heavy *h);

/* Adds n under (which, name); of a name that is too long the beginning is kept. */
void heavy_add(struct heavy *h, uint8_t which, const char *name, uint64_t n);
/* Puts the largest, at most `cap`, into top, the largest first, ties by name; returns how many. */
size_t heavy_top(const struct heavy *h, const struct heavy_entry **top, size_t cap);
/* The most by which a count may be too low. */
uint64_t heavy_error(const struct heavy *h);
void heavy_clear(struct heavy *h);

#endif

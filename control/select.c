/* SPDX-License-Identifier: BSD-3-Clause */
#include "select.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FEW 16u /* are put in order at once */

struct items {
	uint8_t *v;
	size_t size;
	int (*order)(const void *left, const void *right);
};

static uint8_t *at(const struct items *s, size_t i)
{
	return s->v + i * s->size;
}

static void swap(const struct items *s, size_t i, size_t k)
{
	uint8_t x[SELECT_SIZE_CAP];

	memcpy(x, at(s, i), s->size);
	memcpy(at(s, i), at(s, k), s->size);
	memcpy(at(s, k), x, s->size);
}

static bool is_before(const struct items *s, size_t i, size_t k)
{
	return s->order(at(s, i), at(s, k)) < 0;
}

/* The median of the first, the middle and the last one goes to the front. */
static void put_pivot(const struct items *s, size_t from, size_t to)
{
	const size_t middle = from + (to - from) / 2, last = to - 1;

	if (is_before(s, middle, from))
		swap(s, middle, from);
	if (is_before(s, last, from))
		swap(s, last, from);
	if (is_before(s, last, middle))
		swap(s, last, middle);
	swap(s, from, middle);
}

/* Where the pivot stands then: none in front of it is behind it in the order. */
static size_t divide(const struct items *s, size_t from, size_t to)
{
	size_t i = from, k = to;

	put_pivot(s, from, to);
	for (;;) {
		do
			i++;
		while (i < to && is_before(s, i, from));
		do
			k--;
		while (is_before(s, from, k));
		if (i >= k)
			break;
		swap(s, i, k);
	}
	swap(s, from, k);
	return k;
}

void select_first(void *v, size_t n, size_t size, size_t k,
		  int (*order)(const void *left, const void *right))
{
	const struct items s = {.v = v, .size = size, .order = order};
	size_t from = 0, to = n;

	assert(size <= SELECT_SIZE_CAP);
	while (k < n && to - from > FEW) {
		const size_t pivot = divide(&s, from, to);
		if (pivot == k)
			return;
		if (pivot < k)
			from = pivot + 1;
		else
			to = pivot;
	}
	if (k < n)
		qsort(at(&s, from), to - from, size, order);
}

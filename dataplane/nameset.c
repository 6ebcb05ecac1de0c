/* SPDX-License-Identifier: BSD-3-Clause */
#include "nameset.h"

#include "mem.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MANY 0x80000000u
#define RADIX_BITS 11
#define RADIX (1u << RADIX_BITS)
#define RADIX_PASSES 3 /* 33 bits of the key: few different keys then share them all */
#define RADIX_LOW (64 - RADIX_PASSES * RADIX_BITS)

static int compare(const void *a, const void *b)
{
	const struct nameset_entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->note < y->note ? -1 : x->note > y->note;
}

/* By the key's upper bits, in the order of their digits; `spare` is as large. */
static void sort_upper(struct nameset_entry *e, struct nameset_entry *spare, size_t n)
{
	struct nameset_entry *from = e, *to = spare;

	for (int pass = 0; pass < RADIX_PASSES; pass++) {
		const int shift = RADIX_LOW + pass * RADIX_BITS;
		size_t start[RADIX] = {0}, sum = 0;

		for (size_t i = 0; i < n; i++)
			start[from[i].key >> shift & (RADIX - 1)]++;
		for (size_t d = 0; d < RADIX; d++) {
			const size_t count = start[d];
			start[d] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[start[from[i].key >> shift & (RADIX - 1)]++] = from[i];
		struct nameset_entry *swap = from;
		from = to;
		to = swap;
	}
	if (from != e)
		memcpy(e, from, n * sizeof(*e));
}

static int sort(struct nameset_entry *e, size_t n)
{
	struct nameset_entry *spare = malloc((n + 1) * sizeof(*spare));

	if (spare == NULL)
		return -ENOMEM;
	sort_upper(e, spare, n);
	free(spare);
	for (size_t i = 0, end; i < n; i = end) {
		bool sorted = true;

		for (end = i + 1; end < n && e[end].key >> RADIX_LOW == e[i].key >> RADIX_LOW;
		     end++)
			sorted &= compare(&e[end - 1], &e[end]) <= 0;
		if (!sorted)
			qsort(&e[i], end - i, sizeof(*e), compare);
	}
	return 0;
}

/* Different tags of the name whose entries begin at e[i]; *end is behind them. */
static uint32_t count_tags(const struct nameset_entry *e, size_t i, size_t n, size_t *end)
{
	uint32_t tags = 1;

	for (*end = i + 1; *end < n && e[*end].key == e[i].key; ++*end)
		tags += e[*end].tag != e[*end - 1].tag;
	return tags;
}

/* Names of several rules share the pool's lists: lists of this process are mostly
 * whole files that two rules name. */
struct lists {
	uint32_t *slots; /* where in the pool a list stands, plus 1; 0: free */
	size_t mask;
};

static uint32_t put_list(struct nameset *s, struct lists *lists, const struct nameset_entry *e,
			 size_t n, uint32_t tags)
{
	uint32_t *list = &s->pool[s->pool_len], k = 0;
	uint64_t hash = tags;

	list[k++] = tags;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && e[i].tag == e[i - 1].tag)
			continue;
		list[k++] = e[i].tag;
		hash = (hash ^ e[i].tag) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	for (size_t at = hash & lists->mask;; at = (at + 1) & lists->mask) {
		if (lists->slots[at] == 0) {
			lists->slots[at] = (uint32_t)s->pool_len + 1;
			s->pool_len += k;
			return (lists->slots[at] - 1) | MANY;
		}
		if (memcmp(&s->pool[lists->slots[at] - 1], list, k * sizeof(*list)) == 0)
			return (lists->slots[at] - 1) | MANY;
	}
}

/* Entries come by rising key, and so by rising home. */
static void put(struct nameset *s, uint64_t key, uint32_t value)
{
	for (size_t at = nameset_home(s, key);; at = at + 1 < s->buckets_len ? at + 1 : 0) {
		struct nameset_bucket *b = &s->buckets[at];

		for (unsigned i = 0; i < NAMESET_SLOTS; i++) {
			if (b->value[i] != 0)
				continue;
			b->key[i] = key;
			b->value[i] = value;
			return;
		}
		b->passed |= 1u << (key & 31);
	}
}

/* Sizes: names, lines, and for the pool of names with several rules. */
static size_t count(struct nameset *s, const struct nameset_entry *e, size_t n, size_t *many)
{
	size_t pool = 0;

	*many = 0;
	for (size_t i = 0, end; i < n; i = end) {
		const uint32_t tags = count_tags(e, i, n, &end);

		s->names++;
		s->lines += tags;
		if (tags > 1) {
			++*many;
			pool += tags + 1;
		}
	}
	return pool;
}

static int fill(struct nameset *s, const struct nameset_entry *e, size_t n)
{
	size_t many;
	const size_t pool = count(s, e, n, &many);
	struct lists lists = {.mask = 1};

	while (lists.mask + 1 < many * 2)
		lists.mask = lists.mask * 2 + 1;
	/* Three and a half names to five slots: one home in nine is overfull. */
	s->buckets_len = s->names * 2 / 7 + 1;
	s->buckets = mem_map(s->buckets_len * sizeof(*s->buckets));
	s->pool = malloc((pool + 1) * sizeof(*s->pool));
	lists.slots = calloc(lists.mask + 1, sizeof(*lists.slots));
	if (s->buckets == NULL || s->pool == NULL || lists.slots == NULL || pool >= MANY) {
		free(lists.slots);
		return -ENOMEM;
	}
	for (size_t i = 0, end; i < n; i = end) {
		const uint32_t tags = count_tags(e, i, n, &end);

		assert(e[i].tag != 0 && e[end - 1].tag < MANY);
		put(s, e[i].key, tags == 1 ? e[i].tag : put_list(s, &lists, &e[i], end - i, tags));
	}
	free(lists.slots);
	return 0;
}

struct nameset *nameset_create(struct nameset_entry *entries, size_t n)
{
	struct nameset *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (sort(entries, n) != 0 || fill(s, entries, n) != 0) {
		nameset_destroy(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void nameset_destroy(struct nameset *s)
{
	if (s == NULL)
		return;
	if (s->buckets != NULL)
		mem_unmap(s->buckets, s->buckets_len * sizeof(*s->buckets));
	free(s->pool);
	free(s);
}

size_t nameset_bytes(const struct nameset *s)
{
	return sizeof(*s) + s->buckets_len * sizeof(*s->buckets) + s->pool_len * sizeof(*s->pool);
}

uint32_t nameset_get(const struct nameset *s, uint64_t key, const uint32_t **tags)
{
	for (size_t at = nameset_home(s, key);; at = at + 1 < s->buckets_len ? at + 1 : 0) {
		const struct nameset_bucket *b = &s->buckets[at];

		for (unsigned i = 0; i < NAMESET_SLOTS; i++) {
			if (b->key[i] != key || b->value[i] == 0)
				continue;
			*tags = &b->value[i];
			if ((b->value[i] & MANY) == 0)
				return 1;
			*tags = &s->pool[b->value[i] & ~MANY] + 1;
			return (*tags)[-1];
		}
		if ((b->passed >> (key & 31) & 1) == 0)
			return 0;
	}
}

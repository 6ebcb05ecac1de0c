/* SPDX-License-Identifier: BSD-3-Clause */
#include "sieve.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL_MOST 63u

static bool stays(const struct sieve *s, const void *observation)
{
	uint64_t hash;

	memcpy(&hash, observation, sizeof(hash));
	return s->level == 0 || hash >> (64 - s->level) == 0;
}

/* Half of the keys go, again and again until there is room. */
static void thin(struct sieve *s)
{
	while (s->n == s->cap && s->level < LEVEL_MOST) {
		size_t kept = 0;
		s->level++;
		for (size_t i = 0; i < s->n; i++)
			if (stays(s, s->v + i * s->size))
				memmove(s->v + kept++ * s->size, s->v + i * s->size, s->size);
		s->left_out += s->n - kept;
		s->n = kept;
	}
}

int sieve_put(struct sieve *s, const void *observation)
{
	if (s->n == s->cap)
		thin(s);
	if (s->n == s->cap || !stays(s, observation)) {
		s->left_out++;
		return 0;
	}
	if (s->n == s->room) {
		const size_t more = s->room != 0 ? 2 * s->room : 256;
		const size_t room = more < s->cap ? more : s->cap;
		uint8_t *v = realloc(s->v, room * s->size);
		if (v == NULL)
			return -ENOMEM;
		s->v = v;
		s->room = room;
	}
	memcpy(s->v + s->n++ * s->size, observation, s->size);
	return 0;
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t octet = a[i];
		a[i] = b[i];
		b[i] = octet;
	}
}

size_t sieve_due(struct sieve *s, int (*due)(const void *observation, uint64_t until),
		 uint64_t until, void **out)
{
	size_t end = s->n;

	*out = s->v;
	for (size_t i = 0; i < end;) {
		if (due(s->v + i * s->size, until) == 0) {
			i++;
			continue;
		}
		end--;
		if (i != end)
			swap(s->v + i * s->size, s->v + end * s->size, s->size);
	}
	if (end != 0)
		*out = s->v + end * s->size;
	return s->n - end;
}

void sieve_drop(struct sieve *s, size_t n)
{
	s->n -= n;
	if (s->n == 0)
		s->level = 0;
}

void sieve_fini(struct sieve *s)
{
	free(s->v);
	s->v = NULL;
	s->n = s->room = 0;
}

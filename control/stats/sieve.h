/* SPDX-License-Identifier: BSD-3-Clause */
/* Observations that wait until their time is over: all of them up to a budget, above it
 * those of the keys with the lowest hash, so that who stays is whole whatever the order of
 * arrival. One thread; owns its memory. */
#ifndef CONTROL_STATS_SIEVE_H
#define CONTROL_STATS_SIEVE_H

#include <stddef.h>
#include <stdint.h>

struct sieve {
	size_t size, cap; /* octets of an observation, which begins with its key's hash; budget */
	uint8_t *v;
	size_t n, room;
	unsigned level;    /* keys stay whose hash is below 2^(64 - level) */
	uint64_t left_out; /* since the caller has set it to 0 */
};

/* Copies an observation. 0, -ENOMEM. */
int sieve_put(struct sieve *s, const void *observation);
/* Moves those for which `due` says true to the end, in no order; returns how many, and *out
 * points at them until the next call. sieve_drop forgets them. */
size_t sieve_due(struct sieve *s, int (*due)(const void *observation, uint64_t until),
		 uint64_t until, void **out);
void sieve_drop(struct sieve *s, size_t n);
void sieve_fini(struct sieve *s);

#endif

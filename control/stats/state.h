/* SPDX-License-Identifier: BSD-3-Clause */
/* What a statistic remembers over intervals, as octets: how it is handed to a snapshot and
 * taken from one, and how much of a day nobody watched. Any thread; owns nothing. */
#ifndef CONTROL_STATS_STATE_H
#define CONTROL_STATS_STATE_H

#include <stddef.h>
#include <stdint.h>

/* Takes len octets, in order; 0 or -errno, which ends it. */
typedef int state_write_fn(void *ctx, const void *data, size_t len);
/* Fills all of len octets; 0, or -errno where there are not so many. */
typedef int state_read_fn(void *ctx, void *data, size_t len);

/* Where state goes piece by piece; the first that fails is the result of all. */
struct state_out {
	state_write_fn *write;
	void *ctx;
	int result; /* 0, or -errno */
};
void state_put(struct state_out *o, const void *data, size_t len);

/* Writes octets behind their number. */
int state_write_octets(state_write_fn *write, void *ctx, const void *octets, size_t bytes);
/* Reads them into *octets (malloc, the caller's). 0, -ENOMEM, or what `read` returned: no
 * more memory is taken than twice what comes, whatever the number says. */
int state_read_octets(state_read_fn *read, void *ctx, uint8_t **octets, size_t *bytes);

/* The same for a statistic whose state is one piece of octets, with its save and load. */
int state_save_piece(int (*save)(const void *stat, uint8_t **octets, size_t *bytes),
		     const void *stat, state_write_fn *write, void *ctx);
int state_load_piece(int (*load)(void *stat, const uint8_t *octets, size_t bytes), void *stat,
		     state_read_fn *read, void *ctx);

/* Seconds that nobody watched, of the last two days that had any. */
struct state_gap {
	uint64_t day[2], s[2]; /* day: since 1970 */
};

/* Adds a gap: from UTC second from_s to to_s (exclusive). */
void state_gap_add(struct state_gap *g, uint64_t from_s, uint64_t to_s);
/* Seconds of a day; 0 also where g is NULL. */
uint64_t state_gap_of(const struct state_gap *g, uint64_t day);

#endif

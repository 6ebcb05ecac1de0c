/* SPDX-License-Identifier: BSD-3-Clause */
#include "state.h"

#include <errno.h>
#include <stdlib.h>

#define STEP_BYTES ((size_t)64 << 10)
#define DAY_S 86400u

void state_put(struct state_out *o, const void *data, size_t len)
{
	if (o->result == 0 && len != 0)
		o->result = o->write(o->ctx, data, len);
}

int state_write_octets(state_write_fn *write, void *ctx, const void *octets, size_t bytes)
{
	const uint64_t n = bytes;
	const int result = write(ctx, &n, sizeof(n));

	return result != 0 || bytes == 0 ? result : write(ctx, octets, bytes);
}

int state_read_octets(state_read_fn *read, void *ctx, uint8_t **octets, size_t *bytes)
{
	uint8_t *p = NULL;
	size_t room = 0, n = 0;
	uint64_t want = 0;
	int result = read(ctx, &want, sizeof(want));

	while (result == 0 && (n < want || p == NULL)) {
		if (n == room) {
			room = room == 0 ? STEP_BYTES : 2 * room;
			uint8_t *more = realloc(p, room);
			if (more == NULL) {
				result = -ENOMEM;
				break;
			}
			p = more;
		}
		const size_t left = room - n;
		const size_t step = want - n < left ? (size_t)(want - n) : left;
		result = step != 0 ? read(ctx, p + n, step) : 0;
		n += step;
	}
	if (result != 0) {
		free(p);
		return result;
	}
	*octets = p;
	*bytes = n;
	return 0;
}

int state_save_piece(int (*save)(const void *stat, uint8_t **octets, size_t *bytes),
		     const void *stat, state_write_fn *write, void *ctx)
{
	uint8_t *octets;
	size_t bytes;
	int result = save(stat, &octets, &bytes);

	if (result != 0)
		return result;
	result = state_write_octets(write, ctx, octets, bytes);
	free(octets);
	return result;
}

int state_load_piece(int (*load)(void *stat, const uint8_t *octets, size_t bytes), void *stat,
		     state_read_fn *read, void *ctx)
{
	uint8_t *octets;
	size_t bytes;
	int result = state_read_octets(read, ctx, &octets, &bytes);

	if (result != 0)
		return result;
	result = load(stat, octets, bytes);
	free(octets);
	return result;
}

static void add_to_day(struct state_gap *g, uint64_t day, uint64_t s)
{
	const unsigned older = g->day[0] > g->day[1];

	for (unsigned i = 0; i < 2; i++) {
		if (g->day[i] == day) {
			g->s[i] = g->s[i] + s < DAY_S ? g->s[i] + s : DAY_S;
			return;
		}
	}
	g->day[older] = day;
	g->s[older] = s;
}

void state_gap_add(struct state_gap *g, uint64_t from_s, uint64_t to_s)
{
	if (from_s >= to_s)
		return;
	const uint64_t first = from_s / DAY_S, last = (to_s - 1) / DAY_S;

	if (first == last) {
		add_to_day(g, first, to_s - from_s);
		return;
	}
	/* Days in between have no records at all. */
	add_to_day(g, first, (first + 1) * DAY_S - from_s);
	add_to_day(g, last, to_s - last * DAY_S);
}

uint64_t state_gap_of(const struct state_gap *g, uint64_t day)
{
	for (unsigned i = 0; g != NULL && i < 2; i++)
		if (g->day[i] == day && g->s[i] != 0)
			return g->s[i];
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "flood_guard.h"

#include "mem.h"

#include <fluxtap/rec_flood.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETS 1024u
#define WAYS 4u
#define HISTORY_SHIFT 4 /* history moves by a sixteenth of the difference each second */
#define WINDOW_US 1000000u

/* A domain: history is new names a second, times 1 << HISTORY_SHIFT. */
struct slot {
	uint64_t domain_key;   /* 0: free */
	uint64_t window;       /* second since 1970 */
	uint64_t row, skipped; /* names skipped in this interval, not told yet */
	uint32_t fresh;        /* names in this window */
	uint32_t history;
	uint64_t rest_until; /* window */
	uint32_t calm;       /* windows in a row that were no flood */
	bool flooded;
};

struct flood_guard {
	struct tally *tally;
	struct slot *slot; /* [SETS * WAYS] */
	uint32_t close_at;
	bool reset;
	uint64_t rest_until; /* window */
	struct flood_guard_stats stats;
};

static void tell_skipped(struct flood_guard *g, struct slot *s)
{
	while (s->skipped != 0) {
		const uint32_t n = s->skipped < UINT32_MAX ? (uint32_t)s->skipped : UINT32_MAX;
		const struct ft_flood_id id = {.part = FT_FLOOD_SKIPPED,
					       .bytes = sizeof(id),
					       .count = n,
					       .domain_key = s->domain_key};
		s->skipped -= n;
		tally_emit_entry(g->tally, FT_REC_FLOOD, s->row, &id, sizeof(id));
	}
}

static void close_begin(void *ctx, uint64_t row)
{
	(void)row;
	((struct flood_guard *)ctx)->close_at = 0;
}

static bool close_step(void *ctx, uint64_t row)
{
	struct flood_guard *g = ctx;

	for (unsigned i = 0; i < 1024 && g->close_at < SETS * WAYS; i++, g->close_at++)
		if (g->slot[g->close_at].row <= row)
			tell_skipped(g, &g->slot[g->close_at]);
	return g->close_at == SETS * WAYS;
}

struct flood_guard *flood_guard_create(struct tally *t)
{
	struct flood_guard *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->tally = t;
	g->reset = true;
	g->slot = mem_map(SETS * WAYS * sizeof(*g->slot));
	if (g->slot == NULL) {
		free(g);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(t, (struct tally_part){.begin = close_begin, .step = close_step, .ctx = g});
	return g;
}

void flood_guard_destroy(struct flood_guard *g)
{
	if (g == NULL)
		return;
	mem_unmap(g->slot, SETS * WAYS * sizeof(*g->slot));
	free(g);
}

const struct flood_guard_stats *flood_guard_stats_get(const struct flood_guard *g)
{
	return &g->stats;
}

static struct slot *set_of(const struct flood_guard *g, uint64_t domain_key)
{
	return &g->slot[(domain_key & (SETS - 1)) * WAYS];
}

/* What keeps a place: a flood before all, then what is new most often. */
static uint64_t worth(const struct slot *s, uint64_t window)
{
	const uint64_t age = window > s->window ? window - s->window : 0;
	const uint64_t names = s->fresh + (s->history >> HISTORY_SHIFT);

	return ((uint64_t)s->flooded << 40) + (names >> (age < 32 ? age : 32));
}

static struct slot *slot_get(struct flood_guard *g, uint64_t domain_key, uint64_t window)
{
	struct slot *set = set_of(g, domain_key), *least = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].domain_key == domain_key)
			return &set[i];
		if (set[i].domain_key == 0 || worth(&set[i], window) < worth(least, window))
			least = &set[i];
		if (least->domain_key == 0)
			break;
	}
	tell_skipped(g, least);
	memset(least, 0, sizeof(*least));
	least->domain_key = domain_key;
	least->window = window;
	return least;
}

static uint64_t limit(const struct slot *s)
{
	const uint64_t grown = (uint64_t)GUARD_FACTOR * s->history >> HISTORY_SHIFT;

	return grown > GUARD_FLOOR ? grown : GUARD_FLOOR;
}

/* The window is over, and `empty` ones without a new name follow. A flood teaches
 * nothing: what it is held against stays as it was before. Nor does a rest, in which
 * names are new because the cache has not got them. */
static void fold(const struct flood_guard *g, struct slot *s, uint64_t empty)
{
	if (s->flooded) {
		s->calm = s->fresh < limit(s) / 2 ? s->calm + 1 : 0;
		s->calm += empty < GUARD_CALM_WINDOWS ? (uint32_t)empty : GUARD_CALM_WINDOWS;
		s->flooded = s->calm < GUARD_CALM_WINDOWS;
		if (!s->flooded)
			s->rest_until = s->window + 1 + empty + GUARD_REST_WINDOWS;
	} else if (s->window >= g->rest_until && s->window >= s->rest_until) {
		s->history += s->fresh;
		s->history -= s->history >> HISTORY_SHIFT;
	}
	for (; empty != 0 && s->history != 0 && !s->flooded; empty--)
		s->history -= (s->history >> HISTORY_SHIFT) + (s->history < 1u << HISTORY_SHIFT);
	s->fresh = 0;
}

bool flood_guard_step(struct flood_guard *g, uint64_t domain_key, uint64_t name_key,
		      uint64_t now_us)
{
	const uint64_t window = now_us / WINDOW_US;
	if (g->reset) {
		g->reset = false;
		g->rest_until = window + GUARD_REST_WINDOWS;
	}
	struct slot *s = slot_get(g, domain_key != 0 ? domain_key : 1, window);

	if (window > s->window) {
		fold(g, s, window - s->window - 1);
		s->window = window;
	}
	const bool kept = (name_key >> 32) % GUARD_KEPT == 0;
	/* What is skipped is not kept and new each time: of a flood, only the names that
	 * are kept say how many are new. */
	if (!s->flooded)
		s->fresh++;
	else if (kept)
		s->fresh += GUARD_KEPT;
	if (!s->flooded && s->fresh > limit(s) && window >= s->rest_until &&
	    window >= g->rest_until) {
		s->flooded = true;
		s->calm = 0;
		g->stats.floods++;
	}
	if (!s->flooded || kept)
		return true;
	const uint64_t row = now_us / g->tally->clock->interval_us;
	if (s->row != row)
		tell_skipped(g, s);
	s->row = row;
	s->skipped++;
	g->stats.skipped++;
	return false;
}

void flood_guard_reset(struct flood_guard *g)
{
	g->reset = true;
}

bool flood_guard_is_flooded(const struct flood_guard *g, uint64_t domain_key)
{
	const struct slot *set = set_of(g, domain_key != 0 ? domain_key : 1);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].domain_key == (domain_key != 0 ? domain_key : 1))
			return set[i].flooded;
	return false;
}

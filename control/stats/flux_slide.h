/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `flux`, kind `cname`: as an option, changes of a view within any 24 h, across
 * midnight, in a table of its own, so that the day's records do not depend on it.
 *
 * An owner is followed with its target and its views until it changes, then each view
 * with its target and the seconds of its last changes. What a view saw is remembered to
 * the end of the next day. Used by the files of flux_cname alone. Control's thread. */
#ifndef CONTROL_STATS_FLUX_SLIDE_H
#define CONTROL_STATS_FLUX_SLIDE_H

#include "flux_cname_state.h"

#define SLIDE_S LAY_DAY_S /* seconds of the window */

struct slide_view {
	uint64_t last; /* target; 0: none */
	uint32_t key, count;
	uint32_t expiry, day;       /* expiry: as in struct lay; day: when it was seen last */
	uint32_t changed[LAY_FLUX]; /* seconds of the last changes, rising; 0: none yet */
};

/* An owner that has changed, or has more views than struct owner has room for. */
struct slide_more {
	uint64_t domain; /* of targets, as in struct flux_more */
	struct slide_view *view;
	uint32_t views, cap;
	uint32_t until;     /* last second, so far, of 24 h with LAY_FLUX changes; 0: none */
	uint32_t changed_s; /* of the last change of any view */
	uint8_t domains;
};

/* Seconds of which each ends 24 h with LAY_FLUX changes or more in one view. */
struct slide_span {
	uint32_t from, to, since; /* since: the oldest of these changes */
};

struct slide_onset {
	uint64_t owner;
	struct slide_span span;
	const uint8_t *name; /* valid until the close ends; NULL: lost */
	uint32_t name_len, views;
	uint8_t vantage;
	bool one_domain;
};

struct flux_slide {
	/* Of an owner `count` is the set of its views that were seen today, a bit each. */
	struct owners table;
	struct flux_ids ids;
	size_t more_bytes;
	uint32_t day; /* today */
	struct slide_span *span;
	size_t spans, span_cap, view_begin;
	struct slide_view *at; /* the view that is laid */
	struct slide_onset *onset;
	size_t onsets, onset_cap;
	bool short_of_memory;
};

/* NULL: no memory. */
struct flux_slide *flux_slide_create(void);
void flux_slide_destroy(struct flux_slide *l);
/* Forgets everything. */
void flux_slide_reset(struct flux_slide *l);

/* A day other than the last one: forgets what was not seen the day before. */
void flux_slide_begin_day(struct flux_slide *l, uint32_t day);
/* An interval's observations of an owner at one vantage point, sorted by view and time. */
void flux_slide_count(struct flux_cname *s, const struct flux_seen *x, size_t n);
/* The owner's TTL is beyond the gate. */
void flux_slide_forget(struct flux_slide *l, uint64_t owner, unsigned vantage);
/* As owners_thin. */
void flux_slide_thin(struct flux_slide *l, unsigned shift);

static inline size_t flux_slide_bytes(const struct flux_slide *l)
{
	return l != NULL ? l->table.bytes + l->more_bytes : 0;
}

static inline struct slide_more *slide_more_of(const struct owner *o)
{
	return (struct slide_more *)(uintptr_t)o->target;
}

/* Its memory goes with the owner, into which it is put. NULL: no memory. */
struct slide_more *slide_more_create(struct flux_slide *l, struct owner *o);
/* Adds one that is not there. NULL: no memory. */
struct slide_view *slide_more_add_view(struct flux_slide *l, struct slide_more *m, uint32_t key);
struct slide_view *slide_more_view(const struct slide_more *m, uint32_t key);

/* flux_slide_save.c; as flux_cname_save and flux_cname_load. */
int flux_slide_save(const struct flux_slide *l, state_write_fn *write, void *ctx);
int flux_slide_load(struct flux_slide *l, state_read_fn *read, void *ctx);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of flux_cname: shared by counting (flux_cname.c, flux_cname_more.c), writing records
 * (flux_cname_write.c) and snapshots (flux_cname_save.c), used by nobody else. */
#ifndef CONTROL_STATS_FLUX_CNAME_STATE_H
#define CONTROL_STATS_FLUX_CNAME_STATE_H

#include "flux_cname.h"
#include "flux_more.h"
#include "lay.h"
#include "owners.h"
#include "stat.h"

struct flux_slide;

#define FLUX_TTL_CAP 10800u /* 86400 / 8: longer ones cannot change so often */

/* An observation of the interval that closes. */
struct flux_seen {
	uint64_t owner, set, seconds, count;
	uint32_t view, at, ttl_min, ttl_max; /* at: second of the day */
	uint8_t vantage, records;
	bool is_mark;
};

/* A set of the owner at hand, with its name if that has come. */
struct flux_known {
	uint64_t key;
	const uint8_t *wire; /* NULL: lost */
	uint32_t len, rank;
};

/* All sets of an owner in an interval, by key. */
struct flux_knowing {
	const struct flux_known *v;
	size_t n;
};

/* Numbers of views, so that an owner can hold several. */
struct flux_ids {
	uint32_t *view; /* [cap], by id - 1 */
	uint32_t n, cap;
	uint16_t *slot; /* [slots] id; 0: free */
	uint32_t slots;
};

struct flux_list {
	struct owner *v;
	size_t n, cap;
};

struct flux_cname {
	const struct stat_run *run;
	struct psl *psl; /* NULL: no class LB */
	struct owners table;
	struct flux_ids ids;
	struct flux_slide *slide; /* NULL: days alone */
	size_t budget, more_bytes;
	uint64_t day; /* since 1970; UINT64_MAX: none yet */
	unsigned shift;
	uint64_t loss_ppm; /* the worst of the day's intervals */
	uint64_t left_out, dropped;
	/* For a close: */
	const struct stat_interval *in;
	struct flux_seen *seen;
	size_t seen_n, seen_cap;
	struct lay_set *set; /* as many as seen */
	struct flux_known *known;
	struct flux_list onsets;
	bool short_of_memory;
};

static inline bool flux_is_more(const struct owner *o)
{
	return o->view[0] == OWNER_MORE;
}

static inline struct flux_more *flux_more_of(const struct owner *o)
{
	return (struct flux_more *)(uintptr_t)o->target;
}

/* 0: there are too many, or no memory. */
uint16_t flux_ids_get(struct flux_ids *d, uint32_t view);
/* Takes n ids out of a snapshot into an empty list. -EBADMSG, or what read says. */
int flux_ids_load(struct flux_ids *d, uint32_t n, state_read_fn *read, void *ctx);
void flux_ids_fini(struct flux_ids *d);
/* Forgets the day. */
void flux_cname_reset(struct flux_cname *s);
bool flux_list_add(struct flux_list *l, const struct owner *o);

/* Seconds and TTLs of an observation; fresh: it is the owner's first. */
void flux_add_times(struct owner *o, bool fresh, const struct flux_seen *x);
/* By time, then set; for qsort. */
int flux_order_times(const void *left, const void *right);
/* Counts observations, sorted by view and time, of an owner with more; sorts them anew. */
void flux_count_more(struct flux_cname *s, struct owner *o, struct flux_seen *x, size_t n);

/* The sets of n observations, each once, with their names and ranks; until the next call. */
struct flux_knowing flux_know(struct flux_cname *s, const struct flux_seen *x, size_t n);
/* What these say of the registered domains that targets are in: enum flux_domain. */
void flux_note_domains(const struct flux_cname *s, uint8_t *domains, uint64_t *last,
		       const struct flux_knowing *k);
/* Lays observations of one target, sorted by time, of a day that begins at that second. */
void flux_lay_seen(struct flux_cname *s, struct lay *l, const struct flux_seen *x, size_t n,
		   const struct flux_knowing *k, uint32_t begin);

/* Writes the onsets of an interval. */
void flux_cname_write_onsets(struct flux_cname *s);
/* Those of any 24 h. */
void flux_cname_write_sliding(struct flux_cname *s);
/* Writes the records of the day. */
void flux_cname_write_day(struct flux_cname *s);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is followed of an owner of CNAMEs that has changed its target, or that more
 * views have seen than there is room for in struct owner.
 *
 * Targets are exact. Views are exact up to FLUX_VIEWS; beyond that the busiest stay, of
 * equally busy ones those with the least key, and their number is exact up to
 * FLUX_SEEN, an estimate above. Names are kept of what can be shown: the FLUX_TOP
 * targets seen most. Control's thread; bytes are added to what the caller counts. */
#ifndef CONTROL_STATS_FLUX_MORE_H
#define CONTROL_STATS_FLUX_MORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLUX_TOP 16u
#define FLUX_VIEWS 64u
#define FLUX_SEEN 1024u

struct flux_target {
	uint64_t key; /* 0: free */
	uint64_t count;
	uint32_t first, last; /* seconds of the day */
};

struct flux_view {
	uint64_t last; /* target; 0: none */
	uint32_t key;
	uint32_t vtrans, count, expiry; /* as in struct lay */
};

/* Names in wire form; owner and each target in its own memory. */
struct flux_names {
	uint8_t *owner; /* NULL: has not come */
	uint32_t owner_len, n;
	struct flux_name {
		uint64_t key;
		uint8_t *wire;
		uint32_t len;
	} target[FLUX_TOP];
};

enum flux_domain { FLUX_DOMAIN_NONE, FLUX_DOMAIN_ONE, FLUX_DOMAIN_MANY };

struct flux_more {
	uint64_t last;   /* target over all views */
	uint64_t domain; /* of the targets whose names have come: hash of the registered domain */
	struct flux_target *target;    /* [target_cap], by key */
	struct flux_view *view;        /* [view_cap] */
	uint32_t *seen;                /* the least keys of views in rising order; NULL: in view */
	struct flux_names *names;      /* NULL: not yet */
	uint32_t trans, vtrans, multi; /* vtrans: the greatest of any view so far */
	uint32_t targets, target_cap, views, view_cap, seen_n;
	uint32_t onset_s; /* the second in which vtrans reached what makes flux, if it did */
	uint8_t domains;  /* enum flux_domain */
	bool onset;       /* and has been told */
};

/* NULL: no memory. */
struct flux_more *flux_more_create(size_t *bytes);
void flux_more_destroy(struct flux_more *m, size_t *bytes);

/* The target, made (all else zero) where it is not there. NULL: no memory. */
struct flux_target *flux_more_target(struct flux_more *m, uint64_t key, size_t *bytes);
/* NULL: not there. */
struct flux_view *flux_more_view(const struct flux_more *m, uint32_t key);
/* Adds one that is not there, for a moment beyond FLUX_VIEWS. NULL: no memory. */
struct flux_view *flux_more_add_view(struct flux_more *m, uint32_t key, size_t *bytes);
/* Lets all but the busiest go, once an interval is counted. */
int flux_more_cut_views(struct flux_more *m, size_t *bytes);
/* How many there were. */
uint64_t flux_more_views(const struct flux_more *m);
/* From here on their keys are remembered. 0 or -ENOMEM. */
int flux_more_begin_seen(struct flux_more *m, size_t *bytes);

/* Keeps a name; 0 or -ENOMEM. */
int flux_more_name_owner(struct flux_more *m, const uint8_t *wire, uint32_t len, size_t *bytes);
int flux_more_name_target(struct flux_more *m, uint64_t key, const uint8_t *wire, uint32_t len,
			  size_t *bytes);
const struct flux_name *flux_more_name(const struct flux_more *m, uint64_t key);
/* The FLUX_TOP targets seen most, by count, first second, name; how many. `lookup` may
 * know names that are not kept. */
struct flux_top {
	const struct flux_target *target;
	const uint8_t *wire; /* NULL: not known */
	uint32_t len;
};
typedef bool flux_lookup(void *ctx, uint64_t key, const uint8_t **wire, uint32_t *len);
unsigned flux_more_top(const struct flux_more *m, flux_lookup *lookup, void *ctx,
		       struct flux_top out[FLUX_TOP + 1]);
/* Forgets names that are not among these, and keeps those that are. */
int flux_more_keep_names(struct flux_more *m, const struct flux_top *top, unsigned n,
			 size_t *bytes);

#endif

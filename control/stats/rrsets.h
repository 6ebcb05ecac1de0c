/* SPDX-License-Identifier: BSD-3-Clause */
/* RRset observations of an interval, merged over the workers: for the sets that are made
 * of them. A merge (stat.h); `p` is what an interval left of it, and may be NULL. What is
 * handed out is valid as long as the interval closes. */
#ifndef CONTROL_STATS_RRSETS_H
#define CONTROL_STATS_RRSETS_H

#include <fluxtap/rec_rrset.h>

struct stat_parts;

struct rrsets_totals {
	uint64_t observations; /* all */
	uint64_t left_out;     /* of these, those of owners that did not fit the budget */
	uint64_t left_out_of[FT_RRSET_TYPE_CAP];
	double p;    /* share of the owners that did */
	size_t kept; /* entries */
};

/* Before the first record, of one shard; the default is for a busy resolver's minute.
 * Observations and texts are items. */
void rrsets_set_budget(void *merge, size_t items, size_t text_bytes);

/* Bit numbers are FT_RRSET_TYPE | FT_RRSET_REFERRAL. */
#define RRSETS_KIND(what) (1u << ((what) & (FT_RRSET_TYPE | FT_RRSET_REFERRAL)))
#define RRSETS_KINDS UINT32_MAX /* all */
/* Calls `each` for every entry of these kinds, in no order; minutes as in struct ft_rrset. */
void rrsets_each(const struct stat_parts *p, uint32_t kinds,
		 void (*each)(void *ctx, const struct ft_rrset *x), void *ctx);
/* Owner and rdata of a set; what: type and side. False where they are not there. */
bool rrsets_text_get(const struct stat_parts *p, uint64_t owner_key, uint64_t set_key, uint8_t what,
		     struct ft_rrset_text *out);
/* Fetch what rrsets_text_get will look at: first its place, then, each some time later, it
 * and its octets. */
void rrsets_text_fetch_place(const struct stat_parts *p, const struct ft_rrset *x);
void rrsets_text_fetch(const struct stat_parts *p, const struct ft_rrset *x);
void rrsets_text_fetch_octets(const struct stat_parts *p, const struct ft_rrset *x);
/* Which kinds of entries there are. */
uint32_t rrsets_kinds(const struct stat_parts *p);
struct rrsets_totals rrsets_totals_get(const struct stat_parts *p);

#endif

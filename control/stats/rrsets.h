/* SPDX-License-Identifier: BSD-3-Clause */
/* RRset observations of an interval, merged over the workers: for the sets that are
 * made of them, which stand behind it in the list and ask when the row closes. Control's
 * thread; what is handed out is valid during the call, or until the next record. */
#ifndef CONTROL_STATS_RRSETS_H
#define CONTROL_STATS_RRSETS_H

#include <fluxtap/rec_rrset.h>

struct rrsets_totals {
	uint64_t observations; /* all */
	uint64_t left_out;     /* of these, those of owners that did not fit the budget */
	uint64_t left_out_of[FT_RRSET_TYPE_CAP];
	double p;    /* share of the owners that did */
	size_t kept; /* entries */
};

/* Before the first record; the default is for a busy resolver's minute. Observations
 * and texts are items. */
void rrsets_set_budget(void *stat, size_t items, size_t text_bytes);

/* Calls `each` for every entry of a row, in no order; minutes as in struct ft_rrset. */
void rrsets_each(const void *stat, uint64_t row, void (*each)(void *ctx, const struct ft_rrset *x),
		 void *ctx);
/* Owner and rdata of a set; what: type and side. False where they are not there. */
bool rrsets_text_get(const void *stat, uint64_t row, uint64_t owner_key, uint64_t set_key,
		     uint8_t what, struct ft_rrset_text *out);
/* Which kinds of entries a row has: bit numbers are FT_RRSET_TYPE | FT_RRSET_REFERRAL. */
uint32_t rrsets_kinds(const void *stat, uint64_t row);
#define RRSETS_KIND(what) (1u << ((what) & (FT_RRSET_TYPE | FT_RRSET_REFERRAL)))
struct rrsets_totals rrsets_totals_get(const void *stat, uint64_t row);

#endif

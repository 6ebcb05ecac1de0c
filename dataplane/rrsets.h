/* SPDX-License-Identifier: BSD-3-Clause */
/* Keyed table of RRset observations: when which set of rdata was seen for an owner.
 *
 * Answered queries (NOERROR, class IN, not TC) give the A, AAAA, CNAME and NS sets
 * whose owner is the asked name or stands behind it in the chain of CNAMEs; referrals
 * give the delegation and its glue. An entry is (owner, type, side, set, view, minute,
 * interval, vantage). Nothing is decided here about change. One worker's own; all
 * memory is taken by rrsets_create. */
#ifndef DATAPLANE_RRSETS_H
#define DATAPLANE_RRSETS_H

#include "keyed.h"
#include "tally.h"

#include <fluxtap/rec_rrset.h>

struct rrsets_settings {
	uint64_t name_seed; /* secret of this run, as parse_step has it: owners' keys */
	/* Of views' keys; the same in every run, so that those that control keeps of many
	 * are. Who finds two addresses of one key has them taken for one view. */
	uint64_t view_seed;
	size_t entries; /* as for keyed_create */
	/* Sets with a greater TTL are left out, 0: none are. With AA=1 they leave no
	 * trace; else a mark that the owner's TTL is so long, for a cache counts down. */
	uint32_t ttl_cap_s[FT_RRSET_TYPE_CAP];
	uint32_t referral_ttl_cap_s; /* the same for delegations and glue */
};

/* What a name with eight changes a day, or fluxing addresses, can have at most. */
static inline struct rrsets_settings rrsets_defaults(uint64_t name_seed)
{
	return (struct rrsets_settings){
	    .name_seed = name_seed,
	    .view_seed = name_seed,
	    .entries = 1u << 17,
	    .ttl_cap_s = {[FT_RRSET_A] = 1800, [FT_RRSET_AAAA] = 1800, [FT_RRSET_CNAME] = 10800},
	};
}

struct rrsets_stats {
	uint64_t seen;  /* observations */
	uint64_t gated; /* sets whose TTL was too great */
	uint64_t cut;   /* messages left out because not all of their records were read */
	uint64_t texts; /* texts emitted */
};

struct rrsets;

/* Adds itself to the tally's parts. NULL + errno. */
struct rrsets *rrsets_create(struct tally *tally, const struct rrsets_settings *settings);
/* Accepts NULL; the tally must not close rows any more. */
void rrsets_destroy(struct rrsets *r);

/* Counts settled transactions, whose responses are in the batch. */
void rrsets_step(struct rrsets *r, const struct msgs *batch, const struct txn *txn, uint32_t n);

const struct rrsets_stats *rrsets_stats_get(const struct rrsets *r);
const struct keyed_stats *rrsets_table_stats(const struct rrsets *r);

#endif

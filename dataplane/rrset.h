/* SPDX-License-Identifier: BSD-3-Clause */
/* The RRsets of one response, as the table of observations wants them.
 *
 * Reads records that parse has bounded; names are decompressed and folded, damaged
 * records left out. What hostile messages can cost is bounded by MSG_RR_CAP records of
 * one name each for owner and rdata. No state, any thread. */
#ifndef DATAPLANE_RRSET_H
#define DATAPLANE_RRSET_H

#include "msg.h"

#include <fluxtap/rec_rrset.h>

struct rrset {
	uint64_t owner_key; /* as struct msg.name_key */
	uint64_t set_key;   /* sum over the distinct rdata's hashes, and their number */
	uint64_t members;   /* one bit for each record of the response; each rdata once */
	uint32_t ttl_min, ttl_max;
	uint8_t what; /* FT_RRSET_TYPE and FT_RRSET_REFERRAL */
	uint8_t records;
};

/* A response and where its parts lie. */
struct rrset_source {
	const struct msg *m;
	const struct rr *rr; /* [m->rrs] */
	const uint8_t *name; /* of the question, folded, m->name_len octets */
	uint64_t name_seed;  /* as parse_step has it */
};

/* Writes the sets of an answer (of names from the asked one along the CNAMEs) or of a
 * referral (delegation and glue) into out (MSG_RR_CAP); returns how many. *cut: none
 * were looked for, because the records are not all there. */
uint32_t rrset_read(const struct rrset_source *s, struct rrset *out, bool *cut);

/* The text of one of these sets: everything but `first`. Uses room (FT_ENTRY_CAP) for
 * owner and rdata; sets FT_RRSET_CUT in what where they are too many. */
void rrset_text(const struct rrset_source *s, const struct rrset *set, uint8_t *room,
		struct ft_rrset_text *out);

#endif

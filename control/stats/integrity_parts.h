/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of integrity_state.h: groups of views, notes, TTLs and signatures. */
#ifndef CONTROL_STATS_INTEGRITY_PARTS_H
#define CONTROL_STATS_INTEGRITY_PARTS_H

#include "integrity_state.h"

#define SECOND_US 1000000u
#define DAY_US (86400ull * SECOND_US)

/* integrity_group.c */
bool views_has(const struct integrity_views *s, uint64_t hash);
bool group_has_pair(const struct integrity_group *g, const struct integrity_event *x);
/* Adds who saw it; of what comes out of a cache the server alone. -ENOMEM. */
int group_add(struct integrity_group *g, const struct integrity_event *x);
int group_merge(struct integrity_group *to, const struct integrity_group *from);
void group_fini(struct integrity_group *g);
/* Whether so many observations, of two pairs or of an own server, are there. */
bool group_confirms(const struct integrity_group *g, uint64_t least, bool own);

/* integrity_state.c: a note of what holds, queued; NULL: no memory. */
struct integrity_note *integrity_note_add(struct integrity_machine *m, enum integrity_state state,
					  const struct rdset *old_set, const struct rdset *new_set);

/* integrity_ttl.c */
static inline uint32_t integrity_bit(enum integrity_flag f)
{
	return 1u << f;
}
/* What is odd about a TTL against the baseline's. */
uint32_t integrity_ttl_flags(const struct integrity_machine *m, uint32_t ttl);
/* Follows the TTL of the set that holds. */
int integrity_see_ttl(struct integrity_machine *m, const struct integrity_event *x);
/* Signatures of an authoritative answer with data. */
int integrity_see_signatures(struct integrity_machine *m, const struct integrity_event *x);
/* What resolvers say to those who asked for signatures. */
int integrity_see_ad(struct integrity_machine *m, const struct integrity_event *x);

#endif

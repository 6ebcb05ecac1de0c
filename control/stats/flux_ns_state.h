/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of kind `ns`: what its files share. flux_ns.c reads rows, flux_ns_write.c
 * writes records, flux_ns_save.c makes snapshots. */
#ifndef CONTROL_STATS_FLUX_NS_STATE_H
#define CONTROL_STATS_FLUX_NS_STATE_H

#include "../../dataplane/flow.h"
#include "../lookups.h"
#include "flux_moves.h"
#include "keep.h"
#include "stat.h"

#define CHANGES_MOVE 2u
#define CHANGES_FLUX 8u

struct ns_item {
	struct keep_item keep; /* rank: the name's key; 0: a record is due */
	struct moves *moves;
};

struct ns_day {
	struct keep keep; /* number: the day */
	size_t bytes;
	uint64_t entries, left_out, lost, loss_ppm, end_s;
};

/* A set in a second. */
struct ns_event {
	uint32_t t_s;
	uint64_t hash;
	size_t obs;
};

struct flux_ns {
	const struct stat_run *run;
	struct stat_row *days;
	struct stat_row *hosts; /* names that NS records point to */
	struct keep_settings set, host_set;
	size_t entries_cap, bytes_cap;
	struct flux_rows rows;
	struct ns_event *event;
	size_t events, events_room;
	const struct stat_interval *in;
};

static inline bool flux_ns_is_delegation(const struct moves *m)
{
	return (m->what & FT_RRSET_TYPE) == FT_RRSET_NS;
}

/* 0: nothing, 1: it moves, 2: it is in flux. A child's own NS set is only looked at for
 * the names in it. */
static inline unsigned flux_ns_level(const struct moves *m)
{
	const uint32_t changes = moves_changes(m);

	if (flux_ns_is_delegation(m))
		return (m->what & FT_RRSET_REFERRAL) != 0 && changes >= CHANGES_MOVE;
	return changes >= CHANGES_FLUX ? 2 : changes >= CHANGES_MOVE;
}

static inline uint64_t flux_ns_item_key(uint64_t name_key, uint8_t what)
{
	return hash_mix(name_key + (what & (FT_RRSET_TYPE | FT_RRSET_REFERRAL | FT_RRSET_VANTAGE)) *
				       0x9e3779b97f4a7c15ull);
}

void flux_ns_pop_day(struct flux_ns *s);

/* Records: of moves that have their name, and of what was left out, if anything was. */
void flux_ns_write(struct flux_ns *s, const struct moves *m, bool onset);
void flux_ns_write_left_out(struct flux_ns *s, const struct ns_day *d);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Records as they are exported, read into what the live view keeps. Under view.c's mutex. */
#ifndef CONTROL_VIEW_FEED_H
#define CONTROL_VIEW_FEED_H

#include "heavy.h"
#include "view.h"

/* The interval that is being written. Lists of flux and spikes, and sums of events, go into
 * view_data at once. */
struct feed {
	struct view_traffic traffic[FT_VANTAGE_CAP];
	struct view_ledger ledger;
	struct view_list list[VIEW_TABLES];
	struct heavy *heavy; /* names that do not exist */
	struct view_group group[VIEW_GROUPS];
	uint32_t groups;
	double p;
	uint64_t held_packets, held; /* at the end of the interval before */
	bool held_known;
};

void feed_put(struct feed *f, struct view_data *d, const char *set, const json_t *record);

/* Puts a row in its place in a list by count, the largest first, ties by name. */
void feed_rank(struct view_list *l, const struct view_row *row);
/* Puts a row first, in place of the one of the same name, vantage point and kind. */
void feed_latest(struct view_list *l, const struct view_row *row);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers saw of watched RRsets in an interval, until it closes.
 *
 * Merged by key within a budget; then laid in order of time, whatever the order in which it
 * came. Control's thread. */
#ifndef CONTROL_STATS_INTEGRITY_ROWS_H
#define CONTROL_STATS_INTEGRITY_ROWS_H

#include "../rdset.h"
#include "rows.h"
#include "stat.h"

#include <fluxtap/rec_integrity.h>

struct keyed_merge;

struct integrity_row {
	struct stat_row head;
	struct keyed_merge *seen, *texts;
	struct ft_integrity_addr *addr;
	size_t addrs, addrs_room;
	uint64_t left_out; /* observations, and sets whose text did not come */
};

/* Adds the entries of a record to the row that it belongs to. 0, -ENOMEM, -EBADMSG. */
int integrity_rows_add(struct stat_row **rows, uint64_t seed, const struct stat_record *rec);
/* Accepts NULL. */
void integrity_row_free(struct integrity_row *r);

/* One observation, or several of a second: the first, and the others at the last's time. */
struct integrity_seen {
	uint64_t t_us, count;
	const struct ft_integrity *x;
	const struct rdset *set;
};

/* All of a row by time; empty_key: of the set without rdata. To be freed by unlay, also after
 * a failure. */
int integrity_row_lay(struct integrity_row *r, uint64_t empty_key, struct integrity_seen **v,
		      size_t *n);
void integrity_row_unlay(struct integrity_row *r, struct integrity_seen *v);

#endif

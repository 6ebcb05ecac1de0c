/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of servers of all workers, merged: sketches and windows (rec_server.h).
 *
 * A merge (stat.h). A key is one part of one server; above its budget whole parts are left
 * out, by their keyed hash. What is handed out is valid as long as the interval closes. */
#ifndef CONTROL_STATS_SERVERS_H
#define CONTROL_STATS_SERVERS_H

#include "../keyed_merge.h"

#include <fluxtap/rec_server.h>

struct stat_parts;

#define SERVERS_PARTS_EACH 2u /* parts in the budget, for each key of the tables' */

typedef void (*servers_fn)(void *ctx, const struct ft_server_part *part);
/* Calls fn for every part that stays, in no order; p may be NULL. */
void servers_each(const struct stat_parts *p, servers_fn fn, void *ctx);
/* Entries that were left out. */
uint64_t servers_left_out(const struct stat_parts *p);

#endif

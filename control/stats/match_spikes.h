/* SPDX-License-Identifier: BSD-3-Clause */
/* Block lists that are suddenly asked: as a whole, and about one subject.
 *
 * `match` hands in what it writes of an interval; at its end come records of set `match`
 * with a state. Control's thread. */
#ifndef CONTROL_STATS_MATCH_SPIKES_H
#define CONTROL_STATS_MATCH_SPIKES_H

#include "stat.h"

struct match_spikes;

/* One record's share. Texts need to live until match_spikes_close. */
struct match_spikes_item {
	unsigned vantage;
	const char *rule, *zone, *subject;
	uint64_t queries;
};

/* NULL + errno. */
struct match_spikes *match_spikes_create(const struct stat_run *run);
/* Accepts NULL. */
void match_spikes_destroy(struct match_spikes *s);
void match_spikes_add(struct match_spikes *s, const struct match_spikes_item *item);
/* Writes what stands out and forgets the interval. */
void match_spikes_close(struct match_spikes *s, const struct stat_interval *in);

/* What is remembered, for a snapshot; and back. As spikes_save and spikes_load. */
int match_spikes_save(const struct match_spikes *s, state_write_fn *write, void *ctx);
int match_spikes_load(struct match_spikes *s, state_read_fn *read, void *ctx);

#endif

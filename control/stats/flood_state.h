/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of kind `flood`: shared by flood.c, which finds floods, and flood_save.c,
 * which makes snapshots of what is known of domains; used by nobody else. */
#ifndef CONTROL_STATS_FLOOD_STATE_H
#define CONTROL_STATS_FLOOD_STATE_H

#include "rows.h"
#include "stat.h"

#define FLOOD_BUCKETS 32768u

/* What is known of a domain from earlier intervals. */
struct past {
	struct past *next; /* of its bucket */
	uint64_t key;
	uint8_t vantage;
	bool flooded, seen; /* seen: in the row that closes */
	double history;     /* names an interval */
	uint64_t since_us;
	char *text;
};

struct flood {
	const struct stat_run *run;
	struct stat_row *rows;
	uint64_t closed; /* intervals */
	double floor;
	struct past *past[FLOOD_BUCKETS];
};

/* Keys are hashes with this run's secret. */
static inline unsigned flood_bucket(uint64_t key, unsigned vantage)
{
	return (unsigned)((key >> 7 ^ vantage) % FLOOD_BUCKETS);
}

/* Members of stat_flood, see struct stat_ops. */
int flood_save(const void *stat, state_write_fn *write, void *ctx);
int flood_load(void *stat, state_read_fn *read, void *ctx);

#endif

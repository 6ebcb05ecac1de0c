/* SPDX-License-Identifier: BSD-3-Clause */
/* The merges (stats/stat.h), split by key into shards, and the records on their way there.
 *
 * Control's main thread calls. With a crew of one there is one shard, which takes records
 * where they lie. With more, entries are copied by shard into pieces of records, which the
 * crew merges; pieces are few, so that who gives faster than they are merged has to help. */
#ifndef CONTROL_SHARDS_H
#define CONTROL_SHARDS_H

#include "crew.h"
#include "stats/stat.h"

struct shards;

/* What the shards had of a row. */
struct shards_row {
	struct stat_parts parts[STAT_MERGES];
};

/* run and crew must outlive it. NULL + errno. */
struct shards *shards_create(const struct stat_run *run, struct crew *crew, unsigned threads);
/* Accepts NULL. The crew must have nothing to do. */
void shards_destroy(struct shards *s);

/* Takes a record that is for a merge, and ignores others. -ENOMEM, -EBADMSG. */
int shards_record(struct shards *s, const struct stat_record *rec);
/* Sends what has been gathered to those who merge it. */
void shards_flush(struct shards *s);
/* The smallest row that something came for and that was not taken; UINT64_MAX: none. */
uint64_t shards_first_row(const struct shards *s);
/* Begins to take a row out of all shards. */
void shards_take(struct shards *s, uint64_t row);
/* True once the row is out: *out is the caller's then, see shards_row_fini. */
bool shards_taken(struct shards *s, struct shards_row *out);
void shards_row_fini(struct shards_row *row);
/* Pieces that a shard could not read or keep: no memory, or a fault of ours. */
uint64_t shards_bad(const struct shards *s);

#endif

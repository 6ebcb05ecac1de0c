/* SPDX-License-Identifier: BSD-3-Clause */
/* A snapshot: what statistics remember over intervals, as one file.
 *
 * A head of fixed size, then one zstd frame with a section for each statistic (its name,
 * then chunks behind their lengths), then a checksum of all that. A section that nobody
 * knows is skipped. Written beside and renamed when it is whole and on disk; mode 0600,
 * because it holds the key of the hashes. Statistics are known by struct stat_ops alone.
 * Called by one thread at a time; keeps nothing. */
#ifndef CONTROL_SNAPSHOT_H
#define CONTROL_SNAPSHOT_H

#include "stats/stat.h"

#define SNAPSHOT_MAGIC 0x50414e535854464cull /* "LFTXSNAP" */
#define SNAPSHOT_VERSION 1u

struct snapshot_head {
	uint64_t magic;
	uint32_t version, interval_s;
	char probe[64];
	uint64_t hash_key, sketch_seed, sample_key;
	uint64_t end_s;   /* of the last interval that is in it */
	uint64_t until_s; /* watched until then: end_s, or earlier where a run ended in between */
	uint64_t gap_day[2]; /* struct state_gap */
	uint64_t gap_s[2];
};

/* What is in a snapshot, by its members in stat_all's order. */
struct snapshot_stats {
	const struct stat_ops *const *ops; /* ended by NULL */
	void *const *stat;
};

/* Writes PATH by way of PATH with ".tmp" behind it. 0 or -errno; *bytes: of the file. */
int snapshot_save(const char *path, const struct snapshot_head *h, const struct snapshot_stats *s,
		  size_t *bytes);

/* The octets of a file, mapped. 0; -ENOENT: there is none; -EBADMSG: damaged; -ENOTSUP: of
 * another version; or another -errno. */
struct snapshot {
	const uint8_t *octets;
	size_t bytes;
	struct snapshot_head head;
};
int snapshot_open(struct snapshot *x, const char *path);
/* The same of octets in memory, which must outlive it; x is not to be closed then. */
int snapshot_open_octets(struct snapshot *x, const uint8_t *octets, size_t bytes);
void snapshot_close(struct snapshot *x);

/* Hands each section to its statistic. 0; or the first -errno, and in `refused` (cap
 * octets) the names of the statistics that go on without what they were. */
int snapshot_load(const struct snapshot *x, const struct snapshot_stats *s, char *refused,
		  size_t cap);

/* What snapshot_load does with what comes out of the zstd frame; for fuzzing, too. */
int snapshot_read_sections(state_read_fn *read, void *ctx, const struct snapshot_stats *s,
			   char *refused, size_t cap);

#endif

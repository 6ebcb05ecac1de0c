/* SPDX-License-Identifier: BSD-3-Clause */
/* When snapshots are written and taken up: state outlives a restart of the probe.
 *
 * Taken up before the first interval closes, when it is known how long nobody watched.
 * Written after each interval by a thread of its own, while control goes on to empty the
 * rings and lets no interval close; by a state so large that this took more than a tenth
 * of the time, less often. Control's thread calls; owns the file .state-PROBE.zst below
 * --out. Logs what went wrong. */
#ifndef CONTROL_KEEPER_H
#define CONTROL_KEEPER_H

#include "snapshot.h"

struct config;
struct keeper;

/* Looks for a snapshot of this probe and settings. NULL + errno: no memory. */
struct keeper *keeper_create(const struct config *c, bool live);
/* Accepts NULL, as the others do. */
void keeper_destroy(struct keeper *k);

/* The snapshot's hash key, if there is one: the run has to take it. */
bool keeper_hash_key(const struct keeper *k, uint64_t *key);
/* The one that the run uses. */
void keeper_use(struct keeper *k, uint64_t hash_key, const struct snapshot_stats *stats);
/* What a restart left unwatched; NULL for NULL. */
const struct state_gap *keeper_gap(const struct keeper *k);

/* Before the first interval closes: takes the snapshot up. */
void keeper_first(struct keeper *k, const struct stat_interval *in);
/* An interval has closed and is exported. */
void keeper_closed(struct keeper *k, const struct stat_interval *in);
/* Now and then, between intervals: begins what had to wait. */
void keeper_step(struct keeper *k);
/* A snapshot is being written: no interval may close now, nor rules change. */
bool keeper_busy(struct keeper *k);
/* All intervals are closed and the statistics not yet ended: writes the last one, and
 * waits for it. */
void keeper_finish(struct keeper *k);

/* For the summary, as a sentence; "" where nothing is kept. */
const char *keeper_text(const struct keeper *k, char *text, size_t cap);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Records as JSON Lines in zstd frames: DIR/<set>/<set>-<time>-<probe>-<seq>.jsonl.zst.
 *
 * Used by control's thread alone. What is written grows in one temporary per set,
 * which begins with a dot, and gets its name when it is whole and on disk; a
 * reader never sees half a file. Records stay in memory (compressed, bounded)
 * until then, so that a full disk costs nothing but time. */
#ifndef CONTROL_EXPORT_JSONL_H
#define CONTROL_EXPORT_JSONL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct jsonl;

/* A writer below `dir`, which is made if need be and tried at once; removes what a
 * killed run of the same probe left. NULL + errno and a sentence in `err`. */
struct jsonl *jsonl_create(const char *dir, const char *probe, char *err, size_t cap);

/* Tells of each file that got its name, as "<set>/<file>" and its length. */
typedef void jsonl_named_fn(void *ctx, const char *name, uint64_t bytes);
void jsonl_on_named(struct jsonl *j, jsonl_named_fn *named, void *ctx);

/* Adds a record to a set's next file and takes over the reference, also where it
 * fails. `start_s` is the start of the record's interval. Returns 0, or -errno if
 * this record is lost. A disk that fails is jsonl_commit's to tell. */
int jsonl_write(struct jsonl *j, const char *set, uint64_t start_s, json_t *record);

/* Finishes each set's file and gives it its name. Returns 0, or the first -errno:
 * the records of a set that failed are kept for the next call. */
int jsonl_commit(struct jsonl *j);

/* The last failure as a sentence that names the path; "" if there was none. */
const char *jsonl_error(const struct jsonl *j);

/* Records that were given up for lack of room, so far. */
uint64_t jsonl_lost_records(const struct jsonl *j);

/* Records that are not in a whole file yet. */
uint64_t jsonl_held_records(const struct jsonl *j);

/* Drops what was not committed, temporaries too. Accepts NULL. */
void jsonl_destroy(struct jsonl *j);

/* Tests only: keep so many octets for retries instead of the usual bound. */
void jsonl_set_budget(struct jsonl *j, size_t bytes);

#endif

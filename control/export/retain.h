/* SPDX-License-Identifier: BSD-3-Clause */
/* --keep: the oldest exported files of this probe go, over all sets.
 *
 * Control's thread calls. Knows the files from one walk over the directory and from what the
 * export tells; never looks at others' files. "Oldest" is what the names say. Newer files than
 * the last interval, and those written for it, stay whatever the limit. A step removes few, so
 * that control never stands still for it. */
#ifndef CONTROL_EXPORT_RETAIN_H
#define CONTROL_EXPORT_RETAIN_H

#include "../values.h"

#include <stddef.h>
#include <stdint.h>

struct retain;

/* NULL + errno. */
struct retain *retain_create(const char *dir, const char *probe, const struct value_keep *keep);
/* Accepts NULL, as the others do. */
void retain_destroy(struct retain *r);

/* A file has been exported; `name` is "<set>/<file>". */
void retain_add(struct retain *r, const char *name, uint64_t bytes);
/* An interval is exported: files added before count as older ones from the next call on. */
void retain_closed(struct retain *r, uint64_t start_s, uint64_t end_s);
/* Removes a few files, if there are too many. */
void retain_step(struct retain *r);

/* At the end of the run: removes what is left to remove. */
void retain_finish(struct retain *r);

struct retain_counts {
	uint64_t files, bytes; /* that are there */
	uint64_t removed_files, removed_bytes;
	uint64_t failed; /* could not be removed */
};
struct retain_counts retain_counts_get(const struct retain *r);

#endif

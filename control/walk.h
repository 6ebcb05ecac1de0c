/* SPDX-License-Identifier: BSD-3-Clause */
/* A walk over exported records in time order: by start, set, vantage, the rest.
 *
 * Used by `fluxtap cat` and `fluxtap report`; one thread. Opens a file only when
 * its time has come, sorts what is in it (on disk beyond a bound), and takes none
 * that is not whole. */
#ifndef CONTROL_WALK_H
#define CONTROL_WALK_H

#include "values.h"

#include <stddef.h>

struct walk;

/* A walk over exported files and directories of them (`paths`), only over the
 * sets given (none: all). NULL and a sentence in `err` where a path is missing
 * or is no export. */
struct walk *walk_create(const struct config_texts *paths, const struct config_texts *sets,
			 char *err, size_t cap);

/* The next record: *line is its text without a line end, valid until the next
 * call. Returns 1; 0 at the end; -ENOMEM. A damaged file is reported on standard
 * error, what is whole in it is handed out, and the walk goes on. */
int walk_next(struct walk *w, const char **line, size_t *len);

/* How many files were damaged so far. */
unsigned walk_damaged(const struct walk *w);

/* Accepts NULL. */
void walk_destroy(struct walk *w);

#endif

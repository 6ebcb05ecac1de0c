/* SPDX-License-Identifier: BSD-3-Clause */
/* The running probe that `status` and `top` mean: its segment, and its control socket where
 * it has one. Called by commands, in their own process. */
#ifndef CONTROL_VIEW_TARGET_H
#define CONTROL_VIEW_TARGET_H

#include "../ctl_cli.h"
#include "counts.h"

#include <limits.h>

struct target {
	struct counts_file file;
	char socket[PATH_MAX]; /* "": none answers */
};

/* Finds it as `reload` does, by its socket, or else by its segment: the one of the probe
 * named, or the only one that lives. 0, or -errno and a sentence. */
int target_open(struct target *t, const struct ctl_options *o, char *err, size_t cap);
void target_close(struct target *t);
/* What the probe says over its socket; NULL and a sentence. The caller's to release. */
json_t *target_ask(const struct target *t, const char *line, char *err, size_t cap);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of set `ledger` for what was in flight when the last probe of this name was
 * killed: between its last exported interval and this start. Control's main thread, once
 * at start; owns nothing. */
#ifndef CONTROL_GAP_H
#define CONTROL_GAP_H

#include "segment.h"

#include <jansson.h>
#include <stdbool.h>

/* Hands one record for each worker, and one for all, to `write`, which takes them over.
 * now_s: this start. */
void gap_write(const struct segment_left *left, const char *probe, uint64_t now_s,
	       void (*write)(void *ctx, const char *set, uint64_t start_s, json_t *record),
	       void *ctx);

#endif

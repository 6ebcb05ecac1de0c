/* SPDX-License-Identifier: BSD-3-Clause */
/* The past of set `sinkhole` in a snapshot: versioned octets, little-endian, that begin
 * with a magic number. Groups and domains stand as texts, so that another run with
 * other keys can read them; hashes of names need the same sketch-seed. */
#ifndef CONTROL_STATS_SINKHOLE_H
#define CONTROL_STATS_SINKHOLE_H

#include <stddef.h>
#include <stdint.h>

/* Everything that is remembered, in *octets (malloc, the caller's). 0 or -ENOMEM. */
int sinkhole_save(const void *stat, uint8_t **octets, size_t *bytes);
/* Into a statistic that has seen no interval yet, with the same length of the hour,
 * interval and sketch seed. Groups that are not listed any more are left out. 0;
 * -EBADMSG for octets that cannot be, -EINVAL for those of other settings, -ENOMEM: it
 * remembers nothing then. */
int sinkhole_load(void *stat, const uint8_t *octets, size_t bytes);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What others may know of set `integrity`. */
#ifndef CONTROL_STATS_INTEGRITY_H
#define CONTROL_STATS_INTEGRITY_H

#include <stdint.h>

/* Unauthorised changes since the start, each counted once, when it is confirmed; any
 * thread. */
uint64_t integrity_alarms(const void *stat);

#endif

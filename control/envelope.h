/* SPDX-License-Identifier: BSD-3-Clause */
/* How every exported record begins. Used by control's thread; owns nothing. */
#ifndef CONTROL_ENVELOPE_H
#define CONTROL_ENVELOPE_H

#include <jansson.h>
#include <stdint.h>

#define ENVELOPE_VERSION 1

/* A new record with its first eight fields in their order: times in whole UTC
 * seconds, `end_s` exclusive; `p` the share that was kept (0 < p <= 1); `loss_ppm`
 * packets lost before the probe, in millionths. The caller owns it; NULL without
 * memory. */
json_t *envelope_create(const char *set, const char *probe, const char *vantage, uint64_t start_s,
			uint64_t end_s, double p, uint64_t loss_ppm);

#endif

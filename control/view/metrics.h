/* SPDX-License-Identifier: BSD-3-Clause */
/* A glance as text for Prometheus: OpenMetrics 1.0, or the older text format 0.0.4.
 *
 * One table says what there is: names, units, help. A pure function. Every label's values
 * come from a list of ours or from the operator, never from the wire. */
#ifndef CONTROL_VIEW_METRICS_H
#define CONTROL_VIEW_METRICS_H

#include "glance.h"

#include <stdbool.h>
#include <stddef.h>

#define METRICS_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define METRICS_PLAIN "text/plain; version=0.0.4; charset=utf-8"

/* The text, its length in *len; the caller frees it. NULL: no memory. */
char *metrics_text(const struct glance *g, bool open, size_t *len);

/* True where an Accept header asks for OpenMetrics. NULL: no header. */
bool metrics_wants_open(const char *accept);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap status`: one screen on how a running probe does. */
#ifndef CONTROL_VIEW_STATUS_H
#define CONTROL_VIEW_STATUS_H

#include "counts.h"

#include <jansson.h>
#include <stdio.h>

/* argv[0] is "status". Returns the exit code. */
int status_main(int argc, char **argv);

/* The screen: two looks at the segment, the later one first, and what the probe says over
 * its socket (view, status; NULL: nothing). */
void status_print(FILE *out, const struct counts *now, const struct counts *before,
		  const json_t *view, const json_t *status);

#endif

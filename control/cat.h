/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap cat`: exported records as JSON lines on standard output.
 * One thread; prints refusals on standard error. */
#ifndef CONTROL_CAT_H
#define CONTROL_CAT_H

#include "values.h"

#include <stdbool.h>

struct cat_options {
	struct config_texts set;
	bool schema;
};

/* `fluxtap cat ARG...`; argv[0] is "cat". Returns the exit code. */
int cat_main(int argc, char **argv);

#endif

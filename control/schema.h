/* SPDX-License-Identifier: BSD-3-Clause */
/* The JSON Schema (draft 2020-12) of every set that this version exports.
 * Called by `fluxtap cat --schema`; names come from include/fluxtap. */
#ifndef CONTROL_SCHEMA_H
#define CONTROL_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The schema; NULL: no memory. The caller gives the reference back. */
json_t *schema_make(void);
/* Prints the schema. 0 or -errno. */
int schema_print(FILE *out);

/* Whether this version exports a set of that name. */
bool schema_has_set(const char *name);

/* The names of all sets in one line, for messages. */
const char *schema_sets(void);

#endif

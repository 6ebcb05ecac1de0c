/* SPDX-License-Identifier: BSD-3-Clause */
/* The list files that are part of the program, as text (control/rules/). Constants. */
#ifndef CONTROL_RULES_DEFAULT_H
#define CONTROL_RULES_DEFAULT_H

#include <stddef.h>

/* rules/shapes.rules, a NUL behind it that is not counted. */
extern const char shapes_rules_text[];
extern const size_t shapes_rules_len;

#endif

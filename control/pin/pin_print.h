/* SPDX-License-Identifier: BSD-3-Clause */
/* Facts and plans for people, and as JSON. */
#ifndef CONTROL_PIN_PIN_PRINT_H
#define CONTROL_PIN_PIN_PRINT_H

#include "pin_plan.h"

#include <jansson.h>
#include <stdio.h>

void pin_print_facts(FILE *out, const struct pin_facts *f);
void pin_print_plan(FILE *out, const struct pin_facts *f, const struct pin_plan *p);

/* The caller owns them; NULL without memory. */
json_t *pin_facts_json(const struct pin_facts *f);
json_t *pin_plan_json(const struct pin_facts *f, const struct pin_plan *p);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Between pin_state.c and pin_state_json.c. */
#ifndef CONTROL_PIN_PIN_STATE_JSON_H
#define CONTROL_PIN_PIN_STATE_JSON_H

#include "pin_state.h"

#include <jansson.h>

/* A state as JSON; the caller owns it, NULL without memory. */
json_t *pin_state_json(const struct pin_state *s);

#endif

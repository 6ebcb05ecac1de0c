/* SPDX-License-Identifier: BSD-3-Clause */
/* The client subnet that an answer was made for (RFC 7871): its option, and the view of
 * those who share it. No state, any thread. */
#ifndef DATAPLANE_ECS_H
#define DATAPLANE_ECS_H

#include "flow.h"

#include <stdbool.h>

struct ecs_scope {
	struct addr prefix; /* all zero behind its bits; IPv4 as IPv4-mapped */
	uint8_t bits;       /* of 128; above 0 as they came, so above 96 for IPv4 */
};

/* Reads the option's len octets. False where the answer is the same for everybody (scope
 * or source of length 0), or where the option breaks RFC 7871 section 6. A scope longer
 * than its source counts as long as that (section 7.3.1): no more is known of the client. */
bool ecs_read(const uint8_t *option, uint32_t len, struct ecs_scope *out);

/* The key of a view within the one whose key is `view`: who does not know that cannot
 * make two of them meet. */
uint64_t ecs_view(const struct ecs_scope *scope, uint64_t view);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 3, parse: a DNS message into its header, question, EDNS and class.
 *
 * A message whose header and first question can be read counts, even where the
 * sections behind are damaged (it is marked malformed): a server that answers
 * badly has answered. Called by workers; touches the batch alone. */
#ifndef DATAPLANE_PARSE_H
#define DATAPLANE_PARSE_H

#include "msg.h"

#include <fluxtap/drop.h>

/* Parses every message of the batch: fills the parse part of each, drop included.
 * name_seed: secret of this run, for struct msg.name_key. */
void parse_step(struct msgs *batch, uint64_t name_seed);

/* One message: data and len must be set; `name` has NAME_BUF_BYTES, `rr` MSG_RR_CAP + 1. */
void parse_message(struct msg *m, uint8_t *name, struct rr *rr, uint64_t name_seed);

#endif

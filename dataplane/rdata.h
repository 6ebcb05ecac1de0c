/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of rdata in canonical form (RFC 4034 6.2): names without pointers, in lower case.
 *
 * Of the types that a watch list can have, others stay as they are. No state but the
 * caller's, any thread. */
#ifndef DATAPLANE_RDATA_H
#define DATAPLANE_RDATA_H

#include "msg.h"

#include <fluxtap/rec_integrity.h>

/* A set under construction, and then octets as rec_integrity.h says. */
struct rdata_set {
	uint32_t n, bytes;
	uint32_t off[MSG_RR_CAP];
	uint8_t data[FT_INTEGRITY_SET_CAP], sorted[FT_INTEGRITY_SET_CAP];
};

/* One rdata of at most `room` octets into out; returns its length, or -1 where it is
 * damaged or too long. */
int rdata_canonical(const struct msg *m, const struct rr *rr, uint8_t *out, uint32_t room);

static inline void rdata_set_clear(struct rdata_set *s)
{
	s->n = s->bytes = 0;
}

/* Adds a record's rdata; false where it is damaged, or there are too many octets. */
bool rdata_set_add(struct rdata_set *s, const struct msg *m, const struct rr *rr);
/* Puts them in order, each once, into data. */
void rdata_set_sort(struct rdata_set *s);

#endif

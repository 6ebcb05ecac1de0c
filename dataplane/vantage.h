/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the tap saw a transaction: by the operator's prefixes, else by its flags.
 *
 * The prefix sets are built by control before the start and only read by workers. */
#ifndef DATAPLANE_VANTAGE_H
#define DATAPLANE_VANTAGE_H

#include "flow.h"
#include "pair.h"

#include <fluxtap/dns.h>

#include <stdbool.h>
#include <stddef.h>

/* Disjoint address ranges in rising order. */
struct prefix_set {
	struct addr_range {
		struct addr lo, hi; /* both inclusive */
	} * range;
	size_t n;
};

/* Builds a set of n prefixes, bits counted of 128 (IPv4 as IPv4-mapped). -ENOMEM. */
int prefix_set_init(struct prefix_set *s, const struct addr *addr, const uint8_t *bits, size_t n);
void prefix_set_fini(struct prefix_set *s);
bool prefix_set_has(const struct prefix_set *s, const struct addr *a);

struct vantage_rules {
	struct prefix_set auth, resolvers;
	bool configured; /* addresses alone decide */
};

/* By addresses; FT_VANTAGE_CAP where nothing is configured. */
uint8_t vantage_of_addrs(const struct vantage_rules *r, const struct addr *client,
			 const struct addr *server);
/* Of a settled transaction: what its addresses said, or else what its flags say. */
static inline enum ft_vantage vantage_of_txn(const struct txn *t)
{
	const uint8_t by_addrs = t->has_query ? t->q.vantage : t->vantage;
	const bool rd = t->has_query ? t->q.rd : t->rd;

	if (by_addrs != FT_VANTAGE_CAP)
		return (enum ft_vantage)by_addrs;
	if (!t->has_response)
		return rd ? FT_VANTAGE_S2R : FT_VANTAGE_R2A;
	if (rd)
		return t->ra ? FT_VANTAGE_S2R : FT_VANTAGE_X;
	return t->aa || t->class == FT_CLASS_REFERRAL ? FT_VANTAGE_R2A : FT_VANTAGE_X;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of kind `ip`: what its files share. flux_ip.c reads rows, flux_ip_write.c
 * judges and writes records, flux_ip_save.c makes snapshots. */
#ifndef CONTROL_STATS_FLUX_IP_STATE_H
#define CONTROL_STATS_FLUX_IP_STATE_H

#include "../../dataplane/flow.h"
#include "../lookups.h"
#include "flux_owner.h"
#include "keep.h"
#include "stat.h"

#define NET_P 8u /* of the HyperLogLog of each network */

struct flux_item {
	struct keep_item keep;    /* rank: the owner's key; 0: a candidate, which stays */
	struct flux_owner *owner; /* NULL: a candidate that there was no room for */
};

/* How many registered domains use a network. */
struct flux_net {
	struct keep_item keep;
	uint8_t reg[1u << NET_P];
};

struct flux_day {
	struct keep keep; /* number: the day */
	size_t bytes, candidate_bytes;
	unsigned candidate_shift;
	uint64_t owners, left_out, lost; /* lost: observations that rrsets had no room for */
	uint64_t loss_ppm;               /* the greatest of the intervals' */
	uint64_t end_s;                  /* of the last interval */
};

struct flux_ip {
	const struct stat_run *run;
	struct stat_row *days; /* one at most */
	struct stat_row *nets; /* the same day */
	struct keep_settings set, net_set;
	size_t owners_cap, bytes_cap, candidate_cap;
	struct flux_rows rows;
	void *ns; /* kind `ns`, which stands in front in the list */
	/* While a row is read: */
	const struct stat_interval *in;
	uint64_t domain_owner_key, domain_row, domain_hash; /* of the owner looked at last */
	uint8_t read[FLUX_READ_CAP][FLUX_ADDRS_CAP / 8];
};

static inline bool flux_ip_has_asn(const struct flux_ip *s)
{
	return s->run->lookups != NULL && s->run->lookups->asn != NULL;
}

static inline uint64_t flux_ip_item_key(uint64_t owner_key, uint8_t what)
{
	return hash_mix(owner_key +
			(what & (FT_RRSET_TYPE | FT_RRSET_VANTAGE)) * 0x9e3779b97f4a7c15ull);
}

static inline uint64_t flux_ip_net_key(const struct flux_owner *o, const struct flux_addr *a)
{
	return hash_mix(flux_owner_net(o, a, false) * 2 + flux_owner_is_v6(o) +
			0x9e3779b97f4a7c15ull);
}

/* The TTL is beyond the gate: a cache showed it, and no authority said otherwise. */
static inline bool flux_ip_is_gated(const struct flux_owner *o)
{
	return (o->flags & (FLUX_LONG | FLUX_AA)) == FLUX_LONG;
}

/* The books after an owner has grown from `before` octets; `candidate`: it was one. */
void flux_ip_account(struct flux_ip *s, struct flux_day *d, struct flux_item *i, size_t before,
		     bool candidate);
void flux_ip_pop_day(struct flux_ip *s);

/* Records: of an owner that has its name, and of what was left out, if anything was. */
void flux_ip_write(struct flux_ip *s, const struct flux_owner *o, bool onset);
void flux_ip_write_left_out(struct flux_ip *s, const struct flux_day *d);

#endif

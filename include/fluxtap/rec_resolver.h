/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_RESOLVER: how a resolver asks.
 *
 *	entry    length head addr counts ports     head: bits 0-1 vantage, 2: wide
 *	counts   bitmap of the counters that are not 0 (varint), these (varints)
 *	ports    the source ports: a small distinct count (rec_tables.h)
 * Merge: counts add, ports by union. */
#ifndef FLUXTAP_REC_RESOLVER_H
#define FLUXTAP_REC_RESOLVER_H

#include "block.h"
#include "rec_tables.h"

#define FT_RESOLVER_BANDS 8u /* of EDNS buffer sizes, from FT_EDNS_bufsize_511 on */
enum ft_resolver_counter {
	FT_RESOLVER_QUERIES,
	FT_RESOLVER_EDNS,
	FT_RESOLVER_DO,
	FT_RESOLVER_CD,
	FT_RESOLVER_ECS,
	FT_RESOLVER_NSID,
	FT_RESOLVER_COOKIE,
	FT_RESOLVER_MIXED_CASE,
	FT_RESOLVER_QNAME_MIN,
	FT_RESOLVER_TCP,
	FT_RESOLVER_TC,       /* answers over UDP with TC=1 */
	FT_RESOLVER_TC_RETRY, /* of them, those asked again over TCP and answered */
	FT_RESOLVER_BUFSIZE,  /* + band */
	FT_RESOLVER_COUNTERS = FT_RESOLVER_BUFSIZE + FT_RESOLVER_BANDS
};
static_assert((unsigned)FT_RESOLVER_COUNTERS <= FT_TABLE_COUNTERS, "a bitmap of 32");

#define FT_RESOLVER_ENTRY_CAP 320u

struct ft_resolver_rec {
	uint8_t vantage;
	uint8_t addr[16];
	uint64_t c[FT_TABLE_COUNTERS];
	struct ft_mini ports;
};

/* Writes an entry into out (FT_RESOLVER_ENTRY_CAP); returns where it ends. */
static inline uint8_t *ft_resolver_write(const struct ft_resolver_rec *r, uint8_t *out)
{
	const bool wide = !ft_addr_is_v4(r->addr);
	uint8_t *p = ft_put_u8(out + 1, (uint8_t)(r->vantage | (unsigned)wide << 2));

	p = wide ? ft_put_bytes(p, r->addr, 16) : ft_put_bytes(p, r->addr + 12, 4);
	p = ft_put_counts(p, r->c, FT_RESOLVER_COUNTERS);
	return ft_entry_close(out, ft_put_mini(p, r->ports.n, &r->ports.u));
}

/* Reads the body of an entry. */
static inline bool ft_resolver_read(struct ft_reader *b, struct ft_resolver_rec *r)
{
	const uint8_t head = ft_get_u8(b);

	r->vantage = head & 3;
	if (head >> 3 != 0)
		return false;
	ft_get_addr(b, r->addr, (head & 4) != 0);
	ft_get_counts(b, r->c, FT_RESOLVER_COUNTERS);
	ft_get_mini(b, &r->ports);
	return !b->bad && b->at == b->end;
}

#endif

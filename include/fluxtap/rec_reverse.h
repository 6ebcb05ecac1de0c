/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_REVERSE: queries for the name of an IPv4 address, one by one, for the
 * order in which a client asks for addresses shows across workers only.
 *
 *	entry    length head addr ipv4 t_us     head: bits 0-1 vantage, 2: wide
 *	addr     4 octets, or 16 (wide): the client's
 *	ipv4     4 octets: what it asked about
 *	t_us     (varint) when, from the interval's begin on */
#ifndef FLUXTAP_REC_REVERSE_H
#define FLUXTAP_REC_REVERSE_H

#include "block.h"
#include "rec_tables.h"

#define FT_REVERSE_ENTRY_CAP 40u

struct ft_reverse_rec {
	uint8_t vantage;
	uint8_t client[16];
	uint8_t ipv4[4];
	uint64_t t_us;
};

/* Writes an entry into out (FT_REVERSE_ENTRY_CAP); returns where it ends. */
static inline uint8_t *ft_reverse_write(const struct ft_reverse_rec *r, uint8_t *out)
{
	const bool wide = !ft_addr_is_v4(r->client);
	uint8_t *p = ft_put_u8(out + 1, (uint8_t)(r->vantage | (unsigned)wide << 2));

	p = wide ? ft_put_bytes(p, r->client, 16) : ft_put_bytes(p, r->client + 12, 4);
	p = ft_put_bytes(p, r->ipv4, sizeof(r->ipv4));
	return ft_entry_close_brief(out, ft_put_varint(p, r->t_us));
}

/* Reads the body of an entry; false where it cannot be one. */
static inline bool ft_reverse_read(struct ft_reader *b, struct ft_reverse_rec *r)
{
	const uint8_t head = ft_get_u8(b);

	r->vantage = head & 3;
	ft_get_addr(b, r->client, (head & 4) != 0);
	const uint8_t *ipv4 = ft_get_bytes(b, sizeof(r->ipv4));
	if (ipv4 == NULL || head >> 3 != 0)
		return false;
	memcpy(r->ipv4, ipv4, sizeof(r->ipv4));
	r->t_us = ft_get_varint(b, UINT64_MAX);
	return !b->bad && b->at == b->end;
}

#endif

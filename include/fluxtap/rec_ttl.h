/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_TTL: the TTL of a watched RRset in one answer; and of FT_REC_SNOOP: a
 * query with RD=0 to a recursive server.
 *
 *	entry    length head addr time body     head: bits 0-1 vantage, 2: wide, 3-: flags
 *	addr     of the server (TTL) or client (SNOOP): 4 octets, or 16 (wide)
 *	time     microseconds since the row's begin (varint)
 *	TTL      type(2) ttl(4) owner in folded wire form
 *	SNOOP    hash of the name(8), sketches' seed
 * Answers of one server that give the same TTL in the same second count as the first of
 * them: workers leave some of the others out. */
#ifndef FLUXTAP_REC_TTL_H
#define FLUXTAP_REC_TTL_H

#include "block.h"
#include "rec_tables.h"

#define FT_TTL_AA 8u /* flags */

#define FT_SNOOP_HIT 8u      /* there was an answer */
#define FT_SNOOP_WATCHED 16u /* for a name on the watch list */
#define FT_SNOOP_CHAOS 32u   /* class CH, which counts for nothing else */
#define FT_SNOOP_OTHER 64u   /* another class than IN and CH; likewise */

#define FT_TTL_ENTRY_CAP 304u
#define FT_SNOOP_ENTRY_CAP 64u
#define FT_TTL_ROW_CAP_US (86400ull * 1000000) /* longest interval */

struct ft_ttl_rec {
	uint8_t vantage, flags;
	uint8_t addr[16];
	uint64_t off_us;
	/* TTL */
	uint16_t type;
	uint32_t ttl, owner_len;
	const uint8_t *owner;
	/* SNOOP */
	uint64_t name;
};

static inline uint8_t *ft_ttl_put_head(const struct ft_ttl_rec *r, uint8_t *p)
{
	const bool wide = !ft_addr_is_v4(r->addr);

	p = ft_put_u8(p, (uint8_t)(r->vantage | (unsigned)wide << 2 | r->flags));
	p = wide ? ft_put_bytes(p, r->addr, 16) : ft_put_bytes(p, r->addr + 12, 4);
	return ft_put_varint(p, r->off_us);
}

static inline void ft_ttl_get_head(struct ft_reader *b, struct ft_ttl_rec *r)
{
	const uint8_t head = ft_get_u8(b);

	r->vantage = head & 3;
	r->flags = head & 0xf8;
	ft_get_addr(b, r->addr, (head & 4) != 0);
	r->off_us = ft_get_varint(b, FT_TTL_ROW_CAP_US);
}

/* Writes an entry into out (FT_TTL_ENTRY_CAP); returns where it ends. */
static inline uint8_t *ft_ttl_write(const struct ft_ttl_rec *r, uint8_t *out)
{
	uint8_t *p = ft_ttl_put_head(r, out + 1);

	p = ft_put_u8(ft_put_u8(p, (uint8_t)r->type), (uint8_t)(r->type >> 8));
	p = ft_put_u32(p, r->ttl);
	return ft_entry_close(out, ft_put_bytes(p, r->owner, r->owner_len));
}

/* Reads the body of an entry; the owner stays where it is. */
static inline bool ft_ttl_read(struct ft_reader *b, struct ft_ttl_rec *r)
{
	ft_ttl_get_head(b, r);
	r->type = ft_get_u8(b);
	r->type = (uint16_t)(r->type | ft_get_u8(b) << 8);
	r->ttl = ft_get_u32(b);
	if (b->bad || (r->flags & ~FT_TTL_AA) != 0)
		return false;
	r->owner_len = (uint32_t)(b->end - b->at);
	r->owner = b->at;
	b->at = b->end;
	return r->owner_len != 0 && ft_name_is_whole(r->owner, r->owner_len);
}

/* Writes an entry into out (FT_SNOOP_ENTRY_CAP); returns where it ends. */
static inline uint8_t *ft_snoop_write(const struct ft_ttl_rec *r, uint8_t *out)
{
	return ft_entry_close(out, ft_put_u64(ft_ttl_put_head(r, out + 1), r->name));
}

/* Reads the body of an entry. */
static inline bool ft_snoop_read(struct ft_reader *b, struct ft_ttl_rec *r)
{
	ft_ttl_get_head(b, r);
	r->name = ft_get_u64(b);
	return !b->bad && b->at == b->end && (r->flags & 0x80) == 0;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_INTEGRITY, _TEXT and _ADDR: watched RRsets as they were seen.
 *
 *	seen     length what facts owner's key(8) set's key(8) type ttl client server
 *	         first_us(8) last_us - first_us, count, earliest end of an RRSIG(4), EDE
 *	text     length owner's key(8) set's key(8) type, octets of the set, offset, piece
 *	addr     length wide host's key(8) address
 * A set is its rdata in canonical form (RFC 4034 6.2) and rising order, each behind its
 * length(2). A seen entry is of one second. Merge: counts add, times, expirations and EDE
 * by minimum and maximum; texts and addresses are alike. */
#ifndef FLUXTAP_REC_INTEGRITY_H
#define FLUXTAP_REC_INTEGRITY_H

#include "block.h"
#include "rec_tables.h"

#define FT_INTEGRITY_SEEN_CAP 112u
#define FT_INTEGRITY_PIECE 900u /* octets of a set in one text */
#define FT_INTEGRITY_PIECES 16u /* of one set */
#define FT_INTEGRITY_TEXT_CAP (FT_INTEGRITY_PIECE + 40u)
#define FT_INTEGRITY_SET_CAP (FT_INTEGRITY_PIECE * FT_INTEGRITY_PIECES)
#define FT_INTEGRITY_ADDR_CAP 32u

/* struct ft_integrity.what. */
enum {
	FT_INTEGRITY_VANTAGE = 0x03,
	FT_INTEGRITY_PARENT = 0x04,   /* the side; else the zone's own */
	FT_INTEGRITY_AA = 0x08,       /* from an authoritative answer */
	FT_INTEGRITY_REFERRAL = 0x10, /* or a delegation; neither: out of a cache */
	FT_INTEGRITY_CLIENT_WIDE = 0x20,
	FT_INTEGRITY_SERVER_WIDE = 0x40,
	FT_INTEGRITY_WHAT = 0x1f,
};
/* struct ft_integrity.facts. */
enum {
	FT_INTEGRITY_DO = 1,    /* the query asked for signatures */
	FT_INTEGRITY_RRSIG = 2, /* and here is one */
	FT_INTEGRITY_AD = 4,
	FT_INTEGRITY_DS = 8,     /* the delegation has a DS */
	FT_INTEGRITY_NO_DS = 16, /* it has none, though signatures were asked for */
	FT_INTEGRITY_FACTS = 31,
};

struct ft_integrity {
	uint8_t what, facts;
	uint16_t qtype;
	uint32_t ttl;
	uint64_t owner_key; /* keyed hash of the folded owner, as of every name in this run */
	uint64_t set_key;   /* keyed hash of the set */
	uint8_t client[16], server[16]; /* client: zeros where it is out of a cache */
	uint64_t first_us, last_us, count;
	uint32_t rrsig_s; /* the earliest expiration; UINT32_MAX: none */
	uint16_t ede;     /* code and 1; 0: none */
};

struct ft_integrity_text {
	uint64_t owner_key, set_key;
	uint16_t qtype;
	uint32_t total, off, bytes;
	const uint8_t *piece;
};

struct ft_integrity_addr {
	uint64_t host_key; /* as owner_key */
	uint8_t addr[16];
};

static inline uint8_t *ft_integrity_put_addr(uint8_t *p, const uint8_t *addr, bool wide)
{
	return wide ? ft_put_bytes(p, addr, 16) : ft_put_bytes(p, addr + 12, 4);
}

/* Writes an entry into out (FT_INTEGRITY_SEEN_CAP); returns where it ends. */
static inline uint8_t *ft_integrity_write(const struct ft_integrity *x, uint8_t *out)
{
	const bool client = !ft_addr_is_v4(x->client), server = !ft_addr_is_v4(x->server);
	uint8_t *p = ft_put_u8(out + 1, (uint8_t)(x->what | client << 5 | server << 6));

	p = ft_put_u8(p, x->facts);
	p = ft_put_u64(p, x->owner_key);
	p = ft_put_u64(p, x->set_key);
	p = ft_put_varint(p, x->qtype);
	p = ft_put_varint(p, x->ttl);
	p = ft_integrity_put_addr(p, x->client, client);
	p = ft_integrity_put_addr(p, x->server, server);
	p = ft_put_u64(p, x->first_us);
	p = ft_put_varint(p, x->last_us - x->first_us);
	p = ft_put_varint(p, x->count);
	p = ft_put_u32(p, x->rrsig_s);
	return ft_entry_close(out, ft_put_varint(p, x->ede));
}

/* Reads the body of an entry; false where it cannot be one. */
static inline bool ft_integrity_read(struct ft_reader *b, struct ft_integrity *x)
{
	const uint8_t head = ft_get_u8(b);

	x->what = head & FT_INTEGRITY_WHAT;
	x->facts = ft_get_u8(b) & FT_INTEGRITY_FACTS;
	x->owner_key = ft_get_u64(b);
	x->set_key = ft_get_u64(b);
	x->qtype = (uint16_t)ft_get_varint(b, UINT16_MAX);
	x->ttl = (uint32_t)ft_get_varint(b, INT32_MAX);
	ft_get_addr(b, x->client, (head & FT_INTEGRITY_CLIENT_WIDE) != 0);
	ft_get_addr(b, x->server, (head & FT_INTEGRITY_SERVER_WIDE) != 0);
	x->first_us = ft_get_u64(b);
	const uint64_t span_us = ft_get_varint(b, 1000000);
	x->last_us = x->first_us + span_us;
	x->count = ft_get_varint(b, UINT64_MAX);
	x->rrsig_s = ft_get_u32(b);
	x->ede = (uint16_t)ft_get_varint(b, UINT16_MAX);
	return !b->bad && b->at == b->end && head < 0x80 && x->count != 0 &&
	       x->first_us <= UINT64_MAX / 2;
}

/* Writes a text into out (FT_INTEGRITY_TEXT_CAP); returns where it ends. */
static inline uint8_t *ft_integrity_text_write(const struct ft_integrity_text *x, uint8_t *out)
{
	uint8_t *p = ft_put_u64(out + 1, x->owner_key);

	p = ft_put_u64(p, x->set_key);
	p = ft_put_varint(p, x->qtype);
	p = ft_put_varint(p, x->total);
	p = ft_put_varint(p, x->off);
	if (x->bytes != 0)
		p = ft_put_bytes(p, x->piece, x->bytes);
	return ft_entry_close(out, p);
}

/* What it points at lies in the body. */
static inline bool ft_integrity_text_read(struct ft_reader *b, struct ft_integrity_text *x)
{
	x->owner_key = ft_get_u64(b);
	x->set_key = ft_get_u64(b);
	x->qtype = (uint16_t)ft_get_varint(b, UINT16_MAX);
	x->total = (uint32_t)ft_get_varint(b, FT_INTEGRITY_SET_CAP);
	x->off = (uint32_t)ft_get_varint(b, FT_INTEGRITY_SET_CAP);
	if (b->bad || x->off % FT_INTEGRITY_PIECE != 0 || x->off > x->total)
		return false;
	x->piece = b->at;
	x->bytes = (uint32_t)(b->end - b->at);
	const uint32_t left = x->total - x->off;
	return x->bytes == (left < FT_INTEGRITY_PIECE ? left : FT_INTEGRITY_PIECE) &&
	       x->off / FT_INTEGRITY_PIECE < FT_INTEGRITY_PIECES;
}

/* Whether octets are a set as above: each rdata whole, rising, each once. */
static inline bool ft_integrity_set_is_whole(const uint8_t *set, uint32_t bytes)
{
	const uint8_t *before = NULL;
	uint32_t before_len = 0;

	for (uint32_t at = 0; at < bytes;) {
		if (bytes - at < 2)
			return false;
		const uint32_t len = set[at] | (uint32_t)set[at + 1] << 8;
		const uint8_t *rdata = set + at + 2;
		if (len > bytes - at - 2)
			return false;
		if (before != NULL) {
			const int d = memcmp(before, rdata, before_len < len ? before_len : len);
			if (d > 0 || (d == 0 && before_len >= len))
				return false;
		}
		before = rdata;
		before_len = len;
		at += 2 + len;
	}
	return true;
}

static inline uint8_t *ft_integrity_addr_write(const struct ft_integrity_addr *x, uint8_t *out)
{
	const bool wide = !ft_addr_is_v4(x->addr);
	uint8_t *p = ft_put_u8(out + 1, wide);

	p = ft_put_u64(p, x->host_key);
	return ft_entry_close(out, ft_integrity_put_addr(p, x->addr, wide));
}

static inline bool ft_integrity_addr_read(struct ft_reader *b, struct ft_integrity_addr *x)
{
	const uint8_t wide = ft_get_u8(b);

	x->host_key = ft_get_u64(b);
	ft_get_addr(b, x->addr, wide != 0);
	return !b->bad && b->at == b->end && wide <= 1;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_SERVER_PART: what is known of a server beside its counters
 * (rec_tables.h), in parts of twelve counters each; and of FT_REC_ASKED: queries, to be
 * joined across servers where no worker sees all of them.
 *
 *	entry    length head addr body       head: bits 0-1 vantage, 2: wide, 3-5: kind
 *	addr     4 octets, or 16 (wide): the server's
 *	sketch   part (its first DDSketch bin / 12), max_us, counts
 *	windows  part (qtype), minute of the interval, counts: queries and unanswered ones of
 *	         each of the six windows of ten seconds of a UTC minute
 *	counts   bitmap of those that are not 0 (varint), these (varints)
 *	asked    (kind FT_SERVER_KINDS) group(8) begin_us(8) end - begin (varint; 0: no answer)
 * Merge: counts add, max_us by maximum. */
#ifndef FLUXTAP_REC_SERVER_H
#define FLUXTAP_REC_SERVER_H

#include "block.h"
#include "rec_tables.h"

/* What a server's sketches hold, in microseconds; its windows are a kind of their own. */
enum ft_server_kind {
	FT_SERVER_RTT,         /* from query to response */
	FT_SERVER_TCP_RTT,     /* from a handshake's SYN-ACK to its ACK */
	FT_SERVER_RETRY_SAME,  /* from first query to a retry at the same server */
	FT_SERVER_RETRY_OTHER, /* likewise at another one; it stands with the server left */
	FT_SERVER_SKETCHES,
	FT_SERVER_WINDOWS = FT_SERVER_SKETCHES,
	FT_SERVER_KINDS
};

#define FT_SERVER_PART 12u /* counters of a part */
#define FT_SERVER_WINDOW_S 10u
#define FT_SERVER_WINDOW_CAP 6u /* of a minute */
#define FT_SERVER_RETRY_US 30000000u
#define FT_SERVER_ENTRY_CAP 192u
static_assert(FT_SERVER_WINDOW_CAP * 2 == FT_SERVER_PART, "two counters a window");

struct ft_server_part {
	uint8_t kind, vantage;
	uint8_t addr[16];
	uint32_t part;   /* sketch: first bin / FT_SERVER_PART; windows: qtype */
	uint32_t minute; /* windows: of the interval's first minute on */
	uint64_t max_us; /* sketch */
	uint64_t c[FT_SERVER_PART];
};

struct ft_server_asked {
	uint8_t vantage;
	uint8_t addr[16];
	uint64_t group;            /* hash of client, name and type */
	uint64_t begin_us, end_us; /* end: of the answer; UINT64_MAX: none */
};

static inline uint8_t *ft_server_put_head(uint8_t *p, unsigned kind, uint8_t vantage,
					  const uint8_t addr[16])
{
	const bool wide = !ft_addr_is_v4(addr);

	p = ft_put_u8(p, (uint8_t)(vantage | (unsigned)wide << 2 | kind << 3));
	return wide ? ft_put_bytes(p, addr, 16) : ft_put_bytes(p, addr + 12, 4);
}

/* Writes an entry into out (FT_SERVER_ENTRY_CAP); returns where it ends. */
static inline uint8_t *ft_server_write_part(const struct ft_server_part *r, uint8_t *out)
{
	uint8_t *p = ft_server_put_head(out + 1, r->kind, r->vantage, r->addr);

	p = ft_put_varint(p, r->part);
	p = ft_put_varint(p, r->kind == FT_SERVER_WINDOWS ? r->minute : r->max_us);
	return ft_entry_close(out, ft_put_counts(p, r->c, FT_SERVER_PART));
}

static inline uint8_t *ft_server_write_asked(const struct ft_server_asked *r, uint8_t *out)
{
	uint8_t *p = ft_server_put_head(out + 1, FT_SERVER_KINDS, r->vantage, r->addr);
	const uint64_t past = r->end_us > r->begin_us ? r->end_us - r->begin_us : 1;

	p = ft_put_u64(p, r->group);
	p = ft_put_u64(p, r->begin_us);
	p = ft_put_varint(p, r->end_us == UINT64_MAX ? 0 : past);
	return ft_entry_close_brief(out, p);
}

/* Reads what an entry begins with; false: it cannot be. */
static inline bool ft_server_read_head(struct ft_reader *b, uint8_t *kind, uint8_t *vantage,
				       uint8_t addr[16])
{
	const uint8_t head = ft_get_u8(b);

	*kind = head >> 3;
	*vantage = head & 3;
	ft_get_addr(b, addr, (head & 4) != 0);
	return !b->bad && *kind <= FT_SERVER_KINDS;
}

/* Reads the body of an entry of FT_REC_SERVER_PART. */
static inline bool ft_server_read_part(struct ft_reader *b, struct ft_server_part *r)
{
	uint64_t c[FT_TABLE_COUNTERS];

	if (!ft_server_read_head(b, &r->kind, &r->vantage, r->addr) || r->kind == FT_SERVER_KINDS)
		return false;
	r->part = (uint32_t)ft_get_varint(b, UINT16_MAX);
	r->minute = 0;
	r->max_us = 0;
	if (r->kind == FT_SERVER_WINDOWS)
		r->minute = (uint32_t)ft_get_varint(b, 1440);
	else
		r->max_us = ft_get_varint(b, UINT64_MAX);
	ft_get_counts(b, c, FT_SERVER_PART);
	memcpy(r->c, c, sizeof(r->c));
	return !b->bad && b->at == b->end;
}

/* Reads the body of an entry of FT_REC_ASKED. */
static inline bool ft_server_read_asked(struct ft_reader *b, struct ft_server_asked *r)
{
	uint8_t kind;

	if (!ft_server_read_head(b, &kind, &r->vantage, r->addr) || kind != FT_SERVER_KINDS)
		return false;
	r->group = ft_get_u64(b);
	r->begin_us = ft_get_u64(b);
	const uint64_t past = ft_get_varint(b, UINT32_MAX);
	r->end_us = past == 0 ? UINT64_MAX : r->begin_us + past;
	return !b->bad && b->at == b->end;
}

#endif

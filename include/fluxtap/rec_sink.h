/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_SINK: what is asked about names that a group of sinkholes follows,
 * and answers that carry a listed address or name.
 *
 *	entry    length part vantage rule(varint), then by part
 *	COUNTS   domain(8) minute bytes neg_ttl+1 ans_ttl+1, bitmap of the classes, their counts
 *	CLIENTS  domain(8), a small distinct count (rec_match.h)
 *	NAME     domain(8) name(8): a hash not seen before in the interval, or seen again
 *	CLIENT   client(8) queries: of the group as a whole
 *	TEXT     domain(8) signals, the registered domain in folded wire form
 * Merge: counts add, TTLs by maximum, sets by union, signals by OR. */
#ifndef FLUXTAP_REC_SINK_H
#define FLUXTAP_REC_SINK_H

#include "rec_match.h"
#include "varint.h"

enum ft_sink_part {
	FT_SINK_COUNTS = 1,
	FT_SINK_CLIENTS,
	FT_SINK_NAME,
	FT_SINK_CLIENT,
	FT_SINK_TEXT,
	FT_SINK_PART_CAP
};

/* Why a domain is in a group: one bit each. */
enum {
	FT_SINK_IP = 1,       /* an answer had a listed address */
	FT_SINK_NS = 2,       /* a delegation or answer had a listed name server */
	FT_SINK_CNAME = 4,    /* an answer had a listed alias */
	FT_SINK_NAMED = 8,    /* the list names it */
	FT_SINK_NXDOMAIN = 16 /* it did not exist for an hour; never on the wire */
};
#define FT_SINK_SIGNALS 4u /* of them, those that travel */

#define FT_SINK_MINUTES 60u /* parts of an interval that are told apart, at most */
#define FT_SINK_ENTRY_CAP FT_ENTRY_CAP
static_assert(FT_FEW_WIRE_CAP + 32 < FT_SINK_ENTRY_CAP, "room for the greatest entry");

struct ft_sink_rec {
	uint8_t part, vantage;
	uint32_t rule;             /* number of (group, sinkhole) */
	uint64_t domain;           /* the registered domain's hash, sketches' seed */
	uint64_t hash;             /* NAME, CLIENT */
	uint64_t queries;          /* CLIENT */
	uint32_t minute;           /* COUNTS: part of the interval */
	uint8_t signals;           /* TEXT; 0: it is only asked for */
	uint64_t bytes;            /* of responses */
	uint64_t neg_ttl, ans_ttl; /* and 1; 0: none seen */
	uint64_t by_class[FT_CLASS_CAP];
	const uint8_t *data; /* CLIENTS, TEXT: in the entry */
	size_t data_bytes;
};

/* Writes an entry into out (FT_SINK_ENTRY_CAP). */
static inline size_t ft_sink_write(const struct ft_sink_rec *r, uint8_t *out)
{
	uint8_t *p = ft_put_u8(out + 1, r->part);
	uint32_t bits = 0;

	p = ft_put_u8(p, r->vantage);
	p = ft_put_varint(p, r->rule);
	if (r->part != FT_SINK_CLIENT)
		p = ft_put_u64(p, r->domain);
	if (r->part == FT_SINK_NAME || r->part == FT_SINK_CLIENT)
		p = ft_put_u64(p, r->hash);
	if (r->part == FT_SINK_CLIENT)
		p = ft_put_varint(p, r->queries);
	if (r->part == FT_SINK_TEXT)
		p = ft_put_u8(p, r->signals);
	if (r->part == FT_SINK_TEXT || r->part == FT_SINK_CLIENTS)
		p = ft_put_bytes(p, r->data, r->data_bytes);
	if (r->part == FT_SINK_COUNTS) {
		for (unsigned i = 0; i < FT_CLASS_CAP; i++)
			bits |= (uint32_t)(r->by_class[i] != 0) << i;
		p = ft_put_varint(p, r->minute);
		p = ft_put_varint(p, r->bytes);
		p = ft_put_varint(p, r->neg_ttl);
		p = ft_put_varint(p, r->ans_ttl);
		p = ft_put_varint(p, bits);
		for (; bits != 0; bits &= bits - 1)
			p = ft_put_varint(p, r->by_class[__builtin_ctz(bits)]);
	}
	return (size_t)(ft_entry_close(out, p) - out);
}

static inline void ft_sink_get_counts(struct ft_reader *b, struct ft_sink_rec *r)
{
	r->minute = (uint32_t)ft_get_varint(b, FT_SINK_MINUTES - 1);
	r->bytes = ft_get_varint(b, UINT64_MAX);
	r->neg_ttl = ft_get_varint(b, 1ull << 32);
	r->ans_ttl = ft_get_varint(b, 1ull << 32);
	uint32_t bits = (uint32_t)ft_get_varint(b, (1u << FT_CLASS_CAP) - 1);
	for (; !b->bad && bits != 0; bits &= bits - 1)
		r->by_class[__builtin_ctz(bits)] = ft_get_varint(b, UINT32_MAX);
}

/* Reads the body of an entry; false where it cannot be one. */
static inline bool ft_sink_read(struct ft_reader *b, struct ft_sink_rec *r)
{
	*r = (struct ft_sink_rec){.part = ft_get_u8(b), .vantage = ft_get_u8(b)};
	r->rule = (uint32_t)ft_get_varint(b, INT32_MAX);
	if (b->bad || r->part == 0 || r->part >= FT_SINK_PART_CAP || r->vantage >= FT_VANTAGE_CAP)
		return false;
	if (r->part != FT_SINK_CLIENT)
		r->domain = ft_get_u64(b);
	if (r->part == FT_SINK_NAME || r->part == FT_SINK_CLIENT)
		r->hash = ft_get_u64(b);
	if (r->part == FT_SINK_CLIENT)
		r->queries = ft_get_varint(b, UINT32_MAX);
	if (r->part == FT_SINK_TEXT)
		r->signals = ft_get_u8(b);
	if (r->part == FT_SINK_COUNTS)
		ft_sink_get_counts(b, r);
	if (r->part == FT_SINK_TEXT || r->part == FT_SINK_CLIENTS) {
		r->data = b->at;
		r->data_bytes = (size_t)(b->end - b->at);
		b->at = b->end;
	}
	if (r->part == FT_SINK_TEXT)
		return !b->bad && r->signals >> FT_SINK_SIGNALS == 0 &&
		       ft_name_is_whole(r->data, (uint32_t)r->data_bytes);
	return !b->bad && b->at == b->end;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resource records of the generator, and the writer they are written with.
 * Called from the generator's thread; writes into the caller's buffer; never allocates.
 */
#ifndef FLUXTAP_GEN_RDATA_H
#define FLUXTAP_GEN_RDATA_H

#include "gen_msg.h"

#include <string.h>

enum { GEN_POINTER = 0xc000 };

static inline void gen_buf_u8(struct gen_buf *b, uint8_t v)
{
	b->p[b->len++] = v;
}

static inline void gen_buf_u16(struct gen_buf *b, uint16_t v)
{
	b->p[b->len] = (uint8_t)(v >> 8);
	b->p[b->len + 1] = (uint8_t)v;
	b->len += 2;
}

static inline void gen_buf_u32(struct gen_buf *b, uint32_t v)
{
	gen_buf_u16(b, (uint16_t)(v >> 16));
	gen_buf_u16(b, (uint16_t)v);
}

static inline void gen_buf_u64(struct gen_buf *b, uint64_t v)
{
	gen_buf_u32(b, (uint32_t)(v >> 32));
	gen_buf_u32(b, (uint32_t)v);
}

static inline void gen_buf_octets(struct gen_buf *b, const uint8_t *octets, uint32_t len)
{
	memcpy(b->p + b->len, octets, len);
	b->len += len;
}

/* Writes owner, type, class and TTL; returns where the rdata begins, for gen_rr_end, which sets its
 * length. */
static inline uint32_t gen_rr_begin(struct gen_buf *b, uint16_t owner, uint16_t type,
				    uint16_t qclass, uint32_t ttl_s)
{
	gen_buf_u16(b, owner);
	gen_buf_u16(b, type);
	gen_buf_u16(b, qclass);
	gen_buf_u32(b, ttl_s);
	gen_buf_u16(b, 0);
	return b->len;
}

static inline void gen_rr_end(struct gen_buf *b, uint32_t begin)
{
	struct gen_buf at = {b->p, begin - 2};

	gen_buf_u16(&at, (uint16_t)(b->len - begin));
}

/* What is left of the name's TTL at `ts_us`, as a cache counts it down. */
uint32_t gen_rdata_ttl_s(uint64_t answer_h, uint64_t ts_us);

/* The type of the i-th answer RR: the asked one, or one of several for ANY. */
uint16_t gen_rdata_type(uint16_t qtype, unsigned i);

/* A name made of `stem`, a number and a pointer to the qname's registered domain. */
void gen_rdata_label_name(struct gen_buf *b, const struct gen_ask *ask, const char *stem,
			  uint64_t number);

/* Writes the i-th RR of `type` for `owner` (a pointer). */
void gen_rdata_write(struct gen_buf *b, const struct gen_ask *ask, uint16_t owner, uint16_t type,
		     unsigned i, uint32_t ttl_s);
void gen_rdata_write_rrsig(struct gen_buf *b, const struct gen_ask *ask, uint16_t owner,
			   uint16_t covered, uint32_t ttl_s);

/* The SOA of a negative answer, of the registered domain or of the public suffix above it. Its
 * own TTL is greater than its minimum, unless ttl_s is 0. */
void gen_rdata_write_negative(struct gen_buf *b, const struct gen_ask *ask, bool is_of_suffix,
			      uint32_t ttl_s);

#endif

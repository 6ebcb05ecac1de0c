/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_TRANSPORT: counters of an interval; of FT_REC_TICKET: responses with
 * TC=1 and what came of them, and queries that may be asked of another server for that
 * reason; of FT_REC_TRANSFER: zone transfers in the clear, and those over TLS.
 *
 *	counters  (number, value) as varints, up to the entry's end
 *	ticket    head(1): 0, level outcome vantage group(8) t_us(8) first latency addr
 *	asked     head(1): 1, group(8) t_us(8) addr
 *	transfer  head(1): 0, fields in the order of struct ft_transfer_rec
 *	xot       head(1): 1, likewise of struct ft_xot_rec
 * Addresses are 16 octets. Counters add. */
#ifndef FLUXTAP_REC_TRANSPORT_H
#define FLUXTAP_REC_TRANSPORT_H

#include "block.h"
#include "varint.h"

#define FT_MIXES(X) X(udp53) X(tcp53) X(dot) X(doq) X(doh)
#define FT_MIX_ENUM(n) FT_MIX_##n,
enum ft_mix { FT_MIXES(FT_MIX_ENUM) FT_MIX_CAP };

/* Of each of them. */
enum ft_mix_field {
	FT_MIX_PACKETS,
	FT_MIX_BYTES,
	FT_MIX_CONNECTIONS,
	FT_MIX_MESSAGES,
	FT_MIX_FIELDS
};

/* Classes of a TCP connection by its first SYN (RFC 7413). */
#define FT_TFOS(X)                                                                                 \
	X(NONE)                                                                                    \
	X(REQ)                                                                                     \
	X(REQ_GRANTED)                                                                             \
	X(DATA_ACCEPTED)                                                                           \
	X(DATA_REJECTED)                                                                           \
	X(DATA_REJECTED_NEWCOOKIE)                                                                 \
	X(BLACKHOLE)
#define FT_TFO_ENUM(n) FT_TFO_##n,
enum ft_tfo { FT_TFOS(FT_TFO_ENUM) FT_TFO_CAP };

/* What came of a response with TC=1. */
#define FT_CUTS(X) X(TCP_OK) X(TCP_FAIL) X(UDP_RETRY) X(OTHER_SERVER) X(NONE)
#define FT_CUT_ENUM(n) FT_CUT_##n,
enum ft_cut { FT_CUTS(FT_CUT_ENUM) FT_CUT_CAP };
#define FT_CUT_WAIT_US 5000000u

enum ft_transport_counter {
	FT_TRANSPORT_MIX, /* + enum ft_mix * FT_MIX_FIELDS + enum ft_mix_field; of udp53 only
			     what came in fragments, the rest is what remains */
	FT_TRANSPORT_TFO = FT_TRANSPORT_MIX + FT_MIX_CAP * FT_MIX_FIELDS, /* + enum ft_tfo */
	FT_TRANSPORT_CUT = FT_TRANSPORT_TFO + FT_TFO_CAP, /* responses that got no ticket */
	FT_TRANSPORT_REST, /* packets that are no datagram of DNS in one piece */
	FT_TRANSPORT_REST_BYTES,
	FT_TRANSPORT_LOST_CUTS,      /* tickets that there was no room for */
	FT_TRANSPORT_LOST_FLOWS,     /* connections forgotten to make room */
	FT_TRANSPORT_LOST_TRANSFERS, /* likewise */
	FT_TRANSPORT_COUNTERS
};

struct ft_cut_rec {
	uint8_t level;   /* of the sample in which other servers are looked for */
	uint8_t outcome; /* enum ft_cut, of what the worker itself saw */
	uint8_t vantage;
	uint64_t group; /* hash of client, name and type */
	uint64_t t_us;
	uint64_t first_us;   /* when the client did something; 0: it did not */
	uint64_t latency_us; /* TCP_OK: from the first query to the answer; UINT64_MAX: not known */
	uint8_t server[16];
};

struct ft_asked_rec {
	uint64_t group, t_us;
	uint8_t server[16];
};

#define FT_STYLES(X) X(full) X(diff) X(uptodate) X(refused) X(notauth) X(overflow) X(failed)
#define FT_STYLE_ENUM(n) FT_STYLE_##n,
enum ft_style { FT_STYLES(FT_STYLE_ENUM) FT_STYLE_CAP };

struct ft_transfer_rec {
	uint8_t vantage, style;
	bool ixfr, udp, tsig, has_from, has_to;
	uint8_t client[16], server[16];
	uint64_t begin_us, dur_us, messages, rrs, bytes;
	uint32_t from, to;
	uint8_t rcode;
	uint32_t zone_len;
	uint8_t zone[FT_NAME_CAP]; /* folded, wire form */
};

struct ft_xot_rec {
	uint8_t vantage;
	uint8_t client[16], server[16];
	uint64_t begin_us, dur_us, after_us; /* after: from the NOTIFY */
	uint64_t out, in;                    /* TCP payload of client and server */
};

#define FT_TRANSPORT_ENTRY_CAP 512u
#define FT_TRANSPORT_PAIR_CAP 12u /* octets of a number and its value */
static_assert(FT_TRANSPORT_COUNTERS * FT_TRANSPORT_PAIR_CAP + FT_ENTRY_LEN_CAP <=
		  FT_TRANSPORT_ENTRY_CAP,
	      "all counters fit");
static_assert(sizeof(struct ft_transfer_rec) + 40 <= FT_TRANSPORT_ENTRY_CAP, "and a transfer");

/* Writers: into out (FT_TRANSPORT_ENTRY_CAP); they return where the entry ends. */
static inline uint8_t *ft_transport_write(const uint64_t c[FT_TRANSPORT_COUNTERS], uint8_t *out)
{
	uint8_t *p = out + 1;

	for (unsigned i = 0; i < FT_TRANSPORT_COUNTERS; i++) {
		if (c[i] == 0)
			continue;
		p = ft_put_varint(p, i);
		p = ft_put_varint(p, c[i]);
	}
	return ft_entry_close(out, p);
}

/* Adds to c. */
static inline bool ft_transport_read(struct ft_reader *b, uint64_t c[FT_TRANSPORT_COUNTERS])
{
	while (!b->bad && b->at != b->end) {
		const uint64_t i = ft_get_varint(b, FT_TRANSPORT_COUNTERS - 1);
		const uint64_t v = ft_get_varint(b, UINT64_MAX);
		if (!b->bad)
			c[i] += v;
	}
	return !b->bad;
}

static inline void ft_get_addr16(struct ft_reader *b, uint8_t out[16])
{
	const uint8_t *p = ft_get_bytes(b, 16);

	if (p != NULL)
		memcpy(out, p, 16);
	else
		memset(out, 0, 16);
}

static inline uint8_t *ft_cut_write(const struct ft_cut_rec *r, uint8_t *out)
{
	uint8_t *p = ft_put_u8(out + 1, 0);

	p = ft_put_u8(p, r->level);
	p = ft_put_u8(p, r->outcome);
	p = ft_put_u8(p, r->vantage);
	p = ft_put_u64(p, r->group);
	p = ft_put_u64(p, r->t_us);
	p = ft_put_varint(p, r->first_us == 0 ? 0 : r->first_us - r->t_us + 1);
	p = ft_put_varint(p, r->latency_us == UINT64_MAX ? 0 : r->latency_us + 1);
	return ft_entry_close(out, ft_put_bytes(p, r->server, 16));
}

static inline uint8_t *ft_asked_write(const struct ft_asked_rec *r, uint8_t *out)
{
	uint8_t *p = ft_put_u8(out + 1, 1);

	p = ft_put_u64(p, r->group);
	p = ft_put_u64(p, r->t_us);
	return ft_entry_close(out, ft_put_bytes(p, r->server, 16));
}

/* Reads the body of an entry of FT_REC_TICKET; *is_cut says which of the two. */
static inline bool ft_ticket_read(struct ft_reader *b, bool *is_cut, struct ft_cut_rec *cut,
				  struct ft_asked_rec *asked)
{
	const uint8_t head = ft_get_u8(b);

	*is_cut = head == 0;
	if (head > 1)
		return false;
	if (head == 1) {
		asked->group = ft_get_u64(b);
		asked->t_us = ft_get_u64(b);
		ft_get_addr16(b, asked->server);
		return !b->bad && b->at == b->end;
	}
	cut->level = ft_get_u8(b);
	cut->outcome = ft_get_u8(b);
	cut->vantage = ft_get_u8(b);
	cut->group = ft_get_u64(b);
	cut->t_us = ft_get_u64(b);
	const uint64_t past = ft_get_varint(b, FT_CUT_WAIT_US + 1u);
	const uint64_t late = ft_get_varint(b, UINT64_MAX);
	cut->first_us = past == 0 ? 0 : cut->t_us + past - 1;
	cut->latency_us = late == 0 ? UINT64_MAX : late - 1;
	ft_get_addr16(b, cut->server);
	return !b->bad && b->at == b->end && cut->outcome < FT_CUT_CAP && cut->level < 64 &&
	       cut->vantage < FT_VANTAGE_CAP;
}

static inline uint8_t *ft_transfer_write(const struct ft_transfer_rec *r, uint8_t *out)
{
	uint8_t *p = ft_put_u8(out + 1, 0);

	p = ft_put_u8(p, r->vantage);
	p = ft_put_u8(p, r->style);
	p = ft_put_u8(
	    p, (uint8_t)(r->ixfr | r->udp << 1 | r->tsig << 2 | r->has_from << 3 | r->has_to << 4));
	p = ft_put_bytes(p, r->client, 16);
	p = ft_put_bytes(p, r->server, 16);
	p = ft_put_varint(p, r->begin_us);
	p = ft_put_varint(p, r->dur_us);
	p = ft_put_varint(p, r->messages);
	p = ft_put_varint(p, r->rrs);
	p = ft_put_varint(p, r->bytes);
	p = ft_put_u32(p, r->from);
	p = ft_put_u32(p, r->to);
	p = ft_put_u8(p, r->rcode);
	return ft_entry_close(out, ft_put_bytes(p, r->zone, r->zone_len));
}

static inline uint8_t *ft_xot_write(const struct ft_xot_rec *r, uint8_t *out)
{
	uint8_t *p = ft_put_u8(out + 1, 1);

	p = ft_put_u8(p, r->vantage);
	p = ft_put_bytes(p, r->client, 16);
	p = ft_put_bytes(p, r->server, 16);
	p = ft_put_varint(p, r->begin_us);
	p = ft_put_varint(p, r->dur_us);
	p = ft_put_varint(p, r->after_us);
	p = ft_put_varint(p, r->out);
	p = ft_put_varint(p, r->in);
	return ft_entry_close(out, p);
}

static inline bool ft_xot_read(struct ft_reader *b, struct ft_xot_rec *r)
{
	r->vantage = ft_get_u8(b);
	ft_get_addr16(b, r->client);
	ft_get_addr16(b, r->server);
	r->begin_us = ft_get_varint(b, UINT64_MAX);
	r->dur_us = ft_get_varint(b, UINT64_MAX);
	r->after_us = ft_get_varint(b, UINT64_MAX);
	r->out = ft_get_varint(b, UINT64_MAX);
	r->in = ft_get_varint(b, UINT64_MAX);
	return !b->bad && b->at == b->end && r->vantage < FT_VANTAGE_CAP;
}

/* Reads the body of an entry of FT_REC_TRANSFER; *is_xot says which of the two. */
static inline bool ft_transfer_read(struct ft_reader *b, bool *is_xot, struct ft_transfer_rec *r,
				    struct ft_xot_rec *xot)
{
	const uint8_t head = ft_get_u8(b);

	*is_xot = head == 1;
	if (head > 1)
		return false;
	if (head == 1)
		return ft_xot_read(b, xot);
	r->vantage = ft_get_u8(b);
	r->style = ft_get_u8(b);
	const uint8_t flags = ft_get_u8(b);
	r->ixfr = flags & 1;
	r->udp = flags >> 1 & 1;
	r->tsig = flags >> 2 & 1;
	r->has_from = flags >> 3 & 1;
	r->has_to = flags >> 4 & 1;
	ft_get_addr16(b, r->client);
	ft_get_addr16(b, r->server);
	r->begin_us = ft_get_varint(b, UINT64_MAX);
	r->dur_us = ft_get_varint(b, UINT64_MAX);
	r->messages = ft_get_varint(b, UINT64_MAX);
	r->rrs = ft_get_varint(b, UINT64_MAX);
	r->bytes = ft_get_varint(b, UINT64_MAX);
	r->from = ft_get_u32(b);
	r->to = ft_get_u32(b);
	r->rcode = ft_get_u8(b);
	r->zone_len = (uint32_t)(b->end - b->at);
	if (b->bad || r->zone_len > sizeof(r->zone) || r->vantage >= FT_VANTAGE_CAP ||
	    r->style >= FT_STYLE_CAP || !ft_name_is_whole(b->at, r->zone_len))
		return false;
	memcpy(r->zone, b->at, r->zone_len);
	return true;
}

#endif

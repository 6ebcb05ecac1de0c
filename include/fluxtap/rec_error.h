/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_ERROR and FT_REC_ERROR_TEXT: queries that went wrong.
 *
 * A key is (folded qname, qtype, qclass, server, name of the authority section's
 * SOA, rcode or time-out, vantage). Each text is one transaction and says what the
 * key stands for; the entry counts the others. Merge: counts add, clients by union,
 * and of the texts the earliest stands, at equal times the one with smaller names. */
#ifndef FLUXTAP_REC_ERROR_H
#define FLUXTAP_REC_ERROR_H

#include <fluxtap/dns.h>
#include <fluxtap/varint.h>

/* struct ft_error_text.what. */
enum {
	FT_ERROR_VANTAGE = 0x03,  /* enum ft_vantage */
	FT_ERROR_V6 = 0x04,       /* the server's address has 16 octets, else 4 */
	FT_ERROR_TIMEOUT = 0x08,  /* no response, no rcode */
	FT_ERROR_SOA = 0x10,      /* the SOA's name stands behind the qname */
	FT_ERROR_NXDOMAIN = 0x40, /* the rcode is; entries have this, vantage and time-out alone */
	FT_ERROR_SOA_TAIL =
	    0x20, /* with FT_ERROR_SOA: it is the qname's end, its length stands there */
};

/* Distinct clients: their hashes up to FT_ERROR_EXACT, beyond that HyperLogLog
 * registers of precision FT_ERROR_P, two to an octet. */
#define FT_ERROR_EXACT 8u
#define FT_ERROR_P 6u
#define FT_ERROR_REGS_BYTES (1u << (FT_ERROR_P - 1))

struct ft_error {
	uint64_t key, count;
	uint8_t what;
	uint8_t clients;       /* how many hashes; FT_ERROR_EXACT + 1: registers */
	const uint8_t *octets; /* the hashes, 4 octets each, or the registers */
};

struct ft_error_text {
	uint64_t key;
	int64_t time_us; /* of response or query, from the row's begin on */
	uint32_t client; /* hash */
	uint16_t rcode, qtype, qclass;
	uint8_t what;
	uint8_t qname_len;          /* 0: no question */
	uint8_t soa_len;            /* 0: no SOA */
	const uint8_t *server;      /* 4 or 16 octets */
	const uint8_t *qname, *soa; /* wire form, case as on the wire */
};

#define FT_ERROR_ENTRY_CAP 64u
#define FT_ERROR_TEXT_CAP 600u

/* Writes an entry into out (FT_ERROR_ENTRY_CAP); *entry is where it begins. */
static inline size_t ft_error_write(const struct ft_error *x, uint8_t *out)
{
	uint8_t *p = ft_put_u8(out + 1, x->what);

	p = ft_put_u64(p, x->key);
	p = ft_put_varint(p, x->count);
	p = ft_put_u8(p, x->clients);
	p = ft_put_bytes(p, x->octets,
			 x->clients <= FT_ERROR_EXACT ? 4 * x->clients : FT_ERROR_REGS_BYTES);
	return (size_t)(ft_entry_close(out, p) - out);
}

/* Reads the body of an FT_REC_ERROR entry; false where it cannot be one. */
static inline bool ft_error_read(struct ft_reader *body, struct ft_error *x)
{
	x->what = ft_get_u8(body);
	x->key = ft_get_u64(body);
	x->count = ft_get_varint(body, UINT64_MAX);
	x->clients = ft_get_u8(body);
	x->octets =
	    ft_get_bytes(body, x->clients <= FT_ERROR_EXACT ? 4 * x->clients : FT_ERROR_REGS_BYTES);
	return !body->bad && x->count != 0 && x->clients <= FT_ERROR_EXACT + 1 &&
	       body->at == body->end;
}

/* Writes a text into out (FT_ERROR_TEXT_CAP). A soa that points into qname has to be
 * its end. */
static inline size_t ft_error_text_write(const struct ft_error_text *x, uint8_t *out)
{
	uint8_t *p = ft_put_u8(out + 1, x->what);

	p = ft_put_u64(p, x->key);
	p = ft_put_bytes(p, x->server, (x->what & FT_ERROR_V6) != 0 ? 16 : 4);
	p = ft_put_u32(p, x->client);
	p = ft_put_varint(p, (uint64_t)x->time_us << 1 ^ (uint64_t)(x->time_us >> 63));
	if ((x->what & FT_ERROR_TIMEOUT) == 0)
		p = ft_put_varint(p, x->rcode);
	p = ft_put_varint(p, x->qtype);
	p = ft_put_varint(p, x->qclass);
	p = ft_put_u8(p, x->qname_len);
	p = ft_put_bytes(p, x->qname, x->qname_len);
	if ((x->what & FT_ERROR_SOA) != 0)
		p = ft_put_u8(p, x->soa_len);
	if ((x->what & (FT_ERROR_SOA | FT_ERROR_SOA_TAIL)) == FT_ERROR_SOA)
		p = ft_put_bytes(p, x->soa, x->soa_len);
	return (size_t)(ft_entry_close(out, p) - out);
}

/* The SOA's name of a text whose qname has been read. */
static inline bool ft_error_get_soa(struct ft_reader *r, struct ft_error_text *x)
{
	if ((x->what & FT_ERROR_SOA) == 0)
		return (x->what & FT_ERROR_SOA_TAIL) == 0;
	x->soa_len = ft_get_u8(r);
	if ((x->what & FT_ERROR_SOA_TAIL) == 0) {
		x->soa = ft_get_bytes(r, x->soa_len);
	} else {
		if (x->soa_len > x->qname_len)
			return false;
		x->soa = x->qname + (x->qname_len - x->soa_len);
	}
	return !r->bad && ft_name_is_whole(x->soa, x->soa_len);
}

/* Reads the body of an FT_REC_ERROR_TEXT entry; what it points at lies in the body. */
static inline bool ft_error_text_read(struct ft_reader *body, struct ft_error_text *x)
{
	*x = (struct ft_error_text){.what = ft_get_u8(body)};
	x->key = ft_get_u64(body);
	x->server = ft_get_bytes(body, (x->what & FT_ERROR_V6) != 0 ? 16 : 4);
	x->client = ft_get_u32(body);
	const uint64_t zigzag = ft_get_varint(body, 1ull << 40);
	x->time_us = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
	if ((x->what & FT_ERROR_TIMEOUT) == 0)
		x->rcode = (uint16_t)ft_get_varint(body, 0xfff);
	x->qtype = (uint16_t)ft_get_varint(body, UINT16_MAX);
	x->qclass = (uint16_t)ft_get_varint(body, UINT16_MAX);
	x->qname_len = ft_get_u8(body);
	x->qname = ft_get_bytes(body, x->qname_len);
	if (body->bad || (x->qname_len != 0 && !ft_name_is_whole(x->qname, x->qname_len)))
		return false;
	return ft_error_get_soa(body, x) && body->at == body->end;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_rdata.h"

enum {
	NAME_AT = 12,
	NEGATIVE_TTL_S = 900,
};

uint32_t gen_rdata_ttl_s(uint64_t answer_h, uint64_t ts_us)
{
	static const uint32_t ttls[8] = {60, 300, 300, 300, 3600, 3600, 14400, 86400};
	uint32_t most = ttls[answer_h >> 32 & 7];

	return most - (uint32_t)((ts_us / 1000000 + (answer_h >> 40)) % most);
}

uint16_t gen_rdata_type(uint16_t qtype, unsigned i)
{
	static const uint16_t of_any[] = {GEN_A,   GEN_AAAA, GEN_MX, GEN_NS,
					  GEN_TXT, GEN_SOA,  GEN_CAA};

	return qtype == GEN_ANY ? of_any[i % (sizeof(of_any) / sizeof(of_any[0]))] : qtype;
}

static void write_pointer(struct gen_buf *b, unsigned name_off)
{
	gen_buf_u16(b, (uint16_t)(GEN_POINTER | (NAME_AT + name_off)));
}

void gen_rdata_label_name(struct gen_buf *b, const struct gen_ask *ask, const char *stem,
			  uint64_t number)
{
	uint32_t len_at = b->len++;
	char digits[20];
	unsigned n = 0;

	while (*stem)
		gen_buf_u8(b, (uint8_t)*stem++);
	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (n > 0)
		gen_buf_u8(b, (uint8_t)digits[--n]);
	b->p[len_at] = (uint8_t)(b->len - len_at - 1);
	if (ask->has_question)
		write_pointer(b, ask->name.zone_off);
	else
		gen_buf_u8(b, 0);
}

/* Where compression is forbidden: a label and the registered domain in full. */
static void write_plain_name(struct gen_buf *b, const struct gen_ask *ask, const char *label)
{
	gen_buf_u8(b, (uint8_t)strlen(label));
	gen_buf_octets(b, (const uint8_t *)label, (uint32_t)strlen(label));
	gen_buf_octets(b, ask->name.wire + ask->name.zone_off,
		       (uint32_t)(ask->name.len - ask->name.zone_off));
}

static void write_noise(struct gen_buf *b, uint64_t h, unsigned words)
{
	for (unsigned i = 0; i < words; i++)
		gen_buf_u64(b, gen_mix64(h + i));
}

static void write_soa_rdata(struct gen_buf *b, const struct gen_ask *ask, unsigned name_off,
			    uint32_t minimum_s)
{
	gen_buf_octets(b, (const uint8_t *)"\3ns1", 4);
	write_pointer(b, name_off);
	gen_buf_octets(b, (const uint8_t *)"\4host", 5);
	write_pointer(b, name_off);
	gen_buf_u32(b, 2026010100 + (uint32_t)(ask->answer_h >> 50 & 63));
	gen_buf_u32(b, 7200);
	gen_buf_u32(b, 1800);
	gen_buf_u32(b, 1209600);
	gen_buf_u32(b, minimum_s);
}

static void write_txt(struct gen_buf *b, uint64_t h)
{
	static const char text[] = "v=spf1 include:_spf.example -all id=";

	gen_buf_u8(b, sizeof(text) - 1 + 8);
	gen_buf_octets(b, (const uint8_t *)text, sizeof(text) - 1);
	for (unsigned i = 0; i < 8; i++)
		gen_buf_u8(b, (uint8_t)('a' + (h >> (4 * i) & 15)));
}

static void write_address(struct gen_buf *b, uint16_t type, uint64_t h)
{
	if (type == GEN_AAAA) {
		gen_buf_u32(b, 0x20010db8);
		gen_buf_u32(b, (uint32_t)(h >> 32) & 0xffff);
		gen_buf_u64(b, h);
		return;
	}
	gen_buf_u32(b, UINT32_C(198) << 24 | 18 << 16 | ((uint32_t)h & 0x1ffff)); /* RFC 2544 */
}

static void write_key(struct gen_buf *b, uint16_t type, uint64_t h, unsigned i)
{
	if (type == GEN_DNSKEY) {
		gen_buf_u32(b, (i ? UINT32_C(256) : UINT32_C(257)) << 16 | 3 << 8 | 13);
		write_noise(b, h, 8);
	} else if (type == GEN_DS) {
		gen_buf_u32(b, (uint32_t)h << 16 | 13 << 8 | 2);
		write_noise(b, h, 4);
	} else { /* TLSA: three octets in front of the digest */
		gen_buf_u16(b, 0x0301);
		gen_buf_u8(b, 1);
		write_noise(b, h, 4);
	}
}

static void write_service(struct gen_buf *b, const struct gen_ask *ask, uint16_t type, unsigned i)
{
	switch (type) {
	case GEN_SRV:
		gen_buf_u16(b, (uint16_t)(10 * (i + 1)));
		gen_buf_u32(b, 5 << 16 | 5060);
		write_plain_name(b, ask, i ? "sip2" : "sip");
		break;
	case GEN_NAPTR:
		gen_buf_u32(b, UINT32_C(100) << 16 | (i + 1));
		gen_buf_octets(b, (const uint8_t *)"\1s\7SIP+D2U\0", 11);
		write_plain_name(b, ask, "_sip");
		break;
	case GEN_CAA:
		gen_buf_octets(b, (const uint8_t *)"\0\5issue", 7);
		gen_buf_octets(b, (const uint8_t *)(i ? "ca2.example" : "ca1.example"), 11);
		break;
	default: /* SVCB, HTTPS: RFC 9460, section 2.2: the owner itself, alpn=h2 */
		gen_buf_u16(b, (uint16_t)(i + 1));
		gen_buf_octets(b, (const uint8_t *)"\0\0\1\0\3\2h2", 8);
		break;
	}
}

static void write_rdata(struct gen_buf *b, const struct gen_ask *ask, uint16_t type, unsigned i)
{
	uint64_t h = gen_mix64(ask->answer_h ^ type ^ (uint64_t)i << 20);

	switch (type) {
	case GEN_A:
	case GEN_AAAA: write_address(b, type, h); break;
	case GEN_NS: gen_rdata_label_name(b, ask, "ns", i + 1); break;
	case GEN_CNAME: gen_rdata_label_name(b, ask, "edge", h & 0xffff); break;
	case GEN_PTR: gen_rdata_label_name(b, ask, "host", h & 0xffff); break;
	case GEN_MX:
		gen_buf_u16(b, (uint16_t)(10 * (i + 1)));
		gen_rdata_label_name(b, ask, "mx", i + 1);
		break;
	case GEN_SOA: write_soa_rdata(b, ask, ask->name.zone_off, NEGATIVE_TTL_S); break;
	case GEN_TXT: write_txt(b, h); break;
	case GEN_DS:
	case GEN_DNSKEY:
	case GEN_TLSA: write_key(b, type, h, i); break;
	case GEN_SRV:
	case GEN_NAPTR:
	case GEN_CAA:
	case GEN_SVCB:
	case GEN_HTTPS: write_service(b, ask, type, i); break;
	default: /* RFC 3597: opaque */ write_noise(b, h, 1); break;
	}
}

void gen_rdata_write(struct gen_buf *b, const struct gen_ask *ask, uint16_t owner, uint16_t type,
		     unsigned i, uint32_t ttl_s)
{
	uint32_t begin = gen_rr_begin(b, owner, type, ask->qclass, ttl_s);

	write_rdata(b, ask, type, i);
	gen_rr_end(b, begin);
}

void gen_rdata_write_rrsig(struct gen_buf *b, const struct gen_ask *ask, uint16_t owner,
			   uint16_t covered, uint32_t ttl_s)
{
	uint32_t begin = gen_rr_begin(b, owner, GEN_RRSIG, ask->qclass, ttl_s);
	uint32_t now_s = (uint32_t)(ask->ts_us / 1000000);

	gen_buf_u16(b, covered);
	gen_buf_u16(b, 13 << 8 | 2);
	gen_buf_u32(b, ttl_s);
	gen_buf_u32(b, now_s + 1209600);
	gen_buf_u32(b, now_s - 3600);
	gen_buf_u16(b, (uint16_t)ask->answer_h);
	gen_buf_octets(b, ask->name.wire + ask->name.zone_off,
		       (uint32_t)(ask->name.len - ask->name.zone_off));
	write_noise(b, ask->answer_h, 8);
	gen_rr_end(b, begin);
}

void gen_rdata_write_negative(struct gen_buf *b, const struct gen_ask *ask, bool is_of_suffix,
			      uint32_t ttl_s)
{
	unsigned name_off = is_of_suffix ? ask->name.tld_off : ask->name.zone_off;
	uint16_t owner = (uint16_t)(GEN_POINTER | (NAME_AT + name_off));
	uint32_t begin =
	    gen_rr_begin(b, owner, GEN_SOA, ask->qclass, ttl_s ? 2 * ttl_s : NEGATIVE_TTL_S);

	write_soa_rdata(b, ask, name_off, ttl_s ? ttl_s : NEGATIVE_TTL_S);
	gen_rr_end(b, begin);
}

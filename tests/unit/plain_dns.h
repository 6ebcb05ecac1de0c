/* SPDX-License-Identifier: BSD-3-Clause */
/* A slow reading of DNS messages, written from the RFCs, to compare with. For tests
 * alone; shares no code with the rooms. */
#ifndef TESTS_UNIT_PLAIN_DNS_H
#define TESTS_UNIT_PLAIN_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PLAIN_RECORDS 256u
#define PLAIN_TEXT 1100u

struct plain_record {
	bool owner_good;
	char owner[PLAIN_TEXT]; /* octets as hexadecimal digits, letters folded */
	unsigned type, class, section;
	uint32_t ttl, rdata_off, rdlen, owner_off;
};

struct plain {
	unsigned id, flags, qd, an, ns, ar, qtype, qclass;
	char qname[PLAIN_TEXT], qname_raw[PLAIN_TEXT];
	bool cut;                  /* the records end too early */
	uint32_t n;                /* records, without OPT */
	uint32_t opt_off, opt_len; /* rdata of the first OPT; 0: none */
	struct plain_record r[PLAIN_RECORDS];
};

static inline unsigned plain_u16(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

/* The name at `at` as hexadecimal text, a dot behind each label; *next: behind it.
 * Pointers lead backwards, each before all labels read so far. */
static inline bool plain_name(const uint8_t *msg, uint32_t len, uint32_t at, bool fold, char *out,
			      uint32_t *next)
{
	uint32_t limit = at, octets = 0;
	bool jumped = false;

	for (;;) {
		if (at >= len)
			return false;
		if (msg[at] >= 192) {
			if (at + 1 >= len)
				return false;
			if (!jumped && next != NULL)
				*next = at + 2;
			jumped = true;
			at = plain_u16(msg + at) & 0x3fff;
			if (at < 12 || at >= limit)
				return false;
			limit = at;
			continue;
		}
		if (msg[at] > 63 || at + msg[at] >= len)
			return false;
		octets += msg[at] + 1u;
		if (octets + (msg[at] != 0) > 255)
			return false;
		if (msg[at] == 0)
			break;
		for (uint32_t i = 1; i <= msg[at]; i++) {
			uint8_t c = msg[at + i];
			if (fold && c >= 'A' && c <= 'Z')
				c = (uint8_t)(c - 'A' + 'a');
			out += sprintf(out, "%02x", c);
		}
		out += sprintf(out, ".");
		at += msg[at] + 1u;
	}
	(void)sprintf(out, "/");
	if (!jumped && next != NULL)
		*next = at + 1;
	return true;
}

/* Behind the name without following pointers; 0: damaged. */
static inline uint32_t plain_skip(const uint8_t *msg, uint32_t len, uint32_t at)
{
	while (at < len && msg[at] > 0 && msg[at] < 64)
		at += msg[at] + 1u;
	if (at >= len || (msg[at] >= 64 && msg[at] < 192))
		return 0;
	return msg[at] == 0 ? at + 1 : at + 2 <= len ? at + 2 : 0;
}

/* Header, one question, records. */
static inline bool plain_read(const uint8_t *msg, uint32_t len, struct plain *p)
{
	uint32_t at = 12;

	memset(p, 0, offsetof(struct plain, r));
	if (len < 12)
		return false;
	p->id = plain_u16(msg), p->flags = plain_u16(msg + 2), p->qd = plain_u16(msg + 4);
	p->an = plain_u16(msg + 6), p->ns = plain_u16(msg + 8), p->ar = plain_u16(msg + 10);
	if (p->qd > 1)
		return false;
	if (p->qd == 1) {
		if (!plain_name(msg, len, 12, true, p->qname, &at) ||
		    !plain_name(msg, len, 12, false, p->qname_raw, &at) || at + 4 > len)
			return false;
		p->qtype = plain_u16(msg + at), p->qclass = plain_u16(msg + at + 2);
		at += 4;
	}
	const unsigned total = p->an + p->ns + p->ar;
	for (unsigned i = 0; i < total; i++) {
		const uint32_t fixed = plain_skip(msg, len, at);
		if (fixed == 0 || fixed + 10 > len ||
		    fixed + 10 + plain_u16(msg + fixed + 8) > len) {
			p->cut = true;
			return true;
		}
		struct plain_record *r = &p->r[p->n < PLAIN_RECORDS ? p->n : PLAIN_RECORDS - 1];
		r->owner_off = at;
		r->owner_good = plain_name(msg, len, at, true, r->owner, NULL);
		r->type = plain_u16(msg + fixed), r->class = plain_u16(msg + fixed + 2);
		r->ttl = plain_u16(msg + fixed + 4) << 16 | plain_u16(msg + fixed + 6);
		r->rdlen = plain_u16(msg + fixed + 8), r->rdata_off = fixed + 10;
		r->section = i < p->an ? 0 : i < p->an + p->ns ? 1 : 2;
		at = fixed + 10 + r->rdlen;
		if (!(r->section == 2 && r->type == 41))
			p->n++;
		else if (p->opt_off == 0)
			p->opt_off = r->rdata_off, p->opt_len = r->rdlen;
	}
	return true;
}

#endif

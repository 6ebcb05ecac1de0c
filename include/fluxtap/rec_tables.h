/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_DOMAIN, FT_REC_CLIENT and FT_REC_SERVER: how they are written and read.
 *
 *	entry    length head id (text | counts)
 *	length   LEB128 (as all numbers here): octets behind it
 *	head     bits 0-1 vantage, 2: text (domain) or IPv6 (else), 3-7: s, where p = 2^-s
 *	id       8 octets of key (domain), 4 or 16 of address (else)
 *	text     the folded name in wire form, up to the entry's end
 *	counts   first, last - first (seconds of the interval), bitmap of the counters that
 *	         are not 0, these; RTT's maximum (server); names, clients (domain); groups (s > 0)
 *	sketch   n hashes of 3 octets behind n <= 8; or 0x80 + p, 2^p registers of 4 bits, low first
 *	groups   bitmap of 2 octets, counts: queries of the flows in each of 16 random groups */
#ifndef FLUXTAP_REC_TABLES_H
#define FLUXTAP_REC_TABLES_H

#include "block.h"
#include "dns.h"
#include "varint.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum ft_table { FT_TABLE_DOMAINS, FT_TABLE_CLIENTS, FT_TABLE_SERVERS, FT_TABLE_CAP };

/* Counters of each table, those that most entries have first. Queries are the sum of
 * the classes (or of the groups), unanswered ones are class TIMEOUT. */
enum ft_domain_counter {
	FT_DOMAIN_QUERY_BYTES,
	FT_DOMAIN_RESPONSE_BYTES,
	FT_DOMAIN_CLASS, /* + enum ft_class */
	FT_DOMAIN_CAP = FT_DOMAIN_CLASS + FT_CLASS_CAP
};
enum ft_client_counter {
	FT_CLIENT_NXDOMAIN,
	FT_CLIENT_UNANSWERED,
	FT_CLIENT_QGROUP, /* + enum ft_qgroup */
	FT_CLIENT_CAP = FT_CLIENT_QGROUP + FT_QGROUP_CAP
};
#define FT_RTT_LOG_BINS 16u /* bin 0: below 64 us, each further twice as wide, the last open */
enum ft_server_counter {
	FT_SERVER_RTT_SUM, /* microseconds, of the answered ones */
	FT_SERVER_CLASS,   /* + enum ft_class */
	FT_SERVER_UNSOLICITED = FT_SERVER_CLASS + FT_CLASS_CAP, /* responses without a query */
	FT_SERVER_RTT,                                          /* + bin */
	FT_SERVER_CAP = FT_SERVER_RTT + FT_RTT_LOG_BINS
};
#define FT_TABLE_COUNTERS 32u
static_assert((unsigned)FT_DOMAIN_CAP <= FT_TABLE_COUNTERS &&
		  (unsigned)FT_CLIENT_CAP <= FT_TABLE_COUNTERS &&
		  (unsigned)FT_SERVER_CAP <= FT_TABLE_COUNTERS,
	      "a bitmap of 32");

#define FT_GROUPS 16u           /* random groups of flows: where standard errors come from */
#define FT_SAMPLE_LEVEL_MAX 16u /* p >= 2^-16 */

/* A distinct count of 33 octets: up to 8 hashes of 24 bits, then HyperLogLog registers. */
#define FT_MINI_HASHES 8u
#define FT_MINI_P 6u
#define FT_MINI_REGS (1u << FT_MINI_P)
#define FT_MINI_DENSE (0x80u | FT_MINI_P) /* n of a sketch that has become registers */
union ft_mini_set {
	uint32_t hash[FT_MINI_HASHES];
	uint8_t regs[FT_MINI_REGS / 2];
};
static_assert(sizeof(union ft_mini_set) == 32, "two to a line");
struct ft_mini {
	union ft_mini_set u;
	uint8_t n; /* hashes, or FT_MINI_DENSE */
};

struct ft_table_rec {
	enum ft_table table;
	uint8_t vantage, level; /* level: s */
	uint8_t id[16];         /* the address, or 8 octets of key and 8 of zeros */
	const uint8_t *text;    /* NULL: an entry of counts */
	size_t text_bytes;
	uint32_t first_s, last_s; /* seconds since the interval's begin, last >= first */
	uint64_t c[FT_TABLE_COUNTERS];
	uint64_t rtt_max_us;           /* servers */
	struct ft_mini names, clients; /* domains */
	uint64_t group[FT_GROUPS];     /* where level > 0 */
};

#define FT_TABLE_ENTRY_CAP 640u /* octets of any entry */

static inline size_t ft_table_counters(enum ft_table table)
{
	static const uint8_t cap[FT_TABLE_CAP] = {FT_DOMAIN_CAP, FT_CLIENT_CAP, FT_SERVER_CAP};

	return cap[table];
}

/* The transactions with a query that a record counts. */
static inline uint64_t ft_table_queries(enum ft_table table, const uint64_t *c)
{
	static const uint8_t first[FT_TABLE_CAP] = {FT_DOMAIN_CLASS, FT_CLIENT_QGROUP,
						    FT_SERVER_CLASS};
	const size_t end =
	    table == FT_TABLE_SERVERS ? (size_t)FT_SERVER_UNSOLICITED : ft_table_counters(table);
	uint64_t sum = 0;

	for (size_t i = first[table]; i < end; i++)
		sum += c[i];
	return sum;
}

static inline bool ft_addr_is_v4(const uint8_t *addr)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

static inline uint8_t *ft_put_mini(uint8_t *p, const struct ft_mini *m)
{
	*p++ = m->n;
	if (m->n == FT_MINI_DENSE) {
		memcpy(p, m->u.regs, sizeof(m->u.regs));
		return p + sizeof(m->u.regs);
	}
	for (unsigned i = 0; i < m->n; i++) {
		memcpy(p, &m->u.hash[i], 3);
		p += 3;
	}
	return p;
}

static inline uint8_t *ft_put_counts(uint8_t *p, const uint64_t *c, size_t n)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < n; i++)
		bits |= (uint32_t)(c[i] != 0) << i;
	p = ft_put_varint(p, bits);
	for (; bits != 0; bits &= bits - 1)
		p = ft_put_varint(p, c[__builtin_ctz(bits)]);
	return p;
}

static inline uint8_t *ft_put_groups(uint8_t *p, const uint64_t *group)
{
	uint8_t *bitmap = p;
	unsigned bits = 0;

	p += 2;
	for (unsigned i = 0; i < FT_GROUPS; i++) {
		if (group[i] == 0)
			continue;
		bits |= 1u << i;
		p = ft_put_varint(p, group[i]);
	}
	bitmap[0] = (uint8_t)bits;
	bitmap[1] = (uint8_t)(bits >> 8);
	return p;
}

/* Writes one entry somewhere into buf; returns where it begins, and its octets. */
static inline const uint8_t *ft_table_write(uint8_t buf[FT_TABLE_ENTRY_CAP],
					    const struct ft_table_rec *r, size_t *bytes)
{
	const bool domain = r->table == FT_TABLE_DOMAINS;
	const bool wide = domain ? r->text != NULL : !ft_addr_is_v4(r->id);
	const size_t id_bytes = domain ? 8 : wide ? 16 : 4;
	uint8_t *begin = buf + 2, *p = begin; /* behind a length of at most two octets */

	*p++ = (uint8_t)(r->vantage | (unsigned)wide << 2 | (unsigned)r->level << 3);
	memcpy(p, domain || wide ? r->id : r->id + 12, id_bytes);
	p += id_bytes;
	if (r->text != NULL) {
		memcpy(p, r->text, r->text_bytes);
		p += r->text_bytes;
	} else {
		p = ft_put_varint(p, r->first_s);
		p = ft_put_varint(p, r->last_s - r->first_s);
		p = ft_put_counts(p, r->c, ft_table_counters(r->table));
		if (r->table == FT_TABLE_SERVERS)
			p = ft_put_varint(p, r->rtt_max_us);
		if (domain) {
			p = ft_put_mini(p, &r->names);
			p = ft_put_mini(p, &r->clients);
		}
		if (r->level != 0)
			p = ft_put_groups(p, r->group);
	}
	const size_t length = (size_t)(p - begin);
	*--begin = (uint8_t)(length >= 0x80 ? length >> 7 : length);
	if (length >= 0x80)
		*--begin = (uint8_t)(length | 0x80);
	*bytes = (size_t)(p - begin);
	return begin;
}

static inline void ft_get_mini(struct ft_reader *r, struct ft_mini *m)
{
	const uint8_t *p;

	memset(m, 0, sizeof(*m));
	const uint8_t n = ft_get_u8(r);
	if (n == FT_MINI_DENSE) {
		p = ft_get_bytes(r, sizeof(m->u.regs));
		if (p != NULL)
			memcpy(m->u.regs, p, sizeof(m->u.regs));
	} else if (n <= FT_MINI_HASHES) {
		p = ft_get_bytes(r, n * (size_t)3);
		for (unsigned i = 0; p != NULL && i < n; i++) {
			memcpy(&m->u.hash[i], p + i * (size_t)3, 3);
			r->bad |= m->u.hash[i] == 0;
		}
	} else {
		r->bad = true;
	}
	m->n = n;
}

static inline void ft_get_counts(struct ft_reader *r, uint64_t *c, size_t n)
{
	uint32_t bits = (uint32_t)ft_get_varint(r, UINT32_MAX);

	memset(c, 0, FT_TABLE_COUNTERS * sizeof(*c));
	r->bad |= n < 32 && bits >> n != 0;
	for (; !r->bad && bits != 0; bits &= bits - 1)
		c[__builtin_ctz(bits)] = ft_get_varint(r, UINT64_MAX);
}

static inline void ft_get_groups(struct ft_reader *r, uint64_t *group)
{
	unsigned bits = ft_get_u8(r);

	bits |= (unsigned)ft_get_u8(r) << 8;
	memset(group, 0, FT_GROUPS * sizeof(*group));
	for (; !r->bad && bits != 0; bits &= bits - 1)
		group[__builtin_ctz(bits)] = ft_get_varint(r, UINT64_MAX);
}

static inline void ft_get_id(struct ft_reader *r, struct ft_table_rec *rec, bool wide)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
	const bool domain = rec->table == FT_TABLE_DOMAINS, v4 = !domain && !wide;
	const size_t bytes = domain ? 8 : wide ? 16 : 4;
	const uint8_t *id = ft_get_bytes(r, bytes);

	memcpy(rec->id, mapped, sizeof(mapped));
	if (!v4)
		memset(rec->id, 0, sizeof(rec->id));
	if (id != NULL)
		memcpy(rec->id + (v4 ? 12 : 0), id, bytes);
}

/* Reads the entry at *at, of any octets, and moves *at behind it. False: it cannot be.
 * Fields that the entry does not have are not written; text points into the octets. */
static inline bool ft_table_read(enum ft_table table, const uint8_t **at, const uint8_t *end,
				 struct ft_table_rec *rec)
{
	struct ft_reader r = {.at = *at, .end = end};
	const uint64_t length = ft_get_varint(&r, UINT64_MAX);

	if (r.bad || length == 0 || length > (uint64_t)(end - r.at))
		return false;
	*at = r.end = r.at + length;
	const uint8_t head = ft_get_u8(&r);
	const bool wide = (head & 4) != 0;
	rec->table = table;
	rec->vantage = head & 3;
	rec->level = head >> 3;
	rec->text = NULL;
	ft_get_id(&r, rec, wide);
	if (rec->level > FT_SAMPLE_LEVEL_MAX || r.bad)
		return false;
	if (table == FT_TABLE_DOMAINS && wide) {
		rec->text = r.at;
		rec->text_bytes = (size_t)(r.end - r.at);
		return rec->text_bytes != 0 && rec->text_bytes <= FT_NAME_CAP;
	}
	rec->first_s = (uint32_t)ft_get_varint(&r, UINT32_MAX);
	const uint32_t span = (uint32_t)ft_get_varint(&r, UINT32_MAX);
	r.bad |= span > UINT32_MAX - rec->first_s;
	rec->last_s = rec->first_s + span;
	ft_get_counts(&r, rec->c, ft_table_counters(table));
	if (table == FT_TABLE_SERVERS)
		rec->rtt_max_us = ft_get_varint(&r, UINT64_MAX);
	if (table == FT_TABLE_DOMAINS) {
		ft_get_mini(&r, &rec->names);
		ft_get_mini(&r, &rec->clients);
	}
	if (rec->level != 0)
		ft_get_groups(&r, rec->group);
	return !r.bad;
}

#endif

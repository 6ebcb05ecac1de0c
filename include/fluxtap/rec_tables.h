/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_DOMAIN, FT_REC_CLIENT and FT_REC_SERVER: how they are written and read.
 *
 *	entry    length head id counts
 *	length   LEB128 (as all numbers here): octets behind it
 *	head     bits 0-1 vantage, 2: wide, 3-7: s, where p = 2^-s
 *	id       client, server: address, 4 octets or 16 (wide). Domain: an octet n > 0 and n
 *	         of the folded name in wire form; or (wide) 16 octets that stand for the name,
 *	         and an octet n: 0, or there are no counts but n octets of the name
 *	counts   first, last - first (seconds of the interval), bitmap of the counters that
 *	         are not 0, these; RTT's maximum, clients (server); names, clients (domain);
 *	         groups (s > 0)
 *	sketch   n hashes of 3 octets behind n <= 8; or 0x80 + p, 2^p registers of 4 bits, low first
 *	groups   bitmap of 2 octets, counts: queries of the flows in each of 16 random groups
 *	diary    (client) up to the end, see rec_dga.h */
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
enum ft_server_counter {
	FT_SERVER_RTT_SUM, /* microseconds, of the answered ones */
	FT_SERVER_CLASS,   /* + enum ft_class */
	FT_SERVER_UNSOLICITED = FT_SERVER_CLASS + FT_CLASS_CAP, /* responses without a query */
	FT_SERVER_DUP,                                          /* queries like one that waits */
	FT_SERVER_LATE, /* responses after their query's time was up */
	FT_SERVER_TC,   /* responses over UDP with TC=1, of the answered ones */
	FT_SERVER_CAP
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
	bool by_id, counts;     /* domains: they may have a name, counts, or both */
	uint8_t id[16];         /* the address; of a domain only where by_id */
	const uint8_t *text;    /* the name, not NULL unless by_id and counts */
	size_t text_bytes;
	uint32_t first_s, last_s; /* seconds since the interval's begin, last >= first */
	uint64_t c[FT_TABLE_COUNTERS];
	uint64_t rtt_max_us;           /* servers */
	struct ft_mini names, clients; /* domains; servers: clients alone */
	uint64_t group[FT_GROUPS];     /* where level > 0 */
	const uint8_t *more;           /* clients: the diary, see rec_dga.h; 0 octets: none */
	size_t more_bytes;
};

#define FT_TABLE_ENTRY_CAP 896u /* octets of any entry */

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

/* Uses an octet behind what it writes. */
static inline uint8_t *ft_put_mini(uint8_t *p, uint8_t n, const union ft_mini_set *u)
{
	*p++ = n;
	if (n == FT_MINI_DENSE) {
		memcpy(p, u->regs, sizeof(u->regs));
		return p + sizeof(u->regs);
	}
	for (unsigned i = 0; i < n; i++, p += 3)
		memcpy(p, &u->hash[i], 4);
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

static inline uint8_t *ft_put_domain_id(uint8_t *p, const struct ft_table_rec *r)
{
	if (r->by_id) {
		memcpy(p, r->id, sizeof(r->id));
		p += sizeof(r->id);
		if (r->counts) {
			*p++ = 0;
			return p;
		}
	}
	*p++ = (uint8_t)r->text_bytes;
	memcpy(p, r->text, r->text_bytes);
	return p + r->text_bytes;
}

static inline uint8_t ft_table_head(uint8_t vantage, uint8_t level, bool wide)
{
	return (uint8_t)(vantage | (unsigned)wide << 2 | (unsigned)level << 3);
}

/* Writes one entry into out (FT_TABLE_ENTRY_CAP); returns its octets. */
static inline size_t ft_table_write(const struct ft_table_rec *r, uint8_t *out)
{
	const bool domain = r->table == FT_TABLE_DOMAINS;
	const bool wide = domain ? r->by_id : !ft_addr_is_v4(r->id);
	const size_t addr_bytes = wide ? 16 : 4;
	uint8_t *p = ft_put_u8(out + 1, ft_table_head(r->vantage, r->level, wide));

	if (domain) {
		p = ft_put_domain_id(p, r);
	} else {
		memcpy(p, r->id + 16 - addr_bytes, addr_bytes);
		p += addr_bytes;
	}
	if (r->counts) {
		p = ft_put_varint(p, r->first_s);
		p = ft_put_varint(p, r->last_s - r->first_s);
		p = ft_put_counts(p, r->c, ft_table_counters(r->table));
		if (r->table == FT_TABLE_SERVERS)
			p = ft_put_varint(p, r->rtt_max_us);
		if (domain)
			p = ft_put_mini(p, r->names.n, &r->names.u);
		if (r->table != FT_TABLE_CLIENTS)
			p = ft_put_mini(p, r->clients.n, &r->clients.u);
		if (r->level != 0)
			p = ft_put_groups(p, r->group);
		if (r->table == FT_TABLE_CLIENTS && r->more_bytes != 0)
			p = ft_put_bytes(p, r->more, r->more_bytes);
	}
	return (size_t)(ft_entry_close(out, p) - out);
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

static inline void ft_get_addr(struct ft_reader *r, uint8_t id[16], bool v6)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *addr = ft_get_bytes(r, v6 ? 16 : 4);

	if (addr == NULL)
		return;
	if (!v6)
		memcpy(id, mapped, sizeof(mapped));
	memcpy(v6 ? id : id + 12, addr, v6 ? 16 : 4);
}

static inline void ft_get_domain_id(struct ft_reader *r, struct ft_table_rec *rec)
{
	if (rec->by_id) {
		const uint8_t *id = ft_get_bytes(r, sizeof(rec->id));
		if (id != NULL)
			memcpy(rec->id, id, sizeof(rec->id));
	}
	rec->text_bytes = ft_get_u8(r);
	if (rec->text_bytes == 0)
		r->bad |= !rec->by_id;
	else
		rec->text = ft_get_bytes(r, rec->text_bytes);
	rec->counts = !rec->by_id || rec->text_bytes == 0;
}

/* What an entry begins with: whose it is. The rest of it is left in *r. */
static inline bool ft_table_read_key(enum ft_table table, struct ft_reader *r,
				     struct ft_table_rec *rec)
{
	const uint64_t length = ft_get_varint(r, UINT64_MAX);

	if (r->bad || length == 0 || length > FT_TABLE_ENTRY_CAP - FT_ENTRY_LEN_CAP ||
	    length > (uint64_t)(r->end - r->at))
		return false;
	r->end = r->at + length;
	const uint8_t head = ft_get_u8(r);
	rec->table = table;
	rec->vantage = head & 3;
	rec->level = head >> 3;
	rec->by_id = (head & 4) != 0;
	rec->counts = true;
	rec->text = NULL;
	if (table == FT_TABLE_DOMAINS)
		ft_get_domain_id(r, rec);
	else
		ft_get_addr(r, rec->id, rec->by_id);
	return rec->level <= FT_SAMPLE_LEVEL_MAX && !r->bad;
}

/* Reads the entry at *at, of any octets, and moves *at behind it. False: it cannot be.
 * Fields that the entry does not have are not written; text points into the octets. */
static inline bool ft_table_read(enum ft_table table, const uint8_t **at, const uint8_t *end,
				 struct ft_table_rec *rec)
{
	struct ft_reader r = {.at = *at, .end = end};

	if (!ft_table_read_key(table, &r, rec))
		return false;
	*at = r.end;
	if (!rec->counts)
		return true;
	rec->first_s = (uint32_t)ft_get_varint(&r, UINT32_MAX);
	const uint32_t span = (uint32_t)ft_get_varint(&r, UINT32_MAX);
	r.bad |= span > UINT32_MAX - rec->first_s;
	rec->last_s = rec->first_s + span;
	ft_get_counts(&r, rec->c, ft_table_counters(table));
	if (table == FT_TABLE_SERVERS)
		rec->rtt_max_us = ft_get_varint(&r, UINT64_MAX);
	if (table == FT_TABLE_DOMAINS)
		ft_get_mini(&r, &rec->names);
	if (table != FT_TABLE_CLIENTS)
		ft_get_mini(&r, &rec->clients);
	if (rec->level != 0)
		ft_get_groups(&r, rec->group);
	rec->more = r.at;
	rec->more_bytes = (size_t)(r.end - r.at);
	return !r.bad;
}

#endif

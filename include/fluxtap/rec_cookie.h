/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_COOKIE: DNS cookies by server and by client, and which client cookie
 * went to which server.
 *
 *	entry    length head addr body      head: bits 0-1 vantage, 2: wide, 3-4: kind
 *	addr     4 octets, or 16 (wide)
 *	counts   bitmap of the counters that are not 0 (varint), these (varints)
 *	sent     (kind SENT) hash of the client's cookie(8), hash of the server's address(8)
 * Merge: counts add. */
#ifndef FLUXTAP_REC_COOKIE_H
#define FLUXTAP_REC_COOKIE_H

#include "block.h"
#include "rec_tables.h"

enum ft_cookie_kind { FT_COOKIE_SERVER, FT_COOKIE_CLIENT, FT_COOKIE_SENT, FT_COOKIE_KINDS };

/* Classes of a transaction, disjoint; what they mean: DESIGN.md 7, "Cookies". The last
 * one never travels: it is what RETRIED takes from BADCOOKIE. */
#define FT_COOKIE_CLASSES(X)                                                                       \
	X(BADLEN)                                                                                  \
	X(UNSOLICITED)                                                                             \
	X(DOWNGRADE)                                                                               \
	X(UNSUPPORTED)                                                                             \
	X(CLIENT_MISMATCH)                                                                         \
	X(BADCOOKIE)                                                                               \
	X(ISSUE)                                                                                   \
	X(RENEW)                                                                                   \
	X(OK)                                                                                      \
	X(BADCOOKIE_RETRY_OK)
#define FT_COOKIE_FORMATS(X)                                                                       \
	X(V1_OK)                                                                                   \
	X(V1_FUTURE)                                                                               \
	X(V1_EXPIRED)                                                                              \
	X(V1_RESERVED)                                                                             \
	X(LEGACY8)                                                                                 \
	X(OTHER)
#define FT_COOKIE_ENUM(n) FT_COOKIE_##n,
#define FT_COOKIE_FORMAT_ENUM(n) FT_COOKIE_FORMAT_##n,
enum ft_cookie_class { FT_COOKIE_CLASSES(FT_COOKIE_ENUM) FT_COOKIE_CLASS_CAP };
enum ft_cookie_format { FT_COOKIE_FORMATS(FT_COOKIE_FORMAT_ENUM) FT_COOKIE_FORMAT_CAP };

enum ft_cookie_counter {
	FT_COOKIE_CLASS, /* + enum ft_cookie_class; in place of the last: RETRIED */
	FT_COOKIE_RETRIED = FT_COOKIE_BADCOOKIE_RETRY_OK,
	FT_COOKIE_FORMAT = FT_COOKIE_CLASS_CAP, /* + enum ft_cookie_format */
	FT_COOKIE_ENFORCED = FT_COOKIE_FORMAT + FT_COOKIE_FORMAT_CAP,
	FT_COOKIE_LET_PASS, /* without a server cookie, though it had given one */
	FT_COOKIE_GENUINE,  /* made with the operator's secret */
	FT_COOKIE_FORGED,   /* not so */
	FT_COOKIE_COUNTERS
};

#define FT_COOKIE_ENTRY_CAP 256u

struct ft_cookie_rec {
	uint8_t kind, vantage;
	uint8_t addr[16];
	uint64_t c[FT_TABLE_COUNTERS];
	uint64_t cookie, server; /* SENT */
};
static_assert((unsigned)FT_COOKIE_COUNTERS <= FT_TABLE_COUNTERS, "a bitmap of 32");

/* Writes an entry into out (FT_COOKIE_ENTRY_CAP); returns where
 * it ends. */
static inline uint8_t *ft_cookie_write(const struct ft_cookie_rec *r, uint8_t *out)
{
	const bool wide = !ft_addr_is_v4(r->addr);
	uint8_t *p = ft_put_u8(
	    out + 1, (uint8_t)(r->vantage | (unsigned)wide << 2 | (unsigned)r->kind << 3));

	p = wide ? ft_put_bytes(p, r->addr, 16) : ft_put_bytes(p, r->addr + 12, 4);
	if (r->kind == FT_COOKIE_SENT) {
		p = ft_put_u64(p, r->cookie);
		p = ft_put_u64(p, r->server);
	} else {
		p = ft_put_counts(p, r->c, FT_COOKIE_COUNTERS);
	}
	return ft_entry_close(out, p);
}

/* Reads the body of an entry. */
static inline bool ft_cookie_read(struct ft_reader *b, struct ft_cookie_rec *r)
{
	const uint8_t head = ft_get_u8(b);

	r->kind = head >> 3;
	r->vantage = head & 3;
	if (r->kind >= FT_COOKIE_KINDS)
		return false;
	ft_get_addr(b, r->addr, (head & 4) != 0);
	if (r->kind == FT_COOKIE_SENT) {
		r->cookie = ft_get_u64(b);
		r->server = ft_get_u64(b);
	} else {
		ft_get_counts(b, r->c, FT_COOKIE_COUNTERS);
	}
	return !b->bad && b->at == b->end;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The addresses of one owner, type and vantage over a day: who saw which when.
 *
 * One piece of memory that grows with what is in it: a few addresses and one view for
 * most names, up to FLUX_ADDRS_CAP addresses for a candidate. Nothing is forgotten on
 * the way, so that it does not matter when a name becomes a candidate. IPv6 addresses
 * count by /64. Formulas: Holz et al., NDSS 2008; Zeek's AnomalousDNS. */
#ifndef CONTROL_STATS_FLUX_OWNER_H
#define CONTROL_STATS_FLUX_OWNER_H

#include "flux_rows.h"

#define FLUX_ADDRS_CAP 512u
#define FLUX_VIEWS_CAP 8u   /* beyond, the busiest are kept */
#define FLUX_TTLS_CAP 64u   /* beyond, the nearest one counts */
#define FLUX_SEEN_CAP 64u   /* views that are told apart */
#define FLUX_READ_CAP 1024u /* sets of a view and minute; others are read each second */
#define FLUX_CANDIDATE 8u   /* with fewer addresses no score crosses */
#define FLUX_HOLZ_MILLI 142380u

enum {
	FLUX_AA = 1,      /* an answer with AA=1 was among them */
	FLUX_LONG = 2,    /* a cache showed that the TTL is beyond the gate */
	FLUX_CUT = 4,     /* more addresses than are kept */
	FLUX_CROSSED = 8, /* its onset is told */
};

struct flux_addr {
	uint32_t hi, lo; /* IPv4: lo; IPv6: the first 64 bits */
	uint32_t asn;    /* 0: none known */
	uint32_t hours;  /* of the day in which it was seen, one bit each */
	uint32_t first_s;
};

struct flux_view {
	uint64_t count; /* observations */
	uint32_t view, first_s;
	uint32_t begin_s, ttl; /* of the epoch */
	uint32_t epochs;
	uint32_t moved; /* an epoch had an address that the one before had not */
};

struct flux_ttl {
	uint32_t ttl, epochs;
};

struct flux_caps {
	uint16_t addr, view, ttl, seen;
};

struct flux_owner {
	uint64_t owner_key;
	double s_zeek;
	uint8_t *name; /* once it has crossed; folded */
	struct flux_caps cap, n;
	uint32_t first_s, last_s; /* of the day, as all times here */
	uint32_t full_s;          /* when an address found no room; UINT32_MAX: never */
	uint32_t epochs, ttl_changes;
	uint32_t ttl_min, ttl_max;
	uint32_t f_milli; /* the largest */
	uint16_t single;  /* addresses of the largest answer */
	uint8_t what;     /* type and vantage, as in struct ft_rrset */
	uint8_t flags, name_len;
};

struct flux_owner *flux_owner_create(const struct ft_rrset *first);
void flux_owner_destroy(struct flux_owner *o);
size_t flux_owner_bytes(const struct flux_owner *o);

struct flux_addr *flux_owner_addrs(const struct flux_owner *o);
struct flux_view *flux_owner_views(const struct flux_owner *o);
struct flux_ttl *flux_owner_ttls(const struct flux_owner *o);
uint32_t *flux_owner_seen(const struct flux_owner *o);

static inline bool flux_owner_is_v6(const struct flux_owner *o)
{
	return (o->what & FT_RRSET_TYPE) == FT_RRSET_AAAA;
}

/* The network of an address: 24 and 16 bits (IPv6: 48 and 32). */
uint64_t flux_owner_net(const struct flux_owner *o, const struct flux_addr *a, bool wide);
/* How many different ones there are among at most FLUX_ADDRS_CAP. */
uint32_t flux_owner_distinct(const uint64_t *v, uint32_t n);

/* What the owner's statistic does for it. */
struct flux_help {
	/* A set's text; false: it is lost. */
	bool (*text)(void *ctx, const struct ft_rrset *x, struct ft_rrset_text *out);
	/* An address that is new for the owner; fills asn. */
	void (*fresh)(void *ctx, const struct flux_owner *o, const struct ft_rrset_text *t,
		      struct flux_addr *a);
	/* [FLUX_READ_CAP] scratch: addresses of the sets of a minute, one bit each. */
	uint8_t (*read)[FLUX_ADDRS_CAP / 8];
	bool has_asn; /* else networks of 16 (32) bits stand for systems */
	void *ctx;
};

/* Adds the observations of one row, sorted as struct flux_rows has them. The owner may
 * move. -ENOMEM: something is missing, the owner is whole. */
int flux_owner_add(struct flux_owner **o, const struct ft_rrset *x, size_t n, uint64_t start_s,
		   const struct flux_help *help);

/* What a record says of the day so far. */
struct flux_facts {
	uint32_t n_a, n_asn, n_24, n_16;
	uint32_t top_asn, top_count; /* the commonest system, the lowest of equals */
	uint32_t half;               /* addresses seen in the first half */
	uint32_t views, static_views;
	uint32_t ttl_med;
	double churn; /* below 0: no two hours in a row */
};
void flux_owner_facts(const struct flux_owner *o, bool has_asn, struct flux_facts *out);

/* Its octets in a snapshot, and back. NULL + errno (EBADMSG, ENOMEM). */
void flux_owner_write(const struct flux_owner *o, struct flux_out *out);
struct flux_owner *flux_owner_read(struct ft_reader *r);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A DNS message on its way through a worker: what decode found and parse adds.
 *
 * Two cache lines a message; the folded name lies apart, in the batch's name
 * arena, so that the messages of a batch and their names stay in the L1 cache. */
#ifndef DATAPLANE_MSG_H
#define DATAPLANE_MSG_H

#include "batch.h"
#include "flow.h"
#include "name.h"
#include "verdict.h"

#include <fluxtap/dns.h>
#include <fluxtap/drop.h>

#include <assert.h>
#include <stdbool.h>

#define MSG_CAP 64u /* messages of one step: a batch of packets, or a burst out of TCP */
#define MSG_NAMES_BYTES (MSG_CAP * 256u + NAME_PAD_BYTES)
#define MSG_RR_CAP 64u              /* records kept of one message */
#define MSG_COPY_BYTES (256u << 10) /* messages that came out of reassembly */

/* Bits of dns_flags as on the wire (RFC 1035 4.1.1, RFC 4035). */
enum {
	DNS_QR = 0x8000,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_CD = 0x0010
};

/* A resource record of a response, as it stands in the message. */
struct rr {
	uint32_t ttl;
	uint16_t type, class;
	uint16_t owner_off, rdata_off, rdlen; /* offsets into the message */
	uint8_t section;                      /* enum rr_section */
	uint8_t pad;
};
static_assert(sizeof(struct rr) == 16, "four to a line");
enum rr_section { RR_ANSWER, RR_AUTHORITY, RR_ADDITIONAL };

struct msg {
	/* found by decode */
	_Alignas(CACHE_LINE) const uint8_t *data;
	uint64_t ts_us;  /* packet time */
	uint64_t t_us;   /* event time: ts_us, or the clock's if late */
	uint64_t now_us; /* the event clock at this packet */
	uint16_t len;
	uint16_t ecs_off; /* by parse: the first ECS option's octets, where edns has FT_EDNS_ecs */
	uint16_t sport, dport;
	union {
		struct {
			struct addr src, dst;
		};
		struct addr end[2]; /* so that the client is end[is response] */
	};
	/* added by parse; valid where drop is FT_MSG_KEPT */
	uint8_t v6, tcp;
	uint8_t drop;  /* enum ft_msg_drop */
	uint8_t class; /* enum ft_class of a response */
	uint16_t id, dns_flags;
	uint16_t qtype, qclass;
	uint16_t rcode; /* extended, RFC 6891 6.1.3 */
	uint16_t ancount;
	uint64_t name_key; /* keyed hash of the folded name */
	uint32_t edns;     /* 1 << enum ft_edns */
	uint16_t name_off; /* into the batch's name arena */
	uint8_t name_len;  /* octets of the folded name, 0: no question */
	uint8_t malformed; /* the sections behind the question are damaged */
	/* added by match; the verdict stays until the next batch */
	const struct verdict *verdict; /* of the name; NULL: no question */
	uint64_t client_sketch;        /* hash of the client's address, sketches' seed */
	uint8_t vantage; /* enum ft_vantage by address; FT_VANTAGE_CAP: flags decide */
	/* added by parse */
	uint8_t plain;   /* the question's name has no pointer in it */
	uint8_t rrs;     /* records kept, of responses alone */
	uint16_t rr_off; /* the first of them, in the batch's rr */
	/* Length and data of the first COOKIE option, in the message; 0: none. */
	uint16_t cookie_off;
};
static_assert(sizeof(struct msg) == 2 * CACHE_LINE, "two lines a message");

struct msgs {
	uint32_t n;
	uint32_t names_used, copy_used, rrs_used;
	struct msg m[MSG_CAP];
	struct rr rr[MSG_CAP * MSG_RR_CAP + 1];
	uint8_t names[MSG_NAMES_BYTES];
	uint8_t copy[MSG_COPY_BYTES];
};

static inline bool msg_is_response(const struct msg *m)
{
	return (m->dns_flags & DNS_QR) != 0;
}

/* Without a branch: which of two messages is the response, nobody can foresee. */
static inline const struct addr *msg_client(const struct msg *m)
{
	return &m->end[m->dns_flags >> 15];
}

static inline const struct addr *msg_server(const struct msg *m)
{
	return &m->end[1 - (m->dns_flags >> 15)];
}

static inline uint8_t msg_opcode(const struct msg *m)
{
	return (uint8_t)(m->dns_flags >> 11 & 15);
}

static inline enum ft_transport msg_transport(const struct msg *m)
{
	return (enum ft_transport)(m->tcp * 2 + m->v6);
}

#endif

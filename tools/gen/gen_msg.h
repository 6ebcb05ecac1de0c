/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS messages of the generator: what is asked, what is answered, and their wire form.
 * Called from the generator's thread; writes into the caller's buffer; never allocates.
 */
#ifndef FLUXTAP_GEN_MSG_H
#define FLUXTAP_GEN_MSG_H

#include <fluxtap/gen.h>
#include "gen_frame.h"
#include "gen_name.h"

enum { GEN_MSG_CAP = 65535 };

enum gen_type {
	GEN_A = 1,
	GEN_NS = 2,
	GEN_CNAME = 5,
	GEN_SOA = 6,
	GEN_PTR = 12,
	GEN_MX = 15,
	GEN_TXT = 16,
	GEN_AAAA = 28,
	GEN_SRV = 33,
	GEN_NAPTR = 35,
	GEN_OPT = 41,
	GEN_DS = 43,
	GEN_RRSIG = 46,
	GEN_DNSKEY = 48,
	GEN_TLSA = 52,
	GEN_SVCB = 64,
	GEN_HTTPS = 65,
	GEN_IXFR = 251,
	GEN_AXFR = 252,
	GEN_ANY = 255,
	GEN_CAA = 257,
};

enum gen_opcode {
	GEN_QUERY = 0,
	GEN_IQUERY = 1,
	GEN_STATUS = 2,
	GEN_NOTIFY = 4,
	GEN_UPDATE = 5,
	GEN_DSO = 6
};

/* Options of an OPT, a set. */
enum gen_option {
	GEN_OPTION_COOKIE = 1,      /* the client's part */
	GEN_OPTION_COOKIE_FULL = 2, /* the server's part too */
	GEN_OPTION_ECS = 4,
	GEN_OPTION_NSID = 8,
	GEN_OPTION_PADDING = 16,
};

struct gen_ask {
	struct gen_path path;
	struct gen_name name;
	uint64_t ts_us;    /* in: when it leaves; after sending: when it is whole */
	uint64_t answer_h; /* the answer is a function of this */
	uint32_t bytes;    /* after composing: message octets */
	uint16_t id, qtype, qclass;
	uint8_t opcode;
	bool has_question;
	bool rd, cd, ad;
	bool has_opt, is_do;
	uint8_t version;
	uint8_t options;
	uint16_t bufsize;
};

/* What stands behind a reply's question. */
enum gen_shape {
	GEN_SHAPE_EMPTY,      /* nothing */
	GEN_SHAPE_DATA,       /* RRs of the asked type */
	GEN_SHAPE_CHAIN,      /* CNAMEs, then RRs of the asked type */
	GEN_SHAPE_CNAME_ONLY, /* CNAMEs */
	GEN_SHAPE_NEGATIVE,   /* an SOA in the authority section */
	GEN_SHAPE_NX_CHAIN,   /* CNAMEs, then an SOA */
	GEN_SHAPE_REFERRAL,   /* NS in the authority section, with glue */
};

struct gen_reply {
	uint64_t ts_us;       /* in: when it leaves; after sending: when it is whole */
	uint32_t bytes;       /* after composing */
	uint16_t answers;     /* likewise: RRs of the answer section */
	uint32_t least_bytes; /* answer RRs are added until the message is as long */
	enum gen_shape shape;
	uint16_t rcode; /* extended */
	uint8_t rrs;    /* answer RRs of the asked type, or NS; 0: as answer_h says */
	uint8_t hops;   /* CNAMEs of a chain */
	/* One CNAME to this name (wire form) stands in place of the chain; NULL: none. */
	const uint8_t *target;
	uint32_t target_len, target_ttl_s;
	bool aa, tc, ra;
	bool has_opt;
	bool has_rrsig;
	bool lacks_question; /* a server that could not read the question does not repeat it */
	bool has_ede;
	bool is_sink;   /* data and name servers are a sinkhole's */
	uint32_t ttl_s; /* 0: as answer_h says; of a negative answer the least of two */
};

/* A writer over a buffer of GEN_MSG_CAP octets. */
struct gen_buf {
	uint8_t *p;
	uint32_t len;
};

/* Writes the query and sets ask->bytes. */
void gen_msg_write_query(struct gen_buf *b, struct gen_ask *ask);

/* Writes the reply to `ask` and sets reply->bytes. */
void gen_msg_write_reply(struct gen_buf *b, const struct gen_ask *ask, struct gen_reply *reply);

/* The class of what was composed (DESIGN.md 7, precedence of classes). */
enum ft_gen_class gen_msg_class(const struct gen_ask *ask, const struct gen_reply *reply);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The aggregate block that crosses the ring from a worker to control.
 *
 * A block is a header and one zstd frame; the frame holds records back to back,
 * each a header and a body. All integers are little-endian and of fixed width,
 * every structure's size is asserted, and every record is additive or merges by
 * maximum: a worker may emit the same key as often as it likes, in any order.
 * A body that grows in a later version is read by its length. */
#ifndef FLUXTAP_BLOCK_H
#define FLUXTAP_BLOCK_H

#include <assert.h>
#include <stdint.h>

#define FT_BLOCK_MAGIC 0x4b425446u /* "FTBK" */
#define FT_BLOCK_VERSION 1
#define FT_BLOCK_RAW_CAP 32768u /* octets before compression: about 0.1 ms of zstd */

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the block format is written by plain stores: little-endian machines only"
#endif

struct ft_block_hdr {
	uint32_t magic;
	uint16_t version;
	uint16_t worker;
	uint64_t row; /* the interval whose ledger accounts for these records */
	uint32_t records;
	uint32_t raw_bytes;
};
static_assert(sizeof(struct ft_block_hdr) == 24, "block header");

/* Record types. FT_REC_LEDGER accounts for the others and is not counted itself. */
enum ft_rec_type {
	FT_REC_LEDGER = 1,        /* body: struct ft_pair64[]: counter number, value */
	FT_REC_TRAFFIC = 2,       /* body: struct ft_pair64[]: traffic counter number, value */
	FT_REC_SERIES = 3,        /* body: struct ft_series */
	FT_REC_RTT = 4,           /* body: struct ft_pair64[]: bin number, count */
	FT_REC_DISTINCT_LIST = 5, /* body: uint64_t[]: hashes, the exact set */
	FT_REC_DISTINCT_REGS = 6, /* body: uint8_t[1 << p]: HyperLogLog registers */
	/* Bodies of the following are entries back to back, see tally_emit_entry; the
	 * headers rec_*.h say how each looks. */
	FT_REC_DOMAIN = 7,          /* counters of a registered domain */
	FT_REC_CLIENT = 8,          /* of a client address */
	FT_REC_SERVER = 9,          /* of a server address */
	FT_REC_RRSET = 10,          /* seconds in which an RRset was seen */
	FT_REC_RRSET_TEXT = 11,     /* owner and rdata of an RRset, at first sight */
	FT_REC_ERROR = 12,          /* counters of an error key */
	FT_REC_ERROR_TEXT = 13,     /* its names, at first sight */
	FT_REC_MATCH = 14,          /* counters of a rule and registered domain */
	FT_REC_MATCH_TEXT = 15,     /* its names, at first sight */
	FT_REC_FLOOD = 16,          /* a registered domain under a random-subdomain attack */
	FT_REC_SINK = 17,           /* names and answers of sinkholes */
	FT_REC_TAP = 18,            /* what came with the same tags */
	FT_REC_DGA_NAME = 19,       /* names that look generated, at first sight */
	FT_REC_SERVER_PART = 20,    /* sketches and windows of a server address */
	FT_REC_ASKED = 21,          /* queries, to be joined across servers */
	FT_REC_COOKIE = 22,         /* of DNS cookies */
	FT_REC_RESOLVER = 23,       /* how a resolver asks */
	FT_REC_INTEGRITY = 24,      /* a watched RRset as it was seen */
	FT_REC_INTEGRITY_TEXT = 25, /* its rdata, at first sight */
	FT_REC_INTEGRITY_ADDR = 26, /* address of a name server of a watched name */
	FT_REC_TTL = 28,            /* TTLs of watched RRsets in answers */
	FT_REC_SNOOP = 29,          /* queries with RD=0 to recursive servers */
	FT_REC_TRANSPORT = 32,      /* counters of transports */
	FT_REC_TICKET = 33,         /* truncated responses, and queries that may follow them */
	FT_REC_TRANSFER = 34,       /* zone transfers */
	FT_REC_REVERSE = 36,        /* queries for names of addresses */
	FT_REC_TYPE_CAP
};

struct ft_rec_hdr {
	uint16_t type;
	uint16_t bytes;  /* header and body */
	uint8_t vantage; /* enum ft_vantage */
	uint8_t which;   /* enum ft_distinct, for the records of distinct counts */
	uint8_t pad;     /* octets of zeros at the body's end, below 8 */
	uint8_t spare;
	uint64_t row; /* number of the interval since 1970 */
};
static_assert(sizeof(struct ft_rec_hdr) == 16, "record header");

/* Records that a header stands for: where the body is entries, how many they are
 * stands in place of vantage and which. */
static inline uint32_t ft_rec_records(const struct ft_rec_hdr *h)
{
	return h->type < FT_REC_DOMAIN ? 1 : h->vantage | (uint32_t)h->which << 8;
}

enum ft_distinct { FT_DISTINCT_CLIENTS, FT_DISTINCT_NAMES, FT_DISTINCT_CAP };
#define FT_DISTINCT_P 14 /* HyperLogLog precision */
#define FT_DISTINCT_REGS (1u << FT_DISTINCT_P)
#define FT_DISTINCT_EXACT 1024u /* up to so many, the hashes themselves are kept */

struct ft_pair64 {
	uint32_t id, pad;
	uint64_t value;
};
static_assert(sizeof(struct ft_pair64) == 16, "pair");

struct ft_series {
	uint32_t second;    /* within the interval */
	uint32_t count[13]; /* by enum ft_qgroup */
};
static_assert(sizeof(struct ft_series) == 56, "series");

/* Traffic counter numbers: dense ones by section, sparse dimensions by value. */
enum ft_traffic {
	FT_TRAFFIC_QUERIES,
	FT_TRAFFIC_RESPONSES,
	FT_TRAFFIC_PAIRS,
	FT_TRAFFIC_UNANSWERED,
	FT_TRAFFIC_UNSOLICITED,
	FT_TRAFFIC_QUERY_BYTES,
	FT_TRAFFIC_RESPONSE_BYTES,
	FT_TRAFFIC_MALFORMED,
	FT_TRAFFIC_RTT_MAX,        /* merges by maximum, microseconds */
	FT_TRAFFIC_TRANSPORT = 16, /* + enum ft_transport */
	FT_TRAFFIC_CLASS = 32,     /* + enum ft_class */
	FT_TRAFFIC_EDNS = 64,      /* + enum ft_edns */
	FT_TRAFFIC_OPCODE = 128,   /* + opcode, 0..15 */
	FT_TRAFFIC_RCODE = 144,    /* + rcode below FT_TRAFFIC_RCODE_DENSE */
	FT_TRAFFIC_RCODE_DENSE = 24,
	FT_TRAFFIC_QTYPE = 168, /* + qtype below FT_TRAFFIC_QTYPE_DENSE */
	FT_TRAFFIC_QTYPE_DENSE = 264,
	FT_TRAFFIC_DENSE_CAP = FT_TRAFFIC_QTYPE + FT_TRAFFIC_QTYPE_DENSE,
	FT_TRAFFIC_SPARSE_RCODE = 1 << 17, /* + rcode */
	FT_TRAFFIC_SPARSE_QTYPE = 1 << 18, /* + qtype */
};

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traffic generator: makes DNS frames in memory, the same ones for the same options on every
 * machine, and keeps the books of what it made (the truth), so that a test can compare a probe's
 * figures with them. Called by one thread at a time per generator; it owns all its memory,
 * allocates while it runs, never blocks, logs or parses its own frames.
 */
#ifndef FLUXTAP_GEN_H
#define FLUXTAP_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ft_gen_scenario {
	FT_GEN_MIX,        /* the standard mix: answered UDP transactions, Zipf names and clients */
	FT_GEN_FLOOD,      /* no qname twice: random labels under a few victim zones, NXDOMAIN */
	FT_GEN_ZOO,        /* everything the contract knows, in small numbers */
	FT_GEN_CNAME_FLUX, /* a day of CNAME owners at caching resolvers; some change their
			      target */
	FT_GEN_IP_FLUX, /* addresses and name servers that move, and some that only look like it */
	FT_GEN_BOTNET,  /* names of a botnet, before and after their sinkhole */
	FT_GEN_BOTNET_STAGES, /* the same names under each way to answer */
	FT_GEN_ERRORS,        /* block list look-ups and failures of every class */
	FT_GEN_DGA,           /* bots that try generated names, among the standard mix */
	FT_GEN_KUMAMOTO,      /* a day of a campus whose resolver stops for twelve hours */
	FT_GEN_COOKIES,       /* DNS cookies, in the shares of a published study */
	FT_GEN_NAME_SERVERS,  /* servers that lose, stop, are late or are asked twice */
	FT_GEN_HIJACK,        /* a hijack of 55 minutes, and what only looks like one */
	FT_GEN_CARRY,         /* Fast Open, truncated answers, transfers, encrypted DNS */
	FT_GEN_CACHES,        /* caches behind resolvers, and who looks into them */
	FT_GEN_TUNNELS,   /* every wrapping, IPv4 and IPv6, UDP and TCP, whole and in fragments */
	FT_GEN_SYN_FLOOD, /* half-open TCP connections, and well-formed traffic between them */
	FT_GEN_FRAGMENT_FLOOD, /* first fragments */
	FT_GEN_NAME_FLOOD,     /* queries for names that never come twice, without an answer */
	FT_GEN_TINY_FLOOD,     /* small packets damaged in every way */
	FT_GEN_STRANGER_FLOOD, /* clients, servers and domains that never come twice */
	FT_GEN_SCENARIOS
};

/* A field of 0 stands for the scenario's default (but for `seed` and `truth`); see
 * ft_gen_opts_fill. */
struct ft_gen_opts {
	uint64_t seed;
	uint64_t pairs; /* transactions; in the zoo the number of scenes, each of which may hold
			   several */
	enum ft_gen_scenario scenario;
	double duration_s;   /* event time from first to last query */
	uint64_t start_us;   /* event time of the first query, since 1970 */
	uint32_t interval_s; /* truth: length of an interval, divides 86400 */
	uint32_t names;      /* distinct qnames to draw from */
	uint32_t clients;
	uint32_t servers;
	bool truth; /* keep the books (costs time and memory) */
};

struct ft_gen_frame {
	const uint8_t *data; /* an Ethernet frame without FCS */
	uint32_t len;
	uint64_t ts_us; /* since 1970 */
};

enum ft_gen_vantage { FT_GEN_S2R, FT_GEN_R2A, FT_GEN_X, FT_GEN_VANTAGES };

enum ft_gen_class {
	FT_GEN_DATA,
	FT_GEN_CNAME_ONLY,
	FT_GEN_NODATA,
	FT_GEN_REFERRAL,
	FT_GEN_NXDOMAIN,
	FT_GEN_SERVFAIL,
	FT_GEN_REFUSED,
	FT_GEN_FORMERR,
	FT_GEN_NOTIMP,
	FT_GEN_BADVERS,
	FT_GEN_BADCOOKIE,
	FT_GEN_OTHER,
	FT_GEN_TC,
	FT_GEN_TIMEOUT,
	FT_GEN_CLASSES
};

enum ft_gen_transport { FT_GEN_UDP4, FT_GEN_UDP6, FT_GEN_TCP4, FT_GEN_TCP6, FT_GEN_TRANSPORTS };

enum ft_gen_edns {
	FT_GEN_EDNS_QUERIES,
	FT_GEN_EDNS_DO,
	FT_GEN_EDNS_ECS,
	FT_GEN_EDNS_COOKIE,
	FT_GEN_EDNS_NSID,
	FT_GEN_EDNS_PADDING,
	FT_GEN_EDNS_BADVERSION,
	FT_GEN_EDNS_FIELDS
};

enum ft_gen_group {
	FT_GEN_GROUP_A,
	FT_GEN_GROUP_AAAA,
	FT_GEN_GROUP_PTR,
	FT_GEN_GROUP_MX,
	FT_GEN_GROUP_TXT,
	FT_GEN_GROUP_NS,
	FT_GEN_GROUP_SOA,
	FT_GEN_GROUP_SRV,
	FT_GEN_GROUP_HTTPS,
	FT_GEN_GROUP_DS,
	FT_GEN_GROUP_DNSKEY,
	FT_GEN_GROUP_ANY,
	FT_GEN_GROUP_OTHER,
	FT_GEN_GROUPS
};

enum ft_gen_malformed {
	FT_GEN_SHORT,
	FT_GEN_BAD_LABEL,
	FT_GEN_NAME_LOOP,
	FT_GEN_NAME_LONG,
	FT_GEN_QUESTION_CUT,
	FT_GEN_MALFORMED
};

/* A sparse counter: `row[0..len)` with distinct keys, ascending once the run has ended. */
struct ft_gen_count {
	uint32_t key;
	uint64_t n;
};

struct ft_gen_counts {
	struct ft_gen_count *row;
	size_t len, cap;
};

/*
 * One interval and vantage. A transaction stands where its query's last octet came, an unsolicited
 * response where its own did. A query without a question (DSO) is in neither by_qtype nor names nor
 * series. Quantiles are the value at index floor(q * (count - 1)) of the sorted delays, from query
 * whole to response whole.
 */
struct ft_gen_row {
	uint64_t start_s;
	enum ft_gen_vantage vantage;
	uint64_t queries, responses, pairs, unanswered, unsolicited;
	struct ft_gen_counts by_qtype, by_rcode, by_opcode;
	uint64_t by_class[FT_GEN_CLASSES];
	uint64_t by_transport[FT_GEN_TRANSPORTS];
	uint64_t edns[FT_GEN_EDNS_FIELDS];
	uint64_t query_bytes, response_bytes; /* DNS messages without the length prefix of TCP */
	uint64_t clients, names;              /* exact distinct counts over the queries */
	uint32_t *rtt_us;                     /* ascending once the run has ended */
	size_t rtt_count;
	uint32_t rtt_p50_us, rtt_p90_us, rtt_p99_us, rtt_p999_us, rtt_max_us;
	uint32_t *series[FT_GEN_GROUPS]; /* queries per second, interval_s of them; NULL where there
					    were none */
};

struct ft_gen_totals {
	uint64_t packets, bytes;
	uint64_t dns_messages; /* malformed ones are in it */
	uint64_t malformed[FT_GEN_MALFORMED];
	uint64_t non_dns; /* packets that belong to no DNS flow */
	uint64_t non_ip;  /* those of them that are neither IPv4 nor IPv6 */
	uint64_t fragments;
	uint64_t tcp_packets; /* of DNS connections */
};

/* What is planted among the owners of CNAMEs. */
enum ft_gen_flux_kind {
	FT_GEN_FLUX_FLUX,  /* changes between domains */
	FT_GEN_FLUX_LB,    /* changes within one */
	FT_GEN_FLUX_GEO,   /* a target for each resolver, always the same */
	FT_GEN_FLUX_QUIET, /* seven changes */
	FT_GEN_FLUX_LONG,  /* changes, but with a TTL that no cache forgets within the day */
	FT_GEN_FLUX_KINDS
};

/* A planted owner's UTC day: changes between answers in order of their seconds, those of one
 * second in the order of the target names' octets behind the last one; all resolvers mixed,
 * and the most of any. */
struct ft_gen_flux {
	char owner[64];
	enum ft_gen_flux_kind kind;
	uint64_t start_s;
	uint32_t trans, vtrans, views, targets;
};

/* A stage of the botnet scenarios: one way to answer. */
struct ft_gen_botnet_stage {
	enum ft_gen_class class_of;
	uint32_t ttl_s; /* on the wire: of the answer, or the negative TTL; 0: none */
	uint64_t begin_us, end_us;
	uint64_t queries;
	uint32_t names;    /* distinct ones asked for */
	double model_qps;  /* what the model says, for each registered domain */
	double multiplier; /* to that of the first stage */
};

struct ft_gen_botnet {
	uint32_t stages; /* 0: another scenario */
	uint32_t domains, names;
	struct ft_gen_botnet_stage stage[6];
};

/* How often a question of the scenario errors was asked in an interval. */
struct ft_gen_error {
	uint64_t start_s, queries;
	char qname[48];
	enum ft_gen_class class_of;
	const char *result;         /* of a block list; NULL: no look-up, then these are empty */
	char zone[16], subject[24]; /* as a probe should say them */
};

/* A message of the scenario tunnels, when it was whole. */
struct ft_gen_message {
	uint64_t ts_us;
	uint16_t id, qtype, rcode, answers;
	uint8_t opcode;
	bool is_response, is_tcp, is_v6;
	uint8_t wrap;
	char qname[256]; /* as text, with the last dot */
};

/* A wrapping of the scenario tunnels, and what a probe should say of it. Frames in `part` are
 * fragments of its outermost IP packets but the last that came: they show VLANs alone. */
struct ft_gen_wrap {
	const char *name;
	int vlan[2];        /* -1: none */
	const char *tunnel; /* or NULL */
	int64_t id;         /* -1: none */
	bool is_too_deep;   /* more tunnels than a probe has to follow */
	uint64_t packets, bytes, part_packets, part_bytes;
};
enum { FT_GEN_WRAPS_MOST = 32 };
/* What became of a server's queries in the scenario servers. */
enum { FT_GEN_SERVERS = 8 };
struct ft_gen_server {
	char address[48];
	double loss;             /* share that gets no answer */
	uint64_t down_us, up_us; /* when it is stopped; 0: never */
	uint64_t queries, answered, unanswered, late, dup;
	uint64_t retry_same, retry_other, retry_other_us; /* of the queries that it lost */
	uint32_t *rtt_us;                                 /* ascending */
	size_t rtt_count;
};

/* Transactions of the scenario cookies by class, and addresses by what they do. */
enum ft_gen_cookie {
	FT_GEN_COOKIE_BADLEN,
	FT_GEN_COOKIE_DOWNGRADE,
	FT_GEN_COOKIE_UNSUPPORTED,
	FT_GEN_COOKIE_CLIENT_MISMATCH,
	FT_GEN_COOKIE_ISSUE,
	FT_GEN_COOKIE_RENEW,
	FT_GEN_COOKIE_OK,
	FT_GEN_COOKIE_BADCOOKIE_RETRY_OK,
	FT_GEN_COOKIE_CLASSES
};
struct ft_gen_cookies {
	uint64_t queries, present, cookie; /* queries 0: another scenario */
	uint64_t by_class[FT_GEN_COOKIE_CLASSES];
	uint64_t servers, servers_cookies, servers_enforcing, servers_passing;
	uint64_t clients, clients_cookies, clients_reusing;
};

/* What the scenario transport sent; names as in set `transport`. */
enum ft_gen_mix { FT_GEN_UDP53, FT_GEN_TCP53, FT_GEN_DOT, FT_GEN_DOQ, FT_GEN_DOH, FT_GEN_MIXES };
enum ft_gen_tfo {
	FT_GEN_TFO_NONE,
	FT_GEN_TFO_REQ,
	FT_GEN_TFO_REQ_GRANTED,
	FT_GEN_TFO_DATA_ACCEPTED,
	FT_GEN_TFO_DATA_REJECTED,
	FT_GEN_TFO_DATA_REJECTED_NEWCOOKIE,
	FT_GEN_TFO_BLACKHOLE,
	FT_GEN_TFOS
};
enum ft_gen_cut {
	FT_GEN_CUT_TCP_OK,
	FT_GEN_CUT_TCP_FAIL,
	FT_GEN_CUT_UDP_RETRY,
	FT_GEN_CUT_OTHER_SERVER,
	FT_GEN_CUT_NONE,
	FT_GEN_CUTS
};
struct ft_gen_transfer {
	const char *type, *style;
	char client[16], zone[64];
	uint64_t messages, rrs, bytes, dur_us;
	uint32_t serial_from, serial_to;
	bool has_from, has_to;
};
struct ft_gen_xot {
	char client[16];
	uint64_t out, in, dur_us, after_us;
};
struct ft_gen_carry {
	struct {
		uint64_t packets, bytes, connections, messages;
	} mix[FT_GEN_MIXES];
	uint64_t tfo[FT_GEN_TFOS], tc[FT_GEN_CUTS];
	uint64_t tc_responses, tc_latency_us; /* latency: the sum of all */
	struct ft_gen_transfer *transfer;
	struct ft_gen_xot *xot;
	size_t transfers, xots;
};
/* Scenario hijack: what changed and came back, and how often each watched RRset was said. */
enum { FT_GEN_HIJACK_CHANGES = 4, FT_GEN_HIJACK_RRSETS = 9 };
struct ft_gen_change {
	const char *owner, *type, *side;
	const char *added, *removed, *flags; /* parted by blanks */
	uint64_t onset_us, revert_us;
	uint64_t gap_us; /* more than between any two times at which it was said */
};
struct ft_gen_hijack {
	const char *const *watch;  /* lines of a list, ended by NULL */
	const char *const *others; /* what else a probe should say, likewise */
	struct ft_gen_change change[FT_GEN_HIJACK_CHANGES];
	struct {
		const char *owner, *type;
		uint64_t observations, last_auth_us;
		uint32_t slots; /* of five minutes */
	} seen[FT_GEN_HIJACK_RRSETS];
};

/* Scenario caches: what answers for a watched record say of a resolver in a day, and clients
 * that look into caches, by windows of ten minutes. */
enum { FT_GEN_CACHE_WATCHED = 2, FT_GEN_CACHE_LINES = 10 };
struct ft_gen_cache_line {
	const char *owner;
	uint8_t server[4];
	bool randomised, stretched; /* the first: it has no fills */
	uint32_t caches, ttl_max_s;
	uint64_t answers;       /* but for the same TTL again in one second */
	uint64_t fills;         /* that took place */
	uint64_t seen;          /* of them: an answer came out of it */
	uint64_t collisions;    /* of these: another one of that second was seen before */
	uint64_t live;          /* most of the others at one time */
	uint64_t idles, idle_s; /* before those that were seen: times without an entry; sum */
};
struct ft_gen_snooper {
	uint8_t client[4];
	bool is_monitor; /* one that may */
	const char *class;
	uint64_t start_s, rd0, hits, chaos;
	uint32_t names, name_bits;
};
struct ft_gen_caches {
	const char *const *watch; /* lines of a list, ended by NULL */
	struct ft_gen_cache_line line[FT_GEN_CACHE_LINES];
	const struct ft_gen_snooper *snooper; /* by start */
	size_t snoopers;
};

struct ft_gen_truth {
	uint32_t interval_s;
	const struct ft_gen_row
	    *rows; /* by start, then vantage; only those where something happened */
	size_t row_count;
	struct ft_gen_totals totals;
	const struct ft_gen_error *errors;
	size_t error_count;
	const struct ft_gen_server *servers;
	size_t server_count;
	struct ft_gen_cookies cookies;
	const struct ft_gen_carry *transport; /* NULL: another scenario */
	const struct ft_gen_hijack *hijack;   /* NULL: another scenario */
	const struct ft_gen_caches *caches;   /* NULL: another scenario */
	const struct ft_gen_flux *flux;       /* by owner, then day */
	size_t flux_count;
	struct ft_gen_botnet botnet;
	const struct ft_gen_message *messages; /* by no order; scenario tunnels */
	size_t message_count;
	struct ft_gen_wrap wraps[FT_GEN_WRAPS_MOST];
	size_t wrap_count;
};

struct ft_gen;

/* Puts the scenario's defaults where `o` has 0. */
void ft_gen_opts_fill(struct ft_gen_opts *o);

/* Says which field of the filled `o` is out of range and what would be right; NULL where all is
 * well. */
const char *ft_gen_opts_check(const struct ft_gen_opts *o);

/* Makes a generator; `o` is copied. Returns NULL with errno (EINVAL, ENOMEM). */
struct ft_gen *ft_gen_create(const struct ft_gen_opts *o);

/*
 * Gives the next frame, in non-decreasing time order; `f->data` is valid until the next call.
 * Returns 1, 0 at the end, or -ENOMEM (and goes on returning it).
 */
int ft_gen_next(struct ft_gen *g, struct ft_gen_frame *f);

/*
 * The books, owned by the generator; NULL before ft_gen_next has returned 0, for they are written
 * when a frame is composed and not when it is given out, and NULL where the options did not ask for
 * truth.
 */
const struct ft_gen_truth *ft_gen_truth_get(struct ft_gen *g);

/* What a probe should say of a name in set `flux` at the day's end. */
struct ft_gen_ip_flux {
	const char *kind, *type;
	const char *class, *suppressed_by; /* or NULL */
	char owner[64];
	bool is_due; /* there is a record at all */
	bool is_double;
	uint32_t f_holz_milli; /* kind ip, as the next two */
	uint64_t n_a, n_asn;
	uint64_t n_changes; /* kind ns */
};

/* The plan of the scenario ip-flux into out; returns how many names it has, 0 for others. The
 * content network that a list should name is cdn.listed.example. */
size_t ft_gen_ip_flux_get(const struct ft_gen *g, struct ft_gen_ip_flux *out, size_t cap);
enum { FT_GEN_IP_FLUX_NAMES = 64 }; /* it has no more */

/* What happens in the scenario kumamoto. The mail server is 10.0.0.25, its resolver 10.0.0.53,
 * the authoritative server 192.0.2.1; seconds since 1970. */
struct ft_gen_kumamoto {
	double r2_1s, r2_5s;       /* of the mail server's queries to its resolver, A and AAAA */
	uint32_t seconds, a, aaaa; /* in which it asks, and how much */
	uint64_t silent_from_s, silent_to_s;    /* last query of the resolver before, first after */
	uint64_t failover_at_s, failover_end_s; /* the mail server's at the authoritative one */
};
/* False: another scenario. */
bool ft_gen_kumamoto_get(const struct ft_gen *g, struct ft_gen_kumamoto *out);

/* A bot of the scenario dga: what it asked for in vain, then what was there. */
struct ft_gen_dga_bot {
	char client[24];
	const char *family;
	uint32_t missing; /* distinct names that do not exist */
	uint64_t first_us;
	char c2[80]; /* empty: the run ended before */
};
enum { FT_GEN_DGA_BOTS = 12 };
/* The bots so far into out (FT_GEN_DGA_BOTS); how many, 0 for other scenarios. */
size_t ft_gen_dga_get(const struct ft_gen *g, struct ft_gen_dga_bot *out);

/* Accepts NULL. */
void ft_gen_destroy(struct ft_gen *g);

/* The terms of the exported records; constant strings. */
const char *ft_gen_scenario_name(enum ft_gen_scenario s);
const char *ft_gen_vantage_name(enum ft_gen_vantage v);
const char *ft_gen_class_name(enum ft_gen_class c);
const char *ft_gen_transport_name(enum ft_gen_transport t);
const char *ft_gen_edns_name(enum ft_gen_edns e);
const char *ft_gen_group_name(enum ft_gen_group k);
const char *ft_gen_malformed_name(enum ft_gen_malformed m);
const char *ft_gen_flux_name(enum ft_gen_flux_kind k);

/* A mnemonic (IANA's), or TYPEn, RCODEn, OPCODEn written into `buf`; returns one or the other. */
enum { FT_GEN_NAME_BUF = 16 };
/* The i-th network of the plan of ip-flux, as text, and its autonomous system; 0: no more. */
unsigned ft_gen_ip_flux_system(unsigned i, char prefix[FT_GEN_NAME_BUF]);
const char *ft_gen_qtype_name(uint16_t qtype, char buf[FT_GEN_NAME_BUF]);
const char *ft_gen_rcode_name(uint16_t rcode, char buf[FT_GEN_NAME_BUF]);
const char *ft_gen_opcode_name(uint8_t opcode, char buf[FT_GEN_NAME_BUF]);

#ifdef __cplusplus
}
#endif

#endif

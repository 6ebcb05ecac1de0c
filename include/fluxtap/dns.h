/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS facts that both sides of the ring speak of: answer classes, vantage
 * points, type groups, EDNS counters, transports and the mnemonics of RFC 1035,
 * RFC 6895 and the IANA DNS parameters. */
#ifndef FLUXTAP_DNS_H
#define FLUXTAP_DNS_H

#include <stddef.h>
#include <stdint.h>

#define FT_NAME_CAP 255 /* octets of a name on the wire, RFC 1035 section 2.3.4 */
#define FT_LABEL_CAP 63

/* clang-format off */
/* Where the tap saw the transaction. */
#define FT_VANTAGES(V) V(AUTH) V(R2A) V(S2R) V(X) /* not named X: it would rename the last one */
enum ft_vantage {
#define X(n) FT_VANTAGE_##n,
	FT_VANTAGES(X)
#undef X
	FT_VANTAGE_CAP
};

/* How a query was answered: one enum, used everywhere instead of rcode alone. */
#define FT_CLASSES(X)                                                                          \
	X(DATA)                                                                                \
	X(CNAME_ONLY) X(NODATA) X(REFERRAL) X(NXDOMAIN) X(SERVFAIL) X(REFUSED) X(FORMERR)      \
	X(NOTIMP) X(BADVERS) X(BADCOOKIE) X(OTHER) X(TC) X(TIMEOUT)
enum ft_class {
#define X(n) FT_CLASS_##n,
	FT_CLASSES(X)
#undef X
	FT_CLASS_CAP
};

/* Groups of query types for the per-second series. */
#define FT_QGROUPS(X)                                                                          \
	X(A, "A") X(AAAA, "AAAA") X(PTR, "PTR") X(MX, "MX") X(TXT, "TXT") X(NS, "NS")          \
	X(SOA, "SOA") X(SRV, "SRV") X(HTTPS, "HTTPS") X(DS, "DS") X(DNSKEY, "DNSKEY")          \
	X(ANY, "ANY") X(OTHER, "other")
enum ft_qgroup {
#define X(n, s) FT_QGROUP_##n,
	FT_QGROUPS(X)
#undef X
	FT_QGROUP_CAP
};

#define FT_TRANSPORTS(X) X(udp4) X(udp6) X(tcp4) X(tcp6)
enum ft_transport {
#define X(n) FT_TRANSPORT_##n,
	FT_TRANSPORTS(X)
#undef X
	FT_TRANSPORT_CAP
};

/* EDNS facts of a query, each a bit in a mask and a counter (RFC 6891 and the
 * option registry). Buffer sizes are counted in bands by their upper bound. */
#define FT_EDNS(X)                                                                             \
	X(queries) X(do) X(badversion) X(nsid) X(ecs) X(cookie) X(keepalive) X(padding)        \
	X(ede) X(other_option) X(bufsize_511) X(bufsize_512) X(bufsize_1231) X(bufsize_1232)   \
	X(bufsize_1400) X(bufsize_4095) X(bufsize_4096) X(bufsize_65535)
enum ft_edns {
#define X(n) FT_EDNS_##n,
	FT_EDNS(X)
#undef X
	FT_EDNS_CAP
};

/* clang-format on */

enum ft_qtype {
	FT_QTYPE_A = 1,
	FT_QTYPE_NS = 2,
	FT_QTYPE_CNAME = 5,
	FT_QTYPE_SOA = 6,
	FT_QTYPE_PTR = 12,
	FT_QTYPE_MX = 15,
	FT_QTYPE_TXT = 16,
	FT_QTYPE_AAAA = 28,
	FT_QTYPE_SRV = 33,
	FT_QTYPE_DNAME = 39,
	FT_QTYPE_OPT = 41,
	FT_QTYPE_DS = 43,
	FT_QTYPE_DNSKEY = 48,
	FT_QTYPE_SVCB = 64,
	FT_QTYPE_HTTPS = 65,
	FT_QTYPE_IXFR = 251,
	FT_QTYPE_AXFR = 252,
	FT_QTYPE_ANY = 255
};

enum ft_rcode {
	FT_RCODE_NOERROR = 0,
	FT_RCODE_FORMERR = 1,
	FT_RCODE_SERVFAIL = 2,
	FT_RCODE_NXDOMAIN = 3,
	FT_RCODE_NOTIMP = 4,
	FT_RCODE_REFUSED = 5,
	FT_RCODE_BADVERS = 16,
	FT_RCODE_BADCOOKIE = 23
};

/* Writes the mnemonic of a type (or TYPE<n>, RFC 3597), an extended rcode (or
 * RCODE<n>) or an opcode (or OPCODE<n>) into buf and returns buf; cap >= 16. */
const char *ft_qtype_text(uint16_t qtype, char *buf, size_t cap);
const char *ft_rcode_text(uint16_t rcode, char *buf, size_t cap);
const char *ft_opcode_text(uint8_t opcode, char *buf, size_t cap);

extern const char *const ft_class_texts[FT_CLASS_CAP];
extern const char *const ft_vantage_texts[FT_VANTAGE_CAP];
extern const char *const ft_qgroup_texts[FT_QGROUP_CAP];
extern const char *const ft_transport_texts[FT_TRANSPORT_CAP];
extern const char *const ft_edns_texts[FT_EDNS_CAP];

/* The series group of a query type. */
static inline enum ft_qgroup ft_qgroup_of(uint16_t qtype)
{
	switch (qtype) {
	case FT_QTYPE_A: return FT_QGROUP_A;
	case FT_QTYPE_AAAA: return FT_QGROUP_AAAA;
	case FT_QTYPE_PTR: return FT_QGROUP_PTR;
	case FT_QTYPE_MX: return FT_QGROUP_MX;
	case FT_QTYPE_TXT: return FT_QGROUP_TXT;
	case FT_QTYPE_NS: return FT_QGROUP_NS;
	case FT_QTYPE_SOA: return FT_QGROUP_SOA;
	case FT_QTYPE_SRV: return FT_QGROUP_SRV;
	case FT_QTYPE_SVCB:
	case FT_QTYPE_HTTPS: return FT_QGROUP_HTTPS;
	case FT_QTYPE_DS: return FT_QGROUP_DS;
	case FT_QTYPE_DNSKEY: return FT_QGROUP_DNSKEY;
	case FT_QTYPE_ANY: return FT_QGROUP_ANY;
	default: return FT_QGROUP_OTHER;
	}
}

#endif

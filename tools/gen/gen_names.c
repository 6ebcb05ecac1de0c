/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of the records: mnemonics of types, rcodes, opcodes, and what the enums are called. */
#include <fluxtap/gen.h>

#include <stdio.h>

static const char *const types_low[] = {
    [1] = "A",         [2] = "NS",      [3] = "MD",          [4] = "MF",
    [5] = "CNAME",     [6] = "SOA",     [7] = "MB",          [8] = "MG",
    [9] = "MR",        [10] = "NULL",   [11] = "WKS",        [12] = "PTR",
    [13] = "HINFO",    [14] = "MINFO",  [15] = "MX",         [16] = "TXT",
    [17] = "RP",       [18] = "AFSDB",  [19] = "X25",        [20] = "ISDN",
    [21] = "RT",       [22] = "NSAP",   [23] = "NSAP-PTR",   [24] = "SIG",
    [25] = "KEY",      [26] = "PX",     [27] = "GPOS",       [28] = "AAAA",
    [29] = "LOC",      [30] = "NXT",    [31] = "EID",        [32] = "NIMLOC",
    [33] = "SRV",      [34] = "ATMA",   [35] = "NAPTR",      [36] = "KX",
    [37] = "CERT",     [38] = "A6",     [39] = "DNAME",      [40] = "SINK",
    [41] = "OPT",      [42] = "APL",    [43] = "DS",         [44] = "SSHFP",
    [45] = "IPSECKEY", [46] = "RRSIG",  [47] = "NSEC",       [48] = "DNSKEY",
    [49] = "DHCID",    [50] = "NSEC3",  [51] = "NSEC3PARAM", [52] = "TLSA",
    [53] = "SMIMEA",   [55] = "HIP",    [56] = "NINFO",      [57] = "RKEY",
    [58] = "TALINK",   [59] = "CDS",    [60] = "CDNSKEY",    [61] = "OPENPGPKEY",
    [62] = "CSYNC",    [63] = "ZONEMD", [64] = "SVCB",       [65] = "HTTPS",
    [99] = "SPF",      [100] = "UINFO", [101] = "UID",       [102] = "GID",
    [103] = "UNSPEC",  [104] = "NID",   [105] = "L32",       [106] = "L64",
    [107] = "LP",      [108] = "EUI48", [109] = "EUI64",     [249] = "TKEY",
    [250] = "TSIG",    [251] = "IXFR",  [252] = "AXFR",      [253] = "MAILB",
    [254] = "MAILA",   [255] = "ANY",   [256] = "URI",       [257] = "CAA",
    [258] = "AVC",     [259] = "DOA",   [260] = "AMTRELAY",
};

static const char *const rcodes[] = {
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",  "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE",  "DSOTYPENI", NULL,      NULL,      NULL,       NULL,
    "BADVERS", "BADKEY",  "BADTIME",  "BADMODE",   "BADNAME", "BADALG",  "BADTRUNC", "BADCOOKIE",
};

static const char *const opcodes[] = {"QUERY", "IQUERY", "STATUS", NULL, "NOTIFY", "UPDATE", "DSO"};

static const char *const scenarios[] = {
    "mix",           "flood",      "zoo",           "cname-flux", "ip-flux",   "botnet",
    "botnet-stages", "errors",     "dga",           "kumamoto",   "cookies",   "servers",
    "hijack",        "transport",  "caches",        "tunnels",    "syn-flood", "fragment-flood",
    "name-flood",    "tiny-flood", "stranger-flood"};
static const char *const vantages[] = {"S2R", "R2A", "X"};
static const char *const classes[] = {"DATA",      "CNAME_ONLY", "NODATA",  "REFERRAL", "NXDOMAIN",
				      "SERVFAIL",  "REFUSED",    "FORMERR", "NOTIMP",   "BADVERS",
				      "BADCOOKIE", "OTHER",      "TC",      "TIMEOUT"};
static const char *const transports[] = {"udp4", "udp6", "tcp4", "tcp6"};
static const char *const edns[] = {"queries", "do",      "ecs",       "cookie",
				   "nsid",    "padding", "badversion"};
static const char *const groups[] = {"A",   "AAAA",  "PTR", "MX",     "TXT", "NS",   "SOA",
				     "SRV", "HTTPS", "DS",  "DNSKEY", "ANY", "other"};
static const char *const malformed[] = {"short", "bad_label", "name_loop", "name_long",
					"question_cut"};

static const char *const flux_kinds[] = {"FLUX", "LB", "GEO", "QUIET", "LONG"};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

_Static_assert(LEN(scenarios) == FT_GEN_SCENARIOS, "a name for each");
_Static_assert(LEN(flux_kinds) == FT_GEN_FLUX_KINDS, "a name for each");
_Static_assert(LEN(vantages) == FT_GEN_VANTAGES, "a name for each");
_Static_assert(LEN(classes) == FT_GEN_CLASSES, "a name for each");
_Static_assert(LEN(transports) == FT_GEN_TRANSPORTS, "a name for each");
_Static_assert(LEN(edns) == FT_GEN_EDNS_FIELDS, "a name for each");
_Static_assert(LEN(groups) == FT_GEN_GROUPS, "a name for each");
_Static_assert(LEN(malformed) == FT_GEN_MALFORMED, "a name for each");

const char *ft_gen_flux_name(enum ft_gen_flux_kind k)
{
	return flux_kinds[k];
}

const char *ft_gen_scenario_name(enum ft_gen_scenario s)
{
	return scenarios[s];
}

const char *ft_gen_vantage_name(enum ft_gen_vantage v)
{
	return vantages[v];
}

const char *ft_gen_class_name(enum ft_gen_class c)
{
	return classes[c];
}

const char *ft_gen_transport_name(enum ft_gen_transport t)
{
	return transports[t];
}

const char *ft_gen_edns_name(enum ft_gen_edns e)
{
	return edns[e];
}

const char *ft_gen_group_name(enum ft_gen_group k)
{
	return groups[k];
}

const char *ft_gen_malformed_name(enum ft_gen_malformed m)
{
	return malformed[m];
}

static const char *pick(const char *const *list, size_t len, const char *prefix, unsigned v,
			char *buf)
{
	if (v < len && list[v])
		return list[v];
	snprintf(buf, FT_GEN_NAME_BUF, "%s%u", prefix, v);
	return buf;
}

const char *ft_gen_qtype_name(uint16_t qtype, char buf[FT_GEN_NAME_BUF])
{
	if (qtype == 32768)
		return "TA";
	if (qtype == 32769)
		return "DLV";
	return pick(types_low, LEN(types_low), "TYPE", qtype, buf);
}

const char *ft_gen_rcode_name(uint16_t rcode, char buf[FT_GEN_NAME_BUF])
{
	return pick(rcodes, LEN(rcodes), "RCODE", rcode, buf);
}

const char *ft_gen_opcode_name(uint8_t opcode, char buf[FT_GEN_NAME_BUF])
{
	return pick(opcodes, LEN(opcodes), "OPCODE", opcode, buf);
}

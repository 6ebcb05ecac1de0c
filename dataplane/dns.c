/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts of include/fluxtap/dns.h: IANA "Domain Name System (DNS) Parameters". */
#include <fluxtap/dns.h>

#include <stdio.h>

#define NAME(n) #n,
const char *const ft_class_texts[FT_CLASS_CAP] = {FT_CLASSES(NAME)};
const char *const ft_vantage_texts[FT_VANTAGE_CAP] = {FT_VANTAGES(NAME)};
const char *const ft_transport_texts[FT_TRANSPORT_CAP] = {FT_TRANSPORTS(NAME)};
const char *const ft_edns_texts[FT_EDNS_CAP] = {FT_EDNS(NAME)};
#undef NAME
#define NAME(n, s) s,
const char *const ft_qgroup_texts[FT_QGROUP_CAP] = {FT_QGROUPS(NAME)};
#undef NAME

static const struct {
	uint16_t type;
	const char *text;
} qtypes[] = {
    {1, "A"},           {2, "NS"},         {3, "MD"},        {4, "MF"},       {5, "CNAME"},
    {6, "SOA"},         {7, "MB"},         {8, "MG"},        {9, "MR"},       {10, "NULL"},
    {11, "WKS"},        {12, "PTR"},       {13, "HINFO"},    {14, "MINFO"},   {15, "MX"},
    {16, "TXT"},        {17, "RP"},        {18, "AFSDB"},    {19, "X25"},     {20, "ISDN"},
    {21, "RT"},         {22, "NSAP"},      {23, "NSAP-PTR"}, {24, "SIG"},     {25, "KEY"},
    {26, "PX"},         {27, "GPOS"},      {28, "AAAA"},     {29, "LOC"},     {30, "NXT"},
    {31, "EID"},        {32, "NIMLOC"},    {33, "SRV"},      {34, "ATMA"},    {35, "NAPTR"},
    {36, "KX"},         {37, "CERT"},      {38, "A6"},       {39, "DNAME"},   {40, "SINK"},
    {41, "OPT"},        {42, "APL"},       {43, "DS"},       {44, "SSHFP"},   {45, "IPSECKEY"},
    {46, "RRSIG"},      {47, "NSEC"},      {48, "DNSKEY"},   {49, "DHCID"},   {50, "NSEC3"},
    {51, "NSEC3PARAM"}, {52, "TLSA"},      {53, "SMIMEA"},   {55, "HIP"},     {56, "NINFO"},
    {57, "RKEY"},       {58, "TALINK"},    {59, "CDS"},      {60, "CDNSKEY"}, {61, "OPENPGPKEY"},
    {62, "CSYNC"},      {63, "ZONEMD"},    {64, "SVCB"},     {65, "HTTPS"},   {99, "SPF"},
    {100, "UINFO"},     {101, "UID"},      {102, "GID"},     {103, "UNSPEC"}, {104, "NID"},
    {105, "L32"},       {106, "L64"},      {107, "LP"},      {108, "EUI48"},  {109, "EUI64"},
    {249, "TKEY"},      {250, "TSIG"},     {251, "IXFR"},    {252, "AXFR"},   {253, "MAILB"},
    {254, "MAILA"},     {255, "ANY"},      {256, "URI"},     {257, "CAA"},    {258, "AVC"},
    {259, "DOA"},       {260, "AMTRELAY"}, {32768, "TA"},    {32769, "DLV"},
};

const char *ft_qtype_text(uint16_t qtype, char *buf, size_t cap)
{
	for (size_t i = 0; i < sizeof(qtypes) / sizeof(*qtypes); i++)
		if (qtypes[i].type == qtype)
			return qtypes[i].text;
	(void)snprintf(buf, cap, "TYPE%u", qtype);
	return buf;
}

static const char *const rcodes[24] = {
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",  "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE",  "DSOTYPENI", NULL,      NULL,      NULL,       NULL,
    "BADVERS", "BADKEY",  "BADTIME",  "BADMODE",   "BADNAME", "BADALG",  "BADTRUNC", "BADCOOKIE",
};

const char *ft_rcode_text(uint16_t rcode, char *buf, size_t cap)
{
	if (rcode < 24 && rcodes[rcode] != NULL)
		return rcodes[rcode];
	(void)snprintf(buf, cap, "RCODE%u", rcode);
	return buf;
}

static const char *const opcodes[7] = {"QUERY",  "IQUERY", "STATUS", NULL,
				       "NOTIFY", "UPDATE", "DSO"};

const char *ft_opcode_text(uint8_t opcode, char *buf, size_t cap)
{
	if (opcode < 7 && opcodes[opcode] != NULL)
		return opcodes[opcode];
	(void)snprintf(buf, cap, "OPCODE%u", opcode);
	return buf;
}

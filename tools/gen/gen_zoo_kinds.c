/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenes that go through lists: types, opcodes, rcodes, options, odd names. */
#include "gen_state.h"

#include <string.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

void gen_zoo_types(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	static const uint16_t types[] = {
	    1,   2,   3,   4,   5,   6,    7,     8,     9,     10,    11,    12,  13,  14,
	    15,  16,  17,  18,  19,  20,   21,    22,    23,    24,    25,    26,  27,  28,
	    29,  30,  31,  32,  33,  34,   35,    36,    37,    38,    39,    40,  42,  43,
	    44,  45,  46,  47,  48,  49,   50,    51,    52,    53,    55,    56,  57,  58,
	    59,  60,  61,  62,  63,  64,   65,    99,    100,   101,   102,   103, 104, 105,
	    106, 107, 108, 109, 249, 250,  251,   252,   253,   254,   255,   256, 257, 258,
	    259, 260, 0,   128, 300, 9999, 32768, 32769, 65280, 65400, 65535,
	};
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.qtype = types[turn % LEN(types)];
	ask.answer_h = gen_mix64(ask.answer_h ^ ask.qtype);
	switch (ask.qtype) {
	case GEN_A:
	case GEN_NS:
	case GEN_CNAME:
	case GEN_SOA:
	case GEN_PTR:
	case GEN_MX:
	case GEN_TXT:
	case GEN_AAAA:
	case GEN_SRV:
	case GEN_NAPTR:
	case GEN_DS:
	case GEN_DNSKEY:
	case GEN_TLSA:
	case GEN_SVCB:
	case GEN_HTTPS:
	case GEN_ANY:
	case GEN_CAA:
	case 10: /* NULL and what stands behind it are opaque */
	case 65280:
	case 65400: reply.shape = GEN_SHAPE_DATA; break;
	case GEN_IXFR:
	case GEN_AXFR:
	case 249:
	case 250:
	case 253:
	case 254: reply.rcode = 5; break;
	default: reply.shape = GEN_SHAPE_NEGATIVE; break;
	}
	if (ask.qtype == GEN_ANY || ask.qtype == GEN_CNAME || ask.qtype == GEN_SOA)
		reply.rrs = ask.qtype == GEN_ANY ? 6 : 1;
	gen_zoo_finish(g, &ask, &reply);
}

/* Opcode and what answers it; the NOTIFY's answer has AA (RFC 1996, section 3.8). */
void gen_zoo_opcodes(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	static const struct {
		uint8_t opcode;
		uint16_t rcode;
	} list[] = {
	    {GEN_NOTIFY, 0}, {GEN_UPDATE, 0},  {GEN_STATUS, 4}, {GEN_IQUERY, 4}, {GEN_UPDATE, 6},
	    {GEN_NOTIFY, 9}, {GEN_UPDATE, 7},  {GEN_UPDATE, 8}, {3, 4},          {GEN_NOTIFY, 0},
	    {GEN_UPDATE, 9}, {GEN_UPDATE, 10}, {GEN_UPDATE, 5}, {GEN_NOTIFY, 5}, {7, 4},
	    {15, 4},         {GEN_STATUS, 5},
	};
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.opcode = list[turn % LEN(list)].opcode;
	reply.rcode = list[turn % LEN(list)].rcode;
	if (ask.opcode == GEN_NOTIFY || ask.opcode == GEN_UPDATE) {
		ask.qtype = GEN_SOA;
		ask.rd = false;
		reply.ra = false;
		reply.aa = ask.opcode == GEN_NOTIFY;
	}
	gen_zoo_finish(g, &ask, &reply);
}

void gen_zoo_rcodes(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	static const uint16_t rcodes[] = {1,  2,  3,  4,  5,  6,  7,   8,    9,
					  10, 11, 12, 15, 16, 17, 18,  19,   20,
					  21, 22, 23, 24, 29, 32, 100, 3841, 4095};
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	reply.rcode = rcodes[turn % LEN(rcodes)];
	if (reply.rcode == 3)
		reply.shape = GEN_SHAPE_NEGATIVE;
	gen_zoo_finish(g, &ask, &reply);
}

void gen_zoo_edns(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	static const uint8_t options[] = {
	    GEN_OPTION_NSID,
	    GEN_OPTION_PADDING,
	    GEN_OPTION_ECS,
	    GEN_OPTION_COOKIE,
	    GEN_OPTION_COOKIE_FULL,
	    GEN_OPTION_NSID | GEN_OPTION_COOKIE_FULL | GEN_OPTION_ECS | GEN_OPTION_PADDING,
	    0,
	};
	static const uint16_t sizes[] = {1232, 4096, 512, 0, 65535, 1400, 511, 1220};
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.has_opt = true;
	ask.is_do = turn % 2;
	ask.options = options[turn % LEN(options)];
	ask.bufsize = sizes[turn % LEN(sizes)];
	reply.shape = GEN_SHAPE_DATA;
	reply.has_rrsig = ask.is_do;
	gen_zoo_finish(g, &ask, &reply);
}

void gen_zoo_names(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;
	enum gen_name_odd kind = (enum gen_name_odd)(turn % GEN_NAME_ODDS);

	gen_zoo_begin(g, &ask, &reply, ts_us);
	gen_name_odd(&ask.name, kind, &g->rng);
	ask.qtype = kind == GEN_NAME_SERVICE ? GEN_SRV : kind == GEN_NAME_ROOT ? GEN_NS : GEN_A;
	if (kind == GEN_NAME_TLD || turn / GEN_NAME_ODDS % 3 == 1) {
		ask.qtype = turn & 1 ? GEN_DNSKEY : GEN_TXT;
		reply.shape = GEN_SHAPE_NEGATIVE;
	} else {
		reply.shape = GEN_SHAPE_DATA;
	}
	if (turn / GEN_NAME_ODDS % 4 == 3)
		gen_name_mix_case(&ask.name, &g->rng);
	gen_zoo_finish(g, &ask, &reply);
}

void gen_zoo_chaos(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	static const uint8_t version[] = "\7version\4bind";
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	memcpy(ask.name.wire, version, sizeof(version));
	ask.name.len = sizeof(version);
	ask.name.zone_off = 8;
	ask.name.tld_off = 8;
	ask.qclass = 3;
	ask.qtype = GEN_TXT;
	reply.rrs = 1;
	reply.shape = turn % 2 ? GEN_SHAPE_DATA : GEN_SHAPE_EMPTY;
	reply.rcode = turn % 2 ? 0 : 5;
	gen_zoo_finish(g, &ask, &reply);
}

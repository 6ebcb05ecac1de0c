/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_state.h"

#include <string.h>

/* Shares of the mix, per 10,000 unless said otherwise. */
enum {
	SHARE_EDNS = 8000,
	SHARE_DO = 6000,    /* of EDNS */
	SHARE_COOKIE = 800, /* of EDNS */
	SHARE_FULL = 7000,  /* of cookies */
	SHARE_ECS = 300,    /* of EDNS */
	SHARE_0X20 = 400,
	SHARE_AD = 1000,
	SHARE_CD = 300,
	SHARE_FAVOURITE = 7500, /* of a client's queries go to its first server */
	V6_CLIENTS_ONE_IN = 5,
	V6_CLIENTS_AT = 2, /* this residue makes 20.6 % of what 100,000 clients ask by Zipf */
};

static const uint16_t bufsizes[16] = {1232, 1232, 1232, 1232, 1232, 1232, 1232, 4096,
				      4096, 4096, 4096, 512,  512,  1400, 1410, 1220};

/* 32 rows, drawn evenly; PTR goes with the reverse names. */
static const uint16_t qtypes[32] = {
    GEN_A,    GEN_A,     GEN_A,     GEN_A,     GEN_A,    GEN_A,    GEN_A,    GEN_A,
    GEN_A,    GEN_A,     GEN_A,     GEN_A,     GEN_A,    GEN_A,    GEN_A,    GEN_A,
    GEN_A,    GEN_A,     GEN_AAAA,  GEN_AAAA,  GEN_AAAA, GEN_AAAA, GEN_AAAA, GEN_AAAA,
    GEN_AAAA, GEN_HTTPS, GEN_HTTPS, GEN_HTTPS, GEN_MX,   GEN_TXT,  GEN_NS,   GEN_DS,
};

static void draw_client(struct ft_gen *g, struct gen_path *path)
{
	uint32_t rank = gen_rng_zipf(&g->rng, g->opts.clients);
	uint32_t place =
	    rank * UINT32_C(0x9e3779) & 0xffffff; /* odd factor: a bijection of 24 bits */
	uint32_t server = (uint32_t)gen_mix64(rank) % g->opts.servers;
	uint8_t *c = path->client.b, *s = path->server.b;

	if (!gen_rng_chance(&g->rng, SHARE_FAVOURITE))
		server = gen_rng_below(&g->rng, g->opts.servers);
	path->is_v6 = rank % V6_CLIENTS_ONE_IN == V6_CLIENTS_AT;
	if (!path->is_v6) {
		memcpy(c,
		       (const uint8_t[4]){10, (uint8_t)(place >> 16), (uint8_t)(place >> 8),
					  (uint8_t)place},
		       4);
		memcpy(s, (const uint8_t[4]){192, 0, 2, (uint8_t)(server + 1)}, 4);
		return;
	}
	memcpy(c,
	       (const uint8_t[8]){0x20, 1, 0x0d, 0xb8, 0, (uint8_t)(place >> 16),
				  (uint8_t)(place >> 8), (uint8_t)place},
	       8);
	uint64_t host = gen_mix64(place);

	for (unsigned i = 0; i < 8; i++)
		c[8 + i] = (uint8_t)(host >> (8 * i));
	memcpy(s, (const uint8_t[8]){0x20, 1, 0x0d, 0xb8, 0x53, 0, 0, 0}, 8);
	s[15] = (uint8_t)(server + 1);
}

void gen_ask_renew(struct ft_gen *g, struct gen_ask *ask)
{
	uint32_t x = (g->flows++ * UINT32_C(0x9e3779b1) ^ g->id_salt) &
		     INT32_MAX; /* a bijection of 31 bits */

	ask->id = (uint16_t)x;
	ask->path.client_port = (uint16_t)(0x8000 | x >> 16);
}

void gen_ask_init(struct ft_gen *g, struct gen_ask *ask, uint64_t ts_us)
{
	memset(ask, 0, offsetof(struct gen_ask, name));
	memset(&ask->ts_us, 0, sizeof(*ask) - offsetof(struct gen_ask, ts_us));
	ask->ts_us = ts_us;
	ask->qclass = 1;
	ask->rd = true;
	ask->path.server_port = GEN_DNS_PORT;
	ask->path.mtu = GEN_MTU;
	draw_client(g, &ask->path);
	gen_ask_renew(g, ask);
}

static void finish_name(struct ft_gen *g, struct gen_ask *ask, uint64_t name_h)
{
	ask->qtype = ask->name.is_reverse ? (uint16_t)GEN_PTR : qtypes[gen_rng_below(&g->rng, 32)];
	if (ask->qtype == GEN_NS && ask->id % 3 != 0)
		ask->qtype = ask->id % 3 == 1 ? GEN_SOA : GEN_SRV;
	ask->answer_h = gen_mix64(name_h ^ (uint64_t)ask->qtype << 48);
	ask->has_question = true;
	if (gen_rng_chance(&g->rng, SHARE_0X20))
		gen_name_mix_case(&ask->name, &g->rng);
}

uint32_t gen_ask_draw_name(struct ft_gen *g, struct gen_ask *ask)
{
	uint32_t rank = gen_rng_zipf(&g->rng, g->opts.names);

	gen_name_rank(&ask->name, rank);
	finish_name(g, ask, rank);
	return rank;
}

void gen_ask_draw_edns(struct ft_gen *g, struct gen_ask *ask)
{
	uint64_t x = gen_rng_next(&g->rng);

	ask->ad = (x & 0xffff) * 10000 >> 16 < SHARE_AD;
	ask->cd = (x >> 16 & 0xffff) * 10000 >> 16 < SHARE_CD;
	ask->has_opt = (x >> 32 & 0xffff) * 10000 >> 16 < SHARE_EDNS;
	if (!ask->has_opt)
		return;
	ask->is_do = (x >> 48) * 10000 >> 16 < SHARE_DO;
	x = gen_rng_next(&g->rng);
	ask->bufsize = bufsizes[x & 15];
	if ((x >> 4 & 0xffff) * 10000 >> 16 < SHARE_COOKIE)
		ask->options = (x >> 20 & 0xffff) * 10000 >> 16 < SHARE_FULL
				   ? GEN_OPTION_COOKIE_FULL
				   : GEN_OPTION_COOKIE;
	if ((x >> 36 & 0xffff) * 10000 >> 16 < SHARE_ECS)
		ask->options |= GEN_OPTION_ECS;
}

void gen_send_query(struct ft_gen *g, struct gen_ask *ask)
{
	struct gen_buf b = {g->l4 + GEN_UDP_HEADER, 0};

	gen_msg_write_query(&b, ask);
	g->totals->dns_messages++;
	ask->ts_us = gen_frame_udp(g, &ask->path, GEN_TO_SERVER, ask->ts_us, b.len);
}

void gen_send_reply(struct ft_gen *g, const struct gen_ask *ask, struct gen_reply *reply)
{
	struct gen_buf b = {g->l4 + GEN_UDP_HEADER, 0};

	gen_msg_write_reply(&b, ask, reply);
	g->totals->dns_messages++;
	reply->ts_us = gen_frame_udp(g, &ask->path, GEN_TO_CLIENT, reply->ts_us, b.len);
}

/* A stable property of name and type: seldom for addresses, often for what few names have. */
static bool is_nodata(const struct gen_ask *ask)
{
	uint32_t draw = (uint32_t)(ask->answer_h >> 16 & 0xff);

	switch (ask->qtype) {
	case GEN_A:
	case GEN_PTR:
	case GEN_NS:
	case GEN_SOA: return draw < 3;
	case GEN_AAAA: return draw < 38;
	default: return draw < 51;
	}
}

void gen_mix_step(struct ft_gen *g, uint64_t ts_us)
{
	struct gen_ask ask;
	struct gen_reply reply = {.ra = true};
	bool is_absent = true;

	gen_ask_init(g, &ask, ts_us);
	if (g->opts.scenario == FT_GEN_FLOOD) {
		gen_name_victim(&ask.name, g->at, g->opts.seed);
		finish_name(g, &ask, g->at);
	} else {
		is_absent = gen_name_is_absent(gen_ask_draw_name(g, &ask));
	}
	gen_ask_draw_edns(g, &ask);
	gen_send_query(g, &ask);

	reply.ts_us = ask.ts_us + gen_rng_rtt_us(&g->rng);
	reply.has_opt = ask.has_opt;
	if (is_absent)
		reply.rcode = 3;
	reply.shape = is_absent || is_nodata(&ask) ? GEN_SHAPE_NEGATIVE : GEN_SHAPE_DATA;
	gen_send_reply(g, &ask, &reply);
	gen_truth_pair(&g->books, &ask, &reply);
}

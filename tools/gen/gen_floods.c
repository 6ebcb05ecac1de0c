/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenarios `*-flood` of hostile packets, each from another address or port, with a pair of the mix
 * after every tenth. Truth: the pairs; of the name flood its queries too, all unanswered; of the
 * stranger flood its transactions. */
#include "gen_state.h"

#include <stdio.h>

#include <string.h>

enum { PAIR_EVERY = 10, FIRST_OCTETS = 64, PROTO_UDP = 17 };

/* Addresses that no client of the mix has, in every packet another one. */
static void draw_attacker(struct ft_gen *g, struct gen_path *path)
{
	const uint64_t x = gen_mix64(g->at ^ g->opts.seed);

	path->is_v6 = g->at % 4 == 3;
	memset(&path->client, 0, sizeof(path->client));
	memset(&path->server, 0, sizeof(path->server));
	path->client_port = (uint16_t)(1024 + x % 60000);
	if (path->is_v6) {
		memcpy(path->client.b, (const uint8_t[4]){0x20, 1, 0x0d, 0xb8}, 4);
		path->client.b[4] = 0xff;
		memcpy(path->client.b + 8, &x, 8);
		memcpy(path->server.b, (const uint8_t[6]){0x20, 1, 0x0d, 0xb8, 0x53, 0}, 6);
		path->server.b[15] = 1;
	} else {
		path->client.b[0] = 100;
		memcpy(path->client.b + 1, &x, 3);
		memcpy(path->server.b, (const uint8_t[4]){192, 0, 2, 1}, 4);
	}
}

static void send_syn(struct ft_gen *g, const struct gen_path *path, uint64_t ts_us)
{
	const struct gen_segment syn = {.seq = (uint32_t)gen_mix64(g->at), .flags = GEN_SYN};

	gen_frame_tcp(g, path, GEN_TO_SERVER, ts_us, &syn, NULL, 0);
	if (g->at % 3 == 0) { /* half of a message, for which no more ever comes */
		const struct gen_segment part = {
		    .seq = syn.seq + 1, .ack = 1, .flags = GEN_ACK | GEN_PSH};
		static const uint8_t octets[] = {0, 60, 0x12, 0x34, 1, 0, 0, 1, 0, 0};

		gen_frame_tcp(g, path, GEN_TO_SERVER, ts_us + 1, &part, octets, sizeof(octets));
	}
}

/* The first fragment of a datagram of which nothing else comes. */
static void send_first(struct ft_gen *g, const struct gen_path *path, uint64_t ts_us)
{
	memset(g->l4, (int)(g->at & 0xff), FIRST_OCTETS);
	gen_frame_first(g, path, ts_us, (uint32_t)g->at, PROTO_UDP, FIRST_OCTETS);
}

static void send_name(struct ft_gen *g, struct gen_ask *ask)
{
	gen_name_victim(&ask->name, g->at, g->opts.seed);
	ask->has_question = true;
	ask->qtype = GEN_A;
	gen_send_query(g, ask);
	gen_truth_timeout(&g->books, ask);
}

/* Client, server and registered domain are all new; what they do keeps every table busy that goes
 * by one of them: cookies, missing names that look generated, truncation, RD=0 to a recursive
 * server, a handshake for which no more ever comes. */
static void send_stranger(struct ft_gen *g, struct gen_ask *ask)
{
	const uint64_t x = gen_mix64(g->at ^ g->opts.seed ^ 0x73747261);
	struct gen_reply reply = {.rcode = 3, .shape = GEN_SHAPE_NEGATIVE, .has_opt = true};
	char name[32];

	if (ask->path.is_v6) {
		memcpy(ask->path.server.b + 8, &x, 8);
	} else {
		ask->path.server.b[0] = 10;
		memcpy(ask->path.server.b + 1, &x, 3);
	}
	for (unsigned i = 0; i < 12; i++)
		name[i] = (char)('a' + (x >> 5 * i) % 26);
	(void)snprintf(name + 12, sizeof(name) - 12, "%llx.com.", (unsigned long long)g->at);
	gen_name_text(&ask->name, name);
	ask->has_question = ask->has_opt = true;
	ask->qtype = GEN_A;
	ask->rd = false;
	ask->bufsize = 1232;
	ask->options = g->at & 1 ? GEN_OPTION_COOKIE : GEN_OPTION_COOKIE_FULL;
	if (g->at % 3 == 0) {
		reply.tc = true;
		reply.rcode = 0;
		reply.shape = GEN_SHAPE_EMPTY;
	}
	reply.ra = g->at % 2 == 0;
	reply.aa = !reply.ra;
	gen_send_query(g, ask);
	reply.ts_us = ask->ts_us + 5000;
	gen_send_reply(g, ask, &reply);
	gen_truth_pair(&g->books, ask, &reply);
	if (g->at % 5 == 0) {
		const struct gen_segment syn = {.seq = (uint32_t)x, .flags = GEN_SYN};
		const struct gen_segment granted = {
		    .seq = (uint32_t)(x >> 32), .ack = syn.seq + 1, .flags = GEN_SYN | GEN_ACK};

		gen_frame_tcp(g, &ask->path, GEN_TO_SERVER, reply.ts_us + 1, &syn, NULL, 0);
		gen_frame_tcp(g, &ask->path, GEN_TO_CLIENT, reply.ts_us + 2, &granted, NULL, 0);
	}
}

/* A header and less, questions that are cut, loops, labels of no type, names that are too long:
 * the damages of the zoo in frames as small as they go. */
static void send_tiny(struct ft_gen *g, uint64_t ts_us)
{
	gen_zoo_malformed(g, ts_us, g->turn[0]++);
}

void gen_floods_step(struct ft_gen *g, uint64_t ts_us)
{
	struct gen_ask ask;

	gen_ask_init(g, &ask, ts_us);
	draw_attacker(g, &ask.path);
	switch (g->opts.scenario) {
	case FT_GEN_SYN_FLOOD: send_syn(g, &ask.path, ts_us); break;
	case FT_GEN_FRAGMENT_FLOOD: send_first(g, &ask.path, ts_us); break;
	case FT_GEN_NAME_FLOOD: send_name(g, &ask); break;
	case FT_GEN_STRANGER_FLOOD: send_stranger(g, &ask); break;
	default: send_tiny(g, ts_us); break;
	}
	if (g->at % PAIR_EVERY == 0)
		gen_mix_step(g, ts_us);
}

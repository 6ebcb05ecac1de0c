/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `dga`: bots that try the names of their generator until one is there, among the
 * clients of the standard mix. Truth: each bot, what it asked for, and what answered. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <stdio.h>
#include <string.h>

enum {
	BOTS = FT_GEN_DGA_BOTS,
	BOT_TURN = 16, /* one transaction in so many is a bot's */
	MISSING = 40,  /* names in vain, then one that is there */
	NAME_BUF = 80,
};

/* How a generator makes its names. */
static const struct {
	const char *name, *chars, *suffix;
	unsigned len;
} families[] = {
    {"tinba", "abcdefghijklmnopqrstuvwxyz", ".com.", 12},
    {"chinad", "abcdefghijklmnopqrstuvwxyz0123456789", ".net.", 16},
    {"zloader", "abcdefghijklmnopqrstuvwxy", ".com.", 20},
    {"verblecon", "0123456789abcdef", ".tk.", 32},
};
enum { FAMILIES = sizeof(families) / sizeof(*families) };

/* Bots of a family try the same names in the same order. */
static void name_of(const struct ft_gen *g, unsigned bot, unsigned turn, char out[NAME_BUF])
{
	const unsigned f = bot % FAMILIES;
	const size_t chars = strlen(families[f].chars);
	struct gen_rng r;

	gen_rng_init(&r, gen_mix64(g->opts.seed + f * 1000003u + turn));
	for (unsigned i = 0; i < families[f].len; i++)
		out[i] = families[f].chars[gen_rng_below(&r, (uint32_t)chars)];
	(void)strcpy(out + families[f].len, families[f].suffix);
}

size_t ft_gen_dga_get(const struct ft_gen *g, struct ft_gen_dga_bot *out)
{
	if (g->opts.scenario != FT_GEN_DGA)
		return 0;
	for (unsigned b = 0; b < BOTS; b++) {
		struct ft_gen_dga_bot *x = &out[b];
		const uint64_t asked = g->turn[b];
		char name[NAME_BUF];

		memset(x, 0, sizeof(*x));
		(void)snprintf(x->client, sizeof(x->client), "10.200.0.%u", b + 1);
		x->family = families[b % FAMILIES].name;
		x->missing = asked < MISSING ? (uint32_t)asked : MISSING;
		x->first_us = g->turn[BOTS + b];
		if (asked <= MISSING)
			continue;
		name_of(g, b, MISSING, name);
		(void)snprintf(x->c2, sizeof(x->c2), "%s", name);
	}
	return BOTS;
}

static void bot_step(struct ft_gen *g, uint64_t ts_us, unsigned bot)
{
	const uint64_t turn = g->turn[bot]++;
	const bool is_there = turn >= MISSING;
	struct gen_reply reply = {.ra = true, .rrs = 1};
	struct gen_ask ask;
	char name[NAME_BUF];

	gen_ask_init(g, &ask, ts_us);
	ask.path.is_v6 = false;
	memset(&ask.path.client, 0, sizeof(ask.path.client));
	memset(&ask.path.server, 0, sizeof(ask.path.server));
	memcpy(ask.path.client.b, (const uint8_t[4]){10, 200, 0, (uint8_t)(bot + 1)}, 4);
	memcpy(ask.path.server.b,
	       (const uint8_t[4]){192, 0, 2, (uint8_t)(turn % g->opts.servers + 1)}, 4);
	ask.qtype = GEN_A;
	ask.has_question = true;
	name_of(g, bot, is_there ? MISSING : (unsigned)turn, name);
	gen_name_text(&ask.name, name);
	ask.answer_h = gen_mix64(bot % FAMILIES);
	gen_send_query(g, &ask);
	if (turn == 0)
		g->turn[BOTS + bot] = ask.ts_us;
	reply.ts_us = ask.ts_us + 5000;
	reply.rcode = is_there ? 0 : 3;
	reply.shape = is_there ? GEN_SHAPE_DATA : GEN_SHAPE_NEGATIVE;
	gen_send_reply(g, &ask, &reply);
	gen_truth_pair(&g->books, &ask, &reply);
}

void gen_dga_step(struct ft_gen *g, uint64_t ts_us)
{
	if (g->at % BOT_TURN == 0)
		bot_step(g, ts_us, (unsigned)(g->at / BOT_TURN % BOTS));
	else
		gen_mix_step(g, ts_us);
}

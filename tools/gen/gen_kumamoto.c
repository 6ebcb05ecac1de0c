/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `kumamoto`: a day of a campus whose resolver stops from 11:07 to 23:07, with the
 * totals of Musashi, Matsuba, Sugitani, "A Threat of AAAA Resource Record-based DNS Query
 * Traffic": a mail server that asks the resolver and, while that is silent, the authoritative
 * server; the resolver itself; three other clients. Every second's queries are drawn before
 * the first is sent, and the truth is taken from them. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	DAY_S = 86400,
	STOP_S = 40020,  /* 11:07 */
	START_S = 83220, /* 23:07 */
	UP_S = STOP_S + DAY_S - START_S,
	MAIL = 25,
	CACHE = 53,     /* last octets of 10.0.0.0/24 */
	AUTH = 1,       /* of 192.0.2.0/24; CACHE stands for the resolver */
	PAIRS = 133303, /* A queries of the mail server, each with its AAAA */
	ALONE = 139794 - PAIRS,
};

enum when { UP, DOWN, ALWAYS };

static const struct stream {
	uint8_t client, server; /* server: AUTH or CACHE */
	uint16_t qtype;
	uint32_t queries;
	enum when when;
} streams[] = {
    {MAIL, CACHE, GEN_A, PAIRS, UP}, /* the first two go together */
    {MAIL, CACHE, GEN_AAAA, ALONE, UP}, {MAIL, CACHE, GEN_PTR, 13942, UP},
    {MAIL, CACHE, GEN_MX, 35474, UP},   {MAIL, CACHE, GEN_TXT, 16681, UP},
    {MAIL, CACHE, GEN_NS, 4224, UP},    {MAIL, AUTH, GEN_AAAA, 163609, DOWN},
    {CACHE, AUTH, GEN_AAAA, 13235, UP}, {CACHE, AUTH, GEN_A, 12900, UP},
    {101, AUTH, GEN_AAAA, 873, ALWAYS}, {101, AUTH, GEN_A, 4100, ALWAYS},
    {102, AUTH, GEN_AAAA, 797, ALWAYS}, {102, AUTH, GEN_A, 3700, ALWAYS},
    {103, AUTH, GEN_AAAA, 412, ALWAYS}, {103, AUTH, GEN_A, 1900, ALWAYS},
};
enum { STREAMS = sizeof(streams) / sizeof(*streams) };

struct gen_kumamoto {
	uint8_t count[STREAMS][DAY_S];
};

/* A random second at which a stream is there. */
static uint32_t draw_second(struct gen_rng *r, enum when when)
{
	if (when == ALWAYS)
		return gen_rng_below(r, DAY_S);
	if (when == DOWN)
		return STOP_S + gen_rng_below(r, START_S - STOP_S);
	const uint32_t s = gen_rng_below(r, UP_S);
	return s < STOP_S ? s : s - STOP_S + START_S;
}

/* A Poisson number of one of two means, so that counts scatter more than by chance: their
 * variance is what R2 = 0.963 needs beside ALONE single queries (DOMAIN section 2.3). */
static uint8_t draw_pairs(struct gen_rng *r)
{
	static const struct {
		double mean, none; /* none: exp(-mean) */
	} level[2] = {{3.9937, 0.018431}, {2.1777, 0.113302}};
	const unsigned k = gen_rng_chance(r, 5000);
	double u = (double)(gen_rng_next(r) >> 11) / 9007199254740992.0, p = level[k].none;
	uint8_t n = 0;

	for (; u >= p && n < 40; n++) {
		u -= p;
		p *= level[k].mean / (n + 1);
	}
	return n;
}

static void fill(struct gen_kumamoto *k, struct gen_rng *r)
{
	uint32_t sum = 0;

	for (uint32_t s = 0; s < DAY_S; s++)
		if (s < STOP_S || s >= START_S)
			sum += k->count[0][s] = draw_pairs(r);
	/* Up or down to the total. */
	while (sum != PAIRS) {
		uint8_t *c = &k->count[0][draw_second(r, UP)];
		if (sum > PAIRS && *c == 0)
			continue;
		*c = (uint8_t)(sum > PAIRS ? *c - 1 : *c + 1);
		sum = sum > PAIRS ? sum - 1 : sum + 1;
	}
	for (unsigned i = 1; i < STREAMS; i++)
		for (uint32_t n = 0; n < streams[i].queries; n++)
			k->count[i][draw_second(r, streams[i].when)]++;
	for (uint32_t s = 0; s < DAY_S; s++)
		k->count[1][s] = (uint8_t)(k->count[1][s] + k->count[0][s]);
}

int gen_kumamoto_init(struct ft_gen *g)
{
	struct gen_rng r;

	g->kumamoto = calloc(1, sizeof(*g->kumamoto));
	if (g->kumamoto == NULL)
		return -ENOMEM;
	gen_rng_init(&r, gen_mix64(g->opts.seed ^ 0x6b756d61));
	fill(g->kumamoto, &r);
	return 0;
}

void gen_kumamoto_fini(struct ft_gen *g)
{
	free(g->kumamoto);
}

static void send(struct ft_gen *g, const struct stream *s, uint64_t ts_us, uint32_t name)
{
	const bool stub = s->server == CACHE;
	struct gen_reply reply = {.shape = GEN_SHAPE_DATA, .rrs = 1, .ra = stub, .aa = !stub};
	struct gen_ask ask;

	gen_ask_init(g, &ask, ts_us);
	ask.path.is_v6 = false;
	memset(&ask.path.client, 0, sizeof(ask.path.client));
	memset(&ask.path.server, 0, sizeof(ask.path.server));
	memcpy(ask.path.client.b, (const uint8_t[4]){10, 0, 0, s->client}, 4);
	memcpy(ask.path.server.b,
	       stub ? (const uint8_t[4]){10, 0, 0, CACHE} : (const uint8_t[4]){192, 0, 2, AUTH}, 4);
	ask.rd = stub;
	gen_name_rank(&ask.name, name);
	ask.qtype = s->qtype;
	ask.has_question = true;
	ask.answer_h = gen_mix64(name ^ (uint64_t)s->qtype << 40);
	gen_send_query(g, &ask);
	reply.ts_us = ask.ts_us + 2000;
	gen_send_reply(g, &ask, &reply);
	gen_truth_pair(&g->books, &ask, &reply);
}

/* One second of the day. */
void gen_kumamoto_step(struct ft_gen *g, uint64_t ts_us)
{
	const struct gen_kumamoto *k = g->kumamoto;

	if (g->at >= DAY_S)
		return;
	for (unsigned i = 0; i < STREAMS; i++)
		for (unsigned n = 0; n < k->count[i][g->at]; n++) {
			/* One draw a statement: compilers differ in the order of arguments. */
			const uint32_t name = 1 + gen_rng_zipf(&g->rng, g->opts.names);
			const uint64_t at_us = ts_us + 1000 + gen_rng_below(&g->rng, 980000);

			send(g, &streams[i], at_us, name);
		}
}

/* --- truth --- */

static bool asks(const struct gen_kumamoto *k, uint8_t client, uint8_t server, uint32_t s)
{
	for (unsigned i = 0; i < STREAMS; i++)
		if (streams[i].client == client && streams[i].server == server &&
		    k->count[i][s] != 0)
			return true;
	return false;
}

/* The correlation of two streams, in bins of `width` seconds of the hours that are up. */
static double r2(const struct gen_kumamoto *k, uint32_t width, uint32_t *bins)
{
	double n = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t s = 0; s < DAY_S; s += width) {
			double x = 0, y = 0;
			if (s >= STOP_S && s < START_S)
				continue;
			for (uint32_t i = 0; i < width; i++) {
				x += k->count[0][s + i];
				y += k->count[1][s + i];
			}
			if (pass == 0) {
				n++;
				mx += x;
				my += y;
			} else {
				xx += (x - mx) * (x - mx);
				yy += (y - my) * (y - my);
				xy += (x - mx) * (y - my);
			}
		}
		if (pass == 0) {
			mx /= n;
			my /= n;
		}
	}
	*bins = (uint32_t)n;
	return xy * xy / (xx * yy);
}

bool ft_gen_kumamoto_get(const struct ft_gen *g, struct ft_gen_kumamoto *out)
{
	const struct gen_kumamoto *k = g->kumamoto;
	const uint64_t begin_s = g->opts.start_us / 1000000;
	uint32_t s, bins;

	if (k == NULL)
		return false;
	memset(out, 0, sizeof(*out));
	out->r2_1s = r2(k, 1, &out->seconds);
	out->r2_5s = r2(k, 5, &bins);
	out->a = PAIRS;
	out->aaaa = PAIRS + ALONE;
	for (s = STOP_S; !asks(k, CACHE, AUTH, s - 1); s--)
		;
	out->silent_from_s = begin_s + s - 1;
	for (s = START_S; !asks(k, CACHE, AUTH, s); s++)
		;
	out->silent_to_s = begin_s + s;
	for (s = STOP_S; !asks(k, MAIL, AUTH, s); s++)
		;
	out->failover_at_s = begin_s + s;
	for (s = START_S; !asks(k, MAIL, AUTH, s - 1); s--)
		;
	out->failover_end_s = begin_s + s - 1;
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Botnet scenarios: caches that ask for the names of a botnet whenever a bot behind them does and
 * they do not hold an answer. Bots ask at random; of a step's many chances one in CHANCES is taken.
 * botnet: as published by Wessels and Thomas (OARC 35), at 1/1000 of the caches: the names do not
 * exist, then their domains are delegated to a sinkhole. botnet-stages: the same names under each
 * way to answer. Each stage begins in the equilibrium of its caches (a renewal process: a key is
 * held with probability LT / (1 + LT), for a time that is uniform up to T), so that what the model
 * says of a rate, L / (1 + LT), holds from the first second on.
 */
#include "gen_state.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHANCES = 8,
	PER_DOMAIN_N = 213, /* names of a domain: 71,000 / 1,667 = 42.6 */
	PER_DOMAIN_D = 5,
	HOURS = 50, /* botnet: 24 before, 26 after */
	HOURS_BEFORE = 24,
	RETRY_US = 800000,
	SERVERS = 2,
};

#define ASKED_PER_S 4.98e-6 /* by each cache for each name: once in 55.8 hours */
#define NEGATIVE_TTL_S 900
#define REFERRAL_TTL_S 172800
#define STAGE_ASKED_PER_S 2.5e-3
#define STAGE_DATA_TTL_S 600
#define STAGE_NEGATIVE_TTL_S 150

struct stage {
	enum ft_gen_class class;
	uint32_t ttl_s; /* 0: nothing is cached */
	uint32_t tries; /* queries for each time that is asked */
	bool by_domain; /* what is cached is good for all names of the domain */
};

struct gen_botnet {
	uint32_t domains, stages, stage; /* stage: the current one; stages: none yet */
	const struct stage *plan;
	double asked_per_s; /* as it comes out: chances that are taken */
	uint64_t *held_us;  /* [clients][names]: until then the cache has an answer */
	uint8_t *asked;     /* [names] in this stage */
	uint32_t next_try;
	struct ft_gen_botnet truth;
};

static const struct stage switched[] = {
    {FT_GEN_NXDOMAIN, NEGATIVE_TTL_S, 1, false},
    {FT_GEN_REFERRAL, REFERRAL_TTL_S, 1, true},
};
static const struct stage staged[] = {
    {FT_GEN_DATA, STAGE_DATA_TTL_S, 1, false},
    {FT_GEN_NODATA, STAGE_NEGATIVE_TTL_S, 1, false},
    {FT_GEN_NXDOMAIN, STAGE_NEGATIVE_TTL_S, 1, false},
    {FT_GEN_SERVFAIL, 0, 3 * SERVERS, false},
    {FT_GEN_REFUSED, 0, SERVERS, false},
    {FT_GEN_TIMEOUT, 0, 2 * SERVERS, false},
};

static uint32_t first_name(uint32_t domain)
{
	return domain * PER_DOMAIN_N / PER_DOMAIN_D;
}

static uint32_t domain_of(uint32_t name)
{
	uint32_t d = name * PER_DOMAIN_D / PER_DOMAIN_N;

	while (first_name(d + 1) <= name)
		d++;
	return d;
}

/* How many times faster than in the world time goes. */
static double compression(const struct ft_gen_opts *o)
{
	return o->scenario == FT_GEN_BOTNET ? HOURS * 3600.0 / o->duration_s : 1;
}

uint64_t gen_botnet_pairs(const struct ft_gen_opts *o)
{
	const double asked = o->scenario == FT_GEN_BOTNET ? ASKED_PER_S : STAGE_ASKED_PER_S;

	return (uint64_t)(CHANCES * asked * compression(o) * o->duration_s * o->clients *
			  o->names) +
	       1;
}

static double ttl_of(const struct ft_gen *g, const struct stage *s)
{
	return s->ttl_s / compression(&g->opts);
}

/* On the wire: whole seconds. */
static uint32_t wire_ttl_s(const struct ft_gen *g, const struct stage *s)
{
	const double ttl = ttl_of(g, s) + 0.5;

	return ttl < 1 ? 1 : (uint32_t)ttl;
}

int gen_botnet_create(struct ft_gen *g)
{
	const struct ft_gen_opts *o = &g->opts;
	struct gen_botnet *b = calloc(1, sizeof(*b));

	if (!b)
		return -1;
	g->botnet = b;
	b->plan = o->scenario == FT_GEN_BOTNET ? switched : staged;
	b->stages = o->scenario == FT_GEN_BOTNET ? 2 : sizeof(staged) / sizeof(staged[0]);
	b->stage = b->stages;
	b->domains = domain_of(o->names - 1) + 1;
	b->asked_per_s =
	    (double)o->pairs / CHANCES / o->duration_s / ((double)o->clients * o->names);
	b->held_us = calloc((size_t)o->clients * o->names, sizeof(*b->held_us));
	b->asked = calloc(o->names, 1);
	return b->held_us && b->asked ? 0 : -1;
}

void gen_botnet_destroy(struct gen_botnet *b)
{
	if (!b)
		return;
	free(b->held_us);
	free(b->asked);
	free(b);
}

const struct ft_gen_botnet *gen_botnet_truth(const struct gen_botnet *b)
{
	return &b->truth;
}

/* What the model says a domain's names are asked for, in queries per second and domain. */
static double rate_of(const struct ft_gen *g, const struct stage *s)
{
	const double names = (double)g->opts.names / g->botnet->domains, ttl = ttl_of(g, s);
	const double asked = g->botnet->asked_per_s;

	if (s->by_domain)
		return g->opts.clients * asked * names / (1 + asked * names * ttl);
	return g->opts.clients * names * asked * s->tries / (1 + asked * ttl);
}

static void begin_truth(struct ft_gen *g, uint64_t begin_us, uint64_t end_us)
{
	struct gen_botnet *b = g->botnet;
	struct ft_gen_botnet_stage *t = &b->truth.stage[b->stage];
	const struct stage *s = &b->plan[b->stage];

	b->truth.stages = b->stage + 1;
	b->truth.domains = b->domains;
	b->truth.names = g->opts.names;
	t->class_of = s->class;
	t->ttl_s = s->ttl_s ? wire_ttl_s(g, s) : 0;
	t->begin_us = begin_us;
	t->end_us = end_us;
	t->model_qps = rate_of(g, s);
	t->multiplier = rate_of(g, s) / rate_of(g, b->plan);
	memset(b->asked, 0, g->opts.names);
}

/* The key that a cache holds a domain's delegation under is that of its first name. */
static uint64_t *key_of(struct ft_gen *g, uint32_t client, uint32_t name)
{
	if (g->botnet->plan[g->botnet->stage].by_domain)
		name = first_name(domain_of(name));
	return &g->botnet->held_us[(size_t)client * g->opts.names + name];
}

static void begin_stage(struct ft_gen *g, uint32_t stage, uint64_t begin_us, uint64_t end_us)
{
	struct gen_botnet *b = g->botnet;
	const struct stage *s = &b->plan[stage];
	const double names = s->by_domain ? (double)g->opts.names / b->domains : 1;
	const double lt = b->asked_per_s * names * ttl_of(g, s);
	const uint64_t share = (uint64_t)(lt / (1 + lt) * 4294967296.0);
	const uint64_t ttl_us = (uint64_t)(ttl_of(g, s) * 1e6);

	b->stage = stage;
	begin_truth(g, begin_us, end_us);
	for (size_t i = 0; i < (size_t)g->opts.clients * g->opts.names; i++) {
		const uint64_t x = gen_rng_next(&g->rng);
		b->held_us[i] = (x >> 32) < share
				    ? begin_us + (uint64_t)((x & 0xffffffff) * (ttl_us >> 16) >> 16)
				    : 0;
	}
}

static uint32_t put_label(struct gen_name *n, const char *stem, uint32_t number)
{
	const uint32_t begin = n->len++;
	char digits[10];
	unsigned k = 0;

	while (*stem)
		n->wire[n->len++] = (uint8_t)*stem++;
	do {
		digits[k++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (k > 0)
		n->wire[n->len++] = (uint8_t)digits[--k];
	n->wire[begin] = (uint8_t)(n->len - begin - 1);
	return begin;
}

static void put_name(struct gen_name *n, uint32_t name)
{
	const uint32_t d = domain_of(name);

	n->len = 0;
	n->is_reverse = false;
	(void)put_label(n, "c", name - first_name(d));
	n->zone_off = (uint8_t)put_label(n, "bot", d);
	n->tld_off = n->len;
	memcpy(n->wire + n->len, d % 2 ? "\3net" : "\3com", 5);
	n->len = (uint8_t)(n->len + 5);
}

static void put_ask(struct ft_gen *g, struct gen_ask *ask, uint32_t client, uint32_t name,
		    uint32_t try_number)
{
	gen_ask_init(g, ask, g->next_us);
	client++;
	ask->path.is_v6 = false;
	memset(&ask->path.client, 0, sizeof(ask->path.client));
	memset(&ask->path.server, 0, sizeof(ask->path.server));
	memcpy(ask->path.client.b,
	       (const uint8_t[4]){10, (uint8_t)(client >> 16), (uint8_t)(client >> 8),
				  (uint8_t)client},
	       4);
	memcpy(ask->path.server.b,
	       (const uint8_t[4]){192, 0, 2, (uint8_t)(1 + try_number % SERVERS)}, 4);
	ask->rd = false;
	ask->qtype = GEN_A;
	ask->has_question = true;
	put_name(&ask->name, name);
	ask->answer_h = gen_mix64(name);
}

static void put_reply(const struct ft_gen *g, struct gen_reply *reply, const struct stage *s)
{
	*reply =
	    (struct gen_reply){.aa = true, .rrs = 1, .ttl_s = wire_ttl_s(g, s), .is_sink = true};
	switch (s->class) {
	case FT_GEN_DATA: reply->shape = GEN_SHAPE_DATA; break;
	case FT_GEN_REFERRAL:
		reply->shape = GEN_SHAPE_REFERRAL;
		reply->rrs = SERVERS;
		reply->aa = false;
		break;
	case FT_GEN_NXDOMAIN:
	case FT_GEN_NODATA:
		reply->shape = GEN_SHAPE_NEGATIVE;
		reply->rcode = s->class == FT_GEN_NXDOMAIN ? 3 : 0;
		break;
	default:
		reply->shape = GEN_SHAPE_EMPTY;
		reply->rcode = s->class == FT_GEN_SERVFAIL ? 2 : 5;
		break;
	}
}

static void send_try(struct ft_gen *g, uint64_t ts_us, uint32_t client, uint32_t name, uint32_t i)
{
	struct gen_botnet *b = g->botnet;
	const struct stage *s = &b->plan[b->stage];
	struct gen_ask ask;
	struct gen_reply reply;

	put_ask(g, &ask, client, name, i);
	ask.ts_us = ts_us + i * (uint64_t)RETRY_US;
	gen_send_query(g, &ask);
	b->truth.stage[b->stage].queries++;
	b->truth.stage[b->stage].names += !b->asked[name];
	b->asked[name] = 1;
	if (s->class == FT_GEN_TIMEOUT) {
		gen_truth_timeout(&g->books, &ask);
		return;
	}
	put_reply(g, &reply, s);
	reply.ts_us = ask.ts_us + 2000 + gen_rng_below(&g->rng, 20000);
	gen_send_reply(g, &ask, &reply);
	gen_truth_pair(&g->books, &ask, &reply);
}

/* When a stage begins: botnet's two have 24 and 26 hours, the others are equal. */
static uint64_t stage_begin_us(const struct ft_gen *g, uint32_t stage)
{
	const double share = g->opts.scenario == FT_GEN_BOTNET
				 ? (stage == 0   ? 0
				    : stage == 1 ? HOURS_BEFORE / (double)HOURS
						 : 1)
				 : (double)stage / g->botnet->stages;

	return g->opts.start_us + (uint64_t)(share * g->opts.duration_s * 1e6);
}

void gen_botnet_step(struct ft_gen *g, uint64_t ts_us)
{
	struct gen_botnet *b = g->botnet;
	uint32_t stage = b->stage == b->stages ? 0 : b->stage;

	while (stage + 1 < b->stages && ts_us >= stage_begin_us(g, stage + 1))
		stage++;
	if (stage != b->stage)
		begin_stage(g, stage, stage_begin_us(g, stage), stage_begin_us(g, stage + 1));
	if (gen_rng_below(&g->rng, CHANCES) != 0)
		return;
	const struct stage *s = &b->plan[stage];
	const uint32_t client = gen_rng_below(&g->rng, g->opts.clients);
	const uint32_t name = gen_rng_below(&g->rng, g->opts.names);
	uint64_t *held_us = key_of(g, client, name);
	if (s->ttl_s != 0 && *held_us > ts_us)
		return;
	*held_us = ts_us + (uint64_t)(ttl_of(g, s) * 1e6);
	for (uint32_t i = 0; i < s->tries; i++)
		if (ts_us + i * (uint64_t)RETRY_US < b->truth.stage[stage].end_us)
			send_try(g, ts_us, client, name, i);
}

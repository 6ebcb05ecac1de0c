/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_state.h"

#include <errno.h>
#include <stdlib.h>

enum {
	DAY_S = 86400,
	DEFAULT_START_S = 1767225600, /* 2026-01-01T00:00:00Z */
	PAIRS_MOST = INT32_MAX,       /* ids and ports do not repeat below this */
	NAMES_MOST = INT32_MAX,
	CLIENTS_MOST = 1 << 24,
	SERVERS_MOST = 250,
	BOTNET_KEYS_MOST = 1 << 26,
	DURATION_MOST_S = 366 * DAY_S,
};

#define FLOOD                                                                                      \
	{                                                                                          \
		.pairs = 1000000, .duration_s = 120, .names = 20000, .clients = 2000, .servers = 8 \
	}
static const struct ft_gen_opts defaults[FT_GEN_SCENARIOS] = {
    [FT_GEN_MIX] =
	{.pairs = 1000000, .duration_s = 600, .names = 5000000, .clients = 100000, .servers = 8},
    [FT_GEN_FLOOD] =
	{.pairs = 2000000, .duration_s = 600, .names = 5000000, .clients = 100000, .servers = 8},
    [FT_GEN_ZOO] =
	{.pairs = 20000, .duration_s = 300, .names = 20000, .clients = 2000, .servers = 8},
    [FT_GEN_CNAME_FLUX] =
	{.pairs = 400000, .duration_s = DAY_S, .names = 160000, .clients = 100000, .servers = 5},
    [FT_GEN_IP_FLUX] = {.pairs = 1170, .duration_s = 3600, .names = 1, .clients = 4, .servers = 8},
    [FT_GEN_DGA] =
	{.pairs = 60000, .duration_s = 600, .names = 100000, .clients = 2000, .servers = 4},
    [FT_GEN_KUMAMOTO] =
	{.pairs = DAY_S, .duration_s = DAY_S, .names = 20000, .clients = 5, .servers = 2},
    [FT_GEN_ERRORS] = {.pairs = 20000, .duration_s = 180, .names = 1, .clients = 200, .servers = 4},
    [FT_GEN_COOKIES] =
	{.pairs = 100000, .duration_s = 900, .names = 1, .clients = 200, .servers = 100},
    [FT_GEN_HIJACK] = {.pairs = 21600, .duration_s = 21600, .names = 1, .clients = 8, .servers = 1},
    [FT_GEN_NAME_SERVERS] =
	{.pairs = 80000, .duration_s = 900, .names = 1, .clients = 200, .servers = 8},
    [FT_GEN_CARRY] = {.pairs = 1900, .duration_s = 600, .names = 1, .clients = 1, .servers = 8},
    [FT_GEN_CACHES] = {.pairs = 3600, .duration_s = 3600, .names = 1, .clients = 5, .servers = 5},
    [FT_GEN_TUNNELS] =
	{.pairs = 1200, .duration_s = 50, .names = 20000, .clients = 200, .servers = 4},
    [FT_GEN_SYN_FLOOD] = FLOOD,
    [FT_GEN_FRAGMENT_FLOOD] = FLOOD,
    [FT_GEN_NAME_FLOOD] = FLOOD,
    [FT_GEN_TINY_FLOOD] = FLOOD,
    [FT_GEN_STRANGER_FLOOD] = FLOOD,
    [FT_GEN_BOTNET] = {.duration_s = 180000, .names = 852, .clients = 1065, .servers = 2},
    [FT_GEN_BOTNET_STAGES] = {.duration_s = 21600, .names = 43, .clients = 20, .servers = 2},
};

void ft_gen_opts_fill(struct ft_gen_opts *o)
{
	const struct ft_gen_opts *d;

	if ((unsigned)o->scenario >= FT_GEN_SCENARIOS)
		return;
	d = &defaults[o->scenario];
	if (o->duration_s == 0)
		o->duration_s = d->duration_s;
	if (o->start_us == 0)
		o->start_us = DEFAULT_START_S * UINT64_C(1000000);
	if (o->interval_s == 0)
		o->interval_s = 60;
	if (o->names == 0)
		o->names = d->names;
	if (o->clients == 0)
		o->clients = d->clients;
	if (o->servers == 0)
		o->servers = d->servers;
	if (o->pairs == 0)
		o->pairs = d->pairs != 0 ? d->pairs : gen_botnet_pairs(o);
}

const char *ft_gen_opts_check(const struct ft_gen_opts *o)
{
	if ((unsigned)o->scenario >= FT_GEN_SCENARIOS)
		return "scenario: one of mix, flood, zoo, cname-flux, ip-flux, botnet, "
		       "botnet-stages, errors, dga, kumamoto, cookies, servers, transport, hijack, "
		       "caches, tunnels, "
		       "syn-flood, fragment-flood, name-flood, tiny-flood";
	if (o->pairs < 1 || o->pairs > PAIRS_MOST)
		return "pairs: 1 to 2147483647";
	if (!(o->duration_s >= 0.000001 && o->duration_s <= DURATION_MOST_S))
		return "duration: 0.000001 to 31622400 s";
	if (o->scenario == FT_GEN_CACHES && o->duration_s > DAY_S)
		return "duration: of caches up to 86400 s";
	if (o->start_us > UINT64_C(4294967295) * 1000000)
		return "start: seconds since 1970, below 2^32";
	if (o->interval_s < 1 || DAY_S % o->interval_s != 0)
		return "interval: whole seconds that divide 86400";
	if (o->names < 1 || o->names > NAMES_MOST)
		return "names: 1 to 2147483647";
	if (o->clients < 1 || o->clients > CLIENTS_MOST)
		return "clients: 1 to 16777216";
	if ((o->scenario == FT_GEN_BOTNET || o->scenario == FT_GEN_BOTNET_STAGES) &&
	    (uint64_t)o->names * o->clients > BOTNET_KEYS_MOST)
		return "names: names times clients at most 2^26";
	if (o->servers < 1 || o->servers > SERVERS_MOST)
		return "servers: 1 to 250";
	return NULL;
}

static bool is_botnet(const struct ft_gen *g)
{
	return g->opts.scenario == FT_GEN_BOTNET || g->opts.scenario == FT_GEN_BOTNET_STAGES;
}

struct ft_gen *ft_gen_create(const struct ft_gen_opts *o)
{
	struct ft_gen *g = calloc(1, sizeof(*g));
	uint64_t duration_us;

	if (!g)
		return NULL;
	g->opts = *o;
	ft_gen_opts_fill(&g->opts);
	if (ft_gen_opts_check(&g->opts)) {
		free(g);
		errno = EINVAL;
		return NULL;
	}
	g->l4 = malloc(GEN_L4_CAP);
	if (!g->l4) {
		free(g);
		errno = ENOMEM;
		return NULL;
	}
	if (g->opts.scenario == FT_GEN_CNAME_FLUX && gen_flux_init(g) != 0) {
		free(g->l4);
		free(g);
		errno = ENOMEM;
		return NULL;
	}
	gen_rng_init(&g->rng, g->opts.seed);
	gen_queue_init(&g->queue);
	gen_truth_init(&g->books, g->opts.truth, g->opts.interval_s, g->opts.start_us);
	g->totals = &g->books.truth.totals;
	if (g->opts.scenario == FT_GEN_TUNNELS)
		gen_tunnels_init(g);
	g->id_salt = (uint32_t)gen_mix64(~g->opts.seed);
	duration_us = (uint64_t)(g->opts.duration_s * 1e6 + 0.5);
	g->step_us = duration_us / g->opts.pairs;
	g->step_rest = duration_us % g->opts.pairs;
	g->next_us = g->opts.start_us;
	if ((is_botnet(g) && gen_botnet_create(g) != 0) ||
	    (g->opts.scenario == FT_GEN_KUMAMOTO && gen_kumamoto_init(g) != 0) ||
	    (g->opts.scenario == FT_GEN_ERRORS && gen_errors_init(g) != 0) ||
	    (g->opts.scenario == FT_GEN_COOKIES && gen_cookies_init(g) != 0) ||
	    (g->opts.scenario == FT_GEN_CARRY && gen_transport_init(g) != 0) ||
	    (g->opts.scenario == FT_GEN_HIJACK && gen_hijack_init(g) != 0) ||
	    (g->opts.scenario == FT_GEN_CACHES && gen_caches_init(g) != 0) ||
	    (g->opts.scenario == FT_GEN_NAME_SERVERS && gen_servers_init(g) != 0)) {
		ft_gen_destroy(g);
		errno = ENOMEM;
		return NULL;
	}
	return g;
}

void ft_gen_destroy(struct ft_gen *g)
{
	if (!g)
		return;
	gen_queue_fini(&g->queue);
	gen_truth_fini(&g->books);
	gen_flux_fini(g);
	gen_errors_fini(g);
	gen_servers_fini(g);
	gen_transport_fini(g);
	gen_hijack_fini(g);
	gen_caches_fini(g);
	gen_cookies_fini(g);
	gen_kumamoto_fini(g);
	gen_botnet_destroy(g->botnet);
	free(g->l4);
	free(g);
}

/* Each transaction begins somewhere in its own part of the duration. */
static uint64_t begin_us(struct ft_gen *g)
{
	uint64_t at_us =
	    g->opts.start_us + g->at * g->step_us + g->at * g->step_rest / g->opts.pairs;

	/* A plan by seconds keeps to them. */
	if (g->step_us > 0 && g->kumamoto == NULL)
		at_us += gen_rng_next(&g->rng) % g->step_us;
	return at_us;
}

static void step(struct ft_gen *g)
{
	uint64_t now_us = g->next_us;

	if (g->opts.scenario == FT_GEN_ZOO)
		gen_zoo_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_CNAME_FLUX)
		gen_flux_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_IP_FLUX)
		gen_ip_flux_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_ERRORS)
		gen_errors_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_COOKIES)
		gen_cookies_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_HIJACK)
		gen_hijack_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_CACHES)
		gen_caches_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_NAME_SERVERS)
		gen_servers_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_CARRY)
		gen_transport_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_DGA)
		gen_dga_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_KUMAMOTO)
		gen_kumamoto_step(g, now_us);
	else if (g->opts.scenario == FT_GEN_TUNNELS)
		gen_tunnels_step(g, now_us);
	else if (g->opts.scenario >= FT_GEN_SYN_FLOOD)
		gen_floods_step(g, now_us);
	else if (is_botnet(g))
		gen_botnet_step(g, now_us);
	else
		gen_mix_step(g, now_us);
	g->at++;
	if (g->at < g->opts.pairs)
		g->next_us = begin_us(g);
}

int ft_gen_next(struct ft_gen *g, struct ft_gen_frame *f)
{
	if (g->lent) {
		gen_queue_put(&g->queue, g->lent);
		g->lent = NULL;
	}
	while (g->at < g->opts.pairs && !g->is_short_of_memory &&
	       (g->queue.len == 0 || g->queue.heap[0].ts_us > g->next_us))
		step(g);
	if (g->is_short_of_memory)
		return -ENOMEM;
	if (g->queue.len == 0) {
		int r = gen_flux_close(g, &g->books.truth);

		if (r == 0 && g->books.truth.errors == NULL)
			r = gen_errors_close(g, &g->books.truth);
		if (r == 0 && g->books.truth.servers == NULL)
			r = gen_servers_close(g, &g->books.truth);
		gen_cookies_close(g, &g->books.truth);
		gen_transport_close(g, &g->books.truth);
		gen_hijack_close(g, &g->books.truth);
		gen_caches_close(g, &g->books.truth);
		return r ? r : gen_truth_close(&g->books);
	}
	g->lent = gen_queue_pop(&g->queue, &f->ts_us);
	f->data = g->lent->data;
	f->len = g->lent->len;
	return 1;
}

const struct ft_gen_truth *ft_gen_truth_get(struct ft_gen *g)
{
	if (g->botnet)
		g->books.truth.botnet = *gen_botnet_truth(g->botnet);
	return g->books.is_closed ? &g->books.truth : NULL;
}

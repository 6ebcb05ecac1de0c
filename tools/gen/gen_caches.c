/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `caches`: a monitor asks five resolvers for two watched records, each every ten
 * seconds: 1, 4 and 16 caches, one that gives random TTLs, one that stretches them. Beside it
 * snoopers of each class, and a health check that is none. Truth: fills that took place, those
 * an answer came from, those of one second, which no tap can tell apart; queries by window.
 *
 * Caches count in whole seconds, and no two fills of a resolver are one or two seconds apart, so
 * that what a probe can see is known exactly. Books are of one UTC day. */
#include "gen_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	RTT_US = 5000,
	SECOND = 1000000,
	TTL_S = 300,
	STALE_S = 30,
	APART_S = 3,
	CACHES_MOST = 16,
	RESOLVERS = FT_GEN_CACHE_LINES / FT_GEN_CACHE_WATCHED,
	WINDOW_S = 600,
	NAMES = 14,
	BURST_AT = 100, /* steps of a TARGETED client: one of class CH, then its questions */
	BURST = 60,
};

static const struct {
	uint8_t caches;
	bool randomises, stretches;
} resolvers[RESOLVERS] = {
    {1, false, false}, {4, false, false}, {16, false, false}, {0, true, false}, {1, false, true}};

/* The first are watched. */
static const char *const names[NAMES] = {
    "www.shop.example.", "mail.shop.example.", "a.example.net.", "b.example.net.", "c.example.net.",
    "d.example.net.",    "e.example.net.",     "f.example.net.", "g.example.net.", "h.example.net.",
    "i.example.net.",    "j.example.net.",     "k.example.net.", "id.server."};

/* One in so many seconds somebody asks a cache for it, in 1/10,000. */
static const uint32_t demand[FT_GEN_CACHE_WATCHED] = {125, 400};

static const char *const watch[] = {"www.shop.example A", "mail.shop.example A", NULL};

enum client { MONITOR, SNOOPER, PERIODIC, TARGETED, HEALTH, CLIENTS };
static const char *const classes[CLIENTS] = {"SNOOPER", "SNOOPER", "PERIODIC", "TARGETED", NULL};

struct cache {
	uint64_t end_s, next_s; /* end 0: it has not been filled yet */
	uint64_t idle_s;        /* of the fill it has now */
};

/* Fills that run out in one second. */
struct draw {
	uint64_t end_s;
	uint64_t first_us, x_min_us; /* of answers: the first, the least t + ttl */
	uint32_t seen;               /* caches that have answered, bits */
};

struct line {
	struct cache cache[CACHES_MOST];
	struct draw *draw; /* those with an answer, by end_s */
	size_t draws, cap;
	uint64_t said_s; /* TTLs that were given in this second */
	uint32_t said[TTL_S / 32 + 1];
	bool begun;
};

struct gen_caches {
	struct ft_gen_caches sum;
	struct line line[FT_GEN_CACHE_LINES];
	struct ft_gen_snooper *window; /* [windows][CLIENTS] */
	uint64_t first_window;
	size_t windows;
};

/* --- caches --- */

static uint64_t users_ask_s(struct gen_rng *r, unsigned line)
{
	uint64_t s = 0;

	while (!gen_rng_chance(r, demand[line / RESOLVERS]))
		s++;
	return s;
}

static bool is_too_near(const struct line *l, unsigned caches, uint64_t end_s)
{
	for (unsigned i = 0; i < caches; i++) {
		const uint64_t other_s = l->cache[i].end_s;
		if (other_s != end_s && other_s + APART_S > end_s)
			return true;
	}
	return false;
}

/* Fills what users have asked for until now, in the order of time. */
static void fill(struct ft_gen *g, unsigned line, uint64_t now_s)
{
	struct line *l = &g->caches->line[line];
	const unsigned caches = resolvers[line % RESOLVERS].caches;

	for (;;) {
		struct cache *c = &l->cache[0];
		for (unsigned i = 1; i < caches; i++)
			if (l->cache[i].next_s < c->next_s)
				c = &l->cache[i];
		if (c->next_s > now_s)
			return;
		if (is_too_near(l, caches, c->next_s + TTL_S)) {
			c->next_s++;
			continue;
		}
		c->idle_s = c->end_s != 0 ? c->next_s - c->end_s : UINT64_MAX;
		c->end_s = c->next_s + TTL_S;
		c->next_s = c->end_s + users_ask_s(&g->rng, line);
		g->caches->sum.line[line].fills++;
	}
}

/* The first question comes with a user's, so that the whole TTL is known. */
static void begin_line(struct ft_gen *g, unsigned line, unsigned asked, uint64_t now_s)
{
	struct line *l = &g->caches->line[line];

	for (unsigned i = 0; i < CACHES_MOST; i++)
		l->cache[i].next_s =
		    now_s + (i == asked ? 0 : APART_S + users_ask_s(&g->rng, line));
	l->begun = true;
}

/* An answer out of cache number `from`. */
static void note_draw(struct ft_gen *g, unsigned line, unsigned from, uint64_t t_us, uint32_t ttl_s)
{
	struct line *l = &g->caches->line[line];
	struct ft_gen_cache_line *sum = &g->caches->sum.line[line];
	const struct cache *c = &l->cache[from];
	size_t at = l->draws;

	while (at > 0 && l->draw[at - 1].end_s > c->end_s)
		at--;
	if (at == 0 || l->draw[at - 1].end_s != c->end_s) {
		assert(l->draws < l->cap);
		memmove(&l->draw[at + 1], &l->draw[at], (l->draws - at) * sizeof(*l->draw));
		l->draw[at] = (struct draw){c->end_s, t_us, UINT64_MAX, 0};
		l->draws++;
		at++;
	}
	struct draw *d = &l->draw[at - 1];
	if (t_us + (uint64_t)ttl_s * SECOND < d->x_min_us)
		d->x_min_us = t_us + (uint64_t)ttl_s * SECOND;
	if ((d->seen >> from & 1) != 0)
		return;
	sum->seen++;
	sum->collisions += d->seen != 0;
	d->seen |= 1u << from;
	if (c->idle_s != UINT64_MAX) {
		sum->idles++;
		sum->idle_s += c->idle_s;
	}
}

/* The TTL of the answer that leaves at t_us; 0: the resolver has none. */
static uint32_t look_up(struct ft_gen *g, unsigned line, uint64_t t_us)
{
	const unsigned caches = resolvers[line % RESOLVERS].caches;
	const uint64_t now_s = t_us / SECOND;
	struct line *l = &g->caches->line[line];
	struct ft_gen_cache_line *sum = &g->caches->sum.line[line];
	const unsigned from = gen_rng_below(&g->rng, caches != 0 ? caches : 1);
	uint32_t ttl_s;

	if (!l->begun)
		begin_line(g, line, from, now_s);
	if (caches != 0)
		fill(g, line, now_s);
	const uint64_t end_s = l->cache[from].end_s;
	if (sum->randomised)
		ttl_s = 1 + gen_rng_below(&g->rng, TTL_S);
	else if (end_s > now_s)
		ttl_s = (uint32_t)(end_s - now_s);
	else
		ttl_s = sum->stretched ? STALE_S : 0;
	if (l->said_s != now_s)
		memset(l->said, 0, sizeof(l->said));
	l->said_s = now_s;
	if (ttl_s == 0)
		return 0;
	/* The same again in one second says nothing new. */
	sum->answers += (l->said[ttl_s / 32] >> ttl_s % 32 & 1) == 0;
	l->said[ttl_s / 32] |= 1u << ttl_s % 32;
	if (ttl_s > sum->ttl_max_s)
		sum->ttl_max_s = ttl_s;
	if (end_s > now_s)
		note_draw(g, line, from, t_us, ttl_s);
	return ttl_s;
}

/* --- questions --- */

static void note_query(struct ft_gen *g, enum client client, unsigned name, uint64_t ts_us,
		       bool hit)
{
	const uint64_t window = ts_us / SECOND / WINDOW_S;
	struct gen_caches *k = g->caches;

	assert(window - k->first_window < k->windows);
	struct ft_gen_snooper *w = &k->window[(window - k->first_window) * CLIENTS + client];
	w->start_s = window * WINDOW_S;
	if (name == NAMES - 1) {
		w->chaos++;
		return;
	}
	w->rd0++;
	w->hits += hit;
	w->name_bits |= 1u << name;
}

static void ask(struct ft_gen *g, uint64_t ts_us, enum client client, unsigned name,
		unsigned server)
{
	const bool chaos = name == NAMES - 1;
	struct gen_ask q;
	struct gen_reply r = {.ts_us = ts_us + RTT_US, .rrs = 1, .ra = true};

	gen_ask_init(g, &q, ts_us);
	q.path.is_v6 = false;
	memset(&q.path.client, 0, sizeof(q.path.client));
	memset(&q.path.server, 0, sizeof(q.path.server));
	memcpy(q.path.client.b, (const uint8_t[4]){198, 51, 100, (uint8_t)(1 + client)}, 4);
	memcpy(q.path.server.b, (const uint8_t[4]){192, 0, 2, (uint8_t)(1 + server)}, 4);
	gen_name_text(&q.name, names[name]);
	q.answer_h = gen_mix64(name);
	q.qtype = chaos ? GEN_TXT : GEN_A;
	q.qclass = chaos ? 3 : 1;
	q.has_question = true;
	q.rd = false;
	if (name < FT_GEN_CACHE_WATCHED)
		r.ttl_s = look_up(g, name * RESOLVERS + server, r.ts_us);
	else if (chaos || gen_rng_chance(&g->rng, 6000))
		r.ttl_s = 1 + gen_rng_below(&g->rng, 3600);
	r.shape = r.ttl_s != 0 ? GEN_SHAPE_DATA : GEN_SHAPE_EMPTY;
	note_query(g, client, name, ts_us, r.ttl_s != 0);
	gen_send_query(g, &q);
	gen_send_reply(g, &q, &r);
	gen_truth_pair(&g->books, &q, &r);
}

static unsigned draw_other(struct ft_gen *g)
{
	return FT_GEN_CACHE_WATCHED + gen_rng_below(&g->rng, NAMES - 1 - FT_GEN_CACHE_WATCHED);
}

/* Lines are asked by turns; its own step of ten is left to each of the others. */
void gen_caches_step(struct ft_gen *g, uint64_t ts_us)
{
	const unsigned line = (unsigned)(g->at % FT_GEN_CACHE_LINES);
	const unsigned burst = (unsigned)(g->at % WINDOW_S);
	const unsigned server = gen_rng_below(&g->rng, RESOLVERS);

	ask(g, ts_us, MONITOR, line / RESOLVERS, line % RESOLVERS);
	if (line == 2)
		ask(g, ts_us, MONITOR, draw_other(g), server);
	if (line == 3)
		ask(g, ts_us, PERIODIC, FT_GEN_CACHE_WATCHED + (unsigned)(g->at / 10 % 7), server);
	if (line == 7)
		ask(g, ts_us, HEALTH, FT_GEN_CACHE_WATCHED, server);
	if (gen_rng_chance(&g->rng, 800))
		ask(g, ts_us, SNOOPER, draw_other(g), server);
	if (burst == BURST_AT)
		ask(g, ts_us, TARGETED, NAMES - 1, server);
	else if (burst > BURST_AT && burst <= BURST_AT + BURST)
		ask(g, ts_us, TARGETED,
		    burst % 10 == 0 ? gen_rng_below(&g->rng, FT_GEN_CACHE_WATCHED) : draw_other(g),
		    server);
}

int gen_caches_init(struct ft_gen *g)
{
	const uint64_t run_s = (uint64_t)g->opts.duration_s + 2;
	struct gen_caches *k = g->caches = calloc(1, sizeof(*k));

	if (k == NULL)
		return -ENOMEM;
	k->first_window = g->opts.start_us / SECOND / WINDOW_S;
	k->windows = (size_t)(run_s / WINDOW_S) + 2;
	k->window = calloc(k->windows * CLIENTS, sizeof(*k->window));
	if (k->window == NULL)
		return -ENOMEM;
	k->sum.watch = watch;
	for (unsigned i = 0; i < FT_GEN_CACHE_LINES; i++) {
		const unsigned server = i % RESOLVERS, caches = resolvers[server].caches;
		struct ft_gen_cache_line *sum = &k->sum.line[i];
		sum->owner = names[i / RESOLVERS];
		sum->caches = caches;
		sum->randomised = resolvers[server].randomises;
		sum->stretched = resolvers[server].stretches;
		sum->server[3] = (uint8_t)(1 + server);
		memcpy(sum->server, (const uint8_t[3]){192, 0, 2}, 3);
		k->line[i].cap = (size_t)(run_s / TTL_S + 2) * (caches + 1);
		k->line[i].draw = calloc(k->line[i].cap, sizeof(struct draw));
		if (k->line[i].draw == NULL)
			return -ENOMEM;
	}
	static_assert(FT_GEN_CACHE_LINES == RESOLVERS * FT_GEN_CACHE_WATCHED, "all of them");
	return 0;
}

void gen_caches_fini(struct ft_gen *g)
{
	if (g->caches == NULL)
		return;
	for (unsigned i = 0; i < FT_GEN_CACHE_LINES; i++)
		free(g->caches->line[i].draw);
	free(g->caches->window);
	free(g->caches);
}

/* Most at one time: a line lives from its first answer to a second before its end. */
static uint64_t most_live(const struct line *l)
{
	uint64_t most = 0;

	for (size_t i = 0; i < l->draws; i++) {
		uint64_t live = 1;
		for (size_t k = 0; k < l->draws; k++)
			live += k != i && l->draw[k].first_us <= l->draw[i].first_us &&
				l->draw[i].first_us + SECOND < l->draw[k].x_min_us;
		most = live > most ? live : most;
	}
	return most;
}

void gen_caches_close(struct ft_gen *g, struct ft_gen_truth *truth)
{
	struct gen_caches *k = g->caches;
	size_t n = 0;

	if (k == NULL || truth->caches != NULL)
		return;
	for (unsigned i = 0; i < FT_GEN_CACHE_LINES; i++)
		k->sum.line[i].live = most_live(&k->line[i]);
	for (size_t i = 0; i < k->windows * CLIENTS; i++) {
		struct ft_gen_snooper w = k->window[i];
		const unsigned client = (unsigned)(i % CLIENTS);
		const bool watched = (w.name_bits & ((1u << FT_GEN_CACHE_WATCHED) - 1)) != 0;
		w.names = (uint32_t)__builtin_popcount(w.name_bits);
		if (w.rd0 < 10 || w.names < 5 || classes[client] == NULL)
			continue;
		w.class = watched ? "TARGETED" : classes[client];
		w.is_monitor = client == MONITOR;
		memcpy(w.client, (const uint8_t[4]){198, 51, 100, (uint8_t)(1 + client)}, 4);
		k->window[n++] = w;
	}
	k->sum.snooper = k->window;
	k->sum.snoopers = n;
	truth->caches = &k->sum;
}

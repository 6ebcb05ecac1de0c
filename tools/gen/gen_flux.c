/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_rdata.h"
#include "gen_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A day of CNAME owners behind caching resolvers. Each resolver fetches an owner again as soon as
 * its TTL has run out, and serves what it has with what is left of the TTL. Most owners have one
 * target; the planted ones change theirs at the authority, or have one for each resolver.
 */
enum {
	DAY_S = 86400,
	PLANTED_EVERY = 50,     /* of the transactions one is for a planted owner */
	PLANTED_OWNERS = 80000, /* one of each kind among so many owners, and at least two */
	FLUX_CHANGES_LEAST = 8,
	FLUX_CHANGES_SPREAD = 40,
	QUIET_CHANGES = 7,
	TARGET_MOST = 12,
	HOSTS = 1000, /* plain targets */
};

struct flux_seen {
	uint32_t owner, second;
	uint8_t resolver, target;
};

struct gen_flux {
	struct flux_seen *seen;
	size_t len, cap;
	struct ft_gen_flux *rows;
};

static uint32_t planted_of(const struct ft_gen *g)
{
	uint32_t each = g->opts.names / PLANTED_OWNERS;

	return (each < 2 ? 2 : each) * FT_GEN_FLUX_KINDS;
}

static enum ft_gen_flux_kind kind_of(uint32_t planted)
{
	return (enum ft_gen_flux_kind)(planted % FT_GEN_FLUX_KINDS);
}

static uint64_t hash_of(const struct ft_gen *g, uint32_t planted, uint32_t what)
{
	return gen_mix64(gen_mix64(g->opts.seed ^ (uint64_t)what << 32) + planted);
}

/* What the authority says, and for how long. */
static uint32_t planted_ttl_s(const struct ft_gen *g, uint32_t planted)
{
	static const uint32_t ttls[4] = {10, 60, 300, 600};

	return kind_of(planted) == FT_GEN_FLUX_LONG ? DAY_S : ttls[hash_of(g, planted, 1) & 3];
}

static uint8_t planted_target(const struct ft_gen *g, uint32_t planted, uint32_t resolver,
			      uint64_t at_s)
{
	uint64_t changes = QUIET_CHANGES;
	uint64_t targets = 2 + hash_of(g, planted, 2) % (TARGET_MOST - 1);

	if (kind_of(planted) == FT_GEN_FLUX_GEO)
		return (uint8_t)resolver;
	if (kind_of(planted) != FT_GEN_FLUX_QUIET)
		changes = FLUX_CHANGES_LEAST + hash_of(g, planted, 3) % FLUX_CHANGES_SPREAD;
	uint64_t begin_s = g->opts.start_us / 1000000;
	uint64_t since_s = at_s > begin_s ? at_s - begin_s : 0;

	return (uint8_t)(since_s * (changes + 1) / DAY_S % targets);
}

static void write_name(uint8_t *wire, uint8_t *len, const char *text)
{
	uint8_t *label = wire;
	uint8_t n = 1;

	for (; *text; text++, n++) {
		wire[n] = (uint8_t)*text;
		if (*text != '.')
			continue;
		*label = (uint8_t)(wire + n - label - 1);
		label = wire + n;
	}
	*label = 0; /* texts end with a dot */
	*len = n;
}

static void planted_name(uint32_t planted, char *text, size_t cap)
{
	snprintf(text, cap, "p%u.site%u.org.", (unsigned)planted, (unsigned)planted / 3);
}

static void planted_target_name(uint32_t planted, uint8_t target, char *text, size_t cap)
{
	if (kind_of(planted) == FT_GEN_FLUX_LB)
		snprintf(text, cap, "lb%u.pool%u.net.", target, (unsigned)planted);
	else
		snprintf(text, cap, "e%u.x%u-%u.net.", target, (unsigned)planted, target);
}

static void note(struct ft_gen *g, uint32_t planted, uint64_t us, uint32_t resolver, uint8_t target)
{
	struct gen_flux *f = g->flux;

	if (f->len == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 4096;
		struct flux_seen *seen = realloc(f->seen, cap * sizeof(*seen));

		if (!seen) {
			g->is_short_of_memory = true;
			return;
		}
		f->seen = seen;
		f->cap = cap;
	}
	f->seen[f->len++] =
	    (struct flux_seen){planted, (uint32_t)(us / 1000000), (uint8_t)resolver, target};
}

static void begin(struct ft_gen *g, struct gen_ask *ask, uint64_t ts_us, uint32_t resolver)
{
	uint32_t stub = gen_rng_below(&g->rng, g->opts.clients);

	gen_ask_init(g, ask, ts_us);
	ask->path.is_v6 = false;
	memset(&ask->path.client, 0, sizeof(ask->path.client));
	memset(&ask->path.server, 0, sizeof(ask->path.server));
	memcpy(ask->path.client.b,
	       (const uint8_t[4]){10, (uint8_t)(stub >> 16), (uint8_t)(stub >> 8), (uint8_t)stub},
	       4);
	memcpy(ask->path.server.b, (const uint8_t[4]){192, 0, 2, (uint8_t)(resolver + 1)}, 4);
	ask->qtype = GEN_A;
	ask->has_question = true;
}

/* The second in which the resolver fetched what it has. */
static uint64_t fetched_s(uint64_t phase, uint32_t ttl_s, uint64_t at_s)
{
	return at_s - (at_s + phase % ttl_s) % ttl_s;
}

static void ask_for(struct ft_gen *g, uint64_t ts_us, const char *owner, uint32_t planted,
		    uint64_t plain)
{
	uint32_t resolver = gen_rng_below(&g->rng, g->opts.servers);
	bool is_planted = planted != UINT32_MAX;
	uint32_t ttl_s = is_planted ? planted_ttl_s(g, planted) : 60u << (plain % 7);
	uint8_t name[GEN_NAME_CAP], name_len, target = 0;
	struct gen_ask ask;
	struct gen_reply reply = {.ra = true, .shape = GEN_SHAPE_CNAME_ONLY, .target = name};
	char text[64];

	begin(g, &ask, ts_us, resolver);
	write_name(ask.name.wire, &ask.name.len, owner);
	ask.name.zone_off = ask.name.tld_off = (uint8_t)(ask.name.len - 1);
	ask.name.is_reverse = false;
	gen_send_query(g, &ask);
	reply.ts_us = ask.ts_us + gen_rng_rtt_us(&g->rng);
	uint64_t at_s = reply.ts_us / 1000000;
	uint64_t phase = gen_mix64((is_planted ? planted : ~plain) ^ (uint64_t)resolver << 40);
	uint64_t fetch_s = fetched_s(phase, ttl_s, at_s);

	if (is_planted) {
		target = planted_target(g, planted, resolver, fetch_s);
		planted_target_name(planted, target, text, sizeof(text));
	} else {
		snprintf(text, sizeof(text), "h%u.hosting.com.", (unsigned)(plain % HOSTS));
	}
	write_name(name, &name_len, text);
	reply.target_len = name_len;
	reply.target_ttl_s = (uint32_t)(fetch_s + ttl_s - at_s);
	gen_send_reply(g, &ask, &reply);
	gen_truth_pair(&g->books, &ask, &reply);
	if (is_planted && g->opts.truth)
		note(g, planted, reply.ts_us, resolver, target);
}

void gen_flux_step(struct ft_gen *g, uint64_t ts_us)
{
	uint32_t planted = planted_of(g);
	uint32_t plain = g->opts.names > planted ? g->opts.names - planted : 1;
	char owner[64];

	if (g->at % PLANTED_EVERY == 0) {
		uint32_t k = (uint32_t)(g->at / PLANTED_EVERY % planted);

		planted_name(k, owner, sizeof(owner));
		ask_for(g, ts_us, owner, k, 0);
		return;
	}
	/* All owners in turn, in an order that is no order of names. */
	uint64_t n = (g->at - g->at / PLANTED_EVERY - 1) % plain * UINT64_C(7919) % plain;

	snprintf(owner, sizeof(owner), "w%u.d%u.com.", (unsigned)n, (unsigned)n / 7);
	ask_for(g, ts_us, owner, UINT32_MAX, n);
}

/* --- the truth: counted from what was sent --- */

static int order_seen(const void *left, const void *right)
{
	const struct flux_seen *a = left, *b = right;
	uint32_t day_a = a->second / DAY_S, day_b = b->second / DAY_S;

	if (a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	if (day_a != day_b)
		return day_a < day_b ? -1 : 1;
	return (a->second > b->second) - (a->second < b->second);
}

/* The target that comes first of those left in a second: by the octets of its name. */
static int first_of(uint32_t owner, const bool *there)
{
	char best[64] = "", text[64];
	int first = -1;

	for (int t = 0; t < 256; t++) {
		uint8_t wire[GEN_NAME_CAP], len;

		if (!there[t])
			continue;
		planted_target_name(owner, (uint8_t)t, text, sizeof(text));
		write_name(wire, &len, text);
		if (first < 0 || memcmp(wire, best, len) < 0) {
			memcpy(best, wire, len);
			first = t;
		}
	}
	return first;
}

/* Changes among observations in order of seconds, of one resolver or (-1) of all. */
static uint32_t changes(const struct flux_seen *s, size_t n, int resolver)
{
	uint32_t count = 0;
	int last = -1;

	for (size_t i = 0; i < n;) {
		bool there[256] = {false};
		uint32_t second = s[i].second;

		for (; i < n && s[i].second == second; i++)
			if (resolver < 0 || s[i].resolver == resolver)
				there[s[i].target] = true;
		if (last >= 0)
			there[last] = false; /* it goes first, and is no change */
		for (int t; (t = first_of(s->owner, there)) >= 0; last = t) {
			there[t] = false;
			count += last >= 0;
		}
	}
	return count;
}

static void count_row(const struct flux_seen *s, size_t n, struct ft_gen_flux *row)
{
	bool resolver[256] = {false}, target[256] = {false};

	planted_name(s->owner, row->owner, sizeof(row->owner));
	row->kind = kind_of(s->owner);
	row->start_s = s->second / DAY_S * DAY_S;
	row->trans = changes(s, n, -1);
	for (size_t i = 0; i < n; i++) {
		row->views += !resolver[s[i].resolver];
		row->targets += !target[s[i].target];
		resolver[s[i].resolver] = target[s[i].target] = true;
	}
	for (int r = 0; r < 256; r++) {
		uint32_t one = resolver[r] ? changes(s, n, r) : 0;

		row->vtrans = one > row->vtrans ? one : row->vtrans;
	}
}

int gen_flux_close(struct ft_gen *g, struct ft_gen_truth *truth)
{
	struct gen_flux *f = g->flux;
	size_t rows = 0;

	if (!f || f->rows || !g->opts.truth)
		return 0;
	if (f->len)
		qsort(f->seen, f->len, sizeof(*f->seen), order_seen);
	f->rows = calloc(f->len + 1, sizeof(*f->rows));
	if (!f->rows)
		return -ENOMEM;
	for (size_t i = 0, end; i < f->len; i = end) {
		for (end = i; end < f->len && f->seen[end].owner == f->seen[i].owner &&
			      f->seen[end].second / DAY_S == f->seen[i].second / DAY_S;)
			end++;
		count_row(f->seen + i, end - i, &f->rows[rows++]);
	}
	truth->flux = f->rows;
	truth->flux_count = rows;
	return 0;
}

int gen_flux_init(struct ft_gen *g)
{
	g->flux = calloc(1, sizeof(*g->flux));
	return g->flux ? 0 : -ENOMEM;
}

void gen_flux_fini(struct ft_gen *g)
{
	if (!g->flux)
		return;
	free(g->flux->seen);
	free(g->flux->rows);
	free(g->flux);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `cookies`: the shares of Davis and Deccio, "A Peek into the DNS Cookie Jar" (PAM
 * 2021): 98 % of queries with EDNS, 30 % of servers and 10 % of clients with cookies, 20 % of
 * these with one for each server, and 1 % of servers that insist on them. Truth: transactions by
 * class, addresses by what they do. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHARE_EDNS = 9800,
	SHARE_FORGETS = 500, /* of a client's later queries: its own part alone */
	SHARE_LEAVES = 200,  /* and none at all */
	SHARE_RENEWS = 1000, /* of answers: a new server cookie */
	SHARE_MISMATCH = 20, /* of answers: not the client's part */
	SHARE_BADLEN = 20,   /* of queries with a cookie */
	SHARE_LOST = 100,
	RTT_US = 5000,
	RETRY_US = 10000,
	CLIENT = 8,
	FULL = 24,
	SERVERS_MOST = 200,
	CLIENTS_MOST = 1000,
};

struct gen_cookies {
	struct ft_gen_cookies sum;
	uint8_t *last; /* [clients][servers][FULL]: what was given; first octet of all 0: nothing */
	bool *given, *used; /* used: its server part came back */
	bool client_seen[CLIENTS_MOST], client_asks[CLIENTS_MOST];
	uint8_t client_servers[CLIENTS_MOST]; /* servers that got its cookie: up to 2 */
	uint32_t client_first[CLIENTS_MOST];
	bool server_seen[SERVERS_MOST], server_gives[SERVERS_MOST];
	bool server_enforces[SERVERS_MOST], server_passes[SERVERS_MOST];
};

struct deal {
	struct gen_ask ask;
	uint32_t client, server;
	uint8_t q[FULL], r[FULL];
	uint32_t q_len, r_len; /* 0: no option */
	uint16_t rcode;
};

static void put_message(struct ft_gen *g, struct deal *d, enum gen_dir dir)
{
	struct gen_buf b = {g->l4 + GEN_UDP_HEADER, 0};
	const bool reply = dir == GEN_TO_CLIENT;
	const uint32_t len = reply ? d->r_len : d->q_len;
	const bool answer = reply && d->rcode == 0;

	gen_buf_u16(&b, d->ask.id);
	gen_buf_u16(&b, (uint16_t)(reply ? 0x8400 | (d->rcode & 15) : 0));
	gen_buf_u16(&b, 1);
	gen_buf_u16(&b, answer);
	gen_buf_u16(&b, 0);
	gen_buf_u16(&b, d->ask.has_opt);
	gen_buf_octets(&b, d->ask.name.wire, d->ask.name.len);
	gen_buf_u16(&b, GEN_A);
	gen_buf_u16(&b, 1);
	if (answer) {
		const uint32_t begin = gen_rr_begin(&b, GEN_POINTER | 12, GEN_A, 1, 300);
		gen_buf_u32(&b, 0xc6336401);
		gen_rr_end(&b, begin);
	}
	if (d->ask.has_opt) {
		gen_buf_octets(&b, (const uint8_t[3]){0, 0, GEN_OPT}, 3);
		gen_buf_u16(&b, 1232);
		gen_buf_u32(&b, reply ? (uint32_t)(d->rcode >> 4) << 24 : 0);
		gen_buf_u16(&b, (uint16_t)(len != 0 ? len + 4 : 0));
		if (len != 0) {
			gen_buf_u32(&b, 10u << 16 | len);
			gen_buf_octets(&b, reply ? d->r : d->q, len);
		}
	}
	g->totals->dns_messages++;
	if (!reply)
		d->ask.bytes = b.len;
	(void)gen_frame_udp(g, &d->ask.path, dir, d->ask.ts_us + (reply ? RTT_US : 0), b.len);
}

static void send(struct ft_gen *g, struct deal *d, bool answered)
{
	struct gen_reply reply = {.ts_us = d->ask.ts_us + RTT_US, .rcode = d->rcode, .aa = true};
	struct gen_cookies *c = g->cookies;

	c->sum.queries++;
	c->sum.present += d->ask.has_opt;
	c->sum.cookie += d->q_len != 0;
	put_message(g, d, GEN_TO_SERVER);
	if (!answered) {
		gen_truth_timeout(&g->books, &d->ask);
		return;
	}
	reply.shape = d->rcode == 0 ? GEN_SHAPE_DATA : GEN_SHAPE_EMPTY;
	reply.has_opt = d->ask.has_opt;
	put_message(g, d, GEN_TO_CLIENT);
	reply.bytes = d->ask.bytes;
	gen_truth_pair(&g->books, &d->ask, &reply);
}

static void count(struct ft_gen *g, enum ft_gen_cookie class_of)
{
	g->cookies->sum.by_class[class_of]++;
}

/* A server cookie in the form of RFC 9018, all but its hash. */
static void make_cookie(const struct deal *d, uint32_t salt, uint8_t *out)
{
	const uint32_t now_s = (uint32_t)(d->ask.ts_us / 1000000);
	const uint64_t h = gen_mix64((uint64_t)d->server << 40 ^ (uint64_t)d->client << 20 ^ salt);

	memcpy(out,
	       (const uint8_t[8]){1, 0, 0, 0, (uint8_t)(now_s >> 24), (uint8_t)(now_s >> 16),
				  (uint8_t)(now_s >> 8), (uint8_t)now_s},
	       8);
	memcpy(out + 8, &h, 8);
}

/* One in ten asks with cookies; of these one in five has one for each server. */
static void client_cookie(const struct deal *d, uint8_t *out)
{
	const bool careful = d->client / 10 % 5 == 0;
	const uint64_t h = gen_mix64((uint64_t)d->client << 32 ^ (careful ? d->server + 1 : 0));

	memcpy(out, &h, CLIENT);
}

static void begin(struct ft_gen *g, struct deal *d, uint64_t ts_us)
{
	memset(d, 0, sizeof(*d));
	d->client = gen_rng_below(&g->rng, g->opts.clients);
	d->server = gen_rng_below(&g->rng, g->opts.servers);
	gen_ask_init(g, &d->ask, ts_us);
	d->ask.path.is_v6 = false;
	memset(&d->ask.path.client, 0, sizeof(d->ask.path.client));
	memset(&d->ask.path.server, 0, sizeof(d->ask.path.server));
	memcpy(d->ask.path.client.b,
	       (const uint8_t[4]){198, 51, (uint8_t)(100 + d->client / 250),
				  (uint8_t)(1 + d->client % 250)},
	       4);
	memcpy(d->ask.path.server.b, (const uint8_t[4]){192, 0, 2, (uint8_t)(1 + d->server)}, 4);
	d->ask.rd = false;
	d->ask.qtype = GEN_A;
	d->ask.has_question = true;
	gen_name_text(&d->ask.name, "www.example.");
	d->ask.has_opt = gen_rng_chance(&g->rng, SHARE_EDNS);
	g->cookies->client_seen[d->client] = g->cookies->server_seen[d->server] = true;
}

/* What the server says to a query with a cookie of legal length. */
static void answer_cookie(struct ft_gen *g, struct deal *d, uint8_t *last, bool *given)
{
	struct gen_cookies *c = g->cookies;
	const bool enforces = d->server == 0;

	if (d->server % 10 >= 3) {
		count(g, FT_GEN_COOKIE_UNSUPPORTED);
		return;
	}
	c->server_gives[d->server] = true;
	memcpy(d->r, d->q, CLIENT);
	d->r_len = FULL;
	if (gen_rng_chance(&g->rng, SHARE_MISMATCH)) {
		d->r[0] ^= 1;
		make_cookie(d, (uint32_t)g->at, d->r + CLIENT);
		count(g, FT_GEN_COOKIE_CLIENT_MISMATCH);
		return; /* the client discards it */
	}
	if (d->q_len == FULL && !gen_rng_chance(&g->rng, SHARE_RENEWS)) {
		memcpy(d->r, d->q, FULL);
		count(g, FT_GEN_COOKIE_OK);
		return;
	}
	make_cookie(d, (uint32_t)g->at, d->r + CLIENT);
	if (d->q_len == CLIENT && enforces) {
		d->rcode = 23;
	} else {
		count(g, d->q_len == CLIENT ? FT_GEN_COOKIE_ISSUE : FT_GEN_COOKIE_RENEW);
	}
	memcpy(last, d->r, FULL);
	*given = true;
}

/* A BADCOOKIE and the client that comes back with what it was given. */
static void come_back(struct ft_gen *g, struct deal *d)
{
	count(g, FT_GEN_COOKIE_BADCOOKIE_RETRY_OK);
	gen_ask_renew(g, &d->ask);
	d->ask.ts_us += RETRY_US;
	memcpy(d->q, d->r, FULL);
	d->q_len = FULL;
	d->rcode = 0;
	count(g, FT_GEN_COOKIE_OK);
	send(g, d, true);
}

/* A server that gave this client a cookie is asked without one. */
static void note_enforcing(struct gen_cookies *c, const struct deal *d, bool had)
{
	if (!had || d->q_len == FULL)
		return;
	if (d->rcode == 23)
		c->server_enforces[d->server] = true;
	else
		c->server_passes[d->server] = true;
}

static void note_sent(struct gen_cookies *c, const struct deal *d)
{
	c->client_asks[d->client] = true;
	if (c->client_servers[d->client] == 0) {
		c->client_servers[d->client] = 1;
		c->client_first[d->client] = d->server;
	} else if (c->client_first[d->client] != d->server && d->client / 10 % 5 != 0) {
		c->client_servers[d->client] = 2;
	}
}

void gen_cookies_step(struct ft_gen *g, uint64_t ts_us)
{
	struct gen_cookies *c = g->cookies;
	struct deal d;

	begin(g, &d, ts_us);
	const size_t at = (size_t)d.client * g->opts.servers + d.server;
	uint8_t *last = &c->last[at * FULL];
	const bool asks = d.client % 10 == 0 && d.ask.has_opt, had = c->given[at];
	const bool lost = gen_rng_chance(&g->rng, SHARE_LOST);

	if (!asks || (had && gen_rng_chance(&g->rng, SHARE_LEAVES))) {
		if (c->used[at])
			count(g, FT_GEN_COOKIE_DOWNGRADE);
		if (d.server == 0 && had && !lost)
			d.rcode = 5;
		if (!lost && had)
			(d.rcode != 0 ? c->server_enforces : c->server_passes)[d.server] = true;
		send(g, &d, !lost);
		return;
	}
	d.ask.options = GEN_OPTION_COOKIE;
	client_cookie(&d, d.q);
	d.q_len = CLIENT;
	if (gen_rng_chance(&g->rng, SHARE_BADLEN)) {
		d.q_len = 12;
		count(g, FT_GEN_COOKIE_BADLEN);
		d.rcode = 1;
		send(g, &d, true);
		return;
	}
	if (had && !gen_rng_chance(&g->rng, SHARE_FORGETS)) {
		memcpy(d.q, last, FULL);
		d.q_len = FULL;
		c->used[at] = true;
	}
	note_sent(c, &d);
	if (lost) {
		send(g, &d, false);
		return;
	}
	answer_cookie(g, &d, last, &c->given[at]);
	note_enforcing(c, &d, had);
	send(g, &d, true);
	if (d.rcode == 23) {
		c->used[at] = true;
		come_back(g, &d);
	}
}

int gen_cookies_init(struct ft_gen *g)
{
	const size_t n = (size_t)g->opts.clients * g->opts.servers;

	if (g->opts.clients > CLIENTS_MOST || g->opts.servers > SERVERS_MOST)
		return -EINVAL;
	g->cookies = calloc(1, sizeof(*g->cookies));
	if (g->cookies == NULL)
		return -ENOMEM;
	g->cookies->last = calloc(n, FULL);
	g->cookies->given = calloc(n, sizeof(bool));
	g->cookies->used = calloc(n, sizeof(bool));
	return g->cookies->last != NULL && g->cookies->given != NULL && g->cookies->used != NULL
		   ? 0
		   : -ENOMEM;
}

void gen_cookies_fini(struct ft_gen *g)
{
	if (g->cookies == NULL)
		return;
	free(g->cookies->last);
	free(g->cookies->given);
	free(g->cookies->used);
	free(g->cookies);
}

void gen_cookies_close(struct ft_gen *g, struct ft_gen_truth *truth)
{
	struct gen_cookies *c = g->cookies;

	if (c == NULL)
		return;
	struct ft_gen_cookies *sum = &c->sum;
	sum->servers = sum->servers_cookies = sum->servers_enforcing = sum->servers_passing = 0;
	sum->clients = sum->clients_cookies = sum->clients_reusing = 0;
	for (unsigned i = 0; i < SERVERS_MOST; i++) {
		sum->servers += c->server_seen[i];
		sum->servers_cookies += c->server_gives[i];
		sum->servers_enforcing += c->server_enforces[i] && !c->server_passes[i];
		sum->servers_passing += c->server_passes[i];
	}
	for (unsigned i = 0; i < CLIENTS_MOST; i++) {
		sum->clients += c->client_seen[i];
		sum->clients_cookies += c->client_asks[i];
		sum->clients_reusing += c->client_servers[i] == 2;
	}
	truth->cookies = *sum;
}

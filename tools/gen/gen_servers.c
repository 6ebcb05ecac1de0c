/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `servers`: eight name servers that lose, stop, are late or are asked twice, each in its
 * own way. No name is asked for twice but by a retry. Truth: what became of each one's queries. */
#include "gen_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SERVERS = FT_GEN_SERVERS,
	STOPS = 4, /* in the middle third of the run */
	LATE = 5,
	TWICE = 6,
	REFUGE = 0, /* asked by who leaves another */
	SHARE_LATE = 100,
	SHARE_TWICE = 200, /* per 10,000 */
	RETRY_SAME_US = 400000,
	RETRY_OTHER_US = 2000000,
};

/* Of 10,000 queries, those that stay without an answer. */
static const uint32_t losses[SERVERS] = {0, 100, 1000, 5000, 0, 0, 0, 10000};

struct gen_servers {
	struct ft_gen_server list[SERVERS];
	size_t cap[SERVERS];
	bool is_short_of_memory;
};

static void note_rtt(struct gen_servers *s, unsigned i, uint32_t rtt_us)
{
	struct ft_gen_server *x = &s->list[i];

	x->answered++;
	if (x->rtt_count == s->cap[i]) {
		const size_t cap = s->cap[i] != 0 ? 2 * s->cap[i] : 1024;
		uint32_t *more = realloc(x->rtt_us, cap * sizeof(*more));
		if (more == NULL) {
			s->is_short_of_memory = true;
			return;
		}
		x->rtt_us = more;
		s->cap[i] = cap;
	}
	x->rtt_us[x->rtt_count++] = rtt_us;
}

static bool is_stopped(const struct ft_gen *g, unsigned i, uint64_t ts_us)
{
	const struct ft_gen_server *x = &g->servers->list[i];

	return ts_us >= x->down_us && ts_us < x->up_us;
}

static void answer(struct ft_gen *g, unsigned i, const struct gen_ask *ask, uint32_t after_us,
		   bool in_time)
{
	struct gen_reply reply = {
	    .ts_us = ask->ts_us + after_us, .shape = GEN_SHAPE_DATA, .rrs = 1, .aa = true};

	gen_send_reply(g, ask, &reply);
	if (!in_time) {
		gen_truth_unsolicited(&g->books, ask, &reply);
		return;
	}
	gen_truth_pair(&g->books, ask, &reply);
	note_rtt(g->servers, i, (uint32_t)(reply.ts_us - ask->ts_us));
}

/* One query to server i; false where it gets no answer in time. */
static bool ask_server(struct ft_gen *g, struct gen_ask *ask, unsigned i)
{
	struct gen_servers *s = g->servers;

	memcpy(ask->path.server.b, (const uint8_t[4]){192, 0, 2, (uint8_t)(i + 1)}, 4);
	gen_send_query(g, ask);
	s->list[i].queries++;
	const bool lost = is_stopped(g, i, ask->ts_us) || gen_rng_chance(&g->rng, losses[i]);
	const bool late = i == LATE && gen_rng_chance(&g->rng, SHARE_LATE);
	if (lost || late) {
		s->list[i].unanswered++;
		gen_truth_timeout(&g->books, ask);
		if (late) {
			s->list[i].late++;
			answer(g, i, ask, 5500000 + gen_rng_below(&g->rng, 4000000), false);
		}
		return !lost; /* its client is patient */
	}
	const uint32_t rtt_us = gen_rng_rtt_us(&g->rng);
	answer(g, i, ask, rtt_us, true);
	return true;
}

static void ask_twice(struct ft_gen *g, struct gen_ask *ask, unsigned i)
{
	struct gen_ask again = *ask;

	(void)ask_server(g, ask, i);
	again.ts_us += 1; /* before any answer can come */
	(void)ask_server(g, &again, i);
	g->servers->list[i].dup++;
}

void gen_servers_step(struct ft_gen *g, uint64_t ts_us)
{
	const unsigned i = gen_rng_below(&g->rng, SERVERS);
	struct gen_ask ask;
	char text[64];

	gen_ask_init(g, &ask, ts_us);
	ask.path.is_v6 = false;
	memset(&ask.path.client, 0, sizeof(ask.path.client));
	memcpy(ask.path.client.b,
	       (const uint8_t[4]){198, 51, 100,
				  (uint8_t)(1 + gen_rng_below(&g->rng, g->opts.clients) % 254)},
	       4);
	ask.rd = false;
	ask.qtype = GEN_A;
	ask.has_question = true;
	(void)snprintf(text, sizeof(text), "q%llu.d%u.example.", (unsigned long long)g->at,
		       (unsigned)(g->at % 97));
	gen_name_text(&ask.name, text);
	if (i == TWICE && gen_rng_chance(&g->rng, SHARE_TWICE)) {
		ask_twice(g, &ask, i);
		return;
	}
	if (ask_server(g, &ask, i))
		return;
	struct ft_gen_server *left = &g->servers->list[i];
	struct gen_ask more = ask;
	gen_ask_renew(g, &more);
	if (gen_rng_chance(&g->rng, 5000)) {
		more.ts_us = ts_us + RETRY_SAME_US;
		left->retry_same++;
		(void)ask_server(g, &more, i);
	} else {
		more.ts_us = ts_us + RETRY_OTHER_US;
		left->retry_other++;
		(void)ask_server(g, &more, REFUGE);
	}
}

int gen_servers_init(struct ft_gen *g)
{
	const uint64_t third_us = (uint64_t)(g->opts.duration_s * 1e6 / 3);

	g->servers = calloc(1, sizeof(*g->servers));
	if (g->servers == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < SERVERS; i++) {
		struct ft_gen_server *x = &g->servers->list[i];
		(void)snprintf(x->address, sizeof(x->address), "192.0.2.%u", i + 1);
		x->loss = losses[i] / 1e4;
		x->retry_other_us = RETRY_OTHER_US;
	}
	g->servers->list[STOPS].down_us = g->opts.start_us + third_us;
	g->servers->list[STOPS].up_us = g->opts.start_us + 2 * third_us;
	return 0;
}

void gen_servers_fini(struct ft_gen *g)
{
	for (unsigned i = 0; g->servers != NULL && i < SERVERS; i++)
		free(g->servers->list[i].rtt_us);
	free(g->servers);
}

static int compare(const void *left, const void *right)
{
	const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

int gen_servers_close(struct ft_gen *g, struct ft_gen_truth *truth)
{
	struct gen_servers *s = g->servers;

	if (s == NULL)
		return 0;
	if (s->is_short_of_memory)
		return -ENOMEM;
	for (unsigned i = 0; i < SERVERS; i++)
		if (s->list[i].rtt_count != 0)
			qsort(s->list[i].rtt_us, s->list[i].rtt_count, sizeof(uint32_t), compare);
	truth->servers = s->list;
	truth->server_count = SERVERS;
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `tunnels`: pairs in every wrapping, over IPv4 and IPv6, UDP and TCP, whole, in fragments
 * inside the tunnel and in fragments of the tunnel, in order and reversed. Truth: every message,
 * and what came in each wrapping. */
#include "gen_state.h"
#include "gen_wrap.h"

enum {
	MTU = 1248, /* so that a frame of 1,514 octets holds it in any wrapping */
	MTU_INNER4 = 400,
	MTU_OUTER = 480,
	MTU_OUTER_TCP = 96,
	LONG_REPLY = 900,
	LONG_REPLY6 = 1700,
	LONG_STREAM = 3000,
};
_Static_assert(FT_GEN_WRAPS_MOST >= 25, "room for all");

enum fragments { WHOLE, INNER, OUTER, FRAGMENTS };

void gen_tunnels_init(struct ft_gen *g)
{
	struct ft_gen_truth *t = &g->books.truth;

	t->wrap_count = gen_wrap_count();
	for (unsigned i = 0; i < t->wrap_count; i++) {
		const struct gen_wrap_facts f = gen_wrap_facts(i);

		t->wraps[i] = (struct ft_gen_wrap){.name = f.name,
						   .vlan = {f.vlan[0], f.vlan[1]},
						   .tunnel = f.tunnel,
						   .id = f.id,
						   .is_too_deep = f.too_deep};
	}
}

static void shape(struct gen_ask *ask, struct gen_reply *reply, enum fragments how)
{
	struct gen_path *path = &ask->path;

	path->mtu = MTU;
	reply->shape = GEN_SHAPE_DATA;
	ask->qtype = how == WHOLE ? GEN_A : GEN_TXT;
	if (how == INNER) {
		reply->least_bytes = path->is_tcp  ? LONG_STREAM
				     : path->is_v6 ? LONG_REPLY6
						   : LONG_REPLY;
		path->mtu = path->is_v6 ? MTU : MTU_INNER4;
	} else if (how == OUTER) {
		reply->least_bytes = path->is_tcp ? 0 : LONG_REPLY;
		path->wrap_mtu = path->is_tcp ? MTU_OUTER_TCP : MTU_OUTER;
	}
}

/* One query that nobody is to find. */
static void send_too_deep(struct ft_gen *g, struct gen_ask *ask)
{
	gen_send_query(g, ask);
	g->totals->dns_messages--;
}

void gen_tunnels_step(struct ft_gen *g, uint64_t ts_us)
{
	const unsigned wraps = gen_wrap_count(), wrap = (unsigned)(g->at % wraps);
	const struct gen_wrap_facts facts = gen_wrap_facts(wrap);
	uint64_t turn = g->at / wraps;
	struct gen_ask ask;
	struct gen_reply reply;

	do
		gen_zoo_begin(g, &ask, &reply, ts_us);
	while (ask.path.is_v6 != (turn % 2 == 1) && g->opts.clients > 2);
	turn /= 2;
	ask.path.wrap = (uint8_t)wrap;
	ask.path.is_tcp = turn % 2 == 1;
	turn /= 2;
	enum fragments how = (enum fragments)(turn % FRAGMENTS);
	turn /= FRAGMENTS;
	ask.path.is_wrap_v6 = turn % 2 == 1;
	ask.path.is_reversed = turn / 2 % 2 == 1;
	if (how == OUTER && !facts.has_ip)
		how = WHOLE;
	shape(&ask, &reply, how);
	if (facts.too_deep) {
		ask.path.is_tcp = false;
		send_too_deep(g, &ask);
	} else if (ask.path.is_tcp) {
		reply.has_opt = ask.has_opt;
		gen_zoo_tcp_pair(g, &ask, &reply, g->at / wraps);
	} else {
		gen_zoo_finish(g, &ask, &reply);
	}
}

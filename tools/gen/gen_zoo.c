/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_state.h"

#include <string.h>

/* Shares of the vantages, per 10,000; the rest is X. */
enum {
	SHARE_S2R = 4500,
	SHARE_R2A = 4000,
	RCODE_LAST_PLAIN = 15,
	LATE_US = 5500000,
	DUPLICATE_MOST_US = 800000,
};

void gen_zoo_begin(struct ft_gen *g, struct gen_ask *ask, struct gen_reply *reply, uint64_t ts_us)
{
	uint32_t draw = gen_rng_below(&g->rng, 10000);

	gen_ask_init(g, ask, ts_us);
	gen_ask_draw_name(g, ask);
	gen_ask_draw_edns(g, ask);
	memset(reply, 0, sizeof(*reply));
	if (draw < SHARE_S2R) {
		reply->ra = true;
	} else if (draw < SHARE_S2R + SHARE_R2A) {
		ask->rd = false;
		reply->aa = true;
	} else if (draw & 1) { /* an authoritative server asked by a stub */
		reply->aa = true;
	} else { /* a cache asked what it holds */
		ask->rd = false;
		reply->ra = true;
	}
}

void gen_zoo_finish(struct ft_gen *g, struct gen_ask *ask, struct gen_reply *reply)
{
	if (reply->rcode > RCODE_LAST_PLAIN && !ask->has_opt) {
		ask->has_opt = true;
		ask->bufsize = 1232;
	}
	reply->has_opt = ask->has_opt;
	gen_send_query(g, ask);
	reply->ts_us = ask->ts_us + gen_rng_rtt_us(&g->rng);
	gen_send_reply(g, ask, reply);
	gen_truth_pair(&g->books, ask, reply);
}

static void play_plain(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	(void)turn;
	gen_zoo_begin(g, &ask, &reply, ts_us);
	reply.shape = ask.answer_h % 20 == 0 ? GEN_SHAPE_NEGATIVE : GEN_SHAPE_DATA;
	reply.has_rrsig = ask.is_do && ask.answer_h % 4 == 1;
	gen_zoo_finish(g, &ask, &reply);
}

/* --- answers --- */

/* Half the errors come without AA, as from a server that does not know the zone. */
static void play_answer(struct ft_gen *g, uint64_t ts_us, uint64_t turn, enum gen_shape shape,
			uint16_t rcode)
{
	static const uint16_t types[] = {GEN_A, GEN_AAAA, GEN_MX, GEN_TXT, GEN_HTTPS};
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.qtype = types[turn % 5];
	reply.shape = shape;
	reply.rcode = rcode;
	if (shape == GEN_SHAPE_CHAIN || shape == GEN_SHAPE_CNAME_ONLY ||
	    shape == GEN_SHAPE_NX_CHAIN)
		reply.hops = (uint8_t)(1 + turn % 4);
	if (shape == GEN_SHAPE_REFERRAL) {
		reply.aa = false;
		reply.rrs = (uint8_t)(1 + turn % 6);
	} else if (shape == GEN_SHAPE_EMPTY && rcode == 0) {
		reply.aa = true; /* without AA an empty answer says nothing */
	} else if (rcode != 0 && rcode != 3 && turn % 2) {
		reply.aa = false;
	}
	gen_zoo_finish(g, &ask, &reply);
}

#define ANSWER(name, shape, rcode)                                                                 \
	static void play_##name(struct ft_gen *g, uint64_t ts_us, uint64_t turn)                   \
	{                                                                                          \
		play_answer(g, ts_us, turn, shape, rcode);                                         \
	}

ANSWER(chain, GEN_SHAPE_CHAIN, 0)
ANSWER(cname_only, GEN_SHAPE_CNAME_ONLY, 0)
ANSWER(nodata, GEN_SHAPE_NEGATIVE, 0)
ANSWER(nodata_empty, GEN_SHAPE_EMPTY, 0)
ANSWER(referral, GEN_SHAPE_REFERRAL, 0)
ANSWER(nxdomain, GEN_SHAPE_NEGATIVE, 3)
ANSWER(nxdomain_chain, GEN_SHAPE_NX_CHAIN, 3)
ANSWER(refused, GEN_SHAPE_EMPTY, 5)
ANSWER(formerr, GEN_SHAPE_EMPTY, 1)
ANSWER(notimp, GEN_SHAPE_EMPTY, 4)

static void play_servfail(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	reply.rcode = 2;
	reply.has_ede = turn % 2;
	reply.aa = reply.aa && turn % 3;
	gen_zoo_finish(g, &ask, &reply);
}

static void play_formerr_bare(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	(void)turn;
	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.has_opt = false;
	ask.is_do = false;
	ask.options = 0;
	reply.rcode = 1;
	reply.aa = false;
	reply.lacks_question = true;
	gen_zoo_finish(g, &ask, &reply);
}

static void play_badvers(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.has_opt = true;
	ask.bufsize = 1232;
	ask.version = (uint8_t)(turn % 3 == 2 ? 255 : 1 + turn % 3);
	reply.rcode = 16;
	gen_zoo_finish(g, &ask, &reply);
}

static void play_badcookie(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	ask.has_opt = true;
	ask.bufsize = 1232;
	ask.options = turn % 3 ? GEN_OPTION_COOKIE : GEN_OPTION_COOKIE_FULL;
	reply.rcode = 23;
	gen_zoo_finish(g, &ask, &reply);
}

/* TC=1: empty, with a part of the answer, or with an error, whose class goes before TC; then the
 * retry. */
static void play_truncated(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	reply.tc = true;
	if (turn % 4 == 1)
		reply.shape = GEN_SHAPE_DATA;
	if (turn % 4 == 3) {
		reply.shape = GEN_SHAPE_NEGATIVE;
		reply.rcode = 3;
	}
	gen_zoo_finish(g, &ask, &reply);
	if (turn % 3 != 2)
		gen_zoo_tcp_retry(g, &ask, reply.ts_us + 400);
}

/* --- what has no pair --- */

static void play_timeout(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	gen_send_query(g, &ask);
	gen_truth_timeout(&g->books, &ask);
	if (turn % 2)
		return;
	gen_ask_renew(g, &ask); /* tried again under a new id, and answered */
	ask.ts_us += 1000000;
	reply.shape = GEN_SHAPE_DATA;
	gen_zoo_finish(g, &ask, &reply);
}

static void play_unsolicited(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	gen_zoo_begin(g, &ask, &reply, ts_us);
	reply.ts_us = ts_us;
	reply.has_opt = ask.has_opt;
	reply.shape = turn % 3 ? GEN_SHAPE_DATA : GEN_SHAPE_NEGATIVE;
	reply.rcode = turn % 6 ? 0 : 3;
	gen_send_reply(g, &ask, &reply);
	gen_truth_unsolicited(&g->books, &ask, &reply);
}

/* The same query again, same id and port: the answer goes to the first, the second stays without.
 */
static void play_duplicate(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask, again;
	struct gen_reply reply;

	(void)turn;
	gen_zoo_begin(g, &ask, &reply, ts_us);
	gen_send_query(g, &ask);
	again = ask;
	again.ts_us += 1 + gen_rng_below(&g->rng, DUPLICATE_MOST_US);
	gen_send_query(g, &again);
	reply.shape = GEN_SHAPE_DATA;
	reply.has_opt = ask.has_opt;
	reply.ts_us = again.ts_us + gen_rng_rtt_us(&g->rng);
	gen_send_reply(g, &ask, &reply);
	gen_truth_pair(&g->books, &ask, &reply);
	gen_truth_timeout(&g->books, &again);
}

static void play_late(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	struct gen_ask ask;
	struct gen_reply reply;

	(void)turn;
	gen_zoo_begin(g, &ask, &reply, ts_us);
	gen_send_query(g, &ask);
	gen_truth_timeout(&g->books, &ask);
	reply.shape = GEN_SHAPE_DATA;
	reply.has_opt = ask.has_opt;
	reply.ts_us = ask.ts_us + LATE_US;
	gen_send_reply(g, &ask, &reply);
	gen_truth_unsolicited(&g->books, &ask, &reply);
}

/* --- the programme --- */

struct scene {
	const char *name;
	uint16_t share; /* of the sum of all */
	gen_scene_fn *play;
};

static const struct scene scenes[] = {
    {"plain", 3600, play_plain},
    {"types", 900, gen_zoo_types},
    {"opcodes", 200, gen_zoo_opcodes},
    {"rcodes", 400, gen_zoo_rcodes},
    {"chain", 350, play_chain},
    {"cname_only", 200, play_cname_only},
    {"nodata", 300, play_nodata},
    {"nodata_empty", 80, play_nodata_empty},
    {"referral", 450, play_referral},
    {"nxdomain", 500, play_nxdomain},
    {"nxdomain_chain", 80, play_nxdomain_chain},
    {"servfail", 200, play_servfail},
    {"refused", 200, play_refused},
    {"formerr", 80, play_formerr},
    {"formerr_bare", 80, play_formerr_bare},
    {"notimp", 80, play_notimp},
    {"badvers", 80, play_badvers},
    {"badcookie", 80, play_badcookie},
    {"truncated", 200, play_truncated},
    {"timeout", 250, play_timeout},
    {"unsolicited", 120, play_unsolicited},
    {"duplicate", 120, play_duplicate},
    {"late", 80, play_late},
    {"edns", 200, gen_zoo_edns},
    {"names", 200, gen_zoo_names},
    {"chaos", 40, gen_zoo_chaos},
    {"fragments", 150, gen_zoo_fragments},
    {"small_fragments", 60, gen_zoo_small_fragments},
    {"tags", 150, gen_zoo_tags},
    {"options", 150, gen_zoo_options},
    {"checksums", 40, gen_zoo_checksums},
    {"tcp", 500, gen_zoo_tcp},
    {"malformed", 150, gen_zoo_malformed},
    {"non_dns", 150, gen_zoo_non_dns},
};

enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

_Static_assert(SCENES <= sizeof(((struct ft_gen *)0)->turn) / sizeof(uint64_t),
	       "a counter for each scene");

/* Every scene once, then by share. */
void gen_zoo_step(struct ft_gen *g, uint64_t ts_us)
{
	unsigned i = (unsigned)g->at;

	if (g->at >= SCENES) {
		uint32_t sum = 0, draw;

		for (i = 0; i < SCENES; i++)
			sum += scenes[i].share;
		draw = gen_rng_below(&g->rng, sum);
		for (i = 0; draw >= scenes[i].share; i++)
			draw -= scenes[i].share;
	}
	scenes[i].play(g, ts_us, g->turn[i]++);
}

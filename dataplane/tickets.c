/* SPDX-License-Identifier: BSD-3-Clause */
/* Truncated answers over UDP, and what their clients do within five seconds: the first thing
 * counts. Only control can tell who went to another server: it gets a ticket for each, and
 * the queries that may belong to one. */
#include "transport_state.h"

#define BANDS_SHIFT FT_EDNS_bufsize_511
#define BANDS_MASK 0xffu

static uint64_t ticket_key(uint64_t pair, uint64_t name_key, uint16_t qtype)
{
	return hash_mix(pair ^ hash_fold(name_key, 0x9e3779b97f4a7c15ull + qtype));
}

/* Sizes up to which a client takes answers, as a number that rises with them; 0: 512 octets,
 * or none said. */
static uint32_t band_of(uint32_t edns)
{
	const uint32_t bands = edns >> BANDS_SHIFT & BANDS_MASK;
	const uint32_t band = bands != 0 ? (uint32_t)__builtin_ctz(bands) : 0;

	return band > 1 ? band : 0;
}

/* --- which queries may follow a ticket --- */

static void filter_put(struct transport *t, uint64_t group, uint64_t name_key, uint64_t now_us)
{
	const uint32_t bit = group & (TICKET_FILTER_BITS - 1);

	(void)now_us;
	t->filter[0][bit / 64] |= 1ull << bit % 64;
	t->name_filter[0][name_key >> 62] |= 1ull << (name_key >> 56 & 63);
	t->any_filter[0] = true;
}

static bool filter_has(const struct transport *t, uint64_t group)
{
	const uint32_t bit = group & (TICKET_FILTER_BITS - 1);

	return ((t->filter[0][bit / 64] | t->filter[1][bit / 64]) >> bit % 64 & 1) != 0;
}

static void filter_turn(struct transport *t, uint64_t now_us)
{
	if (now_us < t->filter_us + TICKET_FILTER_US)
		return;
	t->filter_us = now_us;
	if (!t->any_filter[0] && !t->any_filter[1])
		return;
	uint64_t *old = t->filter[1];
	if (t->any_filter[1])
		memset(old, 0, TICKET_FILTER_BITS / 8);
	t->filter[1] = t->filter[0];
	t->filter[0] = old;
	memcpy(t->name_filter[1], t->name_filter[0], sizeof(t->name_filter[1]));
	memset(t->name_filter[0], 0, sizeof(t->name_filter[0]));
	t->any_filter[1] = t->any_filter[0];
	t->any_filter[0] = false;
}

void tickets_asked(struct transport *t, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct txn *x = &txn[i];
		if (!x->has_query || !x->q.has_name || x->q.dup)
			continue;
		const uint64_t group = pair_group(x->q.client_sketch, x->q.name_sketch, x->q.qtype);
		if (!filter_has(t, group))
			continue;
		struct ft_asked_rec r = {.group = group, .t_us = x->q.t_us};
		memcpy(r.server, x->server, sizeof(r.server));
		uint8_t *out = tally_entry_begin(t->tally, FT_REC_TICKET,
						 clock_row(t->tally->clock, x->q.t_us),
						 FT_TRANSPORT_ENTRY_CAP);
		tally_entry_end(t->tally, ft_asked_write(&r, out));
	}
}

/* --- tickets --- */

static uint64_t min_set(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void ticket_close(struct transport *t, uint32_t i)
{
	const struct ticket *k = &t->ticket[i];
	struct ft_cut_rec r = {.level = (uint8_t)(t->set.alone ? 0 : t->set.asked_level),
			       .outcome = FT_CUT_NONE,
			       .vantage = k->vantage,
			       .group = k->group,
			       .t_us = k->tc_us,
			       .latency_us = UINT64_MAX};
	/* A connection for nothing: the server refused it, or did not say a word. */
	const uint64_t syn_us =
	    k->tcp_us != 0 ? 0
			   : handshakes_fruitless(t, k->pair, k->tc_us, k->tc_us + TICKET_WAIT_US);
	const uint64_t tcp_us = min_set(k->tcp_us, syn_us);

	r.first_us = min_set(tcp_us, k->udp_us);
	if (tcp_us != 0 && r.first_us == tcp_us)
		r.outcome = k->answer_us != 0 ? FT_CUT_TCP_OK : FT_CUT_TCP_FAIL;
	else if (k->udp_us != 0)
		r.outcome = FT_CUT_UDP_RETRY;
	if (r.outcome == FT_CUT_TCP_OK)
		r.latency_us = k->latency_us;
	memcpy(r.server, &k->server, sizeof(r.server));
	uint8_t *out = tally_entry_begin(
	    t->tally, FT_REC_TICKET, clock_row(t->tally->clock, k->tc_us), FT_TRANSPORT_ENTRY_CAP);
	tally_entry_end(t->tally, ft_cut_write(&r, out));
	pool_drop(&t->ticket_at, i);
}

/* There is no room, or nothing to recognise it by. */
static void count_alone(struct transport *t, const struct txn *x, bool lost)
{
	uint64_t *c = transport_counts(t, x->response_us);

	c[FT_TRANSPORT_CUT]++;
	c[FT_TRANSPORT_LOST_CUTS] += lost;
}

static void open_one(struct transport *t, const struct txn *x)
{
	const struct msg *m = x->response;

	if (m == NULL || m->name_len == 0 || m->verdict == NULL || pool_is_full(&t->ticket_at)) {
		count_alone(t, x, m != NULL && m->name_len != 0);
		return;
	}
	const uint64_t pair = transport_pair(t, &m->dst, &m->src);
	const uint32_t i = pool_make(&t->ticket_at, ticket_key(pair, m->name_key, m->qtype));
	t->ticket[i] = (struct ticket){
	    .tc_us = x->response_us,
	    .ask_ts_us = x->has_query ? x->q.ts_us : 0,
	    .group = pair_group(m->client_sketch, m->verdict->name_sketch, m->qtype),
	    .name_key = m->name_key,
	    .pair = pair,
	    .server = m->src,
	    .band = x->has_query ? band_of(x->q.edns) : 0,
	    .vantage = (uint8_t)vantage_of_txn(x),
	    .latency_us = UINT64_MAX,
	};
	filter_put(t, t->ticket[i].group, m->name_key, x->response_us);
}

void tickets_open(struct transport *t, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (txn[i].has_response && txn[i].tc)
			open_one(t, &txn[i]);
}

static void follow_one(struct ticket *k, const struct msg *m)
{
	if (m->t_us < k->tc_us || m->t_us - k->tc_us > TICKET_WAIT_US)
		return;
	if (!m->tcp) {
		if (!msg_is_response(m) && k->udp_us == 0 && band_of(m->edns) > k->band)
			k->udp_us = m->t_us;
	} else if (!msg_is_response(m)) {
		if (k->tcp_us == 0)
			k->tcp_us = m->t_us;
	} else if (k->tcp_us != 0 && k->answer_us == 0) {
		k->answer_us = m->t_us;
		if (k->ask_ts_us != 0 && m->ts_us >= k->ask_ts_us)
			k->latency_us = m->ts_us - k->ask_ts_us;
	}
}

void tickets_message(struct transport *t, const struct msg *m)
{
	const uint64_t pair = transport_pair(t, msg_client(m), msg_server(m));
	uint32_t i = pool_find(&t->ticket_at, ticket_key(pair, m->name_key, m->qtype));

	for (; i != POOL_NONE; i = pool_next(&t->ticket_at, i))
		follow_one(&t->ticket[i], m);
}

void tickets_expire(struct transport *t, uint64_t now_us, bool all)
{
	uint32_t i;

	filter_turn(t, now_us);
	while ((i = pool_oldest(&t->ticket_at, 0)) != POOL_NONE &&
	       (all || t->ticket[i].tc_us + TICKET_WAIT_US < now_us))
		ticket_close(t, i);
}

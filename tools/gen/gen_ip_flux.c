/* SPDX-License-Identifier: BSD-3-Clause */
/* The scenario ip-flux: names whose addresses move, content networks that look like it,
 * and name servers that move. Each view asks for each name once in a round; the TTL ends
 * before the next one, so that what two epochs hold is known beforehand. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <stdio.h>
#include <string.h>

enum {
	SYSTEMS = 16,     /* autonomous systems of the plan */
	FIRST_OCTET = 64, /* system k has the network of 8 bits behind it */
	FIRST_ASN = 64500,
	TTL_MOST_S = 1800,
	ADDRS_MOST = 512, /* of an owner that a probe keeps */
	HOLZ_MILLI = 142380,
	NS_MOVES = 2,
	NS_FLUX = 8,
};

/* How a name behaves from round to round. */
enum way {
	GROWS,      /* each answer has new addresses: `n` in two rounds */
	ROTATES,    /* two answers, in turn: `n` in both */
	STAYS,      /* `n` addresses, another n for each view */
	HOST,       /* a delegation whose one server has `n` addresses, one after another */
	DELEGATION, /* `n` sets of name servers, one after another */
	TRIMMED,    /* a delegation of which every third answer lacks a server */
};

struct plan {
	const char *owner;
	enum way way;
	uint16_t n, systems, views;
	const char *suppressed_by; /* as far as the way does not say it */
	bool is_double;
};

static const struct plan plans[] = {
    {"flux.evil0.example.", GROWS, 10, 7, 2, NULL, false},
    {"below.evil1.example.", GROWS, 9, 7, 2, NULL, false},
    {"flux.evil2.example.", GROWS, 24, 6, 1, NULL, false},
    {"below.evil3.example.", GROWS, 23, 6, 1, NULL, false},
    {"flux.evil4.example.", GROWS, 8, 8, 3, NULL, false},
    {"below.evil5.example.", GROWS, 5, 5, 1, NULL, false},
    {"flux.evil6.example.", GROWS, 38, 5, 1, NULL, false},
    {"below.evil7.example.", GROWS, 37, 5, 1, NULL, false},
    {"www.double.example.", GROWS, 16, 8, 2, NULL, true},
    {"edge.cdn0.example.", ROTATES, 100, 1, 2, "top_asn", false},
    {"edge.cdn1.example.", ROTATES, 93, 1, 2, NULL, false},
    {"edge.cdn.listed.example.", GROWS, 20, 10, 1, "cdn_list", false},
    {"pool.example.", ROTATES, 20, 10, 1, "saturated", false},
    {"geo.example.", STAYS, 9, 9, 4, "saturated", false},
    {"rr.example.", ROTATES, 6, 1, 2, NULL, false},
    {"www.quiet.example.", STAYS, 2, 1, 3, NULL, false},
    {"double.example.", HOST, 250, 0, 1, NULL, true},
    {"moves.example.", HOST, 3, 0, 1, NULL, false},
    {"moves1.example.", HOST, 2, 0, 1, NULL, false},
    {"quiet.example.", HOST, 1, 0, 3, NULL, false},
    {"deleg.example.", DELEGATION, 3, 0, 2, NULL, false},
    {"deleg1.example.", DELEGATION, 2, 0, 1, NULL, false},
    {"trim.example.", TRIMMED, 1, 0, 1, NULL, false},
};
enum { PLANS = sizeof(plans) / sizeof(*plans) };

static unsigned count_slots(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PLANS; i++)
		n += plans[i].views;
	return n;
}

static uint64_t rounds_of(const struct ft_gen *g)
{
	return g->opts.pairs / count_slots();
}

/* Shorter than a round by all that jitter can take. */
static uint32_t ttl_of(const struct ft_gen *g)
{
	const uint64_t round_us = g->step_us * count_slots();
	const uint64_t lost_us = 2 * g->step_us + 2000000;
	const uint64_t ttl_s = round_us > lost_us ? (round_us - lost_us) / 1000000 : 0;

	return ttl_s < TTL_MOST_S ? (uint32_t)ttl_s : TTL_MOST_S;
}

static void put_address(struct gen_buf *b, unsigned system, uint64_t i)
{
	gen_buf_u8(b, (uint8_t)(FIRST_OCTET + system));
	gen_buf_u8(b, (uint8_t)(i % 251));
	gen_buf_u8(b, (uint8_t)(i / 251));
	gen_buf_u8(b, 9);
}

/* The addresses [from, from + n) of a name; the number of records. */
static uint16_t put_answers(struct gen_buf *b, const struct plan *p, uint64_t from, uint64_t n,
			    uint32_t ttl_s)
{
	for (uint64_t i = from; i < from + n; i++) {
		const uint32_t begin = gen_rr_begin(b, GEN_POINTER | 12, GEN_A, 1, ttl_s);
		put_address(b, (unsigned)(i % p->systems), i);
		gen_rr_end(b, begin);
	}
	return (uint16_t)n;
}

static uint16_t put_data(struct gen_buf *b, const struct plan *p, unsigned view, uint64_t round,
			 uint32_t ttl_s)
{
	const uint64_t larger = (p->n + 1u) / 2, smaller = p->n / 2u;
	const uint64_t first = round % 2 == 0 ? larger : smaller;

	switch (p->way) {
	case GROWS: return put_answers(b, p, round / 2 * p->n + (round % 2) * larger, first, ttl_s);
	case ROTATES: return put_answers(b, p, round % 2 * larger, first, ttl_s);
	default: return put_answers(b, p, (uint64_t)view * p->n, p->n, ttl_s);
	}
}

/* An NS record of the zone, and where its glue goes the host's name. */
static void put_ns(struct gen_buf *b, const char *host, uint32_t ttl_s)
{
	struct gen_name name;
	const uint32_t begin = gen_rr_begin(b, GEN_POINTER | 12, GEN_NS, 1, ttl_s);

	gen_name_text(&name, host);
	gen_buf_octets(b, name.wire, name.len);
	gen_rr_end(b, begin);
}

static void put_glue(struct gen_buf *b, const char *host, uint64_t i, uint32_t ttl_s)
{
	struct gen_name name;

	gen_name_text(&name, host);
	gen_buf_octets(b, name.wire, name.len);
	gen_buf_u16(b, GEN_A);
	gen_buf_u16(b, 1);
	gen_buf_u32(b, ttl_s);
	gen_buf_u16(b, 4);
	put_address(b, 0, i);
}

/* Which of n things one after another it is in a round: each holds as long. */
static uint64_t phase_of(const struct ft_gen *g, const struct plan *p, uint64_t round)
{
	const uint64_t rounds = rounds_of(g);

	return p->n >= rounds ? round : round * p->n / rounds;
}

static void put_referral(struct ft_gen *g, struct gen_buf *b, const struct plan *p, uint64_t round,
			 uint16_t counts[2])
{
	const uint32_t ttl_s = ttl_of(g);
	const uint64_t phase = phase_of(g, p, round);
	char host[64];

	counts[0] = counts[1] = 1;
	switch (p->way) {
	case HOST:
		(void)snprintf(host, sizeof(host), "ns.%s", p->owner);
		put_ns(b, host, ttl_s);
		put_glue(b, host, phase, ttl_s);
		return;
	case DELEGATION:
		counts[0] = 2;
		counts[1] = 0;
		for (unsigned i = 1; i <= 2; i++) {
			(void)snprintf(host, sizeof(host), "ns%u.h%u.example.", i, (unsigned)phase);
			put_ns(b, host, ttl_s);
		}
		return;
	default:
		counts[0] = round % 3 == 2 ? 2 : 3;
		counts[1] = 0;
		for (unsigned i = 1; i <= counts[0]; i++) {
			(void)snprintf(host, sizeof(host), "ns%u.%s", i, p->owner);
			put_ns(b, host, ttl_s);
		}
	}
}

static void send_reply(struct ft_gen *g, const struct plan *p, unsigned view, uint64_t round,
		       const struct gen_ask *ask, struct gen_reply *reply)
{
	struct gen_buf b = {g->l4 + GEN_UDP_HEADER, 0}, head = b;
	const bool is_referral = p->way >= HOST;
	uint16_t counts[2] = {0, 0}, answers = 0;

	b.len = 12;
	gen_buf_octets(&b, ask->name.wire, ask->name.len);
	gen_buf_u16(&b, GEN_A);
	gen_buf_u16(&b, 1);
	if (is_referral)
		put_referral(g, &b, p, round, counts);
	else
		answers = put_data(&b, p, view, round, ttl_of(g));
	gen_buf_u16(&head, ask->id);
	gen_buf_u16(&head, is_referral ? 0x8000 : 0x8400);
	gen_buf_u16(&head, 1);
	gen_buf_u16(&head, answers);
	gen_buf_u16(&head, counts[0]);
	gen_buf_u16(&head, counts[1]);
	reply->aa = !is_referral;
	reply->shape = is_referral ? GEN_SHAPE_REFERRAL : GEN_SHAPE_DATA;
	reply->bytes = b.len;
	g->totals->dns_messages++;
	reply->ts_us = gen_frame_udp(g, &ask->path, GEN_TO_CLIENT, ask->ts_us + 10000, b.len);
}

void gen_ip_flux_step(struct ft_gen *g, uint64_t ts_us)
{
	const uint64_t round = g->at / count_slots();
	unsigned view = (unsigned)(g->at % count_slots()), at = 0;
	struct gen_ask ask;
	struct gen_reply reply = {0};

	for (; view >= plans[at].views; at++)
		view -= plans[at].views;
	gen_ask_init(g, &ask, ts_us);
	ask.path.is_v6 = false;
	memcpy(ask.path.client.b, (const uint8_t[4]){10, 1, 0, (uint8_t)(view + 1)}, 4);
	memcpy(ask.path.server.b, (const uint8_t[4]){192, 0, 2, (uint8_t)(at % 8 + 1)}, 4);
	ask.rd = false;
	ask.qtype = GEN_A;
	ask.has_question = true;
	gen_name_text(&ask.name, plans[at].owner);
	gen_send_query(g, &ask);
	send_reply(g, &plans[at], view, round, &ask, &reply);
	gen_truth_pair(&g->books, &ask, &reply);
}

/* How often a probe sees the current thing of a plan change. */
static uint64_t changes_of(const struct ft_gen *g, const struct plan *p)
{
	const uint64_t rounds = rounds_of(g);

	if (p->way == TRIMMED)
		return 0;
	return (p->n < rounds ? p->n : rounds) - 1;
}

static void tell_ns(const struct ft_gen *g, const struct plan *p, struct ft_gen_ip_flux *out)
{
	out->n_changes = changes_of(g, p);
	out->is_due = out->n_changes >= NS_MOVES;
	out->class = p->way != HOST              ? "DELEG_FLUX"
		     : out->n_changes >= NS_FLUX ? "NS_FLUX"
						 : "NS_MOVE";
	if (p->way == HOST)
		(void)snprintf(out->owner, sizeof(out->owner), "ns.%s", p->owner);
}

static void tell_ip(const struct ft_gen *g, const struct plan *p, struct ft_gen_ip_flux *out)
{
	const uint64_t larger = (p->n + 1u) / 2;
	uint64_t n_a = p->n;

	if (p->way == GROWS)
		n_a = rounds_of(g) / 2 * p->n + rounds_of(g) % 2 * larger;
	if (p->way == STAYS)
		n_a = (uint64_t)p->n * p->views;
	out->n_a = n_a < ADDRS_MOST ? n_a : ADDRS_MOST;
	out->n_asn = p->systems;
	out->f_holz_milli = 1320u * p->n + 18540u * p->systems;
	out->is_due = out->f_holz_milli > HOLZ_MILLI;
	out->suppressed_by = p->suppressed_by;
	out->class = p->suppressed_by == NULL ? "FLUX" : NULL;
}

size_t ft_gen_ip_flux_get(const struct ft_gen *g, struct ft_gen_ip_flux *out, size_t cap)
{
	size_t n = 0;

	if (g->opts.scenario != FT_GEN_IP_FLUX)
		return 0;
	for (unsigned i = 0; i < PLANS && n < cap; i++, n++) {
		const struct plan *p = &plans[i];
		out[n] = (struct ft_gen_ip_flux){.kind = p->way >= HOST ? "ns" : "ip",
						 .type = p->way >= DELEGATION ? "NS" : "A",
						 .is_double = p->is_double};
		(void)snprintf(out[n].owner, sizeof(out[n].owner), "%s", p->owner);
		if (p->way >= HOST)
			tell_ns(g, p, &out[n]);
		else
			tell_ip(g, p, &out[n]);
	}
	return n;
}

unsigned ft_gen_ip_flux_system(unsigned i, char prefix[FT_GEN_NAME_BUF])
{
	if (i >= SYSTEMS)
		return 0;
	(void)snprintf(prefix, FT_GEN_NAME_BUF, "%u.0.0.0/8", FIRST_OCTET + i);
	return FIRST_ASN + i;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `hijack`: for 55 minutes the NS of bank.example are another's, at its parent too,
 * its addresses move, TTLs fall from 3600 to 60 to 0 and a certificate is asked for. Beside
 * it shop.example rotates, moves within what is allowed, has one poisoned resolver, and loses
 * its DS. Truth: when each began and ended, and how often each RRset was said. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000ull

enum {
	RTT_US = 5000,
	POISON_S = 3600,
	POISON_FOR_S = 600,
	BEGIN_S = 7207,
	FOR_S = 3300, /* 55 minutes */
	ZERO_S = BEGIN_S + 1500,
	ALLOWED_S = 12000,
	DS_GONE_S = 15000,
	TTL_S = 3600,
	LOW_S = 60,
	PARENT_S = 3600,
	VICTIM = 7, /* the poisoned resolver */
	DAY_S = 86400,
	SLOT_S = 300,
};

enum rrset { WWW_A, BANK_NS, ACME_TXT, LB_A, CDN_A, PAY_A, SHOP_MX, SHOP_NS, SHOP_DS, RRSETS };
static const struct {
	const char *owner, *type;
} rrsets[RRSETS] = {
    {"www.bank.example.", "A"},
    {"bank.example.", "NS"},
    {"_acme-challenge.bank.example.", "TXT"},
    {"lb.shop.example.", "A"},
    {"cdn.shop.example.", "A"},
    {"pay.shop.example.", "A"},
    {"shop.example.", "MX"},
    {"shop.example.", "NS"},
    {"shop.example.", "DS"},
};

static const char *const watch[] = {
    "www.bank.example A baseline=192.0.2.80",
    "bank.example NS baseline=ns1.bank.example.|ns2.bank.example.",
    "_acme-challenge.bank.example TXT baseline=",
    "lb.shop.example A baseline=192.0.2.90|192.0.2.91|192.0.2.92|192.0.2.93|192.0.2.94|192.0.2.95",
    "cdn.shop.example A allow=198.18.0.0/15 baseline=192.0.2.100",
    "pay.shop.example A baseline=192.0.2.110",
    "shop.example MX,NS baseline=10 mail.shop.example|ns1.shop.example|ns2.shop.example",
    "shop.example DS baseline=4711 13 2 "
    "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB",
    NULL,
};

/* Of what is not in the truth's changes: state, owner, type, side, auth, class; in order. */
static const char *const others[] = {
    "CHANGED pay.shop.example. A CHILD UNAUTHORISED POISON_SUSPECT",
    "REVERTED pay.shop.example. A CHILD UNAUTHORISED POISON_SUSPECT",
    "ACCEPTED cdn.shop.example. A CHILD AUTHORISED -",
    "CHANGED shop.example. DS PARENT UNAUTHORISED DELEGATION_HIJACK",
    NULL,
};

static const struct ft_gen_change changes[FT_GEN_HIJACK_CHANGES] = {
    {.owner = "www.bank.example.",
     .type = "A",
     .side = "CHILD",
     .added = "203.0.113.80",
     .removed = "192.0.2.80",
     .flags = "SHORT_LIVED TTL_DROP TTL_ZERO"},
    {.owner = "bank.example.",
     .type = "NS",
     .side = "CHILD",
     .added = "ns1.evil.example.",
     .removed = "ns1.bank.example. ns2.bank.example.",
     .flags = "SHORT_LIVED TTL_DROP TTL_ZERO"},
    {.owner = "bank.example.",
     .type = "NS",
     .side = "PARENT",
     .added = "ns1.evil.example.",
     .removed = "ns1.bank.example. ns2.bank.example.",
     .flags = "SHORT_LIVED"},
    {.owner = "_acme-challenge.bank.example.",
     .type = "TXT",
     .side = "CHILD",
     .added = "\"gfj9Xq...Rg85nM\"",
     .removed = "",
     .flags = "SHORT_LIVED"},
};

struct gen_hijack {
	struct ft_gen_hijack sum;
	uint64_t last_us[FT_GEN_HIJACK_CHANGES]; /* of the changes: when each was said last */
	uint32_t slots[RRSETS][(DAY_S / SLOT_S + 31) / 32];
	bool begun;
};

/* A message under construction: question, then records. */
struct deal {
	struct ft_gen *g;
	struct gen_ask ask;
	struct gen_reply reply;
	struct gen_buf b;
	uint64_t at_us; /* of the response */
	uint32_t at_s;  /* the same since the start */
	uint16_t count[3];
};

static bool is_on(const struct deal *d)
{
	return d->at_s >= BEGIN_S && d->at_s < BEGIN_S + FOR_S;
}

static uint32_t hijack_ttl(const struct deal *d)
{
	return !is_on(d) ? TTL_S : d->at_s < ZERO_S ? LOW_S : 0;
}

/* --- records --- */

static void put_name(struct gen_buf *b, const char *text)
{
	struct gen_name n;

	gen_name_text(&n, text);
	gen_buf_octets(b, n.wire, n.len);
}

static uint32_t begin_rr(struct deal *d, unsigned section, const char *owner, uint16_t type,
			 uint32_t ttl)
{
	put_name(&d->b, owner);
	gen_buf_u16(&d->b, type);
	gen_buf_u16(&d->b, 1);
	gen_buf_u32(&d->b, ttl);
	gen_buf_u16(&d->b, 0);
	d->count[section]++;
	return d->b.len;
}

static void put_a(struct deal *d, unsigned section, const char *owner, uint32_t ttl, uint32_t addr)
{
	const uint32_t begin = begin_rr(d, section, owner, GEN_A, ttl);

	gen_buf_u32(&d->b, addr);
	gen_rr_end(&d->b, begin);
}

static void put_ns(struct deal *d, unsigned section, const char *owner, uint32_t ttl,
		   const char *host)
{
	const uint32_t begin = begin_rr(d, section, owner, GEN_NS, ttl);

	put_name(&d->b, host);
	gen_rr_end(&d->b, begin);
}

static void put_soa(struct deal *d, const char *owner)
{
	const uint32_t begin = begin_rr(d, 1, owner, GEN_SOA, 300);

	put_name(&d->b, "ns1.example.");
	put_name(&d->b, "host.example.");
	for (unsigned i = 0; i < 5; i++)
		gen_buf_u32(&d->b, 60);
	gen_rr_end(&d->b, begin);
}

/* --- messages --- */

static void begin(struct deal *d, const char *qname, uint16_t qtype, uint32_t server)
{
	struct gen_ask *ask = &d->ask;

	memset(&ask->path.server, 0, sizeof(ask->path.server));
	memcpy(ask->path.server.b,
	       (const uint8_t[4]){(uint8_t)(server >> 24), (uint8_t)(server >> 16),
				  (uint8_t)(server >> 8), (uint8_t)server},
	       4);
	gen_name_text(&ask->name, qname);
	ask->qtype = qtype;
	ask->has_question = true;
	ask->has_opt = true;
	ask->is_do = d->reply.shape == GEN_SHAPE_REFERRAL;
	ask->bufsize = 1232;
	gen_send_query(d->g, ask);
	d->b = (struct gen_buf){d->g->l4 + GEN_UDP_HEADER, 0};
	gen_buf_u16(&d->b, ask->id);
	for (unsigned i = 0; i < 5; i++)
		gen_buf_u16(&d->b, 0);
	gen_buf_octets(&d->b, ask->name.wire, ask->name.len);
	gen_buf_u16(&d->b, qtype);
	gen_buf_u16(&d->b, 1);
}

static void finish(struct deal *d)
{
	struct gen_buf head = {d->b.p, 2};
	struct gen_reply *r = &d->reply;

	gen_buf_u16(&head, (uint16_t)(0x8000 | (r->aa ? 0x0400 : 0) | r->rcode));
	gen_buf_u16(&head, 1);
	for (unsigned i = 0; i < 3; i++)
		gen_buf_u16(&head, d->count[i]);
	r->ts_us = d->at_us;
	r->bytes = d->b.len;
	d->g->totals->dns_messages++;
	(void)gen_frame_udp(d->g, &d->ask.path, GEN_TO_CLIENT, r->ts_us, d->b.len);
	gen_truth_pair(&d->g->books, &d->ask, r);
}

/* Says that an RRset was said; change: its number, or -1. */
static void note(struct deal *d, enum rrset set, int change)
{
	struct gen_hijack *h = d->g->hijack;
	const uint32_t slot = (uint32_t)(d->at_us / SECOND % DAY_S / SLOT_S);

	h->sum.seen[set].observations++;
	h->sum.seen[set].last_auth_us = d->at_us;
	h->slots[set][slot / 32] |= 1u << slot % 32;
	if (change < 0)
		return;
	const uint64_t gap_us = d->at_us - h->last_us[change];
	if (h->last_us[change] != 0 && gap_us >= h->sum.change[change].gap_us)
		h->sum.change[change].gap_us = gap_us + 1;
	h->last_us[change] = d->at_us;
}

/* One of the two servers of a zone, or the hijacker's. */
static uint32_t server_of(struct deal *d, bool bank)
{
	if (bank && is_on(d))
		return 0xcb007135; /* 203.0.113.53 */
	return (bank ? 0xc0000201u : 0xc000020bu) + gen_rng_below(&d->g->rng, 2);
}

/* --- what is asked --- */

static void ask_referral(struct deal *d, bool bank)
{
	const bool evil = bank && is_on(d);
	const char *zone = bank ? "bank.example." : "shop.example.";

	d->reply.shape = GEN_SHAPE_REFERRAL;
	d->reply.aa = false;
	begin(d, bank ? "www.bank.example." : "www.shop.example.", GEN_A, 0xc0000264);
	if (evil) {
		put_ns(d, 1, zone, PARENT_S, "ns1.evil.example.");
		put_a(d, 2, "ns1.evil.example.", PARENT_S, 0xcb007135);
	} else {
		put_ns(d, 1, zone, PARENT_S, bank ? "ns2.bank.example." : "ns1.shop.example.");
		put_ns(d, 1, zone, PARENT_S, bank ? "ns1.bank.example." : "ns2.shop.example.");
		if (!bank && d->at_s < DS_GONE_S) {
			const uint32_t at = begin_rr(d, 1, zone, GEN_DS, PARENT_S);
			gen_buf_u32(&d->b, 4711u << 16 | 13 << 8 | 2);
			memset(d->b.p + d->b.len, 0xab, 32);
			d->b.len += 32;
			gen_rr_end(&d->b, at);
		}
		put_a(d, 2, bank ? "ns1.bank.example." : "ns1.shop.example.", PARENT_S,
		      bank ? 0xc0000201u : 0xc000020bu);
		put_a(d, 2, bank ? "ns2.bank.example." : "ns2.shop.example.", PARENT_S,
		      bank ? 0xc0000202u : 0xc000020cu);
	}
	finish(d);
	note(d, bank ? BANK_NS : SHOP_NS, bank ? 2 : -1);
	if (!bank)
		note(d, SHOP_DS, -1);
}

static void ask_address(struct deal *d, enum rrset set, uint32_t ttl, uint32_t addr, unsigned n)
{
	begin(d, rrsets[set].owner, GEN_A, server_of(d, set == WWW_A));
	for (unsigned i = 0; i < n; i++)
		put_a(d, 0, rrsets[set].owner, ttl, addr + i);
	finish(d);
	note(d, set, set == WWW_A ? 0 : -1);
}

static void ask_bank_ns(struct deal *d)
{
	begin(d, "bank.example.", GEN_NS, server_of(d, true));
	if (is_on(d)) {
		put_ns(d, 0, "bank.example.", hijack_ttl(d), "ns1.evil.example.");
	} else {
		put_ns(d, 0, "bank.example.", TTL_S, "ns1.bank.example.");
		put_ns(d, 0, "bank.example.", TTL_S, "NS2.Bank.example.");
	}
	finish(d);
	note(d, BANK_NS, 1);
}

static void ask_acme(struct deal *d)
{
	static const char token[] = "gfj9Xq...Rg85nM";

	d->reply.rcode = is_on(d) ? 0 : 3;
	d->reply.shape = is_on(d) ? GEN_SHAPE_DATA : GEN_SHAPE_NEGATIVE;
	begin(d, rrsets[ACME_TXT].owner, GEN_TXT, server_of(d, true));
	if (is_on(d)) {
		const uint32_t at = begin_rr(d, 0, rrsets[ACME_TXT].owner, GEN_TXT, 0);
		gen_buf_u8(&d->b, (uint8_t)strlen(token));
		gen_buf_octets(&d->b, (const uint8_t *)token, (uint32_t)strlen(token));
		gen_rr_end(&d->b, at);
	} else {
		put_soa(d, "bank.example.");
	}
	finish(d);
	note(d, ACME_TXT, 3);
}

static void ask_mx(struct deal *d)
{
	begin(d, "shop.example.", GEN_MX, server_of(d, false));
	const uint32_t at = begin_rr(d, 0, "shop.example.", GEN_MX, TTL_S);
	gen_buf_u16(&d->b, 10);
	put_name(&d->b, "mail.shop.example.");
	gen_rr_end(&d->b, at);
	finish(d);
	note(d, SHOP_MX, -1);
}

static void ask_pay(struct deal *d)
{
	const bool poison = d->at_s >= POISON_S && d->at_s < POISON_S + POISON_FOR_S;

	if (poison && gen_rng_chance(&d->g->rng, 5000))
		d->ask.path.client.b[3] = VICTIM;
	ask_address(d, PAY_A, 300,
		    poison && d->ask.path.client.b[3] == VICTIM ? 0xcb00716fu : 0xc000026eu, 1);
}

void gen_hijack_step(struct ft_gen *g, uint64_t ts_us)
{
	struct deal d = {.g = g, .at_us = ts_us + RTT_US};

	d.at_s = (uint32_t)((d.at_us - g->opts.start_us) / SECOND);
	gen_ask_init(g, &d.ask, ts_us);
	d.ask.path.is_v6 = false;
	memset(&d.ask.path.client, 0, sizeof(d.ask.path.client));
	memcpy(d.ask.path.client.b,
	       (const uint8_t[4]){198, 51, 100,
				  (uint8_t)(1 + gen_rng_below(&g->rng, g->opts.clients) % 254)},
	       4);
	d.ask.rd = false;
	d.reply = (struct gen_reply){.shape = GEN_SHAPE_DATA, .aa = true};
	const bool first = !g->hijack->begun && is_on(&d);
	g->hijack->begun |= first;
	switch (first ? 0 : gen_rng_below(&g->rng, 9)) {
	case 0: ask_referral(&d, true); break;
	case 1: ask_referral(&d, false); break;
	case 2: ask_bank_ns(&d); break;
	case 3: ask_acme(&d); break;
	case 4: ask_address(&d, LB_A, 60, 0xc000025au + gen_rng_below(&g->rng, 5), 2); break;
	case 5:
		ask_address(&d, CDN_A, 60, d.at_s < ALLOWED_S ? 0xc0000264u : 0xc6120007u, 1);
		break;
	case 6: ask_pay(&d); break;
	case 7: ask_mx(&d); break;
	default: ask_address(&d, WWW_A, hijack_ttl(&d), is_on(&d) ? 0xcb007150u : 0xc0000250u, 1);
	}
}

int gen_hijack_init(struct ft_gen *g)
{
	g->hijack = calloc(1, sizeof(*g->hijack));
	if (g->hijack == NULL)
		return -ENOMEM;
	struct ft_gen_hijack *sum = &g->hijack->sum;
	sum->watch = watch;
	sum->others = others;
	for (unsigned i = 0; i < FT_GEN_HIJACK_CHANGES; i++) {
		sum->change[i] = changes[i];
		sum->change[i].onset_us = g->opts.start_us + BEGIN_S * SECOND;
		sum->change[i].revert_us = sum->change[i].onset_us + FOR_S * SECOND;
	}
	for (unsigned i = 0; i < RRSETS; i++) {
		sum->seen[i].owner = rrsets[i].owner;
		sum->seen[i].type = rrsets[i].type;
	}
	static_assert((unsigned)RRSETS == (unsigned)FT_GEN_HIJACK_RRSETS, "one for each");
	return 0;
}

void gen_hijack_fini(struct ft_gen *g)
{
	free(g->hijack);
}

void gen_hijack_close(struct ft_gen *g, struct ft_gen_truth *truth)
{
	struct gen_hijack *h = g->hijack;

	if (h == NULL)
		return;
	for (unsigned i = 0; i < RRSETS; i++) {
		h->sum.seen[i].slots = 0;
		for (unsigned k = 0; k < sizeof(h->slots[i]) / sizeof(h->slots[i][0]); k++)
			h->sum.seen[i].slots += (uint32_t)__builtin_popcount(h->slots[i][k]);
	}
	truth->hijack = &h->sum;
}

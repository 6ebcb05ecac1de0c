/* SPDX-License-Identifier: BSD-3-Clause */
/* RRset observations: what control has merged is what a plain reading of the same
 * messages gives, whatever the size of the tables and the split over workers. */
#include "ecs.h"
#include "guard.h"
#include "name.h"
#include "plain_dns.h"
#include "rrset.h"
#include "stats/rrsets.h"
#include "txn_make.h"
#include "txn_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1767225600000000u /* begins an interval */
#define CLIENTS 6u
#define TEXT_ROOM 720u /* octets of rdata that a text has room for at least */

static const char *const type_texts[] = {"A", "AAAA", "CNAME", "NS"};

static struct addr client_addr(unsigned i)
{
	struct addr a = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	a.b[14] = (uint8_t)i;
	return a;
}

static struct addr server_addr(unsigned i)
{
	const uint8_t v4[4] = {192, 0, 2, (uint8_t)i};

	return addr_from_v4(v4);
}

/* Options of EDNS client subnet, and the part of the view that each makes. */
#define V4 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
static const struct subnet {
	uint8_t option[12];
	uint32_t len;
	const char *text;
	struct ecs_scope scope;
} subnets[] = {
    {{0, 1, 24, 16, 10, 1, 2}, 7, " 10.1/16", {{{V4, 10, 1}}, 112}},
    {{0, 1, 24, 24, 10, 1, 2}, 7, " 10.1.2/24", {{{V4, 10, 1, 2}}, 120}},
    {{0, 1, 24, 32, 10, 1, 2}, 7, " 10.1.2/24", {{{V4, 10, 1, 2}}, 120}},
    {{0, 1, 20, 19, 10, 1, 0x30}, 7, " 10.1.32/19", {{{V4, 10, 1, 32}}, 115}},
    {{0, 2, 56, 48, 32, 1, 13, 184, 0, 1, 255}, 11, " 48", {{{32, 1, 13, 184, 0, 1}}, 48}},
    {{0, 1, 24, 0, 10, 1, 2}, 7, "", {{{0}}, 0}},  /* the same for everybody */
    {{0, 1, 24, 24, 10, 1}, 6, "", {{{0}}, 0}},    /* broken */
    {{0, 3, 24, 24, 10, 1, 2}, 7, "", {{{0}}, 0}}, /* of no family */
};
#define SUBNETS (sizeof(subnets) / sizeof(*subnets))

/* One observation as the reference sees it, or several merged. */
struct seen {
	char *key;
	uint64_t seconds, count;
	uint32_t ttl_min, ttl_max;
	bool aa;
};

struct seens {
	struct seen *v;
	size_t n, cap;
};

static void seen_add(struct seens *s, const struct seen *x)
{
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 1024 : s->cap * 2;
		s->v = txn_rig_need(realloc(s->v, s->cap * sizeof(*s->v)));
	}
	s->v[s->n] = *x;
	s->v[s->n++].key = txn_rig_need(strdup(x->key));
}

static int seen_compare(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->key, ((const struct seen *)b)->key);
}

static void seen_line(const struct seen *x, struct lines *out)
{
	char *line = txn_rig_need(malloc(strlen(x->key) + 200));

	(void)sprintf(line, "%s s=%016llx ttl=%u-%u aa=%d n=%llu", x->key,
		      (unsigned long long)x->seconds, x->ttl_min, x->ttl_max, x->aa,
		      (unsigned long long)x->count);
	lines_add(out, line);
	free(line);
}

static void seen_merge(struct seens *s, struct lines *out)
{
	qsort(s->v, s->n, sizeof(*s->v), seen_compare);
	for (size_t i = 0; i < s->n;) {
		struct seen x = s->v[i];
		size_t k = i + 1;
		for (; k < s->n && strcmp(s->v[k].key, x.key) == 0; k++) {
			x.seconds |= s->v[k].seconds;
			x.count += s->v[k].count;
			x.ttl_min = s->v[k].ttl_min < x.ttl_min ? s->v[k].ttl_min : x.ttl_min;
			x.ttl_max = s->v[k].ttl_max > x.ttl_max ? s->v[k].ttl_max : x.ttl_max;
			x.aa |= s->v[k].aa;
		}
		seen_line(&x, out);
		i = k;
	}
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].key);
	free(s->v);
	*s = (struct seens){0};
}

static int text_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Sorts texts and joins what is different. */
static void join(char (*text)[PLAIN_TEXT], size_t n, char *out)
{
	*out = '\0';
	qsort(text, n, sizeof(*text), text_compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(text[i], text[i - 1]) != 0)
			out += sprintf(out, "%s,", text[i]);
}

/* The reference. */

struct ref {
	const uint8_t *msg;
	uint32_t len;
	const struct plain *p;
	bool referral;
	int type[PLAIN_RECORDS]; /* -1: of no interest */
	char target[PLAIN_RECORDS][PLAIN_TEXT];
	bool in[PLAIN_RECORDS];
};

static void ref_types(struct ref *r)
{
	for (uint32_t i = 0; i < r->p->n; i++) {
		const struct plain_record *x = &r->p->r[i];
		uint32_t next = 0;
		r->type[i] = -1;
		if (x->class != 1 || !x->owner_good)
			continue;
		if (x->type == 1 && x->rdlen == 4)
			r->type[i] = 0;
		if (x->type == 28 && x->rdlen == 16)
			r->type[i] = 1;
		for (uint32_t k = 0; r->type[i] >= 0 && k < x->rdlen; k++)
			(void)sprintf(r->target[i] + 2 * k, "%02x", r->msg[x->rdata_off + k]);
		if ((x->type == 5 || x->type == 2) &&
		    plain_name(r->msg, r->len, x->rdata_off, true, r->target[i], &next) &&
		    next == x->rdata_off + x->rdlen)
			r->type[i] = x->type == 5 ? 2 : 3;
	}
}

/* The asked name and everything CNAMEs lead to; again and again until nothing is new. */
static void ref_chain(struct ref *r)
{
	for (bool more = true; more;) {
		more = false;
		for (uint32_t i = 0; i < r->p->n; i++) {
			const struct plain_record *x = &r->p->r[i];
			bool good = strcmp(x->owner, r->p->qname) == 0;
			for (uint32_t k = 0; k < r->p->n && !good; k++)
				good = r->in[k] && r->type[k] == 2 &&
				       strcmp(r->target[k], x->owner) == 0;
			if (x->section != 0 || r->type[i] < 0 || r->in[i] || !good)
				continue;
			r->in[i] = more = true;
		}
	}
}

static bool ref_is_above(const char *owner, const char *qname)
{
	const size_t n = strlen(owner), qn = strlen(qname);

	return n > 1 && n <= qn && strcmp(qname + qn - n, owner) == 0 &&
	       (n == qn || qname[qn - n - 1] == '.');
}

static void ref_referral(struct ref *r)
{
	for (uint32_t i = 0; i < r->p->n; i++)
		r->in[i] = r->p->r[i].section == 1 && r->type[i] == 3 &&
			   ref_is_above(r->p->r[i].owner, r->p->qname);
	for (uint32_t i = 0; i < r->p->n; i++)
		for (uint32_t k = 0; k < r->p->n; k++)
			if (r->p->r[i].section == 2 && (r->type[i] == 0 || r->type[i] == 1) &&
			    r->in[k] && r->type[k] == 3 &&
			    strcmp(r->target[k], r->p->r[i].owner) == 0)
				r->in[i] = true;
}

static uint32_t ref_octets(const char *text, int type)
{
	uint32_t digits = 0, dots = 0;

	for (; *text != '\0'; text++) {
		digits += *text != '.' && *text != '/';
		dots += *text == '.';
	}
	return type < 2 ? digits / 2 : digits / 2 + dots + 2; /* root, length */
}

static void ref_set(const struct ref *r, uint32_t first, bool *done, const char *vantage,
		    const char *view, uint64_t t_us, uint32_t interval_s, struct seens *out)
{
	static char text[PLAIN_RECORDS][PLAIN_TEXT], all[PLAIN_RECORDS * PLAIN_TEXT];
	static char key[PLAIN_RECORDS * PLAIN_TEXT + 4 * PLAIN_TEXT];
	static const uint32_t caps[] = {1800, 1800, 10800, UINT32_MAX};
	const uint64_t second = t_us / 1000000, row = second / interval_s;
	const int type = r->type[first];
	const bool aa = (r->p->flags & 0x400) != 0;
	struct seen x = {.key = key, .ttl_min = UINT32_MAX, .count = 1, .aa = aa};
	uint32_t octets = 0;
	size_t n = 0, distinct = 0;

	for (uint32_t i = first; i < r->p->n; i++) {
		if (!r->in[i] || r->type[i] != type ||
		    strcmp(r->p->r[i].owner, r->p->r[first].owner) != 0)
			continue;
		const uint32_t ttl = r->p->r[i].ttl >= 1u << 31 ? 0 : r->p->r[i].ttl;
		done[i] = true;
		x.ttl_min = ttl < x.ttl_min ? ttl : x.ttl_min;
		x.ttl_max = ttl > x.ttl_max ? ttl : x.ttl_max;
		(void)strcpy(text[n++], r->target[i]);
	}
	join(text, n, all);
	for (size_t i = 0; i < n; i++) /* sorted now */
		if (i == 0 || strcmp(text[i], text[i - 1]) != 0) {
			octets += ref_octets(text[i], type);
			distinct++;
		}
	if (octets > TEXT_ROOM)
		(void)sprintf(all, "cut, of %zu", distinct);
	const int used =
	    sprintf(key, "%llu %s %s%s %s", (unsigned long long)row, vantage, type_texts[type],
		    r->referral ? " referral" : "", r->p->r[first].owner);
	if (!r->referral && x.ttl_max > caps[type]) {
		if (aa)
			return;
		(void)sprintf(key + used, " long");
		x = (struct seen){.key = key};
	} else {
		(void)sprintf(key + used, " %s %s %llu", all, view,
			      (unsigned long long)(second / 60));
		x.seconds = 1ull << second % 60;
	}
	seen_add(out, &x);
}

/* Options fill their record. */
static bool ref_opt_is_whole(const uint8_t *msg, const struct plain *p)
{
	const uint32_t end = p->opt_off + p->opt_len;
	uint32_t at = p->opt_off;

	while (at + 4 <= end)
		at += 4 + plain_u16(msg + at + 2);
	return at == end;
}

/* What the first option of this kind adds to the view. */
static const char *ref_subnet(const uint8_t *msg, const struct plain *p)
{
	const uint32_t end = p->opt_off + p->opt_len;

	for (uint32_t at = p->opt_off; at + 4 <= end; at += 4 + plain_u16(msg + at + 2)) {
		const uint32_t len = plain_u16(msg + at + 2);
		if (plain_u16(msg + at) != 8)
			continue;
		for (size_t i = 0; i < SUBNETS; i++)
			if (len == subnets[i].len && at + 4 + len <= end &&
			    memcmp(msg + at + 4, subnets[i].option, len) == 0)
				return subnets[i].text;
		break;
	}
	return "";
}

static void ref_response(const uint8_t *msg, uint32_t len, unsigned client, unsigned server,
			 uint64_t t_us, uint32_t interval_s, struct seens *out)
{
	static struct plain p;
	static struct ref r;
	bool done[PLAIN_RECORDS] = {false};
	uint32_t answers = 0, ns = 0, soa = 0;
	char view[32];

	if (!plain_read(msg, len, &p) || p.qd != 1 || (p.flags & 0x7a0f) != 0 || p.qclass != 1)
		return;
	memset(r.in, 0, sizeof(r.in));
	r.msg = msg, r.len = len, r.p = &p;
	const bool many = p.n >= 64;
	for (uint32_t i = 0; i < p.n; i++) {
		answers += p.r[i].section == 0 && i < 64;
		ns += p.r[i].section == 1 && p.r[i].type == 2;
		soa += p.r[i].section == 1 && p.r[i].type == 6;
	}
	r.referral = p.an == 0 && (p.flags & 0x400) == 0 && ns != 0 && soa == 0 && !p.cut &&
		     ref_opt_is_whole(msg, &p);
	if (r.referral ? many : answers < p.an)
		return;
	ref_types(&r);
	if (r.referral)
		ref_referral(&r);
	else
		ref_chain(&r);
	const bool rd = (p.flags & 0x100) != 0, ra = (p.flags & 0x80) != 0;
	const bool r2a = (p.flags & 0x400) != 0 || r.referral;
	const char *vantage = rd ? (ra ? "S2R" : "X") : (r2a ? "R2A" : "X");
	const bool by_server = r.referral || (rd && ra);
	(void)sprintf(view, by_server ? "s%u%s" : "c%u%s", by_server ? server : client,
		      r.referral ? "" : ref_subnet(msg, &p));
	for (uint32_t i = 0; i < p.n; i++)
		if (r.in[i] && !done[i])
			ref_set(&r, i, done, vantage, view, t_us, interval_s, out);
}

/* What control has. */

struct reading {
	const struct stat_parts *parts;
	const struct txn_rig *rig;
	uint64_t row;
	struct lines *out;
};

static void wire_text(const uint8_t *name, uint32_t n, char *out)
{
	assert_true(plain_name(name, n, 0, true, out, NULL));
}

static const char *view_text(uint32_t view, char *out)
{
	for (unsigned i = 0; i < 2 * CLIENTS; i++) {
		const struct addr a = i % 2 != 0 ? client_addr(i / 2) : server_addr(i / 2);
		const uint64_t whole = addr_fold(&a, TXN_RIG_SEED);
		if (view == (uint32_t)whole)
			(void)sprintf(out, "%c%u", i % 2 != 0 ? 'c' : 's', i / 2);
		for (size_t k = 0; k < SUBNETS; k++)
			if (subnets[k].scope.bits != 0 &&
			    view == (uint32_t)ecs_view(&subnets[k].scope, whole))
				(void)sprintf(out, "%c%u%s", i % 2 != 0 ? 'c' : 's', i / 2,
					      subnets[k].text);
	}
	return out;
}

static void long_owner(uint64_t owner_key, char *out)
{
	for (unsigned i = 0; i < MAKE_NAMES; i++) {
		struct wire w;
		wire_init(&w, false);
		wire_name(&w, make_names[i]);
		if (name_hash(w.b, w.n, TXN_RIG_SEED) == owner_key)
			wire_text(w.b, w.n, out);
	}
}

static void rdata_text(const struct ft_rrset_text *t, char *out)
{
	static char text[PLAIN_RECORDS][PLAIN_TEXT];
	const int type = t->first.what & FT_RRSET_TYPE;
	const uint8_t *p = t->rdata;

	if ((t->first.what & FT_RRSET_CUT) != 0) {
		assert_true(t->texts > 0 && t->texts < t->first.records);
		(void)sprintf(out, "cut, of %u", t->first.records);
		return;
	}
	assert_int_equal(t->texts, t->first.records);
	for (uint32_t i = 0; i < t->texts; i++) {
		const uint32_t n = type == 0 ? 4 : type == 1 ? 16 : *p++;
		if (type >= 2)
			wire_text(p, n, text[i]);
		for (uint32_t k = 0; type < 2 && k < n; k++)
			(void)sprintf(text[i] + 2 * k, "%02x", p[k]);
		p += n;
	}
	assert_true(p == t->rdata + t->rdata_bytes);
	join(text, t->texts, out);
}

static void take_seen(void *ctx, const struct ft_rrset *x)
{
	static char key[PLAIN_RECORDS * PLAIN_TEXT + 4 * PLAIN_TEXT],
	    all[PLAIN_RECORDS * PLAIN_TEXT];
	struct reading *r = ctx;
	char owner[PLAIN_TEXT] = "?", view[32] = "?";
	struct ft_rrset_text t;
	const struct seen seen = {.key = key,
				  .seconds = x->seconds,
				  .count = x->count,
				  .ttl_min = x->ttl_min,
				  .ttl_max = x->ttl_max,
				  .aa = (x->what & FT_RRSET_AA) != 0};

	if ((x->what & FT_RRSET_LONG) != 0) {
		long_owner(x->owner_key, owner);
	} else {
		assert_true(rrsets_text_get(r->parts, x->owner_key, x->set_key, x->what, &t));
		wire_text(t.owner, t.owner_len, owner);
		rdata_text(&t, all);
	}
	const int used =
	    sprintf(key, "%llu %s %s%s %s", (unsigned long long)r->row,
		    ft_vantage_texts[(x->what & FT_RRSET_VANTAGE) >> FT_RRSET_VANTAGE_SHIFT],
		    type_texts[x->what & FT_RRSET_TYPE],
		    (x->what & FT_RRSET_REFERRAL) != 0 ? " referral" : "", owner);
	if ((x->what & FT_RRSET_LONG) != 0)
		(void)sprintf(key + used, " long");
	else
		(void)sprintf(key + used, " %s %s %llu", all, view_text(x->view, view),
			      (unsigned long long)(r->row * r->rig->interval_s / 60 + x->minute));
	seen_line(&seen, r->out); /* not merged: control has each once */
}

/* Random traffic. */

static void add_records(struct make *m, unsigned kind)
{
	static const uint32_t ttls[] = {0, 60, 300, 1800, 1801, 3600, 10800, 10801, 0x80000000u};
	static const unsigned types[] = {1, 28, 5, 2, 15};
	const unsigned n = kind == 9 ? 50 + make_rand(20) : make_rand(5);
	const uint32_t ttl = ttls[make_rand(9)];

	if (kind < 3) { /* the usual */
		for (unsigned i = 0; i <= n; i++)
			make_record(m, 0, m->qname, make_rand(2) ? 1 : 28, ttl, make_rand(4));
	} else if (kind < 6) { /* a chain, loops among them, and what is not part of it */
		unsigned at = m->qname;
		for (unsigned i = 0; i < n; i++) {
			const unsigned to = make_rand(MAKE_NAMES);
			make_record(m, 0, at, 5, ttl, to);
			at = make_rand(6) == 0 ? make_rand(MAKE_NAMES) : to;
		}
		make_record(m, 0, at, 1, ttls[make_rand(9)], make_rand(4));
		make_record(m, 0, make_rand(MAKE_NAMES), 28, ttl, make_rand(4));
	} else if (kind < 8) { /* a referral, or something like it */
		for (unsigned i = 0; i <= n; i++)
			make_record(m, 1, make_rand(2) ? m->qname : 8, 2, ttl, 3 + make_rand(3));
		if (make_rand(8) == 0)
			make_record(m, 1, 8, 6, ttl, 3);
		const unsigned glue = make_rand(8) == 0 ? 62 - n + make_rand(4) : n;
		for (unsigned i = 0; i < glue; i++)
			make_record(m, 2, 3 + make_rand(3), make_rand(2) ? 1 : 28, ttl, i);
	} else { /* anything anywhere, or a lot of it */
		unsigned section = 0;
		for (unsigned i = 0; i < n; i++) {
			section += kind == 8 && section < 2 && make_rand(3) == 0;
			make_record(m, section, make_rand(2) ? m->qname : make_rand(MAKE_NAMES),
				    kind == 9 ? types[make_rand(2)] : types[make_rand(5)], ttl,
				    make_rand(90));
		}
	}
}

/* EDNS with up to two subnets, behind another option now and then. */
static void add_subnets(struct make *m)
{
	const uint32_t len_at = m->w.n + 9;

	wire_opt(&m->w, 1232, 0, 0, 0, 0);
	if (make_rand(3) == 0) {
		wire_u32(&m->w, 10u << 16 | 8); /* a cookie */
		wire_fill(&m->w, 8, 8);
	}
	for (unsigned n = make_rand(3); n != 0; n--) {
		const struct subnet *s = &subnets[make_rand(SUBNETS)];
		wire_u32(&m->w, 8u << 16 | s->len);
		wire_octets(&m->w, s->option, s->len);
	}
	if (make_rand(9) == 0)
		wire_u8(&m->w, 0); /* more than its options */
	wire_put16(&m->w, len_at, m->w.n - len_at - 2);
	wire_put16(&m->w, 10, m->w.b[10] * 256u + m->w.b[11] + 1);
}

static void add_pair(struct txn_rig *rig, unsigned i, uint64_t t_us, struct seens *ref)
{
	static struct make m;
	const unsigned client = make_rand(CLIENTS), server = make_rand(3);
	const struct addr c = client_addr(client), s = server_addr(server);
	const unsigned qname = make_rand(MAKE_NAMES), qtype = make_rand(4) ? 1 : 28;
	const unsigned rd = make_rand(2) * 0x100, kind = make_rand(10);
	unsigned flags = 0x8000 | rd | (make_rand(3) ? 0 : 0x400) | (make_rand(3) ? 0x80 : 0);
	const uint16_t port = (uint16_t)(1024 + i % 60000);
	const uint64_t answer_us = t_us + make_rand(3000000);

	if (kind == 6 || kind == 7)
		flags &= ~0x400u;
	if (make_rand(20) == 0)
		flags |= make_rand(2) ? 0x200 : 3; /* TC or NXDOMAIN: no sets */
	make_begin(&m, i & 0xffff, rd, qname, qtype);
	const bool asked = make_rand(30) != 0;
	if (asked)
		txn_rig_message(rig, m.w.b, m.w.n, &c, &s, port, false, t_us);
	m.damage = make_rand(4) == 0 ? 8 : 0;
	make_begin(&m, i & 0xffff, flags, qname, qtype);
	add_records(&m, kind);
	if (make_rand(3) == 0)
		add_subnets(&m);
	const uint32_t len = make_rand(10) == 0 && m.w.n > 40 ? m.w.n - make_rand(20) : m.w.n;
	txn_rig_message(rig, m.w.b, len, &c, &s, port, true, answer_us);
	if (asked && ref != NULL)
		ref_response(m.w.b, len, client, server, answer_us, rig->interval_s, ref);
}

static void traffic(struct txn_rig *rig, uint64_t seed, unsigned pairs, struct seens *ref)
{
	uint64_t t_us = T0 + 50000000;

	make_state = seed;
	for (unsigned i = 0; i < pairs; i++) {
		t_us += make_rand(i / 300 % 2 != 0 ? 1000 : 200000); /* full batches, too */
		add_pair(rig, i, t_us, ref);
	}
	txn_rig_end(rig);
}

static void read_all(const struct txn_rig *rig, struct lines *out)
{
	struct reading r = {.rig = rig, .out = out};
	const uint64_t first = T0 / 1000000 / rig->interval_s;

	for (r.row = first; r.row < first + 2000; r.row++) {
		struct stat_parts p = parts_take(STAT_RRSETS, rig->rrsets, r.row);
		r.parts = &p;
		rrsets_each(&p, RRSETS_KINDS, take_seen, &r);
		parts_fini(STAT_RRSETS, &p);
	}
}

static void test_reference(void **state)
{
	static const struct {
		uint32_t workers, interval_s;
		size_t entries;
	} runs[] = {{1, 60, 64},    {1, 60, 65536}, {4, 60, 64},   {4, 60, 1024},
		    {4, 60, 65536}, {4, 1, 256},    {1, 3600, 64}, {4, 86400, 4096}};
	static struct txn_rig rig;

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		struct lines came = {0}, should = {0};
		struct seens ref = {0};
		txn_rig_init(&rig, runs[i].workers, runs[i].entries, runs[i].interval_s,
			     ERRORS_ALL);
		traffic(&rig, 7 + (i & 1), 2500, &ref);
		read_all(&rig, &came);
		seen_merge(&ref, &should);
		assert_true(should.n > 1500);
		assert_int_equal(lines_differ(&came, &should), 0);
		lines_fini(&came);
		lines_fini(&should);
		txn_rig_fini(&rig);
	}
}

/* Messages of one batch with more sets than there is room for at once. */
static void test_many_sets(void **state)
{
	static struct txn_rig rig;
	static struct make m;
	struct lines came = {0}, should = {0};
	struct seens ref = {0};

	(void)state;
	make_state = 3;
	txn_rig_init(&rig, 1, 64, 60, ERRORS_ALL);
	for (unsigned i = 0; i < 12; i++) {
		const struct addr c = client_addr(i % CLIENTS), s = server_addr(0);
		make_begin(&m, i, 0, 0, 1);
		txn_rig_message(&rig, m.w.b, m.w.n, &c, &s, 4000, false, T0);
		make_begin(&m, i, 0x8400, 0, 1);
		for (unsigned k = 0; k < MAKE_NAMES; k++) {
			make_record(&m, 0, k, 5, 60, k + 1);
			for (unsigned type = 1; type <= 28; type += type == 1 ? 1 : 26)
				make_record(&m, 0, k, type, 60, k);
		}
		txn_rig_message(&rig, m.w.b, m.w.n, &c, &s, 4000, true, T0 + 1);
		ref_response(m.w.b, m.w.n, i % CLIENTS, 0, T0 + 1, 60, &ref);
	}
	txn_rig_end(&rig);
	read_all(&rig, &came);
	seen_merge(&ref, &should);
	assert_true(rrsets_stats_get(rig.w[0].rrsets)->seen > 300);
	assert_int_equal(lines_differ(&came, &should), 0);
	lines_fini(&came);
	lines_fini(&should);
	txn_rig_fini(&rig);
}

/* Above the budget whole owners go, the same ones whatever the split. */
static void test_budget(void **state)
{
	static struct txn_rig rig;
	struct lines kept[3] = {{0}}, all = {0};
	struct seens ref = {0};
	const uint64_t row = T0 / 1000000 / 86400;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		txn_rig_init(&rig, i == 1 ? 4 : 1, i == 2 ? 65536 : 64, 86400, ERRORS_ALL);
		rrsets_set_budget(rig.rrsets, 700, i == 2 ? 1 << 20 : 1 << 14);
		traffic(&rig, 5, 2500, i == 0 ? &ref : NULL);
		if (i == 0)
			seen_merge(&ref, &all);
		struct stat_parts p = parts_take(STAT_RRSETS, rig.rrsets, row);
		struct reading r = {.parts = &p, .rig = &rig, .out = &kept[i], .row = row};
		rrsets_each(&p, RRSETS_KINDS, take_seen, &r);
		const struct rrsets_totals t = rrsets_totals_get(&p);
		parts_fini(STAT_RRSETS, &p);
		assert_true(t.p < 1 && t.kept <= 700 && t.left_out > 0);
		uint64_t stay = 0, total = 0;
		for (size_t k = 0; k < kept[i].n; k++)
			stay += strtoull(strrchr(kept[i].line[k], '=') + 1, NULL, 10);
		for (size_t k = 0; k < all.n; k++)
			total += strtoull(strrchr(all.line[k], '=') + 1, NULL, 10);
		assert_true(kept[i].n > 20);
		assert_int_equal(t.observations, total);
		assert_int_equal(t.observations - t.left_out, stay);
		for (size_t k = 0; k < kept[i].n; k++) /* what stays is whole */
			assert_non_null(bsearch(&kept[i].line[k], all.line, all.n,
						sizeof(*all.line), lines_compare));
		txn_rig_fini(&rig);
		if (i == 0)
			qsort(all.line, all.n, sizeof(*all.line), lines_compare);
	}
	assert_int_equal(lines_differ(&kept[0], &kept[1]), 0);
	for (unsigned i = 0; i < 3; i++)
		lines_fini(&kept[i]);
	lines_fini(&all);
}

/* Rows are taken in order, each once, and are whole. */
static void test_take(void **state)
{
	static struct txn_rig rig;
	const uint64_t first = T0 / 60000000;
	unsigned rows = 0;

	(void)state;
	txn_rig_init(&rig, 1, 64, 60, ERRORS_ALL);
	traffic(&rig, 5, 1500, NULL);
	for (uint64_t row = first; row < first + 2000; row++) {
		struct stat_parts p = parts_take(STAT_RRSETS, rig.rrsets, row);
		if (p.part[0] == NULL)
			continue;
		assert_true(rrsets_totals_get(&p).kept > 0);
		assert_true(rrsets_kinds(&p) != 0);
		assert_null(merge_rrsets.take(rig.rrsets, row));
		parts_fini(STAT_RRSETS, &p);
		rows++;
	}
	assert_true(rows > 1);
	txn_rig_fini(&rig);
}

/* Messages that end anywhere, against a page that cannot be read. */
static void test_truncated(void **state)
{
	static struct rr rr[MSG_RR_CAP + 1];
	static struct make m;
	uint8_t name[NAME_BUF_BYTES], room[FT_ENTRY_CAP], out[FT_ENTRY_CAP];
	struct rrset set[MSG_RR_CAP];
	uint64_t sets = 0;

	(void)state;
	make_state = 11;
	for (unsigned round = 0; round < 60; round++) {
		make_begin(&m, 1, 0x8000, make_rand(MAKE_NAMES), 1);
		m.damage = round % 3 == 0 ? 8 : 0;
		add_records(&m, round % 10);
		if (round % 4 == 0)
			add_subnets(&m);
		for (uint32_t len = 12; len <= m.w.n; len++) {
			uint8_t *copy = guard_copy(m.w.b, len);
			struct msg x = {.data = copy, .len = (uint16_t)len};
			parse_message(&x, name, rr, TXN_RIG_SEED);
			const struct rrset_source s = {&x, rr, name, TXN_RIG_SEED};
			bool cut;
			const uint32_t n = x.drop == FT_MSG_KEPT ? rrset_read(&s, set, &cut) : 0;
			for (uint32_t i = 0; i < n; i++) {
				struct ft_rrset_text t = {.first = {.what = set[i].what,
								    .records = set[i].records,
								    .seconds = 1}};
				rrset_text(&s, &set[i], room, &t);
				struct ft_reader r =
				    ft_reader_init(out, ft_rrset_text_write(&t, out));
				struct ft_reader body = {0};
				assert_true(ft_entry_next(&r, &body));
				assert_true(ft_rrset_text_read(&body, &t));
				assert_false(ft_entry_next(&r, &body) || r.bad);
			}
			sets += n;
			guard_free(copy, len);
		}
	}
	assert_true(sets > 100);
}

/* Entries that end anywhere are refused; whole ones come back as they were. */
static void test_entries(void **state)
{
	static const uint64_t seconds[] = {1, 1ull << 59, 0x7f, 0xff, 0x0fffffffffffffff};
	uint8_t out[FT_ENTRY_CAP];
	struct ft_reader body;
	struct ft_rrset y;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		const bool is_long = i >= 8;
		const struct ft_rrset x = {
		    .what = (uint8_t)(i % 8 | 0x40 | (is_long ? FT_RRSET_LONG : 0)),
		    .records = is_long ? 0 : 64,
		    .view = is_long ? 0 : 0xdeadbeef,
		    .owner_key = 0x0123456789abcdef,
		    .set_key = is_long ? 0 : UINT64_MAX,
		    .minute = is_long ? 0 : 1439,
		    .ttl_min = is_long ? 0 : i * 1000000,
		    .ttl_max = is_long ? 0 : INT32_MAX,
		    .seconds = is_long ? 0 : seconds[i % 5],
		    .count = is_long ? 0
			     : i % 2 ? 1
				     : UINT64_MAX,
		};
		const size_t n = ft_rrset_write(&x, out);
		assert_true(n <= FT_RRSET_ENTRY_CAP && out[0] != 0);
		for (size_t len = 0; len <= n; len++) {
			uint8_t *copy = guard_copy(out, len);
			struct ft_reader r = ft_reader_init(copy, len);
			const bool whole = ft_entry_next(&r, &body) && ft_rrset_read(&body, &y);
			assert_int_equal(whole, len == n);
			guard_free(copy, len);
		}
		assert_memory_equal(&x.owner_key, &y.owner_key, 16);
		assert_true(y.what == x.what && y.records == x.records && y.view == x.view);
		assert_true(y.minute == x.minute && y.ttl_min == x.ttl_min);
		assert_true(y.ttl_max == x.ttl_max && y.seconds == x.seconds && y.count == x.count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_entries),   cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_many_sets), cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_take),      cmocka_unit_test(test_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Read look_at() first. */
#include "integrity.h"

#include "mem.h"
#include "name.h"
#include "rdata.h"
#include "vantage.h"

#include <fluxtap/rec_integrity.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define STEP_BYTES 24576u
#define STEP_SETS 1024u
#define CLASS_IN 1u
#define TYPE_RRSIG 46u
#define RRSIG_FIXED_BYTES 18u
#define OPTION_EDE 15u
#define COUNT_FACTOR 0x9e3779b97f4a7c15ull

struct entry {
	_Alignas(CACHE_LINE) struct keyed_entry head;
	struct ft_integrity x;
};
static_assert(sizeof(struct entry) == 2 * CACHE_LINE, "two lines");

struct integrity {
	struct integrity_settings set;
	struct tally *tally;
	const struct ruleset *rules;
	struct keyed *table;
	uint64_t *sent; /* keys of texts and addresses of this interval */
	size_t emitted;
	struct integrity_stats stats;
	/* The set at hand. */
	struct rdata_set rdata;
};

/* A response that is looked at. */
struct look {
	const struct txn *x;
	const struct msg *m;
	const struct rr *rr;
	uint64_t row;
	uint64_t owner[MSG_RR_CAP]; /* keyed hashes; 0: not known yet, or damaged */
	uint8_t what, facts;
	uint16_t ede;
};

/* One RRset of it. */
struct found {
	uint64_t owner_key, members; /* a bit for each record */
	uint16_t qtype;
	bool parent, referral, aa;
	uint8_t facts;
	uint32_t ttl; /* of an empty one */
};

static void emit_entry(void *ctx, const void *entry)
{
	struct integrity *s = ctx;
	const struct entry *e = entry;
	uint8_t *out =
	    tally_entry_begin(s->tally, FT_REC_INTEGRITY, e->head.row, FT_INTEGRITY_SEEN_CAP);
	const uint8_t *end = ft_integrity_write(&e->x, out);

	tally_entry_end(s->tally, end);
	s->emitted += (size_t)(end - out);
}

static void close_begin(void *ctx, uint64_t row)
{
	(void)row;
	keyed_close_begin(((struct integrity *)ctx)->table);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct integrity *s = ctx;

	s->emitted = 0;
	for (uint32_t sets = 0; sets < STEP_SETS && s->emitted < STEP_BYTES; sets += 4)
		if (keyed_close(s->table, row, 4))
			return true;
	return false;
}

struct integrity *integrity_create(struct tally *t, const struct integrity_settings *settings)
{
	struct integrity *s = mem_map(sizeof(*s));

	assert((settings->sent & (settings->sent - 1)) == 0 && settings->sent != 0);
	if (s == NULL)
		return NULL;
	s->tally = t;
	s->set = *settings;
	s->table = keyed_create(settings->entries, sizeof(struct entry), emit_entry, s);
	s->sent = mem_map(settings->sent * sizeof(*s->sent));
	if (s->table == NULL || s->sent == NULL) {
		integrity_destroy(s);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(t, (struct tally_part){close_begin, close_step, s});
	return s;
}

void integrity_destroy(struct integrity *s)
{
	if (s == NULL)
		return;
	keyed_destroy(s->table);
	mem_unmap(s->sent, s->set.sent * sizeof(*s->sent));
	mem_unmap(s, sizeof(*s));
}

void integrity_adopt(struct integrity *s, const struct ruleset *rules)
{
	s->rules = rules;
}

const struct integrity_stats *integrity_stats_get(const struct integrity *s)
{
	return &s->stats;
}

/* True where it was not sent in this interval, as far as is remembered. */
static bool is_new(struct integrity *s, uint64_t key)
{
	uint64_t *slot = &s->sent[key >> 8 & (s->set.sent - 1)];

	if (*slot == (key | 1))
		return false;
	*slot = key | 1;
	return true;
}

static bool is_watched(const struct integrity *s, uint64_t owner_key, uint16_t qtype)
{
	const uint32_t *types;
	const uint32_t n = ruleset_watched(s->rules, owner_key, &types);

	for (uint32_t i = 0; i < n; i++)
		if (types[i] == qtype)
			return true;
	return false;
}

/* The hash of a name of the message; 0 where it is damaged. */
static uint64_t name_key_at(const struct integrity *s, const struct msg *m, uint32_t off)
{
	struct cursor c = cursor_init(m->data, off, m->len);
	uint8_t name[NAME_BUF_BYTES];
	uint32_t n = 0;

	if (name_read(&c, name, &n) != FT_MSG_KEPT)
		return 0;
	return name_hash(name, n, s->set.name_seed);
}

static uint64_t owner_of(const struct integrity *s, struct look *l, uint32_t i)
{
	if (l->owner[i] == 0)
		l->owner[i] = name_key_at(s, l->m, l->rr[i].owner_off);
	return l->owner[i];
}

/* --- what goes out --- */

static void send_text(struct integrity *s, const struct look *l, const struct found *f,
		      uint64_t set_key)
{
	const struct rdata_set *set = &s->rdata;

	if (!is_new(s, hash_mix(set_key ^ f->owner_key) + l->row * COUNT_FACTOR + f->qtype))
		return;
	for (uint32_t off = 0; off < set->bytes; off += FT_INTEGRITY_PIECE) {
		const uint32_t left = set->bytes - off;
		const struct ft_integrity_text t = {
		    .owner_key = f->owner_key,
		    .set_key = set_key,
		    .qtype = f->qtype,
		    .total = set->bytes,
		    .off = off,
		    .bytes = left < FT_INTEGRITY_PIECE ? left : FT_INTEGRITY_PIECE,
		    .piece = set->data + off,
		};
		uint8_t *out = tally_entry_begin(s->tally, FT_REC_INTEGRITY_TEXT, l->row,
						 FT_INTEGRITY_TEXT_CAP);
		tally_entry_end(s->tally, ft_integrity_text_write(&t, out));
	}
}

static void count_seen(struct integrity *s, const struct look *l, const struct found *f,
		       uint64_t set_key, uint32_t ttl, uint32_t rrsig_s)
{
	const struct txn *x = l->x;
	const bool cached = !f->aa && !f->referral;
	struct ft_integrity one = {
	    .what = (uint8_t)(l->what | (f->parent ? FT_INTEGRITY_PARENT : 0) |
			      (f->aa ? FT_INTEGRITY_AA : 0) |
			      (f->referral ? FT_INTEGRITY_REFERRAL : 0)),
	    .facts = l->facts | f->facts,
	    .qtype = f->qtype,
	    .ttl = ttl,
	    .owner_key = f->owner_key,
	    .set_key = set_key,
	    .first_us = x->response_us,
	    .last_us = x->response_us,
	    .rrsig_s = rrsig_s,
	    .ede = l->ede,
	};
	const uint64_t second = x->response_us / 1000000;
	bool fresh;

	memcpy(one.server, x->server, sizeof(one.server));
	if (!cached)
		memcpy(one.client, x->client, sizeof(one.client));
	const struct {
		uint64_t row, owner, set, second;
		uint32_t ttl;
		uint16_t qtype;
		uint8_t what, facts;
		uint8_t client[16], server[16];
	} key = {.row = l->row,
		 .owner = one.owner_key,
		 .set = set_key,
		 .second = second,
		 .ttl = ttl,
		 .qtype = one.qtype,
		 .what = one.what,
		 .facts = one.facts};
	uint64_t h =
	    XXH3_64bits_withSeed(&key, offsetof(__typeof__(key), client), s->set.name_seed);
	h = XXH3_64bits_withSeed(one.client, sizeof(one.client), h);
	h = XXH3_64bits_withSeed(one.server, sizeof(one.server), h);
	struct entry *e = keyed_get(s->table, h | 1, l->row, &fresh);
	if (fresh)
		e->x = one;
	e->x.count++;
	if (one.first_us < e->x.first_us)
		e->x.first_us = one.first_us;
	if (one.last_us > e->x.last_us)
		e->x.last_us = one.last_us;
	if (rrsig_s < e->x.rrsig_s)
		e->x.rrsig_s = rrsig_s;
	if (one.ede > e->x.ede)
		e->x.ede = one.ede;
	s->stats.seen++;
}

/* --- sets --- */

/* The earliest end of a signature over the set, RFC 4034 3.1.5; UINT32_MAX: none. */
static uint32_t signature_of(const struct integrity *s, struct look *l, const struct found *f,
			     uint8_t section)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < l->m->rrs; i++) {
		const struct rr *rr = &l->rr[i];
		if (rr->type != TYPE_RRSIG || rr->section != section ||
		    rr->rdlen < RRSIG_FIXED_BYTES ||
		    load_u16_be(l->m->data + rr->rdata_off) != f->qtype ||
		    owner_of(s, l, i) != f->owner_key)
			continue;
		const uint32_t end = load_u32_be(l->m->data + rr->rdata_off + 8);
		least = end < least ? end : least;
	}
	return least;
}

static void put_found(struct integrity *s, struct look *l, struct found *f)
{
	uint32_t ttl = f->members == 0 ? f->ttl : UINT32_MAX, rrsig_s = UINT32_MAX;
	uint64_t set_key = 0;

	rdata_set_clear(&s->rdata);
	for (uint64_t left = f->members; left != 0; left &= left - 1) {
		const struct rr *rr = &l->rr[__builtin_ctzll(left)];
		const uint32_t one = rr->ttl > INT32_MAX ? 0 : rr->ttl; /* RFC 2181 8 */
		ttl = one < ttl ? one : ttl;
		if (!rdata_set_add(&s->rdata, l->m, rr)) {
			s->stats.cut++;
			return;
		}
	}
	rdata_set_sort(&s->rdata);
	if (f->members != 0) {
		rrsig_s = signature_of(s, l, f, l->rr[__builtin_ctzll(f->members)].section);
		f->facts |= rrsig_s != UINT32_MAX ? FT_INTEGRITY_RRSIG : 0;
	}
	set_key = XXH3_64bits_withSeed(s->rdata.data, s->rdata.bytes, s->set.name_seed);
	send_text(s, l, f, set_key);
	count_seen(s, l, f, set_key, ttl, rrsig_s);
}

/* Where a record stands, and whether what it says counts. */
static bool place_of(const struct look *l, const struct rr *rr, struct found *f)
{
	const bool referral = l->m->class == FT_CLASS_REFERRAL;
	const bool by_cache = (l->what & FT_INTEGRITY_VANTAGE) == FT_VANTAGE_S2R;

	if (rr->class != CLASS_IN || rr->type == TYPE_RRSIG)
		return false;
	f->qtype = rr->type;
	f->aa = l->x->aa;
	f->parent = rr->type == FT_QTYPE_DS;
	switch (rr->section) {
	case RR_ANSWER: return true;
	case RR_AUTHORITY:
		f->parent = referral;
		f->referral = referral && !by_cache;
		f->aa &= !referral;
		return referral ? rr->type == FT_QTYPE_NS || rr->type == FT_QTYPE_DS
				: f->aa && rr->type == FT_QTYPE_NS;
	default: /* glue */
		f->parent = true;
		f->referral = referral && !by_cache;
		f->aa = false;
		return referral && (rr->type == FT_QTYPE_A || rr->type == FT_QTYPE_AAAA);
	}
}

/* Whether the hash is that of the asked name or of one above it. */
static bool is_tail(const struct integrity *s, const struct look *l, uint64_t key)
{
	const uint8_t *name = l->x->name;
	const uint32_t len = l->m->name_len;

	for (uint32_t at = 0; at + 1 < len; at += name[at] + 1u)
		if (name_hash(name + at, len - at, s->set.name_seed) == key)
			return true;
	return false;
}

/* Whether the hash is that of a name server of the delegation. */
static bool is_host(const struct integrity *s, const struct look *l, uint64_t key)
{
	for (uint32_t i = 0; i < l->m->rrs; i++)
		if (l->rr[i].section == RR_AUTHORITY && l->rr[i].type == FT_QTYPE_NS &&
		    name_key_at(s, l->m, l->rr[i].rdata_off) == key)
			return true;
	return false;
}

/* Nobody's word counts for names that were not asked for: AA=1 is said of the first owner
 * alone (RFC 1035 4.1.1), delegations lie above the asked name, glue belongs to them. */
static bool is_in_place(const struct integrity *s, const struct look *l, const struct rr *rr,
			struct found *f)
{
	switch (rr->section) {
	case RR_ANSWER: f->aa &= f->owner_key == l->m->name_key; return true;
	case RR_AUTHORITY: return is_tail(s, l, f->owner_key);
	default: return is_host(s, l, f->owner_key);
	}
}

/* The sets that stand in the message. */
static void put_present(struct integrity *s, struct look *l)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < l->m->rrs; i++) {
		struct found f = {0};
		if ((done >> i & 1) != 0 || !place_of(l, &l->rr[i], &f))
			continue;
		f.owner_key = owner_of(s, l, i);
		if (f.owner_key == 0 || !is_watched(s, f.owner_key, f.qtype) ||
		    !is_in_place(s, l, &l->rr[i], &f))
			continue;
		for (uint32_t k = i; k < l->m->rrs; k++)
			if (l->rr[k].type == f.qtype && l->rr[k].class == CLASS_IN &&
			    l->rr[k].section == l->rr[i].section &&
			    owner_of(s, l, k) == f.owner_key)
				f.members |= 1ull << k;
		done |= f.members;
		put_found(s, l, &f);
	}
}

static bool has(const struct integrity *s, struct look *l, uint64_t owner_key, uint16_t type,
		uint8_t section)
{
	for (uint32_t i = 0; i < l->m->rrs; i++)
		if (l->rr[i].type == type && l->rr[i].section == section &&
		    owner_of(s, l, i) == owner_key)
			return true;
	return false;
}

/* The SOA of a negative answer: its TTL (RFC 2308 5), and whose it is. */
static uint32_t negative_ttl(const struct integrity *s, struct look *l, uint64_t *owner_key)
{
	for (uint32_t i = 0; i < l->m->rrs; i++) {
		const struct rr *rr = &l->rr[i];
		if (rr->section != RR_AUTHORITY || rr->type != FT_QTYPE_SOA || rr->rdlen < 22)
			continue;
		const uint32_t least = load_u32_be(l->m->data + rr->rdata_off + rr->rdlen - 4);
		const uint32_t ttl = rr->ttl < least ? rr->ttl : least;
		*owner_key = owner_of(s, l, i);
		return ttl > INT32_MAX ? 0 : ttl;
	}
	*owner_key = 0;
	return 0;
}

/* The sets of the asked name that the answer shows to be empty. */
static void put_absent(struct integrity *s, struct look *l)
{
	const uint32_t *types;
	const uint32_t n = ruleset_watched(s->rules, l->m->name_key, &types);
	uint64_t soa;
	const uint32_t ttl = negative_ttl(s, l, &soa);

	for (uint32_t i = 0; i < n; i++) {
		struct found f = {.owner_key = l->m->name_key,
				  .qtype = (uint16_t)types[i],
				  .aa = l->x->aa,
				  .parent = types[i] == FT_QTYPE_DS,
				  .ttl = ttl};
		/* Whatever was asked, an alias would have been said. */
		if ((f.qtype != l->m->qtype && f.qtype != FT_QTYPE_CNAME) ||
		    has(s, l, f.owner_key, f.qtype, RR_ANSWER))
			continue;
		/* Of a DS the parent speaks, and not the zone below the cut. */
		if (f.qtype == FT_QTYPE_DS && soa == f.owner_key)
			continue;
		put_found(s, l, &f);
	}
}

/* A delegation without DS, where one would have been said. */
static void put_no_ds(struct integrity *s, struct look *l)
{
	for (uint32_t i = 0; i < l->m->rrs; i++) {
		if (l->rr[i].section != RR_AUTHORITY || l->rr[i].type != FT_QTYPE_NS)
			continue;
		struct found f = {.owner_key = owner_of(s, l, i),
				  .qtype = FT_QTYPE_DS,
				  .parent = true,
				  .referral = (l->what & FT_INTEGRITY_VANTAGE) != FT_VANTAGE_S2R};
		if (f.owner_key != 0 && is_watched(s, f.owner_key, FT_QTYPE_DS) &&
		    is_tail(s, l, f.owner_key))
			put_found(s, l, &f);
		return;
	}
}

/* Addresses of the name servers of watched names. */
static void put_addresses(struct integrity *s, struct look *l)
{
	for (uint32_t i = 0; i < l->m->rrs; i++) {
		const struct rr *ns = &l->rr[i];
		const uint32_t *types;
		if (ns->type != FT_QTYPE_NS || ns->section == RR_ADDITIONAL ||
		    ruleset_watched(s->rules, owner_of(s, l, i), &types) == 0 ||
		    !is_tail(s, l, owner_of(s, l, i)))
			continue;
		const uint64_t host = name_key_at(s, l->m, ns->rdata_off);
		for (uint32_t k = 0; host != 0 && k < l->m->rrs; k++) {
			const struct rr *rr = &l->rr[k];
			const bool v4 = rr->type == FT_QTYPE_A && rr->rdlen == 4;
			struct ft_integrity_addr a = {.host_key = host,
						      .addr = {[10] = 0xff, [11] = 0xff}};
			if (rr->section != RR_ADDITIONAL || rr->class != CLASS_IN ||
			    (!v4 && (rr->type != FT_QTYPE_AAAA || rr->rdlen != 16)) ||
			    owner_of(s, l, k) != host)
				continue;
			memcpy(a.addr + (v4 ? 12 : 0), l->m->data + rr->rdata_off, rr->rdlen);
			if (!is_new(s, XXH3_64bits_withSeed(a.addr, 16, host + l->row)))
				continue;
			uint8_t *out = tally_entry_begin(s->tally, FT_REC_INTEGRITY_ADDR, l->row,
							 FT_INTEGRITY_ADDR_CAP);
			tally_entry_end(s->tally, ft_integrity_addr_write(&a, out));
		}
	}
}

/* --- a response --- */

/* The first extended error (RFC 8914) and 1; 0: none. parse has seen that there is one. */
static uint16_t find_ede(const struct msg *m)
{
	const uint32_t questions = load_u16_be(m->data + 4);
	const uint32_t records = (uint32_t)load_u16_be(m->data + 6) + load_u16_be(m->data + 8) +
				 load_u16_be(m->data + 10);
	uint32_t off = 12;

	for (uint32_t i = 0; i < questions; i++) {
		off = name_end(m->data, off, m->len);
		if (off == 0 || (off += 4) > m->len)
			return 0;
	}
	for (uint32_t i = 0; i < records; i++) {
		off = name_end(m->data, off, m->len);
		if (off == 0 || off + 10 > m->len)
			return 0;
		const uint32_t end = off + 10 + load_u16_be(m->data + off + 8);
		if (end > m->len)
			return 0;
		if (load_u16_be(m->data + off) != FT_QTYPE_OPT) {
			off = end;
			continue;
		}
		for (off += 10; off + 6 <= end; off += 4u + load_u16_be(m->data + off + 2))
			if (load_u16_be(m->data + off) == OPTION_EDE) {
				const uint16_t code = load_u16_be(m->data + off + 4);
				return code < UINT16_MAX ? (uint16_t)(code + 1) : code;
			}
		return 0;
	}
	return 0;
}

static void look_at_dnssec(struct look *l)
{
	const struct msg *m = l->m;

	l->facts = (l->x->q.edns >> FT_EDNS_do & 1) != 0 ? FT_INTEGRITY_DO : 0;
	l->facts |= (m->dns_flags & 0x0020) != 0 ? FT_INTEGRITY_AD : 0;
	l->ede = (m->edns >> FT_EDNS_ede & 1) != 0 ? find_ede(m) : 0;
	if (m->class != FT_CLASS_REFERRAL)
		return;
	for (uint32_t i = 0; i < m->rrs; i++)
		if (l->rr[i].section == RR_AUTHORITY && l->rr[i].type == FT_QTYPE_DS)
			l->facts |= FT_INTEGRITY_DS;
	if ((l->facts & (FT_INTEGRITY_DO | FT_INTEGRITY_DS)) == FT_INTEGRITY_DO)
		l->facts |= FT_INTEGRITY_NO_DS;
}

static __attribute__((noinline)) void look_at(struct integrity *s, const struct msgs *batch,
					      const struct txn *x)
{
	const struct msg *m = x->response;
	struct look l;

	if (m->qclass != CLASS_IN || x->q.opcode != 0 || x->tc ||
	    (m->class > FT_CLASS_NXDOMAIN && m->class != FT_CLASS_OTHER))
		return;
	if (m->malformed || m->rrs == MSG_RR_CAP) {
		s->stats.cut++;
		return;
	}
	l.x = x;
	l.m = m;
	l.rr = batch->rr + m->rr_off;
	l.row = clock_row(s->tally->clock, x->response_us);
	memset(l.owner, 0, m->rrs * sizeof(l.owner[0]));
	l.what = (uint8_t)vantage_of_txn(x);
	look_at_dnssec(&l);
	put_present(s, &l);
	put_addresses(s, &l);
	if (m->class == FT_CLASS_REFERRAL && (l.facts & FT_INTEGRITY_NO_DS) != 0)
		put_no_ds(s, &l);
	if ((x->verdict->watched & VERDICT_WATCHED) != 0 && m->class != FT_CLASS_REFERRAL &&
	    m->class != FT_CLASS_OTHER)
		put_absent(s, &l);
}

STAGE void integrity_step(struct integrity *s, const struct msgs *batch, const struct txn *txn,
			  uint32_t n)
{
	for (uint32_t i = 0; s->rules != NULL && i < n; i++) {
		const struct txn *x = &txn[i];
		if (x->verdict != NULL && x->verdict->watched != 0 && x->has_query &&
		    x->response != NULL)
			look_at(s, batch, x);
	}
}

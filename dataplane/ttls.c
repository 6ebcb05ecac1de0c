/* SPDX-License-Identifier: BSD-3-Clause */
/* Read ttls_step() first. */
#include "ttls.h"

#include "mem.h"
#include "name.h"
#include "vantage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_IN 1u
#define CLASS_CH 3u
#define FOUND_CAP 8u         /* watched RRsets of one answer: a chain of aliases has few */
#define TTL_MOST 0x7fffffffu /* what is greater means zero, RFC 2181 section 8 */
#define QUESTION_OFF 12u     /* where the asked name stands in a message */

struct ttls {
	struct tally *tally;
	struct ttls_settings set;
	const struct ruleset *rules; /* NULL: no list */
	uint64_t *said;              /* [set.entries] keys of answers, the last one of each slot */
	struct ttls_stats stats;
};

/* A watched RRset of an answer. */
struct found {
	uint64_t key;
	uint32_t ttl;
	uint16_t type, owner_off;
};

struct ttls *ttls_create(struct tally *tally, const struct ttls_settings *settings)
{
	struct ttls *r = calloc(1, sizeof(*r));

	assert((settings->entries & (settings->entries - 1)) == 0 && settings->entries != 0);
	if (r == NULL)
		return NULL;
	r->tally = tally;
	r->set = *settings;
	r->said = mem_map(settings->entries * sizeof(*r->said));
	if (r->said != NULL)
		return r;
	ttls_destroy(r);
	errno = ENOMEM;
	return NULL;
}

void ttls_destroy(struct ttls *r)
{
	if (r == NULL)
		return;
	mem_unmap(r->said, r->set.entries * sizeof(*r->said));
	free(r);
}

void ttls_adopt(struct ttls *r, const struct ruleset *rules)
{
	r->rules = r->set.watch ? rules : NULL;
}

const struct ttls_stats *ttls_stats_get(const struct ttls *r)
{
	return &r->stats;
}

/* --- answers --- */

static bool is_answer(const struct txn *x)
{
	const struct msg *m = x->response;

	return m != NULL && x->has_query && m->rrs != 0 && m->qclass == CLASS_IN &&
	       m->name_len != 0 && msg_opcode(m) == 0 && (m->dns_flags & DNS_TC) == 0 &&
	       (x->rcode == FT_RCODE_NOERROR || x->rcode == FT_RCODE_NXDOMAIN);
}

/* Whose answers can come out of a cache. A server of the operator's own that is no
 * resolver may leave out AA as well. */
static bool may_be_cached(const struct txn *x, enum ft_vantage vantage)
{
	return vantage == FT_VANTAGE_S2R || vantage == FT_VANTAGE_X || x->ra;
}

static bool is_watched(const struct txn *x)
{
	return x->verdict != NULL && (x->verdict->watched & VERDICT_WATCHED) != 0;
}

/* The key of an owner; 0: it is not watched, or damaged. Most are the asked name, by a
 * pointer. */
static uint64_t owner_key(const struct ttls *r, const struct txn *x, uint32_t off)
{
	const struct msg *m = x->response;
	uint8_t name[NAME_BUF_BYTES];
	uint32_t len;

	if (off + 1 < m->len && m->data[off] == 0xc0 && m->data[off + 1] == QUESTION_OFF)
		return is_watched(x) ? m->name_key : 0;
	struct cursor c = cursor_init(m->data, off, m->len);
	if (name_read(&c, name, &len) != FT_MSG_KEPT)
		return 0;
	return name_hash(name, len, r->set.name_seed);
}

static bool has_type(const struct ttls *r, uint64_t key, uint16_t type)
{
	const uint32_t *types;
	const uint32_t n = ruleset_watched(r->rules, key, &types);

	for (uint32_t i = 0; i < n; i++)
		if (types[i] == type)
			return true;
	return false;
}

static uint32_t ttl_of(const struct rr *rr)
{
	return rr->ttl <= TTL_MOST ? rr->ttl : 0;
}

/* Watched RRsets of the answer section, each with its smallest TTL. */
static uint32_t find(const struct ttls *r, const struct msgs *batch, const struct txn *x,
		     struct found *found)
{
	const struct msg *m = x->response;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->rrs; i++) {
		const struct rr *rr = &batch->rr[m->rr_off + i];
		uint32_t k = 0;

		if (rr->section != RR_ANSWER || rr->class != CLASS_IN)
			continue;
		const uint64_t key = owner_key(r, x, rr->owner_off);
		if (key == 0 || !has_type(r, key, rr->type))
			continue;
		while (k < n && (found[k].key != key || found[k].type != rr->type))
			k++;
		if (k == FOUND_CAP)
			break;
		if (k == n)
			found[n++] =
			    (struct found){key, ttl_of(rr), rr->type, (uint16_t)rr->owner_off};
		else if (ttl_of(rr) < found[k].ttl)
			found[k].ttl = ttl_of(rr);
	}
	return n;
}

/* Whether the same has gone out in this second. What is forgotten goes out again. */
static bool was_said(struct ttls *r, const struct found *f, const struct txn *x)
{
	const uint64_t second = x->response_us / 1000000;
	const uint64_t key = hash_mix(hash_fold(f->key ^ f->type, addr_fold(x->server, second)) +
				      ((uint64_t)f->ttl << 1 | x->aa)) |
			     1;
	uint64_t *slot = &r->said[key >> 20 & (r->set.entries - 1)];

	if (*slot == key)
		return true;
	*slot = key;
	return false;
}

static void emit_ttl(struct ttls *r, const struct found *f, const struct txn *x,
		     enum ft_vantage vantage)
{
	const struct msg *m = x->response;
	const uint64_t row = clock_row(r->tally->clock, x->response_us);
	uint8_t name[NAME_BUF_BYTES];
	struct ft_ttl_rec rec = {
	    .vantage = (uint8_t)vantage,
	    .flags = x->aa ? FT_TTL_AA : 0,
	    .off_us = x->response_us - row * r->tally->clock->interval_us,
	    .type = f->type,
	    .ttl = f->ttl,
	    .owner = name,
	};
	struct cursor c = cursor_init(m->data, f->owner_off, m->len);

	if (name_read(&c, name, &rec.owner_len) != FT_MSG_KEPT)
		return;
	memcpy(rec.addr, x->server, sizeof(rec.addr));
	uint8_t *out = tally_entry_begin(r->tally, FT_REC_TTL, row, FT_TTL_ENTRY_CAP);
	tally_entry_end(r->tally, ft_ttl_write(&rec, out));
	r->stats.emitted++;
}

static void look_at_answer(struct ttls *r, const struct msgs *batch, const struct txn *x)
{
	struct found found[FOUND_CAP];
	const enum ft_vantage vantage = vantage_of_txn(x);

	if (!x->aa && !may_be_cached(x, vantage))
		return;
	const uint32_t n = find(r, batch, x, found);
	r->stats.seen += n;
	for (uint32_t i = 0; i < n; i++)
		if (!was_said(r, &found[i], x))
			emit_ttl(r, &found[i], x, vantage);
}

/* --- queries with RD=0 --- */

/* To a recursive server: one of the operator's, or one that says so. */
static bool is_snoop(const struct txn *x)
{
	if (x->q.vantage == FT_VANTAGE_S2R)
		return true;
	return (x->q.vantage == FT_VANTAGE_X || x->q.vantage == FT_VANTAGE_CAP) &&
	       x->has_response && x->ra && !x->aa && x->class != FT_CLASS_REFERRAL;
}

static __attribute__((noinline)) void emit_snoop(struct ttls *r, const struct txn *x)
{
	const uint64_t row = clock_row(r->tally->clock, x->q.t_us);
	const bool hit =
	    x->has_response && (x->class == FT_CLASS_DATA || x->class == FT_CLASS_CNAME_ONLY);
	struct ft_ttl_rec rec = {
	    .vantage = (uint8_t)vantage_of_txn(x),
	    .flags = (uint8_t)((hit ? FT_SNOOP_HIT : 0) | (is_watched(x) ? FT_SNOOP_WATCHED : 0) |
			       (x->q.qclass == CLASS_CH   ? FT_SNOOP_CHAOS
				: x->q.qclass != CLASS_IN ? FT_SNOOP_OTHER
							  : 0)),
	    .off_us = x->q.t_us - row * r->tally->clock->interval_us,
	    .name = x->q.name_sketch,
	};

	memcpy(rec.addr, x->client, sizeof(rec.addr));
	uint8_t *out = tally_entry_begin(r->tally, FT_REC_SNOOP, row, FT_SNOOP_ENTRY_CAP);
	tally_entry_end(r->tally, ft_snoop_write(&rec, out));
	r->stats.snoops++;
}

STAGE void ttls_step(struct ttls *r, const struct msgs *batch, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct txn *x = &txn[i];
		if (x->has_query && x->q.rd == 0 && is_snoop(x) && x->q.opcode == 0 &&
		    x->q.has_name)
			emit_snoop(r, x);
	}
	for (uint32_t i = 0; r->rules != NULL && i < n; i++)
		if (is_answer(&txn[i]))
			look_at_answer(r, batch, &txn[i]);
}

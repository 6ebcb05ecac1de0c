/* SPDX-License-Identifier: BSD-3-Clause */
#include "dga.h"

#include "mem.h"
#include "qname.h"

#include <errno.h>
#include <string.h>

#define TLDS 256u        /* power of two: top-level domains that were looked up */
#define CLOSE_SETS 1024u /* of the table in a step; nothing is emitted there */

/* A name in an interval: what went out of it. */
struct name {
	_Alignas(CACHE_LINE) struct keyed_entry keyed;
	uint64_t answer_us; /* of the earliest answer that went out, where answered */
	bool told, answered;
};

struct dga {
	struct dga_settings set;
	struct tally *tally;
	struct keyed *names;
	const struct ruleset *rules; /* NULL: none */
	uint64_t narrow;
	uint64_t known[TLDS]; /* last eight octets of names, from the last label on */
	struct diary_note note[MSG_CAP];
};

static void emit_nothing(void *ctx, const void *entry)
{
	(void)ctx;
	(void)entry;
}

static void close_begin(void *ctx, uint64_t row)
{
	struct dga *d = ctx;

	(void)row;
	keyed_close_begin(d->names);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct dga *d = ctx;

	return keyed_close(d->names, row, CLOSE_SETS);
}

struct dga *dga_create(struct tally *tally, const struct dga_settings *settings)
{
	struct dga *d = mem_map(sizeof(*d));

	if (d == NULL)
		return NULL;
	d->set = *settings;
	d->tally = tally;
	d->names = keyed_create(settings->entries, sizeof(struct name), emit_nothing, d);
	if (d->names == NULL) {
		dga_destroy(d);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, d});
	return d;
}

void dga_destroy(struct dga *d)
{
	if (d == NULL)
		return;
	keyed_destroy(d->names);
	mem_unmap(d, sizeof(*d));
}

void dga_adopt(struct dga *d, const struct ruleset *rules)
{
	d->rules = rules;
	d->narrow = rules != NULL ? ruleset_narrow(rules) : 0;
	memset(d->known, 0, sizeof(d->known));
}

static bool is_listed(const struct ruleset *rules, const struct verdict *v)
{
	for (unsigned i = 0; rules != NULL && i < v->tags && i < VERDICT_TAGS; i++)
		if (ruleset_lists_family(rules, v->tag[i]))
			return true;
	return false;
}

bool dga_looks_made_up(const struct ruleset *rules, const struct verdict *v)
{
	if (v->shapes != 0 && v->score < DGA_SCORE_LOW)
		return true;
	if (rules == NULL)
		return false;
	return (v->shapes & ruleset_narrow(rules)) != 0 || (v->tags != 0 && is_listed(rules, v));
}

static inline bool looks_made_up(const struct dga *d, const struct verdict *v)
{
	return (v->shapes != 0 && (v->score < DGA_SCORE_LOW || (v->shapes & d->narrow) != 0)) ||
	       (v->tags != 0 && is_listed(d->rules, v));
}

/* Where the owner of the authority section's SOA begins in the asked name; name_len:
 * nowhere, or there is none. */
static uint32_t soa_at(const struct msgs *batch, const struct txn *x)
{
	const struct msg *m = x->response;
	const struct rr *rr = batch->rr + m->rr_off;

	for (uint32_t i = 0; i < m->rrs; i++) {
		if (rr[i].section != RR_AUTHORITY || rr[i].type != FT_QTYPE_SOA)
			continue;
		const uint32_t pointer = load_u16_be(m->data + rr[i].owner_off);
		return pointer >= 0xc000 ? qname_offset(m, x->name, pointer & 0x3fffu)
					 : x->name_len;
	}
	return x->name_len;
}

/* Whether there is such a top-level domain: most names have one of a few. */
static bool is_public(struct dga *d, const uint8_t *domain, uint32_t len)
{
	const uint32_t first = domain[0] + 1u, label = domain[first] + 2u; /* with the root */
	uint64_t tail = 0;

	if (d->rules == NULL)
		return true;
	if (first + label != len || label > sizeof(tail) || len < sizeof(tail))
		return ruleset_knows_tld(d->rules, domain, len);
	memcpy(&tail, domain + len - sizeof(tail), sizeof(tail));
	tail >>= 8 * (sizeof(tail) - label);
	uint64_t *slot = &d->known[(tail * 0x9e3779b97f4a7c15ull) >> 32 & (TLDS - 1)];
	if (*slot == tail)
		return true;
	if (!ruleset_knows_tld(d->rules, domain, len))
		return false;
	*slot = tail;
	return true;
}

static bool is_arpa(const struct txn *x)
{
	return x->name_len >= 6 && memcmp(x->name + x->name_len - 6, "\4arpa", 6) == 0;
}

/* Names that do not exist for reasons of their own (DOMAIN section 5): single labels that
 * browsers make up, services, reverse zones, block lists, search lists that leak; and those
 * below a registered domain that exists, as its SOA shows. */
static bool is_excluded(struct dga *d, const struct msgs *batch, const struct txn *x, bool made_up)
{
	const struct verdict *v = x->verdict;
	const uint8_t *domain = x->name + v->domain_off;
	const uint32_t len = (uint32_t)x->name_len - v->domain_off;

	if (v->labels < 2 || x->name[1] == '_' || domain[1] == '_' || domain[0] + 2u >= len ||
	    is_arpa(x))
		return true;
	for (unsigned i = 0; d->rules != NULL && i < v->tags && i < VERDICT_TAGS; i++)
		if (ruleset_kind(d->rules, v->tag[i]) == RULE_DNSBL)
			return true;
	if (v->domain_off != 0 && soa_at(batch, x) <= v->domain_off)
		return true;
	return !made_up && !is_public(d, domain, len);
}

static void put_addresses(const struct msgs *batch, const struct msg *m, struct ft_dga_name *out)
{
	const struct rr *rr = batch->rr + m->rr_off;

	for (uint32_t i = 0; i < m->rrs && out->addrs < FT_DGA_ADDRS; i++) {
		const bool v6 = rr[i].type == FT_QTYPE_AAAA;
		const unsigned bytes = v6 ? 16 : 4;
		if (rr[i].section != RR_ANSWER || (rr[i].type != FT_QTYPE_A && !v6) ||
		    rr[i].rdlen != bytes)
			continue;
		out->v6[out->addrs] = v6;
		memcpy(out->addr[out->addrs++], m->data + rr[i].rdata_off, bytes);
	}
}

/* The text of a name that looks made up, with its addresses where it has some. */
static void tell(struct dga *d, const struct msgs *batch, const struct txn *x)
{
	const struct verdict *v = x->verdict;
	const uint64_t row = clock_row(d->tally->clock, x->q.t_us);
	const bool answered = x->class == FT_CLASS_DATA;
	bool fresh;
	struct name *e = keyed_get(
	    d->names, hash_mix(v->domain_key ^ hash_mix(row ^ d->set.hash_key)) | 1, row, &fresh);

	if (e->told && (!answered || (e->answered && x->q.t_us >= e->answer_us)))
		return;
	struct ft_dga_name out = {
	    .hash = v->domain_key,
	    .shapes = v->shapes,
	    .what = (uint8_t)((v->shapes & d->narrow) != 0 ? FT_DGA_NARROW : 0),
	    .name = x->name + v->domain_off,
	    .name_len = (uint8_t)(x->name_len - v->domain_off),
	};
	if (v->tags != 0 && is_listed(d->rules, v))
		out.what |= FT_DGA_LISTED;
	if (answered) {
		out.what |= FT_DGA_ANSWERED;
		out.time_us = x->q.t_us - row * d->tally->clock->interval_us;
		put_addresses(batch, x->response, &out);
		e->answer_us = x->q.t_us;
		e->answered = true;
	}
	e->told = true;
	uint8_t *p = tally_entry_begin(d->tally, FT_REC_DGA_NAME, row, FT_DGA_NAME_CAP);
	tally_entry_end(d->tally, p + ft_dga_name_write(&out, p));
}

static void look(struct dga *d, const struct msgs *batch, const struct txn *x,
		 struct diary_note *note)
{
	const struct verdict *v = x->verdict;
	const bool made_up = looks_made_up(d, v);

	if (x->class == FT_CLASS_DATA ? !made_up : is_excluded(d, batch, x, made_up))
		return;
	note->kind = x->class == FT_CLASS_DATA ? FT_NOTE_ANSWERED
		     : made_up                 ? FT_NOTE_MADE_UP
					       : FT_NOTE_MISSING;
	note->hash = v->domain_key;
	if (made_up)
		tell(d, batch, x);
}

STAGE const struct diary_note *dga_step(struct dga *d, const struct msgs *batch,
					const struct txn *txn, uint32_t n)
{
	assert(n <= MSG_CAP);
	for (uint32_t i = 0; i < n; i++) {
		const struct txn *x = &txn[i];
		const struct verdict *v = x->verdict;
		struct diary_note *note = &d->note[i];

		note->kind = FT_NOTE_PLAIN;
		note->type = x->q.qtype == FT_QTYPE_A      ? FT_NOTE_A
			     : x->q.qtype == FT_QTYPE_AAAA ? FT_NOTE_AAAA
							   : FT_NOTE_OTHER;
		if (!x->has_query || !x->q.has_name) {
			note->type = FT_NOTE_OTHER;
			continue;
		}
		if (!x->has_response || v == NULL || v->brief || x->name_len == 0 ||
		    (x->class != FT_CLASS_NXDOMAIN &&
		     (x->class != FT_CLASS_DATA || (v->shapes | v->tags) == 0)))
			continue;
		look(d, batch, x, note);
	}
	return d->note;
}

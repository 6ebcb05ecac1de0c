/* SPDX-License-Identifier: BSD-3-Clause */
#include "matches.h"

#include "few.h"
#include "mem.h"
#include "name.h"
#include "vantage.h"

#include <fluxtap/rec_match.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TAGS_CAP 256u     /* rules of one name that are told apart */
#define STEP_BYTES 24576u /* emitted in one step of closing: less than a block */
#define STEP_SETS 1024u

struct entry {
	_Alignas(CACHE_LINE) struct keyed_entry head;
	struct ft_match_id id;
	struct ft_match_counts counts;
	uint64_t sample[FT_MATCH_SAMPLES]; /* hashes, rising; 0: none */
	struct few names, clients;
};

struct matches {
	struct tally *tally;
	struct matches_settings set;
	const struct ruleset *rules;
	struct ruleset_scratch *scratch;
	struct keyed *table;
	size_t emitted; /* octets, in this step of closing */
	struct dnsbl_subject subject;
	uint8_t out[FT_MATCH_ENTRY_CAP];
};
static_assert((int)FT_DNSBL_FORMS == (int)DNSBL_FORM_CAP, "forms on the wire");

static void emit_part(struct matches *m, const struct entry *e, enum ft_match_part part,
		      const void *body, size_t bytes)
{
	const uint16_t n = ft_match_write(m->out, e->id, part, body, bytes);

	tally_emit_entry(m->tally, FT_REC_MATCH, e->head.row, m->out, n);
	m->emitted += n;
}

static void emit_entry(void *ctx, const void *entry)
{
	const struct entry *e = entry;
	uint8_t wire[FT_FEW_WIRE_CAP];

	emit_part(ctx, e, FT_MATCH_COUNTS, &e->counts, sizeof(e->counts));
	emit_part(ctx, e, FT_MATCH_NAMES, wire, few_write(&e->names, wire));
	emit_part(ctx, e, FT_MATCH_CLIENTS, wire, few_write(&e->clients, wire));
}

static void close_begin(void *ctx, uint64_t row)
{
	(void)row;
	keyed_close_begin(((struct matches *)ctx)->table);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct matches *m = ctx;

	m->emitted = 0;
	for (uint32_t sets = 0; sets < STEP_SETS && m->emitted < STEP_BYTES; sets++)
		if (keyed_close(m->table, row, 1))
			return true;
	return false;
}

struct matches *matches_create(struct tally *t, const struct matches_settings *settings)
{
	struct matches *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->tally = t;
	m->set = *settings;
	m->table = keyed_create(settings->entries, sizeof(struct entry), emit_entry, m);
	if (m->table == NULL) {
		free(m);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(t, (struct tally_part){.begin = close_begin, .step = close_step, .ctx = m});
	return m;
}

void matches_destroy(struct matches *m)
{
	if (m == NULL)
		return;
	keyed_destroy(m->table);
	free(m);
}

void matches_adopt(struct matches *m, const struct ruleset *rules, struct ruleset_scratch *scratch)
{
	m->rules = rules;
	m->scratch = scratch;
}

const struct keyed_stats *matches_stats_get(const struct matches *m)
{
	return keyed_stats_get(m->table);
}

/* Into a rising list without repetition that keeps the lowest. */
static void put_code(uint32_t *code, uint32_t value)
{
	for (unsigned i = 0; i < FT_MATCH_CODES && value != 0 && code[i] != value; i++) {
		if (code[i] != 0 && code[i] < value)
			continue;
		const uint32_t moved = code[i];
		code[i] = value;
		value = moved;
	}
}

static enum ft_dnsbl_result result_of_class(const struct txn *x)
{
	if (!x->has_response)
		return FT_DNSBL_TIMEOUT;
	switch ((enum ft_class)x->class) {
	case FT_CLASS_DATA: return FT_DNSBL_DATA;
	case FT_CLASS_CNAME_ONLY:
	case FT_CLASS_NODATA: return FT_DNSBL_NODATA;
	case FT_CLASS_REFERRAL: return FT_DNSBL_REFERRAL;
	case FT_CLASS_NXDOMAIN: return FT_DNSBL_NOT_LISTED;
	case FT_CLASS_REFUSED: return FT_DNSBL_REFUSED;
	case FT_CLASS_TC: return FT_DNSBL_TRUNCATED;
	default: return FT_DNSBL_ERROR;
	}
}

enum ft_dnsbl_result matches_dnsbl_result(const struct msgs *batch, const struct txn *x,
					  uint32_t *code)
{
	const enum ft_dnsbl_result result = result_of_class(x);
	bool listed = false, refused = false, other = false;

	memset(code, 0, FT_MATCH_CODES * sizeof(*code));
	if (result != FT_DNSBL_DATA || x->response == NULL || batch == NULL)
		return result;
	for (unsigned i = 0; i < x->response->rrs; i++) {
		const struct rr *r = &batch->rr[x->response->rr_off + i];
		if (r->section != RR_ANSWER || r->type != FT_QTYPE_A || r->class != 1 ||
		    r->rdlen != 4)
			continue;
		const uint32_t a = load_u32_be(x->response->data + r->rdata_off);
		put_code(code, a);
		if (a >> 8 == 0x7fffff) /* 127.255.255.0/24 */
			refused = true;
		else if (a >> 24 == 127)
			listed = true;
		else
			other = true;
	}
	/* One address that no blocklist gives makes the whole answer doubtful. */
	if (other)
		return FT_DNSBL_DNSBL_WILDCARD;
	if (refused)
		return FT_DNSBL_REFUSED;
	return listed ? FT_DNSBL_LISTED : FT_DNSBL_DATA;
}

/* A name that comes among the lowest of its entry goes out as text. */
static void take_sample(struct matches *m, struct entry *e, const struct txn *x, uint64_t hash,
			uint8_t zone_off)
{
	const size_t subject_len = e->id.subject_key != 0 ? strlen(m->subject.text) : 0;
	uint8_t body[sizeof(struct ft_match_text) + 2 * 255];
	unsigned at = 0;

	while (at < FT_MATCH_SAMPLES && e->sample[at] != 0 && e->sample[at] < hash)
		at++;
	if (at == FT_MATCH_SAMPLES || e->sample[at] == hash)
		return;
	memmove(&e->sample[at + 1], &e->sample[at],
		(FT_MATCH_SAMPLES - 1 - at) * sizeof(*e->sample));
	e->sample[at] = hash;
	const struct ft_match_text t = {
	    .name_sketch = hash,
	    .name_len = x->name_len,
	    .domain_off = x->verdict->domain_off,
	    .zone_off = zone_off,
	    .subject_len = (uint8_t)subject_len,
	};
	memcpy(body, &t, sizeof(t));
	memcpy(body + sizeof(t), x->name, t.name_len);
	memcpy(body + sizeof(t) + t.name_len, m->subject.text, subject_len);
	const uint16_t n = ft_match_write(m->out, e->id, FT_MATCH_TEXT, body,
					  sizeof(t) + t.name_len + subject_len);
	tally_emit_entry(m->tally, FT_REC_MATCH_TEXT, e->head.row, m->out, n);
}

/* What a blocklist is asked about, and which list: a rule may have several zones. */
static uint64_t subject_hash(const struct matches *m, const struct txn *x, uint64_t seed)
{
	const uint32_t off = m->subject.zone_off;

	return XXH3_64bits_withSeed(m->subject.text, strlen(m->subject.text),
				    name_hash(x->name + off, x->name_len - off, seed));
}

/* What all workers agree on in every run, of the run's own keys nothing. */
static uint64_t order_of(const struct matches *m, const struct ft_match_id *id, const struct txn *x)
{
	const uint64_t facts[] = {
	    name_hash(x->name + x->verdict->domain_off, x->name_len - x->verdict->domain_off,
		      m->set.sketch_seed),
	    id->subject_key != 0 ? subject_hash(m, x, m->set.sketch_seed) : 0,
	    (uint64_t)id->rule << 32 | (uint64_t)id->vantage << 16 | (uint64_t)id->form << 8 |
		id->result,
	};

	return XXH3_64bits_withSeed(facts, sizeof(facts), m->set.sketch_seed);
}

static uint64_t key_of(const struct ft_match_id *id, uint64_t row)
{
	const uint64_t facts[] = {
	    row,
	    id->domain_key,
	    id->subject_key,
	    (uint64_t)id->rule << 32 | (uint64_t)id->vantage << 16 | (uint64_t)id->form << 8 |
		id->result,
	};
	const uint64_t key = XXH3_64bits(facts, sizeof(facts));

	return key != 0 ? key : 1;
}

static void count(struct entry *e, const struct txn *x)
{
	struct ft_match_counts *c = &e->counts;

	c->by_class[x->has_response ? x->class : FT_CLASS_TIMEOUT]++;
	if (c->first_us == 0 || x->q.ts_us < c->first_us)
		c->first_us = x->q.ts_us;
	if (x->q.ts_us > c->last_us)
		c->last_us = x->q.ts_us;
	few_add(&e->names, x->verdict->name_sketch);
	few_add(&e->clients, x->q.client_sketch);
}

static void count_rule(struct matches *m, const struct msgs *batch, const struct txn *x,
		       uint32_t rule)
{
	struct ft_match_id id = {
	    .vantage = (uint8_t)vantage_of_txn(x),
	    .rule = rule,
	    .domain_key = x->verdict->domain_key,
	};
	const uint64_t row = x->q.t_us / m->tally->clock->interval_us;
	const uint64_t sketch = x->verdict->name_sketch;
	uint32_t code[FT_MATCH_CODES] = {0};
	bool fresh;

	m->subject.text[0] = '\0';
	m->subject.zone_off = x->verdict->domain_off;
	if (ruleset_kind(m->rules, rule) == RULE_DNSBL) {
		if (!ruleset_dnsbl(m->rules, rule, x->name, x->name_len, &m->subject))
			return;
		m->subject.text[sizeof(m->subject.text) - 1] = '\0';
		id.subject_key = subject_hash(m, x, m->set.name_seed) | 1;
		id.form = (uint8_t)m->subject.form;
		id.result = (uint8_t)matches_dnsbl_result(batch, x, code);
	}
	struct entry *e = keyed_get(m->table, key_of(&id, row), row, &fresh);
	if (fresh) {
		id.order = order_of(m, &id, x);
		e->id = id;
	}
	count(e, x);
	for (unsigned i = 0; i < FT_MATCH_CODES && code[i] != 0; i++)
		put_code(e->counts.code, code[i]);
	take_sample(m, e, x, sketch != 0 ? sketch : 1, m->subject.zone_off);
}

static void count_txn(struct matches *m, const struct msgs *batch, const struct txn *x)
{
	const struct verdict *v = x->verdict;
	uint32_t more[TAGS_CAP];
	const uint32_t *tag = v->tag;
	uint32_t n = v->tags;

	if (n > VERDICT_TAGS) {
		n = ruleset_tags(m->rules, m->scratch, x->name, x->name_len, more, TAGS_CAP);
		n = n < TAGS_CAP ? n : TAGS_CAP;
		tag = more;
	}
	for (uint32_t i = 0; i < n; i++)
		if (ruleset_kind(m->rules, tag[i]) != RULE_SINKHOLE) /* sinks.c has these */
			count_rule(m, batch, x, tag[i]);
}

STAGE void matches_step(struct matches *m, const struct msgs *batch, const struct txn *txn,
			uint32_t n)
{
	if (m->rules == NULL)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (txn[i].has_query && txn[i].verdict != NULL && txn[i].verdict->tags != 0)
			count_txn(m, batch, &txn[i]);
}

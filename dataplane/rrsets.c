/* SPDX-License-Identifier: BSD-3-Clause */
#include "rrsets.h"

#include "ecs.h"
#include "fetch.h"
#include "mem.h"
#include "rrset.h"
#include "vantage.h"

#include <errno.h>
#include <stdlib.h>

#define CLASS_IN 1u
#define CLOSE_SETS 256u /* of the table in a step: about one block of entries */
#define SEEN_CAP (2 * MSG_RR_CAP)

struct entry {
	struct keyed_entry keyed;
	uint64_t owner_key, set_key;
	uint64_t seconds;
	uint32_t view, minute;
	uint32_t ttl_min, ttl_max;
	uint32_t count; /* without the one that travelled with the text */
	uint8_t what, records;
	uint8_t pad[2];
};
static_assert(sizeof(struct entry) == CACHE_LINE, "one line an entry");

/* An observation on its way into the table. */
struct seen {
	struct rrset set;
	const struct txn *txn;
	uint64_t key, text_key, row;
	uint32_t view, minute; /* since 1970 */
	uint8_t second;
};

struct rrsets {
	struct rrsets_settings set;
	struct tally *tally;
	struct keyed *table;
	uint64_t *sent; /* [sent_cap] texts of this interval, the last one of each slot */
	size_t sent_cap;
	uint32_t minute_base; /* of base_row: the minute in which it begins */
	uint64_t base_row;
	struct rrsets_stats stats;
	uint32_t n;
	struct seen seen[SEEN_CAP];
};

/* The minute in which a row begins. */
static uint32_t row_minute(struct rrsets *r, uint64_t row)
{
	if (row != r->base_row) {
		r->base_row = row;
		r->minute_base = (uint32_t)(row * r->tally->clock->interval_us / 60000000);
	}
	return r->minute_base;
}

static void fill(struct rrsets *r, uint64_t row, const struct entry *e, struct ft_rrset *x)
{
	*x = (struct ft_rrset){
	    .what = e->what,
	    .records = e->records,
	    .view = e->view,
	    .minute = e->minute - row_minute(r, row),
	    .owner_key = e->owner_key,
	    .set_key = e->set_key,
	    .ttl_min = e->ttl_min,
	    .ttl_max = e->ttl_max,
	    .seconds = e->seconds,
	    .count = e->count,
	};
}

static void emit_entry(void *ctx, const void *entry)
{
	struct rrsets *r = ctx;
	const struct entry *e = entry;
	struct ft_rrset x;

	if (e->count == 0) /* its one observation went with the text */
		return;
	fill(r, e->keyed.row, e, &x);
	uint8_t *p = tally_entry_begin(r->tally, FT_REC_RRSET, e->keyed.row, FT_RRSET_ENTRY_CAP);
	tally_entry_end(r->tally, p + ft_rrset_write(&x, p));
}

static struct rrset_source source_of(const struct rrsets *r, const struct msgs *batch,
				     const struct txn *t)
{
	return (struct rrset_source){
	    .m = t->response,
	    .rr = batch->rr + t->response->rr_off,
	    .name = t->name,
	    .name_seed = r->set.name_seed,
	};
}

/* The text with this very observation. */
static void emit_text(struct rrsets *r, const struct msgs *batch, const struct seen *s)
{
	const struct rrset_source source = source_of(r, batch, s->txn);
	uint8_t room[FT_ENTRY_CAP];
	struct ft_rrset_text x;

	/* Not from the entry: what was written there just now is still on its way. */
	x.first = (struct ft_rrset){
	    .what = s->set.what,
	    .records = s->set.records,
	    .view = s->view,
	    .owner_key = s->set.owner_key,
	    .set_key = s->set.set_key,
	    .minute = s->minute - row_minute(r, s->row),
	    .ttl_min = s->set.ttl_min,
	    .ttl_max = s->set.ttl_max,
	    .seconds = 1ull << s->second,
	};
	rrset_text(&source, &s->set, room, &x);
	uint8_t *p = tally_entry_begin(r->tally, FT_REC_RRSET_TEXT, s->row,
				       FT_RRSET_TEXT_FIXED_CAP + x.owner_len + x.rdata_bytes);
	tally_entry_end(r->tally, p + ft_rrset_text_write(&x, p));
	r->stats.texts++;
}

/* Once an interval for each set whoever sees it, or a few times more. */
static bool text_is_due(struct rrsets *r, const struct seen *s)
{
	uint64_t *slot = &r->sent[s->text_key & (r->sent_cap - 1)];

	if (*slot == s->text_key)
		return false;
	*slot = s->text_key;
	return true;
}

static void count(struct rrsets *r, const struct msgs *batch, const struct seen *s)
{
	const struct rrset *set = &s->set;
	const uint64_t seconds = 1ull << s->second;
	bool fresh;
	struct entry *e = keyed_get(r->table, s->key, s->row, &fresh);

	if (fresh) {
		e->owner_key = set->owner_key;
		e->set_key = set->set_key;
		e->view = s->view;
		e->minute = s->minute;
		e->ttl_min = set->ttl_min;
		e->ttl_max = set->ttl_max;
		e->what = set->what;
		e->records = set->records;
		if (text_is_due(r, s)) {
			emit_text(r, batch, s);
			return;
		}
		e->seconds = seconds;
		e->count = 1;
		return;
	}
	e->what |= set->what;
	if (set->ttl_min < e->ttl_min)
		e->ttl_min = set->ttl_min;
	if (set->ttl_max > e->ttl_max)
		e->ttl_max = set->ttl_max;
	e->seconds |= seconds;
	e->count++;
}

/* A mark says one bit: it needs no entry to gather in. */
static void emit_mark(struct rrsets *r, const struct seen *s)
{
	const struct ft_rrset x = {.what = s->set.what, .owner_key = s->set.owner_key};

	if (!text_is_due(r, s))
		return;
	/* Among the texts, which it stands between: each change of type costs a header. */
	uint8_t *p = tally_entry_begin(r->tally, FT_REC_RRSET_TEXT, s->row, FT_RRSET_ENTRY_CAP);
	tally_entry_end(r->tally, p + ft_rrset_write(&x, p));
}

static void settle(struct rrsets *r, const struct msgs *batch)
{
	bool there;

	for (uint32_t i = 0; i < r->n; i++)
		if ((r->seen[i].set.what & FT_RRSET_LONG) == 0)
			(void)keyed_prefetch_entry(r->table, r->seen[i].key, &there);
	for (uint32_t i = 0; i < r->n; i++) {
		if ((r->seen[i].set.what & FT_RRSET_LONG) != 0) {
			emit_mark(r, &r->seen[i]);
			continue;
		}
		count(r, batch, &r->seen[i]);
		r->stats.seen++;
	}
	r->n = 0;
}

/* Who the answer is for; a subnet of those, where it says so (RFC 7871). What a parent says
 * is the same for all, but its servers may not be in step. */
static uint32_t view_of(const struct rrsets *r, const struct txn *t, enum ft_vantage vantage)
{
	const struct msg *m = t->response;
	const bool referral = m->class == FT_CLASS_REFERRAL;
	const struct addr *end = vantage == FT_VANTAGE_S2R || referral ? t->server : t->client;
	const uint64_t view = addr_fold(end, r->set.view_seed);
	struct ecs_scope scope;

	if (referral || (m->edns & 1u << FT_EDNS_ecs) == 0)
		return (uint32_t)view;
	const uint8_t *option = m->data + m->ecs_off;
	if (!ecs_read(option, load_u16_be(option - 2), &scope))
		return (uint32_t)view;
	return (uint32_t)ecs_view(&scope, view);
}

/* Who the sets of a transaction depend on, and when it was. */
static struct seen seen_of(struct rrsets *r, const struct txn *t, enum ft_vantage vantage)
{
	const uint64_t second = t->response_us / 1000000;

	return (struct seen){
	    .txn = t,
	    .row = clock_row(r->tally->clock, t->response_us),
	    .view = view_of(r, t, vantage),
	    .minute = (uint32_t)(second / 60),
	    .second = (uint8_t)(second % 60),
	};
}

/* All inputs but row and minute are secret or hashed with a secret. */
static void make_keys(struct seen *s)
{
	const uint64_t set = s->set.owner_key + s->set.set_key * 0x9e3779b97f4a7c15ull +
			     (s->row * 64 + (s->set.what & (FT_RRSET_TYPE | FT_RRSET_REFERRAL))) *
				 0xd6e8feb86659fd93ull;
	const uint64_t seen = ((uint64_t)s->view << 32 | s->minute) * 0xff51afd7ed558ccdull;

	/* Of a mark the vantage counts, too. */
	s->text_key = hash_mix(set + ((s->set.what & FT_RRSET_LONG) != 0 ? s->set.what : 0));
	s->key = hash_mix((set ^ seen) + (s->set.what & FT_RRSET_KEY));
	s->key += s->key == 0;
}

static uint32_t ttl_cap(const struct rrsets *r, const struct rrset *set)
{
	return (set->what & FT_RRSET_REFERRAL) != 0 ? r->set.referral_ttl_cap_s
						    : r->set.ttl_cap_s[set->what & FT_RRSET_TYPE];
}

static void add(struct rrsets *r, const struct seen *of, struct rrset *set, enum ft_vantage vantage,
		bool aa)
{
	const uint32_t cap = ttl_cap(r, set);
	struct seen *s = &r->seen[r->n];

	assert(r->n < SEEN_CAP);
	*s = *of;
	if (cap != 0 && set->ttl_max > cap) {
		r->stats.gated++;
		if (aa)
			return;
		set->set_key = 0;
		set->what |= FT_RRSET_LONG;
	}
	set->what |= (uint8_t)(vantage << FT_RRSET_VANTAGE_SHIFT | (aa ? FT_RRSET_AA : 0));
	s->set = *set;
	make_keys(s);
	if ((set->what & FT_RRSET_LONG) == 0)
		keyed_prefetch_tags(r->table, s->key);
	fetch_write(&r->sent[s->text_key & (r->sent_cap - 1)]);
	r->n++;
}

/* Spoof guard and what else has no sets in it. */
static bool is_answer(const struct txn *t)
{
	const struct msg *m = t->response;

	return m != NULL && t->has_query && m->rrs != 0 && t->rcode == FT_RCODE_NOERROR &&
	       m->qclass == CLASS_IN && m->name_len != 0 && (m->dns_flags & DNS_TC) == 0 &&
	       msg_opcode(m) == 0;
}

STAGE void rrsets_step(struct rrsets *r, const struct msgs *batch, const struct txn *txn,
		       uint32_t n)
{
	struct rrset set[MSG_RR_CAP];

	for (uint32_t i = 0; i < n; i++) {
		const struct txn *t = &txn[i];
		bool cut;
		if (!is_answer(t))
			continue;
		const struct rrset_source source = source_of(r, batch, t);
		const uint32_t sets = rrset_read(&source, set, &cut);
		r->stats.cut += cut;
		if (sets == 0)
			continue;
		const enum ft_vantage vantage = vantage_of_txn(t);
		const struct seen seen = seen_of(r, t, vantage);
		if (r->n + sets > SEEN_CAP)
			settle(r, batch);
		for (uint32_t k = 0; k < sets; k++)
			add(r, &seen, &set[k], vantage, t->aa);
	}
	settle(r, batch);
}

static void close_begin(void *ctx, uint64_t row)
{
	struct rrsets *r = ctx;

	(void)row;
	keyed_close_begin(r->table);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct rrsets *r = ctx;

	return keyed_close(r->table, row, CLOSE_SETS);
}

struct rrsets *rrsets_create(struct tally *tally, const struct rrsets_settings *settings)
{
	struct rrsets *r = mem_map(sizeof(*r));

	if (r == NULL)
		return NULL;
	r->set = *settings;
	r->tally = tally;
	r->base_row = UINT64_MAX;
	r->sent_cap = 64;
	while (r->sent_cap < settings->entries)
		r->sent_cap *= 2;
	r->sent = mem_map(r->sent_cap * sizeof(*r->sent));
	r->table = keyed_create(settings->entries, sizeof(struct entry), emit_entry, r);
	if (r->sent == NULL || r->table == NULL) {
		rrsets_destroy(r);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, r});
	return r;
}

void rrsets_destroy(struct rrsets *r)
{
	if (r == NULL)
		return;
	keyed_destroy(r->table);
	mem_unmap(r->sent, r->sent_cap * sizeof(*r->sent));
	mem_unmap(r, sizeof(*r));
}

const struct rrsets_stats *rrsets_stats_get(const struct rrsets *r)
{
	return &r->stats;
}

const struct keyed_stats *rrsets_table_stats(const struct rrsets *r)
{
	return keyed_stats_get(r->table);
}

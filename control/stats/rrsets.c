/* SPDX-License-Identifier: BSD-3-Clause */
/* When which RRset was seen, merged by row: what the set `flux` is made of. Sharded by
 * owner, so that each has all of it. Entries are read a batch at a time, and what each
 * will touch is on its way while others are read. */
#include "rrsets.h"

#include "../../dataplane/flow.h"
#include "keep.h"
#include "stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_CAP (1u << 19) /* observations and texts of an interval */
#define TEXT_BYTES 64u       /* octets of owners and rdata, for each of them */
#define TEXT_CAP (1u << 31)
#define BATCH 16u
#define SIDE (FT_RRSET_TYPE | FT_RRSET_REFERRAL)

/* An observation, or a text: then only set_key, what and the numbers of rdata count. */
struct item {
	struct keep_item keep; /* rank: the owner's key, so that owners stay as a whole */
	uint64_t set_key, seconds, count;
	uint32_t view, minute, ttl_min, ttl_max;
	uint8_t what, records, texts, is_text, owner_len;
	uint8_t pad[3];
};

struct row {
	struct keep keep;
	uint32_t kinds; /* RRSETS_KIND of its entries */
	uint64_t observations, left_out;
	uint64_t left_out_of[FT_RRSET_TYPE_CAP];
};

struct rrsets {
	struct stat_row *rows;
	struct keep_settings set;
	struct ft_rrset_text batch[BATCH];
};

static void leave_out(struct row *r, uint8_t what, uint64_t count)
{
	r->left_out += count;
	r->left_out_of[what & FT_RRSET_TYPE] += count;
}

static void drop(struct keep *k, const void *item)
{
	const struct item *i = item;

	leave_out((struct row *)k, i->what, i->count);
}

static void *rrsets_create(const struct stat_run *run, unsigned shards)
{
	struct rrsets *s = calloc(1, sizeof(*s));
	const size_t all = run->rrset_keys != 0 ? run->rrset_keys : ITEMS_CAP;
	const size_t items = (all + shards - 1) / shards;

	if (s != NULL)
		s->set = (struct keep_settings){
		    .item_bytes = sizeof(struct item),
		    .items_cap = items,
		    .text_cap = items < TEXT_CAP / TEXT_BYTES ? items * TEXT_BYTES : TEXT_CAP,
		    .row_bytes = sizeof(struct row),
		    .drop = drop,
		};
	return s;
}

void rrsets_set_budget(void *merge, size_t items, size_t text_bytes)
{
	struct rrsets *s = merge;

	s->set.items_cap = items;
	s->set.text_cap = text_bytes;
}

static void rrsets_part_free(void *part)
{
	keep_free(part);
}

static void rrsets_destroy(void *merge)
{
	struct rrsets *s = merge;

	while (s != NULL && s->rows != NULL)
		keep_free(rows_pop(&s->rows));
	free(s);
}

static uint64_t text_key(uint64_t owner_key, uint64_t set_key, uint8_t what)
{
	return hash_mix(hash_mix(owner_key + (what & SIDE)) ^ set_key);
}

static uint64_t key_of(const struct ft_rrset *x)
{
	const uint64_t key = text_key(x->owner_key, x->set_key, x->what);

	return hash_mix(key ^ ((uint64_t)x->view << 32 | x->minute)) + (x->what & FT_RRSET_KEY);
}

static int add(struct row *r, const struct ft_rrset *x)
{
	bool fresh, left_out;
	struct item *i = keep_get(&r->keep, key_of(x), x->owner_key, &fresh, &left_out);

	r->observations += x->count;
	r->kinds |= RRSETS_KIND(x->what);
	if (i == NULL) {
		if (left_out)
			leave_out(r, x->what, x->count);
		return left_out ? 0 : -ENOMEM;
	}
	if (fresh) {
		i->set_key = x->set_key;
		i->view = x->view;
		i->minute = x->minute;
		i->ttl_min = x->ttl_min;
		i->records = x->records;
	}
	i->what |= x->what & (FT_RRSET_KEY | FT_RRSET_AA);
	i->seconds |= x->seconds;
	i->count += x->count;
	if (x->ttl_min < i->ttl_min)
		i->ttl_min = x->ttl_min;
	if (x->ttl_max > i->ttl_max)
		i->ttl_max = x->ttl_max;
	return 0;
}

static int add_text(struct row *r, const struct ft_rrset_text *x)
{
	bool fresh, left_out;
	const int result = add(r, &x->first);
	uint8_t both[FT_ENTRY_CAP];

	if (result != 0)
		return result;
	struct item *i =
	    keep_get(&r->keep, text_key(x->first.owner_key, x->first.set_key, x->first.what),
		     x->first.owner_key, &fresh, &left_out);
	if (i == NULL)
		return left_out ? 0 : -ENOMEM;
	if (!fresh)
		return 0;
	i->is_text = 1;
	i->set_key = x->first.set_key;
	i->what = x->first.what & (SIDE | FT_RRSET_CUT);
	i->records = x->first.records;
	i->texts = (uint8_t)x->texts;
	i->owner_len = (uint8_t)x->owner_len;
	(void)ft_put_bytes(ft_put_bytes(both, x->owner, x->owner_len), x->rdata, x->rdata_bytes);
	const int put = keep_put_text(&r->keep, i, both, x->owner_len + x->rdata_bytes);
	return put < 0 ? put : 0;
}

/* Merges a batch: places of the index, items, then what is done with them. */
static int add_batch(struct row *r, const struct ft_rrset_text *x, size_t n)
{
	int result = 0;

	for (size_t i = 0; i < n; i++) {
		keep_fetch_slot(&r->keep, key_of(&x[i].first));
		if (x[i].owner != NULL)
			keep_fetch_slot(&r->keep, text_key(x[i].first.owner_key, x[i].first.set_key,
							   x[i].first.what));
	}
	for (size_t i = 0; i < n; i++)
		keep_fetch_item(&r->keep, key_of(&x[i].first));
	for (size_t i = 0; i < n && result == 0; i++)
		result = x[i].owner != NULL ? add_text(r, &x[i]) : add(r, &x[i].first);
	return result;
}

static int rrsets_record(void *merge, const struct stat_record *rec)
{
	struct rrsets *s = merge;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	const bool texts = rec->hdr->type == FT_REC_RRSET_TEXT;

	if (rec->hdr->type != FT_REC_RRSET && !texts)
		return 0;
	struct row *row = (struct row *)keep_row(&s->rows, rec->hdr->row, &s->set);
	if (row == NULL)
		return -ENOMEM;
	for (bool more = true; more;) {
		size_t n = 0;
		bool bad = false;
		while (n < BATCH && !bad && (more = ft_entry_next(&r, &body))) {
			struct ft_rrset_text *x = &s->batch[n++];
			const bool is_text = texts && (body.at[0] & FT_RRSET_LONG) == 0;
			x->owner = NULL;
			bad = is_text ? !ft_rrset_text_read(&body, x)
				      : !ft_rrset_read(&body, &x->first);
		}
		const int result = add_batch(row, s->batch, n - bad);
		if (result != 0 || bad)
			return bad ? -EBADMSG : result;
	}
	return r.bad ? -EBADMSG : 0;
}

static unsigned shard_of(uint64_t owner_key, unsigned n)
{
	return (unsigned)((owner_key & UINT32_MAX) * n >> 32);
}

static int rrsets_shard_of(uint16_t type, const uint8_t **at, const uint8_t *end, unsigned n)
{
	struct ft_reader r = {.at = *at, .end = end}, body;

	if (type != FT_REC_RRSET && type != FT_REC_RRSET_TEXT)
		return -ENOTSUP;
	if (!ft_entry_next(&r, &body))
		return -EBADMSG;
	*at = r.at;
	(void)ft_get_u8(&body);
	const uint64_t owner_key = ft_get_u64(&body);
	return body.bad ? -EBADMSG : (int)shard_of(owner_key, n);
}

static void *rrsets_take(void *merge, uint64_t row)
{
	struct rrsets *s = merge;

	return rows_is_first(s->rows, row) ? rows_pop(&s->rows) : NULL;
}

/* The same owners stay in all shards: those that stay in the one that has least room. */
static void rrsets_join(const struct stat_parts *p)
{
	unsigned shift = 0;

	for (unsigned i = 0; i < p->n; i++) {
		const struct keep *k = p->part[i];
		shift = k != NULL && k->shift > shift ? k->shift : shift;
	}
	for (unsigned i = 0; i < p->n; i++)
		if (p->part[i] != NULL)
			keep_thin(p->part[i], shift);
}

static void each_of(const struct keep *k, uint32_t kinds,
		    void (*each)(void *ctx, const struct ft_rrset *x), void *ctx)
{
	for (size_t n = 0; n < k->n; n++) {
		const struct item *i = keep_at(k, n);
		if (i->is_text || (RRSETS_KIND(i->what) & kinds) == 0)
			continue;
		const struct ft_rrset x = {
		    .what = i->what,
		    .records = i->records,
		    .view = i->view,
		    .owner_key = i->keep.rank,
		    .set_key = i->set_key,
		    .minute = i->minute,
		    .ttl_min = i->ttl_min,
		    .ttl_max = i->ttl_max,
		    .seconds = i->seconds,
		    .count = i->count,
		};
		each(ctx, &x);
	}
}

void rrsets_each(const struct stat_parts *p, uint32_t kinds,
		 void (*each)(void *ctx, const struct ft_rrset *x), void *ctx)
{
	for (unsigned i = 0; p != NULL && i < p->n; i++)
		if (p->part[i] != NULL && (((const struct row *)p->part[i])->kinds & kinds) != 0)
			each_of(p->part[i], kinds, each, ctx);
}

static const struct keep *keep_of(const struct stat_parts *p, uint64_t owner_key)
{
	return p != NULL ? p->part[shard_of(owner_key, p->n)] : NULL;
}

void rrsets_text_fetch_place(const struct stat_parts *p, const struct ft_rrset *x)
{
	const struct keep *k = keep_of(p, x->owner_key);

	if (k != NULL)
		keep_fetch_slot(k, text_key(x->owner_key, x->set_key, x->what));
}

void rrsets_text_fetch(const struct stat_parts *p, const struct ft_rrset *x)
{
	const struct keep *k = keep_of(p, x->owner_key);

	if (k != NULL)
		keep_fetch_item(k, text_key(x->owner_key, x->set_key, x->what));
}

void rrsets_text_fetch_octets(const struct stat_parts *p, const struct ft_rrset *x)
{
	const struct keep *k = keep_of(p, x->owner_key);

	if (k != NULL)
		keep_fetch_text(k, text_key(x->owner_key, x->set_key, x->what));
}

bool rrsets_text_get(const struct stat_parts *p, uint64_t owner_key, uint64_t set_key, uint8_t what,
		     struct ft_rrset_text *out)
{
	const struct keep *k = keep_of(p, owner_key);
	const struct item *i = k != NULL ? keep_find(k, text_key(owner_key, set_key, what)) : NULL;

	if (i == NULL || i->keep.text_bytes == 0)
		return false;
	*out = (struct ft_rrset_text){
	    .first = {.what = i->what,
		      .records = i->records,
		      .owner_key = owner_key,
		      .set_key = set_key},
	    .owner = keep_text(k, i),
	    .owner_len = i->owner_len,
	    .rdata = keep_text(k, i) + i->owner_len,
	    .rdata_bytes = i->keep.text_bytes - i->owner_len,
	    .texts = i->texts,
	};
	return true;
}

uint32_t rrsets_kinds(const struct stat_parts *p)
{
	uint32_t kinds = 0;

	for (unsigned i = 0; p != NULL && i < p->n; i++)
		if (p->part[i] != NULL)
			kinds |= ((const struct row *)p->part[i])->kinds;
	return kinds;
}

struct rrsets_totals rrsets_totals_get(const struct stat_parts *p)
{
	struct rrsets_totals t = {.p = 1};

	for (unsigned i = 0; p != NULL && i < p->n; i++) {
		const struct row *r = p->part[i];
		if (r == NULL)
			continue;
		t.observations += r->observations;
		t.left_out += r->left_out;
		for (unsigned k = 0; k < FT_RRSET_TYPE_CAP; k++)
			t.left_out_of[k] += r->left_out_of[k];
		/* The same in all: see rrsets_join. */
		t.p = r->keep.shift < 64 ? 1.0 / (double)(1ull << r->keep.shift) : 0;
		t.kept += r->keep.n;
	}
	return t;
}

const struct merge_ops merge_rrsets = {
    .create = rrsets_create,
    .record = rrsets_record,
    .shard_of = rrsets_shard_of,
    .take = rrsets_take,
    .part_free = rrsets_part_free,
    .join = rrsets_join,
    .destroy = rrsets_destroy,
};

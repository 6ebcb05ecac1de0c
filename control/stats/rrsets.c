/* SPDX-License-Identifier: BSD-3-Clause */
/* When which RRset was seen, merged by row: what the sets `flux` and `integrity` will
 * be made of. Writes no set of its own. */
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
	uint64_t closed_end; /* rows below are closed */
	struct keep_settings set;
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

static void *rrsets_create(const struct stat_run *run)
{
	struct rrsets *s = calloc(1, sizeof(*s));
	const size_t items = run->rrset_keys != 0 ? run->rrset_keys : ITEMS_CAP;

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

void rrsets_set_budget(void *stat, size_t items, size_t text_bytes)
{
	struct rrsets *s = stat;

	s->set.items_cap = items;
	s->set.text_cap = text_bytes;
}

static void rrsets_destroy(void *stat)
{
	struct rrsets *s = stat;

	while (s != NULL && s->rows != NULL)
		keep_pop(&s->rows);
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

static int rrsets_record(void *stat, const struct stat_record *rec)
{
	struct rrsets *s = stat;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;

	if (rec->hdr->type != FT_REC_RRSET && rec->hdr->type != FT_REC_RRSET_TEXT)
		return 0;
	struct row *row = (struct row *)keep_row(&s->rows, rec->hdr->row, &s->set);
	if (row == NULL)
		return -ENOMEM;
	while (ft_entry_next(&r, &body)) {
		struct ft_rrset_text x;
		const bool is_text =
		    rec->hdr->type == FT_REC_RRSET_TEXT && (body.at[0] & FT_RRSET_LONG) == 0;
		int result = -EBADMSG;
		if (!is_text && ft_rrset_read(&body, &x.first))
			result = add(row, &x.first);
		else if (is_text && ft_rrset_text_read(&body, &x))
			result = add_text(row, &x);
		if (result != 0)
			return result;
	}
	return r.bad ? -EBADMSG : 0;
}

/* A closed row stays for those behind in the list; it goes with the next one. */
static void pop_closed(struct rrsets *s)
{
	while (s->closed_end > rows_first(s->rows))
		keep_pop(&s->rows);
}

static uint64_t rrsets_first_row(const void *stat)
{
	const struct rrsets *s = stat;
	const struct stat_row *r = s->rows;

	while (r != NULL && r->number < s->closed_end)
		r = r->next;
	return rows_first(r);
}

static void rrsets_close(void *stat, struct stat_interval *in)
{
	struct rrsets *s = stat;

	pop_closed(s);
	s->closed_end = in->row + 1;
	in->rrsets = s;
}

void rrsets_each(const void *stat, uint64_t row, void (*each)(void *ctx, const struct ft_rrset *x),
		 void *ctx)
{
	const struct keep *k = rows_find(((const struct rrsets *)stat)->rows, row);

	for (size_t n = 0; k != NULL && n < k->n; n++) {
		const struct item *i = keep_at(k, n);
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
		if (!i->is_text)
			each(ctx, &x);
	}
}

bool rrsets_text_get(const void *stat, uint64_t row, uint64_t owner_key, uint64_t set_key,
		     uint8_t what, struct ft_rrset_text *out)
{
	const struct keep *k = rows_find(((const struct rrsets *)stat)->rows, row);
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

uint32_t rrsets_kinds(const void *stat, uint64_t row)
{
	const struct row *r =
	    (const struct row *)rows_find(((const struct rrsets *)stat)->rows, row);

	return r != NULL ? r->kinds : 0;
}

struct rrsets_totals rrsets_totals_get(const void *stat, uint64_t row)
{
	const struct row *r =
	    (const struct row *)rows_find(((const struct rrsets *)stat)->rows, row);
	struct rrsets_totals t = {.p = 1};

	if (r == NULL)
		return t;
	t.observations = r->observations;
	t.left_out = r->left_out;
	memcpy(t.left_out_of, r->left_out_of, sizeof(t.left_out_of));
	t.p = r->keep.shift < 64 ? 1.0 / (double)(1ull << r->keep.shift) : 0;
	t.kept = r->keep.n;
	return t;
}

const struct stat_ops stat_rrsets = {
    .set = NULL, /* for others to make sets of */
    .create = rrsets_create,
    .record = rrsets_record,
    .first_row = rrsets_first_row,
    .close = rrsets_close,
    .destroy = rrsets_destroy,
};

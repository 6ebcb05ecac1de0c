/* SPDX-License-Identifier: BSD-3-Clause */
/* Distinct (qname, qtype, qclass, response_ip, soa_rrname, rcode) of an interval and
 * vantage point that ended in an error. Where there are more than the budget, those with
 * the lowest keyed hashes stay, and the others are in the totals. */
#include "errors.h"

#include "keep.h"
#include "stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_CAP (1u << 19) /* keys of an interval */
#define TEXT_CAP (48u << 20) /* octets of their names */

struct item {
	struct keep_item keep; /* rank: the key */
	uint64_t count;
	uint64_t time_us;
	struct handful clients;
	uint16_t rcode, qtype, qclass;
	uint8_t what, qname_len, soa_len;
	uint8_t server[16];
	uint8_t pad[3];
};

struct row {
	struct keep keep;
	struct errors_totals total;
};

struct errors {
	const struct stat_run *run;
	struct stat_row *rows;
	struct keep_settings set;
};

unsigned errors_set_of(uint8_t what)
{
	return (what & FT_ERROR_NXDOMAIN) != 0 ? 0 : 1;
}

static void leave_out(struct row *r, uint8_t what, uint64_t count)
{
	r->total.of[what & FT_ERROR_VANTAGE][errors_set_of(what)].left_out += count;
}

static void drop(struct keep *k, const void *item)
{
	const struct item *i = item;

	leave_out((struct row *)k, i->what, i->count);
}

static void *errors_create(const struct stat_run *run, unsigned shards)
{
	struct errors *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->set = (struct keep_settings){
	    .item_bytes = sizeof(struct item),
	    .items_cap = (ITEMS_CAP + shards - 1) / shards,
	    .text_cap = TEXT_CAP / shards,
	    .row_bytes = sizeof(struct row),
	    .drop = drop,
	};
	return s;
}

void errors_set_budget(void *merge, size_t items, size_t text_bytes)
{
	struct errors *s = merge;

	s->set.items_cap = items;
	s->set.text_cap = text_bytes;
}

static void errors_part_free(void *part)
{
	keep_free(part);
}

static void errors_destroy(void *merge)
{
	struct errors *s = merge;

	while (s != NULL && s->rows != NULL)
		keep_free(rows_pop(&s->rows));
	free(s);
}

/* NULL with *result 0: left out, and counted as such. */
static struct item *item_get(struct row *r, uint64_t key, uint8_t what, uint64_t count, int *result)
{
	bool fresh, left_out;
	struct item *i = keep_get(&r->keep, key, key, &fresh, &left_out);

	r->total.of[what & FT_ERROR_VANTAGE][errors_set_of(what)].count += count;
	*result = i == NULL && !left_out ? -ENOMEM : 0;
	if (i != NULL && fresh)
		i->what = what & (FT_ERROR_VANTAGE | FT_ERROR_TIMEOUT | FT_ERROR_NXDOMAIN);
	if (i == NULL && left_out)
		leave_out(r, what, count);
	return i;
}

static int add(struct row *r, const struct ft_error *x)
{
	int result;
	struct item *i = item_get(r, x->key, x->what, x->count, &result);

	if (i == NULL)
		return result;
	i->count += x->count;
	handful_merge(&i->clients, x->clients, x->octets);
	return 0;
}

/* Is the text before the one that is there? */
static bool is_earlier(const struct keep *k, const struct item *i, uint64_t time_us,
		       const uint8_t *both, uint32_t n)
{
	if (i->keep.text_bytes == 0 || time_us != i->time_us)
		return i->keep.text_bytes == 0 || time_us < i->time_us;
	const uint32_t least = n < i->keep.text_bytes ? n : i->keep.text_bytes;
	const int d = memcmp(both, keep_text(k, i), least);
	return d < 0 || (d == 0 && n < i->keep.text_bytes);
}

static int add_text(const struct errors *s, struct row *r, const struct ft_error_text *x)
{
	const uint64_t time_us =
	    r->keep.head.number * s->run->interval_s * 1000000 + (uint64_t)x->time_us;
	/* A name is never empty here: a key without a question has the octet 0xff. */
	uint8_t both[2 * FT_NAME_CAP + 1] = {0xff};
	uint32_t n = 1;
	int result;
	struct item *i = item_get(r, x->key, x->what, 1, &result);

	if (i == NULL)
		return result;
	i->count++;
	handful_add(&i->clients, x->client);
	memcpy(both + n, x->qname, x->qname_len);
	n += x->qname_len;
	if (x->soa_len != 0)
		memcpy(both + n, x->soa, x->soa_len);
	n += x->soa_len;
	if (!is_earlier(&r->keep, i, time_us, both, n))
		return 0;
	i->time_us = time_us;
	i->rcode = x->rcode;
	i->qtype = x->qtype;
	i->qclass = x->qclass;
	i->what = x->what & (FT_ERROR_VANTAGE | FT_ERROR_TIMEOUT | FT_ERROR_NXDOMAIN | FT_ERROR_V6);
	i->qname_len = x->qname_len;
	i->soa_len = x->soa_len;
	memcpy(i->server, x->server, (x->what & FT_ERROR_V6) != 0 ? 16 : 4);
	result = keep_put_text(&r->keep, i, both, n);
	return result < 0 ? result : 0;
}

static int errors_record(void *merge, const struct stat_record *rec)
{
	struct errors *s = merge;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;

	if (rec->hdr->type != FT_REC_ERROR && rec->hdr->type != FT_REC_ERROR_TEXT)
		return 0;
	struct row *row = (struct row *)keep_row(&s->rows, rec->hdr->row, &s->set);
	if (row == NULL)
		return -ENOMEM;
	while (ft_entry_next(&r, &body)) {
		struct ft_error_text text;
		struct ft_error x;
		int result = -EBADMSG;
		if (rec->hdr->type == FT_REC_ERROR && ft_error_read(&body, &x))
			result = add(row, &x);
		else if (rec->hdr->type == FT_REC_ERROR_TEXT && ft_error_text_read(&body, &text))
			result = add_text(s, row, &text);
		if (result != 0)
			return result;
	}
	return r.bad ? -EBADMSG : 0;
}

static int errors_shard_of(uint16_t type, const uint8_t **at, const uint8_t *end, unsigned n)
{
	struct ft_reader r = {.at = *at, .end = end}, body;

	if (type != FT_REC_ERROR && type != FT_REC_ERROR_TEXT)
		return -ENOTSUP;
	if (!ft_entry_next(&r, &body))
		return -EBADMSG;
	*at = r.at;
	(void)ft_get_u8(&body);
	const uint64_t key = ft_get_u64(&body);
	return body.bad ? -EBADMSG : (int)((key & UINT32_MAX) * n >> 32);
}

static void *errors_take(void *merge, uint64_t row)
{
	struct errors *s = merge;

	return rows_is_first(s->rows, row) ? rows_pop(&s->rows) : NULL;
}

static void row_each(const struct keep *k, void (*each)(void *ctx, const struct error_row *x),
		     void *ctx)
{
	for (size_t n = 0; n < k->n; n++) {
		const struct item *i = keep_at(k, n);
		const uint8_t *names = keep_text(k, i) + 1;
		if (i->keep.text_bytes == 0)
			continue; /* lost with a block, to a full ring */
		const struct error_row x = {
		    .text = {.key = i->keep.key,
			     .rcode = i->rcode,
			     .qtype = i->qtype,
			     .qclass = i->qclass,
			     .what = i->what,
			     .qname_len = i->qname_len,
			     .soa_len = i->soa_len,
			     .server = i->server,
			     .qname = names,
			     .soa = names + i->qname_len},
		    .time_us = i->time_us,
		    .count = i->count,
		    .clients = handful_count(&i->clients),
		    .client_set = &i->clients,
		};
		each(ctx, &x);
	}
}

void errors_each(const struct stat_parts *p, void (*each)(void *ctx, const struct error_row *x),
		 void *ctx)
{
	for (unsigned i = 0; p != NULL && i < p->n; i++)
		if (p->part[i] != NULL)
			row_each(p->part[i], each, ctx);
}

struct errors_totals errors_totals_get(const struct stat_parts *p)
{
	struct errors_totals sum = {0};

	for (unsigned i = 0; p != NULL && i < p->n; i++) {
		const struct row *r = p->part[i];
		for (unsigned k = 0; r != NULL && k < FT_VANTAGE_CAP * ERRORS_SETS; k++) {
			sum.of[k / ERRORS_SETS][k % ERRORS_SETS].count +=
			    r->total.of[k / ERRORS_SETS][k % ERRORS_SETS].count;
			sum.of[k / ERRORS_SETS][k % ERRORS_SETS].left_out +=
			    r->total.of[k / ERRORS_SETS][k % ERRORS_SETS].left_out;
		}
	}
	return sum;
}

uint32_t errors_nx_cut(const struct ft_error_text *x, const uint8_t **name)
{
	uint32_t at = 0, cut = 0;

	if (errors_set_of(x->what) != 0 || x->soa_len == 0 || x->soa_len >= x->qname_len)
		return 0;
	while (at < (uint32_t)x->qname_len - x->soa_len) {
		cut = at;
		at += x->qname[at] + 1u;
	}
	if (at != (uint32_t)x->qname_len - x->soa_len)
		return 0;
	for (uint32_t i = 0; i < x->soa_len; i++) {
		const uint8_t a = x->qname[at + i], b = x->soa[i];
		if (a != b && ((a ^ b) != 32 || (a | 32) < 'a' || (a | 32) > 'z'))
			return 0;
	}
	*name = x->qname + cut;
	return x->qname_len - cut;
}

const struct merge_ops merge_errors = {
    .create = errors_create,
    .record = errors_record,
    .shard_of = errors_shard_of,
    .take = errors_take,
    .part_free = errors_part_free,
    .destroy = errors_destroy,
};

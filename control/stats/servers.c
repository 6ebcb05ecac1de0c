/* SPDX-License-Identifier: BSD-3-Clause */
#include "servers.h"

#include "rows.h"
#include "stat.h"
#include "tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* All octets count. */
struct key {
	uint8_t addr[16];
	uint8_t vantage, kind;
	uint16_t part;
	uint32_t minute;
};
static_assert(sizeof(struct key) == 24, "no padding");

struct acc {
	uint64_t max_us, c[FT_SERVER_PART];
};

struct servers_part {
	struct stat_row head;
	struct keyed_merge *merge;
	uint64_t left_out;
};

struct servers_merge {
	const struct stat_run *run;
	unsigned shards;
	struct stat_row *rows;
	size_t expected;
};

static void *merge_create(const struct stat_run *run, unsigned shards)
{
	struct servers_merge *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->run = run;
	m->shards = shards;
	return m;
}

static void part_free(void *part)
{
	struct servers_part *p = part;

	if (p == NULL)
		return;
	keyed_merge_destroy(p->merge);
	free(p);
}

static void merge_destroy(void *merge)
{
	struct servers_merge *m = merge;

	while (m != NULL && m->rows != NULL)
		part_free(rows_pop(&m->rows));
	free(m);
}

static void leave(void *ctx, const void *acc)
{
	struct servers_part *p = ctx;

	(void)acc;
	p->left_out++;
}

static struct servers_part *row_get(struct servers_merge *m, uint64_t number)
{
	struct stat_row **place = rows_place(&m->rows, number);
	const size_t keys = m->run->table_keys != 0 ? m->run->table_keys : TABLES_KEYS;

	if (*place != NULL && (*place)->number == number)
		return (struct servers_part *)*place;
	struct servers_part *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	const struct keyed_merge_settings s = {
	    .key_bytes = sizeof(struct key),
	    .acc_bytes = sizeof(struct acc),
	    .budget = (keys * SERVERS_PARTS_EACH + m->shards - 1) / m->shards,
	    .expected = m->expected,
	    .seed = m->run->sample_key,
	    .leave = leave,
	    .ctx = p,
	};
	p->merge = keyed_merge_create(&s);
	if (p->merge == NULL) {
		free(p);
		return NULL;
	}
	rows_put(place, &p->head, number);
	return p;
}

static int add_entry(struct servers_part *p, const struct ft_server_part *r)
{
	struct key key = {
	    .vantage = r->vantage, .kind = r->kind, .part = (uint16_t)r->part, .minute = r->minute};
	void *found;

	memcpy(key.addr, r->addr, sizeof(key.addr));
	const int result = keyed_merge_get(p->merge, &key, &found);
	if (result != 0) {
		p->left_out += result == 1;
		return result < 0 ? result : 0;
	}
	struct acc *a = found;
	if (r->max_us > a->max_us)
		a->max_us = r->max_us;
	for (unsigned i = 0; i < FT_SERVER_PART; i++)
		a->c[i] += r->c[i];
	return 0;
}

static int merge_record(void *merge, const struct stat_record *rec)
{
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	uint32_t left = ft_rec_records(rec->hdr);
	struct ft_server_part part;
	int result = 0;

	if (rec->hdr->type != FT_REC_SERVER_PART)
		return 0;
	struct servers_part *p = row_get(merge, rec->hdr->row);
	if (p == NULL)
		return -ENOMEM;
	for (; result == 0 && ft_entry_next(&r, &body); left--) {
		if (left == 0 || !ft_server_read_part(&body, &part))
			return -EBADMSG;
		result = add_entry(p, &part);
	}
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

/* By the server: all its parts go together. */
static int merge_shard_of(uint16_t type, const uint8_t **at, const uint8_t *end, unsigned n)
{
	struct ft_reader r = {.at = *at, .end = end}, body;
	uint8_t kind, vantage, addr[16];

	if (type != FT_REC_SERVER_PART)
		return -ENOTSUP;
	if (!ft_entry_next(&r, &body) || !ft_server_read_head(&body, &kind, &vantage, addr))
		return -EBADMSG;
	*at = r.at;
	return (int)((XXH3_64bits(addr, sizeof(addr)) >> 32) * n >> 32);
}

static void *merge_take(void *merge, uint64_t row)
{
	struct servers_merge *m = merge;

	if (!rows_is_first(m->rows, row))
		return NULL;
	struct servers_part *p = rows_pop(&m->rows);
	(void)keyed_merge_settle(p->merge); /* without memory: a few keys more */
	m->expected = keyed_merge_keys(p->merge);
	return p;
}

const struct merge_ops merge_servers = {
    .create = merge_create,
    .record = merge_record,
    .shard_of = merge_shard_of,
    .take = merge_take,
    .part_free = part_free,
    .destroy = merge_destroy,
};

static void each_of(const struct servers_part *p, servers_fn fn, void *ctx)
{
	const void *found;
	size_t at = 0;

	while ((found = keyed_merge_next(p->merge, &at)) != NULL) {
		const struct key *key = keyed_merge_key(p->merge, found);
		const struct acc *a = found;
		struct ft_server_part part = {.kind = key->kind,
					      .vantage = key->vantage,
					      .part = key->part,
					      .minute = key->minute,
					      .max_us = a->max_us};
		memcpy(part.addr, key->addr, sizeof(part.addr));
		memcpy(part.c, a->c, sizeof(part.c));
		fn(ctx, &part);
	}
}

void servers_each(const struct stat_parts *p, servers_fn fn, void *ctx)
{
	for (unsigned i = 0; p != NULL && i < p->n; i++)
		if (p->part[i] != NULL)
			each_of(p->part[i], fn, ctx);
}

uint64_t servers_left_out(const struct stat_parts *p)
{
	uint64_t sum = 0;

	for (unsigned i = 0; p != NULL && i < p->n; i++)
		if (p->part[i] != NULL)
			sum += ((const struct servers_part *)p->part[i])->left_out;
	return sum;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of keyed tables out of any octets: what is read can be written, and reads the
 * same again; what several of them add up to can be walked.
 *
 * Input: octet 0 chooses the table, the rest is a record's body, a copy of its own size. */
#include "stats/stat.h"
#include "parts.h"
#include "stats/tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_rec_tables.c:%d: %s\n", line, what);
	abort();
}

static void check_again(const struct ft_table_rec *r)
{
	uint8_t buf[FT_TABLE_ENTRY_CAP];
	struct ft_table_rec back;
	const uint8_t *at = buf, *end = buf + ft_table_write(r, buf);

	CHECK(end < buf + sizeof(buf));
	CHECK(ft_table_read(r->table, &at, end, &back) && at == end);
	CHECK(r->vantage == back.vantage && r->level == back.level && r->counts == back.counts);
	CHECK((r->text == NULL) == (back.text == NULL));
	CHECK(r->text == NULL ||
	      (r->text_bytes == back.text_bytes && memcmp(r->text, back.text, r->text_bytes) == 0));
	if (r->table != FT_TABLE_DOMAINS || r->by_id)
		CHECK(memcmp(r->id, back.id, sizeof(r->id)) == 0);
	if (!r->counts)
		return;
	CHECK(r->first_s == back.first_s && r->last_s == back.last_s);
	CHECK(memcmp(r->c, back.c, sizeof(r->c)) == 0);
	CHECK(r->level == 0 || memcmp(r->group, back.group, sizeof(r->group)) == 0);
	if (r->table == FT_TABLE_DOMAINS)
		CHECK(r->names.n == back.names.n &&
		      memcmp(&r->clients.u, &back.clients.u, sizeof(r->clients.u)) == 0);
}

static uint32_t check_entries(enum ft_table table, const uint8_t *at, const uint8_t *end)
{
	struct ft_table_rec r;
	uint32_t n = 0;

	while (at != end && ft_table_read(table, &at, end, &r)) {
		check_again(&r);
		n++;
	}
	return n;
}

static void walk(void *ctx, const struct table_sum *s)
{
	const struct stat_parts *p = ctx;
	const struct estimate e = tables_queries(s);
	struct table_sum again;

	CHECK(e.se >= 0);
	CHECK(s->first_s <= s->last_s && s->entries != 0);
	CHECK(tables_get(p, s->table, s->vantage, s->id, &again) && again.c == s->c);
	CHECK(tables_estimate(s, 0) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct stat_run run = {
	    .probe = "fuzz", .workers = 1, .interval_s = 60, .table_keys = 8};

	if (size < 2 || size > 32768)
		return 0;
	enum ft_table table = (enum ft_table)(input[0] % FT_TABLE_CAP);
	uint8_t *body = malloc(size - 1);
	void *merge = merge_tables.create(&run, 1);
	if (body == NULL || merge == NULL)
		abort();
	memcpy(body, input + 1, size - 1);
	const uint32_t n = check_entries(table, body, body + size - 1);
	const struct ft_rec_hdr h = {.type = (uint16_t)(FT_REC_DOMAIN + table),
				     .vantage = (uint8_t)n,
				     .which = (uint8_t)(n >> 8),
				     .row = 1};
	const struct stat_record rec = {.hdr = &h, .body = body, .bytes = size - 1};
	const int r = merge_tables.record(merge, &rec);
	CHECK(r == 0 || r == -EBADMSG);
	struct stat_parts p = parts_take(STAT_TABLES, merge, 1);
	CHECK(n == 0 || p.part[0] != NULL);
	CHECK(tables_walk(&p, table, walk, &p) == 0);
	parts_fini(STAT_TABLES, &p);
	merge_tables.destroy(merge);
	free(body);
	return 0;
}

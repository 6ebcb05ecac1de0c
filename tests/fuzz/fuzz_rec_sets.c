/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of the sets client, dga, server, cookie and resolver out of any octets, through
 * their statistics up to what these write.
 *
 * Input: octet 0 chooses the type, the rest is a record's body, a copy of its own size. */
#include "stats/stat.h"
#include "parts.h"
#include "stats/servers.h"
#include "stats/tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_rec_sets.c:%d: %s\n", line, what);
	abort();
}

static void write_nothing(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)set;
	(void)start_s;
	char *text = json_dumps(record, 0); /* as an export would */
	CHECK(text != NULL);
	free(text);
	json_decref(record);
}

/* One after another reads the record, then the interval closes. */
static void through_stats(const struct stat_run *run, const struct stat_record *rec)
{
	static const struct stat_ops *const all[] = {&stat_server, &stat_cookie, &stat_resolver,
						     &stat_dga,    &stat_search, &stat_client};
	void *tables = merge_tables.create(run, 1), *servers = merge_servers.create(run, 1);

	CHECK(tables != NULL && servers != NULL);
	int r = merge_tables.record(tables, rec);
	CHECK(r == 0 || r == -EBADMSG);
	r = merge_servers.record(servers, rec);
	CHECK(r == 0 || r == -EBADMSG);
	struct stat_parts t = parts_take(STAT_TABLES, tables, rec->hdr->row),
			  s = parts_take(STAT_SERVERS, servers, rec->hdr->row);
	struct stat_interval in = {.row = rec->hdr->row,
				   .start_s = rec->hdr->row * run->interval_s,
				   .end_s = (rec->hdr->row + 1) * run->interval_s,
				   .tables = t.part[0] != NULL ? &t : NULL,
				   .servers = s.part[0] != NULL ? &s : NULL};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		void *stat = all[i]->create(run);
		CHECK(stat != NULL);
		r = all[i]->record != NULL ? all[i]->record(stat, rec) : 0;
		CHECK(r == 0 || r == -EBADMSG);
		all[i]->close(stat, &in);
		if (all[i]->end != NULL)
			all[i]->end(stat);
		all[i]->destroy(stat);
	}
	parts_fini(STAT_TABLES, &t);
	parts_fini(STAT_SERVERS, &s);
	merge_servers.destroy(servers);
	merge_tables.destroy(tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const uint16_t types[] = {FT_REC_DGA_NAME, FT_REC_SERVER_PART, FT_REC_ASKED,
					 FT_REC_COOKIE,   FT_REC_RESOLVER,    FT_REC_REVERSE,
					 FT_REC_CLIENT};
	const struct stat_run run = {.probe = "fuzz",
				     .workers = 1,
				     .interval_s = 60,
				     .table_keys = 8,
				     .top_clients = 2,
				     .write = write_nothing};

	if (size < 2 || size > 32768)
		return 0;
	uint8_t *body = malloc(size - 1);
	CHECK(body != NULL);
	memcpy(body, input + 1, size - 1);
	uint32_t n = 0;
	struct ft_reader r = ft_reader_init(body, size - 1), one;
	while (ft_entry_next(&r, &one))
		n++;
	const struct ft_rec_hdr h = {.type = types[input[0] % (sizeof types / sizeof *types)],
				     .vantage = (uint8_t)n,
				     .which = (uint8_t)(n >> 8),
				     .row = 29454000};
	through_stats(&run, &(struct stat_record){.hdr = &h, .body = body, .bytes = size - 1});
	free(body);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots into all statistics: any octets are refused or give a state that closes an
 * interval, is saved again and ends.
 *
 * Input: behind an octet of 0 a file; else behind any octet the sections that its frame
 * would hold. */
#include "small_psl.h"
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define STATS 32u
#define ROW 29453760u /* some minute of 2026 */

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_snapshot.c:%d: %s\n", line, what);
	abort();
}

static void write_record(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)set;
	(void)start_s;
	char *text = json_dumps(record, JSON_COMPACT);
	CHECK(text != NULL);
	free(text);
	json_decref(record);
}

static uint64_t no_loss(void *ctx, unsigned worker)
{
	(void)ctx;
	(void)worker;
	return 0;
}

struct input {
	const uint8_t *at, *end;
};

static int get(void *ctx, void *data, size_t len)
{
	struct input *in = ctx;

	if ((size_t)(in->end - in->at) < len)
		return -EBADMSG;
	memcpy(data, in->at, len);
	in->at += len;
	return 0;
}

static int count(void *ctx, const void *data, size_t len)
{
	(void)data;
	*(size_t *)ctx += len;
	return 0;
}

/* True: something was taken. */
static bool load(const struct snapshot_stats *s, const uint8_t *data, size_t len)
{
	struct input in = {data + 1, data + len};
	struct snapshot shot;
	char refused[128];
	int result;

	if (data[0] != 0)
		result = snapshot_read_sections(get, &in, s, refused, sizeof(refused));
	else if (snapshot_open_octets(&shot, data + 1, len - 1) == 0)
		result = snapshot_load(&shot, s, refused, sizeof(refused));
	else
		return false;
	CHECK(result <= 0);
	CHECK(result != 0 || refused[0] == '\0');
	return result == 0;
}

/* An interval closes, all is saved, the input ends. */
static void use(void *const *stat)
{
	struct stat_interval in = {.row = ROW, .start_s = ROW * 60ull, .end_s = ROW * 60ull + 60};
	size_t n = 0;

	for (unsigned i = 0; stat_all[i] != NULL; i++)
		stat_all[i]->close(stat[i], &in);
	for (unsigned i = 0; stat_all[i] != NULL; i++)
		if (stat_all[i]->save != NULL)
			CHECK(stat_all[i]->save(stat[i], count, &n) == 0);
	CHECK(n > 100);
	for (unsigned i = 0; stat_all[i] != NULL; i++)
		if (stat_all[i]->end != NULL)
			stat_all[i]->end(stat[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct stat_run run = {.probe = "fuzz",
				     .workers = 1,
				     .interval_s = 60,
				     .psl = small_psl(),
				     .table_keys = 64,
				     .rrset_keys = 1024,
				     .flux_mb = 4,
				     .sinkhole_domains = 16,
				     .sinkhole_history = 16,
				     .source_dropped = no_loss,
				     .write = write_record};
	void *stat[STATS] = {0};
	const struct snapshot_stats s = {stat_all, stat};
	uint8_t *copy = malloc(len != 0 ? len : 1); /* of this size */
	static uint64_t runs;
	bool loaded = false;

	CHECK(copy != NULL);
	if (len != 0)
		memcpy(copy, data, len);
	for (unsigned i = 0; stat_all[i] != NULL; i++)
		CHECK((stat[i] = stat_all[i]->create(&run)) != NULL);
	if (len != 0)
		loaded = load(&s, copy, len);
	/* To close and save empty tables takes longer than all else. */
	if (loaded || runs++ % 32 == 0)
		use(stat);
	for (unsigned i = 0; stat_all[i] != NULL; i++)
		stat_all[i]->destroy(stat[i]);
	free(copy);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of rules, floods and taps as control reads them: 0 or -EBADMSG and nothing worse,
 * and what was taken can be written, which takes longer than all else: the first inputs (all
 * seeds, and whatever is run again) are written, then 32 together.
 *
 * Input: pieces, each of a type (octet), a row (octet) and a length (two octets) and so
 * many octets of a record's body. */
#include "stats/stat.h"

#include "few.h"

#include <fluxtap/rec_flood.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define ROWS 3u
#define STATS 3u
#define ALL_WRITTEN 512u

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_entries.c:%d: %s\n", line, what);
	abort();
}

static void write_record(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)start_s;
	CHECK(strcmp(set, "match") == 0 || strcmp(set, "tap") == 0);
	CHECK(json_object_size(record) > 8);
	char *text = json_dumps(record, JSON_COMPACT);
	CHECK(text != NULL);
	free(text);
	json_decref(record);
}

static void give(const struct stat_ops *ops, void *stat, const uint8_t *data, size_t n,
		 uint8_t type, uint64_t row)
{
	static const enum ft_rec_type types[] = {FT_REC_MATCH, FT_REC_MATCH_TEXT, FT_REC_FLOOD,
						 FT_REC_TAP};
	const struct ft_rec_hdr h = {.type = (uint16_t)types[type % 4], .row = row};
	uint8_t *copy = malloc(n != 0 ? n : 1); /* of this size, for the sanitizer */
	const struct stat_record rec = {.hdr = &h, .body = copy, .bytes = n};

	CHECK(copy != NULL);
	memcpy(copy, data, n);
	const int result = ops->record(stat, &rec);
	CHECK(result == 0 || result == -EBADMSG);
	free(copy);
}

static void write_all(const struct stat_ops *const *ops, void **stat)
{
	for (uint64_t row = 0; row < ROWS; row++) {
		struct stat_interval in = {.row = row, .start_s = row * 60, .end_s = row * 60 + 60};
		for (unsigned i = 0; i < STATS; i++)
			ops[i]->close(stat[i], &in);
	}
	for (unsigned i = 0; i < STATS; i++) {
		ops[i]->destroy(stat[i]);
		stat[i] = NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const struct stat_ops *const ops[STATS] = {&stat_match, &stat_flood, &stat_tap};
	static const struct stat_run run = {
	    .probe = "fuzz", .workers = 1, .interval_s = 60, .write = write_record};
	static void *stat[STATS];
	static uint64_t runs;

	for (unsigned i = 0; i < STATS; i++)
		if (stat[i] == NULL)
			CHECK((stat[i] = ops[i]->create(&run)) != NULL);
	while (size >= 4) {
		size_t n = input[2] | (size_t)input[3] << 8;
		n = n < size - 4 ? n : size - 4;
		for (unsigned i = 0; i < STATS; i++)
			give(ops[i], stat[i], input + 4, n, input[0], input[1] % ROWS);
		input += 4 + n;
		size -= 4 + n;
	}
	if (runs++ < ALL_WRITTEN || runs % 32 == 0)
		write_all(ops, stat);
	return 0;
}

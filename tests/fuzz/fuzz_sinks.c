/* SPDX-License-Identifier: BSD-3-Clause */
/* The statistic of sinkholes over any record bodies, and over any snapshot: taken or
 * refused and nothing worse; what was taken can be written, and saved again.
 *
 * Input: octets of a snapshot behind an octet of 1; else behind another octet bodies, each
 * behind two octets: its length and its row. */
#include "stats/sinkhole.h"
#include "stats/stat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define ROW 29453760u /* some minute of 2026 */

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_sinks.c:%d: %s\n", line, what);
	abort();
}

static void write_record(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)start_s;
	CHECK(strcmp(set, "sinkhole") == 0);
	CHECK(json_object_size(record) > 20);
	char *text = json_dumps(record, JSON_COMPACT);
	CHECK(text != NULL);
	free(text);
	json_decref(record);
}

static void give(void *stat, const uint8_t *data, size_t n, uint64_t row)
{
	const struct ft_rec_hdr h = {.type = FT_REC_SINK, .row = row};
	uint8_t *copy = malloc(n + 1); /* of this size, for the sanitizer */
	const struct stat_record rec = {.hdr = &h, .body = copy + 1, .bytes = n};

	CHECK(copy != NULL);
	memcpy(copy + 1, data, n);
	const int result = stat_sinkhole.record(stat, &rec);
	CHECK(result == 0 || result == -EBADMSG);
	free(copy);
}

static void give_bodies(void *stat, const uint8_t *input, size_t size)
{
	while (size >= 3) {
		const size_t n = input[0] < size - 2 ? input[0] : size - 2;
		give(stat, input + 2, n, ROW + (input[1] & 3));
		input += 2 + n;
		size -= 2 + n;
	}
}

static void load(void *stat, const uint8_t *input, size_t size)
{
	uint8_t *again;
	size_t bytes;
	const int result = sinkhole_load(stat, input, size);

	CHECK(result == 0 || result == -EBADMSG || result == -EINVAL);
	CHECK(sinkhole_save(stat, &again, &bytes) == 0);
	CHECK(result != 0 || bytes <= size + 64);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct stat_run run = {.probe = "fuzz",
				     .workers = 1,
				     .interval_s = 60,
				     .sinkhole_domains = 16,
				     .sinkhole_history = 16,
				     .write = write_record};
	void *stat = stat_sinkhole.create(&run);

	CHECK(stat != NULL);
	if (size > 0 && input[0] == 1)
		load(stat, input + 1, size - 1);
	else if (size > 0)
		give_bodies(stat, input + 1, size - 1);
	for (uint64_t row = ROW; row < ROW + 4; row++) {
		struct stat_interval in = {.row = row, .start_s = row * 60, .end_s = row * 60 + 60};
		stat_sinkhole.close(stat, &in);
	}
	CHECK(stat_sinkhole.first_row(stat) == UINT64_MAX);
	stat_sinkhole.destroy(stat);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The statistics of RRsets and errors over any record bodies: taken or refused, and
 * nothing worse; what was taken can be handed out and written.
 *
 * Input: bodies, each behind two octets: its length, and its type and row. */
#include "txn_rig.h"

#include "stats/errors.h"
#include "stats/rrsets.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_records.c:%d: %s\n", line, what);
	abort();
}

static void check_written(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)start_s;
	CHECK(strcmp(set, json_string_value(json_object_get(record, "set"))) == 0);
	CHECK(json_object_size(record) >= 8);
	json_decref(record);
}

static uint64_t sum;

static void look_at(void *ctx, const struct ft_rrset *x)
{
	struct ft_rrset_text t;

	sum += x->seconds + x->ttl_max;
	if (rrsets_text_get(ctx, x->owner_key, x->set_key, x->what, &t))
		for (uint32_t i = 0; i < t.rdata_bytes; i++)
			sum += t.rdata[i];
}

static void give(void *rrsets, void *errors, const uint8_t *data, uint32_t len, unsigned how)
{
	static const uint16_t types[] = {FT_REC_RRSET, FT_REC_RRSET_TEXT, FT_REC_ERROR,
					 FT_REC_ERROR_TEXT};
	const struct ft_rec_hdr h = {.type = types[how & 3], .row = how >> 2 & 3};
	uint8_t *copy = txn_rig_need(malloc(len + 1));
	const struct stat_record x = {.hdr = &h, .body = copy + 1, .bytes = len};

	memcpy(copy + 1, data, len);
	int result = merge_rrsets.record(rrsets, &x);
	CHECK(result == 0 || result == -EBADMSG);
	result = merge_errors.record(errors, &x);
	CHECK(result == 0 || result == -EBADMSG);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct stat_run run = {.probe = "fuzz", .interval_s = 60, .write = check_written};
	void *rrsets = txn_rig_need(merge_rrsets.create(&run, 1));
	void *errors = txn_rig_need(merge_errors.create(&run, 1));
	struct stat_interval in = {.end_s = 60};

	if (size > 0 && (input[0] & 1) != 0) {
		rrsets_set_budget(rrsets, 4, 100);
		errors_set_budget(errors, 4, 100);
	}
	while (size >= 3) {
		const uint32_t len = input[0] < size - 2 ? input[0] : (uint32_t)size - 2;
		give(rrsets, errors, input + 2, len, input[1]);
		input += 2 + len;
		size -= 2 + len;
	}
	void *channels = txn_rig_need(stat_channels.create(&run));
	for (in.row = 0; in.row < 4; in.row++) {
		struct stat_parts r = parts_take(STAT_RRSETS, rrsets, in.row);
		struct stat_parts e = parts_take(STAT_ERRORS, errors, in.row);
		rrsets_each(&r, RRSETS_KINDS, look_at, &r);
		in.errors = &e;
		stat_channels.close(channels, &in);
		in.start_s += 60, in.end_s += 60;
		parts_fini(STAT_RRSETS, &r);
		parts_fini(STAT_ERRORS, &e);
	}
	stat_channels.destroy(channels);
	merge_rrsets.destroy(rrsets);
	merge_errors.destroy(errors);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `ttl`: records of its two types and states of a day, out of any octets, through the
 * statistics up to what these write.
 *
 * Input: octet 0: what follows. Bit 0: a record's type, its body being a copy of its own size;
 * bit 1: the state of `ttl` instead; bit 2: the input is read again, in the day after; bit 3:
 * what is held then is saved and loaded. Bit 4: the state of a single line alone, and answers
 * of four octets, which is far faster. */
#include <fluxtap/rec_ttl.h>

#include "stats/stat.h"
#include "stats/ttl_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define ROW 29454000ull /* some minute of 2026, 20 h into its day */
#define ROWS_OF_DAY 1440u

struct octets {
	uint8_t *v;
	size_t n, room, at;
};

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_ttl.c:%d: %s\n", line, what);
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

static int put(void *ctx, const void *data, size_t len)
{
	struct octets *o = ctx;

	if (o->n + len > o->room) {
		o->room = 2 * (o->n + len);
		o->v = realloc(o->v, o->room);
		CHECK(o->v != NULL);
	}
	memcpy(o->v + o->n, data, len);
	o->n += len;
	return 0;
}

static int get(void *ctx, void *data, size_t len)
{
	struct octets *o = ctx;

	if (o->n - o->at < len)
		return -EBADMSG;
	memcpy(data, o->v + o->at, len);
	o->at += len;
	return 0;
}

static void add(const struct stat_ops *ops, void *stat, uint16_t type, uint64_t row,
		const uint8_t *body, size_t bytes)
{
	struct ft_reader r = ft_reader_init(body, bytes), one;
	uint32_t n = 0;

	while (ft_entry_next(&r, &one))
		n++;
	const struct ft_rec_hdr h = {
	    .type = type, .vantage = (uint8_t)n, .which = (uint8_t)(n >> 8), .row = row};
	const int result =
	    ops->record(stat, &(struct stat_record){.hdr = &h, .body = body, .bytes = bytes});
	CHECK(result == 0 || result == -EBADMSG);
}

static void close_row(const struct stat_ops *ops, void *stat, uint64_t row)
{
	struct stat_interval in = {.row = row, .start_s = row * 60, .end_s = (row + 1) * 60};

	ops->close(stat, &in);
}

/* What it is now goes into another one, which says the same of itself. */
static void save_and_load(const struct stat_run *run, void *stat)
{
	struct octets first = {0}, second = {0};
	void *other = stat_ttl.create(run);

	CHECK(other != NULL);
	CHECK(stat_ttl.save(stat, put, &first) == 0);
	const int result = stat_ttl.load(other, get, &first);
	CHECK(result == 0 && first.at == first.n);
	CHECK(stat_ttl.save(other, put, &second) == 0);
	CHECK(second.n == first.n);
	stat_ttl.end(other);
	stat_ttl.destroy(other);
	free(first.v);
	free(second.v);
}

/* A line's state, then answers: milliseconds since the last one, and a TTL. */
static void one_line(uint8_t *body, size_t bytes)
{
	struct octets o = {.v = body, .n = bytes}, saved = {0};
	struct ttl_lines l = {0}, other = {0};
	struct ttl_report r;
	uint16_t answer[2] = {0};

	if (ttl_lines_load(&l, get, &o) != 0) {
		ttl_lines_fini(&l);
		l = (struct ttl_lines){0};
		o.at = 0;
	}
	uint64_t t_us = l.last_us < UINT64_MAX / 4 ? l.last_us : ROW * 60 * 1000000;
	while (get(&o, answer, sizeof(answer)) == 0) {
		t_us += answer[0] * 1000ull;
		CHECK(ttl_lines_add(&l, t_us, answer[1]) == 0);
		CHECK(l.n <= TTL_CLUSTERS && l.made.n <= TTL_CLUSTERS && l.seen.n <= TTL_CLUSTERS);
	}
	CHECK(ttl_lines_save(&l, put, &saved) == 0);
	CHECK(ttl_lines_load(&other, get, &saved) == 0);
	ttl_lines_report(&other, t_us + 1, answer[0], &r);
	CHECK(ttl_lines_next_day(&l, t_us + 1) == 0);
	CHECK(ttl_lines_end(&l) == 0 && l.n == 0);
	ttl_lines_report(&l, t_us + 2, 0, &r);
	ttl_lines_fini(&other);
	ttl_lines_fini(&l);
	free(saved.v);
}

static void whole(unsigned how, uint8_t *body, size_t bytes)
{
	static const struct stat_ops *const both[] = {&stat_ttl, &stat_snoop};
	const struct stat_run run = {
	    .probe = "fuzz", .workers = 1, .interval_s = 60, .write = write_nothing};

	const struct stat_ops *ops = (how & 2) != 0 ? &stat_ttl : both[how & 1];
	void *stat = ops->create(&run);
	CHECK(stat != NULL);
	if ((how & 2) != 0) {
		struct octets o = {.v = body, .n = bytes};
		(void)stat_ttl.load(stat, get, &o);
	} else {
		add(ops, stat, ops == &stat_ttl ? FT_REC_TTL : FT_REC_SNOOP, ROW, body, bytes);
	}
	close_row(ops, stat, ROW);
	if (ops == &stat_ttl && (how & 8) != 0)
		save_and_load(&run, stat);
	if ((how & 4) != 0) {
		if ((how & 2) == 0)
			add(ops, stat, ops == &stat_ttl ? FT_REC_TTL : FT_REC_SNOOP,
			    ROW + ROWS_OF_DAY, body, bytes);
		close_row(ops, stat, ROW + ROWS_OF_DAY);
	}
	ops->end(stat);
	ops->destroy(stat);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size < 2 || size > 32768)
		return 0;
	uint8_t *body = malloc(size - 1); /* of this size */
	CHECK(body != NULL);
	memcpy(body, input + 1, size - 1);
	if ((input[0] & 16) != 0)
		one_line(body, size - 1);
	else
		whole(input[0], body, size - 1);
	free(body);
	return 0;
}

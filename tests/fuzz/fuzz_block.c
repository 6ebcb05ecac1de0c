/* SPDX-License-Identifier: BSD-3-Clause */
/* drain_block over any octets: 0 or -EBADMSG and nothing worse, and what it took
 * can be written.
 *
 * Input: octet 0 says how the rest is to be read. 0: a block as it is. Else the
 * content of a block, to be compressed behind a sound header: bit 1: several
 * workers, bit 2: several blocks, each of a length that stands before it. The
 * numbers of rows are brought near to one another, so that records meet. Writing costs
 * as much as thirty inputs: the first ones (all seeds, and whatever is run again) are
 * written, then one in thirty-two. */
#include "leaks.h"
#include "small_psl.h"

#define RIG_PSL small_psl()
#include "rig.h"

#include <errno.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define ROWS 2u
#define INTERVAL_S 5u
#define ALL_WRITTEN 512u
#define BLOCKS_CAP 64u

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_block.c:%d: %s\n", line, what);
	abort();
}

static void give(struct rig *r, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size != 0 ? size : 1); /* of this size, for the sanitizer */

	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	const int result = drain_block(r->drain, copy, size);
	CHECK(result == 0 || result == -EBADMSG);
	free(copy);
}

/* Rows of records: small numbers, or the greatest. A table a row takes memory, and
 * how many a sound worker can have open is not this target's question. */
static void tame_rows(uint8_t *raw, size_t size)
{
	struct ft_rec_hdr h;

	for (size_t at = 0; at + sizeof(h) <= size; at += h.bytes) {
		memcpy(&h, raw + at, sizeof(h));
		if (h.bytes < sizeof(h))
			return;
		h.row = h.row % (ROWS + 1) == ROWS ? UINT64_MAX - (h.row >> 8 & 1) : h.row % ROWS;
		memcpy(raw + at, &h, sizeof(h));
	}
}

static void give_content(struct rig *r, const uint8_t *data, size_t size, uint16_t worker)
{
	static uint8_t block[sizeof(struct ft_block_hdr) + ZSTD_COMPRESSBOUND(FT_BLOCK_RAW_CAP)];
	static uint8_t raw[FT_BLOCK_RAW_CAP];
	static ZSTD_CCtx *zstd;

	if (zstd == NULL)
		zstd = ZSTD_createCCtx();
	if (size > sizeof(raw))
		size = sizeof(raw);
	memcpy(raw, data, size);
	tame_rows(raw, size);
	const struct ft_block_hdr h = {
	    .magic = FT_BLOCK_MAGIC,
	    .version = FT_BLOCK_VERSION,
	    .worker = worker,
	    .row = size != 0 ? data[0] % ROWS : 0,
	    .raw_bytes = (uint32_t)size,
	};
	memcpy(block, &h, sizeof(h));
	const size_t n =
	    ZSTD_compressCCtx(zstd, block + sizeof(h), sizeof(block) - sizeof(h), raw, size, 1);
	CHECK(!ZSTD_isError(n));
	give(r, block, sizeof(h) + n);
}

static void give_all(struct rig *r, uint8_t how, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < BLOCKS_CAP && size >= 2; i++) {
		size_t n = size - 2;
		if (how & 4 && n > (data[0] | (size_t)data[1] << 8))
			n = data[0] | (size_t)data[1] << 8;
		give_content(r, data + 2, n, (uint16_t)(how & 2 ? i % (RIG_WORKERS + 1) : 0));
		data += 2 + n;
		size -= 2 + n;
	}
}

static void write_all(struct rig *r)
{
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		atomic_store(&segment_worker(&r->segment, i)->ended, 1);
	(void)drain_step(r->drain);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct rig rig;
	static uint64_t runs;

	if (size < 1)
		return 0;
	if (rig.drain == NULL) {
		leaks_off(); /* it stays */
		rig_init(&rig, RIG_WORKERS, INTERVAL_S, 4096, false);
		leaks_on();
	}
	if (input[0] == 0)
		give(&rig, input + 1, size - 1);
	else
		give_all(&rig, input[0], input + 1, size - 1);
	/* What later inputs bring adds up with it, until all is written and begins anew. */
	if (runs++ >= ALL_WRITTEN && runs % 32 != 0)
		return 0;
	write_all(&rig);
	for (size_t i = 0; i < rig.n; i++)
		CHECK(json_object_size(rig.record[i].json) >= 8);
	rig_fini(&rig);
	rig.drain = NULL;
	return 0;
}

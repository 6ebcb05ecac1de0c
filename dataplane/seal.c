/* SPDX-License-Identifier: BSD-3-Clause */
#include "seal.h"

#include "mem.h"
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#define LEVEL -60 /* keyed hashes do not compress: what counts is to find that out soon */

struct seal {
	struct ft_ring *ring;
	ZSTD_CCtx *zstd;
	uint8_t *raw; /* FT_BLOCK_RAW_CAP */
	uint32_t used, records;
	/* The last record, while entries may join it: its header is written when it is whole. */
	uint32_t entries, entries_at;
	enum ft_rec_type entries_type;
	uint64_t entries_row;
	uint16_t worker;
	bool wait;
	const _Atomic int *abandon;
	size_t bound; /* of a compressed block */
};

struct seal *seal_create(struct ft_ring *ring, unsigned worker, bool wait,
			 const _Atomic int *abandon)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->ring = ring;
	s->worker = (uint16_t)worker;
	s->wait = wait;
	s->abandon = abandon;
	s->bound = ZSTD_compressBound(FT_BLOCK_RAW_CAP);
	s->raw = mem_map(FT_BLOCK_RAW_CAP);
	s->zstd = ZSTD_createCCtx();
	uint8_t *scratch = malloc(s->bound);
	if (s->raw == NULL || s->zstd == NULL || scratch == NULL)
		goto fail;
	/* One block of full size makes zstd take all the memory it will need. */
	if (ZSTD_isError(
		ZSTD_compressCCtx(s->zstd, scratch, s->bound, s->raw, FT_BLOCK_RAW_CAP, LEVEL)))
		goto fail;
	free(scratch);
	return s;
fail:
	free(scratch);
	seal_destroy(s);
	errno = ENOMEM;
	return NULL;
}

void seal_destroy(struct seal *s)
{
	if (s == NULL)
		return;
	ZSTD_freeCCtx(s->zstd);
	mem_unmap(s->raw, FT_BLOCK_RAW_CAP);
	free(s);
}

bool seal_has_room(const struct seal *s, size_t body_bytes)
{
	const uint32_t used = (s->used + SEAL_PAD_CAP) & ~SEAL_PAD_CAP;

	return used + sizeof(struct ft_rec_hdr) + body_bytes <= FT_BLOCK_RAW_CAP;
}

bool seal_is_empty(const struct seal *s)
{
	return s->records == 0;
}

/* No entry joins the last record any more. */
static void close_entries(struct seal *s)
{
	if (s->entries == 0)
		return;
	const uint32_t pad = -s->used & SEAL_PAD_CAP;
	const struct ft_rec_hdr h = {
	    .type = (uint16_t)s->entries_type,
	    .bytes = (uint16_t)(s->used + pad - s->entries_at),
	    .vantage = (uint8_t)s->entries,
	    .which = (uint8_t)(s->entries >> 8),
	    .pad = (uint8_t)pad,
	    .row = s->entries_row,
	};
	memcpy(s->raw + s->entries_at, &h, sizeof(h));
	memset(s->raw + s->used, 0, pad);
	s->used += pad;
	s->entries = 0;
}

void seal_put(struct seal *s, const struct ft_rec_hdr *hdr, const void *body, size_t body_bytes)
{
	struct ft_rec_hdr h = *hdr;

	assert(seal_has_room(s, body_bytes));
	close_entries(s);
	h.bytes = (uint16_t)(sizeof(h) + body_bytes);
	memcpy(s->raw + s->used, &h, sizeof(h));
	memcpy(s->raw + s->used + sizeof(h), body, body_bytes);
	s->used += h.bytes;
	s->records++;
}

uint8_t *seal_entry_begin(struct seal *s, enum ft_rec_type type, uint64_t row)
{
	if (s->entries == 0 || s->entries_type != type || s->entries_row != row) {
		close_entries(s);
		s->entries_at = s->used;
		s->entries_type = type;
		s->entries_row = row;
		s->used += (uint32_t)sizeof(struct ft_rec_hdr);
	}
	return s->raw + s->used;
}

void seal_entry_end(struct seal *s, const uint8_t *end)
{
	s->used = (uint32_t)(end - s->raw);
	s->entries++;
	s->records++;
	assert(s->used + SEAL_PAD_CAP <= FT_BLOCK_RAW_CAP);
}

/* Room in the ring; in a file run a full ring makes the source wait. */
static uint8_t *reserve(struct seal *s, bool is_ledger)
{
	const uint32_t bytes = (uint32_t)(sizeof(struct ft_block_hdr) + s->bound);
	const uint64_t keep = is_ledger ? 0 : SEAL_LEDGER_RESERVE;
	const struct timespec pause = {.tv_nsec = 50000};

	for (;;) {
		uint8_t *p = ring_reserve(s->ring, bytes, keep);
		if (p != NULL || !s->wait || atomic_load_explicit(s->abandon, memory_order_relaxed))
			return p;
		nanosleep(&pause, NULL);
	}
}

bool seal_push(struct seal *s, uint64_t row, bool is_ledger, struct ft_ledger *ledger)
{
	if (s->records == 0)
		return true;
	close_entries(s);
	uint8_t *p = reserve(s, is_ledger);
	if (p == NULL && is_ledger) {
		s->used = s->records = 0;
		return false;
	}
	if (!is_ledger) {
		ledger->c[FT_CTR_RECORDS] += s->records;
		ledger->c[FT_CTR_BLOCKS]++;
		ledger->c[FT_CTR_BLOCK_BYTES_RAW] += s->used;
	}
	if (p != NULL) {
		const struct ft_block_hdr h = {
		    .magic = FT_BLOCK_MAGIC,
		    .version = FT_BLOCK_VERSION,
		    .worker = s->worker,
		    .row = row,
		    .records = is_ledger ? 0 : s->records,
		    .raw_bytes = s->used,
		};
		memcpy(p, &h, sizeof(h));
		/* Cannot fail: the bound is reserved and the context has its memory. */
		const size_t n =
		    ZSTD_compressCCtx(s->zstd, p + sizeof(h), s->bound, s->raw, s->used, LEVEL);
		assert(!ZSTD_isError(n));
		ring_commit(s->ring, (uint32_t)(sizeof(h) + n));
		if (!is_ledger)
			ledger->c[FT_CTR_BLOCK_BYTES] += sizeof(h) + n;
	} else {
		ledger->c[FT_CTR_RING_FULL_RECORDS] += s->records;
	}
	s->used = s->records = 0;
	return true;
}

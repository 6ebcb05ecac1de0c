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
	/* The last record, where entries may join it. */
	bool last_entries;
	uint16_t last_type;
	uint32_t last;
	uint64_t last_row;
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
	return s->used + sizeof(struct ft_rec_hdr) + body_bytes <= FT_BLOCK_RAW_CAP;
}

bool seal_is_empty(const struct seal *s)
{
	return s->records == 0;
}

void seal_put(struct seal *s, const struct ft_rec_hdr *hdr, const void *body, size_t body_bytes)
{
	struct ft_rec_hdr h = *hdr;

	assert(seal_has_room(s, body_bytes));
	h.bytes = (uint16_t)(sizeof(h) + body_bytes);
	memcpy(s->raw + s->used, &h, sizeof(h));
	memcpy(s->raw + s->used + sizeof(h), body, body_bytes);
	s->used += h.bytes;
	s->records++;
	s->last_entries = false;
}

void seal_put_entry(struct seal *s, const struct ft_rec_hdr *hdr, const void *entry, size_t bytes)
{
	struct ft_rec_hdr h;
	const bool same = s->records != 0 && s->last_entries && s->last_type == hdr->type &&
			  s->last_row == hdr->row;

	assert(seal_has_room(s, bytes + 7));
	if (!same) {
		h = *hdr;
		h.bytes = sizeof(h);
		h.pad = h.vantage = h.which = 0;
		s->last = s->used;
		s->used += sizeof(h);
		s->last_entries = true;
		s->last_type = hdr->type;
		s->last_row = hdr->row;
	} else {
		memcpy(&h, s->raw + s->last, sizeof(h));
		s->used -= h.pad;
	}
	memcpy(s->raw + s->used, entry, bytes);
	s->used += (uint32_t)bytes;
	h.pad = (uint8_t)(-s->used & 7u);
	memset(s->raw + s->used, 0, h.pad);
	s->used += h.pad;
	h.bytes = (uint16_t)(s->used - s->last);
	const uint32_t n = ft_rec_records(&h) + 1;
	h.vantage = (uint8_t)n;
	h.which = (uint8_t)(n >> 8);
	memcpy(s->raw + s->last, &h, sizeof(h));
	s->records++;
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

/* SPDX-License-Identifier: BSD-3-Clause */
#include "drain.h"

#include "../dataplane/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define STATS_CAP 32u
#define SILENT_ROWS_CAP 3600u /* more in a row is a step of the clock and no silence */

struct drain {
	struct drain_opts set;
	void *stat[STATS_CAP];
	ZSTD_DCtx *zstd;
	uint8_t *raw;      /* FT_BLOCK_RAW_CAP, aligned */
	uint64_t next_row; /* live: the row after the one closed last; 0: none yet */
	uint64_t bad_blocks;
	bool begun; /* an interval has closed */
	bool ended; /* statistics know */
};

struct drain *drain_create(const struct drain_opts *o)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->set = *o;
	d->zstd = ZSTD_createDCtx();
	d->raw = aligned_alloc(64, FT_BLOCK_RAW_CAP);
	if (d->zstd == NULL || d->raw == NULL)
		goto undo;
	for (unsigned i = 0; stat_all[i] != NULL; i++) {
		d->stat[i] = stat_all[i]->create(o->run);
		if (d->stat[i] == NULL)
			goto undo;
	}
	return d;
undo:
	drain_destroy(d);
	errno = ENOMEM;
	return NULL;
}

void drain_destroy(struct drain *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; stat_all[i] != NULL; i++)
		stat_all[i]->destroy(d->stat[i]);
	ZSTD_freeDCtx(d->zstd);
	free(d->raw);
	free(d);
}

const void *drain_stat(const struct drain *d, unsigned index)
{
	return d->stat[index];
}

void *const *drain_stats(const struct drain *d)
{
	return d->stat;
}

uint64_t drain_bad_blocks(const struct drain *d)
{
	return d->bad_blocks;
}

static int read_records(struct drain *d, const struct ft_block_hdr *block, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		const struct ft_rec_hdr *h = (const struct ft_rec_hdr *)(d->raw + at);
		if (bytes - at < sizeof(*h) || h->bytes < sizeof(*h) || h->bytes > bytes - at ||
		    h->bytes % 8 != 0 || h->pad > 7 || sizeof(*h) + h->pad > h->bytes)
			return -EBADMSG;
		const struct stat_record rec = {
		    .block = block,
		    .hdr = h,
		    .body = h + 1,
		    .bytes = h->bytes - sizeof(*h) - h->pad,
		};
		for (unsigned i = 0; stat_all[i] != NULL; i++) {
			const int r =
			    stat_all[i]->record != NULL ? stat_all[i]->record(d->stat[i], &rec) : 0;
			if (r != 0)
				return r;
		}
		at += h->bytes;
	}
	return 0;
}

int drain_block(struct drain *d, const uint8_t *data, size_t bytes)
{
	struct ft_block_hdr h;

	if (bytes < sizeof(h))
		return -EBADMSG;
	memcpy(&h, data, sizeof(h));
	if (h.magic != FT_BLOCK_MAGIC || h.version != FT_BLOCK_VERSION ||
	    h.raw_bytes > FT_BLOCK_RAW_CAP)
		return -EBADMSG;
	const size_t n = ZSTD_decompressDCtx(d->zstd, d->raw, FT_BLOCK_RAW_CAP, data + sizeof(h),
					     bytes - sizeof(h));
	if (ZSTD_isError(n) || n != h.raw_bytes)
		return -EBADMSG;
	return read_records(d, &h, n);
}

static void drain_ring(struct drain *d, struct ft_ring *ring)
{
	/* What is there now and no more: a worker that is never done must not keep rows
	 * from closing. */
	const uint64_t end = atomic_load_explicit(&ring->head, memory_order_acquire);
	const uint8_t *data;
	uint32_t bytes;

	while (atomic_load_explicit(&ring->tail, memory_order_relaxed) < end &&
	       (data = ring_peek(ring, &bytes)) != NULL) {
		if (drain_block(d, data, bytes) != 0)
			d->bad_blocks++;
		ring_pop(ring);
	}
}

static void close_row(struct drain *d, uint64_t row)
{
	struct stat_interval in = {
	    .row = row,
	    .start_s = row * d->set.run->interval_s,
	    .end_s = (row + 1) * d->set.run->interval_s,
	};

	if (!d->begun && d->set.first != NULL)
		d->set.first(d->set.ctx, &in);
	d->begun = true;
	for (unsigned i = 0; stat_all[i] != NULL; i++)
		stat_all[i]->close(d->stat[i], &in);
	if (d->set.closed != NULL)
		d->set.closed(d->set.ctx, &in);
}

static uint64_t first_row(const struct drain *d)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; stat_all[i] != NULL; i++) {
		if (stat_all[i]->first_row == NULL)
			continue;
		const uint64_t row = stat_all[i]->first_row(d->stat[i]);
		if (row < first)
			first = row;
	}
	return first;
}

static bool is_held(const struct drain *d)
{
	return d->set.hold != NULL && d->set.hold(d->set.ctx);
}

/* Closes every row whose end is at or before closed_us. False: some must wait. */
static bool close_rows(struct drain *d, uint64_t closed_us, bool ended)
{
	const uint64_t interval_us = d->set.run->interval_s * 1000000ull;

	for (;;) {
		uint64_t row = first_row(d);
		/* Silence is a finding, too: a live probe accounts for every interval. */
		if (d->set.live && !ended && d->next_row != 0 && row > d->next_row &&
		    closed_us / interval_us - d->next_row < SILENT_ROWS_CAP)
			row = d->next_row;
		if (row == UINT64_MAX || (!ended && (row + 1) * interval_us > closed_us))
			return true;
		if (is_held(d))
			return false;
		close_row(d, row);
		d->next_row = row + 1;
	}
}

static void end_all(struct drain *d)
{
	if (d->set.ending != NULL)
		d->set.ending(d->set.ctx);
	for (unsigned i = 0; stat_all[i] != NULL; i++)
		if (stat_all[i]->end != NULL)
			stat_all[i]->end(d->stat[i]);
	d->ended = true;
}

bool drain_step(struct drain *d)
{
	const struct segment *s = d->set.segment;
	uint64_t closed_us = UINT64_MAX;
	bool ended = true;

	/* The acquire loads pair with the workers' release stores behind their last
	 * push: whatever they speak for is in the rings below. */
	for (unsigned i = 0; i < d->set.run->workers; i++) {
		struct ft_shm_worker *w = segment_worker(s, i);
		const uint64_t closed = atomic_load_explicit(&w->closed_us, memory_order_acquire);
		ended &= atomic_load_explicit(&w->ended, memory_order_acquire) != 0;
		if (closed < closed_us)
			closed_us = closed;
	}
	for (unsigned i = 0; i < d->set.run->workers; i++)
		drain_ring(d, segment_ring(s, i));
	if (!close_rows(d, closed_us, ended))
		return true;
	if (ended && !d->ended)
		end_all(d);
	return !ended;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "drain.h"

#include "../dataplane/ring.h"
#include "shards.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define STATS_CAP 32u
#define SILENT_ROWS_CAP 3600u /* more in a row is a step of the clock and no silence */
#define OWED_ROWS_CAP 4u      /* with more to be closed, control closes and takes no more in */

/* One that only reads what an interval leaves, and those behind it in the list. */
struct reader {
	struct crew_task task;
	struct crew_actor actor;
	struct drain *of;
	unsigned first, end; /* of stat_all */
};

/* The interval that closes. */
struct closing {
	enum { CLOSING_NONE, CLOSING_TAKES, CLOSING_READS } state;
	struct stat_interval in;
	struct shards_row row;
	atomic_uint readers; /* that have not read it */
};

struct drain {
	struct drain_opts set;
	struct crew *crew;
	struct shards *shards;
	void *stat[STATS_CAP];
	struct reader reader[STATS_CAP];
	unsigned stats, own, readers; /* own: statistics with records, the first */
	ZSTD_DCtx *zstd;
	uint8_t *raw; /* FT_BLOCK_RAW_CAP, aligned */
	struct closing closing;
	/* What all workers had said when the rings were emptied last. */
	uint64_t closed_us;
	bool all_ended;
	uint64_t next_row; /* live: the row after the one closed last; 0: none yet */
	uint64_t bad_blocks;
	bool begun; /* an interval has closed */
	bool ended; /* statistics know */
};

static void read_interval(struct crew_task *task)
{
	struct reader *r = (struct reader *)task; /* its first member */
	struct drain *d = r->of;

	for (unsigned i = r->first; i < r->end; i++)
		stat_all[i]->close(d->stat[i], &d->closing.in);
	/* Pairs with finish_closing's acquire. */
	atomic_fetch_sub_explicit(&d->closing.readers, 1, memory_order_release);
}

static void list_readers(struct drain *d)
{
	while (stat_all[d->own] != NULL && stat_all[d->own]->record != NULL)
		d->own++;
	for (unsigned i = d->own; stat_all[i] != NULL; i++) {
		if (!stat_all[i]->behind)
			d->reader[d->readers++] =
			    (struct reader){.task.run = read_interval, .of = d, .first = i};
		d->reader[d->readers - 1].end = i + 1;
	}
}

struct drain *drain_create(const struct drain_opts *o)
{
	struct drain *d = calloc(1, sizeof(*d));
	const unsigned threads = o->threads > 1 ? o->threads : 1;

	if (d == NULL)
		return NULL;
	d->set = *o;
	list_readers(d);
	d->crew = crew_create(threads, o->cpu, o->cpus);
	d->shards = d->crew != NULL ? shards_create(o->run, d->crew, threads) : NULL;
	d->zstd = ZSTD_createDCtx();
	d->raw = aligned_alloc(64, FT_BLOCK_RAW_CAP);
	if (d->shards == NULL || d->zstd == NULL || d->raw == NULL)
		goto undo;
	for (; stat_all[d->stats] != NULL; d->stats++) {
		d->stat[d->stats] = stat_all[d->stats]->create(o->run);
		if (d->stat[d->stats] == NULL)
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
	crew_destroy(d->crew); /* which does what was begun */
	for (unsigned i = 0; i < d->stats; i++)
		stat_all[i]->destroy(d->stat[i]);
	shards_row_fini(&d->closing.row);
	shards_destroy(d->shards);
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
	return d->bad_blocks + shards_bad(d->shards);
}

bool drain_is_closing(const struct drain *d)
{
	return d->closing.state != CLOSING_NONE;
}

uint64_t drain_cpu_ns(const struct drain *d)
{
	return crew_cpu_ns(d->crew);
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
		int r = shards_record(d->shards, &rec);
		for (unsigned i = 0; i < d->own && r == 0; i++)
			r = stat_all[i]->record(d->stat[i], &rec);
		if (r != 0)
			return r;
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

/* True: there was something. */
static bool drain_ring(struct drain *d, struct ft_ring *ring)
{
	/* What is there now and no more: a worker that is never done must not keep rows
	 * from closing. */
	const uint64_t end = atomic_load_explicit(&ring->head, memory_order_acquire);
	const uint8_t *data;
	uint32_t bytes;
	bool any = false;

	while (atomic_load_explicit(&ring->tail, memory_order_relaxed) < end &&
	       (data = ring_peek(ring, &bytes)) != NULL) {
		if (drain_block(d, data, bytes) != 0)
			d->bad_blocks++;
		ring_pop(ring);
		any = true;
	}
	return any;
}

/* --- an interval closes --- */

static const struct stat_parts *parts_of(const struct shards_row *row, enum stat_merge k)
{
	const struct stat_parts *p = &row->parts[k];

	for (unsigned i = 0; i < p->n; i++)
		if (p->part[i] != NULL)
			return p;
	return NULL;
}

/* Seconds at the end of an interval that nothing is known of, for the input has ended. */
static uint64_t cut_of(const struct drain *d, uint64_t end_s)
{
	const uint64_t end_us = end_s * 1000000;
	uint64_t last_us = 0;

	for (unsigned i = 0; i < d->set.run->workers; i++) {
		/* Stored before `ended`, which has been acquired. */
		const uint64_t us = atomic_load_explicit(
		    &segment_worker(d->set.segment, i)->clock_us, memory_order_relaxed);
		if (us > last_us)
			last_us = us;
	}
	if (!d->all_ended || last_us == 0 || last_us >= end_us)
		return 0;
	const uint64_t cut_s = (end_us - last_us - 1) / 1000000;
	return cut_s < d->set.run->interval_s ? cut_s : d->set.run->interval_s;
}

static void begin_closing(struct drain *d, uint64_t row)
{
	struct closing *c = &d->closing;

	c->in = (struct stat_interval){
	    .row = row,
	    .start_s = row * d->set.run->interval_s,
	    .end_s = (row + 1) * d->set.run->interval_s,
	    .cut_s = cut_of(d, (row + 1) * d->set.run->interval_s),
	};
	if (!d->begun && d->set.first != NULL)
		d->set.first(d->set.ctx, &c->in);
	d->begun = true;
	c->state = CLOSING_TAKES;
	shards_take(d->shards, row);
}

/* The merges are there: those with records of their own, then the readers. */
static bool begin_reading(struct drain *d)
{
	struct closing *c = &d->closing;

	if (!shards_taken(d->shards, &c->row))
		return false;
	c->in.tables = parts_of(&c->row, STAT_TABLES);
	c->in.rrsets = parts_of(&c->row, STAT_RRSETS);
	c->in.errors = parts_of(&c->row, STAT_ERRORS);
	c->in.servers = parts_of(&c->row, STAT_SERVERS);
	for (unsigned i = 0; i < d->own; i++)
		stat_all[i]->close(d->stat[i], &c->in);
	c->state = CLOSING_READS;
	atomic_store_explicit(&c->readers, d->readers, memory_order_relaxed);
	for (unsigned i = 0; i < d->readers; i++)
		crew_give(d->crew, &d->reader[i].actor, &d->reader[i].task);
	return true;
}

static bool finish_closing(struct drain *d)
{
	struct closing *c = &d->closing;

	if (atomic_load_explicit(&c->readers, memory_order_acquire) != 0)
		return false;
	c->state = CLOSING_NONE;
	d->next_row = c->in.row + 1;
	if (d->set.closed != NULL)
		d->set.closed(d->set.ctx, &c->in);
	shards_row_fini(&c->row);
	return true;
}

/* As far as it goes now. False: others are at work. */
static bool step_closing(struct drain *d)
{
	if (d->closing.state == CLOSING_TAKES && !begin_reading(d))
		return false;
	return d->closing.state != CLOSING_READS || finish_closing(d);
}

static uint64_t first_row(const struct drain *d)
{
	uint64_t first = shards_first_row(d->shards);

	for (unsigned i = 0; i < d->own; i++) {
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

static uint64_t interval_us(const struct drain *d)
{
	return d->set.run->interval_s * 1000000ull;
}

/* The next row that is due: nothing can come for it any more. UINT64_MAX: none. */
static uint64_t due_row(const struct drain *d)
{
	const bool ended = d->all_ended;
	uint64_t row = first_row(d);

	/* Silence is a finding, too: a live probe accounts for every interval. */
	if (d->set.live && !ended && d->next_row != 0 && row > d->next_row &&
	    d->closed_us / interval_us(d) - d->next_row < SILENT_ROWS_CAP)
		row = d->next_row;
	return ended || row == UINT64_MAX || (row + 1) * interval_us(d) <= d->closed_us
		   ? row
		   : UINT64_MAX;
}

/* Closes every row that is due. False: some must wait. */
static bool close_rows(struct drain *d)
{
	for (;;) {
		if (!step_closing(d))
			return false;
		const uint64_t row = due_row(d);
		if (row == UINT64_MAX)
			return true;
		if (is_held(d))
			return false;
		begin_closing(d, row);
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

/* Rows would pile up where they come faster than they can be closed. */
static bool owes_too_much(const struct drain *d)
{
	const uint64_t row = first_row(d);

	return row != UINT64_MAX && row + OWED_ROWS_CAP < d->closed_us / interval_us(d) &&
	       !is_held(d);
}

/* False: there was nothing in them. */
static bool empty_rings(struct drain *d)
{
	const struct segment *s = d->set.segment;
	uint64_t closed_us = UINT64_MAX;
	bool ended = true, any = false;

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
		any |= drain_ring(d, segment_ring(s, i));
	shards_flush(d->shards);
	d->closed_us = closed_us;
	d->all_ended = ended;
	return any;
}

bool drain_step(struct drain *d)
{
	const bool any = !owes_too_much(d) && empty_rings(d);

	if (!close_rows(d)) {
		while (!any && drain_is_closing(d) && crew_help(d->crew))
			;
		return true;
	}
	if (d->all_ended && !d->ended)
		end_all(d);
	return !d->all_ended;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "shards.h"

#include "stats/rows.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 65536u
#define PIECES_EACH 6u    /* of a shard, on the way together */
#define SHARDS_EACH 2u    /* of a thread, so that none waits for the other's last */
#define RECORD_CAP 32768u /* octets of a record in a piece */

struct shard;

/* Records for one shard, as in a block. */
struct piece {
	struct crew_task task;
	struct shard *shard;
	struct piece *next; /* where it is free */
	size_t n;
	struct ft_rec_hdr *open; /* the record that grows; NULL: none */
	uint8_t data[PIECE_BYTES] __attribute__((aligned(8)));
};

struct shard {
	struct crew_actor actor;
	struct crew_task take;
	struct shards *of;
	unsigned number;
	void *merge[STAT_MERGES];
	struct piece *filling; /* main thread's; NULL: none yet */
};

struct shards {
	struct crew *crew;
	unsigned n;
	struct shard shard[STAT_SHARDS_CAP];
	struct stat_row *rows; /* numbers alone: rows that something came for */
	struct stat_row *last; /* of them, the one asked for last */
	struct piece *pieces;  /* [n * PIECES_EACH] */
	pthread_mutex_t lock;
	struct piece *free_pieces; /* below the lock */
	_Atomic uint64_t bad;
	/* The row that is being taken. */
	uint64_t taking;
	struct shards_row taken;
	atomic_uint left; /* shards that have not given theirs */
};

/* --- in the shard's turn --- */

static int merge_record(struct shard *h, const struct stat_record *rec)
{
	for (unsigned k = 0; k < STAT_MERGES; k++) {
		const int r = merge_all[k]->record(h->merge[k], rec);
		if (r != 0)
			return r;
	}
	return 0;
}

static void merge_piece(struct crew_task *task)
{
	struct piece *p = (struct piece *)task; /* its first member */
	struct shards *s = p->shard->of;
	int result = 0;

	for (size_t at = 0; at < p->n && result == 0;) {
		const struct ft_rec_hdr *hdr = (const struct ft_rec_hdr *)(p->data + at);
		const struct stat_record rec = {
		    .hdr = hdr, .body = hdr + 1, .bytes = hdr->bytes - sizeof(*hdr) - hdr->pad};
		result = merge_record(p->shard, &rec);
		at += hdr->bytes;
	}
	if (result != 0)
		atomic_fetch_add_explicit(&s->bad, 1, memory_order_relaxed);
	(void)pthread_mutex_lock(&s->lock);
	p->next = s->free_pieces;
	s->free_pieces = p;
	(void)pthread_mutex_unlock(&s->lock);
}

static void take_row(struct crew_task *task)
{
	struct shard *h = (struct shard *)((uintptr_t)task - offsetof(struct shard, take));
	struct shards *s = h->of;

	for (unsigned k = 0; k < STAT_MERGES; k++)
		s->taken.parts[k].part[h->number] = merge_all[k]->take(h->merge[k], s->taking);
	/* Pairs with shards_taken's acquire. */
	atomic_fetch_sub_explicit(&s->left, 1, memory_order_release);
}

/* --- the main thread's --- */

static int init_pieces(struct shards *s)
{
	const size_t n = (size_t)s->n * PIECES_EACH;

	if (s->n == 1)
		return 0;
	s->pieces = aligned_alloc(64, (n * sizeof(*s->pieces) + 63) / 64 * 64);
	if (s->pieces == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		s->pieces[i].next = s->free_pieces;
		s->free_pieces = &s->pieces[i];
	}
	return 0;
}

struct shards *shards_create(const struct stat_run *run, struct crew *crew, unsigned threads)
{
	struct shards *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->crew = crew;
	s->n = threads == 1 ? 1 : threads * SHARDS_EACH;
	s->n = s->n < STAT_SHARDS_CAP ? s->n : STAT_SHARDS_CAP;
	(void)pthread_mutex_init(&s->lock, NULL);
	bool whole = init_pieces(s) == 0;
	for (unsigned i = 0; i < s->n; i++) {
		struct shard *h = &s->shard[i];
		h->of = s;
		h->number = i;
		h->take.run = take_row;
		for (unsigned k = 0; k < STAT_MERGES; k++) {
			h->merge[k] = merge_all[k]->create(run, s->n);
			whole &= h->merge[k] != NULL;
		}
	}
	if (whole)
		return s;
	shards_destroy(s);
	errno = ENOMEM;
	return NULL;
}

void shards_destroy(struct shards *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned k = 0; k < STAT_MERGES; k++)
			if (s->shard[i].merge[k] != NULL)
				merge_all[k]->destroy(s->shard[i].merge[k]);
	shards_row_fini(&s->taken);
	while (s->rows != NULL)
		free(rows_pop(&s->rows));
	(void)pthread_mutex_destroy(&s->lock);
	free(s->pieces);
	free(s);
}

static struct piece *free_piece(struct shards *s)
{
	(void)pthread_mutex_lock(&s->lock);
	struct piece *p = s->free_pieces;
	if (p != NULL)
		s->free_pieces = p->next;
	(void)pthread_mutex_unlock(&s->lock);
	return p;
}

/* Whoever gives faster than others merge merges, too. */
static struct piece *piece_of(struct shards *s, struct shard *h)
{
	struct piece *p;

	while ((p = free_piece(s)) == NULL)
		if (!crew_help(s->crew))
			(void)sched_yield();
	p->task.run = merge_piece;
	p->shard = h;
	p->n = 0;
	p->open = NULL;
	return p;
}

/* Ends the record that grows. */
static void close_record(struct piece *p)
{
	if (p->open == NULL)
		return;
	p->open->pad = (uint8_t)(-p->n & 7);
	memset(p->data + p->n, 0, p->open->pad);
	p->n += p->open->pad;
	p->open->bytes = (uint16_t)(p->data + p->n - (uint8_t *)p->open);
	p->open = NULL;
}

static void send(struct shards *s, struct shard *h)
{
	if (h->filling == NULL || h->filling->n == 0)
		return;
	close_record(h->filling);
	crew_give(s->crew, &h->actor, &h->filling->task);
	h->filling = NULL;
}

void shards_flush(struct shards *s)
{
	for (unsigned i = 0; i < s->n; i++)
		send(s, &s->shard[i]);
}

static bool fits(const struct piece *p, const struct ft_rec_hdr *hdr, size_t bytes)
{
	return p->open != NULL && p->open->type == hdr->type && p->open->row == hdr->row &&
	       (size_t)(p->data + p->n - (uint8_t *)p->open) + bytes + 8 <= RECORD_CAP;
}

static void put_entry(struct shards *s, struct shard *h, const struct ft_rec_hdr *hdr,
		      const uint8_t *entry, size_t bytes)
{
	const size_t most = sizeof(*hdr) + bytes + 16; /* with the pads of two records */

	if (h->filling != NULL && h->filling->n + most > PIECE_BYTES)
		send(s, h);
	if (h->filling == NULL)
		h->filling = piece_of(s, h);
	struct piece *p = h->filling;
	if (!fits(p, hdr, bytes)) {
		close_record(p);
		p->open = (struct ft_rec_hdr *)(p->data + p->n);
		*p->open = (struct ft_rec_hdr){.type = hdr->type, .row = hdr->row};
		p->n += sizeof(*hdr);
	}
	memcpy(p->data + p->n, entry, bytes);
	p->n += bytes;
	const uint32_t records = ft_rec_records(p->open) + 1;
	p->open->vantage = (uint8_t)records;
	p->open->which = (uint8_t)(records >> 8);
}

/* Copies entries to where their shards are. */
static int split(struct shards *s, const struct merge_ops *ops, const struct stat_record *rec)
{
	const uint8_t *at = rec->body, *end = at + rec->bytes;
	uint32_t left = ft_rec_records(rec->hdr);

	while (at != end) {
		const uint8_t *entry = at;
		const int i = ops->shard_of(rec->hdr->type, &at, end, s->n);
		if (i < 0 || left-- == 0)
			return -EBADMSG;
		put_entry(s, &s->shard[i], rec->hdr, entry, (size_t)(at - entry));
	}
	return left == 0 ? 0 : -EBADMSG;
}

/* For which of them it is; STAT_MERGES: for none. */
static unsigned merge_of(const struct stat_record *rec)
{
	const uint8_t *at = rec->body;
	unsigned k = 0;

	while (k < STAT_MERGES && merge_all[k]->shard_of(rec->hdr->type, &at, at, 1) == -ENOTSUP)
		k++;
	return k;
}

static int note_row(struct shards *s, uint64_t row)
{
	if (s->last == NULL || s->last->number != row)
		s->last = rows_get(&s->rows, row, sizeof(*s->last));
	return s->last != NULL ? 0 : -ENOMEM;
}

int shards_record(struct shards *s, const struct stat_record *rec)
{
	const unsigned k = merge_of(rec);

	if (k == STAT_MERGES)
		return 0;
	if (note_row(s, rec->hdr->row) != 0)
		return -ENOMEM;
	return s->n == 1 ? merge_all[k]->record(s->shard[0].merge[k], rec)
			 : split(s, merge_all[k], rec);
}

uint64_t shards_first_row(const struct shards *s)
{
	return rows_first(s->rows);
}

void shards_take(struct shards *s, uint64_t row)
{
	if (rows_is_first(s->rows, row)) {
		s->last = NULL;
		free(rows_pop(&s->rows));
	}
	shards_flush(s);
	s->taking = row;
	for (unsigned k = 0; k < STAT_MERGES; k++)
		s->taken.parts[k].n = s->n;
	atomic_store_explicit(&s->left, s->n, memory_order_relaxed);
	for (unsigned i = 0; i < s->n; i++)
		crew_give(s->crew, &s->shard[i].actor, &s->shard[i].take);
}

bool shards_taken(struct shards *s, struct shards_row *out)
{
	if (atomic_load_explicit(&s->left, memory_order_acquire) != 0)
		return false;
	*out = s->taken;
	memset(&s->taken, 0, sizeof(s->taken));
	for (unsigned k = 0; k < STAT_MERGES; k++)
		if (merge_all[k]->join != NULL)
			merge_all[k]->join(&out->parts[k]);
	return true;
}

void shards_row_fini(struct shards_row *row)
{
	for (unsigned k = 0; k < STAT_MERGES; k++)
		for (unsigned i = 0; i < row->parts[k].n; i++)
			merge_all[k]->part_free(row->parts[k].part[i]);
	memset(row, 0, sizeof(*row));
}

uint64_t shards_bad(const struct shards *s)
{
	return atomic_load_explicit(&s->bad, memory_order_relaxed);
}

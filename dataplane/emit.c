/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of the tally into records: part by part, so that closing an interval
 * never stalls the loop for longer than about one block takes to seal. */
#include "tally.h"

#include <assert.h>
#include <string.h>

/* Parts of a closing row, in order; the views' parts repeat for each vantage. */
enum view_part { PART_TRAFFIC, PART_RTT, PART_CLIENTS, PART_NAMES, VIEW_PARTS };
#define PART_KEYED (FT_VANTAGE_CAP * VIEW_PARTS) /* two for each keyed table: begin, step */
#define PART_LEDGER (PART_KEYED + 2 * TALLY_PARTS)

static void push_block(struct tally *t)
{
	if (!seal_is_empty(t->seal))
		(void)seal_push(t->seal, t->seal_row, false,
				&t->row[t->seal_row % TALLY_ROWS].ledger);
}

/* The row that accounts for a record emitted now: the newest that is open, for it is
 * so until its ledger has gone out, behind the block; the clock's own where none is. */
static uint64_t account_row(struct tally *t)
{
	const struct tally_row *newest = t->newest;

	if (newest != NULL)
		return newest->number;
	for (unsigned i = 0; i < TALLY_ROWS; i++) {
		const struct tally_row *r = &t->row[i];
		if (r->state != ROW_FREE && (newest == NULL || r->number > newest->number))
			newest = r;
	}
	t->newest = newest;
	if (newest != NULL)
		return newest->number;
	(void)tally_ledger(t, t->clock->now_us);
	return t->clock->row;
}

void tally_emit(struct tally *t, enum ft_rec_type type, uint64_t row, unsigned vantage,
		unsigned which, const void *body, size_t body_bytes)
{
	const struct ft_rec_hdr h = {
	    .type = (uint16_t)type,
	    .vantage = (uint8_t)vantage,
	    .which = (uint8_t)which,
	    .row = row,
	};
	const uint64_t now_row = account_row(t);

	if (!seal_has_room(t->seal, body_bytes) || t->seal_row != now_row)
		push_block(t);
	if (seal_is_empty(t->seal))
		t->seal_row = now_row;
	seal_put(t->seal, &h, body, body_bytes);
}

uint8_t *tally_entry_begin(struct tally *t, enum ft_rec_type type, uint64_t row, size_t cap)
{
	const uint64_t now_row = t->newest != NULL ? t->newest->number : account_row(t);

	if (!seal_has_room(t->seal, cap + SEAL_PAD_CAP) || t->seal_row != now_row)
		push_block(t);
	if (seal_is_empty(t->seal))
		t->seal_row = now_row;
	return seal_entry_begin(t->seal, type, row);
}

void tally_entry_end(struct tally *t, const uint8_t *end)
{
	seal_entry_end(t->seal, end);
}

void tally_emit_entry(struct tally *t, enum ft_rec_type type, uint64_t row, const void *entry,
		      size_t bytes)
{
	uint8_t *p = tally_entry_begin(t, type, row, bytes);

	memcpy(p, entry, bytes);
	tally_entry_end(t, p + bytes);
}

void tally_add_part(struct tally *t, struct tally_part part)
{
	assert(t->parts < TALLY_PARTS);
	t->part[t->parts++] = part;
}

void tally_emit_second(struct tally *t, unsigned vantage, struct tally_second *s)
{
	struct ft_series body;

	if (s->tag == 0)
		return;
	const uint64_t second = s->tag - 1;
	const uint64_t row = second * 1000000 / t->clock->interval_us;
	body.second = (uint32_t)(second - row * (t->clock->interval_us / 1000000));
	memcpy(body.count, s->count, sizeof(body.count));
	memset(s, 0, sizeof(*s));
	tally_emit(t, FT_REC_SERIES, row, vantage, 0, &body, sizeof(body));
}

void tally_emit_rare(struct tally *t, struct tally_rare *r)
{
	const struct ft_pair64 body = {.id = r->id, .value = r->count};
	const struct tally_rare gone = *r;

	if (gone.count == 0)
		return;
	r->count = 0;
	tally_emit(t, FT_REC_TRAFFIC, gone.row, gone.vantage, 0, &body, sizeof(body));
}

static void emit_traffic(struct tally *t, const struct tally_row *r, unsigned vantage)
{
	const struct tally_view *v = &r->view[vantage];
	struct ft_pair64 body[FT_TRAFFIC_DENSE_CAP];
	size_t n = 0;

	for (uint32_t i = 0; i < FT_TRAFFIC_DENSE_CAP; i++)
		if (v->dense[i] != 0)
			body[n++] = (struct ft_pair64){.id = i, .value = v->dense[i]};
	tally_emit(t, FT_REC_TRAFFIC, r->number, vantage, 0, body, n * sizeof(*body));
}

static void emit_rtt(struct tally *t, const struct tally_row *r, unsigned vantage)
{
	const struct tally_view *v = &r->view[vantage];
	struct ft_pair64 body[DD_BINS];
	size_t n = 0;

	for (uint32_t i = 0; i < DD_BINS; i++)
		if (v->rtt[i] != 0)
			body[n++] = (struct ft_pair64){.id = i, .value = v->rtt[i]};
	if (n != 0)
		tally_emit(t, FT_REC_RTT, r->number, vantage, 0, body, n * sizeof(*body));
}

static void emit_distinct(struct tally *t, const struct tally_row *r, unsigned vantage,
			  unsigned which)
{
	const struct distinct *d = &r->view[vantage].distinct[which];
	uint64_t list[FT_DISTINCT_EXACT];

	if (d->dense) {
		tally_emit(t, FT_REC_DISTINCT_REGS, r->number, vantage, which, d->u.regs,
			   FT_DISTINCT_REGS);
		return;
	}
	const uint32_t n = distinct_list(d, list);
	if (n != 0)
		tally_emit(t, FT_REC_DISTINCT_LIST, r->number, vantage, which, list,
			   n * sizeof(*list));
}

static void emit_part(struct tally *t, const struct tally_row *r, uint32_t part)
{
	const unsigned vantage = part / VIEW_PARTS;

	if (!r->view[vantage].used)
		return;
	switch ((enum view_part)(part % VIEW_PARTS)) {
	case PART_TRAFFIC: emit_traffic(t, r, vantage); break;
	case PART_RTT: emit_rtt(t, r, vantage); break;
	case PART_CLIENTS: emit_distinct(t, r, vantage, FT_DISTINCT_CLIENTS); break;
	case PART_NAMES: emit_distinct(t, r, vantage, FT_DISTINCT_NAMES); break;
	case VIEW_PARTS: break;
	}
}

/* Seconds and rare codes of a row that closes. */
static void emit_caches(struct tally *t, uint64_t row)
{
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		for (unsigned i = 0; i < TALLY_SECONDS; i++)
			if (t->second[v][i].tag != 0 &&
			    (t->second[v][i].tag - 1) * 1000000 / t->clock->interval_us == row)
				tally_emit_second(t, v, &t->second[v][i]);
	for (unsigned i = 0; i < TALLY_RARES; i++)
		if (t->rare[i].row == row)
			tally_emit_rare(t, &t->rare[i]);
}

static void ledger_add(struct ft_ledger *to, const struct ft_ledger *from)
{
	for (unsigned i = 0; i < FT_CTR_CAP; i++)
		if (i != FT_CTR_HELD && i != FT_CTR_HELD_PACKETS) /* levels do not add up */
			to->c[i] += from->c[i];
}

/* The row's account goes last, in a block of its own. False: no room, try again. */
static bool emit_ledger(struct tally *t, const struct tally_row *r)
{
	struct ft_pair64 body[FT_CTR_CAP];
	const struct ft_rec_hdr h = {.type = FT_REC_LEDGER, .row = r->number};
	size_t n = 0;

	if (!seal_is_empty(t->seal))
		push_block(t);
	for (uint32_t i = 0; i < FT_CTR_CAP; i++)
		if (r->ledger.c[i] != 0)
			body[n++] = (struct ft_pair64){.id = i, .value = r->ledger.c[i]};
	seal_put(t->seal, &h, body, n * sizeof(*body));
	return seal_push(t->seal, r->number, true, NULL);
}

static void row_clear(struct tally *t, struct tally_row *r)
{
	if (t->ledger == &r->ledger)
		t->ledger_len_us = 0;
	t->newest = NULL;
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		struct tally_view *view = &r->view[v];
		if (!view->used)
			continue;
		memset(view->dense, 0, sizeof(view->dense));
		memset(view->rtt, 0, sizeof(view->rtt));
		for (unsigned d = 0; d < FT_DISTINCT_CAP; d++)
			distinct_clear(&view->distinct[d]);
		view->used = false;
	}
	memset(&r->ledger, 0, sizeof(r->ledger));
	r->state = ROW_FREE;
}

/* The keyed tables of a row: parts 2n begin table n, parts 2n + 1 step it to its end. */
static void close_keyed(struct tally *t, struct tally_row *r)
{
	const uint32_t table = (r->part - PART_KEYED) / 2;

	if (table >= t->parts) {
		r->part = PART_LEDGER;
		return;
	}
	const struct tally_part *p = &t->part[table];
	if ((r->part - PART_KEYED) % 2 == 0) {
		p->begin(p->ctx, r->number);
		r->part++;
	} else if (p->step(p->ctx, r->number)) {
		r->part++;
	}
}

/* One part of one row; true when the row is done. */
static bool close_part(struct tally *t, struct tally_row *r)
{
	if (r->state == ROW_OPEN) {
		r->state = ROW_CLOSING;
		emit_caches(t, r->number);
		return false;
	}
	if (r->part < PART_KEYED) {
		emit_part(t, r, r->part++);
		return false;
	}
	if (r->part < PART_LEDGER) {
		close_keyed(t, r);
		return false;
	}
	if (!emit_ledger(t, r))
		return false;
	ledger_add(&t->done, &r->ledger);
	row_clear(t, r);
	return true;
}

/* Not even the reserve has room: the next row that is open takes the account over, be
 * it the one that is about to take this slot. */
static void hand_over(struct tally *t, struct tally_row *row, uint64_t number)
{
	struct tally_row *to = row;
	struct ft_ledger sum = {{0}};

	for (unsigned i = 0; i < TALLY_ROWS; i++) {
		struct tally_row *r = &t->row[i];
		if (r->state != ROW_FREE && r->number > row->number && r->number < number) {
			to = r;
			number = r->number;
		}
	}
	ledger_add(&sum, &row->ledger);
	row_clear(t, row);
	ledger_add(&to->ledger, &sum);
}

void tally_close_row(struct tally *t, struct tally_row *row, uint64_t number)
{
	while (row->part < PART_LEDGER || row->state == ROW_OPEN)
		(void)close_part(t, row);
	if (!close_part(t, row))
		hand_over(t, row, number);
}

static struct tally_row *oldest_row(struct tally *t)
{
	struct tally_row *oldest = NULL;

	for (unsigned i = 0; i < TALLY_ROWS; i++) {
		struct tally_row *r = &t->row[i];
		if (r->state != ROW_FREE && (oldest == NULL || r->number < oldest->number))
			oldest = r;
	}
	return oldest;
}

enum close_result tally_close(struct tally *t, bool all)
{
	struct tally_row *r = oldest_row(t);

	if (r == NULL || (!all && !clock_row_closed(t->clock, r->number)))
		return CLOSE_DONE;
	const bool ledger_next = r->part == PART_LEDGER;
	return !close_part(t, r) && ledger_next ? CLOSE_STUCK : CLOSE_MORE;
}

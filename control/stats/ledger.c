/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `ledger`: what came in, what became of it, what was lost and where.
 *
 * Takes the account that each worker sends of each interval, counts the records
 * that arrived by itself, and checks the three equations. */
#include "rows.h"
#include "stat.h"

#include "../envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct account {
	struct ft_ledger l;
	uint64_t merged, source_dropped;
	uint64_t carried; /* records merged that the next account speaks for */
	bool told;        /* an account came */
};

struct row {
	struct stat_row head;
	struct account worker[];
};

struct ledger {
	const struct stat_run *run;
	struct stat_row *rows;
	struct account *before; /* [workers]: levels at the end of the interval before */
	struct ft_ledger *told; /* [workers]: sums of what was written */
	struct ft_ledger last;  /* of all workers, in the interval that closed last */
	struct ledger_sums sums;
};

static void *ledger_create(const struct stat_run *run)
{
	struct ledger *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->before = calloc(run->workers, sizeof(*s->before));
	s->told = calloc(run->workers, sizeof(*s->told));
	if (s->before == NULL || s->told == NULL) {
		free(s->before);
		free(s->told);
		free(s);
		return NULL;
	}
	return s;
}

static void ledger_destroy(void *stat)
{
	struct ledger *s = stat;

	if (s == NULL)
		return;
	while (s->rows != NULL)
		free(rows_pop(&s->rows));
	free(s->before);
	free(s->told);
	free(s);
}

static size_t row_bytes(const struct ledger *s)
{
	return sizeof(struct row) + s->run->workers * sizeof(struct account);
}

static int ledger_record(void *stat, const struct stat_record *rec)
{
	struct ledger *s = stat;
	const bool account = rec->hdr->type == FT_REC_LEDGER;
	const struct ft_pair64 *pair = rec->body;

	if (rec->block->worker >= s->run->workers)
		return -EBADMSG;
	struct row *r = rows_get(&s->rows, account ? rec->hdr->row : rec->block->row, row_bytes(s));
	if (r == NULL)
		return -ENOMEM;
	struct account *a = &r->worker[rec->block->worker];
	if (!account) {
		a->merged += ft_rec_records(rec->hdr);
		return 0;
	}
	for (size_t i = 0; i < rec->bytes / sizeof(*pair); i++) {
		if (pair[i].id >= FT_CTR_CAP)
			return -EBADMSG;
		a->l.c[pair[i].id] += pair[i].value;
	}
	a->told = true;
	return 0;
}

static uint64_t ledger_first_row(const void *stat)
{
	const struct ledger *s = stat;

	return rows_first(s->rows);
}

static uint64_t sum_drops(const struct ft_ledger *l, unsigned base, unsigned cap)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < cap; i++)
		sum += l->c[base + i];
	return sum;
}

/* The three equations of one account; `before`: the levels it began with. */
static void check(struct ledger *s, const struct stat_interval *in, const char *who,
		  const struct account *a, const struct account *before)
{
	const uint64_t *c = a->l.c;
	const uint64_t packets_in = c[FT_CTR_RX_PACKETS] + before->l.c[FT_CTR_HELD_PACKETS];
	const uint64_t packets_out = sum_drops(&a->l, FT_CTR_PKT_DROP, FT_PKT_DROP_CAP) +
				     c[FT_CTR_CARRIED] + c[FT_CTR_HELD_PACKETS];
	const uint64_t messages_in = c[FT_CTR_MESSAGES] + before->l.c[FT_CTR_HELD];
	const uint64_t messages_out =
	    sum_drops(&a->l, FT_CTR_MSG_DROP, FT_MSG_DROP_CAP) + c[FT_CTR_COUNTED] + c[FT_CTR_HELD];
	const uint64_t records_out = a->merged + c[FT_CTR_RING_FULL_RECORDS];

	if (packets_in == packets_out && messages_in == messages_out &&
	    c[FT_CTR_RECORDS] == records_out)
		return;
	if (s->sums.broken++ == 0)
		(void)snprintf(s->sums.broken_text, sizeof(s->sums.broken_text),
			       "interval %" PRIu64 ", worker %s: packets %" PRIu64 " = %" PRIu64
			       ", messages %" PRIu64 " = %" PRIu64 ", records %" PRIu64
			       " = %" PRIu64,
			       in->start_s, who, packets_in, packets_out, messages_in, messages_out,
			       c[FT_CTR_RECORDS], records_out);
}

static json_t *drops(const struct ft_ledger *l, unsigned base, unsigned cap,
		     const struct ft_drop_text *text)
{
	json_t *o = json_object();

	for (unsigned i = 1; i < cap; i++)
		if (l->c[base + i] != 0)
			json_object_set_new(o, text[i].metric,
					    json_integer((json_int_t)l->c[base + i]));
	return o;
}

static void write_account(struct ledger *s, const struct stat_interval *in, json_t *worker,
			  const struct account *a)
{
	/* Fields in the order of the contract; FT_CTR_CAP: not a plain counter. */
	json_t *o = envelope_create("ledger", s->run->probe, "ALL", in->start_s, in->end_s, 1,
				    in->loss_ppm);

	json_object_set_new(o, "worker", worker);
	for (unsigned i = 0; i < FT_CTR_PLAIN_CAP; i++) {
		json_object_set_new(o, ft_counter_texts[i].name,
				    json_integer((json_int_t)a->l.c[i]));
		if (i == FT_CTR_RX_BYTES)
			json_object_set_new(o, "source_dropped",
					    json_integer((json_int_t)a->source_dropped));
		if (i == FT_CTR_RECORDS)
			json_object_set_new(o, "merged", json_integer((json_int_t)a->merged));
	}
	json_object_set_new(o, "dropped",
			    drops(&a->l, FT_CTR_PKT_DROP, FT_PKT_DROP_CAP, ft_pkt_drop_texts));
	json_object_set_new(o, "msg_dropped",
			    drops(&a->l, FT_CTR_MSG_DROP, FT_MSG_DROP_CAP, ft_msg_drop_texts));
	s->run->write(s->run->ctx, "ledger", in->start_s, o);
}

static void add(struct account *to, const struct account *from)
{
	for (unsigned i = 0; i < FT_CTR_CAP; i++)
		to->l.c[i] += from->l.c[i];
	to->merged += from->merged;
	to->source_dropped += from->source_dropped;
}

/* Millionths lost: by the source, in parsing, and of what workers sent. */
static uint64_t loss_ppm(const struct account *a)
{
	const uint64_t *c = a->l.c;
	const uint64_t packets = c[FT_CTR_RX_PACKETS] + a->source_dropped;
	const uint64_t lost =
	    a->source_dropped + sum_drops(&a->l, FT_CTR_MSG_DROP, FT_MSG_DROP_CAP);
	uint64_t ppm = packets != 0 ? lost * 1000000 / packets : 0;

	if (c[FT_CTR_RECORDS] != 0)
		ppm += c[FT_CTR_RING_FULL_RECORDS] * 1000000 / c[FT_CTR_RECORDS];
	return ppm < 1000000 ? ppm : 1000000;
}

static void add_sums(struct ledger *s, const struct stat_interval *in, const struct account *all)
{
	struct ledger_sums *sums = &s->sums;

	for (unsigned i = 0; i < FT_CTR_CAP; i++)
		sums->sum.c[i] += all->l.c[i];
	sums->sum.c[FT_CTR_HELD] = all->l.c[FT_CTR_HELD];
	sums->sum.c[FT_CTR_HELD_PACKETS] = all->l.c[FT_CTR_HELD_PACKETS];
	sums->source_dropped += all->source_dropped;
	sums->merged += all->merged;
	if (sums->intervals++ == 0)
		sums->first_s = in->start_s;
	sums->end_s = in->end_s;
}

/* Where no account came, nothing happened, or it found no room in the ring and the
 * next one speaks for it, too: what was held still is, what was merged waits. */
static void settle(struct account *a, const struct account *before)
{
	a->merged += before->carried;
	if (a->told)
		return;
	a->carried = a->merged;
	a->merged = 0;
	a->l.c[FT_CTR_HELD] = before->l.c[FT_CTR_HELD];
	a->l.c[FT_CTR_HELD_PACKETS] = before->l.c[FT_CTR_HELD_PACKETS];
}

static void ledger_close(void *stat, struct stat_interval *in)
{
	struct ledger *s = stat;
	struct row *r = rows_get(&s->rows, in->row, row_bytes(s));
	struct account all = {0};
	char who[16];

	if (r == NULL)
		return; /* no memory: the equations of the next interval will say so */
	for (unsigned w = 0; w < s->run->workers; w++) {
		settle(&r->worker[w], &s->before[w]);
		r->worker[w].source_dropped = s->run->source_dropped(s->run->ctx, w);
		add(&all, &r->worker[w]);
		(void)snprintf(who, sizeof(who), "%u", w);
		check(s, in, who, &r->worker[w], &s->before[w]);
	}
	in->loss_ppm = loss_ppm(&all);
	s->last = all.l;
	in->ledger = &s->last;
	write_account(s, in, json_string("all"), &all);
	for (unsigned w = 0; w < s->run->workers; w++) {
		write_account(s, in, json_integer(w), &r->worker[w]);
		s->before[w] = r->worker[w];
		for (unsigned i = 0; i < FT_CTR_CAP; i++)
			s->told[w].c[i] += r->worker[w].l.c[i];
	}
	add_sums(s, in, &all);
	if (s->rows == &r->head)
		free(rows_pop(&s->rows));
}

const struct ledger_sums *ledger_sums_get(const void *stat)
{
	return &((const struct ledger *)stat)->sums;
}

const struct ft_ledger *ledger_told_get(const void *stat, unsigned worker)
{
	return &((const struct ledger *)stat)->told[worker];
}

const struct stat_ops stat_ledger = {
    .set = "ledger",
    .create = ledger_create,
    .record = ledger_record,
    .first_row = ledger_first_row,
    .close = ledger_close,
    .destroy = ledger_destroy,
};

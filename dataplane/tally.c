/* SPDX-License-Identifier: BSD-3-Clause */
#include "tally.h"

#include "mem.h"
#include "vantage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tally *tally_create(struct evclock *clock, struct seal *seal)
{
	struct tally *t = mem_map(sizeof(*t));

	if (t == NULL)
		return NULL;
	t->clock = clock;
	t->seal = seal;
	t->row = mem_map(TALLY_ROWS * sizeof(*t->row));
	if (t->row == NULL) {
		tally_destroy(t);
		errno = ENOMEM;
		return NULL;
	}
	return t;
}

void tally_destroy(struct tally *t)
{
	if (t == NULL)
		return;
	mem_unmap(t->row, TALLY_ROWS * sizeof(*t->row));
	mem_unmap(t, sizeof(*t));
}

static struct tally_row *row_get(struct tally *t, uint64_t number)
{
	struct tally_row *r = &t->row[number % TALLY_ROWS];

	if (r->state == ROW_FREE || r->number != number) {
		if (r->state != ROW_FREE)
			tally_close_row(t, r, number);
		r->number = number;
		r->state = ROW_OPEN;
		r->part = 0;
		t->newest = NULL;
	}
	return r;
}

struct ft_ledger *tally_ledger_find(struct tally *t, uint64_t t_us)
{
	struct ft_ledger *l = &row_get(t, clock_row(t->clock, t_us))->ledger;

	t->ledger = l;
	t->ledger_lo_us = t->clock->row_lo_us;
	t->ledger_len_us = t->clock->interval_us;
	return l;
}

void tally_held(struct tally *t, enum ft_counter level, uint64_t from_us, uint64_t to_us)
{
	const uint64_t to = clock_row(t->clock, to_us);

	/* Nothing is held longer than LAG_US, so these are few. */
	for (uint64_t n = clock_row(t->clock, from_us); n < to; n++)
		row_get(t, n)->ledger.c[level]++;
}

static void count_second(struct tally *t, enum ft_vantage vantage, uint64_t t_us, uint16_t qtype)
{
	const uint64_t second = t_us / 1000000;
	struct tally_second *s = &t->second[vantage][second % TALLY_SECONDS];

	if (s->tag != second + 1) {
		tally_emit_second(t, vantage, s);
		s->tag = second + 1;
	}
	s->count[ft_qgroup_of(qtype)]++;
}

static void count_rare(struct tally *t, uint64_t row, enum ft_vantage vantage, uint32_t id)
{
	const uint64_t h = hash_mix(row * FT_VANTAGE_CAP + vantage + ((uint64_t)id << 40));
	struct tally_rare *r = &t->rare[h % TALLY_RARES];

	if (r->count != 0 && (r->row != row || r->id != id || r->vantage != vantage))
		tally_emit_rare(t, r);
	r->row = row;
	r->id = id;
	r->vantage = vantage;
	r->count++;
}

static void count_query(struct tally *t, const struct tally_row *row, struct tally_view *v,
			enum ft_vantage vantage, const struct query *q)
{
	uint32_t edns = q->edns;

	v->dense[FT_TRAFFIC_QUERIES]++;
	v->dense[FT_TRAFFIC_QUERY_BYTES] += q->bytes;
	v->dense[FT_TRAFFIC_TRANSPORT + q->transport]++;
	v->dense[FT_TRAFFIC_OPCODE + q->opcode]++;
	v->dense[FT_TRAFFIC_MALFORMED] += q->malformed;
	for (; edns != 0; edns &= edns - 1)
		v->dense[FT_TRAFFIC_EDNS + __builtin_ctz(edns)]++;
	distinct_add(&v->distinct[FT_DISTINCT_CLIENTS], q->client_sketch);
	if (!q->has_name)
		return; /* no question: neither a type nor a name to count */
	count_second(t, vantage, q->t_us, q->qtype);
	distinct_add(&v->distinct[FT_DISTINCT_NAMES], q->name_sketch);
	if (q->qtype < FT_TRAFFIC_QTYPE_DENSE)
		v->dense[FT_TRAFFIC_QTYPE + q->qtype]++;
	else
		count_rare(t, row->number, vantage, FT_TRAFFIC_SPARSE_QTYPE + q->qtype);
}

static void count_response(struct tally *t, const struct tally_row *row, struct tally_view *v,
			   enum ft_vantage vantage, const struct txn *x)
{
	v->dense[FT_TRAFFIC_RESPONSES]++;
	v->dense[FT_TRAFFIC_RESPONSE_BYTES] += x->bytes;
	v->dense[FT_TRAFFIC_MALFORMED] += x->malformed;
	if (x->rcode < FT_TRAFFIC_RCODE_DENSE)
		v->dense[FT_TRAFFIC_RCODE + x->rcode]++;
	else
		count_rare(t, row->number, vantage, FT_TRAFFIC_SPARSE_RCODE + x->rcode);
	if (!x->has_query) {
		v->dense[FT_TRAFFIC_UNSOLICITED]++;
		return;
	}
	v->dense[FT_TRAFFIC_PAIRS]++;
	v->dense[FT_TRAFFIC_CLASS + x->class]++;
	v->rtt[x->rtt_bin]++;
	if (x->rtt_us > v->dense[FT_TRAFFIC_RTT_MAX])
		v->dense[FT_TRAFFIC_RTT_MAX] = x->rtt_us;
}

static void count_txn(struct tally *t, const struct txn *x)
{
	const enum ft_vantage vantage = vantage_of_txn(x);
	const uint64_t t_us = x->has_query ? x->q.t_us : x->settled_us;
	struct ft_ledger *ledger = tally_ledger(t, x->settled_us);

	ledger->c[FT_CTR_COUNTED] += (uint64_t)x->has_query + x->has_response;
	ledger->c[FT_CTR_MALFORMED] +=
	    (x->has_query && x->q.malformed) + (uint64_t)(x->has_response && x->malformed);
	if (x->has_query && t_us < t->ledger_lo_us)
		tally_held(t, FT_CTR_HELD, t_us, x->settled_us);
	if (x->has_response && x->response_us < x->settled_us)
		tally_held(t, FT_CTR_HELD, x->response_us, x->settled_us);
	struct tally_row *row = row_get(t, clock_row(t->clock, t_us));
	struct tally_view *v = &row->view[vantage];
	v->used = true;
	if (x->has_query)
		count_query(t, row, v, vantage, &x->q);
	if (x->has_response)
		count_response(t, row, v, vantage, x);
	if (x->has_query && !x->has_response) {
		v->dense[FT_TRAFFIC_UNANSWERED]++;
		v->dense[FT_TRAFFIC_CLASS + FT_CLASS_TIMEOUT]++;
	}
}

STAGE void tally_step(struct tally *t, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		count_txn(t, &txn[i]);
}

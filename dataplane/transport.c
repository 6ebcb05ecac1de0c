/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport_state.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>

struct transport_settings transport_defaults(uint64_t hash_key)
{
	/* About 2.5, 4, 5 and 1 MB. */
	return (struct transport_settings){.hash_key = hash_key,
					   .tickets = 16384,
					   .hands = 32768,
					   .flows = 16384,
					   .transfers = 2048};
}

static void emit_row(struct transport *t, struct mix_row *r)
{
	uint8_t *out =
	    tally_entry_begin(t->tally, FT_REC_TRANSPORT, r->row, FT_TRANSPORT_ENTRY_CAP);

	tally_entry_end(t->tally, ft_transport_write(r->c, out));
	*r = (struct mix_row){0};
}

uint64_t *transport_counts_of(struct transport *t, uint64_t row)
{
	struct mix_row *r = &t->row[row % TALLY_ROWS];

	return r->used && r->row == row ? r->c : NULL;
}

uint64_t *transport_counts(struct transport *t, uint64_t t_us)
{
	const uint64_t row = clock_row(t->tally->clock, t_us);
	struct mix_row *r = &t->row[row % TALLY_ROWS];

	if (r->used && r->row != row)
		emit_row(t, r);
	r->used = true;
	r->row = row;
	return r->c;
}

static bool has_counts(const struct mix_row *r)
{
	for (unsigned i = 0; i < FT_TRANSPORT_COUNTERS; i++)
		if (r->c[i] != 0)
			return true;
	return false;
}

static void close_begin(void *ctx, uint64_t row)
{
	(void)ctx;
	(void)row;
}

static bool close_step(void *ctx, uint64_t row)
{
	struct transport *t = ctx;

	for (unsigned i = 0; i < TALLY_ROWS; i++)
		if (t->row[i].used && t->row[i].row <= row) {
			if (has_counts(&t->row[i]))
				emit_row(t, &t->row[i]);
			t->row[i].used = false;
		}
	return true;
}

static bool is_whole(const struct transport *t)
{
	return t->hand != NULL && t->attempt != NULL && t->flow != NULL && t->notify != NULL &&
	       t->buf != NULL && t->ticket != NULL && t->filter[0] != NULL &&
	       t->filter[1] != NULL && t->transfer != NULL;
}

struct transport *transport_create(struct tally *tally, const struct transport_settings *settings)
{
	struct transport *t = calloc(1, sizeof(*t));
	const struct transport_settings *s = settings;

	if (t == NULL)
		return NULL;
	t->tally = tally;
	t->set = *s;
	int r = pool_init(&t->hand_at, s->hands) | pool_init(&t->attempt_at, s->hands) |
		pool_init(&t->flow_at, s->flows) | pool_init(&t->ticket_at, s->tickets) |
		pool_init(&t->transfer_at, s->transfers);
	t->hand = mem_map(s->hands * sizeof(*t->hand));
	t->attempt = mem_map(s->hands * sizeof(*t->attempt));
	t->flow = mem_map(s->flows * sizeof(*t->flow));
	t->notify = mem_map(NOTIFY_SETS * NOTIFY_WAYS * sizeof(*t->notify));
	t->buf = mem_map(HELLO_BUFS * sizeof(*t->buf));
	t->ticket = mem_map(s->tickets * sizeof(*t->ticket));
	t->filter[0] = mem_map(TICKET_FILTER_BITS / 8);
	t->filter[1] = mem_map(TICKET_FILTER_BITS / 8);
	t->transfer = mem_map(s->transfers * sizeof(*t->transfer));
	if (r != 0 || !is_whole(t)) {
		transport_destroy(t);
		errno = ENOMEM;
		return NULL;
	}
	for (t->bufs = 0; t->bufs < HELLO_BUFS; t->bufs++)
		t->buf_free[t->bufs] = (uint16_t)t->bufs;
	tally_add_part(tally, (struct tally_part){close_begin, close_step, t});
	return t;
}

void transport_destroy(struct transport *t)
{
	if (t == NULL)
		return;
	const struct transport_settings *s = &t->set;
	pool_fini(&t->hand_at);
	pool_fini(&t->attempt_at);
	pool_fini(&t->flow_at);
	pool_fini(&t->ticket_at);
	pool_fini(&t->transfer_at);
	mem_unmap(t->hand, s->hands * sizeof(*t->hand));
	mem_unmap(t->attempt, s->hands * sizeof(*t->attempt));
	mem_unmap(t->flow, s->flows * sizeof(*t->flow));
	mem_unmap(t->notify, NOTIFY_SETS * NOTIFY_WAYS * sizeof(*t->notify));
	mem_unmap(t->buf, HELLO_BUFS * sizeof(*t->buf));
	mem_unmap(t->ticket, s->tickets * sizeof(*t->ticket));
	mem_unmap(t->filter[0], TICKET_FILTER_BITS / 8);
	mem_unmap(t->filter[1], TICKET_FILTER_BITS / 8);
	mem_unmap(t->transfer, s->transfers * sizeof(*t->transfer));
	free(t);
}

/* --- keys --- */

static uint64_t end_hash(const struct transport *t, const struct addr *a, uint16_t port)
{
	return hash_mix(addr_fold(a, t->set.hash_key ^ (port + 1u) * 0x9e3779b97f4a7c15ull));
}

uint64_t transport_tuple(const struct transport *t, const struct flow *f)
{
	return hash_mix(end_hash(t, &f->src, f->sport) + end_hash(t, &f->dst, f->dport) + f->tcp);
}

uint64_t transport_pair(const struct transport *t, const struct addr *x, const struct addr *y)
{
	return hash_mix(end_hash(t, x, 0) + 2 * end_hash(t, y, 0));
}

uint8_t transport_vantage(const struct transport *t, const struct addr *client,
			  const struct addr *server)
{
	const uint8_t v = t->set.vantage != NULL ? vantage_of_addrs(t->set.vantage, client, server)
						 : FT_VANTAGE_CAP;

	return v != FT_VANTAGE_CAP ? v : FT_VANTAGE_X;
}

/* --- what comes in --- */

static void count_wire(uint64_t *c, enum ft_mix mix, const struct on_wire *o)
{
	c[FT_TRANSPORT_MIX + mix * FT_MIX_FIELDS + FT_MIX_PACKETS] += o->frames;
	c[FT_TRANSPORT_MIX + mix * FT_MIX_FIELDS + FT_MIX_BYTES] += o->bytes;
}

void transport_rest(struct transport *t, uint64_t t_us, uint32_t bytes)
{
	uint64_t *c = transport_counts(t, t_us);

	c[FT_TRANSPORT_REST]++;
	c[FT_TRANSPORT_REST_BYTES] += bytes;
}

void transport_udp(struct transport *t, const struct on_wire *o)
{
	count_wire(transport_counts(t, o->t_us), FT_MIX_udp53, o);
}

void transport_tcp(struct transport *t, const struct on_wire *o, const struct decoded *d)
{
	count_wire(transport_counts(t, o->t_us), FT_MIX_tcp53, o);
	if ((d->tcp_flags & 2) != 0) /* SYN */
		handshakes_segment(t, o, d);
}

void transport_tcp_message(struct transport *t, uint64_t t_us)
{
	transport_counts(t,
			 t_us)[FT_TRANSPORT_MIX + FT_MIX_tcp53 * FT_MIX_FIELDS + FT_MIX_MESSAGES]++;
}

/* --- messages --- */

/* Truncated, of another opcode than QUERY, over TCP, or of the types of transfers. */
static inline bool is_rare(const struct msg *m)
{
	return ((m->dns_flags & (DNS_TC | 0x7800u)) != 0) | (m->tcp != 0) |
	       ((uint16_t)(m->qtype - FT_QTYPE_IXFR) < 2);
}

STAGE void transport_look(struct transport *t, const struct msgs *b)
{
	t->rare_n = 0;
	t->has_cut = false;
	t->batch++;
	for (uint32_t i = 0; i < b->n; i++) {
		const struct msg *m = &b->m[i];
		if (!is_rare(m) || m->drop != FT_MSG_KEPT)
			continue;
		t->rare[t->rare_n++] = (uint8_t)i;
		t->has_cut |= !m->tcp && msg_is_response(m) && (m->dns_flags & DNS_TC) != 0;
	}
}

STAGE void transport_step(struct transport *t, const struct txn *txn, uint32_t n)
{
	if (t->has_cut)
		tickets_open(t, txn, n);
	if (t->set.alone && (t->any_filter[0] || t->any_filter[1]))
		tickets_asked(t, txn, n);
}

STAGE void transport_follow(struct transport *t, const struct msgs *b)
{
	t->has_cut = false; /* what expires later is not of this batch */
	if (t->ticket_at.used != 0)
		for (uint32_t i = 0; i < b->n; i++) {
			const struct msg *m = &b->m[i];
			if (m->drop == FT_MSG_KEPT && tickets_has_name(t, m->name_key))
				tickets_message(t, m);
		}
	for (uint32_t i = 0; i < t->rare_n; i++) {
		const struct msg *m = &b->m[t->rare[i]];
		const uint8_t opcode = msg_opcode(m);
		if (m->tcp && !msg_is_response(m) && t->ticket_at.used != 0)
			handshakes_asked(t, m);
		if (opcode == 4 && !msg_is_response(m)) /* NOTIFY, RFC 1996 */
			crypt_notify(t, m);
		else if (opcode == 0)
			transfers_message(t, b, m);
	}
	t->rare_n = 0;
}

void transport_expire(struct transport *t, uint64_t now_us, bool all)
{
	tickets_expire(t, now_us, all);
	crypt_expire(t, now_us, all);
	transfers_expire(t, now_us, all);
}

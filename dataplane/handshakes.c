/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP handshakes on ports of DNS: connections, and classes of TCP Fast Open (RFC 7413). */
#include "hello.h"
#include "transport_state.h"

#define REUSE_US 60000000u    /* a SYN that is older is another connection's */
#define BLACKHOLE_US 3000000u /* a SYN that comes again without the option */

/* What is pushed out counts as lost while its server may still answer. */
static uint32_t hand_make(struct transport *t, uint64_t key, uint64_t now_us)
{
	if (pool_is_full(&t->hand_at)) {
		const uint32_t old = pool_oldest(&t->hand_at, 0);
		const struct hand *h = &t->hand[old];
		if ((h->flags & HAND_COUNTED) == 0 && now_us - h->syn_us < BLACKHOLE_US)
			transport_counts(t, now_us)[FT_TRANSPORT_LOST_FLOWS]++;
		pool_drop(&t->hand_at, old);
	}
	const uint32_t i = pool_make(&t->hand_at, key);
	t->hand[i] = (struct hand){0};
	return i;
}

static void attempt_make(struct transport *t, const struct decoded *d, uint64_t t_us, uint64_t hand)
{
	if (pool_is_full(&t->attempt_at))
		pool_drop(&t->attempt_at, pool_oldest(&t->attempt_at, 0));
	const uint32_t i = pool_make(&t->attempt_at, transport_pair(t, &d->flow.src, &d->flow.dst));
	t->attempt[i] = (struct attempt){t_us, hand};
}

static enum hello_tfo tfo_of(const struct decoded *d)
{
	return hello_tfo(d->data - d->tcp_options, d->tcp_options);
}

/* The SYN again, but without the option: somebody on the way does not like it. */
static void put_again(struct transport *t, const struct on_wire *o, const struct decoded *d,
		      struct hand *h)
{
	uint64_t *c;

	if ((h->flags & HAND_TFO) == 0 || h->class == FT_TFO_BLACKHOLE ||
	    o->t_us - h->syn_us > BLACKHOLE_US || tfo_of(d) != HELLO_TFO_NONE)
		return;
	if ((h->flags & HAND_COUNTED) != 0) {
		c = transport_counts_of(t, h->row);
		if (c == NULL || c[FT_TRANSPORT_TFO + h->class] == 0)
			return; /* that interval is over */
		c[FT_TRANSPORT_TFO + h->class]--;
	} else {
		c = transport_counts(t, o->t_us);
	}
	c[FT_TRANSPORT_TFO + FT_TFO_BLACKHOLE]++;
	h->class = FT_TFO_BLACKHOLE;
}

static void put_syn(struct transport *t, const struct on_wire *o, const struct decoded *d)
{
	const uint64_t key = transport_tuple(t, &d->flow);
	uint32_t i = pool_find(&t->hand_at, key);

	if (i != POOL_NONE) {
		struct hand *h = &t->hand[i];
		if ((h->flags & HAND_SYN) != 0 && h->isn == d->tcp_seq &&
		    o->t_us - h->syn_us < REUSE_US) {
			put_again(t, o, d, h);
			return;
		}
		pool_touch(&t->hand_at, i, 0);
	} else {
		i = hand_make(t, key, o->t_us);
	}
	const enum hello_tfo tfo = tfo_of(d);
	t->hand[i] = (struct hand){
	    .syn_us = o->t_us, .isn = d->tcp_seq, .syn_len = (uint16_t)d->len, .flags = HAND_SYN};
	if (tfo != HELLO_TFO_NONE)
		t->hand[i].flags |= HAND_TFO;
	if (tfo == HELLO_TFO_COOKIE && d->len != 0)
		t->hand[i].flags |= HAND_DATA;
	attempt_make(t, d, o->t_us, key);
}

static enum ft_tfo class_of(const struct hand *h, const struct decoded *d)
{
	const bool granted = tfo_of(d) == HELLO_TFO_COOKIE;

	if ((h->flags & HAND_TFO) == 0)
		return FT_TFO_NONE;
	if ((h->flags & HAND_DATA) == 0)
		return granted ? FT_TFO_REQ_GRANTED : FT_TFO_REQ;
	if (d->tcp_ack - h->isn > 1) /* octets behind the SYN, too */
		return FT_TFO_DATA_ACCEPTED;
	return granted ? FT_TFO_DATA_REJECTED_NEWCOOKIE : FT_TFO_DATA_REJECTED;
}

static void put_syn_ack(struct transport *t, const struct on_wire *o, const struct decoded *d)
{
	const uint64_t key = transport_tuple(t, &d->flow);
	uint32_t i = pool_find(&t->hand_at, key);

	if (i != POOL_NONE && (t->hand[i].flags & HAND_SYN) == 0 && t->hand[i].isn != d->tcp_seq)
		t->hand[i] = (struct hand){0}; /* the ports' next connection */
	if (i == POOL_NONE)
		i = hand_make(t, key, o->t_us);
	struct hand *h = &t->hand[i];
	if ((h->flags & HAND_COUNTED) != 0)
		return;
	uint64_t *c = transport_counts(t, o->t_us);
	h->row = clock_row(t->tally->clock, o->t_us);
	h->flags |= HAND_COUNTED;
	c[FT_TRANSPORT_MIX + FT_MIX_tcp53 * FT_MIX_FIELDS + FT_MIX_CONNECTIONS]++;
	if ((h->flags & HAND_SYN) == 0) {
		h->isn = d->tcp_seq;
	} else if (h->class != FT_TFO_BLACKHOLE) {
		h->class = (uint8_t)class_of(h, d);
		c[FT_TRANSPORT_TFO + h->class]++;
	}
}

void handshakes_segment(struct transport *t, const struct on_wire *o, const struct decoded *d)
{
	if ((d->tcp_flags & 16) != 0) /* ACK */
		put_syn_ack(t, o, d);
	else
		put_syn(t, o, d);
}

void handshakes_asked(struct transport *t, const struct msg *m)
{
	const struct flow f = {.src = m->src,
			       .dst = m->dst,
			       .sport = m->sport,
			       .dport = m->dport,
			       .v6 = m->v6,
			       .tcp = 1};
	const uint32_t i = pool_find(&t->hand_at, transport_tuple(t, &f));

	if (i != POOL_NONE)
		t->hand[i].flags |= HAND_ASKED;
}

uint64_t handshakes_fruitless(const struct transport *t, uint64_t pair, uint64_t from_us,
			      uint64_t to_us)
{
	uint64_t first = 0;
	uint32_t i = pool_find(&t->attempt_at, pair);

	/* Newest first; bounded, for who floods a server with SYNs. */
	for (unsigned n = 0; i != POOL_NONE && n < 64; i = pool_next(&t->attempt_at, i), n++) {
		const struct attempt *a = &t->attempt[i];
		if (a->t_us < from_us)
			break;
		const uint32_t at = pool_find(&t->hand_at, a->hand);
		const bool asked = at != POOL_NONE && t->hand[at].syn_us == a->t_us &&
				   (t->hand[at].flags & HAND_ASKED) != 0;
		if (a->t_us <= to_us && !asked)
			first = a->t_us;
	}
	return first;
}

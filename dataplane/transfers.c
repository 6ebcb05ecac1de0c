/* SPDX-License-Identifier: BSD-3-Clause */
/* Zone transfers (RFC 5936, RFC 1995): from the question for one to the last SOA of its
 * answer, however many messages that takes. */
#include "cursor.h"
#include "name.h"
#include "transport_state.h"

#define IDLE_US 30000000u /* a transfer that does not go on for longer was broken off */
#define HEADER_BYTES 12u
#define RR_FIXED_BYTES 10u

enum { TYPE_SOA = 6, TYPE_TSIG = 250, RCODE_REFUSED = 5, RCODE_NOTAUTH = 9 };

/* What is expected next in the answer. */
enum state {
	STATE_FIRST,  /* the SOA that it begins with */
	STATE_SECOND, /* what tells a difference from a whole zone */
	STATE_FULL,   /* records, up to the SOA */
	STATE_DEL,    /* of a difference: what is removed, up to an SOA */
	STATE_ADD,    /* what is added, up to an SOA: the last one, or another difference's */
	STATE_DONE
};

struct wire_rr {
	uint16_t type;
	uint32_t serial; /* of an SOA */
	bool has_serial;
};

static uint64_t transfer_key(const struct transport *t, const struct msg *m)
{
	const struct flow f = {.src = m->src,
			       .dst = m->dst,
			       .sport = m->sport,
			       .dport = m->dport,
			       .v6 = m->v6,
			       .tcp = m->tcp};

	return hash_mix(transport_tuple(t, &f) + m->id);
}

/* Reads the record at *off, which moves behind it. */
static bool read_rr(const struct msg *m, uint32_t *off, struct wire_rr *rr)
{
	const uint32_t fixed = name_end(m->data, *off, m->len);

	if (fixed == 0 || m->len - fixed < RR_FIXED_BYTES)
		return false;
	const uint32_t rdata = fixed + RR_FIXED_BYTES, rdlen = load_u16_be(m->data + fixed + 8);
	if (rdlen > m->len - rdata)
		return false;
	*rr = (struct wire_rr){.type = load_u16_be(m->data + fixed)};
	*off = rdata + rdlen;
	if (rr->type != TYPE_SOA)
		return true;
	uint32_t at = name_end(m->data, rdata, *off);
	at = at != 0 ? name_end(m->data, at, *off) : 0;
	if (at != 0 && *off - at >= 20) {
		rr->serial = load_u32_be(m->data + at);
		rr->has_serial = true;
	}
	return true;
}

/* The offset behind the questions; 0: they are damaged. */
static uint32_t behind_questions(const struct msg *m)
{
	uint32_t off = HEADER_BYTES;

	for (uint32_t n = load_u16_be(m->data + 4); n != 0; n--) {
		off = name_end(m->data, off, m->len);
		if (off == 0 || m->len - off < 4)
			return 0;
		off += 4;
	}
	return off;
}

/* --- the end of one --- */

static void transfer_close(struct transport *t, uint32_t i, uint64_t at_us)
{
	const struct transfer *x = &t->transfer[i];
	struct ft_transfer_rec r = {
	    .vantage = x->vantage,
	    .style = x->style,
	    .ixfr = x->ixfr,
	    .udp = x->udp,
	    .tsig = x->tsig,
	    .has_from = x->has_from,
	    .has_to = x->has_to,
	    .begin_us = x->begin_ts_us,
	    .dur_us = x->last_ts_us - x->begin_ts_us,
	    .messages = x->messages,
	    .rrs = x->rrs,
	    .bytes = x->bytes,
	    .from = x->from,
	    .to = x->to,
	    .rcode = x->rcode,
	    .zone_len = x->zone_len,
	};

	memcpy(r.client, &x->client, sizeof(r.client));
	memcpy(r.server, &x->server, sizeof(r.server));
	memcpy(r.zone, x->zone, x->zone_len);
	uint8_t *out = tally_entry_begin(t->tally, FT_REC_TRANSFER,
					 clock_row(t->tally->clock, at_us), FT_TRANSPORT_ENTRY_CAP);
	tally_entry_end(t->tally, ft_transfer_write(&r, out));
	pool_drop(&t->transfer_at, i);
}

/* --- the question --- */

static void read_question(const struct msg *m, struct transfer *x)
{
	const uint32_t answers = load_u16_be(m->data + 6), authority = load_u16_be(m->data + 8);
	const uint32_t all = answers + authority + load_u16_be(m->data + 10);
	uint32_t off = behind_questions(m);
	struct wire_rr rr;

	for (uint32_t n = 0; off != 0 && n < all && read_rr(m, &off, &rr); n++) {
		if (x->ixfr && n >= answers && n < answers + authority && rr.has_serial) {
			x->has_from = true;
			x->from = rr.serial;
		}
		x->tsig |= n >= answers + authority && rr.type == TYPE_TSIG;
	}
}

static void begin(struct transport *t, const struct msgs *b, const struct msg *m)
{
	const uint64_t key = transfer_key(t, m);
	uint32_t i = pool_find(&t->transfer_at, key);

	if (i != POOL_NONE && t->transfer[i].messages == 0)
		return; /* asked again over UDP */
	if (i != POOL_NONE)
		transfer_close(t, i, m->t_us); /* another one, with its id, before its end */
	if (pool_is_full(&t->transfer_at)) {
		transfer_close(t, pool_oldest(&t->transfer_at, 0), m->t_us);
		transport_counts(t, m->t_us)[FT_TRANSPORT_LOST_TRANSFERS]++;
	}
	i = pool_make(&t->transfer_at, key);
	struct transfer *x = &t->transfer[i];
	*x = (struct transfer){.client = m->src,
			       .server = m->dst,
			       .begin_ts_us = m->ts_us,
			       .last_us = m->t_us,
			       .last_ts_us = m->ts_us,
			       .state = STATE_FIRST,
			       .style = FT_STYLE_failed,
			       .vantage = transport_vantage(t, &m->src, &m->dst),
			       .ixfr = m->qtype == FT_QTYPE_IXFR,
			       .udp = !m->tcp,
			       .zone_len = m->name_len};
	memcpy(x->zone, b->names + m->name_off, m->name_len);
	read_question(m, x);
}

/* --- the answer --- */

/* An SOA where a difference ends: the answer's end, or what the next one removes. */
static void take_edge(struct transfer *x, const struct wire_rr *rr)
{
	if (rr->has_serial && x->has_to && rr->serial == x->to)
		x->state = STATE_DONE;
	else
		x->state = STATE_DEL;
}

static void take_second(struct transfer *x, const struct wire_rr *rr)
{
	const bool soa = rr->type == TYPE_SOA;

	x->style = FT_STYLE_full;
	x->state = soa ? STATE_DONE : STATE_FULL; /* a zone of nothing but its SOA */
	if (!x->ixfr || !soa || (rr->has_serial && rr->serial == x->to))
		return;
	x->style = FT_STYLE_diff;
	x->state = STATE_DEL;
}

static void take_rr(struct transfer *x, const struct wire_rr *rr)
{
	x->rrs++;
	switch ((enum state)x->state) {
	case STATE_FIRST:
		x->has_to = rr->has_serial;
		x->to = rr->serial;
		x->state = STATE_SECOND;
		break;
	case STATE_SECOND: take_second(x, rr); break;
	case STATE_FULL:
		if (rr->type == TYPE_SOA)
			x->state = STATE_DONE;
		break;
	case STATE_DEL:
		if (rr->type == TYPE_SOA)
			x->state = STATE_ADD;
		break;
	case STATE_ADD:
		if (rr->type == TYPE_SOA)
			take_edge(x, rr);
		break;
	case STATE_DONE: break;
	}
}

/* One SOA alone: the client has that serial already, or (over UDP) all else was too long. */
static void take_lonely(struct transfer *x)
{
	const bool newer = x->has_from && x->has_to && (int32_t)(x->to - x->from) > 0;

	if (newer && !x->udp)
		return; /* the rest comes in messages of its own */
	x->style = newer ? FT_STYLE_overflow : FT_STYLE_uptodate;
	x->state = STATE_DONE;
}

static void take_answer(const struct msg *m, struct transfer *x)
{
	const uint32_t answers = load_u16_be(m->data + 6);
	const uint32_t all = answers + load_u16_be(m->data + 8) + load_u16_be(m->data + 10);
	uint32_t off = behind_questions(m), n;
	struct wire_rr rr;

	for (n = 0; off != 0 && n < all && read_rr(m, &off, &rr); n++) {
		if (n < answers)
			take_rr(x, &rr);
		else
			x->tsig |= rr.type == TYPE_TSIG;
	}
	if (m->rcode != 0) {
		x->rcode = (uint8_t)(m->rcode < UINT8_MAX ? m->rcode : UINT8_MAX);
		x->style = m->rcode == RCODE_REFUSED   ? FT_STYLE_refused
			   : m->rcode == RCODE_NOTAUTH ? FT_STYLE_notauth
						       : FT_STYLE_failed;
		x->has_to = false;
		x->state = STATE_DONE;
	} else if (answers == 0 || x->rrs == 0) {
		x->state = STATE_DONE; /* no data: the server does not do it */
	} else if (x->state == STATE_SECOND && x->ixfr) {
		take_lonely(x);
	} else if (x->udp && x->state != STATE_DONE) {
		x->style = FT_STYLE_overflow; /* TC=1 */
		x->state = STATE_DONE;
	}
}

static void go_on(struct transport *t, const struct msg *m)
{
	const uint32_t i = pool_find(&t->transfer_at, transfer_key(t, m));

	if (i == POOL_NONE ||
	    (m->name_len != 0 && m->qtype != FT_QTYPE_IXFR && m->qtype != FT_QTYPE_AXFR))
		return;
	struct transfer *x = &t->transfer[i];
	x->messages++;
	x->bytes += m->len;
	x->last_us = m->t_us > x->last_us ? m->t_us : x->last_us;
	x->last_ts_us = m->ts_us > x->last_ts_us ? m->ts_us : x->last_ts_us;
	pool_touch(&t->transfer_at, i, 0);
	take_answer(m, x);
	if (x->state == STATE_DONE)
		transfer_close(t, i, m->t_us);
}

void transfers_message(struct transport *t, const struct msgs *b, const struct msg *m)
{
	const bool asks =
	    m->name_len != 0 && (m->qtype == FT_QTYPE_AXFR || m->qtype == FT_QTYPE_IXFR);

	if (msg_is_response(m)) {
		if (t->transfer_at.used != 0)
			go_on(t, m);
	} else if (asks) {
		begin(t, b, m);
	}
}

void transfers_expire(struct transport *t, uint64_t now_us, bool all)
{
	uint32_t i;

	while ((i = pool_oldest(&t->transfer_at, 0)) != POOL_NONE) {
		const uint64_t due_us = t->transfer[i].last_us + IDLE_US;
		if (!all && due_us > now_us)
			break;
		if (t->transfer[i].style == FT_STYLE_full || t->transfer[i].style == FT_STYLE_diff)
			t->transfer[i].style = FT_STYLE_failed; /* without its end */
		transfer_close(t, i, due_us < now_us ? due_us : now_us);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Encrypted connections, by their headers: DNS over TLS, QUIC and HTTPS, and zone transfers
 * over TLS (RFC 9103), which show by a NOTIFY before and by what they weigh. */
#include "hello.h"
#include "transport_state.h"

#define IDLE_US 60000000u  /* a connection that was silent for longer is forgotten */
#define LINGER_US 2000000u /* after its end, for the last acknowledgements */
#define NOTIFY_US 60000000u
#define XOT_BYTES 4096u
#define XOT_RATIO 10u
#define FAR (1 << 24) /* no receive window is as large */

enum { PORT_DOT = 853, PORT_DOQ_OLD = 784, PORT_DOQ_OLDER = 8853, PORT_HTTPS = 443 };
enum { CLIENT, SERVER };
enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* --- NOTIFY --- */

static struct notify *notify_set(struct transport *t, uint64_t key)
{
	return &t->notify[(key >> 32) % NOTIFY_SETS * NOTIFY_WAYS];
}

void crypt_notify(struct transport *t, const struct msg *m)
{
	const uint64_t key = transport_pair(t, &m->dst, &m->src) | 1;
	struct notify *set = notify_set(t, key), *n = set;

	for (unsigned i = 0; i < NOTIFY_WAYS; i++) {
		if (set[i].key == key) {
			n = &set[i];
			break;
		}
		if (set[i].t_us[0] < n->t_us[0])
			n = &set[i];
	}
	if (n->key != key)
		*n = (struct notify){.key = key};
	memmove(&n->t_us[1], &n->t_us[0], sizeof(n->t_us) - sizeof(n->t_us[0]));
	n->t_us[0] = m->ts_us;
}

/* The last one before the connection was begun; 0: none within a minute. */
static uint64_t notify_before(struct transport *t, const struct crypt_flow *f)
{
	const uint64_t key = transport_pair(t, &f->client, &f->server) | 1;
	const struct notify *set = notify_set(t, key);

	for (unsigned i = 0; i < NOTIFY_WAYS; i++)
		for (unsigned k = 0; set[i].key == key && k < NOTIFY_TIMES; k++)
			if (set[i].t_us[k] != 0 && set[i].t_us[k] <= f->syn_ts_us)
				return f->syn_ts_us - set[i].t_us[k] <= NOTIFY_US ? set[i].t_us[k]
										  : 0;
	return 0;
}

/* In a later batch than the SYN's, so that what came in the same one has been read. */
static void look_for_notify(struct transport *t, struct crypt_flow *f)
{
	if (f->mix != FT_MIX_dot || (f->flags & FLOW_ASKED) != 0 || f->syn_us == 0)
		return;
	f->flags |= FLOW_ASKED;
	f->notify_us = notify_before(t, f);
}

/* --- buffers for hellos that come in pieces --- */

static void buf_put_back(struct transport *t, struct flow_side *s)
{
	if (s->buf != 0)
		t->buf_free[t->bufs++] = (uint16_t)(s->buf - 1);
	s->buf = 0;
}

/* --- flows --- */

static void emit_xot(struct transport *t, const struct crypt_flow *f, uint64_t row)
{
	struct ft_xot_rec r = {.vantage = transport_vantage(t, &f->client, &f->server),
			       .begin_us = f->syn_ts_us,
			       .dur_us = f->last_ts_us - f->syn_ts_us,
			       .after_us = f->syn_ts_us - f->notify_us,
			       .out = f->side[CLIENT].octets,
			       .in = f->side[SERVER].octets};

	memcpy(r.client, &f->client, sizeof(r.client));
	memcpy(r.server, &f->server, sizeof(r.server));
	uint8_t *out = tally_entry_begin(t->tally, FT_REC_TRANSFER, row, FT_TRANSPORT_ENTRY_CAP);
	tally_entry_end(t->tally, ft_xot_write(&r, out));
}

static bool is_xot(const struct crypt_flow *f)
{
	return f->mix == FT_MIX_dot && (f->flags & FLOW_KNOWN) != 0 &&
	       (f->flags & FLOW_TLS13) != 0 && f->notify_us != 0 &&
	       f->side[SERVER].octets >= XOT_BYTES &&
	       f->side[SERVER].octets >= XOT_RATIO * f->side[CLIENT].octets;
}

/* It ended, or was idle, at at_us. */
static void flow_close(struct transport *t, uint32_t i, uint64_t at_us)
{
	struct crypt_flow *f = &t->flow[i];

	look_for_notify(t, f);
	if (is_xot(f))
		emit_xot(t, f, clock_row(t->tally->clock, at_us));
	buf_put_back(t, &f->side[CLIENT]);
	buf_put_back(t, &f->side[SERVER]);
	pool_drop(&t->flow_at, i);
}

static uint32_t flow_make(struct transport *t, uint64_t key, uint64_t now_us)
{
	if (pool_is_full(&t->flow_at)) {
		uint32_t old = pool_oldest(&t->flow_at, 1);
		if (old == POOL_NONE)
			old = pool_oldest(&t->flow_at, 0);
		flow_close(t, old, now_us);
		transport_counts(t, now_us)[FT_TRANSPORT_LOST_FLOWS]++;
	}
	const uint32_t i = pool_make(&t->flow_at, key);
	t->flow[i] = (struct crypt_flow){0};
	return i;
}

static void add_known(struct transport *t, unsigned mix, uint64_t t_us, const struct pending *p)
{
	uint64_t *c = transport_counts(t, t_us) + FT_TRANSPORT_MIX + mix * FT_MIX_FIELDS;

	c[FT_MIX_PACKETS] += p->packets;
	c[FT_MIX_BYTES] += p->bytes;
	c[FT_MIX_CONNECTIONS] += p->connections;
}

/* Packets are counted where they belong, or wait until it is known what the flow is. */
static void count(struct transport *t, struct crypt_flow *f, const struct on_wire *o,
		  bool connection)
{
	const uint64_t row = clock_row(t->tally->clock, o->t_us);
	const struct pending one = {row, o->frames, o->bytes, connection};

	if ((f->flags & FLOW_KNOWN) != 0) {
		add_known(t, f->mix, o->t_us, &one);
		return;
	}
	struct pending *p = &f->pending[f->pending[0].packets != 0 && f->pending[0].row != row];
	p->row = p->packets == 0 || p->row < row ? row : p->row;
	p->packets += one.packets;
	p->bytes += one.bytes;
	p->connections += one.connections;
}

static void know(struct transport *t, struct crypt_flow *f, uint64_t t_us)
{
	const struct evclock *clock = t->tally->clock;

	f->flags |= FLOW_KNOWN;
	for (unsigned i = 0; i < 2; i++) {
		struct pending *p = &f->pending[i];
		if (p->packets == 0)
			continue;
		const uint64_t then_us = p->row * clock->interval_us;
		add_known(t, f->mix, clock_row_closed(clock, p->row) ? t_us : then_us, p);
		*p = (struct pending){0};
	}
}

/* --- TLS --- */

/* Octets that are new in this direction, whatever came twice or in another order. */
static void count_octets(struct flow_side *s, const struct decoded *d)
{
	const uint32_t begin = d->tcp_seq + ((d->tcp_flags & SYN) != 0), end = begin + d->whole_len;

	if ((s->flags & SIDE_BEGUN) == 0 || (d->tcp_flags & SYN) != 0) {
		if ((s->flags & SIDE_BEGUN) == 0)
			s->next = begin;
		s->flags |= SIDE_BEGUN;
	}
	const int32_t fresh = (int32_t)(end - s->next);
	if (d->whole_len != 0 && fresh > 0 && fresh <= FAR) {
		s->octets += (uint32_t)fresh;
		s->next = end;
	}
	if ((d->tcp_flags & FIN) != 0 && s->next == end) /* it has a number, too */
		s->next++;
}

/* What one side says first; pieces of it are put together. */
static void read_hello(struct transport *t, struct flow_side *s, const struct decoded *d,
		       struct hello *h)
{
	const uint8_t *data = d->data;
	uint32_t len = d->len;

	if (s->buf != 0) {
		const unsigned b = s->buf - 1u;
		const uint32_t room = HELLO_BUF_BYTES - t->buf_len[b];
		const uint32_t n = len < room ? len : room;
		memcpy(t->buf[b] + t->buf_len[b], data, n);
		t->buf_len[b] = (uint16_t)(t->buf_len[b] + n);
		data = t->buf[b];
		len = t->buf_len[b];
	}
	hello_read(data, len, h);
	if (h->kind == HELLO_NONE || h->whole || len >= HELLO_BUF_BYTES ||
	    (s->buf == 0 && t->bufs == 0)) {
		s->flags |= SIDE_TOLD;
		return;
	}
	if (s->buf == 0) {
		s->buf = (uint16_t)(t->buf_free[--t->bufs] + 1);
		t->buf_len[s->buf - 1] = (uint16_t)len;
		memcpy(t->buf[s->buf - 1], data, len);
	}
}

/* False: it is not what its port is for. */
static bool told_by_client(struct transport *t, struct crypt_flow *f, const struct hello *h,
			   uint64_t t_us)
{
	const bool told = (f->side[CLIENT].flags & SIDE_TOLD) != 0;

	if (h->kind == HELLO_CLIENT && f->mix == FT_MIX_dot)
		know(t, f, t_us);
	else if (h->kind == HELLO_CLIENT && doh_has_name(t->set.doh, h->name, h->name_len))
		know(t, f, t_us);
	else if (h->kind == HELLO_NONE || told)
		return false;
	return true;
}

/* A piece of payload that comes in order. False: the flow is of no interest. */
static bool take_payload(struct transport *t, struct crypt_flow *f, unsigned from,
			 const struct decoded *d, uint64_t t_us)
{
	struct flow_side *s = &f->side[from];
	struct hello h;

	if (d->len == 0 || (s->flags & SIDE_TOLD) != 0 ||
	    (from == SERVER && f->mix != FT_MIX_dot) ||
	    (from == CLIENT && (f->flags & FLOW_KNOWN) != 0))
		return true;
	if ((s->flags & SIDE_BEGUN) != 0 && (int32_t)(d->tcp_seq - s->next) != 0)
		return true; /* again, or too early */
	read_hello(t, s, d, &h);
	const bool good = from == SERVER || told_by_client(t, f, &h, t_us);
	if (from == SERVER && h.kind == HELLO_SERVER && h.tls13) {
		f->flags |= FLOW_TLS13;
		s->flags |= SIDE_TOLD;
	}
	if ((s->flags & SIDE_TOLD) != 0 || (from == CLIENT && (f->flags & FLOW_KNOWN) != 0))
		buf_put_back(t, s);
	return good;
}

/* --- packets --- */

/* The end that serves, and what it could serve; FT_MIX_CAP: nothing of ours. */
static unsigned mix_of(const struct transport *t, const struct flow *f, bool *from_server,
		       bool *known)
{
	*known = false;
	for (unsigned side = 0; side < 2; side++) {
		const uint16_t port = side == 0 ? f->dport : f->sport;
		*from_server = side == 1;
		if (port == PORT_DOT)
			return f->tcp ? FT_MIX_dot : FT_MIX_doq;
		if (!f->tcp && (port == PORT_DOQ_OLD || port == PORT_DOQ_OLDER))
			return FT_MIX_doq;
		if (port != PORT_HTTPS)
			continue;
		*known = doh_has_addr(t->set.doh, side == 0 ? &f->dst : &f->src);
		if (*known || (f->tcp && t->set.doh != NULL && t->set.doh->names != 0))
			return FT_MIX_doh;
	}
	return FT_MIX_CAP;
}

/* May this packet begin a flow? */
static bool begins(const struct decoded *d, bool known, bool from_server)
{
	struct hello h;

	if (known)
		return true;
	if (!d->flow.tcp)
		return hello_is_quic(d->data, d->len);
	if ((d->tcp_flags & RST) != 0)
		return false;
	if ((d->tcp_flags & SYN) != 0)
		return true;
	hello_read(d->data, d->len, &h);
	return !from_server && h.kind == HELLO_CLIENT;
}

static void note_end(struct transport *t, uint32_t i, struct crypt_flow *f, unsigned from,
		     uint8_t flags)
{
	if ((flags & FIN) != 0)
		f->side[from].flags |= SIDE_ENDED;
	if ((flags & RST) != 0 || (f->side[CLIENT].flags & f->side[SERVER].flags & SIDE_ENDED) != 0)
		f->flags |= FLOW_CLOSED;
	pool_touch(&t->flow_at, i, (f->flags & FLOW_CLOSED) != 0);
}

static void put_tcp(struct transport *t, const struct on_wire *o, const struct decoded *d,
		    uint32_t i, unsigned from)
{
	struct crypt_flow *f = &t->flow[i];
	const bool syn = (d->tcp_flags & SYN) != 0, ack = (d->tcp_flags & ACK) != 0;
	const bool connection = syn && ack && (f->flags & FLOW_COUNTED) == 0;

	if (syn && !ack && f->syn_us == 0) {
		f->syn_us = o->t_us;
		f->syn_ts_us = o->ts_us;
		f->syn_batch = t->batch;
	}
	if (connection)
		f->flags |= FLOW_COUNTED;
	if (f->syn_batch != t->batch)
		look_for_notify(t, f);
	count(t, f, o, connection);
	const bool good = take_payload(t, f, from, d, o->t_us);
	count_octets(&f->side[from], d);
	note_end(t, i, f, from, d->tcp_flags);
	if (!good) {
		f->notify_us = 0;
		flow_close(t, i, o->t_us);
	}
}

static void put_udp(struct transport *t, const struct on_wire *o, const struct decoded *d,
		    uint32_t i)
{
	struct crypt_flow *f = &t->flow[i];
	const bool first = (f->flags & FLOW_COUNTED) == 0 && hello_is_quic(d->data, d->len);

	if (first)
		f->flags |= FLOW_COUNTED;
	f->flags |= FLOW_KNOWN;
	count(t, f, o, first);
	pool_touch(&t->flow_at, i, 0);
}

/* A SYN with other numbers: the ports have a new connection. */
static bool is_anew(const struct crypt_flow *f, unsigned from, const struct decoded *d)
{
	return d->flow.tcp && (d->tcp_flags & (SYN | ACK)) == SYN &&
	       ((f->flags & FLOW_CLOSED) != 0 ||
		((f->side[from].flags & SIDE_BEGUN) != 0 && f->side[from].octets != 0));
}

enum ft_pkt_drop transport_crypt(struct transport *t, const struct on_wire *o,
				 const struct decoded *d)
{
	const uint64_t key = transport_tuple(t, &d->flow);
	bool from_server, listed;
	const unsigned mix = mix_of(t, &d->flow, &from_server, &listed);

	if (mix == FT_MIX_CAP)
		return FT_PKT_NOT_DNS;
	const enum ft_pkt_drop none =
	    mix == FT_MIX_doh && !listed ? FT_PKT_NOT_DNS : FT_PKT_ENCRYPTED;
	uint32_t i = pool_find(&t->flow_at, key);
	const unsigned from = from_server ? SERVER : CLIENT;
	if (i != POOL_NONE && is_anew(&t->flow[i], from, d)) {
		flow_close(t, i, o->t_us);
		i = POOL_NONE;
	}
	if (i == POOL_NONE) {
		if (!begins(d, listed, from_server))
			return none;
		i = flow_make(t, key, o->t_us);
		t->flow[i].mix = (uint8_t)mix;
		t->flow[i].client = from_server ? d->flow.dst : d->flow.src;
		t->flow[i].server = from_server ? d->flow.src : d->flow.dst;
		t->flow[i].flags = listed ? FLOW_KNOWN : 0;
	}
	struct crypt_flow *f = &t->flow[i];
	f->last_us = o->t_us > f->last_us ? o->t_us : f->last_us;
	f->last_ts_us = o->ts_us > f->last_ts_us ? o->ts_us : f->last_ts_us;
	if (!d->flow.tcp) {
		put_udp(t, o, d, i);
		return FT_PKT_ENCRYPTED;
	}
	put_tcp(t, o, d, i, from);
	return (f->flags & FLOW_KNOWN) != 0 ? FT_PKT_ENCRYPTED : none;
}

void crypt_expire(struct transport *t, uint64_t now_us, bool all)
{
	static const uint64_t wait_us[POOL_LISTS] = {IDLE_US, LINGER_US};
	uint32_t i;

	for (unsigned list = 0; list < POOL_LISTS; list++)
		while ((i = pool_oldest(&t->flow_at, list)) != POOL_NONE) {
			const uint64_t due_us = t->flow[i].last_us + wait_us[list];
			if (!all && due_us > now_us)
				break;
			flow_close(t, i, due_us < now_us ? due_us : now_us);
		}
}

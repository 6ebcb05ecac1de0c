/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenes over TCP: handshake, pipelining, messages cut, repeated and reordered in every way, and
 * the end. */
#include "gen_state.h"

#include <stdlib.h>
#include <string.h>

enum {
	MESSAGES_MOST = 4,
	STREAM_CAP = 65536 + 4096,
	CHUNK_MOST = 1388, /* with all headers and options an IP packet below 1,500 octets */
	PORT_FIRST = 1024,
	PORTS = 0x8000 - PORT_FIRST, /* UDP has the upper half */
	HOP_US = 5000,
	GAP_US = 40,
	RESEND_US = 1500,
	IDLE_US = 400000,
};

/* How a stream becomes segments. */
enum cut {
	CUT_EACH,    /* a message, a segment */
	CUT_NONE,    /* all messages together */
	CUT_HALF,    /* two segments for a message */
	CUT_PREFIX,  /* the length's first octet alone */
	CUT_TWICE,   /* each segment comes again */
	CUT_OVERLAP, /* the second segment repeats the first */
	CUT_REORDER, /* the second half comes first */
	CUT_OCTETS,  /* segments of a few octets */
};

struct variant {
	enum cut query_cut, reply_cut;
	uint8_t queries;
	bool is_swapped;   /* replies in reverse order */
	bool is_large;     /* replies of many segments */
	bool is_silent;    /* the last query has no reply */
	bool is_reset;     /* RST instead of FIN */
	bool has_syn_data; /* TCP fast open: queries in the SYN */
	bool is_resent;    /* ... which the server did not take, so that they come again */
	bool is_stateful;  /* DSO */
};

static const struct variant variants[] = {
    {CUT_EACH, CUT_EACH, .queries = 1},
    {CUT_EACH, CUT_EACH, .queries = 3, .is_swapped = true},
    {CUT_NONE, CUT_NONE, .queries = 4},
    {CUT_HALF, CUT_HALF, .queries = 2},
    {CUT_PREFIX, CUT_PREFIX, .queries = 1},
    {CUT_TWICE, CUT_TWICE, .queries = 2},
    {CUT_EACH, CUT_REORDER, .queries = 1, .is_large = true},
    {CUT_REORDER, CUT_REORDER, .queries = 2},
    {CUT_EACH, CUT_EACH, .queries = 1, .is_large = true},
    {CUT_EACH, CUT_EACH, .queries = 2, .is_silent = true},
    {CUT_EACH, CUT_EACH, .queries = 1, .is_silent = true, .is_reset = true},
    {CUT_OVERLAP, CUT_OVERLAP, .queries = 2},
    {CUT_NONE, CUT_EACH, .queries = 3, .is_reset = true},
    {CUT_NONE, CUT_EACH, .queries = 1, .has_syn_data = true},
    {CUT_NONE, CUT_EACH, .queries = 2, .has_syn_data = true, .is_resent = true},
    {CUT_OCTETS, CUT_OCTETS, .queries = 1},
    {CUT_EACH, CUT_EACH, .queries = 1, .is_stateful = true},
    {CUT_NONE, CUT_NONE, .queries = 4, .is_swapped = true, .is_silent = true},
};

/* One direction: what is to be sent, where its messages end, what has come through. */
struct stream {
	uint8_t octets[STREAM_CAP];
	bool is_sent[STREAM_CAP];
	uint32_t len, through; /* all before `through` has been sent */
	uint32_t isn;
	uint32_t end[MESSAGES_MOST];
	uint64_t whole_us[MESSAGES_MOST];
	unsigned messages;
};

struct conn {
	struct ft_gen *g;
	struct gen_path path;
	uint64_t now_us;
	uint32_t clock;
	bool has_timestamps;
	bool is_finished[2];
	struct stream stream[2]; /* by direction */
};

static struct conn *conn_create(struct ft_gen *g, const struct gen_path *path, uint64_t ts_us)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		g->is_short_of_memory = true;
		return NULL;
	}
	c->g = g;
	c->path = *path;
	c->path.is_tcp = true;
	c->path.client_port = (uint16_t)(PORT_FIRST + g->connections % PORTS);
	c->has_timestamps = g->connections % 2;
	c->clock = (uint32_t)gen_rng_next(&g->rng) | 1 << 20;
	c->now_us = ts_us;
	for (unsigned dir = 0; dir < 2; dir++)
		c->stream[dir].isn = (uint32_t)gen_rng_next(&g->rng);
	if (g->connections % 4 == 3) /* sequence numbers that pass zero on the way */
		c->stream[g->connections / 4 % 2].isn = UINT32_MAX - 20;
	g->connections++;
	return c;
}

static void send_segment(struct conn *c, enum gen_dir dir, uint8_t flags, uint32_t off,
			 uint32_t len)
{
	const struct stream *s = &c->stream[dir], *back = &c->stream[!dir];
	struct gen_segment segment = {
	    .seq = s->isn + (flags & GEN_SYN ? 0 : 1 + off),
	    .ack = back->isn + 1 + back->through + c->is_finished[!dir],
	    .flags = flags,
	    .has_timestamps = c->has_timestamps,
	    .clock = c->clock++,
	};

	gen_frame_tcp(c->g, &c->path, dir, c->now_us, &segment, s->octets + off, len);
}

static void mark_sent(struct stream *s, uint32_t off, uint32_t len, uint64_t now_us)
{
	uint32_t was = s->through;

	memset(s->is_sent + off, true, len);
	while (s->through < s->len && s->is_sent[s->through])
		s->through++;
	for (unsigned i = 0; i < s->messages; i++)
		if (s->end[i] > was && s->end[i] <= s->through)
			s->whole_us[i] = now_us;
}

static void send_range(struct conn *c, enum gen_dir dir, uint32_t begin, uint32_t end)
{
	while (begin < end) {
		uint32_t len = end - begin < CHUNK_MOST ? end - begin : CHUNK_MOST;

		c->now_us += GAP_US;
		send_segment(c, dir, GEN_ACK | GEN_PSH, begin, len);
		mark_sent(&c->stream[dir], begin, len, c->now_us);
		begin += len;
	}
}

static void send_message(struct conn *c, enum gen_dir dir, enum cut cut, uint32_t begin,
			 uint32_t end)
{
	uint32_t middle = cut == CUT_PREFIX ? begin + 1 : begin + (end - begin) / 2;

	switch (cut) {
	case CUT_HALF:
	case CUT_PREFIX:
		send_range(c, dir, begin, middle);
		send_range(c, dir, middle, end);
		break;
	case CUT_TWICE:
		send_range(c, dir, begin, end);
		c->now_us += RESEND_US;
		send_range(c, dir, begin, end);
		break;
	case CUT_OVERLAP:
		send_range(c, dir, begin, middle);
		c->now_us += RESEND_US;
		send_range(c, dir, begin, end);
		break;
	case CUT_REORDER:
		send_range(c, dir, middle, end);
		send_range(c, dir, begin, middle);
		break;
	case CUT_OCTETS:
		for (uint32_t step = 1; begin < end; begin += step, step = step % 7 + 1)
			send_range(c, dir, begin, begin + step < end ? begin + step : end);
		break;
	case CUT_EACH:
	case CUT_NONE:
	default: send_range(c, dir, begin, end); break;
	}
}

static void send_stream(struct conn *c, enum gen_dir dir, enum cut cut)
{
	struct stream *s = &c->stream[dir];
	uint32_t begin = 0;

	if (cut == CUT_NONE)
		send_range(c, dir, 0, s->len);
	for (unsigned i = 0; i < s->messages && cut != CUT_NONE; i++) {
		send_message(c, dir, cut, begin, s->end[i]);
		begin = s->end[i];
	}
	c->now_us += GAP_US;
	send_segment(c, !dir, GEN_ACK, c->stream[!dir].through, 0);
}

/* Gives the writer the room behind a length of two octets. */
static struct gen_buf open_message(struct stream *s)
{
	return (struct gen_buf){s->octets + s->len + 2, 0};
}

static void close_message(struct conn *c, struct stream *s, const struct gen_buf *b)
{
	s->octets[s->len] = (uint8_t)(b->len >> 8);
	s->octets[s->len + 1] = (uint8_t)b->len;
	s->len += 2 + b->len;
	s->end[s->messages++] = s->len;
	c->g->totals->dns_messages++;
}

static void open_conn(struct conn *c, const struct variant *v)
{
	struct stream *up = &c->stream[GEN_TO_SERVER];
	uint32_t early = v->has_syn_data ? up->len : 0;

	send_segment(c, GEN_TO_SERVER, GEN_SYN, 0, early);
	if (early)
		mark_sent(up, 0, early, c->now_us);
	c->now_us += HOP_US;
	if (v->is_resent) { /* the server acknowledges the SYN alone */
		up->through = 0;
		send_segment(c, GEN_TO_CLIENT, GEN_SYN | GEN_ACK, 0, 0);
		up->through = early;
	} else {
		send_segment(c, GEN_TO_CLIENT, GEN_SYN | GEN_ACK, 0, 0);
	}
	c->now_us += HOP_US;
	send_segment(c, GEN_TO_SERVER, GEN_ACK, v->is_resent ? 0 : early, 0);
	if (v->is_resent)
		send_range(c, GEN_TO_SERVER, 0, early);
	else if (!early)
		return;
	c->now_us += GAP_US;
	send_segment(c, GEN_TO_CLIENT, GEN_ACK, 0, 0);
}

static void close_conn(struct conn *c, bool is_reset)
{
	uint32_t up = c->stream[GEN_TO_SERVER].through, down = c->stream[GEN_TO_CLIENT].through;

	c->now_us += HOP_US;
	if (is_reset) {
		send_segment(c, GEN_TO_CLIENT, GEN_RST | GEN_ACK, down, 0);
		return;
	}
	send_segment(c, GEN_TO_SERVER, GEN_FIN | GEN_ACK, up, 0);
	c->is_finished[GEN_TO_SERVER] = true;
	c->now_us += GAP_US;
	send_segment(c, GEN_TO_CLIENT, GEN_FIN | GEN_ACK, down, 0);
	c->is_finished[GEN_TO_CLIENT] = true;
	c->now_us += HOP_US;
	send_segment(c, GEN_TO_SERVER, GEN_ACK, up + 1, 0);
}

/* Composes all replies in the order in which they go, sends them and books what has come of each
 * query. */
static void answer(struct conn *c, const struct variant *v, struct gen_ask *asks,
		   struct gen_reply *replies)
{
	struct stream *up = &c->stream[GEN_TO_SERVER], *down = &c->stream[GEN_TO_CLIENT];
	unsigned answered = v->queries - (v->is_silent ? 1U : 0U);

	for (unsigned i = 0; i < answered; i++) {
		unsigned k = v->is_swapped ? answered - 1 - i : i;
		struct gen_buf b = open_message(down);

		replies[k].ts_us = c->now_us;
		replies[k].has_opt = asks[k].has_opt;
		gen_msg_write_reply(&b, &asks[k], &replies[k]);
		close_message(c, down, &b);
	}
	if (answered > 0)
		send_stream(c, GEN_TO_CLIENT, v->reply_cut);
	for (unsigned k = 0; k < v->queries; k++) {
		asks[k].ts_us = up->whole_us[k];
		if (k >= answered) {
			gen_truth_timeout(&c->g->books, &asks[k]);
			continue;
		}
		replies[k].ts_us = down->whole_us[v->is_swapped ? answered - 1 - k : k];
		gen_truth_pair(&c->g->books, &asks[k], &replies[k]);
	}
}

static void play(struct conn *c, const struct variant *v, struct gen_ask *asks,
		 struct gen_reply *replies)
{
	struct stream *up = &c->stream[GEN_TO_SERVER];

	for (unsigned k = 0; k < v->queries; k++) {
		struct gen_buf b = open_message(up);

		asks[k].path = c->path;
		asks[k].ts_us = c->now_us;
		gen_msg_write_query(&b, &asks[k]);
		close_message(c, up, &b);
	}
	open_conn(c, v);
	if (!v->has_syn_data)
		send_stream(c, GEN_TO_SERVER, v->query_cut);
	c->now_us += gen_rng_rtt_us(&c->g->rng);
	answer(c, v, asks, replies);
	if (v->is_silent)
		c->now_us += IDLE_US;
	close_conn(c, v->is_reset);
}

/* RFC 8490: a message without a question; the answer is a header, now and then an error. */
static void make_stateful(struct gen_ask *ask, struct gen_reply *reply, uint64_t turn)
{
	ask->opcode = GEN_DSO;
	ask->has_question = false;
	ask->has_opt = false;
	ask->is_do = false;
	ask->options = 0;
	ask->rd = false;
	ask->ad = false;
	ask->cd = false;
	memset(reply, 0, sizeof(*reply));
	reply->rcode = turn / (sizeof(variants) / sizeof(variants[0])) % 2 ? 11 : 0;
}

void gen_zoo_tcp(struct ft_gen *g, uint64_t ts_us, uint64_t turn)
{
	const struct variant *v = &variants[turn % (sizeof(variants) / sizeof(variants[0]))];
	struct gen_ask asks[MESSAGES_MOST];
	struct gen_reply replies[MESSAGES_MOST];
	struct conn *c;

	for (unsigned k = 0; k < v->queries; k++) {
		gen_zoo_begin(g, &asks[k], &replies[k], ts_us);
		replies[k].shape = asks[k].answer_h % 3 ? GEN_SHAPE_DATA : GEN_SHAPE_NEGATIVE;
		replies[k].rcode = asks[k].answer_h % 6 ? 0 : 3;
		if (v->is_large) {
			asks[k].qtype = GEN_DNSKEY;
			replies[k].rcode = 0;
			replies[k].shape = GEN_SHAPE_DATA;
			replies[k].least_bytes =
			    turn % 5 == 4 ? 64000 : 2500 + gen_rng_below(&g->rng, 6000);
		}
		if (v->is_stateful)
			make_stateful(&asks[k], &replies[k], turn);
	}
	c = conn_create(g, &asks[0].path, ts_us);
	if (!c)
		return;
	play(c, v, asks, replies);
	free(c);
}

void gen_zoo_tcp_pair(struct ft_gen *g, struct gen_ask *ask, struct gen_reply *reply, uint64_t turn)
{
	static const struct variant ways[] = {{CUT_EACH, CUT_EACH, .queries = 1},
					      {CUT_PREFIX, CUT_HALF, .queries = 1},
					      {CUT_REORDER, CUT_TWICE, .queries = 1}};
	struct conn *c = conn_create(g, &ask->path, ask->ts_us);

	if (!c)
		return;
	play(c, &ways[turn % (sizeof(ways) / sizeof(*ways))], ask, reply);
	free(c);
}

void gen_zoo_tcp_retry(struct ft_gen *g, const struct gen_ask *ask, uint64_t ts_us)
{
	struct gen_ask again = *ask;
	struct gen_reply reply = {.shape = GEN_SHAPE_DATA, .ra = ask->rd, .aa = !ask->rd};
	struct conn *c = conn_create(g, &ask->path, ts_us);

	if (!c)
		return;
	gen_ask_renew(g, &again);
	play(c, &variants[0], &again, &reply);
	free(c);
}

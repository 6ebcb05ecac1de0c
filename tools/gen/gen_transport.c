/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `transport`: TCP handshakes of each Fast Open class, truncated answers and what their
 * clients do then, zone transfers of each style, DNS over TLS, QUIC and HTTPS, transfers over
 * TLS. A client for each scene, so that none is taken for another's. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 1380, /* of a TCP segment */
	GAP_US = 30,
	HALF_RTT_US = 8000,
	DOT = 853,
	HTTPS = 443,
	TLS_HELLO = 240,
	STYLES = 5,
	RRS_MOST = 700, /* of a message */
};

struct gen_transport {
	struct ft_gen_carry book;
	size_t room[2];
	uint8_t message[2 + GEN_MSG_CAP];
	uint64_t packets, bytes; /* of the totals when the books were written last */
};

struct conn {
	struct ft_gen *g;
	struct gen_path path;
	uint32_t seq[2]; /* by enum gen_dir */
	uint64_t at_us;
	uint64_t sent[2];
	unsigned mix;
};

/* --- books --- */

/* All frames since the last call belong to that transport; FT_GEN_MIXES: to none. */
static void book_frames(struct ft_gen *g, unsigned mix)
{
	struct gen_transport *s = g->transport;

	if (mix < FT_GEN_MIXES) {
		s->book.mix[mix].packets += g->totals->packets - s->packets;
		s->book.mix[mix].bytes += g->totals->bytes - s->bytes;
	}
	s->packets = g->totals->packets;
	s->bytes = g->totals->bytes;
}

static bool make_room(struct ft_gen *g, void **v, size_t n, size_t *room, size_t bytes)
{
	const size_t more = *room != 0 ? *room * 2 : 64;

	if (n < *room)
		return true;
	void *p = realloc(*v, more * bytes);
	if (p == NULL) {
		g->is_short_of_memory = true;
		return false;
	}
	*v = p;
	*room = more;
	return true;
}

static void address_text(const struct gen_addr *a, char out[16])
{
	(void)snprintf(out, 16, "%u.%u.%u.%u", a->b[0], a->b[1], a->b[2], a->b[3]);
}

/* --- connections --- */

static struct conn conn_make(struct ft_gen *g, uint64_t at_us, uint8_t server, uint16_t port,
			     unsigned mix)
{
	struct conn c = {.g = g, .at_us = at_us, .mix = mix};

	memcpy(
	    c.path.client.b,
	    (const uint8_t[4]){10, (uint8_t)(g->at >> 16), (uint8_t)(g->at >> 8), (uint8_t)g->at},
	    4);
	memcpy(c.path.server.b, (const uint8_t[4]){192, 0, 2, server}, 4);
	c.path.client_port = (uint16_t)(1024 + g->connections++ % 60000);
	c.path.server_port = port;
	c.path.mtu = GEN_MTU;
	c.path.is_tcp = true;
	c.seq[0] = (uint32_t)gen_rng_next(&g->rng);
	c.seq[1] = (uint32_t)gen_rng_next(&g->rng);
	return c;
}

static void segment(struct conn *c, enum gen_dir dir, uint8_t flags, const uint8_t *data,
		    uint32_t len)
{
	const struct gen_segment s = {.seq = c->seq[dir], .ack = c->seq[!dir], .flags = flags};

	gen_frame_tcp(c->g, &c->path, dir, c->at_us, &s, data, len);
	c->seq[dir] += len + (flags & (GEN_SYN | GEN_FIN) ? 1 : 0);
	c->sent[dir] += len;
	c->at_us += GAP_US;
}

static void syn(struct conn *c, const uint8_t *option, uint8_t option_len, const uint8_t *data,
		uint32_t len)
{
	const struct gen_segment s = {.seq = c->seq[GEN_TO_SERVER],
				      .flags = GEN_SYN,
				      .option = option,
				      .option_len = option_len};

	gen_frame_tcp(c->g, &c->path, GEN_TO_SERVER, c->at_us, &s, data, len);
	c->at_us += HALF_RTT_US;
}

/* `taken`: octets of the SYN that it acknowledges. */
static void syn_ack(struct conn *c, const uint8_t *option, uint8_t option_len, uint32_t taken)
{
	c->seq[GEN_TO_SERVER] += 1 + taken;
	const struct gen_segment s = {.seq = c->seq[GEN_TO_CLIENT],
				      .ack = c->seq[GEN_TO_SERVER],
				      .flags = GEN_SYN | GEN_ACK,
				      .option = option,
				      .option_len = option_len};

	gen_frame_tcp(c->g, &c->path, GEN_TO_CLIENT, c->at_us, &s, NULL, 0);
	c->seq[GEN_TO_CLIENT]++;
	c->sent[GEN_TO_SERVER] += taken;
	c->at_us += HALF_RTT_US;
	segment(c, GEN_TO_SERVER, GEN_ACK, NULL, 0);
	if (c->mix < FT_GEN_MIXES)
		c->g->transport->book.mix[c->mix].connections++;
}

static void conn_open(struct conn *c)
{
	syn(c, NULL, 0, NULL, 0);
	syn_ack(c, NULL, 0, 0);
	if (c->mix == FT_GEN_TCP53)
		c->g->transport->book.tfo[FT_GEN_TFO_NONE]++;
}

static void conn_send(struct conn *c, enum gen_dir dir, const uint8_t *data, uint32_t len)
{
	while (len != 0) {
		const uint32_t n = len < CHUNK ? len : CHUNK;
		segment(c, dir, GEN_ACK | GEN_PSH, data, n);
		data += n;
		len -= n;
	}
	c->at_us += HALF_RTT_US;
}

static uint64_t conn_close(struct conn *c)
{
	segment(c, GEN_TO_SERVER, GEN_FIN | GEN_ACK, NULL, 0);
	segment(c, GEN_TO_CLIENT, GEN_FIN | GEN_ACK, NULL, 0);
	segment(c, GEN_TO_SERVER, GEN_ACK, NULL, 0);
	book_frames(c->g, c->mix);
	return c->at_us - GAP_US;
}

/* --- messages --- */

enum { QR_AA = 0x8400, TC = 0x0200, NOTIFY = 0x2400 };

/* What follows a message's length. */
static struct gen_buf message(struct ft_gen *g, uint16_t flags, uint16_t qtype)
{
	struct gen_buf b = {g->transport->message + 2, 0};
	struct gen_name name;
	char text[64];

	(void)snprintf(text, sizeof(text), "z%llu.example.", (unsigned long long)g->at);
	gen_name_text(&name, text);
	gen_buf_u16(&b, (uint16_t)(g->at + 1));
	gen_buf_u16(&b, flags);
	gen_buf_u16(&b, 1);
	gen_buf_u16(&b, 0);
	gen_buf_u32(&b, 0);
	gen_buf_octets(&b, name.wire, name.len);
	gen_buf_u16(&b, qtype);
	gen_buf_u16(&b, 1);
	return b;
}

static void set_count(struct gen_buf *b, unsigned section, uint32_t n)
{
	struct gen_buf at = {b->p, 4 + 2 * section};

	gen_buf_u16(&at, (uint16_t)n);
}

static void put_address(struct gen_buf *b, uint32_t address)
{
	const uint32_t begin = gen_rr_begin(b, GEN_POINTER | 12, GEN_A, 1, 300);

	gen_buf_u32(b, address);
	gen_rr_end(b, begin);
}

static void put_soa(struct gen_buf *b, uint32_t serial)
{
	const uint32_t begin = gen_rr_begin(b, GEN_POINTER | 12, GEN_SOA, 1, 300);

	gen_buf_u16(b, GEN_POINTER | 12);
	gen_buf_u16(b, GEN_POINTER | 12);
	gen_buf_u32(b, serial);
	for (unsigned i = 0; i < 4; i++)
		gen_buf_u32(b, 3600);
	gen_rr_end(b, begin);
}

static void put_opt(struct gen_buf *b, uint16_t bufsize)
{
	gen_buf_u8(b, 0);
	gen_buf_u16(b, GEN_OPT);
	gen_buf_u16(b, bufsize);
	gen_buf_u32(b, 0);
	gen_buf_u16(b, 0);
	set_count(b, 3, 1);
}

static void send_udp(struct ft_gen *g, struct gen_path *path, enum gen_dir dir, uint64_t at_us,
		     const struct gen_buf *b)
{
	path->is_tcp = false;
	memcpy(g->l4 + GEN_UDP_HEADER, b->p, b->len);
	(void)gen_frame_udp(g, path, dir, at_us, b->len);
	book_frames(g, FT_GEN_UDP53);
	g->transport->book.mix[FT_GEN_UDP53].messages++;
}

/* A message with its length, over TCP. */
static void send_tcp(struct conn *c, enum gen_dir dir, const struct gen_buf *b)
{
	struct gen_buf len = {b->p - 2, 0};

	gen_buf_u16(&len, (uint16_t)b->len);
	conn_send(c, dir, b->p - 2, b->len + 2);
	c->g->transport->book.mix[FT_GEN_TCP53].messages++;
}

static void ask_tcp(struct conn *c)
{
	const struct gen_buf b = message(c->g, 0, GEN_A);

	send_tcp(c, GEN_TO_SERVER, &b);
}

static void answer_tcp(struct conn *c)
{
	struct gen_buf b = message(c->g, QR_AA, GEN_A);

	put_address(&b, 1);
	set_count(&b, 1, 1);
	send_tcp(c, GEN_TO_CLIENT, &b);
}

/* --- scenes: Fast Open --- */

static const uint8_t request[] = {34, 2},
		     cookie[] = {34, 10, 'c', 'o', 'o', 'k', 'i', 'e', 's', '!'};

static void scene_fast_open(struct ft_gen *g, uint64_t at_us, enum ft_gen_tfo tfo)
{
	struct conn c = conn_make(g, at_us, 1, GEN_DNS_PORT, FT_GEN_TCP53);
	const bool asks = tfo == FT_GEN_TFO_REQ || tfo == FT_GEN_TFO_REQ_GRANTED;
	const bool grants =
	    tfo == FT_GEN_TFO_REQ_GRANTED || tfo == FT_GEN_TFO_DATA_REJECTED_NEWCOOKIE;
	const bool taken = tfo == FT_GEN_TFO_DATA_ACCEPTED;
	struct gen_buf b = message(g, 0, GEN_A), len = {b.p - 2, 0};
	const uint32_t n = b.len + 2;

	gen_buf_u16(&len, (uint16_t)b.len);
	if (tfo == FT_GEN_TFO_NONE)
		syn(&c, NULL, 0, NULL, 0);
	else if (asks)
		syn(&c, request, sizeof(request), NULL, 0);
	else
		syn(&c, cookie, sizeof(cookie), b.p - 2, n);
	if (tfo == FT_GEN_TFO_BLACKHOLE) {
		c.at_us += 1000000;
		syn(&c, NULL, 0, NULL, 0);
	}
	syn_ack(&c, grants ? cookie : NULL, grants ? sizeof(cookie) : 0, taken ? n : 0);
	g->transport->book.tfo[tfo]++;
	if (taken)
		g->transport->book.mix[FT_GEN_TCP53].messages++;
	else
		ask_tcp(&c);
	answer_tcp(&c);
	(void)conn_close(&c);
}

/* --- scenes: truncated answers --- */

static struct conn truncated(struct ft_gen *g, uint64_t at_us)
{
	struct conn c = conn_make(g, at_us, 2, GEN_DNS_PORT, FT_GEN_TCP53);
	struct gen_buf b = message(g, 0, GEN_A);

	put_opt(&b, 1232);
	send_udp(g, &c.path, GEN_TO_SERVER, at_us, &b);
	b = message(g, QR_AA | TC, GEN_A);
	send_udp(g, &c.path, GEN_TO_CLIENT, at_us + 2 * HALF_RTT_US, &b);
	g->transport->book.tc_responses++;
	c.path.client_port++;
	c.path.is_tcp = true;
	c.at_us = at_us + 3 * HALF_RTT_US;
	return c;
}

static void scene_cut(struct ft_gen *g, uint64_t at_us, enum ft_gen_cut cut, uint64_t turn)
{
	struct conn c = truncated(g, at_us);
	struct ft_gen_carry *book = &g->transport->book;
	struct gen_buf b;

	book->tc[cut]++;
	switch (cut) {
	case FT_GEN_CUT_TCP_OK:
	case FT_GEN_CUT_TCP_FAIL:
		if (cut == FT_GEN_CUT_TCP_FAIL && turn % 2 == 0) { /* nobody there */
			syn(&c, NULL, 0, NULL, 0);
			book_frames(g, FT_GEN_TCP53);
			return;
		}
		conn_open(&c);
		ask_tcp(&c);
		if (cut == FT_GEN_CUT_TCP_OK) {
			book->tc_latency_us += c.at_us - at_us;
			answer_tcp(&c);
		}
		(void)conn_close(&c);
		return;
	case FT_GEN_CUT_UDP_RETRY:
		b = message(g, 0, GEN_A);
		put_opt(&b, 4096);
		break;
	case FT_GEN_CUT_OTHER_SERVER:
		c.path.server.b[3]++;
		b = message(g, 0, GEN_A);
		put_opt(&b, 1232);
		break;
	default: return;
	}
	send_udp(g, &c.path, GEN_TO_SERVER, c.at_us, &b);
	b = message(g, QR_AA, GEN_A);
	send_udp(g, &c.path, GEN_TO_CLIENT, c.at_us + HALF_RTT_US, &b);
}

/* --- scenes: transfers --- */

static const char *const styles[STYLES] = {"full", "diff", "uptodate", "refused", "notauth"};

/* A message of n records, the first and the last of which may be SOAs. */
static void send_part(struct conn *c, struct ft_gen_transfer *x, uint16_t qtype, uint32_t n,
		      const uint32_t *soa, uint32_t soas)
{
	struct gen_buf b = message(c->g, QR_AA, qtype);

	for (uint32_t i = 0; i < soas; i++)
		put_soa(&b, soa[i]);
	for (uint32_t i = 0; i < n; i++)
		put_address(&b, i);
	set_count(&b, 1, soas + n);
	x->messages++;
	x->rrs += soas + n;
	x->bytes += b.len;
	send_tcp(c, GEN_TO_CLIENT, &b);
}

static void send_zone(struct conn *c, struct ft_gen_transfer *x, uint16_t qtype, unsigned style,
		      uint64_t turn)
{
	struct gen_rng *r = &c->g->rng;
	const uint32_t from = x->serial_from, to = x->serial_to, steps[] = {to, from};
	const uint32_t parts = turn % 40 == 0 ? 120 : gen_rng_below(r, 6);
	struct gen_buf b;

	switch (style) {
	case 0: /* an SOA, records, an SOA */
		send_part(c, x, qtype, 1 + gen_rng_below(r, RRS_MOST), &to, 1);
		for (uint32_t i = 0; i < parts; i++)
			send_part(c, x, qtype, 1 + gen_rng_below(r, RRS_MOST), NULL, 0);
		send_part(c, x, qtype, 0, &to, 1);
		break;
	case 1: /* what goes, and what comes */
		send_part(c, x, qtype, 1 + gen_rng_below(r, 50), steps, 2);
		send_part(c, x, qtype, 1 + gen_rng_below(r, 50), &to, 1);
		send_part(c, x, qtype, 0, &to, 1);
		break;
	case 2: send_part(c, x, qtype, 0, &to, 1); break;
	default:
		b = message(c->g, (uint16_t)(QR_AA | (style == 3 ? 5 : 9)), qtype);
		x->messages++;
		x->bytes += b.len;
		send_tcp(c, GEN_TO_CLIENT, &b);
		break;
	}
}

static void scene_transfer(struct ft_gen *g, uint64_t at_us, bool ixfr, uint64_t turn)
{
	struct gen_transport *s = g->transport;
	const unsigned n = (unsigned)(turn % 20), style = ixfr        ? n % STYLES
							  : n % 4 < 2 ? 0
								      : 3 + n % 2;
	const uint16_t qtype = ixfr ? GEN_IXFR : GEN_AXFR;
	struct conn c = conn_make(g, at_us, 3, GEN_DNS_PORT, FT_GEN_TCP53);
	void *v = s->book.transfer;

	if (!make_room(g, &v, s->book.transfers, &s->room[0], sizeof(*s->book.transfer)))
		return;
	s->book.transfer = v;
	struct ft_gen_transfer *x = &s->book.transfer[s->book.transfers++];
	*x = (struct ft_gen_transfer){.type = ixfr ? "IXFR" : "AXFR",
				      .style = styles[style],
				      .has_from = ixfr,
				      .has_to = style < 3,
				      .serial_from = (uint32_t)(g->at + 1000)};
	x->serial_to = x->serial_from + (style != 2);
	address_text(&c.path.client, x->client);
	(void)snprintf(x->zone, sizeof(x->zone), "z%llu.example.", (unsigned long long)g->at);
	conn_open(&c);
	struct gen_buf b = message(g, 0, qtype);
	if (ixfr) {
		put_soa(&b, x->serial_from);
		set_count(&b, 2, 1);
	}
	x->dur_us = c.at_us;
	send_tcp(&c, GEN_TO_SERVER, &b);
	send_zone(&c, x, qtype, style, turn);
	x->dur_us = c.at_us - HALF_RTT_US - GAP_US - x->dur_us;
	(void)conn_close(&c);
}

/* --- scenes: encrypted --- */

/* A hello with one extension, in a record of TLS_HELLO octets. */
static void write_hello(uint8_t *p, bool server)
{
	struct gen_buf b = {p, 0};

	memset(p, 0, TLS_HELLO);
	gen_buf_u8(&b, 22);
	gen_buf_u16(&b, 0x0303);
	gen_buf_u16(&b, TLS_HELLO - 5);
	gen_buf_u32(&b, (server ? 2u : 1u) << 24 | (TLS_HELLO - 9));
	gen_buf_u16(&b, 0x0303);
	b.len += 32; /* random */
	gen_buf_u8(&b, 0);
	if (!server)
		gen_buf_u16(&b, 2);
	gen_buf_u16(&b, 0x1301);
	if (!server)
		gen_buf_u8(&b, 1);
	gen_buf_u8(&b, 0);
	gen_buf_u16(&b, (uint16_t)(TLS_HELLO - b.len - 2));
	if (server) {
		gen_buf_u16(&b, 43);
		gen_buf_u16(&b, 2);
		gen_buf_u16(&b, 0x0304);
	}
	gen_buf_u16(&b, 21); /* padding */
	gen_buf_u16(&b, (uint16_t)(TLS_HELLO - b.len - 2));
}

static uint64_t tls(struct conn *c, uint32_t asked, uint32_t answered)
{
	uint8_t hello[TLS_HELLO];

	conn_open(c);
	write_hello(hello, false);
	conn_send(c, GEN_TO_SERVER, hello, sizeof(hello));
	write_hello(hello, true);
	conn_send(c, GEN_TO_CLIENT, hello, sizeof(hello));
	memset(c->g->transport->message, 0x17, sizeof(c->g->transport->message));
	conn_send(c, GEN_TO_SERVER, c->g->transport->message, asked);
	conn_send(c, GEN_TO_CLIENT, c->g->transport->message, answered);
	return conn_close(c);
}

static void scene_dot(struct ft_gen *g, uint64_t at_us)
{
	struct conn c = conn_make(g, at_us, 4, DOT, FT_GEN_DOT);

	(void)tls(&c, 300, 300 + gen_rng_below(&g->rng, 2000));
}

static void scene_doh(struct ft_gen *g, uint64_t at_us, bool listed)
{
	struct conn c =
	    conn_make(g, at_us, listed ? 53 : 80, HTTPS, listed ? FT_GEN_DOH : FT_GEN_MIXES);

	(void)tls(&c, 400, 500 + gen_rng_below(&g->rng, 20000));
}

static void scene_doq(struct ft_gen *g, uint64_t at_us)
{
	struct conn c = conn_make(g, at_us, 5, DOT, FT_GEN_DOQ);
	const uint32_t n = 2 + gen_rng_below(&g->rng, 6);

	c.path.is_tcp = false;
	for (uint32_t i = 0; i < n; i++) {
		struct gen_buf b = {g->l4 + GEN_UDP_HEADER, 0};
		gen_buf_u8(&b, i < 2 ? 0xc3 : 0x43);
		gen_buf_u32(&b, 1);
		gen_buf_u8(&b, 8);
		memset(b.p + b.len, 0x5a, 1200 - b.len);
		(void)gen_frame_udp(g, &c.path, i % 2 == 0 ? GEN_TO_SERVER : GEN_TO_CLIENT,
				    at_us + i * HALF_RTT_US, i < 2 ? 1200 : 100);
	}
	book_frames(g, FT_GEN_DOQ);
	g->transport->book.mix[FT_GEN_DOQ].connections++;
}

/* Zone transfers over TLS; and what lacks something to be one. */
static void scene_xot(struct ft_gen *g, uint64_t at_us, uint64_t turn)
{
	struct gen_transport *s = g->transport;
	struct conn c =
	    conn_make(g, at_us + 500000 + gen_rng_below(&g->rng, 3000000), 6, DOT, FT_GEN_DOT);
	const uint64_t begin_us = c.at_us;
	const uint32_t size = turn % 4 == 2 ? 3000 : 40000 + gen_rng_below(&g->rng, 20000);
	void *v = s->book.xot;

	if (turn % 4 != 1) { /* without a NOTIFY it is but a long answer */
		struct gen_path path = c.path;
		path.server_port = 5300; /* the secondary listens at 53 */
		path.client_port = GEN_DNS_PORT;
		const struct gen_buf b = message(g, NOTIFY, GEN_SOA);
		send_udp(g, &path, GEN_TO_CLIENT, at_us, &b);
	}
	const uint64_t end_us = tls(&c, 200, size);
	if (turn % 4 == 1 || turn % 4 == 2 ||
	    !make_room(g, &v, s->book.xots, &s->room[1], sizeof(*s->book.xot)))
		return;
	s->book.xot = v;
	struct ft_gen_xot *x = &s->book.xot[s->book.xots++];
	*x = (struct ft_gen_xot){.out = c.sent[GEN_TO_SERVER],
				 .in = c.sent[GEN_TO_CLIENT],
				 .dur_us = end_us - begin_us,
				 .after_us = begin_us - at_us};
	address_text(&c.path.client, x->client);
}

/* --- the scenario --- */

void gen_transport_step(struct ft_gen *g, uint64_t ts_us)
{
	enum { FAST = FT_GEN_TFOS, CUT = FAST + FT_GEN_CUTS, SCENES = CUT + 7 };
	const unsigned scene = (unsigned)(g->at % SCENES);
	const uint64_t turn = g->at / SCENES;

	if (scene < FAST)
		scene_fast_open(g, ts_us, (enum ft_gen_tfo)scene);
	else if (scene < CUT)
		scene_cut(g, ts_us, (enum ft_gen_cut)(scene - FAST), turn);
	else if (scene < CUT + 2)
		scene_transfer(g, ts_us, scene != CUT, turn);
	else if (scene == CUT + 2)
		scene_dot(g, ts_us);
	else if (scene == CUT + 3)
		scene_doq(g, ts_us);
	else if (scene == CUT + 4)
		scene_xot(g, ts_us, turn);
	else
		scene_doh(g, ts_us, scene == CUT + 5);
}

int gen_transport_init(struct ft_gen *g)
{
	g->transport = calloc(1, sizeof(*g->transport));
	return g->transport != NULL ? 0 : -ENOMEM;
}

void gen_transport_fini(struct ft_gen *g)
{
	if (g->transport == NULL)
		return;
	free(g->transport->book.transfer);
	free(g->transport->book.xot);
	free(g->transport);
}

void gen_transport_close(struct ft_gen *g, struct ft_gen_truth *truth)
{
	if (g->transport != NULL)
		truth->transport = &g->transport->book;
}

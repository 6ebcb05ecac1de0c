/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `transport`: what DNS is carried over, TCP Fast Open, what came of truncated answers; and
 * each zone transfer, in the clear or over TLS.
 *
 * An interval's record waits until five seconds behind it are closed, too, where truncated
 * answers may still have sent a client to another server. */
#include "../../dataplane/name_text.h"
#include "../../dataplane/sketch.h"
#include "../envelope.h"
#include "cuts.h"
#include "rows.h"
#include "server.h"
#include "stat.h"

#include <fluxtap/rec_server.h>
#include <fluxtap/rec_transport.h>

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRANSFERS_CAP 32768u /* of an interval: 14 MB */
#define WAIT_S (FT_CUT_WAIT_US / 1000000u)
#define JOIN_ROWS (WAIT_S + 2u)

#define TEXT_OF(n) #n,
static const char *const mix_texts[] = {FT_MIXES(TEXT_OF)};
static const char *const tfo_texts[] = {FT_TFOS(TEXT_OF)};
static const char *const cut_texts[] = {FT_CUTS(TEXT_OF)};
static const char *const style_texts[] = {FT_STYLES(TEXT_OF)};

struct row {
	struct stat_row head;
	uint64_t c[FT_TRANSPORT_COUNTERS];
	uint64_t packets, bytes, messages; /* of the ledger */
	struct cuts cuts;
	struct ft_transfer_rec *transfer;
	struct ft_xot_rec *xot;
	size_t transfers, transfer_room, xots, xot_room;
	uint64_t lost; /* transfers */
	bool closed;
	uint64_t start_s, end_s, loss_ppm;
};

struct transport {
	const struct stat_run *run;
	struct stat_row *rows;
	uint64_t *bins; /* [DD_BINS], of the interval at hand */
};

static void *transport_create(const struct stat_run *run)
{
	struct transport *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->bins = calloc(DD_BINS, sizeof(*s->bins));
	if (s->bins == NULL) {
		free(s);
		return NULL;
	}
	dd_init();
	return s;
}

static void row_free(struct row *r)
{
	cuts_fini(&r->cuts);
	free(r->transfer);
	free(r->xot);
	free(r);
}

static void transport_destroy(void *stat)
{
	struct transport *s = stat;

	if (s == NULL)
		return;
	while (s->rows != NULL)
		row_free(rows_pop(&s->rows));
	free(s->bins);
	free(s);
}

/* --- records that come in --- */

static int append(void **v, size_t *n, size_t *room, size_t bytes, const void *one)
{
	if (*n == *room) {
		const size_t more = *room != 0 ? 2 * *room : 16;
		void *p = realloc(*v, more * bytes);
		if (p == NULL)
			return -ENOMEM;
		*v = p;
		*room = more;
	}
	memcpy((char *)*v + *n * bytes, one, bytes);
	++*n;
	return 0;
}

static int add_transfer(struct row *r, struct ft_reader *body)
{
	struct ft_transfer_rec one;
	struct ft_xot_rec xot;
	bool is_xot;

	if (!ft_transfer_read(body, &is_xot, &one, &xot))
		return -EBADMSG;
	if (r->transfers + r->xots >= TRANSFERS_CAP) {
		r->lost++;
		return 0;
	}
	void *v = is_xot ? (void *)r->xot : (void *)r->transfer;
	const int result = is_xot ? append(&v, &r->xots, &r->xot_room, sizeof(xot), &xot)
				  : append(&v, &r->transfers, &r->transfer_room, sizeof(one), &one);
	if (is_xot)
		r->xot = v;
	else
		r->transfer = v;
	return result;
}

static int add_ticket(struct row *r, struct ft_reader *body)
{
	struct ft_cut_rec cut;
	struct ft_asked_rec asked;
	bool is_cut;

	if (!ft_ticket_read(body, &is_cut, &cut, &asked))
		return -EBADMSG;
	return is_cut ? cuts_add(&r->cuts, &cut) : cuts_add_asked(&r->cuts, &asked);
}

/* What set `server` joins, too. */
static int add_asked(struct row *r, struct ft_reader *body)
{
	struct ft_server_asked a;
	struct ft_asked_rec q;

	if (!ft_server_read_asked(body, &a))
		return -EBADMSG;
	q = (struct ft_asked_rec){.group = a.group, .t_us = a.begin_us};
	memcpy(q.server, a.addr, sizeof(q.server));
	return cuts_add_asked(&r->cuts, &q);
}

static int add_ledger(struct row *r, const struct stat_record *rec)
{
	const struct ft_pair64 *p = rec->body;

	for (size_t i = 0; i < rec->bytes / sizeof(*p); i++) {
		r->packets += p[i].id == FT_CTR_RX_PACKETS ? p[i].value : 0;
		r->bytes += p[i].id == FT_CTR_RX_BYTES ? p[i].value : 0;
		r->messages += p[i].id == FT_CTR_MESSAGES ? p[i].value : 0;
	}
	return 0;
}

static int add_entry(struct row *r, uint16_t type, struct ft_reader *body)
{
	switch (type) {
	case FT_REC_TRANSPORT: return ft_transport_read(body, r->c) ? 0 : -EBADMSG;
	case FT_REC_TICKET: return add_ticket(r, body);
	case FT_REC_TRANSFER: return add_transfer(r, body);
	default: return add_asked(r, body);
	}
}

static int transport_record(void *stat, const struct stat_record *rec)
{
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	struct transport *s = stat;
	uint32_t left = ft_rec_records(rec->hdr);
	const uint16_t type = rec->hdr->type;
	int result = 0;

	if (type != FT_REC_LEDGER && type != FT_REC_TRANSPORT && type != FT_REC_TICKET &&
	    type != FT_REC_TRANSFER && type != FT_REC_ASKED)
		return 0;
	struct row *row = rows_get(&s->rows, rec->hdr->row, sizeof(*row));
	if (row == NULL)
		return -ENOMEM;
	if (type == FT_REC_LEDGER)
		return add_ledger(row, rec);
	for (; result == 0 && ft_entry_next(&r, &body); left--)
		result = left != 0 ? add_entry(row, type, &body) : -EBADMSG;
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

/* `ledger` sees to it that intervals close. */
static uint64_t transport_first_row(const void *stat)
{
	(void)stat;
	return UINT64_MAX;
}

/* --- records that go out --- */

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void set_known(json_t *o, const char *key, uint64_t n, bool known)
{
	json_object_set_new(o, key, known ? json_integer((json_int_t)n) : json_null());
}

static void set_addr(json_t *o, const char *key, const uint8_t addr[16])
{
	char text[INET6_ADDRSTRLEN];

	server_text(addr, text);
	json_object_set_new(o, key, json_string(text));
}

static json_t *begin(const struct transport *s, const struct row *r, const char *vantage)
{
	return envelope_create("transport", s->run->probe, vantage, r->start_s, r->end_s, 1,
			       r->loss_ppm);
}

/* All packets but those that are something else were datagrams of DNS. */
static void add_datagrams(struct row *r)
{
	uint64_t *udp = r->c + FT_TRANSPORT_MIX + FT_MIX_udp53 * FT_MIX_FIELDS;
	const uint64_t *tcp = r->c + FT_TRANSPORT_MIX + FT_MIX_tcp53 * FT_MIX_FIELDS;

	udp[FT_MIX_PACKETS] += r->packets - r->c[FT_TRANSPORT_REST];
	udp[FT_MIX_BYTES] += r->bytes - r->c[FT_TRANSPORT_REST_BYTES];
	udp[FT_MIX_MESSAGES] = r->messages - tcp[FT_MIX_MESSAGES];
}

static json_t *mix_of(const struct row *r)
{
	static const char *const fields[] = {"packets", "bytes", "connections", "messages"};
	json_t *o = json_object();

	for (unsigned i = 0; i < FT_MIX_CAP; i++) {
		json_t *one = json_object();
		for (unsigned k = 0; k < FT_MIX_FIELDS; k++)
			set_count(one, fields[k], r->c[FT_TRANSPORT_MIX + i * FT_MIX_FIELDS + k]);
		json_object_set_new(o, mix_texts[i], one);
	}
	return o;
}

static json_t *latency(struct transport *s, const struct row *r)
{
	static const struct {
		const char *name;
		double q;
	} list[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}};
	uint64_t count = 0, max = 0;
	json_t *o = json_object();

	memset(s->bins, 0, DD_BINS * sizeof(*s->bins));
	for (size_t i = 0; i < r->cuts.n; i++) {
		const struct ft_cut_rec *k = &r->cuts.cut[i];
		if (k->outcome != FT_CUT_TCP_OK || k->latency_us == UINT64_MAX)
			continue;
		s->bins[dd_bin(k->latency_us)]++;
		count++;
		max = k->latency_us > max ? k->latency_us : max;
	}
	set_count(o, "count", count);
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		const double us = count != 0 ? dd_quantile(s->bins, count, list[i].q) : 0;
		set_known(o, list[i].name, (uint64_t)llround(fmin(us, (double)max)), count != 0);
	}
	set_known(o, "max", max, count != 0);
	return o;
}

static json_t *tc_of(struct transport *s, struct row *r, const struct cuts *const *of, size_t n)
{
	/* Those without a ticket: nobody looked at what came of them. */
	const uint64_t alone = r->c[FT_TRANSPORT_CUT] + r->cuts.lost;
	struct cuts_result result;
	json_t *o = json_object();

	cuts_join(&r->cuts, of, n, &result);
	const double p = ldexp(1, -(int)result.level);
	result.outcome[FT_CUT_NONE] += alone;
	set_count(o, "responses", r->cuts.n + alone);
	for (unsigned i = 0; i < FT_CUT_CAP; i++)
		set_count(o, cut_texts[i], result.outcome[i]);
	json_object_set_new(o, "latency_us", latency(s, r));
	json_object_set_new(o, "p", json_real(p));
	if (result.level != 0) {
		const double seen = (double)result.outcome[FT_CUT_OTHER_SERVER];
		json_object_set_new(o, "est_OTHER_SERVER", json_real(seen / p));
		json_object_set_new(o, "se_OTHER_SERVER", json_real(sqrt(seen * (1 - p)) / p));
	}
	return o;
}

static json_t *lost_of(const struct row *r)
{
	json_t *o = json_object();

	set_count(o, "tickets", r->c[FT_TRANSPORT_LOST_CUTS] + r->cuts.lost);
	set_count(o, "connections", r->c[FT_TRANSPORT_LOST_FLOWS]);
	set_count(o, "transfers", r->c[FT_TRANSPORT_LOST_TRANSFERS] + r->lost);
	return o;
}

static void write_row(struct transport *s, struct row *r, const struct cuts *const *of, size_t n)
{
	json_t *o = begin(s, r, "ALL"), *tfo = json_object();

	add_datagrams(r);
	for (unsigned i = 0; i < FT_TFO_CAP; i++)
		if (r->c[FT_TRANSPORT_TFO + i] != 0)
			set_count(tfo, tfo_texts[i], r->c[FT_TRANSPORT_TFO + i]);
	json_object_set_new(o, "mix", mix_of(r));
	json_object_set_new(o, "tfo", tfo);
	json_object_set_new(o, "tc", tc_of(s, r, of, n));
	json_object_set_new(o, "lost", lost_of(r));
	s->run->write(s->run->ctx, "transport", r->start_s, o);
}

static void write_transfer(const struct transport *s, const struct row *r,
			   const struct ft_transfer_rec *x)
{
	char zone[NAME_TEXT_CAP];
	json_t *o = begin(s, r, ft_vantage_texts[x->vantage]);

	(void)name_text(x->zone, x->zone_len, zone, true);
	json_object_set_new(o, "kind", json_string("transfer"));
	set_addr(o, "client", x->client);
	set_addr(o, "server", x->server);
	json_object_set_new(o, "zone", json_string(zone));
	json_object_set_new(o, "type", json_string(x->ixfr ? "IXFR" : "AXFR"));
	json_object_set_new(o, "style", json_string(style_texts[x->style]));
	set_count(o, "messages", x->messages);
	set_count(o, "rrs", x->rrs);
	set_count(o, "bytes", x->bytes);
	set_known(o, "serial_from", x->from, x->has_from);
	set_known(o, "serial_to", x->to, x->has_to);
	set_count(o, "dur_us", x->dur_us);
	json_object_set_new(o, "tsig", json_boolean(x->tsig));
	json_object_set_new(o, "over", json_string(x->udp ? "udp" : "tcp"));
	set_count(o, "rcode", x->rcode);
	set_count(o, "first_us", x->begin_us);
	s->run->write(s->run->ctx, "transport", r->start_s, o);
}

static void write_xot(const struct transport *s, const struct row *r, const struct ft_xot_rec *x)
{
	json_t *o = begin(s, r, ft_vantage_texts[x->vantage]);

	json_object_set_new(o, "kind", json_string("xot"));
	set_addr(o, "client", x->client);
	set_addr(o, "server", x->server);
	set_count(o, "bytes_out", x->out);
	set_count(o, "bytes_in", x->in);
	set_count(o, "dur_us", x->dur_us);
	set_count(o, "after_notify_us", x->after_us);
	set_count(o, "first_us", x->begin_us);
	s->run->write(s->run->ctx, "transport", r->start_s, o);
}

static void write_transfers(const struct transport *s, struct row *r)
{
	for (size_t i = 0; i < r->transfers; i++)
		write_transfer(s, r, &r->transfer[i]);
	for (size_t i = 0; i < r->xots; i++)
		write_xot(s, r, &r->xot[i]);
	r->transfers = r->xots = 0;
}

/* Closed intervals behind which five seconds are closed, too; all: nothing more will come. */
static void write_ready(struct transport *s, uint64_t closed_s, bool all)
{
	const struct cuts *of[JOIN_ROWS];

	while (s->rows != NULL) {
		struct row *r = (struct row *)s->rows;
		size_t n = 0;
		if (!r->closed || (!all && r->cuts.n != 0 && r->end_s + WAIT_S > closed_s))
			return;
		for (struct stat_row *next = s->rows; next != NULL && n < JOIN_ROWS;
		     next = next->next)
			of[n++] = &((const struct row *)next)->cuts;
		if (r->packets != 0)
			write_row(s, r, of, n);
		row_free(rows_pop(&s->rows));
	}
}

static void transport_close(void *stat, struct stat_interval *in)
{
	struct transport *s = stat;
	struct row *r = rows_find(s->rows, in->row);

	if (r != NULL) {
		r->closed = true;
		r->start_s = in->start_s;
		r->end_s = in->end_s;
		r->loss_ppm = in->loss_ppm;
		write_transfers(s, r);
	}
	write_ready(s, in->end_s, false);
}

static void transport_end(void *stat)
{
	write_ready(stat, 0, true);
}

const struct stat_ops stat_transport = {
    .set = "transport",
    .create = transport_create,
    .record = transport_record,
    .first_row = transport_first_row,
    .close = transport_close,
    .end = transport_end,
    .destroy = transport_destroy,
};

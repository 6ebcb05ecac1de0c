/* SPDX-License-Identifier: BSD-3-Clause */
#include "errors.h"

#include "handful.h"
#include "mem.h"
#include "name.h"
#include "qname.h"
#include "vantage.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CLOSE_SETS 256u /* of the table in a step: about one block of entries */
#define JUMPS_CAP 128u  /* pointers in one name, as in name.c */

struct entry {
	struct keyed_entry keyed;
	uint64_t first_us;      /* of the earliest one so far */
	struct handful clients; /* of those counted here */
	uint32_t count;         /* without those that travelled with a text */
};
static_assert(sizeof(struct entry) == CACHE_LINE, "one line an entry");

/* A transaction on its way into the table. */
struct seen {
	const struct txn *txn;
	const struct rr *soa; /* NULL: none */
	uint64_t key, row, time_us;
	uint32_t client;
	uint16_t qtype, qclass;
	uint8_t what; /* vantage, time-out, NXDOMAIN */
};

struct errors {
	struct errors_settings set;
	struct tally *tally;
	struct keyed *table;
	struct errors_stats stats;
	struct seen seen[MSG_CAP];
};

static void emit_entry(void *ctx, const void *entry)
{
	struct errors *r = ctx;
	const struct entry *e = entry;
	const struct ft_error x = {
	    .what = e->clients.tag,
	    .key = e->keyed.key,
	    .count = e->count,
	    .clients = e->clients.n,
	    .octets = e->clients.u.regs,
	};

	if (e->count == 0)
		return;
	uint8_t *p = tally_entry_begin(r->tally, FT_REC_ERROR, e->keyed.row, FT_ERROR_ENTRY_CAP);
	tally_entry_end(r->tally, p + ft_error_write(&x, p));
}

/* The name at an offset with the case it has on the wire; its length, 0: damaged. */
static uint32_t read_raw(const struct msg *m, uint32_t at, uint8_t *out)
{
	uint32_t n = 0, limit = at, jumps = 0;

	while (at < m->len) {
		const uint32_t label = m->data[at];
		if (label >= 0xc0) {
			if (at + 1 >= m->len || ++jumps > JUMPS_CAP)
				return 0;
			at = load_u16_be(m->data + at) & 0x3fffu;
			if (at < QNAME_AT || at >= limit)
				return 0;
			limit = at;
			continue;
		}
		if (label > FT_LABEL_CAP || label >= m->len - at ||
		    n + label + 1 + (label != 0) > FT_NAME_CAP)
			return 0;
		memcpy(out + n, m->data + at, label + 1);
		n += label + 1;
		at += label + 1;
		if (label == 0)
			return n;
	}
	return 0;
}

static void put_soa(const struct seen *s, uint8_t *room, struct ft_error_text *x)
{
	const uint32_t n = s->soa != NULL ? read_raw(s->txn->response, s->soa->owner_off, room) : 0;

	if (n == 0)
		return;
	x->what |= FT_ERROR_SOA;
	x->soa = room;
	x->soa_len = (uint8_t)n;
	if (qname_offset_of(x->qname, x->qname_len, room, n) < x->qname_len)
		x->what |= FT_ERROR_SOA_TAIL;
}

/* The text with this very transaction. */
static void emit_text(struct errors *r, const struct seen *s)
{
	const struct txn *t = s->txn;
	const bool v4 = memcmp(t->server, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
	uint8_t qname[FT_NAME_CAP], soa[FT_NAME_CAP], *p;
	struct ft_error_text x = {
	    .what = (uint8_t)(s->what | (v4 ? 0 : FT_ERROR_V6)),
	    .key = s->key,
	    .time_us = (int64_t)(s->time_us - s->row * r->tally->clock->interval_us),
	    .client = s->client,
	    .rcode = t->has_response ? t->rcode : 0,
	    .qtype = s->qtype,
	    .qclass = s->qclass,
	    .server = t->server->b + (v4 ? 12 : 0),
	    .qname = t->name,
	    .qname_len = t->name_len,
	};

	/* The response's own question, where it has one. */
	if (t->has_response && t->response->name_len != 0 &&
	    read_raw(t->response, QNAME_AT, qname) == t->name_len)
		x.qname = qname;
	else if (t->raw != NULL)
		x.qname = t->raw;
	put_soa(s, soa, &x);
	p = tally_entry_begin(r->tally, FT_REC_ERROR_TEXT, s->row, FT_ERROR_TEXT_CAP);
	tally_entry_end(r->tally, p + ft_error_text_write(&x, p));
	r->stats.texts++;
}

static void count(struct errors *r, const struct seen *s)
{
	bool fresh;
	struct entry *e = keyed_get(r->table, s->key, s->row, &fresh);

	/* Not later than any: which text is the earliest is for control to say. */
	if (fresh || s->time_us <= e->first_us) {
		e->first_us = s->time_us;
		e->clients.tag = s->what;
		emit_text(r, s);
		return;
	}
	e->count++;
	handful_add(&e->clients, s->client);
}

static const struct rr *find_soa(const struct msgs *batch, const struct msg *m)
{
	const struct rr *rr = batch->rr + m->rr_off;

	for (uint32_t i = 0; i < m->rrs && rr[i].section <= RR_AUTHORITY; i++)
		if (rr[i].section == RR_AUTHORITY && rr[i].type == FT_QTYPE_SOA)
			return &rr[i];
	return NULL;
}

/* Tells SOA names of one qname apart: by where they begin in it, else by their hash.
 * 0: none that can be read. */
static uint64_t soa_key(const struct errors *r, const struct seen *s)
{
	const struct txn *t = s->txn;
	uint8_t name[NAME_BUF_BYTES];
	uint32_t n = 0, at;

	if (s->soa == NULL)
		return 0;
	const struct msg *m = t->response;
	const uint32_t off = s->soa->owner_off;
	const uint32_t pointer = load_u16_be(m->data + off); /* type and more follow */
	if (pointer >= 0xc000) {
		at = qname_offset(m, t->name, pointer & 0x3fffu);
		if (at < m->name_len)
			return at + 1;
	}
	struct cursor c = cursor_init(m->data, off, m->len);
	if (name_read(&c, name, &n) != FT_MSG_KEPT)
		return 0;
	at = qname_offset_of(t->name, t->name_len, name, n);
	return at < t->name_len ? at + 1 : name_hash(name, n, r->set.name_seed);
}

static uint64_t name_key_of(const struct errors *r, const struct txn *t)
{
	if (t->response != NULL && t->response->name_len != 0)
		return t->response->name_key;
	if (t->verdict != NULL)
		return t->verdict->name_key;
	return name_hash(t->name, t->name_len, r->set.name_seed);
}

static uint64_t key_of(const struct errors *r, const struct seen *s)
{
	const struct txn *t = s->txn;
	const uint64_t rcode = t->has_response ? t->rcode : 0xffff;
	const uint64_t plain = (uint64_t)s->qtype << 48 | (uint64_t)s->qclass << 32 | rcode << 16 |
			       (s->what & FT_ERROR_VANTAGE);
	uint64_t x = name_key_of(r, t);

	x += addr_fold(t->server, r->set.name_seed) * 0x9e3779b97f4a7c15ull;
	x += plain * 0xd6e8feb86659fd93ull;
	x ^= (soa_key(r, s) + s->row * 256) * 0xff51afd7ed558ccdull;
	x = hash_mix(x);
	return x + (x == 0);
}

static void fill(struct errors *r, const struct msgs *batch, const struct txn *t, struct seen *s)
{
	const struct msg *m = t->response;
	const bool asks = m != NULL && (m->name_len != 0 || !t->has_query);

	s->txn = t;
	s->soa = m != NULL ? find_soa(batch, m) : NULL;
	s->time_us = t->has_response ? t->response_us : t->q.t_us;
	s->row = clock_row(r->tally->clock, t->has_query ? t->q.t_us : t->settled_us);
	s->qtype = asks ? m->qtype : t->q.qtype;
	s->qclass = asks ? m->qclass : t->q.qclass;
	s->client = (uint32_t)((t->has_query ? t->q.client_sketch
					     : XXH3_64bits_withSeed(t->client, sizeof(*t->client),
								    r->set.sketch_seed)) >>
			       32);
	s->key = key_of(r, s);
}

STAGE void errors_step(struct errors *r, const struct msgs *batch, const struct txn *txn,
		       uint32_t n)
{
	uint32_t found = 0;

	assert(n <= MSG_CAP);
	for (uint32_t i = 0; i < n; i++) {
		const struct txn *t = &txn[i];
		if (t->has_response && t->rcode == FT_RCODE_NOERROR)
			continue;
		const enum ft_vantage vantage = vantage_of_txn(t);
		if (vantage == FT_VANTAGE_S2R && r->set.channels == ERRORS_AUTO)
			continue;
		struct seen *s = &r->seen[found++];
		s->what = (uint8_t)(vantage | (!t->has_response                ? FT_ERROR_TIMEOUT
					       : t->rcode == FT_RCODE_NXDOMAIN ? FT_ERROR_NXDOMAIN
									       : 0));
		fill(r, batch, t, s);
		keyed_prefetch_tags(r->table, s->key);
	}
	bool there;
	for (uint32_t i = 0; i < found; i++)
		(void)keyed_prefetch_entry(r->table, r->seen[i].key, &there);
	for (uint32_t i = 0; i < found; i++)
		count(r, &r->seen[i]);
	r->stats.seen += found;
}

static void close_begin(void *ctx, uint64_t row)
{
	struct errors *r = ctx;

	(void)row;
	keyed_close_begin(r->table);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct errors *r = ctx;

	return keyed_close(r->table, row, CLOSE_SETS);
}

struct errors *errors_create(struct tally *tally, const struct errors_settings *settings)
{
	struct errors *r = mem_map(sizeof(*r));

	if (r == NULL)
		return NULL;
	r->set = *settings;
	r->tally = tally;
	r->table = keyed_create(settings->entries, sizeof(struct entry), emit_entry, r);
	if (r->table == NULL) {
		errors_destroy(r);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, r});
	return r;
}

void errors_destroy(struct errors *r)
{
	if (r == NULL)
		return;
	keyed_destroy(r->table);
	mem_unmap(r, sizeof(*r));
}

const struct errors_stats *errors_stats_get(const struct errors *r)
{
	return &r->stats;
}

const struct keyed_stats *errors_table_stats(const struct errors *r)
{
	return keyed_stats_get(r->table);
}

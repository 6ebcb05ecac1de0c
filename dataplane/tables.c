/* SPDX-License-Identifier: BSD-3-Clause */
/* Read tables_step() first. Groups stand at the end of each entry: where flows are never
 * sampled, entries end before them. */
#include "tables.h"

#include "fetch.h"
#include "mem.h"
#include "mini.h"
#include "vantage.h"

#include <emmintrin.h>
#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define STEP_BYTES (FT_BLOCK_RAW_CAP / 2) /* emitted in a step of closing, about */
#define STEP_SETS 32u                     /* looked at between two looks at that */
#define STEP_SETS_CAP 4096u               /* at most so many in a step */
#define EMPTY UINT32_MAX                  /* first_s of an entry that counts nothing */
#define BYTES_FULL (UINT32_MAX - 0x20000u)

struct domain {
	struct keyed_entry e;
	uint8_t vantage, level;
	uint8_t names_n, clients_n; /* from here on: emptied */
	uint32_t first_s, last_s;
	uint32_t query_bytes, response_bytes;
	uint16_t class[FT_CLASS_CAP];
	union ft_mini_set names, clients;
	/* Stays. A name too long for it has gone out when the entry was made, and text
	 * holds the id that stands for it. */
	uint8_t text_bytes; /* 0: too long */
	uint8_t text[CACHE_LINE - 1];
	uint32_t group[FT_GROUPS];
};
static_assert(offsetof(struct domain, names) == CACHE_LINE, "counters in one line");
static_assert(sizeof(struct domain) == 4 * CACHE_LINE, "sketches, name, groups");

/* Octets for counters: a client with many queries emits once in 255. */
struct client {
	struct keyed_entry e;
	struct addr addr;
	uint8_t vantage, level;
	uint8_t pad[2];
	uint32_t first_s, last_s; /* from here on: emptied */
	uint8_t nxdomain, unanswered;
	uint8_t qgroup[FT_QGROUP_CAP];
	uint8_t spare[5];
	struct diary diary;
	uint32_t group[FT_GROUPS];
};
static_assert(offsetof(struct client, diary) == CACHE_LINE, "counters in one line");
static_assert(sizeof(struct client) == 3 * CACHE_LINE, "counters, diary, groups");

struct server {
	struct keyed_entry e;
	struct addr addr;
	uint8_t vantage, level;
	uint8_t pad[2];
	uint32_t first_s, last_s; /* from here on: emptied */
	uint32_t rtt_max_us;
	uint64_t rtt_sum_us;
	uint16_t class[FT_CLASS_CAP], unsolicited;
	uint16_t dup, late, tc;
	uint8_t clients_n;
	uint8_t spare[3];
	union ft_mini_set clients;
	uint32_t group[FT_GROUPS];
};
static_assert(sizeof(struct server) == 3 * CACHE_LINE, "two lines, groups");

/* What the first phase finds out about a transaction. */
struct work {
	uint64_t key[FT_TABLE_CAP];
	uint64_t row;
	uint32_t second;
	uint8_t tables; /* bits: which of them count it */
	uint8_t vantage, level, group;
};

struct tables {
	struct tally *tally;
	struct tables_settings set;
	uint64_t addr_key[2]; /* clients, servers */
	struct keyed *table[FT_TABLE_CAP];
	uint64_t row, row_salt; /* of the row asked for last */
	unsigned closing;       /* table that closes now */
	uint64_t closing_row;   /* for which row it does */
	size_t step_bytes;      /* emitted in this step */
	struct tables_stats stats;
	const struct diary_note *notes; /* of this batch; NULL: there are no diaries */
	struct work work[MSG_CAP];
	struct ft_table_rec rec;
};

void tables_domain_id(const uint8_t *name, size_t bytes, uint64_t sample_key, uint8_t id[16])
{
	const XXH128_hash_t h = XXH3_128bits_withSeed(name, bytes, sample_key);

	memcpy(id, &h, 16);
}

/* Tells rows, vantages and levels apart. */
static uint64_t salt_of(struct tables *t, uint64_t row, unsigned vantage, unsigned level)
{
	if (row != t->row) {
		t->row = row;
		t->row_salt = hash_mix(row ^ t->set.hash_key);
	}
	return hash_mix(t->row_salt + (vantage | level << 2));
}

static void emit_entry(struct tables *t, uint64_t row)
{
	const enum ft_rec_type type = (enum ft_rec_type)(FT_REC_DOMAIN + t->rec.table);
	uint8_t *entry = tally_entry_begin(t->tally, type, row, FT_TABLE_ENTRY_CAP);
	const size_t bytes = ft_table_write(&t->rec, entry);

	tally_entry_end(t->tally, entry + bytes);
	t->step_bytes += bytes;
	t->stats.emitted += t->rec.counts;
}

/* Most entries that go have few counters, no groups and a short name: those are written
 * as ft_table_write would, straight from their lines. */
#define BRIEF_CAP 208u           /* octets of such an entry at most */
#define SERVER_ID_SEED 0x3a5dull /* so that ids are the same in every run */

static void end_brief(struct tables *t, uint8_t *entry, const uint8_t *end)
{
	end = ft_entry_close(entry, end);
	tally_entry_end(t->tally, end);
	t->step_bytes += (size_t)(end - entry);
	t->stats.emitted++;
}

/* One bit for each of 16 counters that is not 0. */
static inline uint32_t used_of_16(const void *counters)
{
	const __m128i c = _mm_loadu_si128(counters);

	return ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(c, _mm_setzero_si128())) & 0xffff;
}

static inline uint32_t used_of_16_wide(const void *counters)
{
	const __m128i *p = counters, zero = _mm_setzero_si128();
	const __m128i low = _mm_cmpeq_epi16(_mm_loadu_si128(p), zero),
		      high = _mm_cmpeq_epi16(_mm_loadu_si128(p + 1), zero);

	return ~(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) & 0xffff;
}

static void emit_brief_domain(struct tables *t, const struct domain *d)
{
	static_assert(offsetof(struct domain, class) + 32 <= sizeof(struct domain) &&
			  FT_CLASS_CAP <= 16 && FT_DOMAIN_CLASS == 2,
		      "sixteen can be read");
	uint8_t *const entry = tally_entry_begin(t->tally, FT_REC_DOMAIN, d->e.row, BRIEF_CAP);
	uint8_t *p = entry + 1;
	const uint32_t classes =
	    used_of_16_wide((const uint8_t *)d + offsetof(struct domain, class)) &
	    ((1u << FT_CLASS_CAP) - 1);

	p = ft_put_u8(p, ft_table_head(d->vantage, 0, false));
	p = ft_put_u8(p, d->text_bytes);
	memcpy(p, d->text, sizeof(d->text));
	p += d->text_bytes;
	p = ft_put_varint(p, d->first_s);
	p = ft_put_varint(p, d->last_s - d->first_s);
	p = ft_put_varint(p, (uint32_t)(d->query_bytes != 0) << FT_DOMAIN_QUERY_BYTES |
				 (uint32_t)(d->response_bytes != 0) << FT_DOMAIN_RESPONSE_BYTES |
				 classes << FT_DOMAIN_CLASS);
	if (d->query_bytes != 0)
		p = ft_put_varint(p, d->query_bytes);
	if (d->response_bytes != 0)
		p = ft_put_varint(p, d->response_bytes);
	for (uint32_t left = classes; left != 0; left &= left - 1)
		p = ft_put_varint(p, d->class[__builtin_ctz(left)]);
	p = ft_put_mini(p, d->names_n, &d->names);
	p = ft_put_mini(p, d->clients_n, &d->clients);
	end_brief(t, entry, p);
}

static void emit_brief_client(struct tables *t, const struct client *c)
{
	static_assert(offsetof(struct client, qgroup) ==
			      offsetof(struct client, nxdomain) + FT_CLIENT_QGROUP &&
			  offsetof(struct client, unanswered) ==
			      offsetof(struct client, nxdomain) + FT_CLIENT_UNANSWERED &&
			  FT_CLIENT_NXDOMAIN == 0 && (unsigned)FT_CLIENT_CAP <= 16,
		      "counters in the record's order");
	uint8_t *const entry = tally_entry_begin(t->tally, FT_REC_CLIENT, c->e.row, BRIEF_CAP);
	const uint8_t *count = (const uint8_t *)c + offsetof(struct client, nxdomain);
	const uint32_t used = used_of_16(count) & ((1u << FT_CLIENT_CAP) - 1);
	const bool v6 = !ft_addr_is_v4(c->addr.b);
	uint8_t *p = ft_put_u8(entry + 1, ft_table_head(c->vantage, 0, v6));

	p = v6 ? ft_put_bytes(p, c->addr.b, 16) : ft_put_bytes(p, c->addr.b + 12, 4);
	p = ft_put_varint(p, c->first_s);
	p = ft_put_varint(p, c->last_s - c->first_s);
	p = ft_put_varint(p, used);
	for (uint32_t left = used; left != 0; left &= left - 1)
		p = ft_put_varint(p, count[__builtin_ctz(left)]);
	p = diary_write(&c->diary, p);
	end_brief(t, entry, p);
}

static void begin_rec(struct tables *t, enum ft_table table, uint8_t vantage, uint8_t level,
		      const uint32_t *group)
{
	t->rec.table = table;
	t->rec.vantage = vantage;
	t->rec.level = level;
	t->rec.text = NULL;
	t->rec.counts = true;
	t->rec.more_bytes = 0;
	for (unsigned i = 0; level != 0 && i < FT_GROUPS; i++)
		t->rec.group[i] = group[i];
}

static void emit_domain(void *ctx, const void *entry)
{
	struct tables *t = ctx;
	const struct domain *d = entry;
	struct ft_table_rec *r = &t->rec;

	if (d->first_s == EMPTY)
		return;
	if (d->level == 0 && d->text_bytes != 0) {
		emit_brief_domain(t, d);
		return;
	}
	begin_rec(t, FT_TABLE_DOMAINS, d->vantage, d->level, d->group);
	r->by_id = d->text_bytes == 0;
	r->text = d->text;
	r->text_bytes = d->text_bytes;
	if (r->by_id)
		memcpy(r->id, d->text, sizeof(r->id));
	r->first_s = d->first_s;
	r->last_s = d->last_s;
	r->c[FT_DOMAIN_QUERY_BYTES] = d->query_bytes;
	r->c[FT_DOMAIN_RESPONSE_BYTES] = d->response_bytes;
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		r->c[FT_DOMAIN_CLASS + i] = d->class[i];
	r->names = (struct ft_mini){.n = d->names_n, .u = d->names};
	r->clients = (struct ft_mini){.n = d->clients_n, .u = d->clients};
	emit_entry(t, d->e.row);
}

static void emit_client(void *ctx, const void *entry)
{
	struct tables *t = ctx;
	const struct client *c = entry;
	struct ft_table_rec *r = &t->rec;
	uint8_t more[DIARY_WIRE_CAP];

	if (c->first_s == EMPTY)
		return;
	if (c->level == 0) {
		emit_brief_client(t, c);
		return;
	}
	begin_rec(t, FT_TABLE_CLIENTS, c->vantage, c->level, c->group);
	memcpy(r->id, &c->addr, sizeof(c->addr));
	r->first_s = c->first_s;
	r->last_s = c->last_s;
	r->c[FT_CLIENT_NXDOMAIN] = c->nxdomain;
	r->c[FT_CLIENT_UNANSWERED] = c->unanswered;
	for (unsigned i = 0; i < FT_QGROUP_CAP; i++)
		r->c[FT_CLIENT_QGROUP + i] = c->qgroup[i];
	r->more = more;
	r->more_bytes = (size_t)(diary_write(&c->diary, more) - more);
	emit_entry(t, c->e.row);
}

static void emit_server(void *ctx, const void *entry)
{
	struct tables *t = ctx;
	const struct server *s = entry;
	struct ft_table_rec *r = &t->rec;

	if (s->first_s == EMPTY)
		return;
	begin_rec(t, FT_TABLE_SERVERS, s->vantage, s->level, s->group);
	memcpy(r->id, &s->addr, sizeof(s->addr));
	r->first_s = s->first_s;
	r->last_s = s->last_s;
	r->rtt_max_us = s->rtt_max_us;
	r->c[FT_SERVER_RTT_SUM] = s->rtt_sum_us;
	r->c[FT_SERVER_UNSOLICITED] = s->unsolicited;
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		r->c[FT_SERVER_CLASS + i] = s->class[i];
	r->c[FT_SERVER_DUP] = s->dup;
	r->c[FT_SERVER_LATE] = s->late;
	r->c[FT_SERVER_TC] = s->tc;
	r->clients = (struct ft_mini){.n = s->clients_n, .u = s->clients};
	emit_entry(t, s->e.row);
}

static void clear_domain(struct domain *d)
{
	memset(&d->names_n, 0,
	       offsetof(struct domain, text_bytes) - offsetof(struct domain, names_n));
	d->first_s = EMPTY;
	if (d->level != 0)
		memset(d->group, 0, sizeof(d->group));
}

static void clear_client(struct client *c)
{
	memset(&c->first_s, 0, offsetof(struct client, group) - offsetof(struct client, first_s));
	c->first_s = EMPTY;
	if (c->level != 0)
		memset(c->group, 0, sizeof(c->group));
}

static void clear_server(struct server *s)
{
	memset(&s->first_s, 0, offsetof(struct server, group) - offsetof(struct server, first_s));
	s->first_s = EMPTY;
	if (s->level != 0)
		memset(s->group, 0, sizeof(s->group));
}

/* Times are nearly always rising. */
static inline void count_time(uint32_t *first_s, uint32_t *last_s, uint32_t second)
{
	if (second < *first_s)
		*first_s = second;
	if (second > *last_s)
		*last_s = second;
}

/* A name that does not fit goes out at once, and an id stands for it from then on. */
static void put_long_name(struct tables *t, struct domain *d, const uint8_t *name, size_t bytes,
			  uint64_t row)
{
	tables_domain_id(name, bytes, t->set.sample.key, d->text);
	begin_rec(t, FT_TABLE_DOMAINS, d->vantage, d->level, d->group);
	memcpy(t->rec.id, d->text, sizeof(t->rec.id));
	t->rec.by_id = true;
	t->rec.counts = false;
	t->rec.text = name;
	t->rec.text_bytes = bytes;
	emit_entry(t, row);
}

static void begin_domain(struct tables *t, struct domain *d, const struct txn *x,
			 const struct work *w)
{
	const uint8_t *name = x->name + x->verdict->domain_off;
	const size_t bytes = (size_t)x->name_len - x->verdict->domain_off;

	d->vantage = w->vantage;
	d->level = w->level;
	d->first_s = EMPTY;
	if (bytes > sizeof(d->text)) {
		put_long_name(t, d, name, bytes, w->row);
		return;
	}
	d->text_bytes = (uint8_t)bytes;
	memcpy(d->text, name, bytes);
}

static inline enum ft_class class_of(const struct txn *x)
{
	return x->has_response ? (enum ft_class)x->class : FT_CLASS_TIMEOUT;
}

static void count_domain(struct tables *t, const struct txn *x, const struct work *w)
{
	const enum ft_class class = class_of(x);
	bool fresh;
	struct domain *d =
	    keyed_get(t->table[FT_TABLE_DOMAINS], w->key[FT_TABLE_DOMAINS], w->row, &fresh);

	if (fresh)
		begin_domain(t, d, x, w);
	count_time(&d->first_s, &d->last_s, w->second);
	d->query_bytes += x->q.bytes;
	if (x->has_response)
		d->response_bytes += x->bytes;
	if (x->q.has_name)
		mini_add(&d->names_n, &d->names, x->q.name_sketch);
	mini_add(&d->clients_n, &d->clients, x->q.client_sketch);
	if (w->level != 0)
		d->group[w->group]++;
	if (++d->class[class] < UINT16_MAX && d->query_bytes < BYTES_FULL &&
	    d->response_bytes < BYTES_FULL)
		return;
	t->stats.full++;
	emit_domain(t, d);
	clear_domain(d);
}

uint32_t tables_server_id(const struct addr *server)
{
	return ((uint32_t)addr_fold(server, SERVER_ID_SEED) & FT_DIARY_ID_MASK) | 1;
}

/* What is full goes out first. */
static void keep_diary(struct tables *t, struct client *c, const struct txn *x,
		       const struct work *w)
{
	const uint32_t id = tables_server_id(x->server);
	const bool unanswered = !x->has_response;

	if (!diary_has_room(&c->diary) || !diary_ask(&c->diary, id, unanswered)) {
		t->stats.full++;
		emit_client(t, c);
		clear_client(c);
		(void)diary_ask(&c->diary, id, unanswered);
	}
	diary_put(&c->diary, &t->notes[w - t->work], w->second);
}

static void count_client(struct tables *t, const struct txn *x, const struct work *w)
{
	const enum ft_class class = class_of(x);
	bool fresh;
	struct client *c =
	    keyed_get(t->table[FT_TABLE_CLIENTS], w->key[FT_TABLE_CLIENTS], w->row, &fresh);

	if (fresh) {
		c->addr = *x->client;
		c->vantage = w->vantage;
		c->level = w->level;
		c->first_s = EMPTY;
	}
	if (t->notes != NULL)
		keep_diary(t, c, x, w);
	count_time(&c->first_s, &c->last_s, w->second);
	c->nxdomain = (uint8_t)(c->nxdomain + (class == FT_CLASS_NXDOMAIN));
	c->unanswered = (uint8_t)(c->unanswered + (class == FT_CLASS_TIMEOUT));
	if (w->level != 0)
		c->group[w->group]++;
	const unsigned group = x->q.has_name ? ft_qgroup_of(x->q.qtype) : FT_QGROUP_OTHER;
	if (++c->qgroup[group] < UINT8_MAX && c->nxdomain < UINT8_MAX && c->unanswered < UINT8_MAX)
		return;
	t->stats.full++;
	emit_client(t, c);
	clear_client(c);
}

static void count_server(struct tables *t, const struct txn *x, const struct work *w)
{
	bool full, fresh;
	struct server *s =
	    keyed_get(t->table[FT_TABLE_SERVERS], w->key[FT_TABLE_SERVERS], w->row, &fresh);

	if (fresh) {
		s->addr = *x->server;
		s->vantage = w->vantage;
		s->level = w->level;
		s->first_s = EMPTY;
	}
	count_time(&s->first_s, &s->last_s, w->second);
	if (!x->has_query) {
		full = ++s->unsolicited == UINT16_MAX; /* and so is late below */
		s->late = (uint16_t)(s->late + x->late);
	} else {
		full = ++s->class[class_of(x)] == UINT16_MAX;
		s->dup = (uint16_t)(s->dup + x->q.dup);
		full |= s->dup == UINT16_MAX;
		mini_add(&s->clients_n, &s->clients, x->q.client_sketch);
		if (w->level != 0)
			s->group[w->group]++;
	}
	if (x->has_query && x->has_response) {
		s->tc = (uint16_t)(s->tc + x->tc);
		full |= s->tc == UINT16_MAX;
		s->rtt_sum_us += x->rtt_us;
		if (x->rtt_us > s->rtt_max_us)
			s->rtt_max_us = x->rtt_us < UINT32_MAX ? (uint32_t)x->rtt_us : UINT32_MAX;
	}
	if (!full)
		return;
	t->stats.full++;
	emit_server(t, s);
	clear_server(s);
}

/* Which tables count a transaction, at what level; false: it is sampled out. Names that
 * a rule hits or the operator watches are counted at level 0, all of them. */
static bool choose(struct tables *t, const struct txn *x, uint32_t level, struct work *w)
{
	const struct verdict *v = x->verdict;

	w->level = 0;
	w->tables = 1u << FT_TABLE_SERVERS;
	if (x->has_query)
		w->tables |= 1u << FT_TABLE_CLIENTS;
	if (x->has_query && v != NULL && v->domain_off < x->name_len)
		w->tables |= 1u << FT_TABLE_DOMAINS;
	if (level == 0 || (v != NULL && (v->tags != 0 || (v->watched & VERDICT_WATCHED) != 0)))
		return true;
	const uint64_t hash = sample_hash(&t->set.sample, x->client, x->server);
	w->level = (uint8_t)level;
	w->group = (uint8_t)sample_group(hash);
	return sample_takes(hash, level);
}

static void find_keys(struct tables *t, const struct txn *txn, uint32_t n)
{
	struct evclock *clock = t->tally->clock;
	const uint32_t level = sample_level(&t->set.sample);

	for (uint32_t i = 0; i < n; i++) {
		const struct txn *x = &txn[i];
		struct work *w = &t->work[i];
		const uint64_t t_us = x->has_query ? x->q.t_us : x->settled_us;

		if (!choose(t, x, level, w)) {
			w->tables = 0;
			t->stats.sampled_out++;
			continue;
		}
		w->row = clock_row(clock, t_us);
		w->second = (uint32_t)((t_us - clock->row_lo_us) / 1000000);
		w->vantage = (uint8_t)vantage_of_txn(x);
		const uint64_t salt = salt_of(t, w->row, w->vantage, w->level);
		w->key[FT_TABLE_DOMAINS] = (x->verdict != NULL ? x->verdict->domain_key : 0) ^ salt;
		w->key[FT_TABLE_CLIENTS] = addr_fold(x->client, t->addr_key[0]) ^ salt;
		w->key[FT_TABLE_SERVERS] = addr_fold(x->server, t->addr_key[1]) ^ salt;
	}
}

static void prefetch_tags(const struct tables *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (unsigned k = 0; k < FT_TABLE_CAP; k++)
			if (t->work[i].tables >> k & 1)
				keyed_prefetch_tags(t->table[k], t->work[i].key[k]);
}

static void prefetch_entries(const struct tables *t, uint32_t n)
{
	bool there;

	for (uint32_t i = 0; i < n; i++) {
		const struct work *w = &t->work[i];
		for (unsigned k = 0; k < FT_TABLE_CAP; k++) {
			if ((w->tables >> k & 1) == 0)
				continue;
			const char *e = keyed_prefetch_entry(t->table[k], w->key[k], &there);
			fetch_write(e + CACHE_LINE);
			if (!there && k != FT_TABLE_CLIENTS) /* one will go: with its name */
				fetch_write(e + 2 * (size_t)CACHE_LINE);
		}
	}
}

static void update(struct tables *t, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct work *w = &t->work[i];
		if (w->tables >> FT_TABLE_DOMAINS & 1)
			count_domain(t, &txn[i], w);
		if (w->tables >> FT_TABLE_CLIENTS & 1)
			count_client(t, &txn[i], w);
		if (w->tables >> FT_TABLE_SERVERS & 1)
			count_server(t, &txn[i], w);
		if (w->tables != 0 && txn[i].has_query && t->set.servers != NULL)
			servers_count(t->set.servers, &txn[i], w->key[FT_TABLE_SERVERS], w->row,
				      w->second, w->vantage);
	}
}

void tables_note(struct tables *t, const struct diary_note *notes)
{
	t->notes = notes;
}

STAGE void tables_step(struct tables *t, const struct txn *txn, uint32_t n)
{
	assert(n <= MSG_CAP || t->notes == NULL);
	while (n != 0) {
		const uint32_t some = n < MSG_CAP ? n : MSG_CAP;
		find_keys(t, txn, some);
		prefetch_tags(t, some);
		prefetch_entries(t, some);
		update(t, txn, some);
		txn += some;
		n -= some;
	}
}

static void close_begin(void *ctx, uint64_t row)
{
	struct tables *t = ctx;

	t->closing = 0;
	t->closing_row = row;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++)
		keyed_close_begin(t->table[k]);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct tables *t = ctx;

	/* Another row may have closed in between, for want of room. */
	if (t->closing_row != row)
		close_begin(t, row);
	t->step_bytes = 0;
	for (uint32_t sets = 0; t->step_bytes < STEP_BYTES && sets < STEP_SETS_CAP;
	     sets += STEP_SETS) {
		if (keyed_close(t->table[t->closing], row, STEP_SETS) &&
		    ++t->closing == FT_TABLE_CAP)
			return true;
	}
	return false;
}

struct tables *tables_create(struct tally *tally, const struct tables_settings *settings)
{
	static const keyed_emit_fn emit[FT_TABLE_CAP] = {emit_domain, emit_client, emit_server};
	static const size_t bytes[FT_TABLE_CAP] = {sizeof(struct domain), sizeof(struct client),
						   sizeof(struct server)};
	struct tables *t = mem_map(sizeof(*t));
	const size_t groups = settings->sample.level != NULL ? 0 : sizeof(uint32_t) * FT_GROUPS;

	if (t == NULL)
		return NULL;
	t->tally = tally;
	t->set = *settings;
	t->addr_key[0] = hash_mix(settings->hash_key + 1);
	t->addr_key[1] = hash_mix(settings->hash_key + 2);
	t->row_salt = hash_mix(settings->hash_key);
	for (unsigned k = 0; k < FT_TABLE_CAP; k++) {
		t->table[k] = keyed_create(settings->entries[k], bytes[k] - groups, emit[k], t);
		if (t->table[k] == NULL) {
			tables_destroy(t);
			errno = ENOMEM;
			return NULL;
		}
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, t});
	return t;
}

void tables_destroy(struct tables *t)
{
	if (t == NULL)
		return;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++)
		keyed_destroy(t->table[k]);
	mem_unmap(t, sizeof(*t));
}

const struct tables_stats *tables_stats_get(const struct tables *t)
{
	return &t->stats;
}

const struct keyed_stats *tables_keyed_stats(const struct tables *t, enum ft_table table)
{
	return keyed_stats_get(t->table[table]);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `cookie`: DNS cookies by server, by client and over all, and the EDNS of queries.
 *
 * Workers decide on transactions (rec_cookie.h); here they are added up within a budget,
 * and client cookies that went to two servers are found, whichever workers saw them. */
#include "../../dataplane/fetch.h"
#include "../envelope.h"
#include "../keyed_merge.h"
#include "rows.h"
#include "server.h"

#include <fluxtap/rec_cookie.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEYS 65536u         /* addresses of an interval: 20 MB; the others are in ALL alone */
#define SENT_CAP (1u << 18) /* of an interval: 8 MB */
#define SEEN_CAP (1u << 17) /* client cookies of either generation: 4 MB */
#define SEEN_SLOTS (2 * SEEN_CAP)
#define AHEAD 8u /* what is looked up then is fetched meanwhile */

#define TEXT_OF(n) #n,
static const char *const class_texts[] = {FT_COOKIE_CLASSES(TEXT_OF)};
static const char *const format_texts[] = {FT_COOKIE_FORMATS(TEXT_OF)};

struct key {
	uint8_t kind, vantage, addr[16];
};

struct acc {
	uint64_t c[FT_COOKIE_COUNTERS];
};

struct sent {
	uint64_t client, cookie, server; /* hashes */
};

struct all {
	struct acc sum;
	uint64_t queries, edns[FT_EDNS_CAP];
	uint64_t servers, clients; /* that had a class, by the keys that stay */
	uint64_t with, enforcing, passing, asking, reusing;
};

struct row {
	struct stat_row head;
	struct keyed_merge *keys;
	struct sent *sent;
	size_t n, room;
	struct all all[FT_VANTAGE_CAP];
};

/* A client cookie and the server that it went to; or, where server is 0, a client that sent
 * one to two. */
struct seen {
	uint64_t key, server; /* key 0: free */
};

/* Counts as records have them. Most clients have one of a few: they share what was made
 * for the one before. */
struct shown {
	struct acc counts;
	json_t *classes, *formats, *verified; /* classes NULL: free; verified NULL: nothing */
};
#define SHOWN 256u /* a power of two */

struct cookie {
	const struct stat_run *run;
	struct stat_row *rows;
	size_t expected; /* keys: an interval is about as rich as the one before */
	struct shown shown[SHOWN];
	json_t *head[FT_VANTAGE_CAP][FT_COOKIE_KINDS]; /* of this interval's records; or NULL */
	struct seen *now, *old; /* [SEEN_SLOTS]: what is full grows old and is forgotten */
	size_t n;
};

static void row_free(struct row *r)
{
	if (r == NULL)
		return;
	keyed_merge_destroy(r->keys);
	free(r->sent);
	free(r);
}

static void clear(struct shown *x)
{
	json_decref(x->classes);
	json_decref(x->formats);
	json_decref(x->verified);
	*x = (struct shown){.classes = NULL};
}

/* What records of this interval shared. */
static void forget_shared(struct cookie *s)
{
	for (unsigned i = 0; i < SHOWN; i++)
		clear(&s->shown[i]);
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		for (unsigned k = 0; k < FT_COOKIE_KINDS; k++) {
			json_decref(s->head[v][k]);
			s->head[v][k] = NULL;
		}
}

static json_t *enforcing(const struct acc *a)
{
	if (a->c[FT_COOKIE_LET_PASS] != 0)
		return json_false();
	return a->c[FT_COOKIE_ENFORCED] != 0 ? json_true() : json_null();
}

static void cookie_destroy(void *stat)
{
	struct cookie *s = stat;

	if (s == NULL)
		return;
	forget_shared(s);
	while (s->rows != NULL)
		row_free(rows_pop(&s->rows));
	free(s->now);
	free(s->old);
	free(s);
}

static void *cookie_create(const struct stat_run *run)
{
	struct cookie *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->now = calloc(SEEN_SLOTS, sizeof(*s->now));
	s->old = calloc(SEEN_SLOTS, sizeof(*s->old));
	if (s->now != NULL && s->old != NULL)
		return s;
	cookie_destroy(s);
	return NULL;
}

/* --- records --- */

static void leave(void *ctx, const void *acc)
{
	(void)ctx; /* it is in the sums already */
	(void)acc;
}

static struct row *row_get(struct cookie *s, uint64_t number)
{
	struct stat_row **place = rows_place(&s->rows, number);
	const struct keyed_merge_settings set = {.key_bytes = sizeof(struct key),
						 .acc_bytes = sizeof(struct acc),
						 .budget = KEYS,
						 .expected = s->expected,
						 .seed = s->run->sample_key,
						 .leave = leave};

	if (*place != NULL && (*place)->number == number)
		return (struct row *)*place;
	struct row *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->keys = keyed_merge_create(&set);
	if (r->keys == NULL) {
		free(r);
		return NULL;
	}
	rows_put(place, &r->head, number);
	return r;
}

/* Of the address alone: where each server is seen from says nothing about its client. */
static uint64_t client_hash(const uint8_t *addr)
{
	return XXH3_64bits(addr, 16) | 1;
}

static int add_sent(struct row *r, const struct ft_cookie_rec *rec)
{
	if (r->n == r->room) {
		const size_t room = r->room != 0 ? 2 * r->room : 256;
		struct sent *v = room <= SENT_CAP ? realloc(r->sent, room * sizeof(*v)) : NULL;
		if (v == NULL)
			return room <= SENT_CAP ? -ENOMEM : 0;
		r->sent = v;
		r->room = room;
	}
	r->sent[r->n++] = (struct sent){client_hash(rec->addr), rec->cookie, rec->server};
	return 0;
}

static int add_counts(struct row *r, const struct ft_cookie_rec *rec)
{
	struct key key = {.kind = rec->kind, .vantage = rec->vantage};
	void *found;

	for (unsigned i = 0; rec->kind == FT_COOKIE_SERVER && i < FT_COOKIE_COUNTERS; i++)
		r->all[rec->vantage].sum.c[i] += rec->c[i];
	memcpy(key.addr, rec->addr, sizeof(key.addr));
	const int result = keyed_merge_get(r->keys, &key, &found);
	if (result != 0)
		return result < 0 ? result : 0;
	for (unsigned i = 0; i < FT_COOKIE_COUNTERS; i++)
		((struct acc *)found)->c[i] += rec->c[i];
	return 0;
}

static int add_cookies(struct cookie *s, const struct stat_record *rec)
{
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	uint32_t left = ft_rec_records(rec->hdr);
	struct row *row = row_get(s, rec->hdr->row);
	struct ft_cookie_rec c;
	int result = row != NULL ? 0 : -ENOMEM;

	for (; result == 0 && ft_entry_next(&r, &body); left--) {
		if (left == 0 || !ft_cookie_read(&body, &c))
			return -EBADMSG;
		result = c.kind == FT_COOKIE_SENT ? add_sent(row, &c) : add_counts(row, &c);
	}
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

/* The EDNS of all queries stands in what `traffic` reads. */
static int add_traffic(struct cookie *s, const struct stat_record *rec)
{
	const struct ft_pair64 *p = rec->body;
	struct row *row = row_get(s, rec->hdr->row);

	if (row == NULL)
		return -ENOMEM;
	if (rec->hdr->vantage >= FT_VANTAGE_CAP)
		return -EBADMSG;
	struct all *a = &row->all[rec->hdr->vantage];
	for (size_t i = 0; i < rec->bytes / sizeof(*p); i++) {
		if (p[i].id == FT_TRAFFIC_QUERIES)
			a->queries += p[i].value;
		else if (p[i].id >= FT_TRAFFIC_EDNS && p[i].id < FT_TRAFFIC_EDNS + FT_EDNS_CAP)
			a->edns[p[i].id - FT_TRAFFIC_EDNS] += p[i].value;
	}
	return 0;
}

static int cookie_record(void *stat, const struct stat_record *rec)
{
	switch (rec->hdr->type) {
	case FT_REC_COOKIE: return add_cookies(stat, rec);
	case FT_REC_TRAFFIC: return add_traffic(stat, rec);
	default: return 0;
	}
}

static uint64_t cookie_first_row(const void *stat)
{
	return rows_first(((const struct cookie *)stat)->rows);
}

/* --- client cookies that went to two servers --- */

static size_t seen_place(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull >> 40) % SEEN_SLOTS;
}

static struct seen *seen_at(struct seen *table, uint64_t key)
{
	size_t at = seen_place(key);

	while (table[at].key != 0 && table[at].key != key)
		at = (at + 1) % SEEN_SLOTS;
	return &table[at];
}

static void seen_fetch(const struct cookie *s, uint64_t key)
{
	fetch_read(&s->now[seen_place(key)]);
	fetch_read(&s->old[seen_place(key)]);
}

static const struct seen *seen_find(const struct cookie *s, uint64_t key)
{
	const struct seen *e = seen_at(s->now, key);

	if (e->key == 0)
		e = seen_at(s->old, key);
	return e->key != 0 ? e : NULL;
}

static void seen_put(struct cookie *s, uint64_t key, uint64_t server)
{
	if (s->n == SEEN_CAP) {
		struct seen *older = s->old;
		s->old = s->now;
		s->now = older;
		memset(s->now, 0, SEEN_SLOTS * sizeof(*s->now));
		s->n = 0;
	}
	struct seen *e = seen_at(s->now, key);
	s->n += e->key == 0;
	*e = (struct seen){key, server};
}

static int order_sent(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct sent));
}

static uint64_t sent_key(const struct sent *x)
{
	return (XXH3_64bits_withSeed(&x->cookie, sizeof(x->cookie), x->client) | 1) ^ 2;
}

/* Of several servers the one with the least hash is kept, so that their order does not
 * show; it would where the table turns over within an interval. */
static void learn_sent(struct cookie *s, struct row *r)
{
	if (2 * r->n > SEEN_CAP - s->n)
		qsort(r->sent, r->n, sizeof(*r->sent), order_sent);
	for (size_t i = 0; i < r->n; i++) {
		const struct sent *t = &r->sent[i];
		if (i + AHEAD < r->n)
			seen_fetch(s, sent_key(&r->sent[i + AHEAD]));
		const uint64_t key = sent_key(t);
		const struct seen *e = seen_find(s, key);
		const uint64_t before = e != NULL ? e->server : t->server;
		if (before != t->server)
			seen_put(s, t->client, 0);
		seen_put(s, key, before < t->server ? before : t->server);
	}
}

static bool is_reusing(const struct cookie *s, uint64_t client)
{
	const struct seen *e = seen_find(s, client);

	return e != NULL && e->server == 0;
}

/* --- records that go out --- */

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static bool has_class(const struct acc *a)
{
	for (unsigned i = 0; i < FT_COOKIE_CLASS_CAP; i++)
		if (a->c[FT_COOKIE_CLASS + i] != 0)
			return true;
	return false;
}

static void show(struct shown *x, const struct acc *a)
{
	const uint64_t bad = a->c[FT_COOKIE_BADCOOKIE], retried = a->c[FT_COOKIE_RETRIED];

	clear(x);
	x->counts = *a;
	x->classes = json_object();
	x->formats = json_object();
	for (unsigned i = 0; i < FT_COOKIE_CLASS_CAP; i++) {
		const uint64_t n = i == FT_COOKIE_BADCOOKIE ? bad - (retried < bad ? retried : bad)
				   : i == FT_COOKIE_RETRIED ? (retried < bad ? retried : bad)
							    : a->c[FT_COOKIE_CLASS + i];
		if (n != 0)
			set_count(x->classes, class_texts[i], n);
	}
	for (unsigned i = 0; i < FT_COOKIE_FORMAT_CAP; i++)
		if (a->c[FT_COOKIE_FORMAT + i] != 0)
			set_count(x->formats, format_texts[i], a->c[FT_COOKIE_FORMAT + i]);
	if (a->c[FT_COOKIE_GENUINE] + a->c[FT_COOKIE_FORGED] != 0)
		x->verified =
		    json_pack("{s:I, s:I}", "genuine", (json_int_t)a->c[FT_COOKIE_GENUINE],
			      "forged", (json_int_t)a->c[FT_COOKIE_FORGED]);
}

static void put_counts(struct cookie *s, json_t *o, const struct acc *a)
{
	struct shown *x = &s->shown[XXH3_64bits(a, sizeof(*a)) % SHOWN];

	if (x->classes == NULL || memcmp(&x->counts, a, sizeof(*a)) != 0)
		show(x, a);
	json_object_set(o, "by_class", x->classes);
	json_object_set(o, "format", x->formats);
	if (x->verified != NULL)
		json_object_set(o, "verified", x->verified);
}

static json_t *begin(const struct cookie *s, const struct stat_interval *in, unsigned vantage,
		     const char *role)
{
	json_t *o = envelope_create("cookie", s->run->probe, ft_vantage_texts[vantage], in->start_s,
				    in->end_s, 1, in->loss_ppm);

	json_object_set_new(o, "role", json_string(role));
	return o;
}

/* A server's or client's record; what is the same for all of an interval is shared. */
static json_t *begin_one(struct cookie *s, const struct stat_interval *in, const struct key *k)
{
	json_t **head = &s->head[k->vantage][k->kind];

	if (*head == NULL)
		*head = begin(s, in, k->vantage, k->kind == FT_COOKIE_SERVER ? "server" : "client");
	return json_copy(*head);
}

static enum ft_table table_of(const struct key *k)
{
	return k->kind == FT_COOKIE_SERVER ? FT_TABLE_SERVERS : FT_TABLE_CLIENTS;
}

/* Queries of an address, as the keyed tables have them. */
static uint64_t transactions(const struct stat_interval *in, const struct key *k)
{
	struct table_sum sum;

	return tables_get(in->tables, table_of(k), k->vantage, k->addr, &sum)
		   ? ft_table_queries(table_of(k), sum.c)
		   : 0;
}

static void sum_up(struct all *all, const struct key *k, const struct acc *a, bool reused)
{
	const uint64_t good = a->c[FT_COOKIE_ISSUE] + a->c[FT_COOKIE_OK] + a->c[FT_COOKIE_RENEW] +
			      a->c[FT_COOKIE_BADCOOKIE];

	if (k->kind == FT_COOKIE_CLIENT) {
		all->asking +=
		    good + a->c[FT_COOKIE_UNSUPPORTED] + a->c[FT_COOKIE_CLIENT_MISMATCH] > 0;
		all->reusing += reused;
		return;
	}
	all->with += good != 0;
	all->enforcing += a->c[FT_COOKIE_LET_PASS] == 0 && a->c[FT_COOKIE_ENFORCED] != 0;
	all->passing += a->c[FT_COOKIE_LET_PASS] != 0;
}

static void write_one(struct cookie *s, const struct stat_interval *in, const struct key *k,
		      const struct acc *a)
{
	const bool server = k->kind == FT_COOKIE_SERVER;
	json_t *o = begin_one(s, in, k);
	char text[INET6_ADDRSTRLEN];

	server_text(k->addr, text);
	json_object_set_new(o, "address", json_string(text));
	set_count(o, "transactions", transactions(in, k));
	put_counts(s, o, a);
	json_object_set_new(o, "enforcing", server ? enforcing(a) : json_null());
	json_object_set_new(o, "cc_reused",
			    server ? json_null()
				   : json_boolean(is_reusing(s, client_hash(k->addr))));
	s->run->write(s->run->ctx, "cookie", in->start_s, o);
}

/* An address; behind read_keys one that has a record. */
struct told {
	const struct key *key;
	const struct acc *acc;
};

static int order_told(const void *left, const void *right)
{
	return memcmp(((const struct told *)left)->key, ((const struct told *)right)->key,
		      sizeof(struct key));
}

static void fetch(const struct stat_interval *in, const struct told *x, unsigned step)
{
	tables_fetch(in->tables, table_of(x->key), x->key->vantage, x->key->addr, step);
}

/* By rising key. */
static void write_told(struct cookie *s, const struct stat_interval *in, struct told *v, size_t n)
{
	if (n != 0)
		qsort(v, n, sizeof(*v), order_told);
	for (size_t i = 0; i < n; i++) {
		if (i + 2 * AHEAD < n)
			fetch(in, &v[i + 2 * AHEAD], 0);
		if (i + AHEAD < n)
			fetch(in, &v[i + AHEAD], 1);
		write_one(s, in, v[i].key, v[i].acc);
	}
	forget_shared(s);
}

/* Sums up an address. True: it has a record. */
static bool read_key(const struct cookie *s, struct row *r, const struct told *x)
{
	const struct key *k = x->key;

	sum_up(&r->all[k->vantage], k, x->acc,
	       k->kind == FT_COOKIE_CLIENT && is_reusing(s, client_hash(k->addr)));
	return has_class(x->acc);
}

static void read_keys(struct cookie *s, const struct stat_interval *in, struct row *r)
{
	(void)keyed_merge_settle(r->keys); /* without memory: a few keys more */
	s->expected = keyed_merge_keys(r->keys);
	struct told *v = malloc((s->expected + 1) * sizeof(*v));
	const void *found;
	size_t at = 0, n = 0, kept = 0;

	while (v != NULL && (found = keyed_merge_next(r->keys, &at)) != NULL)
		v[n++] = (struct told){keyed_merge_key(r->keys, found), found};
	for (size_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			seen_fetch(s, client_hash(v[i + AHEAD].key->addr));
		if (read_key(s, r, &v[i]))
			v[kept++] = v[i];
	}
	write_told(s, in, v, kept);
	free(v);
}

static void count_table(void *ctx, const struct table_sum *t)
{
	struct all *all = ctx;

	if (ft_table_queries(t->table, t->c) == 0)
		return;
	if (t->table == FT_TABLE_SERVERS)
		all[t->vantage].servers++;
	else
		all[t->vantage].clients++;
}

static void write_all(struct cookie *s, const struct stat_interval *in, unsigned vantage,
		      const struct all *a)
{
	json_t *o = begin(s, in, vantage, "ALL"), *edns = json_object();

	json_object_set_new(o, "address", json_null());
	set_count(o, "transactions", a->queries);
	put_counts(s, o, &a->sum);
	json_object_set_new(o, "enforcing", json_null());
	json_object_set_new(o, "cc_reused", json_null());
	set_count(edns, "queries", a->queries);
	for (unsigned i = 0; i < FT_EDNS_CAP; i++)
		if (a->edns[i] != 0 || i <= FT_EDNS_do || i == FT_EDNS_cookie)
			set_count(edns, i == FT_EDNS_queries ? "present" : ft_edns_texts[i],
				  a->edns[i]);
	json_object_set_new(o, "edns", edns);
	json_object_set_new(o, "servers",
			    json_pack("{s:I, s:I, s:I, s:I}", "seen", (json_int_t)a->servers,
				      "cookies", (json_int_t)a->with, "enforcing",
				      (json_int_t)a->enforcing, "not_enforcing",
				      (json_int_t)a->passing));
	json_object_set_new(o, "clients",
			    json_pack("{s:I, s:I, s:I}", "seen", (json_int_t)a->clients, "cookies",
				      (json_int_t)a->asking, "reused", (json_int_t)a->reusing));
	s->run->write(s->run->ctx, "cookie", in->start_s, o);
}

static void cookie_close(void *stat, struct stat_interval *in)
{
	struct cookie *s = stat;

	if (!rows_is_first(s->rows, in->row))
		return;
	struct row *r = rows_pop(&s->rows);
	learn_sent(s, r);
	read_keys(s, in, r);
	tables_each(in->tables, FT_TABLE_SERVERS, count_table, r->all);
	tables_each(in->tables, FT_TABLE_CLIENTS, count_table, r->all);
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		if (r->all[v].queries != 0)
			write_all(s, in, v, &r->all[v]);
	row_free(r);
}

const struct stat_ops stat_cookie = {
    .set = "cookie",
    .create = cookie_create,
    .record = cookie_record,
    .first_row = cookie_first_row,
    .close = cookie_close,
    .destroy = cookie_destroy,
};

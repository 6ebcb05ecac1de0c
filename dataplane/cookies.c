/* SPDX-License-Identifier: BSD-3-Clause */
/* Read step_one() first. */
#include "cookies.h"

#include "fetch.h"
#include "mem.h"
#include "siphash.h"
#include "vantage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define STEP_BYTES 24576u
#define STEP_SETS 1024u
#define WAYS 4u
#define FILTER_BITS (1u << 19) /* 64 KB */
#define RETRY_US 5000000u
#define BADS_CAP 4096u /* BADCOOKIEs that wait: 160 KB; where there are more, the oldest go */
#define BADS_LOOK 64u  /* of one pair */

/* RFC 9018 4.3, in seconds. */
#define AGE_FUTURE 300
#define AGE_EXPIRED 3600

enum { GIVEN = 1, USED = 2 }; /* the server gave a cookie; the client sent one back */

/* When that first was, in units of 64 us, which go round in 76 hours. */
#define WHEN(t_us) ((uint32_t)((t_us) >> 6))
#define WHEN_LATE WHEN(10000000u) /* no transaction settles so long behind its query */

/* What a client and a server had to do with one another. */
struct both {
	uint64_t key;           /* 0: free */
	uint32_t given, used;   /* WHEN, where the flags say so */
	uint32_t last_s;        /* of use */
	uint32_t client_cookie; /* hash of it; 0: none yet */
	uint32_t bad;           /* number of the last BADCOOKIE that waits; 0: none */
	uint8_t flags;
};
static_assert(sizeof(struct both) == 32, "two to a line");

/* A BADCOOKIE whose client may still come back with what it was given. */
struct bad {
	uint64_t key, t_us, row;
	uint32_t number, before; /* before: the pair's one before it; 0: none */
	uint8_t vantage;
};

struct counts {
	_Alignas(CACHE_LINE) struct keyed_entry e;
	struct addr addr;
	uint8_t vantage, kind;
	uint16_t c[FT_COOKIE_COUNTERS];
};
static_assert(sizeof(struct counts) == 2 * CACHE_LINE, "two lines");

struct cookies {
	struct tally *tally;
	struct cookies_settings set;
	struct both *both; /* sets of WAYS */
	uint8_t *filter;   /* of pairs that have used cookies */
	bool any;          /* something is in the filter */
	struct keyed *counts;
	struct bad *bad; /* [BADS_CAP], by number */
	uint32_t bads;   /* number of the last one */
	size_t emitted;
	struct cookies_stats stats;
};

/* A transaction that is looked at, while what it will touch is on its way from memory. */
struct awaited {
	const struct txn *x;
	uint64_t key; /* of the pair */
	uint64_t row;
	uint64_t client; /* key of its client's counters */
	uint8_t vantage;
	bool makes; /* it makes the pair one that has used cookies */
};
#define AWAITED 16u

/* What is known of one transaction. */
struct look {
	const struct txn *x;
	const uint8_t *q, *r; /* cookies of legal length; NULL: none */
	uint32_t q_len, r_len;
	bool bad_len;
	uint64_t row, client; /* client: key of its counters */
	uint8_t vantage;
	struct both *both; /* NULL: the pair has used no cookies */
	/* Counters to raise: of server and client, and of the server alone. */
	uint8_t both_of[8], both_n, server_of, server_n;
};

static void emit_counts(void *ctx, const void *entry)
{
	struct cookies *c = ctx;
	const struct counts *e = entry;
	struct ft_cookie_rec r = {.kind = e->kind, .vantage = e->vantage};
	uint8_t *out = tally_entry_begin(c->tally, FT_REC_COOKIE, e->e.row, FT_COOKIE_ENTRY_CAP);

	memcpy(r.addr, &e->addr, sizeof(r.addr));
	for (unsigned i = 0; i < FT_COOKIE_COUNTERS; i++)
		r.c[i] = e->c[i];
	const uint8_t *end = ft_cookie_write(&r, out);
	tally_entry_end(c->tally, end);
	c->emitted += (size_t)(end - out);
}

static void close_begin(void *ctx, uint64_t row)
{
	(void)row;
	keyed_close_begin(((struct cookies *)ctx)->counts);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct cookies *c = ctx;

	c->emitted = 0;
	for (uint32_t sets = 0; sets < STEP_SETS && c->emitted < STEP_BYTES; sets += 4)
		if (keyed_close(c->counts, row, 4))
			return true;
	return false;
}

struct cookies *cookies_create(struct tally *tally, const struct cookies_settings *settings)
{
	struct cookies *c = calloc(1, sizeof(*c));

	assert((settings->pairs & (settings->pairs - 1)) == 0 && settings->pairs >= WAYS);
	if (c == NULL)
		return NULL;
	c->tally = tally;
	c->set = *settings;
	c->both = mem_map(settings->pairs * sizeof(*c->both));
	c->filter = mem_map(FILTER_BITS / 8);
	c->bad = mem_map(BADS_CAP * sizeof(*c->bad));
	c->counts = keyed_create(settings->entries, sizeof(struct counts), emit_counts, c);
	if (c->both == NULL || c->filter == NULL || c->bad == NULL || c->counts == NULL) {
		cookies_destroy(c);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, c});
	return c;
}

void cookies_destroy(struct cookies *c)
{
	if (c == NULL)
		return;
	keyed_destroy(c->counts);
	mem_unmap(c->bad, BADS_CAP * sizeof(*c->bad));
	mem_unmap(c->filter, FILTER_BITS / 8);
	mem_unmap(c->both, c->set.pairs * sizeof(*c->both));
	free(c);
}

const struct cookies_stats *cookies_stats_get(const struct cookies *c)
{
	return &c->stats;
}

/* --- cookies as octets --- */

enum ft_cookie_format cookies_format(const uint8_t *cookie, uint32_t len, uint64_t ts_us)
{
	if (len == 8)
		return FT_COOKIE_FORMAT_LEGACY8;
	if (len != 16 || cookie[0] != 1)
		return FT_COOKIE_FORMAT_OTHER;
	if ((cookie[1] | cookie[2] | cookie[3]) != 0)
		return FT_COOKIE_FORMAT_V1_RESERVED;
	const uint32_t then = (uint32_t)cookie[4] << 24 | (uint32_t)cookie[5] << 16 |
			      (uint32_t)cookie[6] << 8 | cookie[7];
	const int32_t age = (int32_t)((uint32_t)(ts_us / 1000000) - then); /* RFC 1982 */
	if (age < -AGE_FUTURE)
		return FT_COOKIE_FORMAT_V1_FUTURE;
	return age > AGE_EXPIRED ? FT_COOKIE_FORMAT_V1_EXPIRED : FT_COOKIE_FORMAT_V1_OK;
}

bool cookies_is_genuine(const uint8_t secret[16], const uint8_t client_cookie[8],
			const uint8_t server_cookie[16], const struct addr *client)
{
	const bool v4 = ft_addr_is_v4(client->b);
	uint8_t text[32];
	size_t n = 16;

	memcpy(text, client_cookie, 8);
	memcpy(text + 8, server_cookie, 8);
	memcpy(text + n, v4 ? client->b + 12 : client->b, v4 ? 4 : 16);
	n += v4 ? 4 : 16;
	return siphash_24(secret, text, n) == siphash_load(server_cookie + 8, 8);
}

/* --- pairs --- */

static uint64_t pair_key(const struct cookies *c, const struct txn *x)
{
	return hash_fold(addr_fold(x->client, c->set.hash_key),
			 addr_fold(x->server, ~c->set.hash_key)) |
	       1;
}

static bool in_filter(const struct cookies *c, uint64_t key)
{
	const uint32_t bit = (uint32_t)(key >> 20) & (FILTER_BITS - 1);

	return (c->filter[bit / 8] >> bit % 8 & 1) != 0;
}

static void put_filter(struct cookies *c, uint64_t key)
{
	const uint32_t bit = (uint32_t)(key >> 20) & (FILTER_BITS - 1);

	c->filter[bit / 8] = (uint8_t)(c->filter[bit / 8] | 1u << bit % 8);
	c->any = true;
}

static struct both *set_of(const struct cookies *c, uint64_t key)
{
	return &c->both[(key >> 40) * WAYS & (c->set.pairs - 1)];
}

static void fetch_set(const struct cookies *c, uint64_t key)
{
	const struct both *set = set_of(c, key);

	fetch_write(set);
	fetch_write(set + 2);
}

/* The pair's entry; where it has none and `make`, of the one used least recently. */
static struct both *both_get(struct cookies *c, uint64_t key, uint64_t now_us, bool make)
{
	struct both *set = set_of(c, key), *b = set;

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key) {
			set[i].last_s = (uint32_t)(now_us / 1000000);
			return &set[i];
		}
	if (!make)
		return NULL;
	for (unsigned i = 1; i < WAYS && b->key != 0; i++)
		if (set[i].key == 0 || set[i].last_s < b->last_s)
			b = &set[i];
	c->stats.evicted += b->key != 0;
	*b = (struct both){.key = key, .last_s = (uint32_t)(now_us / 1000000)};
	return b;
}

/* --- counters --- */

static uint64_t counts_key(const struct cookies *c, const struct addr *addr, uint64_t row,
			   unsigned kind, unsigned vantage)
{
	return addr_fold(addr, hash_mix(row ^ c->set.hash_key) ^ (kind << 2 | vantage));
}

/* The entry of one role; its counters may be raised at once. */
static struct counts *counts_get(struct cookies *c, const struct look *l, unsigned kind)
{
	const bool server = kind == FT_COOKIE_SERVER;
	const struct addr *addr = server ? l->x->server : l->x->client;
	const uint64_t key = server ? counts_key(c, addr, l->row, kind, l->vantage) : l->client;
	bool fresh;
	struct counts *e = keyed_get(c->counts, key, l->row, &fresh);

	if (fresh) {
		e->addr = *addr;
		e->vantage = l->vantage;
		e->kind = (uint8_t)kind;
	}
	return e;
}

static void raise_counter(struct cookies *c, struct counts *e, unsigned counter, unsigned n)
{
	e->c[counter] = (uint16_t)(e->c[counter] + n);
	if (e->c[counter] < UINT16_MAX / 2)
		return;
	emit_counts(c, e);
	memset(e->c, 0, sizeof(e->c));
}

/* Notes what is to be counted by server and by client, once all is known. */
static void count_both(struct look *l, unsigned counter)
{
	l->both_of[l->both_n++] = (uint8_t)counter;
}

static void count_noted(struct cookies *c, const struct look *l)
{
	if (l->both_n != 0 || l->server_n != 0) {
		struct counts *e = counts_get(c, l, FT_COOKIE_SERVER);
		for (unsigned i = 0; i < l->both_n; i++)
			raise_counter(c, e, l->both_of[i], 1);
		if (l->server_n != 0)
			raise_counter(c, e, l->server_of, 1);
	}
	if (l->both_n != 0) {
		struct counts *e = counts_get(c, l, FT_COOKIE_CLIENT);
		for (unsigned i = 0; i < l->both_n; i++)
			raise_counter(c, e, l->both_of[i], 1);
	}
}

/* One client cookie, one server: control sees whether others got it, too. */
static void note_sent(struct cookies *c, const struct look *l)
{
	const uint64_t cookie = XXH3_64bits_withSeed(l->q, 8, c->set.sketch_seed);
	const uint32_t brief = (uint32_t)cookie | 1;
	struct ft_cookie_rec r = {.kind = FT_COOKIE_SENT, .vantage = l->vantage, .cookie = cookie};

	if (l->both->client_cookie == brief)
		return;
	l->both->client_cookie = brief;
	memcpy(r.addr, l->x->client, sizeof(r.addr));
	r.server = XXH3_64bits_withSeed(l->x->server, sizeof(*l->x->server), c->set.sketch_seed);
	uint8_t *out = tally_entry_begin(c->tally, FT_REC_COOKIE, l->row, FT_COOKIE_ENTRY_CAP);
	tally_entry_end(c->tally, ft_cookie_write(&r, out));
}

/* A server cookie of either message. */
static void count_format(const struct cookies *c, struct look *l, const uint8_t *cookie,
			 uint32_t len, uint64_t ts_us)
{
	const enum ft_cookie_format f = cookies_format(cookie + 8, len - 8, ts_us);

	count_both(l, FT_COOKIE_FORMAT + f);
	bool genuine = false;
	if (c->set.secrets == 0 || len != 24 || cookie[8] != 1)
		return;
	for (unsigned i = 0; i < c->set.secrets; i++)
		genuine |= cookies_is_genuine(c->set.secret[i], cookie, cookie + 8, l->x->client);
	count_both(l, genuine ? FT_COOKIE_GENUINE : FT_COOKIE_FORGED);
}

/* --- classes --- */

/* Whether it had come to that when this query was asked: what settles later may have been
 * asked before. */
static bool has_been(const struct look *l, uint8_t flag)
{
	const struct both *b = l->both;

	if (b == NULL || (b->flags & flag) == 0)
		return false;
	return (flag == GIVEN ? b->given : b->used) - WHEN(l->x->q.t_us) >= WHEN_LATE;
}

/* FT_COOKIE_CLASS_CAP: none. */
static enum ft_cookie_class class_of(const struct look *l)
{
	const struct txn *x = l->x;

	if (l->bad_len)
		return FT_COOKIE_BADLEN;
	if (l->q == NULL) {
		if (l->r != NULL)
			return FT_COOKIE_UNSOLICITED;
		return has_been(l, USED) ? FT_COOKIE_DOWNGRADE : FT_COOKIE_CLASS_CAP;
	}
	if (!x->has_response)
		return FT_COOKIE_CLASS_CAP; /* a lost packet says nothing about cookies */
	if (l->r == NULL || l->r_len == 8)
		return FT_COOKIE_UNSUPPORTED;
	if (memcmp(l->q, l->r, 8) != 0)
		return FT_COOKIE_CLIENT_MISMATCH;
	if (x->rcode == FT_RCODE_BADCOOKIE)
		return FT_COOKIE_BADCOOKIE;
	if (l->q_len == 8)
		return FT_COOKIE_ISSUE;
	return l->q_len == l->r_len && memcmp(l->q, l->r, l->q_len) == 0 ? FT_COOKIE_OK
									 : FT_COOKIE_RENEW;
}

/* The pair's latest; NULL: none, or not known any more. */
static const struct bad *bad_get(const struct cookies *c, const struct both *b)
{
	const struct bad *bad = &c->bad[b->bad % BADS_CAP];

	return b->bad != 0 && bad->number == b->bad && bad->key == b->key ? bad : NULL;
}

static void bad_put(struct cookies *c, const struct look *l)
{
	struct both *b = l->both;

	c->bads += c->bads == UINT32_MAX ? 2 : 1; /* 0 is none */
	c->bad[c->bads % BADS_CAP] = (struct bad){.key = b->key,
						  .t_us = l->x->response_us,
						  .row = l->row,
						  .number = c->bads,
						  .before = b->bad,
						  .vantage = l->vantage};
	b->bad = c->bads;
}

/* One that the client came back for is counted again, in its own interval. */
static void count_retried(struct cookies *c, const struct look *l, const struct bad *bad)
{
	struct look then = *l;

	if (clock_row_closed(c->tally->clock, bad->row))
		return;
	then.vantage = bad->vantage;
	then.row = bad->row;
	then.client = counts_key(c, l->x->client, bad->row, FT_COOKIE_CLIENT, bad->vantage);
	raise_counter(c, counts_get(c, &then, FT_COOKIE_SERVER), FT_COOKIE_RETRIED, 1);
	raise_counter(c, counts_get(c, &then, FT_COOKIE_CLIENT), FT_COOKIE_RETRIED, 1);
}

/* BADCOOKIEs wait for the client to come back with what it was given. */
static void follow_bad(struct cookies *c, const struct look *l, enum ft_cookie_class class)
{
	struct both *b = l->both;
	const struct bad *bad;

	if (class == FT_COOKIE_BADCOOKIE)
		bad_put(c, l);
	if (class != FT_COOKIE_OK && class != FT_COOKIE_RENEW)
		return;
	for (unsigned i = 0; i < BADS_LOOK && (bad = bad_get(c, b)) != NULL; i++) {
		if (bad->t_us + RETRY_US < l->x->response_us)
			break;
		count_retried(c, l, bad);
		b->bad = bad->before;
	}
	b->bad = 0;
}

/* Over UDP, without a server cookie, from a client to which it had given one. */
static void count_enforcing(struct look *l)
{
	const struct txn *x = l->x;

	if (!has_been(l, GIVEN) || l->bad_len || l->q_len > 8 || !x->has_response ||
	    x->q.transport >= FT_TRANSPORT_tcp4)
		return;
	const bool enforced =
	    x->rcode == FT_RCODE_BADCOOKIE || x->rcode == FT_RCODE_REFUSED || x->tc;
	l->server_of = enforced ? FT_COOKIE_ENFORCED : FT_COOKIE_LET_PASS;
	l->server_n = 1;
}

static void look_at(struct look *l, const struct txn *x)
{
	*l = (struct look){.x = x};
	if (x->q.cookie != 0) {
		l->q_len = x->q.cookie - 1u;
		l->bad_len = !pair_cookie_is_legal(l->q_len);
		l->q = l->bad_len ? NULL : x->cookie;
	}
	if (x->response != NULL && x->response->cookie_off != 0) {
		const uint8_t *option = x->response->data + x->response->cookie_off;
		l->r_len = (uint32_t)option[0] << 8 | option[1];
		const bool legal = pair_cookie_is_legal(l->r_len);
		l->bad_len |= !legal;
		l->r = legal ? option + 2 : NULL;
	}
	if (l->bad_len) {
		l->q_len = l->q != NULL ? l->q_len : 0;
		l->r_len = l->r != NULL ? l->r_len : 0;
	}
}

static void first_time(struct look *l, uint8_t flag, uint64_t t_us)
{
	struct both *b = l->both;

	if ((b->flags & flag) != 0)
		return;
	b->flags |= flag;
	*(flag == GIVEN ? &b->given : &b->used) = WHEN(t_us);
}

static __attribute__((noinline)) void step_one(struct cookies *c, const struct awaited *w)
{
	const struct txn *x = w->x;
	struct look l;

	look_at(&l, x);
	l.vantage = w->vantage;
	l.row = w->row;
	l.client = w->client;
	l.both = both_get(c, w->key, x->settled_us, w->makes);
	const enum ft_cookie_class class = class_of(&l);
	if (class != FT_COOKIE_CLASS_CAP) {
		c->stats.seen++;
		count_both(&l, class);
	}
	count_enforcing(&l);
	if (l.q != NULL)
		note_sent(c, &l);
	if (l.q != NULL && l.q_len > 8) {
		count_format(c, &l, l.q, l.q_len, x->q.ts_us);
		first_time(&l, USED, x->q.t_us);
	}
	if (l.r != NULL && l.r_len > 8) {
		count_format(c, &l, l.r, l.r_len, x->response->ts_us);
		first_time(&l, GIVEN, x->response_us);
	}
	count_noted(c, &l);
	if (l.both != NULL && x->has_response)
		follow_bad(c, &l, class);
}

/* A client's cookie, or a server's, of a legal length. */
static bool makes_both(const struct txn *x)
{
	if (x->q.cookie != 0 && pair_cookie_is_legal(x->q.cookie - 1u))
		return true;
	if (x->response == NULL || x->response->cookie_off == 0)
		return false;
	const uint8_t *option = x->response->data + x->response->cookie_off;
	const uint32_t len = (uint32_t)option[0] << 8 | option[1];
	return len > 8 && pair_cookie_is_legal(len);
}

static struct awaited await(const struct cookies *c, const struct txn *x, uint64_t key, bool makes)
{
	struct awaited w = {.x = x,
			    .key = key,
			    .makes = makes,
			    .row = clock_row(c->tally->clock, x->q.t_us),
			    .vantage = (uint8_t)vantage_of_txn(x)};

	w.client = counts_key(c, x->client, w.row, FT_COOKIE_CLIENT, w.vantage);
	fetch_set(c, key);
	keyed_prefetch_tags(c->counts, w.client);
	return w;
}

/* Its client's counters: few have none. */
static void fetch_counts(const struct cookies *c, const struct awaited *w)
{
	bool there;
	const uint8_t *e = keyed_prefetch_entry(c->counts, w->client, &there);

	fetch_write(e + CACHE_LINE);
}

static void step_all(struct cookies *c, const struct awaited *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fetch_counts(c, &w[i]);
	for (uint32_t i = 0; i < n; i++)
		step_one(c, &w[i]);
}

STAGE void cookies_step(struct cookies *c, const struct txn *txn, uint32_t n)
{
	struct awaited w[AWAITED];
	uint32_t waiting = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct txn *x = &txn[i];
		const bool has =
		    x->q.cookie != 0 || (x->response != NULL && x->response->cookie_off != 0);
		if (!x->has_query || (!has && !c->any))
			continue;
		const uint64_t key = pair_key(c, x);
		const bool makes = has && makes_both(x);
		if (makes) /* at once, for those of the same pair behind it */
			put_filter(c, key);
		else if (!has && !in_filter(c, key))
			continue;
		w[waiting++] = await(c, x, key, makes);
		if (waiting == AWAITED) {
			step_all(c, w, waiting);
			waiting = 0;
		}
	}
	step_all(c, w, waiting);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `server`: who answers, how fast, and whether it is up.
 *
 * The operator's own servers and the busiest of an interval get a record each, and one more for
 * each change of state within it. Counters come from the keyed tables, sketches and
 * windows from the merge of servers' parts; retries are joined here where workers share
 * the flows. Where most queries of all servers stay unanswered the tap sees one direction
 * only: then nothing is said but how many were asked. */
#include "server.h"

#include "../../dataplane/mini.h"
#include "../../dataplane/sketch.h"
#include "../envelope.h"
#include "retries.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOSS_PPM 1000u /* of our own: above it no silence is held against anybody */

static void *server_create(const struct stat_run *run)
{
	struct server_stat *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->retries = retries_create(SERVER_ASKED_CAP);
	s->past = calloc(SERVER_PAST_SLOTS, sizeof(*s->past));
	if (s->retries == NULL || s->past == NULL) {
		retries_destroy(s->retries);
		free(s->past);
		free(s);
		return NULL;
	}
	dd_init();
	return s;
}

static void server_destroy(void *stat)
{
	struct server_stat *s = stat;

	if (s == NULL)
		return;
	for (size_t i = 0; i < SERVER_PAST_SLOTS; i++) {
		if (s->past[i] == NULL)
			continue;
		free(s->past[i]->waits);
		free(s->past[i]);
	}
	free(s->past);
	retries_destroy(s->retries);
	free(s);
}

static int server_record(void *stat, const struct stat_record *rec)
{
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	struct server_stat *s = stat;
	struct ft_server_asked a;
	uint32_t left = ft_rec_records(rec->hdr);
	int result = 0;

	if (rec->hdr->type != FT_REC_ASKED)
		return 0;
	for (; result == 0 && ft_entry_next(&r, &body); left--) {
		if (left == 0 || !ft_server_read_asked(&body, &a))
			return -EBADMSG;
		result = retries_add(s->retries, rec->hdr->row, &a);
	}
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

static uint64_t server_first_row(const void *stat)
{
	return retries_first_row(((const struct server_stat *)stat)->retries);
}

/* --- who gets a record --- */

static uint64_t queries_of(const struct table_sum *t)
{
	return ft_table_queries(FT_TABLE_SERVERS, t->c);
}

static int order_busy(const void *left, const void *right)
{
	const struct server_now *a = left, *b = right;

	if (a->configured != b->configured)
		return a->configured ? -1 : 1;
	if (a->queries != b->queries)
		return a->queries > b->queries ? -1 : 1;
	return memcmp(a->key, b->key, sizeof(a->key));
}

static int order_key(const void *left, const void *right)
{
	return memcmp(((const struct server_now *)left)->key,
		      ((const struct server_now *)right)->key, SERVER_KEY);
}

static bool make_room(struct server_row *r)
{
	const size_t room = r->room != 0 ? 2 * r->room : 1024;

	if (r->n < r->room)
		return true;
	struct server_now *v = realloc(r->v, room * sizeof(*v));
	if (v == NULL)
		return false;
	r->v = v;
	r->room = room;
	return true;
}

static void gather(void *ctx, const struct table_sum *t)
{
	struct server_row *r = ctx;

	r->queries += queries_of(t);
	r->unanswered += t->c[FT_SERVER_CLASS + FT_CLASS_TIMEOUT];
	r->active += queries_of(t) >= SERVER_STATE_N;
	if (!make_room(r))
		return; /* fewer records */
	struct server_now *now = &r->v[r->n++];
	*now = (struct server_now){.queries = queries_of(t), .sum = *t};
	now->configured = t->vantage == FT_VANTAGE_AUTH ||
			  (t->vantage == FT_VANTAGE_S2R && r->s->run->by_address);
	now->key[0] = t->vantage;
	memcpy(now->key + 1, t->id, SERVER_KEY - 1);
}

/* Those that are configured, and the busiest, by rising keys. */
static void choose(struct server_row *r)
{
	size_t n = 0;

	if (r->n == 0)
		return;
	qsort(r->v, r->n, sizeof(*r->v), order_busy);
	while (n < r->n && (r->v[n].configured || n < SERVERS_BUSY))
		n++;
	r->n = n;
	qsort(r->v, r->n, sizeof(*r->v), order_key);
}

static struct server_now *now_find(struct server_row *r, uint8_t vantage, const uint8_t *addr)
{
	struct server_now key;

	key.key[0] = vantage;
	memcpy(key.key + 1, addr, SERVER_KEY - 1);
	return r->n != 0 ? bsearch(&key, r->v, r->n, sizeof(*r->v), order_key) : NULL;
}

/* --- what it did --- */

static struct server_sketch *sketch_get(struct server_now *now, unsigned kind)
{
	if (now->sketch[kind] == NULL)
		now->sketch[kind] = calloc(1, sizeof(*now->sketch[kind]));
	return now->sketch[kind];
}

static void add_window(struct server_row *r, struct server_now *now, const struct ft_server_part *p)
{
	const uint64_t first = (r->in->start_s / 60 + p->minute) * FT_SERVER_WINDOW_CAP;

	for (unsigned i = 0; i < FT_SERVER_WINDOW_CAP; i++) {
		const struct server_window w = {.number = first + i,
						.qtype = (uint16_t)p->part,
						.queries = p->c[2 * i],
						.unanswered = p->c[2 * i + 1]};
		if (w.queries != 0)
			server_past_wait(now->past, &w);
	}
}

static void add_part(void *ctx, const struct ft_server_part *p)
{
	struct server_row *r = ctx;
	struct server_now *now = now_find(r, p->vantage, p->addr);

	/* Handshakes have no flags that tell a vantage. */
	for (unsigned v = 0; now == NULL && p->kind == FT_SERVER_TCP_RTT && v < FT_VANTAGE_CAP; v++)
		now = now_find(r, (uint8_t)v, p->addr);
	if (now == NULL)
		return;
	if (p->kind == FT_SERVER_WINDOWS) {
		if (now->past != NULL)
			add_window(r, now, p);
		return;
	}
	struct server_sketch *k = sketch_get(now, p->kind);
	for (unsigned i = 0; k != NULL && i < FT_SERVER_PART; i++) {
		const uint32_t bin = p->part * FT_SERVER_PART + i;
		if (bin < DD_BINS)
			k->bin[bin] += p->c[i];
		k->count += p->c[i];
	}
	if (k != NULL && p->max_us > k->max_us)
		k->max_us = p->max_us;
}

static void add_joined(struct server_row *r, const struct server_joined *j)
{
	struct server_now *now = now_find(r, j->key[0], j->key + 1);
	struct server_sketch *k = now != NULL ? sketch_get(now, j->kind) : NULL;

	if (k == NULL)
		return;
	k->bin[dd_bin(j->delay_us)]++;
	k->count++;
	if (j->delay_us > k->max_us)
		k->max_us = j->delay_us;
}

/* A server that was left in an interval before, and not asked in this one. */
static void add_missing(struct server_row *r, uint8_t vantage, const uint8_t *addr, size_t known)
{
	static const uint64_t none[FT_TABLE_COUNTERS];
	static const struct ft_mini nobody;
	const size_t n = r->n;

	r->n = known; /* those are in order */
	const bool there = now_find(r, vantage, addr) != NULL;
	r->n = n;
	if (there || n >= known + SERVERS_BUSY || !make_room(r))
		return;
	struct server_now *now = &r->v[r->n++];
	*now = (struct server_now){
	    .sum = {.table = FT_TABLE_SERVERS, .vantage = vantage, .c = none, .clients = &nobody}};
	now->key[0] = vantage;
	memcpy(now->key + 1, addr, SERVER_KEY - 1);
}

struct missing {
	struct server_row *row;
	size_t known;
};

static void find_missing(void *ctx, const struct ft_server_part *p)
{
	const struct missing *m = ctx;

	if (p->kind == FT_SERVER_RETRY_OTHER || p->kind == FT_SERVER_RETRY_SAME)
		add_missing(m->row, p->vantage, p->addr, m->known);
}

/* None where the table had no room for all: one of them may have been asked, and a record
 * that says 0 queries would be wrong. */
static void add_all_missing(struct server_row *r, const struct stat_parts *servers)
{
	struct missing m = {r, r->n};
	size_t n = 0;

	if (tables_left(r->in->tables, FT_TABLE_SERVERS).entries != 0)
		return;
	servers_each(servers, find_missing, &m);
	for (size_t i = 0; i < r->joined_n; i++)
		add_missing(r, r->joined[i].key[0], r->joined[i].key + 1, m.known);
	if (r->n == m.known)
		return;
	qsort(r->v, r->n, sizeof(*r->v), order_key);
	for (size_t i = 0; i < r->n; i++) /* some came twice */
		if (n == 0 || order_key(&r->v[n - 1], &r->v[i]) != 0)
			r->v[n++] = r->v[i];
	r->n = n;
}

static void joined(void *ctx, const struct ft_server_asked *left, bool same, uint64_t delay_us)
{
	struct server_row *r = ctx;

	if (r->joined_n == r->joined_room) {
		const size_t room = r->joined_room != 0 ? 2 * r->joined_room : 256;
		struct server_joined *v = realloc(r->joined, room * sizeof(*v));
		if (v == NULL)
			return; /* it is not counted */
		r->joined = v;
		r->joined_room = room;
	}
	struct server_joined *j = &r->joined[r->joined_n++];
	j->kind = same ? FT_SERVER_RETRY_SAME : FT_SERVER_RETRY_OTHER;
	j->delay_us = delay_us;
	j->key[0] = left->vantage;
	memcpy(j->key + 1, left->addr, SERVER_KEY - 1);
}

/* --- records --- */

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void set_known(json_t *o, const char *key, uint64_t n, bool known)
{
	json_object_set_new(o, key, known ? json_integer((json_int_t)n) : json_null());
}

static json_t *quantiles(const struct server_sketch *k, bool brief, uint64_t max_us)
{
	static const struct {
		const char *name;
		double q;
		bool brief;
	} list[] = {
	    {"p50", 0.5, true}, {"p90", 0.9, false}, {"p99", 0.99, false}, {"p999", 0.999, false}};

	if (k == NULL || k->count == 0)
		return json_null();
	json_t *o = json_object();
	if (!brief)
		set_count(o, "count", k->count);
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		const double us = dd_quantile(k->bin, k->count, list[i].q);
		if (!brief || list[i].brief)
			set_count(o, list[i].name, (uint64_t)llround(fmin(us, (double)max_us)));
	}
	set_count(o, "max", max_us);
	return o;
}

static uint64_t sketch_max(const struct server_now *now, unsigned kind)
{
	return now->sketch[kind] != NULL ? now->sketch[kind]->max_us : 0;
}

static uint64_t sketch_count(const struct server_now *now, unsigned kind)
{
	return now->sketch[kind] != NULL ? now->sketch[kind]->count : 0;
}

static void put_counts(json_t *o, const struct server_row *r, const struct server_now *now)
{
	const uint64_t *c = now->sum.c;
	const uint64_t unanswered = c[FT_SERVER_CLASS + FT_CLASS_TIMEOUT];
	const bool known = !r->one_way;
	json_t *classes = json_object();

	set_count(o, "queries", now->queries);
	set_known(o, "answered", now->queries - unanswered, known);
	set_known(o, "unanswered", unanswered, known);
	set_known(o, "late", c[FT_SERVER_LATE], known);
	set_count(o, "dup", c[FT_SERVER_DUP]);
	set_known(o, "retry_same", sketch_count(now, FT_SERVER_RETRY_SAME), known);
	set_known(o, "retry_other", sketch_count(now, FT_SERVER_RETRY_OTHER), known);
	json_object_set_new(o, "retry_p", json_real(ldexp(1, -(int)r->retry_level)));
	for (unsigned i = 0; known && i < FT_CLASS_CAP; i++)
		if (c[FT_SERVER_CLASS + i] != 0)
			set_count(classes, ft_class_texts[i], c[FT_SERVER_CLASS + i]);
	json_object_set_new(o, "by_class", classes);
	set_known(o, "tc", c[FT_SERVER_TC], known);
	set_count(o, "unsolicited", c[FT_SERVER_UNSOLICITED]);
	set_count(o, "clients", mini_count(now->sum.clients));
}

static void write_one(const struct server_row *r, const struct server_now *now,
		      const struct server_health *h, bool change)
{
	const struct stat_run *run = r->s->run;
	char text[INET6_ADDRSTRLEN];
	json_t *o =
	    envelope_create("server", run->probe, ft_vantage_texts[now->key[0]], r->in->start_s,
			    r->in->end_s, ldexp(1, -(int)now->sum.level), r->in->loss_ppm);

	server_text(now->key + 1, text);
	json_object_set_new(o, "server", json_string(text));
	put_counts(o, r, now);
	json_object_set_new(
	    o, "rtt_us",
	    r->one_way ? json_null()
		       : quantiles(now->sketch[FT_SERVER_RTT], false, now->sum.rtt_max_us));
	json_object_set_new(
	    o, "tcp_rtt_us",
	    quantiles(now->sketch[FT_SERVER_TCP_RTT], false, sketch_max(now, FT_SERVER_TCP_RTT)));
	json_object_set_new(o, "retry_other_us",
			    r->one_way ? json_null()
				       : quantiles(now->sketch[FT_SERVER_RETRY_OTHER], true,
						   sketch_max(now, FT_SERVER_RETRY_OTHER)));
	/* A change was judged by its own window, whatever the whole interval looks like. */
	const bool is_guarded = r->one_way && !change;
	const char *state = h != NULL && !is_guarded ? server_state_texts[h->state] : NULL;
	json_object_set_new(o, "state", state != NULL ? json_string(state) : json_null());
	set_known(o, "since_us", h != NULL ? h->since_us : 0, state != NULL);
	json_object_set_new(o, "state_change", json_boolean(change));
	json_object_set_new(o, "guard",
			    is_guarded                   ? json_string("ASYM")
			    : r->in->loss_ppm > LOSS_PPM ? json_string("LOSS")
							 : json_null());
	if (now->sum.level != 0) {
		const struct estimate e = tables_queries(&now->sum);
		json_object_set_new(o, "est_queries", json_real(e.value));
		json_object_set_new(o, "se_queries", json_real(e.se));
	}
	run->write(run->ctx, "server", r->in->start_s, o);
}

static void changed(void *ctx, const struct server_past *p)
{
	struct server_row *r = ctx;
	const struct server_now *now = now_find(r, p->key[0], p->key + 1);

	if (now != NULL)
		write_one(r, now, &p->health, true);
}

static void server_close(void *stat, struct stat_interval *in)
{
	struct server_stat *s = stat;
	struct server_row r = {.s = s, .in = in};

	tables_each(in->tables, FT_TABLE_SERVERS, gather, &r);
	choose(&r);
	r.retry_level = retries_join(s->retries, in->row, in->end_s * 1000000, joined, &r);
	add_all_missing(&r, in->servers);
	for (size_t i = 0; i < r.n; i++)
		r.v[i].past = server_past_get(s, r.v[i].key, in->start_s);
	servers_each(in->servers, add_part, &r);
	for (size_t i = 0; i < r.joined_n; i++)
		add_joined(&r, &r.joined[i]);
	r.one_way = server_past_one_way(s, r.queries, r.unanswered, r.active);
	server_past_step(s, in->end_s, in->loss_ppm <= LOSS_PPM, changed, &r);
	for (size_t i = 0; i < r.n; i++) {
		const struct server_past *p = r.v[i].past;
		write_one(&r, &r.v[i], p != NULL ? &p->health : NULL, false);
		for (unsigned k = 0; k < FT_SERVER_SKETCHES; k++)
			free(r.v[i].sketch[k]);
	}
	free(r.v);
	free(r.joined);
	server_past_forget(s, in->end_s);
}

const struct stat_ops stat_server = {
    .set = "server",
    .create = server_create,
    .record = server_record,
    .first_row = server_first_row,
    .close = server_close,
    .destroy = server_destroy,
};

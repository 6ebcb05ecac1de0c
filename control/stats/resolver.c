/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `resolver`: how each resolver asked in a UTC day, in one record at its end, or at the
 * input's. The busiest of those that were kept; beyond the budget of a day, the clients
 * with the lowest keyed hash are kept. What comes in is kept by interval and joins its day
 * when that closes, so that a snapshot has whole intervals. */
#include "../../dataplane/mini.h"
#include "../envelope.h"
#include "../keyed_merge.h"
#include "rows.h"
#include "server.h"

#include <fluxtap/rec_cookie.h>
#include <fluxtap/rec_resolver.h>

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 65536u /* clients of a day, and of an interval: 25 MB each */
#define BUSIEST 10000u
#define DAY_S 86400u
#define MAGIC 0x31534552u /* "RES1" */
#define DAYS_CAP 4u       /* that wait at a time */
#define LATEST_DAY (UINT64_C(1) << 24)
#define COUNT_MOST (UINT64_C(1) << 53)

#define TEXT_OF(n) #n,
static const char *const class_texts[] = {FT_COOKIE_CLASSES(TEXT_OF)};

struct key {
	uint8_t vantage, addr[16];
};

struct acc {
	uint64_t c[FT_RESOLVER_COUNTERS], cookie[FT_COOKIE_CLASS_CAP];
	struct ft_mini ports;
};

/* An interval or a day: its number, and who asked. */
struct span {
	struct stat_row head;
	struct keyed_merge *keys;
	uint64_t loss_ppm; /* of a day: the greatest of its intervals */
};

struct resolver {
	const struct stat_run *run;
	struct stat_row *rows, *days;
};

/* In a snapshot. */
struct file_head {
	uint32_t magic, days;
};
struct file_day {
	uint64_t number, loss_ppm, keys;
};
struct file_key {
	struct key key;
	struct acc acc;
};

static void *resolver_create(const struct stat_run *run)
{
	struct resolver *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static void span_free(struct span *d)
{
	keyed_merge_destroy(d->keys);
	free(d);
}

/* The oldest of a list is no more. */
static void span_drop(struct stat_row **list)
{
	span_free(rows_pop(list));
}

static void resolver_destroy(void *stat)
{
	struct resolver *s = stat;

	while (s != NULL && s->days != NULL)
		span_drop(&s->days);
	while (s != NULL && s->rows != NULL)
		span_drop(&s->rows);
	free(s);
}

static void leave(void *ctx, const void *acc)
{
	(void)ctx;
	(void)acc;
}

static struct span *span_get(const struct resolver *s, struct stat_row **list, uint64_t number)
{
	const struct keyed_merge_settings set = {.key_bytes = sizeof(struct key),
						 .acc_bytes = sizeof(struct acc),
						 .budget = KEYS,
						 .seed = s->run->sample_key,
						 .leave = leave};
	struct stat_row **place = rows_place(list, number);

	if (*place != NULL && (*place)->number == number)
		return (struct span *)*place;
	struct span *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->keys = keyed_merge_create(&set);
	if (d->keys == NULL) {
		free(d);
		return NULL;
	}
	rows_put(place, &d->head, number);
	return d;
}

/* 0 and *out; NULL: the client is left out. */
static int acc_of_key(struct span *d, const struct key *key, struct acc **out)
{
	void *found = NULL;
	const int r = keyed_merge_get(d->keys, key, &found);

	*out = r == 0 ? found : NULL;
	return r < 0 ? r : 0;
}

static int acc_get(struct span *d, uint8_t vantage, const uint8_t *addr, struct acc **out)
{
	struct key key = {.vantage = vantage};

	memcpy(key.addr, addr, sizeof(key.addr));
	return acc_of_key(d, &key, out);
}

static int add_one(struct span *d, const struct ft_resolver_rec *r)
{
	struct acc *a;
	const int result = acc_get(d, r->vantage, r->addr, &a);

	if (a == NULL)
		return result;
	for (unsigned i = 0; i < FT_RESOLVER_COUNTERS; i++)
		a->c[i] += r->c[i];
	mini_merge(&a->ports, &r->ports);
	return 0;
}

static int add_cookies(struct span *d, const struct ft_cookie_rec *r)
{
	struct acc *a;

	if (r->kind != FT_COOKIE_CLIENT ||
	    (r->vantage != FT_VANTAGE_AUTH && r->vantage != FT_VANTAGE_R2A))
		return 0;
	const int result = acc_get(d, r->vantage, r->addr, &a);
	for (unsigned i = 0; a != NULL && i < FT_COOKIE_CLASS_CAP; i++)
		a->cookie[i] += r->c[FT_COOKIE_CLASS + i];
	return result;
}

static int resolver_record(void *stat, const struct stat_record *rec)
{
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	const bool own = rec->hdr->type == FT_REC_RESOLVER;
	uint32_t left = ft_rec_records(rec->hdr);
	struct ft_resolver_rec one;
	struct ft_cookie_rec cookie;
	int result = 0;

	if (!own && rec->hdr->type != FT_REC_COOKIE)
		return 0;
	struct resolver *s = stat;
	struct span *d = span_get(s, &s->rows, rec->hdr->row);
	if (d == NULL)
		return -ENOMEM;
	for (; result == 0 && ft_entry_next(&r, &body); left--) {
		if (left == 0 ||
		    !(own ? ft_resolver_read(&body, &one) : ft_cookie_read(&body, &cookie)))
			return -EBADMSG;
		result = own ? add_one(d, &one) : add_cookies(d, &cookie);
	}
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

static uint64_t resolver_first_row(const void *stat)
{
	return rows_first(((const struct resolver *)stat)->rows);
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *bufsizes(const struct acc *a)
{
	static const char *const bands[FT_RESOLVER_BANDS] = {"511",  "512",  "1231", "1232",
							     "1400", "4095", "4096", "65535"};
	json_t *o = json_object();

	for (unsigned i = 0; i < FT_RESOLVER_BANDS; i++)
		if (a->c[FT_RESOLVER_BUFSIZE + i] != 0)
			set_count(o, bands[i], a->c[FT_RESOLVER_BUFSIZE + i]);
	return o;
}

static json_t *cookies(const struct acc *a)
{
	const uint64_t bad = a->cookie[FT_COOKIE_BADCOOKIE];
	const uint64_t again =
	    a->cookie[FT_COOKIE_RETRIED] < bad ? a->cookie[FT_COOKIE_RETRIED] : bad;
	json_t *o = json_object();

	for (unsigned i = 0; i < FT_COOKIE_CLASS_CAP; i++) {
		const uint64_t n = i == FT_COOKIE_BADCOOKIE ? bad - again
				   : i == FT_COOKIE_RETRIED ? again
							    : a->cookie[i];
		if (n != 0)
			set_count(o, class_texts[i], n);
	}
	return o;
}

static void write_one(const struct resolver *s, const struct span *d, const struct acc *a)
{
	static const struct {
		const char *name;
		enum ft_resolver_counter counter;
	} counts[] = {{"queries", FT_RESOLVER_QUERIES},
		      {"edns", FT_RESOLVER_EDNS},
		      {"do", FT_RESOLVER_DO},
		      {"cd", FT_RESOLVER_CD},
		      {"ecs", FT_RESOLVER_ECS},
		      {"nsid", FT_RESOLVER_NSID},
		      {"mixed_case", FT_RESOLVER_MIXED_CASE},
		      {"qname_min", FT_RESOLVER_QNAME_MIN},
		      {"tc", FT_RESOLVER_TC},
		      {"tc_retry_ok", FT_RESOLVER_TC_RETRY}};
	const struct key *k = keyed_merge_key(d->keys, a);
	const uint64_t start = d->head.number * DAY_S, queries = a->c[FT_RESOLVER_QUERIES];
	const uint64_t ports = mini_count(&a->ports);
	char text[INET6_ADDRSTRLEN];
	json_t *o = envelope_create("resolver", s->run->probe, ft_vantage_texts[k->vantage], start,
				    start + DAY_S, 1, d->loss_ppm);

	server_text(k->addr, text);
	json_object_set_new(o, "client", json_string(text));
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		set_count(o, counts[i].name, a->c[counts[i].counter]);
	json_object_set_new(o, "bufsize", bufsizes(a));
	json_object_set_new(o, "tcp_share",
			    json_real((double)a->c[FT_RESOLVER_TCP] / (double)queries));
	json_object_set_new(o, "port_entropy",
			    json_real(ports > 0 ? fmin(log2((double)ports), 16) : 0));
	json_object_set_new(o, "cookie", cookies(a));
	if (state_gap_of(s->run->gap, d->head.number) != 0)
		set_count(o, "gap_s", state_gap_of(s->run->gap, d->head.number));
	s->run->write(s->run->ctx, "resolver", start, o);
}

static const struct span *sorted_day; /* one thread: what the order below looks at */

static int order_busy(const void *left, const void *right)
{
	const struct acc *a = *(const struct acc *const *)left,
			 *b = *(const struct acc *const *)right;
	const uint64_t x = a->c[FT_RESOLVER_QUERIES], y = b->c[FT_RESOLVER_QUERIES];

	if (x != y)
		return x > y ? -1 : 1;
	return memcmp(keyed_merge_key(sorted_day->keys, a), keyed_merge_key(sorted_day->keys, b),
		      sizeof(struct key));
}

static void write_day(const struct resolver *s, struct span *d)
{
	const struct acc **list;
	const void *acc;
	size_t n = 0, at = 0;

	(void)keyed_merge_settle(d->keys);
	list = malloc((keyed_merge_keys(d->keys) + 1) * sizeof(*list));
	while (list != NULL && (acc = keyed_merge_next(d->keys, &at)) != NULL) {
		const struct acc *a = acc;
		if (a->c[FT_RESOLVER_QUERIES] != 0) /* not where cookies alone are known */
			list[n++] = a;
	}
	sorted_day = d;
	if (n != 0)
		qsort(list, n, sizeof(*list), order_busy);
	for (size_t i = 0; i < n && i < BUSIEST; i++)
		write_one(s, d, list[i]);
	free(list);
}

/* An interval joins its day. Without memory it is lost. */
static void join_day(struct resolver *s, const struct span *row)
{
	struct span *day = span_get(s, &s->days, row->head.number * s->run->interval_s / DAY_S);
	const struct acc *from;
	struct acc *to;
	size_t at = 0;

	while (day != NULL && (from = keyed_merge_next(row->keys, &at)) != NULL) {
		if (acc_of_key(day, keyed_merge_key(row->keys, from), &to) != 0 || to == NULL)
			continue;
		for (unsigned i = 0; i < FT_RESOLVER_COUNTERS; i++)
			to->c[i] += from->c[i];
		for (unsigned i = 0; i < FT_COOKIE_CLASS_CAP; i++)
			to->cookie[i] += from->cookie[i];
		mini_merge(&to->ports, &from->ports);
	}
}

static void resolver_close(void *stat, struct stat_interval *in)
{
	struct resolver *s = stat;

	while (rows_first(s->rows) <= in->row) {
		join_day(s, (const struct span *)s->rows);
		span_drop(&s->rows);
	}
	struct span *d = rows_find(s->days, in->start_s / DAY_S);
	if (d != NULL && in->loss_ppm > d->loss_ppm)
		d->loss_ppm = in->loss_ppm;
	/* Days that this interval ends, and those before. */
	while (rows_first(s->days) < in->end_s / DAY_S) {
		write_day(s, (struct span *)s->days);
		span_drop(&s->days);
	}
}

static void resolver_end(void *stat)
{
	struct resolver *s = stat;

	while (s->days != NULL) {
		write_day(s, (struct span *)s->days);
		span_drop(&s->days);
	}
}

/* --- over a restart --- */

static void save_day(const struct span *d, struct state_out *out)
{
	const struct file_day head = {d->head.number, d->loss_ppm, keyed_merge_keys(d->keys)};
	const struct acc *a;
	size_t at = 0;

	state_put(out, &head, sizeof(head));
	while (out->result == 0 && (a = keyed_merge_next(d->keys, &at)) != NULL) {
		struct file_key k;

		memset(&k, 0, sizeof(k)); /* what is between the members, too */
		k.key = *(const struct key *)keyed_merge_key(d->keys, a);
		memcpy(&k.acc, a, sizeof(k.acc));
		state_put(out, &k, sizeof(k));
	}
}

static int resolver_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct resolver *s = stat;
	struct file_head head = {.magic = MAGIC};
	struct state_out out = {write, ctx, 0};

	for (const struct stat_row *d = s->days; d != NULL && head.days < DAYS_CAP; d = d->next)
		head.days++;
	state_put(&out, &head, sizeof(head));
	const struct stat_row *d = s->days;
	for (uint32_t i = 0; i < head.days; i++, d = d->next)
		save_day((const struct span *)d, &out);
	return out.result;
}

static bool is_sound(const struct file_key *k)
{
	for (unsigned i = 0; i < FT_RESOLVER_COUNTERS; i++)
		if (k->acc.c[i] > COUNT_MOST)
			return false;
	for (unsigned i = 0; i < FT_COOKIE_CLASS_CAP; i++)
		if (k->acc.cookie[i] > COUNT_MOST)
			return false;
	return k->key.vantage < FT_VANTAGE_CAP && mini_is_sound(&k->acc.ports);
}

static int load_key(struct span *d, state_read_fn *read, void *ctx)
{
	struct file_key k;
	struct acc *a;
	int result = read(ctx, &k, sizeof(k));

	if (result != 0)
		return result;
	if (!is_sound(&k))
		return -EBADMSG;
	result = acc_of_key(d, &k.key, &a);
	if (a != NULL)
		*a = k.acc;
	return result;
}

static int load_day(struct resolver *s, state_read_fn *read, void *ctx)
{
	struct file_day head;
	int result = read(ctx, &head, sizeof(head));

	if (result != 0)
		return result;
	if (head.number > LATEST_DAY || head.loss_ppm > 1000000 || head.keys > 2 * KEYS)
		return -EBADMSG;
	struct span *d = span_get(s, &s->days, head.number);
	if (d == NULL)
		return -ENOMEM;
	d->loss_ppm = head.loss_ppm;
	for (uint64_t i = 0; result == 0 && i < head.keys; i++)
		result = load_key(d, read, ctx);
	return result;
}

static int resolver_load(void *stat, state_read_fn *read, void *ctx)
{
	struct resolver *s = stat;
	struct file_head head;
	int result = read(ctx, &head, sizeof(head));

	if (result == 0 && (head.magic != MAGIC || head.days > DAYS_CAP))
		result = -EBADMSG;
	for (uint32_t i = 0; result == 0 && i < head.days; i++)
		result = load_day(s, read, ctx);
	return result;
}

const struct stat_ops stat_resolver = {
    .set = "resolver",
    .create = resolver_create,
    .record = resolver_record,
    .first_row = resolver_first_row,
    .close = resolver_close,
    .end = resolver_end,
    .destroy = resolver_destroy,
    .state = "resolver",
    .save = resolver_save,
    .load = resolver_load,
};

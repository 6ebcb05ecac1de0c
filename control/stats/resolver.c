/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `resolver`: how each resolver asked in a UTC day, in one record at its end, or at the
 * input's. The busiest of those that were kept; beyond the budget of a day, the clients
 * with the lowest keyed hash are kept. */
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

#define KEYS 65536u /* clients of a day: 25 MB */
#define BUSIEST 10000u
#define DAY_S 86400u

#define TEXT_OF(n) #n,
static const char *const class_texts[] = {FT_COOKIE_CLASSES(TEXT_OF)};

struct key {
	uint8_t vantage, addr[16];
};

struct acc {
	uint64_t c[FT_RESOLVER_COUNTERS], cookie[FT_COOKIE_CLASS_CAP];
	struct ft_mini ports;
};

struct day {
	struct stat_row head;
	struct keyed_merge *keys;
	uint64_t loss_ppm; /* the greatest of its intervals */
};

struct resolver {
	const struct stat_run *run;
	struct stat_row *days;
};

static void *resolver_create(const struct stat_run *run)
{
	struct resolver *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static void day_free(struct day *d)
{
	keyed_merge_destroy(d->keys);
	free(d);
}

static void resolver_destroy(void *stat)
{
	struct resolver *s = stat;

	while (s != NULL && s->days != NULL)
		day_free(rows_pop(&s->days));
	free(s);
}

static void leave(void *ctx, const void *acc)
{
	(void)ctx;
	(void)acc;
}

static struct day *day_get(struct resolver *s, uint64_t row)
{
	const struct keyed_merge_settings set = {.key_bytes = sizeof(struct key),
						 .acc_bytes = sizeof(struct acc),
						 .budget = KEYS,
						 .seed = s->run->sample_key,
						 .leave = leave};
	const uint64_t number = row * s->run->interval_s / DAY_S;
	struct stat_row **place = rows_place(&s->days, number);

	if (*place != NULL && (*place)->number == number)
		return (struct day *)*place;
	struct day *d = calloc(1, sizeof(*d));
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
static int acc_get(struct day *d, uint8_t vantage, const uint8_t *addr, struct acc **out)
{
	struct key key = {.vantage = vantage};
	void *found = NULL;

	memcpy(key.addr, addr, sizeof(key.addr));
	const int r = keyed_merge_get(d->keys, &key, &found);
	*out = r == 0 ? found : NULL;
	return r < 0 ? r : 0;
}

static int add_one(struct day *d, const struct ft_resolver_rec *r)
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

static int add_cookies(struct day *d, const struct ft_cookie_rec *r)
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
	struct day *d = day_get(stat, rec->hdr->row);
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

/* Others see to it that intervals close. */
static uint64_t resolver_first_row(const void *stat)
{
	(void)stat;
	return UINT64_MAX;
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

static void write_one(const struct resolver *s, const struct day *d, const struct acc *a)
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
	s->run->write(s->run->ctx, "resolver", start, o);
}

static const struct day *sorted_day; /* one thread: what the order below looks at */

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

static void write_day(const struct resolver *s, struct day *d)
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

static void resolver_close(void *stat, struct stat_interval *in)
{
	struct resolver *s = stat;
	struct day *d = rows_find(s->days, in->start_s / DAY_S);

	if (d != NULL && in->loss_ppm > d->loss_ppm)
		d->loss_ppm = in->loss_ppm;
	/* Days that this interval ends, and those before. */
	while (rows_first(s->days) < in->end_s / DAY_S) {
		d = rows_pop(&s->days);
		write_day(s, d);
		day_free(d);
	}
}

static void resolver_end(void *stat)
{
	struct resolver *s = stat;

	while (s->days != NULL) {
		struct day *d = rows_pop(&s->days);
		write_day(s, d);
		day_free(d);
	}
}

const struct stat_ops stat_resolver = {
    .set = "resolver",
    .create = resolver_create,
    .record = resolver_record,
    .first_row = resolver_first_row,
    .close = resolver_close,
    .end = resolver_end,
    .destroy = resolver_destroy,
};

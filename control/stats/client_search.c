/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `client`, kind host_search. */
#include "client_search.h"

#include "../envelope.h"
#include "rows.h"
#include "server.h"
#include "stat.h"

#include <fluxtap/rec_reverse.h>

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Of an interval. Where it is full, it keeps every second client, fourth, ... by the hash of
 * the address; which ones does not depend on the order in which they came. */
struct searched {
	struct stat_row head;
	struct search_query *v;
	size_t n, room;
	unsigned level; /* keeps one client of 2^level */
};

struct search {
	const struct stat_run *run;
	struct stat_row *rows;
};

int search_order(const void *left, const void *right)
{
	const struct search_query *a = left, *b = right;
	const int d = memcmp(a->key, b->key, sizeof(a->key));

	if (d != 0)
		return d;
	if (a->t_us != b->t_us)
		return a->t_us < b->t_us ? -1 : 1;
	return memcmp(a->ipv4, b->ipv4, sizeof(a->ipv4));
}

static int64_t number_of(const struct search_query *q)
{
	return (int64_t)q->ipv4[0] << 24 | q->ipv4[1] << 16 | q->ipv4[2] << 8 | q->ipv4[3];
}

enum search_form search_read(const struct search_query *q, size_t n, double *mean)
{
	double sum = 0, next = 0; /* next: of steps to the next address and back, all 1 */
	size_t steps = 0;

	for (size_t i = 1; i < n; i++) {
		int square = 0;
		for (unsigned k = 0; k < 4; k++) {
			const int d = q[i].ipv4[k] - q[i - 1].ipv4[k];
			square += d * d;
		}
		const int64_t ahead = number_of(&q[i]) - number_of(&q[i - 1]);
		sum += sqrt(square);
		next += ahead == 1 || ahead == -1 ? 1 : sqrt(square);
		steps += square != 0;
	}
	*mean = steps != 0 ? sum / (double)steps : 0;
	if (n < SEARCH_LEAST || steps < SEARCH_LEAST / 2)
		return SEARCH_NONE;
	/* Of a whole network the step over an octet's end is one in 256 and leaves the mean
	 * below 2; an interval may have such a step among few. */
	if (next <= 2.0 * (double)steps)
		return SEARCH_CONSECUTIVE;
	return *mean >= 150.2 && *mean <= 210.4 ? SEARCH_RANDOM : SEARCH_NONE;
}

static void *search_create(const struct stat_run *run)
{
	struct search *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static void row_free(struct searched *r)
{
	if (r != NULL)
		free(r->v);
	free(r);
}

static void search_destroy(void *stat)
{
	struct search *s = stat;

	while (s != NULL && s->rows != NULL)
		row_free(rows_pop(&s->rows));
	free(s);
}

static bool is_kept(const struct search *s, const struct searched *r, const uint8_t *key)
{
	return (XXH3_64bits_withSeed(key, SEARCH_KEY, s->run->sample_key) &
		((1ull << r->level) - 1)) == 0;
}

static int make_room(const struct search *s, struct searched *r)
{
	while (r->n == SEARCH_CAP && r->level < 63) {
		size_t kept = 0;
		r->level++;
		for (size_t i = 0; i < r->n; i++)
			if (is_kept(s, r, r->v[i].key))
				r->v[kept++] = r->v[i];
		r->n = kept;
	}
	if (r->n < r->room)
		return 0;
	const size_t room = r->room != 0 ? r->room * 2 : 256;
	struct search_query *more =
	    realloc(r->v, (room < SEARCH_CAP ? room : SEARCH_CAP) * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	r->v = more;
	r->room = room < SEARCH_CAP ? room : SEARCH_CAP;
	return 0;
}

static int add(const struct search *s, struct searched *r, const struct ft_reverse_rec *rec)
{
	struct search_query q = {.t_us = rec->t_us};

	q.key[0] = rec->vantage;
	memcpy(q.key + 1, rec->client, sizeof(rec->client));
	memcpy(q.ipv4, rec->ipv4, sizeof(q.ipv4));
	if (!is_kept(s, r, q.key))
		return 0;
	if (r->n == r->room && make_room(s, r) != 0)
		return -ENOMEM;
	if (is_kept(s, r, q.key) && r->n < r->room)
		r->v[r->n++] = q;
	return 0;
}

static int search_record(void *stat, const struct stat_record *rec)
{
	struct search *s = stat;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	uint32_t left = ft_rec_records(rec->hdr);
	struct ft_reverse_rec one;

	if (rec->hdr->type != FT_REC_REVERSE)
		return 0;
	struct searched *row = rows_get(&s->rows, rec->hdr->row, sizeof(*row));
	if (row == NULL)
		return -ENOMEM;
	for (; ft_entry_next(&r, &body); left--) {
		if (left == 0 || !ft_reverse_read(&body, &one))
			return -EBADMSG;
		const int result = add(s, row, &one);
		if (result != 0)
			return result;
	}
	return r.bad || left != 0 ? -EBADMSG : 0;
}

static uint64_t search_first_row(const void *stat)
{
	return rows_first(((const struct search *)stat)->rows);
}

static void write_one(const struct search *s, const struct stat_interval *in,
		      const struct searched *r, const struct search_query *q, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	double mean;
	const enum search_form form = search_read(q, n, &mean);

	if (form == SEARCH_NONE)
		return;
	json_t *o = envelope_create("client", s->run->probe, ft_vantage_texts[q->key[0]],
				    in->start_s, in->end_s, ldexp(1, -(int)r->level), in->loss_ppm);
	server_text(q->key + 1, text);
	json_object_set_new(o, "kind", json_string("host_search"));
	json_object_set_new(o, "client", json_string(text));
	json_object_set_new(o, "distance_mean", json_real(mean));
	json_object_set_new(o, "queries", json_integer((json_int_t)n));
	json_object_set_new(o, "form",
			    json_string(form == SEARCH_RANDOM ? "RANDOM" : "CONSECUTIVE"));
	s->run->write(s->run->ctx, "client", in->start_s, o);
}

static void search_close(void *stat, struct stat_interval *in)
{
	struct search *s = stat;

	if (!rows_is_first(s->rows, in->row))
		return;
	struct searched *r = rows_pop(&s->rows);
	if (r->n != 0)
		qsort(r->v, r->n, sizeof(*r->v), search_order);
	for (size_t i = 0, end; i < r->n; i = end) {
		for (end = i + 1; end < r->n; end++)
			if (memcmp(r->v[i].key, r->v[end].key, SEARCH_KEY) != 0)
				break;
		write_one(s, in, r, r->v + i, end - i);
	}
	row_free(r);
}

const struct stat_ops stat_search = {
    .set = "client",
    .create = search_create,
    .record = search_record,
    .first_row = search_first_row,
    .close = search_close,
    .destroy = search_destroy,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `ttl`, kind `snooper`: clients that look into resolvers' caches, by queries with RD=0,
 * in windows of 600 s (DOMAIN section 9.2).
 *
 * Queries wait with their times until the window is over, for gaps between them need their
 * order. A window that a restart breaks is judged by what came after it. */
#include "../../dataplane/vantage.h"
#include "../envelope.h"
#include "server.h"
#include "sieve.h"

#include <fluxtap/rec_ttl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WINDOW_S 600u
#define QUERIES (1u << 19) /* that wait: 24 MB */
#define RD0_LEAST 10u
#define NAMES_LEAST 5u
#define CV_PERIODIC 0.1

struct probe {
	uint64_t hash; /* of the client */
	uint64_t t_us, name;
	uint8_t addr[16];
	uint8_t flags, vantage;
};

struct snoop {
	const struct stat_run *run;
	struct sieve probes;
	uint64_t loss_ppm; /* the greatest of the intervals since a window was written */
};

/* What one client did in one window. */
struct client {
	uint64_t rd0, hits, names, chaos;
	double cv;
	bool watched, own;
};

static void *snoop_create(const struct stat_run *run)
{
	struct snoop *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->probes = (struct sieve){.size = sizeof(struct probe), .cap = QUERIES};
	return s;
}

static void snoop_destroy(void *stat)
{
	struct snoop *s = stat;

	if (s == NULL)
		return;
	sieve_fini(&s->probes);
	free(s);
}

static bool may_snoop(const struct snoop *s, const uint8_t *addr)
{
	struct addr a;

	memcpy(&a, addr, sizeof(a));
	return s->run->monitors != NULL && prefix_set_has(s->run->monitors, &a);
}

static int snoop_record(void *stat, const struct stat_record *rec)
{
	struct snoop *s = stat;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	uint32_t left = ft_rec_records(rec->hdr);
	struct ft_ttl_rec one;
	int result = 0;

	if (rec->hdr->type != FT_REC_SNOOP)
		return 0;
	for (; result == 0 && ft_entry_next(&r, &body); left--) {
		struct probe p = {0};
		if (left == 0 || !ft_snoop_read(&body, &one))
			return -EBADMSG;
		if (may_snoop(s, one.addr))
			continue;
		p.hash = XXH3_64bits_withSeed(one.addr, sizeof(one.addr), s->run->sample_key);
		p.t_us = rec->hdr->row * s->run->interval_s * 1000000 + one.off_us;
		p.name = one.name;
		memcpy(p.addr, one.addr, sizeof(p.addr));
		p.flags = one.flags;
		p.vantage = one.vantage;
		result = sieve_put(&s->probes, &p);
	}
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

/* Others see to it that intervals close. */
static uint64_t snoop_first_row(const void *stat)
{
	(void)stat;
	return UINT64_MAX;
}

static uint64_t window_of(const struct probe *p)
{
	return p->t_us / (WINDOW_S * 1000000ull);
}

static int is_due(const void *observation, uint64_t until_s)
{
	return (window_of(observation) + 1) * WINDOW_S <= until_s;
}

static int order_probes(const void *left, const void *right)
{
	const struct probe *a = left, *b = right;
	const uint64_t x = window_of(a), y = window_of(b);

	if (x != y)
		return x < y ? -1 : 1;
	const int by_addr = memcmp(a->addr, b->addr, sizeof(a->addr));
	if (by_addr != 0)
		return by_addr;
	if (a->t_us != b->t_us)
		return a->t_us < b->t_us ? -1 : 1;
	return (a->name > b->name) - (a->name < b->name);
}

static int order_names(const void *left, const void *right)
{
	const struct probe *a = left, *b = right;

	return (a->name > b->name) - (a->name < b->name);
}

static bool counts(const struct probe *p)
{
	return (p->flags & (FT_SNOOP_CHAOS | FT_SNOOP_OTHER)) == 0;
}

/* Standard deviation over mean of the gaps; 0 where they are none. */
static double cv_of(const struct probe *p, size_t n)
{
	double sum = 0, squares = 0, gaps = 0;
	uint64_t last_us = 0;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (!counts(&p[i]))
			continue;
		if (any) {
			const double gap = (double)(p[i].t_us - last_us) / 1e6;
			sum += gap;
			squares += gap * gap;
			gaps++;
		}
		last_us = p[i].t_us;
		any = true;
	}
	if (gaps == 0 || sum == 0)
		return 0;
	const double mean = sum / gaps;
	return sqrt(fmax(squares / gaps - mean * mean, 0)) / mean;
}

/* Queries of one client by time; leaves them in the order of their names. */
static struct client judge(struct probe *p, size_t n)
{
	struct client c = {.cv = cv_of(p, n)};
	const struct probe *last = NULL;

	qsort(p, n, sizeof(*p), order_names);
	for (size_t i = 0; i < n; i++) {
		c.own |= p[i].vantage == FT_VANTAGE_S2R;
		c.chaos += (p[i].flags & FT_SNOOP_CHAOS) != 0;
		if (!counts(&p[i]))
			continue;
		c.rd0++;
		c.hits += (p[i].flags & FT_SNOOP_HIT) != 0;
		c.watched |= (p[i].flags & FT_SNOOP_WATCHED) != 0;
		c.names += last == NULL || last->name != p[i].name;
		last = &p[i];
	}
	return c;
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void write_one(const struct snoop *s, const struct probe *p, const struct client *c)
{
	const uint64_t start = window_of(p) * WINDOW_S;
	const bool periodic = c->cv < CV_PERIODIC;
	char text[INET6_ADDRSTRLEN];
	json_t *o = envelope_create("ttl", s->run->probe,
				    ft_vantage_texts[c->own ? FT_VANTAGE_S2R : FT_VANTAGE_X], start,
				    start + WINDOW_S, 1, s->loss_ppm);

	server_text(p->addr, text);
	json_object_set_new(o, "kind", json_string("snooper"));
	json_object_set_new(o, "client", json_string(text));
	set_count(o, "rd0", c->rd0);
	set_count(o, "names", c->names);
	set_count(o, "hits", c->hits);
	set_count(o, "misses", c->rd0 - c->hits);
	set_count(o, "chaos", c->chaos);
	json_object_set_new(o, "cv", json_real(c->cv));
	json_object_set_new(o, "class",
			    json_string(c->watched ? "TARGETED"
					: periodic ? "PERIODIC"
						   : "SNOOPER"));
	json_object_set_new(o, "periodic", json_boolean(periodic));
	s->run->write(s->run->ctx, "ttl", start, o);
}

/* Windows that are over at until_s. */
static void write_due(struct snoop *s, uint64_t until_s)
{
	void *due;
	const size_t n = sieve_due(&s->probes, is_due, until_s, &due);
	struct probe *p = due;

	if (n == 0)
		return;
	qsort(p, n, sizeof(*p), order_probes);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && window_of(&p[end]) == window_of(&p[i]) &&
				  memcmp(p[end].addr, p[i].addr, sizeof(p[i].addr)) == 0;
		     end++)
			;
		const struct client c = judge(&p[i], end - i);
		if (c.rd0 >= RD0_LEAST && c.names >= NAMES_LEAST)
			write_one(s, &p[i], &c);
	}
	sieve_drop(&s->probes, n);
	s->loss_ppm = 0;
}

static void snoop_close(void *stat, struct stat_interval *in)
{
	struct snoop *s = stat;

	if (in->loss_ppm > s->loss_ppm)
		s->loss_ppm = in->loss_ppm;
	write_due(s, in->end_s);
	if (s->probes.left_out == 0)
		return;
	json_t *o = envelope_create("ttl", s->run->probe, ft_vantage_texts[FT_VANTAGE_X],
				    in->start_s, in->end_s, 1, in->loss_ppm);
	json_object_set_new(o, "kind", json_string("left_out"));
	set_count(o, "queries", s->probes.left_out);
	s->run->write(s->run->ctx, "ttl", in->start_s, o);
	s->probes.left_out = 0;
}

static void snoop_end(void *stat)
{
	write_due(stat, UINT64_MAX);
}

const struct stat_ops stat_snoop = {
    .set = "ttl",
    .create = snoop_create,
    .record = snoop_record,
    .first_row = snoop_first_row,
    .close = snoop_close,
    .end = snoop_end,
    .destroy = snoop_destroy,
};

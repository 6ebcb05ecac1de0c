/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines end in the order of t + ttl, and so in that in which their entries were made:
 * whoever ends finds all expiries before its beginning in the queue. */
#include "ttl_lines.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US 1000000u
/* TTLs are whole seconds: answers of one entry lie within one of them, and what their way
 * to the tap adds. */
#define SPREAD_US (SECOND_US + 20000u)
#define OVER_US (2 * SECOND_US) /* a line is over so long after its last second */
#define FILLS_LEAST 20u         /* for the test of randomness */
#define RUN_LEAST 3u
#define RUN_CHANCES 100.0 /* runs by chance: one in so many days at most */

void ttl_lines_fini(struct ttl_lines *l)
{
	free(l->cluster);
	free(l->made.v);
	free(l->seen.v);
	free(l->sample);
	*l = (struct ttl_lines){0};
}

static int grow(void **v, uint32_t *room, size_t size)
{
	const uint32_t more = *room != 0 ? 2 * *room : 4;
	void *p = realloc(*v, more * size);

	if (p == NULL)
		return -ENOMEM;
	*v = p;
	*room = more;
	return 0;
}

/* --- ends --- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint32_t longest_s(const struct ttl_lines *l)
{
	return l->max_s > l->max_before_s ? l->max_s : l->max_before_s;
}

/* When a line's life is over: with its smallest second, so that a cache which is filled
 * again never counts twice. */
static uint64_t life_end_us(const struct ttl_cluster *c)
{
	return less(c->x_min_us, SECOND_US);
}

static bool lives_at(const struct ttl_cluster *c, uint64_t t_us)
{
	return c->first_us <= t_us && t_us < life_end_us(c);
}

/* A fill takes the oldest expiry before it. */
static void take_expiry(struct ttl_expiries *e, uint64_t fill_us)
{
	if (e->n == 0 || less(e->v[0], SECOND_US) > fill_us)
		return;
	e->idle_us += less(fill_us, e->v[0]);
	e->taken++;
	e->n--;
	memmove(e->v, e->v + 1, e->n * sizeof(*e->v));
}

static int put_expiry(struct ttl_expiries *e, uint64_t x_us)
{
	uint32_t at;

	if (e->n == TTL_CLUSTERS) { /* the oldest has waited in vain */
		e->n--;
		memmove(e->v, e->v + 1, e->n * sizeof(*e->v));
	}
	if (e->n == e->room && grow((void **)&e->v, &e->room, sizeof(*e->v)) != 0)
		return -ENOMEM;
	for (at = e->n; at > 0 && e->v[at - 1] > x_us; at--)
		e->v[at] = e->v[at - 1];
	e->v[at] = x_us;
	e->n++;
	return 0;
}

static int end_cluster(struct ttl_lines *l, uint32_t i)
{
	const struct ttl_cluster c = l->cluster[i];
	uint64_t live = c.others + 1;
	int result;

	memmove(&l->cluster[i], &l->cluster[i + 1], (l->n - i - 1) * sizeof(*l->cluster));
	l->n--;
	for (uint32_t k = 0; k < l->n; k++) {
		live += lives_at(&l->cluster[k], c.first_us);
		l->cluster[k].others += lives_at(&c, l->cluster[k].first_us);
	}
	if (c.first_us >= l->day_us && live > l->live)
		l->live = live;
	take_expiry(&l->made, less(c.x_first_us, longest_s(l) * (uint64_t)SECOND_US));
	take_expiry(&l->seen, c.first_us);
	result = put_expiry(&l->made, c.x_min_us);
	return result != 0 ? result : put_expiry(&l->seen, c.x_min_us);
}

/* The one that ends first. */
static uint32_t first_to_end(const struct ttl_lines *l)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < l->n; i++) {
		const struct ttl_cluster *a = &l->cluster[i], *b = &l->cluster[first];
		if (a->x_max_us < b->x_max_us)
			first = i;
	}
	return first;
}

static int end_before(struct ttl_lines *l, uint64_t t_us)
{
	while (l->n != 0) {
		const uint32_t i = first_to_end(l);
		if (l->cluster[i].x_max_us + OVER_US >= t_us)
			return 0;
		const int result = end_cluster(l, i);
		if (result != 0)
			return result;
	}
	return 0;
}

int ttl_lines_end(struct ttl_lines *l)
{
	return end_before(l, UINT64_MAX);
}

/* --- answers --- */

/* The line that x lies on, the nearest one where there are several. Measured from a line's
 * first answer: all others of that cache are near enough to it, and so a fill never makes
 * two lines; two fills within a second of one another make one. */
static struct ttl_cluster *find(struct ttl_lines *l, uint64_t x_us)
{
	struct ttl_cluster *best = NULL;
	uint64_t nearest = SPREAD_US;

	for (uint32_t i = 0; i < l->n; i++) {
		struct ttl_cluster *c = &l->cluster[i];
		const uint64_t off =
		    x_us > c->x_first_us ? x_us - c->x_first_us : c->x_first_us - x_us;
		if (off > nearest || (off == nearest && best != NULL))
			continue;
		nearest = off;
		best = c;
	}
	return best;
}

static int add_fill(struct ttl_lines *l, uint64_t t_us, uint64_t x_us, uint32_t ttl_s)
{
	int result = 0;

	if (l->n == TTL_CLUSTERS) {
		l->evicted++;
		result = end_cluster(l, first_to_end(l));
	}
	if (result == 0 && l->n == l->room)
		result = grow((void **)&l->cluster, &l->room, sizeof(*l->cluster));
	if (result == 0 && l->sample == NULL) {
		l->sample = malloc(TTL_SAMPLE * sizeof(*l->sample));
		result = l->sample == NULL ? -ENOMEM : 0;
	}
	if (result != 0)
		return result;
	l->cluster[l->n++] = (struct ttl_cluster){
	    .first_us = t_us, .x_first_us = x_us, .x_min_us = x_us, .x_max_us = x_us};
	if (l->samples < TTL_SAMPLE)
		l->sample[l->samples++] = ttl_s;
	l->fills++;
	return 0;
}

/* Where a TTL does not fall, t + ttl moves on with t. */
static void count_run(struct ttl_lines *l, uint64_t t_us, uint32_t ttl_s)
{
	if (ttl_s > l->max_s) {
		l->max_s = ttl_s;
		if (l->run_top > l->run_below)
			l->run_below = l->run_top;
		l->run_top = 0;
	}
	if (l->answers == 1 || ttl_s != l->last_ttl_s) {
		l->run = 1;
		l->run_us = t_us;
	} else if (t_us - l->run_us > SPREAD_US) {
		l->run++;
		l->run_us = t_us;
	}
	uint64_t *longest = ttl_s < l->max_s ? &l->run_below : &l->run_top;
	if (l->run > *longest)
		*longest = l->run;
	l->last_ttl_s = ttl_s;
}

int ttl_lines_add(struct ttl_lines *l, uint64_t t_us, uint32_t ttl_s)
{
	const uint64_t x_us = t_us + ttl_s * (uint64_t)SECOND_US;
	int result = end_before(l, t_us);

	if (result != 0)
		return result;
	l->answers++;
	l->last_us = t_us;
	count_run(l, t_us, ttl_s);
	struct ttl_cluster *c = find(l, x_us);
	if (c == NULL)
		return add_fill(l, t_us, x_us, ttl_s);
	if (x_us < c->x_min_us)
		c->x_min_us = x_us;
	if (x_us > c->x_max_us)
		c->x_max_us = x_us;
	return 0;
}

/* --- what is said of a day --- */

static int order_u32(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Of whole numbers: both distributions are steps, compared at each step's both sides.
 * Critical value by Stephens (1970). */
bool ttl_is_uniform(uint32_t *v, size_t n, uint32_t max)
{
	const double root = sqrt((double)n), width = (double)max + 1;
	double d = 0;

	if (n == 0 || max == 0)
		return false;
	qsort(v, n, sizeof(*v), order_u32);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && v[end] == v[i]; end++)
			;
		d = fmax(d, fabs((double)i / (double)n - (double)v[i] / width));
		d = fmax(d, fabs((double)end / (double)n - ((double)v[i] + 1) / width));
	}
	return (root + 0.12 + 0.11 / root) * d < 1.628;
}

/* A run long enough that many caches, asked by turns, would hardly make it by chance. */
static bool is_stretched(const struct ttl_lines *l, uint32_t ttl_max_s)
{
	uint64_t run = l->run_below;

	if (l->max_s < ttl_max_s && l->run_top > run)
		run = l->run_top;
	if (run < RUN_LEAST)
		return false;
	const double chances = (double)l->answers * RUN_CHANCES;
	return pow(ttl_max_s > 2 ? ttl_max_s : 2, (double)(run - 1)) >= chances;
}

void ttl_lines_report(struct ttl_lines *l, uint64_t end_us, uint32_t authority_s,
		      struct ttl_report *out)
{
	*out = (struct ttl_report){
	    .fills = l->fills,
	    .live = l->live,
	    .answers = l->answers,
	    .evicted = l->evicted,
	    .ttl_max_s = l->max_s > authority_s ? l->max_s : authority_s,
	};
	for (uint32_t i = 0; i < l->n; i++) {
		const uint64_t t_us = l->cluster[i].first_us;
		uint64_t live = l->cluster[i].others + 1;
		if (t_us < l->day_us || t_us >= end_us)
			continue;
		for (uint32_t k = 0; k < l->n; k++)
			live += k != i && lives_at(&l->cluster[k], t_us);
		if (live > out->live)
			out->live = live;
	}
	out->age_us = (out->ttl_max_s - l->last_ttl_s) * (uint64_t)SECOND_US;
	out->randomised =
	    l->samples >= FILLS_LEAST && ttl_is_uniform(l->sample, l->samples, out->ttl_max_s);
	out->stretched = is_stretched(l, out->ttl_max_s);
	const struct ttl_expiries *e = out->randomised ? &l->seen : &l->made;
	out->idles = e->taken;
	out->idle_us = e->taken != 0 ? (e->idle_us + e->taken / 2) / e->taken : 0;
}

int ttl_lines_next_day(struct ttl_lines *l, uint64_t end_us)
{
	const int result = end_before(l, end_us);

	l->max_before_s = l->max_s;
	l->max_s = 0;
	l->run = l->run_below = l->run_top = 0;
	l->answers = l->fills = l->evicted = 0;
	l->samples = 0;
	l->made.idle_us = l->made.taken = l->seen.idle_us = l->seen.taken = 0;
	l->day_us = end_us;
	l->live = 0;
	for (uint32_t i = 0; i < l->n; i++)
		l->live += lives_at(&l->cluster[i], end_us);
	return result;
}

/* --- over a restart --- */

struct saved {
	uint64_t last_us, run, run_us, run_below, run_top, answers, fills, live, evicted, day_us;
	uint64_t made_us, made_taken, seen_us, seen_taken;
	uint32_t n, made, seen, samples, max_s, max_before_s, last_ttl_s, spare;
};

int ttl_lines_save(const struct ttl_lines *l, state_write_fn *write, void *ctx)
{
	const struct saved s = {
	    .last_us = l->last_us,
	    .run = l->run,
	    .run_us = l->run_us,
	    .run_below = l->run_below,
	    .run_top = l->run_top,
	    .answers = l->answers,
	    .fills = l->fills,
	    .live = l->live,
	    .evicted = l->evicted,
	    .day_us = l->day_us,
	    .made_us = l->made.idle_us,
	    .made_taken = l->made.taken,
	    .seen_us = l->seen.idle_us,
	    .seen_taken = l->seen.taken,
	    .n = l->n,
	    .made = l->made.n,
	    .seen = l->seen.n,
	    .samples = l->samples,
	    .max_s = l->max_s,
	    .max_before_s = l->max_before_s,
	    .last_ttl_s = l->last_ttl_s,
	};
	int result = write(ctx, &s, sizeof(s));

	if (result == 0 && l->n != 0)
		result = write(ctx, l->cluster, l->n * sizeof(*l->cluster));
	if (result == 0 && l->made.n != 0)
		result = write(ctx, l->made.v, l->made.n * sizeof(*l->made.v));
	if (result == 0 && l->seen.n != 0)
		result = write(ctx, l->seen.v, l->seen.n * sizeof(*l->seen.v));
	if (result == 0 && l->samples != 0)
		result = write(ctx, l->sample, l->samples * sizeof(*l->sample));
	return result;
}

/* n things of `size` octets; nothing for n = 0. */
static int load_array(void **v, uint32_t n, uint32_t room, size_t size, state_read_fn *read,
		      void *ctx)
{
	if (n == 0)
		return 0;
	*v = malloc(room * size);
	return *v != NULL ? read(ctx, *v, n * size) : -ENOMEM;
}

static bool is_sound(const struct ttl_lines *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct ttl_cluster *c = &l->cluster[i];
		if (c->x_min_us > c->x_max_us || c->x_max_us > UINT64_MAX / 2 ||
		    c->others > UINT32_MAX)
			return false;
	}
	/* Of a day without an answer the last TTL may be older than both maxima. */
	return l->answers == 0 || l->last_ttl_s <= l->max_s;
}

int ttl_lines_load(struct ttl_lines *l, state_read_fn *read, void *ctx)
{
	struct saved s;
	int result = read(ctx, &s, sizeof(s));

	if (result != 0)
		return result;
	if (s.n > TTL_CLUSTERS || s.made > TTL_CLUSTERS || s.seen > TTL_CLUSTERS ||
	    s.samples > TTL_SAMPLE)
		return -EBADMSG;
	*l = (struct ttl_lines){
	    .n = s.n,
	    .room = s.n,
	    .made = {.n = s.made, .room = s.made, .idle_us = s.made_us, .taken = s.made_taken},
	    .seen = {.n = s.seen, .room = s.seen, .idle_us = s.seen_us, .taken = s.seen_taken},
	    .max_s = s.max_s,
	    .max_before_s = s.max_before_s,
	    .last_ttl_s = s.last_ttl_s,
	    .last_us = s.last_us,
	    .run = s.run,
	    .run_us = s.run_us,
	    .run_below = s.run_below,
	    .run_top = s.run_top,
	    .answers = s.answers,
	    .fills = s.fills,
	    .live = s.live,
	    .evicted = s.evicted,
	    .day_us = s.day_us,
	    .samples = s.samples,
	};
	result = load_array((void **)&l->cluster, s.n, s.n, sizeof(*l->cluster), read, ctx);
	if (result == 0)
		result = load_array((void **)&l->made.v, s.made, s.made, 8, read, ctx);
	if (result == 0)
		result = load_array((void **)&l->seen.v, s.seen, s.seen, 8, read, ctx);
	if (result == 0)
		result = load_array((void **)&l->sample, s.samples, TTL_SAMPLE, 4, read, ctx);
	return result != 0 ? result : is_sound(l) ? 0 : -EBADMSG;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "spike.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8u
#define WEEK_HOURS 168u
#define WEEKS_LEARNED 2u
#define DRIFT_SLACK 0.5 /* standard deviations that do not count */
#define DRIFT_LIMIT 8.0
#define MAGIC 0x314b5053u /* "SPK1" */
#define ROWS_CAP (1ull << 40)
#define SUM_CAP 1e39 /* no square of a count comes near */

/* What is known of a key. Means are sums with falling weights; those of all intervals
 * since the table began, with or without the key, sum up to weight_of(). */
struct past {
	uint64_t key; /* 0: free */
	uint64_t row; /* of the interval looked at last */
	double sum, squares;
	double drift; /* cumulative sum above what was expected */
};

struct spikes {
	uint32_t interval_s;
	double keep; /* weight of the past after one interval */
	size_t sets;
	struct past *past;           /* [sets * WAYS] */
	uint64_t first_row, end_row; /* end_row: of those that have begun */
	/* All keys together, by hour of the week. */
	struct {
		double count, intervals;
	} hour[WEEK_HOURS];
};

struct spikes *spikes_create(uint32_t interval_s, size_t keys)
{
	struct spikes *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->interval_s = interval_s;
	s->keep = exp2(-(double)interval_s / SPIKE_HALF_LIFE_S);
	s->first_row = UINT64_MAX;
	s->sets = 8;
	while (s->sets * WAYS < keys)
		s->sets *= 2;
	s->past = calloc(s->sets * WAYS, sizeof(*s->past));
	if (s->past == NULL) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void spikes_destroy(struct spikes *s)
{
	if (s == NULL)
		return;
	free(s->past);
	free(s);
}

double spike_tail(double x, double mu)
{
	double term, sum;

	if (mu <= 0)
		return 0;
	if (mu >= x)
		return 1; /* no upper tail worth a question */
	/* The regularised lower incomplete gamma function P(x, mu), by its series: DLMF
	 * 8.11.4. Terms fall at least as mu / (x + n). */
	term = sum = 1;
	for (unsigned n = 1; n < 100000 && term > 1e-17 * sum; n++) {
		term *= mu / (x + n);
		sum += term;
	}
	return exp(x * log(mu) - mu - lgamma(x + 1)) * sum;
}

static unsigned hour_of(const struct spikes *s, uint64_t row)
{
	return (unsigned)(row * s->interval_s / 3600 % WEEK_HOURS);
}

/* Intervals have begun, with this key or another. */
static void begin_rows(struct spikes *s, uint64_t row)
{
	const uint64_t week = WEEK_HOURS * 3600u / s->interval_s;

	if (s->first_row == UINT64_MAX) {
		s->first_row = row;
		s->end_row = row;
	}
	if (row > s->end_row + week)
		s->end_row = row - week; /* a long silence teaches as much as a week of it */
	for (; s->end_row <= row; s->end_row++)
		s->hour[hour_of(s, s->end_row)].intervals++;
}

/* What the weights of all intervals before `row` sum up to. */
static double weight_of(const struct spikes *s, uint64_t row)
{
	return s->keep * (1 - pow(s->keep, (double)(row - s->first_row))) / (1 - s->keep);
}

/* The hour's share of the average hour, where it is known. */
static double factor_of(const struct spikes *s, uint64_t row)
{
	const unsigned hour = hour_of(s, row);
	double count = 0, intervals = 0;

	if ((row - s->first_row) * s->interval_s < WEEKS_LEARNED * WEEK_HOURS * 3600ull)
		return 1;
	for (unsigned i = 0; i < WEEK_HOURS; i++) {
		count += s->hour[i].count;
		intervals += s->hour[i].intervals;
	}
	if (count <= 0 || s->hour[hour].count <= 0 || s->hour[hour].intervals <= 0)
		return 1;
	return s->hour[hour].count / s->hour[hour].intervals / (count / intervals);
}

/* Where a key is, or which place it would take: the one with the least left of its mean. */
static struct past *place_of(const struct spikes *s, uint64_t key, uint64_t row)
{
	struct past *set = &s->past[(key & (s->sets - 1)) * WAYS], *least = set;
	double least_sum = INFINITY;

	for (unsigned i = 0; i < WAYS; i++) {
		struct past *p = &set[i];
		if (p->key == key)
			return p;
		const double sum = p->key == 0 ? -1 : p->sum * pow(s->keep, (double)(row - p->row));
		if (sum < least_sum) {
			least = p;
			least_sum = sum;
		}
	}
	return least;
}

/* least: what is expected at least. */
static struct spike judge(const struct spikes *s, struct past *p, uint64_t row, double x,
			  double least)
{
	const double weight = weight_of(s, row),
		     hours = (double)(row - s->first_row) * s->interval_s / SPIKE_HALF_LIFE_S;
	struct spike out = {.dispersion = 1};

	if (weight <= 0)
		return out;
	const double mean = p->sum / weight;
	const double variance = fmax(p->squares / weight - mean * mean, 0);
	if (mean > 0)
		out.dispersion = fmax(1, variance / mean);
	out.expected = fmax(mean * factor_of(s, row), least);
	if (hours < 1)
		return out;
	const double sigma = fmax(1, sqrt(out.dispersion * out.expected));
	p->drift = fmax(0, p->drift + x - out.expected - DRIFT_SLACK * sigma);
	if (x < SPIKE_FLOOR)
		return out;
	if (spike_tail(x / out.dispersion, out.expected / out.dispersion) < SPIKE_CHANCE)
		out.kind = SPIKE_SUDDEN;
	else if (p->drift > DRIFT_LIMIT * sigma)
		out.kind = SPIKE_DRIFT;
	if (out.kind != SPIKE_NONE)
		p->drift = 0;
	return out;
}

struct spike spikes_step(struct spikes *s, uint64_t key, uint64_t start_s, uint64_t count)
{
	const uint64_t row = start_s / s->interval_s;
	const double x = (double)count;
	struct past unknown = {.key = key, .row = row};

	begin_rows(s, row);
	s->hour[hour_of(s, row)].count += x;
	struct past *place = place_of(s, key, row), *p = place->key == key ? place : &unknown;
	if (p->row > row)
		return (struct spike){.dispersion = 1};
	/* Its silent intervals had none. The present one is judged before it is learned. */
	const double faded = pow(s->keep, (double)(row - p->row));
	p->sum *= faded;
	p->squares *= faded;
	const struct spike out =
	    judge(s, p, row, x, p == &unknown ? (double)(SPIKE_REMEMBER - 1) : 0);
	p->sum = (p->sum + x) * s->keep;
	p->squares = (p->squares + x * x) * s->keep;
	p->row = row + 1;
	if (p == &unknown && count >= SPIKE_REMEMBER &&
	    (place->key == 0 || place->sum * pow(s->keep, (double)(row - place->row)) < p->sum))
		*place = unknown;
	return out;
}

/* --- snapshots: a head, the hours, then each past as it stands --- */

struct head {
	uint32_t magic, interval_s;
	uint64_t first_row, end_row, keys;
};

int spikes_save(const struct spikes *s, state_write_fn *write, void *ctx)
{
	struct head h = {MAGIC, s->interval_s, s->first_row, s->end_row, 0};
	int result;

	for (size_t i = 0; i < s->sets * WAYS; i++)
		h.keys += s->past[i].key != 0;
	result = write(ctx, &h, sizeof(h));
	if (result == 0)
		result = write(ctx, s->hour, sizeof(s->hour));
	for (size_t i = 0; i < s->sets * WAYS && result == 0; i++)
		if (s->past[i].key != 0)
			result = write(ctx, &s->past[i], sizeof(s->past[i]));
	return result;
}

static bool is_sum(double x)
{
	return x >= 0 && x <= SUM_CAP; /* not NaN */
}

static int put_past(struct spikes *s, const struct past *p)
{
	struct past *set = &s->past[(p->key & (s->sets - 1)) * WAYS];
	unsigned i = 0;

	if (p->key == 0 || p->row > s->end_row || !is_sum(p->sum) || !is_sum(p->squares) ||
	    !is_sum(p->drift))
		return -EBADMSG;
	while (i < WAYS && set[i].key != 0 && set[i].key != p->key)
		i++;
	if (i == WAYS || set[i].key == p->key)
		return -EBADMSG;
	set[i] = *p;
	return 0;
}

static int read_all(struct spikes *s, state_read_fn *read, void *ctx)
{
	struct head h;
	struct past p;
	int result = read(ctx, &h, sizeof(h));

	if (result != 0)
		return result;
	if (h.magic != MAGIC || h.keys > s->sets * WAYS)
		return -EBADMSG;
	if (h.interval_s != s->interval_s)
		return -EINVAL;
	if (h.first_row == UINT64_MAX ? h.end_row != 0 || h.keys != 0
				      : h.first_row > h.end_row || h.end_row > ROWS_CAP)
		return -EBADMSG;
	s->first_row = h.first_row;
	s->end_row = h.end_row;
	result = read(ctx, s->hour, sizeof(s->hour));
	for (unsigned i = 0; i < WEEK_HOURS && result == 0; i++)
		if (!is_sum(s->hour[i].count) || !is_sum(s->hour[i].intervals))
			result = -EBADMSG;
	for (uint64_t i = 0; i < h.keys && result == 0; i++) {
		result = read(ctx, &p, sizeof(p));
		if (result == 0)
			result = put_past(s, &p);
	}
	return result;
}

int spikes_load(struct spikes *s, state_read_fn *read, void *ctx)
{
	const int result = read_all(s, read, ctx);

	if (result == 0)
		return 0;
	memset(s->past, 0, s->sets * WAYS * sizeof(*s->past));
	memset(s->hour, 0, sizeof(s->hour));
	s->first_row = UINT64_MAX;
	s->end_row = 0;
	return result;
}

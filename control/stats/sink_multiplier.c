/* SPDX-License-Identifier: BSD-3-Clause */
/* How much more is asked under one kind of answer than under DATA, and how sure that is. */
#include "sink_past.h"

#include <math.h>

/* 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5). */
static double student(double df)
{
	const double z = 1.959964, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;

	return z + (z3 + z) / (4 * df) + (5 * z5 + 16 * z3 + 3 * z) / (96 * df * df) +
	       (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * df * df * df);
}

static void fill(struct sink_multiplier *out, double est, double width)
{
	out->est = est;
	out->lo = est * exp(-width);
	out->hi = est * exp(width);
}

/* Hours of the week that both classes have: sum over sum, and the spread of what is left
 * of each hour. */
static bool by_hours(const struct sink_week *w, enum sink_class class, struct sink_multiplier *out)
{
	double own = 0, base = 0, squares = 0;
	unsigned n = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < SINK_WEEK; i++) {
			if (w->n[i][class] == 0 || w->n[i][SINK_DATA] == 0)
				continue;
			const double x = (double)w->sum[i][class] / w->n[i][class];
			const double y = (double)w->sum[i][SINK_DATA] / w->n[i][SINK_DATA];
			if (pass == 0) {
				own += x;
				base += y;
				n++;
			} else {
				const double rest = x - own / base * y;
				squares += rest * rest;
			}
		}
		if (n < SINK_PAIRS_MIN || own <= 0 || base <= 0)
			return false;
	}
	out->n = n;
	out->hourly = true;
	fill(out, own / base, 1.96 * sqrt(squares / (n * (n - 1.0))) / (own / n));
	return true;
}

/* Squared error of a stage's mean, relative to it. */
static double relative_error(const struct sink_stage *s)
{
	const double n = (double)s->n, mean = s->sum / n;
	const double var = fmax(0, (s->squares - s->sum * mean) / (n - 1));

	return var / n / (mean * mean);
}

static bool by_minutes(const struct sink_stage *own, const struct sink_stage *base,
		       struct sink_multiplier *out)
{
	if (own->n < SINK_MINUTES_MIN || base->n < SINK_MINUTES_MIN || own->sum <= 0 ||
	    base->sum <= 0)
		return false;
	const double a = relative_error(own), b = relative_error(base), n = (double)own->n;
	/* Welch's degrees of freedom. */
	const double df = (a + b) * (a + b) / (a * a / (n - 1) + b * b / ((double)base->n - 1));

	out->n = own->n;
	out->hourly = false;
	fill(out, own->sum / n / (base->sum / (double)base->n),
	     a + b > 0 ? student(fmax(1, df)) * sqrt(a + b) : 0);
	return true;
}

bool sink_past_multiplier(const struct sink_past *p, enum sink_class class,
			  struct sink_multiplier *out)
{
	if (class == SINK_DATA)
		return false;
	if (p->week != NULL && by_hours(p->week, class, out))
		return true;
	return by_minutes(&p->stages[class], &p->stages[SINK_DATA], out);
}

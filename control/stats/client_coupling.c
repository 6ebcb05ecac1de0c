/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_coupling.h"

static const uint64_t widths[2] = {1, 5};

void coupling_seen(struct coupling *c, uint64_t second)
{
	if (c->first_s == 0 || second < c->first_s)
		c->first_s = second;
	if (second > c->last_s)
		c->last_s = second;
}

static void close_bin(struct coupling_sums *s)
{
	s->sxx += s->x * s->x;
	s->syy += s->y * s->y;
	s->sxy += s->x * s->y;
	s->x = s->y = 0;
}

void coupling_add(struct coupling *c, uint64_t second, uint64_t a, uint64_t aaaa)
{
	coupling_seen(c, second);
	c->sx += a;
	c->sy += aaaa;
	for (unsigned i = 0; i < 2; i++) {
		struct coupling_sums *s = &c->of[i];
		if (second / widths[i] != s->bin)
			close_bin(s);
		s->bin = second / widths[i];
		s->x += a;
		s->y += aaaa;
	}
}

void coupling_leave_out(struct coupling *c, uint64_t from_s, uint64_t to_s)
{
	if (c->first_s == 0)
		return;
	if (from_s < c->first_s) /* on the day before */
		from_s = c->first_s;
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t from = from_s / widths[i], to = to_s / widths[i];
		if (to > from + 1)
			c->of[i].left_out += to - from - 1;
	}
}

/* Over n bins, of which most may be empty. */
static double r2(const struct coupling *c, unsigned i)
{
	struct coupling_sums s = c->of[i];
	const double n = (double)(c->last_s / widths[i] - c->first_s / widths[i] + 1 - s.left_out);
	const double sx = (double)c->sx, sy = (double)c->sy;

	close_bin(&s);
	const double xy = n * (double)s.sxy - sx * sy, xx = n * (double)s.sxx - sx * sx,
		     yy = n * (double)s.syy - sy * sy;
	return xx > 0 && yy > 0 ? xy * xy / (xx * yy) : 0;
}

bool coupling_get(const struct coupling *c, struct coupling_result *out)
{
	const uint64_t n = c->last_s - c->first_s + 1 - c->of[0].left_out;

	if (c->first_s == 0 || n < COUPLING_BINS || c->sx < COUPLING_QUERIES ||
	    c->sy < COUPLING_QUERIES)
		return false;
	*out = (struct coupling_result){
	    .n = n,
	    .sx = c->sx,
	    .sy = c->sy,
	    .r2_1s = r2(c, 0),
	    .r2_5s = r2(c, 1),
	    .ratio = (double)c->sy / (double)c->sx,
	};
	out->coupled = out->r2_1s >= COUPLING_R2 && out->ratio >= 0.8 && out->ratio <= 1.25;
	return true;
}

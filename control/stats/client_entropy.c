/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_entropy.h"

#include "../../dataplane/mini.h"

#include <math.h>
#include <string.h>

#define LEAST_SD 0.05 /* bits */

/* H = log2 n - (sum of c log2 c) / n, with a part for what is inside of each c. Whole
 * numbers of 2^-16 bits, so that the order in which they come does not show. */
#define UNIT 65536.0
struct sums {
	struct {
		uint64_t n, clog, inside;
	} of[FT_VANTAGE_CAP];
};

static uint64_t bits_of(uint64_t c, uint64_t parts)
{
	return (uint64_t)((double)c * log2((double)parts) * UNIT + 0.5);
}

static void add(struct sums *s, unsigned vantage, uint64_t c, uint64_t parts)
{
	if (c == 0)
		return;
	s->of[vantage].n += c;
	s->of[vantage].clog += bits_of(c, c);
	parts = parts < c ? parts : c;
	if (parts > 1)
		s->of[vantage].inside += bits_of(c, parts);
}

static void add_client(void *ctx, const struct table_sum *t)
{
	add(ctx, t->vantage, ft_table_queries(FT_TABLE_CLIENTS, t->c), 1);
}

static void add_domain(void *ctx, const struct table_sum *t)
{
	add(ctx, t->vantage, ft_table_queries(FT_TABLE_DOMAINS, t->c), mini_count(t->names));
}

static double entropy(const struct sums *s, unsigned vantage)
{
	const double n = (double)s->of[vantage].n, clog = (double)s->of[vantage].clog / UNIT,
		     inside = (double)s->of[vantage].inside / UNIT;

	return n > 0 ? fmax(log2(n) - (clog - inside) / n, 0) : 0;
}

void entropy_of(const struct stat_parts *tables, struct entropy out[FT_VANTAGE_CAP])
{
	struct sums clients = {0}, domains = {0};

	tables_each(tables, FT_TABLE_CLIENTS, add_client, &clients);
	tables_each(tables, FT_TABLE_DOMAINS, add_domain, &domains);
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		out[v].used = clients.of[v].n > 0;
		out[v].h_client = entropy(&clients, v);
		out[v].h_qname = entropy(&domains, v);
	}
}

/* -1 down, 1 up, 0 neither. */
static int moved(const struct entropy_past *p, unsigned i, double h)
{
	const double z = (h - p->mean[i]) / fmax(sqrt(p->var[i]), LEAST_SD);

	return z >= ENTROPY_Z ? 1 : z <= -ENTROPY_Z ? -1 : 0;
}

static void learn(struct entropy_past *p, unsigned i, double h, double step)
{
	const double d = h - p->mean[i];

	p->mean[i] += step * d;
	p->var[i] = (1 - step) * (p->var[i] + step * d * d);
}

void entropy_step(struct entropy_past *p, struct entropy *e, uint64_t start_s, uint32_t interval_s)
{
	const bool first = p->since_s == 0;
	const double step = first ? 1 : 1 - exp2(-(double)interval_s / ENTROPY_HALF_LIFE_S);
	const int client = moved(p, 0, e->h_client), qname = moved(p, 1, e->h_qname);

	if (first)
		p->since_s = start_s;
	e->reading = ENTROPY_USUAL;
	if (start_s >= p->since_s + ENTROPY_WARM_S) {
		if (client < 0 && qname < 0)
			e->reading = ENTROPY_TARGETED;
		else if (client > 0 && qname < 0)
			e->reading = ENTROPY_RANDOM;
		else if (client < 0 && qname > 0)
			e->reading = ENTROPY_HOST_SEARCH;
	}
	learn(p, 0, e->h_client, step);
	learn(p, 1, e->h_qname, step);
}

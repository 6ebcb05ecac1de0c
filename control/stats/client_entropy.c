/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_entropy.h"

#include "../../dataplane/mini.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
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

/* --- days --- */

struct day_key {
	uint8_t vantage, id[16];
};

struct day_acc {
	uint64_t queries;
	struct ft_mini names; /* of domains; clients have none */
};

/* What goes into a day, while its place there is on its way from memory. */
#define AHEAD 16u
struct waiting {
	struct day_key key;
	uint64_t hash, queries;
	const struct ft_mini *names; /* NULL: a client */
};

struct entropy_day {
	uint64_t seed;
	struct keyed_merge *clients, *domains;
	struct keyed_merge *to; /* that is added to now */
	struct waiting wait[AHEAD];
	size_t begun;
};

static void leave(void *ctx, const void *acc)
{
	(void)ctx;
	(void)acc;
}

static struct keyed_merge *merge_create(uint64_t seed, size_t acc_bytes, size_t budget)
{
	const struct keyed_merge_settings s = {.key_bytes = sizeof(struct day_key),
					       .acc_bytes = acc_bytes,
					       .budget = budget,
					       .seed = seed,
					       .leave = leave};

	return keyed_merge_create(&s);
}

static int begin_day(struct entropy_day *d)
{
	d->clients = merge_create(d->seed, offsetof(struct day_acc, names), ENTROPY_DAY_CLIENTS);
	d->domains = merge_create(d->seed, sizeof(struct day_acc), ENTROPY_DAY_DOMAINS);
	return d->clients != NULL && d->domains != NULL ? 0 : -ENOMEM;
}

struct entropy_day *entropy_day_create(uint64_t seed)
{
	struct entropy_day *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->seed = seed;
	if (begin_day(d) == 0)
		return d;
	entropy_day_destroy(d);
	errno = ENOMEM;
	return NULL;
}

void entropy_day_destroy(struct entropy_day *d)
{
	if (d == NULL)
		return;
	keyed_merge_destroy(d->clients);
	keyed_merge_destroy(d->domains);
	free(d);
}

static void add_one(struct entropy_day *d, const struct waiting *w)
{
	void *acc;

	if (keyed_merge_get_hashed(d->to, &w->key, w->hash, &acc) != 0)
		return;
	struct day_acc *a = acc;
	a->queries += w->queries;
	if (w->names != NULL)
		mini_merge(&a->names, w->names);
}

static void add_to_day(void *ctx, const struct table_sum *t)
{
	struct entropy_day *d = ctx;
	struct waiting *w = &d->wait[d->begun % AHEAD];
	const uint64_t queries = ft_table_queries(t->table, t->c);

	if (queries == 0)
		return;
	if (d->begun >= AHEAD)
		add_one(d, w);
	/* The hash is of the same octets by the same key. */
	*w = (struct waiting){
	    .key.vantage = t->vantage, .hash = t->hash, .queries = queries, .names = t->names};
	memcpy(w->key.id, t->id, sizeof(w->key.id));
	keyed_merge_fetch_place(d->to, w->hash);
	if (d->begun >= AHEAD / 2)
		keyed_merge_fetch(d->to, d->wait[(d->begun - AHEAD / 2) % AHEAD].hash);
	d->begun++;
}

static void add_table(struct entropy_day *d, const struct stat_parts *tables, enum ft_table table)
{
	d->to = table == FT_TABLE_CLIENTS ? d->clients : d->domains;
	d->begun = 0;
	tables_each(tables, table, add_to_day, d);
	for (size_t i = d->begun > AHEAD ? d->begun - AHEAD : 0; i < d->begun; i++)
		add_one(d, &d->wait[i % AHEAD]);
}

void entropy_day_add(struct entropy_day *d, const struct stat_parts *tables)
{
	if (d->clients == NULL || d->domains == NULL)
		return;
	add_table(d, tables, FT_TABLE_CLIENTS);
	add_table(d, tables, FT_TABLE_DOMAINS);
}

static void sum_up(struct keyed_merge *m, bool domains, struct sums *s)
{
	const void *acc;
	size_t at = 0;

	(void)keyed_merge_settle(m);
	while ((acc = keyed_merge_next(m, &at)) != NULL) {
		const struct day_acc *a = acc;
		const struct day_key *key = keyed_merge_key(m, acc);
		add(s, key->vantage, a->queries, domains ? mini_count(&a->names) : 1);
	}
}

int entropy_day_end(struct entropy_day *d, struct entropy out[FT_VANTAGE_CAP])
{
	struct sums clients = {0}, domains = {0};

	if (d->clients != NULL && d->domains != NULL) {
		sum_up(d->clients, false, &clients);
		sum_up(d->domains, true, &domains);
	}
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		out[v] = (struct entropy){.used = clients.of[v].n > 0,
					  .h_client = entropy(&clients, v),
					  .h_qname = entropy(&domains, v)};
	keyed_merge_destroy(d->clients);
	keyed_merge_destroy(d->domains);
	return begin_day(d);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Are estimates and standard errors of sampled keys what they say? By simulation, with
 * the choice of dataplane/sample.h and the estimator of control/estimate.h; tables,
 * blocks and merge in between are test_tables.c's.
 *
 *	sample_sim [SEEDS [wide]]
 *
 * Each seed is a sampling key. Clients ask a few servers (a key is a server, a flow one
 * of its clients); queries per flow are log-normal (sigma 1.5: the greatest of 10,000
 * flows has about 250 times the median) and come in bursts; in some scenarios the level
 * changes on the way. The bars, over all keys with at least 100 sampled flows expected:
 * the mean of (estimate - truth) is within 3 of its own standard errors of 0, and 93 to
 * 97 % of the intervals estimate +- t se (Student's t, 15 df) hold the truth. "wide": 91
 * to 98 %, for few seeds. Keys are chosen by expected flows, not by those that came:
 * choosing by luck would itself be a bias. Exit 1 where a bar is not held.
 */
#include "estimate.h"
#include "sample.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 8u

struct scenario {
	const char *name;
	unsigned levels[3]; /* one after the other, for a third of each flow's queries */
	double sigma;       /* of the logarithm of queries per flow */
	unsigned flows;     /* of the smallest key; each further key has half as many again */
	double exact;       /* share of queries for names that are never sampled out */
};

static const struct scenario scenarios[] = {
    {"1/8, sigma 1.0", {3, 3, 3}, 1.0, 1600, 0},
    {"1/16, sigma 1.5", {4, 4, 4}, 1.5, 6400, 0},
    {"1/2, sigma 1.5", {1, 1, 1}, 1.5, 2000, 0},
    {"1/4 then 1/8 then 1/16", {2, 3, 4}, 1.2, 3200, 0},
    {"1 then 1/8, 20 % exact", {0, 3, 3}, 1.2, 1600, 0.2},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(*scenarios))

static uint64_t random_next(uint64_t *s)
{
	*s += 0x9e3779b97f4a7c15ull;
	return hash_mix(*s ^ *s >> 29);
}

static double uniform(uint64_t *s)
{
	return ((double)(random_next(s) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *s)
{
	const double u = uniform(s), v = uniform(s);

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

struct flow_counts {
	uint32_t exact, third[3];
};

/* The traffic is the same for all seeds: what varies is which flows are drawn. */
static struct flow_counts *make_flows(const struct scenario *sc, unsigned flows, uint64_t *s)
{
	struct flow_counts *f = calloc(flows, sizeof(*f));

	for (unsigned i = 0; f != NULL && i < flows; i++) {
		const unsigned n = 1 + (unsigned)(exp(sc->sigma * normal(s)) * 5);
		/* A flow begins and ends somewhere: not all of it at each level. */
		const uint64_t from = random_next(s) % 3, to = from + random_next(s) % 3;
		for (unsigned q = 0; q < n; q++) {
			if (uniform(s) < sc->exact)
				f[i].exact++;
			else
				f[i].third[(from + random_next(s) % (to - from + 1)) % 3]++;
		}
	}
	return f;
}

static struct addr address(uint32_t n, uint8_t kind)
{
	return addr_from_v4(
	    (const uint8_t[]){kind, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n});
}

/* What a worker's entries of this key would hold, then what control makes of it. */
static struct estimate estimate_key(const struct scenario *sc, const struct flow_counts *f,
				    unsigned flows, unsigned key, const struct sample *sample)
{
	uint64_t group[FT_SAMPLE_LEVEL_MAX + 1][FT_GROUPS] = {{0}}, exact = 0;
	struct estimate_level level[3];
	const struct addr server = address(key, 192);
	size_t n = 0;

	for (unsigned i = 0; i < flows; i++) {
		const struct addr client = address(i, 10);
		const uint64_t hash = sample_hash(sample, &client, &server);
		exact += f[i].exact;
		for (unsigned k = 0; k < 3; k++) {
			if (sc->levels[k] == 0)
				exact += f[i].third[k];
			else if (sample_takes(hash, sc->levels[k]))
				group[sc->levels[k]][sample_group(hash)] += f[i].third[k];
		}
	}
	for (unsigned k = 0; k < 3; k++)
		if (sc->levels[k] != 0 && (k == 0 || sc->levels[k] != sc->levels[k - 1]))
			level[n++] = (struct estimate_level){.level = sc->levels[k],
							     .group = group[sc->levels[k]]};
	return estimate_sum(exact, level, n);
}

static bool run(const struct scenario *sc, unsigned seeds, bool wide)
{
	struct flow_counts *flow[KEYS];
	unsigned flows[KEYS], inside = 0, n = 0;
	double truth[KEYS], sum = 0, sum_square = 0, var_told = 0, var_seen = 0;
	uint64_t s = 42;

	for (unsigned k = 0; k < KEYS; k++) {
		flows[k] = k == 0 ? sc->flows : flows[k - 1] * 3 / 2;
		flow[k] = make_flows(sc, flows[k], &s);
		if (flow[k] == NULL)
			return false;
		truth[k] = 0;
		for (unsigned i = 0; i < flows[k]; i++)
			truth[k] += flow[k][i].exact + flow[k][i].third[0] + flow[k][i].third[1] +
				    flow[k][i].third[2];
	}
	for (unsigned seed = 0; seed < seeds; seed++) {
		const struct sample sample = {.key = hash_mix(seed + 1)};
		double of_seed = 0; /* keys share no flows, but nothing here relies on it */
		for (unsigned k = 0; k < KEYS; k++) {
			const struct estimate e = estimate_key(sc, flow[k], flows[k], k, &sample);
			const double off = e.value - truth[k];
			inside += fabs(off) <= ESTIMATE_T95 * e.se;
			of_seed += off / truth[k] / KEYS;
			var_told += e.se * e.se / (truth[k] * truth[k]);
			var_seen += off * off / (truth[k] * truth[k]);
			n++;
		}
		sum += of_seed;
		sum_square += of_seed * of_seed;
	}
	for (unsigned k = 0; k < KEYS; k++)
		free(flow[k]);
	const double mean = sum / seeds;
	const double se = sqrt((sum_square / seeds - mean * mean) / (seeds - 1));
	const double coverage = (double)inside / n;
	const bool ok = fabs(mean) <= 3 * se && coverage >= (wide ? 0.91 : 0.93) &&
			coverage <= (wide ? 0.98 : 0.97);
	printf("%-26s %5u seeds: mean error %+.5f = %+5.2f se, rms error %.4f, told %.4f; "
	       "95 %% interval holds %.2f %% of %u%s\n",
	       sc->name, seeds, mean, mean / se, sqrt(var_seen / n), sqrt(var_told / n),
	       100 * coverage, n, ok ? "" : "  NOT HELD");
	return ok;
}

int main(int argc, char **argv)
{
	const unsigned seeds = argc > 1 ? (unsigned)atoi(argv[1]) : 200;
	const bool wide = argc > 2 && strcmp(argv[2], "wide") == 0;
	bool ok = seeds >= 2;

	for (size_t i = 0; ok && i < SCENARIOS; i++)
		ok &= run(&scenarios[i], seeds, wide);
	return ok ? 0 : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "estimate.h"

#include <math.h>

static double total_of(const uint64_t *group)
{
	double sum = 0;

	for (unsigned g = 0; g < FT_GROUPS; g++)
		sum += (double)group[g];
	return sum;
}

static double covariance(const uint64_t *a, const uint64_t *b)
{
	const double mean_a = total_of(a) / FT_GROUPS, mean_b = total_of(b) / FT_GROUPS;
	double sum = 0;

	for (unsigned g = 0; g < FT_GROUPS; g++)
		sum += ((double)a[g] - mean_a) * ((double)b[g] - mean_b);
	return sum * FT_GROUPS / (FT_GROUPS - 1);
}

struct estimate estimate_sum(uint64_t exact, const struct estimate_level *level, size_t n)
{
	struct estimate e = {.value = (double)exact};
	double var = 0;

	for (size_t l = 0; l < n; l++) {
		const double p_l = ldexp(1, -(int)level[l].level);
		e.value += total_of(level[l].group) / p_l;
		for (size_t m = 0; m < n; m++) {
			const double p_m = ldexp(1, -(int)level[m].level);
			var += covariance(level[l].group, level[m].group) * (1 - fmax(p_l, p_m)) /
			       (p_l * p_m);
		}
	}
	e.se = sqrt(fmax(var, 0));
	return e;
}

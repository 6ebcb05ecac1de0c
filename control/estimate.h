/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over all flows, estimated from those that were sampled. Pure functions.
 *
 * Flow i is taken at level l where its hash is below p_l = 2^-l: one draw for all levels,
 * so both of l and m where it is below the smaller p. With x_il its count while level l
 * was in force, t_gl the sum over the sampled flows of group g, and t_l = sum of t_gl:
 *
 *	value  T = t_0 + sum over l of t_l / p_l                  (Horvitz-Thompson)
 *	var(T)   = sum over i, l, m of x_il x_im (1 / max(p_l, p_m) - 1)
 *	C_lm     = 16/15 sum over g of (t_gl - t_l/16) (t_gm - t_m/16)
 *	se^2     = sum over l, m of C_lm (1 - max(p_l, p_m)) / (p_l p_m)
 *
 * Why that is right: flows are drawn independently (Poisson sampling) and put into groups
 * at random, so the products of different flows cancel in C_lm and E(C_lm) = sum over i of
 * x_il x_im min(p_l, p_m): se^2 is var(T) without bias. All queries of a flow stand in one
 * x_i and one group; that they come together is in it. For a single level this is the
 * random-group estimator times the finite-population factor 1 - p. Level 0 is exact and
 * adds nothing. With 16 groups a 95 % interval is T +- ESTIMATE_T95 se (Student, 15 df).
 * (Wolter, "Introduction to Variance Estimation", chapter 2.) */
#ifndef CONTROL_ESTIMATE_H
#define CONTROL_ESTIMATE_H

#include <fluxtap/rec_tables.h>

#define ESTIMATE_T95 2.1314 /* 97.5 % quantile of Student's t with FT_GROUPS - 1 df */

/* What was sampled at one level above 0. */
struct estimate_level {
	uint32_t level;
	const uint64_t *group; /* [FT_GROUPS] */
};

struct estimate {
	double value, se;
};

/* exact: what was counted at level 0. Each level stands once. */
struct estimate estimate_sum(uint64_t exact, const struct estimate_level *level, size_t n);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The sequential test for clients that ask for generated names (Krishnan et al., "Crossing
 * the Threshold", DSN 2013; Wald 1945; DOMAIN section 6.4).
 *
 * Each distinct registered domain that does not exist moves a log-likelihood up (it looks
 * made up) or down. It never goes below zero, halves within an hour, and what is less than
 * half a name is nothing. Pure arithmetic, any thread. */
#ifndef CONTROL_STATS_DGA_TEST_H
#define CONTROL_STATS_DGA_TEST_H

#include <stdbool.h>
#include <stdint.h>

#define DGA_P1 0.85 /* share of names that look made up, of a generator */
#define DGA_P0 0.15 /* of an ordinary client: default */
#define DGA_ALPHA 1e-6
#define DGA_BETA 0.01
#define DGA_HALF_LIFE_S 3600.0
#define DGA_LLR_CAP 2.0 /* in alarms: so that one ends */

struct dga_params {
	double up, down; /* steps, both above 0 */
	double alarm;    /* where the test says yes */
};

/* p0: 0 < p0 < DGA_P1. */
struct dga_params dga_params_of(double p0);

struct dga_evidence {
	double llr;
	uint64_t last_s; /* of the last step */
};

/* Forgets up to second now_s; returns the evidence that is left. */
double dga_forget(struct dga_evidence *e, const struct dga_params *p, uint64_t now_s);
/* One more name at second now_s; returns the evidence then. */
double dga_learn(struct dga_evidence *e, const struct dga_params *p, uint64_t now_s, bool made_up);

#endif

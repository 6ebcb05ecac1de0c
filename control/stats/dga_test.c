/* SPDX-License-Identifier: BSD-3-Clause */
#include "dga_test.h"

#include <math.h>

struct dga_params dga_params_of(double p0)
{
	return (struct dga_params){
	    .up = log(DGA_P1 / p0),
	    .down = log((1 - p0) / (1 - DGA_P1)),
	    .alarm = log((1 - DGA_BETA) / DGA_ALPHA),
	};
}

double dga_forget(struct dga_evidence *e, const struct dga_params *p, uint64_t now_s)
{
	if (now_s > e->last_s) {
		if (e->llr > 0)
			e->llr *= exp2(-(double)(now_s - e->last_s) / DGA_HALF_LIFE_S);
		e->last_s = now_s;
	}
	if (e->llr < p->up / 2)
		e->llr = 0;
	return e->llr;
}

double dga_learn(struct dga_evidence *e, const struct dga_params *p, uint64_t now_s, bool made_up)
{
	(void)dga_forget(e, p, now_s);
	e->llr += made_up ? p->up : -p->down;
	if (e->llr < 0)
		e->llr = 0;
	if (e->llr > DGA_LLR_CAP * p->alarm)
		e->llr = DGA_LLR_CAP * p->alarm;
	return e->llr;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Entropies of who asks and of what is asked for, in bits, and what their change means
 * (DOMAIN section 2.6; Musashi, Ludena Romana et al.). Of names an upper bound: those of one
 * registered domain count as asked for alike. One thread at a time. */
#ifndef CONTROL_STATS_CLIENT_ENTROPY_H
#define CONTROL_STATS_CLIENT_ENTROPY_H

#include "tables.h"

#define ENTROPY_HALF_LIFE_S 3600.0
#define ENTROPY_WARM_S 3600u
#define ENTROPY_Z 3.0

enum entropy_reading { ENTROPY_USUAL, ENTROPY_TARGETED, ENTROPY_RANDOM, ENTROPY_HOST_SEARCH };

struct entropy {
	bool used; /* there were queries */
	double h_client, h_qname;
	enum entropy_reading reading;
};

/* One vantage point's past; all zero at first. */
struct entropy_past {
	double mean[2], var[2]; /* clients, names */
	uint64_t since_s;
};

/* The entropies of an interval by vantage. */
void entropy_of(const struct stat_parts *tables, struct entropy out[FT_VANTAGE_CAP]);
/* Reads them beside their past, and learns. */
void entropy_step(struct entropy_past *p, struct entropy *e, uint64_t start_s, uint32_t interval_s);

#endif

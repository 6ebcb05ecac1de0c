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

/* Of a UTC day: exact up to so many clients and domains of it; beyond, those with the lowest
 * keyed hash stand for all. */
#define ENTROPY_DAY_CLIENTS 131072u
#define ENTROPY_DAY_DOMAINS 65536u
struct entropy_day;

/* NULL + errno. */
struct entropy_day *entropy_day_create(uint64_t seed);
/* Accepts NULL. */
void entropy_day_destroy(struct entropy_day *d);
/* Adds an interval; what there is no memory for is left out. */
void entropy_day_add(struct entropy_day *d, const struct stat_parts *tables);
/* The entropies of what was added, which is forgotten then. -ENOMEM: nothing can be added
 * any more. */
int entropy_day_end(struct entropy_day *d, struct entropy out[FT_VANTAGE_CAP]);

#endif

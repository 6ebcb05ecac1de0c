/* SPDX-License-Identifier: BSD-3-Clause */
/* Keyed table of error keys: the rows of the NXDOMAIN and DNS error channels.
 *
 * Responses with an rcode and queries without a response, by (qname, qtype, qclass,
 * server, SOA's name, rcode, vantage, interval): how many, how many clients, and what
 * the first one looked like. One worker's own; all memory is taken by errors_create. */
#ifndef DATAPLANE_ERRORS_H
#define DATAPLANE_ERRORS_H

#include "keyed.h"
#include "tally.h"

enum errors_channels {
	ERRORS_AUTO, /* AUTH, R2A and X */
	ERRORS_ALL   /* S2R, too */
};

struct errors_settings {
	uint64_t name_seed;   /* secret of this run, as parse_step has it */
	uint64_t sketch_seed; /* as match.h has it: clients' hashes */
	size_t entries;       /* as for keyed_create */
	enum errors_channels channels;
};

struct errors_stats {
	uint64_t seen;  /* transactions */
	uint64_t texts; /* texts emitted */
};

struct errors;

/* Adds itself to the tally's parts. NULL + errno. */
struct errors *errors_create(struct tally *tally, const struct errors_settings *settings);
/* Accepts NULL; the tally must not close rows any more. */
void errors_destroy(struct errors *e);

/* Counts settled transactions, whose responses, if any, are in the batch. */
void errors_step(struct errors *e, const struct msgs *batch, const struct txn *txn, uint32_t n);

const struct errors_stats *errors_stats_get(const struct errors *e);
const struct keyed_stats *errors_table_stats(const struct errors *e);

#endif

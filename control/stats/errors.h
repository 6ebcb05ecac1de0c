/* SPDX-License-Identifier: BSD-3-Clause */
/* Error keys of an interval, merged over the workers: what the error channels and the
 * trends of NXDOMAIN are made of. A merge (stat.h); `p` is what an interval left of it, and
 * may be NULL. What is handed out is valid during the call. */
#ifndef CONTROL_STATS_ERRORS_H
#define CONTROL_STATS_ERRORS_H

#include "../../dataplane/handful.h"

#include <fluxtap/dns.h>

#define ERRORS_SETS 2u

struct stat_parts;

/* What became of a key. Its times are since 1970. */
struct error_row {
	struct ft_error_text text; /* of the earliest transaction, but for `client` */
	uint64_t time_us;
	uint64_t count, clients;
	const struct handful *client_set;
};

/* Transactions of all keys, and of those that were left out; by errors_set_of. */
struct errors_totals {
	struct {
		uint64_t count, left_out;
	} of[FT_VANTAGE_CAP][ERRORS_SETS];
};

/* Before the first record, of one shard; the default is for a busy resolver's minute. */
void errors_set_budget(void *merge, size_t items, size_t text_bytes);

/* Calls `each` for every key of which the text is there, in no order. */
void errors_each(const struct stat_parts *p, void (*each)(void *ctx, const struct error_row *x),
		 void *ctx);
struct errors_totals errors_totals_get(const struct stat_parts *p);
/* 0: NXDOMAIN; 1: another error. `what` as in struct ft_error_text. */
unsigned errors_set_of(uint8_t what);
/* The name that does not exist, and nothing below it either (RFC 8020): one label more
 * than the zone whose SOA says so. Its octets and *name, the wire's case; 0: not known. */
uint32_t errors_nx_cut(const struct ft_error_text *x, const uint8_t **name);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Error keys of an interval, merged over the workers: the rows of the sets `nxdomain`
 * and `dnserror`, which statistics behind it in the list may read when the interval
 * closes. Control's thread; what is handed out is valid during the call. */
#ifndef CONTROL_STATS_ERRORS_H
#define CONTROL_STATS_ERRORS_H

#include "../../dataplane/handful.h"

/* What became of a key. Its times are since 1970. */
struct error_row {
	struct ft_error_text text; /* of the earliest transaction, but for `client` */
	uint64_t time_us;
	uint64_t count, clients;
	const struct handful *client_set;
};

/* Before the first record; the default is for a busy resolver's minute. */
void errors_set_budget(void *stat, size_t items, size_t text_bytes);

/* Calls `each` for every key of a row of which the text is there, in no order. */
void errors_each(const void *stat, uint64_t row, void (*each)(void *ctx, const struct error_row *x),
		 void *ctx);
/* The name that does not exist, and nothing below it either (RFC 8020): one label more
 * than the zone whose SOA says so. Its octets and *name, the wire's case; 0: not known. */
uint32_t errors_nx_cut(const struct ft_error_text *x, const uint8_t **name);
/* Transactions of all keys, and of those that were left out. */
uint64_t errors_total(const void *stat, uint64_t row, uint64_t *left_out);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The lists of statistics and merges. `ledger` closes an interval first: the others'
 * records carry the loss that it finds. Those that only read come last. */
#include "stat.h"

const struct stat_ops *const stat_all[] = {&stat_ledger,
					   &stat_traffic,
					   &stat_match,
					   &stat_flood,
					   &stat_server,
					   &stat_cookie,
					   &stat_resolver,
					   &stat_transport,
					   &stat_integrity,
					   &stat_ttl,
					   &stat_snoop,
					   &stat_sinkhole,
					   &stat_tap,
					   &stat_dga,
					   &stat_search,
					   &stat_flux_cname,
					   &stat_flux_ns,
					   &stat_flux_ip,
					   &stat_channels,
					   &stat_client,
					   &stat_domains,
					   &stat_nxtrend,
					   NULL};

const struct merge_ops *const merge_all[STAT_MERGES] = {[STAT_TABLES] = &merge_tables,
							[STAT_RRSETS] = &merge_rrsets,
							[STAT_ERRORS] = &merge_errors,
							[STAT_SERVERS] = &merge_servers};

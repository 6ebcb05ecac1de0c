/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of statistics. `ledger` closes an interval first: the others' records
 * carry the loss that it finds. `tables` comes before those that write what it merges,
 * `rrsets` before those that are made of it. */
#include "stat.h"

const struct stat_ops *const stat_all[] = {
    &stat_ledger,     &stat_traffic, &stat_match,    &stat_tables, &stat_rrsets,
    &stat_flux_cname, &stat_flux_ns, &stat_flux_ip,  &stat_errors, &stat_domains,
    &stat_nxtrend,    &stat_flood,   &stat_sinkhole, &stat_tap,    NULL};

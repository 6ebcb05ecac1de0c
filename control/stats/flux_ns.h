/* SPDX-License-Identifier: BSD-3-Clause */
/* Kind `ns` of set `flux`: delegations and name servers that move. What kind `ip`, tests
 * and snapshots need of it beside struct stat_ops. Control's thread. */
#ifndef CONTROL_STATS_FLUX_NS_H
#define CONTROL_STATS_FLUX_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before the first record: delegations and hosts of a day, octets of what is known of
 * them. */
void flux_ns_set_budget(void *stat, size_t entries, size_t bytes);

struct stat_interval;

/* Takes a row in, when kind `ip` has finished a day that is over. */
void flux_ns_read_row(void *stat, const struct stat_interval *in);

/* Whether a name server of a zone that the name lies in is NS_FLUX; `mark`: its records
 * say so. Called while a row closes, behind flux_ns. */
bool flux_ns_is_fluxing(void *stat, const uint8_t *name, uint32_t len, bool mark);

/* Whether it holds a day other than that one. */
bool flux_ns_has_other_day(const void *stat, uint64_t number);

/* Writes the day's records. Called by kind `ip`, which knows when it has marked all. */
void flux_ns_finish_day(void *stat);

/* As flux_ip_save and flux_ip_load. */
int flux_ns_save(const void *stat, uint8_t **out, size_t *bytes);
int flux_ns_load(void *stat, const uint8_t *data, size_t bytes);

#endif

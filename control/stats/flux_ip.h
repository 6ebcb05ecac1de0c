/* SPDX-License-Identifier: BSD-3-Clause */
/* Kind `ip` of set `flux`: names whose addresses move. What tests and snapshots need of
 * it beside struct stat_ops. Control's thread. */
#ifndef CONTROL_STATS_FLUX_IP_H
#define CONTROL_STATS_FLUX_IP_H

#include <stddef.h>
#include <stdint.h>

/* Before the first record: owners of a day, octets of all of them, octets of those with
 * FLUX_CANDIDATE addresses and more. */
void flux_ip_set_budget(void *stat, size_t owners, size_t bytes, size_t candidate_bytes);
size_t flux_ip_bytes(const void *stat); /* that owners take now */

/* The state between two rows as octets (*out is the caller's to free), and back: only
 * into a statistic without any. What is no state of this version is refused (-EBADMSG)
 * and changes nothing. Keys are those of the run: the hash key has to be the same. */
int flux_ip_save(const void *stat, uint8_t **out, size_t *bytes);
int flux_ip_load(void *stat, const uint8_t *data, size_t bytes);

#endif

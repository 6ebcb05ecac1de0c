/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of a day that look made up and do not exist, by shapes and public suffix: how many
 * names and clients (Thomas and Mohaisen, "Kindred Domains", WWW 2014; DOMAIN section 6.4).
 * Bounded: CLUSTERS_CAP of them; what finds no room is counted. Control's thread. */
#ifndef CONTROL_STATS_DGA_CLUSTERS_H
#define CONTROL_STATS_DGA_CLUSTERS_H

#include "dga_names.h"

#include "../../dataplane/few.h"

#define CLUSTERS_CAP 4096u
#define CLUSTER_TLD_CAP 64u

struct cluster {
	uint8_t vantage, tld_len;
	uint8_t tld[CLUSTER_TLD_CAP]; /* folded wire form */
	uint64_t shapes;
	struct few names, clients;
};

struct clusters;

/* NULL + errno. */
struct clusters *clusters_create(void);
/* Accepts NULL. */
void clusters_destroy(struct clusters *c);
/* One client's name. Hashes the same in every run. */
void clusters_add(struct clusters *c, uint8_t vantage, const struct dga_name *name,
		  const uint8_t client[16]);
uint64_t clusters_left_out(const struct clusters *c);
/* All of them, by vantage, then most names first; *n of them. Valid until the next call. */
const struct cluster *const *clusters_sorted(struct clusters *c, size_t *n);
void clusters_clear(struct clusters *c);

#endif

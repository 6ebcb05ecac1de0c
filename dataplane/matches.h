/* SPDX-License-Identifier: BSD-3-Clause */
/* What rules hit: counters for each rule, registered domain, vantage point and
 * interval; of blocklist queries for each rule, form, subject and result.
 *
 * Owned by one worker. Only transactions whose verdict has tags cost anything. The
 * table is a cache whose eviction emits (keyed.h); names go out as text when they
 * are among the eight lowest of their entry by the sketches' hash, so that neither
 * the split over workers nor the run shows. All memory is taken by matches_create. */
#ifndef DATAPLANE_MATCHES_H
#define DATAPLANE_MATCHES_H

#include "keyed.h"
#include "pair.h"
#include "ruleset.h"
#include "tally.h"

#include <fluxtap/rec_match.h>

struct matches_settings {
	size_t entries; /* of the table, about 2.3 KB each */
	uint64_t name_seed, sketch_seed;
};

struct matches;

/* Adds its part to the tally, which must outlive it. NULL + errno. */
struct matches *matches_create(struct tally *t, const struct matches_settings *settings);
void matches_destroy(struct matches *m);

/* The rules that verdicts are made by from now on; as match_adopt. */
void matches_adopt(struct matches *m, const struct ruleset *rules, struct ruleset_scratch *scratch);

/* Counts settled transactions, after tally_step has. batch: where their responses'
 * records lie; NULL where no transaction has a response. */
void matches_step(struct matches *m, const struct msgs *batch, const struct txn *txn, uint32_t n);

const struct keyed_stats *matches_stats_get(const struct matches *m);

/* What a blocklist's answer to a transaction says; puts its codes (IPv4 addresses as
 * numbers) into code[FT_MATCH_CODES], rising, 0 behind the last. */
enum ft_dnsbl_result matches_dnsbl_result(const struct msgs *batch, const struct txn *x,
					  uint32_t *code);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a name alone decides, computed once per distinct name: one cache line.
 *
 * Made by ruleset_step from the folded name, kept in a worker's verdict cache
 * (match.c), read by everything behind. Plain data. */
#ifndef DATAPLANE_VERDICT_H
#define DATAPLANE_VERDICT_H

#include "batch.h"

#include <assert.h>
#include <stdint.h>

#define VERDICT_TAGS 4u

/* The name is on the watch list, and never sampled out; its registered domain has names
 * there. */
enum { VERDICT_WATCHED = 1, VERDICT_NEAR = 2 };

struct verdict {
	_Alignas(CACHE_LINE) uint64_t name_key; /* keyed hash of the folded name */
	uint64_t name_sketch;                   /* its hash with the sketches' seed */
	uint64_t domain_key;        /* keyed hash of the registered domain, folded wire form */
	uint64_t shapes;            /* families whose shape it has: bit numbers by ruleset_family */
	uint32_t generation;        /* of the rules it was made by */
	uint32_t stamp;             /* the cache's own: batch in which it was used last */
	uint32_t tag[VERDICT_TAGS]; /* rule numbers, rising, the first VERDICT_TAGS of them */
	int16_t score;              /* bigram score, see bigram.h */
	uint8_t domain_off;         /* where the registered domain begins in the folded name */
	uint8_t tags;               /* rules that match; more than VERDICT_TAGS: ruleset_tags */
	uint8_t labels;             /* without the root */
	uint8_t watched;            /* VERDICT_WATCHED, VERDICT_NEAR */
	uint8_t brief;              /* below a flood: no expressions, shapes and score */
	uint8_t made_s;             /* brief: second of event time, its low octet */
};
static_assert(sizeof(struct verdict) == CACHE_LINE, "one line a name");

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* One generation of rules, compiled: what workers evaluate names against.
 *
 * Control makes it (control/rules.c), it never changes, all workers read it, and
 * control frees it when every worker has adopted a later one. Evaluating takes a
 * scratch, one for each worker, made by control as well: a worker never allocates. */
#ifndef DATAPLANE_RULESET_H
#define DATAPLANE_RULESET_H

#include "name_text.h"
#include "verdict.h"

#include <stdbool.h>
#include <stddef.h>

enum rule_kind {
	RULE_EXACT,
	RULE_SUFFIX,
	RULE_REGEX,
	RULE_DNSBL,
	RULE_SHAPE,
	RULE_SINKHOLE, /* of a list of sinkholes, no rule file has it: a suffix to follow */
	RULE_KIND_CAP
};

/* With RULE_EXACT or RULE_SUFFIX: names of a malware family, for the rule says which. */
#define RULE_LISTED 0x80u

struct ruleset;
struct ruleset_scratch;

/* What a generation is put together from; all but psl may be NULL. */
struct ruleset_parts {
	uint32_t generation;
	uint64_t name_seed, sketch_seed;
	struct psl *psl;
	struct nameset *exact;
	struct nameset *suffix; /* suffixes and DNSBL zones alike */
	struct shapes *shapes;
	struct match_hs *expressions;
	struct sinklist *sinks; /* what answers of sinkholes carry */
	struct nameset *watched; /* owners on the watch list; in place of rules: types */
	struct nameset *near;    /* their registered domains */
	size_t patterns;
	uint64_t depths[2]; /* bit d: some entry of `suffix` has d labels */
	uint64_t narrow;    /* families whose shape hardly any ordinary name has */
	uint8_t *kinds;     /* enum rule_kind by tag, and RULE_LISTED; malloc */
	uint32_t tags_cap;  /* entries of kinds: greatest tag and 1 */
};

/* Control's thread; takes over all parts. NULL + errno: the parts are the caller's. */
struct ruleset *ruleset_create(const struct ruleset_parts *parts);
void ruleset_destroy(struct ruleset *r);

/* Of a generation, for summaries. */
size_t ruleset_patterns(const struct ruleset *r);
size_t ruleset_listed_names(const struct ruleset *r);
/* Of the patterns, those that tables could not take over from Hyperscan. */
size_t ruleset_scanned(const struct ruleset *r);

/* A folded wire name to evaluate, and where its verdict goes. */
struct ruleset_name {
	const uint8_t *folded;
	uint32_t len;
	uint64_t key; /* keyed hash of the whole name, as in struct verdict */
	struct verdict *out;
};

/* For each worker one; NULL + errno. */
struct ruleset_scratch *ruleset_scratch_create(const struct ruleset *r);
void ruleset_scratch_destroy(struct ruleset_scratch *s);

/* Fills all of each verdict but `stamp`. Worker's thread; n at most MSG_CAP (64). */
void ruleset_step(const struct ruleset *r, struct ruleset_scratch *s,
		  const struct ruleset_name *names, uint32_t n);
/* The same, but asks of each name, when its registered domain is known, whether
 * expressions, shapes and score are worth it; else its verdict is brief. */
typedef bool (*ruleset_guard_fn)(void *ctx, const struct verdict *v);
void ruleset_step_guarded(const struct ruleset *r, struct ruleset_scratch *s,
			  const struct ruleset_name *names, uint32_t n, ruleset_guard_fn guard,
			  void *ctx);
/* The numbers of all rules that match a name, rising and each once; returns how many
 * there are, of which the first `cap` stand in `tags`. */
uint32_t ruleset_tags(const struct ruleset *r, struct ruleset_scratch *s, const uint8_t *folded,
		      uint32_t len, uint32_t *tags, uint32_t cap);

/* The subject of a dnsbl rule's query (DOMAIN section 5). */
enum dnsbl_form { DNSBL_IPV4, DNSBL_IPV6, DNSBL_DOMAIN, DNSBL_HASH, DNSBL_FORM_CAP };
struct dnsbl_subject {
	enum dnsbl_form form;
	uint8_t zone_off; /* of the zone in the folded name */
	/* Address in RFC 5952 form, domain without last dot, or hash. */
	char text[NAME_TEXT_CAP];
};
/* For a tag of kind RULE_DNSBL that a name has: fills `out`. False where it has not. */
bool ruleset_dnsbl(const struct ruleset *r, uint32_t tag, const uint8_t *folded, uint32_t len,
		   struct dnsbl_subject *out);

/* NULL: no addresses, servers or aliases of sinkholes are listed. */
const struct sinklist *ruleset_sinks(const struct ruleset *r);

/* The types by which a name, by its keyed hash, is on the watch list; rising. */
uint32_t ruleset_watched(const struct ruleset *r, uint64_t key, const uint32_t **types);

uint32_t ruleset_generation(const struct ruleset *r);
/* Kind of rule `tag`; tags are rule numbers given out by control, from 1 on. */
enum rule_kind ruleset_kind(const struct ruleset *r, uint32_t tag);
/* Whether it lists names of a malware family. */
bool ruleset_lists_family(const struct ruleset *r, uint32_t tag);
/* The families with narrow shapes, as in struct verdict. */
uint64_t ruleset_narrow(const struct ruleset *r);
/* Whether the list of public suffixes knows the name's last label. */
bool ruleset_knows_tld(const struct ruleset *r, const uint8_t *folded, uint32_t len);

#endif

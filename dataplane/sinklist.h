/* SPDX-License-Identifier: BSD-3-Clause */
/* What answers of sinkholes carry: listed prefixes, name servers and aliases, each with
 * the number of its group.
 *
 * Part of a generation of rules: control makes it, then it never changes; any thread
 * reads. An address is looked up behind a bitmap of first octets, a name by its keyed
 * hash and those of the domains above it. */
#ifndef DATAPLANE_SINKLIST_H
#define DATAPLANE_SINKLIST_H

#include "flow.h"
#include "msg.h"
#include "nameset.h"

#include <fluxtap/rec_sink.h>

struct sinklist_prefix {
	struct addr addr; /* no bits beyond its length */
	uint8_t bits;     /* of 128 */
	uint32_t tag;
};

struct sinklist_parts {
	const struct sinklist_prefix *prefix;
	size_t prefixes;
	struct nameset_entry *ns, *cname; /* keys: name_hash; notes: labels */
	size_t servers, aliases;
	uint64_t name_seed;
};

struct sinklist;

/* Copies what it needs; sorts ns and cname. NULL + errno. */
struct sinklist *sinklist_create(const struct sinklist_parts *parts);
/* Accepts NULL. */
void sinklist_destroy(struct sinklist *s);

#define SINKLIST_HITS 16u
struct sinklist_hit {
	uint32_t tag;
	uint8_t signals; /* FT_SINK_IP, FT_SINK_NS, FT_SINK_CNAME */
};

/* The groups whose entries a response carries, each once: writes the first of them into
 * hit (SINKLIST_HITS) and returns how many. Addresses and aliases of the answer section
 * count, and name servers there and in the authority section. */
uint32_t sinklist_look(const struct sinklist *s, const struct msg *m, const struct rr *rr,
		       struct sinklist_hit *hit);

#endif

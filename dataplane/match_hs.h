/* SPDX-License-Identifier: BSD-3-Clause */
/* The door to Hyperscan: expressions over presentation names.
 *
 * Expressions are searched (anchors are the author's) in the lower-case presentation
 * form without the last dot (the root's is "."), caseless. Most that are written about
 * names are labels in a row and go by tables instead (match_form.h), with the same
 * result. Compiled databases are kept on disk by content and library version. Control
 * compiles; workers scan, each with a scratch of its own, and allocate nothing. */
#ifndef DATAPLANE_MATCH_HS_H
#define DATAPLANE_MATCH_HS_H

#include <stddef.h>
#include <stdint.h>

struct match_hs_line {
	const char *expression;
	uint32_t tag;
};

struct match_hs;
struct match_hs_scratch;

/* cache_dir: where compiled databases are kept; NULL: nowhere. NULL + errno: EINVAL
 * for a bad expression, *bad then says which line and err why (SIZE_MAX: no single one).
 * The lines are not needed afterwards. */
struct match_hs *match_hs_create(const struct match_hs_line *lines, size_t n, const char *cache_dir,
				 size_t *bad, char *err, size_t cap);
void match_hs_destroy(struct match_hs *m);
/* How many different expressions are left to Hyperscan: those that are more than labels
 * in a row (match_form.h). */
size_t match_hs_scanned(const struct match_hs *m);
struct match_hs_scratch *match_hs_scratch_create(const struct match_hs *m);
void match_hs_scratch_destroy(struct match_hs_scratch *s);

/* A name: folded wire form, and where its registered domain and public suffix begin. */
struct match_hs_name {
	const uint8_t *folded;
	uint32_t len;
	uint32_t domain_off, suffix_off;
};
typedef void (*match_hs_fn)(void *ctx, uint32_t name, uint32_t tag);

/* Evaluates all expressions on n names (64 at most); calls fn for every match, in any
 * order, each tag once a name at least. */
void match_hs_step(const struct match_hs *m, struct match_hs_scratch *s,
		   const struct match_hs_name *names, uint32_t n, match_hs_fn fn, void *ctx);

#endif

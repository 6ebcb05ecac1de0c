/* SPDX-License-Identifier: BSD-3-Clause */
/* Simple expressions, by tables: a few look-ups for all of them together.
 *
 * Forms are found by the literal pieces they end with, by the length of the piece in
 * front of these and by its characters; what is left to look at is little. Made by
 * control, then only read; each worker has a view of its own. */
#ifndef DATAPLANE_MATCH_TABLE_H
#define DATAPLANE_MATCH_TABLE_H

#include "match_form.h"
#include "name_text.h"

#include <stddef.h>

/* Pieces of a text: dots are octets of a name or stand between its labels, and so are
 * fewer than its octets. */
#define MATCH_PIECES_CAP 256u

/* A presentation text in pieces. The bytes are either a wire name whose octets all
 * stand for themselves, or `own`, made like one from a text with escapes. */
struct match_view {
	const uint8_t *bytes;
	uint32_t n, end; /* pieces; where the last one ends */
	uint16_t at[MATCH_PIECES_CAP];
	uint8_t len[MATCH_PIECES_CAP];
	uint64_t set[MATCH_PIECES_CAP];
	/* Of this piece and all before it. */
	uint64_t set_to[MATCH_PIECES_CAP];
	uint8_t lo_to[MATCH_PIECES_CAP], hi_to[MATCH_PIECES_CAP];
	char text[NAME_TEXT_CAP];
	uint8_t own[NAME_TEXT_CAP + 1];
};

/* Cuts a folded wire name into pieces. */
void match_view_init(struct match_view *v, const uint8_t *folded, uint32_t len);
/* Its presentation text, without the last dot; the root's is empty. */
const char *match_view_text(struct match_view *v, uint32_t *len);

struct match_table;

/* Empty. NULL + errno. */
struct match_table *match_table_create(void);
void match_table_destroy(struct match_table *t);
/* Copies a form; `id` is what matching reports. 0 or -errno. */
int match_table_add(struct match_table *t, const struct form *f, uint32_t id);
/* After the last form. 0 or -errno. */
int match_table_build(struct match_table *t);

/* Calls fn with the id of every form that the text has; an id of several forms may
 * come more than once. */
typedef void (*match_table_fn)(void *ctx, uint32_t id);
void match_table_step(const struct match_table *t, const struct match_view *v, match_table_fn fn,
		      void *ctx);

#endif

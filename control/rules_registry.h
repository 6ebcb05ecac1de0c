/* SPDX-License-Identifier: BSD-3-Clause */
/* What rule numbers mean: given out once per (id, kind), never taken back, so that
 * records of several rule generations merge.
 *
 * A load asks for numbers and tells what the lines say; commit makes that the truth,
 * rollback forgets it. Texts and infos stay where they are. Control's thread. */
#ifndef CONTROL_RULES_REGISTRY_H
#define CONTROL_RULES_REGISTRY_H

#include "rules.h"
#include "rules_read.h"

struct registry;

struct registry *registry_create(void); /* NULL + errno */
void registry_destroy(struct registry *g);

/* A new load begins. */
void registry_begin(struct registry *g);
/* The number of a line's rule. `at` is the caller's mark of this line. 0: the line
 * contradicts the one at mark *other, and err says how; UINT32_MAX: no memory. */
uint32_t registry_put(struct registry *g, const struct rules_line *line, uint32_t at,
		      uint32_t *other, char *err, size_t cap);
/* The family this load gives rule `number` so far; NULL: none. */
const char *registry_family(const struct registry *g, uint32_t number);
/* The mask bit of a family, one word for the life of the registry; SHAPE_FAMILIES if
 * all are given out, UINT32_MAX: no memory. */
uint32_t registry_family_bit(struct registry *g, const char *family, size_t len);
void registry_commit(struct registry *g);
void registry_rollback(struct registry *g);

/* Numbers given out, those of an open load included. */
uint32_t registry_count(const struct registry *g);
/* NULL for a number not committed. */
const struct rule_info *registry_info(const struct registry *g, uint32_t number);
enum rule_kind registry_kind(const struct registry *g, uint32_t number);
/* 0: no number. */
uint32_t registry_number(const struct registry *g, const char *id, size_t len, enum rule_kind kind);
const char *registry_bit_family(const struct registry *g, uint32_t bit);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* List files of rules: read at once, then walked line by line.
 *
 * A line is `<id> <kind> <argument> [family=TEXT] [severity=N]`, words parted by blanks
 * or tabs; a word that begins with # begins a comment. No word can hold a blank: in an
 * expression that is \x20 or \s. Lines are slices of the text that the caller holds.
 * Control's thread; pure but for reading files. */
#ifndef CONTROL_RULES_READ_H
#define CONTROL_RULES_READ_H

#include "../dataplane/ruleset.h"
#include "../dataplane/shape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULES_ID_CAP 128u   /* characters of an id or family */
#define RULES_WORD_CAP 8192 /* of an argument */

extern const char *const rule_kind_texts[RULE_KIND_CAP];

struct rules_file {
	const char *path; /* the caller's */
	char *text;
	size_t len;
};

/* Reads the whole file. 0, or -errno and a sentence that names it in err. */
int rules_file_read(struct rules_file *f, const char *path, char *err, size_t cap);
void rules_file_fini(struct rules_file *f);

struct rules_slice {
	const char *text; /* not terminated; NULL: not given */
	uint32_t len;
};

/* What may stand in records and messages as it is: an id, a family, a group. */
bool rules_is_id(struct rules_slice w);

struct rules_line {
	uint32_t number; /* in its file, from 1 on */
	enum rule_kind kind;
	struct rules_slice id, family;
	struct rules_slice argument; /* of a shape: all words of it, other keys among them */
	int severity;                /* -1: none */
};

/* The next rule at or behind *at: 1 and *line; 0 at the end; -EINVAL for a bad line, its
 * number in line->number, and what is wrong and would be right in err. *at and
 * line->number begin with 0 and belong to this function. */
int rules_file_next(const struct rules_file *f, size_t *at, struct rules_line *line, char *err,
		    size_t cap);

/* The name of an exact, suffix or dnsbl line, folded (FT_NAME_CAP octets): its length,
 * or 0 and err. */
uint32_t rules_line_name(const struct rules_line *line, uint8_t *out, char *err, size_t cap);
/* The shape of a shape line, but for tag and family; tlds points into buf, which has
 * room for the argument and a NUL. 0, or -EINVAL and err. */
int rules_line_shape(const struct rules_line *line, char *buf, struct shape_line *out, char *err,
		     size_t cap);

#endif

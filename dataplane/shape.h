/* SPDX-License-Identifier: BSD-3-Clause */
/* Shapes of generated names: length, character set and suffix of the label in front
 * of the public suffix (DOMAIN sections 6.2 and 6.3), by tables.
 *
 * Made by control, then only read; any thread. */
#ifndef DATAPLANE_SHAPE_H
#define DATAPLANE_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#define SHAPE_FAMILIES 64u

/* One `shape` line. */
struct shape_line {
	uint32_t tag;    /* rule number; 0: family only */
	uint32_t family; /* bit of the family mask; SHAPE_FAMILIES: none */
	uint8_t len_lo, len_hi;
	uint64_t charset; /* bits 0..25 a-z, 26..35 0-9, 36 '-', 37 '_' */
	const char *tlds; /* "com,co.uk", lower case; NULL: any */
};

struct shapes;

/* Reads "len=8-12 charset=a-z0-9 tld=com,net" into line (all but tag and family; tlds
 * points into argument). 0, or -EINVAL and what would be right in err. */
int shape_parse(const char *argument, struct shape_line *line, char *err, size_t cap);

/* Copies what it needs of the lines. NULL + errno. */
struct shapes *shapes_create(const struct shape_line *lines, size_t n);
void shapes_destroy(struct shapes *s);

/* Families whose shape the label has under this public suffix (folded wire form).
 * Adds the tags of matching lines, each once, unordered, to tags[*n..cap). *n goes on
 * counting beyond cap. */
uint64_t shapes_match(const struct shapes *s, const uint8_t *label, uint32_t label_len,
		      const uint8_t *suffix, uint32_t suffix_len, uint32_t *tags, uint32_t cap,
		      uint32_t *n);

#endif

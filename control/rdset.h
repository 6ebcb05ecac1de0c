/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of rdata as octets (rec_integrity.h says how), and rdata as text: RFC 1035 section
 * 5.1, RFC 5952, RFC 4034, RFC 8659.
 *
 * A set owns its octets. Control's thread; pure. */
#ifndef CONTROL_RDSET_H
#define CONTROL_RDSET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define RDATA_CAP 4096u             /* octets of one rdata that a text is read into */
#define RDATA_TEXT_CAP (5u * 16384) /* room for the text of any rdata of a set */

struct rdset {
	uint8_t *data; /* NULL: empty */
	uint32_t bytes;
};

/* One of a set. */
struct rdata {
	const uint8_t *data;
	uint32_t len;
};

void rdset_fini(struct rdset *s);
/* Takes a copy of octets that are a set. 0 or -ENOMEM. */
int rdset_copy(struct rdset *to, const uint8_t *data, uint32_t bytes);
/* Adds all of another set. 0, -ENOMEM, or -E2BIG where it would have more than `cap` octets:
 * then nothing is added. */
int rdset_add(struct rdset *to, const struct rdset *other, uint32_t cap);
/* Adds one rdata. */
int rdset_add_one(struct rdset *to, const uint8_t *rdata, uint32_t len, uint32_t cap);
/* The next of a set: *at is 0 at first; false at the end. */
bool rdset_next(const struct rdset *s, uint32_t *at, struct rdata *out);
bool rdset_has(const struct rdset *s, const struct rdata *one);
bool rdset_is_subset(const struct rdset *part, const struct rdset *whole);
bool rdset_equal(const struct rdset *a, const struct rdset *b);
/* Those of a that are not in b (NULL: all), as texts. */
json_t *rdset_texts(uint16_t qtype, const struct rdset *a, const struct rdset *b);

/* The types that a watch list can have, by name; 0: none of them. */
uint16_t rdata_type(const char *text, uint32_t len);
/* Reads a text into canonical rdata (RDATA_CAP); -1: it is none of this type. */
int rdata_from_text(uint16_t qtype, const char *text, uint32_t len, uint8_t *out);
/* Writes rdata as text (RDATA_TEXT_CAP); what cannot be of the type: RFC 3597. */
void rdata_text(uint16_t qtype, const uint8_t *rdata, uint32_t len, char *out);

#endif

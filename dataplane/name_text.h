/* SPDX-License-Identifier: BSD-3-Clause */
/* Domain names as text: RFC 1035 section 5.1, the way name servers print them.
 *
 * The characters . \ " ( ) ; @ $ stand behind a backslash, octets that are no
 * visible ASCII stand as \DDD. The root is ".". Pure, any thread. */
#ifndef DATAPLANE_NAME_TEXT_H
#define DATAPLANE_NAME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Room for the text of any name: 250 octets as \DDD, their dots and the NUL. */
#define NAME_TEXT_CAP 1024u

/* Writes the text of a wire name (len octets, root included, no pointers) into out
 * (NAME_TEXT_CAP), NUL behind it; with the dot of the root or without. Letters stay
 * as they are: a folded name becomes lower case. Returns the text's length. */
uint32_t name_text(const uint8_t *folded, uint32_t len, char *out, bool last_dot);

/* Reads a text, with or without last dot, escapes as above, into a folded wire name
 * (FT_NAME_CAP octets). Returns its length; 0 where the text is no name, and *why,
 * a sentence in two halves. */
uint32_t name_from_text(const char *text, uint32_t len, uint8_t *out, const char **why);

#endif

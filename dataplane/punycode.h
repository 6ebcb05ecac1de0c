/* SPDX-License-Identifier: BSD-3-Clause */
/* Punycode (RFC 3492): the ASCII form of a label of an internationalised name.
 *
 * For lists made by people, which are in UTF-8 and normalised already: no case
 * folding beyond ASCII, no normalisation. Pure, any thread. */
#ifndef DATAPLANE_PUNYCODE_H
#define DATAPLANE_PUNYCODE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the DNS form of the UTF-8 label text[0..len), ASCII folded to lower case, to
 * out[0..63). Returns its length; 0 where the label is empty, too long, or not UTF-8. */
uint32_t punycode_label(const char *text, size_t len, uint8_t *out);

#endif

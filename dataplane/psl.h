/* SPDX-License-Identifier: BSD-3-Clause */
/* Public suffixes: where the registered domain of a name begins.
 *
 * The list of publicsuffix.org, private part included, compiled into one hash
 * table. Made by control, then only read; any thread. */
#ifndef DATAPLANE_PSL_H
#define DATAPLANE_PSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct psl;

/* path: a list in the format of publicsuffix.org; NULL: the system's. NULL + errno,
 * and a text that names the file in err. */
struct psl *psl_create(const char *path, char *err, size_t cap);
/* The same from text[0..len), which err calls `name`. */
struct psl *psl_create_text(const char *text, size_t len, const char *name, char *err, size_t cap);
void psl_destroy(struct psl *p);

/* Offset, in a folded wire name, of its registered domain: the public suffix and one
 * label. 0, the name itself, where it has none (a public suffix, the root). Writes the
 * public suffix's offset; a name under no listed suffix has its last label (rule "*"). */
uint32_t psl_domain_off(const struct psl *p, const uint8_t *folded, uint32_t len,
			uint32_t *suffix_off);
/* Whether the list has a suffix that ends in the name's last label. */
bool psl_knows_tld(const struct psl *p, const uint8_t *folded, uint32_t len);

#endif

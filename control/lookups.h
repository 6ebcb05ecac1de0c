/* SPDX-License-Identifier: BSD-3-Clause */
/* What statistics may look up about addresses and names: autonomous systems, names of
 * content networks, public suffixes. Read once at the start; then any thread. */
#ifndef CONTROL_LOOKUPS_H
#define CONTROL_LOOKUPS_H

#include "../dataplane/psl.h"
#include "asn.h"

#include <stdbool.h>

struct cdn;

struct lookups {
	struct asn *asn; /* NULL: no file */
	struct cdn *cdn; /* NULL: no file */
	struct psl *psl; /* NULL: none; the last two labels serve */
};

/* Paths may be NULL; psl_path NULL: the system's. 0, or -errno and a sentence in err: then
 * nothing is left to free. */
int lookups_init(struct lookups *l, const char *asn_path, const char *cdn_path,
		 const char *psl_path, char *err, size_t cap);
void lookups_fini(struct lookups *l);

/* Offset of the registered domain in a folded name. */
uint32_t lookups_domain_off(const struct lookups *l, const uint8_t *folded, uint32_t len);

/* Names of content networks from text, a name a line; each holds for what is below, too.
 * NULL and a sentence with `name` and line in err. */
struct cdn *cdn_create_text(const char *text, size_t len, const char *name, char *err, size_t cap);
void cdn_destroy(struct cdn *c);
bool cdn_has(const struct cdn *c, const uint8_t *folded, uint32_t len);

#endif

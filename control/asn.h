/* SPDX-License-Identifier: BSD-3-Clause */
/* Which autonomous system an address belongs to: a MaxMind DB with
 * autonomous_system_number, or text lines `prefix asn` (the longest prefix counts).
 *
 * Made at the start, then only read; any thread. Text takes 20 octets for each range of
 * addresses with one number; a MaxMind DB is mapped. */
#ifndef CONTROL_ASN_H
#define CONTROL_ASN_H

#include "../dataplane/flow.h"

#include <stddef.h>
#include <stdint.h>

struct asn;

/* A file in either form. NULL and a sentence with file (and line) in err. */
struct asn *asn_create(const char *path, char *err, size_t cap);
/* The text form from memory, which err calls `name`. Where a prefix stands twice, the
 * lowest number counts. */
struct asn *asn_create_text(const char *text, size_t len, const char *name, char *err, size_t cap);
void asn_destroy(struct asn *a);

/* 0: none. */
uint32_t asn_get(const struct asn *a, const struct addr *address);
size_t asn_ranges(const struct asn *a); /* of a text */

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of a message that are the end of its question's name: most owners are, and
 * so need neither to be read nor to be hashed again. No state, any thread. */
#ifndef DATAPLANE_QNAME_H
#define DATAPLANE_QNAME_H

#include "msg.h"

#include <string.h>

#define QNAME_AT 12u                       /* where the question's name begins */
#define QNAME_POINTER (0xc000u | QNAME_AT) /* the pointer there */

/* Where in the asked name the name at offset `to` of the message begins, if it is one
 * of its ends; else m->name_len. parse takes no question whose name has pointers. */
static inline uint32_t qname_offset(const struct msg *m, const uint8_t *name, uint32_t to)
{
	uint32_t at = 0;

	if (to < QNAME_AT || to >= QNAME_AT + m->name_len)
		return m->name_len;
	while (at < to - QNAME_AT)
		at += name[at] + 1u;
	return at == to - QNAME_AT ? at : m->name_len;
}

/* The same for a folded name of n octets. */
static inline uint32_t qname_offset_of(const uint8_t *name, uint32_t name_len,
				       const uint8_t *folded, uint32_t n)
{
	uint32_t at = 0;

	if (n > name_len)
		return name_len;
	while (at < name_len - n)
		at += name[at] + 1u;
	return at == name_len - n && memcmp(name + at, folded, n) == 0 ? at : name_len;
}

#endif

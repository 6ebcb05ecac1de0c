/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts of a bounded length for what the live view shows. Names come from the wire: they
 * are ASCII with escapes where records carry them, and are cut with three dots. */
#ifndef CONTROL_VIEW_TEXT_H
#define CONTROL_VIEW_TEXT_H

#include <stddef.h>
#include <string.h>

/* Copies a text, and cuts it where it is too long, between two characters of UTF-8. NULL
 * reads as empty. cap >= 4. */
static inline void text_put(char *to, size_t cap, const char *from)
{
	size_t len = from != NULL ? strlen(from) : 0;

	if (len < cap) {
		memcpy(to, from != NULL ? from : "", len + 1);
		return;
	}
	for (len = cap - 4; len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80; len--)
		;
	memcpy(to, from, len);
	memcpy(to + len, "...", 4);
}

#endif

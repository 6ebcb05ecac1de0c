/* SPDX-License-Identifier: BSD-3-Clause */
/* Base64 of RFC 4648 section 4, with padding. No state. */
#ifndef CONTROL_BASE64_H
#define CONTROL_BASE64_H

#include <stddef.h>
#include <stdint.h>

#define BASE64_CAP(bytes) (((bytes) + 2) / 3 * 4 + 1) /* with its zero */

/* Writes n octets of in as text into out (BASE64_CAP(n)). */
static inline void base64_write(const uint8_t *in, size_t n, char *out)
{
	static const char digit[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		const uint32_t b1 = i + 1 < n ? in[i + 1] : 0, b2 = i + 2 < n ? in[i + 2] : 0;
		const uint32_t v = (uint32_t)in[i] << 16 | b1 << 8 | b2;
		*out++ = digit[v >> 18];
		*out++ = digit[v >> 12 & 63];
		*out++ = i + 1 < n ? digit[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digit[v & 63] : '=';
	}
	*out = 0;
}

#endif

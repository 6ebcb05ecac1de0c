/* SPDX-License-Identifier: BSD-3-Clause */
#include "name_text.h"

#include <fluxtap/dns.h>

/* Visible characters that stand behind a backslash. */
static const bool escaped[0x80] = {['.'] = true, ['\\'] = true, ['"'] = true, ['('] = true,
				   [')'] = true, [';'] = true,  ['@'] = true, ['$'] = true};

static inline bool is_visible(uint8_t c)
{
	return c > 0x20 && c < 0x7f;
}

/* Writes an octet that is not plain; returns where the text goes on. */
static char *put_special(char *to, uint8_t c)
{
	*to++ = '\\';
	if (!is_visible(c)) {
		*to++ = (char)('0' + c / 100);
		*to++ = (char)('0' + c / 10 % 10);
		c = (uint8_t)('0' + c % 10);
	}
	*to++ = (char)c;
	return to;
}

uint32_t name_text(const uint8_t *folded, uint32_t len, char *out, bool last_dot)
{
	char *to = out;

	for (uint32_t at = 0; at < len && folded[at] != 0;) {
		uint32_t end = at + 1 + folded[at];

		if (end > len)
			end = len;
		if (at++ != 0)
			*to++ = '.';
		for (; at < end; at++) {
			const uint8_t c = folded[at];

			if (is_visible(c) && !escaped[c])
				*to++ = (char)c;
			else
				to = put_special(to, c);
		}
	}
	if (to == out || last_dot)
		*to++ = '.';
	*to = '\0';
	return (uint32_t)(to - out);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads what follows a backslash at text[*at]; -1 where it is no escape. */
static int read_escape(const char *text, uint32_t len, uint32_t *at)
{
	int value;

	if (*at >= len)
		return -1;
	if (!is_digit(text[*at]))
		return (uint8_t)text[(*at)++];
	if (*at + 3 > len || !is_digit(text[*at + 1]) || !is_digit(text[*at + 2]))
		return -1;
	value = (text[*at] - '0') * 100 + (text[*at + 1] - '0') * 10 + (text[*at + 2] - '0');
	*at += 3;
	return value <= 255 ? value : -1;
}

uint32_t name_from_text(const char *text, uint32_t len, uint8_t *out, const char **why)
{
	uint32_t n = 1, label = 0; /* octets written; where the open label's length stands */

	if (len == 1 && text[0] == '.') {
		out[0] = 0;
		return 1;
	}
	*why = "no name; a name such as example.com is wanted";
	if (len == 0)
		return 0;
	for (uint32_t at = 0; at < len;) {
		int c = (uint8_t)text[at++];

		if (c == '.') {
			*why = "an empty label; write one dot between labels";
			if (n == label + 1)
				return 0;
			out[label] = (uint8_t)(n - label - 1);
			label = n++;
			continue;
		}
		if (c == '\\') {
			c = read_escape(text, len, &at);
			*why = "a bad escape; write \\DDD with three digits up to 255, or "
			       "\\ and a character";
			if (c < 0)
				return 0;
		}
		*why = "a label of more than 63 octets; shorten it";
		if (n - label > FT_LABEL_CAP)
			return 0;
		*why = "a name of more than 255 octets; shorten it";
		if (n + 2 > FT_NAME_CAP)
			return 0;
		out[n++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	if (n != label + 1) { /* no dot at the end */
		out[label] = (uint8_t)(n - label - 1);
		label = n++;
	}
	out[label] = 0;
	return n;
}

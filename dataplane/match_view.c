/* SPDX-License-Identifier: BSD-3-Clause */
/* Names in pieces. */
#include "match_table.h"

#include <string.h>

#define OTHER (1ull << FORM_OTHER)

/* Adds the piece of which the length octet stands at `at`. False where an octet is
 * not plain and `plain` asks for that. */
static inline bool add_piece(struct match_view *v, uint32_t at, bool plain)
{
	const uint32_t len = v->bytes[at], n = v->n++;
	const uint8_t *p = v->bytes + at + 1;
	uint64_t set = 0, odd = 0;

	for (uint32_t i = 0; i < len; i++) {
		const uint64_t bit = form_sets[p[i]];
		set |= bit;
		odd |= bit == 0;
	}
	if (odd != 0 && plain)
		return false;
	set |= odd * OTHER;
	v->at[n] = (uint16_t)(at + 1);
	v->len[n] = (uint8_t)len;
	v->set[n] = set;
	v->set_to[n] = set;
	v->lo_to[n] = v->hi_to[n] = (uint8_t)len;
	if (n > 0) {
		v->set_to[n] |= v->set_to[n - 1];
		v->lo_to[n] = v->lo_to[n - 1] < len ? v->lo_to[n - 1] : (uint8_t)len;
		v->hi_to[n] = v->hi_to[n - 1] > len ? v->hi_to[n - 1] : (uint8_t)len;
	}
	return true;
}

/* By way of the text: escapes are characters like others, and a dot within them ends
 * a piece as any dot does. A piece has 252 characters at most (63 octets as \DDD). */
static void init_odd(struct match_view *v, const uint8_t *folded, uint32_t len)
{
	const uint32_t n = name_text(folded, len, v->text, false);
	uint32_t begin = 0;

	v->bytes = v->own;
	v->n = 0;
	for (uint32_t i = 0; i <= n; i++) {
		if (i < n && v->text[i] != '.') {
			v->own[i + 1] = (uint8_t)v->text[i];
			continue;
		}
		v->own[begin] = (uint8_t)(i - begin);
		(void)add_piece(v, begin, false);
		begin = i + 1;
	}
	v->end = n + 1;
}

void match_view_init(struct match_view *v, const uint8_t *folded, uint32_t len)
{
	uint32_t at = 0;

	v->bytes = folded;
	v->n = 0;
	if (len <= 1) { /* one piece, and nothing in it */
		v->own[0] = 0;
		v->bytes = v->own;
		(void)add_piece(v, 0, true);
		v->end = 1;
		return;
	}
	for (; at < len && folded[at] != 0; at += folded[at] + 1u) {
		if (!add_piece(v, at, true)) {
			init_odd(v, folded, len);
			return;
		}
	}
	v->end = at;
}

const char *match_view_text(struct match_view *v, uint32_t *len)
{
	*len = v->end - 1;
	if (v->bytes == v->own)
		return v->text;
	memcpy(v->text, v->bytes + 1, *len);
	for (uint32_t i = 1; i < v->n; i++)
		v->text[v->at[i] - 2] = '.';
	return v->text;
}

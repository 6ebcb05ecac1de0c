/* SPDX-License-Identifier: BSD-3-Clause */
#include "punycode.h"

#include <stdbool.h>
#include <string.h>

#define LABEL_CAP 63u
/* RFC 3492 section 5: the parameters of Punycode. */
#define BASE 36u
#define T_MIN 1u
#define T_MAX 26u
#define SKEW 38u
#define DAMP 700u
#define BIAS_FIRST 72u

struct label {
	uint8_t *out;
	uint32_t n;
};

static bool put(struct label *l, uint32_t c)
{
	if (l->n == LABEL_CAP)
		return false;
	l->out[l->n++] = (uint8_t)c;
	return true;
}

/* One code point of UTF-8 at text[*at], which it moves behind; UINT32_MAX if damaged. */
static uint32_t read_code(const uint8_t *text, size_t len, size_t *at)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const uint8_t c = text[(*at)++];
	const uint32_t more = c < 0x80       ? 0
			      : c >> 5 == 6  ? 1
			      : c >> 4 == 14 ? 2
			      : c >> 3 == 30 ? 3
					     : 4;
	uint32_t code = more == 0 ? c : c & (0x3fu >> more);

	if (more == 4 || len - *at < more)
		return UINT32_MAX;
	for (uint32_t i = 0; i < more; i++) {
		const uint8_t d = text[(*at)++];
		if (d >> 6 != 2)
			return UINT32_MAX;
		code = code << 6 | (d & 0x3fu);
	}
	if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return UINT32_MAX;
	return code;
}

/* Reads the label into code points; 0 where there is none, one too many, or a bad one. */
static uint32_t read_codes(const char *text, size_t len, uint32_t *codes)
{
	uint32_t n = 0;

	for (size_t at = 0; at < len; n++) {
		if (n == LABEL_CAP)
			return 0;
		codes[n] = read_code((const uint8_t *)text, len, &at);
		if (codes[n] == UINT32_MAX)
			return 0;
		if (codes[n] - 'A' < 26)
			codes[n] += 'a' - 'A';
	}
	return n;
}

/* RFC 3492 section 6.1. */
static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / DAMP : delta / 2;
	delta += delta / points;
	for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
		delta /= BASE - T_MIN;
	return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

/* A number in digits of changing weight (section 3.3). */
static bool put_number(struct label *l, uint32_t q, uint32_t bias)
{
	for (uint32_t k = BASE;; k += BASE) {
		const uint32_t t = k <= bias + T_MIN ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
		const uint32_t digit = q < t ? q : t + (q - t) % (BASE - t);

		if (!put(l, digit < 26 ? 'a' + digit : '0' + digit - 26))
			return false;
		if (q < t)
			return true;
		q = (q - t) / (BASE - t);
	}
}

/* Section 6.3. `delta` stays below 64 * 0x110000, far from overflow. */
static bool encode(struct label *l, const uint32_t *codes, uint32_t n, uint32_t basic)
{
	uint32_t next = 0x80, delta = 0, bias = BIAS_FIRST, done = basic;

	while (done < n) {
		uint32_t least = UINT32_MAX;
		for (uint32_t i = 0; i < n; i++)
			if (codes[i] >= next && codes[i] < least)
				least = codes[i];
		delta += (least - next) * (done + 1);
		for (uint32_t i = 0; i < n; i++) {
			delta += codes[i] < least;
			if (codes[i] != least)
				continue;
			if (!put_number(l, delta, bias))
				return false;
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
		delta++;
		next = least + 1;
	}
	return true;
}

uint32_t punycode_label(const char *text, size_t len, uint8_t *out)
{
	uint32_t codes[LABEL_CAP], basic = 0;
	struct label l = {out, 0};
	const uint32_t n = read_codes(text, len, codes);

	for (uint32_t i = 0; i < n; i++)
		basic += codes[i] < 0x80;
	if (basic < n) {
		memcpy(out, "xn--", 4);
		l.n = 4;
	}
	for (uint32_t i = 0; i < n; i++)
		if (codes[i] < 0x80 && !put(&l, codes[i]))
			return 0;
	if (basic == n)
		return l.n;
	if (basic > 0 && !put(&l, '-'))
		return 0;
	return encode(&l, codes, n, basic) ? l.n : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Rdata as text and back; see rdset.h. */
#include "base64.h"
#include "rdset.h"

#include "../dataplane/name_text.h"

#include <fluxtap/varint.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_CAA 257u
#define WORDS_CAP 12u

static const struct {
	const char *name;
	uint16_t type;
} types[] = {{"NS", FT_QTYPE_NS},     {"MX", FT_QTYPE_MX},   {"A", FT_QTYPE_A},
	     {"AAAA", FT_QTYPE_AAAA}, {"TXT", FT_QTYPE_TXT}, {"CNAME", FT_QTYPE_CNAME},
	     {"SOA", FT_QTYPE_SOA},   {"DS", FT_QTYPE_DS},   {"DNSKEY", FT_QTYPE_DNSKEY},
	     {"CAA", TYPE_CAA}};

struct word {
	const char *text;
	uint32_t len;
};

uint16_t rdata_type(const char *text, uint32_t len)
{
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
		uint32_t k = 0;
		while (k < len && types[i].name[k] != '\0' &&
		       toupper((unsigned char)text[k]) == types[i].name[k])
			k++;
		if (k == len && types[i].name[k] == '\0')
			return types[i].type;
	}
	return 0;
}

/* --- reading --- */

static unsigned split(const char *text, uint32_t len, struct word *word)
{
	unsigned n = 0;

	for (uint32_t at = 0; at < len;) {
		while (at < len && isspace((unsigned char)text[at]))
			at++;
		const uint32_t begin = at;
		while (at < len && !isspace((unsigned char)text[at]))
			at++;
		if (at == begin)
			break;
		if (n < WORDS_CAP)
			word[n] = (struct word){text + begin, at - begin};
		n++;
	}
	return n;
}

static bool read_number(const struct word *w, uint64_t most, uint64_t *out)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < w->len; i++) {
		if (!isdigit((unsigned char)w->text[i]))
			return false;
		v = v * 10 + (uint64_t)(w->text[i] - '0');
		if (v > most)
			return false;
	}
	*out = v;
	return w->len != 0;
}

static int read_address(int family, const char *text, uint32_t len, uint8_t *out)
{
	char copy[64];

	if (len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return inet_pton(family, copy, out) == 1 ? (family == AF_INET ? 4 : 16) : -1;
}

static int read_name(const struct word *w, uint8_t *out)
{
	const char *why;
	const uint32_t n = name_from_text(w->text, w->len, out, &why);

	return n != 0 ? (int)n : -1;
}

static void put_be(uint8_t *out, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static int read_mx(const struct word *w, unsigned n, uint8_t *out)
{
	uint64_t preference;

	if (n != 2 || !read_number(&w[0], UINT16_MAX, &preference))
		return -1;
	put_be(out, preference, 2);
	const int name = read_name(&w[1], out + 2);
	return name > 0 ? name + 2 : -1;
}

static int read_soa(const struct word *w, unsigned n, uint8_t *out)
{
	uint64_t v;
	int used, more;

	if (n != 7 || (used = read_name(&w[0], out)) < 0 ||
	    (more = read_name(&w[1], out + used)) < 0)
		return -1;
	used += more;
	for (unsigned i = 2; i < 7; i++, used += 4) {
		if (!read_number(&w[i], UINT32_MAX, &v))
			return -1;
		put_be(out + used, v, 4);
	}
	return used;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Tag, algorithm, digest type and digest; the digest's digits may be parted. */
static int read_ds(const struct word *w, unsigned n, uint8_t *out)
{
	uint64_t tag, algorithm, digest;
	uint32_t used = 4, half = 0;

	if (n < 4 || n > WORDS_CAP || !read_number(&w[0], UINT16_MAX, &tag) ||
	    !read_number(&w[1], 255, &algorithm) || !read_number(&w[2], 255, &digest))
		return -1;
	put_be(out, tag, 2);
	out[2] = (uint8_t)algorithm;
	out[3] = (uint8_t)digest;
	for (unsigned i = 3; i < n; i++)
		for (uint32_t k = 0; k < w[i].len; k++, half ^= 1) {
			const int d = digit_of(w[i].text[k]);
			if (d < 0 || used == RDATA_CAP)
				return -1;
			if (half == 0)
				out[used] = (uint8_t)(d << 4);
			else
				out[used++] |= (uint8_t)d;
		}
	return half == 0 && used > 4 ? (int)used : -1;
}

static int sextet_of(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static int read_dnskey(const struct word *w, unsigned n, uint8_t *out)
{
	uint64_t flags, protocol, algorithm;
	uint32_t used = 4, bits = 0, have = 0;

	if (n < 4 || n > WORDS_CAP || !read_number(&w[0], UINT16_MAX, &flags) ||
	    !read_number(&w[1], 255, &protocol) || !read_number(&w[2], 255, &algorithm))
		return -1;
	put_be(out, flags, 2);
	out[2] = (uint8_t)protocol;
	out[3] = (uint8_t)algorithm;
	for (unsigned i = 3; i < n; i++)
		for (uint32_t k = 0; k < w[i].len && w[i].text[k] != '='; k++) {
			const int d = sextet_of(w[i].text[k]);
			if (d < 0 || used == RDATA_CAP)
				return -1;
			bits = bits << 6 | (uint32_t)d;
			have += 6;
			if (have >= 8) {
				have -= 8;
				out[used++] = (uint8_t)(bits >> have);
			}
		}
	return used > 4 ? (int)used : -1;
}

/* One character string, in quotes or up to a blank (up to the end where `rest`), into out;
 * *at behind it. Its length, or -1. */
static int read_string(const char *text, uint32_t len, uint32_t *at, bool rest, uint8_t *out,
		       uint32_t cap)
{
	const bool quoted = *at < len && text[*at] == '"';
	uint32_t n = 0, i = *at + quoted;

	for (; i < len; i++) {
		uint8_t c = (uint8_t)text[i];
		if (quoted ? c == '"' : !rest && isspace(c))
			break;
		if (c == '\\' && i + 3 < len && isdigit((unsigned char)text[i + 1]) &&
		    isdigit((unsigned char)text[i + 2]) && isdigit((unsigned char)text[i + 3])) {
			const int v = (text[i + 1] - '0') * 100 + (text[i + 2] - '0') * 10 +
				      (text[i + 3] - '0');
			if (v > 255)
				return -1;
			c = (uint8_t)v;
			i += 3;
		} else if (c == '\\' && i + 1 < len) {
			c = (uint8_t)text[++i];
		}
		if (n == cap)
			return -1;
		out[n++] = c;
	}
	if (quoted && i++ >= len)
		return -1;
	*at = i;
	return (int)n;
}

/* Strings in quotes; or the whole text as one, cut into pieces of 255 octets. */
static int read_txt(const char *text, uint32_t len, uint8_t *out)
{
	uint8_t all[RDATA_CAP];
	uint32_t used = 0, at = 0;
	const bool quoted = len != 0 && text[0] == '"';

	do {
		while (quoted && at < len && isspace((unsigned char)text[at]))
			at++;
		if (quoted && at == len)
			break;
		const int n = read_string(text, len, &at, !quoted, all, quoted ? 255 : 2048);
		if (n < 0 || used + (uint32_t)n + (uint32_t)n / 255 + 1 > RDATA_CAP)
			return -1;
		for (uint32_t k = 0; k == 0 || k < (uint32_t)n; k += 255) {
			const uint32_t piece = (uint32_t)n - k < 255 ? (uint32_t)n - k : 255;
			out[used++] = (uint8_t)piece;
			memcpy(out + used, all + k, piece);
			used += piece;
		}
	} while (quoted);
	return used != 0 ? (int)used : -1;
}

static int read_caa(const char *text, uint32_t len, uint8_t *out)
{
	struct word w[WORDS_CAP];
	uint64_t flags;

	if (split(text, len, w) < 3 || !read_number(&w[0], 255, &flags) || w[1].len > 255 ||
	    w[1].len == 0)
		return -1;
	out[0] = (uint8_t)flags;
	out[1] = (uint8_t)w[1].len;
	for (uint32_t i = 0; i < w[1].len; i++)
		out[2 + i] = (uint8_t)tolower((unsigned char)w[1].text[i]);
	uint32_t at = (uint32_t)(w[2].text - text);
	const int n =
	    read_string(text, len, &at, true, out + 2 + w[1].len, RDATA_CAP - 2 - w[1].len);
	return n < 0 ? -1 : n + 2 + (int)w[1].len;
}

int rdata_from_text(uint16_t qtype, const char *text, uint32_t len, uint8_t *out)
{
	struct word w[WORDS_CAP];
	const unsigned n = split(text, len, w);

	switch (qtype) {
	case FT_QTYPE_A: return read_address(AF_INET, text, len, out);
	case FT_QTYPE_AAAA: return read_address(AF_INET6, text, len, out);
	case FT_QTYPE_NS:
	case FT_QTYPE_CNAME: return n == 1 ? read_name(&w[0], out) : -1;
	case FT_QTYPE_MX: return read_mx(w, n, out);
	case FT_QTYPE_SOA: return read_soa(w, n, out);
	case FT_QTYPE_DS: return read_ds(w, n, out);
	case FT_QTYPE_DNSKEY: return read_dnskey(w, n, out);
	case FT_QTYPE_TXT: return read_txt(text, len, out);
	case TYPE_CAA: return read_caa(text, len, out);
	default: return -1;
	}
}

/* --- writing --- */

static void write_generic(const uint8_t *rdata, uint32_t len, char *out)
{
	out += sprintf(out, "\\# %u", len);
	for (uint32_t i = 0; i < len; i++)
		out += sprintf(out, i == 0 ? " %02X" : "%02X", rdata[i]);
}

static char *write_string(const uint8_t *s, uint32_t len, char *out)
{
	*out++ = '"';
	for (uint32_t i = 0; i < len; i++) {
		if (s[i] < ' ' || s[i] > '~')
			out += sprintf(out, "\\%03u", s[i]);
		else if (s[i] == '"' || s[i] == '\\')
			out += sprintf(out, "\\%c", s[i]);
		else
			*out++ = (char)s[i];
	}
	*out++ = '"';
	*out = '\0';
	return out;
}

static bool write_txt(const uint8_t *rdata, uint32_t len, char *out)
{
	uint32_t at = 0;

	while (at < len && rdata[at] < len - at)
		at += 1u + rdata[at];
	if (at != len || len == 0)
		return false;
	for (at = 0; at < len; at += 1u + rdata[at]) {
		if (at != 0)
			*out++ = ' ';
		out = write_string(rdata + at + 1, rdata[at], out);
	}
	return true;
}

/* The length of the name at the begin; 0: there is none. */
static uint32_t name_len(const uint8_t *p, uint32_t len)
{
	uint32_t at = 0;

	while (at < len && p[at] != 0 && p[at] <= FT_LABEL_CAP)
		at += p[at] + 1u;
	return at < len && p[at] == 0 && at < FT_NAME_CAP ? at + 1 : 0;
}

static uint32_t load_be(const uint8_t *p, unsigned bytes)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static bool write_soa(const uint8_t *rdata, uint32_t len, char *out)
{
	const uint32_t first = name_len(rdata, len);
	const uint32_t second = first != 0 ? name_len(rdata + first, len - first) : 0;

	if (second == 0 || len - first - second != 20)
		return false;
	out += name_text(rdata, first, out, true);
	*out++ = ' ';
	out += name_text(rdata + first, second, out, true);
	for (unsigned i = 0; i < 5; i++)
		out +=
		    sprintf(out, " %" PRIu32, load_be(rdata + first + second + (size_t)i * 4, 4));
	return true;
}

static bool write_key(uint16_t qtype, const uint8_t *rdata, uint32_t len, char *out)
{
	if (len <= 4)
		return false;
	out += sprintf(out, "%u %u %u ", load_be(rdata, 2), rdata[2], rdata[3]);
	if (qtype == FT_QTYPE_DNSKEY) {
		base64_write(rdata + 4, len - 4, out);
		return true;
	}
	for (uint32_t i = 4; i < len; i++)
		out += sprintf(out, "%02X", rdata[i]);
	return true;
}

static bool write_caa(const uint8_t *rdata, uint32_t len, char *out)
{
	if (len < 2 || rdata[1] == 0 || rdata[1] > len - 2)
		return false;
	for (uint32_t i = 0; i < rdata[1]; i++)
		if (!isalnum(rdata[2 + i]))
			return false;
	out += sprintf(out, "%u %.*s ", rdata[0], rdata[1], (const char *)rdata + 2);
	(void)write_string(rdata + 2 + rdata[1], len - 2 - rdata[1], out);
	return true;
}

static bool write_name(const uint8_t *rdata, uint32_t len, char *out)
{
	return len != 0 && name_len(rdata, len) == len && name_text(rdata, len, out, true) != 0;
}

static bool write_mx(const uint8_t *rdata, uint32_t len, char *out)
{
	char preference[8];

	if (len <= 2)
		return false;
	const int n = snprintf(preference, sizeof(preference), "%" PRIu32 " ", load_be(rdata, 2));
	memcpy(out, preference, (size_t)n);
	return write_name(rdata + 2, len - 2, out + n);
}

void rdata_text(uint16_t qtype, const uint8_t *rdata, uint32_t len, char *out)
{
	bool done = false;

	switch (qtype) {
	case FT_QTYPE_A: done = len == 4 && inet_ntop(AF_INET, rdata, out, 16) != NULL; break;
	case FT_QTYPE_AAAA: done = len == 16 && inet_ntop(AF_INET6, rdata, out, 46) != NULL; break;
	case FT_QTYPE_NS:
	case FT_QTYPE_CNAME: done = write_name(rdata, len, out); break;
	case FT_QTYPE_MX: done = write_mx(rdata, len, out); break;
	case FT_QTYPE_SOA: done = write_soa(rdata, len, out); break;
	case FT_QTYPE_DS:
	case FT_QTYPE_DNSKEY: done = write_key(qtype, rdata, len, out); break;
	case FT_QTYPE_TXT: done = write_txt(rdata, len, out); break;
	case TYPE_CAA: done = write_caa(rdata, len, out); break;
	default: break;
	}
	if (!done)
		write_generic(rdata, len, out);
}

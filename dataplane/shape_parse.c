/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of a `shape` line. */
#include "shape.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LABEL_CAP 63u
#define SUFFIX_TEXT_CAP 253u
#define SHOWN 40 /* octets of a bad word that a message repeats */

static int bit_of(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '0' && c <= '9')
		return 26 + c - '0';
	return c == '-' ? 36 : c == '_' ? 37 : -1;
}

/* A number of up to two digits at *text, which it moves behind; 0: none. */
static uint32_t read_number(const char **text, const char *end)
{
	uint32_t v = 0;

	for (int digits = 0; *text < end && **text >= '0' && **text <= '9'; ++*text) {
		if (++digits > 2)
			return 0;
		v = v * 10 + (uint32_t)(**text - '0');
	}
	return v;
}

static bool parse_len(const char *text, const char *end, struct shape_line *line)
{
	const uint32_t lo = read_number(&text, end);
	uint32_t hi = lo;

	if (text < end && *text == '-') {
		text++;
		hi = read_number(&text, end);
	}
	line->len_lo = (uint8_t)lo;
	line->len_hi = (uint8_t)hi;
	return text == end && lo >= 1 && lo <= hi && hi <= LABEL_CAP;
}

/* Ranges and single characters; '-' stands for itself at either end. */
static bool parse_charset(const char *text, const char *end, struct shape_line *line)
{
	line->charset = 0;
	for (; text < end; text++) {
		const int lo = bit_of(*text);
		int hi = lo;

		if (lo < 0)
			return false;
		if (lo < 36 && end - text > 2 && text[1] == '-') {
			hi = bit_of(text[2]);
			if (hi < lo || hi >= 36 || (lo < 26) != (hi < 26))
				return false;
			text += 2;
		}
		for (int b = lo; b <= hi; b++)
			line->charset |= 1ull << b;
	}
	return line->charset != 0;
}

static bool parse_tlds(const char *text, const char *end, struct shape_line *line)
{
	uint32_t label = 0, suffix = 0;

	line->tlds = text;
	for (; text < end; text++) {
		suffix++;
		if (*text == '.' || *text == ',') {
			if (label == 0)
				return false;
			label = 0;
			if (*text == ',')
				suffix = 0;
		} else if (bit_of(*text) < 0 || ++label > LABEL_CAP) {
			return false;
		}
		if (suffix > SUFFIX_TEXT_CAP)
			return false;
	}
	return label > 0;
}

static const struct key {
	const char *name;
	bool (*parse)(const char *text, const char *end, struct shape_line *line);
	const char *right;
} keys[] = {
    {"len=", parse_len, "len=8-12 or len=16, within 1 to 63"},
    {"charset=", parse_charset, "charset=a-z0-9_- (ranges and characters of these)"},
    {"tld=", parse_tlds, "tld=com,co.uk (lower case, without blanks)"},
};
#define KEYS (sizeof keys / sizeof *keys)

/* The key that a word begins with; KEYS: none. */
static size_t find_key(const char *word)
{
	size_t k = 0;

	while (k < KEYS && strncmp(word, keys[k].name, strlen(keys[k].name)) != 0)
		k++;
	return k;
}

int shape_parse(const char *argument, struct shape_line *line, char *err, size_t cap)
{
	struct shape_line out = *line;
	bool seen[KEYS] = {false};

	out.tlds = NULL;
	for (const char *at = argument + strspn(argument, " \t"); *at != '\0';
	     at += strspn(at, " \t")) {
		const size_t len = strcspn(at, " \t"), k = find_key(at);
		const int shown = (int)(len < SHOWN ? len : SHOWN);

		if (k == KEYS || seen[k]) {
			(void)snprintf(
			    err, cap,
			    "%s \"%.*s\"; right would be len=8-12 charset=a-z tld=com,net",
			    k == KEYS ? "unknown word" : "twice:", shown, at);
			return -EINVAL;
		}
		if (!keys[k].parse(at + strlen(keys[k].name), at + len, &out)) {
			(void)snprintf(err, cap, "\"%.*s\": right would be %s", shown, at,
				       keys[k].right);
			return -EINVAL;
		}
		seen[k] = true;
		at += len;
	}
	for (size_t k = 0; k < 2; k++) {
		if (seen[k])
			continue;
		(void)snprintf(err, cap, "%s is missing; right would be %s", keys[k].name,
			       keys[k].right);
		return -EINVAL;
	}
	*line = out;
	return 0;
}

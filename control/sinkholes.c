/* SPDX-License-Identifier: BSD-3-Clause */
#include "sinkholes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM "<group> ip PREFIX, <group> ns NAME, <group> cname NAME or <group> name NAME"
#define PREFIX_CAP 64u /* characters of an address and its length */

static const char *const kind_texts[SINKHOLE_KIND_CAP] = {
    [SINKHOLE_IP] = "ip",
    [SINKHOLE_NS] = "ns",
    [SINKHOLE_CNAME] = "cname",
    [SINKHOLE_NAME] = "name",
};

__attribute__((format(printf, 3, 4))) static int refuse(char *err, size_t cap, const char *format,
							...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, cap, format, args);
	va_end(args);
	return -EINVAL;
}

/* A slice for a message. */
static const char *quote(char out[VALUE_QUOTE_CAP], struct rules_slice w)
{
	char copy[2 * VALUE_QUOTE_CAP];
	const size_t len = w.len < sizeof(copy) ? w.len : sizeof(copy) - 1;

	memcpy(copy, w.text, len);
	copy[len] = '\0';
	return value_quote(out, copy);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; an empty one at its end or comment. */
static struct rules_slice next_word(const char **at, const char *end)
{
	const char *p = *at, *begin;

	while (p < end && is_blank(*p))
		p++;
	if (p < end && *p == '#')
		p = end;
	begin = p;
	while (p < end && !is_blank(*p))
		p++;
	*at = p;
	return (struct rules_slice){begin, (uint32_t)(p - begin)};
}

/* What may stand in records and messages as it is. */
static bool is_label(struct rules_slice w)
{
	for (uint32_t i = 0; i < w.len; i++)
		if (w.text[i] <= ' ' || w.text[i] > '~' || strchr("\"\\=", w.text[i]) != NULL)
			return false;
	return w.len > 0 && w.len <= RULES_ID_CAP;
}

static int read_kind(struct rules_slice w, struct sinkhole_line *line, char *err, size_t cap)
{
	char q[VALUE_QUOTE_CAP];

	for (unsigned k = 0; k < SINKHOLE_KIND_CAP; k++) {
		if (strlen(kind_texts[k]) == w.len && memcmp(kind_texts[k], w.text, w.len) == 0) {
			line->kind = (enum sinkhole_kind)k;
			return 0;
		}
	}
	if (w.len == 0)
		return refuse(err, cap, "a group and nothing else; right would be: " FORM);
	return refuse(err, cap, "%s is none of ip, ns, cname and name; right would be: " FORM,
		      quote(q, w));
}

static int read_prefix(struct rules_slice w, struct sinkhole_line *line, char *err, size_t cap)
{
	struct config_prefixes list = {0};
	char text[PREFIX_CAP], q[VALUE_QUOTE_CAP];
	int rc;

	if (w.len >= sizeof(text) || memchr(w.text, ',', w.len) != NULL)
		return refuse(err, cap,
			      "%s is no address or prefix; give one such as 192.0.2.0/24 or "
			      "2001:db8::/32, one a line",
			      quote(q, w));
	memcpy(text, w.text, w.len);
	text[w.len] = '\0';
	rc = value_put(VALUE_PREFIXES, NULL, text, &list, err, cap);
	if (rc == 0 && list.n == 1)
		line->prefix = list.v[0];
	value_clear(VALUE_PREFIXES, &list);
	return rc;
}

static int read_name(struct rules_slice w, struct sinkhole_line *line, char *err, size_t cap)
{
	char q[VALUE_QUOTE_CAP];
	const char *why;

	line->name_len = name_from_text(w.text, w.len, line->name, &why);
	if (line->name_len == 0)
		return refuse(err, cap, "%s: %s", quote(q, w), why);
	if (line->name_len == 1)
		return refuse(err, cap,
			      "the root stands for every name; give a name such as example.com");
	for (uint32_t i = 0; line->name[i] != 0; i += line->name[i] + 1u)
		line->labels++;
	return 0;
}

/* 1: an entry; 0: none on this line. */
static int read_line(const char *at, const char *end, struct sinkhole_line *line, char *err,
		     size_t cap)
{
	char q[VALUE_QUOTE_CAP];
	struct rules_slice w;
	int rc;

	line->group = next_word(&at, end);
	if (line->group.len == 0)
		return 0;
	if (memchr(line->group.text, '\0', (size_t)(end - line->group.text)) != NULL)
		return refuse(err, cap, "a NUL character; this must be text");
	if (!is_label(line->group))
		return refuse(err, cap,
			      "%s is no group; write 1 to %u visible characters other than \" \\ =",
			      quote(q, line->group), RULES_ID_CAP);
	rc = read_kind(next_word(&at, end), line, err, cap);
	if (rc != 0)
		return rc;
	w = next_word(&at, end);
	if (w.len == 0)
		return refuse(err, cap, "%s without %s; right would be: " FORM,
			      kind_texts[line->kind],
			      line->kind == SINKHOLE_IP ? "an address or prefix" : "a name");
	rc = line->kind == SINKHOLE_IP ? read_prefix(w, line, err, cap)
				       : read_name(w, line, err, cap);
	if (rc != 0)
		return rc;
	w = next_word(&at, end);
	if (w.len != 0)
		return refuse(err, cap, "%s is too much; one entry a line: " FORM, quote(q, w));
	return 1;
}

int sinkholes_next(const struct rules_file *f, size_t *at, struct sinkhole_line *line, char *err,
		   size_t cap)
{
	const char *text = f->text + *at, *const end = f->text + f->len;
	uint32_t number = line->number;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		int rc;

		if (newline == NULL)
			newline = end;
		*line = (struct sinkhole_line){.number = ++number};
		rc = newline - text > UINT32_MAX / 2
			 ? refuse(err, cap, "a line without end; this must be text")
			 : read_line(text, newline, line, err, cap);
		text = newline < end ? newline + 1 : end;
		*at = (size_t)(text - f->text);
		if (rc != 0)
			return rc;
	}
	return 0;
}

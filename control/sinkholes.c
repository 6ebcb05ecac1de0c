/* SPDX-License-Identifier: BSD-3-Clause */
#include "sinkholes.h"

#include "linefile.h"

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

static int read_kind(const struct linefile_word *w, struct sinkhole_line *line, char *err,
		     size_t cap)
{
	char q[VALUE_QUOTE_CAP];

	for (unsigned k = 0; k < SINKHOLE_KIND_CAP; k++) {
		if (strlen(kind_texts[k]) == w->len &&
		    memcmp(kind_texts[k], w->text, w->len) == 0) {
			line->kind = (enum sinkhole_kind)k;
			return 0;
		}
	}
	return refuse(err, cap, "%s is none of ip, ns, cname and name; right would be: " FORM,
		      linefile_quote(q, w));
}

static int read_prefix(const struct linefile_word *w, struct sinkhole_line *line, char *err,
		       size_t cap)
{
	struct config_prefixes list = {0};
	char text[PREFIX_CAP], q[VALUE_QUOTE_CAP];
	int rc;

	if (w->len >= sizeof(text) || memchr(w->text, ',', w->len) != NULL)
		return refuse(err, cap,
			      "%s is no address or prefix; give one such as 192.0.2.0/24 or "
			      "2001:db8::/32, one a line",
			      linefile_quote(q, w));
	memcpy(text, w->text, w->len);
	text[w->len] = '\0';
	rc = value_put(VALUE_PREFIXES, NULL, text, &list, err, cap);
	if (rc == 0 && list.n == 1)
		line->prefix = list.v[0];
	value_clear(VALUE_PREFIXES, &list);
	return rc;
}

static int read_name(const struct linefile_word *w, struct sinkhole_line *line, char *err,
		     size_t cap)
{
	char q[VALUE_QUOTE_CAP];
	const char *why;

	line->name_len = name_from_text(w->text, w->len, line->name, &why);
	if (line->name_len == 0)
		return refuse(err, cap, "%s: %s", linefile_quote(q, w), why);
	if (line->name_len == 1)
		return refuse(err, cap,
			      "the root stands for every name; give a name such as example.com");
	for (uint32_t i = 0; line->name[i] != 0; i += line->name[i] + 1u)
		line->labels++;
	return 0;
}

static int read_line(const struct linefile_line *words, struct sinkhole_line *line, char *err,
		     size_t cap)
{
	const struct linefile_word *w = words->word;
	char q[VALUE_QUOTE_CAP];
	int rc;

	for (unsigned i = 0; i < words->words && i < LINEFILE_WORDS; i++)
		if (memchr(w[i].text, '\0', w[i].len) != NULL)
			return refuse(err, cap, "a NUL character; this must be text");
	line->group = (struct rules_slice){w[0].text, w[0].len};
	if (!rules_is_id(line->group))
		return refuse(err, cap,
			      "%s is no group; write 1 to %u visible characters other than \" \\ =",
			      linefile_quote(q, &w[0]), RULES_ID_CAP);
	if (words->words == 1)
		return refuse(err, cap, "a group and nothing else; right would be: " FORM);
	rc = read_kind(&w[1], line, err, cap);
	if (rc != 0)
		return rc;
	if (words->words == 2)
		return refuse(err, cap, "%s without %s; right would be: " FORM,
			      kind_texts[line->kind],
			      line->kind == SINKHOLE_IP ? "an address or prefix" : "a name");
	rc = line->kind == SINKHOLE_IP ? read_prefix(&w[2], line, err, cap)
				       : read_name(&w[2], line, err, cap);
	if (rc == 0 && words->words > 3)
		return refuse(err, cap, "%u words are too much; one entry a line: " FORM,
			      words->words);
	return rc;
}

int sinkholes_next(const struct rules_file *f, size_t *at, struct sinkhole_line *line, char *err,
		   size_t cap)
{
	struct linefile_line words = {.number = line->number};
	const int more = linefile_next(f->text, f->len, at, &words);

	if (more == 0)
		return 0;
	*line = (struct sinkhole_line){.number = words.number};
	const int rc = read_line(&words, line, err, cap);
	return rc != 0 ? rc : 1;
}

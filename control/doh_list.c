/* SPDX-License-Identifier: BSD-3-Clause */
#include "doh_list.h"

#include "../dataplane/name_text.h"
#include "linefile.h"
#include "values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_CAP 300u

void doh_file_fini(struct doh_file *f)
{
	doh_fini(&f->list);
	free(f->prefix);
	*f = (struct doh_file){.prefixes = 0};
}

static int add_name(struct doh_list *l, const char *text)
{
	char **more = realloc(l->name, (l->names + 1) * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	l->name = more;
	l->name[l->names] = strdup(text);
	if (l->name[l->names] == NULL)
		return -ENOMEM;
	l->names++;
	return 0;
}

/* A name as hosts have them: at least two labels of letters, digits, "-" and "_". */
static bool read_name(char *text)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	const char *name = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
	uint8_t wire[FT_NAME_CAP];
	size_t len = strlen(text);
	const char *why;

	if (len > 1 && text[len - 1] == '.')
		text[--len] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	return strspn(name, good) == strlen(name) && strchr(name, '.') != NULL &&
	       name_from_text(name, (uint32_t)strlen(name), wire, &why) != 0;
}

static int add_prefix(struct doh_file *f, char *text)
{
	struct config_prefixes list = {0};
	char why[128];
	const int r = value_put(VALUE_PREFIXES, NULL, text, &list, why, sizeof(why));

	if (r == 0 && list.n == 1) {
		f->prefix[f->prefixes].bits = list.v[0].bits;
		memcpy(f->prefix[f->prefixes++].addr, list.v[0].addr, 16);
	}
	value_clear(VALUE_PREFIXES, &list);
	return r;
}

static bool is_address(const char *text)
{
	return strchr(text, ':') != NULL || strspn(text, "0123456789./") == strlen(text);
}

static int add_word(struct doh_file *f, char *text)
{
	if (is_address(text))
		return add_prefix(f, text);
	return read_name(text) ? add_name(&f->list, text) : -EINVAL;
}

/* The prefixes as ranges, for look-ups. */
static int finish(struct doh_file *f)
{
	struct addr *addr = calloc(f->prefixes + 1, sizeof(*addr));
	uint8_t *bits = calloc(f->prefixes + 1, 1);
	int r = -ENOMEM;

	for (size_t i = 0; addr != NULL && bits != NULL && i < f->prefixes; i++) {
		memcpy(addr[i].b, f->prefix[i].addr, 16);
		bits[i] = (uint8_t)f->prefix[i].bits;
	}
	if (addr != NULL && bits != NULL)
		r = prefix_set_init(&f->list.addrs, addr, bits, f->prefixes);
	free(addr);
	free(bits);
	doh_sort(&f->list);
	return r;
}

int doh_file_parse(const char *name, const char *text, size_t len, struct doh_file *f, char *err,
		   size_t cap)
{
	struct linefile_line line = {0};
	char quote[VALUE_QUOTE_CAP], word[WORD_CAP];
	size_t at = 0, lines = 1;

	*f = (struct doh_file){.prefixes = 0};
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	f->prefix = calloc(lines, sizeof(*f->prefix));
	if (f->prefix == NULL)
		return -ENOMEM;
	while (linefile_next(text, len, &at, &line)) {
		const struct linefile_word *w = &line.word[0];
		int r = line.words == 1 && w->len < sizeof(word) ? 0 : -EINVAL;
		if (r == 0) {
			memcpy(word, w->text, w->len);
			word[w->len] = '\0';
			r = strlen(word) == w->len ? add_word(f, word) : -EINVAL;
		}
		if (r == -EINVAL)
			r = linefile_refuse(name, &line, err, cap,
					    "%s is none of an address, a prefix (192.0.2.0/24), a "
					    "name (dns.example.net) or *.NAME; one a line",
					    linefile_quote(quote, w));
		if (r != 0) {
			doh_file_fini(f);
			return r;
		}
	}
	const int r = finish(f);
	if (r != 0)
		doh_file_fini(f);
	return r;
}

int doh_file_read(const char *path, struct doh_file *f, char *err, size_t cap)
{
	char *text;
	size_t len;
	int r = linefile_read(path, &text, &len, err, cap);

	if (r != 0)
		return r;
	r = doh_file_parse(path, text, len, f, err, cap);
	free(text);
	return r;
}

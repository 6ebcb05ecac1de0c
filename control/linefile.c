/* SPDX-License-Identifier: BSD-3-Clause */
#include "linefile.h"

#include "values.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_CAP ((size_t)2 << 30)

static int read_all(FILE *f, char **text, size_t *len)
{
	size_t room = 65536, used = 0;
	char *data = NULL;

	for (;;) {
		char *more = room > FILE_BYTES_CAP ? NULL : realloc(data, room);
		if (more == NULL) {
			free(data);
			return room > FILE_BYTES_CAP ? -EFBIG : -ENOMEM;
		}
		data = more;
		used += fread(data + used, 1, room - used, f);
		if (used < room)
			break;
		room *= 2;
	}
	if (ferror(f)) {
		free(data);
		return -EIO;
	}
	*text = data;
	*len = used;
	return 0;
}

int linefile_read(const char *path, char **text, size_t *len, char *err, size_t cap)
{
	FILE *f = fopen(path, "rbe");
	const int result = f != NULL ? read_all(f, text, len) : -errno;

	if (f != NULL)
		(void)fclose(f);
	if (result != 0)
		(void)snprintf(err, cap, "%s: %s; give a list that can be read", path,
			       strerror(-result));
	return result;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The words of [p, end). */
static void split(const char *p, const char *end, struct linefile_line *line)
{
	line->words = 0;
	for (;;) {
		while (p < end && is_blank(*p))
			p++;
		if (p == end || *p == '#')
			return;
		const char *begin = p;
		while (p < end && !is_blank(*p))
			p++;
		if (line->words < LINEFILE_WORDS)
			line->word[line->words] =
			    (struct linefile_word){begin, (uint32_t)(p - begin)};
		line->words++;
	}
}

int linefile_next(const char *text, size_t len, size_t *at, struct linefile_line *line)
{
	while (*at < len) {
		const char *begin = text + *at;
		const char *end = memchr(begin, '\n', len - *at);
		if (end == NULL)
			end = text + len;
		*at = (size_t)(end - text) + (end < text + len);
		line->number++;
		split(begin, end, line);
		if (line->words != 0)
			return 1;
	}
	return 0;
}

int linefile_refuse(const char *name, const struct linefile_line *line, char *err, size_t cap,
		    const char *format, ...)
{
	const int used = snprintf(err, cap, "%s:%u: ", name, line->number);
	va_list args;

	if (used < 0 || (size_t)used >= cap)
		return -EINVAL;
	va_start(args, format);
	(void)vsnprintf(err + used, cap - (size_t)used, format, args);
	va_end(args);
	return -EINVAL;
}

const char *linefile_quote(char *out, const struct linefile_word *w)
{
	char copy[2 * VALUE_QUOTE_CAP];
	const size_t n = w->len < sizeof(copy) ? w->len : sizeof(copy) - 1;

	memcpy(copy, w->text, n);
	copy[n] = '\0';
	return value_quote(out, copy);
}

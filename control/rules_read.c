/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules_read.h"

#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_CAP ((size_t)2 << 30)
#define FORM "<id> <kind> <argument> [family=TEXT] [severity=N]"
#define SEVERITY_MAX 100

const char *const rule_kind_texts[RULE_KIND_CAP] = {
    [RULE_EXACT] = "exact", [RULE_SUFFIX] = "suffix", [RULE_REGEX] = "regex",
    [RULE_DNSBL] = "dnsbl", [RULE_SHAPE] = "shape",   [RULE_SINKHOLE] = "sinkhole",
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
static const char *quote(char out[VALUE_QUOTE_CAP], const char *text, size_t len)
{
	char copy[2 * VALUE_QUOTE_CAP];

	if (len >= sizeof(copy))
		len = sizeof(copy) - 1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return value_quote(out, copy);
}

static int read_all(int fd, struct rules_file *f)
{
	struct stat st;
	size_t room = 65536;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		room = (size_t)st.st_size + 1;
	for (;;) {
		char *more = room > FILE_BYTES_CAP ? NULL : realloc(f->text, room);

		if (more == NULL)
			return room > FILE_BYTES_CAP ? -EFBIG : -ENOMEM;
		f->text = more;
		while (f->len < room) {
			const ssize_t n = read(fd, f->text + f->len, room - f->len);

			if (n == 0)
				return 0;
			if (n < 0 && errno != EINTR)
				return -errno;
			f->len += n > 0 ? (size_t)n : 0;
		}
		room *= 2;
	}
}

int rules_file_read(struct rules_file *f, const char *path, char *err, size_t cap)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	*f = (struct rules_file){.path = path};
	rc = fd < 0 ? -errno : read_all(fd, f);
	if (fd >= 0)
		close(fd);
	if (rc != 0) {
		snprintf(err, cap, "%s: %s; give a list of rules that can be read", path,
			 strerror(-rc));
		rules_file_fini(f);
	}
	return rc;
}

void rules_file_fini(struct rules_file *f)
{
	free(f->text);
	f->text = NULL;
	f->len = 0;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line that ends at `end`; an empty one at its end or comment. */
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

static bool is(struct rules_slice w, const char *text)
{
	return strlen(text) == w.len && memcmp(w.text, text, w.len) == 0;
}

static bool begins(struct rules_slice w, const char *text)
{
	return strlen(text) <= w.len && memcmp(w.text, text, strlen(text)) == 0;
}

bool rules_is_id(struct rules_slice w)
{
	for (uint32_t i = 0; i < w.len; i++)
		if (w.text[i] <= ' ' || w.text[i] > '~' || strchr("\"\\=", w.text[i]) != NULL)
			return false;
	return w.len > 0 && w.len <= RULES_ID_CAP;
}

static int read_severity(struct rules_slice w, struct rules_line *line, char *err, size_t cap)
{
	char q[VALUE_QUOTE_CAP];
	int value = 0;

	if (line->severity >= 0)
		return refuse(err, cap, "severity= is given twice; give it once");
	for (uint32_t i = 0; i < w.len && value <= SEVERITY_MAX; i++)
		value = w.text[i] >= '0' && w.text[i] <= '9' ? value * 10 + w.text[i] - '0'
							     : SEVERITY_MAX + 1;
	if (w.len == 0 || value > SEVERITY_MAX)
		return refuse(err, cap, "severity=%s is no number from 0 to %d",
			      quote(q, w.text, w.len), SEVERITY_MAX);
	line->severity = value;
	return 0;
}

/* A key=value behind (of a shape: among) the argument. */
static int read_key(struct rules_slice w, struct rules_line *line, char *err, size_t cap)
{
	char q[VALUE_QUOTE_CAP];

	if (begins(w, "severity="))
		return read_severity((struct rules_slice){w.text + 9, w.len - 9}, line, err, cap);
	if (begins(w, "family=")) {
		if (line->family.text != NULL)
			return refuse(err, cap, "family= is given twice; give it once");
		line->family = (struct rules_slice){w.text + 7, w.len - 7};
		if (!rules_is_id(line->family))
			return refuse(err, cap,
				      "family=%s is no family; write 1 to %u visible characters "
				      "other than \" \\ =",
				      quote(q, w.text + 7, w.len - 7), RULES_ID_CAP);
		return 0;
	}
	return refuse(err, cap, "%s is no key of a rule; there are family= and severity=%s",
		      quote(q, w.text, w.len),
		      line->kind == RULE_REGEX
			  ? " (a blank inside an expression is written \\x20 or \\s)"
			  : "");
}

static int read_kind(struct rules_slice w, struct rules_line *line, char *err, size_t cap)
{
	char q[VALUE_QUOTE_CAP];

	for (unsigned k = 0; k < RULE_SINKHOLE; k++) {
		if (is(w, rule_kind_texts[k])) {
			line->kind = (enum rule_kind)k;
			return 0;
		}
	}
	if (w.len == 0)
		return refuse(err, cap, "a rule without a kind; right would be: " FORM);
	return refuse(err, cap,
		      "%s is no kind of rule; write exact, suffix, regex, dnsbl or shape: " FORM,
		      quote(q, w.text, w.len));
}

/* The words of a shape are keys; those of every rule may stand among them. */
static int read_shape_words(const char *at, const char *end, struct rules_line *line, char *err,
			    size_t cap)
{
	struct rules_slice w;

	while ((w = next_word(&at, end)).len > 0) {
		if (line->argument.text == NULL)
			line->argument.text = w.text;
		line->argument.len = (uint32_t)(w.text + w.len - line->argument.text);
		if (begins(w, "family=") || begins(w, "severity=")) {
			const int rc = read_key(w, line, err, cap);

			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

/* 1: a rule; 0: none on this line. */
static int read_line(const char *at, const char *end, struct rules_line *line, char *err,
		     size_t cap)
{
	char q[VALUE_QUOTE_CAP];
	struct rules_slice w;
	int rc;

	line->id = next_word(&at, end);
	if (line->id.len == 0)
		return 0;
	if (memchr(line->id.text, '\0', (size_t)(end - line->id.text)) != NULL)
		return refuse(err, cap, "a NUL character; this must be text");
	if (!rules_is_id(line->id))
		return refuse(err, cap,
			      "%s is no id; write 1 to %u visible characters other than \" \\ =",
			      quote(q, line->id.text, line->id.len), RULES_ID_CAP);
	rc = read_kind(next_word(&at, end), line, err, cap);
	if (rc == 0 && line->kind == RULE_SHAPE) {
		rc = read_shape_words(at, end, line, err, cap);
	} else if (rc == 0) {
		line->argument = next_word(&at, end);
		while (rc == 0 && (w = next_word(&at, end)).len > 0)
			rc = read_key(w, line, err, cap);
	}
	if (rc != 0)
		return rc;
	if (line->argument.len == 0)
		return refuse(err, cap, "a rule without an argument; right would be: " FORM);
	if (line->argument.len >= RULES_WORD_CAP)
		return refuse(err, cap, "an argument of %u characters; write at most %d",
			      line->argument.len, RULES_WORD_CAP - 1);
	return 1;
}

int rules_file_next(const struct rules_file *f, size_t *at, struct rules_line *line, char *err,
		    size_t cap)
{
	const char *text = f->text + *at, *const end = f->text + f->len;
	uint32_t number = line->number;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		int rc;

		if (newline == NULL)
			newline = end;
		*line = (struct rules_line){.number = ++number, .severity = -1};
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

uint32_t rules_line_name(const struct rules_line *line, uint8_t *out, char *err, size_t cap)
{
	char q[VALUE_QUOTE_CAP];
	const char *why;
	const uint32_t len = name_from_text(line->argument.text, line->argument.len, out, &why);

	if (len == 0)
		refuse(err, cap, "%s: %s", quote(q, line->argument.text, line->argument.len), why);
	if (len == 1 && line->kind == RULE_DNSBL) {
		refuse(err, cap,
		       "the root is no zone of a block list; give a zone such as "
		       "zen.spamhaus.org");
		return 0;
	}
	return len;
}

int rules_line_shape(const struct rules_line *line, char *buf, struct shape_line *out, char *err,
		     size_t cap)
{
	const char *at = line->argument.text, *end = at + line->argument.len;
	struct rules_slice w;
	size_t n = 0;

	while ((w = next_word(&at, end)).len > 0) {
		if (begins(w, "family=") || begins(w, "severity="))
			continue;
		if (n > 0)
			buf[n++] = ' ';
		memcpy(buf + n, w.text, w.len);
		n += w.len;
	}
	buf[n] = '\0';
	return shape_parse(buf, out, err, cap);
}

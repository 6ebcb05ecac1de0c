/* SPDX-License-Identifier: BSD-3-Clause */
/* List files: text, a line each, words parted by blanks, # begins a comment.
 *
 * The whole file is read at once; words are slices of it. Refusals name file and line.
 * Control's thread, at the start; pure but for reading the file. */
#ifndef CONTROL_LINEFILE_H
#define CONTROL_LINEFILE_H

#include <stddef.h>
#include <stdint.h>

#define LINEFILE_WORDS 3u /* of a line at most; more are counted, not kept */

struct linefile_word {
	const char *text; /* not terminated */
	uint32_t len;
};

struct linefile_line {
	uint32_t number; /* from 1 on; the caller begins with 0 */
	uint32_t words;
	struct linefile_word word[LINEFILE_WORDS];
};

/* Reads a file; *text is the caller's to free. 0, or -errno and a sentence in err. */
int linefile_read(const char *path, char **text, size_t *len, char *err, size_t cap);

/* The next line at or behind *at that has words; 0 at the end. */
int linefile_next(const char *text, size_t len, size_t *at, struct linefile_line *line);

/* "name:line: " and the sentence into err; returns -EINVAL. */
int linefile_refuse(const char *name, const struct linefile_line *line, char *err, size_t cap,
		    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The word for a message: in quotes, cut short, control characters made visible. */
const char *linefile_quote(char *out, const struct linefile_word *w); /* VALUE_QUOTE_CAP */

#endif

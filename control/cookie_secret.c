/* SPDX-License-Identifier: BSD-3-Clause */
#include "cookie_secret.h"

#include "linefile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

	return at != NULL ? (int)(at - digits) : -1;
}

static bool read_one(const struct linefile_word *w, uint8_t out[16])
{
	if (w->len != 32)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		const int hi = digit(w->text[2 * i]), lo = digit(w->text[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

int cookie_secret_parse(const char *name, const char *text, size_t len,
			uint8_t out[COOKIES_SECRETS][16], unsigned *n, char *err, size_t cap)
{
	struct linefile_line line = {0};
	size_t at = 0;

	*n = 0;
	while (linefile_next(text, len, &at, &line)) {
		if (*n == COOKIES_SECRETS)
			return linefile_refuse(name, &line, err, cap, "at most %u secrets",
					       COOKIES_SECRETS);
		/* What it says is no message's business. */
		if (line.words != 1 || !read_one(&line.word[0], out[*n]))
			return linefile_refuse(name, &line, err, cap,
					       "expected a secret of 32 hexadecimal digits");
		++*n;
	}
	if (*n == 0)
		return linefile_refuse(name, &line, err, cap,
				       "no secret; give one of 32 hexadecimal digits");
	return 0;
}

int cookie_secret_read(const char *path, uint8_t out[COOKIES_SECRETS][16], unsigned *n, char *err,
		       size_t cap)
{
	char *text;
	size_t len;
	int r = linefile_read(path, &text, &len, err, cap);

	if (r != 0)
		return r;
	r = cookie_secret_parse(path, text, len, out, n, err, cap);
	explicit_bzero(text, len);
	free(text);
	return r;
}

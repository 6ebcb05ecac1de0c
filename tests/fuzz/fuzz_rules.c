/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of rule lists: any octets give rules or one sentence a line, and it ends
 * where they end. Names that it reads are whole and come back from their text. */
#include "name_text.h"
#include "rules_read.h"

#include <fluxtap/dns.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_at_name(const struct rules_line *line)
{
	uint8_t name[FT_NAME_CAP], again[FT_NAME_CAP];
	char text[NAME_TEXT_CAP], err[512] = "";
	const uint32_t n = rules_line_name(line, name, err, sizeof(err));
	const char *why;
	uint32_t end = 0;

	if ((n == 0) != (err[0] != '\0'))
		abort();
	if (n == 0)
		return;
	while (end < n && name[end] != 0)
		end += name[end] + 1u;
	if (end + 1 != n || n > FT_NAME_CAP)
		abort();
	end = name_text(name, n, text, (n & 1) != 0);
	if (name_from_text(text, end, again, &why) != n || memcmp(name, again, n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct rules_file f = {"F", (char *)(uintptr_t)data, len};
	struct rules_line line = {0};
	struct shape_line shape;
	char err[1024], buf[RULES_WORD_CAP];
	size_t at = 0, before = 0;
	int rc;

	do {
		err[0] = '\0';
		rc = rules_file_next(&f, &at, &line, err, sizeof(err));
		if (at > len || (rc != 0 && at <= before) || (rc < 0) != (err[0] != '\0'))
			abort();
		before = at;
		if (rc == 1 && line.kind == RULE_SHAPE)
			(void)rules_line_shape(&line, buf, &shape, err, sizeof(err));
		else if (rc == 1 && line.kind != RULE_REGEX)
			look_at_name(&line);
	} while (rc != 0);
	return at == len ? 0 : (abort(), 0);
}

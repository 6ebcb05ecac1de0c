/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of the settings that run fluxtap as a service. */
#include "log.h"
#include "values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int value_check_log_level(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	char q[VALUE_QUOTE_CAP];

	if (log_level_read(text) >= 0)
		return 0;
	(void)snprintf(why, cap, "%s is none of error, warning, info, debug", value_quote(q, text));
	return -EINVAL;
}

int value_check_seccomp(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	char q[VALUE_QUOTE_CAP];

	if (strcmp(text, "on") == 0 || strcmp(text, "off") == 0 || strcmp(text, "log") == 0)
		return 0;
	(void)snprintf(why, cap, "%s is none of on, off, log", value_quote(q, text));
	return -EINVAL;
}

/* "30d", "20G": one of the two; *end behind it. */
static int read_limit(const char *text, struct value_keep *keep, const char **end)
{
	static const char units[] = "KMGT";
	uint64_t n = 0;
	const char *c = text, *unit;

	for (; *c >= '0' && *c <= '9'; c++) {
		if (n > UINT32_MAX)
			return -ERANGE;
		n = n * 10 + (uint64_t)(*c - '0');
	}
	if (c == text || n == 0 || *c == '\0')
		return -EINVAL;
	*end = c + 1;
	if (*c == 'd' && keep->days == 0 && n <= VALUE_KEEP_DAYS_CAP) {
		keep->days = (uint32_t)n;
		return 0;
	}
	unit = strchr(units, *c);
	if (unit == NULL || keep->bytes != 0)
		return -EINVAL;
	keep->bytes = n << 10 * (unit - units + 1);
	/* Smaller than any day's work: surely a slip. */
	return keep->bytes >> 10 * (unit - units + 1) == n && keep->bytes >= 1u << 20 ? 0 : -ERANGE;
}

int value_keep_read(const char *text, struct value_keep *keep)
{
	struct value_keep made = {0};
	int result = read_limit(text, &made, &text);

	if (result == 0 && *text == ',')
		result = read_limit(text + 1, &made, &text);
	if (result == 0 && *text != '\0')
		result = -EINVAL;
	if (result == 0)
		*keep = made;
	return result;
}

int value_check_keep(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	struct value_keep keep;
	char q[VALUE_QUOTE_CAP];

	if (value_keep_read(text, &keep) == 0)
		return 0;
	(void)snprintf(why, cap,
		       "%s: days (30d, at most %ud), a size (20G; at least 1M), or both: 30d,20G",
		       value_quote(q, text), VALUE_KEEP_DAYS_CAP);
	return -EINVAL;
}

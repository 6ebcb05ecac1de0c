/* SPDX-License-Identifier: BSD-3-Clause */
/* Name lists that lie outside the checkout: in FLUXTAP_LISTS, else in ../shared/lists
 * beside it. Tests that want them do without, and say so, where they are missing. */
#ifndef TESTS_UNIT_LISTS_H
#define TESTS_UNIT_LISTS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a list would be. */
static inline const char *lists_path(const char *name, char *path, size_t cap)
{
	const char *dir = getenv("FLUXTAP_LISTS"), *source = getenv("FLUXTAP_SOURCE");

	if (dir != NULL)
		(void)snprintf(path, cap, "%s/%s", dir, name);
	else
		(void)snprintf(path, cap, "%s/../shared/lists/%s", source != NULL ? source : ".",
			       name);
	return path;
}

/* Opens a list for reading, *.zst through zstd; NULL if it is missing. Close it with
 * lists_close. */
static inline FILE *lists_open(const char *name)
{
	char path[1024], command[1100];
	const size_t n = strlen(lists_path(name, path, sizeof path));

	if (access(path, R_OK) != 0) {
		printf("[  NOTE  ] without %s\n", path);
		return NULL;
	}
	if (strcmp(path + n - 4, ".zst") != 0)
		return fopen(path, "r");
	(void)snprintf(command, sizeof command, "zstd -qdc '%s'", path);
	return popen(command, "r");
}

static inline void lists_close(FILE *f, const char *name)
{
	const size_t n = strlen(name);

	(void)(strcmp(name + n - 4, ".zst") == 0 ? pclose(f) : fclose(f));
}

/* The next line without its end; false at the end of the list. */
static inline int lists_line(FILE *f, char *line, int cap)
{
	if (fgets(line, cap, f) == NULL)
		return 0;
	line[strcspn(line, "\r\n")] = '\0';
	return 1;
}

/* Folded wire form of an ASCII name without escapes; its length, 0 if it is none. */
static inline uint32_t lists_wire(const char *text, uint8_t *wire)
{
	uint32_t n = 0;

	while (*text != '\0') {
		const size_t label = strcspn(text, ".");
		if (label == 0 || label > 63 || n + 1 + label + 1 > 255)
			return 0;
		wire[n++] = (uint8_t)label;
		for (size_t i = 0; i < label; i++) {
			const char c = text[i];
			wire[n++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		}
		text += label;
		if (*text == '.' && *++text == '\0')
			return 0;
	}
	wire[n++] = 0;
	return n;
}

#endif

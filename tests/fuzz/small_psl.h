/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of public suffixes of a few lines: to read the system's takes longer than to
 * run most inputs. */
#ifndef TESTS_FUZZ_SMALL_PSL_H
#define TESTS_FUZZ_SMALL_PSL_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The path of a file that is removed when the program ends. */
static inline const char *small_psl(void)
{
	static char path[64];

	if (path[0] == '\0') {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(tmpfile()));
		FILE *f = fopen(path, "w");
		if (f == NULL || fputs("com\nuk\nco.uk\n*.ck\n!www.ck\n", f) < 0 || fclose(f) != 0)
			abort();
	}
	return path;
}

#endif

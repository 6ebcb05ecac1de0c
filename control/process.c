/* SPDX-License-Identifier: BSD-3-Clause */
#include "process.h"

#include <stdio.h>

struct process_memory process_memory(void)
{
	struct process_memory m = {0};
	unsigned long long kib;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			m.resident_bytes = kib * 1024;
		if (sscanf(line, "VmHWM: %llu", &kib) == 1)
			m.most_bytes = kib * 1024;
	}
	if (f != NULL)
		(void)fclose(f);
	return m;
}

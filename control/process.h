/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says of this process's memory. Any thread; owns nothing. */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

#include <stdint.h>

struct process_memory {
	uint64_t resident_bytes;
	uint64_t most_bytes; /* that it ever was */
};

/* Zeros where /proc is closed. Not getrusage's figure: that of a program begins with what
 * the one was that started it. */
struct process_memory process_memory(void);

#endif

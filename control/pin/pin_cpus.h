/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets and lists of CPUs, as the kernel and the user write them: "0-3,8".
 *
 * Pure functions; nothing is owned. */
#ifndef CONTROL_PIN_PIN_CPUS_H
#define CONTROL_PIN_PIN_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIN_CPU_CAP 8192u
#define PIN_CORES_CAP 64u /* workers */
#define PIN_LIST_CAP 256u /* octets of a list in a message */

struct pin_cpus {
	uint64_t bits[PIN_CPU_CAP / 64];
};

/* Cores in the order given: worker i runs on v[i]. */
struct pin_cores {
	uint16_t v[PIN_CORES_CAP];
	size_t n;
};

/* Reads a list; a line end and "(null)" (no CPUs) are the kernel's. -EINVAL. */
int pin_cpus_parse(const char *text, size_t len, struct pin_cpus *out);
/* Reads a list whose order counts; 0, or -EINVAL and a sentence. */
int pin_cores_parse(const char *text, struct pin_cores *out, char *err, size_t cap);

void pin_cpus_add(struct pin_cpus *s, unsigned cpu);
bool pin_cpus_has(const struct pin_cpus *s, unsigned cpu);
unsigned pin_cpus_count(const struct pin_cpus *s);
bool pin_cpus_equal(const struct pin_cpus *a, const struct pin_cpus *b);
/* "0-3,8", "" where it is empty; false where it does not fit. */
#define PIN_LIST_MAX 49152u /* octets of the longest list */
bool pin_cpus_list(const struct pin_cpus *s, char *out, size_t cap);
/* "0-3,8"; "none" where it is empty; cut with "..." where it is long. Returns out. */
const char *pin_cpus_text(const struct pin_cpus *s, char out[PIN_LIST_CAP]);
/* As above, in the order of the list. */
const char *pin_cores_text(const struct pin_cores *c, char out[PIN_LIST_CAP]);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the names of an interval are that look made up: text, shapes, and whether one was
 * answered. Merges the entries of all workers (fluxtap/rec_dga.h). Beyond a budget the
 * names with the lowest keyed hashes stay. Control's thread. */
#ifndef CONTROL_STATS_DGA_NAMES_H
#define CONTROL_STATS_DGA_NAMES_H

#include <fluxtap/rec_dga.h>

#include <stddef.h>

#define DGA_NAMES_CAP 131072u /* of an interval */

struct dga_name {
	const uint8_t *name; /* folded wire form: a label and a public suffix */
	uint32_t name_len;
	uint8_t what; /* FT_DGA_* */
	uint8_t addrs;
	uint8_t addr[FT_DGA_ADDRS][16];
	bool v6[FT_DGA_ADDRS];
	uint64_t shapes;
	uint64_t time_us; /* of the earliest answer, from the row's begin on */
};

struct dga_names;

/* NULL + errno. */
struct dga_names *dga_names_create(uint64_t seed);
/* Accepts NULL. */
void dga_names_destroy(struct dga_names *n);
/* Takes the body of an FT_REC_DGA_NAME record. 0, -ENOMEM, -EBADMSG. */
int dga_names_add(struct dga_names *n, const void *body, size_t bytes);
/* The name of a note; NULL: lost to a full ring, or left out. n may be NULL. */
const struct dga_name *dga_names_find(const struct dga_names *n, uint64_t hash);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of sinkholes: read at once, then walked line by line.
 *
 * A line is `<group> ip PREFIX`, `<group> ns NAME`, `<group> cname NAME` or
 * `<group> name NAME`, words parted by blanks or tabs; a word that begins with # begins a
 * comment. A listed name stands for itself and all below it. Pure; the text is the
 * caller's. */
#ifndef CONTROL_SINKHOLES_H
#define CONTROL_SINKHOLES_H

#include "rules_read.h"
#include "values.h"

#include <fluxtap/dns.h>

enum sinkhole_kind {
	SINKHOLE_IP,
	SINKHOLE_NS,
	SINKHOLE_CNAME,
	SINKHOLE_NAME, /* a name or domain to follow, whatever answers it */
	SINKHOLE_KIND_CAP
};

struct sinkhole_line {
	uint32_t number; /* in its file, from 1 on */
	enum sinkhole_kind kind;
	struct rules_slice group;
	struct config_prefix prefix; /* of SINKHOLE_IP */
	uint8_t name[FT_NAME_CAP];   /* of the others: folded wire form */
	uint32_t name_len, labels;
};

/* The next entry at or behind *at: 1 and *line; 0 at the end; -EINVAL for a bad line, its
 * number in line->number, and what is wrong and would be right in err. *at and
 * line->number begin with 0 and belong to this function. */
int sinkholes_next(const struct rules_file *f, size_t *at, struct sinkhole_line *line, char *err,
		   size_t cap);

#endif

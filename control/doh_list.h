/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the list of DoH servers: a line each, an address, a prefix, a name as it stands in the
 * ClientHello, or "*.NAME" for what lies below one. Control's thread, at the start. */
#ifndef CONTROL_DOH_LIST_H
#define CONTROL_DOH_LIST_H

#include "../dataplane/doh.h"

#include <fluxtap/xdp_abi.h>

/* The list, and its prefixes for the XDP program. All zero: none was asked for. */
struct doh_file {
	struct doh_list list;
	struct ft_xdp_prefix *prefix;
	size_t prefixes;
};

/* 0, or -errno and a sentence in err (file:line where a line is wrong). */
int doh_file_read(const char *path, struct doh_file *f, char *err, size_t cap);
int doh_file_parse(const char *name, const char *text, size_t len, struct doh_file *f, char *err,
		   size_t cap);
void doh_file_fini(struct doh_file *f);

#endif

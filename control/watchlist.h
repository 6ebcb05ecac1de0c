/* SPDX-License-Identifier: BSD-3-Clause */
/* The watch list: owners and types whose RRsets are followed.
 *
 * A line is `<owner> <type>[,<type>...] [allow=...] [baseline=RDATA[|RDATA...]]`. Elements
 * of allow are parted by | or commas: rdata, a prefix for A and AAAA, a suffix for NS, MX
 * and CNAME. A value goes on to the next key, blanks and all; what stands in quotes is
 * taken as it is; a word that begins with # begins a comment. Pure but for the file. */
#ifndef CONTROL_WATCHLIST_H
#define CONTROL_WATCHLIST_H

#include "rdset.h"

#include <fluxtap/dns.h>

#include <stddef.h>

struct watchlist_allow {
	enum { WATCH_RDATA, WATCH_PREFIX, WATCH_SUFFIX } kind;
	uint8_t bits; /* of a prefix: of the address of this type */
	uint16_t len;
	uint8_t *data; /* rdata, address or folded name */
};

struct watchlist_entry {
	uint8_t owner[FT_NAME_CAP]; /* folded */
	uint32_t owner_len;
	uint16_t qtype;
	bool has_baseline;
	struct rdset baseline;
	struct watchlist_allow *allow;
	size_t allows;
};

struct watchlist {
	struct watchlist_entry *v; /* by owner and type, each once */
	uint32_t serial;           /* given by rules: no two lists have the same; from 1 on */
	size_t n;
};

/* Reads a list. NULL and a sentence with file and line in err. */
struct watchlist *watchlist_read(const char *path, char *err, size_t cap);
struct watchlist *watchlist_parse(const char *name, const char *text, size_t len, char *err,
				  size_t cap);
/* Accepts NULL. */
void watchlist_destroy(struct watchlist *l);

/* Whether the list allows one rdata of the entry. */
bool watchlist_allows(const struct watchlist_entry *e, const struct rdata *r);

#endif

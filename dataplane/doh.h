/* SPDX-License-Identifier: BSD-3-Clause */
/* Who serves DNS over HTTPS: addresses, and names as they stand in a ClientHello.
 *
 * Built by control before the start, then only read, by any worker. What is in neither
 * list is never called DoH. */
#ifndef DATAPLANE_DOH_H
#define DATAPLANE_DOH_H

#include "vantage.h"

struct doh_list {
	struct prefix_set addrs;
	char **name; /* lower case, rising; "*.NAME" is what lies below NAME. Owned */
	size_t names;
};

/* Sorts the names; call once they are all there. */
void doh_sort(struct doh_list *l);
void doh_fini(struct doh_list *l);
/* NULL: no list. */
bool doh_has_addr(const struct doh_list *l, const struct addr *a);
bool doh_has_name(const struct doh_list *l, const uint8_t *name, uint32_t len);

#endif

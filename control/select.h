/* SPDX-License-Identifier: BSD-3-Clause */
/* The first k of many in an order, without putting all of them into it: quickselect
 * (Hoare, 1961). Pure, any thread. */
#ifndef CONTROL_SELECT_H
#define CONTROL_SELECT_H

#include <stddef.h>

#define SELECT_SIZE_CAP 256u /* octets of an item */

/* Moves the first k of the n items (of `size` octets) at v in front of the others, in no
 * order among themselves; where k >= n, nothing. On average in time that grows with n. */
void select_first(void *v, size_t n, size_t size, size_t k,
		  int (*order)(const void *left, const void *right));

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The floor that `fluxtap bench` measures against (tests/bench/floor.c). */
#ifndef FLUXTAP_FLOOR_H
#define FLUXTAP_FLOOR_H

#include <stddef.h>
#include <stdint.h>

struct rx_mem_frame; /* dataplane/rx.h */

#define FT_FLOOR_TABLE_BYTES ((size_t)64 << 20)

/* Touches n Ethernet frames of plain DNS over UDP in batches of 32: hashes each
 * qname and updates one cache line of the table (FT_FLOOR_TABLE_BYTES, aligned to
 * a line). Returns a sum that depends on all of it. */
uint64_t ft_floor_run(const struct rx_mem_frame *frames, size_t n, uint8_t *table);

#endif

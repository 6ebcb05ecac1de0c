/* SPDX-License-Identifier: BSD-3-Clause */
/* The floor: the least that any probe must do for a packet. It reads the frame,
 * finds the qname, hashes it and updates one cache line of a table that no cache
 * holds. The probe's cost is quoted as a multiple of it, measured in the same run,
 * so that the machine's speed and noise cancel out. This file does not change. */
#include "../../dataplane/rx.h"

#include <fluxtap/floor.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BATCH 32u
#define LINE 64u
#define LINES (FT_FLOOR_TABLE_BYTES / LINE)

/* Octets of the name at p, the zero included; `room` bounds the walk. */
static inline uint32_t name_bytes(const uint8_t *p, uint32_t room)
{
	uint32_t n = 0;

	while (n < room && p[n] != 0)
		n += p[n] + 1u;
	return n < room ? n + 1 : room;
}

static inline uint64_t hash_of(const struct rx_mem_frame *f)
{
	/* Ethernet, IPv4 without options or IPv6, UDP, DNS header. */
	const uint32_t off = f->data[12] == 0x86 ? 14 + 40 + 8 + 12 : 14 + 20 + 8 + 12;

	if (f->len <= off)
		return 0;
	return XXH3_64bits(f->data + off, name_bytes(f->data + off, f->len - off));
}

uint64_t ft_floor_run(const struct rx_mem_frame *frames, size_t n, uint8_t *table)
{
	uint64_t line[BATCH], sum = 0;

	for (size_t i = 0; i < n; i += BATCH) {
		const size_t m = n - i < BATCH ? n - i : BATCH;
		for (size_t k = 0; k < m; k++) {
			if (i + k + BATCH < n) {
				__builtin_prefetch(frames[i + k + BATCH].data);
				__builtin_prefetch(frames[i + k + BATCH].data + LINE);
			}
			line[k] = hash_of(&frames[i + k]) % LINES;
			__builtin_prefetch(table + line[k] * LINE, 1);
		}
		for (size_t k = 0; k < m; k++) {
			uint64_t *entry = (uint64_t *)(void *)(table + line[k] * LINE);
			entry[0]++;
			entry[1] += frames[i + k].len;
			sum += entry[0];
		}
	}
	return sum;
}

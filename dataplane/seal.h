/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 7, seal: records into a block, the block compressed, into the ring.
 *
 * Owned by one worker. All memory is taken at creation; zstd works on at most
 * FT_BLOCK_RAW_CAP octets at once, straight into the ring, so that no turn of the
 * loop stalls for long. */
#ifndef DATAPLANE_SEAL_H
#define DATAPLANE_SEAL_H

#include <fluxtap/block.h>
#include <fluxtap/counters.h>
#include <fluxtap/shm.h>

#include <stdbool.h>
#include <stddef.h>

/* Octets of the ring that only ledger blocks may use, so that a ring full of
 * data does not swallow the account of what was lost. */
#define SEAL_LEDGER_RESERVE (128u << 10)
#define SEAL_PAD_CAP 7u

struct seal;

/* ring: where blocks go. wait: a full ring makes the worker wait (file runs)
 * unless *abandon becomes nonzero. NULL + errno. */
struct seal *seal_create(struct ft_ring *ring, unsigned worker, bool wait,
			 const _Atomic int *abandon);
void seal_destroy(struct seal *s);

/* Has the open block room for a record with a body of so many octets? */
bool seal_has_room(const struct seal *s, size_t body_bytes);
/* Appends a record; seal_has_room must have said yes. */
void seal_put(struct seal *s, const struct ft_rec_hdr *hdr, const void *body, size_t body_bytes);
/* Where the next entry of this type and row is to be written, and what says where it
 * ends: it joins the last record if that is of the same type and row. Counts as a record
 * of its own. seal_has_room must have said yes for its octets and SEAL_PAD_CAP more. */
uint8_t *seal_entry_begin(struct seal *s, enum ft_rec_type type, uint64_t row);
void seal_entry_end(struct seal *s, const uint8_t *end);
bool seal_is_empty(const struct seal *s);

/* Compresses the open block and pushes it; adds records, blocks, bytes and, where
 * the ring was full, lost records to *ledger. `row` accounts for them. A ledger
 * block (is_ledger) is not accounted; false where the ring had no room even for
 * that: its records are forgotten, put them again later. */
bool seal_push(struct seal *s, uint64_t row, bool is_ledger, struct ft_ledger *ledger);

#endif

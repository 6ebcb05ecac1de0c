/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 6, keyed tables: registered domains, clients and servers of each interval.
 *
 * Settled transactions are counted in entries of one or two cache lines (a third where
 * flows are sampled), in visible phases over a batch. An entry that is pushed out, whose
 * interval closes or of which a counter is full goes into the tally's block, as
 * rec_tables.h says; control adds up what belongs together. Owned by one worker; takes
 * its memory at creation. */
#ifndef DATAPLANE_TABLES_H
#define DATAPLANE_TABLES_H

#include "diary.h"
#include "keyed.h"
#include "pair.h"
#include "sample.h"
#include "servers.h"
#include "tally.h"

#include <fluxtap/rec_tables.h>

struct tables_settings {
	uint64_t hash_key;            /* secret of this run, the same for all workers */
	size_t entries[FT_TABLE_CAP]; /* rounded up to a power of two */
	struct sample sample;
	struct servers *servers; /* what is counted of servers besides; NULL: nothing. Not owned */
};

struct tables_stats {
	uint64_t sampled_out; /* transactions that were left out */
	uint64_t emitted;     /* entries of counts */
	uint64_t full;        /* of them for a counter that was full */
};

struct tables;

/* Adds itself to the tally, which must outlive it. NULL + errno. */
struct tables *tables_create(struct tally *tally, const struct tables_settings *settings);
/* Emits nothing. Accepts NULL. */
void tables_destroy(struct tables *t);
/* Counts settled transactions. Before tally_step, which may close an interval for want of
 * room: what the batch has of it must be in the tables by then. */
void tables_step(struct tables *t, const struct txn *txn, uint32_t n);

/* What each transaction of the next tables_step is worth a note for in its client's diary
 * (diary.h); not owned. NULL, as at first: clients have none. */
void tables_note(struct tables *t, const struct diary_note *notes);

/* Stands for a server's address in diaries. */
uint32_t tables_server_id(const struct addr *server);

/* Stands for a domain's name (folded, wire form) in control, and for one that is too long
 * for an entry on its way there. */
void tables_domain_id(const uint8_t *name, size_t bytes, uint64_t sample_key, uint8_t id[16]);

const struct tables_stats *tables_stats_get(const struct tables *t);
const struct keyed_stats *tables_keyed_stats(const struct tables *t, enum ft_table table);

#endif

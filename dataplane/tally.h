/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 6, tally: transactions into the counters of their interval, and the
 * counters into records.
 *
 * Owned by one worker. Every table here is a cache whose eviction emits: rows
 * (one for each open interval), seconds of the series, rare codes. Memory is
 * fixed at creation. emit.c turns rows into records; tally.c counts. */
#ifndef DATAPLANE_TALLY_H
#define DATAPLANE_TALLY_H

#include "clock.h"
#include "pair.h"
#include "seal.h"
#include "sketch.h"

#include <fluxtap/block.h>
#include <fluxtap/counters.h>

#define TALLY_ROWS 16u    /* open intervals: 8 at an interval of one second, and some that close */
#define TALLY_SECONDS 16u /* per vantage: seconds between clock - LAG_US and clock */
#define TALLY_RARES 256u

/* One vantage point in one interval. */
struct tally_view {
	uint64_t dense[FT_TRAFFIC_DENSE_CAP];
	uint32_t rtt[DD_BINS];
	struct distinct distinct[FT_DISTINCT_CAP];
	bool used;
};

enum row_state { ROW_FREE, ROW_OPEN, ROW_CLOSING };

struct tally_row {
	uint64_t number; /* interval since 1970 */
	enum row_state state;
	uint32_t part; /* next part to emit while closing */
	struct ft_ledger ledger;
	struct tally_view view[FT_VANTAGE_CAP];
};

/* One second of one vantage: one cache line. */
struct tally_second {
	uint64_t tag; /* second since 1970, plus 1; 0: free */
	uint32_t count[FT_QGROUP_CAP];
	uint32_t pad;
};
static_assert(sizeof(struct tally_second) == 64, "one line a second");

/* A counter too rare for the dense part: unknown types and codes. */
struct tally_rare {
	uint64_t row, count; /* count 0: free */
	uint32_t id;
	uint32_t vantage;
};

/* A table that emits when a row closes, a step at a time: see tally_add_part. */
struct tally_part {
	void (*begin)(void *ctx, uint64_t row);
	bool (*step)(void *ctx, uint64_t row); /* true: nothing is left of the row */
	void *ctx;
};
#define TALLY_PARTS 24u

struct tally {
	struct evclock *clock;
	struct seal *seal;
	uint64_t seal_row;              /* accounts for the records of the open block */
	struct ft_ledger done;          /* sum of the rows emitted so far */
	struct tally_row *row;          /* [TALLY_ROWS] */
	const struct tally_row *newest; /* of the open ones; NULL: to be looked for */
	/* The ledger asked for last, and its interval: [lo, lo + len); len 0: none. */
	struct ft_ledger *ledger;
	uint64_t ledger_lo_us, ledger_len_us;
	struct tally_second second[FT_VANTAGE_CAP][TALLY_SECONDS];
	struct tally_rare rare[TALLY_RARES];
	struct tally_part part[TALLY_PARTS];
	uint32_t parts;
};

/* NULL + errno. Does not own clock and seal. */
struct tally *tally_create(struct evclock *clock, struct seal *seal);
void tally_destroy(struct tally *t);

struct ft_ledger *tally_ledger_find(struct tally *t, uint64_t t_us);
/* The ledger of the interval at event time t_us; valid until the next call. */
static inline struct ft_ledger *tally_ledger(struct tally *t, uint64_t t_us)
{
	return t_us - t->ledger_lo_us < t->ledger_len_us ? t->ledger : tally_ledger_find(t, t_us);
}
/* Adds 1 to `level` in every interval from that of from_us up to, and without,
 * that of to_us: something was held over these intervals' ends. */
void tally_held(struct tally *t, enum ft_counter level, uint64_t from_us, uint64_t to_us);
/* Counts settled transactions. */
void tally_step(struct tally *t, const struct txn *txn, uint32_t n);

/* emit.c */
enum close_result {
	CLOSE_DONE, /* nothing is left to emit */
	CLOSE_MORE, /* call again */
	CLOSE_STUCK /* the ring has no room for a row's ledger: call again later */
};
/* Emits rows that have closed: at most one part, and so about one block, a call.
 * all: the input has ended and every row closes. */
enum close_result tally_close(struct tally *t, bool all);
/* Emits all of one row at once, because row `number` needs its slot. */
void tally_close_row(struct tally *t, struct tally_row *row, uint64_t number);
/* Appends one record, pushing the block first where it has no room. */
void tally_emit(struct tally *t, enum ft_rec_type type, uint64_t row, unsigned vantage,
		unsigned which, const void *body, size_t body_bytes);
/* Likewise one entry of a keyed table, of at most 1,024 octets: entries of one type
 * and row that follow one another share a record. An entry must say its own length,
 * and its first octet is not zero. */
void tally_emit_entry(struct tally *t, enum ft_rec_type type, uint64_t row, const void *entry,
		      size_t bytes);
/* The same without a copy: where an entry of at most `cap` octets is to be written, which
 * must be done before anything else is emitted, and what says where it ends. */
uint8_t *tally_entry_begin(struct tally *t, enum ft_rec_type type, uint64_t row, size_t cap);
void tally_entry_end(struct tally *t, const uint8_t *end);
/* Before the ledger of a row goes out, `begin` is called once and `step` until it says
 * true. Steps emit about one block at most. */
void tally_add_part(struct tally *t, struct tally_part part);
void tally_emit_second(struct tally *t, unsigned vantage, struct tally_second *s);
void tally_emit_rare(struct tally *t, struct tally_rare *r);

#endif

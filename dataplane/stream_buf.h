/* SPDX-License-Identifier: BSD-3-Clause */
/* What one end of a connection sends: messages out of octets in order, and buffers
 * for those that wait for the rest of their message or for their turn.
 *
 * The lower half of stream.c, which alone calls it. Buffers come in three sizes
 * under one budget; each size has a list of those that are lent, by when their
 * connection was last heard of, and a new borrower gets the one that was silent
 * longest. So none who keeps many messages half sent can shut others out.
 * Never allocates, blocks or logs. */
#ifndef DATAPLANE_STREAM_BUF_H
#define DATAPLANE_STREAM_BUF_H

#include "stream.h"

#define STREAM_BUF_CLASSES 3u
#define STREAM_BUF_RANGES 8u
#define STREAM_BUF_STARTS 16u

/* Unknown; at a known place; looking for the beginning of a message. */
enum { SIDE_NONE, SIDE_SYNCED, SIDE_LOST };

/* What one end sends. Of a message that is not whole the length prefix is here, the
 * octets in order are in the buffer, and `next` is behind them. */
struct stream_side {
	uint32_t next; /* sequence number of the first octet neither taken nor given up */
	uint32_t isn, fin;
	uint32_t buf;   /* 0: none; else one more than its index */
	uint32_t skip;  /* octets from next on that are the rest of a message given up */
	uint16_t len;   /* length prefix, as far as it was seen */
	uint8_t prefix; /* octets of it that were seen; 2 only while the body is not whole */
	uint8_t state, flags;
	uint8_t why; /* enum ft_pkt_drop: of what is skipped, or passed while LOST */
};

/* Octets beyond a hole, as offsets from the buffer's base. */
struct stream_range {
	uint32_t lo, end;
};

struct stream_buf {
	struct stream_side *owner;
	uint32_t older, newer; /* in the class's list; newer also links free ones */
	uint32_t base;         /* sequence number of the first octet */
	uint32_t have;         /* octets of a body that are in order; they end at owner->next */
	uint32_t class;
	uint32_t ranges, starts;
	uint64_t hole_us; /* when the hole before range[0] was noticed */
	struct stream_range range[STREAM_BUF_RANGES]; /* sorted, apart from one another */
	uint32_t start[STREAM_BUF_STARTS]; /* where segments began, sorted; not all of them */
};

struct stream_class {
	uint32_t cap;            /* octets of each buffer */
	uint32_t n, fresh, free; /* those from fresh on were never used (nor touched) */
	uint32_t first;          /* index of the class's first buffer */
	uint32_t oldest, newest;
	uint8_t *data;
};

struct stream_bufs {
	struct stream_class class[STREAM_BUF_CLASSES];
	struct stream_buf *buf; /* of all classes, by index */
	size_t lent;
	struct stream_stats stats;
	stream_message_fn message;
	void *ctx;
};

/* One segment on its way through one side. */
struct stream_pass {
	struct stream_bufs *s;
	struct stream_side *d;
	const struct segment *seg;
	uint32_t dropped; /* octets of messages given up: at least as many as came, if of no use */
};

/* Shares the budget out over the classes; a class may get none. Sets *bufs_bytes to
 * what the descriptions of the buffers need, returns what their data need. */
size_t stream_buf_plan(struct stream_bufs *s, size_t budget_bytes, size_t *bufs_bytes);
/* After the plan: zeroed memory of the two sizes that it told. */
void stream_buf_init(struct stream_bufs *s, void *bufs, uint8_t *data);

/* Do these octets look like the beginning of a message with its length prefix, and
 * what follows it like that of another? */
bool stream_buf_plausible(const uint8_t *data, uint32_t len);

/* Takes octets of the segment that begin at `next`, then what waited for them. */
void stream_buf_take(struct stream_pass *p, const uint8_t *data, uint32_t len);
/* Keeps octets of the segment that begin at seq, beyond `next`. False: the hole
 * before them is too old, they are too far off, in too many pieces, or there is no
 * room; then something was given up, and `next` has moved on, to seq at most if
 * nothing was waiting. */
bool stream_buf_keep(struct stream_pass *p, uint32_t seq, const uint8_t *data, uint32_t len);
/* A segment without octets at seq: gives up holes before it that are too old. */
void stream_buf_age(struct stream_pass *p, uint32_t seq);

/* All that waits is lost, the buffer is given back; the place in the sequence stays. */
void stream_buf_forget(struct stream_bufs *s, struct stream_side *d);
/* Gives the buffer back. What was in it is lost, but the side stays able to go on
 * behind the message that it loses. */
void stream_buf_strip(struct stream_bufs *s, struct stream_side *d, enum ft_pkt_drop why);
/* The connection was heard of: the side's buffer is the newest of its class again. */
void stream_buf_touch(struct stream_bufs *s, const struct stream_side *d);
/* Whose buffer of this class was touched longest ago; NULL: none is lent. */
struct stream_side *stream_buf_oldest(const struct stream_bufs *s, unsigned class);

#endif

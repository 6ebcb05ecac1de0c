/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP bytes into DNS messages (RFC 1035 4.2.2, RFC 7766), under a fixed budget.
 *
 * Called by the worker's decode stage for each segment of TCP/53. Owns all its
 * memory from creation on: a table of connections, and buffers lent to those
 * that wait for the rest of a message or for a missing segment. Messages that lie
 * whole in a segment that comes in order are read where they are, in the frame.
 *
 * What came first stays: octets seen again are nothing new, whatever they say.
 * A hole is given up when what lies behind it cannot be kept any longer or when it is
 * old; the stream goes on behind the message in which it was, or, where that is
 * unknown, at the next segment that begins like a message. Never allocates after
 * creation, blocks or logs. */
#ifndef DATAPLANE_STREAM_H
#define DATAPLANE_STREAM_H

#include "flow.h"

#include <fluxtap/drop.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

struct segment {
	const struct flow *flow; /* src is the sender */
	uint32_t seq;
	uint8_t flags;       /* TCP_* below */
	const uint8_t *data; /* payload, in the frame */
	uint32_t len;
	uint64_t now_us; /* the event clock at this packet */
	uint64_t ts_us;  /* packet time */
};
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

/* One whole message, without its length prefix, of any length from 0 on. seg: the one
 * that stream_put was given (same address), which is the message's sender's. in_frame:
 * data points into segment.data; else it is valid during the call alone. Must not
 * call this room. */
typedef void (*stream_message_fn)(void *ctx, const struct segment *seg, const uint8_t *data,
				  uint32_t len, bool in_frame);

struct stream_limits {
	size_t connections;  /* both directions of one count as one */
	size_t buffer_bytes; /* budget for bytes that wait */
	uint64_t idle_us;    /* a connection that was silent for longer is forgotten */
};

/* What happened since the start; the worker adds the growth to its ledger.
 * gaps: holes given up. lost_bytes: octets that will be in no message, in holes and
 * around them, in messages given up, and what waited when its connection ended. evicted:
 * connections that were not over, forgotten to make room for others. */
struct stream_stats {
	uint64_t gaps, lost_bytes, evicted;
};

/* hash_key: random. With few buffer_bytes, or none, messages that must wait are lost.
 * NULL + errno (EINVAL, ENOMEM). */
struct stream *stream_create(const struct stream_limits *limits, uint64_t hash_key,
			     stream_message_fn message, void *ctx);
/* Accepts NULL. */
void stream_destroy(struct stream *s);

/* Takes one segment, calls `message` for each message that it completes, in
 * order. Returns FT_PKT_CARRIED (also for handshakes, empty segments and
 * retransmissions, and where some of its bytes were of use) or the reason why its
 * bytes were dropped:
 *   TCP_MIDSTREAM  the connection is unknown, and no message begins here
 *   TCP_GAP        a hole was given up, and no message is known to begin here yet
 *   TCP_FULL       part of a message that got no buffer, or lost it to another
 * Does stream_expire's work first. */
enum ft_pkt_drop stream_put(struct stream *s, const struct segment *seg);
/* How long the handshake took that the last segment ended, from SYN-ACK to ACK, in us; 0:
 * it ended none, or one whose SYN-ACK came more than once. Its source was the client. */
uint64_t stream_handshake_us(const struct stream *s);
/* Forgets idle connections that still hold a buffer, so that their bytes are counted
 * as lost. Optional; UINT64_MAX at the end of the input. Cheap when there are none. */
void stream_expire(struct stream *s, uint64_t now_us);
/* Buffers lent now. */
size_t stream_lent(const struct stream *s);
const struct stream_stats *stream_stats_get(const struct stream *s);

#endif

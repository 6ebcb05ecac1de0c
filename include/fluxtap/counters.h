/* SPDX-License-Identifier: BSD-3-Clause */
/* The one list of ledger counters: name, unit, help.
 *
 * A worker keeps one array of them per open interval (struct ft_ledger) and
 * publishes their running totals in the shared segment. The drop reasons of
 * drop.h follow behind, so that one array holds the whole ledger. */
#ifndef FLUXTAP_COUNTERS_H
#define FLUXTAP_COUNTERS_H

#include <fluxtap/drop.h>
#include <stdint.h>

#define FT_COUNTERS(X)                                                                             \
	X(RX_PACKETS, rx_packets, "packets", "packets received")                                   \
	X(RX_BYTES, rx_bytes, "bytes", "frame bytes received, as on the wire")                     \
	X(CARRIED, carried, "packets", "packets whose content went on to the next stage")          \
	X(HELD_PACKETS, held_packets, "packets", "fragments waiting at the interval's end")        \
	X(MESSAGES, messages, "messages", "DNS messages found")                                    \
	X(COUNTED, counted, "messages", "messages that reached the statistics")                    \
	X(HELD, held, "messages", "queries waiting at the interval's end")                         \
	X(LATE, late, "packets", "packets whose own interval had closed already")                  \
	X(RECORDS, records, "records", "records put into blocks")                                  \
	X(BLOCKS, blocks, "blocks", "blocks sealed")                                               \
	X(BLOCK_BYTES_RAW, block_bytes_raw, "bytes", "bytes of blocks before compression")         \
	X(BLOCK_BYTES, block_bytes, "bytes", "bytes of blocks in the ring")                        \
	X(RING_FULL_RECORDS, ring_full_records, "records", "records lost to a full ring")          \
	X(MALFORMED, malformed, "messages", "messages counted although their records are damaged") \
	X(TCP_GAPS, tcp_gaps, "events", "gaps in TCP streams")                                     \
	X(TCP_LOST_BYTES, tcp_lost_bytes, "bytes", "TCP bytes skipped")                            \
	X(TCP_EVICTED, tcp_evicted, "connections", "connections forgotten to make room")

enum ft_counter {
#define X(n, m, u, h) FT_CTR_##n,
	FT_COUNTERS(X)
#undef X
	    FT_CTR_PLAIN_CAP,
	FT_CTR_PKT_DROP = FT_CTR_PLAIN_CAP,                  /* + enum ft_pkt_drop */
	FT_CTR_MSG_DROP = FT_CTR_PKT_DROP + FT_PKT_DROP_CAP, /* + enum ft_msg_drop */
	FT_CTR_CAP = FT_CTR_MSG_DROP + FT_MSG_DROP_CAP
};

struct ft_counter_text {
	const char *name, *unit, *help;
};
static const struct ft_counter_text ft_counter_texts[FT_CTR_PLAIN_CAP] = {
#define X(n, m, u, h) {#m, u, h},
    FT_COUNTERS(X)
#undef X
};

/* The ledger of one worker and one interval. */
struct ft_ledger {
	uint64_t c[FT_CTR_CAP];
};

#endif

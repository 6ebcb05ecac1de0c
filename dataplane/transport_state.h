/* SPDX-License-Identifier: BSD-3-Clause */
/* What a struct transport consists of: for transport.c, handshakes.c, crypt.c, tickets.c and
 * transfers.c, which share it. */
#ifndef DATAPLANE_TRANSPORT_STATE_H
#define DATAPLANE_TRANSPORT_STATE_H

#include "pool.h"
#include "transport.h"

#include <fluxtap/rec_transport.h>

#define TICKET_WAIT_US FT_CUT_WAIT_US
#define TICKET_FILTER_BITS (1u << 16)
#define TICKET_FILTER_US 16000000u /* longer than a ticket and a query of its end wait */
#define NOTIFY_SETS 1024u
#define NOTIFY_WAYS 4u
#define NOTIFY_TIMES 4u
#define HELLO_BUFS 64u
#define HELLO_BUF_BYTES 4096u

/* A TCP handshake on a port of DNS. */
struct hand {
	uint64_t pair;   /* hash of the two addresses */
	uint64_t syn_us; /* event time of the first SYN; 0: not seen */
	uint64_t row;    /* in which it is counted */
	uint32_t isn;    /* of the SYN; of the SYN-ACK where none was seen */
	uint16_t syn_len;
	uint8_t flags, class;
};
enum { HAND_SYN = 1, HAND_TFO = 2, HAND_DATA = 4, HAND_COUNTED = 8, HAND_ASKED = 16 };

/* A client that began a connection to a server. */
struct attempt {
	uint64_t t_us, hand; /* hand: key of it */
};

/* A truncated answer and what its client does then. */
struct ticket {
	uint64_t tc_us, ask_ts_us; /* ask: of its query; 0: not seen */
	uint64_t group, name_key, pair;
	uint64_t tcp_us, answer_us, udp_us; /* 0: not so */
	uint64_t latency_us;
	struct addr server;
	uint32_t band; /* EDNS sizes below and of the query */
	uint8_t vantage;
};

/* What a flow gave to an interval before it was known what it is. */
struct pending {
	uint64_t row, packets, bytes, connections;
};

struct flow_side {
	uint64_t octets; /* of the stream */
	uint32_t next;
	uint16_t buf; /* 1 + number of its buffer; 0: none */
	uint8_t flags;
};
enum { SIDE_BEGUN = 1, SIDE_TOLD = 2, SIDE_ENDED = 4 }; /* its hello is no more to be looked at */

struct crypt_flow {
	struct addr client, server;
	uint64_t syn_us, syn_ts_us, last_us, last_ts_us, notify_us;
	struct pending pending[2];
	struct flow_side side[2]; /* the client's, the server's */
	uint32_t syn_batch;
	uint8_t mix, flags;
};
enum {
	FLOW_KNOWN = 1,
	FLOW_COUNTED = 2,
	FLOW_TLS13 = 4,
	FLOW_CLOSED = 8,
	FLOW_ASKED = 16 /* for NOTIFY */
};

struct notify {
	uint64_t key; /* of server and client; 0: free */
	uint64_t t_us[NOTIFY_TIMES];
};

struct transfer {
	struct addr client, server;
	uint64_t begin_ts_us, last_us, last_ts_us;
	uint64_t messages, rrs, bytes;
	uint32_t from, to;
	uint8_t state, style, vantage, rcode;
	bool ixfr, udp, tsig, has_from, has_to;
	uint8_t zone_len;
	uint8_t zone[FT_NAME_CAP];
};

struct mix_row {
	uint64_t row;
	bool used;
	uint64_t c[FT_TRANSPORT_COUNTERS];
};

struct transport {
	struct tally *tally;
	struct transport_settings set;
	struct mix_row row[TALLY_ROWS];

	/* handshakes.c */
	struct pool hand_at, attempt_at;
	struct hand *hand;
	struct attempt *attempt;

	/* crypt.c */
	struct pool flow_at;
	struct crypt_flow *flow;
	struct notify *notify;
	uint8_t (*buf)[HELLO_BUF_BYTES];
	uint16_t buf_len[HELLO_BUFS];
	uint16_t buf_free[HELLO_BUFS];
	uint32_t bufs; /* free ones */

	/* tickets.c */
	struct pool ticket_at;
	struct ticket *ticket;
	uint64_t *filter[2];        /* of groups that had tickets lately; filter[0] is the newer */
	uint64_t name_filter[2][4]; /* of their names */
	uint64_t filter_us;         /* since when it is in use */
	bool any_filter[2];

	/* transfers.c */
	struct pool transfer_at;
	struct transfer *transfer;

	/* of the batch at hand */
	uint32_t batch, rare_n;
	bool has_cut;
	uint8_t rare[MSG_CAP];
};

/* The counters of the interval at event time t_us; valid until the next call. */
uint64_t *transport_counts(struct transport *t, uint64_t t_us);
/* Of a row, if it is still there; else NULL. */
uint64_t *transport_counts_of(struct transport *t, uint64_t row);

/* The same for both directions. */
uint64_t transport_tuple(const struct transport *t, const struct flow *f);
uint64_t transport_pair(const struct transport *t, const struct addr *x, const struct addr *y);
uint8_t transport_vantage(const struct transport *t, const struct addr *client,
			  const struct addr *server);

/* handshakes.c */
void handshakes_segment(struct transport *t, const struct on_wire *o, const struct decoded *d);
/* A query came over this connection. */
void handshakes_asked(struct transport *t, const struct msg *m);
/* The first connection between the two that was begun in [from_us, to_us] and over which
 * nothing was asked; 0: there is none. */
uint64_t handshakes_fruitless(const struct transport *t, uint64_t pair, uint64_t from_us,
			      uint64_t to_us);

/* crypt.c */
void crypt_notify(struct transport *t, const struct msg *m);
void crypt_expire(struct transport *t, uint64_t now_us, bool all);

/* tickets.c */
void tickets_open(struct transport *t, const struct txn *txn, uint32_t n);
void tickets_asked(struct transport *t, const struct txn *txn, uint32_t n);
void tickets_message(struct transport *t, const struct msg *m);
void tickets_expire(struct transport *t, uint64_t now_us, bool all);
static inline bool tickets_has_name(const struct transport *t, uint64_t name_key)
{
	const uint64_t word = name_key >> 62, bit = name_key >> 56 & 63;

	return ((t->name_filter[0][word] | t->name_filter[1][word]) >> bit & 1) != 0;
}

/* transfers.c */
void transfers_message(struct transport *t, const struct msgs *b, const struct msg *m);
void transfers_expire(struct transport *t, uint64_t now_us, bool all);

#endif

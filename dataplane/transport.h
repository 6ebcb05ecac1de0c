/* SPDX-License-Identifier: BSD-3-Clause */
/* What DNS is carried over: shares of UDP, TCP, TLS, QUIC and HTTPS, TCP Fast Open, what comes
 * of truncated answers, zone transfers.
 *
 * Called by the worker for packets that are not the common datagram, and once for each batch
 * of messages: what is rare there is found by a look at the header alone. All flows of two
 * addresses come to one worker, so connections live here; what a client asks of another
 * server is for control to join. Every table is a pool (pool.h) that gives up what is oldest
 * and counts it. Owned by one worker; takes its memory at creation. */
#ifndef DATAPLANE_TRANSPORT_H
#define DATAPLANE_TRANSPORT_H

#include "decode.h"
#include "doh.h"
#include "pair.h"
#include "tally.h"

struct transport_settings {
	uint64_t hash_key;
	const struct doh_list *doh;          /* NULL: none */
	const struct vantage_rules *vantage; /* NULL: none */
	bool alone;                          /* no other worker has flows of its clients */
	uint32_t asked_level; /* else: of the queries that are joined, see servers.h */
	/* Places; powers of two. Tickets: truncated answers of 5 s. Hands: TCP handshakes.
	 * Flows: encrypted connections. */
	uint32_t tickets, hands, flows, transfers;
};
struct transport_settings transport_defaults(uint64_t hash_key);

struct transport;

/* Adds itself to the tally, which must outlive it. NULL + errno. */
struct transport *transport_create(struct tally *tally, const struct transport_settings *settings);
/* Emits nothing. Accepts NULL. */
void transport_destroy(struct transport *t);

/* Frames that something came in. */
struct on_wire {
	uint64_t t_us, ts_us;
	uint32_t frames;
	uint64_t bytes;
};

/* A packet that is no datagram of DNS in one piece, whatever it turns out to be. */
void transport_rest(struct transport *t, uint64_t t_us, uint32_t bytes);
/* A datagram of DNS that came in fragments. */
void transport_udp(struct transport *t, const struct on_wire *o);
/* A segment of TCP/53. */
void transport_tcp(struct transport *t, const struct on_wire *o, const struct decoded *d);
/* A message out of it. */
void transport_tcp_message(struct transport *t, uint64_t t_us);
/* DECODE_CRYPT. Says what became of the packet. */
enum ft_pkt_drop transport_crypt(struct transport *t, const struct on_wire *o,
				 const struct decoded *d);

/* For each batch in this order: before its transactions are counted, with them (also those
 * that expire), and afterwards. */
void transport_look(struct transport *t, const struct msgs *b);
void transport_step(struct transport *t, const struct txn *txn, uint32_t n);
void transport_follow(struct transport *t, const struct msgs *b);

/* Settles what has waited long enough at now_us; all: the input has ended. */
void transport_expire(struct transport *t, uint64_t now_us, bool all);

#endif

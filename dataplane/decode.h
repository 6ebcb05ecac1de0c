/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 2, decode: link layer, tunnels, IP, UDP and TCP headers, down to DNS.
 *
 * A pure walk over one frame: no state, no memory, any thread. Fragments and TCP
 * segments are only described here; the worker hands them to defrag and stream. */
#ifndef DATAPLANE_DECODE_H
#define DATAPLANE_DECODE_H

#include "batch.h"
#include "flow.h"

#include <fluxtap/drop.h>

#include <stdbool.h>

#define DECODE_PORTS_CAP 16u
#define DECODE_DEPTH_CAP 4u /* tunnels inside one another */

/* UDP and TCP ports that carry DNS. */
struct decode_ports {
	uint16_t port[DECODE_PORTS_CAP];
	uint32_t n;
};

enum decode_kind {
	DECODE_DROP,    /* drop says why */
	DECODE_UDP,     /* off, len: one DNS message */
	DECODE_TCP,     /* off, len: TCP payload (may be empty), tcp_* */
	DECODE_FRAGMENT, /* off, len: IP payload of a fragment, frag_* */
	DECODE_CRYPT     /* a port of DNS over TLS, QUIC or HTTPS: as UDP and TCP; drop is NOT_DNS,
			    what is there of the payload may be cut short */
};

struct decoded {
	enum decode_kind kind;
	enum ft_pkt_drop drop;
	struct flow flow;    /* innermost addresses; ports where there are any */
	const uint8_t *data; /* payload */
	uint32_t len;
	uint32_t whole_len; /* DECODE_CRYPT: of the payload on the wire */
	uint32_t tcp_seq, tcp_ack;
	uint8_t tcp_flags;
	uint8_t tcp_options; /* octets of them, which end at data */
	uint8_t proto; /* of the innermost IP packet or fragment */
	bool frag_more;
	uint32_t frag_id, frag_off;
	/* Not of the common frame, see decode_frame. */
	uint8_t l4_bytes; /* of the UDP or TCP header in front of data; 0: none */
	uint32_t ip_id;   /* of the innermost IPv4 header, or of an IPv6 fragment; else 0 */
	uint64_t tag;     /* outer headers, see rec_tap.h; 0: none */
};

/* Walks the frame p down to its UDP, TCP or fragment payload. True: it is the common frame,
 * Ethernet with no tags, IP with no options, UDP to or from one of our ports; what stands
 * last in struct decoded is left alone. */
bool decode_frame(const struct pkt *p, const struct decode_ports *ports, struct decoded *out);
/* The same by the long way alone: the reference that decode_frame's quick way for
 * common frames is tested against. */
void decode_frame_any(const struct pkt *p, const struct decode_ports *ports, struct decoded *out);
/* Goes on behind a reassembled IP payload; out->flow's addresses and tag must be set. */
void decode_datagram(const uint8_t *data, uint32_t len, uint8_t proto,
		     const struct decode_ports *ports, struct decoded *out);
/* What the fan-out needs: the innermost addresses, or the fragment where they end, which
 * out->kind says; nothing else is meant. False where there is no IP header. A cut frame
 * gives what it has. */
bool decode_outline(const uint8_t *frame, uint32_t cap_len, enum link_type link,
		    struct decoded *out);
/* The innermost addresses of a datagram of which this is the first fragment: those of a
 * tunnel in it, or its own. */
void decode_addrs_inside(const struct decoded *first, struct addr *src, struct addr *dst);
/* Finds the innermost pair of addresses; false where there is no IP header. */
bool decode_addrs(const uint8_t *frame, uint32_t cap_len, enum link_type link, struct addr *src,
		  struct addr *dst);

#endif

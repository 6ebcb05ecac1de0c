/* SPDX-License-Identifier: BSD-3-Clause */
/* IP fragments into datagrams, both families, under a fixed budget.
 *
 * Called by the worker's decode stage. Owns all its memory from creation on.
 * A fragment is held until its datagram is whole, overlaps, times out or is
 * pushed out; then `settle` is told once for each fragment that was held.
 * Overlap gives up the whole datagram, in both families (RFC 5722, RFC 8200 4.5);
 * what is left of it is dropped for the same reason until its time is over.
 * Never allocates after creation, blocks or logs. */
#ifndef DATAPLANE_DEFRAG_H
#define DATAPLANE_DEFRAG_H

#include "flow.h"

#include <fluxtap/drop.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEFRAG_WAIT_US 5000000u /* below LAG_US of clock.h: held fragments settle in time */

struct defrag;

/* A fragment that was held since `held_us` settled at `settled_us` (event times, in
 * this order). Time-out settles at the moment when the wait was over, whenever it
 * was noticed; all else at the fragment that caused it. Must not call this room. */
typedef void (*defrag_settle_fn)(void *ctx, uint64_t held_us, uint64_t settled_us,
				 enum ft_pkt_drop why);

struct fragment {
	const struct addr *src, *dst;
	uint32_t id; /* identification, 16 or 32 bits */
	uint8_t v6;
	uint8_t proto;       /* IPv4: protocol; IPv6: the fragment header's next header */
	bool more;           /* more fragments follow */
	uint32_t off;        /* of these octets within the datagram's payload */
	const uint8_t *data; /* the octets behind the IP (or fragment) header */
	uint32_t len;
	uint32_t frame_bytes; /* of the frame it came in, on the wire */
	uint64_t t_us;   /* event time of the packet (clock_effective) */
	uint64_t now_us; /* the event clock at this packet; never goes back, >= t_us */
};

struct datagram {
	const uint8_t *data; /* IP payload, whole; valid until the next call of this room */
	uint32_t len;
	uint8_t proto; /* of the first fragment */
	uint32_t frames; /* that it came in, and their octets on the wire */
	uint64_t frame_bytes;
};

/* datagrams: how many may wait at once; each may be 65,535 octets, in 128 fragments
 * at most. Memory for the octets is not touched before it is used. hash_key: random.
 * NULL + errno (EINVAL, ENOMEM). */
struct defrag *defrag_create(size_t datagrams, uint64_t hash_key, defrag_settle_fn settle,
			     void *ctx);
/* Accepts NULL. Settles nothing: flush first. */
void defrag_destroy(struct defrag *d);

/* Takes one fragment. Returns FT_PKT_HELD (kept; settles later), FT_PKT_CARRIED
 * (this one made the datagram whole: *out is filled; the held ones have been
 * settled as carried) or the reason why this fragment was dropped:
 *   FRAG_DUPLICATE  offset, length, octets and `more` of one that is held; no harm done
 *   FRAG_OVERLAP    shares octets with one that is held; the datagram is given up
 *   FRAG_BAD        impossible in itself, a second or too early end, octets behind the
 *                   end, or one fragment too many; the datagram is given up
 * A fragment that is a whole datagram (RFC 6946) is carried at once and touches nothing.
 * The wait begins with the clock at the first fragment. Does defrag_expire's work first. */
enum ft_pkt_drop defrag_put(struct defrag *d, const struct fragment *f, struct datagram *out);

/* Settles what has waited DEFRAG_WAIT_US at now_us. Cheap when nothing has. */
void defrag_expire(struct defrag *d, uint64_t now_us);
/* Settles all that is held, at the end of the input. */
void defrag_flush(struct defrag *d, uint64_t now_us);
/* Fragments held now. */
size_t defrag_held(const struct defrag *d);

#endif

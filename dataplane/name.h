/* SPDX-License-Identifier: BSD-3-Clause */
/* Domain names on the wire: walk, follow pointers, fold case, hash.
 *
 * A folded name is the uncompressed wire form (RFC 1035 3.1) with A-Z in lower
 * case, the root's zero octet included. Length octets are below 64 and so never
 * look like letters: a whole name folds octet by octet. No state, any thread. */
#ifndef DATAPLANE_NAME_H
#define DATAPLANE_NAME_H

#include "cursor.h"

#include <fluxtap/dns.h>
#include <fluxtap/drop.h>

#define NAME_PAD_BYTES 32u /* a padded name may be read so far, whatever its length */
/* Room that name_read may write: a name, and what a wide store may add. */
#define NAME_BUF_BYTES 256u

/* Reads the name at c and moves c behind it. Writes the folded name into out
 * (NAME_BUF_BYTES) and its length (1..255) into *out_len. Pointers must lead
 * backwards, each further than the last one (RFC 1035 4.1.4). */
enum ft_msg_drop name_read(struct cursor *c, uint8_t *out, uint32_t *out_len);
/* The same by the long way alone: the reference that name_read's quick way for
 * names without pointers is tested against. */
enum ft_msg_drop name_read_any(struct cursor *c, uint8_t *out, uint32_t *out_len);

/* The name at p, if it is whole within `room` octets and has no pointer: writes its
 * folded form into out (NAME_BUF_BYTES) and returns its length; else 0. */
uint32_t name_read_plain(const uint8_t *p, uint32_t room, uint8_t *out);

/* The offset behind the name at off, pointers not followed; 0 where it is damaged or does
 * not end before len. Most names that are stepped over are a pointer, or the root of an
 * OPT record. */
static inline uint32_t name_end(const uint8_t *msg, uint32_t off, uint32_t len)
{
	while (off < len) {
		const uint32_t label = msg[off];
		if ((label == 0) | (label >= 0xc0)) { /* one octet, or two */
			off += 1u + (label >= 0xc0);
			return off <= len ? off : 0;
		}
		if (label > FT_LABEL_CAP)
			return 0;
		off += label + 1;
	}
	return 0;
}

/* Compares two names of one message, pointers followed, case ignored. */
bool name_equal(const uint8_t *msg, uint32_t len, uint32_t a_off, uint32_t b_off);

/* Keyed hash of a folded name: 128-bit products of its 16-octet pieces with the secret
 * seed, folded (as in wyhash). Without the seed nobody can make two names meet; two
 * given names meet with probability 2^-64 or so. */
uint64_t name_hash(const uint8_t *folded, uint32_t len, uint64_t seed);
/* The same value; the name has readable room up to the next multiple of 16 octets, and
 * 32 at least. */
uint64_t name_hash_padded(const uint8_t *folded, uint32_t len, uint64_t seed);
/* XXH3 with the sketches' seed: the same on every site and in every run. */
uint64_t name_sketch_hash(const uint8_t *folded, uint32_t len, uint64_t seed);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client did within an interval, second by second: a line of octets in its entry of
 * the table of clients. Which seconds it asked for A and AAAA in, which domains do not
 * exist, whom it asked. Goes out with the entry (rec_dga.h) whenever it is full.
 * Worker's thread; no memory of its own. */
#ifndef DATAPLANE_DIARY_H
#define DATAPLANE_DIARY_H

#include "batch.h"

#include <fluxtap/rec_dga.h>

#include <emmintrin.h>

#define DIARY_NOTE_BYTES 28u
#define DIARY_MADE_UP 4u /* some note is of FT_NOTE_MADE_UP */

struct diary {
	uint32_t anchor_s, last_s; /* of the first and the last note */
	uint32_t last_hash;        /* the last note about a name; it is not made twice */
	uint8_t n;                 /* octets of notes */
	uint8_t servers;           /* FT_DIARY_SERVERS + 1: too many to tell */
	uint8_t last_kind,
	    last_name_s; /* of that note: kind (and DIARY_MADE_UP), second's low octet */
	uint32_t server[FT_DIARY_SERVERS]; /* id << 8 | queries */
	uint8_t unanswered[FT_DIARY_SERVERS];
	uint8_t note[DIARY_NOTE_BYTES];
};
static_assert(sizeof(struct diary) == CACHE_LINE, "one line");

/* What a transaction is worth a note for. */
struct diary_note {
	uint64_t hash; /* of the registered domain, this run's */
	uint8_t kind, type;
};

/* Counts a query to a server. False: there is no room, the diary has to go out first. */
static inline bool diary_ask(struct diary *d, uint32_t id, bool unanswered)
{
	const __m128i ids = _mm_srli_epi32(_mm_loadu_si128((const void *)d->server), 8);
	const int same = _mm_movemask_epi8(_mm_cmpeq_epi32(ids, _mm_set1_epi32((int)id)));

	if (same != 0) { /* no server has id 0: that is a slot's that is free */
		const unsigned i = (unsigned)__builtin_ctz((unsigned)same) / 4;
		if ((d->server[i] & 0xff) == 0xff)
			return false;
		d->server[i]++;
		d->unanswered[i] = (uint8_t)(d->unanswered[i] + unanswered);
	} else if (d->servers < FT_DIARY_SERVERS) {
		d->server[d->servers] = id << 8 | 1;
		d->unanswered[d->servers++] = unanswered;
	} else {
		d->servers = FT_DIARY_SERVERS + 1;
	}
	return true;
}

/* The same name again, as with A and AAAA: of the query alone there is something new. */
static inline bool diary_knows(const struct diary *d, const struct diary_note *x, uint32_t second)
{
	return (d->last_kind & 3) == x->kind && d->last_hash == (uint32_t)x->hash &&
	       (uint8_t)(second - d->last_name_s) < 128;
}

/* Adds a note, if the transaction is worth one; there must be room (diary_has_room). */
static inline void diary_put(struct diary *d, const struct diary_note *x, uint32_t second)
{
	const unsigned kind = x->kind != FT_NOTE_PLAIN && diary_knows(d, x, second)
				  ? (unsigned)FT_NOTE_PLAIN
				  : x->kind;

	if (kind == FT_NOTE_PLAIN && x->type == FT_NOTE_OTHER)
		return;
	if (d->n == 0)
		d->anchor_s = d->last_s = second;
	const uint32_t step = second - d->last_s + FT_NOTE_BACK;
	uint8_t *p = d->note + d->n;
	*p++ = (uint8_t)(x->type | kind << 2 | (step < FT_NOTE_FAR ? step : FT_NOTE_FAR) << 4);
	if (step >= FT_NOTE_FAR)
		p = ft_put_varint(p, second);
	if (kind != FT_NOTE_PLAIN) {
		d->last_hash = (uint32_t)x->hash;
		d->last_kind = (uint8_t)((d->last_kind & DIARY_MADE_UP) | kind |
					 (kind == FT_NOTE_MADE_UP ? DIARY_MADE_UP : 0));
		d->last_name_s = (uint8_t)second;
		memcpy(p, &d->last_hash, 4);
		p += 3;
		if (kind != FT_NOTE_MISSING) {
			p[1] = (uint8_t)(x->hash >> 32);
			p += 2;
		}
	}
	d->n = (uint8_t)(p - d->note);
	d->last_s = second;
}

static inline bool diary_has_room(const struct diary *d)
{
	return d->n + FT_NOTE_CAP <= DIARY_NOTE_BYTES;
}

#define DIARY_WIRE_CAP (1u + FT_DIARY_SERVERS * 5u + 3u + DIARY_NOTE_BYTES)

/* Writes it as it stands at the end of an entry, of at most DIARY_WIRE_CAP octets. */
static inline uint8_t *diary_write(const struct diary *d, uint8_t *p)
{
	const unsigned servers = d->servers > FT_DIARY_SERVERS ? 0 : d->servers;
	uint32_t unanswered;

	if (d->n == 0 && d->servers == 0)
		return p;
	memcpy(&unanswered, d->unanswered, sizeof(unanswered));
	*p++ = (uint8_t)(servers | (servers != d->servers ? FT_DIARY_MANY : 0) |
			 (unanswered != 0 ? FT_DIARY_UNANSWERED : 0) |
			 (d->last_kind & DIARY_MADE_UP ? FT_DIARY_MADE_UP : 0));
	memcpy(p, d->server, sizeof(d->server));
	p += sizeof(*d->server) * servers;
	if (unanswered != 0) {
		memcpy(p, &unanswered, sizeof(unanswered));
		p += servers;
	}
	p = ft_put_varint(p, d->anchor_s);
	memcpy(p, d->note, sizeof(d->note));
	return p + d->n;
}

#endif

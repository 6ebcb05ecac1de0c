/* SPDX-License-Identifier: BSD-3-Clause */
/* How often the set of a delegation's name servers, or of a name server's addresses,
 * has changed in a day.
 *
 * A set that is part of another is no change (servers leave out what does not fit)
 * before it has been seen three times in a row, and, where it is the smaller one, the
 * larger before it as often. What a parent says is one history, whichever server said it;
 * of what others say each view has its own. No I/O, no allocation but for sets. */
#ifndef CONTROL_STATS_FLUX_MOVES_H
#define CONTROL_STATS_FLUX_MOVES_H

#include "flux_rows.h"

#define MOVES_SETS_CAP 24u /* beyond, those go that were not seen for longest */
#define MOVES_VIEWS_CAP 8u /* beyond, later ones are not followed */
#define MOVES_NONE 0xffu
#define MOVES_SEEN_CAP 0xffffu
#define MOVES_PARENT 0u /* the view that has a parent's history */

struct moves_set {
	uint64_t hash;  /* of the content, the same in every run */
	uint64_t count; /* observations */
	uint8_t *rdata; /* as in struct ft_rrset_text */
	uint32_t first_s, last_s;
	uint16_t bytes;
	uint8_t texts, cut;
};

struct moves_view {
	uint32_t view;
	uint32_t changes;
	uint32_t current_s;        /* when it saw `current` last */
	uint8_t current, pending;  /* sets; MOVES_NONE */
	uint8_t stable, pending_n; /* observations in a row, up to MOVES_STABLE */
};
#define MOVES_STABLE 3u

struct moves {
	uint64_t name_key;
	struct moves_set *set; /* [sets] */
	uint8_t *name;         /* folded, once a record is due */
	uint32_t first_s, last_s;
	uint32_t ttl_min, ttl_max;
	uint16_t views_seen; /* not followed ones are counted once a row */
	uint8_t what;        /* type, side and vantage, as in struct ft_rrset */
	uint8_t name_len;
	uint8_t sets, views;
	uint8_t told; /* level of the last record */
	bool double_flux;
	struct moves_view view[]; /* [views] */
};

struct moves *moves_create(const struct ft_rrset *first);
void moves_destroy(struct moves *m);
size_t moves_bytes(const struct moves *m);

/* The view's place, made where it is not there; MOVES_NONE: too many, or no memory. m
 * may move. */
unsigned moves_view(struct moves **m, uint32_t view);
/* The place of a set, made where it is not there; MOVES_NONE: no memory. */
unsigned moves_set(struct moves *m, uint64_t hash, const struct ft_rrset_text *t, uint32_t t_s);
/* A server of the parent says the set: true where what it said last was another one. Beyond
 * the first few servers it is not known. m may move. */
bool moves_say(struct moves **m, uint32_t server, unsigned set);
/* The view sees the set in a second that is not before the last one; other: who says so is
 * known to have said another one before. */
void moves_step(struct moves *m, unsigned view, unsigned set, uint32_t t_s, bool other);
/* The most that any view saw. */
uint32_t moves_changes(const struct moves *m);

void moves_write(const struct moves *m, struct flux_out *out);
/* NULL + errno (EBADMSG, ENOMEM). */
struct moves *moves_read(struct ft_reader *r);

#endif

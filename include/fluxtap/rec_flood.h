/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of FT_REC_FLOOD records: registered domains seen through one name in
 * FT_FLOOD_NAMES, by a hash that is the same on all workers and in every run.
 *
 * What is in the sample does not depend on how names are split over workers, and all
 * entries of one domain, vantage point and interval add up (distinct counts as sets):
 * so control finds the same floods whatever the split. Readers take any octets. */
#ifndef FLUXTAP_REC_FLOOD_H
#define FLUXTAP_REC_FLOOD_H

#include <fluxtap/rec_match.h>

#define FT_FLOOD_NAMES 16u   /* one name in so many */
#define FT_FLOOD_CLIENTS 64u /* clients are counted over one name in so many */
#define FT_FLOOD_BINS 16u    /* of an interval, of equal length */

enum ft_flood_part {
	FT_FLOOD_COUNTS = 1, /* struct ft_flood_counts and a small distinct count of names */
	FT_FLOOD_TEXT,       /* the domain, folded wire form */
	FT_FLOOD_CLIENT,     /* an address of 16 octets, who sent `count` queries */
	FT_FLOOD_SKIPPED,    /* nothing: `count` names were not looked at in full */
	FT_FLOOD_PART_CAP
};

struct ft_flood_id {
	uint8_t part;    /* enum ft_flood_part */
	uint8_t vantage; /* 0 where the part has none: FT_FLOOD_SKIPPED */
	uint16_t bytes;  /* of the entry, this included */
	uint32_t count;  /* queries, of the sample */
	uint64_t domain_key;
};
static_assert(sizeof(struct ft_flood_id) == 16, "flood id");

struct ft_flood_counts {
	uint32_t failed; /* queries with NXDOMAIN, SERVFAIL, REFUSED or no answer */
	uint32_t bin[FT_FLOOD_BINS];
};
static_assert(sizeof(struct ft_flood_counts) == 68, "flood counts");
#define FT_FLOOD_ENTRY_CAP                                                                         \
	(sizeof(struct ft_flood_id) + sizeof(struct ft_flood_counts) + FT_FEW_WIRE_CAP)
static_assert(FT_FLOOD_ENTRY_CAP <= 1024, "entries are of at most 1,024 octets");

/* An entry as read: what is behind the id (and the counts) stays where it was. */
struct ft_flood_entry {
	struct ft_flood_id id;
	struct ft_flood_counts counts; /* of FT_FLOOD_COUNTS */
	const uint8_t *data;           /* distinct count, name or address */
	size_t bytes;
};

/* Reads the entry at body[*at..bytes) and moves *at behind it. 1; 0 at the end; -1 for
 * octets that are no entry. */
static inline int ft_flood_next(const uint8_t *body, size_t bytes, size_t *at,
				struct ft_flood_entry *e)
{
	const size_t left = bytes - *at;

	if (left == 0)
		return 0;
	if (left < sizeof(e->id))
		return -1;
	memcpy(&e->id, body + *at, sizeof(e->id));
	if (e->id.bytes < sizeof(e->id) || e->id.bytes > left || e->id.vantage >= FT_VANTAGE_CAP)
		return -1;
	e->data = body + *at + sizeof(e->id);
	e->bytes = e->id.bytes - sizeof(e->id);
	*at += e->id.bytes;
	switch (e->id.part) {
	case FT_FLOOD_COUNTS:
		if (e->bytes < sizeof(e->counts))
			return -1;
		memcpy(&e->counts, e->data, sizeof(e->counts));
		e->data += sizeof(e->counts);
		e->bytes -= sizeof(e->counts);
		return 1;
	case FT_FLOOD_TEXT: return ft_match_name_sound(e->data, e->bytes, 0, 0) ? 1 : -1;
	case FT_FLOOD_CLIENT: return e->bytes == 16 ? 1 : -1;
	case FT_FLOOD_SKIPPED: return e->bytes == 0 ? 1 : -1;
	default: return -1;
	}
}

#endif

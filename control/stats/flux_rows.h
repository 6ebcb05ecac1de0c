/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sets made of RRset observations share: a row's observations in order, and
 * the octets of a snapshot. Control's thread. */
#ifndef CONTROL_STATS_FLUX_ROWS_H
#define CONTROL_STATS_FLUX_ROWS_H

#include <fluxtap/rec_rrset.h>

#include <stddef.h>

struct stat_parts;

#define DAY_S 86400u

struct flux_rows {
	struct ft_rrset *v; /* by owner, kind (FT_RRSET_KEY), view, minute, set */
	size_t n, room;
	uint32_t *bucket; /* [1 << bits], by the top bits of the owner's key */
	unsigned bits;
	bool (*wanted)(void *ctx, const struct ft_rrset *x);
	void *ctx;
};

/* The observations of these kinds (RRSETS_KIND) that are wanted. `wanted` is asked twice;
 * NULL: all are. -ENOMEM: none are there. */
int flux_rows_read(struct flux_rows *r, const struct stat_parts *rrsets, uint32_t kinds,
		   bool (*wanted)(void *ctx, const struct ft_rrset *x), void *ctx);
void flux_rows_fini(struct flux_rows *r);

/* The second of the day of one that was seen in a row that begins at start_s. */
static inline uint32_t flux_second(uint64_t start_s, uint32_t minute, unsigned second)
{
	const uint64_t day_s = start_s - start_s % DAY_S;
	const uint64_t t = (start_s / 60 + minute) * 60 + second;

	return t < day_s ? 0 : t - day_s >= DAY_S ? DAY_S - 1 : (uint32_t)(t - day_s);
}

/* Octets that grow. */
struct flux_out {
	uint8_t *p;
	size_t n, room;
	bool short_of_memory;
};

/* Room for n octets more; NULL where there is none. */
uint8_t *flux_out_room(struct flux_out *o, size_t n);

static inline void flux_put(struct flux_out *o, uint64_t v)
{
	uint8_t *p = flux_out_room(o, FT_VARINT_CAP);

	if (p != NULL)
		o->n = (size_t)(ft_put_varint(p, v) - o->p);
}

static inline void flux_put_octets(struct flux_out *o, const void *data, size_t n)
{
	uint8_t *p = flux_out_room(o, n);

	if (p != NULL && n != 0)
		o->n = (size_t)(ft_put_bytes(p, data, n) - o->p);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's diary, which stands at the end of an FT_REC_CLIENT entry, and entries of
 * FT_REC_DGA_NAME: names that look made up.
 *
 *	diary    head servers unanswered anchor notes     head: bits 0-2 number of servers,
 *	         3: there were more, 4: unanswered follows, 5: a note is FT_NOTE_MADE_UP
 *	server   4 octets, id << 8 | queries; unanswered: an octet for each
 *	anchor   second of the interval
 *	note     bits 0-1 enum ft_note_type, 2-3 enum ft_note_kind, 4-7 seconds since the
 *	         last note (the anchor) + FT_NOTE_BACK, or FT_NOTE_FAR: the second follows;
 *	         hash of the registered domain, 3 or 5 octets, where the kind has one
 *
 *	name     hash(8) shapes(8) what, name behind its length; answered: microseconds of the
 *	         interval, addresses of 4 or 16 octets behind an octet that says which
 * Merge: servers and notes by their sum, names by hash, the earliest answer stands. */
#ifndef FLUXTAP_REC_DGA_H
#define FLUXTAP_REC_DGA_H

#include <fluxtap/varint.h>

#include <assert.h>

enum ft_note_kind {
	FT_NOTE_PLAIN,    /* a query for A or AAAA */
	FT_NOTE_MISSING,  /* its registered domain does not exist: NXDOMAIN */
	FT_NOTE_MADE_UP,  /* likewise, and looks generated */
	FT_NOTE_ANSWERED, /* a name that looks generated, with data */
};
enum ft_note_type { FT_NOTE_A, FT_NOTE_AAAA, FT_NOTE_OTHER, FT_NOTE_TYPES };

#define FT_NOTE_BACK 5u
#define FT_NOTE_FAR 15u
#define FT_NOTE_CAP 9u /* octets of a note */
#define FT_DIARY_SERVERS 4u
#define FT_DIARY_MANY 8u
#define FT_DIARY_UNANSWERED 16u
#define FT_DIARY_MADE_UP 32u
#define FT_DIARY_ID_MASK 0xffffffu

/* Octets of the hash that a note of this kind has. */
static inline unsigned ft_note_hash_bytes(unsigned kind)
{
	return kind == FT_NOTE_PLAIN ? 0 : kind == FT_NOTE_MISSING ? 3 : 5;
}

/* Of a hash, what notes have: the same for all notes about one name. */
static inline uint64_t ft_note_hash(uint64_t hash, unsigned kind)
{
	return hash & ((1ull << 8 * ft_note_hash_bytes(kind)) - 1);
}

struct ft_diary_server {
	uint32_t id;
	uint64_t queries, unanswered;
};

struct ft_diary {
	struct ft_diary_server server[FT_DIARY_SERVERS];
	unsigned servers;
	bool many, made_up;
	uint32_t second;        /* of the last note */
	struct ft_reader notes; /* that are left */
};

struct ft_note {
	uint32_t second;
	uint8_t kind, type;
	uint64_t hash;
};

/* Reads what stands before the notes; false where it cannot be. */
static inline bool ft_diary_read(struct ft_reader r, struct ft_diary *d)
{
	const uint8_t head = ft_get_u8(&r);

	d->servers = head & 7;
	d->many = (head & FT_DIARY_MANY) != 0;
	d->made_up = (head & FT_DIARY_MADE_UP) != 0;
	if (d->servers > FT_DIARY_SERVERS || head >> 6 != 0)
		return false;
	for (unsigned i = 0; i < d->servers; i++) {
		const uint32_t x = ft_get_u32(&r);
		d->server[i] = (struct ft_diary_server){.id = x >> 8, .queries = x & 0xff};
	}
	for (unsigned i = 0; i < d->servers && (head & FT_DIARY_UNANSWERED) != 0; i++)
		d->server[i].unanswered = ft_get_u8(&r);
	d->second = (uint32_t)ft_get_varint(&r, 86399);
	d->notes = r;
	return !r.bad;
}

/* The next note; false at the end, and where d->notes.bad. */
static inline bool ft_diary_next(struct ft_diary *d, struct ft_note *n)
{
	struct ft_reader *r = &d->notes;

	if (r->bad || r->at == r->end)
		return false;
	const uint8_t head = ft_get_u8(r);
	n->type = head & 3;
	n->kind = head >> 2 & 3;
	n->second = head >> 4 == FT_NOTE_FAR ? (uint32_t)ft_get_varint(r, 86399)
					     : d->second + (head >> 4) - FT_NOTE_BACK;
	const uint8_t *hash = ft_get_bytes(r, ft_note_hash_bytes(n->kind));
	n->hash = 0;
	if (hash != NULL)
		memcpy(&n->hash, hash, ft_note_hash_bytes(n->kind));
	r->bad |= n->type >= FT_NOTE_TYPES || n->second > 86399;
	d->second = n->second;
	return !r->bad;
}

/* --- names --- */

enum { FT_DGA_NARROW = 1, FT_DGA_LISTED = 2, FT_DGA_ANSWERED = 4 };
#define FT_DGA_ADDRS 4u
#define FT_DGA_NAME_CAP (1u + 32u + FT_NAME_CAP + FT_DGA_ADDRS * 17u + FT_ENTRY_LEN_CAP)

struct ft_dga_name {
	uint64_t hash, shapes;
	uint8_t what;
	uint8_t name_len; /* folded wire form: a label and a public suffix */
	const uint8_t *name;
	uint64_t time_us; /* ANSWERED: from the row's begin on */
	uint8_t addrs;    /* ANSWERED */
	uint8_t addr[FT_DGA_ADDRS][16];
	bool v6[FT_DGA_ADDRS]; /* else the first 4 octets */
};

/* Writes an entry into out (FT_DGA_NAME_CAP). */
static inline size_t ft_dga_name_write(const struct ft_dga_name *x, uint8_t *out)
{
	uint8_t *p = ft_put_u64(out + 1, x->hash);

	p = ft_put_u64(p, x->shapes);
	p = ft_put_u8(p, x->what);
	p = ft_put_u8(p, x->name_len);
	p = ft_put_bytes(p, x->name, x->name_len);
	if ((x->what & FT_DGA_ANSWERED) != 0) {
		p = ft_put_varint(p, x->time_us);
		for (unsigned i = 0; i < x->addrs; i++) {
			p = ft_put_u8(p, x->v6[i]);
			p = ft_put_bytes(p, x->addr[i], x->v6[i] ? 16 : 4);
		}
	}
	return (size_t)(ft_entry_close(out, p) - out);
}

/* Reads the body of an entry; false where it cannot be one. */
static inline bool ft_dga_name_read(struct ft_reader *body, struct ft_dga_name *x)
{
	memset(x, 0, sizeof(*x));
	x->hash = ft_get_u64(body);
	x->shapes = ft_get_u64(body);
	x->what = ft_get_u8(body);
	x->name_len = ft_get_u8(body);
	x->name = ft_get_bytes(body, x->name_len);
	if (x->name == NULL || !ft_name_is_whole(x->name, x->name_len) || x->name_len < 3)
		return false;
	if ((x->what & FT_DGA_ANSWERED) == 0)
		return !body->bad && body->at == body->end;
	x->time_us = ft_get_varint(body, UINT64_MAX);
	while (!body->bad && body->at != body->end) {
		const uint8_t v6 = ft_get_u8(body);
		const uint8_t *addr = ft_get_bytes(body, v6 != 0 ? 16 : 4);
		if (addr == NULL || x->addrs == FT_DGA_ADDRS)
			return false;
		x->v6[x->addrs] = v6 != 0;
		memcpy(x->addr[x->addrs++], addr, v6 != 0 ? 16 : 4);
	}
	return !body->bad;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* How entries of keyed tables are written: little-endian integers, varints of seven
 * bits an octet (lowest first, top bit: more follow), and a length in front.
 *
 * Writers trust their room; the reader has a sticky error and yields zeros past the
 * end, so that a decoder is a straight list of reads. */
#ifndef FLUXTAP_VARINT_H
#define FLUXTAP_VARINT_H

#include <fluxtap/dns.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FT_VARINT_CAP 10u /* octets of the longest one */
#define FT_ENTRY_CAP 1024u
#define FT_ENTRY_LEN_CAP 2u /* octets of an entry's length */

static inline uint8_t *ft_put_u8(uint8_t *p, uint8_t v)
{
	*p = v;
	return p + 1;
}

static inline uint8_t *ft_put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline uint8_t *ft_put_u64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline uint8_t *ft_put_bytes(uint8_t *p, const void *data, size_t n)
{
	memcpy(p, data, n);
	return p + n;
}

static inline uint8_t *ft_put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p = (uint8_t)v;
	return p + 1;
}

/* Writes the length of the body [entry + 1, end), which moves by an octet where it is a
 * long one; returns where the entry ends. A body is never empty, and so the entry's
 * first octet never zero. */
static inline uint8_t *ft_entry_close(uint8_t *entry, const uint8_t *end)
{
	const size_t n = (size_t)(end - entry) - 1;

	if (n < 0x80) {
		entry[0] = (uint8_t)n;
		return entry + 1 + n;
	}
	memmove(entry + FT_ENTRY_LEN_CAP, entry + 1, n);
	entry[0] = (uint8_t)(n | 0x80);
	entry[1] = (uint8_t)(n >> 7);
	return entry + FT_ENTRY_LEN_CAP + n;
}

/* The same of a body that is never longer than 127 octets. */
static inline uint8_t *ft_entry_close_brief(uint8_t *entry, uint8_t *end)
{
	entry[0] = (uint8_t)(end - entry - 1);
	return end;
}

struct ft_reader {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct ft_reader ft_reader_init(const void *data, size_t n)
{
	return (struct ft_reader){.at = data, .end = (const uint8_t *)data + n};
}

/* The next n octets; NULL where there are not so many. */
static inline const uint8_t *ft_get_bytes(struct ft_reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if (r->bad || (size_t)(r->end - r->at) < n) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return p;
}

static inline uint8_t ft_get_u8(struct ft_reader *r)
{
	const uint8_t *p = ft_get_bytes(r, 1);

	return p != NULL ? *p : 0;
}

static inline uint32_t ft_get_u32(struct ft_reader *r)
{
	const uint8_t *p = ft_get_bytes(r, 4);
	uint32_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t ft_get_u64(struct ft_reader *r)
{
	const uint8_t *p = ft_get_bytes(r, 8);
	uint64_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return v;
}

/* A number of at most `most`; anything beyond is damage. */
static inline uint64_t ft_get_varint(struct ft_reader *r, uint64_t most)
{
	uint64_t v = 0;

	/* Most are one octet. */
	if (!r->bad && r->at != r->end && *r->at < 0x80 && *r->at <= most)
		return *r->at++;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		const uint8_t octet = ft_get_u8(r);
		const uint64_t part = (uint64_t)(octet & 0x7f) << shift;
		if (part >> shift != (octet & 0x7f))
			break;
		v |= part;
		if ((octet & 0x80) != 0)
			continue;
		if (r->bad || v > most)
			break;
		return v;
	}
	r->bad = true;
	return 0;
}

/* The body of the next entry; false at the end, and where r->bad. */
static inline bool ft_entry_next(struct ft_reader *r, struct ft_reader *body)
{
	if (r->bad || r->at == r->end)
		return false;
	const size_t n = (size_t)ft_get_varint(r, FT_ENTRY_CAP);
	const uint8_t *p = ft_get_bytes(r, n);
	if (p == NULL || n == 0) {
		r->bad = true;
		return false;
	}
	*body = ft_reader_init(p, n);
	return true;
}

/* A name that stands in n octets: labels to the root, no pointers. */
static inline bool ft_name_is_whole(const uint8_t *name, uint32_t n)
{
	uint32_t at = 0;

	while (at < n && name[at] != 0) {
		if (name[at] > FT_LABEL_CAP)
			return false;
		at += name[at] + 1u;
	}
	return n <= FT_NAME_CAP && at + 1 == n;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "name.h"

#include "flow.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#define JUMPS_CAP 128u /* pointers in one name: one for each label that can be */

static inline uint8_t fold(uint8_t c)
{
	return (uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 32 : 0));
}

/* Where a pointer may lead: behind the header, and before the run of labels
 * that it stands in. Every jump so lowers the limit, and the walk must end. */
static uint32_t follow(const struct cursor *c, uint32_t limit)
{
	const uint32_t target = load_u16_be(c->base + c->off) & 0x3fffu;

	return target >= 12 && target < limit ? target : 0;
}

/* Eight octets at once: for each, whether it is in 'A'..'Z', in its top bit. */
static inline uint64_t fold_word(uint64_t x)
{
	const uint64_t ones = 0x0101010101010101u, top = 0x80 * ones;
	const uint64_t low = x & ~top;
	const uint64_t upper = (low + (0x80 - 'A') * ones) ^ (low + (0x7f - 'Z') * ones);

	return x | (upper & ~x & top) >> 2;
}

/* Folds n octets. Reads and writes no octet beyond them. */
static inline void fold_bytes(uint8_t *out, const uint8_t *in, uint32_t n)
{
	uint64_t x;

	if (n < 8) {
		for (uint32_t i = 0; i < n; i++)
			out[i] = fold(in[i]);
		return;
	}
	for (uint32_t i = 0; i + 8 <= n; i += 8) {
		memcpy(&x, in + i, 8);
		x = fold_word(x);
		memcpy(out + i, &x, 8);
	}
	/* The last word overlaps the one before. */
	memcpy(&x, in + n - 8, 8);
	x = fold_word(x);
	memcpy(out + n - 8, &x, 8);
}

/* Octets of a name without pointers at p, its root included; 0 for any other and
 * for damaged ones, which the long way looks at. */
static uint32_t plain_bytes_any(const uint8_t *p, uint32_t room, uint32_t n)
{
	const uint32_t end = room < FT_NAME_CAP ? room : FT_NAME_CAP;

	while (n < end) {
		const uint32_t label = p[n];
		if (label - 1 >= FT_LABEL_CAP) /* the root, or no label */
			return label == 0 ? n + 1 : 0;
		n += label + 1;
	}
	return 0;
}

/* Most names have PLAIN_LABELS labels at most: so many steps, whatever the name, for a
 * branch on its length would be guessed wrongly each time. At the root a step stays. */
#define PLAIN_LABELS 4u

static inline uint32_t plain_bytes(const uint8_t *p, uint32_t room)
{
	uint32_t n = 0;

	if (room == 0)
		return 0;
	for (unsigned i = 0; i < PLAIN_LABELS; i++) {
		const uint32_t label = p[n];
		const uint32_t next = n + label + (label != 0);
		/* What is damaged stays where it is, and is looked at once more. */
		n = ((label <= FT_LABEL_CAP) & (next < room)) ? next : n;
	}
	return p[n] == 0 && n < FT_NAME_CAP ? n + 1 : plain_bytes_any(p, room, n);
}

#if defined(__SSE2__)
/* Sixteen octets at once. Every x86-64 has this. */
static inline void fold_piece(uint8_t *out, const uint8_t *in)
{
	const __m128i from = _mm_set1_epi8((char)(0x80 - 'A')); /* A becomes the least */
	const __m128i less = _mm_set1_epi8((char)(-128 + 26));
	const __m128i bit = _mm_set1_epi8(0x20);
	const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)in);
	const __m128i upper = _mm_cmplt_epi8(_mm_add_epi8(x, from), less);

	_mm_storeu_si128((__m128i *)(void *)out, _mm_or_si128(x, _mm_and_si128(upper, bit)));
}
#else
static inline void fold_piece(uint8_t *out, const uint8_t *in)
{
	fold_bytes(out, in, 16);
}
#endif

/* Folds n octets of which at least n may be read at `in` (room), and a name's buffer
 * written at `out`. Two pieces, whatever the length: most names fit. */
static inline void fold_name(uint8_t *out, const uint8_t *in, uint32_t n, uint32_t room)
{
	uint32_t i = 32;

	if (room < 32) {
		fold_bytes(out, in, n);
		return;
	}
	fold_piece(out, in);
	fold_piece(out + 16, in + 16);
	for (; i + 16 <= n; i += 16)
		fold_piece(out + i, in + i);
	if (i < n) /* the last piece overlaps the one before */
		fold_piece(out + n - 16, in + n - 16);
}

uint32_t name_read_plain(const uint8_t *p, uint32_t room, uint8_t *out)
{
	const uint32_t n = plain_bytes(p, room);

	if (n != 0)
		fold_name(out, p, n, room);
	return n;
}

enum ft_msg_drop name_read_any(struct cursor *c, uint8_t *out, uint32_t *out_len)
{
	struct cursor at = *c;
	uint32_t n = 0, limit = c->off, jumps = 0;

	for (;;) {
		if (!cursor_has(&at, 1))
			return FT_MSG_QUESTION_CUT;
		const uint32_t label = at.base[at.off];
		if (label >= 0xc0) {
			if (!cursor_has(&at, 2))
				return FT_MSG_QUESTION_CUT;
			if (jumps++ == 0)
				c->off = at.off + 2;
			limit = follow(&at, limit);
			if (limit == 0 || jumps > JUMPS_CAP)
				return FT_MSG_NAME_LOOP;
			at.off = limit;
			continue;
		}
		if (label > FT_LABEL_CAP)
			return FT_MSG_BAD_LABEL;
		if (!cursor_has(&at, label + 1))
			return FT_MSG_QUESTION_CUT;
		if (n + label + 1 + (label != 0) > FT_NAME_CAP)
			return FT_MSG_NAME_LONG;
		fold_bytes(out + n, at.base + at.off, label + 1);
		n += label + 1;
		at.off += label + 1;
		if (label == 0)
			break;
	}
	if (jumps == 0)
		c->off = at.off;
	*out_len = n;
	return FT_MSG_KEPT;
}

enum ft_msg_drop name_read(struct cursor *c, uint8_t *out, uint32_t *out_len)
{
	const uint32_t n = c->bad ? 0 : name_read_plain(c->base + c->off, c->end - c->off, out);

	if (n == 0)
		return name_read_any(c, out, out_len);
	c->off += n;
	*out_len = n;
	return FT_MSG_KEPT;
}

/* Follows pointers at *off to a label; false where the name is damaged.
 * *limit falls with each jump, as in name_read. */
static bool settle(const uint8_t *msg, uint32_t len, uint32_t *off, uint32_t *limit,
		   uint32_t *jumps)
{
	while (*off < len && msg[*off] >= 0xc0) {
		const struct cursor c = cursor_init(msg, *off, len);
		if (!cursor_has(&c, 2) || ++*jumps > JUMPS_CAP)
			return false;
		*limit = follow(&c, *limit);
		if (*limit == 0)
			return false;
		*off = *limit;
	}
	return *off < len && msg[*off] <= FT_LABEL_CAP && *off + msg[*off] < len;
}

bool name_equal(const uint8_t *msg, uint32_t len, uint32_t a_off, uint32_t b_off)
{
	uint32_t a_limit = a_off, b_limit = b_off, a_jumps = 0, b_jumps = 0;

	/* 128 labels are the most that 255 octets can hold. */
	for (unsigned labels = 0; labels < 128; labels++) {
		if (!settle(msg, len, &a_off, &a_limit, &a_jumps) ||
		    !settle(msg, len, &b_off, &b_limit, &b_jumps))
			return false;
		const uint32_t label = msg[a_off];
		if (label != msg[b_off])
			return false;
		if (label == 0)
			return true;
		for (uint32_t i = 1; i <= label; i++)
			if (fold(msg[a_off + i]) != fold(msg[b_off + i]))
				return false;
		a_off += label + 1;
		b_off += label + 1;
	}
	return false;
}

/* Sixteen octets and what came before them into one word. */
static inline uint64_t hash_piece(uint64_t h, uint64_t lo, uint64_t hi, uint64_t seed)
{
	return hash_fold(lo ^ seed ^ 0xa0761d6478bd642full, hi ^ h ^ 0xe7037ed1a0b428dbull);
}

static inline uint64_t hash_begin(uint32_t len, uint64_t seed)
{
	return (seed << 32 | seed >> 32) + len;
}

static inline uint64_t hash_end(uint64_t h, uint32_t len, uint64_t seed)
{
	return hash_fold(h ^ seed, len ^ 0x8ebc6af09c88c6e3ull);
}

/* A piece of sixteen octets of which `gone` do not belong to the name. */
static inline uint64_t hash_masked(uint64_t h, const uint8_t *p, uint32_t gone, uint64_t seed)
{
	static const uint8_t keep[32] = {
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	};
	uint64_t x[2], mask[2];

	memcpy(x, p, 16);
	memcpy(mask, keep + gone, 16);
	return hash_piece(h, x[0] & mask[0], x[1] & mask[1], seed);
}

uint64_t name_hash_padded(const uint8_t *folded, uint32_t len, uint64_t seed)
{
	/* Two pieces, whatever the length, and no branch on it. */
	int32_t gone = 16 - (int32_t)len, more = 32 - (int32_t)len;
	uint64_t h = hash_begin(len, seed);

	gone &= ~(gone >> 31); /* at least 0 */
	more &= ~(more >> 31);
	more = 16 + ((more - 16) & ((more - 16) >> 31)); /* at most 16 */
	h = hash_masked(h, folded, (uint32_t)gone, seed);
	h = hash_masked(h, folded + 16, (uint32_t)more, seed);
	for (uint32_t i = 32; i < len; i += 16)
		h = hash_masked(h, folded + i, len - i < 16 ? 16 - (len - i) : 0, seed);
	return hash_end(h, len, seed);
}

uint64_t name_hash(const uint8_t *folded, uint32_t len, uint64_t seed)
{
	uint64_t h = hash_begin(len, seed);
	uint8_t tail[16] = {0};
	uint32_t i = 0;

	for (; i + 16 <= len; i += 16)
		h = hash_masked(h, folded + i, 0, seed);
	memcpy(tail, folded + i, len - i);
	for (; i < len || i < 32; i += 16) { /* two pieces at least, as above */
		h = hash_masked(h, tail, 0, seed);
		memset(tail, 0, sizeof(tail));
	}
	return hash_end(h, len, seed);
}

uint64_t name_sketch_hash(const uint8_t *folded, uint32_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(folded, len, seed);
}

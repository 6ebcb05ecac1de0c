/* SPDX-License-Identifier: BSD-3-Clause */
#include "shape.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LENGTHS 64u
#define SUFFIX_CAP 255u
#define NO_LINE UINT32_MAX
#define BIT_OTHER 63u /* of octets that are in no charset */
#define ANY 0u        /* the number of no suffix: lines that have none */

/* All lines of one suffix and length that have the same charset. */
struct entry {
	uint64_t outside; /* bits that no octet may have */
	uint64_t families;
	uint32_t refs_at, refs_n; /* lines that have a tag */
};

struct line {
	uint64_t outside;
	uint32_t tag, family;
	uint32_t suffix_at, suffix_n; /* numbers, rising; only ANY where the line has none */
	uint32_t earlier;             /* the next line before this one that has the same tag */
	uint8_t len_lo, len_hi;
};

struct suffix {
	uint8_t wire[SUFFIX_CAP];
	uint8_t len;
};

/* A line at one length under one suffix: what entries are made of. */
struct place {
	uint64_t outside;
	uint32_t cell, line;
};

struct shapes {
	uint64_t bit[256]; /* of each octet */
	uint32_t *cells;   /* [suffix][length]: where its entries begin; they end at the next's */
	struct entry *entries;
	uint32_t *refs;
	struct line *lines;
	uint32_t *line_suffixes;
	struct suffix *suffixes;
	uint32_t *slots; /* open addressing: hash of a suffix to its number; 0: free */
	uint32_t lines_n, line_suffixes_n, suffixes_n, slots_cap;
};

static inline uint32_t *find_suffix(const struct shapes *s, const uint8_t *wire, uint32_t len)
{
	for (uint32_t i = (uint32_t)XXH3_64bits(wire, len);; i++) {
		uint32_t *slot = &s->slots[i & (s->slots_cap - 1)];
		const struct suffix *known = &s->suffixes[*slot];
		if (*slot == 0 || (known->len == len && memcmp(known->wire, wire, len) == 0))
			return slot;
	}
}

/* Whether a line before `l` with its tag matches as well: the first one reports it. */
static bool earlier_matches(const struct shapes *s, const struct line *l, uint64_t octets,
			    uint32_t len, uint32_t suffix)
{
	for (uint32_t i = l->earlier; i != NO_LINE; i = s->lines[i].earlier) {
		const struct line *e = &s->lines[i];
		if ((octets & e->outside) != 0 || len < e->len_lo || len > e->len_hi)
			continue;
		for (uint32_t k = 0; k < e->suffix_n; k++) {
			const uint32_t want = s->line_suffixes[e->suffix_at + k];
			if (want == ANY || want == suffix)
				return true;
		}
	}
	return false;
}

struct tags {
	uint32_t *v, cap, *n;
};

static uint64_t match_cell(const struct shapes *s, uint32_t cell, uint64_t octets, uint32_t len,
			   uint32_t suffix, const struct tags *tags)
{
	uint64_t families = 0;

	for (uint32_t i = s->cells[cell]; i < s->cells[cell + 1]; i++) {
		const struct entry *e = &s->entries[i];
		if ((octets & e->outside) != 0)
			continue;
		families |= e->families;
		for (uint32_t k = 0; k < e->refs_n; k++) {
			const struct line *l = &s->lines[s->refs[e->refs_at + k]];
			if (l->earlier != NO_LINE && earlier_matches(s, l, octets, len, suffix))
				continue;
			if (*tags->n < tags->cap)
				tags->v[*tags->n] = l->tag;
			++*tags->n;
		}
	}
	return families;
}

uint64_t shapes_match(const struct shapes *s, const uint8_t *label, uint32_t label_len,
		      const uint8_t *suffix, uint32_t suffix_len, uint32_t *tags, uint32_t cap,
		      uint32_t *n)
{
	const struct tags out = {tags, cap, n};
	uint64_t octets = 0, families;

	if (label_len == 0 || label_len >= LENGTHS)
		return 0;
	const uint32_t k = *find_suffix(s, suffix, suffix_len);
	const uint32_t cell = k * LENGTHS + label_len;
	if (s->cells[label_len] == s->cells[label_len + 1] && s->cells[cell] == s->cells[cell + 1])
		return 0;
	for (uint32_t i = 0; i < label_len; i++)
		octets |= s->bit[label[i]];
	families = match_cell(s, label_len, octets, label_len, k, &out);
	if (k != ANY)
		families |= match_cell(s, cell, octets, label_len, k, &out);
	return families;
}

static void init_bits(struct shapes *s)
{
	for (uint32_t c = 0; c < 256; c++)
		s->bit[c] = 1ull << BIT_OTHER;
	for (uint32_t i = 0; i < 26; i++)
		s->bit['a' + i] = 1ull << i;
	for (uint32_t i = 0; i < 10; i++)
		s->bit['0' + i] = 1ull << (26 + i);
	s->bit['-'] = 1ull << 36;
	s->bit['_'] = 1ull << 37;
}

static bool is_end(char c)
{
	return c == '\0' || c == ' ' || c == '\t';
}

static uint32_t count_suffixes(const char *tlds)
{
	uint32_t n = 1;

	for (; tlds != NULL && !is_end(*tlds); tlds++)
		n += *tlds == ',';
	return n;
}

/* The suffix at text in wire form; returns where its text ends. shape_parse has seen
 * that it fits. */
static const char *read_suffix(const char *text, struct suffix *out)
{
	uint8_t length_at = 0, n = 1;

	for (; !is_end(*text) && *text != ',' && n < SUFFIX_CAP - 1; text++) {
		if (*text == '.') {
			out->wire[length_at] = (uint8_t)(n - length_at - 1);
			length_at = n++;
		} else {
			out->wire[n++] = (uint8_t)*text;
		}
	}
	out->wire[length_at] = (uint8_t)(n - length_at - 1);
	out->wire[n++] = 0;
	out->len = n;
	return text;
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Numbers the suffixes of a line, known and new ones. */
static void add_suffixes(struct shapes *s, struct line *l, const char *tlds)
{
	uint32_t *out = s->line_suffixes + s->line_suffixes_n, n = 0, kept = 0;

	l->suffix_at = s->line_suffixes_n;
	if (tlds == NULL)
		out[n++] = ANY;
	for (; tlds != NULL && !is_end(*tlds); tlds += *tlds == ',') {
		struct suffix *new = &s->suffixes[s->suffixes_n];
		tlds = read_suffix(tlds, new);
		uint32_t *slot = find_suffix(s, new->wire, new->len);
		if (*slot == 0)
			*slot = s->suffixes_n++;
		out[n++] = *slot;
	}
	qsort(out, n, sizeof(*out), compare_u32);
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || out[i] != out[i - 1])
			out[kept++] = out[i];
	l->suffix_n = kept;
	s->line_suffixes_n += kept;
}

/* Room for all that the lines have at most. */
static bool reserve(struct shapes *s, const struct shape_line *lines, size_t n)
{
	uint32_t suffixes = 1;

	for (size_t i = 0; i < n; i++)
		suffixes += count_suffixes(lines[i].tlds);
	for (s->slots_cap = 16; s->slots_cap < 2 * suffixes;)
		s->slots_cap *= 2;
	s->slots = calloc(s->slots_cap, sizeof(*s->slots));
	s->suffixes = calloc(suffixes + 1, sizeof(*s->suffixes));
	s->line_suffixes = calloc(suffixes, sizeof(*s->line_suffixes));
	s->lines = calloc(n + 1, sizeof(*s->lines));
	return s->slots != NULL && s->suffixes != NULL && s->line_suffixes != NULL &&
	       s->lines != NULL;
}

struct tag_line {
	uint32_t tag, line;
};

/* Chains the lines of each tag. */
static bool chain(struct shapes *s)
{
	struct tag_line *sorted = calloc(s->lines_n + 1u, sizeof(*sorted));

	if (sorted == NULL)
		return false;
	for (uint32_t i = 0; i < s->lines_n; i++)
		sorted[i] = (struct tag_line){s->lines[i].tag, i};
	qsort(sorted, s->lines_n, sizeof(*sorted), compare_u32); /* by their first member */
	for (uint32_t i = 0; i < s->lines_n; i++) {
		const bool first =
		    i == 0 || sorted[i].tag == 0 || sorted[i].tag != sorted[i - 1].tag;
		s->lines[sorted[i].line].earlier = first ? NO_LINE : sorted[i - 1].line;
	}
	free(sorted);
	return true;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->cell != y->cell)
		return x->cell < y->cell ? -1 : 1;
	if (x->outside != y->outside)
		return x->outside < y->outside ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* Every line at every length under every suffix, sorted; NULL: no memory. */
static struct place *list_places(const struct shapes *s, size_t *n)
{
	struct place *places;

	*n = 0;
	for (uint32_t i = 0; i < s->lines_n; i++)
		*n += s->lines[i].suffix_n * (s->lines[i].len_hi - s->lines[i].len_lo + 1u);
	places = calloc(*n + 1, sizeof(*places));
	if (places == NULL)
		return NULL;
	struct place *p = places;
	for (uint32_t i = 0; i < s->lines_n; i++) {
		const struct line *l = &s->lines[i];
		for (uint32_t k = 0; k < l->suffix_n; k++) {
			const uint32_t row = s->line_suffixes[l->suffix_at + k] * LENGTHS;
			for (uint32_t len = l->len_lo; len <= l->len_hi; len++)
				*p++ = (struct place){l->outside, row + len, i};
		}
	}
	qsort(places, *n, sizeof(*places), compare_places);
	return places;
}

/* Folds places into entries and cells. */
static bool fill_cells(struct shapes *s)
{
	const uint32_t cells_n = s->suffixes_n * LENGTHS;
	size_t n, at = 0;
	struct place *places = list_places(s, &n);
	uint32_t entries_n = 0, refs_n = 0;

	s->cells = calloc(cells_n + 1u, sizeof(*s->cells));
	s->entries = calloc(n + 1, sizeof(*s->entries));
	s->refs = calloc(n + 1, sizeof(*s->refs));
	if (places == NULL || s->cells == NULL || s->entries == NULL || s->refs == NULL) {
		free(places);
		return false;
	}
	for (uint32_t cell = 0; cell < cells_n; cell++) {
		s->cells[cell] = entries_n;
		while (at < n && places[at].cell == cell) {
			struct entry *e = &s->entries[entries_n++];
			*e = (struct entry){.outside = places[at].outside, .refs_at = refs_n};
			for (;
			     at < n && places[at].cell == cell && places[at].outside == e->outside;
			     at++) {
				const struct line *l = &s->lines[places[at].line];
				if (l->family < SHAPE_FAMILIES)
					e->families |= 1ull << l->family;
				if (l->tag != 0)
					s->refs[refs_n++] = places[at].line;
			}
			e->refs_n = refs_n - e->refs_at;
		}
	}
	s->cells[cells_n] = entries_n;
	free(places);
	return true;
}

struct shapes *shapes_create(const struct shape_line *lines, size_t n)
{
	struct shapes *s = calloc(1, sizeof(*s));

	if (s == NULL || n >= NO_LINE || !reserve(s, lines, n))
		goto no_memory;
	init_bits(s);
	s->suffixes_n = 1;
	for (size_t i = 0; i < n; i++) {
		struct line *l = &s->lines[s->lines_n++];
		*l = (struct line){.outside = ~lines[i].charset,
				   .tag = lines[i].tag,
				   .family = lines[i].family,
				   .len_lo = lines[i].len_lo,
				   .len_hi = lines[i].len_hi};
		add_suffixes(s, l, lines[i].tlds);
	}
	if (chain(s) && fill_cells(s))
		return s;
no_memory:
	shapes_destroy(s);
	errno = ENOMEM;
	return NULL;
}

void shapes_destroy(struct shapes *s)
{
	if (s == NULL)
		return;
	free(s->cells);
	free(s->entries);
	free(s->refs);
	free(s->lines);
	free(s->line_suffixes);
	free(s->suffixes);
	free(s->slots);
	free(s);
}

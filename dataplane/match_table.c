/* SPDX-License-Identifier: BSD-3-Clause */
#include "match_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CELLS 65u /* by length; the last one for what is longer */
#define NONE UINT32_MAX
#define WIRE_CAP 255u

/* Two nodes are not found by their pieces. */
enum { NODE_ANY_END, NODE_ANY_BEHIND, NODES_FIXED };

/* A form as it is looked at. */
struct item {
	uint64_t run_outside;
	uint16_t run_len_lo, run_len_hi, run_lo, run_hi;
	uint32_t id, piece_at;             /* head pieces, then tail pieces */
	uint8_t head_n, tail_n, literal_n; /* that many of the tail are the node's */
	bool any_before, any_behind, free; /* free: any number of pieces in between */
	bool key_known; /* length and set of the piece that cells go by say all of it */
};

/* Forms that end with the same literal pieces, or begin a text (NODE_ANY_BEHIND). */
struct node {
	uint32_t wire_at;       /* its pieces as in a wire name */
	uint32_t row;           /* forms by the length of the next piece; NONE */
	uint32_t any_at, any_n; /* forms whatever the next piece is */
	uint8_t wire_len;
	bool more; /* nodes one piece longer are known */
};

struct entry {
	uint64_t outside; /* of the piece's set */
	uint32_t item;
};

/* An entry and its place: a cell of a node, or CELLS for all. */
struct place {
	uint32_t node, cell;
	struct entry entry;
};

struct match_table {
	struct item *items;
	struct form_piece *pieces;
	struct form_element *elements;
	struct node *nodes;
	uint8_t *wire;
	struct place *places; /* until built */
	struct entry *entries;
	uint32_t *rows; /* [row][cell]: where its entries begin; CELLS + 1 a row */
	uint32_t *slots;
	uint32_t items_n, pieces_n, elements_n, nodes_n, wire_n, places_n, slots_cap;
	uint32_t items_cap, pieces_cap, elements_cap, nodes_cap, wire_cap, places_cap;
};

static inline uint64_t set_of(uint8_t c)
{
	return form_sets[c] != 0 ? form_sets[c] : 1ull << FORM_OTHER;
}

/* Whether the elements fit the piece's characters from p on, room of them. Where one
 * varies, it takes what the others leave. */
static bool fits(const struct match_table *t, const struct form_piece *f, const uint8_t *p,
		 uint32_t room)
{
	const struct form_element *e = t->elements + f->element_at;
	const uint32_t spare = room - f->lo;

	for (uint32_t k = 0; k < f->element_n; k++) {
		const uint32_t n = e[k].lo + (e[k].lo != e[k].hi ? spare : 0);
		for (uint32_t i = 0; i < n; i++)
			if ((e[k].set & set_of(*p++)) == 0)
				return false;
	}
	return true;
}

static bool whole_piece(const struct match_table *t, const struct match_view *v, uint32_t piece,
			uint32_t form_piece)
{
	const struct form_piece *f = &t->pieces[form_piece];
	const uint32_t len = v->len[piece];

	return len >= f->lo && len <= f->hi && fits(t, f, v->bytes + v->at[piece], len);
}

static bool end_of_piece(const struct match_table *t, const struct match_view *v, uint32_t piece,
			 uint32_t form_piece)
{
	const struct form_piece *f = &t->pieces[form_piece];
	const uint32_t len = v->len[piece];

	return len >= f->lo && fits(t, f, v->bytes + v->at[piece] + len - f->lo, f->lo);
}

static bool begin_of_piece(const struct match_table *t, const struct match_view *v, uint32_t piece,
			   uint32_t form_piece)
{
	const struct form_piece *f = &t->pieces[form_piece];

	return v->len[piece] >= f->lo && fits(t, f, v->bytes + v->at[piece], f->lo);
}

/* Pieces begin..begin + n as the form's run wants them. */
static bool run_fits(const struct item *m, const struct match_view *v, uint32_t begin, uint32_t n)
{
	const uint32_t last = begin + n - 1;

	if (n < m->run_lo || n > m->run_hi)
		return false;
	if (n == 0)
		return true;
	if (begin == 0)
		return (v->set_to[last] & m->run_outside) == 0 && v->lo_to[last] >= m->run_len_lo &&
		       v->hi_to[last] <= m->run_len_hi;
	for (uint32_t i = begin; i <= last; i++)
		if ((v->set[i] & m->run_outside) != 0 || v->len[i] < m->run_len_lo ||
		    v->len[i] > m->run_len_hi)
			return false;
	return true;
}

/* Everything of a form but the literal pieces at its end. */
static bool item_matches(const struct match_table *t, const struct match_view *v,
			 const struct item *m)
{
	const uint32_t fixed = m->head_n + (uint32_t)m->tail_n;
	const uint32_t head_from = m->any_behind && m->key_known;
	const uint32_t tail = m->tail_n - m->literal_n - (uint32_t)(!m->any_behind && m->key_known);

	if (v->n < fixed)
		return false;
	if (!m->free && !run_fits(m, v, m->head_n, v->n - fixed))
		return false;
	for (uint32_t i = head_from; i + m->any_behind < m->head_n; i++)
		if (!whole_piece(t, v, i, m->piece_at + i))
			return false;
	if (m->any_behind && !begin_of_piece(t, v, m->head_n - 1u, m->piece_at + m->head_n - 1))
		return false;
	for (uint32_t i = m->any_before; i < tail; i++)
		if (!whole_piece(t, v, v->n - m->tail_n + i, m->piece_at + m->head_n + i))
			return false;
	return !m->any_before || end_of_piece(t, v, v->n - m->tail_n, m->piece_at + m->head_n);
}

static void try_entries(const struct match_table *t, const struct match_view *v, uint32_t at,
			uint32_t end, uint64_t set, match_table_fn fn, void *ctx)
{
	for (; at < end; at++) {
		const struct entry *e = &t->entries[at];
		if ((e->outside & set) == 0 && item_matches(t, v, &t->items[e->item]))
			fn(ctx, t->items[e->item].id);
	}
}

/* Tries a node's forms; `piece` is the one they go on with, NONE: there is none. */
static void try_node(const struct match_table *t, const struct match_view *v,
		     const struct node *node, uint32_t piece, match_table_fn fn, void *ctx)
{
	if (node->any_n > 0)
		try_entries(t, v, node->any_at, node->any_at + node->any_n, 0, fn, ctx);
	if (node->row == NONE || piece == NONE)
		return;
	const uint32_t len = v->len[piece] < CELLS ? v->len[piece] : CELLS - 1;
	const uint32_t *cell = &t->rows[node->row * (CELLS + 1) + len];
	try_entries(t, v, cell[0], cell[1], v->set[piece], fn, ctx);
}

static inline uint32_t *find_node(const struct match_table *t, const uint8_t *wire, uint32_t len)
{
	for (uint32_t i = (uint32_t)XXH3_64bits(wire, len);; i++) {
		uint32_t *slot = &t->slots[i & (t->slots_cap - 1)];
		const struct node *node = &t->nodes[*slot];
		if (*slot == 0 ||
		    (node->wire_len == len && memcmp(t->wire + node->wire_at, wire, len) == 0))
			return slot;
	}
}

void match_table_step(const struct match_table *t, const struct match_view *v, match_table_fn fn,
		      void *ctx)
{
	const struct node *node = &t->nodes[NODE_ANY_END];

	if (t->items_n == 0)
		return;
	try_node(t, v, &t->nodes[NODE_ANY_BEHIND], 0, fn, ctx);
	try_node(t, v, node, v->n - 1, fn, ctx);
	for (uint32_t depth = 1; depth <= v->n && node->more; depth++) {
		const uint32_t at = v->at[v->n - depth] - 1u;
		const uint32_t number = *find_node(t, v->bytes + at, v->end - at);
		if (number == 0)
			return;
		node = &t->nodes[number];
		try_node(t, v, node, depth < v->n ? v->n - depth - 1 : NONE, fn, ctx);
	}
}

/* Room for `more` in an array. */
static bool reserve(void *array, uint32_t *cap, uint32_t n, uint32_t more, size_t size)
{
	void *v;
	uint32_t want = *cap > 0 ? *cap : 64;

	if (n + more <= *cap)
		return true;
	while (want < n + more)
		want *= 2;
	memcpy(&v, array, sizeof(v)); /* pointers of any type look alike */
	v = realloc(v, want * size);
	if (v == NULL)
		return false;
	memcpy(array, &v, sizeof(v));
	*cap = want;
	return true;
}
#define RESERVE(t, what, more)                                                                     \
	reserve(&(t)->what, &(t)->what##_cap, (t)->what##_n, more, sizeof(*(t)->what))

static int grow_slots(struct match_table *t)
{
	uint32_t *old = t->slots;

	t->slots = calloc(2 * t->slots_cap, sizeof(*t->slots));
	if (t->slots == NULL) {
		t->slots = old;
		return -ENOMEM;
	}
	t->slots_cap *= 2;
	for (uint32_t i = NODES_FIXED; i < t->nodes_n; i++)
		*find_node(t, t->wire + t->nodes[i].wire_at, t->nodes[i].wire_len) = i;
	free(old);
	return 0;
}

/* The number of the node for these pieces, known or new; NONE: no memory. */
static uint32_t get_node(struct match_table *t, const uint8_t *wire, uint32_t len)
{
	uint32_t *slot = find_node(t, wire, len);

	if (*slot != 0)
		return *slot;
	if (!RESERVE(t, nodes, 1) || !RESERVE(t, wire, len) ||
	    (2 * t->nodes_n > t->slots_cap && grow_slots(t) != 0))
		return NONE;
	*find_node(t, wire, len) = t->nodes_n;
	memcpy(t->wire + t->wire_n, wire, len);
	t->nodes[t->nodes_n] =
	    (struct node){.wire_at = t->wire_n, .wire_len = (uint8_t)len, .row = NONE};
	t->wire_n += len;
	return t->nodes_n++;
}

/* The character a set has alone; 0: it has several. */
static uint8_t only_character(uint64_t set)
{
	static const char order[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint32_t bit = (uint32_t)__builtin_ctzll(set);

	return (set & (set - 1)) != 0 || bit >= FORM_OTHER ? 0 : (uint8_t)order[bit];
}

/* A piece of single characters in wire form; 0: it is none. */
static uint32_t literal(const struct form *f, const struct form_piece *p, uint8_t *out)
{
	uint32_t n = 1;

	if (p->lo != p->hi || p->lo == 0 || p->lo > 63)
		return 0;
	for (uint32_t k = 0; k < p->element_n; k++) {
		const struct form_element *e = &f->elements[p->element_at + k];
		const uint8_t c = only_character(e->set);
		if (c == 0)
			return 0;
		for (uint32_t i = 0; i < e->lo; i++)
			out[n++] = c;
	}
	out[0] = (uint8_t)(n - 1);
	return n;
}

/* The node of a form's literal end; *literal_n pieces of the tail are in it. */
static uint32_t find_end(struct match_table *t, const struct form *f, uint8_t *literal_n)
{
	uint8_t wire[WIRE_CAP + 64];
	uint32_t node = NODE_ANY_END, from = WIRE_CAP, depth = 0;

	for (; depth + f->any_before < f->tail_n; depth++) {
		uint8_t piece[64];
		const uint32_t n =
		    literal(f, &f->pieces[f->head_n + f->tail_n - 1u - depth], piece);
		if (n == 0 || n > from)
			break;
		from -= n;
		memcpy(wire + from, piece, n);
		t->nodes[node].more = true;
		node = get_node(t, wire + from, WIRE_CAP - from);
		if (node == NONE)
			return NONE;
	}
	*literal_n = (uint8_t)depth;
	return node;
}

static int add_place(struct match_table *t, uint32_t node, uint32_t cell, uint64_t outside,
		     uint32_t item)
{
	if (!RESERVE(t, places, 1))
		return -ENOMEM;
	t->places[t->places_n++] = (struct place){node, cell, {outside, item}};
	return 0;
}

/* Enters the item where a text that has it will look: by the first piece, or by the one
 * in front of the literal end, or in any case. */
static int place_item(struct match_table *t, const struct form *f, uint32_t node, uint32_t item)
{
	struct item *m = &t->items[item];
	const uint32_t left = m->tail_n - m->literal_n;

	if (!m->any_behind && left == 0)
		return add_place(t, node, CELLS, 0, item);
	const struct form_piece *key = &f->pieces[m->any_behind ? 0 : m->head_n + left - 1];
	const bool part = m->any_behind ? m->head_n == 1 : m->any_before && left == 1;
	const uint32_t lo = key->lo < CELLS ? key->lo : CELLS - 1;
	const uint32_t hi = part || key->hi >= CELLS ? CELLS - 1 : key->hi;
	uint64_t set = part ? UINT64_MAX : 0;

	if (part && lo == 0)
		return add_place(t, node, CELLS, 0, item);
	for (uint32_t k = 0; k < key->element_n && !part; k++)
		set |= f->elements[key->element_at + k].set;
	/* The last cell has several lengths. */
	m->key_known = !part && key->element_n == 1 && key->lo < CELLS &&
		       (key->hi < CELLS - 1 || key->hi == FORM_MANY);
	for (uint32_t len = lo; len <= hi; len++)
		if (add_place(t, node, len, ~set, item) != 0)
			return -ENOMEM;
	return 0;
}

int match_table_add(struct match_table *t, const struct form *f, uint32_t id)
{
	const uint32_t pieces_n = (uint32_t)f->head_n + f->tail_n;
	uint8_t literal_n = 0;

	if (!RESERVE(t, items, 1) || !RESERVE(t, pieces, pieces_n) ||
	    !RESERVE(t, elements, f->elements_n))
		return -ENOMEM;
	const uint32_t node = f->any_behind ? NODE_ANY_BEHIND : find_end(t, f, &literal_n);
	if (node == NONE)
		return -ENOMEM;
	for (uint32_t i = 0; i < pieces_n; i++) {
		t->pieces[t->pieces_n + i] = f->pieces[i];
		t->pieces[t->pieces_n + i].element_at += t->elements_n;
	}
	if (f->elements_n > 0)
		memcpy(t->elements + t->elements_n, f->elements,
		       f->elements_n * sizeof(*f->elements));
	t->items[t->items_n] = (struct item){.run_outside = ~f->run_set,
					     .run_len_lo = f->run_len_lo,
					     .run_len_hi = f->run_len_hi,
					     .run_lo = f->run_lo,
					     .run_hi = f->run_hi,
					     .id = id,
					     .piece_at = t->pieces_n,
					     .head_n = f->head_n,
					     .tail_n = f->tail_n,
					     .literal_n = literal_n,
					     .any_before = f->any_before,
					     .any_behind = f->any_behind,
					     .free = f->any_before || f->any_behind};
	t->pieces_n += pieces_n;
	t->elements_n += f->elements_n;
	return place_item(t, f, node, t->items_n++);
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	if (x->cell != y->cell)
		return x->cell < y->cell ? -1 : 1;
	return x->entry.item < y->entry.item ? -1 : x->entry.item > y->entry.item;
}

int match_table_build(struct match_table *t)
{
	uint32_t rows = 0, at = 0;

	if (t->places_n > 0)
		qsort(t->places, t->places_n, sizeof(*t->places), compare_places);
	for (uint32_t i = 0; i < t->places_n; i++)
		if (t->places[i].cell < CELLS && t->nodes[t->places[i].node].row == NONE)
			t->nodes[t->places[i].node].row = rows++;
	t->entries = calloc(t->places_n + 1u, sizeof(*t->entries));
	t->rows = calloc((rows + 1u) * (CELLS + 1), sizeof(*t->rows));
	if (t->entries == NULL || t->rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->places_n; i++)
		t->entries[i] = t->places[i].entry;
	for (uint32_t n = 0; n < t->nodes_n; n++) {
		struct node *node = &t->nodes[n];
		uint32_t *row = node->row != NONE ? t->rows + node->row * (CELLS + 1) : NULL;
		for (uint32_t cell = 0; cell < CELLS; cell++) {
			if (row != NULL)
				row[cell] = at;
			while (at < t->places_n && t->places[at].node == n &&
			       t->places[at].cell == cell)
				at++;
		}
		if (row != NULL)
			row[CELLS] = at;
		node->any_at = at;
		while (at < t->places_n && t->places[at].node == n)
			at++;
		node->any_n = at - node->any_at;
	}
	assert(at == t->places_n);
	free(t->places);
	t->places = NULL;
	return 0;
}

struct match_table *match_table_create(void)
{
	struct match_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->slots_cap = 64;
	t->slots = calloc(t->slots_cap, sizeof(*t->slots));
	if (t->slots == NULL || !RESERVE(t, nodes, NODES_FIXED)) {
		match_table_destroy(t);
		errno = ENOMEM;
		return NULL;
	}
	for (; t->nodes_n < NODES_FIXED; t->nodes_n++)
		t->nodes[t->nodes_n] = (struct node){.row = NONE};
	return t;
}

void match_table_destroy(struct match_table *t)
{
	if (t == NULL)
		return;
	free(t->items);
	free(t->pieces);
	free(t->elements);
	free(t->nodes);
	free(t->wire);
	free(t->places);
	free(t->entries);
	free(t->rows);
	free(t->slots);
	free(t);
}

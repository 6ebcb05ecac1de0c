/* SPDX-License-Identifier: BSD-3-Clause */
/* Expressions that are no more than labels in a row, read into forms.
 *
 * A text is seen as pieces between its dots. A form says what each piece is made of;
 * an expression is one form or several (alternatives), or it is not this simple and
 * stays with Hyperscan. What a form matches is exactly what the expression finds in
 * the lower-case presentation form, caseless. Control's thread. */
#ifndef DATAPLANE_MATCH_FORM_H
#define DATAPLANE_MATCH_FORM_H

#include <stdbool.h>
#include <stdint.h>

/* Sets of characters: bits 0..25 a-z, 26..35 0-9, 36 '-', 37 '_', 38 all others but the
 * dot. */
#define FORM_OTHER 38u
#define FORM_DOT 39u /* among sets while they are read */
#define FORM_ANY ((1ull << (FORM_OTHER + 1)) - 1)
#define FORM_MANY UINT16_MAX /* no upper bound */
#define FORM_ELEMENTS_CAP 64u
#define FORM_PIECES_CAP 48u

/* So many characters of a set. */
struct form_element {
	uint64_t set;
	uint16_t lo, hi;
};

/* Elements in a row; at most one of them has lo != hi. */
struct form_piece {
	uint32_t element_at;
	uint16_t element_n;
	uint16_t lo, hi; /* length of them all */
};

/* Pieces from the text's begin (head), a run of like pieces, pieces up to the text's end
 * (tail). */
struct form {
	uint64_t run_set;
	uint16_t run_len_lo, run_len_hi; /* of each piece of the run */
	uint16_t run_lo, run_hi;         /* how many there are */
	uint8_t head_n, tail_n;
	bool any_before; /* the tail's first piece is the end of a piece, the rest is free */
	bool any_behind; /* the head's last piece is the begin of a piece, the rest is free */
	struct form_piece pieces[FORM_PIECES_CAP]; /* head, then tail */
	struct form_element elements[FORM_ELEMENTS_CAP];
	uint32_t elements_n;
};

/* The bit of each octet that stands for itself in lower-case text and is no dot; 0:
 * another one. */
extern const uint64_t form_sets[256];

/* Reads an expression that Hyperscan has accepted; calls fn with each of its forms.
 * False, and nothing called, where it is not simple. fn returns 0, or what
 * form_read then leaves in *result. */
typedef int (*form_fn)(void *ctx, const struct form *f);
bool form_read(const char *expression, form_fn fn, void *ctx, int *result);

#endif

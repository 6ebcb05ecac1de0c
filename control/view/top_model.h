/* SPDX-License-Identifier: BSD-3-Clause */
/* What `fluxtap top` shows, as a grid of characters of the terminal's size. Pure: no
 * terminal, no probe; top_curses.c draws it.
 *
 * Nothing but printable ASCII gets into the grid, whatever a name holds. */
#ifndef CONTROL_VIEW_TOP_MODEL_H
#define CONTROL_VIEW_TOP_MODEL_H

#include "counts.h"

#include <jansson.h>
#include <stdbool.h>

#define TOP_ROWS_CAP 200
#define TOP_COLS_CAP 400

enum top_look { LOOK_PLAIN, LOOK_TITLE, LOOK_DIM, LOOK_BAD, LOOK_GOOD, LOOK_BAR };

struct top_frame {
	int rows, cols;
	char ch[TOP_ROWS_CAP][TOP_COLS_CAP];
	unsigned char look[TOP_ROWS_CAP][TOP_COLS_CAP]; /* enum top_look */
};

enum top_tab { TAB_OVERVIEW, TAB_BOOKS, TAB_NAMES, TAB_FINDINGS, TOP_TABS };

struct top_input {
	const struct counts *now, *before; /* before: an earlier look; now NULL: none yet */
	const json_t *view;                /* the socket's answer, NULL: none */
	const char *note;                  /* what is to be said of the probe; "": it runs */
	enum top_tab tab;
	bool paused, help;
};

/* Fills the grid, at most as large as the caps. */
void top_frame_fill(struct top_frame *f, int rows, int cols, const struct top_input *in);

/* A number in at most 6 characters: 12345, 123.4k, 12.3M. */
const char *top_number(char out[16], double n);

#endif

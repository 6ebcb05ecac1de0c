/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts and tables into the grid of `fluxtap top`. Pure; writes never leave the grid, and
 * what is no printable ASCII is shown as a question mark. */
#ifndef CONTROL_VIEW_TOP_GRID_H
#define CONTROL_VIEW_TOP_GRID_H

#include "top_model.h"

/* A part of the grid; lines are added to it until it is full. */
struct grid_box {
	int y, x, width, height, used;
};

/* Puts a text at (y, x), cut before column `end`; returns the column behind it. */
int grid_put(struct top_frame *f, int y, int x, int end, enum top_look look, const char *text);
/* The same, and returns the next row. The last row of the grid is the footer's. */
int grid_line(struct top_frame *f, int y, int x, int end, enum top_look look, const char *text);
/* A line into a box; 1 if there was room. */
int grid_box_line(struct top_frame *f, struct grid_box *b, enum top_look look, const char *text);
/* A table as glance_json makes them; NULL: only its title. */
void grid_table(struct top_frame *f, struct grid_box b, const json_t *table, const char *title);

/* ns per packet of a stage, of one worker or of all: of what was timed between two looks, or
 * since the start where that is nothing. 0: not known. */
double grid_stage_ns(const struct counts *now, const struct counts *before, unsigned worker,
		     unsigned stage);
double grid_stage_ns_all(const struct counts *now, const struct counts *before, unsigned stage);

#endif

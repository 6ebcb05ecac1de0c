/* SPDX-License-Identifier: BSD-3-Clause */
/* A terminal for `fluxtap top`: the door of ncurses. One thread. */
#ifndef CONTROL_VIEW_TOP_CURSES_H
#define CONTROL_VIEW_TOP_CURSES_H

#include "top_model.h"

#define TOP_KEY_NONE (-1)
#define TOP_KEY_RESIZE 1000 /* draw again */

/* 0 or -ENOTTY where there is no terminal that can do it. */
int top_curses_open(void);
void top_curses_close(void);
void top_curses_size(int *rows, int *cols);
void top_curses_draw(const struct top_frame *f);
/* The next key, or TOP_KEY_NONE after timeout_ms. */
int top_curses_key(int timeout_ms);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_curses.h"

#include <curses.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAIR_BAD = 1, PAIR_GOOD, PAIR_TITLE };

static bool colours;
static SCREEN *screen;

int top_curses_open(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
		return -ENOTTY;
	(void)set_term(screen);
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	(void)set_escdelay(25);
	colours = has_colors() && start_color() == OK && use_default_colors() == OK;
	if (colours) {
		(void)init_pair(PAIR_BAD, COLOR_RED, -1);
		(void)init_pair(PAIR_GOOD, COLOR_GREEN, -1);
		(void)init_pair(PAIR_TITLE, COLOR_CYAN, -1);
	}
	return 0;
}

void top_curses_close(void)
{
	if (screen == NULL)
		return;
	(void)endwin();
	delscreen(screen);
	screen = NULL;
}

void top_curses_size(int *rows, int *cols)
{
	getmaxyx(stdscr, *rows, *cols);
}

static attr_t attribute(enum top_look look)
{
	switch (look) {
	case LOOK_BAD: return A_BOLD | (colours ? COLOR_PAIR(PAIR_BAD) : A_REVERSE);
	case LOOK_GOOD: return colours ? COLOR_PAIR(PAIR_GOOD) : A_NORMAL;
	case LOOK_TITLE: return A_BOLD | (colours ? COLOR_PAIR(PAIR_TITLE) : A_NORMAL);
	case LOOK_DIM: return A_DIM;
	case LOOK_BAR: return A_REVERSE;
	case LOOK_PLAIN: break;
	}
	return A_NORMAL;
}

void top_curses_draw(const struct top_frame *f)
{
	for (int y = 0; y < f->rows; y++)
		for (int x = 0; x < f->cols; x++)
			(void)mvaddch(y, x,
				      (chtype)(unsigned char)f->ch[y][x] |
					  attribute((enum top_look)f->look[y][x]));
	(void)refresh();
}

int top_curses_key(int timeout_ms)
{
	timeout(timeout_ms);
	const int key = getch();

	switch (key) {
	case ERR: return TOP_KEY_NONE;
	case KEY_RESIZE: return TOP_KEY_RESIZE;
	case KEY_RIGHT: return '\t';
	default: return key;
	}
}

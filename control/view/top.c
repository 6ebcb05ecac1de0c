/* SPDX-License-Identifier: BSD-3-Clause */
#include "top.h"

#include "../exit.h"
#include "../settings.h"
#include "target.h"
#include "top_curses.h"
#include "top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_US 1000000u
#define ASK_US 2000000u

struct top {
	struct ctl_options opts;
	struct target target;
	bool open;
	struct counts look[2]; /* the last two, newest at `at` */
	unsigned at, looks;
	json_t *view;
	uint64_t look_us, ask_us; /* when to do so next */
	char note[PATH_MAX + 300];
	struct top_frame frame;
	struct top_input in;
};

static void lost(struct top *t)
{
	char when[16];
	const time_t now = time(NULL);
	struct tm tm;

	target_close(&t->target);
	t->open = false;
	(void)strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&now, &tm));
	(void)snprintf(t->note, sizeof(t->note),
		       "probe %s ended at %s; these are its last figures; waiting for the next one",
		       t->look[t->at].probe, when);
}

static void found(struct top *t)
{
	t->open = true;
	t->looks = 0;
	t->note[0] = '\0';
	t->ask_us = 0;
	json_decref(t->view);
	t->view = NULL;
}

/* Looks at the segment; where its probe is gone, for another one. */
static void look(struct top *t)
{
	char err[PATH_MAX + 256];

	if (!t->open) {
		if (target_open(&t->target, &t->opts, err, sizeof(err)) == 0)
			found(t);
		else if (t->looks == 0)
			(void)snprintf(t->note, sizeof(t->note), "%s; waiting", err);
	}
	if (!t->open)
		return;
	const unsigned next = t->looks == 0 ? 0 : 1 - t->at;
	if (counts_take(&t->target.file, &t->look[next]) != 0) {
		lost(t);
		return;
	}
	t->at = next;
	t->looks += t->looks < 2;
}

static void ask(struct top *t)
{
	char err[PATH_MAX + 256];
	json_t *view = t->open ? target_ask(&t->target, "view", err, sizeof(err)) : NULL;

	if (view == NULL)
		return; /* what it said last still stands */
	json_decref(t->view);
	t->view = view;
}

static void draw(struct top *t)
{
	int rows, cols;

	t->in.now = t->looks != 0 ? &t->look[t->at] : NULL;
	t->in.before = t->looks == 2 ? &t->look[1 - t->at] : t->in.now;
	t->in.view = t->view;
	t->in.note = t->note;
	top_curses_size(&rows, &cols);
	top_frame_fill(&t->frame, rows, cols, &t->in);
	top_curses_draw(&t->frame);
}

/* False where it ends. */
static bool press(struct top *t, int key)
{
	switch (key) {
	case 'q':
	case 'Q': return false;
	case 'p': t->in.paused = !t->in.paused; break;
	case '?':
	case 'h': t->in.help = !t->in.help; break;
	case '\t': t->in.tab = (t->in.tab + 1) % TOP_TABS; break;
	default:
		if (key >= '1' && key < '1' + TOP_TABS)
			t->in.tab = (enum top_tab)(key - '1');
	}
	return true;
}

static void loop(struct top *t)
{
	bool goes_on = true;

	while (goes_on) {
		const uint64_t now_us = counts_now_us();
		if (now_us >= t->look_us && !t->in.paused) {
			t->look_us = now_us + LOOK_US;
			look(t);
		}
		if (now_us >= t->ask_us && !t->in.paused) {
			t->ask_us = now_us + ASK_US;
			ask(t);
		}
		draw(t);
		const uint64_t after_us = counts_now_us();
		const int wait_ms = t->look_us > after_us && !t->in.paused
					? (int)((t->look_us - after_us) / 1000 + 1)
					: (int)(LOOK_US / 1000);
		goes_on = press(t, top_curses_key(wait_ms));
	}
}

int top_main(int argc, char **argv)
{
	struct top *t = calloc(1, sizeof(*t));
	char err[PATH_MAX + 256];
	int code;

	if (t == NULL)
		return EXIT_FAILED;
	t->target.file.fd = -1;
	code = ctl_cli_options(COMMAND_TOP, argc, argv, &t->opts);
	if (code < 0 && target_open(&t->target, &t->opts, err, sizeof(err)) != 0) {
		(void)fprintf(stderr, "fluxtap top: %s\n", err);
		code = EXIT_FAILED;
	}
	if (code < 0 && top_curses_open() != 0) {
		(void)fprintf(stderr,
			      "fluxtap top: needs a terminal; \"fluxtap status\" does not\n");
		code = EXIT_USAGE;
	}
	if (code < 0) {
		found(t);
		loop(t);
		top_curses_close();
		code = EXIT_DONE;
	}
	target_close(&t->target);
	json_decref(t->view);
	ctl_cli_options_fini(&t->opts);
	free(t);
	return code;
}

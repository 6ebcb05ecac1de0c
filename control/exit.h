/* SPDX-License-Identifier: BSD-3-Clause */
/* Exit codes of every command, as the manual lists them. */
#ifndef CONTROL_EXIT_H
#define CONTROL_EXIT_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* failed while running; what was gathered is flushed and readable */
	EXIT_USAGE = 2,  /* wrong use or configuration */
	EXIT_MACHINE = 3 /* the machine lacks something: permission, huge pages, kernel feature */
};

#endif

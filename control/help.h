/* SPDX-License-Identifier: BSD-3-Clause */
/* What fluxtap says about itself: --help and `fluxtap help`.
 *
 * Everything about settings comes from the table in settings.c. Prints to the
 * stream it is given; errors go to standard error. */
#ifndef CONTROL_HELP_H
#define CONTROL_HELP_H

#include <stddef.h>
#include <stdio.h>

struct setting;

struct help_command {
	unsigned bit; /* enum setting_command, 0: none */
	const char *name, *synopsis, *brief, *text;
};
struct help_pair {
	const char *what, *text;
};

/* Commands, examples and exit codes, one after another; NULL behind the last. */
const struct help_command *help_command_at(size_t i);
const struct help_pair *help_example_at(size_t i);
const struct help_pair *help_exit_code_at(size_t i);

/* A setting's help with its range and default. */
void help_setting_text(const struct setting *s, char *out, size_t cap);

/* `fluxtap --help`. */
void help_print(FILE *out);

/* `fluxtap COMMAND --help`; `command` is one of enum setting_command. */
void help_command(FILE *out, unsigned command);

/* `fluxtap help [COMMAND | --man PAGE | --completion SHELL]`; argv[0] is "help". Returns the exit
 * code. */
int help_main(int argc, char **argv);

/* Says on standard error that there is no such command, and which there are.
 * Returns the exit code. */
int help_refuse(const char *command);

#endif

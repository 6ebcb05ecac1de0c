/* SPDX-License-Identifier: BSD-3-Clause */
/* What fluxtap says about itself: --help, `fluxtap help`, the man page's text.
 *
 * Everything about settings comes from the table in settings.c. Prints to the
 * stream it is given; errors go to standard error. */
#ifndef CONTROL_HELP_H
#define CONTROL_HELP_H

#include <stdio.h>

/* `fluxtap --help`. */
void help_print(FILE *out);

/* `fluxtap COMMAND --help`; `command` is one of enum setting_command. */
void help_command(FILE *out, unsigned command);

/* The man page's sections on commands, settings and exit codes, as mdoc. */
void help_mdoc(FILE *out);

/* `fluxtap help [COMMAND | --mdoc]`; argv[0] is "help". Returns the exit code. */
int help_main(int argc, char **argv);

/* Says on standard error that there is no such command, and which there are.
 * Returns the exit code. */
int help_refuse(const char *command);

#endif

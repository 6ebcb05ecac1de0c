/* SPDX-License-Identifier: BSD-3-Clause */
/* Completion of command lines for bash, zsh and fish, made from the table of settings and the
 * texts of help.c when fluxtap is built (`fluxtap help --completion SHELL`). */
#ifndef CONTROL_COMPLETE_H
#define CONTROL_COMPLETE_H

#include <stdio.h>

/* Prints the script for "bash", "zsh" or "fish". The exit code. */
int complete_print(FILE *out, const char *shell);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The manual pages, as mdoc: fluxtap.1, fluxtap.yaml.5 and fluxtap-output.5.
 *
 * Made when fluxtap is built, by itself (`fluxtap help --man PAGE`), from the table of settings,
 * the texts of help.c, the schema of records and the lists of counters and drop reasons, so that
 * none of them can say something else. */
#ifndef CONTROL_MAN_H
#define CONTROL_MAN_H

#include <stdio.h>

/* Prints one page. The exit code. */
int man_print(FILE *out, const char *page);

/* ---- for man_output.c ---- */

/* Running text: a sentence a line, nothing in it taken for a macro. */
void man_text(FILE *out, const char *text);
/* "Dd" to "Os". */
void man_head(FILE *out, const char *title, const char *section);
/* fluxtap-output.5. */
int man_output(FILE *out);

#endif

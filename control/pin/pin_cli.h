/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap pin show|plan|apply|restore IFACE`: tables and JSON on standard output,
 * refusals on standard error. */
#ifndef CONTROL_PIN_PIN_CLI_H
#define CONTROL_PIN_PIN_CLI_H

#include <stdbool.h>

struct pin_options {
	char *cores; /* or NULL */
	bool json, force;
};

/* `fluxtap pin ARG...`; argv[0] is "pin". Returns the exit code. */
int pin_main(int argc, char **argv);

#endif

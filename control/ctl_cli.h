/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap reload`, and the other end of the control socket for commands to come. */
#ifndef CONTROL_CTL_CLI_H
#define CONTROL_CTL_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ctl_options {
	char *socket, *probe, *out; /* or NULL */
	bool json;
};

/* The socket that the options mean: the one given, that of the probe given, or else the
 * only one there is. 0, or -errno and a sentence. */
int ctl_cli_find(const struct ctl_options *o, char *path, size_t cap, char *err, size_t err_cap);

/* Sends a request and waits for its answer (at most timeout_s). The caller owns it; NULL
 * and a sentence in err. */
json_t *ctl_cli_ask(const char *path, const char *line, unsigned timeout_s, char *err, size_t cap);

/* Reads the command line of a command that talks to a probe; argv[0] is its name. -1: go
 * on, or an exit code. The caller clears *o, whatever comes back. */
int ctl_cli_options(unsigned command, int argc, char **argv, struct ctl_options *o);
void ctl_cli_options_fini(struct ctl_options *o);

/* `fluxtap reload ARG...`; argv[0] is "reload". Returns the exit code. */
int reload_main(int argc, char **argv);

#endif

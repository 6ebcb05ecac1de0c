/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap rules check` and `fluxtap rules test`: what lists of rules say, in tables on
 * standard output; refusals on standard error. One thread. */
#ifndef CONTROL_RULES_CLI_H
#define CONTROL_RULES_CLI_H

#include "rules.h"
#include "values.h"

struct rules_options {
	struct config_texts rules;
	char *psl, *rule_cache; /* or NULL */
};

/* `fluxtap rules ARG...`; argv[0] is "rules". Returns the exit code. */
int rules_main(int argc, char **argv);

/* The two commands; files are those of settings.paths. Exit codes. */
int rules_check(const struct rules_settings *settings);
int rules_test(const struct rules_settings *settings, const struct config_texts *names);

#endif

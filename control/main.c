/* SPDX-License-Identifier: BSD-3-Clause */
/* fluxtap: one binary, a command each. The commands live in files of their name. */
#include "bench.h"
#include "cat.h"
#include "ctl_cli.h"
#include "exit.h"
#include "help.h"
#include "pin/pin_cli.h"
#include "report.h"
#include "rules_cli.h"
#include "run.h"
#include "view/status.h"
#include "view/top.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
    {"run", run_main},       {"cat", cat_main},   {"report", report_main}, {"rules", rules_main},
    {"status", status_main}, {"top", top_main},   {"reload", reload_main}, {"pin", pin_main},
    {"bench", bench_main},   {"help", help_main},
};

static int run_command(int argc, char **argv)
{
	if (argc < 2) {
		help_print(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help_print(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("fluxtap %s\n", FLUXTAP_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	return help_refuse(argv[1]);
}

int main(int argc, char **argv)
{
	const int code = run_command(argc, argv);

	/* What was asked for and could not be written is a failure, but for a reader that has
	 * seen enough. */
	errno = 0;
	if (code == EXIT_DONE && (fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
		(void)fprintf(stderr, "fluxtap: standard output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return code;
}

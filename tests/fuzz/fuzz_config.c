/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file's reader: any octets give settings or one sentence. An input that
 * begins with an octet of 1 or 2 is a command line of `run` or `bench` instead, an argument
 * a line. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define WORDS_CAP 64

/* A command line may name a file that is read, and ask for help on standard output. */
static void parse_line(bool bench, const char *text, size_t len)
{
	static char command[2][8] = {"run", "bench"};
	char *line = malloc(len + 1), *words[WORDS_CAP + 1], *save = NULL;
	char err[1024] = "";
	struct config c;
	int n = 0, rc;

	if (line == NULL)
		abort();
	memcpy(line, text, len);
	line[len] = '\0';
	words[n++] = command[bench];
	for (char *w = strtok_r(line, "\n", &save); w != NULL && n < WORDS_CAP;
	     w = strtok_r(NULL, "\n", &save))
		words[n++] = w;
	words[n] = NULL;
	rc = bench ? config_parse_bench(n, words, &c, err, sizeof(err))
		   : config_parse_run(n, words, &c, err, sizeof(err));
	if (rc > 1 || (rc < 0) != (err[0] != '\0'))
		abort();
	if (rc == 0 && !bench && (c.cores.n == 0 || c.out == NULL || 86400 % c.interval_s != 0))
		abort();
	config_fini(&c);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool quiet;
	struct config c;
	char err[1024] = "";

	if (!quiet) {
		const int null = open("/dev/null", O_WRONLY);
		quiet = null >= 0 && dup2(null, STDOUT_FILENO) >= 0;
	}
	if (len > 0 && (data[0] == 1 || data[0] == 2)) {
		/* No file but those that cannot be: fuzzing must not read what it finds. */
		if (memmem(data, len, "config", 6) == NULL)
			parse_line(data[0] == 2, (const char *)data + 1, len - 1);
		return 0;
	}
	const int rc = config_parse_yaml("F", (const char *)data, len, &c, err, sizeof err);

	if (rc > 0 || (rc < 0) != (err[0] != '\0'))
		abort();
	if (rc < 0 && strncmp(err, "F:", 2) != 0)
		abort();
	config_fini(&c);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "cat.h"

#include "help.h"
#include "schema.h"
#include "settings.h"
#include "walk.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int refuse(const char *why)
{
	fprintf(stderr, "fluxtap cat: %s\n", why);
	return 2;
}

/* A set that this version does not know may still stand in one of the directories. */
static bool set_exists(const char *set, const struct config_texts *paths)
{
	char path[PATH_MAX];
	bool found = schema_has_set(set);

	for (size_t i = 0; i < paths->n && !found && strchr(set, '/') == NULL; i++) {
		found = snprintf(path, sizeof path, "%s/%s", paths->v[i], set) < (int)sizeof path &&
			access(path, F_OK) == 0;
	}
	return found;
}

static int print_records(const struct cat_options *o, const struct config_texts *paths)
{
	char err[PATH_MAX + 256];
	struct walk *w = walk_create(paths, &o->set, err, sizeof err);
	const char *line;
	size_t len;
	int rc, code = 0;

	if (w == NULL)
		return refuse(err);
	while ((rc = walk_next(w, &line, &len)) == 1) {
		if (fwrite(line, 1, len, stdout) != len || putchar('\n') == EOF)
			break;
	}
	if (rc < 0) {
		fprintf(stderr, "fluxtap cat: cannot sort records: %s\n", strerror(-rc));
		code = 1;
	} else if (fflush(stdout) != 0 || ferror(stdout)) {
		code = errno != EPIPE;
		clearerr(stdout);
		if (code)
			fprintf(stderr, "fluxtap cat: cannot write to standard output: %s\n",
				strerror(errno));
	}
	code = walk_damaged(w) > 0 ? 1 : code;
	walk_destroy(w);
	return code;
}

static int print_schema(void)
{
	const int rc = schema_print(stdout);

	if (rc == -EPIPE)
		clearerr(stdout);
	if (rc == 0 || rc == -EPIPE)
		return 0;
	fprintf(stderr, "fluxtap cat: cannot write to standard output: %s\n", strerror(-rc));
	return 1;
}

static int cat_run(const struct cat_options *o, const struct config_texts *paths)
{
	char why[512], q[VALUE_QUOTE_CAP];

	if (o->schema && paths->n > 0)
		return refuse("--schema prints the schema alone; leave the directory out");
	if (o->schema)
		return print_schema();
	if (paths->n == 0)
		return refuse("no directory; give the one that --out named, such as \"fluxtap cat "
			      "fluxtap-out\"");
	for (size_t i = 0; i < o->set.n; i++) {
		if (!set_exists(o->set.v[i], paths)) {
			snprintf(why, sizeof why, "--set: %s is no set; there are: %s",
				 value_quote(q, o->set.v[i]), schema_sets());
			return refuse(why);
		}
	}
	return print_records(o, paths);
}

int cat_main(int argc, char **argv)
{
	struct settings_args a = {.command = COMMAND_CAT, .argc = argc, .argv = argv, .at = 1};
	struct cat_options o = {0};
	struct config_texts paths = {0};
	const struct setting *s;
	const char *value;
	char err[1024], why[512];
	int step, code = 0;

	signal(SIGPIPE, SIG_IGN);
	while (code == 0 &&
	       (step = settings_args_next(&a, &s, &value, err, sizeof err)) != ARGS_END) {
		if (step < 0) {
			code = refuse(err);
		} else if (step == ARGS_HELP) {
			help_command(stdout, COMMAND_CAT);
			goto done;
		} else if (step == ARGS_OPERAND) {
			if (value_put(VALUE_TEXTS, NULL, value, &paths, why, sizeof why) != 0)
				code = refuse(why);
		} else if (settings_put(s, value, &o, why, sizeof why) != 0) {
			snprintf(err, sizeof err, "--%s: %s", s->key, why);
			code = refuse(err);
		}
	}
	if (code == 0)
		code = cat_run(&o, &paths);
done:
	value_clear(VALUE_TEXTS, &paths);
	value_clear(VALUE_WORDS, &o.set);
	return code;
}

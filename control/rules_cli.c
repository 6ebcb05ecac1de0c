/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules_cli.h"

#include "exit.h"
#include "help.h"
#include "settings.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static int refuse(const char *why)
{
	fprintf(stderr, "fluxtap rules: %s\n", why);
	return EXIT_USAGE;
}

static int run_check(struct rules_settings *settings, const struct config_texts *files,
		     const struct rules_options *o)
{
	if (o->rules.n > 0)
		return refuse("check takes its files as they are; leave \"--rules\" out");
	if (files->n == 0)
		return refuse("check what? Give list files, such as \"fluxtap rules check "
			      "my.rules\"");
	settings->paths = (const char *const *)files->v;
	settings->paths_len = files->n;
	return rules_check(settings);
}

static int run_test(struct rules_settings *settings, const struct config_texts *names,
		    const struct rules_options *o)
{
	if (names->n == 0)
		return refuse("test what? Give names, such as \"fluxtap rules test www.example.com "
			      "--rules my.rules\"");
	if (o->rules.n == 0)
		return refuse("test against what? Give list files with --rules FILE");
	settings->paths = (const char *const *)o->rules.v;
	settings->paths_len = o->rules.n;
	return rules_test(settings, names);
}

/* words: the command's name and its operands. */
static int run(const struct config_texts *words, const struct rules_options *o)
{
	const struct config_texts operands = {words->v + 1, words->n > 0 ? words->n - 1 : 0};
	struct rules_settings settings = {.psl_path = o->psl};
	char cache[PATH_MAX], err[PATH_MAX + 128], q[VALUE_QUOTE_CAP];
	const char *what = words->n > 0 ? words->v[0] : NULL, *why;

	if (what == NULL)
		return refuse("no command; write \"rules check FILE...\" or \"rules test NAME... "
			      "--rules FILE\"");
	if (strcmp(what, "check") != 0 && strcmp(what, "test") != 0) {
		snprintf(err, sizeof err,
			 "%s is no command; write \"rules check FILE...\" or \"rules test NAME... "
			 "--rules FILE\"",
			 value_quote(q, what));
		return refuse(err);
	}
	settings.cache_dir = rules_cache_dir(o->rule_cache, cache, sizeof cache, &why);
	if (why != NULL) {
		snprintf(err, sizeof err,
			 "--rule-cache: %s: %s; give a directory of your own, or "
			 "\"off\"",
			 o->rule_cache, why);
		return refuse(err);
	}
	if (getrandom(&settings.name_seed, sizeof settings.name_seed, 0) !=
	    sizeof settings.name_seed)
		settings.name_seed = 1; /* nobody chooses names against this run */
	return strcmp(what, "check") == 0 ? run_check(&settings, &operands, o)
					  : run_test(&settings, &operands, o);
}

int rules_main(int argc, char **argv)
{
	struct settings_args a = {.command = COMMAND_RULES, .argc = argc, .argv = argv, .at = 1};
	struct rules_options o = {0};
	struct config_texts words = {0};
	const struct setting *s;
	const char *value;
	char err[1024], why[512];
	int step, code = EXIT_DONE;

	while (code == EXIT_DONE &&
	       (step = settings_args_next(&a, &s, &value, err, sizeof err)) != ARGS_END) {
		if (step < 0) {
			code = refuse(err);
		} else if (step == ARGS_HELP) {
			help_command(stdout, COMMAND_RULES);
			goto done;
		} else if (step == ARGS_OPERAND) {
			if (value_put(VALUE_TEXTS, NULL, value, &words, why, sizeof why) != 0)
				code = refuse(why);
		} else if (settings_put(s, value, &o, why, sizeof why) != 0) {
			snprintf(err, sizeof err, "--%s: %s", s->key, why);
			code = refuse(err);
		}
	}
	if (code == EXIT_DONE)
		code = run(&words, &o);
done:
	value_clear(VALUE_TEXTS, &words);
	value_clear(VALUE_TEXTS, &o.rules);
	value_clear(VALUE_TEXT, &o.psl);
	value_clear(VALUE_TEXT, &o.rule_cache);
	return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "complete.h"

#include "exit.h"
#include "help.h"
#include "report.h"
#include "schema.h"
#include "settings.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_CAP 512u

/* What may stand at a place of the command line. */
struct place {
	char words[WORDS_CAP]; /* each followed by a blank */
	bool files, dirs, users, interfaces;
};

static void add_word(struct place *p, const char *word, size_t len)
{
	const size_t n = strlen(p->words);

	if (n + len + 2 <= sizeof(p->words))
		(void)snprintf(p->words + n, sizeof(p->words) - n, "%.*s ", (int)len, word);
}

static bool is_word(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)text[i]) && text[i] != '-' &&
		    !(i != 0 && isdigit((unsigned char)text[i])))
			return false;
	return len != 0 && text[0] != '-';
}

/* The pieces of "auto|on|off", "FILE...", "DIR|FILE..." */
static void add_pieces(struct place *p, const char *text, size_t len)
{
	while (len != 0) {
		const char *bar = memchr(text, '|', len);
		const size_t n = bar != NULL ? (size_t)(bar - text) : len;

		if (is_word(text, n))
			add_word(p, text, n);
		p->files |= strncmp(text, "FILE", 4) == 0 || strncmp(text, "PATH", 4) == 0;
		p->dirs |= strncmp(text, "DIR", 3) == 0;
		p->interfaces |= n == 5 && strncmp(text, "IFACE", 5) == 0;
		len -= n + (bar != NULL);
		text += n + (bar != NULL);
	}
}

static struct place place_of_value(const struct setting *s)
{
	struct place p = {0};

	if (s->arg != NULL)
		add_pieces(&p, s->arg, strlen(s->arg));
	p.interfaces |= strcmp(s->key, "xdp") == 0;
	p.users = strcmp(s->key, "user") == 0;
	if (s->commands == COMMAND_CAT && strcmp(s->key, "set") == 0)
		(void)snprintf(p.words, sizeof(p.words), "%s ", schema_sets());
	return p;
}

/* The operands of a command, from its synopsis without options. */
static struct place place_of_operands(const struct help_command *c)
{
	struct place p = {0};
	const struct help_command *other;
	int depth = 0;

	for (const char *t = c->synopsis; *t != '\0';) {
		const size_t n = strcspn(t, " ");

		depth += *t == '[';
		if (depth == 0 && strncmp(t, "--", 2) != 0)
			add_pieces(&p, t, n);
		else if (strncmp(t, "--", 2) == 0 && t[n] != '\0') /* its value is no operand */
			t += n + 1 - (strcspn(t + n + 1, " ") == 0);
		depth -= depth > 0 && memchr(t, ']', strcspn(t, " ")) != NULL;
		t += strcspn(t, " ");
		t += strspn(t, " ");
	}
	for (size_t i = 0; strcmp(c->name, "report") == 0 && report_name_at(i) != NULL; i++)
		add_word(&p, report_name_at(i), strlen(report_name_at(i)));
	for (size_t i = 0; strcmp(c->name, "help") == 0 && (other = help_command_at(i)); i++)
		add_word(&p, other->name, strlen(other->name));
	return p;
}

static bool belongs(const struct setting *s, const struct help_command *c)
{
	return c->bit != 0 && (s->commands & c->bit) != 0;
}

/* The first sentence of a help text, without what a shell would read something into. */
static const char *brief(const char *text, char out[128])
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < 128; text++) {
		if ((*text == '.' || *text == ':' || *text == ';') &&
		    (text[1] == ' ' || text[1] == '\0'))
			break;
		if (strchr("'\"`\\$[]:", *text) == NULL)
			out[n++] = *text;
	}
	out[n] = '\0';
	return out;
}

/* ---- bash ---- */

static void bash_place(FILE *out, const struct place *p)
{
	if (p->words[0] != '\0')
		(void)fprintf(out, "_fluxtap_words '%.*s' ", (int)strlen(p->words) - 1, p->words);
	if (p->interfaces)
		(void)fputs("_fluxtap_words \"$(command ls /sys/class/net 2>/dev/null)\" ", out);
	if (p->users)
		(void)fputs("_fluxtap_more -u ", out);
	if (p->files)
		(void)fputs("_fluxtap_more -f ", out);
	else if (p->dirs)
		(void)fputs("_fluxtap_more -d ", out);
}

static void bash_case(FILE *out, const char *pattern, const struct place *p)
{
	FILE *text;
	char *lines = NULL;
	size_t len = 0;

	text = open_memstream(&lines, &len);
	if (text == NULL)
		return;
	bash_place(text, p);
	(void)fclose(text);
	(void)fprintf(out, "\t%s)", pattern);
	/* One command a line, without the blank behind it. */
	for (const char *at = lines, *next; *at != '\0'; at = next) {
		next = strstr(at + 1, "_fluxtap_");
		next = next != NULL ? next : at + strlen(at);
		(void)fprintf(out, "\n\t\t%.*s", (int)(next - at) - 1, at);
	}
	(void)fputs("\n\t\treturn ;;\n", out);
	free(lines);
}

static void bash_values(FILE *out, const struct help_command *c)
{
	char pattern[96];

	for (size_t i = 0; i < settings_len; i++) {
		const struct setting *s = &settings_table[i];

		if (!belongs(s, c) || s->type == VALUE_FLAG)
			continue;
		const struct place p = place_of_value(s);
		(void)snprintf(pattern, sizeof(pattern), "'%s --%s'", c->name, s->key);
		bash_case(out, pattern, &p);
	}
}

static void print_bash(FILE *out)
{
	const struct help_command *c;
	char text[8192];

	(void)fputs(
	    "# SPDX-License-Identifier: BSD-3-Clause\n"
	    "# Made by \"fluxtap help --completion bash\"; do not edit.\n"
	    "_fluxtap_words() { COMPREPLY+=($(compgen -W \"$1\" -- \"$cur\")); }\n"
	    "_fluxtap_more() {\n"
	    "\tlocal found\n"
	    "\tcompopt -o filenames 2>/dev/null\n"
	    "\twhile IFS= read -r found; do COMPREPLY+=(\"$found\"); done < <(compgen \"$1\" -- "
	    "\"$cur\")\n"
	    "}\n"
	    "_fluxtap() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\tlocal command=${COMP_WORDS[1]}\n"
	    "\tCOMPREPLY=()\n"
	    "\t# --key=value comes in three words\n"
	    "\tif [[ $cur == = ]]; then cur=\n"
	    "\telif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	    "\tif ((COMP_CWORD == 1)); then\n"
	    "\t\t_fluxtap_words '--help --version",
	    out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++)
		(void)fprintf(out, " %s", c->name);
	(void)fputs("'\n\t\treturn\n\tfi\n\tcase \"$command $prev\" in\n", out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++)
		bash_values(out, c);
	(void)fputs("\tesac\n\tif [[ $cur == -* ]]; then\n\t\tcase $command in\n", out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++) {
		settings_keys(c->bit, "--", false, text, sizeof(text));
		(void)fprintf(out, "\t\t%s) _fluxtap_words '--help%s%s' ;;\n", c->name,
			      text[0] != '\0' ? " " : "", text);
	}
	(void)fputs("\t\tesac\n\t\treturn\n\tfi\n\tcase $command in\n", out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++) {
		const struct place p = place_of_operands(c);
		bash_case(out, c->name, &p);
	}
	(void)fputs("\tesac\n}\ncomplete -F _fluxtap fluxtap\n", out);
}

/* ---- zsh ---- */

static void zsh_action(FILE *out, const struct place *p)
{
	if (p->files || p->dirs)
		(void)fprintf(out, "_files%s", p->files ? "" : " -/");
	else if (p->interfaces)
		(void)fputs("_net_interfaces", out);
	else if (p->users)
		(void)fputs("_users", out);
	else if (p->words[0] != '\0')
		(void)fprintf(out, "(%.*s)", (int)strlen(p->words) - 1, p->words);
	else
		(void)fputc(' ', out);
}

static void print_zsh(FILE *out)
{
	const struct help_command *c;
	char text[128];

	(void)fputs("#compdef fluxtap\n# SPDX-License-Identifier: BSD-3-Clause\n"
		    "# Made by \"fluxtap help --completion zsh\"; do not edit.\n"
		    "_fluxtap() {\n\tlocal context state state_descr line\n"
		    "\ttypeset -A opt_args\n\t_arguments -C '(- *)--help[explain]' "
		    "'(- *)--version[print the version]' \\\n\t\t'1:command:((",
		    out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++)
		(void)fprintf(out, "%s%s\\:\"%s\"", i != 0 ? " " : "", c->name,
			      brief(c->brief, text));
	(void)fputs("))' '*::argument:->argument'\n\t[[ $state == argument ]] || return\n"
		    "\tcase $words[1] in\n",
		    out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++) {
		const struct place operands = place_of_operands(c);

		(void)fprintf(out, "\t%s)\n\t\t_arguments '--help[explain]'", c->name);
		for (size_t k = 0; k < settings_len; k++) {
			const struct setting *s = &settings_table[k];

			if (!belongs(s, c))
				continue;
			(void)fprintf(out, " \\\n\t\t\t'%s--%s%s[%s]",
				      value_is_list(s->type) ? "*" : "", s->key,
				      s->type == VALUE_FLAG ? "" : "=", brief(s->help, text));
			if (s->type != VALUE_FLAG) {
				const struct place p = place_of_value(s);
				(void)fprintf(out, ":%s:", brief(s->arg, text));
				zsh_action(out, &p);
			}
			(void)fputc('\'', out);
		}
		/* Words come first where a command has both. */
		if (operands.words[0] != '\0')
			(void)fprintf(out, " \\\n\t\t\t'1:argument:(%.*s)'",
				      (int)strlen(operands.words) - 1, operands.words);
		if (operands.files || operands.dirs || operands.interfaces) {
			struct place rest = operands;

			rest.words[0] = '\0';
			(void)fputs(" \\\n\t\t\t'*:argument:", out);
			zsh_action(out, &rest);
			(void)fputc('\'', out);
		}
		(void)fputs(" ;;\n", out);
	}
	(void)fputs("\tesac\n}\n_fluxtap \"$@\"\n", out);
}

/* ---- fish ---- */

static void fish_place(FILE *out, const struct place *p)
{
	const char *what = p->files || p->dirs ? "(__fish_complete_path (commandline -ct))" : "";

	(void)fprintf(out, " -x -a '%s%s%s%s'", p->words, what,
		      p->interfaces ? " (command ls /sys/class/net)" : "",
		      p->users ? " (__fish_complete_users)" : "");
}

static void print_fish(FILE *out)
{
	const struct help_command *c;
	char text[128];

	(void)fputs(
	    "# SPDX-License-Identifier: BSD-3-Clause\n"
	    "# Made by \"fluxtap help --completion fish\"; do not edit.\n"
	    "complete -c fluxtap -f\n"
	    "complete -c fluxtap -n __fish_use_subcommand -l version -d 'Print the version'\n",
	    out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++) {
		const struct place operands = place_of_operands(c);

		(void)fprintf(out, "complete -c fluxtap -n __fish_use_subcommand -a %s -d '%s'\n",
			      c->name, brief(c->brief, text));
		(void)fprintf(out, "complete -c fluxtap -n '__fish_seen_subcommand_from %s'",
			      c->name);
		fish_place(out, &operands);
		(void)fputc('\n', out);
		for (size_t k = 0; k < settings_len; k++) {
			const struct setting *s = &settings_table[k];

			if (!belongs(s, c))
				continue;
			(void)fprintf(out,
				      "complete -c fluxtap -n '__fish_seen_subcommand_from %s' -l "
				      "%s -d '%s'",
				      c->name, s->key, brief(s->help, text));
			if (s->type != VALUE_FLAG) {
				const struct place p = place_of_value(s);
				fish_place(out, &p);
			}
			(void)fputc('\n', out);
		}
	}
}

int complete_print(FILE *out, const char *shell)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (size_t i = 0; i < sizeof(shells) / sizeof(*shells); i++) {
		if (strcmp(shells[i].name, shell) == 0) {
			shells[i].print(out);
			return EXIT_DONE;
		}
	}
	(void)fprintf(stderr, "fluxtap help: no such shell; there are bash zsh fish\n");
	return EXIT_USAGE;
}

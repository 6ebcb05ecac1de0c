/* SPDX-License-Identifier: BSD-3-Clause */
#include "man.h"

#include "exit.h"
#include "help.h"
#include "settings.h"

#include <stdbool.h>
#include <string.h>

#define MAN_DATE "November 23, 2026"
#define LINE 78

/* Prints a word; a line must not begin with what mdoc takes for a request, nor a macro's
 * arguments look like macros. */
static void put_word(FILE *out, const char *word, size_t len, bool first)
{
	if (first && len != 0 && (*word == '.' || *word == '\''))
		(void)fputs("\\&", out);
	for (size_t i = 0; i < len; i++) {
		if (word[i] == '\\')
			(void)fputs("\\e", out);
		else if (word[i] == '-')
			(void)fputs("\\-", out);
		else
			(void)fputc(word[i], out);
	}
}

void man_text(FILE *out, const char *text)
{
	size_t at = 0;

	while (*text != '\0') {
		const size_t word = strcspn(text, " ");

		put_word(out, text, word, at == 0);
		at += word + 1;
		text += word + strspn(text + word, " ");
		if (*text == '\0' || at + strcspn(text, " ") > LINE ||
		    (text[-1] == ' ' && text[-2] == '.'))
			at = 0;
		(void)fputc(at == 0 ? '\n' : ' ', out);
	}
}

void man_head(FILE *out, const char *title, const char *section)
{
	(void)fprintf(out,
		      ".\\\" SPDX-License-Identifier: BSD-3-Clause\n"
		      ".\\\" Made by \"fluxtap help --man\"; do not edit.\n"
		      ".Dd " MAN_DATE "\n.Dt %s %s\n.Os fluxtap " FLUXTAP_VERSION "\n",
		      title, section);
}

/* A setting as an option or as a key, with its text. */
static void put_setting(FILE *out, const struct setting *s, bool key)
{
	char text[1024];

	(void)fprintf(out, key ? ".It Ic %s : Ar %s\n" : ".It Fl \\-%s%s%s\n", s->key,
		      key              ? (s->arg != NULL ? s->arg : "true|false")
		      : s->arg != NULL ? " Ar "
				       : "",
		      s->arg != NULL ? s->arg : "");
	help_setting_text(s, text, sizeof(text));
	const size_t n = strlen(text);
	if (key && value_is_list(s->type))
		(void)snprintf(text + n, sizeof(text) - n, " A list in YAML's way%s.",
			       s->type == VALUE_TEXTS ? "" : ", or with commas");
	man_text(out, text);
}

static void put_settings(FILE *out, unsigned command, bool keys)
{
	for (int group = 0; group < GROUP_CAP; group++) {
		bool any = false;

		for (size_t i = 0; i < settings_len; i++) {
			const struct setting *s = &settings_table[i];

			if ((s->commands & command) == 0 || (int)s->group != group ||
			    (keys && s->command_line_only))
				continue;
			if (!any && keys)
				(void)fprintf(out, ".Ss %s\n", setting_group_texts[group]);
			else if (!any && command == COMMAND_RUN)
				(void)fprintf(out, ".Pp\n.Em %s :\n", setting_group_texts[group]);
			if (!any)
				(void)fputs(".Bl -tag -width Ds\n", out);
			any = true;
			put_setting(out, s, keys);
		}
		if (any)
			(void)fputs(".El\n", out);
	}
}

static void put_commands(FILE *out)
{
	const struct help_command *c;

	(void)fputs(".Sh COMMANDS\n", out);
	for (size_t i = 0; (c = help_command_at(i)) != NULL; i++) {
		(void)fprintf(out, ".Ss fluxtap %s\n.Nm fluxtap\n.Cm %s\n.Li ", c->name, c->name);
		(void)fputc('"', out);
		put_word(out, c->synopsis, strlen(c->synopsis), false);
		(void)fputs("\"\n.Pp\n", out);
		man_text(out, c->text[0] != '\0' ? c->text : "Explains a command and its options.");
		if (c->bit != 0)
			put_settings(out, c->bit, false);
	}
}

static void put_pairs(FILE *out, const char *heading, const char *tag,
		      const struct help_pair *(*at)(size_t))
{
	const struct help_pair *p;

	(void)fprintf(out, ".Sh %s\n.Bl -tag -width Ds\n", heading);
	for (size_t i = 0; (p = at(i)) != NULL; i++) {
		(void)fprintf(out, ".It %s\"", tag);
		put_word(out, p->what, strlen(p->what), false);
		(void)fputs("\"\n", out);
		man_text(out, p->text);
	}
	(void)fputs(".El\n", out);
}

static const struct help_pair files[] = {
    {"/etc/fluxtap/fluxtap.yaml", "The configuration of the service."},
    {"/run/fluxtap/PROBE.sock", "The control socket of a running probe (--socket)."},
    {"/dev/shm/fluxtap.PROBE", "Its counters and rings, for those who look on."},
    {"DIR/SET/SET-TIME-PROBE-NUMBER.jsonl.zst", "What it exports (--out)."},
    {"DIR/.state-PROBE.zst", "What outlives a restart (--state)."},
};
static const struct help_pair signals[] = {
    {"SIGINT, SIGTERM", "Writes what is open and ends. A second SIGINT ends at once."},
    {"SIGHUP", "Reads the lists again, as \"fluxtap reload\" does."},
};

static const struct help_pair *file_at(size_t i)
{
	return i < sizeof(files) / sizeof(*files) ? &files[i] : NULL;
}

static const struct help_pair *signal_at(size_t i)
{
	return i < sizeof(signals) / sizeof(*signals) ? &signals[i] : NULL;
}

static int man_program(FILE *out)
{
	man_head(out, "FLUXTAP", "1");
	(void)fputs(".Sh NAME\n.Nm fluxtap\n.Nd passive DNS telemetry probe\n"
		    ".Sh SYNOPSIS\n.Nm\n.Ar COMMAND\n.Op Ar ARGUMENT ...\n"
		    ".Sh DESCRIPTION\n"
		    ".Nm\nwatches DNS traffic without touching it.\n"
		    "It reads packets from a network interface (AF_XDP or DPDK) or from capture "
		    "files,\nunderstands every message, matches every name against lists, and "
		    "writes statistics\nfor each interval as JSON lines.\n"
		    "It says what it lost: every packet, message and record is accounted for, and "
		    "a run\nwhose books do not close fails.\n"
		    ".Pp\nOptions can be written as\n.Fl \\-key Ar value\nor\n"
		    ".Fl \\-key Ns = Ns Ar value .\n",
		    out);
	put_commands(out);
	put_pairs(out, "FILES", "Pa ", file_at);
	put_pairs(out, "EXIT STATUS", "", help_exit_code_at);
	put_pairs(out, "EXAMPLES", "Li ", help_example_at);
	put_pairs(out, "SIGNALS", "Dv ", signal_at);
	(void)fputs(".Sh SEE ALSO\n.Xr fluxtap-output 5 ,\n.Xr fluxtap.yaml 5\n", out);
	return EXIT_DONE;
}

static int man_config(FILE *out)
{
	man_head(out, "FLUXTAP.YAML", "5");
	(void)fputs(
	    ".Sh NAME\n.Nm fluxtap.yaml\n.Nd configuration of fluxtap run\n"
	    ".Sh DESCRIPTION\nA file for\n.Fl \\-config :\nYAML, one\n.Ic key : Ar value\na line, "
	    "with the keys of\n.Xr fluxtap 1 .\nWhat stands on the command line wins.\n"
	    "A key that is unknown or stands twice, and a value that is out of range, are refused\n"
	    "with file and line, and nothing is started.\nExactly one kind of source has to be "
	    "given, here or there.\n",
	    out);
	(void)fputs(".Sh SETTINGS\n", out);
	put_settings(out, COMMAND_RUN, true);
	(void)fputs(".Sh EXAMPLES\n.Bd -literal -offset indent\n"
		    "xdp: eth1\ncores: 2,3\nout: /var/lib/fluxtap\nauth:\n  - 192.0.2.53\n"
		    "  - 2001:db8::53\nrules: [/etc/fluxtap/bad.rules]\nkeep: 30d\n.Ed\n"
		    ".Sh SEE ALSO\n.Xr fluxtap 1 ,\n.Xr fluxtap-output 5\n",
		    out);
	return EXIT_DONE;
}

int man_print(FILE *out, const char *page)
{
	static const struct {
		const char *name;
		int (*print)(FILE *out);
	} pages[] = {{"fluxtap.1", man_program},
		     {"fluxtap.yaml.5", man_config},
		     {"fluxtap-output.5", man_output}};

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
		if (strcmp(pages[i].name, page) == 0)
			return pages[i].print(out);
	(void)fprintf(stderr, "fluxtap help: no such page; there are fluxtap.1 fluxtap.yaml.5 "
			      "fluxtap-output.5\n");
	return EXIT_USAGE;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "help.h"

#include "settings.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define WIDTH 79
#define INDENT 22 /* of an option's text */

struct command {
	unsigned bit; /* enum setting_command, 0: none */
	const char *name, *synopsis, *brief, *text;
};

static const struct command commands[] = {
    {COMMAND_RUN, "run", "SOURCE [OPTION...]", "watch DNS traffic and export statistics",
     "Reads packets from one source (--pcap, --xdp or --dpdk), understands the DNS messages in "
     "them and writes statistics for each interval to files below --out. A file run ends with "
     "its input; a live run ends after --duration or with Ctrl-C, which writes what is open."},
    {COMMAND_CAT, "cat", "[--set NAME,...] DIR|FILE...", "print exported records as JSON lines",
     "Prints the records of exported files, or of all exported files in a directory, as JSON "
     "lines on standard output, in time order."},
    {COMMAND_REPORT, "report", "NAME DIR", "show a table for people",
     "Shows exported records as a table. \"traffic\" is queries, responses, types, answer "
     "classes and response times of each interval and vantage. \"flux\" is who changes too often, "
     "worst first, and why it is listed. \"nxdomain\" is the names that do "
     "not exist, those asked for most first, and why to look at them. \"ledger\" is where every "
     "packet and message went, and whether the books close."},
    {COMMAND_RELOAD, "reload", "[--probe NAME | --socket PATH | --out DIR]",
     "make a running probe read its rules again",
     "Tells a running probe to read its rule lists again, as SIGHUP does, and waits until all "
     "its workers use them. A list with a mistake is refused with file and line, and the old "
     "rules stay in use. No packet is lost."},
    {COMMAND_STATUS, "status", "[--json] [--probe NAME | --socket PATH | --out DIR]",
     "say how a running probe does",
     "One screen: what it watches, packets and messages so far and a second, what was lost and "
     "where, the last interval, memory, rules. Exit code 0 where all is well, 1 where no probe "
     "answers or it is losing something."},
    {COMMAND_TOP, "top", "[--probe NAME | --socket PATH | --out DIR]",
     "watch a running probe, live",
     "A full-screen view, once a second: rates of each worker, where packets and messages went, "
     "losses in red, types and classes, domains and clients asked for most, flux, sinkholes, names "
     "that do not exist, nanoseconds per packet by stage. Keys: Tab or 1 to 4 change the view, p "
     "holds it still, ? explains, q ends. A probe that has ended is waited for."},
    {COMMAND_RULES, "rules", "check FILE... | test NAME... --rules FILE",
     "check lists of rules, or say what a name matches",
     "\"check\" compiles list files and tells what is in them: rules, names and expressions by "
     "kind, memory, time, and what looks like a mistake. \"test\" tells of each name its "
     "registered domain, its score, the families of malware whose shape it has, and every rule "
     "that matches, with the line that makes it match. A list has a rule a line: \"ID KIND "
     "ARGUMENT [family=TEXT] [severity=N]\", # begins a comment. Kinds: \"exact NAME\"; "
     "\"suffix NAME\", the name and all below it; \"regex EXPRESSION\", searched in the "
     "lower-case name without its last dot, a blank written as \\x20; \"dnsbl ZONE\", look-ups "
     "in a block list; \"shape len=8-12 charset=a-z0-9 tld=com,net\", the label in front of the "
     "public suffix. Names have RFC 1035 escapes (\\. and \\DDD); international ones are written "
     "as they go over the wire (xn--...)."},
    {COMMAND_BENCH, "bench", "[--pcap FILE | --flood] [--seconds N] [--json]",
     "measure the speed of this machine",
     "Runs the production loop over packets in memory and prints nanoseconds per packet, stage "
     "by stage. Needs no network interface and no privileges."},
    {0, "help", "[COMMAND]", "explain a command and its options", ""},
};
#define COMMANDS_LEN (sizeof commands / sizeof *commands)

struct example {
	const char *line, *text;
};
static const struct example examples[] = {
    {"fluxtap run --pcap dns.pcap.gz --out records", "statistics from a capture file"},
    {"fluxtap report traffic records", "look at them"},
    {"fluxtap cat --set traffic records | jq .queries", "take them further"},
};
#define EXAMPLES_LEN (sizeof examples / sizeof *examples)

struct exit_code {
	int code;
	const char *text;
};
static const struct exit_code exit_codes[] = {
    {0, "done"},
    {1, "failed on the way; what was gathered until then is written and readable"},
    {2, "wrong use or configuration; the message says what would be right"},
    {3, "the machine lacks something; the message names the command that gives it"},
};
#define EXIT_CODES_LEN (sizeof exit_codes / sizeof *exit_codes)

/* Prints `text` broken at blanks between columns `indent` and WIDTH; the cursor
 * stands at column `at`. */
static void wrap(FILE *out, const char *text, size_t indent, size_t at)
{
	while (*text != '\0') {
		const size_t word = strcspn(text, " ");

		if (at > indent && at + 1 + word > WIDTH) {
			fputc('\n', out);
			at = 0;
		}
		if (at < indent)
			fprintf(out, "%*s", (int)(indent - at), "");
		else if (at > indent)
			fputc(' ', out);
		at = at < indent ? indent : at > indent ? at + 1 : at;
		fprintf(out, "%.*s", (int)word, text);
		at += word;
		text += word + strspn(text + word, " ");
	}
	fputc('\n', out);
}

void help_print(FILE *out)
{
	fputs("fluxtap watches DNS traffic without touching it. It reads packets from a network\n"
	      "interface or from capture files, counts every DNS message in them, and writes\n"
	      "statistics, one record per interval, to files that other tools can read.\n"
	      "\nUsage: fluxtap COMMAND [ARGUMENT...]\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < COMMANDS_LEN; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].brief);
	fputs("\nExamples:\n", out);
	for (size_t i = 0; i < EXAMPLES_LEN; i++)
		fprintf(out, "  %-46s %s\n", examples[i].line, examples[i].text);
	fputs("\nRecords go to DIR/<set>/*.jsonl.zst below the directory given with --out\n"
	      "(fluxtap-out if none is given): JSON lines, compressed with zstd.\n"
	      "Tables and records that you ask for go to standard output; progress, notes and\n"
	      "errors go to standard error.\n"
	      "\nExit codes:\n",
	      out);
	for (size_t i = 0; i < EXIT_CODES_LEN; i++)
		fprintf(out, "  %d  %s\n", exit_codes[i].code, exit_codes[i].text);
	fputs(
	    "\n\"fluxtap help COMMAND\" explains one, \"fluxtap --version\" prints the version.\n",
	    out);
}

static void text_of(const struct setting *s, char *out, size_t cap)
{
	size_t len = (size_t)snprintf(out, cap, "%s", s->help);
	const bool number =
	    s->type == VALUE_U32 || (s->type == VALUE_U64 && s->range.max != UINT64_MAX);
	const char *def = s->def_text ? s->def_text : s->def;

	if (number && len < cap)
		len += (size_t)snprintf(out + len, cap - len, " From %" PRIu64 " to %" PRIu64 ".",
					s->range.min, s->range.max);
	if (def != NULL && len < cap)
		snprintf(out + len, cap - len, " Default: %s.", def);
}

static void print_option(FILE *out, const struct setting *s)
{
	char text[512];
	const int n = fprintf(out, "  --%s%s%s", s->key, s->arg ? " " : "", s->arg ? s->arg : "");
	size_t at = (size_t)n;

	if (at + 1 > INDENT) {
		fputc('\n', out);
		at = 0;
	}
	text_of(s, text, sizeof text);
	wrap(out, text, INDENT, at);
}

static const struct command *command_of(unsigned bit)
{
	for (size_t i = 0; i < COMMANDS_LEN; i++) {
		if (commands[i].bit == bit)
			return &commands[i];
	}
	return NULL;
}

void help_command(FILE *out, unsigned command)
{
	const struct command *c = command_of(command);

	fprintf(out, "Usage: fluxtap %s %s\n\n", c->name, c->synopsis);
	wrap(out, c->text, 0, 0);
	for (int group = 0; group < GROUP_CAP; group++) {
		bool any = false;

		for (size_t i = 0; i < settings_len; i++) {
			const struct setting *s = &settings_table[i];

			if (!(s->commands & command) || (int)s->group != group)
				continue;
			/* Only `run` has enough options for headings. */
			if (!any && command == COMMAND_RUN)
				fprintf(out, "\n%s:\n", setting_group_texts[group]);
			else if (!any)
				fputc('\n', out);
			any = true;
			print_option(out, s);
		}
	}
	if (command == COMMAND_RUN)
		fputs("\nOptions can be written as --key value or --key=value. Every key but "
		      "\"config\" can\n"
		      "stand in the configuration file too, lists as YAML lists or with commas.\n",
		      out);
}

/* Text for mdoc: a sentence begins a line, and a line must not begin with a dot or quote. */
static void mdoc_text(FILE *out, const char *text)
{
	size_t at = 0;

	while (*text != '\0') {
		const size_t word = strcspn(text, " ");

		if (at == 0 && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		for (size_t i = 0; i < word; i++)
			text[i] == '\\' ? fputs("\\e", out) : fputc(text[i], out);
		at += word + 1;
		text += word + strspn(text + word, " ");
		if (*text == '\0' || at + strcspn(text, " ") > 78 || text[-2] == '.')
			at = 0;
		fputc(at == 0 ? '\n' : ' ', out);
	}
}

static void mdoc_options(FILE *out, unsigned command)
{
	char text[512];
	bool any = false;

	for (int group = 0; group < GROUP_CAP; group++) {
		for (size_t i = 0; i < settings_len; i++) {
			const struct setting *s = &settings_table[i];

			if (!(s->commands & command) || (int)s->group != group)
				continue;
			if (!any)
				fputs(".Bl -tag -width Ds\n", out);
			any = true;
			fprintf(out, ".It Fl Fl %s", s->key);
			if (s->arg != NULL)
				fprintf(out, " Ar %s", s->arg);
			fputc('\n', out);
			text_of(s, text, sizeof text);
			mdoc_text(out, text);
		}
	}
	if (any)
		fputs(".El\n", out);
}

void help_mdoc(FILE *out)
{
	fputs(".Sh COMMANDS\n", out);
	for (size_t i = 0; i < COMMANDS_LEN && commands[i].bit != 0; i++) {
		const struct command *c = &commands[i];

		fprintf(out, ".Ss fluxtap %s\n.Nm fluxtap\n.Cm %s\n.Ar %s\n.Pp\n", c->name, c->name,
			c->synopsis);
		mdoc_text(out, c->text);
		mdoc_options(out, c->bit);
	}
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < EXIT_CODES_LEN; i++)
		fprintf(out, ".It %d\n%s\n", exit_codes[i].code, exit_codes[i].text);
	fputs(".El\n.Sh EXAMPLES\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < EXAMPLES_LEN; i++)
		fprintf(out, ".It Li \"%s\"\n%s\n", examples[i].line, examples[i].text);
	fputs(".El\n", out);
}

int help_refuse(const char *command)
{
	char q[VALUE_QUOTE_CAP];

	fprintf(stderr, "fluxtap: %s is no command; there are:", value_quote(q, command));
	for (size_t i = 0; i < COMMANDS_LEN; i++)
		fprintf(stderr, " %s", commands[i].name);
	fputs(". See \"fluxtap --help\"\n", stderr);
	return 2;
}

int help_main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : NULL;

	if (argc > 2) {
		fputs("fluxtap help: more than one argument; give one command, such as \"fluxtap "
		      "help run\"\n",
		      stderr);
		return 2;
	}
	if (what == NULL || strcmp(what, "help") == 0 || strcmp(what, "--help") == 0 ||
	    strcmp(what, "-h") == 0) {
		help_print(stdout);
		return 0;
	}
	if (strcmp(what, "--mdoc") == 0) {
		help_mdoc(stdout);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS_LEN; i++) {
		if (commands[i].bit != 0 && strcmp(commands[i].name, what) == 0) {
			help_command(stdout, commands[i].bit);
			return 0;
		}
	}
	return help_refuse(what);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "help.h"

#include "complete.h"
#include "man.h"
#include "settings.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define WIDTH 79
#define INDENT 22 /* of an option's text */

static const struct help_command commands[] = {
    {COMMAND_RUN, "run", "SOURCE [OPTION...]", "watch DNS traffic and export statistics",
     "Reads packets from one source (--pcap, --xdp or --dpdk), understands the DNS messages in "
     "them and writes statistics for each interval to files below --out. A file run ends with "
     "its input; a live run ends after --duration or with Ctrl-C, which writes what is open."},
    {COMMAND_CAT, "cat", "[--set NAME,...] DIR|FILE...", "print exported records as JSON lines",
     "Prints the records of exported files, or of all exported files in a directory, as JSON "
     "lines on standard output, in time order."},
    {COMMAND_REPORT, "report", "NAME DIR", "show a table for people",
     "Shows exported records as a table, what matters most first. \"traffic\": queries, responses, "
     "types, answer classes and response times of each interval and vantage. \"client\": who asks "
     "most, who fell silent, who turned to another server. \"dga\": clients that ask for generated "
     "names. \"flux\": who changes too often, and why it is listed. \"server\": what each name "
     "server answers, how fast, and whether it is up. \"cookie\": what became of DNS cookies. "
     "\"resolver\": how resolvers ask. \"transport\": what DNS is carried over, and zone "
     "transfers. \"ttl\": caches behind resolvers, and who looks into them. \"integrity\": watched "
     "records that changed. \"match\": what rules hit, what block lists said. \"sinkhole\": groups "
     "of sinkholes and their domains. \"nxdomain\": "
     "names that do not exist, and why to look at them. \"ledger\": where every packet and message "
     "went, and whether the books close."},
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
    {COMMAND_PIN, "pin", "show|plan|apply|restore IFACE [OPTION...]",
     "give each worker a queue, an interrupt and a CPU of its own",
     "Sets up a network interface of the kernel and the CPUs for --xdp. \"show\" tells what is: "
     "queues, interrupts and their CPUs, RSS key and table, rings, coalescing, offloads, NUMA "
     "node, isolated CPUs, governor, what the driver's XDP can do. \"plan\" tells what would be "
     "changed so that each worker has a queue of its own and both directions of a flow meet on "
     "one worker, each change with its reason and the command that does the same, and warns of "
     "what it does not change. \"apply\" does the plan, or nothing if a step fails, and keeps "
     "what was before in /run/fluxtap/pin-IFACE-*.json; the interface that carries the default "
     "route is left alone without --force. \"restore\" puts back what was before; a reboot does, "
     "too. IFACE may be a PCI address. \"show\" and \"plan\" need no privileges."},
    {COMMAND_BENCH, "bench", "[--pcap FILE | --flood] [--seconds N] [--json]",
     "measure the speed of this machine",
     "Runs the production loop over packets in memory and prints nanoseconds per packet, stage "
     "by stage. Needs no network interface and no privileges."},
    {0, "help", "[COMMAND]", "explain a command and its options", ""},
};
#define COMMANDS_LEN (sizeof commands / sizeof *commands)

static const struct help_pair examples[] = {
    {"fluxtap run --pcap dns.pcap.gz --out records", "statistics from a capture file"},
    {"fluxtap report traffic records", "look at them"},
    {"fluxtap cat --set traffic records | jq .queries", "take them further"},
};
#define EXAMPLES_LEN (sizeof examples / sizeof *examples)

static const struct help_pair exit_codes[] = {
    {"0", "done"},
    {"1", "failed on the way; what was gathered until then is written and readable"},
    {"2", "wrong use or configuration; the message says what would be right"},
    {"3", "the machine lacks something; the message names the command that gives it"},
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
		fprintf(out, "  %-46s %s\n", examples[i].what, examples[i].text);
	fputs("\nRecords go to DIR/<set>/*.jsonl.zst below the directory given with --out\n"
	      "(fluxtap-out if none is given): JSON lines, compressed with zstd.\n"
	      "Tables and records that you ask for go to standard output; progress, notes and\n"
	      "errors go to standard error.\n"
	      "\nExit codes:\n",
	      out);
	for (size_t i = 0; i < EXIT_CODES_LEN; i++)
		fprintf(out, "  %s  %s\n", exit_codes[i].what, exit_codes[i].text);
	fputs(
	    "\n\"fluxtap help COMMAND\" explains one, \"fluxtap --version\" prints the version.\n",
	    out);
}

void help_setting_text(const struct setting *s, char *out, size_t cap)
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
	help_setting_text(s, text, sizeof text);
	wrap(out, text, INDENT, at);
}

static const struct help_command *command_of(unsigned bit)
{
	for (size_t i = 0; i < COMMANDS_LEN; i++) {
		if (commands[i].bit == bit)
			return &commands[i];
	}
	return NULL;
}

void help_command(FILE *out, unsigned command)
{
	const struct help_command *c = command_of(command);

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

const struct help_command *help_command_at(size_t i)
{
	return i < COMMANDS_LEN ? &commands[i] : NULL;
}

const struct help_pair *help_example_at(size_t i)
{
	return i < EXAMPLES_LEN ? &examples[i] : NULL;
}

const struct help_pair *help_exit_code_at(size_t i)
{
	return i < EXIT_CODES_LEN ? &exit_codes[i] : NULL;
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

	/* For those who build and package: not in the help. */
	if (argc == 3 && strcmp(what, "--man") == 0)
		return man_print(stdout, argv[2]);
	if (argc == 3 && strcmp(what, "--completion") == 0)
		return complete_print(stdout, argv[2]);
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
	for (size_t i = 0; i < COMMANDS_LEN; i++) {
		if (commands[i].bit != 0 && strcmp(commands[i].name, what) == 0) {
			help_command(stdout, commands[i].bit);
			return 0;
		}
	}
	return help_refuse(what);
}

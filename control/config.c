/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "help.h"
#include "settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#define FILE_CAP ((size_t)1 << 20) /* a configuration file is smaller */
#define WHY_CAP 1024
#define DEPTH_CAP 8 /* of a file's blocks and lists; two are enough for any setting */

/* One reading of all sources of settings. */
struct reading {
	unsigned command;
	struct config c;
	bool given[SETTINGS_CAP]; /* by the source that is being read */
	bool set[SETTINGS_CAP];   /* by any source */
	char *err;
	size_t cap;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reading *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->err, r->cap, format, args);
	va_end(args);
	return -EINVAL;
}

static size_t index_of(const struct setting *s)
{
	return (size_t)(s - settings_table);
}

static void forget(struct reading *r, const struct setting *s)
{
	settings_clear(s, &r->c);
	r->set[index_of(s)] = false;
}

/* Puts one value: the first of a source replaces what a weaker source said. */
static int put(struct reading *r, const struct setting *s, const char *text, char *why, size_t cap)
{
	if (!r->given[index_of(s)])
		forget(r, s);
	r->given[index_of(s)] = r->set[index_of(s)] = true;
	return settings_put(s, text, &r->c, why, cap);
}

/* One YAML document and where it came from. */
struct document {
	yaml_document_t yaml;
	const char *name;
};

static unsigned long line_of(const yaml_node_t *node)
{
	return (unsigned long)node->start_mark.line + 1;
}

static const char *scalar(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

static bool is_null(const yaml_node_t *node)
{
	const char *text = scalar(node);

	return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text[0] == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}

static const char *example(const struct setting *s)
{
	return s->def ? s->def : s->arg ? s->arg : "true";
}

static const char *kind_of(const yaml_node_t *node)
{
	return node->type == YAML_SEQUENCE_NODE ? "a list" : "a nested block";
}

static int put_scalar(struct reading *r, const struct document *d, const struct setting *s,
		      const yaml_node_t *node)
{
	char why[WHY_CAP];
	int rc;

	if (node->type != YAML_SCALAR_NODE)
		return refuse(r, "%s:%lu: %s: %s where one value is wanted; write \"%s: %s\"",
			      d->name, line_of(node), s->key, kind_of(node), s->key, example(s));
	if (is_null(node))
		return refuse(r, "%s:%lu: %s: no value; write \"%s: %s\" or remove the line",
			      d->name, line_of(node), s->key, s->key, example(s));
	if (strlen(scalar(node)) != node->data.scalar.length)
		return refuse(r, "%s:%lu: %s: the value holds a NUL character; remove it", d->name,
			      line_of(node), s->key);
	rc = put(r, s, scalar(node), why, sizeof why);
	if (rc != 0)
		refuse(r, "%s:%lu: %s: %s", d->name, line_of(node), s->key, why);
	return rc;
}

static int put_node(struct reading *r, struct document *d, const struct setting *s,
		    const yaml_node_t *node)
{
	if (node->type != YAML_SEQUENCE_NODE || !value_is_list(s->type))
		return put_scalar(r, d, s, node);
	if (node->data.sequence.items.start == node->data.sequence.items.top)
		return refuse(
		    r, "%s:%lu: %s: the list is empty; give at least one item or remove the line",
		    d->name, line_of(node), s->key);
	for (yaml_node_item_t *item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++) {
		const int rc = put_scalar(r, d, s, yaml_document_get_node(&d->yaml, *item));

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int refuse_key(struct reading *r, const struct document *d, const yaml_node_t *key)
{
	const char *nearest = settings_nearest(r->command, scalar(key), true);
	char q[VALUE_QUOTE_CAP], keys[1024];

	value_quote(q, scalar(key));
	q[strlen(q) - 1] = '\0'; /* the key without quotes, as in all other messages */
	if (nearest != NULL)
		return refuse(r, "%s:%lu: %s: unknown key; did you mean \"%s\"?", d->name,
			      line_of(key), q + 1, nearest);
	settings_keys(r->command, "", true, keys, sizeof keys);
	return refuse(r, "%s:%lu: %s: unknown key; there are: %s", d->name, line_of(key), q + 1,
		      keys);
}

static int put_pair(struct reading *r, struct document *d, const yaml_node_pair_t *pair,
		    unsigned long first_line[SETTINGS_CAP])
{
	const yaml_node_t *key = yaml_document_get_node(&d->yaml, pair->key);
	const yaml_node_t *value = yaml_document_get_node(&d->yaml, pair->value);
	const struct setting *s;

	if (key->type != YAML_SCALAR_NODE)
		return refuse(r, "%s:%lu: %s where a key is wanted; write \"key: value\"", d->name,
			      line_of(key), kind_of(key));
	s = settings_find(r->command, scalar(key), key->data.scalar.length);
	if (s == NULL)
		return refuse_key(r, d, key);
	if (s->command_line_only)
		return refuse(
		    r,
		    "%s:%lu: %s: not possible inside a configuration file; give --%s on the "
		    "command line",
		    d->name, line_of(key), s->key, s->key);
	if (first_line[index_of(s)] != 0)
		return refuse(r, "%s:%lu: %s: given twice; it stands in line %lu already", d->name,
			      line_of(key), s->key, first_line[index_of(s)]);
	first_line[index_of(s)] = line_of(key);
	return put_node(r, d, s, value);
}

static int read_document(struct reading *r, struct document *d)
{
	unsigned long first_line[SETTINGS_CAP] = {0};
	const yaml_node_t *root = yaml_document_get_root_node(&d->yaml);

	if (root == NULL || (root->type == YAML_SCALAR_NODE && is_null(root)))
		return 0; /* nothing but comments */
	if (root->type != YAML_MAPPING_NODE)
		return refuse(
		    r, "%s:%lu: this is no list of settings; write one \"key: value\" a line",
		    d->name, line_of(root));
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		const int rc = put_pair(r, d, p, first_line);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int refuse_syntax(struct reading *r, const char *name, const yaml_parser_t *p,
			 const char *text)
{
	unsigned long line = (unsigned long)p->problem_mark.line + 1;

	if (p->error == YAML_MEMORY_ERROR) {
		refuse(r, "%s: out of memory", name);
		return -ENOMEM;
	}
	if (p->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < p->problem_offset; i++)
			line += text[i] == '\n';
	}
	return refuse(r, "%s:%lu: syntax: %s; write one \"key: value\" a line", name, line,
		      p->problem ? p->problem : "this is no YAML");
}

/* Refuses deep nesting before the whole is loaded: libyaml takes quadratic time for it. */
static int check_depth(struct reading *r, const char *name, const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t event;
	int depth = 0, rc = 0;
	bool end = false;

	if (!yaml_parser_initialize(&parser)) {
		refuse(r, "%s: out of memory", name);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (rc == 0 && !end) {
		if (!yaml_parser_parse(&parser, &event)) {
			rc = refuse_syntax(r, name, &parser, text);
			break;
		}
		depth += event.type == YAML_SEQUENCE_START_EVENT ||
			 event.type == YAML_MAPPING_START_EVENT;
		depth -=
		    event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
		end = event.type == YAML_STREAM_END_EVENT;
		if (depth > DEPTH_CAP)
			rc = refuse(r, "%s:%lu: nested too deep; write one \"key: value\" a line",
				    name, (unsigned long)event.start_mark.line + 1);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc;
}

static int read_yaml(struct reading *r, const char *name, const char *text, size_t len)
{
	struct document d = {.name = name};
	yaml_parser_t parser;
	int rc = check_depth(r, name, text, len);

	memset(r->given, 0, sizeof r->given);
	if (rc != 0)
		return rc;
	if (!yaml_parser_initialize(&parser)) {
		refuse(r, "%s: out of memory", name);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	for (unsigned documents = 0; rc == 0; documents++) {
		if (!yaml_parser_load(&parser, &d.yaml)) {
			rc = refuse_syntax(r, name, &parser, text);
			break;
		}
		const yaml_node_t *root = yaml_document_get_root_node(&d.yaml);
		const bool end = root == NULL;

		if (!end && documents > 0)
			rc =
			    refuse(r, "%s:%lu: a second document begins; put all settings into one",
				   name, line_of(root));
		else if (!end)
			rc = read_document(r, &d);
		yaml_document_delete(&d.yaml);
		if (end)
			break;
	}
	yaml_parser_delete(&parser);
	return rc;
}

static int read_file(struct reading *r, const char *path)
{
	char *text = malloc(FILE_CAP + 1);
	FILE *f = fopen(path, "re");
	size_t len = 0;
	int rc;

	if (text == NULL || f == NULL) {
		rc = refuse(r, "%s: %s; give a file that can be read with --config", path,
			    strerror(text ? errno : ENOMEM));
		goto done;
	}
	len = fread(text, 1, FILE_CAP + 1, f);
	if (ferror(f))
		rc = refuse(r, "%s: %s; give a file that can be read with --config", path,
			    strerror(errno));
	else if (len > FILE_CAP)
		rc = refuse(r, "%s: larger than %zu KiB; this is no configuration file", path,
			    FILE_CAP / 1024);
	else
		rc = read_yaml(r, path, text, len);
done:
	if (f != NULL)
		fclose(f);
	free(text);
	return rc;
}

/* Walks the command line; puts the values if `store`, else looks for --config and
 * notes what is given. */
static int read_args(struct reading *r, int argc, char **argv, bool store, const char **file)
{
	struct settings_args a = {.command = r->command, .argc = argc, .argv = argv, .at = 1};
	const struct setting *s;
	const char *value;
	char why[WHY_CAP], q[VALUE_QUOTE_CAP];

	memset(r->given, 0, sizeof r->given);
	for (;;) {
		const int step = settings_args_next(&a, &s, &value, r->err, r->cap);

		if (step < 0 || step == ARGS_END)
			return step;
		if (step == ARGS_HELP) {
			help_command(stdout, r->command);
			return 1;
		}
		if (step == ARGS_OPERAND)
			return refuse(
			    r,
			    "%s does not belong to an option; capture files are given with "
			    "--pcap FILE",
			    value_quote(q, value));
		if (!store) {
			r->given[index_of(s)] = true;
			if (s->off == offsetof(struct config, file))
				*file = value;
			continue;
		}
		const int rc = put(r, s, value, why, sizeof why);

		if (rc != 0) {
			refuse(r, "--%s: %s", s->key, why);
			return rc;
		}
	}
}

/* A source on the command line replaces the file's source, of whatever kind. */
static void drop_sources_of_file(struct reading *r, const bool on_command_line[SETTINGS_CAP])
{
	bool any = false;

	for (size_t i = 0; i < settings_len; i++)
		any |= on_command_line[i] && settings_table[i].group == GROUP_SOURCE;
	for (size_t i = 0; any && i < settings_len; i++) {
		if (settings_table[i].group == GROUP_SOURCE)
			forget(r, &settings_table[i]);
	}
}

static int put_default_cores(struct reading *r)
{
	struct config_u16s cpus;
	const int rc = value_allowed_cpus(&cpus);

	if (rc != 0) {
		refuse(r, "--cores: cannot learn which CPUs there are: %s", strerror(-rc));
		return rc;
	}
	cpus.v[0] = cpus.v[cpus.n - 1];
	cpus.n = 1;
	r->c.cores = cpus;
	return 0;
}

static int put_default_probe(struct reading *r)
{
	char name[64] = "";

	if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
		strcpy(name, "fluxtap");
	for (char *p = name; *p != '\0'; p++) {
		if (strchr("-_.", *p) == NULL && !(*p >= '0' && *p <= '9') &&
		    !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'))
			*p = '-';
	}
	r->c.probe = strdup(name);
	if (r->c.probe == NULL) {
		refuse(r, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

static int put_defaults(struct reading *r)
{
	char why[WHY_CAP];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < settings_len; i++) {
		const struct setting *s = &settings_table[i];

		if ((s->commands & r->command) && s->def != NULL && !r->set[i]) {
			rc = settings_put(s, s->def, &r->c, why, sizeof why);
			if (rc != 0)
				refuse(r, "--%s: %s", s->key, why);
		}
	}
	if (rc == 0 && (r->command & (COMMAND_RUN | COMMAND_BENCH)) && r->c.cores.n == 0)
		rc = put_default_cores(r);
	if (rc == 0 && r->command == COMMAND_RUN && r->c.probe == NULL)
		rc = put_default_probe(r);
	return rc;
}

static int check_sources(struct reading *r)
{
	const struct config *c = &r->c;
	const int kinds = (c->pcap.n > 0) + (c->xdp != NULL) + (c->dpdk != NULL);
	size_t stdins = 0;

	if (kinds == 0 && r->command == COMMAND_RUN)
		return refuse(
		    r, "no source of packets; give --pcap FILE, --xdp SPEC or --dpdk DEVARGS");
	if (kinds > 1)
		return refuse(r, "%s cannot be used together; give one kind of source",
			      c->pcap.n == 0    ? "--xdp and --dpdk"
			      : c->xdp == NULL  ? "--pcap and --dpdk"
			      : c->dpdk == NULL ? "--pcap and --xdp"
						: "--pcap, --xdp and --dpdk");
	for (size_t i = 0; i < c->pcap.n; i++)
		stdins += strcmp(c->pcap.v[i], "-") == 0;
	if (stdins > 1)
		return refuse(r, "--pcap: \"-\" is given twice; standard input can be read once");
	return 0;
}

static int parse(unsigned command, int argc, char **argv, struct config *c, char *err, size_t cap)
{
	struct reading r = {.command = command, .err = err, .cap = cap};
	bool on_command_line[SETTINGS_CAP];
	const char *file = NULL;
	int rc = read_args(&r, argc, argv, false, &file);

	memset(c, 0, sizeof *c);
	memcpy(on_command_line, r.given, sizeof on_command_line);
	if (rc != 0)
		return rc;
	if (file != NULL)
		rc = read_file(&r, file);
	if (rc == 0) {
		drop_sources_of_file(&r, on_command_line);
		rc = read_args(&r, argc, argv, true, &file);
	}
	if (rc == 0)
		rc = check_sources(&r);
	if (rc == 0)
		rc = put_defaults(&r);
	if (rc != 0) {
		config_fini(&r.c);
		return rc;
	}
	*c = r.c;
	return 0;
}

int config_parse_run(int argc, char **argv, struct config *c, char *err, size_t cap)
{
	return parse(COMMAND_RUN, argc, argv, c, err, cap);
}

int config_parse_bench(int argc, char **argv, struct config *c, char *err, size_t cap)
{
	return parse(COMMAND_BENCH, argc, argv, c, err, cap);
}

int config_parse_yaml(const char *name, const char *text, size_t len, struct config *c, char *err,
		      size_t cap)
{
	struct reading r = {.command = COMMAND_RUN, .err = err, .cap = cap};
	const int rc = read_yaml(&r, name, text, len);

	memset(c, 0, sizeof *c);
	if (rc == 0)
		*c = r.c;
	else
		config_fini(&r.c);
	return rc;
}

void config_fini(struct config *c)
{
	for (size_t i = 0; i < settings_len; i++) {
		if (settings_table[i].commands & (COMMAND_RUN | COMMAND_BENCH))
			settings_clear(&settings_table[i], c);
	}
}

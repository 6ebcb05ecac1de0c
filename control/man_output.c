/* SPDX-License-Identifier: BSD-3-Clause */
#include "exit.h"
#include "man.h"
#include "schema.h"

#include <fluxtap/counters.h>
#include <fluxtap/drop.h>

#include <jansson.h>
#include <string.h>

#define TYPE_CAP 400u

/* Adds words to a type's text; what does not fit is left out, with dots. */
static void add(char *out, const char *more)
{
	const size_t n = strlen(out);

	if (n + strlen(more) + 4 < TYPE_CAP)
		(void)strcpy(out + n, more);
	else if (n < 4 || strcmp(out + n - 3, "...") != 0)
		(void)strcpy(out + n, "...");
}

static void add_value(char *out, const json_t *v)
{
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

	add(out, text != NULL ? text : "");
	free(text);
}

static void add_type(char *out, const json_t *schema);

static void add_each(char *out, const json_t *list, void (*fn)(char *, const json_t *))
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if (i != 0)
			add(out, " | ");
		fn(out, v);
	}
}

static void add_name(char *out, const json_t *v)
{
	add(out, json_string_value(v));
}

static void add_object(char *out, const json_t *schema)
{
	json_t *fields = json_object_get(schema, "properties"), *v;
	const char *key, *between = "";

	add(out, "{");
	json_object_foreach(fields, key, v)
	{
		add(out, between);
		add(out, key);
		between = ", ";
	}
	if (json_is_object(json_object_get(schema, "additionalProperties"))) {
		add(out, between);
		add(out, "NAME: ");
		add_type(out, json_object_get(schema, "additionalProperties"));
	}
	add(out, "}");
}

static void add_type(char *out, const json_t *schema)
{
	const json_t *type = json_object_get(schema, "type"), *v;

	if ((v = json_object_get(schema, "const")) != NULL)
		add_value(out, v);
	else if ((v = json_object_get(schema, "enum")) != NULL)
		add_each(out, v, add_value);
	else if ((v = json_object_get(schema, "anyOf")) != NULL)
		add_each(out, v, add_type);
	else if (json_is_array(type))
		add_each(out, type, add_name);
	else if (json_is_string(type) && strcmp(json_string_value(type), "object") == 0)
		add_object(out, schema);
	else if (json_is_string(type) && strcmp(json_string_value(type), "array") == 0) {
		add(out, "list of ");
		add_type(out, json_object_get(schema, "items"));
	} else if (json_is_string(type))
		add(out, json_string_value(type));
	else
		add(out, "list of numbers");
}

static void put_field(FILE *out, const char *name, const json_t *schema)
{
	const char *text = json_string_value(json_object_get(schema, "description"));
	char type[TYPE_CAP] = "";

	add_type(type, schema);
	(void)fprintf(out, ".It Ic %s\n", name);
	if (text != NULL)
		man_text(out, text);
	(void)fputs(text != NULL ? ".br\n" : "", out);
	man_text(out, type);
}

/* The fields of all kinds of record that a set has, each once; `common` are told elsewhere. */
static void put_set(FILE *out, const char *set, const json_t *schema, json_t *common)
{
	const json_t *kinds = json_object_get(schema, "anyOf"), *kind;
	json_t *one = kinds == NULL ? json_pack("[O]", schema) : json_incref((json_t *)kinds);
	json_t *told = json_object(), *field;
	const char *name;
	size_t i;

	(void)fprintf(out, ".Ss %s\n", set);
	if (json_array_size(one) > 1)
		(void)fprintf(out, "Records of %zu shapes; not every field stands in each.\n",
			      json_array_size(one));
	(void)fputs(".Bl -tag -width Ds\n", out);
	json_array_foreach(one, i, kind){
	    json_object_foreach(json_object_get(kind, "properties"), name,
				field){if (json_object_get(common, name) != NULL ||
					   json_object_get(told, name) != NULL) continue;
	(void)json_object_set_new(told, name, json_true());
	put_field(out, name, field);
}
}
(void)fputs(".El\n", out);
json_decref(told);
json_decref(one);
}

static void put_sets(FILE *out, const json_t *schema)
{
	static const char *const envelope[] = {"set",   "v",   "probe", "vantage",
					       "start", "end", "p",     "loss_ppm"};
	json_t *sets = json_object_get(schema, "$defs"), *common = json_object(), *set;
	const json_t *some = json_object_get(json_object_get(sets, "traffic"), "properties");
	const char *name;

	(void)fputs(".Sh RECORDS\nEvery record begins with these fields:\n"
		    ".Bl -tag -width Ds\n",
		    out);
	for (size_t i = 0; i < sizeof(envelope) / sizeof(*envelope); i++) {
		const json_t *field = json_object_get(some, envelope[i]);
		const char *text = json_string_value(json_object_get(field, "description"));

		(void)json_object_set_new(common, envelope[i], json_true());
		(void)fprintf(out, ".It Ic %s\n", envelope[i]);
		man_text(out, text != NULL ? text : "");
	}
	(void)fputs(".El\n.Pp\nAnd then, by set:\n", out);
	json_object_foreach(sets, name, set)
	{
		put_set(out, name, set, common);
	}
	json_decref(common);
}

static void put_reasons(FILE *out)
{
	static const char *const packets[][2] = {
#define X(n, m, t) {#m, t},
	    FT_PKT_DROPS(X)};
	static const char *const messages[][2] = {FT_MSG_DROPS(X)
#undef X
	};

	(void)fputs(".Sh DROP REASONS\nThe names in\n.Ic dropped\nof set ledger, packets:\n"
		    ".Bl -tag -width Ds\n",
		    out);
	for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
		(void)fprintf(out, ".It Ic %s\n", packets[i][0]);
		man_text(out, packets[i][1]);
	}
	(void)fputs(".El\n.Pp\nAnd in\n.Ic msg_dropped ,\nmessages:\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		(void)fprintf(out, ".It Ic %s\n", messages[i][0]);
		man_text(out, messages[i][1]);
	}
	(void)fputs(".El\n", out);
}

static void put_counters(FILE *out)
{
	(void)fputs(".Sh COUNTERS\nWhat the ledger counts, and in which unit:\n"
		    ".Bl -tag -width Ds\n",
		    out);
	for (size_t i = 0; i < FT_CTR_PLAIN_CAP; i++) {
		(void)fprintf(out, ".It Ic %s Pq %s\n", ft_counter_texts[i].name,
			      ft_counter_texts[i].unit);
		man_text(out, ft_counter_texts[i].help);
	}
	(void)fputs(".El\n", out);
}

int man_output(FILE *out)
{
	json_t *schema = schema_make();

	if (schema == NULL) {
		(void)fputs("fluxtap help: not enough memory\n", stderr);
		return EXIT_MACHINE;
	}
	man_head(out, "FLUXTAP-OUTPUT", "5");
	(void)fputs(
	    ".Sh NAME\n.Nm fluxtap-output\n.Nd files that fluxtap writes\n"
	    ".Sh DESCRIPTION\nRecords are JSON, one a line, in files\n"
	    ".Pa DIR/SET/SET-TIME-PROBE-NUMBER.jsonl.zst\n(zstd frames).\nTIME is the begin of "
	    "the earliest record, in UTC:\n.Li 20260131T235900Z .\nA file gets its name when it is "
	    "whole; one that is being written begins with a dot.\n"
	    "Names are in lower\\-case presentation form with their last dot, addresses as in RFC "
	    "5952,\nfields that end in\n.Li _us\nare microseconds, since 1970 or of duration.\n"
	    ".Ql fluxtap cat \\-\\-schema\nprints the same as JSON Schema.\n",
	    out);
	put_sets(out, schema);
	put_counters(out);
	put_reasons(out);
	(void)fputs(".Sh SEE ALSO\n.Xr fluxtap 1 ,\n.Xr fluxtap.yaml 5\n", out);
	json_decref(schema);
	return EXIT_DONE;
}

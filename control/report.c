/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include "help.h"
#include "settings.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name; /* also of the set it reads */
	int (*print)(struct walk *w, size_t width);
} reports[] = {
    {"traffic", report_traffic},     {"client", report_client},       {"dga", report_dga},
    {"flux", report_flux},           {"server", report_server},       {"cookie", report_cookie},
    {"resolver", report_resolver},   {"transport", report_transport}, {"ttl", report_ttl},
    {"integrity", report_integrity}, {"match", report_match},         {"sinkhole", report_sinkhole},
    {"nxdomain", report_nxdomain},   {"ledger", report_ledger}};
#define REPORTS_LEN (sizeof reports / sizeof *reports)

const char *report_name_at(size_t i)
{
	return i < REPORTS_LEN ? reports[i].name : NULL;
}

int report_each(struct walk *w, report_take_fn *take, void *ctx)
{
	const char *line;
	size_t len;
	int rc;

	while ((rc = walk_next(w, &line, &len)) == 1) {
		json_t *record = json_loadb(line, len, 0, NULL);

		rc = record != NULL ? take(ctx, record) : 0;
		json_decref(record);
		if (rc != 0)
			break;
	}
	return rc;
}

const char *report_number(char out[REPORT_NUMBER_CAP], uint64_t n)
{
	char digits[24];
	const int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
	size_t at = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

uint64_t report_count(const json_t *object, const char *key)
{
	const json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

const char *report_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

void report_heading(const json_t *record)
{
	const uint64_t start = report_count(record, "start"), end = report_count(record, "end");
	const time_t t = (time_t)start;
	struct tm tm = {0};
	char text[64] = "";

	if (gmtime_r(&t, &tm) != NULL)
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s UTC, %" PRIu64 " s, probe %s\n", text, end > start ? end - start : 0,
	       report_text(record, "probe"));
}

static size_t terminal_width(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 80)
		return size.ws_col;
	return 80;
}

static int refuse(const char *why)
{
	fprintf(stderr, "fluxtap report: %s\n", why);
	return 2;
}

static int print(size_t report, const struct config_texts *paths)
{
	char *set = (char *)(uintptr_t)reports[report].name;
	const struct config_texts sets = {&set, 1};
	char err[PATH_MAX + 256];
	struct walk *w = walk_create(paths, &sets, err, sizeof err);
	int rc, code;

	if (w == NULL)
		return refuse(err);
	rc = reports[report].print(w, terminal_width());
	code = walk_damaged(w) > 0;
	walk_destroy(w);
	if (rc != 0) {
		fprintf(stderr, "fluxtap report: cannot read records: %s\n", strerror(-rc));
		return 1;
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (errno == EPIPE) {
			clearerr(stdout);
			return code;
		}
		fprintf(stderr, "fluxtap report: cannot write to standard output: %s\n",
			strerror(errno));
		return 1;
	}
	return code;
}

/* A sentence that ends in the names of all reports. */
static int refuse_name(const char *why)
{
	char text[512];
	size_t at = (size_t)snprintf(text, sizeof text, "%s; there are:", why);

	for (size_t i = 0; i < REPORTS_LEN && at < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, " %s", reports[i].name);
	if (at < sizeof text)
		snprintf(text + at, sizeof text - at,
			 ". Such as \"fluxtap report traffic fluxtap-out\"");
	return refuse(text);
}

/* The first operand is the report's name, the rest are directories. */
static int report_run(struct config_texts *operands)
{
	char why[512], q[VALUE_QUOTE_CAP];

	if (operands->n == 0)
		return refuse_name("no report named");
	for (size_t i = 0; i < REPORTS_LEN; i++) {
		const struct config_texts paths = {operands->v + 1, operands->n - 1};

		if (strcmp(reports[i].name, operands->v[0]) != 0)
			continue;
		if (paths.n == 0) {
			snprintf(why, sizeof why,
				 "no directory; give the one that --out named, such as "
				 "\"fluxtap report %s fluxtap-out\"",
				 reports[i].name);
			return refuse(why);
		}
		return print(i, &paths);
	}
	snprintf(why, sizeof why, "%s is no report", value_quote(q, operands->v[0]));
	return refuse_name(why);
}

int report_main(int argc, char **argv)
{
	struct settings_args a = {.command = COMMAND_REPORT, .argc = argc, .argv = argv, .at = 1};
	struct config_texts operands = {0};
	const struct setting *s;
	const char *value;
	char err[1024];
	int step, code = 0;

	signal(SIGPIPE, SIG_IGN);
	while (code == 0 &&
	       (step = settings_args_next(&a, &s, &value, err, sizeof err)) != ARGS_END) {
		if (step == ARGS_HELP) {
			help_command(stdout, COMMAND_REPORT);
			goto done;
		}
		if (step < 0 ||
		    value_put(VALUE_TEXTS, NULL, value, &operands, err, sizeof err) != 0)
			code = refuse(err);
	}
	if (code == 0)
		code = report_run(&operands);
done:
	value_clear(VALUE_TEXTS, &operands);
	return code;
}

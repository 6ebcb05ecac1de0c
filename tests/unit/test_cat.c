/* SPDX-License-Identifier: BSD-3-Clause */
/* cat and report: round trip, order, damage, what is said about wrong use. */
#include "cat.h"
#include "envelope.h"
#include "jsonl.h"
#include "report.h"
#include "schema.h"

#include <fcntl.h>
#include <fluxtap/block.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY 1700006400ull /* 2023-11-15 00:00:00 */
#define ARGS_MAX 8

static char dir[64];
static char *out, *err; /* of the last command */

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fluxtap-cat-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char line[128];

	(void)state;
	free(out);
	free(err);
	out = err = NULL;
	snprintf(line, sizeof line, "rm -r %s", dir);
	return system(line);
}

static char *read_back(const char *path)
{
	FILE *f = fopen(path, "r");
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	char *text = calloc(1, (size_t)st.st_size + 1);

	assert_int_equal(fread(text, 1, (size_t)st.st_size, f), st.st_size);
	fclose(f);
	return text;
}

/* Runs "cat ..." or "report ..." in a child ("DIR" stands for the directory);
 * returns its exit code, `out` and `err` are what it printed. */
static int run(const char *line)
{
	char text[512] = "", *argv[ARGS_MAX + 1], out_path[128], err_path[128];
	int argc = 0, status;

	for (const char *p = line; *p != '\0'; p++) {
		const size_t at = strlen(text);

		if (strncmp(p, "DIR", 3) == 0) {
			snprintf(text + at, sizeof text - at, "%s", dir);
			p += 2;
		} else {
			text[at] = *p;
		}
	}
	for (char *rest, *word = strtok_r(text, " ", &rest); word && argc < ARGS_MAX;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	argv[argc] = NULL;
	snprintf(out_path, sizeof out_path, "%s/.out", dir);
	snprintf(err_path, sizeof err_path, "%s/.err", dir);
	fflush(NULL);
	const pid_t child = fork();

	if (child == 0) {
		if (!freopen(out_path, "w", stdout) || !freopen(err_path, "w", stderr))
			_exit(99);
		const int code =
		    strcmp(argv[0], "cat") == 0 ? cat_main(argc, argv) : report_main(argc, argv);

		fflush(NULL);
		_exit(code);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	free(out);
	free(err);
	out = read_back(out_path);
	err = read_back(err_path);
	return WEXITSTATUS(status);
}

static void assert_says(const char *text, const char *wanted)
{
	if (strstr(text, wanted) == NULL)
		print_error("wanted \"%s\", got:\n%s\n", wanted, text);
	assert_non_null(strstr(text, wanted));
}

static json_t *ledger(uint64_t start, const char *probe, json_int_t received, json_int_t held)
{
	json_t *r = envelope_create("ledger", probe, "ALL", start, start + 60, 1, 0);
	static const char *const zero[] = {
	    "rx_bytes",    "source_dropped",    "late",      "blocks",   "block_bytes_raw",
	    "block_bytes", "ring_full_records", "malformed", "tcp_gaps", "tcp_lost_bytes",
	    "tcp_evicted"};

	json_object_set_new(r, "worker", json_string("all"));
	for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
		json_object_set_new(r, zero[i], json_integer(0));
	json_object_set_new(r, "rx_packets", json_integer(received));
	json_object_set_new(r, "carried", json_integer(received - held - 5));
	json_object_set_new(r, "held_packets", json_integer(held));
	json_object_set_new(r, "messages", json_integer(100));
	json_object_set_new(r, "counted", json_integer(99));
	json_object_set_new(r, "held", json_integer(0));
	json_object_set_new(r, "records", json_integer(10));
	json_object_set_new(r, "merged", json_integer(10));
	json_object_set_new(r, "dropped", json_pack("{s:i, s:i}", "not_dns", 4, "tcp_full", 1));
	json_object_set_new(r, "msg_dropped", json_pack("{s:i}", "short", 1));
	return r;
}

/* Registers of a set with about `n` in it, as base64: most of it zeros ("A"). */
static json_t *registers(unsigned n)
{
	char *text = malloc(FT_DISTINCT_REGS / 3 * 4 + 5);
	const size_t len = (FT_DISTINCT_REGS + 2) / 3 * 4;

	memset(text, 'A', len);
	for (size_t i = 0; i < n; i++)
		text[4 * i + 1] = 'Q'; /* 0x01 0x00 0x00 */
	memcpy(text + len - 2, "==", 3);

	json_t *r = json_pack("{s:i, s:s}", "p", FT_DISTINCT_P, "regs", text);

	free(text);
	return r;
}

static json_t *traffic(uint64_t start, const char *vantage, json_int_t queries)
{
	json_t *r = envelope_create("traffic", "tap1", vantage, start, start + 60, 1, 20);

	json_object_update_new(
	    r, json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:{s:I, s:I}, s:{s:i}, s:{s:I, s:I}, "
			 "s:{s:I}, s:{s:I}, s:{s:i}}",
			 "queries", queries, "responses", queries - queries / 4, "pairs",
			 queries - queries / 4, "unanswered", queries / 4, "unsolicited", 3,
			 "malformed", 2, "by_qtype", "A", queries / 4 * 3, "AAAA", queries / 4,
			 "by_rcode", "NOERROR", 1, "by_class", "DATA", queries / 4 * 3, "TIMEOUT",
			 queries / 4, "by_opcode", "QUERY", queries, "by_transport", "udp4",
			 queries, "edns", "do", 5));
	json_object_update_new(
	    r, json_pack("{s:i, s:i, s:i, s:i, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:f, "
			 "s:[[i,i],[i,i]]}, s:{s:[i,i]}, s:{s:o,s:o}}",
			 "query_bytes", 1000, "response_bytes", 2000, "clients", 7, "names", 9,
			 "rtt_us", "count", 30, "p50", 950, "p90", 1500, "p99", 2500000, "p999",
			 2500000, "max", 2600000, "alpha", 0.01, "bins", 350, 20, 400, 10, "series",
			 "A", 0, 4, "hll", "clients", registers(7), "names", registers(9)));
	return r;
}

static void export_all(void)
{
	char why[256];
	struct jsonl *j = jsonl_create(dir, "tap1", why, sizeof why);

	for (unsigned i = 0; i < 3; i++) { /* out of order within a file, on purpose */
		assert_int_equal(
		    jsonl_write(j, "traffic", DAY + 60 * i, traffic(DAY + 60 * i, "X", 40)), 0);
		assert_int_equal(
		    jsonl_write(j, "traffic", DAY + 60 * i, traffic(DAY + 60 * i, "AUTH", 1234560)),
		    0);
		assert_int_equal(
		    jsonl_write(j, "ledger", DAY + 60 * i, ledger(DAY + 60 * i, "tap1", 1000, 0)),
		    0);
		assert_int_equal(jsonl_commit(j), 0);
	}
	jsonl_destroy(j);
}

static void test_round_trip(void **state)
{
	static const char *const sets[] = {"ledger", "traffic", "traffic"};
	static const char *const vantages[] = {"ALL", "AUTH", "X"};
	size_t n = 0;

	(void)state;
	export_all();
	assert_int_equal(run("cat DIR"), 0);
	assert_string_equal(err, "");
	for (char *rest, *line = strtok_r(out, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest), n++) {
		json_t *r = json_loads(line, 0, NULL);
		char *again =
		    json_dumps(r, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));

		assert_int_equal(json_integer_value(json_object_get(r, "start")),
				 DAY + 60 * (n / 3));
		assert_string_equal(json_string_value(json_object_get(r, "set")), sets[n % 3]);
		assert_string_equal(json_string_value(json_object_get(r, "vantage")),
				    vantages[n % 3]);
		assert_string_equal(line, again);
		free(again);
		json_decref(r);
	}
	assert_int_equal(n, 9);
	assert_int_equal(run("cat --set ledger DIR"), 0);
	assert_null(strstr(out, "traffic"));
	assert_int_equal(run("cat --set ledger,traffic DIR/traffic"), 0);
	assert_null(strstr(out, "ledger"));
	assert_says(out, "\"set\":\"traffic\"");
	assert_int_equal(run("cat DIR/ledger/ledger-20231115T000100Z-tap1-000001.jsonl.zst"), 0);
	assert_says(out, "\"start\":1700006460,");
	assert_int_equal(strcspn(out, "\n"), strlen(out) - 1);
}

static void test_schema(void **state)
{
	char script[1024], line[600];

	(void)state;
	assert_int_equal(run("cat --schema"), 0);
	json_t *schema = json_loads(out, 0, NULL);

	assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
			    "https://json-schema.org/draft/2020-12/schema");
	json_decref(schema);
	assert_true(schema_has_set("traffic"));
	assert_true(schema_has_set("flux"));
	assert_false(schema_has_set("weather"));
	if (system("python3 -c 'import jsonschema' 2>/dev/null") != 0) {
		print_message("not validated: python3-jsonschema is missing\n");
		return;
	}
	snprintf(line, sizeof line, "cp %s/.out %s/.schema", dir, dir);
	assert_int_equal(system(line), 0);
	export_all();
	assert_int_equal(run("cat DIR"), 0);
	snprintf(script, sizeof script,
		 "python3 -c '\n"
		 "import json,jsonschema\n"
		 "s=json.load(open(\"%s/.schema\"))\n"
		 "V=jsonschema.Draft202012Validator\n"
		 "V.check_schema(s)\n"
		 "v=V(s)\n"
		 "rs=[json.loads(l) for l in open(\"%s/.out\")]\n"
		 "for r in rs: v.validate(r)\n"
		 "for r in rs:\n"
		 " for k in list(r):\n"
		 "  c=dict(r); del c[k]; assert not v.is_valid(c), k\n"
		 "  c=dict(r); c[k]=\"wrong!\"; assert not v.is_valid(c), k\n"
		 " assert not v.is_valid(dict(r, extra=1))\n"
		 " assert not v.is_valid(dict(r, set=\"flux\"))\n"
		 "'",
		 dir, dir);
	assert_int_equal(system(script), 0);
}

static void damage(const char *file, off_t cut, const char *append)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", dir, file);
	if (cut > 0)
		assert_int_equal(truncate(path, cut), 0);
	if (append != NULL) {
		FILE *f = fopen(path, "a");

		fputs(append, f);
		fclose(f);
	}
}

static void test_damaged(void **state)
{
	(void)state;
	export_all();
	damage("ledger/ledger-20231115T000000Z-tap1-000000.jsonl.zst", 40, NULL);
	assert_int_equal(run("cat --set ledger DIR"), 1);
	assert_says(err, "ledger-20231115T000000Z-tap1-000000.jsonl.zst: damaged after 0 records: "
			 "the file is cut off");
	assert_says(out, "\"start\":1700006460,");
	assert_says(out, "\"start\":1700006520,");
	damage("ledger/ledger-20231115T000100Z-tap1-000001.jsonl.zst", 0, "garbage");
	assert_int_equal(run("cat --set ledger DIR"), 1);
	assert_says(err, "000001.jsonl.zst: damaged after 1 records: ");
	assert_says(out, "\"start\":1700006460,"); /* what is whole is printed */
	damage("ledger/empty.jsonl.zst", 0, "");
	assert_int_equal(run("cat DIR"), 1);
	assert_says(err, "empty.jsonl.zst: damaged after 0 records: the file is empty");
	assert_int_equal(run("report ledger DIR"), 1);
	/* Not whole, and nobody's business. */
	damage("ledger/.ledger-tap1.1.tmp", 0, "garbage");
	damage("ledger/notes.txt", 0, "garbage");
	assert_int_equal(run("cat --set traffic DIR"), 1); /* empty.jsonl.zst could hold any set */
	assert_null(strstr(err, "notes"));
	assert_null(strstr(err, ".tmp"));
}

/* A file cut at every length: its whole records or none, one message, never a crash. */
static void test_cut(void **state)
{
	char path[256], line[64];
	struct stat st;

	(void)state;
	export_all();
	snprintf(path, sizeof path, "%s/ledger/ledger-20231115T000000Z-tap1-000000.jsonl.zst", dir);
	assert_int_equal(stat(path, &st), 0);
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		assert_int_equal(truncate(path, len), 0);
		snprintf(line, sizeof line, "cat DIR/ledger");
		assert_int_equal(run(line), 1);
		assert_says(err, "-000000.jsonl.zst: damaged after ");
		assert_says(out, "\"start\":1700006520,");
	}
}

/* Lines that are no records, in a file that is whole. */
static void test_foreign(void **state)
{
	char line[512];

	(void)state;
	snprintf(
	    line, sizeof line,
	    "printf "
	    "'{\"set\":\"new\",\"start\":7}\\nhello\\n[1]\\n{\"set\":\"new\",\"start\":3}\\n' | "
	    "zstd -q -o %s/x.jsonl.zst",
	    dir);
	if (system(line) != 0)
		skip();
	assert_int_equal(run("cat DIR"), 1);
	assert_string_equal(out, "{\"set\":\"new\",\"start\":3}\n{\"set\":\"new\",\"start\":7}\n");
	assert_says(err, "x.jsonl.zst: 2 lines are no records; left out");
}

/* More than fits in memory: sorted on disk. */
static void test_large(void **state)
{
	char why[256], noise[2048];
	uint64_t last = 0, n = 0;

	(void)state;
	struct jsonl *j = jsonl_create(dir, "tap1", why, sizeof why);

	memset(noise, 'x', sizeof noise - 1);
	noise[sizeof noise - 1] = '\0';
	for (uint64_t i = 0; i < 40000; i++) { /* 80 MB */
		const uint64_t start = DAY + i * 7919 % 40000;
		json_t *r = envelope_create("traffic", "tap1", "X", start, start + 1, 1, 0);

		json_object_set_new(r, "noise", json_string(noise));
		assert_int_equal(jsonl_write(j, "traffic", start, r), 0);
	}
	assert_int_equal(jsonl_commit(j), 0);
	jsonl_destroy(j);
	assert_int_equal(run("cat DIR"), 0);
	for (char *rest, *line = strtok_r(out, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest), n++) {
		const uint64_t start = strtoull(strstr(line, "\"start\":") + 8, NULL, 10);

		assert_true(start > last);
		last = start;
	}
	assert_int_equal(n, 40000);
}

static void test_wrong_use(void **state)
{
	static const struct {
		const char *line, *wanted;
	} cases[] = {
	    {"cat", "fluxtap cat: no directory; give the one that --out named, such as \"fluxtap "
		    "cat fluxtap-out\""},
	    {"cat /nonexistent",
	     "/nonexistent: No such file or directory; give the directory that --out named"},
	    {"cat DIR /nonexistent", "/nonexistent: No such file"},
	    {"cat DIR/.out",
	     ".out is no exported file; give a directory or files that end in .jsonl.zst"},
	    {"cat --set trafic DIR", "--set: \"trafic\" is no set; there are: client cookie dga"},
	    {"cat --set= DIR", "--set: an item of the list is empty"},
	    {"cat --sets x DIR", "\"--sets\" is no option of \"fluxtap cat\"; did you mean --set?"},
	    {"cat --schema DIR", "--schema prints the schema alone; leave the directory out"},
	    {"report", "no report named; there are: traffic"},
	    {"report weather DIR", "\"weather\" is no report; there are: traffic"},
	    {"report traffic", "no directory; give the one that --out named, such as \"fluxtap "
			       "report traffic fluxtap-out\""},
	    {"report traffic /nonexistent", "/nonexistent: No such file or directory"},
	    {"report --wide traffic DIR",
	     "\"--wide\": \"fluxtap report\" has no options but --help"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(run(cases[i].line), 2);
		assert_says(err, cases[i].wanted);
		assert_string_equal(out, "");
	}
	assert_int_equal(run("cat DIR"), 0);
	assert_string_equal(out, "");
	assert_int_equal(run("cat --help"), 0);
	assert_says(out, "Usage: fluxtap cat [--set NAME,...] DIR|FILE...");
	assert_int_equal(run("report --help"), 0);
	assert_int_equal(run("report traffic DIR"), 0);
	assert_says(out, "There are no traffic records here.");
	assert_int_equal(run("report ledger DIR"), 0);
	assert_says(out, "There are no ledger records here.");
}

static void assert_fits(void)
{
	for (char *rest, *line = strtok_r(out, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		assert_in_range(strlen(line), 0, 80);
}

static void test_report_traffic(void **state)
{
	(void)state;
	export_all();
	assert_int_equal(run("report traffic DIR"), 0);
	assert_says(out, "2023-11-15 00:00:00 UTC, 60 s, probe tap1\n");
	assert_says(
	    out,
	    "  AUTH        1,234,560     20,576        925,920   25.00 %         7          9\n");
	assert_says(
	    out,
	    "  X                  40       0.67             30   25.00 %         7          9\n");
	assert_says(out, "    types     A 75.0 %  AAAA 25.0 %\n");
	assert_says(out, "    classes   DATA 75.0 %  TIMEOUT 25.0 %\n");
	assert_says(out, "    rtt       p50 950 us  p90 1.5 ms  p99 2.50 s  max 2.60 s\n");
	assert_says(out, "Total of 6 records\n");
	assert_says(
	    out,
	    "  AUTH        3,703,680     20,576      2,777,760   25.00 %         7          9\n");
	assert_fits();
}

static void test_report_ledger(void **state)
{
	char why[256];

	(void)state;
	export_all();
	assert_int_equal(run("report ledger DIR"), 0);
	assert_says(
	    out,
	    "  packets           1,000         0            5            995        0  closes\n");
	assert_says(
	    out,
	    "  records              10         -            0             10        -  closes\n");
	assert_says(out, "          4 not_dns        IP, but no DNS port or another protocol\n");
	assert_says(out, "          1 short          shorter than a DNS header\n");
	assert_says(out, "Total of 3 intervals: 3,000 packets, 300 messages\n");
	assert_says(out, "All 9 equations close.\n");
	assert_fits();
	/* Held over an interval's end; then a packet too few. */
	struct jsonl *j = jsonl_create(dir, "tap2", why, sizeof why);
	json_t *second = ledger(DAY + 60, "tap2", 1000, 0),
	       *third = ledger(DAY + 120, "tap2", 1000, 0);

	json_object_set_new(second, "carried", json_integer(1002));
	json_object_set_new(third, "carried", json_integer(900));
	assert_int_equal(jsonl_write(j, "ledger", DAY, ledger(DAY, "tap2", 1000, 7)), 0);
	assert_int_equal(jsonl_write(j, "ledger", DAY + 60, second), 0);
	assert_int_equal(jsonl_write(j, "ledger", DAY + 120, third), 0);
	assert_int_equal(jsonl_commit(j), 0);
	jsonl_destroy(j);
	assert_int_equal(run("report ledger DIR"), 0);
	assert_says(
	    out,
	    "  packets           1,000         7            5          1,002        0  closes\n");
	assert_says(out, "DOES NOT CLOSE by 95: the right side is smaller\n");
	assert_says(out, "1 of 18 equations DO NOT CLOSE.\n");
	assert_null(strstr(out, "Several runs"));
}

/* The same capture exported twice into one directory. */
static void test_report_overlap(void **state)
{
	char why[256];

	(void)state;
	export_all();
	export_all();
	struct jsonl *j = jsonl_create(dir, "tap2", why, sizeof why);

	assert_int_equal(jsonl_write(j, "ledger", DAY, ledger(DAY, "tap2", 1000, 7)), 0);
	assert_int_equal(jsonl_write(j, "ledger", DAY, ledger(DAY, "tap2", 1000, 3)), 0);
	for (json_int_t held = 3; held <= 7; held += 4) {
		json_t *r = ledger(DAY + 60, "tap2", 1000, 0);

		json_object_set_new(r, "carried", json_integer(995 + held));
		assert_int_equal(jsonl_write(j, "ledger", DAY + 60, r), 0);
	}
	assert_int_equal(jsonl_commit(j), 0);
	jsonl_destroy(j);
	assert_int_equal(run("report ledger DIR"), 0);
	assert_says(out, "All 30 equations close.\nSeveral runs were exported here");
}

static void test_pipe(void **state)
{
	char path[128];
	int ends[2], status;

	(void)state;
	export_all();
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	fflush(NULL);
	const pid_t child = fork();

	if (child == 0) {
		char *argv[] = {(char[]){"cat"}, dir, NULL};

		snprintf(path, sizeof path, "%s/.err", dir);
		if (dup2(ends[1], 1) != 1 || !freopen(path, "w", stderr))
			_exit(99);
		const int code = cat_main(2, argv);

		fflush(stderr);
		_exit(code);
	}
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	snprintf(path, sizeof path, "%s/.err", dir);
	err = read_back(path);
	assert_string_equal(err, ""); /* not a word */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_round_trip),    TEST(test_schema),
	    TEST(test_damaged),       TEST(test_cut),
	    TEST(test_foreign),       TEST(test_large),
	    TEST(test_wrong_use),     TEST(test_report_traffic),
	    TEST(test_report_ledger), TEST(test_report_overlap),
	    TEST(test_pipe),
	};

	return cmocka_run_group_tests_name("cat", tests, NULL, NULL);
}

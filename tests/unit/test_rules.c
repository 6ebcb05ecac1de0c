/* SPDX-License-Identifier: BSD-3-Clause */
#include "guard.h"
#include "name.h"
#include "rules.h"
#include "rules_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/fluxtap-rules-XXXXXX";
static char paths[3][64];
static const char *const path_list[] = {paths[0], paths[1], paths[2]};

static int setup(void **unused)
{
	(void)unused;
	if (mkdtemp(dir) == NULL)
		return -1;
	for (unsigned i = 0; i < 3; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%u.rules", dir, i);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 3; i++)
		unlink(paths[i]);
	return rmdir(dir);
}

static void put_bytes(unsigned file, const char *text, size_t len)
{
	FILE *f = fopen(paths[file], "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put(unsigned file, const char *text)
{
	put_bytes(file, text, strlen(text));
}

static struct rules *rules_of(size_t files)
{
	const struct rules_settings settings = {
	    .paths = path_list, .paths_len = files, .name_seed = 5, .sketch_seed = 6};
	struct rules *r = rules_create(&settings);

	assert_non_null(r);
	return r;
}

/* The only file's text must be refused: "path:line: ..." with both parts in it. */
static void refused(const char *text, unsigned line, const char *wrong, const char *right)
{
	struct rules *r = rules_of(1);
	char err[2048] = "", place[128];

	put(0, text);
	assert_null(rules_load(r, err, sizeof(err)));
	snprintf(place, sizeof(place), "%s:%u: ", paths[0], line);
	if (strncmp(err, place, strlen(place)) != 0 || strstr(err, wrong) == NULL ||
	    strstr(err, right) == NULL)
		fail_msg("\"%s\" -> \"%s\"", text, err);
	assert_int_equal(rules_count(r), 0);
	rules_destroy(r);
}

static void bad_lines(void **unused)
{
	char text[20000];

	(void)unused;
	refused("# only\n\nx\n", 3, "without a kind", "<id> <kind> <argument>");
	refused("x exact", 1, "without an argument", "<id> <kind> <argument>");
	refused("x exact # a.b\n", 1, "without an argument", "<id> <kind> <argument>");
	refused("a exact b\nx Exact a.b\n", 2, "\"Exact\"", "exact, suffix, regex, dnsbl or shape");
	refused("x exact a..b", 1, "a..b", "one dot between labels");
	refused("x suffix a\\999", 1, "bad escape", "up to 255");
	refused("x dnsbl .", 1, "root", "such as");
	refused("x exact a b", 1, "\"b\"", "family= and severity=");
	refused("x exact a color=red", 1, "color=red", "family= and severity=");
	refused("x regex a b", 1, "\"b\"", "\\x20");
	refused("x exact a severity=-1", 1, "severity=", "0 to 100");
	refused("x exact a severity=101", 1, "severity=", "0 to 100");
	refused("x exact a severity=", 1, "severity=", "0 to 100");
	refused("x exact a severity=1x", 1, "severity=", "0 to 100");
	refused("x exact a severity=1 severity=1", 1, "twice", "once");
	refused("x exact a family=p family=p", 1, "twice", "once");
	refused("x exact a family=", 1, "family=", "visible characters");
	refused("x\x01 exact a", 1, "no id", "visible characters");
	refused("x=1 exact a", 1, "no id", "visible characters");
	refused("x shape len=8", 1, "charset=", "right would be");
	refused("x shape", 1, "without an argument", "<id> <kind> <argument>");
	refused("x shape len=8 charset=a-z color=red", 1, "color", "");
	refused("ok exact a\nx regex (\n", 2, "", "");
	refused("x exact a\n\nx suffix b\n", 3, "kind suffix here and of kind exact", ".rules:1");
	refused("x exact a family=p\nx exact b\nx exact c family=q\n", 3, "family=q here",
		"rules:1");
	refused("x exact a\nx exact b severity=1\nx exact c severity=2\n", 3, "severity=2 here",
		"rules:2");
	memset(text, 'i', 129);
	strcpy(text + 129, " exact a");
	refused(text, 1, "no id", "128");
	memset(text, 'y', 9000);
	memcpy(text, "x regex ", 8);
	text[9000] = '\0';
	refused(text, 1, "8992 characters", "at most");
}

static void bad_files(void **unused)
{
	struct rules *r;
	char err[1024];

	(void)unused;
	put(0, "a exact b\n");
	unlink(paths[1]);
	r = rules_of(2);
	assert_null(rules_load(r, err, sizeof(err)));
	assert_int_equal(strncmp(err, paths[1], strlen(paths[1])), 0);
	assert_non_null(strstr(err, "No such file"));
	put_bytes(1, "a exact \0", 9);
	assert_null(rules_load(r, err, sizeof(err)));
	assert_non_null(strstr(err, "NUL"));
	assert_int_equal(rules_count(r), 0);
	/* A contradiction is found over files, and names both places. */
	put(1, "# comment\na suffix b\n");
	assert_null(rules_load(r, err, sizeof(err)));
	assert_non_null(strstr(err, "1.rules:2: "));
	assert_non_null(strstr(err, "0.rules:1;"));
	rules_destroy(r);
	rules_destroy(NULL);
}

static const struct rule_info *info_of(const struct rules *r, const char *id, enum rule_kind kind)
{
	return rules_info(r, rules_number(r, id, strlen(id), kind));
}

static void good_lines(void **unused)
{
	const struct rule_info *info;
	struct ruleset *set;
	struct rules *r;
	char err[1024];

	(void)unused;
	put(0, "\n   # a comment\r\n"
	       "one exact WWW.Example.com.  severity=7 # behind\r\n"
	       "one exact a\\.b.\\101bc\tfamily=fam-1\n"
	       "two\tsuffix\tnet\n"
	       "three regex ^a{2,3}\\.\n"
	       "three regex x\\x20y family=other\n"
	       "four dnsbl zen.spamhaus.org\n"
	       "five shape severity=0 len=5-6 family=mine charset=a-z tld=com,co.uk\n"
	       "five shape charset=0-9 len=16"); /* no newline at the end */
	r = rules_of(1);
	set = rules_load(r, err, sizeof(err));
	assert_non_null(set);
	assert_int_equal(rules_count(r), 5);
	assert_int_equal(ruleset_generation(set), 1);
	assert_int_equal(ruleset_listed_names(set), 4);
	assert_int_equal(ruleset_patterns(set), 2);
	info = info_of(r, "one", RULE_EXACT);
	assert_string_equal(info->id, "one");
	assert_string_equal(info->family, "fam-1");
	assert_int_equal(info->severity, 7);
	info = info_of(r, "two", RULE_SUFFIX);
	assert_null(info->family);
	assert_int_equal(info->severity, -1);
	info = info_of(r, "three", RULE_REGEX);
	assert_string_equal(info->family, "other");
	info = info_of(r, "five", RULE_SHAPE);
	assert_string_equal(info->family, "mine");
	assert_int_equal(info->severity, 0);
	assert_null(info_of(r, "one", RULE_SUFFIX));
	assert_null(info_of(r, "six", RULE_EXACT));
	assert_null(rules_info(r, 0));
	assert_null(rules_info(r, 6));
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(ruleset_kind(set, i), rules_info(r, i)->kind);
	ruleset_destroy(set);
	rules_destroy(r);
}

/* Numbers and family bits stay over reloads; a refused load changes nothing. */
static void reloads(void **unused)
{
	struct ruleset *sets[3];
	const struct rule_info *a, *b;
	char err[1024];
	struct rules *r;
	unsigned families = 0;

	(void)unused;
	put(0, "a exact x family=p\nb suffix y\ns shape len=5 charset=a-z family=zzz\n");
	r = rules_of(1);
	sets[0] = rules_load(r, err, sizeof(err));
	assert_non_null(sets[0]);
	a = rules_info(r, 1);
	b = rules_info(r, 2);
	assert_string_equal(a->id, "a");
	assert_string_equal(b->id, "b");
	while (rules_family(r, families) != NULL)
		families++;
	assert_in_range(families, 2, 63);
	assert_string_equal(rules_family(r, families - 1), "zzz");

	put(0, "new exact q\ns shape len=5 charset=a-z family=yyy\na suffix z family=r\nbad\n");
	assert_null(rules_load(r, err, sizeof(err)));
	assert_int_equal(rules_count(r), 3);
	assert_string_equal(rules_info(r, 1)->family, "p");
	assert_int_equal(rules_number(r, "new", 3, RULE_EXACT), 0);
	assert_int_equal(rules_number(r, "a", 1, RULE_SUFFIX), 0);
	assert_null(rules_family(r, families));

	/* b is gone, a became another kind: another rule. */
	put(0, "c exact w\na suffix x severity=1\ns shape len=5 charset=a-z family=yyy\n");
	sets[1] = rules_load(r, err, sizeof(err));
	assert_non_null(sets[1]);
	assert_int_equal(ruleset_generation(sets[1]), 2);
	assert_int_equal(rules_count(r), 5);
	assert_ptr_equal(rules_info(r, 1), a);
	assert_ptr_equal(rules_info(r, 2), b);
	assert_string_equal(rules_info(r, 4)->id, "c");
	assert_int_equal(rules_number(r, "a", 1, RULE_SUFFIX), 5);
	assert_string_equal(rules_family(r, families), "yyy");
	assert_string_equal(rules_family(r, families - 1), "zzz");

	put(0, "b suffix y severity=9\na exact x\n");
	sets[2] = rules_load(r, err, sizeof(err));
	assert_non_null(sets[2]);
	assert_int_equal(rules_count(r), 5);
	assert_int_equal(b->severity, 9);
	assert_null(a->family);
	for (unsigned i = 0; i < 3; i++)
		ruleset_destroy(sets[i]);
	rules_destroy(r);
}

/* Families of shapes share 64 bits with the built-in ones. */
static void many_families(void **unused)
{
	char text[8192] = "", err[1024] = "", place[128];
	struct ruleset *set;
	struct rules *r;
	unsigned known = 0;
	size_t n = 0;

	(void)unused;
	put(0, "");
	r = rules_of(1);
	set = rules_load(r, err, sizeof(err));
	assert_non_null(set);
	while (rules_family(r, known) != NULL)
		known++;
	assert_true(known > 30 && known < 64);
	ruleset_destroy(set);
	for (unsigned i = known; i <= 64; i++) {
		put(0, text);
		set = rules_load(r, err, sizeof(err));
		assert_non_null(set);
		ruleset_destroy(set);
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "r%u shape len=%u charset=a-z family=f%u\n", i, i - 20, i);
	}
	put(0, text);
	assert_null(rules_load(r, err, sizeof(err)));
	snprintf(place, sizeof(place), "%s:%u: ", paths[0], 64 - known + 1);
	assert_int_equal(strncmp(err, place, strlen(place)), 0);
	assert_non_null(strstr(err, "64"));
	rules_destroy(r);
}

/* Every length of a list's text, at the end of what can be read. */
static void truncated(void **unused)
{
	static const char whole[] = "# c\na exact b.\\101 severity=12\r\n\tbb suffix x family=f #\n"
				    "r regex ^a\nd dnsbl z\ns shape len=5-9 family=f charset=a-z\n";

	(void)unused;
	for (size_t n = 0; n < sizeof(whole); n++) {
		uint8_t *p = guard_copy(whole, n), name[FT_NAME_CAP];
		const struct rules_file f = {"p", (char *)p, n};
		struct rules_line line = {0};
		struct shape_line shape;
		char err[256], buf[RULES_WORD_CAP];
		size_t at = 0;
		int rc;

		while ((rc = rules_file_next(&f, &at, &line, err, sizeof(err))) != 0) {
			if (rc < 0)
				continue;
			if (line.kind == RULE_SHAPE)
				rules_line_shape(&line, buf, &shape, err, sizeof(err));
			else if (line.kind != RULE_REGEX)
				rules_line_name(&line, name, err, sizeof(err));
		}
		assert_int_equal(at, n);
		guard_free(p, n);
	}
}

/* A million names of a thousand rules in two files; half stand in both. */
static void a_million(void **unused)
{
	FILE *f[2] = {fopen(paths[0], "w"), fopen(paths[1], "w")};
	struct ruleset *set;
	struct rules *r;
	char err[1024];

	(void)unused;
	for (unsigned i = 0; i < 1000000; i++)
		fprintf(f[i & 1], "list-%u exact host%u.example%u.com\n", i / 2000, i / 2,
			i / 2 % 1000);
	fclose(f[0]);
	fclose(f[1]);
	r = rules_of(2);
	set = rules_load(r, err, sizeof(err));
	assert_non_null(set);
	assert_int_equal(ruleset_listed_names(set), 500000);
	assert_int_equal(rules_count(r), 500);
	ruleset_destroy(set);
	rules_destroy(r);
}

static void cache_directories(void **unused)
{
	char out[4096], sub[128];
	const char *why;

	(void)unused;
	assert_null(rules_cache_dir("off", out, sizeof(out), &why));
	assert_null(why);
	snprintf(sub, sizeof(sub), "%s/cache", dir);
	assert_string_equal(rules_cache_dir(sub, out, sizeof(out), &why), sub);
	assert_int_equal(chmod(sub, 0777), 0);
	assert_null(rules_cache_dir(sub, out, sizeof(out), &why));
	assert_non_null(strstr(why, "chmod"));
	assert_int_equal(rmdir(sub), 0);
	assert_null(rules_cache_dir("/dev/null/x", out, sizeof(out), &why));
	assert_non_null(why);
	setenv("XDG_CACHE_HOME", dir, 1);
	snprintf(sub, sizeof(sub), "%s/fluxtap", dir);
	assert_string_equal(rules_cache_dir(NULL, out, sizeof(out), &why), sub);
	assert_null(why);
	assert_int_equal(rmdir(sub), 0);
	unsetenv("XDG_CACHE_HOME");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_lines),     cmocka_unit_test(bad_files),
	    cmocka_unit_test(good_lines),    cmocka_unit_test(reloads),
	    cmocka_unit_test(many_families), cmocka_unit_test(truncated),
	    cmocka_unit_test(a_million),     cmocka_unit_test(cache_directories),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

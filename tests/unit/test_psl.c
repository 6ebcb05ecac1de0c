/* SPDX-License-Identifier: BSD-3-Clause */
/* Public suffixes against publicsuffix.org's own examples and against libpsl. */
#include "guard.h"
#include "lists.h"
#include "psl.h"
#include "punycode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>
#include <libpsl.h>

#define SYSTEM_LIST "/usr/share/publicsuffix/public_suffix_list.dat"

static const char small[] = "// a comment\n"
			    "com\n"
			    "co.uk  what follows a blank is no rule\n"
			    "*.ck\r\n"
			    "!www.ck\n"
			    "\n"
			    "jp\n"
			    "*.kobe.jp\n"
			    "!city.kobe.jp\n"
			    "a.b.c.d\n"
			    "\xe5\x85\xac\xe5\x8f\xb8.cn\n" /* U+516C U+53F8, xn--55qx5d */
			    "COM.Upper";

struct want {
	const char *name, *domain, *suffix;
};

/* The text of the name from `off` on. */
static const char *from(const char *name, uint32_t off)
{
	return off >= strlen(name) ? "" : name + off;
}

static void check(const struct psl *p, const char *name, const char *domain, const char *suffix)
{
	uint8_t wire[256];
	uint32_t suffix_off = 999, off;
	const uint32_t n = lists_wire(name, wire);
	uint8_t *w = guard_copy(wire, n);

	assert_int_not_equal(n, 0);
	off = psl_domain_off(p, w, n, &suffix_off);
	/* An octet of length stands where the text has a dot: offsets are the same. */
	assert_string_equal(from(name, off), domain);
	assert_string_equal(from(name, suffix_off), suffix);
	guard_free(w, n);
}

static struct psl *create(const char *text, size_t len)
{
	char err[256] = "";
	struct psl *p = psl_create_text(text, len, "L", err, sizeof err);

	if (p == NULL)
		print_error("%s\n", err);
	assert_non_null(p);
	return p;
}

static void test_rules(void **state)
{
	static const struct want wants[] = {
	    {"", "", ""},
	    {"com", "com", "com"},
	    {"example.com", "example.com", "com"},
	    {"www.example.com", "example.com", "com"},
	    {"uk", "uk", "uk"},
	    {"co.uk", "co.uk", "co.uk"},
	    {"bbc.co.uk", "bbc.co.uk", "co.uk"},
	    {"a.b.bbc.co.uk", "bbc.co.uk", "co.uk"},
	    {"parliament.uk", "parliament.uk", "uk"}, /* "*": co.uk is no rule for uk */
	    {"what.parliament.uk", "parliament.uk", "uk"},
	    {"ck", "ck", "ck"},
	    {"x.ck", "x.ck", "x.ck"},
	    {"y.x.ck", "y.x.ck", "x.ck"},
	    {"z.y.x.ck", "y.x.ck", "x.ck"},
	    {"www.ck", "www.ck", "ck"},
	    {"www.www.ck", "www.ck", "ck"},
	    {"kobe.jp", "kobe.jp", "jp"},
	    {"c.kobe.jp", "c.kobe.jp", "c.kobe.jp"},
	    {"b.c.kobe.jp", "b.c.kobe.jp", "c.kobe.jp"},
	    {"city.kobe.jp", "city.kobe.jp", "kobe.jp"},
	    {"x.city.kobe.jp", "city.kobe.jp", "kobe.jp"},
	    {"b.c.d", "c.d", "d"}, /* only the whole of a.b.c.d is a rule */
	    {"a.b.c.d", "a.b.c.d", "a.b.c.d"},
	    {"x.a.b.c.d", "x.a.b.c.d", "a.b.c.d"},
	    {"y.b.c.d", "c.d", "d"},
	    {"xn--55qx5d.cn", "xn--55qx5d.cn", "xn--55qx5d.cn"},
	    {"xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn", "xn--55qx5d.cn"},
	    {"b.com.upper", "b.com.upper", "com.upper"},
	    {"local", "local", "local"},
	    {"b.example.local", "example.local", "local"},
	};
	struct psl *p = create(small, sizeof small - 1);

	(void)state;
	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		const struct want *w = &wants[i];
		/* The root and suffixes have no registered domain: the name itself. */
		check(p, w->name, w->domain, w->suffix);
	}
	psl_destroy(p);
	psl_destroy(NULL);
}

static void test_longest_name(void **state)
{
	struct psl *p = create(small, sizeof small - 1);
	uint8_t wire[255];
	uint32_t suffix_off;

	(void)state;
	for (uint32_t i = 0; i < 127; i++) {
		wire[2 * i] = 1;
		wire[2 * i + 1] = 'a';
	}
	wire[254] = 0;
	uint8_t *w = guard_copy(wire, 255);
	assert_int_equal(psl_domain_off(p, w, 255, &suffix_off), 250);
	assert_int_equal(suffix_off, 252);
	guard_free(w, 255);
	psl_destroy(p);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
	    "com\na..b\n",
	    "com\n.net\n",
	    "com\nnet.\n",
	    "com\na.*.b\n",
	    "com\n!\n",
	    "com\n*.*.a\n",
	    "com\n!com\n",
	    "com\n\xc3\n",
	    "com\n\xc0\xaf\n",
	    "com\n*a.b\n",
	    "com\n\xed\xa0\x80\n",
	    "com\na!b.c\n",
	    "com\naaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg\n",
	};
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err[0] = '\0';
		errno = 0;
		assert_null(psl_create_text(bad[i], strlen(bad[i]), "L", err, sizeof err));
		assert_int_equal(errno, EINVAL);
		assert_non_null(strstr(err, "L:2: "));
	}
	assert_null(psl_create_text("// only\n", 8, "L", err, sizeof err));
	assert_int_equal(errno, EINVAL);
	assert_string_equal(err, "L: has no rules in it");
	assert_null(psl_create("/nonexistent/list", err, sizeof err));
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(err, "/nonexistent/list: No such file"));
	assert_null(psl_create("/", err, sizeof err));
	assert_non_null(strstr(err, "/: "));
}

static void test_truncated(void **state)
{
	char err[256];

	(void)state;
	for (size_t n = 0; n < sizeof small; n++) {
		uint8_t *text = guard_copy(small, n);
		struct psl *p = psl_create_text((char *)text, n, "L", err, sizeof err);
		/* The comment alone is no list; behind it, a cut leaves another rule or a bad one.
		 */
		if (n <= strlen("// a comment\n"))
			assert_null(p);
		else if (n <= strlen("// a comment\ncom\nco"))
			assert_non_null(p);
		else
			assert_true(p != NULL || errno == EINVAL);
		psl_destroy(p);
		guard_free(text, n);
	}
}

/* RFC 3492 section 7.1 and registered names. */
static void test_punycode(void **state)
{
	static const char *const wants[][2] = {
	    {"abc-1", "abc-1"},
	    {"ABC", "abc"},
	    {"b\xc3\xbc"
	     "cher",
	     "xn--bcher-kva"},
	    {"\xd1\x80\xd1\x84", "xn--p1ai"},
	    {"\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d\xe8\xaf\xb4"
	     "\xe4"
	     "\xb8\xad\xe6\x96\x87",
	     "xn--ihqwcrb4cv8a8dqg056pqjye"},
	    {"3\xe5\xb9\xb4"
	     "b\xe7\xb5\x84\xe9\x87\x91\xe5\x85\xab\xe5\x85\x88\xe7\x94\x9f",
	     "xn--3b-ww4c5e180e575a65lsy2b"},
	    {"\xf0\x9f\x92\xa9", "xn--ls8h"},
	};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		const size_t n = strlen(wants[i][0]);
		uint8_t *text = guard_copy(wants[i][0], n);
		const uint32_t k = punycode_label((char *)text, n, out);
		assert_int_equal(k, strlen(wants[i][1]));
		assert_memory_equal(out, wants[i][1], k);
		for (size_t cut = 0; cut < n; cut++) {
			uint8_t *part = guard_copy(text, cut);
			assert_in_range(punycode_label((char *)part, cut, out), 0, 63);
			guard_free(part, cut);
		}
		guard_free(text, n);
	}
	assert_int_equal(punycode_label("", 0, out), 0);
}

/* Compares with libpsl; how many names were compared. libpsl takes "*.kobe.jp" for a
 * rule "kobe.jp" too; the algorithm of publicsuffix.org/list does not, and kobe.jp is
 * registered under jp. */
static struct {
	struct psl *ours;
	psl_ctx_t *theirs;
	unsigned long names, wild;
} against;

static void compare(const char *name)
{
	uint8_t wire[256];
	char star[300];
	uint32_t suffix_off;
	const uint32_t n = lists_wire(name, wire);

	if (n == 0)
		return;
	const uint32_t off = psl_domain_off(against.ours, wire, n, &suffix_off);
	const char *domain = psl_registrable_domain(against.theirs, name);
	const char *suffix = psl_unregistrable_domain(against.theirs, name);
	against.names++;
	if (suffix == NULL)
		suffix = "";
	if (domain == NULL
		? off == 0 && suffix_off == 0
		: strcmp(name + off, domain) == 0 && strcmp(name + suffix_off, suffix) == 0)
		return;
	/* Where libpsl stands on a wildcard's parent alone, the parent's parent decides. */
	(void)snprintf(star, sizeof star, "x.%s", suffix);
	const char *above = strchr(suffix, '.');
	above = above != NULL ? psl_unregistrable_domain(against.theirs, above + 1) : NULL;
	if (above != NULL && strcmp(name + suffix_off, above) == 0 && off < suffix_off &&
	    strchr(name + off, '.') == name + suffix_off - 1 &&
	    psl_is_public_suffix(against.theirs, star)) {
		against.wild++;
		return;
	}
	fail_msg("%s: %s %s, libpsl: %s %s", name, name + off, name + suffix_off,
		 domain != NULL ? domain : "-", suffix);
}

static void compare_list(const char *name)
{
	FILE *f = lists_open(name);
	char line[512], more[600];

	while (f != NULL && lists_line(f, line, sizeof line)) {
		for (char *c = line; *c != '\0'; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		compare(line);
		(void)snprintf(more, sizeof more, "_x.%s", line);
		compare(more);
	}
	if (f != NULL)
		lists_close(f, name);
}

/* Every rule of the list, with 0, 1 and 2 labels in front, and parts of it. */
static void compare_rules(void)
{
	FILE *f = fopen(SYSTEM_LIST, "r");
	char line[512], more[600];
	uint8_t label[64];

	assert_non_null(f);
	while (lists_line(f, line, sizeof line)) {
		char name[512] = "";
		size_t n = 0;
		if (line[0] == '\0' || line[0] == '/')
			continue;
		const char *at = line[0] == '!' ? line + 1 : line[0] == '*' ? line + 2 : line;
		while (*at != '\0' && *at != ' ') {
			const size_t len = strcspn(at, ".");
			const uint32_t k = punycode_label(at, len, label);
			assert_int_not_equal(k, 0);
			n += (size_t)snprintf(name + n, sizeof name - n, "%s%.*s", n > 0 ? "." : "",
					      (int)k, (char *)label);
			at += len + (at[len] == '.');
		}
		for (const char *s = name; s != NULL;
		     s = strchr(s, '.') ? strchr(s, '.') + 1 : NULL) {
			static const char *const fronts[] = {"", "a.", "b.a.", "www.",
							     "xn--a.b.c."};
			for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
				(void)snprintf(more, sizeof more, "%s%s", fronts[i], s);
				compare(more);
			}
		}
	}
	(void)fclose(f);
}

static void compare_made_up(void)
{
	static const char *const parts[] = {"com",  "uk",       "co",   "ck",        "www",
					    "kobe", "jp",       "city", "amazonaws", "compute",
					    "x",    "ddns",     "net",  "appspot",   "r",
					    "no",   "xn--p1ai", "er",   "s3",        "us-east-1"};
	uint32_t r = 12345;
	char name[300];

	for (int i = 0; i < 200000; i++) {
		size_t n = 0;
		r = r * 1664525 + 1013904223;
		for (uint32_t k = 1 + (r >> 28) % 6; k > 0; k--) {
			r = r * 1664525 + 1013904223;
			n += (size_t)snprintf(name + n, sizeof name - n, "%s%s", n > 0 ? "." : "",
					      parts[(r >> 16) % (sizeof parts / sizeof *parts)]);
		}
		compare(name);
	}
}

static void test_libpsl(void **state)
{
	char err[256];

	(void)state;
	if (access(SYSTEM_LIST, R_OK) != 0)
		skip();
	against.ours = psl_create(NULL, err, sizeof err);
	against.theirs = psl_load_file(SYSTEM_LIST);
	assert_non_null(against.ours);
	assert_non_null(against.theirs);
	compare_rules();
	compare_made_up();
	compare_list("benign.txt");
	compare_list("qnames-1m.txt.zst");
	printf("[  NOTE  ] %lu names as libpsl has them, %lu of them directly over a wildcard\n",
	       against.names, against.wild);
	psl_free(against.theirs);
	psl_destroy(against.ours);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules),    cmocka_unit_test(test_longest_name),
	    cmocka_unit_test(test_refused),  cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_punycode), cmocka_unit_test(test_libpsl),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

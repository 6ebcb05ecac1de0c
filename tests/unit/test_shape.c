/* SPDX-License-Identifier: BSD-3-Clause */
/* Shapes against a loop over all lines that reads their text character by character. */
#include "guard.h"
#include "lists.h"
#include "psl.h"
#include "rules_default.h"
#include "shape.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

#define LINES_CAP 400
#define TAGS_CAP 512

/* Lines as text, and what shape_parse made of them. */
static struct {
	char text[LINES_CAP][512];
	struct shape_line line[LINES_CAP];
	char id[LINES_CAP][40];
	char family[64][32];
	uint32_t n, families;
} file;

static uint64_t parse_charset(const char *charset)
{
	struct shape_line line;
	char text[300], err[256] = "";

	(void)snprintf(text, sizeof text, "len=1-63 charset=%s", charset);
	if (shape_parse(text, &line, err, sizeof err) != 0)
		return 0;
	return line.charset;
}

/* The bits of these characters. */
static uint64_t bits(const char *characters)
{
	static const char order[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	uint64_t out = 0;

	for (; *characters != '\0'; characters++)
		out |= 1ull << (strchr(order, *characters) - order);
	return out;
}

static void test_charset(void **state)
{
	static const char *const bad[] = {"",   "A",    "a-Z", "z-a", "a-9", "0-a", "a b",
					  "a.", "\xc3", "_-a", "a,b", "*",   "a--"};

	(void)state;
	assert_true(parse_charset("a-z") == 0x3ffffff);
	assert_true(parse_charset("a-f0-9") == bits("abcdef0123456789"));
	assert_true(parse_charset("aehmnpqrsw") == bits("aehmnpqrsw"));
	assert_true(parse_charset("a-ps-z") == bits("abcdefghijklmnopstuvwxyz"));
	assert_true(parse_charset("a-z1-59") == bits("abcdefghijklmnopqrstuvwxyz123459"));
	assert_true(parse_charset("ab-") == bits("ab-"));
	assert_true(parse_charset("a-c-") == bits("abc-"));
	assert_true(parse_charset("-ab") == bits("-ab"));
	assert_true(parse_charset("-") == bits("-"));
	assert_true(parse_charset("x-x_") == bits("x_"));
	assert_true(parse_charset("a-z0-9_-") == (1ull << 38) - 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_true(parse_charset(bad[i]) == 0 || strcmp(bad[i], "_-a") == 0);
	assert_true(parse_charset("_-a") == bits("_-a"));
}

static void test_parse(void **state)
{
	static const char *const bad[][2] = {
	    {"", "len= is missing"},
	    {"len=8", "charset= is missing"},
	    {"charset=a", "len= is missing"},
	    {"len=0 charset=a", "within 1 to 63"},
	    {"len=64 charset=a", "within 1 to 63"},
	    {"len=8-7 charset=a", "within 1 to 63"},
	    {"len=8- charset=a", "within 1 to 63"},
	    {"len=-8 charset=a", "within 1 to 63"},
	    {"len=008 charset=a", "within 1 to 63"},
	    {"len=8x charset=a", "within 1 to 63"},
	    {"len=8 charset=a len=9", "twice"},
	    {"len=8 charset=a size=9", "unknown word \"size=9\""},
	    {"len=8 charset=a tld=", "tld=com"},
	    {"len=8 charset=a tld=com,", "tld=com"},
	    {"len=8 charset=a tld=.com", "tld=com"},
	    {"len=8 charset=a tld=com..uk", "tld=com"},
	    {"len=8 charset=a tld=COM", "tld=com"},
	    {"len=8 charset=a tld=com, net", "tld=com"},
	};
	struct shape_line line = {.tag = 7, .family = 9}, before;
	char err[256];

	(void)state;
	assert_int_equal(shape_parse("  len=8-12\tcharset=a-z  tld=com,net ", &line, err, 256), 0);
	assert_int_equal(line.len_lo, 8);
	assert_int_equal(line.len_hi, 12);
	assert_int_equal(line.tag, 7);
	assert_int_equal(line.family, 9);
	assert_memory_equal(line.tlds, "com,net ", 8);
	before = line;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err[0] = '\0';
		assert_int_equal(shape_parse(bad[i][0], &line, err, sizeof err), -EINVAL);
		if (strstr(err, bad[i][1]) == NULL)
			print_error("\"%s\": %s\n", bad[i][0], err);
		assert_non_null(strstr(err, bad[i][1]));
		assert_memory_equal(&line, &before, sizeof line);
	}
	assert_int_equal(shape_parse("tld=co.uk len=16 charset=x", &line, err, 256), 0);
	assert_int_equal(line.len_lo, 16);
	assert_int_equal(line.len_hi, 16);
	assert_memory_equal(line.tlds, "co.uk ", 6);
	assert_int_equal(shape_parse("charset=x len=63", &line, err, 256), 0);
	assert_null(line.tlds);
}

static bool in_charset(const char *charset, char c)
{
	for (; *charset != '\0' && *charset != ' '; charset++) {
		if (charset[1] == '-' && charset[2] != '\0' && charset[2] != ' ') {
			if (c >= charset[0] && c <= charset[2])
				return true;
			charset += 2;
		} else if (c == *charset) {
			return true;
		}
	}
	return false;
}

/* Whether the line's text, read anew, has this label and suffix. */
static bool plain_match(const char *text, const char *label, size_t len, const char *suffix)
{
	const char *charset = strstr(text, "charset=") + 8, *tld = strstr(text, "tld=");
	int lo, hi;

	if (sscanf(strstr(text, "len="), "len=%d-%d", &lo, &hi) == 1)
		hi = lo;
	if ((int)len < lo || (int)len > hi)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!in_charset(charset, label[i]))
			return false;
	if (tld == NULL)
		return true;
	const size_t n = strlen(suffix);
	for (tld += 4;; tld++) {
		if (strncmp(tld, suffix, n) == 0 && strchr(", ", tld[n]) != NULL)
			return true;
		tld += strcspn(tld, ", ");
		if (*tld != ',')
			return false;
	}
}

/* Takes "ID shape ARGUMENT... family=F" into `file`. */
static void take_line(char *text)
{
	char *family = strstr(text, " family="), err[256] = "";
	struct shape_line *line = &file.line[file.n];
	uint32_t f = SHAPE_FAMILIES;

	if (text[0] == '#' || text[0] == '\0')
		return;
	assert_true(file.n < LINES_CAP);
	if (family != NULL) {
		*family = '\0';
		for (f = 0; f < file.families && strcmp(file.family[f], family + 8) != 0;)
			f++;
		assert_true(f < SHAPE_FAMILIES);
		(void)snprintf(file.family[f], sizeof file.family[f], "%s", family + 8);
		file.families += f == file.families;
	}
	(void)snprintf(file.text[file.n], sizeof file.text[0], "%s", strstr(text, " shape ") + 7);
	(void)snprintf(file.id[file.n], sizeof file.id[0], "%.*s", (int)strcspn(text, " "), text);
	if (shape_parse(file.text[file.n], line, err, sizeof err) != 0)
		fail_msg("%s: %s", text, err);
	line->family = f;
	line->tag = file.n % 3 == 0 ? 0 : 1 + file.n % 40; /* tags with several lines, too */
	file.n++;
}

static void take_default(void)
{
	char text[512];

	file.n = file.families = 0;
	assert_int_equal(strlen(shapes_rules_text), shapes_rules_len);
	for (const char *at = shapes_rules_text; *at != '\0';) {
		const size_t n = strcspn(at, "\n");
		assert_true(n < sizeof text);
		(void)snprintf(text, sizeof text, "%.*s", (int)n, at);
		take_line(text);
		at += n + (at[n] == '\n');
	}
	assert_in_range(file.families, 40, 64);
}

/* A hundred lines more, some without suffix, some without family. */
static void take_more(void)
{
	static const char *const sets[] = {"a-z", "a-z0-9", "0-9", "a-m", "a-f0-9", "a-z0-9_-"};
	static const char *const tlds[] = {
	    "", " tld=com", " tld=net,com,com", " tld=co.uk,de", " tld=xyz,top,ru,cn", ""};
	char text[512];

	for (int i = 0; i < 100; i++) {
		const int lo = 1 + i * 7 % 20;
		(void)snprintf(text, sizeof text, "more-%d shape len=%d-%d charset=%s%s%s%d", i, lo,
			       lo + i % 5, sets[i % 6], tlds[i / 6 % 6],
			       i % 2 == 0 ? " family=more" : "", i % 5);
		if (i % 2 != 0)
			text[strlen(text) - 1] = '\0';
		take_line(text);
	}
}

static int compare_tags(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Names with matches, and matches, so that a test that saw none would show. */
static unsigned long names_hit, tags_hit;

static uint64_t check(const struct shapes *s, const char *label, size_t len, const char *suffix)
{
	uint32_t want[TAGS_CAP], tags[TAGS_CAP], few[4] = {1, 2, 3, 4}, want_n = 0, n = 1, k = 3;
	uint64_t families = 0;
	uint8_t wire[256];
	const uint32_t suffix_len = lists_wire(suffix, wire);
	uint8_t *w = guard_copy(wire, suffix_len), *l = guard_copy(label, len);

	for (uint32_t i = 0; i < file.n; i++) {
		uint32_t seen = 0;
		if (!plain_match(file.text[i], label, len, suffix))
			continue;
		if (file.line[i].family < 64)
			families |= 1ull << file.line[i].family;
		while (seen < want_n && want[seen] != file.line[i].tag)
			seen++;
		if (seen == want_n && file.line[i].tag != 0)
			want[want_n++] = file.line[i].tag;
	}
	tags[0] = 12345;
	assert_true(shapes_match(s, l, (uint32_t)len, w, suffix_len, tags, TAGS_CAP, &n) ==
		    families);
	assert_int_equal(n, want_n + 1);
	assert_int_equal(tags[0], 12345);
	qsort(want, want_n, sizeof *want, compare_tags);
	qsort(tags + 1, want_n, sizeof *tags, compare_tags);
	assert_memory_equal(tags + 1, want, want_n * sizeof *want);
	/* With room for one more it still counts all. */
	assert_true(shapes_match(s, l, (uint32_t)len, w, suffix_len, few, 4, &k) == families);
	assert_int_equal(k, 3 + want_n);
	assert_int_equal(few[2], 3);
	names_hit += families != 0;
	tags_hit += want_n;
	guard_free(w, suffix_len);
	guard_free(l, len);
	return families;
}

static void test_against_plain(void **state)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq0123456789-_\xc3Z.";
	static const char *const suffixes[] = {"com", "net", "co.uk", "ru",   "org",
					       "xyz", "uk",  "zz",    "life", "ddns.net",
					       "",    "biz", "de",    "tk",   "kz"};
	uint32_t r = 1;
	char label[64];

	(void)state;
	take_default();
	take_more();
	struct shapes *s = shapes_create(file.line, file.n);
	assert_non_null(s);
	names_hit = tags_hit = 0;
	for (int i = 0; i < 60000; i++) {
		r = r * 1664525 + 1013904223;
		const uint32_t len = (r >> 24) % 64, kinds = (r >> 12) % 8;
		for (uint32_t k = 0; k < len; k++) {
			static const uint32_t spans[] = {26, 16, 6, 43, 53, 59, 26, 16};
			r = r * 1664525 + 1013904223;
			label[k] = letters[(r >> 16) % spans[kinds]];
		}
		r = r * 1664525 + 1013904223;
		(void)check(s, label, len,
			    suffixes[(r >> 16) % (sizeof suffixes / sizeof *suffixes)]);
	}
	assert_in_range(names_hit, 10000, 60000);
	assert_true(tags_hit > 20000);
	shapes_destroy(s);
	shapes_destroy(NULL);
}

static void test_no_lines(void **state)
{
	struct shapes *s = shapes_create(NULL, 0);
	uint32_t n = 0;

	(void)state;
	assert_non_null(s);
	assert_true(shapes_match(s, (const uint8_t *)"abc", 3, (const uint8_t *)"\3com", 5, NULL, 0,
				 &n) == 0);
	assert_true(shapes_match(s, (const uint8_t *)"", 0, (const uint8_t *)"", 1, NULL, 0, &n) ==
		    0);
	assert_int_equal(n, 0);
	shapes_destroy(s);
}

static uint64_t mask_of(const char *family)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < file.families; i++)
		if (strncmp(file.family[i], family, strlen(family)) == 0)
			mask |= 1ull << i;
	return mask;
}

static uint64_t narrow_mask(void)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < file.n; i++)
		if (strncmp(file.id[i], "narrow-", 7) == 0)
			mask |= 1ull << file.line[i].family;
	return mask;
}

/* Share of a list's names, in ppm, that have one of the families' shapes. */
static unsigned share(const struct shapes *s, const struct psl *p, const char *list, uint64_t mask)
{
	unsigned long names = 0, hits = 0;
	uint8_t wire[256];
	char line[512];
	FILE *f = lists_open(list);

	assert_non_null(f);
	while (lists_line(f, line, sizeof line)) {
		uint32_t suffix_off, unused = 0;
		const uint32_t n = lists_wire(line, wire);
		if (n == 0)
			continue;
		const uint32_t off = psl_domain_off(p, wire, n, &suffix_off);
		names++;
		hits +=
		    suffix_off > 0 && (shapes_match(s, wire + off + 1, wire[off], wire + suffix_off,
						    n - suffix_off, NULL, 0, &unused) &
				       mask) != 0;
	}
	lists_close(f, list);
	return (unsigned)(hits * 1000000 / names);
}

/* The default list knows the families it names, and narrow means narrow. */
static void test_lists(void **state)
{
	/* gameover_zeus.txt and vawtrak.txt have names of several generators. */
	static const char *const lists[][2] = {
	    {"bazarbackdoor"},
	    {"chinad"},
	    {"corebot"},
	    {"cryptolocker"},
	    {"dmsniff"},
	    {"dnschanger"},
	    {"fobber"},
	    {"m0yv"},
	    {"murofet"},
	    {"newgoz"},
	    {"nymaim"},
	    {"orchard"},
	    {"pitou"},
	    {"proslikefan"},
	    {"pykspa"},
	    {"qadars"},
	    {"ramdo"},
	    {"ranbyus"},
	    {"shiotob"},
	    {"sisron"},
	    {"tempedreve"},
	    {"tinba"},
	    {"vawtrak"},
	    {"verblecon"},
	    {"gameover_zeus", "newgoz"},
	};
	char name[64], err[256], path[1024];

	(void)state;
	take_default();
	struct psl *p = psl_create(NULL, err, sizeof err);
	struct shapes *s = shapes_create(file.line, file.n);
	if (p == NULL || access(lists_path("benign.txt", path, sizeof path), R_OK) != 0) {
		printf("[  NOTE  ] without lists, or without a public suffix list\n");
		goto done;
	}
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		(void)snprintf(name, sizeof name, "dga/%s.txt", lists[i][0]);
		const char *family = lists[i][1] != NULL ? lists[i][1] : lists[i][0];
		const unsigned ppm = share(s, p, name, mask_of(family));
		if (ppm < 990000)
			fail_msg("%s: only %u ppm have their shape", name, ppm);
	}
	const unsigned narrow = share(s, p, "benign.txt", narrow_mask());
	const unsigned any = share(s, p, "benign.txt", ~0ull);
	printf("[  NOTE  ] ordinary names: %u ppm narrow, %u ppm any shape\n", narrow, any);
	assert_in_range(narrow, 0, 2000);
	for (uint32_t i = 0; i < file.families; i++) {
		if ((narrow_mask() >> i & 1) == 0)
			continue;
		assert_in_range(share(s, p, "benign.txt", 1ull << i), 0, 1000);
	}
done:
	shapes_destroy(s);
	psl_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_charset),  cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_no_lines), cmocka_unit_test(test_against_plain),
	    cmocka_unit_test(test_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

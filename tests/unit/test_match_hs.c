/* SPDX-License-Identifier: BSD-3-Clause */
/* Expressions against PCRE2, one at a time; the cache of databases against damage. */
#include "guard.h"
#include "lists.h"
#include "match_cache.h"
#include "match_form.h"
#include "match_hs.h"
#include "match_lines.h"
#include "name_text.h"

#include <dirent.h>
#include <errno.h>
#include <hs.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <cmocka.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define LINES_CAP 256
#define NAMES_CAP 20000
#define COUNT(a) (sizeof(a) / sizeof *(a))

static char dir[] = "/tmp/fluxtap-match-XXXXXX";

static struct {
	struct match_hs_line v[LINES_CAP];
	pcre2_code *code[LINES_CAP];
	size_t n;
} lines;

static struct {
	uint8_t wire[NAMES_CAP][256];
	uint32_t len[NAMES_CAP];
	uint32_t n;
} names;

static void take_lines(const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lines.v[lines.n++] = (struct match_hs_line){v[i], 0};
}

static void take_all_lines(void)
{
	lines.n = 0;
	take_lines(match_narrow, COUNT(match_narrow));
	take_lines(match_broad, COUNT(match_broad));
	take_lines(match_zones, COUNT(match_zones));
	take_lines(match_probes, COUNT(match_probes));
	take_lines(match_odd, COUNT(match_odd));
	take_lines(match_probes, 3); /* again, as lines of other rules */
	assert_true(lines.n <= LINES_CAP);
	for (uint32_t i = 0; i < lines.n; i++)
		lines.v[i].tag = 1000 + i;
}

static void compile_pcre(void)
{
	for (size_t i = 0; i < lines.n; i++) {
		int error;
		PCRE2_SIZE at;
		lines.code[i] =
		    pcre2_compile((PCRE2_SPTR)lines.v[i].expression, PCRE2_ZERO_TERMINATED,
				  PCRE2_CASELESS, &error, &at, NULL);
		assert_non_null(lines.code[i]);
		assert_int_equal(pcre2_jit_compile(lines.code[i], PCRE2_JIT_COMPLETE), 0);
	}
}

static void free_pcre(void)
{
	for (size_t i = 0; i < lines.n; i++)
		pcre2_code_free(lines.code[i]);
}

static void take_name(const uint8_t *wire, uint32_t n)
{
	if (n == 0 || names.n == NAMES_CAP)
		return;
	memcpy(names.wire[names.n], wire, n);
	names.len[names.n++] = n;
}

static void take_text(const char *text)
{
	uint8_t wire[256];

	take_name(wire, lists_wire(text, wire));
}

static uint32_t next(uint32_t *r)
{
	*r = *r * 1664525 + 1013904223;
	return *r >> 8;
}

/* Names one of whose octets may be anything. */
static void take_wild(uint32_t n, uint32_t r)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_wwwaeiou";
	static const char *const tails[] = {
	    "com", "net", "org", "co.uk", "ddns.net", "ru", "bazar", "zen.spamhaus.org",
	    "tk",  "",    "cd",  "xyz",   "local"};
	uint8_t wire[256];

	while (n-- > 0) {
		uint8_t tail[256];
		const uint32_t tail_len = lists_wire(tails[next(&r) % COUNT(tails)], tail);
		uint32_t at = 0, letters_n = next(&r) % 4 == 0 ? 26 : sizeof letters - 1;
		for (uint32_t k = next(&r) % 5; k > 0; k--) {
			const uint32_t len = 1 + next(&r) % (next(&r) % 8 == 0 ? 45 : 16);
			wire[at++] = (uint8_t)len;
			for (uint32_t i = 0; i < len; i++)
				wire[at++] = (uint8_t)letters[next(&r) % letters_n];
			if (next(&r) % 8 == 0) {
				static const uint8_t odd[] = {'.', '\\', '(', 0,   ' ',  '\n', 0xff,
							      '"', '*',  '=', '.', 0x7f, ';',  '$'};
				wire[at - 1 - next(&r) % len] = odd[next(&r) % sizeof odd];
			}
		}
		memcpy(wire + at, tail, tail_len);
		take_name(wire, at + tail_len);
	}
}

static void take_list(const char *list, uint32_t every, uint32_t most)
{
	FILE *f = lists_open(list);
	char line[512];

	for (uint32_t i = 0; f != NULL && most > 0 && lists_line(f, line, sizeof line); i++) {
		if (i % every == 0) {
			take_text(line);
			most--;
		}
	}
	if (f != NULL)
		lists_close(f, list);
}

static void take_names(void)
{
	static const char *const some[] = {
	    "",
	    "com",
	    "a.c",
	    "abcdefgh.bazar",
	    "x.y.abcdefgh.bazar",
	    "abcdefg.bazar",
	    "cd",
	    "ab",
	    "127.0.0.2.zen.spamhaus.org",
	    "zen.spamhaus.org",
	    "azen.spamhaus.org",
	    "version.bind",
	    "WPAD",
	    "wpad.lan",
	    "isatap.example.com",
	    "_dmarc.example.com",
	    "xn--p1ai.xn--p1ai",
	    "aaaaaaaaaaaaaaaa.www.example.com",
	    "printer.local",
	    "abcdefabc1.com",
	    "www3.example.net",
	    "a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.ip6.arpa",
	    "abd.com",
	    "abd.com.",
	    "xabc12x.net",
	    "abc123456x.net",
	    "abc12-x.net",
	    "google.de",
	    "xgoogle.de",
	    "www.google.com",
	    "googlé.de"};
	static const char *const dga[] = {"dga/ramdo.txt", "dga/corebot.txt", "dga/orchard.txt",
					  "dga/cryptolocker.txt", "dga/newgoz.txt"};
	uint8_t long_name[255];

	names.n = 0;
	for (size_t i = 0; i < COUNT(some); i++)
		take_text(some[i]);
	/* The longest texts: every octet as four. */
	for (uint32_t i = 0; i < 255; i++)
		long_name[i] = i == 254      ? 0
			       : i % 64 != 0 ? 0xee
					     : (uint8_t)(i + 64 < 254 ? 63 : 253 - i);
	take_name(long_name, 255);
	take_wild(9000, 4711);
	for (size_t i = 0; i < COUNT(dga); i++)
		take_list(dga[i], 9, 300);
	take_list("benign.txt", 34, 2000);
	take_list("qnames-1m.txt.zst", 211, 4000);
}

/* Which lines matched, a row for each name. */
static uint8_t seen[64][LINES_CAP];

static void on_match(void *ctx, uint32_t name, uint32_t tag)
{
	assert_ptr_equal(ctx, &lines);
	assert_in_range(tag, 1000, 999 + lines.n);
	assert_in_range(name, 0, 63);
	seen[name][tag - 1000] = 1;
}

/* The text, as it is searched; the root's is a dot. */
static uint32_t text_of(uint32_t name, char *text)
{
	return name_text(names.wire[name], names.len[name], text, false);
}

static unsigned long compare_batch(uint32_t from, uint32_t n, pcre2_match_data *data)
{
	unsigned long matches = 0;

	for (uint32_t k = 0; k < n; k++) {
		char text[NAME_TEXT_CAP];
		const uint32_t len = text_of(from + k, text);
		for (size_t i = 0; i < lines.n; i++) {
			const int r =
			    pcre2_match(lines.code[i], (PCRE2_SPTR)text, len, 0, 0, data, NULL);
			assert_true(r >= 0 || r == PCRE2_ERROR_NOMATCH);
			matches += r >= 0;
			if (seen[k][i] != (r >= 0))
				fail_msg("\"%.*s\" %s %s", (int)len, text,
					 r >= 0 ? "does not match" : "matches",
					 lines.v[i].expression);
		}
	}
	return matches;
}

static struct match_hs *create(const char *cache_dir)
{
	char err[512] = "";
	size_t bad;
	struct match_hs *m = match_hs_create(lines.v, lines.n, cache_dir, &bad, err, sizeof err);

	if (m == NULL)
		fail_msg("%s", err);
	return m;
}

/* All names against all lines; how many matches there were. */
static unsigned long compare_all(const struct match_hs *m)
{
	struct match_hs_scratch *s = match_hs_scratch_create(m);
	pcre2_match_data *data = pcre2_match_data_create(64, NULL);
	struct match_hs_name batch[64];
	unsigned long matches = 0;

	assert_non_null(s);
	for (uint32_t from = 0, n; from < names.n; from += n) {
		n = names.n - from < 64 ? names.n - from : 1 + from % 64;
		for (uint32_t k = 0; k < n; k++)
			batch[k] = (struct match_hs_name){
			    guard_copy(names.wire[from + k], names.len[from + k]),
			    names.len[from + k], 0, 0};
		memset(seen, 0, sizeof seen);
		match_hs_step(m, s, batch, n, on_match, &lines);
		matches += compare_batch(from, n, data);
		for (uint32_t k = 0; k < n; k++)
			guard_free((uint8_t *)(uintptr_t)batch[k].folded, batch[k].len);
	}
	pcre2_match_data_free(data);
	match_hs_scratch_destroy(s);
	return matches;
}

static void test_against_pcre(void **state)
{
	(void)state;
	take_names();
	take_all_lines();
	compile_pcre();
	struct match_hs *m = create(NULL);
	const unsigned long matches = compare_all(m);
	printf("[  NOTE  ] %u names, %zu expressions, %lu matches\n", names.n, lines.n, matches);
	assert_true(matches > names.n);
	match_hs_destroy(m);
	free_pcre();
}

/* Expressions put together at random from what the reader of simple ones knows, and a
 * little more: most are simple, some just not. */
static void make_expression(char *out, size_t cap, uint32_t *r)
{
	static const char *const begins[] = {"", "^", "^", "(?:^|\\.)"};
	static const char *const ends[] = {"", "$", "$", "$", "(?:\\.|$)"};
	static const char *const atoms[] = {"[a-z]", "[a-c0-2]", "[^.]",  "a",     "b", "\\d",
					    "\\w",   "[a-z-]",   "[^.a]", "[ab]",  "-", "[0-9_]",
					    "[-a]",  "[A-C]",    "xn--",  "[\\w-]"};
	static const char *const repeats[] = {"",  "",  "",  "",     "{2}",   "{1,3}",
					      "+", "*", "?", "{2,}", "{0,2}", "{1,63}"};
	static const char *const groups[] = {
	    "(?:[a-z0-9_-]{1,63}\\.)*", "(?:[a-c]{1,2}\\.)+", "([ab]\\.){2}",
	    "(?:[^.]+\\.){1,2}",        "(?:\\w{2}\\.)?",     "(?:a\\.)*"};
	static const char *const tails[] = {"com",      "(?:com|b)", "(?:a|b\\.com)?",
					    "a",        "c\\.com",   "(com|a\\.a|)",
					    "(?:a|b)+", "(?i:com)"};
	size_t n = 0;

	out[0] = '\0';
	n += (size_t)snprintf(out + n, cap - n, "%s", begins[next(r) % COUNT(begins)]);
	if (next(r) % 3 == 0)
		n += (size_t)snprintf(out + n, cap - n, "%s", groups[next(r) % COUNT(groups)]);
	for (uint32_t pieces = next(r) % 4; pieces > 0; pieces--) {
		for (uint32_t k = next(r) % 3; k > 0; k--)
			n += (size_t)snprintf(out + n, cap - n, "%s%s",
					      atoms[next(r) % COUNT(atoms)],
					      repeats[next(r) % COUNT(repeats)]);
		if (next(r) % 6 == 0)
			n += (size_t)snprintf(out + n, cap - n, "%s",
					      groups[next(r) % COUNT(groups)]);
		n += (size_t)snprintf(out + n, cap - n, "\\.");
	}
	if (next(r) % 2 == 0)
		n += (size_t)snprintf(out + n, cap - n, "%s", tails[next(r) % COUNT(tails)]);
	n += (size_t)snprintf(out + n, cap - n, "%s", ends[next(r) % COUNT(ends)]);
	if (n == 0)
		(void)snprintf(out, cap, "a");
}

/* Short names of few letters, so that much matches. */
static void take_short(uint32_t n, uint32_t r)
{
	static const char letters[] = "aaabbbccc012-_xn\\.(";
	uint8_t wire[256];

	while (n-- > 0) {
		uint32_t at = 0, odd = next(&r) % 5 == 0;
		for (uint32_t k = next(&r) % 5; k > 0; k--) {
			const uint32_t len = 1 + next(&r) % (next(&r) % 16 == 0 ? 20 : 3);
			wire[at++] = (uint8_t)len;
			for (uint32_t i = 0; i < len; i++)
				wire[at++] =
				    (uint8_t)letters[next(&r) % (sizeof letters - (odd ? 1 : 4))];
		}
		if (next(&r) % 2 == 0) {
			memcpy(wire + at, "\3com", 4);
			at += 4;
		}
		wire[at++] = 0;
		take_name(wire, at);
	}
}

static void test_random(void **state)
{
	static char texts[LINES_CAP][400];
	unsigned long matches = 0;
	size_t scanned = 0;
	uint32_t r = 99;

	(void)state;
	names.n = 0;
	take_short(1500, 5);
	for (int round = 0; round < 12; round++) {
		lines.n = 100;
		for (uint32_t i = 0; i < lines.n; i++) {
			make_expression(texts[i], sizeof texts[i], &r);
			lines.v[i] = (struct match_hs_line){texts[i], 1000 + i};
		}
		compile_pcre();
		struct match_hs *m = create(NULL);
		matches += compare_all(m);
		scanned += match_hs_scanned(m);
		match_hs_destroy(m);
		free_pcre();
	}
	printf("[  NOTE  ] 1200 expressions, %zu of them scanned, %lu matches\n", scanned, matches);
	assert_in_range(scanned, 50, 800);
	assert_true(matches > 20000);
}

/* Sets of a single line: nothing but this expression can have answered. */
static void test_each_alone(void **state)
{
	struct match_hs_line all[LINES_CAP];
	size_t n;

	(void)state;
	take_names();
	if (names.n > 1500)
		names.n = 1500;
	take_all_lines();
	n = lines.n;
	memcpy(all, lines.v, sizeof all);
	for (size_t i = 0; i < n; i += 3) {
		lines.n = 1;
		lines.v[0] = (struct match_hs_line){all[i].expression, 1000};
		compile_pcre();
		struct match_hs *m = create(NULL);
		(void)compare_all(m);
		match_hs_destroy(m);
		free_pcre();
	}
}

static void test_nothing(void **state)
{
	struct match_hs_name name = {(const uint8_t *)"", 1, 0, 0};

	(void)state;
	lines.n = 0;
	struct match_hs *m = create(dir);
	struct match_hs_scratch *s = match_hs_scratch_create(m);
	assert_non_null(s);
	match_hs_step(m, s, &name, 1, on_match, NULL);
	match_hs_scratch_destroy(s);
	match_hs_destroy(m);
	match_hs_scratch_destroy(NULL);
	match_hs_destroy(NULL);
}

static void test_refused(void **state)
{
	static const struct {
		const char *expression, *why;
	} bad[] = {
	    {"(abc", "parenthes"},   {"a(?=b)", "Zero-width"}, {"a{2,1}", "repeat"},
	    {"(a)\\1", "reference"}, {"[z-a]", "range"},       {"^[a-z]{0}\\.com$", "repeat"},
	};
	char err[512];
	size_t at;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const struct match_hs_line v[] = {
		    {"abc", 1}, {"^x", 2}, {bad[i].expression, 3}, {"(also", 4}, {"a", 5}};
		err[0] = '\0';
		at = 99;
		errno = 0;
		assert_null(match_hs_create(v, 5, NULL, &at, err, sizeof err));
		assert_int_equal(errno, EINVAL);
		assert_int_equal(at, 2);
		if (strcasestr(err, bad[i].why) == NULL)
			fail_msg("%s: \"%s\"", bad[i].expression, err);
	}
}

static int on_form(void *ctx, const struct form *f)
{
	(void)ctx;
	(void)f;
	return 0;
}

/* What the table takes nobody else looks at: it has to be right in Hyperscan's eyes. */
static void test_simple_is_right(void **state)
{
	static const char letters[] = "az09.-_\\^$()[]{}|?*+,:1dwx";
	unsigned simple = 0, wrong = 0;
	uint64_t random = 1;

	(void)state;
	take_all_lines();
	for (unsigned i = 0; i < 150000; i++) {
		hs_expr_info_t *info = NULL;
		hs_compile_error_t *error = NULL;
		char text[600];
		int result;
		(void)snprintf(text, sizeof(text) - 8, "%s", lines.v[i % lines.n].expression);
		for (unsigned edits = i / (unsigned)lines.n % 4; edits > 0; edits--) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			const size_t n = strlen(text), at = (random >> 40) % (n + 1);
			const char c = letters[(random >> 33) % (sizeof(letters) - 1)];
			if ((random >> 60) % 3 == 0 && at < n) /* one away, another one, one more */
				memmove(text + at, text + at + 1, n - at);
			else if ((random >> 60) % 3 == 1 && at < n)
				text[at] = c;
			else {
				memmove(text + at + 1, text + at, n + 1 - at);
				text[at] = c;
			}
		}
		if (!form_read(text, on_form, NULL, &result)) {
			wrong++;
			continue;
		}
		simple++;
		if (hs_expression_info(text, HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH, &info,
				       &error) != HS_SUCCESS)
			fail_msg("%s: %s", text, error->message);
		free(info);
	}
	assert_true(simple > 20000);
	assert_true(wrong > 20000);
}

/* The only file of the cache; its length. */
static size_t find_file(char *path)
{
	DIR *d = opendir(dir);
	struct stat st;
	int files = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || e->d_name[1] == '.'))
			continue;
		assert_int_not_equal(e->d_name[0], '.'); /* no temporary is left */
		(void)snprintf(path, PATH_MAX, "%s/%s", dir, e->d_name);
		files++;
	}
	closedir(d);
	assert_int_equal(files, 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	return (size_t)st.st_size;
}

/* Rewrites a file with one octet changed; at == len: cut to `len`. */
static void spoil(const char *path, const uint8_t *good, size_t len, size_t at)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(good, 1, len, f), len);
	if (at < len) {
		assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
		assert_int_not_equal(fputc(good[at] ^ 0x10, f), EOF);
	}
	(void)fclose(f);
}

static void test_cache(void **state)
{
	char path[PATH_MAX], again[PATH_MAX];
	struct stat before, after;
	struct match_hs_line swap;

	(void)state;
	take_names();
	names.n = 600;
	lines.n = 0;
	/* Of one group, and so in one file. */
	for (size_t i = 0; i < COUNT(match_odd); i++)
		if (match_odd[i][0] != '^' && match_odd[i][strlen(match_odd[i]) - 1] != '$')
			take_lines(&match_odd[i], 1);
	assert_true(lines.n > 6);
	for (uint32_t i = 0; i < lines.n; i++)
		lines.v[i].tag = 1000 + i;
	compile_pcre();
	for (int round = 0; round < 2; round++) {
		struct match_hs *m = create(dir);
		(void)compare_all(m);
		match_hs_destroy(m);
		(void)find_file(path);
		assert_int_equal(stat(path, round == 0 ? &before : &after), 0);
	}
	assert_int_equal(before.st_ino, after.st_ino); /* it was read, not made anew */

	/* Neither order nor tags nor repetition make another database. */
	free_pcre();
	swap = lines.v[3];
	lines.v[3] = lines.v[0];
	lines.v[0] = swap;
	lines.v[lines.n++] = (struct match_hs_line){lines.v[5].expression, 1000 + 250};
	for (uint32_t i = 0; i < lines.n; i++)
		lines.v[i].tag = 1000 + i;
	compile_pcre();
	struct match_hs *m = create(dir);
	(void)compare_all(m);
	match_hs_destroy(m);
	(void)find_file(again);
	assert_string_equal(path, again);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);

	/* World-writable: not trusted, and replaced. */
	assert_int_equal(chmod(path, 0666), 0);
	m = create(dir);
	(void)compare_all(m);
	match_hs_destroy(m);
	(void)find_file(again);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	free_pcre();
}

static uint8_t *load(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	*len = (size_t)ftell(f);
	rewind(f);
	data = malloc(*len);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *len, f), *len);
	(void)fclose(f);
	return data;
}

/* The key in a file's name. */
static struct match_cache_key key_of(const char *path)
{
	unsigned long long hi, lo;

	assert_int_equal(sscanf(strrchr(path, '/') + 1, "%16llx%16llx.hsdb", &hi, &lo), 2);
	return (struct match_cache_key){lo, hi};
}

/* Any change of any octet, and any cut, makes a file as good as missing. */
static void test_damage(void **state)
{
	char path[PATH_MAX];
	size_t len, got;

	(void)state;
	(void)find_file(path);
	const struct match_cache_key key = key_of(path);
	uint8_t *good = load(path, &len), *data = match_cache_get(dir, key, &got);
	assert_non_null(data);
	assert_true(got < len && got > 100);
	assert_memory_equal(data, good + (len - got), got);
	free(data);

	/* From a page that ends where the file ends. */
	for (size_t cut = 0; cut <= len; cut += cut < 300 || cut + 300 > len ? 1 : 97) {
		uint8_t *part = guard_copy(good, cut);
		assert_int_equal(match_cache_check(part, cut, key, &got) != NULL, cut == len);
		guard_free(part, cut);
	}
	for (size_t at = 0; at < len; at += at < 300 ? 1 : 31) {
		good[at] ^= 1;
		assert_null(match_cache_check(good, len, key, &got));
		good[at] ^= 1;
	}
	assert_null(
	    match_cache_check(good, len, (struct match_cache_key){key.lo + 1, key.hi}, &got));
	assert_non_null(match_cache_check(good, len, key, &got));

	/* And through the file; what is made instead is written over it. */
	compile_pcre();
	const size_t at[] = {0, 9, 40, 70, len - 1};
	for (size_t i = 0; i <= COUNT(at); i++) {
		spoil(path, good, i < COUNT(at) ? len : len / 2, i < COUNT(at) ? at[i] : len);
		assert_null(match_cache_get(dir, key, &got));
		struct match_hs *m = create(dir);
		(void)compare_all(m);
		match_hs_destroy(m);
		data = match_cache_get(dir, key, &got);
		assert_non_null(data);
		free(data);
	}
	free_pcre();
	free(good);
}

static void test_places(void **state)
{
	const struct match_cache_key key = {5, 6};
	char path[PATH_MAX / 2], other[PATH_MAX];
	uint8_t *data;
	size_t len;

	(void)state;
	assert_null(match_cache_get("/nonexistent", key, &len));
	(void)snprintf(path, sizeof path, "%s/a/b/c", dir);
	assert_int_equal(match_cache_put(path, key, "twelve bytes", 12), 0);
	data = match_cache_get(path, key, &len);
	assert_int_equal(len, 12);
	assert_memory_equal(data, "twelve bytes", 12);
	free(data);
	/* A link to a good file is not one, nor is a folder. */
	(void)snprintf(other, sizeof other, "%s/%016x%016x.hsdb", path, 6, 5);
	(void)snprintf(path + strlen(path), 40, "/x");
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(symlink(path, other), 0);
	(void)snprintf(path, sizeof path, "%s/a/b/c", dir);
	assert_null(match_cache_get(path, key, &len));
	assert_int_equal(unlink(other), 0);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_null(match_cache_get(path, key, &len));
	assert_true(match_cache_put(path, key, "x", 1) < 0);
	assert_true(match_cache_put("/dev/null/x", key, "x", 1) < 0);
	(void)snprintf(other, sizeof other, "rm -rf '%s/a'", dir);
	assert_int_equal(system(other), 0);
	/* A cache that cannot be written is done without. */
	take_all_lines();
	struct match_hs *m = create("/dev/null/x");
	match_hs_destroy(m);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
	char command[100];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_pcre),    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_each_alone),      cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_refused),         cmocka_unit_test(test_cache),
	    cmocka_unit_test(test_damage),          cmocka_unit_test(test_places),
	    cmocka_unit_test(test_simple_is_right),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

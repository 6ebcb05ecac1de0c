/* SPDX-License-Identifier: BSD-3-Clause */
#include "guard.h"
#include "name_text.h"

#include <fluxtap/dns.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WIRE(w) (const uint8_t *)(w), sizeof(w) /* the literal's NUL is the root */

struct pair {
	const uint8_t *wire;
	uint32_t len;
	const char *text;
};

/* Spelled as name servers do (BIND's dig), without the last dot. */
static const struct pair pairs[] = {
    {WIRE(""), "."},
    {WIRE("\3com"), "com"},
    {WIRE("\3www\7example\2co\2uk"), "www.example.co.uk"},
    {WIRE("\1*\4_tcp\1-"), "*._tcp.-"},
    {WIRE("\4a.b\\"), "a\\.b\\\\"},
    {WIRE("\6\"();@$"), "\\\"\\(\\)\\;\\@\\$"},
    {WIRE("\5\0 \t\x7f\xff"), "\\000\\032\\009\\127\\255"},
    {WIRE("\x6!#%~{|\1`"), "!#%~{|.`"},
};

static void known_names(void **unused)
{
	char text[NAME_TEXT_CAP], want[64];
	uint8_t wire[FT_NAME_CAP];
	const char *why;

	(void)unused;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		const struct pair *p = &pairs[i];

		assert_int_equal(name_text(p->wire, p->len, text, false), strlen(p->text));
		assert_string_equal(text, p->text);
		snprintf(want, sizeof(want), "%s%s", p->text, i == 0 ? "" : ".");
		assert_int_equal(name_text(p->wire, p->len, text, true), strlen(want));
		assert_string_equal(text, want);
		for (unsigned dot = 0; dot < 2; dot++) {
			const char *from = dot ? want : p->text;

			assert_int_equal(name_from_text(from, (uint32_t)strlen(from), wire, &why),
					 p->len);
			assert_memory_equal(wire, p->wire, p->len);
		}
	}
}

/* A label of one octet, whichever it is: \DDD alone is enough to name it. */
static void every_octet(void **unused)
{
	char text[NAME_TEXT_CAP], spelled[8];
	uint8_t wire[FT_NAME_CAP];
	const char *why;

	(void)unused;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t name[3] = {1, (uint8_t)c, 0};
		const uint8_t folded = (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
		const uint32_t n = name_text(name, 3, text, false);

		assert_int_equal(name_from_text(text, n, wire, &why), 3);
		assert_int_equal(wire[1], folded);
		snprintf(spelled, sizeof(spelled), "\\%03u", c);
		assert_int_equal(name_from_text(spelled, 4, wire, &why), 3);
		assert_int_equal(wire[1], folded);
	}
}

static void longest_name(void **unused)
{
	uint8_t name[FT_NAME_CAP] = {63}, wire[FT_NAME_CAP];
	char text[NAME_TEXT_CAP];
	const char *why;

	(void)unused;
	memset(name + 1, 0xff, sizeof(name) - 2);
	name[64] = name[128] = 63;
	name[192] = 61;
	assert_int_equal(name_text(name, sizeof(name), text, true), 250 * 4 + 4);
	assert_int_equal(name_from_text(text, 250 * 4 + 4, wire, &why), sizeof(name));
	assert_memory_equal(wire, name, sizeof(name));
}

static void bad_texts(void **unused)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"", "no name"},
	    {"..", "empty label"},
	    {".a", "empty label"},
	    {"a..b", "empty label"},
	    {"a..", "empty label"},
	    {"a\\", "escape"},
	    {"a\\1", "escape"},
	    {"a\\12", "escape"},
	    {"a\\1x2", "escape"},
	    {"a\\256", "escape"},
	    {"0123456789012345678901234567890123456789012345678901234567890123", "63"},
	};
	uint8_t wire[FT_NAME_CAP];
	char text[512] = "";
	const char *why;

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(
		    name_from_text(bad[i].text, (uint32_t)strlen(bad[i].text), wire, &why), 0);
		assert_non_null(strstr(why, bad[i].why));
		assert_non_null(strchr(why, ';'));
	}
	/* 127 labels of one octet are the most: 255 octets. */
	for (unsigned i = 0; i < 127; i++)
		strcat(text, "a.");
	assert_int_equal(name_from_text(text, 254, wire, &why), 255);
	assert_int_equal(name_from_text(text, 253, wire, &why), 255);
	strcat(text, "a");
	assert_int_equal(name_from_text(text, 255, wire, &why), 0);
	assert_non_null(strstr(why, "255"));
}

/* Every length of a text, and of a wire name, at the end of what can be read. */
static void truncated(void **unused)
{
	static const char whole[] = "ab.\\101\\.\\\\.cd\\255.x";
	static const uint8_t name[] = "\3www\7\xff\x01xam.e\2uk";
	char text[NAME_TEXT_CAP];
	uint8_t wire[FT_NAME_CAP];
	const char *why;

	(void)unused;
	for (uint32_t n = 0; n < sizeof(whole); n++) {
		uint8_t *p = guard_copy(whole, n);
		const uint32_t len = name_from_text((const char *)p, n, wire, &why);

		assert_true(len <= n + 2);
		guard_free(p, n);
	}
	for (uint32_t n = 0; n <= sizeof(name); n++) {
		uint8_t *p = guard_copy(name, n);
		const uint32_t len = name_text(p, n, text, true);

		assert_int_equal(len, strlen(text));
		guard_free(p, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_names),  cmocka_unit_test(every_octet),
	    cmocka_unit_test(longest_name), cmocka_unit_test(bad_texts),
	    cmocka_unit_test(truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

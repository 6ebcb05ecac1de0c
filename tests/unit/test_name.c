/* SPDX-License-Identifier: BSD-3-Clause */
#include "guard.h"
#include "name.h"
#include "parse.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static struct wire w;

/* name_read at `at` of w.b[0..len), with the end against the guard page. */
static enum ft_msg_drop read_at(uint32_t at, uint32_t len, uint8_t *out, uint32_t *out_len,
				uint32_t *behind)
{
	uint8_t *p = guard_copy(w.b, len);
	struct cursor c = cursor_init(p, at, len);
	struct cursor any = c;
	uint8_t slow[NAME_BUF_BYTES];
	uint32_t slow_len = 0;
	const enum ft_msg_drop drop = name_read(&c, out, out_len);

	assert_int_equal(name_read_any(&any, slow, &slow_len), drop);
	if (drop == FT_MSG_KEPT) {
		assert_int_equal(slow_len, *out_len);
		assert_memory_equal(slow, out, slow_len);
		assert_int_equal(any.off, c.off);
	}
	assert_false(c.bad && drop == FT_MSG_KEPT);
	*behind = c.off;
	guard_free(p, len);
	return drop;
}

static void expect_name(uint32_t at, const void *want, uint32_t want_len, uint32_t want_behind)
{
	static const uint8_t fresh[NAME_BUF_BYTES];
	uint8_t *out = guard_copy(fresh, NAME_BUF_BYTES);
	uint32_t out_len = 0, behind = 0;

	assert_int_equal(read_at(at, w.n, out, &out_len, &behind), FT_MSG_KEPT);
	assert_int_equal(out_len, want_len);
	assert_memory_equal(out, want, want_len);
	assert_int_equal(behind, want_behind);
	guard_free(out, NAME_BUF_BYTES);
	assert_int_equal(name_end(w.b, at, w.n), want_behind);
}

static void expect_drop(uint32_t at, enum ft_msg_drop want)
{
	uint8_t out[NAME_BUF_BYTES];
	uint32_t out_len = 0, behind;

	assert_int_equal(read_at(at, w.n, out, &out_len, &behind), want);
}

static void start(uint32_t header)
{
	wire_init(&w, false);
	wire_fill(&w, 0, header);
}

static void test_plain(void **state)
{
	(void)state;
	start(12);
	wire_name(&w, "www.Example.COM");
	expect_name(12, "\3www\7example\3com", 17, 29);
	start(12);
	wire_name(&w, "");
	expect_name(12, "", 1, 13);
	start(0);
	wire_name(&w, "de");
	expect_name(0, "\2de", 4, 4);
	start(12);
	wire_octets(&w, "\4a\0.b\1\xff", 8); /* any octet may stand in a label */
	expect_name(12, "\4a\0.b\1\xff", 8, 20);
}

/* A to Z alone fold, RFC 4343 section 3. */
static void test_fold(void **state)
{
	uint8_t want[NAME_BUF_BYTES];

	(void)state;
	for (unsigned at = 0; at < 256; at += 32) {
		start(12);
		wire_u8(&w, 32);
		want[0] = 32;
		for (unsigned i = 0; i < 32; i++) {
			const unsigned octet = at + i;
			wire_u8(&w, octet);
			want[1 + i] =
			    (uint8_t)(octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet);
		}
		wire_u8(&w, 0);
		want[33] = 0;
		expect_name(12, want, 34, 46);
	}
}

static void test_labels(void **state)
{
	uint8_t want[64] = {63};

	(void)state;
	start(12);
	wire_u8(&w, 63);
	wire_fill(&w, 'Q', 63);
	wire_u8(&w, 0);
	memset(want + 1, 'q', 63);
	uint8_t whole[65];
	memcpy(whole, want, 64);
	whole[64] = 0;
	expect_name(12, whole, 65, 77);
	for (unsigned type = 0x40; type < 0xc0; type++) { /* 64..127 and 128..191 */
		start(12);
		wire_u8(&w, type);
		wire_fill(&w, 'q', 200);
		expect_drop(12, FT_MSG_BAD_LABEL);
		assert_int_equal(name_end(w.b, 12, w.n), 0);
		start(12);
		wire_labels(&w, "www");
		wire_u8(&w, type);
		wire_fill(&w, 'q', 200);
		expect_drop(12, FT_MSG_BAD_LABEL);
	}
}

/* 255 octets with the root are the most (RFC 1035 2.3.4), however they are made. */
static void test_length(void **state)
{
	uint8_t want[256];

	(void)state;
	for (uint32_t last = 1; last <= 63; last++) {
		start(12);
		for (unsigned i = 0; i < 3; i++) {
			wire_u8(&w, 63);
			wire_fill(&w, 'a', 63);
		}
		wire_u8(&w, last);
		wire_fill(&w, 'B', last);
		wire_u8(&w, 0);
		for (uint32_t i = 0; i < 192 + last + 2 && i < sizeof(want); i++)
			want[i] = w.b[12 + i] == 'B' ? 'b' : w.b[12 + i];
		if (192 + last + 2 <= 255)
			expect_name(12, want, 192 + last + 2, 12 + 192 + last + 2);
		else
			expect_drop(12, FT_MSG_NAME_LONG);
	}
	for (unsigned labels = 126; labels <= 128; labels++) {
		start(12);
		for (unsigned i = 0; i < labels; i++)
			wire_octets(&w, "\1x", 2);
		wire_u8(&w, 0);
		if (labels <= 127)
			expect_name(12, w.b + 12, labels * 2 + 1, 12 + labels * 2 + 1);
		else
			expect_drop(12, FT_MSG_NAME_LONG);
	}
	/* The same limit across a pointer: 201 octets behind it. */
	for (uint32_t front = 53; front <= 55; front++) {
		start(12);
		for (unsigned i = 0; i < 100; i++)
			wire_octets(&w, "\1y", 2);
		wire_u8(&w, 0);
		const uint32_t at = w.n;
		wire_u8(&w, front - 1);
		wire_fill(&w, 'z', front - 1);
		wire_pointer(&w, 12);
		memcpy(want, w.b + at, front);
		if (front <= 54) {
			memcpy(want + front, w.b + 12, 201);
			expect_name(at, want, front + 201, w.n);
		} else {
			expect_drop(at, FT_MSG_NAME_LONG);
		}
	}
}

static void test_pointers(void **state)
{
	(void)state;
	start(12);
	wire_name(&w, "Example.com"); /* 12; "com" at 20 */
	wire_labels(&w, "WWW");       /* 25 */
	wire_pointer(&w, 12);         /* 29 */
	wire_labels(&w, "mail");      /* 31 */
	wire_pointer(&w, 25);         /* 36: a name that ends in a pointer itself */
	wire_pointer(&w, 31);         /* 38 */
	wire_pointer(&w, 38);         /* 40 */
	expect_name(25, "\3www\7example\3com", 17, 31);
	expect_name(31, "\4mail\3www\7example\3com", 22, 38);
	expect_name(38, "\4mail\3www\7example\3com", 22, 40);
	expect_name(40, "\4mail\3www\7example\3com", 22, 42);
	start(12);
	wire_u8(&w, 0);
	wire_pointer(&w, 12); /* to a root */
	expect_name(13, "", 1, 15);
}

static void test_bad_pointers(void **state)
{
	(void)state;
	for (uint32_t to = 0; to < 12;
	     to++) { /* into the header, wherever it reads on from there */
		start(12);
		wire_name(&w, "com");
		wire_pointer(&w, to);
		expect_drop(17, FT_MSG_NAME_LOOP);
	}
	start(12);
	wire_pointer(&w, 12); /* itself */
	expect_drop(12, FT_MSG_NAME_LOOP);
	start(12);
	wire_pointer(&w, 14); /* forward */
	wire_name(&w, "com");
	expect_drop(12, FT_MSG_NAME_LOOP);
	start(12);
	wire_labels(&w, "a");
	wire_pointer(&w, 12); /* to its own first label */
	expect_drop(12, FT_MSG_NAME_LOOP);
	start(12);
	wire_labels(&w, "aaa.bbb");
	wire_pointer(&w, 16); /* to its own second label */
	expect_drop(12, FT_MSG_NAME_LOOP);
	start(12);
	wire_pointer(&w, 14); /* 12: two that point at one another */
	wire_pointer(&w, 12); /* 14 */
	expect_drop(14, FT_MSG_NAME_LOOP);
	start(12);
	wire_labels(&w, "a"); /* 12 */
	wire_pointer(&w, 18); /* 14 */
	wire_fill(&w, 0, 2);
	wire_labels(&w, "b"); /* 18 */
	wire_pointer(&w, 12); /* 20: back, and forward again to where it began */
	expect_drop(18, FT_MSG_NAME_LOOP);
	start(12);
	wire_name(&w, "com");
	wire_pointer(&w, 0x3fff); /* behind the message */
	expect_drop(17, FT_MSG_NAME_LOOP);
	/* Skipping follows nothing and so minds none of these. */
	assert_int_equal(name_end(w.b, 17, w.n), w.n);
}

/* Every length of a message, each place a name can start at. */
static void test_every_cut(void **state)
{
	uint8_t out[NAME_BUF_BYTES];
	uint32_t out_len, behind;

	(void)state;
	start(12);
	wire_name(&w, "Example.com"); /* 12..25 */
	wire_labels(&w, "WWW");       /* 25 */
	wire_pointer(&w, 12);         /* 29 */
	wire_pointer(&w, 25);         /* 31 */
	for (uint32_t len = 12; len <= w.n; len++) {
		static const uint32_t begins[][2] = {{12, 25}, {25, 31}, {31, 33}};
		for (unsigned i = 0; i < 3; i++) {
			if (begins[i][0] > len)
				continue;
			uint8_t *p = guard_copy(w.b, len);
			assert_int_equal(name_end(p, begins[i][0], len),
					 len >= begins[i][1] ? begins[i][1] : 0);
			const bool same = name_equal(p, len, begins[i][0], 12);
			if (i != 0 || len >= begins[0][1]) /* else: see test_equal_same_damage */
				assert_int_equal(same, i == 0);
			guard_free(p, len);
			assert_int_equal(read_at(begins[i][0], len, out, &out_len, &behind),
					 len >= begins[i][1] ? FT_MSG_KEPT : FT_MSG_QUESTION_CUT);
		}
	}
	struct cursor bad = cursor_init(w.b, 5, 4);
	assert_int_equal(name_read(&bad, out, &out_len), FT_MSG_QUESTION_CUT);
}

static bool equal(uint32_t a, uint32_t b)
{
	uint8_t *p = guard_copy(w.b, w.n);
	const bool is = name_equal(p, w.n, a, b);

	assert_int_equal(name_equal(p, w.n, b, a), is);
	guard_free(p, w.n);
	return is;
}

static void test_equal(void **state)
{
	uint32_t at[9];

	(void)state;
	start(12);
	at[0] = w.n, wire_name(&w, "www.example.com");
	at[1] = w.n, wire_name(&w, "WWW.eXample.Com");
	at[2] = w.n, wire_pointer(&w, at[1]);
	at[3] = w.n, wire_labels(&w, "wWw"), wire_pointer(&w, at[0] + 4);
	at[4] = w.n, wire_pointer(&w, at[3]);
	at[5] = w.n, wire_name(&w, "www.example.co");
	at[6] = w.n, wire_name(&w, "www.example.com.de");
	at[7] = w.n, wire_name(&w, "example.com");
	at[8] = w.n, wire_name(&w, "www.example.con");
	for (unsigned i = 0; i < 9; i++)
		for (unsigned j = 0; j < 9; j++)
			assert_int_equal(equal(at[i], at[j]), i == j || (i < 5 && j < 5));
	/* '[' is '{' less 32, '@' is '`' less 32: neither folds. */
	start(12);
	wire_octets(&w, "\2[@\0\2{`\0\4a.bc\0\1a\2bc", 19);
	wire_u8(&w, 0);
	assert_false(equal(12, 16));
	assert_false(equal(20, 26)); /* a dot within a label is no border */
	/* 127 labels are still looked at to the end. */
	start(12);
	for (unsigned copy = 0; copy < 3; copy++) {
		for (unsigned i = 0; i < 127; i++)
			wire_octets(&w, i == 126 && copy == 2 ? "\1b" : "\1a", 2);
		wire_u8(&w, 0);
	}
	assert_true(equal(12, 12 + 255));
	assert_false(equal(12, 12 + 510));
}

static void test_equal_damaged(void **state)
{
	(void)state;
	start(12);
	wire_name(&w, "com");   /* 12 */
	wire_pointer(&w, 17);   /* 17: itself */
	wire_pointer(&w, 4);    /* 19: the header */
	wire_labels(&w, "com"); /* 21 */
	wire_u8(&w, 0x41);      /* 25 */
	wire_labels(&w, "com"); /* 26: ends with the message */
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t damaged[] = {17, 19, 21, 26};
		assert_false(equal(12, damaged[i]));
	}
	assert_false(equal(12, w.n));
	assert_false(equal(21, 26));
}

/* Two names that run into the same damage are not equal, they are no names. */
static void test_equal_same_damage(void **state)
{
	(void)state;
	start(12);
	wire_labels(&w, "com");
	wire_u8(&w, 0x41);
	wire_pointer(&w, 12);
	assert_false(equal(12, 17));
}

static double cpu_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A message can be made of thousands of pointers in a row and ask 64 times for the
 * name at their end. Bounded, but dear: the cost is printed, and no matter of this test. */
static void test_long_chain(void **state)
{
	static uint8_t out[NAME_BUF_BYTES];
	const unsigned answers = 63;

	(void)state;
	wire_init(&w, false);
	wire_header(&w, 1, 0x8000, 1, answers + 1, 0, 0);
	wire_question(&w, "x", 1);
	wire_name(&w, "x");
	wire_rr(&w, 16, 0x3f00);
	const uint32_t first = w.n;
	wire_name(&w, "x");
	while (w.n + 2 <= first + 0x3f00)
		wire_pointer(&w, w.n == first + 3 ? first : w.n - 2);
	const uint32_t last = w.n - 2;
	wire_fill(&w, 0, first + 0x3f00 - w.n);
	for (unsigned i = 0; i < answers; i++) {
		wire_pointer(&w, last);
		wire_rr(&w, 5, 2);
		wire_pointer(&w, last);
	}
	static struct rr rr[MSG_RR_CAP + 1];
	struct msg m = {.data = w.b, .len = (uint16_t)w.n};
	const double before = cpu_ms();
	parse_message(&m, out, rr, 1);
	print_message("%u octets: %.2f ms\n", w.n, cpu_ms() - before);
	assert_int_equal(m.drop, FT_MSG_KEPT);
	assert_int_equal(m.malformed, 0);
	assert_true(m.class == FT_CLASS_CNAME_ONLY || m.class == FT_CLASS_OTHER);
}

/* A batch of the longest names fits into its arena; every eighth is damaged. */
static void test_arena(void **state)
{
	static struct msgs b;

	(void)state;
	wire_init(&w, false);
	wire_header(&w, 1, 0, 1, 0, 0, 0);
	for (unsigned i = 0; i < 127; i++)
		wire_octets(&w, "\1X", 2);
	wire_u8(&w, 0);
	wire_u32(&w, 0x00010001);
	b.n = MSG_CAP;
	for (uint32_t i = 0; i < MSG_CAP; i++) {
		b.m[i].data = w.b;
		b.m[i].len = i % 8 == 7 ? 40 : (uint16_t)w.n;
	}
	parse_step(&b, 3);
	for (uint32_t i = 0; i < MSG_CAP; i++) {
		assert_int_equal(b.m[i].drop, i % 8 == 7 ? FT_MSG_QUESTION_CUT : FT_MSG_KEPT);
		if (b.m[i].drop != FT_MSG_KEPT)
			continue;
		assert_int_equal(b.m[i].name_len, 255);
		for (unsigned at = 0; at < 254; at++)
			assert_int_equal(b.names[b.m[i].name_off + at], at % 2 == 0 ? 1 : 'x');
	}
}

static void test_hash(void **state)
{
	(void)state;
	/* XXH3_64bits of nothing and of "a", from the published vectors of xxHash. */
	/* Vectors of XXH3, as published with it. */
	assert_true(name_sketch_hash((const uint8_t *)"", 0, 0) == 0x2d06800538d394c2u);
	assert_true(name_sketch_hash((const uint8_t *)"a", 1, 0) == 0xe6c632b61e964e1fu);
	for (uint32_t len = 0; len <= 255; len++) { /* what lies behind the name does not count */
		uint8_t zeros[288] = {0}, ones[288];
		memset(ones, 0xff, sizeof(ones));
		for (uint32_t i = 0; i < len; i++)
			zeros[i] = ones[i] = (uint8_t)(i * 7 + len);
		assert_true(name_hash(zeros, len, 5) == name_hash_padded(ones, len, 5));
		zeros[len / 2] ^= 1;
		if (len != 0)
			assert_true(name_hash(zeros, len, 5) != name_hash(ones, len, 5));
		assert_true(name_hash(ones, len, 5) != name_hash(ones, len < 255 ? len + 1 : 254, 5));
	}
	assert_true(name_hash((const uint8_t *)"\2de", 4, 1) !=
		    name_hash((const uint8_t *)"\2de", 4, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),         cmocka_unit_test(test_fold),
	    cmocka_unit_test(test_labels),        cmocka_unit_test(test_length),
	    cmocka_unit_test(test_pointers),      cmocka_unit_test(test_bad_pointers),
	    cmocka_unit_test(test_every_cut),     cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_equal_damaged), cmocka_unit_test(test_equal_same_damage),
	    cmocka_unit_test(test_long_chain),    cmocka_unit_test(test_arena),
	    cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}

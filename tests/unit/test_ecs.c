/* SPDX-License-Identifier: BSD-3-Clause */
/* Client subnets in answers: options written by hand from RFC 7871, at every length
 * against a page that cannot be read. */
#include "ecs.h"

#include "guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct example {
	uint8_t option[24];
	uint32_t len;
	uint8_t bits; /* 0: says nothing */
	uint8_t prefix[16];
};

#define V4 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff

static const struct example examples[] = {
    {{0, 1, 24, 24, 192, 0, 2}, 7, 120, {V4, 192, 0, 2}},
    {{0, 1, 24, 16, 192, 1, 2}, 7, 112, {V4, 192, 1}},
    {{0, 1, 24, 32, 192, 0, 2}, 7, 120, {V4, 192, 0, 2}}, /* longer than its source */
    {{0, 1, 20, 19, 192, 0, 0x70}, 7, 115, {V4, 192, 0, 0x60}},
    {{0, 1, 20, 20, 192, 0, 0xff}, 7, 116, {V4, 192, 0, 0xf0}}, /* bits behind the source */
    {{0, 1, 1, 1, 255}, 5, 97, {V4, 128}},
    {{0, 1, 32, 32, 192, 0, 2, 1}, 8, 128, {V4, 192, 0, 2, 1}},
    {{0, 2, 56, 48, 0x20, 1, 0xd, 0xb8, 0, 1, 0xff}, 11, 48, {0x20, 1, 0xd, 0xb8, 0, 1}},
    {{0, 2, 56, 64, 0x20, 1, 0xd, 0xb8, 0, 1, 0xff}, 11, 56, {0x20, 1, 0xd, 0xb8, 0, 1, 0xff}},
    {{0, 2, 128, 128, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
     20,
     128,
     {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
    {{0, 1, 24, 0, 192, 0, 2}, 7, 0, {0}}, /* the same for everybody */
    {{0, 1, 0, 24}, 4, 0, {0}},
    {{0, 1, 0, 0}, 4, 0, {0}},
    {{0, 0, 0, 0}, 4, 0, {0}},              /* RFC 7871 7.1.2: no address */
    {{0, 3, 24, 24, 192, 0, 2}, 7, 0, {0}}, /* not a family */
    {{1, 1, 24, 24, 192, 0, 2}, 7, 0, {0}},
    {{0, 1, 33, 24, 192, 0, 2, 1, 1}, 9, 0, {0}}, /* longer than an address */
    {{0, 1, 24, 33, 192, 0, 2}, 7, 0, {0}},
    {{0, 2, 129, 24, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, 21, 0, {0}},
    {{0, 1, 24, 24, 192, 0}, 6, 0, {0}}, /* too few octets, too many */
    {{0, 1, 24, 24, 192, 0, 2, 0}, 8, 0, {0}},
};
#define EXAMPLES (sizeof(examples) / sizeof(*examples))

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXAMPLES; i++) {
		const struct example *e = &examples[i];
		struct ecs_scope scope;
		uint8_t *copy = guard_copy(e->option, e->len);
		assert_int_equal(ecs_read(copy, e->len, &scope), e->bits != 0);
		guard_free(copy, e->len);
		if (e->bits == 0)
			continue;
		assert_int_equal(scope.bits, e->bits);
		assert_memory_equal(scope.prefix.b, e->prefix, 16);
	}
}

/* Cut anywhere it says nothing: its length is known from its source. */
static void test_truncated(void **state)
{
	struct ecs_scope scope;

	(void)state;
	for (size_t i = 0; i < EXAMPLES; i++)
		for (uint32_t len = 0; len < examples[i].len; len++) {
			uint8_t *copy = guard_copy(examples[i].option, len);
			/* Of the one with an octet too many, the part without it is good. */
			const bool good = i + 1 == EXAMPLES && len == 7;
			assert_int_equal(ecs_read(copy, len, &scope), good);
			guard_free(copy, len);
		}
}

/* Views differ by subnet, its length, and by what they are a part of. */
static void test_views(void **state)
{
	static uint64_t key[3 * 2 * 33 * 16];
	size_t n = 0;

	(void)state;
	for (uint64_t view = 0; view < 3; view++)
		for (unsigned family = 1; family <= 2; family++)
			for (unsigned bits = 1; bits <= 32; bits++)
				for (unsigned k = 0; k < 16; k++) {
					const uint8_t o[8] = {0,
							      (uint8_t)family,
							      (uint8_t)bits,
							      32,
							      (uint8_t)(k << 4),
							      7,
							      7,
							      7};
					struct ecs_scope scope;
					if (bits < 4 && k % (16u >> bits) != 0)
						continue;
					assert_true(ecs_read(o, 4 + (bits + 7) / 8, &scope));
					key[n++] = ecs_view(&scope, hash_mix(view + 1));
				}
	assert_true(n > 2500);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			assert_true((uint32_t)key[i] != (uint32_t)key[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

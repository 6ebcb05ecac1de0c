/* SPDX-License-Identifier: BSD-3-Clause */
#include "defrag.h"
#include "guard.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The model, for the property test at the end. */
#include "../fuzz/fuzz_defrag.c"

#define T0 1700000000000000u

struct settled {
	uint32_t n, by[FT_PKT_DROP_CAP];
	uint64_t last_held_us, last_settled_us;
};

static struct settled settled;
static uint8_t payload[65536];
static const struct addr a1 = {{1}}, a2 = {{2}};

static void count_settled(void *ctx, uint64_t held_us, uint64_t settled_us, enum ft_pkt_drop why)
{
	struct settled *s = ctx;

	s->n++;
	s->by[why]++;
	s->last_held_us = held_us;
	s->last_settled_us = settled_us;
}

static struct defrag *fresh_of(size_t n)
{
	memset(&settled, 0, sizeof settled);
	for (uint32_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 31 + (i >> 8));
	struct defrag *d = defrag_create(n, 99, count_settled, &settled);
	assert_non_null(d);
	return d;
}

static struct datagram out;

/* One IPv4 fragment of payload[], from memory that ends with it. */
static enum ft_pkt_drop frag(struct defrag *d, uint32_t id, uint32_t off, uint32_t len, bool more,
			     uint64_t at_us)
{
	uint8_t *data = guard_copy(payload + (off & 0xffff), len);
	const struct fragment f = {.src = &a1,
				   .dst = &a2,
				   .id = id,
				   .proto = 17,
				   .more = more,
				   .off = off,
				   .data = data,
				   .len = len,
				   .t_us = at_us,
				   .now_us = at_us};
	const bool inside = off == 0 && !more;
	const enum ft_pkt_drop why = defrag_put(d, &f, &out);

	if (inside && why == FT_PKT_CARRIED)
		assert_ptr_equal(out.data, data);
	guard_free(data, len);
	return why;
}

static void check_whole(uint32_t len)
{
	assert_int_equal(out.len, len);
	assert_int_equal(out.proto, 17);
	assert_memory_equal(out.data, payload, len);
}

static void test_create(void **state)
{
	(void)state;
	errno = 0;
	assert_null(defrag_create(0, 1, count_settled, NULL));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(defrag_create(SIZE_MAX, 1, count_settled, NULL));
	assert_int_equal(errno, EINVAL);
	defrag_destroy(NULL);
}

static void test_every_length(void **state)
{
	struct defrag *d = fresh_of(4);

	(void)state;
	for (uint32_t len = 1; len < 3000; len++) {
		assert_int_equal(frag(d, len, 0, 1480, true, T0 + len), FT_PKT_HELD);
		assert_int_equal(frag(d, len, 1480, len, false, T0 + len), FT_PKT_CARRIED);
		check_whole(1480 + len);
		assert_int_equal(frag(d, len, 1480, len, false, T0 + len), FT_PKT_HELD);
		assert_int_equal(frag(d, len, 0, 1480, true, T0 + len), FT_PKT_CARRIED);
		check_whole(1480 + len);
	}
	assert_int_equal(settled.by[FT_PKT_CARRIED], settled.n);
	assert_int_equal(settled.n, 2 * 2999);
	defrag_destroy(d);
}

static void permute(struct defrag *d, const uint32_t *cut, uint32_t n, uint32_t *order, uint32_t k,
		    uint32_t *id)
{
	if (k < n) {
		for (uint32_t i = k; i < n; i++) {
			uint32_t t = order[k];
			order[k] = order[i], order[i] = t;
			permute(d, cut, n, order, k + 1, id);
			t = order[k];
			order[k] = order[i], order[i] = t;
		}
		return;
	}
	++*id;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t p = order[i];
		const enum ft_pkt_drop why =
		    frag(d, *id, cut[p], cut[p + 1] - cut[p], p + 1 < n, T0 + *id);
		assert_int_equal(why, i + 1 < n ? FT_PKT_HELD : FT_PKT_CARRIED);
		if (i + 1 < n) { /* copies harm nobody */
			assert_int_equal(
			    frag(d, *id, cut[p], cut[p + 1] - cut[p], p + 1 < n, T0 + *id),
			    FT_PKT_FRAG_DUPLICATE);
		}
	}
	check_whole(cut[n]);
	assert_int_equal(defrag_held(d), 0);
}

static void test_permutations(void **state)
{
	static const uint32_t cut[6] = {0, 8, 1480, 1488, 2960, 3001};
	static const uint32_t empty_last[6] = {0, 8, 16, 24, 32, 32};
	static const uint32_t largest[4] = {0, 32000, 65528, 65535};
	struct defrag *d = fresh_of(8);
	uint32_t id = 0;

	(void)state;
	for (uint32_t n = 2; n <= 5; n++) {
		uint32_t order[5] = {0, 1, 2, 3, 4};
		uint32_t some[6];
		memcpy(some, cut, sizeof some);
		some[n] = cut[n] + (n < 5 ? 3 : 0); /* any last length */
		permute(d, some, n, order, 0, &id);
	}
	uint32_t order[5] = {0, 1, 2, 3, 4};
	permute(d, empty_last, 5, order, 0, &id);
	permute(d, largest, 3, order, 0, &id);
	assert_int_equal(settled.by[FT_PKT_CARRIED], settled.n);
	defrag_destroy(d);
}

static void test_atomic(void **state)
{
	struct defrag *d = fresh_of(1);

	(void)state;
	assert_int_equal(frag(d, 1, 0, 16, true, T0), FT_PKT_HELD);
	assert_int_equal(frag(d, 1, 0, 100, false, T0), FT_PKT_CARRIED);
	assert_int_equal(out.len, 100);
	assert_int_equal(frag(d, 2, 0, 0, false, T0), FT_PKT_CARRIED);
	assert_int_equal(defrag_held(d), 1); /* neither merged nor pushed out */
	assert_int_equal(frag(d, 1, 16, 16, false, T0), FT_PKT_CARRIED);
	check_whole(32);
	defrag_destroy(d);
}

/* Each pair of fragments that contradict each other, in both orders. */
static void test_contradictions(void **state)
{
	static const struct {
		uint32_t off1, len1, off2, len2;
		bool more1, more2;
		enum ft_pkt_drop why;
	} t[] = {
	    {8, 16, 16, 16, true, true, FT_PKT_FRAG_OVERLAP},
	    {8, 16, 8, 8, true, true, FT_PKT_FRAG_OVERLAP},
	    {8, 24, 16, 8, true, true, FT_PKT_FRAG_OVERLAP},
	    {8, 16, 8, 16, true, false, FT_PKT_FRAG_OVERLAP}, /* same octets, but the last */
	    {8, 16, 16, 3, true, false, FT_PKT_FRAG_OVERLAP},
	    {8, 16, 32, 8, false, true, FT_PKT_FRAG_BAD}, /* behind the end */
	    {32, 8, 16, 8, true, false, FT_PKT_FRAG_BAD},
	    {8, 16, 40, 8, false, false, FT_PKT_FRAG_BAD}, /* two ends */
	    {8, 16, 16, 0, true, false, FT_PKT_FRAG_BAD},  /* an end within */
	    {8, 16, 24, 0, false, false, FT_PKT_FRAG_BAD}, /* one end, said twice */
	};

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof t / sizeof t[0]; i++) {
		const unsigned k = i / 2;
		const uint32_t off[2] = {t[k].off1, t[k].off2}, len[2] = {t[k].len1, t[k].len2};
		const bool more[2] = {t[k].more1, t[k].more2};
		const unsigned x = i & 1, y = 1 - x;
		struct defrag *d = fresh_of(2);
		assert_int_equal(frag(d, 1, off[x], len[x], more[x], T0), FT_PKT_HELD);
		assert_int_equal(frag(d, 1, off[y], len[y], more[y], T0 + 5), t[k].why);
		assert_int_equal(settled.by[t[k].why], 1);
		assert_int_equal(settled.last_held_us, T0);
		assert_int_equal(settled.last_settled_us, T0 + 5);
		/* The rest of it goes the same way until its time is over. */
		assert_int_equal(frag(d, 1, 0, 8, true, T0 + 9), t[k].why);
		assert_int_equal(frag(d, 1, 0, 8, true, T0 + DEFRAG_WAIT_US - 1), t[k].why);
		assert_int_equal(frag(d, 1, 0, 8, true, T0 + DEFRAG_WAIT_US), FT_PKT_HELD);
		assert_int_equal(settled.n, 1);
		defrag_destroy(d);
	}
}

static void test_other_octets(void **state)
{
	struct defrag *d = fresh_of(2);

	(void)state;
	assert_int_equal(frag(d, 1, 8, 16, true, T0), FT_PKT_HELD);
	payload[23] ^= 1;
	assert_int_equal(frag(d, 1, 8, 16, true, T0), FT_PKT_FRAG_OVERLAP);
	assert_int_equal(settled.by[FT_PKT_FRAG_OVERLAP], 1);
	defrag_destroy(d);
}

static void test_impossible(void **state)
{
	static const struct {
		uint32_t off, len;
		bool more;
	} t[] = {{8, 0, true},          {0, 0, true},
		 {0, 7, true},          {16, 9, true},
		 {65528, 8, false},     {65528, 8, true},
		 {65520, 1000, false},  {3, 8, true},
		 {UINT32_MAX, 8, true}, {UINT32_MAX - 7, 16, false},
		 {0, 65536, false},     {0, 65544, true}};

	(void)state;
	for (unsigned i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct defrag *d = fresh_of(2);
		static uint8_t many[65544];
		const struct fragment f = {.src = &a1,
					   .dst = &a2,
					   .id = 1,
					   .proto = 17,
					   .more = t[i].more,
					   .off = t[i].off,
					   .data = many,
					   .len = t[i].len,
					   .t_us = T0,
					   .now_us = T0};
		assert_int_equal(frag(d, 1, 64, 8, true, T0), FT_PKT_HELD);
		assert_int_equal(defrag_put(d, &f, &out), FT_PKT_FRAG_BAD);
		assert_int_equal(settled.by[FT_PKT_FRAG_BAD], 1);
		assert_int_equal(frag(d, 1, 0, 8, true, T0), FT_PKT_FRAG_BAD);
		defrag_destroy(d);
	}
}

static void test_timeout(void **state)
{
	(void)state;
	for (unsigned expire = 0; expire < 2; expire++) { /* the same, whether anybody calls it */
		struct defrag *d = fresh_of(4);
		assert_int_equal(frag(d, 1, 0, 8, true, T0), FT_PKT_HELD);
		assert_int_equal(frag(d, 2, 0, 8, true, T0 + 10), FT_PKT_HELD);
		assert_int_equal(frag(d, 1, 8, 8, true, T0 + DEFRAG_WAIT_US - 1), FT_PKT_HELD);
		if (expire)
			defrag_expire(d, T0 + DEFRAG_WAIT_US);
		assert_int_equal(frag(d, 1, 16, 8, false, T0 + DEFRAG_WAIT_US + 5), FT_PKT_HELD);
		assert_int_equal(settled.by[FT_PKT_FRAG_TIMEOUT], 2);
		assert_int_equal(settled.last_settled_us, T0 + DEFRAG_WAIT_US);
		assert_int_equal(defrag_held(d), 2);
		defrag_flush(d, T0 + DEFRAG_WAIT_US + 6);
		assert_int_equal(settled.by[FT_PKT_FRAG_TIMEOUT], 4);
		assert_int_equal(settled.last_settled_us, T0 + DEFRAG_WAIT_US + 6);
		assert_int_equal(defrag_held(d), 0);
		defrag_destroy(d);
	}
}

/* Packet times may go back a little; a fragment never settles before it was held. */
static void test_disorder(void **state)
{
	struct defrag *d = fresh_of(2);
	struct fragment f = {.src = &a1,
			     .dst = &a2,
			     .proto = 17,
			     .more = true,
			     .data = payload,
			     .len = 8,
			     .t_us = T0 + 50,
			     .now_us = T0 + 50};

	(void)state;
	assert_int_equal(defrag_put(d, &f, &out), FT_PKT_HELD);
	f.off = 8, f.data = payload + 8, f.more = false, f.t_us = T0;
	assert_int_equal(defrag_put(d, &f, &out), FT_PKT_CARRIED);
	check_whole(16);
	assert_int_equal(settled.last_held_us, T0 + 50);
	assert_int_equal(settled.last_settled_us, T0 + 50);
	defrag_destroy(d);
}

static void test_full(void **state)
{
	struct defrag *d = fresh_of(3);
	const size_t mapped = mem_mapped(MEM_ORDINARY) + mem_mapped(MEM_HUGE);

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(frag(d, i, 8, 8, true, T0 + i), FT_PKT_HELD);
	assert_int_equal(settled.by[FT_PKT_FRAG_FULL], 997);
	assert_int_equal(settled.last_held_us, T0 + 996); /* the oldest first */
	assert_int_equal(defrag_held(d), 3);
	for (uint32_t i = 997; i < 1000; i++) { /* the newest are whole */
		assert_int_equal(frag(d, i, 0, 8, true, T0 + 2000), FT_PKT_HELD);
		assert_int_equal(frag(d, i, 16, 3, false, T0 + 2000), FT_PKT_CARRIED);
		check_whole(19);
	}
	assert_int_equal(mem_mapped(MEM_ORDINARY) + mem_mapped(MEM_HUGE), mapped);
	defrag_destroy(d);
}

static void test_too_many(void **state)
{
	struct defrag *d = fresh_of(2);

	(void)state;
	for (uint32_t i = 0; i < 128; i++)
		assert_int_equal(frag(d, 1, 8 + i * 8, 8, true, T0), FT_PKT_HELD);
	assert_int_equal(frag(d, 1, 8 + 5 * 8, 8, true, T0), FT_PKT_FRAG_DUPLICATE);
	assert_int_equal(frag(d, 1, 8 + 128 * 8, 8, true, T0), FT_PKT_FRAG_BAD);
	assert_int_equal(settled.by[FT_PKT_FRAG_BAD], 128);
	assert_int_equal(defrag_held(d), 0);
	defrag_destroy(d);
}

/* IPv6: the protocol is not part of the name, and is that of the first fragment. */
static void test_keys(void **state)
{
	struct defrag *d = fresh_of(16);
	struct fragment f = {.src = &a1,
			     .dst = &a2,
			     .id = 1,
			     .v6 = 1,
			     .proto = 44,
			     .more = false,
			     .off = 8,
			     .data = payload + 8,
			     .len = 8,
			     .t_us = T0,
			     .now_us = T0};

	(void)state;
	assert_int_equal(defrag_put(d, &f, &out), FT_PKT_HELD);
	f.off = 0, f.more = true, f.data = payload, f.proto = 17;
	struct fragment other = f; /* all that tells datagrams apart */
	other.id = 0x10001;
	assert_int_equal(defrag_put(d, &other, &out), FT_PKT_HELD);
	other = f, other.src = &a2;
	assert_int_equal(defrag_put(d, &other, &out), FT_PKT_HELD);
	other = f, other.dst = &a1;
	assert_int_equal(defrag_put(d, &other, &out), FT_PKT_HELD);
	other = f, other.v6 = 0;
	assert_int_equal(defrag_put(d, &other, &out), FT_PKT_HELD);
	other.proto = 6;
	assert_int_equal(defrag_put(d, &other, &out), FT_PKT_HELD);
	assert_int_equal(defrag_put(d, &f, &out), FT_PKT_CARRIED);
	check_whole(16);
	defrag_destroy(d);
}

static void test_model(void **state)
{
	static uint8_t input[601];
	uint64_t x = 88172645463325252u;

	(void)state;
	for (unsigned run = 0; run < 20000; run++) {
		const size_t n = 1 + run % 600;
		for (size_t i = 0; i < n; i++) {
			x = hash_mix(x + 1);
			input[i] = (uint8_t)(i % 6 == 2 || i % 6 == 4 ? x & 0x1f
					     : i % 6 == 1             ? x & 0xbf
								      : 0);
			if (i % 6 == 5)
				input[i] = (uint8_t)((x & 8) ? x & 0xf8 : 0);
			if (i % 6 == 0)
				input[i] = (uint8_t)x;
			if (i % 6 == 3 || (x >> 8) % 50 == 0)
				input[i] = (uint8_t)(x >> 16);
		}
		LLVMFuzzerTestOneInput(input, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create),         cmocka_unit_test(test_every_length),
	    cmocka_unit_test(test_permutations),   cmocka_unit_test(test_atomic),
	    cmocka_unit_test(test_contradictions), cmocka_unit_test(test_other_octets),
	    cmocka_unit_test(test_impossible),     cmocka_unit_test(test_timeout),
	    cmocka_unit_test(test_full),           cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_keys),           cmocka_unit_test(test_disorder),
	    cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests_name("defrag", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets in memory: zero copy, passes, times moved on. */
#include "rx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAMES (2 * BATCH_CAP + 5)

static uint8_t octets[FRAMES];
static struct rx_mem_frame frames[FRAMES];

static int make_frames(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FRAMES; i++)
		frames[i] = (struct rx_mem_frame){&octets[i], 1, i % 3, 1000 + i};
	frames[3].ts_us = 1; /* runs backwards */
	return 0;
}

static void check_passes(uint64_t passes)
{
	struct rx *rx = rx_mem_create(frames, FRAMES, LINK_RAW_IP, passes, 5000);
	const uint64_t total = passes * FRAMES;
	struct batch b;
	uint64_t seen = 0, clock_us = 0;
	int rc;

	assert_non_null(rx);
	assert_false(rx->live);
	while ((rc = rx->ops->recv(rx, &b)) > 0) {
		assert_int_equal(rc, b.n);
		for (uint32_t i = 0; i < b.n; i++, seen++) {
			const struct rx_mem_frame *f = &frames[seen % FRAMES];
			const uint64_t ts_us = f->ts_us + seen / FRAMES * 5000;

			clock_us = ts_us > clock_us ? ts_us : clock_us;
			assert_ptr_equal(b.pkt[i].data, f->data);
			assert_int_equal(b.pkt[i].cap_len, 1);
			assert_int_equal(b.pkt[i].wire_len, f->wire_len > 1 ? f->wire_len : 1);
			assert_int_equal(b.pkt[i].ts_us, ts_us);
			assert_int_equal(b.pkt[i].clock_us, clock_us);
			assert_int_equal(b.pkt[i].link, LINK_RAW_IP);
		}
		rx->ops->release(rx, &b);
	}
	assert_int_equal(rc, RX_END);
	assert_int_equal(seen, total);
	assert_int_equal(rx->ops->recv(rx, &b), RX_END);
	assert_int_equal(rx->ops->clock(rx), 0);
	assert_int_equal(rx->ops->dropped(rx), 0);
	rx->ops->destroy(rx);
}

static void test_passes(void **state)
{
	(void)state;
	check_passes(1);
	check_passes(2);
	check_passes(7);
}

static void test_without_end(void **state)
{
	struct rx *rx = rx_mem_create(frames, 1, LINK_ETHERNET, 0, 10);
	struct batch b;

	(void)state;
	assert_non_null(rx);
	for (unsigned i = 0; i < 100000; i++) {
		assert_int_equal(rx->ops->recv(rx, &b), 1);
		assert_int_equal(b.pkt[0].ts_us, 1000 + 10ull * i);
		rx->ops->release(rx, &b);
	}
	rx->ops->destroy(rx);
}

static void test_nothing(void **state)
{
	(void)state;
	for (uint64_t passes = 0; passes < 2; passes++) {
		struct rx *rx = rx_mem_create(NULL, 0, LINK_ETHERNET, passes, 10);
		struct batch b;

		assert_non_null(rx);
		assert_int_equal(rx->ops->recv(rx, &b), RX_END);
		rx->ops->destroy(rx);
	}
}

/* A frame at the very end of readable memory: prefetch may not read. */
static void test_guard_page(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p =
	    mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct batch b;

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + page, page, PROT_NONE), 0);

	const struct rx_mem_frame f = {p + page - 1, 1, 1, 1};
	struct rx *rx = rx_mem_create(&f, 1, LINK_ETHERNET, 2, 1);

	assert_non_null(rx);
	assert_int_equal(rx->ops->recv(rx, &b), 1);
	assert_int_equal(rx->ops->recv(rx, &b), 1);
	assert_int_equal(rx->ops->recv(rx, &b), RX_END);
	rx->ops->destroy(rx);
	(void)munmap(p, 2 * page);
}

static void test_now(void **state)
{
	const time_t s = time(NULL);
	const uint64_t now_us = rx_now_us();

	(void)state;
	assert_true(now_us >= (uint64_t)s * 1000000u);
	assert_true(now_us < ((uint64_t)s + 10) * 1000000u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_passes),  cmocka_unit_test(test_without_end),
	    cmocka_unit_test(test_nothing), cmocka_unit_test(test_guard_page),
	    cmocka_unit_test(test_now),
	};

	return cmocka_run_group_tests(tests, make_frames, NULL);
}

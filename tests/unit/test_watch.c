/* SPDX-License-Identifier: BSD-3-Clause */
/* When a probe is alive, when it is ready, and what it says where it is not. Time is the
 * test's own. */
#include "view/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define S 1000000ull

static struct segment segment;
static uint64_t dropped[2];
static _Atomic uint32_t level;
static char why[160];

static uint64_t get_dropped(void *ctx, unsigned worker)
{
	(void)ctx;
	return dropped[worker];
}

static struct watch *begin(void)
{
	const struct watch_opts o = {
	    .segment = &segment, .source_dropped = get_dropped, .sample_level = &level};
	char probe[32], err[256];

	dropped[0] = dropped[1] = 0;
	atomic_store(&level, 0);
	(void)snprintf(probe, sizeof(probe), "test-watch-%d", (int)getpid());
	assert_int_equal(segment_init(&segment, probe, 2, 65536, err, sizeof(err)), 0);
	struct watch *w = watch_create(&o);
	assert_non_null(w);
	return w;
}

static void end(struct watch *w)
{
	watch_destroy(w);
	segment_fini(&segment);
}

/* Looks twice a second from `from` to `to`, both in us. */
static void step(struct watch *w, uint64_t from, uint64_t to, const struct watch_export *e)
{
	for (uint64_t t = from; t <= to; t += WATCH_TICK_US)
		(void)watch_step(w, t, e);
}

static bool ready(struct watch *w, uint64_t at)
{
	return watch_ready(w, at, why, sizeof(why));
}

static void test_starting_and_dead(void **state)
{
	struct watch *w = begin();
	const struct watch_export e = {0};

	(void)state;
	assert_false(watch_alive(w, 100 * S, why, sizeof(why)));
	assert_string_equal(why, "starting");
	assert_false(ready(w, 100 * S));
	assert_true(watch_step(w, 100 * S, &e));
	assert_false(watch_step(w, 100 * S + 1, &e)); /* not before it is time */
	assert_true(ready(w, 100 * S + 1));
	assert_string_equal(why, "");
	assert_true(watch_alive(w, (100 + WATCH_DEAD_S) * S, why, sizeof(why)));
	assert_false(watch_alive(w, (101 + WATCH_DEAD_S) * S, why, sizeof(why)));
	assert_non_null(strstr(why, "has not moved for 31 s"));
	assert_false(ready(w, (101 + WATCH_DEAD_S) * S));
	assert_false(watch_step(NULL, 0, &e));
	end(w);
}

/* Says so for as long as the loss is in the window, and not much longer. */
static void check_window(struct watch *w, const struct watch_export *e, const char *text)
{
	step(w, 130 * S, 131 * S, e);
	assert_false(ready(w, 131 * S));
	assert_non_null(strstr(why, text));
	step(w, 131 * S + WATCH_TICK_US, 139 * S, e);
	assert_false(ready(w, 139 * S));
	step(w, 139 * S + WATCH_TICK_US, 142 * S, e);
	assert_true(ready(w, 142 * S));
}

static void test_source_drops(void **state)
{
	struct watch *w = begin();
	const struct watch_export e = {0};

	(void)state;
	dropped[0] = 1000; /* what was lost long ago does not count */
	step(w, 100 * S, 129 * S, &e);
	assert_true(ready(w, 129 * S));
	dropped[0] += 3;
	dropped[1] += 4;
	check_window(w, &e, "the source dropped 7 packets");
	assert_int_equal(segment_worker(&segment, 0)->source_dropped, 1003);
	dropped[0] = 5; /* a source that begins anew: the counter does not go back */
	step(w, 150 * S, 151 * S, &e);
	assert_int_equal(segment_worker(&segment, 0)->source_dropped, 1003);
	end(w);
}

static void test_first_look_is_no_loss(void **state)
{
	struct watch *w = begin();
	const struct watch_export e = {.lost = 99};

	(void)state;
	dropped[1] = 50;
	(void)watch_step(w, 1 * S, &e);
	assert_true(ready(w, 1 * S));
	end(w);
}

static void test_full_ring(void **state)
{
	struct watch *w = begin();
	const struct watch_export e = {0};

	(void)state;
	step(w, 100 * S, 129 * S, &e);
	atomic_store(&segment_worker(&segment, 1)->total[FT_CTR_RING_FULL_RECORDS], 12);
	check_window(w, &e, "12 records found a full ring");
	end(w);
}

static void test_export(void **state)
{
	struct watch *w = begin();
	struct watch_export e = {.written = 5};

	(void)state;
	step(w, 100 * S, 129 * S, &e);
	e.lost = 40;
	check_window(w, &e, "40 records could not be written");
	e.failing = true;
	e.failures = 1;
	step(w, 150 * S, 150 * S, &e);
	assert_false(ready(w, 150 * S));
	assert_non_null(strstr(why, "the export fails"));
	atomic_store(&level, 3);
	e.failing = false;
	step(w, 151 * S, 151 * S, &e);
	assert_true(ready(w, 151 * S)); /* at once */
	const struct ft_shm *h = segment.shm;
	assert_int_equal(h->records_written, 5);
	assert_int_equal(h->records_lost, 40);
	assert_int_equal(h->export_failures, 1);
	assert_int_equal(h->export_failing, 0);
	assert_int_equal(h->sample_level, 3);
	assert_int_equal(h->heartbeat_us, 151 * S);
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_starting_and_dead),
	    cmocka_unit_test(test_source_drops),
	    cmocka_unit_test(test_first_look_is_no_loss),
	    cmocka_unit_test(test_full_ring),
	    cmocka_unit_test(test_export),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

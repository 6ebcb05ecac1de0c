/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of tracked clients, beside a plain array: who came in and did not go is found,
 * with what it had, and nobody else is, up to the cap. */
#include "stats/client_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENTS (TRACK_CAP + 1000u)
#define TURNS 400000u

static uint64_t seed = 7;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((seed >> 33) * below >> 31);
}

static void key_of(uint32_t id, uint8_t key[TRACK_KEY_BYTES])
{
	memset(key, 0, TRACK_KEY_BYTES);
	key[0] = (uint8_t)(id % 3);
	memcpy(key + 13, &id, sizeof(id));
}

static void check(const struct tracks *t, const bool *there, size_t n)
{
	const struct track *x;
	size_t at = 0, walked = 0;

	assert_int_equal(tracks_count(t), n);
	for (uint32_t id = 0; id < CLIENTS; id++) {
		uint8_t key[TRACK_KEY_BYTES];
		key_of(id, key);
		x = track_find(t, key);
		assert_int_equal(x != NULL, there[id]);
		if (x != NULL)
			assert_int_equal(x->asked, id + 1u);
	}
	while ((x = track_next(t, &at)) != NULL) {
		assert_true(there[x->asked - 1]);
		walked++;
	}
	assert_int_equal(walked, n);
}

/* grow: of 10 turns, so many let one in. */
static size_t come_and_go(struct tracks *t, bool *there, size_t n, uint32_t clients, unsigned grow)
{
	for (uint32_t i = 0; i < TURNS; i++) {
		const uint32_t id = draw(clients);
		uint8_t key[TRACK_KEY_BYTES];
		key_of(id, key);
		if (!there[id] && draw(10) < grow) {
			struct track *x = track_enter(t, key);
			assert_int_equal(x != NULL, n < TRACK_CAP);
			if (x == NULL)
				continue;
			assert_int_equal(x->asked, 0);
			assert_memory_equal(x->key, key, sizeof(key));
			x->asked = id + 1u;
			there[id] = true;
			n++;
		} else if (there[id] && draw(10) >= grow) {
			track_forget(t, track_find(t, key));
			there[id] = false;
			n--;
		}
	}
	check(t, there, n);
	return n;
}

static void test_index(void **state)
{
	static bool there[CLIENTS];
	struct tracks *t = tracks_create(60, 99);
	size_t n;

	(void)state;
	assert_non_null(t);
	n = come_and_go(t, there, 0, 100, 5);
	n = come_and_go(t, there, n, CLIENTS, 9);
	n = come_and_go(t, there, n, CLIENTS, 10);
	assert_int_equal(n, TRACK_CAP);
	assert_true(tracks_left_out(t) > 0);
	n = come_and_go(t, there, n, CLIENTS, 5);
	n = come_and_go(t, there, n, CLIENTS, 0);
	assert_true(n < 1000);
	tracks_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_index)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

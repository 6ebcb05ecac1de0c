/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The model, for the property tests at the end. */
#include "../fuzz/fuzz_pair.c"

#define T0 1700000000000000u
#define WAIT 5000000u
#define TURN 131072u /* how finely pair_expire goes */
#define YEAR 31556952000000u
#define MINUTE 60000000u

static struct pair *p;
static struct msgs batch;
static struct txn out[MSG_CAP];

/* A query or response between client 9 and server 8; name 0: no question. */
static struct msg *put(bool response, unsigned id, unsigned name, uint64_t t_us)
{
	struct msg *m = &batch.m[batch.n++];
	const struct addr c = {{9}}, s = {{8}};

	*m = (struct msg){.ts_us = t_us, .t_us = t_us, .now_us = t_us, .len = 40};
	m->src = response ? s : c;
	m->dst = response ? c : s;
	m->sport = response ? 53 : 4000;
	m->dport = response ? 4000 : 53;
	m->id = (uint16_t)id;
	m->dns_flags = response ? DNS_QR : 0;
	m->name_len = name != 0 ? 5 : 0;
	m->name_key = name;
	m->qtype = name != 0 ? 1 : 0;
	m->client_sketch = t_us;
	m->vantage = FT_VANTAGE_CAP;
	return m;
}

static uint32_t step_all(void)
{
	const uint32_t n = pair_step(p, &batch, out);

	batch.n = batch.names_used = 0;
	return n;
}

static bool query(unsigned id, unsigned name, uint64_t t_us)
{
	struct msg *m = put(false, id, name, t_us);

	assert_int_equal(step_all(), 0);
	return m->drop == FT_MSG_KEPT;
}

/* Time of the query that a response takes; 0: none. */
static uint64_t response(unsigned id, unsigned name, uint64_t t_us)
{
	put(true, id, name, t_us);
	assert_int_equal(step_all(), 1);
	assert_true(out[0].has_response);
	return out[0].has_query ? out[0].q.t_us : 0;
}

static void begin(size_t entries)
{
	batch.n = batch.names_used = 0;
	p = pair_create(entries, WAIT, MINUTE, 42, true);
	assert_non_null(p);
}

static void test_create(void **state)
{
	(void)state;
	errno = 0;
	assert_null(pair_create(0, WAIT, MINUTE, 1, true));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(pair_create(SIZE_MAX, WAIT, MINUTE, 1, true));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(
	    pair_create(16, WAIT + 1, MINUTE, 1, true)); /* the wheel is no longer than that */
	assert_int_equal(errno, EINVAL);
	pair_destroy(NULL);
	begin(1);
	pair_destroy(p);
}

static void test_fields(void **state)
{
	static const struct verdict verdict = {.name_sketch = 12};

	(void)state;
	begin(16);
	struct msg *m = put(false, 7, 3, T0);
	m->edns = 5, m->len = 77, m->qclass = 3, m->qtype = 28, m->tcp = 1, m->v6 = 1,
	m->malformed = 1;
	m->dns_flags = 0x2900; /* opcode 5, RD */
	m->client_sketch = 11, m->verdict = &verdict, m->vantage = FT_VANTAGE_AUTH;
	m = put(true, 7, 3, T0 + 1500);
	m->dns_flags = 0xa980 | DNS_AA, m->len = 1400, m->qtype = 28, m->tcp = 1, m->v6 = 1;
	m->class = FT_CLASS_NXDOMAIN, m->rcode = 3, m->vantage = FT_VANTAGE_R2A;
	assert_int_equal(step_all(), 1);
	const struct txn *t = &out[0];
	assert_true(t->has_query && t->has_response && t->aa && t->ra && t->rd && !t->malformed);
	assert_int_equal(t->rtt_us, 1500);
	assert_true(t->settled_us == T0 + 1500 && t->response_us == T0 + 1500);
	assert_int_equal(t->class, FT_CLASS_NXDOMAIN);
	assert_int_equal(t->rcode, 3);
	assert_int_equal(t->bytes, 1400);
	assert_int_equal(t->vantage, FT_VANTAGE_R2A);
	assert_true(t->q.t_us == T0 && t->q.ts_us == T0);
	assert_true(t->q.client_sketch == 11 && t->q.name_sketch == 12);
	assert_int_equal(t->q.edns, 5);
	assert_int_equal(t->q.bytes, 77);
	assert_int_equal(t->q.qtype, 28);
	assert_int_equal(t->q.qclass, 3);
	assert_int_equal(t->q.opcode, 5);
	assert_int_equal(t->q.transport, FT_TRANSPORT_tcp6);
	assert_int_equal(t->q.vantage, FT_VANTAGE_AUTH);
	assert_true(t->q.rd && t->q.has_name && t->q.malformed);
	pair_destroy(p);
}

/* Whatever differs, it is another transaction. */
static void test_keys(void **state)
{
	(void)state;
	begin(64);
	for (unsigned what = 0; what < 9; what++) {
		query(1, 1, T0 + what);
		struct msg *m = put(true, 1, 1, T0 + 100 + what);
		switch (what) {
		case 0: m->id = 2; break;
		case 1: m->name_key = 2; break;
		case 2: m->qtype = 28; break;
		case 3: m->tcp = 1; break;
		case 4: m->src.b[15] = 1; break;
		case 5: m->dst.b[15] = 1; break;
		case 6: m->sport = 54; break;
		case 7: m->dport = 4001; break;
		default: m->sport = 4000, m->dport = 53; break;
		}
		assert_int_equal(step_all(), 1);
		assert_false(out[0].has_query);
		assert_true(out[0].settled_us == T0 + 100 + what);
		assert_int_equal(pair_held(p), what + 1);
	}
	for (unsigned i = 0; i < 9; i++)
		assert_true(response(1, 1, T0 + 200) == T0 + i); /* and the oldest first */
	assert_int_equal(response(1, 1, T0 + 200), 0);
	assert_int_equal(pair_held(p), 0);
	/* A response in the direction of its query is none to it. */
	query(1, 1, T0 + 300);
	struct msg *m = put(false, 1, 1, T0 + 301);
	m->dns_flags = DNS_QR;
	assert_int_equal(step_all(), 1);
	assert_false(out[0].has_query);
	pair_destroy(p);
}

static void test_same_id_other_name(void **state)
{
	(void)state;
	begin(16);
	for (unsigned name = 1; name <= 5; name++)
		query(7, name, T0 + name);
	for (unsigned name = 5; name >= 1; name--)
		assert_true(response(7, name, T0 + 50) == T0 + name);
	pair_destroy(p);
}

static void test_timeout_boundary(void **state)
{
	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		begin(16);
		query(1, 1, T0);
		assert_true(response(1, 1, T0 + WAIT + late) == (late ? 0 : T0));
		assert_int_equal(pair_held(p), late);
		pair_destroy(p);
	}
	begin(16);
	query(1, 1, T0);
	/* Never before its time, and at the latest a turn of the wheel behind it. */
	assert_int_equal(pair_expire(p, T0 + WAIT, out, MSG_CAP), 0);
	assert_true(response(1, 2, T0 + WAIT) == 0);
	assert_int_equal(pair_expire(p, T0 + WAIT + 1 + TURN, out, MSG_CAP), 1);
	assert_true(out[0].has_query && !out[0].has_response);
	assert_true(out[0].settled_us == T0 + WAIT); /* when it was, not when it was noticed */
	assert_int_equal(pair_held(p), 0);
	pair_destroy(p);
}

static void test_stale_duplicates(void **state)
{
	(void)state;
	begin(16);
	query(1, 1, T0);
	query(1, 1, T0 + 1000);
	query(1, 1, T0 + 2000);
	/* The first is too old though nothing has expired it; the second is not. */
	assert_true(response(1, 1, T0 + WAIT + 1) == T0 + 1000);
	assert_int_equal(pair_held(p), 2);
	assert_true(response(1, 1, T0 + WAIT + 1999) == T0 + 2000);
	assert_true(response(1, 1, T0 + WAIT + 1999) == 0);
	assert_int_equal(pair_held(p), 1);
	query(1, 1, T0 + WAIT + 2000); /* a new group while a stale one still waits */
	assert_true(response(1, 1, T0 + WAIT + 2001) == T0 + WAIT + 2000);
	assert_int_equal(pair_expire(p, T0 + 2 * WAIT, out, MSG_CAP), 1);
	assert_true(out[0].q.t_us == T0 && out[0].settled_us == T0 + WAIT);
	assert_int_equal(pair_held(p), 0);
	pair_destroy(p);
}

/* FORMERR and REFUSED often come without the question. */
static void test_no_question(void **state)
{
	(void)state;
	begin(16);
	query(1, 1, T0);
	query(1, 1, T0 + 1);
	assert_true(response(1, 0, T0 + 10) == T0);
	assert_true(response(1, 0, T0 + 10) == T0 + 1);
	assert_true(response(1, 0, T0 + 10) == 0);
	query(1, 0, T0 + 20); /* a query without one: its response has none either */
	assert_true(response(1, 1, T0 + 21) == 0);
	assert_true(response(1, 0, T0 + 22) == T0 + 20);
	pair_destroy(p);
}

/* Of several names under one key the oldest query is taken. */
static void test_no_question_oldest(void **state)
{
	(void)state;
	begin(16);
	query(1, 1, T0);
	query(1, 2, T0 + 1);
	query(1, 1, T0 + 2);
	query(1, 3, T0 + 3);
	for (unsigned i = 0; i < 4; i++)
		assert_true(response(1, 0, T0 + 10) == T0 + i);
	pair_destroy(p);
}

/* And it is the same one, whether stale queries were expired before or not. */
static void test_no_question_expiry(void **state)
{
	uint64_t took[2];

	(void)state;
	for (unsigned expire_first = 0; expire_first < 2; expire_first++) {
		begin(16);
		query(1, 1, T0);
		query(1, 2, T0 + WAIT / 2);
		if (expire_first)
			assert_int_equal(pair_expire(p, T0 + WAIT + 2 * TURN, out, MSG_CAP), 1);
		query(1, 1, T0 + WAIT + 2 * TURN);
		took[expire_first] = response(1, 0, T0 + WAIT + 2 * TURN + 1);
		pair_destroy(p);
	}
	assert_true(took[0] == took[1]);
}

#define NAMES 200000u

static void query_names(void)
{
	for (unsigned i = 0; i < NAMES; i++)
		assert_true(query(7, 1 + i, T0 + i));
	assert_int_equal(pair_held(p), NAMES);
}

/* Random names under one id and one pair of ports: no search goes along them all,
 * or this takes minutes. */
static void test_many_names(void **state)
{
	(void)state;
	begin(NAMES + 1);
	query_names();
	for (unsigned i = 0; i < NAMES; i++) {
		const unsigned name = (unsigned)((i * 77777ull + 13) % NAMES); /* each once */
		assert_true(response(7, 1 + name, T0 + NAMES) == T0 + name);
	}
	assert_int_equal(pair_held(p), 0);
	query_names();
	for (unsigned i = 0; i < NAMES; i++)
		assert_true(response(7, 0, T0 + NAMES) == T0 + i);
	assert_int_equal(pair_held(p), 0);
	/* Stale ones do not stand in the way either, though they wait on. */
	query_names();
	for (unsigned i = 0; i < NAMES; i++)
		assert_true(response(7, 0, T0 + NAMES + WAIT) == 0);
	query(7, 1, T0 + NAMES + WAIT);
	assert_true(response(7, 2, T0 + NAMES + WAIT) == 0);
	assert_true(response(7, 1, T0 + NAMES + WAIT) == T0 + NAMES + WAIT);
	assert_int_equal(pair_held(p), NAMES);
	for (unsigned left = NAMES; left != 0; left -= MSG_CAP) /* 3125 * 64 */
		assert_int_equal(pair_expire(p, T0 + 2 * WAIT, out, MSG_CAP), MSG_CAP);
	assert_int_equal(pair_held(p), 0);
	pair_destroy(p);
}

static void test_full(void **state)
{
	(void)state;
	begin(3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(query(i, 1, T0 + i));
	assert_false(query(3, 1, T0 + 3));
	assert_false(query(0, 1, T0 + 3));
	assert_int_equal(pair_held(p), 3);
	assert_true(response(3, 1, T0 + 4) == 0);
	assert_true(response(1, 1, T0 + 4) == T0 + 1);
	assert_true(query(3, 1, T0 + 5));
	assert_false(query(4, 1, T0 + 5));
	assert_int_equal(pair_expire(p, T0 + 3 * WAIT, out, MSG_CAP), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(query(i, 1, T0 + 3 * WAIT));
	assert_false(query(3, 1, T0 + 3 * WAIT));
	/* What parse dropped neither waits nor pairs. */
	put(true, 0, 1, T0 + 3 * WAIT)->drop = FT_MSG_BAD_LABEL;
	assert_int_equal(step_all(), 0);
	assert_int_equal(pair_held(p), 3);
	pair_destroy(p);
}

static void test_out_of_order(void **state)
{
	(void)state;
	begin(16);
	query(1, 1, T0 + 500);
	assert_true(response(1, 1, T0) == T0 + 500); /* captured the wrong way round */
	assert_int_equal(out[0].rtt_us, 0);
	assert_true(out[0].settled_us == T0 + 500 && out[0].response_us == T0);
	/* A query behind later packets: their own times say that this is no response to it. */
	assert_int_equal(pair_expire(p, T0 + 2 * WAIT, out, MSG_CAP), 0);
	put(false, 1, 1, T0)->now_us = T0 + 2 * WAIT;
	(void)step_all();
	assert_true(response(1, 1, T0 + 2 * WAIT) == 0);
	assert_int_equal(pair_held(p), 1);
	assert_int_equal(pair_expire(p, T0 + 3 * WAIT, out, MSG_CAP), 0);
	assert_int_equal(pair_expire(p, T0 + 3 * WAIT + 2 * TURN, out, MSG_CAP), 1);
	assert_true(out[0].settled_us == T0 + 3 * WAIT);
	/* A late packet counts at the clock's time, but its delay is its own. */
	struct msg *m = put(false, 2, 1, T0 + 4 * WAIT);
	m->ts_us = T0;
	m = put(true, 2, 1, T0 + 4 * WAIT);
	m->ts_us = T0 + 30;
	assert_int_equal(step_all(), 1);
	assert_int_equal(out[0].rtt_us, 30);
	assert_true(out[0].q.t_us == T0 + 4 * WAIT);
	pair_destroy(p);
}

/* Both far behind the clock, in an interval that is still open: what counts is how far
 * they are apart. */
static void test_behind_the_clock(void **state)
{
	const uint64_t open_us = T0 - T0 % MINUTE, now = open_us + 50000000;

	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		for (unsigned question = 0; question < 2; question++) {
			begin(16);
			put(false, 1, 1, open_us)->now_us = now;
			assert_int_equal(step_all(), 0);
			put(true, 1, question, open_us + WAIT + late)->now_us = now + 1;
			assert_int_equal(step_all(), 1);
			assert_true(out[0].has_query == !late);
			assert_int_equal(pair_held(p), late);
			pair_destroy(p);
		}
	}
	/* Not for longer than its interval can wait. */
	begin(16);
	put(false, 1, 1, open_us + 1)->now_us = open_us + MINUTE + 5500000;
	assert_int_equal(step_all(), 0);
	assert_int_equal(pair_expire(p, open_us + MINUTE + WAIT + 2 * TURN, out, MSG_CAP), 1);
	assert_true(out[0].settled_us == open_us + MINUTE + WAIT);
	pair_destroy(p);
}

/* Between late packets of two flows the times go to and fro: one flow's say nothing of
 * the other's. */
static void test_late_flows(void **state)
{
	(void)state;
	begin(16);
	for (unsigned id = 1; id < 3; id++)
		put(false, id, 1, T0)->ts_us = T0 - YEAR + id * 100 * WAIT;
	put(true, 2, 0, T0)->ts_us = T0 - YEAR + 200 * WAIT + 7;
	put(true, 1, 0, T0)->ts_us = T0 - YEAR + 100 * WAIT + 8;
	assert_int_equal(step_all(), 2);
	assert_true(out[0].has_query && out[0].rtt_us == 7);
	assert_true(out[1].has_query && out[1].rtt_us == 8);
	pair_destroy(p);
}

static void test_jump(void **state)
{
	(void)state;
	begin(256);
	for (unsigned i = 0; i < 200; i++)
		query(i, 1, T0 + i * 25000);
	const uint64_t later = T0 + 30 * YEAR;
	uint32_t n = 0, got;
	do
		n += got = pair_expire(p, later, out, 16);
	while (got == 16);
	assert_int_equal(n, 200);
	assert_int_equal(pair_held(p), 0);
	query(1, 1, later);
	assert_int_equal(pair_expire(p, later + WAIT, out, 16), 0);
	assert_true(response(1, 1, later + WAIT) == later);
	pair_destroy(p);
}

static void test_flush(void **state)
{
	(void)state;
	begin(64);
	for (unsigned i = 0; i < 50; i++)
		query(i, 1, T0 + i * 100000);
	const uint64_t end = T0 + WAIT + 1000000; /* past the time of ten and the eleventh's own */
	uint32_t n = 0, early = 0, got;
	do {
		got = pair_flush(p, end, out, 7);
		for (uint32_t i = 0; i < got; i++) {
			assert_true(out[i].has_query && !out[i].has_response);
			const uint64_t deadline = out[i].q.t_us + WAIT;
			assert_true(out[i].settled_us == (deadline < end ? deadline : end));
			early += deadline < end;
		}
		n += got;
	} while (got == 7);
	assert_int_equal(n, 50);
	assert_int_equal(early, 10);
	assert_int_equal(pair_held(p), 0);
	pair_destroy(p);
}

static uint64_t random_state = 88172645463325252u;

static uint8_t random_octet(void)
{
	random_state = hash_mix(random_state + 1);
	return (uint8_t)random_state;
}

/* Steps of all kinds; true where both tables were compared to the end. */
static bool run_model(size_t steps, unsigned mask, bool questions)
{
	uint8_t *input = malloc(2 + 4 * steps);

	for (size_t i = 0; i < 2 + 4 * steps; i++)
		input[i] = random_octet();
	for (size_t i = 2; i < 2 + 4 * steps; i += 4) {
		input[i + 2] &= (uint8_t)mask; /* mostly small steps of time */
		if (questions)
			input[i] &= 0xdf;
		if (random_octet() < 4)
			input[i + 2] = 0x30 | (random_octet() & 15);
	}
	if (steps > 1000) {
		input[0] |= 0xf0; /* room for 512 */
		input[1] &= 0xf8; /* wait 5 s */
	}
	LLVMFuzzerTestOneInput(input, 2 + 4 * steps);
	free(input);
	return !model.unsure;
}

static void test_model(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		run_model(1 + i % 300, i % 2 ? 0x33 : 0x36, i % 4 < 2);
	run_model(200000, 0x33, false);
	assert_true(run_model(200000, 0x3f, true));
	assert_true(run_model(200000, 0x35, true));
}

static void test_clock(void **state)
{
	struct evclock c = {.now_us = 0, .interval_us = 60000000};
	const uint64_t minute = 28333333; /* since 1970 */
	const uint64_t lo = minute * 60000000;

	(void)state;
	assert_true(clock_row(&c, lo) == minute);
	assert_true(clock_row(&c, lo - 1) == minute - 1);
	assert_true(clock_row(&c, lo + 59999999) == minute);
	assert_true(clock_row(&c, lo + 60000000) == minute + 1);
	assert_true(clock_row(&c, 0) == 0);
	c.now_us = lo + 60000000 + 5999999;
	assert_false(clock_row_closed(&c, minute));
	assert_true(clock_effective(&c, lo) == lo);           /* still open */
	assert_true(clock_effective(&c, lo - 1) == c.now_us); /* closed since long */
	c.now_us++;
	assert_true(clock_row_closed(&c, minute));
	assert_false(clock_row_closed(&c, minute + 1));
	assert_true(clock_effective(&c, lo + 59999999) == c.now_us);
	assert_true(clock_effective(&c, lo + 60000000) == lo + 60000000);
	assert_true(clock_effective(&c, c.now_us) == c.now_us);
	assert_true(clock_effective(&c, 1) == c.now_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_same_id_other_name),
	    cmocka_unit_test(test_timeout_boundary),
	    cmocka_unit_test(test_stale_duplicates),
	    cmocka_unit_test(test_no_question),
	    cmocka_unit_test(test_no_question_oldest),
	    cmocka_unit_test(test_no_question_expiry),
	    cmocka_unit_test(test_many_names),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_out_of_order),
	    cmocka_unit_test(test_behind_the_clock),
	    cmocka_unit_test(test_late_flows),
	    cmocka_unit_test(test_jump),
	    cmocka_unit_test(test_flush),
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests_name("pair", tests, NULL, NULL);
}

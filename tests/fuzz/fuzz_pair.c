/* SPDX-License-Identifier: BSD-3-Clause */
/* pair against a slow model of it: a list of waiting queries in order of arrival.
 * The same transaction for every response, every query settled once, at the right
 * time; and the same from a second table that hardly ever expires anything.
 *
 * Input: two octets of set-up, then four octets a step:
 * [kind:3|step|tcp|no question|client:2] [id:2|name:2|qtype|server|port|rest] [time] [back]. */
#include "mem.h"
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define MODEL_CAP 512
#define LAZY_ENTRIES 2048
#define TURN_US 131072 /* how finely pair_expire goes */

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_pair.c:%d: %s\n", line, what);
	abort();
}

struct waiting {
	uint64_t serial, t_us, ts_us, deadline_us, due_turn;
	uint32_t key;  /* client, port, server, id, transport */
	uint32_t name; /* name and type; 0: no question */
	bool gone;     /* a response said that it is too old */
};

static struct {
	struct waiting w[MODEL_CAP];
	uint32_t n, cap;
	uint64_t wait_us, interval_us, now_us, wheel_turn, serial;
	bool unsure; /* the two tables may differ */
} model;

struct fates {
	uint64_t n, sum; /* the sum does not know order */
};

static struct {
	struct pair *p, *lazy;
	struct msgs b, again;
	uint32_t key[MSG_CAP], name[MSG_CAP];
	struct verdict verdict[MSG_CAP];
	struct fates fates, lazy_fates;
} run;

static void fate(struct fates *f, const struct txn *t)
{
	uint64_t x = hash_mix(t->has_query ? t->q.client_sketch : 1);

	x = hash_mix(x ^ t->settled_us);
	if (t->has_response)
		x = hash_mix(x ^ t->response_us ^ (uint64_t)t->rcode << 48);
	if (t->has_response && t->has_query)
		x = hash_mix(x ^ t->rtt_us);
	f->sum += x;
	f->n++;
}

static void model_remove(uint32_t i)
{
	memmove(&model.w[i], &model.w[i + 1], (model.n - i - 1) * sizeof(model.w[0]));
	model.n--;
}

static void check_query(const struct txn *t, const struct waiting *w)
{
	CHECK(t->has_query);
	CHECK(t->q.client_sketch == w->serial && t->q.name_sketch == ~w->serial);
	CHECK(t->q.t_us == w->t_us && t->q.ts_us == w->ts_us);
	CHECK(t->q.qtype == (w->name & 0xff) && t->q.has_name == (w->name != 0));
	CHECK(t->q.bytes == 12 + w->serial % 500);
}

/* The waiting query that a response takes; model.n: none. `from`: where to begin. */
static uint32_t model_find(const struct msg *m, uint32_t key, uint32_t name, uint32_t from)
{
	for (uint32_t i = from; i < model.n; i++) {
		struct waiting *w = &model.w[i];
		if (w->gone || w->key != key || (name != 0 && w->name != name) ||
		    w->deadline_us < m->now_us)
			continue;
		if (m->ts_us <= w->ts_us + model.wait_us)
			return i;
		w->gone = true;
	}
	return model.n;
}

static void check_response(const struct msg *m, uint32_t key, uint32_t name, const struct txn *t)
{
	uint32_t i = model_find(m, key, name, 0);

	CHECK(t->has_response && t->response_us == m->t_us);
	CHECK(t->rcode == m->rcode && t->bytes == (uint16_t)m->len && t->class == m->class);
	CHECK(t->has_query == (i < model.n));
	if (i == model.n) {
		CHECK(t->settled_us == m->t_us);
		return;
	}
	const struct waiting *w = &model.w[i];
	check_query(t, w);
	CHECK(t->settled_us == (w->t_us > m->t_us ? w->t_us : m->t_us));
	CHECK(t->rtt_us == (m->ts_us > w->ts_us ? m->ts_us - w->ts_us : 0));
	model_remove(i);
}

static void model_query(const struct msg *m, uint32_t key, uint32_t name)
{
	if (model.n == model.cap) {
		CHECK(m->drop == FT_MSG_PAIR_FULL);
		model.unsure = true;
		return;
	}
	CHECK(m->drop == FT_MSG_KEPT);
	const uint64_t end_us = m->t_us - m->t_us % model.interval_us + model.interval_us;
	const uint64_t deadline_us = (m->now_us < end_us ? m->now_us : end_us) + model.wait_us;
	const uint64_t turn = deadline_us / TURN_US;
	model.w[model.n++] = (struct waiting){
	    .serial = m->client_sketch,
	    .t_us = m->t_us,
	    .ts_us = m->ts_us,
	    .deadline_us = deadline_us,
	    .due_turn = turn > model.wheel_turn ? turn : model.wheel_turn,
	    .key = key,
	    .name = name,
	};
}

static void lazy_settle(bool all)
{
	struct txn t[7];
	uint32_t n;

	do {
		n = all ? pair_flush(run.lazy, model.now_us, t, 7)
			: pair_expire(run.lazy, model.now_us, t, 7);
		for (uint32_t i = 0; i < n; i++)
			fate(&run.lazy_fates, &t[i]);
	} while (n == 7);
}

static void step(void)
{
	static struct txn out[MSG_CAP], lazy[MSG_CAP];
	uint32_t n = 0;

	run.again.n = run.b.n;
	run.again.names_used = 0;
	memcpy(run.again.m, run.b.m, run.b.n * sizeof(run.b.m[0]));
	const uint32_t settled = pair_step(run.p, &run.b, out);
	const uint32_t other = pair_step(run.lazy, &run.again, lazy);
	for (uint32_t i = 0; i < run.b.n; i++) {
		const struct msg *m = &run.b.m[i];
		model.unsure = model.unsure || run.again.m[i].drop == FT_MSG_PAIR_FULL;
		if (msg_is_response(m)) {
			CHECK(n < settled);
			check_response(m, run.key[i], run.name[i], &out[n++]);
		} else {
			model_query(m, run.key[i], run.name[i]);
		}
	}
	CHECK(n == settled && settled == other);
	CHECK(pair_held(run.p) == model.n);
	for (uint32_t i = 0; i < n; i++)
		fate(&run.fates, &out[i]);
	for (uint32_t i = 0; i < n; i++)
		fate(&run.lazy_fates, &lazy[i]);
	run.b.n = run.b.names_used = 0;
	if (pair_held(run.lazy) > LAZY_ENTRIES / 2)
		lazy_settle(false);
}

static void check_timeout(const struct txn *t, uint64_t settled_us)
{
	uint32_t i = 0;

	CHECK(t->has_query && !t->has_response);
	while (i < model.n && model.w[i].serial != t->q.client_sketch)
		i++;
	CHECK(i < model.n);
	check_query(t, &model.w[i]);
	CHECK(t->settled_us ==
	      (model.w[i].deadline_us < settled_us ? model.w[i].deadline_us : settled_us));
	model_remove(i);
	fate(&run.fates, t);
}

static void expire(uint32_t cap)
{
	struct txn t[MSG_CAP];
	uint32_t n;

	step();
	do {
		n = pair_expire(run.p, model.now_us, t, cap);
		CHECK(n <= cap);
		for (uint32_t i = 0; i < n; i++) {
			check_timeout(&t[i], UINT64_MAX);
			CHECK(t[i].settled_us < model.now_us);
		}
	} while (n == cap);
	const uint64_t turn = model.now_us / TURN_US;
	for (uint32_t i = 0; i < model.n; i++)
		CHECK(model.w[i].due_turn >= turn);
	model.wheel_turn = turn;
	CHECK(pair_held(run.p) == model.n);
}

static void add_message(const uint8_t *in, bool response)
{
	const uint64_t back = (in[3] & 0xc0) != 0 ? 0 : (uint64_t)(in[3] & 63) * 99999;
	struct msg *m = &run.b.m[run.b.n];
	const unsigned client = in[0] >> 6, server = in[1] >> 5 & 1, port = in[1] >> 6 & 1;
	const struct addr c = {{1, (uint8_t)client}}, s = {{2, (uint8_t)server}};
	const bool question = (in[0] & 0x20) == 0;

	*m = (struct msg){.t_us = model.now_us - back, .now_us = model.now_us};
	m->ts_us = m->t_us - (in[1] >> 7) * (uint64_t)in[3]; /* a late packet's own time */
	m->src = response ? s : c;
	m->dst = response ? c : s;
	m->sport = response ? 53 : (uint16_t)(1000 + port);
	m->dport = response ? (uint16_t)(1000 + port) : 53;
	m->tcp = in[0] >> 4 & 1;
	m->id = in[1] & 3;
	m->dns_flags = response ? DNS_QR : 0;
	if (question) {
		m->name_len = 5;
		m->name_key = 77 + (in[1] >> 2 & 3);
		m->qtype = in[1] & 0x10 ? 28 : 1;
	}
	m->client_sketch = ++model.serial;
	run.verdict[run.b.n].name_sketch = ~model.serial;
	m->verdict = &run.verdict[run.b.n];
	m->rcode = (uint16_t)model.serial;
	m->class = (uint8_t)(model.serial % FT_CLASS_CAP);
	m->len = (uint16_t)(12 + model.serial % 500);
	run.name[run.b.n] = question ? (uint32_t)(m->name_key << 8 | m->qtype) : 0;
	run.key[run.b.n] = client | port << 2 | server << 3 | (in[1] & 3u) << 4 | m->tcp * 64u;
	if (++run.b.n == MSG_CAP)
		step();
}

static void one_step(const uint8_t *in)
{
	const uint64_t wait = model.wait_us;
	const uint64_t times[16] = {0,           1,       2,          1000,
				    TURN_US - 1, TURN_US, wait / 2,   wait,
				    wait + 1,    5000000, 700000,     8388608,
				    8388609,     9000000, 3600000000, 86400000000 * 1500};

	if (in[2] & 0x10) {
		if (in[2] & 0x20)
			step();
		model.now_us += times[in[2] & 15];
	}
	switch (in[0] & 7) {
	case 0:
	case 1:
	case 2:
	case 3: add_message(in, false); break;
	case 4:
	case 5: add_message(in, true); break;
	case 6: expire(1 + in[3] % MSG_CAP); break;
	default: break;
	}
	if (in[0] & 8)
		step();
}

static void finish(uint32_t cap)
{
	struct txn t[MSG_CAP];
	uint32_t n;

	step();
	do {
		n = pair_flush(run.p, model.now_us, t, cap);
		for (uint32_t i = 0; i < n; i++)
			check_timeout(&t[i], model.now_us);
	} while (n == cap);
	CHECK(model.n == 0 && pair_held(run.p) == 0);
	lazy_settle(true);
	CHECK(pair_held(run.lazy) == 0);
	if (!model.unsure) {
		CHECK(run.fates.n == run.lazy_fates.n);
		CHECK(run.fates.sum == run.lazy_fates.sum);
	}
	pair_destroy(run.p);
	pair_destroy(run.lazy);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const uint64_t waits[] = {5000000, 1000000, TURN_US, 1000, 1, 0, 4999999, 200000};
	static const uint64_t intervals[] = {60000000, 1000000, 10000000, 86400000000};

	if (size < 2)
		return 0;
	model.n = 0;
	model.cap = input[0] < 240 ? 1u + input[0] : MODEL_CAP;
	model.wait_us = waits[input[1] & 7];
	model.interval_us = intervals[input[1] >> 6];
	model.now_us = 1700000000000000u + (input[1] >> 3) * 11111u;
	model.wheel_turn = model.serial = 0;
	model.unsure = false;
	run.b.n = 0;
	run.fates = run.lazy_fates = (struct fates){0, 0};
	run.p = pair_create(model.cap, model.wait_us, model.interval_us, input[1], true);
	run.lazy = pair_create(LAZY_ENTRIES, model.wait_us, model.interval_us, 0x9999, false);
	CHECK(run.p != NULL && run.lazy != NULL);
	for (size_t at = 2; at + 4 <= size; at += 4)
		one_step(input + at);
	finish(1 + input[0] % MSG_CAP);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Rankings of clients against full counts, with their error bounds; coupling against a
 * plain correlation over all seconds. */
#include "stats/client_coupling.h"
#include "stats/client_top.h"
#include "stats/stat.h"
#include "stats/tables.h"
#include "parts.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENTS 5000u
#define INTERVALS 12u
#define VANTAGE FT_VANTAGE_S2R

static uint64_t state = 88172645463325252ull;

static uint64_t random_next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static void id_of(unsigned client, uint8_t id[16])
{
	memset(id, 0, 16);
	id[12] = 10;
	id[14] = (uint8_t)(client >> 8);
	id[15] = (uint8_t)client;
}

static unsigned client_of(const uint8_t id[16])
{
	return (unsigned)id[14] << 8 | id[15];
}

/* Queries of a client in an interval: Zipf in the whole, and noise that lets ranks change. */
static uint64_t queries_of(unsigned client, unsigned clients)
{
	return random_next() % (1 + 40 * clients / (client + 1) / 100) + random_next() % 2;
}

/* One interval, clients in an order of its own. */
static void interval(struct client_top *t, unsigned clients, unsigned first, uint64_t *now)
{
	for (unsigned i = 0; i < clients; i++) {
		const unsigned c = (first + i * 7919u) % clients;
		uint64_t counts[FT_QGROUP_CAP] = {[FT_QGROUP_AAAA] = now[c]};
		uint8_t id[16];
		id_of(c, id);
		client_top_add(t, VANTAGE, id, counts);
	}
}

static void check_interval(struct client_top *t, unsigned clients, const uint64_t *now)
{
	size_t n;
	const struct top_client *v = client_top_interval(t, VANTAGE, FT_QGROUP_AAAA, TOP_CAP, &n);
	uint64_t above = 0;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(v[i].queries, now[client_of(v[i].id)]);
		assert_int_equal(v[i].err, 0);
		if (i != 0)
			assert_true(v[i - 1].queries > v[i].queries ||
				    (v[i - 1].queries == v[i].queries &&
				     memcmp(v[i - 1].id, v[i].id, 16) < 0));
	}
	/* Nobody outside has more than the last one inside. */
	for (unsigned c = 0; c < clients; c++)
		above += n != 0 && now[c] > v[n - 1].queries;
	assert_true(above < TOP_CAP && (n == TOP_CAP || above < n));
}

static void run(unsigned clients)
{
	struct client_top *a = client_top_create(), *b = client_top_create();
	uint64_t *now = calloc(clients, sizeof(*now)), *day = calloc(clients, sizeof(*day));
	size_t n, m;

	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(now);
	assert_non_null(day);
	for (unsigned i = 0; i < INTERVALS; i++) {
		for (unsigned c = 0; c < clients; c++) {
			now[c] = queries_of(c, clients);
			day[c] += now[c];
		}
		interval(a, clients, 0, now);
		interval(b, clients, 17 * i, now);
		check_interval(a, clients, now);
		client_top_close(a);
		client_top_close(b);
	}
	const struct top_client *v = client_top_day(a, VANTAGE, FT_QGROUP_AAAA, &n),
				*w = client_top_day(b, VANTAGE, FT_QGROUP_AAAA, &m);
	/* The order in which clients come does not show. */
	assert_int_equal(n, m);
	assert_memory_equal(v, w, n * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		const uint64_t truth = day[client_of(v[i].id)];
		assert_true(v[i].queries >= truth && v[i].queries - v[i].err <= truth);
		assert_true(clients > TOP_CAP || v[i].err == 0);
	}
	/* The busiest are beyond doubt. */
	for (unsigned c = 0; c < 3; c++)
		assert_true(client_of(v[c].id) < 5 && v[c].queries == day[client_of(v[c].id)]);
	client_top_end_day(a);
	(void)client_top_day(a, VANTAGE, FT_QGROUP_AAAA, &n);
	assert_int_equal(n, 0);
	client_top_destroy(a);
	client_top_destroy(b);
	free(now);
	free(day);
}

static void test_top(void **unused)
{
	(void)unused;
	run(200);
	run(TOP_CAP);
	run(CLIENTS);
}

/* --- coupling --- */

#define SECONDS 4000u

/* By the book: means, then products, over the bins that count. */
static double plain_r2(uint32_t (*n)[2], unsigned width, unsigned from, unsigned to)
{
	double bins = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned s = 0; s < SECONDS; s += width) {
			double x = 0, y = 0;
			if (s / width > from / width && s / width < to / width)
				continue;
			for (unsigned i = 0; i < width; i++) {
				x += n[s + i][0];
				y += n[s + i][1];
			}
			if (pass == 0) {
				bins++;
				mx += x;
				my += y;
			} else {
				xx += (x - mx) * (x - mx);
				yy += (y - my) * (y - my);
				xy += (x - mx) * (y - my);
			}
		}
		if (pass == 0) {
			mx /= bins;
			my /= bins;
		}
	}
	return xy * xy / (xx * yy);
}

static void test_coupling(void **unused)
{
	static uint32_t n[SECONDS][2];
	const uint64_t begin = 1767225600;
	const unsigned from = 1502, to = 2498; /* silent in between */
	struct coupling c = {0};
	struct coupling_result r;

	(void)unused;
	for (unsigned s = 0; s < SECONDS; s++) {
		const bool silent = s > from && s < to;
		n[s][0] = silent ? 0 : (uint32_t)(random_next() % 8);
		n[s][1] = silent ? 0 : n[s][0] + (random_next() % 6 == 0);
	}
	n[0][0] = n[SECONDS - 1][0] = n[from][0] = n[to][0] = 1;
	for (unsigned s = 0; s < SECONDS; s++)
		if ((n[s][0] | n[s][1]) != 0)
			coupling_add(&c, begin + s, n[s][0], n[s][1]);
	coupling_leave_out(&c, begin + from, begin + to);
	assert_true(coupling_get(&c, &r));
	assert_int_equal(r.n, SECONDS - (to - from - 1));
	assert_true(fabs(r.r2_1s - plain_r2(n, 1, from, to)) < 1e-9);
	assert_true(fabs(r.r2_5s - plain_r2(n, 5, from, to)) < 1e-9);
	assert_true(r.coupled && r.r2_1s > 0.9);
}

static void test_too_little(void **unused)
{
	struct coupling c = {0};
	struct coupling_result r;

	(void)unused;
	assert_false(coupling_get(&c, &r));
	for (unsigned i = 0; i < 99; i++)
		coupling_add(&c, 1000 + 10 * i, 1, 1);
	assert_false(coupling_get(&c, &r)); /* 99 of each */
	coupling_add(&c, 2000, 1, 1);
	assert_true(coupling_get(&c, &r));
	assert_int_equal(r.n, 1001);
	struct coupling brief = {0};
	for (unsigned i = 0; i < 599; i++)
		coupling_add(&brief, 1000 + i, 1, 1);
	assert_false(coupling_get(&brief, &r)); /* 599 seconds */
}

/* --- over a restart --- */

#define ROWS 90u
#define CUT 40u /* rows before the restart */
#define BEGIN_ROW 29454000ull
#define TEXT_CAP (1u << 20)

struct texts {
	char *text;
	size_t n;
};

static void note(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	struct texts *t = ctx;
	char *line = json_dumps(record, JSON_COMPACT);
	const size_t len = strlen(line);

	(void)set;
	(void)start_s;
	assert_true(t->n + len + 2 < TEXT_CAP);
	memcpy(t->text + t->n, line, len);
	t->n += len;
	t->text[t->n++] = '\n';
	t->text[t->n] = 0;
	free(line);
	json_decref(record);
}

/* Three clients; the first one is silent from row 50 to 70. */
static void one_row(void *stat, void *tables, unsigned row)
{
	uint8_t body[4 * FT_TABLE_ENTRY_CAP];
	size_t n = 0;
	uint32_t entries = 0;

	for (unsigned c = 0; c < 3; c++) {
		struct ft_table_rec r = {.table = FT_TABLE_CLIENTS,
					 .vantage = VANTAGE,
					 .counts = true,
					 .last_s = 59,
					 .id = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)(c + 1)}};
		if (c == 0 && row >= 50 && row < 70)
			continue;
		r.c[FT_CLIENT_QGROUP + FT_QGROUP_A] = 100 + (row * 7 + c * 3) % 11;
		n += ft_table_write(&r, body + n);
		entries++;
	}
	const struct ft_rec_hdr h = {
	    .type = FT_REC_CLIENT, .vantage = (uint8_t)entries, .row = BEGIN_ROW + row};
	const struct stat_record rec = {.hdr = &h, .body = body, .bytes = n};
	assert_int_equal(merge_tables.record(tables, &rec), 0);
	struct stat_parts parts = parts_take(STAT_TABLES, tables, h.row);
	struct stat_interval in = {
	    .row = h.row, .start_s = h.row * 60, .end_s = h.row * 60 + 60, .tables = &parts};
	stat_client.close(stat, &in);
	parts_fini(STAT_TABLES, &parts);
}

struct octets {
	uint8_t *v;
	size_t n, at;
};

static int put(void *ctx, const void *data, size_t len)
{
	struct octets *o = ctx;

	o->v = realloc(o->v, o->n + len + 1);
	assert_non_null(o->v);
	memcpy(o->v + o->n, data, len);
	o->n += len;
	return 0;
}

static int get(void *ctx, void *data, size_t len)
{
	struct octets *o = ctx;

	if (o->n - o->at < len)
		return -EBADMSG;
	memcpy(data, o->v + o->at, len);
	o->at += len;
	return 0;
}

/* What is written behind a restart is what would have been written without one; a state
 * that breaks off is refused, and nothing is left of it. */
static void test_restart(void **unused)
{
	struct texts whole = {calloc(1, TEXT_CAP), 0}, again = {calloc(1, TEXT_CAP), 0};
	struct stat_run run = {.probe = "p",
			       .workers = 1,
			       .interval_s = 60,
			       .top_clients = 3,
			       .write = note,
			       .ctx = &whole};
	struct octets state_of = {0}, second = {0};
	void *tables = merge_tables.create(&run, 1), *stat = stat_client.create(&run);

	(void)unused;
	for (unsigned row = 0; row < CUT; row++)
		one_row(stat, tables, row);
	assert_int_equal(stat_client.save(stat, put, &state_of), 0);
	whole.n = 0; /* from here on both write the same */
	for (unsigned row = CUT; row < ROWS; row++)
		one_row(stat, tables, row);
	stat_client.destroy(stat);
	assert_non_null(strstr(whole.text, "\"silence\""));
	assert_non_null(strstr(whole.text, "\"state\":\"end\""));

	run.ctx = &again;
	stat = stat_client.create(&run);
	const size_t bytes = state_of.n;
	for (size_t len = 0; len < bytes; len += len % 97 + 1) {
		state_of.n = len;
		state_of.at = 0;
		assert_true(stat_client.load(stat, get, &state_of) < 0);
	}
	state_of.n = bytes;
	state_of.at = 0;
	assert_int_equal(stat_client.load(stat, get, &state_of), 0);
	assert_int_equal(state_of.at, bytes);
	assert_int_equal(stat_client.save(stat, put, &second), 0);
	assert_int_equal(second.n, bytes);
	assert_memory_equal(second.v, state_of.v, bytes);
	for (unsigned row = CUT; row < ROWS; row++)
		one_row(stat, tables, row);
	stat_client.destroy(stat);
	assert_string_equal(again.text, whole.text);
	merge_tables.destroy(tables);
	free(state_of.v);
	free(second.v);
	free(whole.text);
	free(again.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_top),
	    cmocka_unit_test(test_coupling),
	    cmocka_unit_test(test_too_little),
	    cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Watched RRsets: entries there and back, cut at every octet; rdata and lists as text;
 * responses cut at every octet; the state against a plain reference, and over a restart. */
#include "guard.h"
#include "integrity_rig.h"
#include "rdset.h"
#include "stats/integrity.h"
#include "stats/integrity_rows.h"
#include "stats/integrity_state.h"
#include "watchlist.h"

#include <fluxtap/rec_integrity.h>

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1767225600000000ull
#define S 1000000ull

/* --- entries --- */

static void test_records(void **unused)
{
	struct ft_integrity x = {.what = 0x1e,
				 .facts = 31,
				 .qtype = 257,
				 .ttl = INT32_MAX,
				 .owner_key = 1,
				 .set_key = UINT64_MAX,
				 .client = {9},
				 .server = {[10] = 0xff, [11] = 0xff, [12] = 1},
				 .first_us = T0,
				 .last_us = T0 + 999999,
				 .count = UINT64_MAX,
				 .rrsig_s = 7,
				 .ede = 23},
			    y;
	struct ft_integrity_addr a = {.host_key = 5, .addr = {1}}, b;
	uint8_t piece[FT_INTEGRITY_PIECE], out[FT_INTEGRITY_TEXT_CAP];
	struct ft_integrity_text
	    t = {1, 2, 16, 2 * FT_INTEGRITY_PIECE, FT_INTEGRITY_PIECE, FT_INTEGRITY_PIECE, piece},
	    u;

	(void)unused;
	memset(piece, 77, sizeof(piece));
	for (unsigned kind = 0; kind < 3; kind++) {
		const uint8_t *end = kind == 0   ? ft_integrity_write(&x, out)
				     : kind == 1 ? ft_integrity_text_write(&t, out)
						 : ft_integrity_addr_write(&a, out);
		const size_t n = (size_t)(end - out);
		assert_true(n <= (kind == 0   ? FT_INTEGRITY_SEEN_CAP
				  : kind == 1 ? FT_INTEGRITY_TEXT_CAP
					      : FT_INTEGRITY_ADDR_CAP));
		for (size_t cut = 0; cut <= n; cut++) {
			uint8_t *copy = guard_copy(out, cut);
			struct ft_reader all = ft_reader_init(copy, cut), body;
			if (kind == 0)
				memset(&y, 0, sizeof(y));
			if (kind == 2)
				memset(&b, 0, sizeof(b));
			const bool ok = ft_entry_next(&all, &body) &&
					(kind == 0   ? ft_integrity_read(&body, &y)
					 : kind == 1 ? ft_integrity_text_read(&body, &u)
						     : ft_integrity_addr_read(&body, &b));
			assert_int_equal(ok, cut == n);
			if (ok && kind == 1)
				assert_memory_equal(u.piece, piece, sizeof(piece));
			guard_free(copy, cut);
		}
	}
	assert_memory_equal(&x, &y, sizeof(x));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(u.total, t.total);
}

static void test_whole_sets(void **unused)
{
	static const struct {
		const char *octets;
		uint32_t n;
		bool whole;
	} v[] = {{"", 0, true},
		 {"\1\0a\1\0b", 6, true},
		 {"\1\0b\1\0a", 6, false},
		 {"\1\0a\1\0a", 6, false},
		 {"\1\0a\2\0aa", 7, true},
		 {"\2\0aa\1\0a", 7, false},
		 {"\2\0a", 3, false},
		 {"\1", 1, false}};

	(void)unused;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		uint8_t *copy = guard_copy(v[i].octets, v[i].n);
		assert_int_equal(ft_integrity_set_is_whole(copy, v[i].n), v[i].whole);
		guard_free(copy, v[i].n);
	}
}

/* --- texts --- */

static void test_rdata(void **unused)
{
	/* By hand, from the RFCs' wire formats. */
	static const struct {
		const char *type, *text, *back; /* back NULL: the same */
		const char *octets;
		int n;
	} v[] = {
	    {"a", "192.0.2.1", NULL, "\300\0\2\1", 4},
	    {"AAAA", "2001:DB8::1", "2001:db8::1", "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16},
	    {"NS", "Ns1.Example", "ns1.example.", "\3ns1\7example", 13},
	    {"MX", "10  mail.example.", "10 mail.example.", "\0\12\4mail\7example", 16},
	    {"TXT", "\"a b\" \"c\\\"\\001\"", "\"a b\" \"c\\\"\\001\"", "\3a b\3c\"\1", 8},
	    {"TXT", "v=spf1 -all", "\"v=spf1 -all\"", "\13v=spf1 -all", 12},
	    {"DS", "1 13 2 abCD ef", "1 13 2 ABCDEF", "\0\1\15\2\xab\xcd\xef", 7},
	    {"DNSKEY", "257 3 13 bWRz dw==", "257 3 13 bWRzdw==", "\1\1\3\15mdsw", 8},
	    {"CAA", "0 ISSUE \"ca.example\"", "0 issue \"ca.example\"", "\0\5issueca.example", 17},
	    {"SOA", "a.b. c. 1 2 3 4 4294967295", NULL,
	     "\1a\1b\0\1c\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\377\377\377\377", 28},
	};
	static const char *const bad[][2] = {
	    {"A", "192.0.2"},       {"A", "::1"},       {"AAAA", "192.0.2.1"},   {"NS", "a b"},
	    {"MX", "mail.example"}, {"MX", "70000 m"},  {"DS", "1 13 2 abc"},    {"DS", "1 13 2"},
	    {"TXT", "\"open"},      {"CAA", "0 issue"}, {"SOA", "a. b. 1 2 3 4"}};
	uint8_t out[RDATA_CAP];
	char *text = integrity_rig_need(malloc(RDATA_TEXT_CAP));

	(void)unused;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		const uint16_t type = rdata_type(v[i].type, (uint32_t)strlen(v[i].type));
		const int n = rdata_from_text(type, v[i].text, (uint32_t)strlen(v[i].text), out);
		assert_int_equal(n, v[i].n);
		assert_memory_equal(out, v[i].octets, (size_t)n);
		rdata_text(type, out, (uint32_t)n, text);
		assert_string_equal(text, v[i].back != NULL ? v[i].back : v[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(rdata_from_text(rdata_type(bad[i][0], (uint32_t)strlen(bad[i][0])),
						 bad[i][1], (uint32_t)strlen(bad[i][1]), out),
				 -1);
	rdata_text(1, (const uint8_t *)"abc", 3, text); /* no address */
	assert_string_equal(text, "\\# 3 616263");
	free(text);
}

static void test_list(void **unused)
{
	static const char list[] =
	    "# all that a line can have\n"
	    "B.example\tA,AAAA  baseline=192.0.2.1|2001:db8::1  "
	    "allow=198.51.100.0/22,2001:db8::/33 "
	    "allow=203.0.113.9 # more\n"
	    "a.example MX allow=.mail.example baseline=10 mx.a.example|20 mx2.a.example\n"
	    "a.example TXT baseline=\"a # b | c\"|\"allow=x\"\n"
	    "a.example MX allow=5 odd.example\n";
	static const struct {
		unsigned entry;
		const char *text;
		bool allowed;
	} v[] = {{0, "10 x.mail.example", true}, {0, "10 mail.example", true},
		 {0, "10 xmail.example", false}, {0, "5 odd.example", true},
		 {0, "6 odd.example", false},    {2, "198.51.103.255", true},
		 {2, "198.51.104.0", false},     {2, "203.0.113.9", true},
		 {2, "203.0.113.8", false},      {3, "2001:db8:7fff::1", true},
		 {3, "2001:db8:8000::1", false}};
	uint8_t out[RDATA_CAP];
	char err[256];

	(void)unused;
	struct watchlist *l = watchlist_parse("list", list, strlen(list), err, sizeof(err));
	assert_non_null(l);
	assert_int_equal(l->n, 4);
	static const uint16_t types[] = {15, 16, 1, 28};
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(l->v[i].qtype, types[i]);
	json_t *texts = rdset_texts(16, &l->v[1].baseline, NULL);
	assert_int_equal(json_array_size(texts), 2);
	assert_string_equal(json_string_value(json_array_get(texts, 0)), "\"allow=x\"");
	assert_string_equal(json_string_value(json_array_get(texts, 1)), "\"a # b | c\"");
	json_decref(texts);
	assert_int_equal(l->v[2].baseline.bytes, 6);
	assert_int_equal(l->v[3].baseline.bytes, 18);
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		const struct watchlist_entry *e = &l->v[v[i].entry];
		const int n =
		    rdata_from_text(e->qtype, v[i].text, (uint32_t)strlen(v[i].text), out);
		assert_true(n > 0);
		assert_int_equal(watchlist_allows(e, &(struct rdata){out, (uint32_t)n}),
				 v[i].allowed);
	}
	watchlist_destroy(l);
}

/* --- the state --- */

struct noted {
	unsigned n;
	uint64_t lo_us[64], hi_us[64];
	enum integrity_state state[64];
};

static void take(void *ctx, const struct integrity_machine *m, const struct integrity_note *note)
{
	struct noted *t = ctx;

	(void)m;
	if (!note->data || note->state == INTEGRITY_SUSPECT || t->n == 64)
		return;
	const bool back = note->state == INTEGRITY_REVERTED;
	t->state[t->n] = note->state;
	t->lo_us[t->n] = back ? note->revert_lo_us : note->onset_lo_us;
	t->hi_us[t->n++] = back ? note->revert_hi_us : note->onset_hi_us;
}

struct step {
	uint64_t t_us;
	unsigned client, server;
	bool evil;
};

/* The plainest reading of the definition: a change is confirmed by the second pair that
 * sees it; a pair that alone saw it and takes it back ends the suspicion; it is over when
 * the old set has been seen and the new one not for 300 s, looked at each minute. */
static void reference(const struct step *s, size_t n, struct noted *out)
{
	uint64_t last_old = 0, first = 0, last_new = 0, back = 0;
	unsigned pair = 0;
	bool changed = false;

	*out = (struct noted){0};
	for (size_t i = 0; i < n; i++) {
		const unsigned p = s[i].client * 8 + s[i].server + 1;
		/* minutes that end before this observation */
		for (uint64_t m = i > 0 ? s[i - 1].t_us / (60 * S) + 1 : 0;
		     i > 0 && m * 60 * S <= s[i].t_us; m++) {
			if (!changed || back == 0 || m * 60 * S < back + 300 * S)
				continue;
			out->state[out->n] = INTEGRITY_REVERTED;
			out->lo_us[out->n] = last_new;
			out->hi_us[out->n++] = back;
			last_old = back;
			changed = false;
			pair = 0;
		}
		if (changed && s[i].evil) {
			last_new = s[i].t_us;
			back = 0;
		} else if (changed) {
			back = back != 0 ? back : s[i].t_us;
		} else if (!s[i].evil) {
			last_old = s[i].t_us;
			if (pair == p && s[i].t_us > last_new)
				pair = 0;
		} else if (pair == 0 || pair == p) {
			if (pair == 0) {
				first = s[i].t_us;
				out->lo_us[out->n] = last_old;
			}
			pair = p;
			last_new = s[i].t_us;
		} else {
			out->state[out->n] = INTEGRITY_CHANGED;
			out->hi_us[out->n++] = first;
			changed = true;
			last_new = s[i].t_us;
			back = 0;
		}
	}
}

static uint64_t rng_state = 1;

static unsigned below(unsigned n)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(rng_state >> 33) % n;
}

static struct watchlist *list_of(const char *text)
{
	char err[256];

	return integrity_rig_need(watchlist_parse("l", text, strlen(text), err, sizeof(err)));
}

struct memory {
	uint8_t *v;
	size_t n, at;
};

static int to_memory(void *ctx, const void *data, size_t len)
{
	struct memory *m = ctx;

	m->v = integrity_rig_need(realloc(m->v, m->n + len));
	memcpy(m->v + m->n, data, len);
	m->n += len;
	return 0;
}

static int from_memory(void *ctx, void *data, size_t len)
{
	struct memory *m = ctx;

	if (m->n - m->at < len)
		return -EBADMSG;
	memcpy(data, m->v + m->at, len);
	m->at += len;
	return 0;
}

/* A machine that is saved and loaded in the middle, where `restart`. */
static void restart_machine(struct integrity_machine *m, const struct watchlist_entry *e)
{
	struct memory octets = {0};
	struct integrity_machine fresh;

	assert_int_equal(integrity_machine_save(m, to_memory, &octets), 0);
	for (size_t cut = 0; cut < octets.n;
	     cut += 1 + octets.n / 97) { /* what is cut is refused */
		struct memory part = {octets.v, cut, 0};
		integrity_machine_init(&fresh, e->qtype, false, 0);
		assert_int_not_equal(integrity_machine_load(&fresh, from_memory, &part), 0);
		integrity_machine_fini(&fresh);
	}
	integrity_machine_init(&fresh, e->qtype, false, 0);
	assert_int_equal(integrity_machine_load(&fresh, from_memory, &octets), 0);
	integrity_machine_config(&fresh, e);
	assert_int_equal(octets.at, octets.n);
	integrity_machine_fini(m);
	*m = fresh;
	m->notes_end = &m->notes;
	free(octets.v);
}

static void run_machine(const struct step *s, size_t n, size_t restart_at, struct noted *out)
{
	struct watchlist *l = list_of("a.example A baseline=192.0.2.1");
	uint8_t old_octets[] = {4, 0, 192, 0, 2, 1}, new_octets[] = {4, 0, 203, 0, 113, 66};
	const struct rdset old_set = {old_octets, 6}, new_set = {new_octets, 6};
	struct integrity_machine m;

	*out = (struct noted){0};
	integrity_machine_init(&m, 1, false, 0);
	integrity_machine_config(&m, l->v);
	for (size_t i = 0; i < n; i++) {
		const struct integrity_event x = {.t_us = s[i].t_us,
						  .client = s[i].client + 1,
						  .server = s[i].server + 1,
						  .set = s[i].evil ? &new_set : &old_set,
						  .count = 1,
						  .ttl = 60};
		for (uint64_t k = i > 0 ? s[i - 1].t_us / (60 * S) + 1 : 0;
		     i > 0 && k * 60 * S <= s[i].t_us; k++)
			assert_int_equal(
			    integrity_machine_step(&m, l->v, k * 60 * S, false, take, out), 0);
		if (i == restart_at) {
			assert_int_equal(integrity_machine_step(&m, l->v,
								s[i].t_us / (60 * S) * 60 * S,
								false, take, out),
					 0);
			restart_machine(&m, l->v);
		}
		assert_int_equal(integrity_machine_see(&m, l->v, &x), 0);
	}
	/* What is still to be told. */
	assert_int_equal(
	    integrity_machine_step(&m, l->v, s[n - 1].t_us / (60 * S) * 60 * S, false, take, out),
	    0);
	integrity_machine_fini(&m);
	watchlist_destroy(l);
}

static void test_state(void **unused)
{
	enum { STEPS = 120, RUNS = 400 };
	struct step s[STEPS];
	struct noted want, got, again;
	unsigned changes = 0, backs = 0;

	(void)unused;
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t t = T0;
		unsigned evil = 5 + below(30);
		for (unsigned i = 0; i < STEPS; i++) {
			t += (1 + below(below(8) == 0 ? 700 : 40)) * S + below(1000);
			if (below(25) == 0)
				evil = below(3) == 0 ? 95 : below(3) == 0 ? 30 : 2;
			s[i] = (struct step){t, below(3), below(2), below(100) < evil};
		}
		reference(s, STEPS, &want);
		run_machine(s, STEPS, SIZE_MAX, &got);
		run_machine(s, STEPS, below(STEPS), &again);
		assert_int_equal(got.n, want.n);
		assert_int_equal(again.n, want.n);
		for (unsigned i = 0; i < want.n; i++) {
			assert_int_equal(got.state[i], want.state[i]);
			assert_int_equal(got.lo_us[i], want.lo_us[i]);
			assert_int_equal(got.hi_us[i], want.hi_us[i]);
			assert_int_equal(again.hi_us[i], want.hi_us[i]);
			changes += want.state[i] == INTEGRITY_CHANGED;
			backs += want.state[i] == INTEGRITY_REVERTED;
		}
	}
	assert_true(changes > 200 && backs > 50); /* the runs have something to find */
}

/* --- rows --- */

/* More pairs than an interval keeps: what is left out is counted, nothing is lost. */
static void test_budget(void **unused)
{
	enum { PAIRS = (1 << 18) + 10000, BATCH = 250 };
	struct stat_row *rows = NULL;
	struct integrity_seen *v = NULL;
	struct integrity_row *r;
	uint8_t body[BATCH * FT_INTEGRITY_SEEN_CAP];
	uint64_t kept = 0;
	size_t n = 0;

	(void)unused;
	for (uint32_t i = 0; i < PAIRS; i += BATCH) {
		uint8_t *p = body;
		const uint32_t k = PAIRS - i < BATCH ? PAIRS - i : BATCH;
		for (uint32_t j = 0; j < k; j++) {
			struct ft_integrity x = {.what = 8,
						 .qtype = 1,
						 .set_key = 7,
						 .first_us = T0 + i + j,
						 .last_us = T0 + i + j,
						 .count = 3};
			memcpy(x.client, &(uint32_t){i + j}, 4);
			p = ft_integrity_write(&x, p);
		}
		const struct ft_rec_hdr hdr = {
		    .type = FT_REC_INTEGRITY, .vantage = (uint8_t)k, .row = 1};
		const struct stat_record rec = {NULL, &hdr, body, (size_t)(p - body)};
		assert_int_equal(integrity_rows_add(&rows, 5, &rec), 0);
	}
	r = rows_pop(&rows);
	assert_null(rows);
	assert_int_equal(integrity_row_lay(r, 7, &v, &n), 0);
	for (size_t i = 0; i < n; i++) {
		kept += v[i].count;
		assert_true(i == 0 || v[i - 1].t_us <= v[i].t_us);
	}
	assert_int_equal(kept, 3 * (1 << 18));
	assert_int_equal(kept + r->left_out, 3ull * PAIRS);
	integrity_row_unlay(r, v);
	integrity_row_free(r);
}

/* --- the whole way --- */

static unsigned alarms, records;

static void count_alarm(void *ctx, const char *text)
{
	(void)ctx;
	assert_non_null(strstr(text, "UNAUTHORISED change of www.a.example. A (CHILD)"));
	alarms++;
}

static const char *last_state;

static void count_record(void *ctx, const char *set, uint64_t start_s, json_t *o)
{
	(void)ctx;
	(void)start_s;
	assert_string_equal(set, "integrity");
	if (json_object_get(o, "state") != NULL) {
		static char state[16];
		snprintf(state, sizeof(state), "%s",
			 json_string_value(json_object_get(o, "state")));
		last_state = state;
		records++;
	}
	json_decref(o);
}

/* www.a.example A: one address, with a name server and its glue behind. */
static uint32_t make_response(uint8_t *p, uint8_t last)
{
	static const uint8_t head[] = {0,   1,   0x84, 0,   0,   1, 0,   1, 0,   1,   0,
				       1,   3,   'w',  'w', 'w', 1, 'a', 7, 'e', 'x', 'a',
				       'm', 'p', 'l',  'e', 0,   0, 1,   0, 1};
	static const uint8_t rest[] = {0xc0, 16, 0,   2,   0,    1,  0,    0,   0, 60, 0,
				       5,    2,  'n', 's', 0xc0, 16, 0xc0, 59,  0, 1,  0,
				       1,    0,  0,   0,   60,   0,  4,    192, 0, 2,  53};
	const uint8_t answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last};

	memcpy(p, head, sizeof(head));
	memcpy(p + sizeof(head), answer, sizeof(answer));
	memcpy(p + sizeof(head) + sizeof(answer), rest, sizeof(rest));
	return (uint32_t)(sizeof(head) + sizeof(answer) + sizeof(rest));
}

static void test_responses(void **unused)
{
	const struct addr clients[2] = {{{1}}, {{2}}},
			  server = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 53}};
	struct integrity_rig r;
	uint8_t message[256];
	uint64_t t_us = T0;

	(void)unused;
	integrity_rig_init(
	    &r, "www.a.example A baseline=192.0.2.1\na.example NS baseline=ns.a.example\n", 60);
	r.run.alarm = count_alarm;
	r.run.write = count_record;
	alarms = records = 0;
	const uint32_t n = make_response(message, 1);
	for (uint32_t cut = 0; cut <= n; cut++) {
		uint8_t *copy = guard_copy(message, cut);
		integrity_rig_response(&r, copy, cut, &clients[0], &server, t_us += S);
		guard_free(copy, cut);
	}
	assert_int_equal(integrity_stats_get(r.integrity)->seen, 2); /* A and NS of the whole one */
	for (unsigned i = 0; i < 2; i++) {
		(void)make_response(message, 66);
		integrity_rig_response(&r, message, n, &clients[i], &server, t_us += S);
	}
	integrity_rig_close(&r, t_us);
	assert_int_equal(alarms, 1);
	assert_int_equal(records, 1);
	assert_int_equal(integrity_alarms(r.stat), 1);
	integrity_rig_fini(&r);
}

/* The operator accepts a change by writing it into the list. */
static void test_accepted(void **unused)
{
	const struct addr clients[2] = {{{1}}, {{2}}}, server = {{3}};
	struct integrity_rig r;
	uint8_t message[256];
	uint64_t t_us = T0;

	(void)unused;
	integrity_rig_init(&r, "www.a.example A baseline=192.0.2.1\n", 60);
	r.run.alarm = count_alarm;
	r.run.write = count_record;
	alarms = records = 0;
	const uint32_t n = make_response(message, 66);
	for (unsigned i = 0; i < 2; i++)
		integrity_rig_response(&r, message, n, &clients[i], &server, t_us += S);
	integrity_rig_close(&r, t_us);
	assert_int_equal(records, 1);
	integrity_rig_load(&r, "b.example NS\nwww.a.example A baseline=192.0.2.1\n");
	integrity_rig_response(&r, message, n, &clients[0], &server, t_us += 60 * S);
	integrity_rig_close(&r, t_us);
	assert_int_equal(records, 1);
	integrity_rig_load(&r, "www.a.example A baseline=192.0.2.1|192.0.2.66\n");
	integrity_rig_response(&r, message, n, &clients[0], &server, t_us += 60 * S);
	integrity_rig_close(&r, t_us);
	assert_int_equal(records, 2);
	assert_string_equal(last_state, "ACCEPTED");
	(void)make_response(message, 1);
	for (unsigned i = 0; i < 2; i++)
		integrity_rig_response(&r, message, n, &clients[i], &server, t_us += 60 * S);
	integrity_rig_close(&r, t_us);
	assert_int_equal(records, 2);
	assert_int_equal(alarms, 1);
	integrity_rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),   cmocka_unit_test(test_whole_sets),
	    cmocka_unit_test(test_rdata),     cmocka_unit_test(test_list),
	    cmocka_unit_test(test_state),     cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_responses), cmocka_unit_test(test_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

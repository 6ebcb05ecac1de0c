/* SPDX-License-Identifier: BSD-3-Clause */
/* Error keys: what control has merged is what a plain reading of the same messages
 * gives, whatever the size of the tables and the split over workers. */
#include "guard.h"
#include "handful.h"
#include "plain_dns.h"
#include "stats/errors.h"
#include "txn_make.h"
#include "txn_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1767225600000000u /* begins an interval */
#define CLIENTS 400u
#define SERVERS 4u

static struct addr client_addr(unsigned i)
{
	struct addr a = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	a.b[13] = (uint8_t)(i >> 8);
	a.b[14] = (uint8_t)i;
	return a;
}

static struct addr server_addr(unsigned i)
{
	const uint8_t v4[4] = {192, 0, 2, (uint8_t)i};

	return i == 3 ? client_addr(999) : addr_from_v4(v4);
}

/* One transaction that went wrong, as the reference sees it. */
struct wrong {
	char key[4 * PLAIN_TEXT], raw[2 * PLAIN_TEXT];
	uint64_t time_us;
	unsigned client;
};

struct wrongs {
	struct wrong **v;
	size_t n, cap;
};

static void wrong_add(struct wrongs *w, const struct wrong *x)
{
	if (w->n == w->cap) {
		w->cap = w->cap == 0 ? 1024 : w->cap * 2;
		w->v = txn_rig_need(realloc(w->v, w->cap * sizeof(*w->v)));
	}
	w->v[w->n] = txn_rig_need(malloc(sizeof(*x)));
	memcpy(w->v[w->n++], x, sizeof(*x));
}

static int wrong_compare(const void *a, const void *b)
{
	const struct wrong *x = *(struct wrong *const *)a, *y = *(struct wrong *const *)b;
	int d = strcmp(x->key, y->key);

	if (d == 0)
		d = (x->time_us > y->time_us) - (x->time_us < y->time_us);
	return d != 0 ? d : strcmp(x->raw, y->raw);
}

static void put_line(struct lines *out, const char *key, const char *raw, uint64_t time_us,
		     uint64_t count, uint64_t clients)
{
	static char line[8 * PLAIN_TEXT];
	const int used = sprintf(line, "%s | %s t=%llu n=%llu", key, raw,
				 (unsigned long long)time_us, (unsigned long long)count);

	/* Estimates have a test of their own. */
	if (clients <= FT_ERROR_EXACT)
		(void)sprintf(line + used, " clients=%llu", (unsigned long long)clients);
	else
		(void)sprintf(line + used, " clients=many");
	lines_add(out, line);
}

static void wrong_merge(struct wrongs *w, struct lines *out)
{
	qsort(w->v, w->n, sizeof(*w->v), wrong_compare);
	for (size_t i = 0; i < w->n;) {
		bool seen[CLIENTS] = {false};
		uint64_t clients = 0;
		size_t k = i;
		for (; k < w->n && strcmp(w->v[k]->key, w->v[i]->key) == 0; k++) {
			clients += !seen[w->v[k]->client];
			seen[w->v[k]->client] = true;
		}
		put_line(out, w->v[i]->key, w->v[i]->raw, w->v[i]->time_us, k - i, clients);
		i = k;
	}
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct wrongs){0};
}

/* What happened, before it is known whether it counts. */
struct event {
	unsigned client, server;
	const struct plain *q; /* NULL: unsolicited */
	const struct plain *r; /* NULL: time-out */
	const uint8_t *msg;    /* of the response */
	uint32_t len;
	uint64_t q_us, r_us;
};

static void put_soa(const struct event *e, char *folded, char *raw)
{
	(void)strcpy(folded, "-");
	(void)strcpy(raw, "-");
	for (uint32_t i = 0; e->r != NULL && i < e->r->n; i++) {
		const struct plain_record *x = &e->r->r[i];
		if (x->section != 1 || x->type != 6)
			continue;
		if (x->owner_good) {
			(void)strcpy(folded, x->owner);
			assert_true(plain_name(e->msg, e->len, x->owner_off, false, raw, NULL));
		}
		return;
	}
}

static unsigned rcode_of(const struct event *e)
{
	unsigned high = 0;

	for (uint32_t at = 12; at + 11 <= e->len; at++) /* the OPT that the test wrote */
		if (memcmp(e->msg + at, "\0\0\x29\x04\xd0", 5) == 0)
			high = e->msg[at + 5];
	return high << 4 | (e->r->flags & 15);
}

static void ref_event(const struct event *e, uint32_t interval_s, bool all, struct wrongs *out)
{
	static struct wrong x;
	char soa[PLAIN_TEXT], soa_raw[PLAIN_TEXT], rcode[16] = "TIMEOUT";
	const struct plain *own = e->r != NULL && (e->r->qd != 0 || e->q == NULL) ? e->r : e->q;
	const uint64_t row = (e->q != NULL ? e->q_us : e->r_us) / 1000000 / interval_s;
	const bool rd = ((e->q != NULL ? e->q : e->r)->flags & 0x100) != 0;
	const char *vantage = rd ? "S2R" : "R2A";

	if (e->r != NULL) {
		const bool ra = (e->r->flags & 0x80) != 0, aa = (e->r->flags & 0x400) != 0;
		if (rcode_of(e) == 0)
			return;
		(void)sprintf(rcode, "%u", rcode_of(e));
		vantage = rd ? (ra ? "S2R" : "X") : (aa ? "R2A" : "X");
	}
	if (!all && strcmp(vantage, "S2R") == 0)
		return;
	put_soa(e, soa, soa_raw);
	const struct plain *name = own->qd != 0 ? own : e->q;
	const char *folded = name != NULL && name->qd != 0 ? name->qname : "-";
	(void)sprintf(x.key, "%llu %s %s %u %u %u %s %s", (unsigned long long)row, vantage, folded,
		      own->qtype, own->qclass, e->server, soa, rcode);
	/* The question as the response has it, or else the query. */
	const struct plain *asked = e->r != NULL && e->r->qd != 0 ? e->r : e->q;
	(void)sprintf(x.raw, "%s %s", asked != NULL && asked->qd != 0 ? asked->qname_raw : "-",
		      soa_raw);
	x.time_us = e->r != NULL ? e->r_us : e->q_us;
	x.client = e->client;
	wrong_add(out, &x);
}

/* What control has. */

struct reading {
	const struct txn_rig *rig;
	uint64_t row;
	struct lines *out;
};

static void hex_name(const uint8_t *name, uint32_t n, bool fold, char *out)
{
	if (n == 0)
		(void)strcpy(out, "-");
	else
		assert_true(plain_name(name, n, 0, fold, out, NULL));
}

static void take_row(void *ctx, const struct error_row *x)
{
	static char key[4 * PLAIN_TEXT], raw[2 * PLAIN_TEXT];
	const struct reading *r = ctx;
	const struct ft_error_text *t = &x->text;
	char q[PLAIN_TEXT], q_raw[PLAIN_TEXT], soa[PLAIN_TEXT], soa_raw[PLAIN_TEXT], rcode[16];
	unsigned server = 0;

	hex_name(t->qname, t->qname_len, true, q);
	hex_name(t->qname, t->qname_len, false, q_raw);
	hex_name(t->soa, t->soa_len, true, soa);
	hex_name(t->soa, t->soa_len, false, soa_raw);
	for (unsigned i = 0; i < SERVERS; i++) {
		const struct addr a = server_addr(i);
		if (memcmp(a.b + (i == 3 ? 0 : 12), t->server, i == 3 ? 16 : 4) == 0 &&
		    ((t->what & FT_ERROR_V6) != 0) == (i == 3))
			server = i;
	}
	(void)sprintf(rcode, "%u", t->rcode);
	(void)sprintf(key, "%llu %s %s %u %u %u %s %s", (unsigned long long)r->row,
		      ft_vantage_texts[t->what & FT_ERROR_VANTAGE], q, t->qtype, t->qclass, server,
		      soa, (t->what & FT_ERROR_TIMEOUT) != 0 ? "TIMEOUT" : rcode);
	(void)sprintf(raw, "%s %s", q_raw, soa_raw);
	put_line(r->out, key, raw, x->time_us, x->count, x->clients);
}

/* Random traffic. */

static void make_response(struct make *m, unsigned i, unsigned flags, unsigned qname,
			  unsigned qtype)
{
	static const unsigned rcodes[] = {0, 2, 3, 3, 3, 3, 5, 1, 9};
	const unsigned rcode = rcodes[make_rand(9)];

	m->damage = make_rand(6) == 0 ? 3 : 0;
	make_begin(m, i, 0x8000 | flags | rcode, qname, qtype);
	if (make_rand(12) == 0) { /* refused before it was parsed */
		m->w.n = 12;
		wire_put16(&m->w, 4, 0);
		return;
	}
	if (make_rand(8) == 0)
		make_record(m, 1, make_rand(MAKE_NAMES), 2, 60, 1);
	if (make_rand(4) != 0)
		make_record(m, 1, make_rand(3) ? 8 : make_rand(MAKE_NAMES), 6, 60, 1);
	if (make_rand(8) == 0)
		make_record(m, 1, make_rand(MAKE_NAMES), 6, 60, 1);
	if (make_rand(5) == 0) {
		wire_opt(&m->w, 1232, make_rand(2), 0, 0, 0);
		wire_put16(&m->w, 10, 1);
	}
}

static void add_event(struct txn_rig *rig, unsigned i, uint64_t t_us, bool all, struct wrongs *ref)
{
	static struct make m;
	static struct plain q, r;
	/* Few ask for most names, and many for some. */
	const unsigned client = make_rand(make_rand(3) == 0 ? CLIENTS : 4);
	const unsigned server = make_rand(SERVERS), how = make_rand(10);
	const unsigned qname = make_rand(2) ? 2 : make_rand(MAKE_NAMES);
	const unsigned qtype = make_rand(4) ? 1 : 28, rd = make_rand(2) * 0x100;
	const struct addr c = client_addr(client), s = server_addr(server);
	const uint16_t port = (uint16_t)(1024 + i % 60000);
	struct event e = {.client = client, .server = server, .q_us = t_us};

	e.r_us = t_us + make_rand(make_rand(2) ? 4 : 3000000); /* equal times, too */
	if (how != 0) {
		make_begin(&m, i & 0xffff, rd, qname, qtype);
		if (make_rand(30) == 0) {
			m.w.n = 12;
			wire_put16(&m.w, 4, 0);
		}
		assert_true(plain_read(m.w.b, m.w.n, &q));
		e.q = &q;
		txn_rig_message(rig, m.w.b, m.w.n, &c, &s, port, false, t_us);
	}
	if (how != 1) {
		make_response(&m, i & 0xffff, rd | make_rand(2) * 0x80 | make_rand(2) * 0x400,
			      qname, qtype);
		if (how != 0 && q.qd == 0) { /* else it would not match */
			m.w.n = 12;
			memset(m.w.b + 4, 0, 8);
		}
		assert_true(plain_read(m.w.b, m.w.n, &r));
		e.r = &r, e.msg = m.w.b, e.len = m.w.n;
		txn_rig_message(rig, m.w.b, m.w.n, &c, &s, port, true, e.r_us);
	}
	ref_event(&e, rig->interval_s, all, ref);
}

static void traffic(struct txn_rig *rig, uint64_t seed, unsigned events, bool all,
		    struct wrongs *ref)
{
	uint64_t t_us = T0 + 50000000;

	make_state = seed;
	for (unsigned i = 0; i < events; i++) {
		t_us += make_rand(i / 300 % 2 != 0 ? 3 : 100000); /* equal times, full batches */
		add_event(rig, i, t_us, all, ref);
	}
	txn_rig_end(rig);
}

static void read_all(const struct txn_rig *rig, struct lines *out)
{
	struct reading r = {.rig = rig, .out = out};
	const uint64_t first = T0 / 1000000 / rig->interval_s;

	for (r.row = first; r.row < first + 2000; r.row++) {
		struct stat_parts p = parts_take(STAT_ERRORS, rig->errors, r.row);
		errors_each(&p, take_row, &r);
		parts_fini(STAT_ERRORS, &p);
	}
}

static void test_reference(void **state)
{
	static const struct {
		uint32_t workers, interval_s;
		size_t entries;
		enum errors_channels channels;
	} runs[] = {{1, 60, 64, ERRORS_ALL},    {1, 60, 65536, ERRORS_AUTO},
		    {4, 60, 64, ERRORS_AUTO},   {4, 60, 1024, ERRORS_ALL},
		    {4, 60, 65536, ERRORS_ALL}, {4, 1, 256, ERRORS_ALL},
		    {1, 86400, 64, ERRORS_ALL}, {4, 3600, 4096, ERRORS_AUTO}};
	static struct txn_rig rig;

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		struct lines came = {0}, should = {0};
		struct wrongs ref = {0};
		txn_rig_init(&rig, runs[i].workers, runs[i].entries, runs[i].interval_s,
			     runs[i].channels);
		traffic(&rig, 3 + (i & 1), 4000, runs[i].channels == ERRORS_ALL, &ref);
		read_all(&rig, &came);
		wrong_merge(&ref, &should);
		assert_true(should.n > 300);
		assert_int_equal(lines_differ(&came, &should), 0);
		lines_fini(&came);
		lines_fini(&should);
		txn_rig_fini(&rig);
	}
}

/* Of transactions at one time that with the smaller names stands, whoever came first. */
static void test_equal_times(void **state)
{
	static const char *const spelled[] = {"WWW.example.com", "wWw.example.com"};
	static struct txn_rig rig;

	(void)state;
	for (unsigned run = 0; run < 8; run++) {
		struct lines came = {0};
		txn_rig_init(&rig, run & 1 ? 4 : 1, 64, 60, ERRORS_ALL);
		for (unsigned i = 0; i < 6; i++) {
			const struct addr c = client_addr(i), s = server_addr(0);
			struct wire w;
			wire_init(&w, false);
			wire_header(&w, i, 0x8403, 1, 0, 0, 0);
			wire_question(&w, spelled[run & 2 ? i != 3 : i == 3], 1);
			txn_rig_message(&rig, w.b, w.n, &c, &s, 5000, true,
					T0 + 7 + (run & 4 ? 5 - i / 3 : 0));
		}
		txn_rig_end(&rig);
		read_all(&rig, &came);
		assert_int_equal(came.n, 1);
		/* "WWW" is smaller; with run & 4 the last three are the earliest. */
		assert_non_null(strstr(came.line[0], "| 575757."));
		assert_non_null(strstr(came.line[0], "n=6 clients=6"));
		lines_fini(&came);
		txn_rig_fini(&rig);
	}
}

static void totals(const struct stat_parts *p, uint64_t *count, uint64_t *left_out)
{
	const struct errors_totals t = errors_totals_get(p);

	*count = *left_out = 0;
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		for (unsigned set = 0; set < ERRORS_SETS; set++) {
			*count += t.of[v][set].count;
			*left_out += t.of[v][set].left_out;
		}
	}
}

/* Above the budget the same keys stay, whatever the split. */
static void test_budget(void **state)
{
	static struct txn_rig rig;
	struct lines kept[3] = {{0}};
	uint64_t total[3], left_out[3];
	const uint64_t row = T0 / 1000000 / 86400;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct wrongs ref = {0};
		struct lines all = {0};
		txn_rig_init(&rig, i == 1 ? 4 : 1, i == 2 ? 65536 : 64, 86400, ERRORS_ALL);
		errors_set_budget(rig.errors, i == 2 ? 100000 : 128, i == 2 ? 5000 : 1 << 20);
		traffic(&rig, 5, 4000, true, &ref);
		wrong_merge(&ref, &all);
		struct stat_parts p = parts_take(STAT_ERRORS, rig.errors, row);
		struct reading r = {.rig = &rig, .out = &kept[i], .row = row};
		errors_each(&p, take_row, &r);
		totals(&p, &total[i], &left_out[i]);
		parts_fini(STAT_ERRORS, &p);
		assert_true(kept[i].n > 20 && kept[i].n <= 128 && left_out[i] > 0);
		qsort(all.line, all.n, sizeof(*all.line), lines_compare);
		for (size_t k = 0; k < kept[i].n; k++) /* what stays is whole */
			assert_non_null(bsearch(&kept[i].line[k], all.line, all.n,
						sizeof(*all.line), lines_compare));
		lines_fini(&all);
		txn_rig_fini(&rig);
	}
	assert_int_equal(lines_differ(&kept[0], &kept[1]), 0);
	assert_true(total[0] == total[1] && total[1] == total[2]);
	assert_true(left_out[0] == left_out[1]);
	for (unsigned i = 0; i < 3; i++)
		lines_fini(&kept[i]);
}

/* What a small distinct count is does not depend on the split, and is right. */
static void test_handful(void **state)
{
	double worst = 0, sum = 0;
	unsigned runs = 0;

	(void)state;
	make_state = 1;
	for (uint32_t n = 0; n <= 40000; n = n < 20 ? n + 1 : n * 3 / 2, runs++) {
		struct handful all = {0}, part[3] = {{0}}, merged = {0};
		for (uint32_t i = 0; i < n; i++) {
			const uint32_t hash = (uint32_t)hash_mix(i + (uint64_t)n * 1000003);
			for (unsigned twice = 0; twice < 2; twice++) {
				handful_add(&all, hash);
				handful_add(&part[make_rand(3)], hash);
			}
		}
		for (unsigned i = 0; i < 3; i++)
			handful_merge(&merged, part[i].n, part[i].u.regs);
		assert_int_equal(all.n, merged.n);
		assert_int_equal(handful_count(&all), handful_count(&merged));
		if (n <= FT_ERROR_EXACT) {
			assert_int_equal(handful_count(&all), n);
			continue;
		}
		assert_memory_equal(&all.u, &merged.u, sizeof(all.u));
		const double error = (double)handful_count(&all) / n - 1;
		sum += error * error;
		worst = error * error > worst ? error * error : worst;
	}
	/* 1.04 / sqrt(64) = 0.13 */
	assert_true(worst < 0.45 * 0.45 && sum / runs < 0.17 * 0.17);
}

static const uint8_t published[] = "\5gdsrr\3com";

static struct ft_error_text sample_text(void)
{
	return (struct ft_error_text){.what = FT_VANTAGE_R2A | FT_ERROR_SOA | FT_ERROR_SOA_TAIL |
					      FT_ERROR_NXDOMAIN,
				      .key = 77,
				      .time_us = -3,
				      .client = 5,
				      .rcode = 3,
				      .qtype = 15,
				      .qclass = 1,
				      .server = (const uint8_t *)"\xc0\x21\x0e\x1e",
				      .qname = published,
				      .qname_len = sizeof(published),
				      .soa = published + 6,
				      .soa_len = sizeof(published) - 6};
}

/* Entries and texts that end anywhere are refused; whole ones come back. */
static void test_entries(void **state)
{
	static const uint8_t octets[FT_ERROR_REGS_BYTES] = "hashes or registers";
	uint8_t out[FT_ERROR_TEXT_CAP];

	(void)state;
	for (unsigned i = 0; i <= FT_ERROR_EXACT + 2; i++) {
		const bool text = i == FT_ERROR_EXACT + 2;
		const struct ft_error x = {
		    .key = 9, .count = 1 + i * 1000, .clients = (uint8_t)i, .octets = octets};
		const struct ft_error_text t = sample_text();
		const size_t n = text ? ft_error_text_write(&t, out) : ft_error_write(&x, out);
		for (size_t len = 0; len <= n; len++) {
			uint8_t *copy = guard_copy(out, len);
			struct ft_reader r = ft_reader_init(copy, len), body = {0};
			struct ft_error_text u;
			struct ft_error y;
			const bool whole =
			    ft_entry_next(&r, &body) &&
			    (text ? ft_error_text_read(&body, &u) : ft_error_read(&body, &y));
			assert_int_equal(whole, len == n);
			if (whole && !text)
				assert_true(y.key == 9 && y.count == x.count && y.clients == i);
			if (whole && text) {
				assert_true(u.time_us == -3 && u.client == 5 && u.qtype == 15);
				assert_int_equal(u.soa_len, 5);
				assert_memory_equal(u.soa, "\3com", 5);
			}
			guard_free(copy, len);
		}
	}
}

/* The records, against the two examples that are published (DOMAIN.md section 5). */

static json_t *written[8];
static size_t written_n;

static void keep_written(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)start_s;
	assert_string_equal(json_string_value(json_object_get(record, "set")), set);
	assert_true(written_n < 8);
	written[written_n++] = record;
}

static void check_text(const json_t *o, const char *key, const char *text)
{
	const json_t *value = json_object_get(o, key);

	assert_non_null(value);
	if (text == NULL)
		assert_true(json_is_null(value));
	else
		assert_string_equal(json_string_value(value), text);
}

static void send(struct txn_rig *rig, unsigned flags, const char *qname, unsigned qtype,
		 unsigned server, uint32_t soa_off)
{
	const struct addr c = client_addr(1);
	const uint8_t v4[4] = {62, 58, 50, (uint8_t)server};
	const struct addr s = addr_from_v4(v4);
	struct wire w;

	wire_init(&w, false);
	wire_header(&w, 1, flags, 1, 0, soa_off != 0, 0);
	wire_question(&w, qname, qtype);
	if (soa_off != 0) {
		wire_pointer(&w, 12 + soa_off);
		wire_rr(&w, 6, 22);
		wire_fill(&w, 0, 22);
	}
	txn_rig_message(rig, w.b, w.n, &c, &s, 4444, (flags & 0x8000) != 0, T0 + 5);
}

static void test_records(void **state)
{
	static struct txn_rig rig;
	struct stat_interval in = {.row = T0 / 60000000, .start_s = T0 / 1000000};

	(void)state;
	txn_rig_init(&rig, 1, 64, 60, ERRORS_AUTO);
	rig.run.write = keep_written;
	in.end_s = in.start_s + 60;
	send(&rig, 0x8403, "gdsrr.com", 15, 220, 6);
	send(&rig, 0x8403, "netATLANTic.COM.MuLTI.SuRBl.ORg", 1, 220, 16);
	send(&rig, 0x8005, "a.example", 1, 7, 0);
	send(&rig, 0, "silent.example", 28, 9, 0);
	txn_rig_end(&rig);
	struct stat_parts p = parts_take(STAT_ERRORS, rig.errors, in.row);
	in.errors = &p;
	void *channels = stat_channels.create(&rig.run);
	assert_non_null(channels);
	stat_channels.close(channels, &in);
	stat_channels.destroy(channels);
	parts_fini(STAT_ERRORS, &p);
	assert_int_equal(written_n, 4);
	unsigned seen = 0;
	for (size_t i = 0; i < written_n; i++) {
		json_t *o = written[i];
		const char *qname = json_string_value(json_object_get(o, "qname"));
		const bool nx =
		    strcmp(json_string_value(json_object_get(o, "set")), "nxdomain") == 0;
		check_text(o, "qclass", "IN");
		assert_int_equal(json_integer_value(json_object_get(o, "count")), 1);
		assert_int_equal(json_integer_value(json_object_get(o, "clients")), 1);
		assert_int_equal(json_object_size(o), 8 + 10 + (nx ? 0 : 2));
		if (strcmp(qname, "gdsrr.com.") == 0) {
			seen |= 1;
			assert_true(nx);
			check_text(o, "qtype", "MX");
			check_text(o, "response_ip", "62.58.50.220");
			check_text(o, "soa_rrname_raw", "com.");
			check_text(o, "nx_cut", "gdsrr.com.");
			assert_true(json_integer_value(json_object_get(o, "response_us")) ==
				    (json_int_t)(T0 + 5));
		} else if (strcmp(qname, "netatlantic.com.multi.surbl.org.") == 0) {
			seen |= 2;
			check_text(o, "qname_raw", "netATLANTic.COM.MuLTI.SuRBl.ORg.");
			check_text(o, "soa_rrname_raw", "MuLTI.SuRBl.ORg.");
			check_text(o, "nx_cut", "com.multi.surbl.org.");
			check_text(o, "vantage", "R2A");
		} else if (strcmp(qname, "a.example.") == 0) {
			seen |= 4;
			check_text(o, "rcode", "REFUSED");
			check_text(o, "class", "REFUSED");
			check_text(o, "soa_rrname_raw", NULL);
			check_text(o, "nx_cut", NULL);
			check_text(o, "vantage", "X");
		} else {
			seen |= 8;
			check_text(o, "class", "TIMEOUT");
			check_text(o, "rcode", NULL);
			check_text(o, "response_us", NULL);
			check_text(o, "response_ip", "62.58.50.9");
			check_text(o, "qtype", "AAAA");
		}
		json_decref(o);
	}
	assert_int_equal(seen, 15);
	assert_null(merge_errors.take(rig.errors, in.row));
	txn_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_entries), cmocka_unit_test(test_handful),
	    cmocka_unit_test(test_records), cmocka_unit_test(test_equal_times),
	    cmocka_unit_test(test_budget),  cmocka_unit_test(test_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

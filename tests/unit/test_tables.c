/* SPDX-License-Identifier: BSD-3-Clause */
/* Keyed tables, from settled transactions to what control has merged, against plain
 * arrays that forget nothing: small tables and large ones, one worker and four, late
 * transactions, full counters, sampling at levels that change. */
#include "rig.h"

#include "tables.h"

#include "stats/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ROWS 3u
#define FIRST_ROW 170000000u
#define INTERVAL_S 10u
#define INTERVAL_US (INTERVAL_S * 1000000ull)
#define DOMAINS 300u
#define NAMES 64u /* of one domain, at most */
#define CLIENTS 512u
#define SERVERS 12u
#define THINGS 512u
#define LEVELS 4u /* 0 to 3 */
#define TXNS 400000u
#define BATCH 48u
#define RING_BYTES ((size_t)4 << 20)
#define SAMPLE_KEY 0x1122334455667788ull

/* What an unbounded table knows. */
struct plain {
	uint64_t c[FT_TABLE_COUNTERS], rtt_max, first, last, queries;
	uint64_t names; /* bits */
	uint64_t clients[CLIENTS / 64];
	uint64_t level_queries[LEVELS], level_group[LEVELS][FT_GROUPS];
	bool used;
};
static struct plain (*plain)[FT_VANTAGE_CAP][FT_TABLE_CAP][THINGS]; /* [ROWS] */

static const _Atomic int never;
static _Atomic uint32_t level;

struct one_worker {
	struct evclock clock;
	struct seal *seal;
	struct tally *tally;
	struct tables *tables;
	struct txn txn[BATCH];
	struct verdict verdict[BATCH];
	uint8_t name[BATCH][132];
	struct addr client[BATCH], server[BATCH];
	uint32_t n;
};

struct run {
	unsigned workers;
	size_t entries;
	uint32_t budget;
	bool sampled;
	/* found */
	unsigned intervals;
	uint64_t keys[FT_TABLE_CAP], left_keys[FT_TABLE_CAP];
	uint64_t digest; /* of all that was merged */
	uint64_t full, evicted, sampled_out;
	uint64_t max_class, max_bytes; /* of a domain */
};

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t random_next(uint64_t *s)
{
	*s += 0x9e3779b97f4a7c15ull;
	return mix(*s);
}

/* Small numbers often, 0 in half of all cases. */
static uint32_t skewed(uint64_t *s, uint32_t cap)
{
	const uint64_t r = random_next(s);

	return r & 1 ? 0 : (uint32_t)(random_next(s) % (1 + (r >> 8) % cap));
}

static uint64_t domain_key(uint32_t d)
{
	return mix(d + 1000000);
}

static uint64_t name_hash_of(uint32_t d, uint32_t name)
{
	return mix(2000000 + d * NAMES + name);
}

static uint64_t client_hash_of(uint32_t c)
{
	return mix(3000000 + c);
}

static struct addr addr_of(uint32_t n, uint8_t kind)
{
	const uint8_t v4[4] = {10, kind, (uint8_t)(n >> 8), (uint8_t)n};
	const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, kind, [14] = (uint8_t)(n >> 8), (uint8_t)n};

	return n % 3 == 1 ? addr_from_v6(v6) : addr_from_v4(v4);
}

/* Every seventh is too long to stand in an entry. */
static uint8_t domain_text(uint32_t d, uint8_t out[128])
{
	const uint32_t labels = d % 7 == 6 ? 18 : 2;

	memset(out, 0, 128);
	for (uint32_t l = 0; l < labels; l++) {
		memcpy(out + l * 6, "\5d0000", 6);
		for (uint32_t i = 0, rest = d; i < 4; i++, rest /= 10)
			out[l * 6 + 5 - i] = (uint8_t)('0' + rest % 10);
	}
	return (uint8_t)(labels * 6 + 1);
}

static void domain_id(uint32_t d, uint8_t id[16])
{
	uint8_t text[128];
	const XXH128_hash_t h = XXH3_128bits_withSeed(text, domain_text(d, text), SAMPLE_KEY);

	memcpy(id, &h, 16);
}

static void plain_add(struct plain *p, const struct txn *x, uint64_t second, bool query,
		      unsigned lv, unsigned group)
{
	if (!p->used || second < p->first)
		p->first = second;
	if (second > p->last)
		p->last = second;
	p->used = true;
	if (!query)
		return;
	p->queries++;
	p->level_queries[lv]++;
	p->level_group[lv][group]++;
	(void)x;
}

static void plain_server(struct plain *p, const struct txn *x, unsigned class)
{
	if (!x->has_query) {
		p->c[FT_SERVER_UNSOLICITED]++;
		p->c[FT_SERVER_LATE] += x->late;
		return;
	}
	p->c[FT_SERVER_CLASS + class]++;
	p->c[FT_SERVER_DUP] += x->q.dup;
	if (!x->has_response)
		return;
	p->c[FT_SERVER_TC] += x->tc;
	p->c[FT_SERVER_RTT_SUM] += x->rtt_us;
	if (x->rtt_us > p->rtt_max)
		p->rtt_max = x->rtt_us;
}

/* What the transaction means to tables without bounds. */
static void plain_count(const struct txn *x, uint32_t d, uint32_t name, uint32_t c, uint32_t s)
{
	const uint64_t t = x->has_query ? x->q.t_us : x->settled_us;
	const unsigned row = (unsigned)(t / INTERVAL_US - FIRST_ROW);
	const uint64_t second = t / 1000000 % INTERVAL_S;
	const unsigned class = x->has_response ? x->class : FT_CLASS_TIMEOUT;
	const unsigned v = x->has_query ? x->q.vantage : x->vantage;
	const uint64_t hash = flow_hash(x->client, x->server, SAMPLE_KEY);
	unsigned lv = atomic_load(&level);

	if (x->verdict != NULL && (x->verdict->tags || x->verdict->watched))
		lv = 0;
	if (lv != 0 && hash >> (64 - lv) != 0)
		return;
	struct plain *ps = &plain[row][v][FT_TABLE_SERVERS][s];
	plain_add(ps, x, second, x->has_query, lv, hash & 15);
	plain_server(ps, x, class);
	if (x->has_query)
		ps->clients[c / 64] |= 1ull << c % 64;
	if (!x->has_query)
		return;
	struct plain *pc = &plain[row][v][FT_TABLE_CLIENTS][c];
	plain_add(pc, x, second, true, lv, hash & 15);
	pc->c[FT_CLIENT_NXDOMAIN] += class == FT_CLASS_NXDOMAIN;
	pc->c[FT_CLIENT_UNANSWERED] += class == FT_CLASS_TIMEOUT;
	pc->c[FT_CLIENT_QGROUP + (x->q.has_name ? ft_qgroup_of(x->q.qtype) : FT_QGROUP_OTHER)]++;
	if (x->verdict == NULL)
		return;
	struct plain *pd = &plain[row][v][FT_TABLE_DOMAINS][d];
	plain_add(pd, x, second, true, lv, hash & 15);
	pd->c[FT_DOMAIN_CLASS + class]++;
	pd->c[FT_DOMAIN_QUERY_BYTES] += x->q.bytes;
	pd->c[FT_DOMAIN_RESPONSE_BYTES] += x->has_response ? x->bytes : 0;
	pd->names |= 1ull << name;
	pd->clients[c / 64] |= 1ull << c % 64;
}

static void fill_query(struct txn *x, uint64_t t, uint64_t *s)
{
	static const uint16_t qtypes[] = {1, 28, 1, 28, 15, 16, 2, 6, 33, 65, 43, 48, 255, 999, 12};

	x->has_query = true;
	x->q.t_us = t;
	x->q.bytes = (uint16_t)(20 + random_next(s) % 200);
	x->q.qtype = qtypes[random_next(s) % 15];
	x->q.vantage = random_next(s) % 8 == 0 ? FT_VANTAGE_S2R : FT_VANTAGE_AUTH;
	x->q.dup = random_next(s) % 16 == 0;
}

static void fill_response(struct txn *x, uint64_t *s)
{
	x->has_response = true;
	x->class = (uint8_t)skewed(s, FT_CLASS_TIMEOUT);
	x->bytes = (uint16_t)random_next(s);
	x->vantage = FT_VANTAGE_R2A;
	x->rtt_us = random_next(s) % 5000000 >> random_next(s) % 20;
	x->rtt_bin = dd_bin(x->rtt_us);
	x->tc = random_next(s) % 8 == 0;
	x->late = random_next(s) % 2 == 0;
}

/* One transaction at about `now`: in the worker's batch, and in the plain arrays. */
static void make_txn(struct one_worker *w, uint64_t now, uint64_t *s)
{
	const uint32_t i = w->n++;
	const uint32_t d = skewed(s, DOMAINS), c = skewed(s, CLIENTS), sv = skewed(s, SERVERS);
	const uint32_t name = (uint32_t)(random_next(s) % (d == 0 ? NAMES : 1 + d % 12));
	const unsigned what = (unsigned)(random_next(s) % 100);
	const uint64_t late = random_next(s) % 4 == 0 ? random_next(s) % 5500000 : 0;
	struct txn *x = &w->txn[i];
	struct verdict *v = &w->verdict[i];

	memset(x, 0, sizeof(*x));
	memset(v, 0, sizeof(*v));
	w->client[i] = addr_of(c, 1);
	w->server[i] = addr_of(sv, 2);
	x->client = &w->client[i];
	x->server = &w->server[i];
	x->settled_us = x->response_us = now;
	if (what >= 3)
		fill_query(x, now - late > FIRST_ROW * INTERVAL_US ? now - late : now, s);
	if (what < 3 || what >= 10)
		fill_response(x, s);
	if (d == 0)
		x->q.bytes = 60000;
	x->q.client_sketch = client_hash_of(c);
	if (what < 98) {
		memcpy(w->name[i], "\3www", 4);
		x->name_len = (uint8_t)(4 + domain_text(d, w->name[i] + 4));
		x->name = w->name[i];
		x->verdict = v;
		x->q.has_name = x->has_query;
		x->q.name_sketch = name_hash_of(d, name);
		v->domain_key = domain_key(d);
		v->domain_off = 4;
		v->tags = d % 10 == 3;
		v->watched = d % 50 == 7;
	}
	plain_count(x, d, name, c, sv);
}

static void step(struct one_worker *w)
{
	tables_step(w->tables, w->txn, w->n);
	tally_step(w->tally, w->txn, w->n);
	w->n = 0;
}

static void create(struct one_worker *w, struct rig *r, unsigned i, const struct run *run)
{
	const struct tables_settings set = {
	    .hash_key = 77,
	    .entries = {run->entries, run->entries, run->entries},
	    .sample = {.key = SAMPLE_KEY, .level = run->sampled ? &level : NULL},
	};

	memset(w, 0, sizeof(*w));
	w->clock = (struct evclock){.interval_us = INTERVAL_US};
	w->seal = seal_create(segment_ring(&r->segment, i), i, false, &never);
	w->tally = tally_create(&w->clock, w->seal);
	w->tables = tables_create(w->tally, &set);
	assert_non_null(w->tables);
}

static void destroy(struct one_worker *w, struct run *run)
{
	run->full += tables_stats_get(w->tables)->full;
	run->sampled_out += tables_stats_get(w->tables)->sampled_out;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++)
		run->evicted += tables_keyed_stats(w->tables, (enum ft_table)k)->evicted;
	tables_destroy(w->tables);
	tally_destroy(w->tally);
	seal_destroy(w->seal);
}

/* Which of ours an id is. */
static uint32_t thing_of(enum ft_table table, const uint8_t *id)
{
	const uint32_t cap[] = {DOMAINS, CLIENTS, SERVERS};

	for (uint32_t n = 0; n < cap[table]; n++) {
		uint8_t want[16] = {0};
		if (table == FT_TABLE_DOMAINS) {
			domain_id(n, want);
		} else {
			const struct addr a = addr_of(n, table == FT_TABLE_CLIENTS ? 1 : 2);
			memcpy(want, &a, sizeof(a));
		}
		if (memcmp(want, id, sizeof(want)) == 0)
			return n;
	}
	fail_msg("nobody has this id");
	return 0;
}

/* The sketch of a set, bit by bit. */
static void check_mini(const struct ft_mini *m, const uint64_t *hashes, unsigned n)
{
	uint8_t regs[FT_MINI_REGS / 2] = {0};

	if (n <= FT_MINI_HASHES) {
		assert_int_equal(m->n, n);
		for (unsigned i = 0; i < n; i++) {
			unsigned found = 0;
			for (unsigned k = 0; k < n; k++)
				found += m->u.hash[k] == hashes[i] >> 40;
			assert_int_equal(found, 1);
		}
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		const unsigned reg = (unsigned)(hashes[i] >> 58);
		unsigned rank = 1;
		while (rank < 15 && (hashes[i] >> (58 - rank) & 1) == 0)
			rank++;
		const unsigned shift = reg % 2 * 4;
		if (rank > ((unsigned)regs[reg / 2] >> shift & 15u))
			regs[reg / 2] =
			    (uint8_t)((regs[reg / 2] & ~(15u << shift)) | rank << shift);
	}
	assert_int_equal(m->n, 0x86);
	assert_memory_equal(m->u.regs, regs, sizeof(regs));
}

static void check_clients(const struct table_sum *s, const struct plain *p)
{
	uint64_t hash[CLIENTS];
	unsigned n = 0;

	for (uint32_t i = 0; i < CLIENTS; i++)
		if (p->clients[i / 64] >> i % 64 & 1)
			hash[n++] = client_hash_of(i);
	check_mini(s->clients, hash, n);
}

static void check_domain(const struct table_sum *s, const struct plain *p, uint32_t d)
{
	uint64_t hash[CLIENTS];
	uint8_t text[128];
	unsigned n = 0;

	assert_int_equal(s->text_bytes, domain_text(d, text));
	assert_memory_equal(s->text, text, s->text_bytes);
	for (uint32_t i = 0; i < NAMES; i++)
		if (p->names >> i & 1)
			hash[n++] = name_hash_of(d, i);
	check_mini(s->names, hash, n);
	check_clients(s, p);
}

/* The estimate by another way: pairs of queries' groups, in whole numbers of 2^-2l. */
static void check_estimate(const struct table_sum *s, const struct plain *p)
{
	const struct estimate e = tables_queries(s);
	double value = (double)p->level_queries[0], var = 0;

	for (unsigned a = 1; a < LEVELS; a++) {
		value += (double)(p->level_queries[a] << a);
		for (unsigned b = 1; b < LEVELS; b++) {
			double same = 0;
			for (unsigned g = 0; g < FT_GROUPS; g++)
				same += (double)(p->level_group[a][g] * p->level_group[b][g]);
			same -= (double)(p->level_queries[a] * p->level_queries[b]) / 16;
			const double p_max = 1.0 / (double)(1u << (a < b ? a : b));
			var += same * 16 / 15 * (1 - p_max) * (double)(1u << (a + b));
		}
	}
	assert_true(fabs(e.value - value) < 1e-6 * (1 + value));
	assert_true(fabs(e.se * e.se - var) < 1e-6 * (1 + var));
	if (s->level == 0)
		assert_true(e.value == (double)p->queries && e.se == 0);
}

struct walk {
	const struct stat_parts *parts;
	struct run *run;
	unsigned row;
	enum ft_table table;
	uint64_t seen, sum[FT_TABLE_COUNTERS];
	uint64_t max_hash; /* of those that stayed */
	uint8_t last[17];
};

static void check_one(void *ctx, const struct table_sum *s)
{
	struct walk *w = ctx;
	const uint32_t thing = thing_of(w->table, s->id);
	const struct plain *p = &plain[w->row][s->vantage][w->table][thing];
	uint8_t key[17] = {s->vantage};
	struct table_sum again;

	memcpy(key + 1, s->id, 16);
	assert_true(w->seen == 0 || memcmp(w->last, key, 17) < 0);
	memcpy(w->last, key, 17);
	assert_true(p->used);
	for (unsigned i = 0; i < ft_table_counters(w->table); i++) {
		assert_int_equal(s->c[i], p->c[i]);
		w->sum[i] += s->c[i];
		w->run->digest = mix(w->run->digest ^ s->c[i]);
	}
	assert_int_equal(s->first_s, p->first);
	assert_int_equal(s->last_s, p->last);
	assert_int_equal(s->rtt_max_us, p->rtt_max);
	assert_int_equal(ft_table_queries(w->table, s->c), p->queries);
	if (w->table == FT_TABLE_DOMAINS) {
		check_domain(s, p, thing);
		const uint64_t data = s->c[FT_DOMAIN_CLASS], bytes = s->c[FT_DOMAIN_QUERY_BYTES];
		w->run->max_class = data > w->run->max_class ? data : w->run->max_class;
		w->run->max_bytes = bytes > w->run->max_bytes ? bytes : w->run->max_bytes;
	}
	if (w->table == FT_TABLE_SERVERS)
		check_clients(s, p);
	check_estimate(s, p);
	assert_true(tables_get(w->parts, w->table, s->vantage, s->id, &again));
	assert_ptr_equal(again.c, s->c);
	const uint64_t hash = XXH3_64bits_withSeed(key, sizeof(key), SAMPLE_KEY);
	w->max_hash = hash > w->max_hash ? hash : w->max_hash;
	w->run->digest = mix(w->run->digest ^ thing ^ (uint64_t)s->vantage << 32);
	w->seen++;
}

/* Whoever did not stay has a greater hash, and is in the totals. */
static void check_left(const struct walk *w, const struct stat_parts *m)
{
	const struct table_left left = tables_left(m, w->table);
	uint64_t want[FT_TABLE_COUNTERS] = {0}, keys = 0, over = 0;
	double estimated = 0;

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		for (uint32_t n = 0; n < THINGS; n++) {
			const struct plain *p = &plain[w->row][v][w->table][n];
			uint8_t id[17] = {(uint8_t)v};
			struct table_sum s;
			if (!p->used)
				continue;
			keys++;
			for (unsigned i = 0; i < FT_TABLE_COUNTERS; i++)
				want[i] += p->c[i];
			const struct addr a = addr_of(n, w->table == FT_TABLE_CLIENTS ? 1 : 2);
			if (w->table == FT_TABLE_DOMAINS)
				domain_id(n, id + 1);
			else
				memcpy(id + 1, &a, sizeof(a));
			if (tables_get(m, w->table, (uint8_t)v, id + 1, &s))
				continue;
			over++;
			assert_true(XXH3_64bits_withSeed(id, 17, SAMPLE_KEY) > w->max_hash);
			for (unsigned l = 0; l < LEVELS; l++)
				estimated += (double)(p->level_queries[l] << l);
		}
	}
	assert_int_equal(w->seen + over, keys);
	if (w->run->budget != 0)
		assert_int_equal(w->seen, keys < w->run->budget ? keys : w->run->budget);
	for (unsigned i = 0; i < ft_table_counters(w->table); i++)
		assert_int_equal(w->sum[i] + left.c[i], want[i]);
	assert_true(fabs(left.estimated_queries - estimated) < 1e-3);
	assert_int_equal(left.entries != 0, over != 0);
	w->run->keys[w->table] += w->seen;
	w->run->left_keys[w->table] += over;
}

static void check_interval(void *ctx, const struct stat_interval *in)
{
	struct run *run = ctx;

	assert_non_null(in->tables);
	assert_in_range(in->row, FIRST_ROW, FIRST_ROW + ROWS - 1);
	run->intervals++;
	for (unsigned k = 0; k < FT_TABLE_CAP; k++) {
		struct walk w = {.parts = in->tables,
				 .run = run,
				 .row = (unsigned)(in->row - FIRST_ROW),
				 .table = (enum ft_table)k};
		assert_int_equal(tables_walk(in->tables, w.table, check_one, &w), 0);
		check_left(&w, in->tables);
	}
}

static void finish(struct one_worker *w, struct rig *r, unsigned i)
{
	step(w);
	while (tally_close(w->tally, true) != CLOSE_DONE)
		;
	atomic_store(&segment_worker(&r->segment, i)->closed_us, UINT64_MAX);
	atomic_store(&segment_worker(&r->segment, i)->ended, 1);
}

/* Time goes on by itself; most of it happens in the second interval. */
static uint64_t time_of(uint64_t i)
{
	const uint64_t first = TXNS / 10, last = TXNS * 9ull / 10;

	if (i < first)
		return FIRST_ROW * INTERVAL_US + i * INTERVAL_US / first;
	if (i < last)
		return (FIRST_ROW + 1) * INTERVAL_US + (i - first) * INTERVAL_US / (last - first);
	return (FIRST_ROW + 2) * INTERVAL_US + (i - last) * INTERVAL_US / (TXNS - last);
}

static void run_all(struct run *run)
{
	static struct one_worker worker[RIG_WORKERS];
	struct rig r;
	uint64_t s = 5, pick = 6;

	plain = calloc(ROWS, sizeof(*plain));
	assert_non_null(plain);
	rig_init(&r, run->workers, INTERVAL_S, RING_BYTES, false);
	r.run.table_keys = run->budget;
	r.run.sample_key = SAMPLE_KEY;
	r.closed = check_interval;
	r.closed_ctx = run;
	for (unsigned i = 0; i < run->workers; i++)
		create(&worker[i], &r, i, run);
	for (uint64_t i = 0; i < TXNS; i++) {
		struct one_worker *w = &worker[random_next(&pick) % run->workers];
		const uint64_t now = time_of(i);
		w->clock.now_us = now;
		make_txn(w, now, &s);
		if (w->n < BATCH && i % 1000 != 0)
			continue;
		step(w);
		(void)tally_close(w->tally, false);
		if (i % 1000 != 0)
			continue;
		/* A level holds for all of a batch. */
		for (unsigned k = 0; k < run->workers; k++)
			step(&worker[k]);
		atomic_store(&level, run->sampled ? i / 1000 % LEVELS : 0);
		(void)drain_step(r.drain);
	}
	for (unsigned i = 0; i < run->workers; i++)
		finish(&worker[i], &r, i);
	assert_false(drain_step(r.drain));
	assert_int_equal(drain_bad_blocks(r.drain), 0);
	assert_int_equal(run->intervals, ROWS);
	const struct ledger_sums *sums = rig_sums(&r);
	assert_int_equal(sums->sum.c[FT_CTR_RING_FULL_RECORDS], 0);
	assert_int_equal(sums->sum.c[FT_CTR_RECORDS], sums->merged);
	for (unsigned i = 0; i < run->workers; i++)
		destroy(&worker[i], run);
	rig_fini(&r);
	free(plain);
	atomic_store(&level, 0);
}

static void test_sizes_and_workers(void **state)
{
	uint64_t digest = 0;

	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		for (size_t entries = 64; entries <= 4096; entries *= 8) {
			struct run run = {.workers = workers, .entries = entries};
			run_all(&run);
			/* More than fits the entries' counters of 16 and 32 bits. */
			assert_true(entries < 4096 || run.full > 50);
			assert_true(run.max_class > UINT16_MAX);
			assert_true(run.max_bytes > UINT32_MAX);
			assert_true(entries < 4096 ? run.evicted > 10000 / entries
						   : run.evicted < 1000);
			for (unsigned k = 0; k < FT_TABLE_CAP; k++)
				assert_int_equal(run.left_keys[k], 0);
			assert_true(digest == 0 || digest == run.digest);
			digest = run.digest;
		}
	}
}

static void test_sampled(void **state)
{
	uint64_t digest = 0;

	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		for (size_t entries = 64; entries <= 4096; entries *= 64) {
			struct run run = {.workers = workers, .entries = entries, .sampled = true};
			run_all(&run);
			assert_true(run.sampled_out > TXNS / 4 && run.sampled_out < TXNS * 2 / 3);
			assert_true(digest == 0 || digest == run.digest);
			digest = run.digest;
		}
	}
}

static void test_budget(void **state)
{
	uint64_t digest = 0;

	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		for (unsigned sampled = 0; sampled < 2; sampled++) {
			struct run run = {.workers = workers,
					  .entries = 256,
					  .budget = 50,
					  .sampled = sampled != 0};
			run_all(&run);
			assert_int_equal(run.keys[FT_TABLE_DOMAINS], 50 * ROWS);
			assert_true(run.left_keys[FT_TABLE_DOMAINS] > 500);
			assert_true(run.left_keys[FT_TABLE_CLIENTS] > 500);
			assert_int_equal(run.left_keys[FT_TABLE_SERVERS], 0);
			assert_true(sampled || digest == 0 || digest == run.digest);
			digest = sampled ? digest : run.digest;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes_and_workers),
	    cmocka_unit_test(test_sampled),
	    cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

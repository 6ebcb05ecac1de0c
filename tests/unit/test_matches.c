/* SPDX-License-Identifier: BSD-3-Clause */
/* From transactions to records of the set `match`: against a plain count of the same
 * transactions, with one worker and several, with tables that have room and that have
 * none. The rules are a stand-in: what a name hits stands in its verdict. */
#include "rig.h"

#include "few.h"
#include "guard.h"
#include "matches.h"
#include "name.h"
#include "rules.h"
#include "seal.h"

#include <errno.h>
#include <fluxtap/rec_match.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND 1000000ull
#define INTERVAL_S 60u
#define BEGIN_S 1767225600ull
#define RULES 6u /* 1, 2, 3, 5, 6: plain; 4: a blocklist */
#define DNSBL 4u
#define DOMAINS 40u
#define RING_BYTES ((size_t)32 << 20)

/* --- the stand-in for rules --- */

struct rules {
	int unused;
};
static const struct rules the_rules;
static const struct rule_info infos[RULES] = {
    {"one", "alpha", 3, RULE_EXACT}, {"two", NULL, -1, RULE_SUFFIX},
    {"three", NULL, 0, RULE_REGEX},  {"bl", "list", -1, RULE_DNSBL},
    {"five", NULL, -1, RULE_SHAPE},  {"six", "omega", 9, RULE_SUFFIX},
};

uint32_t rules_number(const struct rules *r, const char *id, size_t len, enum rule_kind kind)
{
	(void)r;
	(void)id;
	(void)len;
	(void)kind;
	return 0;
}

const struct rule_info *rules_info(const struct rules *r, uint32_t number)
{
	assert_ptr_equal(r, &the_rules);
	return number >= 1 && number <= RULES ? &infos[number - 1] : NULL;
}

const char *rules_family(const struct rules *r, unsigned bit)
{
	(void)r;
	(void)bit;
	return NULL;
}

bool rules_have_answers(const struct rules *r)
{
	(void)r;
	return false;
}

const struct watchlist *rules_watch(const struct rules *r)
{
	(void)r;
	return NULL;
}

enum rule_kind ruleset_kind(const struct ruleset *r, uint32_t tag)
{
	(void)r;
	return infos[tag - 1].kind;
}

/* The rules that name number n of domain d hits. */
static uint32_t hits(unsigned d, unsigned n, uint32_t *tags)
{
	uint32_t k = 0;

	for (uint32_t rule = 1; rule <= RULES; rule++)
		if (d == DOMAINS - 1 || (d % 5 == rule - 1 && rule != 4 && n % 3 != 0) ||
		    (rule == 4 && d == 7))
			tags[k++] = rule;
	return k;
}

static void numbers_of(const uint8_t *folded, unsigned *d, unsigned *n)
{
	char text[64];

	memcpy(text, folded + 1, folded[0]);
	text[folded[0]] = 0;
	assert_int_equal(sscanf(text, "n%ud%u", n, d), 2);
}

uint32_t ruleset_tags(const struct ruleset *r, struct ruleset_scratch *s, const uint8_t *folded,
		      uint32_t len, uint32_t *tags, uint32_t cap)
{
	unsigned d, n;

	(void)r;
	(void)s;
	(void)len;
	assert_true(cap >= RULES);
	numbers_of(folded, &d, &n);
	return hits(d, n, tags);
}

/* Its subject is the number of the name modulo 9, its zone the domain. */
bool ruleset_dnsbl(const struct ruleset *r, uint32_t tag, const uint8_t *folded, uint32_t len,
		   struct dnsbl_subject *out)
{
	unsigned d, n;

	(void)r;
	(void)len;
	assert_int_equal(tag, DNSBL);
	numbers_of(folded, &d, &n);
	if (d != 7)
		return false;
	out->form = DNSBL_IPV4;
	out->zone_off = (uint8_t)(folded[0] + 1);
	(void)snprintf(out->text, sizeof(out->text), "192.0.2.%u", n % 9);
	return true;
}

/* --- transactions --- */

struct fact {
	unsigned d, n, client, flow;
	uint64_t t_us;
	uint8_t vantage, class; /* TIMEOUT: no response */
	uint32_t answer;        /* an A record; 0: none */
	uint8_t name[64];
	uint8_t name_len, domain_off;
};

static uint64_t seed_of_test;
static uint32_t draw(uint32_t below)
{
	seed_of_test = seed_of_test * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed_of_test >> 33) % below;
}

static void make_name(struct fact *f)
{
	char label[32], domain[16];
	const int a = snprintf(label, sizeof(label), "n%ud%u", f->n, f->d);
	const int b = snprintf(domain, sizeof(domain), "d%u", f->d);
	uint8_t *p = f->name;

	*p++ = (uint8_t)a;
	memcpy(p, label, (size_t)a);
	p += a;
	f->domain_off = (uint8_t)(p - f->name);
	*p++ = (uint8_t)b;
	memcpy(p, domain, (size_t)b);
	p += b;
	memcpy(p, "\4test", 6);
	f->name_len = (uint8_t)(p + 6 - f->name);
}

static struct fact *make_facts(size_t n)
{
	static const uint32_t answers[] = {0x7f000002, 0x7f000004, 0x7ffffffe, 0x0a000001, 0};
	struct fact *f = calloc(n, sizeof(*f));

	assert_non_null(f);
	seed_of_test = 42;
	for (size_t i = 0; i < n; i++) {
		f[i].d = draw(DOMAINS);
		f[i].n = draw(f[i].d % 2 == 0 ? 20 : 3000); /* exact, and beyond */
		f[i].client = draw(f[i].d % 3 == 0 ? 50 : 2000);
		f[i].flow = draw(1000);
		f[i].t_us = BEGIN_S * SECOND + i * (150 * SECOND) / n + draw(1000);
		f[i].vantage = (uint8_t)draw(2);
		f[i].class = (uint8_t)draw(FT_CLASS_CAP);
		f[i].answer = f[i].class == FT_CLASS_DATA ? answers[draw(5)] : 0;
		make_name(&f[i]);
	}
	return f;
}

static uint64_t client_hash(unsigned client)
{
	return hash_mix(client * 77ull + 5);
}

/* --- what the code under test makes of them --- */

struct part {
	struct evclock clock;
	struct seal *seal;
	struct tally *tally;
	struct matches *matches;
};

static const _Atomic int never;

static void give(struct part *p, const struct fact *f)
{
	static struct msgs msgs;
	static struct msg response;
	uint8_t rdata[4];
	struct addr addr = {{0}};
	struct verdict v = {
	    .name_key = name_hash(f->name, f->name_len, 99),
	    .name_sketch = name_hash(f->name, f->name_len, 1),
	    .domain_key = name_hash(f->name + f->domain_off, f->name_len - f->domain_off, 99),
	    .domain_off = f->domain_off,
	};
	uint32_t tags[RULES];
	struct txn x = {
	    .q = {.t_us = f->t_us,
		  .ts_us = f->t_us,
		  .client_sketch = client_hash(f->client),
		  .name_sketch = v.name_sketch,
		  .has_name = 1,
		  .vantage = f->vantage},
	    .has_query = true,
	    .has_response = f->class != FT_CLASS_TIMEOUT,
	    .class = f->class,
	    .vantage = f->vantage,
	    .name_len = f->name_len,
	    .name = f->name,
	    .client = &addr,
	    .server = &addr,
	    .verdict = &v,
	};

	v.tags = (uint8_t)hits(f->d, f->n, tags);
	memcpy(v.tag, tags, (v.tags < VERDICT_TAGS ? v.tags : VERDICT_TAGS) * sizeof(*tags));
	if (x.has_response) {
		x.response = &response;
		response.data = rdata;
		response.len = sizeof(rdata);
		response.rr_off = 3;
		response.rrs = f->answer != 0;
		for (unsigned i = 0; i < 4; i++)
			rdata[i] = (uint8_t)(f->answer >> (24 - 8 * i));
		msgs.rr[3] = (struct rr){.type = 1, .class = 1, .rdlen = 4, .section = RR_ANSWER};
	}
	(void)tally_ledger(p->tally, f->t_us);
	matches_step(p->matches, x.has_response ? &msgs : NULL, &x, 1);
}

/* Gives the facts to `workers` workers by their flow; the records stay in the rig. */
static void work(struct rig *r, const struct fact *f, size_t n, unsigned workers, size_t entries)
{
	struct part part[RIG_WORKERS] = {0};
	const struct matches_settings set = {.entries = entries, .name_seed = 99, .sketch_seed = 1};

	rig_init(r, workers, INTERVAL_S, RING_BYTES, false);
	r->run.rules = &the_rules;
	for (unsigned i = 0; i < workers; i++) {
		part[i].clock.interval_us = INTERVAL_S * SECOND;
		part[i].seal = seal_create(segment_ring(&r->segment, i), i, false, &never);
		part[i].tally = tally_create(&part[i].clock, part[i].seal);
		part[i].matches = matches_create(part[i].tally, &set);
		assert_non_null(part[i].matches);
		matches_adopt(part[i].matches, (const struct ruleset *)&the_rules, NULL);
	}
	for (size_t i = 0; i < n; i++) {
		struct part *p = &part[f[i].flow % workers];
		p->clock.now_us = f[i].t_us;
		(void)tally_close(p->tally, false);
		give(p, &f[i]);
	}
	for (unsigned i = 0; i < workers; i++) {
		while (tally_close(part[i].tally, true) != CLOSE_DONE)
			;
		struct ft_shm_worker *w = segment_worker(&r->segment, i);
		atomic_store(&w->closed_us, UINT64_MAX);
		atomic_store(&w->ended, 1);
	}
	assert_false(drain_step(r->drain));
	assert_int_equal(drain_bad_blocks(r->drain), 0);
	assert_int_equal(rig_sums(r)->broken, 0);
	for (unsigned i = 0; i < workers; i++) {
		if (entries == 64)
			assert_true(matches_stats_get(part[i].matches)->evicted > 0);
		matches_destroy(part[i].matches);
		tally_destroy(part[i].tally);
		seal_destroy(part[i].seal);
	}
}

/* --- a plain count of the same --- */

static const char *result_of(const struct fact *f)
{
	switch (f->class) {
	case FT_CLASS_NXDOMAIN: return "NOT_LISTED";
	case FT_CLASS_DATA:
		return f->answer == 0            ? "DATA"
		       : f->answer == 0x0a000001 ? "DNSBL_WILDCARD"
		       : f->answer == 0x7ffffffe ? "REFUSED"
						 : "LISTED";
	case FT_CLASS_NODATA:
	case FT_CLASS_CNAME_ONLY: return "NODATA";
	case FT_CLASS_REFERRAL: return "REFERRAL";
	case FT_CLASS_REFUSED: return "REFUSED";
	case FT_CLASS_TC: return "TRUNCATED";
	case FT_CLASS_TIMEOUT: return "TIMEOUT";
	default: return "ERROR";
	}
}

static bool speaks_of(const json_t *o, uint64_t start_s, const struct fact *f)
{
	const char *rule = json_string_value(json_object_get(o, "rule"));
	char text[32];
	uint32_t tags[RULES];
	bool hit = false;

	(void)snprintf(text, sizeof(text), "d%u.test.", f->d);
	if (strcmp(json_string_value(json_object_get(o, "domain")), text) != 0 ||
	    f->t_us / SECOND / INTERVAL_S * INTERVAL_S != start_s ||
	    strcmp(json_string_value(json_object_get(o, "vantage")),
		   ft_vantage_texts[f->vantage]) != 0)
		return false;
	for (uint32_t i = hits(f->d, f->n, tags); i-- > 0;)
		hit |= strcmp(infos[tags[i] - 1].id, rule) == 0;
	if (!hit || strcmp(rule, "bl") != 0)
		return hit;
	(void)snprintf(text, sizeof(text), "192.0.2.%u", f->n % 9);
	return f->d == 7 && strcmp(json_string_value(json_object_get(o, "subject")), text) == 0 &&
	       strcmp(json_string_value(json_object_get(o, "result")), result_of(f)) == 0;
}

static int order_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static size_t unique(uint64_t *v, size_t n)
{
	size_t k = 0;

	qsort(v, n, sizeof(*v), order_u64);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || v[i] != v[i - 1])
			v[k++] = v[i];
	return k;
}

static void near_enough(uint64_t found, size_t truth)
{
	if (truth <= FT_FEW_EXACT)
		assert_int_equal(found, truth);
	else
		assert_true((double)found > 0.87 * (double)truth &&
			    (double)found < 1.13 * (double)truth);
}

static void check_samples(const json_t *o, const uint64_t *hash, size_t n)
{
	const json_t *names = json_object_get(o, "sample_names");
	const size_t want = n < 8 ? n : 8;

	assert_int_equal(json_array_size(names), want);
	for (size_t i = 0; i < want; i++) {
		struct fact f = {0};
		const char *text = json_string_value(json_array_get(names, i));
		char again[64];
		assert_int_equal(sscanf(text, "n%ud%u.", &f.n, &f.d), 2);
		make_name(&f);
		(void)snprintf(again, sizeof(again), "n%ud%u.d%u.test.", f.n, f.d, f.d);
		assert_string_equal(text, again);
		assert_true(name_hash(f.name, f.name_len, 1) == hash[i]);
	}
}

/* Checks one record and returns the queries it should speak of. */
static uint64_t check_record(const json_t *o, uint64_t start_s, const struct fact *f, size_t n)
{
	uint64_t *name = calloc(n, sizeof(*name)), *client = calloc(n, sizeof(*client));
	uint64_t class[FT_CLASS_CAP] = {0}, first = UINT64_MAX, last = 0;
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (!speaks_of(o, start_s, &f[i]))
			continue;
		name[k] = name_hash(f[i].name, f[i].name_len, 1);
		client[k++] = client_hash(f[i].client);
		class[f[i].class]++;
		first = f[i].t_us < first ? f[i].t_us : first;
		last = f[i].t_us > last ? f[i].t_us : last;
	}
	assert_int_equal(rig_number(o, "queries"), k);
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		assert_int_equal(rig_number(json_object_get(o, "by_class"), ft_class_texts[i]),
				 class[i]);
	assert_int_equal(rig_number(o, "first_us"), first);
	assert_int_equal(rig_number(o, "last_us"), last);
	const size_t names = unique(name, k);
	near_enough(rig_number(o, "names"), names);
	near_enough(rig_number(o, "clients"), unique(client, k));
	check_samples(o, name, names);
	free(name);
	free(client);
	return k;
}

static char *dump(const struct rig *r)
{
	char *all = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&all, &bytes);

	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->record[i].set, "match") != 0)
			continue;
		char *line = json_dumps(r->record[i].json, JSON_COMPACT);
		(void)fprintf(out, "%s\n", line);
		free(line);
	}
	assert_int_equal(fclose(out), 0);
	return all;
}

#define FACTS 20000u

static void test_truth(void **state)
{
	struct fact *f = make_facts(FACTS);
	uint64_t found = 0, truth = 0;
	struct rig r;

	(void)state;
	work(&r, f, FACTS, 2, 1024);
	for (size_t i = 0; i < r.n; i++)
		if (strcmp(r.record[i].set, "match") == 0)
			found += check_record(r.record[i].json, r.record[i].start_s, f, FACTS);
	for (size_t i = 0; i < FACTS; i++) {
		uint32_t tags[RULES], n = hits(f[i].d, f[i].n, tags);
		truth += n;
		while (n-- > 0) /* rule 4 of another domain has no form that is known */
			truth -= tags[n] == DNSBL && f[i].d != 7;
	}
	assert_int_equal(found, truth);
	rig_fini(&r);
	free(f);
}

static void test_split(void **state)
{
	static const struct {
		unsigned workers;
		size_t entries;
	} ways[] = {{1, 4096}, {2, 1024}, {4, 1024}, {1, 64}, {3, 64}};
	struct fact *f = make_facts(FACTS);
	char *first = NULL;

	(void)state;
	for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct rig r;
		work(&r, f, FACTS, ways[i].workers, ways[i].entries);
		char *all = dump(&r);
		if (first == NULL)
			first = strdup(all);
		assert_string_equal(all, first);
		free(all);
		rig_fini(&r);
	}
	assert_true(strlen(first) > 10000);
	free(first);
	free(f);
}

static void test_fields(void **state)
{
	struct fact *f = make_facts(FACTS);
	struct rig r;

	(void)state;
	work(&r, f, FACTS, 1, 1024);
	const json_t *one = rig_find(&r, "match", BEGIN_S, "rule", "one");
	assert_string_equal(json_string_value(json_object_get(one, "kind")), "exact");
	assert_string_equal(json_string_value(json_object_get(one, "family")), "alpha");
	assert_int_equal(rig_number(one, "severity"), 3);
	assert_null(json_object_get(one, "zone"));
	const json_t *two = rig_find(&r, "match", BEGIN_S, "rule", "two");
	assert_true(json_is_null(json_object_get(two, "family")));
	assert_true(json_is_null(json_object_get(two, "severity")));
	const json_t *bl = rig_find(&r, "match", BEGIN_S, "result", "LISTED");
	assert_string_equal(json_string_value(json_object_get(bl, "kind")), "dnsbl");
	assert_string_equal(json_string_value(json_object_get(bl, "zone")), "d7.test.");
	assert_string_equal(json_string_value(json_object_get(bl, "form")), "IP4");
	const char *code = json_string_value(json_array_get(json_object_get(bl, "codes"), 0));
	assert_true(strcmp(code, "127.0.0.2") == 0 || strcmp(code, "127.0.0.4") == 0);
	const json_t *over = rig_find(&r, "match", BEGIN_S, "result", "DNSBL_WILDCARD");
	assert_string_equal(json_string_value(json_array_get(json_object_get(over, "codes"), 0)),
			    "10.0.0.1");
	rig_fini(&r);
	free(f);
}

/* --- control's budget, and entries that are none --- */

static int feed(const void *stat, uint64_t row, enum ft_rec_type type, const uint8_t *entry,
		size_t bytes)
{
	const struct ft_rec_hdr h = {.type = (uint16_t)type, .row = row};
	const struct stat_record rec = {.hdr = &h, .body = entry, .bytes = bytes};

	return stat_match.record((void *)(uintptr_t)stat, &rec);
}

static void test_budget(void **state)
{
	const unsigned keys = 40000, budget = 32768;
	struct rig r;
	uint64_t written = 0;

	(void)state;
	rig_init(&r, 1, INTERVAL_S, 65536, false);
	r.run.rules = &the_rules;
	struct stat_run run = r.run;
	void *stat = stat_match.create(&run);
	for (unsigned turn = 0; turn < 2; turn++) { /* every key comes twice, in two orders */
		for (unsigned i = 0; i < keys; i++) {
			const unsigned key = turn == 0 ? i : keys - 1 - i;
			const struct ft_match_counts c = {
			    .by_class = {[FT_CLASS_DATA] = 1}, .first_us = 5, .last_us = 6};
			const struct ft_match_id id = {.rule = 1,
						       .domain_key = hash_mix(key + 1),
						       .order = (key * 7919ull) % keys};
			uint8_t out[FT_MATCH_ENTRY_CAP];
			const uint16_t n = ft_match_write(out, id, FT_MATCH_COUNTS, &c, sizeof(c));
			assert_int_equal(feed(stat, 9, FT_REC_MATCH, out, n), 0);
		}
	}
	struct stat_interval in = {.row = 9, .start_s = 540, .end_s = 600};
	stat_match.close(stat, &in);
	for (size_t i = 0; i + 1 < r.n; i++) {
		assert_int_equal(rig_number(r.record[i].json, "queries"), 2);
		written++;
	}
	assert_int_equal(written, budget);
	const json_t *rest = rig_find(&r, "match", 540, "kind", "ALL");
	assert_int_equal(rig_number(rest, "queries"), 2 * keys);
	assert_int_equal(rig_number(rest, "left_out_queries"), 2 * (keys - budget));
	stat_match.destroy(stat);
	rig_fini(&r);
}

static void test_truncated(void **state)
{
	static const uint8_t text[] = "\3www\7example\3com\0"
				      "192.0.2.1";
	uint8_t body[64], out[2 * FT_MATCH_ENTRY_CAP];
	const struct ft_match_counts c = {.by_class = {1}, .first_us = 1, .last_us = 2};
	const struct ft_match_id id = {.rule = 1, .subject_key = 1};
	const struct ft_match_text t = {
	    .name_sketch = 5, .name_len = 17, .domain_off = 4, .zone_off = 12, .subject_len = 9};

	(void)state;
	memcpy(body, &t, sizeof(t));
	memcpy(body + sizeof(t), text, 26);
	const size_t one = ft_match_write(out, id, FT_MATCH_TEXT, body, sizeof(t) + 26);
	const size_t all = one + ft_match_write(out + one, id, FT_MATCH_COUNTS, &c, sizeof(c));
	for (size_t len = 0; len <= all; len++) {
		const struct stat_run run = {.workers = 1};
		void *stat = stat_match.create(&run);
		uint8_t *copy = guard_copy(out, len);
		assert_int_equal(feed(stat, 1, FT_REC_MATCH, copy, len),
				 len == 0 || len == one || len == all ? 0 : -EBADMSG);
		guard_free(copy, len);
		stat_match.destroy(stat);
	}
	for (unsigned off = 0; off < 20; off++) { /* the domain must begin where a label does */
		struct ft_match_text bad = t;
		struct ft_match_entry e;
		size_t at = 0;
		bad.domain_off = (uint8_t)off;
		memcpy(body, &bad, sizeof(bad));
		const size_t n = ft_match_write(out, id, FT_MATCH_TEXT, body, sizeof(bad) + 26);
		assert_int_equal(ft_match_next(out, n, &at, &e),
				 off == 0 || off == 4 || off == 12 || off == 16 ? 1 : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_truth),     cmocka_unit_test(test_split),
	    cmocka_unit_test(test_fields),    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules change a hundred times while real workers run flat out. Generations take turns
 * with two rules, each of which matches every name. A settled transaction that no
 * generation had matched, or two, or one in half, would be missing or too much in the
 * sum of both rules: it is that of the queries, for each registered domain, as this
 * file reads them from the frames. Old verdicts do not outlive their generation, and
 * the ledger closes. Also under TSan. */
#include "rig.h"

#include "reload.h"

#include <fluxtap/gen.h>

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS 4000u
#define SWAPS 100u
#define WORKERS 2u
#define SECOND 1000000ull
#define DOMAINS_CAP 4096u /* slots; a power of two */
#define SPAN_S 40u        /* of a pass: what waits at its end has timed out at the next one */
#define NOISE_NAMES 200u

enum tempo { FLAT_OUT, EVERY_5_MS, SLOW_WORKERS };

/* --- what is true: the frames, and the queries in them --- */

struct domain {
	char text[256]; /* "": free */
	uint64_t truth; /* queries in one pass */
	uint64_t even, odd;
};

struct load {
	struct rx_mem_frame *frame;
	size_t n;
	uint64_t queries, unanswered; /* in one pass */
	struct domain domain[DOMAINS_CAP];
};

static struct domain *domain_get(struct load *l, const char *text)
{
	uint32_t h = 2166136261u;

	for (const char *p = text; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (uint32_t at = h;; at++) {
		struct domain *d = &l->domain[at & (DOMAINS_CAP - 1)];
		if (strcmp(d->text, text) == 0)
			return d;
		if (d->text[0] != '\0')
			continue;
		(void)snprintf(d->text, sizeof(d->text), "%s", text);
		return d;
	}
}

/* The DNS message of a frame of the mix: Ethernet, IPv4 or IPv6 without options, UDP. */
static const uint8_t *dns_of(const struct ft_gen_frame *f)
{
	const bool v6 = f->data[12] == 0x86 && f->data[13] == 0xdd;

	assert_true(v6 || (f->data[12] == 0x08 && f->data[13] == 0x00));
	assert_int_equal(f->data[14 + (v6 ? 6 : 9)], 17);
	return f->data + 14 + (v6 ? 40 : 20) + 8;
}

/* Its last two labels, each with its dot: each TLD is a public suffix here. */
static void read_domain(const uint8_t *name, char *out)
{
	const uint8_t *last[2] = {name, name};
	size_t n = 0;

	for (; *name != 0; name += *name + 1u) {
		last[0] = last[1];
		last[1] = name;
	}
	for (const uint8_t *label = last[0]; *label != 0; label += *label + 1u) {
		for (unsigned i = 1; i <= *label; i++)
			out[n++] =
			    (char)(label[i] >= 'A' && label[i] <= 'Z' ? label[i] + 32 : label[i]);
		out[n++] = '.';
	}
	out[n] = '\0';
	assert_true(n > 0);
}

static struct load *load(void)
{
	const struct ft_gen_opts o = {.seed = 5,
				      .scenario = FT_GEN_MIX,
				      .pairs = PAIRS,
				      .duration_s = 20,
				      .start_us = 1767225600 * SECOND,
				      .names = 1000,
				      .clients = 500};
	struct load *l = calloc(1, sizeof(*l));
	struct ft_gen *gen = ft_gen_create(&o);
	struct ft_gen_frame f;
	unsigned responses = 0;
	char text[256];

	assert_non_null(l);
	assert_non_null(gen);
	l->frame = calloc(2 * PAIRS, sizeof(*l->frame));
	assert_non_null(l->frame);
	while (ft_gen_next(gen, &f) == 1) {
		const uint8_t *dns = dns_of(&f);
		const bool response = (dns[2] & 0x80) != 0;
		if (response && ++responses % 7 == 0) { /* its query times out */
			l->unanswered++;
			continue;
		}
		if (!response) {
			read_domain(dns + 12, text);
			domain_get(l, text)->truth++;
			l->queries++;
		}
		uint8_t *copy = malloc(f.len);
		assert_non_null(copy);
		memcpy(copy, f.data, f.len);
		assert_true(l->n < (size_t)2 * PAIRS);
		l->frame[l->n++] = (struct rx_mem_frame){copy, f.len, f.len, f.ts_us};
	}
	ft_gen_destroy(gen);
	assert_int_equal(l->queries, PAIRS);
	assert_true(l->unanswered > 0);
	return l;
}

static void unload(struct load *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((void *)(uintptr_t)l->frame[i].data);
	free(l->frame);
	free(l);
}

/* --- a source without end, until it is told to end with a pass --- */

struct endless {
	struct rx rx; /* first */
	struct rx *inner;
	size_t n;         /* frames of a pass */
	uint64_t handed;  /* the worker's */
	uint32_t portion; /* frames in a batch at most; 0: all there are */
	struct batch held;
	uint32_t held_at;
	_Atomic int stop;
	_Atomic uint64_t passes; /* whole ones */
};

static int endless_recv(struct rx *rx, struct batch *b)
{
	struct endless *e = (struct endless *)rx;
	const struct timespec pause = {.tv_nsec = 20000};

	if (e->handed % e->n == 0) {
		atomic_store(&e->passes, e->handed / e->n);
		if (atomic_load(&e->stop)) {
			b->n = 0;
			return RX_END;
		}
	}
	if (e->held_at == e->held.n) {
		assert_true(e->inner->ops->recv(e->inner, &e->held) > 0);
		e->held_at = 0;
		if (e->portion != 0)
			(void)nanosleep(&pause, NULL);
	}
	b->n = e->held.n - e->held_at;
	if (e->portion != 0 && b->n > e->portion)
		b->n = e->portion;
	memcpy(b->pkt, e->held.pkt + e->held_at, b->n * sizeof(b->pkt[0]));
	e->held_at += b->n;
	e->handed += b->n;
	rx->clock_us = b->pkt[b->n - 1].clock_us;
	return (int)b->n;
}

static void endless_release(struct rx *rx, struct batch *b)
{
	(void)rx;
	(void)b;
}

static uint64_t endless_clock(struct rx *rx)
{
	(void)rx;
	return 0;
}

static const struct rx_ops endless_ops = {
    .recv = endless_recv,
    .release = endless_release,
    .clock = endless_clock,
    .dropped = endless_clock,
};

static void endless_init(struct endless *e, const struct load *l, uint32_t portion)
{
	memset(e, 0, sizeof(*e));
	e->rx.ops = &endless_ops;
	e->n = l->n;
	e->portion = portion;
	e->inner = rx_mem_create(l->frame, l->n, LINK_ETHERNET, 0, SPAN_S * SECOND);
	assert_non_null(e->inner);
}

/* --- the rules' files --- */

struct files {
	char dir[64], list[96], suffixes[96], fresh[96];
	struct rules *rules;
	unsigned k; /* of the generation that was written last */
};

static void write_list(struct files *f, unsigned k)
{
	FILE *out = fopen(f->fresh, "w");

	assert_non_null(out);
	/* One through Hyperscan, the other one through the table of names. */
	fprintf(out, k % 2 == 0 ? "even regex ^.*$\n" : "odd suffix .\n");
	for (unsigned i = 0; i < 4; i++)
		fprintf(out, "noise regex never%u.*and[0-9]%u\n", k, i);
	for (unsigned i = 0; i < NOISE_NAMES; i++)
		fprintf(out, "listed exact n%u.k%u.invalid\n", i, k);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(rename(f->fresh, f->list), 0);
	f->k = k;
}

static void files_init(struct files *f, uint64_t name_seed)
{
	const char *const paths[] = {f->list};
	const struct rules_settings settings = {.paths = paths,
						.paths_len = 1,
						.psl_path = f->suffixes,
						.name_seed = name_seed,
						.sketch_seed = 1};
	FILE *out;

	strcpy(f->dir, "/tmp/fluxtap-swap-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->list, sizeof(f->list), "%s/list", f->dir);
	(void)snprintf(f->fresh, sizeof(f->fresh), "%s/fresh", f->dir);
	(void)snprintf(f->suffixes, sizeof(f->suffixes), "%s/suffixes", f->dir);
	out = fopen(f->suffixes, "w");
	assert_non_null(out);
	assert_true(fputs("com\n", out) >= 0); /* and "*" for all others */
	assert_int_equal(fclose(out), 0);
	write_list(f, 0);
	f->rules = rules_create(&settings);
	assert_non_null(f->rules);
}

static void files_fini(struct files *f)
{
	rules_destroy(f->rules);
	(void)unlink(f->list);
	(void)unlink(f->suffixes);
	assert_int_equal(rmdir(f->dir), 0);
}

/* --- the probe --- */

struct probe {
	struct rig rig;
	struct load *load;
	struct files files;
	struct reload *reload;
	struct endless source[WORKERS];
	struct worker *worker[WORKERS];
	unsigned workers;
	uint64_t seen[WORKERS]; /* generation, as published */
	uint64_t swaps;
	uint64_t matched[2], queries, unanswered; /* from the records */
	uint64_t timeouts_matched;
	uint64_t odd_last_us, odd_end_us; /* last query; from when on there can be none */
};

/* Adds a record up and throws it away: there are many. */
static void take_record(void *ctx, const char *set, uint64_t start_s, json_t *o)
{
	struct probe *p = ctx;
	const uint64_t queries = rig_number(o, "queries");

	(void)start_s;
	if (strcmp(set, "traffic") == 0) {
		p->queries += queries;
		p->unanswered += rig_number(o, "unanswered");
	} else if (strcmp(set, "match") == 0) {
		const char *rule = json_string_value(json_object_get(o, "rule"));
		const char *domain = json_string_value(json_object_get(o, "domain"));
		assert_non_null(rule); /* and not what a budget left out */
		assert_non_null(domain);
		const bool odd = strcmp(rule, "odd") == 0;
		assert_true(odd || strcmp(rule, "even") == 0);
		struct domain *d = domain_get(p->load, domain);
		if (d->truth == 0)
			fail_msg("no query below \"%s\"", domain);
		*(odd ? &d->odd : &d->even) += queries;
		p->matched[odd] += queries;
		if (odd && rig_number(o, "last_us") > p->odd_last_us)
			p->odd_last_us = rig_number(o, "last_us");
		p->timeouts_matched += rig_number(json_object_get(o, "by_class"), "TIMEOUT");
	}
	json_decref(o);
}

static void hear(void *ctx, const struct reload_result *result)
{
	struct probe *p = ctx;

	assert_null(result->error);
	assert_int_equal(result->generation, p->swaps + 2);
	assert_int_equal(result->listed_names, NOISE_NAMES + p->files.k % 2);
	p->swaps++;
}

static void start(struct probe *p, unsigned workers, enum tempo tempo)
{
	const struct reload_opts o = {
	    .rules = p->files.rules, .workers = workers, .done = hear, .ctx = p};
	char err[512] = "";

	p->workers = workers;
	p->reload = reload_create(&o);
	assert_non_null(p->reload);
	if (reload_first(p->reload, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	for (unsigned i = 0; i < workers; i++) {
		endless_init(&p->source[i], p->load, tempo == SLOW_WORKERS ? 1 + i : 0);
		struct worker_settings set = rig_settings(&p->rig, i, &p->source[i].rx);
		set.seat = reload_seat(p->reload, i);
		set.match_entries = 8192;
		p->worker[i] = worker_create(&set);
		assert_non_null(p->worker[i]);
		assert_int_equal(worker_start(p->worker[i], -1), 0);
	}
}

/* Control's turn. Each worker's generation rises, and is never one that is to come. */
static bool turn(struct probe *p)
{
	reload_step(p->reload);
	const uint64_t newest = reload_state_get(p->reload).generation;
	for (unsigned i = 0; i < p->workers; i++) {
		const uint64_t g = atomic_load_explicit(
		    &segment_worker(&p->rig.segment, i)->generation, memory_order_relaxed);
		assert_true(g >= p->seen[i] && g <= newest);
		p->seen[i] = g;
	}
	return drain_step(p->rig.drain);
}

static void swap_all(struct probe *p, enum tempo tempo)
{
	struct timespec begin, now;

	for (unsigned k = 1; k <= SWAPS; k++) {
		write_list(&p->files, k);
		(void)reload_request(p->reload);
		(void)clock_gettime(CLOCK_MONOTONIC, &begin);
		while (p->swaps < k) {
			assert_true(turn(p));
			sched_yield();
		}
		do {
			assert_true(turn(p));
			(void)clock_gettime(CLOCK_MONOTONIC, &now);
		} while (tempo == EVERY_5_MS &&
			 (now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec <
			     5000000);
	}
}

/* The last generation is even, and all workers have it: queries of the passes that they
 * have not begun are no odd rule's. Lets them begin a few. */
static void last_generation(struct probe *p)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < p->workers; i++) {
		const uint64_t passes = atomic_load(&p->source[i].passes);
		most = passes > most ? passes : most;
	}
	p->odd_end_us = p->load->frame[0].ts_us + (most + 1) * SPAN_S * SECOND;
	for (unsigned i = 0; i < p->workers; i++)
		while (atomic_load(&p->source[i].passes) < most + 4) {
			assert_true(turn(p));
			sched_yield();
		}
}

static void check(struct probe *p)
{
	const struct ledger_sums *l = rig_sums(&p->rig);
	uint64_t passes = 0;

	for (unsigned i = 0; i < p->workers; i++) {
		passes += atomic_load(&p->source[i].passes);
		assert_int_equal(p->seen[i], SWAPS + 1);
	}
	assert_int_equal(p->swaps, SWAPS);
	assert_true(passes > 0);
	assert_string_equal(l->broken_text, "");
	assert_int_equal(l->broken, 0);
	assert_int_equal(drain_bad_blocks(p->rig.drain), 0);
	assert_int_equal(l->sum.c[FT_CTR_RX_PACKETS], passes * p->load->n);
	assert_int_equal(l->sum.c[FT_CTR_MESSAGES], passes * p->load->n);
	assert_int_equal(l->sum.c[FT_CTR_HELD], 0);
	assert_int_equal(l->sum.c[FT_CTR_RING_FULL_RECORDS], 0);
	assert_int_equal(l->sum.c[FT_CTR_RECORDS], l->merged);
	assert_int_equal(p->queries, passes * p->load->queries);
	assert_int_equal(p->unanswered, passes * p->load->unanswered);
	assert_int_equal(p->matched[0] + p->matched[1], p->queries);
	assert_int_equal(p->timeouts_matched, p->unanswered);
	assert_true(p->matched[0] > 0);
	assert_true(p->matched[1] > 0);
	assert_true(p->odd_last_us < p->odd_end_us);
	for (unsigned i = 0; i < DOMAINS_CAP; i++)
		assert_int_equal(p->load->domain[i].even + p->load->domain[i].odd,
				 passes * p->load->domain[i].truth);
}

static void run_swaps(unsigned workers, enum tempo tempo)
{
	struct probe *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->load = load();
	rig_init(&p->rig, workers, 3600, 8 << 20, false);
	p->rig.run.write = take_record;
	p->rig.run.ctx = p;
	files_init(&p->files, rig_settings(&p->rig, 0, NULL).hash_key);
	p->rig.run.rules = p->files.rules;
	start(p, workers, tempo);
	swap_all(p, tempo);
	last_generation(p);
	for (unsigned i = 0; i < workers; i++)
		atomic_store(&p->source[i].stop, 1);
	while (turn(p))
		sched_yield();
	for (unsigned i = 0; i < workers; i++) {
		worker_join(p->worker[i]);
		worker_destroy(p->worker[i]);
		p->source[i].inner->ops->destroy(p->source[i].inner);
	}
	check(p);
	reload_destroy(p->reload);
	rig_fini(&p->rig);
	files_fini(&p->files);
	unload(p->load);
	free(p);
}

static void test_flat_out(void **state)
{
	(void)state;
	run_swaps(1, FLAT_OUT);
	run_swaps(2, FLAT_OUT);
}

static void test_every_5_ms(void **state)
{
	(void)state;
	run_swaps(1, EVERY_5_MS);
	run_swaps(2, EVERY_5_MS);
}

static void test_slow_workers(void **state)
{
	(void)state;
	run_swaps(1, SLOW_WORKERS);
	run_swaps(2, SLOW_WORKERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flat_out),
	    cmocka_unit_test(test_every_5_ms),
	    cmocka_unit_test(test_slow_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

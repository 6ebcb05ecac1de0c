/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker loop of `fluxtap bench`, with its rules and tables, over generated packets,
 * once, to its end: what instructions.py runs under callgrind, which looks on from the
 * middle, when the caches have filled. The same instructions in every run.
 *
 *	stages mix|flood PAIRS */
#include "bench_load.h"
#include "rig.h"
#include "worker_config.h"

#include <fluxtap/gen.h>

#include <valgrind/callgrind.h>

#define NAMES 200000u
#define CLIENTS 20000u
#define KEY 0x9216d5d98979fb1bull /* rules and worker agree on it */

struct frames {
	struct rx_mem_frame *frame;
	size_t n, cap;
};

static void frames_add(struct frames *f, const struct ft_gen_frame *g)
{
	uint8_t *data = malloc(g->len);

	if (f->n == f->cap) {
		f->cap = f->cap != 0 ? 2 * f->cap : 1024;
		f->frame = realloc(f->frame, f->cap * sizeof(*f->frame));
	}
	if (data == NULL || f->frame == NULL)
		abort();
	memcpy(data, g->data, g->len);
	f->frame[f->n++] = (struct rx_mem_frame){
	    .data = data, .len = g->len, .wire_len = g->len, .ts_us = g->ts_us};
}

static void generate(struct frames *f, enum ft_gen_scenario scenario, uint64_t pairs)
{
	struct ft_gen_opts o = {
	    .seed = 1,
	    .scenario = scenario,
	    .pairs = pairs,
	    .names = NAMES,
	    .clients = CLIENTS,
	    .duration_s = 40,
	};
	struct ft_gen_frame g;

	ft_gen_opts_fill(&o);
	struct ft_gen *gen = ft_gen_create(&o);
	if (gen == NULL)
		abort();
	while (ft_gen_next(gen, &g) == 1)
		frames_add(f, &g);
	ft_gen_destroy(gen);
}

struct stage_rules {
	struct rules *rules;
	struct ruleset *set;
	struct ruleset_scratch *scratch;
	struct rules_slot slot;
	struct rules_seat seat;
};

static void rules_init(struct stage_rules *r, const struct config *c)
{
	char err[256];

	r->rules = bench_rules_create(c, KEY);
	r->set = r->rules != NULL ? rules_load(r->rules, err, sizeof(err)) : NULL;
	r->scratch = r->set != NULL ? ruleset_scratch_create(r->set) : NULL;
	if (r->scratch == NULL)
		abort();
	r->slot = (struct rules_slot){r->set, r->scratch, ruleset_generation(r->set)};
	seat_put(&r->seat, &r->slot);
}

static void rules_fini(struct stage_rules *r)
{
	ruleset_scratch_destroy(r->scratch);
	ruleset_destroy(r->set);
	rules_destroy(r->rules);
}

int main(int argc, char **argv)
{
	static struct rig r;
	static struct frames f;
	static struct stage_rules rules;
	static struct config c;
	char *args[] = {argv[0], NULL}, err[256];

	if (argc != 3) {
		(void)fprintf(stderr, "usage: stages mix|flood PAIRS\n");
		return 2;
	}
	if (config_parse_bench(1, args, &c, err, sizeof(err)) != 0)
		abort();
	rules_init(&rules, &c);
	generate(&f, strcmp(argv[1], "flood") == 0 ? FT_GEN_FLOOD : FT_GEN_MIX,
		 strtoull(argv[2], NULL, 10));
	rig_init(&r, 1, 60, 64u << 20, false);
	struct rx *rx = rx_mem_create(f.frame, f.n, LINK_ETHERNET, 1, 0);
	if (rx == NULL)
		abort();
	r.run.rules = rules.rules;
	struct worker_settings set = worker_config(&c, &r.segment, 0, true);
	set.rx = rx;
	set.ports = (struct decode_ports){.port = {53}, .n = 1};
	set.vantage = &r.vantage;
	set.hash_key = KEY;
	set.seat = &rules.seat;
	struct worker *w = worker_create(&set);
	if (w == NULL)
		abort();
	const size_t warm = f.n / 2 / BATCH_CAP;
	for (size_t turn = 0; worker_turn(w) != RX_END; turn++) {
		if (turn % 1024 == 0)
			(void)drain_step(r.drain);
		if (turn == warm)
			CALLGRIND_START_INSTRUMENTATION;
	}
	while (drain_step(r.drain))
		;
	(void)printf("packets %zu\n", f.n - warm * BATCH_CAP);
	worker_destroy(w);
	rx->ops->destroy(rx);
	for (size_t i = 0; i < f.n; i++)
		free((void *)(uintptr_t)f.frame[i].data);
	free(f.frame);
	rig_fini(&r);
	rules_fini(&rules);
	config_fini(&c);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker loop over generated packets, once, to its end: what instructions.py runs
 * under callgrind. Deterministic: the same instructions in every run.
 *
 *	stages mix|flood PAIRS */
#include "rig.h"

#include <fluxtap/gen.h>

#define NAMES 200000u
#define CLIENTS 20000u

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
	    .duration_s = 60,
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

int main(int argc, char **argv)
{
	static struct rig r;
	static struct frames f;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: stages mix|flood PAIRS\n");
		return 2;
	}
	generate(&f, strcmp(argv[1], "flood") == 0 ? FT_GEN_FLOOD : FT_GEN_MIX,
		 strtoull(argv[2], NULL, 10));
	rig_init(&r, 1, 60, 64u << 20, false);
	struct rx *rx = rx_mem_create(f.frame, f.n, LINK_ETHERNET, 1, 0);
	if (rx == NULL)
		abort();
	struct worker_settings set = rig_settings(&r, 0, rx);
	/* The defaults of `fluxtap run`. */
	set.pair_entries = 524288;
	set.verdict_entries = 1048576;
	set.domain_entries = set.client_entries = set.error_entries = 65536;
	set.server_entries = 8192;
	set.rrset_entries = 131072;
	set.match_entries = 4096;
	struct worker *w = worker_create(&set);
	if (w == NULL)
		abort();
	while (worker_turn(w) != RX_END)
		;
	while (drain_step(r.drain))
		;
	(void)printf("packets %zu messages %llu\n", f.n,
		     (unsigned long long)rig_sums(&r)->sum.c[FT_CTR_MESSAGES]);
	worker_destroy(w);
	rx->ops->destroy(rx);
	for (size_t i = 0; i < f.n; i++)
		free((void *)(uintptr_t)f.frame[i].data);
	free(f.frame);
	rig_fini(&r);
	return 0;
}

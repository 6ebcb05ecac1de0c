/* SPDX-License-Identifier: BSD-3-Clause */
/* What `bench` works on: frames in memory, generated or out of a capture, and rules. */
#ifndef CONTROL_BENCH_LOAD_H
#define CONTROL_BENCH_LOAD_H

#include "../dataplane/rx.h"
#include "config.h"
#include "rules.h"

/* Frames back to back in one mapping. */
struct load {
	struct rx_mem_frame *frame;
	size_t n, cap;
	uint8_t *data;
	size_t used, bytes;
	uint64_t span_us;
	enum link_type link;
};

/* The standard mix, or the flood in which no name comes twice. 0 or -errno. */
int bench_load_generate(struct load *l, bool flood);
/* Whole captures. Prints what is wrong with them. */
int bench_load_pcap(struct load *l, const struct config_texts *paths);
void bench_load_fini(struct load *l);

/* The rules of a bench: --rules where given, else a set of its own: 130 expressions and
 * a million listed names. NULL and a sentence in err. */
struct rules *bench_rules_create(const struct config *c, uint64_t name_seed);

#endif

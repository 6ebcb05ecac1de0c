/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run says at its end, on one screen, and while it reads a file.
 * Control's main thread. */
#ifndef CONTROL_SUMMARY_H
#define CONTROL_SUMMARY_H

#include "export/retain.h"
#include "stats/stat.h"

#include <stdint.h>
#include <stdio.h>

struct summary {
	const struct ledger_sums *ledger;
	const struct traffic_sums *traffic;
	double seconds;      /* the run took, by the host's clock */
	uint64_t records;    /* exported */
	const char *steered; /* what the BPF programs did, or "" */
	const char *state;   /* what was kept of it for the next run, or "" */
	const char *out;     /* directory */
	struct retain_counts retain;
};

void summary_print(FILE *f, const struct summary *s);
/* One line that overwrites itself; done of total octets (0: nobody knows)
 * in so many seconds. */
void summary_progress(FILE *f, uint64_t done, uint64_t total, uint64_t messages, double seconds);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* What one merge has of a row, as statistics get it when an interval closes. */
#ifndef TESTS_UNIT_PARTS_H
#define TESTS_UNIT_PARTS_H

#include "stats/stat.h"

static inline struct stat_parts parts_take(enum stat_merge k, void *merge, uint64_t row)
{
	return (struct stat_parts){.n = 1, .part = {merge_all[k]->take(merge, row)}};
}

static inline void parts_fini(enum stat_merge k, struct stat_parts *p)
{
	merge_all[k]->part_free(p->part[0]);
	p->n = 0;
}

#endif

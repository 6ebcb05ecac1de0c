/* SPDX-License-Identifier: BSD-3-Clause */
/* The diaries of a client (fluxtap/rec_dga.h), added up over an interval: its queries for A
 * and AAAA by second, names that do not exist, servers it asked.
 *
 * Short ones are kept as they came and read when somebody asks; long ones are added up at
 * once, so that memory goes with seconds and names and not with queries. One thread at a
 * time. What is handed out lives as long as what it was read from. */
#ifndef CONTROL_STATS_DIARIES_H
#define CONTROL_STATS_DIARIES_H

#include "../../dataplane/fetch.h"
#include "../keyed_merge.h"

#include <fluxtap/rec_dga.h>

#define DIARY_PAGE_S 60u
#define DIARY_NAMES_CAP 32768u /* distinct names of a client and interval; see `over` */

struct diary_name {
	uint64_t hash; /* as ft_note_hash has it */
	uint32_t second;
	uint8_t kind; /* enum ft_note_kind; FT_NOTE_PLAIN: free */
};

/* A and AAAA in each second. */
struct diary_page {
	uint32_t count[DIARY_PAGE_S][2];
};

struct diary_sum {
	struct diary_page **page; /* by minute of the interval; NULL: nothing */
	uint32_t pages;
	struct diary_name *name; /* [slots], open addressing */
	uint32_t names, slots;
	bool over; /* more names than are kept: they say nothing */
	struct ft_diary_server server[FT_DIARY_SERVERS];
	unsigned servers;
	bool many; /* there were more servers than that */
	struct diary_sum *next;
};

void diary_sum_fini(struct diary_sum *s);
/* Empties it, and keeps its memory. */
void diary_sum_clear(struct diary_sum *s);
/* Adds a diary. 0, -ENOMEM, -EBADMSG. */
int diary_sum_add(struct diary_sum *s, const uint8_t *octets, size_t bytes);

/* One client's, all zero at first; and what the diaries of many share. */
struct diary_acc {
	struct diary_chunk *chunks;
	struct diary_sum *sum;
	uint32_t octets;
	bool made_up; /* some name looks made up and does not exist */
};
struct diary_pool {
	struct keyed_merge *arena; /* not owned */
	struct diary_sum *sums;    /* all that were made */
};

void diary_pool_fini(struct diary_pool *p);
/* As diary_sum_add. */
int diary_acc_add(struct diary_acc *a, struct diary_pool *p, const uint8_t *octets, size_t bytes);
/* Fetches what diary_acc_read will look at first. */
static inline void diary_acc_fetch(const struct diary_acc *a)
{
	fetch_read(a->sum != NULL ? (const void *)a->sum : a->chunks);
}
/* All of it; in `scratch`, which is emptied first, where it was not added up yet. NULL: no
 * memory. */
const struct diary_sum *diary_acc_read(const struct diary_acc *a, struct diary_sum *scratch);

#endif

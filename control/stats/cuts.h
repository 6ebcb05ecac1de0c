/* SPDX-License-Identifier: BSD-3-Clause */
/* Truncated answers of all workers, joined with the queries that their clients sent to other
 * servers within five seconds. Control's thread; bounded: beyond it only questions with a
 * hash below 2^-level are joined. */
#ifndef CONTROL_STATS_CUTS_H
#define CONTROL_STATS_CUTS_H

#include <fluxtap/rec_transport.h>

#define CUTS_CAP (1u << 18)  /* of an interval: 18 MB */
#define ASKED_CAP (1u << 20) /* 40 MB, in runs with more than one worker */

/* What an interval has; all zero: nothing. */
struct cuts {
	struct ft_cut_rec *cut;
	struct ft_asked_rec *asked;
	size_t n, room, asked_n, asked_room;
	uint32_t level; /* of what was asked */
	uint64_t lost;
};

struct cuts_result {
	uint64_t outcome[FT_CUT_CAP];
	uint32_t level; /* of the sample in which OTHER_SERVER was looked for */
};

/* 0 or -ENOMEM. */
int cuts_add(struct cuts *c, const struct ft_cut_rec *r);
int cuts_add_asked(struct cuts *c, const struct ft_asked_rec *r);
/* Joins the truncated answers of c with what was asked in `of`, n intervals that begin with its
 * own. */
void cuts_join(struct cuts *c, const struct cuts *const *of, size_t n, struct cuts_result *out);
void cuts_fini(struct cuts *c);

#endif

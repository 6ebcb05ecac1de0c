/* SPDX-License-Identifier: BSD-3-Clause */
/* What is remembered of one domain (or of a whole group): its queries by hour for 64
 * hours, by how they were answered, the names asked for, when the answers changed.
 *
 * DOMAIN.md section 7 says what is made of it: switch time, rates before and after,
 * multipliers. Hours and minutes have the length that struct sink_clock says. Control's
 * thread; what is not known is said to be so, never guessed. */
#ifndef CONTROL_STATS_SINK_PAST_H
#define CONTROL_STATS_SINK_PAST_H

#include <fluxtap/dns.h>
#include <fluxtap/rec_tables.h>

#include <stdbool.h>
#include <stdint.h>

#define SINK_BINS 64u /* hours: a mask of the names seen in them is one word */
#define SINK_WEEK 168u
#define SINK_NONE UINT8_MAX
#define SINK_PAIRS_MIN 24u  /* hours of the week for an interval of confidence */
#define SINK_MINUTES_MIN 5u /* minutes of a stage for one */

/* The classes that multipliers compare; all others are none of them. */
enum sink_class {
	SINK_DATA,
	SINK_NODATA,
	SINK_NXDOMAIN,
	SINK_SERVFAIL,
	SINK_REFUSED,
	SINK_TIMEOUT,
	SINK_CLASS_CAP
};
extern const uint8_t sink_class_of[FT_CLASS_CAP]; /* SINK_NONE: of none */
extern const enum ft_class sink_class_as[SINK_CLASS_CAP];

struct sink_clock {
	uint64_t hour_us;
	uint64_t minute_us;  /* at least the interval or a part of it */
	uint64_t names_left; /* slots that all together may still take */
	uint32_t weeks_left; /* tables of hours of the week, likewise */
};

/* Names, each with the hours in which it was asked for. Beyond its cap those stay whose
 * hash is below 2^(64 - shift), and each stands for 2^shift. */
struct sink_names {
	uint64_t *hash, *mask; /* open addressing, hash 0: free */
	uint32_t n, slots;
	uint32_t shift;
};

struct sink_stage {
	uint64_t n;          /* minutes */
	double sum, squares; /* of their queries */
};

struct sink_past {
	uint64_t from_us;            /* known from here on; 0: nothing yet */
	uint64_t end_us;             /* up to here: behind the last minute that has closed */
	uint64_t bin;                /* hour of end_us */
	uint64_t last_us;            /* behind the last minute with queries */
	uint32_t open[FT_CLASS_CAP]; /* of the minute that begins at end_us */
	uint32_t hour[FT_CLASS_CAP]; /* of the open hour */
	uint32_t queries[SINK_BINS]; /* by hour */
	uint64_t unknown;            /* a bit for each hour that was not seen in full */
	uint8_t answered[SINK_BINS]; /* enum sink_class of nine in ten; else SINK_NONE */
	/* Names where `names` is not kept: of this day, of the one before, of what counts as
	 * after the switch; and how many there were before it. */
	struct ft_mini today, yesterday, since;
	uint64_t day;
	double names_before;
	bool has_names; /* names is kept */
	bool is_group;  /* its domains say when it switched, and its rates */
	struct sink_names names;
	/* Nine in ten answers were of `class` from run_us to run_end_us. */
	uint8_t class, candidate; /* enum ft_class or SINK_NONE */
	uint8_t from_class, to_class;
	bool did_not_exist; /* NXDOMAIN for an hour */
	bool after_is_final;
	uint64_t run_us, run_end_us;
	uint64_t candidate_us, candidate_all, candidate_own;
	uint64_t neg_ttl, ans_ttl; /* and 1; 0: none seen */
	uint64_t switch_us;        /* 0: none */
	uint64_t old_ttl_us;
	double before, after; /* of qps_per_name; NAN: not known */
	/* Stages: minutes and hours that one class rules. */
	uint8_t stage; /* enum sink_class */
	uint64_t settled_us;
	struct sink_stage stages[SINK_CLASS_CAP];
	struct sink_week *week; /* NULL: no hours of two classes yet */
};

struct sink_week {
	float sum[SINK_WEEK][SINK_CLASS_CAP];
	uint16_t n[SINK_WEEK][SINK_CLASS_CAP];
};

/* The hour of 24 hours before etc. for all of them; minute: see sink_clock_init. */
void sink_clock_init(struct sink_clock *c, uint32_t interval_s, uint32_t hour_s);
/* Parts of an interval that workers tell apart, and how long they are (FT_SINK_MINUTES at
 * most). */
uint64_t sink_part_us(uint32_t interval_s, uint32_t hour_s);

/* *p is all zeros. */
void sink_past_init(struct sink_past *p, const struct sink_clock *c, uint64_t from_us,
		    bool has_names);
void sink_past_fini(struct sink_past *p, struct sink_clock *c);
/* A copy with a memory of its own, as far as there is some. */
void sink_past_copy(struct sink_past *to, const struct sink_past *from);

/* A name asked for in the hours that `hours` has a bit for, see sink_hours. -ENOMEM. */
int sink_past_name(struct sink_past *p, struct sink_clock *c, uint64_t hash, uint64_t hours);
/* The hours that an interval touches. */
uint64_t sink_hours(const struct sink_clock *c, uint64_t lo_us, uint64_t hi_us);
/* Counts transactions of the part of an interval that begins at t_us; not before those
 * that were counted. */
void sink_past_add(struct sink_past *p, struct sink_clock *c, uint64_t t_us,
		   const uint64_t *by_class);
/* Names of a time that is not before those that came; where `names` is not kept. */
void sink_past_asked(struct sink_past *p, const struct sink_clock *c, uint64_t t_us,
		     const struct ft_mini *names);
/* Nothing more comes from before now_us: closes minutes and hours. */
void sink_past_advance(struct sink_past *p, struct sink_clock *c, uint64_t now_us);

/* Counting goes on at now_us; what was since then is not known. */
void sink_past_resume(struct sink_past *p, struct sink_clock *c, uint64_t now_us);

struct sink_window {
	uint64_t queries;
	double name_s; /* names times seconds */
};
/* The whole hours within [lo, hi) that are known and have ended; false: there is none. */
bool sink_past_window(const struct sink_past *p, const struct sink_clock *c, uint64_t lo_us,
		      uint64_t hi_us, struct sink_window *out);
/* The windows of a switch. */
static inline uint64_t sink_before_lo(const struct sink_clock *c, uint64_t switch_us)
{
	return switch_us > 24 * c->hour_us ? switch_us - 24 * c->hour_us : 0;
}
static inline uint64_t sink_before_hi(const struct sink_clock *c, uint64_t switch_us)
{
	return switch_us > c->hour_us ? switch_us - c->hour_us : 0;
}
static inline uint64_t sink_after_lo(const struct sink_clock *c, uint64_t switch_us,
				     uint64_t old_ttl_us)
{
	return switch_us + (old_ttl_us > 2 * c->hour_us ? old_ttl_us : 2 * c->hour_us);
}
/* The rate after its switch as it is known now; NAN: not known. */
double sink_past_after(const struct sink_past *p, const struct sink_clock *c);

struct sink_multiplier {
	double est, lo, hi;
	uint64_t n;  /* hours or minutes of the class */
	bool hourly; /* hours of the week, else minutes of stages */
};
/* How much more is asked while answers are of a class than while they are DATA. */
bool sink_past_multiplier(const struct sink_past *p, enum sink_class class,
			  struct sink_multiplier *out);

#endif

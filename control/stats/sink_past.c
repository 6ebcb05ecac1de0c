/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink_past.h"

#include "../../dataplane/mini.h"

#include <fluxtap/rec_sink.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MIN 10u        /* of a new class, before a switch is believed */
#define NAMES_TOTAL (1u << 23) /* slots of all pasts: 128 MiB */
#define WEEKS_TOTAL 2048u      /* 10 MiB */
#define HOLD_HOURS 1u

const uint8_t sink_class_of[FT_CLASS_CAP] = {
    [FT_CLASS_DATA] = SINK_DATA,         [FT_CLASS_CNAME_ONLY] = SINK_NONE,
    [FT_CLASS_NODATA] = SINK_NODATA,     [FT_CLASS_REFERRAL] = SINK_NONE,
    [FT_CLASS_NXDOMAIN] = SINK_NXDOMAIN, [FT_CLASS_SERVFAIL] = SINK_SERVFAIL,
    [FT_CLASS_REFUSED] = SINK_REFUSED,   [FT_CLASS_FORMERR] = SINK_NONE,
    [FT_CLASS_NOTIMP] = SINK_NONE,       [FT_CLASS_BADVERS] = SINK_NONE,
    [FT_CLASS_BADCOOKIE] = SINK_NONE,    [FT_CLASS_OTHER] = SINK_NONE,
    [FT_CLASS_TC] = SINK_NONE,           [FT_CLASS_TIMEOUT] = SINK_TIMEOUT,
};
const enum ft_class sink_class_as[SINK_CLASS_CAP] = {FT_CLASS_DATA,     FT_CLASS_NODATA,
						     FT_CLASS_NXDOMAIN, FT_CLASS_SERVFAIL,
						     FT_CLASS_REFUSED,  FT_CLASS_TIMEOUT};

uint64_t sink_part_us(uint32_t interval_s, uint32_t hour_s)
{
	const uint64_t interval_us = interval_s * 1000000ull;
	uint64_t parts = interval_s * 60ull / hour_s;

	if (parts > FT_SINK_MINUTES)
		parts = FT_SINK_MINUTES;
	while (parts > 1 && interval_us % parts != 0)
		parts--;
	return parts > 1 ? interval_us / parts : interval_us;
}

void sink_clock_init(struct sink_clock *c, uint32_t interval_s, uint32_t hour_s)
{
	const uint64_t part_us = sink_part_us(interval_s, hour_s), hour_us = hour_s * 1000000ull;

	/* Several short intervals are one minute, where they fill it. */
	*c = (struct sink_clock){
	    .hour_us = hour_us,
	    .minute_us =
		hour_us / 60 > part_us && hour_us / 60 % part_us == 0 ? hour_us / 60 : part_us,
	    .names_left = NAMES_TOTAL,
	    .weeks_left = WEEKS_TOTAL,
	};
}

void sink_past_init(struct sink_past *p, const struct sink_clock *c, uint64_t from_us,
		    bool has_names)
{
	p->from_us = from_us;
	p->end_us = from_us / c->minute_us * c->minute_us;
	p->bin = p->end_us / c->hour_us;
	p->has_names = has_names;
	p->class = p->candidate = p->stage = p->from_class = p->to_class = SINK_NONE;
	memset(p->answered, SINK_NONE, sizeof(p->answered));
	p->before = p->after = NAN;
}

void sink_past_fini(struct sink_past *p, struct sink_clock *c)
{
	free(p->names.hash);
	free(p->names.mask);
	c->names_left += p->names.slots;
	c->weeks_left += p->week != NULL;
	free(p->week);
	p->names = (struct sink_names){0};
	p->week = NULL;
}

void sink_past_copy(struct sink_past *to, const struct sink_past *from)
{
	*to = *from;
	to->week = NULL; /* it will be made again */
	to->names = (struct sink_names){0};
}

/* What rules: the class of nine in ten; SINK_NONE: no class does. */
static uint8_t ruling(const uint32_t *by_class, uint64_t total)
{
	for (unsigned i = 0; i < FT_CLASS_CAP && total != 0; i++)
		if (by_class[i] * 10ull >= total * 9)
			return (uint8_t)i;
	return SINK_NONE;
}

static uint64_t sum_of(const uint32_t *by_class)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		sum += by_class[i];
	return sum;
}

/* --- hours --- */

/* Of the days around a window, as small sketches give it. */
static double names_of(const struct sink_past *p, uint64_t lo_us)
{
	struct ft_mini both = p->today;

	if (p->switch_us != 0)
		return lo_us >= p->switch_us ? (double)mini_count(&p->since) : p->names_before;
	mini_merge(&both, &p->yesterday);
	return (double)mini_count(&both);
}

bool sink_past_window(const struct sink_past *p, const struct sink_clock *c, uint64_t lo_us,
		      uint64_t hi_us, struct sink_window *out)
{
	const uint64_t oldest = p->bin + 1 > SINK_BINS ? p->bin + 1 - SINK_BINS : 0;
	uint64_t lo, hi = hi_us / c->hour_us, bits = 0, hours = 0;
	double names;

	lo_us = lo_us > p->from_us ? lo_us : p->from_us;
	lo = (lo_us + c->hour_us - 1) / c->hour_us;
	lo = lo > oldest ? lo : oldest;
	hi = hi < p->bin ? hi : p->bin; /* the open hour has not ended */
	*out = (struct sink_window){0};
	for (uint64_t b = lo; b < hi; b++) {
		if ((p->unknown >> b % SINK_BINS & 1) != 0)
			continue;
		hours++;
		out->queries += p->queries[b % SINK_BINS];
		bits |= 1ull << b % SINK_BINS;
	}
	if (hours == 0)
		return false;
	names = p->has_names ? 0 : names_of(p, lo_us);
	if (p->has_names) {
		uint64_t n = 0;
		for (uint32_t i = 0; i < p->names.slots; i++)
			n += p->names.hash[i] != 0 && (p->names.mask[i] & bits) != 0;
		names = ldexp((double)n, (int)p->names.shift);
	}
	out->name_s = names * (double)hours * (double)c->hour_us / 1e6;
	return true;
}

static double rate_in(const struct sink_past *p, const struct sink_clock *c, uint64_t lo_us,
		      uint64_t hi_us)
{
	struct sink_window w;

	if (!sink_past_window(p, c, lo_us, hi_us, &w) || w.name_s <= 0)
		return NAN;
	return (double)w.queries / w.name_s;
}

double sink_past_after(const struct sink_past *p, const struct sink_clock *c)
{
	const uint64_t lo_us = sink_after_lo(c, p->switch_us, p->old_ttl_us);

	if (p->switch_us == 0 || p->after_is_final)
		return p->after;
	return rate_in(p, c, lo_us, lo_us + 24 * c->hour_us);
}

static void put_week(struct sink_past *p, uint64_t bin)
{
	const uint8_t class = p->answered[bin % SINK_BINS];
	const unsigned slot = (unsigned)(bin % SINK_WEEK);

	if (class == SINK_NONE || p->week->n[slot][class] == UINT16_MAX)
		return;
	p->week->sum[slot][class] += (float)p->queries[bin % SINK_BINS];
	p->week->n[slot][class]++;
}

/* Hours of one class alone need no table: they are in the ring when another one comes. */
static void make_week(struct sink_past *p, struct sink_clock *c)
{
	unsigned classes = 0;

	for (unsigned i = 0; i < SINK_BINS; i++)
		if (p->answered[i] != SINK_NONE)
			classes |= 1u << p->answered[i];
	if ((classes & (classes - 1)) == 0 || c->weeks_left == 0)
		return;
	p->week = calloc(1, sizeof(*p->week));
	if (p->week == NULL)
		return;
	c->weeks_left--;
	const uint64_t oldest = p->bin + 1 > SINK_BINS ? p->bin + 1 - SINK_BINS : 0;
	for (uint64_t b = oldest; b < p->bin; b++)
		put_week(p, b);
}

/* The open hour has ended. */
static void close_hour(struct sink_past *p, const struct sink_clock *c)
{
	const uint64_t total = sum_of(p->hour), begin_us = p->bin * c->hour_us;
	const uint8_t class = ruling(p->hour, total);
	uint8_t *answered = &p->answered[p->bin % SINK_BINS];

	*answered = SINK_NONE;
	if (begin_us >= p->from_us && begin_us >= p->settled_us &&
	    (p->unknown >> p->bin % SINK_BINS & 1) == 0)
		*answered = total == 0           ? p->stage
			    : class == SINK_NONE ? SINK_NONE
						 : sink_class_of[class];
	memset(p->hour, 0, sizeof(p->hour));
	if (p->week != NULL)
		put_week(p, p->bin);
}

static void forget_names(struct sink_names *n, uint64_t bits)
{
	for (uint32_t i = 0; i < n->slots; i++)
		n->mask[i] &= ~bits;
}

/* Hours up to, and without, bin end; those of no queries among them. */
static void close_hours(struct sink_past *p, struct sink_clock *c, uint64_t bin)
{
	uint64_t bits = 0;

	if (p->bin >= bin)
		return;
	/* What `after` needs must not fall out of the ring. */
	const uint64_t lo_us = sink_after_lo(c, p->switch_us, p->old_ttl_us);
	const bool was_over = p->after_is_final || p->switch_us == 0 || p->is_group;
	while (p->bin < bin) {
		close_hour(p, c);
		p->bin++;
		if (!was_over && !p->after_is_final &&
		    p->bin * c->hour_us >= lo_us + 24 * c->hour_us) {
			p->after = rate_in(p, c, lo_us, lo_us + 24 * c->hour_us);
			p->after_is_final = true;
		}
		/* Idle for so long: nothing of what was before is left. */
		if (bin - p->bin > 2 * SINK_BINS)
			p->bin = bin - 2 * SINK_BINS;
		p->unknown &= ~(1ull << p->bin % SINK_BINS);
		p->queries[p->bin % SINK_BINS] = 0;
		p->answered[p->bin % SINK_BINS] = SINK_NONE;
		bits = 1ull << p->bin % SINK_BINS;
		forget_names(&p->names, bits);
	}
	if (p->week == NULL)
		make_week(p, c);
}

/* --- when the answers change --- */

static void confirm(struct sink_past *p, const struct sink_clock *c, uint64_t minute_end_us)
{
	const bool was_negative = p->class == FT_CLASS_NXDOMAIN || p->class == FT_CLASS_NODATA;
	const uint64_t ttl = was_negative ? p->neg_ttl : p->ans_ttl;
	const bool cached = was_negative || p->class == FT_CLASS_DATA ||
			    p->class == FT_CLASS_CNAME_ONLY || p->class == FT_CLASS_REFERRAL;

	p->switch_us = 0;
	p->names_before = names_of(p, 0);
	memset(&p->since, 0, sizeof(p->since));
	p->switch_us = p->candidate_us;
	p->old_ttl_us = cached && ttl != 0 ? (ttl - 1) * 1000000 : 0;
	p->from_class = p->class;
	p->to_class = p->class = p->candidate;
	p->run_us = p->candidate_us;
	p->run_end_us = minute_end_us;
	p->candidate = SINK_NONE;
	p->before = rate_in(p, c, sink_before_lo(c, p->switch_us), sink_before_hi(c, p->switch_us));
	p->after = NAN;
	p->after_is_final = false;
}

/* A minute with answers. What does not say who rules changes nothing. */
static void look_at_answers(struct sink_past *p, const struct sink_clock *c, uint64_t end_us)
{
	uint32_t answers[FT_CLASS_CAP];

	memcpy(answers, p->open, sizeof(answers));
	answers[FT_CLASS_TIMEOUT] = answers[FT_CLASS_TC] = 0; /* no answer, none yet */
	const uint64_t total = sum_of(answers);
	const uint8_t class = ruling(answers, total);
	if (total == 0)
		return;
	if (class != SINK_NONE && class == p->class) {
		p->run_end_us = end_us;
		p->candidate = SINK_NONE;
	} else if (class != SINK_NONE && class != p->candidate) {
		const bool held =
		    p->class != SINK_NONE && p->run_end_us - p->run_us >= HOLD_HOURS * c->hour_us;
		p->candidate = held ? class : SINK_NONE;
		p->candidate_us = end_us - c->minute_us;
		p->candidate_all = p->candidate_own = 0;
		if (!held) {
			p->class = class;
			p->run_us = end_us - c->minute_us;
			p->run_end_us = end_us;
		}
	}
	if (p->class == FT_CLASS_NXDOMAIN && p->run_end_us - p->run_us >= HOLD_HOURS * c->hour_us)
		p->did_not_exist = true;
	if (p->candidate == SINK_NONE)
		return;
	p->candidate_all += total;
	p->candidate_own += answers[p->candidate];
	if (p->candidate_all < ANSWERS_MIN)
		return;
	if (p->candidate_own * 10 >= p->candidate_all * 9)
		confirm(p, c, end_us);
	else
		p->candidate = SINK_NONE;
}

/* --- stages --- */

static void count_stage(struct sink_past *p, const struct sink_clock *c, uint64_t end_us)
{
	const uint64_t total = sum_of(p->open), begin_us = end_us - c->minute_us;
	uint8_t class = ruling(p->open, total);

	class = total == 0 ? p->stage : class == SINK_NONE ? SINK_NONE : sink_class_of[class];
	if (class == SINK_NONE)
		return;
	if (class != p->stage) {
		const bool negative = p->stage == SINK_NODATA || p->stage == SINK_NXDOMAIN;
		const uint64_t ttl = negative ? p->neg_ttl : p->stage == SINK_DATA ? p->ans_ttl : 0;
		/* What caches still hold is of the stage before. */
		p->settled_us =
		    p->stage == SINK_NONE ? begin_us : end_us + (ttl > 1 ? (ttl - 1) * 1000000 : 0);
		p->stage = class;
	}
	if (begin_us < p->settled_us || begin_us < p->from_us)
		return;
	p->stages[class].n++;
	p->stages[class].sum += (double)total;
	p->stages[class].squares += (double)total * (double)total;
}

static void close_minute(struct sink_past *p, struct sink_clock *c)
{
	const uint64_t end_us = p->end_us + c->minute_us;

	if (!p->is_group)
		look_at_answers(p, c, end_us);
	count_stage(p, c, end_us);
	if (sum_of(p->open) != 0)
		p->last_us = end_us;
	memset(p->open, 0, sizeof(p->open));
	p->end_us = end_us;
	close_hours(p, c, end_us / c->hour_us);
}

void sink_past_advance(struct sink_past *p, struct sink_clock *c, uint64_t now_us)
{
	const uint64_t end_us = now_us / c->minute_us * c->minute_us;

	if (p->end_us < end_us)
		close_minute(p, c);
	if (p->end_us >= end_us)
		return;
	/* Silent minutes, all at once. */
	const uint64_t silent = (end_us - p->end_us) / c->minute_us;
	if (p->stage != SINK_NONE && p->end_us >= p->settled_us && p->end_us >= p->from_us)
		p->stages[p->stage].n += silent;
	p->end_us = end_us;
	close_hours(p, c, end_us / c->hour_us);
}

void sink_past_resume(struct sink_past *p, struct sink_clock *c, uint64_t now_us)
{
	const uint64_t end_us = now_us / c->minute_us * c->minute_us;

	if (end_us <= p->end_us)
		return;
	close_minute(p, c);
	p->end_us = end_us > p->end_us ? end_us : p->end_us;
	p->unknown |= 1ull << p->bin % SINK_BINS;
	if (p->end_us / c->hour_us - p->bin > SINK_BINS) { /* nothing of what was is left */
		close_hours(p, c, p->bin + 1);
		memset(p->queries, 0, sizeof(p->queries));
		memset(p->answered, SINK_NONE, sizeof(p->answered));
		forget_names(&p->names, UINT64_MAX);
		p->unknown = UINT64_MAX;
		p->bin = p->end_us / c->hour_us;
	}
	while (p->bin < p->end_us / c->hour_us) {
		close_hours(p, c, p->bin + 1);
		p->unknown |= 1ull << p->bin % SINK_BINS;
	}
}

void sink_past_add(struct sink_past *p, struct sink_clock *c, uint64_t t_us,
		   const uint64_t *by_class)
{
	uint64_t sum = 0;

	sink_past_advance(p, c, t_us);
	for (unsigned i = 0; i < FT_CLASS_CAP; i++) {
		sum += by_class[i];
		p->open[i] += (uint32_t)by_class[i];
		p->hour[i] += (uint32_t)by_class[i];
	}
	p->queries[p->bin % SINK_BINS] += (uint32_t)sum;
}

void sink_past_asked(struct sink_past *p, const struct sink_clock *c, uint64_t t_us,
		     const struct ft_mini *names)
{
	const uint64_t day = t_us / (24 * c->hour_us);

	if (day != p->day) {
		p->yesterday = day == p->day + 1 ? p->today : (struct ft_mini){0};
		p->today = (struct ft_mini){0};
		p->day = day;
	}
	mini_merge(&p->today, names);
	if (p->switch_us != 0 && !p->after_is_final &&
	    t_us >= sink_after_lo(c, p->switch_us, p->old_ttl_us))
		mini_merge(&p->since, names);
}

/* --- names --- */

static uint32_t name_slot(const struct sink_names *n, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash * 0x9e3779b97f4a7c15ull >> 32) & (n->slots - 1);

	while (n->hash[at] != 0 && n->hash[at] != hash)
		at = (at + 1) & (n->slots - 1);
	return at;
}

/* Puts all that are still of use into `slots` slots. */
static int rehash(struct sink_names *n, uint32_t slots)
{
	struct sink_names to = {.slots = slots, .shift = n->shift};

	to.hash = calloc(slots, sizeof(*to.hash));
	to.mask = calloc(slots, sizeof(*to.mask));
	if (to.hash == NULL || to.mask == NULL) {
		free(to.hash);
		free(to.mask);
		return -1;
	}
	for (uint32_t i = 0; i < n->slots; i++) {
		if (n->hash[i] == 0 || n->mask[i] == 0 ||
		    (to.shift != 0 && n->hash[i] >> (64 - to.shift) != 0))
			continue;
		const uint32_t at = name_slot(&to, n->hash[i]);
		to.hash[at] = n->hash[i];
		to.mask[at] = n->mask[i];
		to.n++;
	}
	free(n->hash);
	free(n->mask);
	*n = to;
	return 0;
}

#define NAMES_MIN 64u
#define NAMES_CAP (1u << 16) /* slots of one past: 1 MiB, an error of 0.7 % beyond */

/* Room for one more: first what nobody asks for any more goes, then it grows, then it
 * thins out. */
static int make_room(struct sink_names *n, struct sink_clock *c)
{
	uint32_t slots = n->slots;

	if (slots != 0 && rehash(n, slots) != 0)
		return -1;
	if (slots != 0 && n->n * 2 < slots)
		return 0;
	slots = slots != 0 ? slots * 2 : NAMES_MIN;
	if (slots <= NAMES_CAP && slots - n->slots <= c->names_left) {
		const uint32_t before = n->slots;
		if (rehash(n, slots) != 0)
			return -1;
		c->names_left -= slots - before;
		return 0;
	}
	while (n->slots != 0 && n->n * 2 >= n->slots && n->shift < 40) {
		n->shift++;
		if (rehash(n, n->slots) != 0)
			return -1;
	}
	return n->slots != 0 ? 0 : 1;
}

uint64_t sink_hours(const struct sink_clock *c, uint64_t lo_us, uint64_t hi_us)
{
	const uint64_t first = lo_us / c->hour_us, last = (hi_us - 1) / c->hour_us;
	uint64_t hours = 0;

	for (uint64_t b = first; b <= last && b - first < SINK_BINS; b++)
		hours |= 1ull << b % SINK_BINS;
	return hours;
}

int sink_past_name(struct sink_past *p, struct sink_clock *c, uint64_t hash, uint64_t hours)
{
	struct sink_names *n = &p->names;

	hash += hash == 0;
	if (n->n * 4 >= n->slots * 3) {
		const int r = make_room(n, c);
		if (r != 0)
			return r < 0 ? -ENOMEM : 0;
	}
	if (n->shift != 0 && hash >> (64 - n->shift) != 0)
		return 0;
	const uint32_t at = name_slot(n, hash);
	n->n += n->hash[at] == 0;
	n->hash[at] = hash;
	n->mask[at] |= hours;
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Read tracks_step() first. */
#include "client_state.h"

#include "../../dataplane/batch.h"
#include "../../dataplane/fetch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_S 86400u
#define LOSS_PPM_CAP 1000u
#define FEW_QUERIES 30.0 /* in TRACK_HALF_LIFE_S */
#define TURN_LOOK 10u    /* queries in an interval, or servers are not looked at */
#define AHEAD 8u         /* clients whose memory is fetched meanwhile */
#define HEAD_BYTES 192u  /* of a track: whether it is missing, wherever its lines begin */

struct tracks *tracks_create(uint32_t interval_s, uint64_t seed)
{
	struct tracks *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->interval_s = interval_s;
	t->seed = seed;
	t->keep = exp2(-(double)interval_s / TRACK_HALF_LIFE_S);
	t->place = calloc(TRACK_PLACES, sizeof(*t->place));
	if (t->place == NULL) {
		free(t);
		errno = ENOMEM;
		return NULL;
	}
	return t;
}

void tracks_destroy(struct tracks *t)
{
	if (t == NULL)
		return;
	free(t->place);
	free(t->track);
	diary_sum_fini(&t->scratch);
	free(t);
}

size_t tracks_count(const struct tracks *t)
{
	return t->n;
}

uint64_t tracks_left_out(const struct tracks *t)
{
	return t->left_out;
}

/* --- the index --- */

static uint32_t tag_of(const struct tracks *t, const uint8_t *key)
{
	return (uint32_t)XXH3_64bits_withSeed(key, TRACK_KEY_BYTES, t->seed);
}

/* The place of a client, or where it belongs. */
static size_t place_of(const struct tracks *t, const uint8_t *key, uint32_t tag)
{
	size_t at = tag % TRACK_PLACES;

	while (t->place[at].number != 0 &&
	       (t->place[at].tag != tag ||
		memcmp(t->track[t->place[at].number - 1].key, key, TRACK_KEY_BYTES) != 0))
		at = (at + 1) % TRACK_PLACES;
	return at;
}

static struct track *find(const struct tracks *t, const uint8_t *key, uint32_t tag)
{
	const uint32_t number = t->place[place_of(t, key, tag)].number;

	return number != 0 ? &t->track[number - 1] : NULL;
}

struct track *track_find(const struct tracks *t, const uint8_t *key)
{
	return find(t, key, tag_of(t, key));
}

static void fetch(const struct track *x, size_t octets)
{
	for (size_t at = 0; at < octets; at += CACHE_LINE)
		fetch_write((const uint8_t *)x + at);
}

struct track *track_next(const struct tracks *t, size_t *at)
{
	if (*at + AHEAD < t->n)
		fetch(&t->track[*at + AHEAD], HEAD_BYTES);
	return *at < t->n ? &t->track[(*at)++] : NULL;
}

static int make_room(struct tracks *t)
{
	const size_t room = t->room != 0 ? 2 * t->room : 1024;

	if (t->n < t->room)
		return 0;
	struct track *more = realloc(t->track, room * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	t->track = more;
	t->room = room;
	return 0;
}

struct track *track_enter(struct tracks *t, const uint8_t *key)
{
	const uint32_t tag = tag_of(t, key);

	if (t->n == TRACK_CAP || make_room(t) != 0) {
		t->left_out++;
		return NULL;
	}
	struct track *x = &t->track[t->n++];
	memset(x, 0, sizeof(*x));
	memcpy(x->key, key, TRACK_KEY_BYTES);
	t->place[place_of(t, key, tag)] = (struct track_place){tag, (uint32_t)t->n};
	return x;
}

/* Frees a place, and moves up those behind it that could not be found any more. */
static void free_place(struct tracks *t, size_t at)
{
	for (size_t next = (at + 1) % TRACK_PLACES; t->place[next].number != 0;
	     next = (next + 1) % TRACK_PLACES) {
		const size_t home = t->place[next].tag % TRACK_PLACES;
		if ((next - home) % TRACK_PLACES < (next - at) % TRACK_PLACES)
			continue;
		t->place[at] = t->place[next];
		at = next;
	}
	t->place[at] = (struct track_place){0};
}

void track_forget(struct tracks *t, struct track *x)
{
	const struct track *last = &t->track[t->n - 1];

	free_place(t, place_of(t, x->key, tag_of(t, x->key)));
	if (x != last) {
		const size_t at = place_of(t, last->key, tag_of(t, last->key));
		t->place[at].number = (uint32_t)(x - t->track) + 1;
		*x = *last;
	}
	t->n--;
}

/* --- rates --- */

/* Of few queries the moving mean is often too high: then the whole past's counts, too. */
static double rate_of(const struct track *x)
{
	if (x->qps * TRACK_HALF_LIFE_S >= FEW_QUERIES || x->last_s <= x->since_s)
		return x->qps;
	return fmin(x->qps, (double)x->asked / (double)(x->last_s - x->since_s));
}

/* Seconds without a query that would come by chance once in a million. */
static double patience_s(const struct track *x)
{
	const double phi = x->mean > 0 ? x->var / x->mean : 1, rate = rate_of(x);
	const double s = rate > 0 ? fmax(phi, 1) * -log(SILENCE_CHANCE) / rate : INFINITY;

	return fmax(s, SILENCE_LEAST_S);
}

static void learn(const struct tracks *t, struct track *x, double queries)
{
	const double step = x->mean > 0 ? 1 - t->keep : 1, d = queries - x->mean;

	x->mean += step * d;
	/* About the mean that was expected; at first nothing is known. */
	x->var = step == 1 ? queries : t->keep * (x->var + step * d * d);
	x->qps = x->mean / t->interval_s;
}

/* The empty intervals that were no silence. */
static void learn_empty(const struct tracks *t, struct track *x)
{
	for (; x->empty != 0; x->empty--)
		learn(t, x, 0);
}

/* Can the client be missed, and would others be heard? */
static bool is_warm(const struct tracks *t, const struct track *x)
{
	return x->qps * DAY_S >= TRACK_DAY_QUERIES && x->last_s >= x->since_s + TRACK_WARM_S &&
	       x->asked >= TRACK_WARM_QUERIES && t->in->end_s >= t->begun_s + TRACK_WARM_S;
}

static bool is_tap_loss(const struct tracks *t, const struct track *x, uint64_t own)
{
	double others = (double)(t->total_now[x->key[0]] - own),
	       before = t->total[x->key[0]] - x->mean;

	/* Alone at its vantage point: what is heard at the others. */
	for (unsigned v = 0; before < 1 && v < FT_VANTAGE_CAP; v++) {
		others += v != x->key[0] ? (double)t->total_now[v] : 0;
		before += v != x->key[0] ? t->total[v] : 0;
	}
	return t->in->loss_ppm > LOSS_PPM_CAP ||
	       (before >= 1 && (t->in->after_gap || others < before / 2));
}

/* --- silences --- */

static void tell_silence(const struct tracks *t, const struct track *x, bool ends)
{
	const struct track_event e = {
	    .kind = ends ? TRACK_BACK : TRACK_SILENT,
	    .key = x->key,
	    .from_s = x->silent_from_s,
	    .to_s = x->back_s,
	    .qps_before = x->qps_before,
	    .tap_loss = x->tap_loss,
	};

	t->tell(t->ctx, &e);
}

static void fall_silent(struct tracks *t, struct track *x, uint64_t own)
{
	x->silent = true;
	x->tap_loss = is_tap_loss(t, x, own);
	x->silent_from_s = x->last_s;
	x->qps_before = x->qps;
	x->back_s = 0;
	x->back_queries = 0;
	tell_silence(t, x, false);
	if (!x->tap_loss)
		track_match_turns(t, x);
}

static void come_back(struct tracks *t, struct track *x, uint64_t first_s, uint64_t queries)
{
	if (x->back_s == 0)
		x->back_s = first_s;
	x->back_queries += queries;
	if (x->back_queries < SILENCE_END_QUERIES)
		return;
	coupling_leave_out(&x->coupling, x->silent_from_s, x->back_s);
	tell_silence(t, x, true);
	x->silent = false;
	x->since_s += x->back_s - x->silent_from_s; /* time in which it could ask */
	x->empty = 0;
}

/* --- one client --- */

static void couple(struct track *x, const struct track_interval *in, const struct diary_sum *d)
{
	for (uint32_t p = 0; p < d->pages; p++) {
		if (d->page[p] == NULL)
			continue;
		for (uint32_t i = 0; i < DIARY_PAGE_S; i++) {
			const uint32_t *n = d->page[p]->count[i];
			if ((n[0] | n[1]) != 0)
				coupling_add(&x->coupling, in->start_s + p * DIARY_PAGE_S + i, n[0],
					     n[1]);
		}
	}
}

/* A client that asked in this interval. */
struct asker {
	uint8_t key[TRACK_KEY_BYTES];
	bool pair; /* for A or AAAA */
	uint32_t tag;
	uint32_t first_s, last_s; /* of the interval */
	uint64_t queries;
	const struct diary_acc *diary;
};

static void look_at_diary(struct tracks *t, struct track *x, const struct asker *a)
{
	const uint64_t first_s = t->in->start_s + a->first_s, last_s = t->in->start_s + a->last_s;

	coupling_seen(&x->coupling, first_s);
	coupling_seen(&x->coupling, last_s);
	x->couples |= a->pair;
	/* Who asks less than that neither couples nor turns. */
	if (!x->couples && !x->turned && a->queries < TURN_LOOK)
		return;
	const struct diary_sum *d = diary_acc_read(a->diary, &t->scratch);
	if (d == NULL)
		return;
	if (x->couples)
		couple(x, t->in, d);
	track_look_at_servers(t, x, first_s, last_s, d);
}

static bool may_enter(const struct tracks *t, uint64_t queries)
{
	return queries >= TRACK_ENTER || t->n < TRACK_SLOW_CAP;
}

static void see(struct tracks *t, const struct asker *a)
{
	const uint64_t first_s = t->in->start_s + a->first_s, last_s = t->in->start_s + a->last_s;
	struct track *x = find(t, a->key, a->tag);

	if (x == NULL) {
		x = may_enter(t, a->queries) ? track_enter(t, a->key) : NULL;
		if (x == NULL)
			return;
		x->since_s = x->last_s = first_s;
	}
	x->seen = true;
	if (!x->silent && is_warm(t, x) && first_s > x->last_s &&
	    (double)(first_s - x->last_s) >= patience_s(x))
		fall_silent(t, x, a->queries);
	if (x->silent)
		come_back(t, x, first_s, a->queries);
	look_at_diary(t, x, a);
	if (last_s > x->last_s)
		x->last_s = last_s;
	x->asked += a->queries;
	if (x->silent) /* a query or two */
		return;
	learn_empty(t, x);
	learn(t, x, (double)a->queries);
}

static bool is_missing(const struct tracks *t, const struct track *x)
{
	const uint64_t known_s = track_known_s(t);
	const double gap_s = known_s > x->last_s + 1 ? (double)(known_s - 1 - x->last_s) : 0;

	return !x->silent && !x->turned && gap_s >= SILENCE_LEAST_S && is_warm(t, x) &&
	       gap_s >= patience_s(x);
}

/* Behind what was seen: is somebody missing by now? */
static void miss(struct tracks *t, struct track *x)
{
	const bool seen = x->seen;

	x->seen = false;
	if (x->turned)
		track_end_turn(t, x);
	if (x->silent)
		return;
	if (is_missing(t, x))
		fall_silent(t, x, 0);
	else if (!seen)
		x->empty++;
}

/* --- an interval --- */

struct askers {
	struct tracks *t;
	struct asker *v;
	size_t n, cap;
};

static void gather(void *ctx, const struct table_sum *sum)
{
	struct askers *o = ctx;
	const uint64_t queries = ft_table_queries(FT_TABLE_CLIENTS, sum->c);

	o->t->total_now[sum->vantage] += queries;
	if (o->n == o->cap) {
		const size_t cap = o->cap != 0 ? 2 * o->cap : 1024;
		struct asker *more = realloc(o->v, cap * sizeof(*more));
		if (more == NULL)
			return;
		o->v = more;
		o->cap = cap;
	}
	struct asker *a = &o->v[o->n++];
	*a = (struct asker){
	    .key = {sum->vantage},
	    .pair = (sum->c[FT_CLIENT_QGROUP + FT_QGROUP_A] |
		     sum->c[FT_CLIENT_QGROUP + FT_QGROUP_AAAA]) != 0,
	    .tag = (uint32_t)sum->hash, /* of the same octets by the same seed */
	    .first_s = sum->first_s,
	    .last_s = sum->last_s,
	    .queries = queries,
	    .diary = sum->diary,
	};
	memcpy(a->key + 1, sum->id, 16);
}

static void fetch_place(const struct tracks *t, const struct asker *a)
{
	fetch_read(&t->place[a->tag % TRACK_PLACES]);
}

/* The track of a client, if its place is there by now. */
static void fetch_track(const struct tracks *t, const struct asker *a, size_t octets)
{
	size_t at = a->tag % TRACK_PLACES;

	while (t->place[at].number != 0 && t->place[at].tag != a->tag)
		at = (at + 1) % TRACK_PLACES;
	if (t->place[at].number != 0)
		fetch(&t->track[t->place[at].number - 1], octets);
}

/* Leaves only those that are tracked, or may be. */
static void leave_wanted(const struct tracks *t, struct askers *o)
{
	size_t kept = 0;

	for (size_t i = 0; i < o->n; i++) {
		if (i + 2 * AHEAD < o->n)
			fetch_place(t, &o->v[i + 2 * AHEAD]);
		if (i + AHEAD < o->n)
			fetch_track(t, &o->v[i + AHEAD], CACHE_LINE);
		if (may_enter(t, o->v[i].queries) || find(t, o->v[i].key, o->v[i].tag) != NULL)
			o->v[kept++] = o->v[i];
	}
	o->n = kept;
}

static void see_all(struct tracks *t, const struct askers *o)
{
	for (size_t i = 0; i < o->n; i++) {
		if (i + 2 * AHEAD < o->n) {
			fetch_place(t, &o->v[i + 2 * AHEAD]);
			fetch_read(o->v[i + 2 * AHEAD].diary);
		}
		if (i + AHEAD / 2 < o->n) {
			fetch_track(t, &o->v[i + AHEAD / 2], sizeof(struct track));
			diary_acc_fetch(o->v[i + AHEAD / 2].diary);
		}
		see(t, &o->v[i]);
	}
}

static int order_askers(const void *left, const void *right)
{
	return memcmp(left, right, TRACK_KEY_BYTES);
}

static int order_tracks(const void *left, const void *right)
{
	return memcmp((*(struct track *const *)left)->key, (*(struct track *const *)right)->key,
		      TRACK_KEY_BYTES);
}

/* All tracked clients by rising key; NULL: no memory. */
static struct track **sorted(const struct tracks *t)
{
	struct track **v = malloc((t->n + 1) * sizeof(struct track *)), *x;
	size_t at = 0, n = 0;

	while (v != NULL && (x = track_next(t, &at)) != NULL)
		v[n++] = x;
	if (v != NULL)
		qsort(v, n, sizeof(*v), order_tracks);
	return v;
}

#define SILENT_KEEP_S (7u * 86400u) /* then it is gone for good */
#define ROOMY_S 3600u               /* where there is room, whoever asked within that stays */

static bool is_over(const struct tracks *t, const struct track *x, size_t tracked)
{
	const bool warm = x->last_s >= x->since_s + TRACK_WARM_S;
	/* Who was there only for a while has nothing that could be missed. */
	const double qps = warm ? x->qps : x->qps * pow(t->keep, x->empty);
	struct coupling_result r;

	if (x->silent)
		return x->silent_from_s + SILENT_KEEP_S < t->in->end_s;
	if (tracked < TRACK_SLOW_CAP && x->empty * (uint64_t)t->interval_s < ROOMY_S)
		return false;
	return !x->turned && qps * DAY_S < TRACK_DAY_QUERIES && !coupling_get(&x->coupling, &r);
}

/* Looks for who is missing. Those of whom there may be something to tell come by rising
 * key. */
static void miss_all(struct tracks *t)
{
	struct track **v = malloc((t->n + 1) * sizeof(struct track *)), *x;
	size_t n = 0, at = 0;

	if (v == NULL)
		return;
	while ((x = track_next(t, &at)) != NULL) {
		if (x->turned || is_missing(t, x))
			v[n++] = x;
		else
			miss(t, x);
	}
	qsort(v, n, sizeof(*v), order_tracks);
	for (size_t i = 0; i < n; i++)
		miss(t, v[i]);
	free(v);
}

/* After a flood: what is far too long for those that are left is given back. */
static void give_back(struct tracks *t)
{
	const size_t room = t->room / 2;

	if (room < TRACK_SLOW_CAP || t->n > room / 2)
		return;
	struct track *less = realloc(t->track, room * sizeof(*less));
	if (less == NULL)
		return;
	t->track = less;
	t->room = room;
}

/* Forgets who asks too seldom. */
static void forget_some(struct tracks *t)
{
	const size_t was = t->n; /* whether there is room does not change meanwhile */

	for (size_t i = 0; i < t->n;) {
		struct track *x = &t->track[i];
		if (i + AHEAD < t->n)
			fetch(&t->track[i + AHEAD], HEAD_BYTES);
		if (is_over(t, x, was) || x->empty * (uint64_t)t->interval_s > DAY_S)
			track_forget(t, x);
		else
			i++;
	}
	give_back(t);
}

static void age_turns(struct tracks *t)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < t->turns; i++)
		if (t->turn[i].at_s + TURNS_KEEP_S > t->in->end_s)
			t->turn[kept++] = t->turn[i];
	t->turns = kept;
}

void tracks_step(struct tracks *t, const struct track_interval *in,
		 void (*tell)(void *ctx, const struct track_event *e), void *ctx)
{
	struct askers o = {.t = t};

	t->in = in;
	t->tell = tell;
	t->ctx = ctx;
	if (t->begun_s == 0)
		t->begun_s = in->start_s;
	t->looked_up = 0;
	memset(t->total_now, 0, sizeof(t->total_now));
	tables_each(in->tables, FT_TABLE_CLIENTS, gather, &o);
	leave_wanted(t, &o);
	if (o.n != 0)
		qsort(o.v, o.n, sizeof(*o.v), order_askers);
	see_all(t, &o);
	free(o.v);
	miss_all(t);
	forget_some(t);
	age_turns(t);
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		t->total[v] +=
		    (t->total[v] > 0 ? 1 - t->keep : 1) * ((double)t->total_now[v] - t->total[v]);
}

void tracks_end_day(struct tracks *t,
		    void (*tell)(void *ctx, const uint8_t *key, const struct coupling_result *r),
		    void *ctx)
{
	struct track **v = sorted(t);
	struct coupling_result r;

	for (size_t i = 0; v != NULL && i < t->n; i++) {
		if (coupling_get(&v[i]->coupling, &r))
			tell(ctx, v[i]->key, &r);
		v[i]->coupling = (struct coupling){0};
		v[i]->couples = false;
	}
	free(v);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `integrity`: changes of watched RRsets and their ends, and how well they were seen.
 *
 * Observations of an interval wait until it closes, are laid in order of time and go
 * through the state of their RRset and side (integrity_state.h): no order between workers
 * shows. What cannot be kept of an interval is counted. Control's thread. */
#include "integrity.h"

#include "../../dataplane/name.h"
#include "../rules.h"
#include "integrity_stat.h"

#include <fluxtap/rec_integrity.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_US (DAY_S * 1000000ull)

uint64_t integrity_alarms(const void *stat)
{
	return atomic_load_explicit(&((const struct integrity *)stat)->alarms,
				    memory_order_relaxed);
}

/* --- life --- */

void integrity_watched_fini(struct watched *w)
{
	for (unsigned i = 0; i < SIDES; i++)
		if (w->made[i])
			integrity_machine_fini(&w->side[i]);
}

static void integrity_destroy_stat(void *stat)
{
	struct integrity *s = stat;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		integrity_watched_fini(&s->v[i]);
	while (s->rows != NULL)
		integrity_row_free(rows_pop(&s->rows));
	free(s->v);
	free(s->host);
	free(s);
}

static void *integrity_create_stat(const struct stat_run *run)
{
	struct integrity *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static int integrity_record(void *stat, const struct stat_record *rec)
{
	struct integrity *s = stat;

	if (rec->hdr->type < FT_REC_INTEGRITY || rec->hdr->type > FT_REC_INTEGRITY_ADDR)
		return 0;
	return integrity_rows_add(&s->rows, s->run->sample_key, rec);
}

static uint64_t integrity_first_row(const void *stat)
{
	return rows_first(((const struct integrity *)stat)->rows);
}

/* --- the list --- */

static int order_watched(const void *left, const void *right)
{
	const struct watched *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->qtype > b->qtype) - (a->qtype < b->qtype);
}

static struct watched *find(struct watched *v, size_t n, uint64_t key, uint16_t qtype)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (v[mid].key < key || (v[mid].key == key && v[mid].qtype < qtype))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && v[lo].key == key && v[lo].qtype == qtype ? &v[lo] : NULL;
}

struct watched *integrity_find(const struct integrity *s, uint64_t key, uint16_t qtype)
{
	return find(s->v, s->n, key, qtype);
}

/* The nearest entry of a type at or above the owner. */
static size_t find_zone(const struct integrity *s, const struct watchlist_entry *e, uint16_t qtype)
{
	for (uint32_t at = 0;; at += e->owner[at] + 1u) {
		const uint64_t key = name_hash(e->owner + at, e->owner_len - at, s->run->name_seed);
		const struct watched *w = find(s->v, s->n, key, qtype);
		if (w != NULL)
			return (size_t)(w - s->v);
		if (e->owner[at] == 0)
			return NO_ZONE;
	}
}

static uint64_t learn_until(const struct integrity *s, uint64_t now_us)
{
	/* A line that came later is learned from then on. */
	return (s->n == 0 ? s->begin_us : now_us) + INTEGRITY_LEARN_US;
}

int integrity_adopt_list(struct integrity *s, uint64_t now_us)
{
	const struct watchlist *list = s->run->rules != NULL ? rules_watch(s->run->rules) : NULL;
	const size_t n = list != NULL ? list->n : 0;
	const uint64_t until_us = learn_until(s, now_us);

	/* The old list is gone by now: not a word of it is looked at. */
	if (list == NULL || list->serial == s->serial)
		return 0;
	struct watched *v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		v[i].entry = &list->v[i];
		v[i].qtype = list->v[i].qtype;
		v[i].key = name_hash(list->v[i].owner, list->v[i].owner_len, s->run->name_seed);
	}
	qsort(v, n, sizeof(*v), order_watched);
	for (size_t i = 0; i < n; i++) {
		const struct watchlist_entry *e = v[i].entry;
		struct watched *old = find(s->v, s->n, v[i].key, e->qtype);
		if (old != NULL) {
			v[i] = *old;
			v[i].entry = e;
			memset(old->made, 0, sizeof(old->made));
			for (unsigned k = 0; k < SIDES; k++) /* they point into themselves */
				v[i].side[k].notes_end = &v[i].side[k].notes;
		}
		for (unsigned k = 0; k < SIDES; k++) {
			if (!v[i].made[k])
				integrity_machine_init(&v[i].side[k], e->qtype, k == PARENT,
						       until_us);
			v[i].made[k] = true;
			integrity_machine_config(&v[i].side[k], e);
		}
	}
	for (size_t i = 0; i < s->n; i++)
		integrity_watched_fini(&s->v[i]);
	free(s->v);
	s->v = v;
	s->n = n;
	s->list = list;
	s->serial = list->serial;
	for (size_t i = 0; i < n; i++) {
		v[i].zone = find_zone(s, v[i].entry, FT_QTYPE_NS);
		v[i].ds = find_zone(s, v[i].entry, FT_QTYPE_DS);
		(void)integrity_host_add_set(s, v[i].key, v[i].qtype, &v[i].entry->baseline);
	}
	return 0;
}

/* --- an interval --- */

static void cover_one(struct watched *w, const struct ft_integrity *x, uint64_t t_us,
		      uint64_t count, bool auth)
{
	w->cover.observations += count;
	w->cover.by_vantage[x->what & FT_INTEGRITY_VANTAGE] += count;
	if (!auth)
		return;
	const uint64_t slot = t_us % DAY_US / SLOT_US;
	w->cover.slots[slot / 64] |= 1ull << slot % 64;
	w->last_auth_us = t_us > w->last_auth_us ? t_us : w->last_auth_us;
}

static uint64_t hash_addr(const struct integrity *s, const uint8_t *addr)
{
	return XXH3_64bits_withSeed(addr, 16, s->run->name_seed) | 1;
}

/* What is known of the zone's DS, for those below it. */
static void note_ds(struct integrity *s, struct watched *w, const struct ft_integrity *x,
		    const struct rdset *set)
{
	const int8_t ds = (x->facts & FT_INTEGRITY_DS) != 0      ? 1
			  : (x->facts & FT_INTEGRITY_NO_DS) != 0 ? 0
								 : -1;

	if (ds >= 0 && w->entry->qtype == FT_QTYPE_NS)
		w->side[CHILD].ds = w->side[PARENT].ds = ds;
	int8_t known = -1;
	if (w->zone != NO_ZONE)
		known = s->v[w->zone].side[PARENT].ds;
	if (w->ds != NO_ZONE) {
		const struct integrity_machine *m = &s->v[w->ds].side[PARENT];
		if (m->observed || m->known)
			known = (m->changed ? m->shown.bytes : m->base.bytes) != 0;
	}
	if (w->qtype == FT_QTYPE_DS)
		known = set->bytes != 0;
	if (known >= 0)
		w->side[CHILD].ds = w->side[PARENT].ds = known;
}

static int see(struct integrity *s, const struct integrity_seen *o)
{
	const struct ft_integrity *x = o->x;
	struct watched *w = find(s->v, s->n, x->owner_key, x->qtype);
	const bool parent = (x->what & FT_INTEGRITY_PARENT) != 0;

	if (w == NULL)
		return 0; /* not on the list any more */
	const bool own = (x->what & FT_INTEGRITY_VANTAGE) == FT_VANTAGE_AUTH;
	const bool referral = (x->what & FT_INTEGRITY_REFERRAL) != 0;
	const bool auth = referral || ((x->what & FT_INTEGRITY_AA) != 0 &&
				       (own || integrity_is_known_server(s, w, x->server)));
	note_ds(s, w, x, o->set);
	cover_one(w, x, o->t_us, o->count, auth);
	const struct integrity_event e = {
	    .t_us = o->t_us,
	    .client = auth ? hash_addr(s, x->client) : 0,
	    .server = hash_addr(s, x->server),
	    .set = o->set,
	    .count = o->count,
	    .ttl = x->ttl,
	    .rrsig_s = x->rrsig_s,
	    .ede = x->ede,
	    .facts = x->facts,
	    .vantage = x->what & FT_INTEGRITY_VANTAGE,
	    .cached = !auth,
	    .own = own && auth,
	};
	int result = integrity_machine_see(&w->side[parent ? PARENT : CHILD], w->entry, &e);
	if (result == 0 && auth)
		result = integrity_host_add_set(s, w->key, x->qtype, o->set);
	return result;
}

/* --- closing --- */

/* The day is over, or the input is. */
static void end_day(struct integrity *s, uint64_t now_us)
{
	const uint64_t start_s = (s->day - 1) * DAY_S;

	for (size_t i = 0; i < s->list->n; i++) { /* in the list's order: keys differ by run */
		const struct watchlist_entry *e = &s->list->v[i];
		struct watched *w = find(
		    s->v, s->n, name_hash(e->owner, e->owner_len, s->run->name_seed), e->qtype);
		if (w != NULL)
			integrity_write_cover(s, w, start_s, now_us);
	}
	s->day = s->day_left_out = s->day_loss_ppm = 0;
}

static bool parent_is_off(const struct integrity *s, const struct watched *w)
{
	return (w->zone != NO_ZONE && integrity_machine_is_off(&s->v[w->zone].side[PARENT])) ||
	       (w->ds != NO_ZONE && integrity_machine_is_off(&s->v[w->ds].side[PARENT]));
}

/* The end of the interval for all, in the list's order. */
static int step_all(struct integrity *s, uint64_t now_us)
{
	bool *off = calloc(s->n + 1, sizeof(*off));
	int result = off != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; off != NULL && i < s->n; i++)
		off[i] = parent_is_off(s, &s->v[i]);
	for (size_t i = 0; result == 0 && i < s->list->n; i++) {
		const struct watchlist_entry *e = &s->list->v[i];
		struct watched *w = find(
		    s->v, s->n, name_hash(e->owner, e->owner_len, s->run->name_seed), e->qtype);
		s->telling = w;
		for (unsigned k = 0; k < SIDES && w != NULL && result == 0; k++)
			result = integrity_machine_step(&w->side[k], w->entry, now_us,
							off[w - s->v], integrity_tell, s);
	}
	free(off);
	return result;
}

static int lay_row(struct integrity *s, struct integrity_row *r)
{
	const uint64_t empty_key = XXH3_64bits_withSeed("", 0, s->run->name_seed);
	struct integrity_seen *v = NULL;
	size_t n = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < r->addrs; i++)
		result = integrity_host_add(s, r->addr[i].host_key, r->addr[i].addr);
	if (result == 0)
		result = integrity_row_lay(r, empty_key, &v, &n);
	for (size_t i = 0; result == 0 && i < n; i++)
		result = see(s, &v[i]);
	integrity_row_unlay(r, v);
	s->day_left_out += r->left_out;
	return result;
}

static void integrity_close(void *stat, struct stat_interval *in)
{
	struct integrity *s = stat;
	struct integrity_row *r = rows_is_first(s->rows, in->row) ? rows_pop(&s->rows) : NULL;
	const uint64_t now_us = in->end_s * 1000000;
	int result;

	if (s->begin_us == 0)
		s->begin_us = in->start_s * 1000000;
	s->in = in;
	s->end_us = now_us;
	result = integrity_adopt_list(s, in->start_s * 1000000);
	if (s->list == NULL || s->list->n == 0)
		goto done;
	if (s->day != 0 && s->day - 1 != in->start_s / DAY_S)
		end_day(s, s->day * DAY_US);
	s->day = in->start_s / DAY_S + 1;
	if (in->loss_ppm > s->day_loss_ppm)
		s->day_loss_ppm = in->loss_ppm;
	if (result == 0 && r != NULL)
		result = lay_row(s, r);
	if (result == 0)
		result = step_all(s, now_us);
	if (in->end_s % DAY_S == 0)
		end_day(s, now_us);
	if (result != 0 && !s->failed && s->run->alarm != NULL)
		s->run->alarm(s->run->ctx, "set integrity: not enough memory; changes of watched "
					   "names may go unseen");
	s->failed |= result != 0;
done:
	integrity_row_free(r);
	s->in = NULL;
}

static void integrity_end(void *stat)
{
	struct integrity *s = stat;

	if (s->day != 0 && integrity_adopt_list(s, s->end_us) == 0)
		end_day(s, s->end_us);
}

const struct stat_ops stat_integrity = {
    .set = "integrity",
    .create = integrity_create_stat,
    .record = integrity_record,
    .first_row = integrity_first_row,
    .close = integrity_close,
    .end = integrity_end,
    .destroy = integrity_destroy_stat,
    .state = "integrity",
    .save = integrity_save,
    .load = integrity_load,
};

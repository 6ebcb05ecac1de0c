/* SPDX-License-Identifier: BSD-3-Clause */
/* Read integrity_machine_see() first. */
#include "integrity_parts.h"

#include <fluxtap/rec_integrity.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SET_CAP 16384u /* octets */
#define HOLD_US (300ull * SECOND_US)
#define SHORT_US (3600ull * SECOND_US)
#define STABLE 3u /* observations of a set that holds another one */

/* --- life --- */

void integrity_machine_init(struct integrity_machine *m, uint16_t qtype, bool parent,
			    uint64_t learn_until_us)
{
	*m = (struct integrity_machine){.qtype = qtype,
					.parent = parent,
					.learn_until_us = learn_until_us,
					.ds = -1,
					.ad = -1,
					.rrsig = -1};
	m->notes_end = &m->notes;
}

static void candidate_free(struct integrity_candidate *c)
{
	if (c == NULL)
		return;
	rdset_fini(&c->set);
	group_fini(&c->by);
	free(c);
}

static void note_free(struct integrity_note *n)
{
	rdset_fini(&n->old_set);
	rdset_fini(&n->new_set);
	free(n);
}

static void forget_change(struct integrity_machine *m)
{
	rdset_fini(&m->shown);
	rdset_fini(&m->all);
	group_fini(&m->by);
	m->changed = m->classed = m->others = false;
	m->flags = 0;
	m->class = INTEGRITY_NONE;
	m->revert_hi_us = m->others_us = 0;
}

void integrity_machine_fini(struct integrity_machine *m)
{
	for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++)
		candidate_free(m->candidate[i]);
	while (m->notes != NULL) {
		struct integrity_note *n = m->notes;
		m->notes = n->next;
		note_free(n);
	}
	forget_change(m);
	rdset_fini(&m->base);
	rdset_fini(&m->accepted);
	rdset_fini(&m->past);
	group_fini(&m->ttl_by);
	group_fini(&m->unsigned_by);
	*m = (struct integrity_machine){0};
}

bool integrity_machine_is_off(const struct integrity_machine *m)
{
	bool off = m->changed;

	for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++)
		off |= m->candidate[i] != NULL && m->candidate[i]->by.seen != 0;
	return off;
}

/* --- notes --- */

struct integrity_note *integrity_note_add(struct integrity_machine *m, enum integrity_state state,
					  const struct rdset *old_set, const struct rdset *new_set)
{
	struct integrity_note *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	if (rdset_copy(&n->old_set, old_set->data, old_set->bytes) != 0 ||
	    rdset_copy(&n->new_set, new_set->data, new_set->bytes) != 0) {
		note_free(n);
		return NULL;
	}
	n->state = state;
	n->auth = INTEGRITY_UNKNOWN;
	n->ttl_old = n->ttl_new = m->has_ttl ? m->ttl : INTEGRITY_NO_TTL;
	n->vantage = m->vantage;
	*m->notes_end = n;
	m->notes_end = &n->next;
	return n;
}

static uint32_t set_flags(const struct integrity_machine *m, const struct integrity_candidate *c)
{
	uint32_t flags =
	    c->set.bytes != 0 && m->base.bytes != 0 ? integrity_ttl_flags(m, c->ttl) : 0;

	if (m->qtype == FT_QTYPE_DS)
		flags |= c->set.bytes == 0 ? integrity_bit(INTEGRITY_DS_REMOVED)
					   : integrity_bit(INTEGRITY_DS_CHANGED);
	return flags;
}

/* --- sets --- */

/* Part of the baseline in some rotation; nothing is part of nothing alone. */
static bool is_base(const struct integrity_machine *m, const struct rdset *set)
{
	return rdset_is_subset(set, &m->base) &&
	       (set->bytes != 0 || m->base.bytes == 0 || m->may_be_empty);
}

static bool is_part(const struct rdset *set, const struct rdset *whole)
{
	return rdset_is_subset(set, whole) && (set->bytes != 0 || whole->bytes == 0);
}

/* The baseline, but not all of it. Of glue servers leave out what does not fit. */
static bool is_less(const struct integrity_machine *m, const struct rdset *set)
{
	const bool glue = m->parent && (m->qtype == FT_QTYPE_A || m->qtype == FT_QTYPE_AAAA);

	return !glue && set->bytes != 0 && set->bytes < m->base.bytes &&
	       rdset_is_subset(set, &m->base);
}

static bool is_allowed(const struct integrity_machine *m, const struct watchlist_entry *e,
		       const struct rdset *set)
{
	struct rdata r;

	if (is_less(m, set))
		return false;
	for (uint32_t at = 0; rdset_next(set, &at, &r);)
		if (!rdset_has(&m->base, &r) && !watchlist_allows(e, &r))
			return false;
	return set->bytes != 0;
}

static int accept_set(struct integrity_machine *m, const struct rdset *set)
{
	int result = rdset_add(&m->base, set, SET_CAP);

	m->whole_n = 0;
	if (result == -E2BIG) /* so many were accepted that the oldest have to go */
		result = rdset_copy(&m->base, set->data, set->bytes);
	if (result == 0)
		result = rdset_add(&m->accepted, set, SET_CAP);
	if (result == -E2BIG)
		result = rdset_copy(&m->accepted, set->data, set->bytes);
	return result;
}

/* The change is over because it is allowed. */
static void accept_change(struct integrity_machine *m)
{
	struct integrity_note *n = integrity_note_add(m, INTEGRITY_ACCEPTED, &m->base, &m->all);

	if (n != NULL) {
		n->data = true;
		n->auth = INTEGRITY_AUTHORISED;
		n->ttl_old = m->has_ttl ? m->base_ttl : INTEGRITY_NO_TTL;
		n->onset_lo_us = m->onset_lo_us;
		n->onset_hi_us = m->onset_hi_us;
		n->clients = m->by.clients.n;
		n->servers = m->by.servers.n;
		n->flags = m->flags;
	}
	(void)accept_set(m, &m->all);
	m->base_ttl = m->new_ttl;
	m->last_base_us = m->last_new_us;
	forget_change(m);
}

void integrity_machine_config(struct integrity_machine *m, const struct watchlist_entry *e)
{
	if (!e->has_baseline) {
		if (m->changed && is_allowed(m, e, &m->all))
			accept_change(m);
		return;
	}
	const bool covers = m->changed && is_part(&m->all, &e->baseline);
	if (m->changed && (covers || is_allowed(m, e, &m->all)))
		accept_change(m);
	m->whole_n = 0;
	if (rdset_copy(&m->base, e->baseline.data, e->baseline.bytes) == 0)
		(void)rdset_add(&m->base, &m->accepted, SET_CAP);
	m->known = true;
}

/* --- observations --- */

/* When what a cache says came from a server, as far as is known, and not too early. */
static uint64_t origin_us(const struct integrity_machine *m, const struct integrity_event *x)
{
	uint32_t ttl = 0;

	if (!x->cached || x->set->bytes == 0)
		return x->t_us;
	if (m->changed && is_part(x->set, &m->all))
		ttl = m->new_ttl;
	else if (m->has_ttl && is_base(m, x->set))
		ttl = m->changed ? m->base_ttl : m->ttl;
	if (ttl <= x->ttl)
		return x->t_us;
	const uint64_t age_us = (uint64_t)(ttl - x->ttl) * SECOND_US;
	return age_us < x->t_us ? x->t_us - age_us : 0;
}

static int learn(struct integrity_machine *m, const struct integrity_event *x)
{
	const int result = rdset_add(&m->base, x->set, SET_CAP);

	m->observed = true;
	m->clipped |= result == -E2BIG;
	m->may_be_empty |= x->set->bytes == 0;
	if (x->t_us > m->last_base_us)
		m->last_base_us = x->t_us;
	return result == -ENOMEM ? result : x->cached ? 0 : integrity_see_ttl(m, x);
}

/* Suspicions that this view has given up; others' are marked. */
static void weigh_candidates(struct integrity_machine *m, const struct integrity_event *x,
			     uint64_t t0_us)
{
	for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++) {
		struct integrity_candidate *c = m->candidate[i];
		if (c == NULL || t0_us < c->first_us || is_less(m, &c->set))
			continue;
		const bool by_caches = c->by.seen == 0;
		const bool same = by_caches ? views_has(&c->by.servers, x->server)
					    : !x->cached && views_has(&c->by.clients, x->client);
		if (!same) {
			c->others |= !x->cached || by_caches;
			continue;
		}
		if (t0_us <= c->last_us ||
		    (!by_caches && (c->by.pairs.n > 1 || !group_has_pair(&c->by, x))))
			continue;
		candidate_free(c);
		m->candidate[i] = NULL;
	}
}

static int see_base(struct integrity_machine *m, const struct integrity_event *x, uint64_t t0_us)
{
	if (!m->changed) {
		/* A cache rounds to whole seconds. */
		const uint64_t sure_us = x->cached ? t0_us - SECOND_US : t0_us;
		if (sure_us > m->last_base_us)
			m->last_base_us = sure_us;
		weigh_candidates(m, x, t0_us);
		return x->cached ? 0 : integrity_see_ttl(m, x);
	}
	if (x->cached) {
		if (t0_us > m->onset_lo_us + SECOND_US && t0_us < m->onset_hi_us)
			m->onset_lo_us = t0_us - SECOND_US;
		return 0;
	}
	if (t0_us <= m->onset_hi_us)
		return 0;
	if (!views_has(&m->by.clients, x->client))
		m->others = true;
	if (m->others && m->others_us == 0)
		m->others_us = t0_us;
	if (m->revert_hi_us == 0)
		m->revert_hi_us = t0_us;
	return 0;
}

/* One of the sets that the change brought. */
static int see_change(struct integrity_machine *m, const struct integrity_event *x, uint64_t t0_us)
{
	if (x->cached) {
		if (t0_us + SECOND_US < m->onset_hi_us && t0_us > m->onset_lo_us)
			m->onset_hi_us = t0_us + SECOND_US;
		return 0;
	}
	m->last_new_us = t0_us > m->last_new_us ? t0_us : m->last_new_us;
	m->revert_hi_us = 0;
	const int result = group_add(&m->by, x);
	if (result == 0 && x->set->bytes != 0)
		m->new_ttl = x->ttl;
	return result != 0 ? result : integrity_see_ttl(m, x);
}

static struct integrity_candidate **find_candidate(struct integrity_machine *m,
						   const struct rdset *set)
{
	struct integrity_candidate **oldest = &m->candidate[0];

	for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++)
		if (m->candidate[i] != NULL && rdset_equal(&m->candidate[i]->set, set))
			return &m->candidate[i];
	for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++) {
		if (m->candidate[i] == NULL)
			return &m->candidate[i];
		if (m->candidate[i]->last_us < (*oldest)->last_us)
			oldest = &m->candidate[i];
	}
	candidate_free(*oldest);
	*oldest = NULL;
	return oldest;
}

static bool is_confirmed(const struct integrity_machine *m, const struct integrity_candidate *c)
{
	/* One that only has more may be the whole of which others gave a part. */
	const bool more = m->base.bytes != 0 && rdset_is_subset(&m->base, &c->set);

	return group_confirms(&c->by, more || is_less(m, &c->set) ? STABLE : 1, c->own);
}

/* The candidate is what holds now. */
static int confirm(struct integrity_machine *m, const struct watchlist_entry *e,
		   struct integrity_candidate *c)
{
	const bool allowed = is_allowed(m, e, &c->set);
	struct integrity_note *n =
	    integrity_note_add(m, allowed ? INTEGRITY_ACCEPTED : INTEGRITY_CHANGED,
			       m->changed ? &m->shown : &m->base, &c->set);

	if (n == NULL)
		return -ENOMEM;
	n->data = true;
	n->auth = allowed ? INTEGRITY_AUTHORISED : INTEGRITY_UNAUTHORISED;
	n->ttl_new = c->set.bytes != 0 ? c->ttl : INTEGRITY_NO_TTL;
	n->onset_lo_us = c->lo_us;
	n->onset_hi_us = c->first_us;
	n->flags = set_flags(m, c);
	n->clients = c->by.clients.n;
	n->servers = c->by.servers.n;
	n->vantage = c->vantage;
	if (allowed) {
		const int result = accept_set(m, &c->set);
		m->last_base_us = c->last_us;
		if (!m->changed && c->set.bytes != 0) {
			m->has_ttl = true;
			m->ttl = m->base_ttl = c->ttl;
		}
		return result;
	}
	if (!m->changed) {
		m->onset_lo_us = c->lo_us;
		m->onset_hi_us = c->first_us;
		m->vantage = c->vantage;
		m->others = c->others;
	}
	m->changed = true;
	m->flags |= n->flags;
	m->last_new_us = c->last_us;
	m->revert_hi_us = 0;
	if (c->set.bytes != 0) {
		m->new_ttl = m->ttl = c->ttl;
		m->ttl_last_us = c->last_us;
	}
	int result = rdset_copy(&m->shown, c->set.data, c->set.bytes);
	if (result == 0)
		result = rdset_add(&m->all, &c->set, SET_CAP);
	if (result == -E2BIG)
		result = rdset_copy(&m->all, c->set.data, c->set.bytes);
	return result == 0 ? group_merge(&m->by, &c->by) : result;
}

static int see_other(struct integrity_machine *m, const struct watchlist_entry *e,
		     const struct integrity_event *x, uint64_t t0_us)
{
	/* What a cache still has of a change that is over. */
	if (x->cached && m->past_us != 0 && x->t_us < m->past_us + DAY_US &&
	    is_part(x->set, &m->past))
		return 0;
	struct integrity_candidate **place = find_candidate(m, x->set), *c = *place;
	int result = 0;
	if (c == NULL) {
		c = calloc(1, sizeof(*c));
		if (c == NULL || rdset_copy(&c->set, x->set->data, x->set->bytes) != 0) {
			free(c);
			return -ENOMEM;
		}
		c->first_us = t0_us;
		c->lo_us = m->changed ? m->last_new_us : m->last_base_us;
		c->vantage = x->vantage;
		*place = c;
	}
	c->last_us = t0_us > c->last_us ? t0_us : c->last_us;
	if (!x->cached && c->by.seen == 0) /* caches alone do not count */
		group_fini(&c->by);
	if (!x->cached) {
		c->own |= x->own;
		c->ttl = x->ttl;
	}
	if (!x->cached || c->by.seen == 0)
		result = group_add(&c->by, x);
	if (result != 0 || !is_confirmed(m, c))
		return result;
	*place = NULL;
	result = confirm(m, e, c);
	candidate_free(c);
	return result;
}

/* The baseline or a part of it, where nothing else holds. A part is a rotation, but where all
 * of it was seen in a row, and then the same part as often (DOMAIN.md 1.3). */
static int see_part(struct integrity_machine *m, const struct watchlist_entry *e,
		    const struct integrity_event *x, uint64_t t0_us)
{
	const bool less = is_less(m, x->set);
	int result = 0;

	for (unsigned i = 0; i < INTEGRITY_CANDIDATES && !x->cached; i++) {
		struct integrity_candidate *c = m->candidate[i];
		if (c == NULL || !is_less(m, &c->set) || rdset_equal(&c->set, x->set))
			continue;
		candidate_free(c);
		m->candidate[i] = NULL;
	}
	if (!x->cached && !less && rdset_equal(x->set, &m->base))
		m->whole_n =
		    m->whole_n + x->count < STABLE ? m->whole_n + (uint32_t)x->count : STABLE;
	else if (!x->cached && m->whole_n < STABLE)
		m->whole_n = 0;
	if (!x->cached && less && m->whole_n == STABLE)
		result = see_other(m, e, x, t0_us);
	return result == 0 && !m->changed ? see_base(m, x, t0_us) : result;
}

int integrity_machine_see(struct integrity_machine *m, const struct watchlist_entry *e,
			  const struct integrity_event *x)
{
	const uint64_t t0_us = origin_us(m, x);
	int result = x->cached ? integrity_see_ad(m, x) : 0;

	if (x->ede != 0)
		m->ede = x->ede;
	if (result == 0 && !x->cached && x->set->bytes != 0 && !m->parent)
		result = integrity_see_signatures(m, x);
	if (result != 0)
		return result;
	if (!m->known && m->observed && x->t_us >= m->learn_until_us)
		m->known = true;
	if (!m->known && !m->observed && x->t_us >= m->learn_until_us)
		m->learn_until_us = x->t_us + INTEGRITY_LEARN_US;
	if (!m->known)
		return learn(m, x);
	if (m->clipped) /* too many for a baseline: nothing can be said */
		return 0;
	const bool holds = m->changed && is_part(x->set, &m->all);
	if (is_base(m, x->set) && !(holds && is_less(m, &m->all)))
		return m->changed ? see_base(m, x, t0_us) : see_part(m, e, x, t0_us);
	if (holds)
		return see_change(m, x, t0_us);
	return see_other(m, e, x, t0_us);
}

/* --- the end of an interval --- */

static int tell_reverted(struct integrity_machine *m, uint64_t now_us)
{
	const uint64_t ttl_us = (uint64_t)m->new_ttl * SECOND_US;
	const uint64_t hold_us = ttl_us > HOLD_US ? ttl_us : HOLD_US;

	if (!m->changed || m->revert_hi_us == 0 || now_us < m->revert_hi_us + hold_us)
		return 0;
	struct integrity_note *n = integrity_note_add(m, INTEGRITY_REVERTED, &m->base, &m->all);
	if (n == NULL)
		return -ENOMEM;
	const uint64_t lasted_us = m->revert_hi_us - m->onset_hi_us;
	n->data = true;
	n->auth = INTEGRITY_UNAUTHORISED;
	n->class = m->class;
	n->ttl_old = m->has_ttl ? m->base_ttl : INTEGRITY_NO_TTL;
	n->ttl_new = m->all.bytes != 0 ? m->new_ttl : INTEGRITY_NO_TTL;
	n->onset_lo_us = m->onset_lo_us;
	n->onset_hi_us = m->onset_hi_us;
	n->revert_lo_us = m->last_new_us;
	n->revert_hi_us = m->revert_hi_us;
	n->clients = m->by.clients.n;
	n->servers = m->by.servers.n;
	n->flags = m->flags;
	if (lasted_us < SHORT_US)
		n->flags |= integrity_bit(INTEGRITY_SHORT_LIVED);
	else if (lasted_us < DAY_US)
		n->flags |= integrity_bit(INTEGRITY_TRANSIENT);
	const int result = rdset_copy(&m->past, m->all.data, m->all.bytes);
	m->past_us = m->revert_hi_us;
	m->last_base_us = m->revert_hi_us;
	m->ttl = m->base_ttl;
	group_fini(&m->ttl_by);
	forget_change(m);
	return result;
}

static int tell_suspects(struct integrity_machine *m, const struct watchlist_entry *e,
			 uint64_t now_us)
{
	for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++) {
		struct integrity_candidate *c = m->candidate[i];
		if (c == NULL)
			continue;
		if (c->last_us + DAY_US < now_us) {
			candidate_free(c);
			m->candidate[i] = NULL;
			continue;
		}
		/* Of what holds the other the rule of three decides, without a word before. */
		const bool more = m->base.bytes != 0 && rdset_is_subset(&m->base, &c->set);
		const bool poison =
		    c->others && (c->by.seen != 0 ? c->by.clients.n : c->by.servers.n) == 1;
		if ((c->told && (c->told_poison || !poison)) || more || is_less(m, &c->set) ||
		    is_allowed(m, e, &c->set))
			continue;
		struct integrity_note *n = integrity_note_add(
		    m, INTEGRITY_SUSPECT, m->changed ? &m->shown : &m->base, &c->set);
		if (n == NULL)
			return -ENOMEM;
		c->told = true;
		n->data = true;
		n->auth = INTEGRITY_UNAUTHORISED;
		c->told_poison = poison;
		n->class = poison ? INTEGRITY_POISON_SUSPECT : INTEGRITY_NONE;
		n->ttl_new = c->by.seen != 0 && c->set.bytes != 0 ? c->ttl : INTEGRITY_NO_TTL;
		n->onset_lo_us = c->lo_us;
		n->onset_hi_us = c->first_us;
		n->flags = c->by.seen != 0 ? set_flags(m, c) : 0;
		n->clients = c->by.clients.n;
		n->servers = c->by.servers.n;
		n->vantage = c->vantage;
	}
	return 0;
}

static void classify(struct integrity_machine *m, bool parent_changed)
{
	if (!m->changed)
		return;
	if (m->classed && m->class == INTEGRITY_POISON_SUSPECT && m->by.clients.n <= 1)
		return;
	if (m->classed && m->class == INTEGRITY_DELEGATION_HIJACK)
		return;
	/* Others had the baseline in between, and this one still has not. */
	if (m->by.clients.n == 1 && m->others && (!m->classed || m->last_new_us > m->others_us))
		m->class = INTEGRITY_POISON_SUSPECT;
	else
		m->class =
		    m->parent || parent_changed ? INTEGRITY_DELEGATION_HIJACK : INTEGRITY_ZONE_EDIT;
	m->classed = true;
}

int integrity_machine_step(struct integrity_machine *m, const struct watchlist_entry *e,
			   uint64_t now_us, bool parent_changed, integrity_tell_fn *tell, void *ctx)
{
	classify(m, parent_changed);
	for (struct integrity_note *n = m->notes; n != NULL; n = n->next)
		if (n->state == INTEGRITY_CHANGED && (n->data || m->changed))
			n->class = m->class;
	int result = tell_suspects(m, e, now_us);
	if (result == 0)
		result = tell_reverted(m, now_us);
	while (m->notes != NULL) {
		struct integrity_note *n = m->notes;
		tell(ctx, m, n);
		m->notes = n->next;
		note_free(n);
	}
	m->notes_end = &m->notes;
	return result;
}

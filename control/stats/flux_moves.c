/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_moves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Servers of one zone do not change in one moment: a set that was seen so lately does
 * not come back before the current one has been gone for so long, but for a server that
 * has said something else in between. */
#define SETTLE_S 300u

struct moves *moves_create(const struct ft_rrset *first)
{
	struct moves *m = calloc(1, sizeof(*m) + sizeof(struct moves_view));

	if (m == NULL)
		return NULL;
	m->name_key = first->owner_key;
	m->what = first->what & (FT_RRSET_TYPE | FT_RRSET_REFERRAL | FT_RRSET_VANTAGE);
	m->first_s = m->ttl_min = UINT32_MAX;
	return m;
}

void moves_destroy(struct moves *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; i < m->sets; i++)
		free(m->set[i].rdata);
	free(m->set);
	free(m->name);
	free(m);
}

static unsigned views_room(unsigned n)
{
	return n <= 1 ? 1 : n <= 2 ? 2 : n <= 4 ? 4 : MOVES_VIEWS_CAP;
}

size_t moves_bytes(const struct moves *m)
{
	size_t n = sizeof(*m) + views_room(m->views) * sizeof(struct moves_view);

	for (unsigned i = 0; i < m->sets; i++)
		n += sizeof(*m->set) + m->set[i].bytes + 16; /* what malloc adds */
	return n;
}

unsigned moves_view(struct moves **m, uint32_t view)
{
	for (unsigned i = 0; i < (*m)->views; i++)
		if ((*m)->view[i].view == view)
			return i;
	if ((*m)->views_seen < MOVES_SEEN_CAP)
		(*m)->views_seen++;
	if ((*m)->views == MOVES_VIEWS_CAP)
		return MOVES_NONE;
	const unsigned n = (*m)->views;
	if (n != 0 && views_room(n + 1) != views_room(n)) {
		struct moves *more =
		    realloc(*m, sizeof(**m) + views_room(n + 1) * sizeof(struct moves_view));
		if (more == NULL)
			return MOVES_NONE;
		*m = more;
	}
	(*m)->view[n] =
	    (struct moves_view){.view = view, .current = MOVES_NONE, .pending = MOVES_NONE};
	(*m)->views++;
	return n;
}

static bool is_in_use(const struct moves *m, unsigned set)
{
	for (unsigned i = 0; i < m->views; i++)
		if (m->view[i].current == set || m->view[i].pending == set)
			return true;
	return false;
}

/* The one that nobody holds and that was not seen for longest. */
static unsigned oldest(const struct moves *m)
{
	unsigned best = MOVES_NONE;

	for (unsigned i = 0; i < m->sets; i++) {
		const struct moves_set *x = &m->set[i];
		if (is_in_use(m, i))
			continue;
		if (best == MOVES_NONE || x->last_s < m->set[best].last_s ||
		    (x->last_s == m->set[best].last_s && x->hash < m->set[best].hash))
			best = i;
	}
	return best;
}

static unsigned sets_room(unsigned n)
{
	unsigned room = 1;

	while (room < n)
		room *= 2;
	return room;
}

unsigned moves_set(struct moves *m, uint64_t hash, const struct ft_rrset_text *t, uint32_t t_s)
{
	unsigned i = 0;

	while (i < m->sets && m->set[i].hash != hash)
		i++;
	if (i < m->sets)
		return i;
	uint8_t *rdata = malloc(t->rdata_bytes != 0 ? t->rdata_bytes : 1);
	if (rdata == NULL)
		return MOVES_NONE;
	if (m->sets == MOVES_SETS_CAP) {
		i = oldest(m);
		free(m->set[i].rdata);
	} else if (m->sets == 0 || sets_room(m->sets + 1u) != sets_room(m->sets)) {
		struct moves_set *more = realloc(m->set, sets_room(m->sets + 1u) * sizeof(*more));
		if (more == NULL) {
			free(rdata);
			return MOVES_NONE;
		}
		m->set = more;
	}
	if (i == m->sets)
		m->sets++;
	memcpy(rdata, t->rdata, t->rdata_bytes);
	m->set[i] = (struct moves_set){.hash = hash,
				       .rdata = rdata,
				       .first_s = t_s,
				       .last_s = t_s,
				       .bytes = (uint16_t)t->rdata_bytes,
				       .texts = (uint8_t)t->texts,
				       .cut = (t->first.what & FT_RRSET_CUT) != 0};
	return i;
}

static uint32_t rdata_bytes(const struct moves *m, const uint8_t *p)
{
	switch ((enum ft_rrset_type)(m->what & FT_RRSET_TYPE)) {
	case FT_RRSET_A: return 4;
	case FT_RRSET_AAAA: return 16;
	default: return *p + 1u;
	}
}

/* Whether every rdata of a set is in another one. */
static bool is_part(const struct moves *m, unsigned a, unsigned b)
{
	const struct moves_set *x = &m->set[a], *y = &m->set[b];

	if (x->cut || y->cut)
		return false; /* nobody can know */
	for (uint32_t i = 0, n; i < x->bytes; i += n) {
		bool found = false;
		n = rdata_bytes(m, x->rdata + i);
		for (uint32_t k = 0, l; k < y->bytes && !found; k += l) {
			l = rdata_bytes(m, y->rdata + k);
			found = l == n && memcmp(x->rdata + i, y->rdata + k, n) == 0;
		}
		if (!found)
			return false;
	}
	return true;
}

static void change(struct moves_view *v, unsigned set, uint32_t t_s)
{
	v->changes++;
	v->current = (uint8_t)set;
	v->current_s = t_s;
	v->stable = 1;
	v->pending = MOVES_NONE;
	v->pending_n = 0;
}

/* A set that holds the current one, or a part of it. */
static void step_related(const struct moves *m, struct moves_view *v, unsigned set, uint32_t t_s)
{
	const bool grows = is_part(m, v->current, set);

	if (!grows && v->stable < MOVES_STABLE)
		return;
	if (v->pending != set) {
		v->pending = (uint8_t)set;
		v->pending_n = 0;
	}
	if (++v->pending_n < MOVES_STABLE)
		return;
	change(v, set, t_s);
	v->stable = MOVES_STABLE;
}

bool moves_say(struct moves **m, uint32_t server, unsigned set)
{
	const unsigned i = moves_view(m, server != MOVES_PARENT ? server : MOVES_PARENT + 1);

	if (i == MOVES_NONE)
		return false;
	struct moves_view *v = &(*m)->view[i];
	const bool other = v->current != MOVES_NONE && v->current != set;
	v->current = (uint8_t)set;
	return other;
}

void moves_step(struct moves *m, unsigned view, unsigned set, uint32_t t_s, bool other)
{
	struct moves_view *v = &m->view[view];
	struct moves_set *x = &m->set[set];
	const uint32_t before_s = x->last_s;
	const bool seen = x->first_s < t_s;

	x->first_s = t_s < x->first_s ? t_s : x->first_s; /* views come one after another */
	x->last_s = t_s > x->last_s ? t_s : x->last_s;
	m->first_s = t_s < m->first_s ? t_s : m->first_s;
	m->last_s = m->last_s < t_s ? t_s : m->last_s;
	if (v->current == MOVES_NONE || v->current == set) {
		if (v->stable < MOVES_STABLE)
			v->stable++;
		v->current = (uint8_t)set;
		v->current_s = t_s;
		v->pending = MOVES_NONE;
		v->pending_n = 0;
	} else if (is_part(m, set, v->current) || is_part(m, v->current, set)) {
		step_related(m, v, set, t_s);
	} else if (other || !seen || t_s - before_s >= SETTLE_S || t_s - v->current_s >= SETTLE_S) {
		change(v, set, t_s);
	}
}

uint32_t moves_changes(const struct moves *m)
{
	uint32_t most = 0;

	for (unsigned i = 0; i < m->views; i++)
		most = m->view[i].changes > most ? m->view[i].changes : most;
	return most;
}

void moves_write(const struct moves *m, struct flux_out *out)
{
	const uint64_t head[] = {m->what,       m->name_len, m->told,    m->double_flux,
				 m->first_s,    m->last_s,   m->ttl_min, m->ttl_max,
				 m->views_seen, m->sets,     m->views};

	flux_put_octets(out, &m->name_key, 8);
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		flux_put(out, head[i]);
	flux_put_octets(out, m->name, m->name_len);
	for (unsigned i = 0; i < m->sets; i++) {
		const struct moves_set *s = &m->set[i];
		const uint64_t x[] = {s->count, s->first_s, s->last_s, s->bytes, s->texts, s->cut};
		flux_put_octets(out, &s->hash, 8);
		for (unsigned k = 0; k < 6; k++)
			flux_put(out, x[k]);
		flux_put_octets(out, s->rdata, s->bytes);
	}
	for (unsigned i = 0; i < m->views; i++) {
		const struct moves_view *v = &m->view[i];
		const uint64_t x[] = {v->view,    v->changes, v->current_s, v->current,
				      v->pending, v->stable,  v->pending_n};
		for (unsigned k = 0; k < 7; k++)
			flux_put(out, x[k]);
	}
}

static uint32_t get_u32(struct ft_reader *r, uint32_t most)
{
	return (uint32_t)ft_get_varint(r, most);
}

static bool read_set(struct ft_reader *r, struct moves *m, struct moves_set *s)
{
	const struct ft_rrset kind = {.what = m->what & FT_RRSET_TYPE};

	*s = (struct moves_set){.hash = ft_get_u64(r)};
	s->count = ft_get_varint(r, UINT64_MAX);
	s->first_s = get_u32(r, DAY_S - 1);
	s->last_s = get_u32(r, DAY_S - 1);
	s->bytes = (uint16_t)get_u32(r, FT_ENTRY_CAP);
	s->texts = (uint8_t)get_u32(r, FT_RRSET_RECORDS_CAP);
	s->cut = (uint8_t)get_u32(r, 1);
	const uint8_t *p = ft_get_bytes(r, s->bytes);
	const struct ft_rrset_text t = {
	    .first = kind, .rdata = p, .rdata_bytes = s->bytes, .texts = s->texts};
	if (p == NULL || !ft_rrset_rdata_are_whole(&t))
		return false;
	s->rdata = malloc(s->bytes != 0 ? s->bytes : 1u);
	if (s->rdata != NULL)
		memcpy(s->rdata, p, s->bytes);
	return s->rdata != NULL;
}

static bool read_view(struct ft_reader *r, const struct moves *m, struct moves_view *v)
{
	v->view = get_u32(r, UINT32_MAX);
	v->changes = get_u32(r, UINT32_MAX);
	v->current_s = get_u32(r, DAY_S - 1);
	v->current = (uint8_t)get_u32(r, MOVES_NONE);
	v->pending = (uint8_t)get_u32(r, MOVES_NONE);
	v->stable = (uint8_t)get_u32(r, MOVES_STABLE);
	v->pending_n = (uint8_t)get_u32(r, MOVES_STABLE);
	return !r->bad && (v->current == MOVES_NONE || v->current < m->sets) &&
	       (v->pending == MOVES_NONE || v->pending < m->sets);
}

static bool read_body(struct ft_reader *r, struct moves *m, unsigned sets)
{
	const uint8_t *name = ft_get_bytes(r, m->name_len);

	if (name == NULL || (m->name_len != 0 && !ft_name_is_whole(name, m->name_len)))
		return false;
	if (m->name_len != 0) {
		m->name = malloc(m->name_len);
		if (m->name == NULL)
			return false;
		memcpy(m->name, name, m->name_len);
	}
	m->set = sets != 0 ? calloc(sets_room(sets), sizeof(*m->set)) : NULL;
	if (sets != 0 && m->set == NULL)
		return false;
	while (m->sets < sets) {
		if (!read_set(r, m, &m->set[m->sets]))
			return false;
		m->sets++;
	}
	for (unsigned i = 0; i < m->views; i++)
		if (!read_view(r, m, &m->view[i]))
			return false;
	return true;
}

struct moves *moves_read(struct ft_reader *r)
{
	struct moves head = {.name_key = ft_get_u64(r)};

	head.what = (uint8_t)get_u32(r, FT_RRSET_TYPE | FT_RRSET_REFERRAL | FT_RRSET_VANTAGE);
	head.name_len = (uint8_t)get_u32(r, FT_NAME_CAP);
	head.told = (uint8_t)get_u32(r, 2);
	head.double_flux = get_u32(r, 1) != 0;
	head.first_s = get_u32(r, UINT32_MAX);
	head.last_s = get_u32(r, DAY_S - 1);
	head.ttl_min = get_u32(r, UINT32_MAX);
	head.ttl_max = get_u32(r, INT32_MAX);
	head.views_seen = (uint16_t)get_u32(r, MOVES_SEEN_CAP);
	const unsigned sets = get_u32(r, MOVES_SETS_CAP);
	head.views = (uint8_t)get_u32(r, MOVES_VIEWS_CAP);
	const bool is_sound = !r->bad && (head.what & FT_RRSET_TYPE) != FT_RRSET_CNAME &&
			      (head.told != 0) == (head.name_len != 0);
	struct moves *m =
	    is_sound ? calloc(1, sizeof(*m) + views_room(head.views) * sizeof(struct moves_view))
		     : NULL;
	if (m != NULL)
		*m = head;
	if (m != NULL && read_body(r, m, sets))
		return m;
	moves_destroy(m);
	errno = EBADMSG;
	return NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a watched RRset in a snapshot: numbers, sets and views in a fixed order. */
#include "integrity_state.h"

#include <fluxtap/rec_integrity.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SET_MOST 65536u
#define VIEWS_MOST 65536u

#define MACHINE_NUMBERS(X)                                                                         \
	X(ede)                                                                                     \
	X(base_ttl)                                                                                \
	X(learn_until_us)                                                                          \
	X(last_base_us)                                                                            \
	X(onset_lo_us)                                                                             \
	X(onset_hi_us)                                                                             \
	X(last_new_us)                                                                             \
	X(revert_hi_us)                                                                            \
	X(new_ttl)                                                                                 \
	X(flags)                                                                                   \
	X(others_us)                                                                               \
	X(past_us)                                                                                 \
	X(ttl)                                                                                     \
	X(ttl_next)                                                                                \
	X(ttl_told)                                                                                \
	X(ttl_last_us)                                                                             \
	X(ttl_lo_us)                                                                               \
	X(ttl_first_us)                                                                            \
	X(ttl_day)                                                                                 \
	X(ttl_on_lo_us)                                                                            \
	X(ttl_on_hi_us)                                                                            \
	X(unsigned_first_us)                                                                       \
	X(ad_slot)                                                                                 \
	X(ad_n)                                                                                    \
	X(ad_yes)
#define MACHINE_BOOLS(X)                                                                           \
	X(known)                                                                                   \
	X(observed)                                                                                \
	X(has_ttl)                                                                                 \
	X(clipped)                                                                                 \
	X(may_be_empty)                                                                            \
	X(changed)                                                                                 \
	X(classed)                                                                                 \
	X(others)                                                                                  \
	X(unsigned_told)                                                                           \
	X(expiry_told)                                                                             \
	X(ad_told)                                                                                 \
	X(ad_was_high)
#define MACHINE_SETS(X) X(base) X(accepted) X(shown) X(all) X(past)
#define MACHINE_GROUPS(X) X(by) X(ttl_by) X(unsigned_by)

static int put(state_write_fn *write, void *ctx, uint64_t v)
{
	return write(ctx, &v, sizeof(v));
}

static int get(state_read_fn *read, void *ctx, uint64_t most, uint64_t *v)
{
	const int result = read(ctx, v, sizeof(*v));

	return result != 0 ? result : *v > most ? -EBADMSG : 0;
}

static int put_set(state_write_fn *write, void *ctx, const struct rdset *s)
{
	const int result = put(write, ctx, s->bytes);

	return result != 0 || s->bytes == 0 ? result : write(ctx, s->data, s->bytes);
}

static int get_set(state_read_fn *read, void *ctx, struct rdset *s)
{
	uint64_t n;
	int result = get(read, ctx, SET_MOST, &n);

	if (result != 0 || n == 0)
		return result;
	s->data = malloc(n);
	if (s->data == NULL)
		return -ENOMEM;
	s->bytes = (uint32_t)n;
	result = read(ctx, s->data, n);
	if (result == 0 && !ft_integrity_set_is_whole(s->data, s->bytes))
		result = -EBADMSG;
	if (result != 0)
		rdset_fini(s);
	return result;
}

static int put_views(state_write_fn *write, void *ctx, const struct integrity_views *s)
{
	const int result = put(write, ctx, s->n);

	return result != 0 || s->n == 0 ? result : write(ctx, s->v, s->n * sizeof(*s->v));
}

static int get_views(state_read_fn *read, void *ctx, struct integrity_views *s)
{
	uint64_t n;
	int result = get(read, ctx, VIEWS_MOST, &n);

	if (result != 0 || n == 0)
		return result;
	s->v = malloc(n * sizeof(*s->v));
	if (s->v == NULL)
		return -ENOMEM;
	s->n = s->room = (uint32_t)n;
	result = read(ctx, s->v, n * sizeof(*s->v));
	for (uint32_t i = 1; result == 0 && i < s->n; i++)
		result = s->v[i - 1] < s->v[i] ? 0 : -EBADMSG;
	return result;
}

static int put_group(state_write_fn *write, void *ctx, const struct integrity_group *g)
{
	int result = put(write, ctx, g->seen);

	if (result == 0)
		result = put_views(write, ctx, &g->pairs);
	if (result == 0)
		result = put_views(write, ctx, &g->clients);
	return result == 0 ? put_views(write, ctx, &g->servers) : result;
}

static int get_group(state_read_fn *read, void *ctx, struct integrity_group *g)
{
	int result = get(read, ctx, UINT64_MAX, &g->seen);

	if (result == 0)
		result = get_views(read, ctx, &g->pairs);
	if (result == 0)
		result = get_views(read, ctx, &g->clients);
	return result == 0 ? get_views(read, ctx, &g->servers) : result;
}

static int save_candidate(const struct integrity_candidate *c, state_write_fn *write, void *ctx)
{
	const uint64_t v[] = {c->lo_us, c->first_us, c->last_us, c->ttl,        c->vantage,
			      c->own,   c->told,     c->others,  c->told_poison};
	int result = write(ctx, v, sizeof(v));

	if (result == 0)
		result = put_set(write, ctx, &c->set);
	return result == 0 ? put_group(write, ctx, &c->by) : result;
}

static int load_candidate(struct integrity_candidate *c, state_read_fn *read, void *ctx)
{
	uint64_t v[9];
	int result = read(ctx, v, sizeof(v));

	if (result != 0)
		return result;
	c->lo_us = v[0];
	c->first_us = v[1];
	c->last_us = v[2];
	c->ttl = (uint32_t)v[3];
	c->vantage = v[4] < FT_VANTAGE_CAP ? (uint8_t)v[4] : FT_VANTAGE_X;
	c->own = v[5] != 0;
	c->told = v[6] != 0;
	c->others = v[7] != 0;
	c->told_poison = v[8] != 0;
	result = get_set(read, ctx, &c->set);
	return result == 0 ? get_group(read, ctx, &c->by) : result;
}

int integrity_machine_save(const struct integrity_machine *m, state_write_fn *write, void *ctx)
{
#define X(f) m->f,
	const uint64_t numbers[] = {MACHINE_NUMBERS(X) MACHINE_BOOLS(X) m->class, m->vantage,
				    (uint64_t)(m->ds + 1), (uint64_t)(m->ad + 1),
				    (uint64_t)(m->rrsig + 1)};
#undef X
	int result = write(ctx, numbers, sizeof(numbers));

#define X(f)                                                                                       \
	if (result == 0)                                                                           \
		result = put_set(write, ctx, &m->f);
	MACHINE_SETS(X)
#undef X
#define X(f)                                                                                       \
	if (result == 0)                                                                           \
		result = put_group(write, ctx, &m->f);
	MACHINE_GROUPS(X)
#undef X
	for (unsigned i = 0; i < INTEGRITY_CANDIDATES && result == 0; i++) {
		result = put(write, ctx, m->candidate[i] != NULL);
		if (result == 0 && m->candidate[i] != NULL)
			result = save_candidate(m->candidate[i], write, ctx);
	}
	return result;
}

static int load_candidates(struct integrity_machine *m, state_read_fn *read, void *ctx)
{
	int result = 0;

	for (unsigned i = 0; i < INTEGRITY_CANDIDATES && result == 0; i++) {
		uint64_t there;
		result = get(read, ctx, 1, &there);
		if (result != 0 || there == 0)
			continue;
		m->candidate[i] = calloc(1, sizeof(*m->candidate[i]));
		result =
		    m->candidate[i] != NULL ? load_candidate(m->candidate[i], read, ctx) : -ENOMEM;
	}
	return result;
}

int integrity_machine_load(struct integrity_machine *m, state_read_fn *read, void *ctx)
{
#define X(f) +1
	enum { NUMBERS = MACHINE_NUMBERS(X), BOOLS = MACHINE_BOOLS(X) };
#undef X
	uint64_t v[NUMBERS + BOOLS + 5];
	unsigned at = 0;
	int result = read(ctx, v, sizeof(v));

	if (result != 0)
		return result;
#define X(f) m->f = (__typeof__(m->f))v[at++];
	MACHINE_NUMBERS(X)
#undef X
#define X(f) m->f = v[at++] != 0;
	MACHINE_BOOLS(X)
#undef X
	if (v[at] > INTEGRITY_ZONE_EDIT || v[at + 1] >= FT_VANTAGE_CAP || v[at + 2] > 2 ||
	    v[at + 3] > 2 || v[at + 4] > 2)
		return -EBADMSG;
	m->class = (enum integrity_class)v[at];
	m->vantage = (uint8_t)v[at + 1];
	m->ds = (int8_t)((int)v[at + 2] - 1);
	m->ad = (int8_t)((int)v[at + 3] - 1);
	m->rrsig = (int8_t)((int)v[at + 4] - 1);
#define X(f)                                                                                       \
	if (result == 0)                                                                           \
		result = get_set(read, ctx, &m->f);
	MACHINE_SETS(X)
#undef X
#define X(f)                                                                                       \
	if (result == 0)                                                                           \
		result = get_group(read, ctx, &m->f);
	MACHINE_GROUPS(X)
#undef X
	return result == 0 ? load_candidates(m, read, ctx) : result;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The past of set `sinkhole` as octets, and back. Layout: a head (magic, version, hour,
 * interval, seed's place, begin), then items, each behind its length: group's name, vantage,
 * domain, signals, past, names, hours of the week. All integers little-endian. */
#include "sinkhole.h"

#include "../../dataplane/mini.h"
#include "../../dataplane/tables.h"
#include "../rules.h"
#include "sink_stat.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x4b4e5346u /* "FSNK" */
#define VERSION 1u
#define HEAD_BYTES 48u
#define NAMES_SLOTS_CAP (1u << 16)

/* Octets that grow. */
struct sheet {
	uint8_t *v;
	size_t n, cap;
	bool failed;
};

static void put(struct sheet *s, const void *data, size_t n)
{
	if (s->n + n > s->cap && !s->failed) {
		const size_t cap = (s->n + n) * 2 + 4096;
		uint8_t *more = realloc(s->v, cap);
		s->failed = more == NULL;
		if (more == NULL)
			return;
		s->v = more;
		s->cap = cap;
	}
	if (s->failed)
		return;
	if (n != 0)
		memcpy(s->v + s->n, data, n);
	s->n += n;
}

static void put_u8(struct sheet *s, uint8_t x)
{
	put(s, &x, sizeof(x));
}

static void put_u32(struct sheet *s, uint32_t x)
{
	put(s, &x, sizeof(x));
}

static void put_u64(struct sheet *s, uint64_t x)
{
	put(s, &x, sizeof(x));
}

static void put_double(struct sheet *s, double x)
{
	put(s, &x, sizeof(x));
}

static void put_mini(struct sheet *s, const struct ft_mini *m)
{
	put_u8(s, m->n);
	put(s, &m->u, sizeof(m->u));
}

/* Numbers of a past that are read back by get_past in the same order. */
static void put_past(struct sheet *s, const struct sink_past *p)
{
	const uint64_t words[] = {
	    p->from_us,      p->end_us,        p->bin,           p->last_us,
	    p->unknown,      p->day,           p->run_us,        p->run_end_us,
	    p->candidate_us, p->candidate_all, p->candidate_own, p->neg_ttl,
	    p->ans_ttl,      p->switch_us,     p->old_ttl_us,    p->settled_us};
	const uint8_t octets[] = {p->class,          p->candidate,     p->from_class,
				  p->to_class,       p->did_not_exist, p->stage,
				  p->after_is_final, p->has_names,     p->is_group};

	put(s, words, sizeof(words));
	put(s, octets, sizeof(octets));
	put(s, p->open, sizeof(p->open));
	put(s, p->hour, sizeof(p->hour));
	put(s, p->queries, sizeof(p->queries));
	put(s, p->answered, sizeof(p->answered));
	put_mini(s, &p->today);
	put_mini(s, &p->yesterday);
	put_mini(s, &p->since);
	put_double(s, p->names_before);
	put_double(s, p->before);
	put_double(s, p->after);
	for (unsigned i = 0; i < SINK_CLASS_CAP; i++) {
		put_u64(s, p->stages[i].n);
		put_double(s, p->stages[i].sum);
		put_double(s, p->stages[i].squares);
	}
	put_u32(s, p->names.shift);
	put_u32(s, p->names.n);
	for (uint32_t i = 0; i < p->names.slots; i++) {
		if (p->names.hash[i] == 0)
			continue;
		put_u64(s, p->names.hash[i]);
		put_u64(s, p->names.mask[i]);
	}
	put_u8(s, p->week != NULL);
	if (p->week != NULL)
		put(s, p->week, sizeof(*p->week));
}

static void put_item(struct sheet *s, const struct sinkhole *st, const struct sink_item *i)
{
	const struct rule_info *info =
	    st->run->rules != NULL ? rules_info(st->run->rules, i->key.rule) : NULL;
	const char *group = info != NULL ? info->id : "";
	const size_t begin = s->n;

	if (i->key.rule != 0 && info == NULL)
		return;
	put_u32(s, 0);
	put_u8(s, (uint8_t)strlen(group));
	put(s, group, strlen(group));
	put_u8(s, i->key.vantage);
	put(s, i->key.id, sizeof(i->key.id));
	put_u8(s, (uint8_t)i->text_bytes);
	put(s, i->text, i->text_bytes);
	put(s, i->seen_s, sizeof(i->seen_s));
	put_past(s, &i->past);
	if (s->failed)
		return;
	const uint32_t bytes = (uint32_t)(s->n - begin - sizeof(uint32_t));
	memcpy(s->v + begin, &bytes, sizeof(bytes));
}

int sinkhole_save(const void *stat, uint8_t **octets, size_t *bytes)
{
	const struct sinkhole *st = stat;
	const struct sink_item *i = NULL;
	struct sheet s = {0};

	put_u32(&s, MAGIC);
	put_u32(&s, VERSION);
	put_u64(&s, st->table.clock.hour_us);
	put_u64(&s, st->table.clock.minute_us);
	put_u64(&s, st->begin_us);
	put_u64(&s, st->closed_us);
	put_u64(&s, st->run->sample_key);
	while ((i = sink_table_next(&st->table, i)) != NULL)
		put_item(&s, st, i);
	if (s.failed) {
		free(s.v);
		return -ENOMEM;
	}
	*octets = s.v;
	*bytes = s.n;
	return 0;
}

/* --- back --- */

static void get(struct ft_reader *r, void *out, size_t n)
{
	const uint8_t *p = ft_get_bytes(r, n);

	if (p != NULL)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

static double get_double(struct ft_reader *r)
{
	double x;

	get(r, &x, sizeof(x));
	return x;
}

static void get_mini(struct ft_reader *r, struct ft_mini *m)
{
	m->n = ft_get_u8(r);
	get(r, &m->u, sizeof(m->u));
	if (m->n > FT_MINI_HASHES && m->n != FT_MINI_DENSE)
		r->bad = true;
	for (unsigned i = 0; m->n <= FT_MINI_HASHES && i < FT_MINI_HASHES; i++)
		r->bad |=
		    i < m->n ? m->u.hash[i] == 0 || m->u.hash[i] >> 24 != 0 : m->u.hash[i] != 0;
}

/* Counts of which a later sum or square must not overflow a double's integers. */
static bool is_count(double x)
{
	return x >= 0 && x <= 0x1p60;
}

static void get_names(struct ft_reader *r, struct sinkhole *st, struct sink_past *p)
{
	p->names.shift = ft_get_u32(r);
	const uint32_t n = ft_get_u32(r);
	if (p->names.shift > 40 || n > NAMES_SLOTS_CAP)
		r->bad = true;
	for (uint32_t i = 0; !r->bad && i < n; i++) {
		const uint64_t hash = ft_get_u64(r), mask = ft_get_u64(r);
		if (sink_past_name(p, &st->table.clock, hash, mask) != 0)
			r->bad = true;
	}
}

static void get_week(struct ft_reader *r, struct sinkhole *st, struct sink_past *p)
{
	struct sink_week w;

	if (ft_get_u8(r) == 0)
		return;
	get(r, &w, sizeof(w));
	for (unsigned i = 0; i < SINK_WEEK; i++)
		for (unsigned c = 0; c < SINK_CLASS_CAP; c++)
			r->bad |= !is_count((double)w.sum[i][c]);
	if (r->bad || st->table.clock.weeks_left == 0)
		return;
	p->week = malloc(sizeof(*p->week));
	if (p->week == NULL)
		return;
	*p->week = w;
	st->table.clock.weeks_left--;
}

static bool is_sound(const struct sink_past *p, const struct sink_clock *c)
{
	const uint8_t classes[] = {p->class, p->candidate, p->from_class, p->to_class};
	bool sound = p->end_us % c->minute_us == 0 && p->bin == p->end_us / c->hour_us &&
		     p->end_us < UINT64_MAX / 4 && p->switch_us < UINT64_MAX / 4 &&
		     p->settled_us < UINT64_MAX / 4 && p->old_ttl_us < UINT64_MAX / 4 &&
		     p->from_us < UINT64_MAX / 4 && p->run_us <= p->run_end_us &&
		     p->neg_ttl <= 1ull << 32 && p->ans_ttl <= 1ull << 32 &&
		     (p->stage < SINK_CLASS_CAP || p->stage == SINK_NONE) &&
		     is_count(p->names_before);

	for (unsigned i = 0; i < sizeof(classes); i++)
		sound &= classes[i] < FT_CLASS_CAP || classes[i] == SINK_NONE;
	for (unsigned i = 0; i < SINK_BINS; i++)
		sound &= p->answered[i] < SINK_CLASS_CAP || p->answered[i] == SINK_NONE;
	for (unsigned i = 0; i < SINK_CLASS_CAP; i++)
		sound &= is_count((double)p->stages[i].n) && is_count(p->stages[i].sum) &&
			 is_count(p->stages[i].squares);
	return sound;
}

static void get_past(struct ft_reader *r, struct sinkhole *st, struct sink_past *p)
{
	uint64_t *const words[] = {
	    &p->from_us,      &p->end_us,        &p->bin,           &p->last_us,
	    &p->unknown,      &p->day,           &p->run_us,        &p->run_end_us,
	    &p->candidate_us, &p->candidate_all, &p->candidate_own, &p->neg_ttl,
	    &p->ans_ttl,      &p->switch_us,     &p->old_ttl_us,    &p->settled_us};
	uint8_t *const octets[] = {&p->class, &p->candidate, &p->from_class, &p->to_class};

	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
		*words[i] = ft_get_u64(r);
	for (unsigned i = 0; i < sizeof(octets) / sizeof(*octets); i++)
		*octets[i] = ft_get_u8(r);
	p->did_not_exist = ft_get_u8(r) != 0;
	p->stage = ft_get_u8(r);
	p->after_is_final = ft_get_u8(r) != 0;
	p->has_names = ft_get_u8(r) != 0;
	p->is_group = ft_get_u8(r) != 0;
	get(r, p->open, sizeof(p->open));
	get(r, p->hour, sizeof(p->hour));
	get(r, p->queries, sizeof(p->queries));
	get(r, p->answered, sizeof(p->answered));
	get_mini(r, &p->today);
	get_mini(r, &p->yesterday);
	get_mini(r, &p->since);
	p->names_before = get_double(r);
	p->before = get_double(r);
	p->after = get_double(r);
	for (unsigned i = 0; i < SINK_CLASS_CAP; i++) {
		p->stages[i].n = ft_get_u64(r);
		p->stages[i].sum = get_double(r);
		p->stages[i].squares = get_double(r);
	}
	if (!r->bad)
		r->bad = !is_sound(p, &st->table.clock);
	get_names(r, st, p);
	get_week(r, st, p);
}

/* The number of a group that is listed; 0: none. */
static uint32_t group_of(const struct sinkhole *st, const uint8_t *text, size_t n)
{
	return st->run->rules != NULL
		   ? rules_number(st->run->rules, (const char *)text, n, RULE_SINKHOLE)
		   : 0;
}

static int get_item(struct ft_reader *r, struct sinkhole *st)
{
	struct sink_key key = {0};
	struct sink_past past = {0};
	uint32_t seen_s[FT_SINK_SIGNALS];
	bool fresh;

	const size_t group_len = ft_get_u8(r);
	const uint8_t *group = ft_get_bytes(r, group_len);
	key.vantage = ft_get_u8(r);
	get(r, key.id, sizeof(key.id));
	const uint32_t text_bytes = ft_get_u8(r);
	const uint8_t *text = ft_get_bytes(r, text_bytes);
	get(r, seen_s, sizeof(seen_s));
	get_past(r, st, &past);
	if (r->bad || r->at != r->end || key.vantage >= FT_VANTAGE_CAP ||
	    (text_bytes != 0 && !ft_name_is_whole(text, text_bytes))) {
		sink_past_fini(&past, &st->table.clock);
		return -EBADMSG;
	}
	key.rule = group_len != 0 ? group_of(st, group, group_len) : 0;
	struct sink_item *i =
	    group_len != 0 && key.rule == 0 ? NULL : sink_table_get(&st->table, &key, &fresh);
	if (i == NULL || !fresh) { /* no longer listed, or no room */
		sink_past_fini(&past, &st->table.clock);
		return i == NULL ? 0 : -EBADMSG;
	}
	i->past = past;
	memcpy(i->seen_s, seen_s, sizeof(i->seen_s));
	return text_bytes != 0 ? sink_item_name(i, text, text_bytes) : 0;
}

static int get_all(struct ft_reader *r, struct sinkhole *st)
{
	if (ft_get_u32(r) != MAGIC || ft_get_u32(r) != VERSION ||
	    (size_t)(r->end - r->at) < HEAD_BYTES - 8)
		return -EBADMSG;
	if (ft_get_u64(r) != st->table.clock.hour_us || ft_get_u64(r) != st->table.clock.minute_us)
		return -EINVAL;
	st->begin_us = ft_get_u64(r);
	st->closed_us = ft_get_u64(r);
	if (st->closed_us > UINT64_MAX / 4 || st->begin_us > st->closed_us)
		return -EBADMSG;
	if (ft_get_u64(r) != st->run->sample_key)
		return -EINVAL;
	while (!r->bad && r->at != r->end) {
		const uint32_t n = ft_get_u32(r);
		const uint8_t *body = ft_get_bytes(r, n);
		if (body == NULL)
			return -EBADMSG;
		struct ft_reader item = ft_reader_init(body, n);
		const int result = get_item(&item, st);
		if (result != 0)
			return result;
	}
	return r->bad ? -EBADMSG : 0;
}

int sinkhole_load(void *stat, const uint8_t *octets, size_t bytes)
{
	struct sinkhole *st = stat;
	struct ft_reader r = ft_reader_init(octets, bytes);
	const size_t grouped = st->table.grouped_cap, others = st->table.others_cap;
	const struct sink_clock clock = st->table.clock;
	const int result = get_all(&r, st);

	if (result == 0) {
		st->loaded = true;
		return 0;
	}
	st->begin_us = st->closed_us = 0;
	sink_table_fini(&st->table);
	if (sink_table_init(&st->table, grouped, others) != 0)
		return -ENOMEM;
	st->table.clock = clock;
	return result;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyed_merge.h"

#include "../dataplane/batch.h"
#include "../dataplane/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK_BYTES 65536u
#define INDEX_MIN 64u
#define AHEAD 8u       /* accumulators */
#define FETCH_CAP 384u /* octets of one */

/* Memory that is given back all at once. */
struct chunk {
	struct chunk *next;
	size_t used, cap;
	uint64_t data[];
};

struct part {
	struct part *next;
	uint32_t id;
	uint64_t data[];
};

/* A key: behind it its octets, so that they are in its first line, and the accumulator. */
struct slot {
	uint64_t hash;
	union {
		struct part *parts;
		struct slot *next; /* where it is free */
	};
	uint64_t data[];
};

/* With the hash beside it, another's slot need not come from memory. */
struct place {
	uint64_t hash;
	struct slot *slot; /* NULL: free */
};

struct keyed_merge {
	struct keyed_merge_settings set;
	struct chunk *chunks;
	size_t key_words;    /* of a slot, in front of its accumulator */
	struct place *index; /* [index_len], open addressing */
	size_t index_len, n;
	struct slot *
	    *slots;         /* [n] of room_of(index_len), as they were made: one behind the other */
	const void **order; /* for sorting: slots, then accumulators */
	size_t order_cap;
	struct slot *free_slots;
	struct part *free_parts;
	bool over;
	uint64_t limit_hash;
	uint8_t *limit_key; /* the last that stayed, once over */
};

/* Keys that an index may have. */
static size_t room_of(size_t index_len)
{
	return index_len / 8 * 5;
}

struct keyed_merge *keyed_merge_create(const struct keyed_merge_settings *settings)
{
	struct keyed_merge *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->set = *settings;
	m->set.acc_bytes = (settings->acc_bytes + 7) & ~(size_t)7;
	m->key_words = (settings->key_bytes + 7) / 8;
	m->index_len = INDEX_MIN;
	while (room_of(m->index_len) < settings->expected)
		m->index_len *= 2;
	m->index = calloc(m->index_len, sizeof(*m->index));
	m->slots = malloc(room_of(m->index_len) * sizeof(struct slot *));
	m->limit_key = calloc(1, settings->key_bytes);
	if (m->index == NULL || m->slots == NULL || m->limit_key == NULL) {
		keyed_merge_destroy(m);
		errno = ENOMEM;
		return NULL;
	}
	return m;
}

void keyed_merge_destroy(struct keyed_merge *m)
{
	if (m == NULL)
		return;
	while (m->chunks != NULL) {
		struct chunk *next = m->chunks->next;
		free(m->chunks);
		m->chunks = next;
	}
	free(m->index);
	free(m->slots);
	free(m->order);
	free(m->limit_key);
	free(m);
}

static void *take(struct keyed_merge *m, size_t bytes)
{
	struct chunk *c = m->chunks;

	bytes = (bytes + 7) & ~(size_t)7;
	if (c == NULL || c->cap - c->used < bytes) {
		const size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
		c = malloc(sizeof(*c) + cap);
		if (c == NULL)
			return NULL;
		c->next = m->chunks;
		c->used = 0;
		c->cap = cap;
		m->chunks = c;
	}
	void *p = (uint8_t *)c->data + c->used;
	c->used += bytes;
	return p;
}

static inline uint8_t *key_of(const struct slot *s)
{
	return (uint8_t *)(uintptr_t)s->data;
}

static inline void *acc_of(const struct keyed_merge *m, const struct slot *s)
{
	return (void *)(uintptr_t)(s->data + m->key_words);
}

static inline struct slot *slot_of(const struct keyed_merge *m, const void *acc)
{
	return (struct slot *)((uintptr_t)acc - offsetof(struct slot, data) - m->key_words * 8);
}

const void *keyed_merge_key(const struct keyed_merge *m, const void *acc)
{
	return key_of(slot_of(m, acc));
}

size_t keyed_merge_keys(const struct keyed_merge *m)
{
	return m->n;
}

bool keyed_merge_is_over(const struct keyed_merge *m)
{
	return m->over;
}

static void put_index(const struct keyed_merge *m, struct slot *s, uint64_t hash)
{
	size_t at = hash & (m->index_len - 1);

	while (m->index[at].slot != NULL)
		at = (at + 1) & (m->index_len - 1);
	m->index[at] = (struct place){hash, s};
}

/* The first place of a hash from one on, or a free one. */
static size_t place_of(const struct keyed_merge *m, size_t at, uint64_t hash)
{
	while (m->index[at].slot != NULL && m->index[at].hash != hash)
		at = (at + 1) & (m->index_len - 1);
	return at;
}

/* NULL: not there. */
static struct slot *look_up(const struct keyed_merge *m, const void *key, uint64_t hash)
{
	size_t at = place_of(m, hash & (m->index_len - 1), hash);

	while (m->index[at].slot != NULL &&
	       memcmp(key_of(m->index[at].slot), key, m->set.key_bytes) != 0)
		at = place_of(m, (at + 1) & (m->index_len - 1), hash);
	return m->index[at].slot;
}

static int grow_index(struct keyed_merge *m)
{
	const size_t len = 2 * m->index_len;
	struct slot **slots = realloc(m->slots, room_of(len) * sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	m->slots = slots;
	struct place *old = m->index, *index = calloc(len, sizeof(*index));
	if (index == NULL)
		return -ENOMEM;
	m->index = index;
	m->index_len = len;
	for (size_t i = 0; i < len / 2; i++)
		if (old[i].slot != NULL)
			put_index(m, old[i].slot, old[i].hash);
	free(old);
	return 0;
}

static int by_hash(const void *a, const void *b, void *ctx)
{
	const struct slot *x = *(const void *const *)a, *y = *(const void *const *)b;
	const struct keyed_merge *m = ctx;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return memcmp(key_of(x), key_of(y), m->set.key_bytes);
}

static int by_key(const void *a, const void *b, void *ctx)
{
	const struct slot *x = *(const void *const *)a, *y = *(const void *const *)b;
	const struct keyed_merge *m = ctx;

	return memcmp(key_of(x), key_of(y), m->set.key_bytes);
}

/* All slots, in order; -ENOMEM. */
static int sort(struct keyed_merge *m, int (*order)(const void *, const void *, void *))
{
	if (m->order_cap < m->n) {
		void *p = realloc(m->order, m->n * sizeof(*m->order));
		if (p == NULL)
			return -ENOMEM;
		m->order = p;
		m->order_cap = m->n;
	}
	memcpy(m->order, m->slots, m->n * sizeof(*m->order));
	qsort_r(m->order, m->n, sizeof(*m->order), order, m);
	return 0;
}

static void give_back(struct keyed_merge *m, struct slot *s)
{
	m->set.leave(m->set.ctx, acc_of(m, s));
	while (s->parts != NULL) {
		struct part *next = s->parts->next;
		s->parts->next = m->free_parts;
		m->free_parts = s->parts;
		s->parts = next;
	}
	s->next = m->free_slots;
	m->free_slots = s;
}

int keyed_merge_settle(struct keyed_merge *m)
{
	if (m->n <= m->set.budget)
		return 0;
	if (sort(m, by_hash) != 0)
		return -ENOMEM;
	memset(m->index, 0, m->index_len * sizeof(*m->index));
	for (size_t i = 0; i < m->set.budget; i++) {
		m->slots[i] = (struct slot *)(uintptr_t)m->order[i];
		put_index(m, m->slots[i], m->slots[i]->hash);
	}
	for (size_t i = m->set.budget; i < m->n; i++)
		give_back(m, (struct slot *)(uintptr_t)m->order[i]);
	m->n = m->set.budget;
	m->over = true;
	const struct slot *last = m->order[m->n - 1];
	m->limit_hash = last->hash;
	memcpy(m->limit_key, key_of(last), m->set.key_bytes);
	return 0;
}

static bool is_left_out(const struct keyed_merge *m, const void *key, uint64_t hash)
{
	if (!m->over || hash < m->limit_hash)
		return false;
	return hash > m->limit_hash || memcmp(key, m->limit_key, m->set.key_bytes) > 0;
}

static struct slot *make_slot(struct keyed_merge *m)
{
	struct slot *s = m->free_slots;

	if (s != NULL) {
		m->free_slots = s->next;
		return s;
	}
	return take(m, sizeof(*s) + m->key_words * 8 + m->set.acc_bytes);
}

uint64_t keyed_merge_hash_of(const struct keyed_merge *m, const void *acc)
{
	return slot_of(m, acc)->hash;
}

uint64_t keyed_merge_hash(const struct keyed_merge *m, const void *key)
{
	return XXH3_64bits_withSeed(key, m->set.key_bytes, m->set.seed);
}

void keyed_merge_fetch_place(const struct keyed_merge *m, uint64_t hash)
{
	fetch_write(&m->index[hash & (m->index_len - 1)]);
}

static void fetch_slot(const struct keyed_merge *m, const struct slot *s)
{
	const size_t bytes = sizeof(*s) + m->key_words * 8 + m->set.acc_bytes;

	for (size_t at = 0; at < bytes && at < FETCH_CAP; at += CACHE_LINE)
		fetch_write((const uint8_t *)s + at);
}

void keyed_merge_fetch(const struct keyed_merge *m, uint64_t hash)
{
	const struct slot *s = m->index[place_of(m, hash & (m->index_len - 1), hash)].slot;

	if (s != NULL)
		fetch_slot(m, s);
}

int keyed_merge_get_hashed(struct keyed_merge *m, const void *key, uint64_t hash, void **acc)
{
	struct slot *s = look_up(m, key, hash);

	if (s == NULL) {
		if (m->n > m->set.budget + m->set.budget / 8 && keyed_merge_settle(m) != 0)
			return -ENOMEM;
		if (is_left_out(m, key, hash))
			return 1;
		if (m->n == room_of(m->index_len) && grow_index(m) != 0)
			return -ENOMEM;
		s = make_slot(m);
		if (s == NULL)
			return -ENOMEM;
		memset(s, 0, sizeof(*s) + m->key_words * 8 + m->set.acc_bytes);
		s->hash = hash;
		memcpy(key_of(s), key, m->set.key_bytes);
		put_index(m, s, hash);
		m->slots[m->n++] = s;
	}
	*acc = acc_of(m, s);
	return 0;
}

int keyed_merge_get(struct keyed_merge *m, const void *key, void **acc)
{
	return keyed_merge_get_hashed(m, key, keyed_merge_hash(m, key), acc);
}

const void *keyed_merge_find(const struct keyed_merge *m, const void *key)
{
	const struct slot *s = look_up(m, key, keyed_merge_hash(m, key));

	return s != NULL ? acc_of(m, s) : NULL;
}

void *keyed_merge_part(struct keyed_merge *m, void *acc, uint32_t id)
{
	struct slot *s = slot_of(m, acc);
	struct part *p = s->parts;

	while (p != NULL && p->id != id)
		p = p->next;
	if (p != NULL)
		return p->data;
	p = m->free_parts;
	if (p != NULL)
		m->free_parts = p->next;
	else
		p = take(m, sizeof(*p) + m->set.part_bytes);
	if (p == NULL)
		return NULL;
	memset(p->data, 0, m->set.part_bytes);
	p->id = id;
	p->next = s->parts;
	s->parts = p;
	return p->data;
}

bool keyed_merge_next_part(const struct keyed_merge *m, const void *acc, const void **part,
			   uint32_t *id)
{
	const struct part *p = slot_of(m, acc)->parts;

	if (*part != NULL)
		p = ((const struct part *)((uintptr_t)*part - offsetof(struct part, data)))->next;
	if (p == NULL)
		return false;
	*part = p->data;
	*id = p->id;
	return true;
}

const void *keyed_merge_keep(struct keyed_merge *m, const void *octets, size_t bytes)
{
	void *p = take(m, bytes);

	return p != NULL ? memcpy(p, octets, bytes) : NULL;
}

const void *keyed_merge_next(const struct keyed_merge *m, size_t *at)
{
	if (*at + AHEAD < m->n)
		fetch_slot(m, m->slots[*at + AHEAD]);
	return *at < m->n ? acc_of(m, m->slots[(*at)++]) : NULL;
}

const void *const *keyed_merge_sorted(struct keyed_merge *m, size_t *n)
{
	*n = m->n;
	if (m->n == 0)
		return NULL;
	if (keyed_merge_settle(m) != 0 || sort(m, by_key) != 0)
		return NULL;
	*n = m->n;
	for (size_t i = 0; i < m->n; i++)
		m->order[i] = acc_of(m, m->order[i]);
	return m->order;
}

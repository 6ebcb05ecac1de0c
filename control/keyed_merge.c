/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyed_merge.h"

#include "../dataplane/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK_BYTES 65536u
#define INDEX_MIN 64u
#define AHEAD 8u /* accumulators */

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

/* A key: behind it the accumulator, behind that the key's octets. */
struct slot {
	uint64_t hash;
	struct slot *next; /* where it is free */
	struct part *parts;
	uint64_t acc[];
};

struct keyed_merge {
	struct keyed_merge_settings set;
	struct chunk *chunks;
	struct slot **index; /* [index_len], open addressing */
	size_t index_len, n;
	struct slot **slots; /* [n] of index_len / 2, as they were made: one behind the other */
	const void **order;  /* for sorting: slots, then accumulators */
	size_t order_cap;
	struct slot *free_slots;
	struct part *free_parts;
	bool over;
	uint64_t limit_hash;
	uint8_t *limit_key; /* the last that stayed, once over */
};

struct keyed_merge *keyed_merge_create(const struct keyed_merge_settings *settings)
{
	struct keyed_merge *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->set = *settings;
	m->set.acc_bytes = (settings->acc_bytes + 7) & ~(size_t)7;
	m->index_len = INDEX_MIN;
	while (m->index_len < 2 * settings->expected)
		m->index_len *= 2;
	m->index = calloc(m->index_len, sizeof(struct slot *));
	m->slots = malloc(m->index_len / 2 * sizeof(struct slot *));
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

static inline uint8_t *key_of(const struct keyed_merge *m, const struct slot *s)
{
	return (uint8_t *)(uintptr_t)s->acc + m->set.acc_bytes;
}

static inline struct slot *slot_of(const void *acc)
{
	return (struct slot *)((uintptr_t)acc - offsetof(struct slot, acc));
}

const void *keyed_merge_key(const struct keyed_merge *m, const void *acc)
{
	return key_of(m, slot_of(acc));
}

size_t keyed_merge_keys(const struct keyed_merge *m)
{
	return m->n;
}

bool keyed_merge_is_over(const struct keyed_merge *m)
{
	return m->over;
}

static void put_index(const struct keyed_merge *m, struct slot *s)
{
	size_t at = s->hash & (m->index_len - 1);

	while (m->index[at] != NULL)
		at = (at + 1) & (m->index_len - 1);
	m->index[at] = s;
}

/* The slot of a key, or NULL and the place in the index where it belongs. */
static struct slot *look_up(const struct keyed_merge *m, const void *key, uint64_t hash)
{
	size_t at = hash & (m->index_len - 1);

	for (; m->index[at] != NULL; at = (at + 1) & (m->index_len - 1)) {
		struct slot *s = m->index[at];
		if (s->hash == hash && memcmp(key_of(m, s), key, m->set.key_bytes) == 0)
			return s;
	}
	return NULL;
}

static int grow_index(struct keyed_merge *m)
{
	struct slot **slots = realloc(m->slots, m->index_len * sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	m->slots = slots;
	struct slot **index = calloc(2 * m->index_len, sizeof(*index));
	if (index == NULL)
		return -ENOMEM;
	free(m->index);
	m->index = index;
	m->index_len *= 2;
	for (size_t i = 0; i < m->n; i++)
		put_index(m, m->slots[i]);
	return 0;
}

static int by_hash(const void *a, const void *b, void *ctx)
{
	const struct slot *x = *(const void *const *)a, *y = *(const void *const *)b;
	const struct keyed_merge *m = ctx;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return memcmp(key_of(m, x), key_of(m, y), m->set.key_bytes);
}

static int by_key(const void *a, const void *b, void *ctx)
{
	const struct slot *x = *(const void *const *)a, *y = *(const void *const *)b;
	const struct keyed_merge *m = ctx;

	return memcmp(key_of(m, x), key_of(m, y), m->set.key_bytes);
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
	m->set.leave(m->set.ctx, s->acc);
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
	memset(m->index, 0, m->index_len * sizeof(struct slot *));
	for (size_t i = 0; i < m->set.budget; i++) {
		m->slots[i] = (struct slot *)(uintptr_t)m->order[i];
		put_index(m, m->slots[i]);
	}
	for (size_t i = m->set.budget; i < m->n; i++)
		give_back(m, (struct slot *)(uintptr_t)m->order[i]);
	m->n = m->set.budget;
	m->over = true;
	const struct slot *last = m->order[m->n - 1];
	m->limit_hash = last->hash;
	memcpy(m->limit_key, key_of(m, last), m->set.key_bytes);
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
	return take(m, sizeof(*s) + m->set.acc_bytes + m->set.key_bytes);
}

uint64_t keyed_merge_hash(const struct keyed_merge *m, const void *key)
{
	return XXH3_64bits_withSeed(key, m->set.key_bytes, m->set.seed);
}

void keyed_merge_fetch_place(const struct keyed_merge *m, uint64_t hash)
{
	fetch_write(&m->index[hash & (m->index_len - 1)]);
}

static void fetch_slot(const struct slot *s)
{
	fetch_write(s);
	fetch_write((const uint8_t *)s + 64);
	fetch_write((const uint8_t *)s + 128);
}

void keyed_merge_fetch(const struct keyed_merge *m, uint64_t hash)
{
	const struct slot *s = m->index[hash & (m->index_len - 1)];

	if (s != NULL)
		fetch_slot(s);
}

int keyed_merge_get_hashed(struct keyed_merge *m, const void *key, uint64_t hash, void **acc)
{
	struct slot *s = look_up(m, key, hash);

	if (s == NULL) {
		if (m->n > m->set.budget + m->set.budget / 8 && keyed_merge_settle(m) != 0)
			return -ENOMEM;
		if (is_left_out(m, key, hash))
			return 1;
		if (2 * (m->n + 1) > m->index_len && grow_index(m) != 0)
			return -ENOMEM;
		s = make_slot(m);
		if (s == NULL)
			return -ENOMEM;
		memset(s, 0, sizeof(*s) + m->set.acc_bytes);
		s->hash = hash;
		memcpy(key_of(m, s), key, m->set.key_bytes);
		put_index(m, s);
		m->slots[m->n++] = s;
	}
	*acc = s->acc;
	return 0;
}

int keyed_merge_get(struct keyed_merge *m, const void *key, void **acc)
{
	return keyed_merge_get_hashed(m, key, keyed_merge_hash(m, key), acc);
}

const void *keyed_merge_find(const struct keyed_merge *m, const void *key)
{
	const struct slot *s = look_up(m, key, keyed_merge_hash(m, key));

	return s != NULL ? s->acc : NULL;
}

void *keyed_merge_part(struct keyed_merge *m, void *acc, uint32_t id)
{
	struct slot *s = slot_of(acc);
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
	const struct part *p = slot_of(acc)->parts;

	(void)m;
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
		fetch_slot(m->slots[*at + AHEAD]);
	return *at < m->n ? m->slots[(*at)++]->acc : NULL;
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
		m->order[i] = ((const struct slot *)m->order[i])->acc;
	return m->order;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_more.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_BYTES 16u /* what each piece of memory costs beside itself */
#define DENSE_CAP 8u   /* so few targets may fill their table */

static void *take(size_t n, size_t each, size_t *bytes)
{
	void *p = calloc(n, each);

	if (p != NULL)
		*bytes += n * each + HEAP_BYTES;
	return p;
}

static void give(void *p, size_t n, size_t each, size_t *bytes)
{
	if (p != NULL)
		*bytes -= n * each + HEAP_BYTES;
	free(p);
}

struct flux_more *flux_more_create(size_t *bytes)
{
	return take(1, sizeof(struct flux_more), bytes);
}

static void destroy_names(struct flux_names *names, size_t *bytes)
{
	if (names == NULL)
		return;
	for (uint32_t i = 0; i < names->n; i++)
		give(names->target[i].wire, names->target[i].len, 1, bytes);
	give(names->owner, names->owner_len, 1, bytes);
	give(names, 1, sizeof(*names), bytes);
}

void flux_more_destroy(struct flux_more *m, size_t *bytes)
{
	if (m == NULL)
		return;
	destroy_names(m->names, bytes);
	give(m->target, m->target_cap, sizeof(*m->target), bytes);
	give(m->view, m->view_cap, sizeof(*m->view), bytes);
	give(m->seen, FLUX_SEEN, sizeof(*m->seen), bytes);
	give(m, 1, sizeof(*m), bytes);
}

/* --- targets: open addressing --- */

static struct flux_target *place_of(struct flux_target *table, uint32_t cap, uint64_t key)
{
	uint32_t at = (uint32_t)(key >> 20) & (cap - 1);

	for (uint32_t i = 0; i < cap; i++, at = (at + 1) & (cap - 1))
		if (table[at].key == key || table[at].key == 0)
			return &table[at];
	return NULL;
}

static int grow_targets(struct flux_more *m, size_t *bytes)
{
	const uint32_t cap = m->target_cap == 0 ? 2 : 2 * m->target_cap;
	struct flux_target *table = take(cap, sizeof(*table), bytes);

	if (table == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->target_cap; i++)
		if (m->target[i].key != 0)
			*place_of(table, cap, m->target[i].key) = m->target[i];
	give(m->target, m->target_cap, sizeof(*table), bytes);
	m->target = table;
	m->target_cap = cap;
	return 0;
}

struct flux_target *flux_more_target(struct flux_more *m, uint64_t key, size_t *bytes)
{
	struct flux_target *t = m->target_cap != 0 ? place_of(m->target, m->target_cap, key) : NULL;
	const bool full = m->target_cap <= DENSE_CAP ? m->targets == m->target_cap
						     : m->targets >= m->target_cap / 4 * 3;

	if (t != NULL && t->key == key)
		return t;
	if (full && grow_targets(m, bytes) != 0)
		return NULL;
	t = place_of(m->target, m->target_cap, key);
	t->key = key;
	t->first = UINT32_MAX;
	m->targets++;
	return t;
}

/* --- views --- */

struct flux_view *flux_more_view(const struct flux_more *m, uint32_t key)
{
	for (uint32_t i = 0; i < m->views && i < FLUX_VIEWS; i++)
		if (m->view[i].key == key)
			return &m->view[i];
	return NULL;
}

struct flux_view *flux_more_add_view(struct flux_more *m, uint32_t key, size_t *bytes)
{
	if (m->views == m->view_cap) {
		const uint32_t cap = m->views < 4 ? m->views + 2 : m->views + m->views / 2;
		struct flux_view *view = take(cap, sizeof(*view), bytes);
		if (view == NULL)
			return NULL;
		if (m->views != 0)
			memcpy(view, m->view, m->views * sizeof(*view));
		give(m->view, m->view_cap, sizeof(*view), bytes);
		m->view = view;
		m->view_cap = cap;
	}
	m->view[m->views] = (struct flux_view){.key = key};
	return &m->view[m->views++];
}

/* Keeps the least keys: as many as there are exactly, or a sample that says how many. */
static void note_seen(struct flux_more *m, uint32_t key)
{
	uint32_t lo = 0, hi = m->seen_n;

	while (lo < hi) {
		const uint32_t mid = (lo + hi) / 2;
		if (m->seen[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == FLUX_SEEN || (lo < m->seen_n && m->seen[lo] == key))
		return;
	m->seen_n -= m->seen_n == FLUX_SEEN;
	memmove(&m->seen[lo + 1], &m->seen[lo], (m->seen_n - lo) * sizeof(*m->seen));
	m->seen[lo] = key;
	m->seen_n++;
}

static int order_views(const void *left, const void *right)
{
	const struct flux_view *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return (a->key > b->key) - (a->key < b->key);
}

int flux_more_begin_seen(struct flux_more *m, size_t *bytes)
{
	if (m->seen == NULL)
		m->seen = take(FLUX_SEEN, sizeof(*m->seen), bytes);
	return m->seen != NULL ? 0 : -ENOMEM;
}

int flux_more_cut_views(struct flux_more *m, size_t *bytes)
{
	if (m->views <= FLUX_VIEWS && m->seen == NULL)
		return 0;
	if (flux_more_begin_seen(m, bytes) != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->views; i++)
		note_seen(m, m->view[i].key);
	if (m->views <= FLUX_VIEWS)
		return 0;
	qsort(m->view, m->views, sizeof(*m->view), order_views);
	m->views = FLUX_VIEWS;
	struct flux_view *view = take(FLUX_VIEWS, sizeof(*view), bytes);
	if (view == NULL)
		return 0; /* more room than is needed */
	memcpy(view, m->view, FLUX_VIEWS * sizeof(*view));
	give(m->view, m->view_cap, sizeof(*view), bytes);
	m->view = view;
	m->view_cap = FLUX_VIEWS;
	return 0;
}

uint64_t flux_more_views(const struct flux_more *m)
{
	if (m->seen == NULL)
		return m->views;
	if (m->seen_n < FLUX_SEEN)
		return m->seen_n;
	/* K minimum values: Bar-Yossef et al., RANDOM 2002. */
	return (uint64_t)(FLUX_SEEN - 1) * (1ull << 32) / ((uint64_t)m->seen[FLUX_SEEN - 1] + 1);
}

/* --- names --- */

static uint8_t *copy(const uint8_t *wire, uint32_t len, size_t *bytes)
{
	uint8_t *p = take(len, 1, bytes);

	if (p != NULL)
		memcpy(p, wire, len);
	return p;
}

static struct flux_names *names_get(struct flux_more *m, size_t *bytes)
{
	if (m->names == NULL)
		m->names = take(1, sizeof(*m->names), bytes);
	return m->names;
}

int flux_more_name_owner(struct flux_more *m, const uint8_t *wire, uint32_t len, size_t *bytes)
{
	struct flux_names *names = names_get(m, bytes);

	if (names == NULL)
		return -ENOMEM;
	if (names->owner != NULL)
		return 0;
	names->owner = copy(wire, len, bytes);
	names->owner_len = names->owner != NULL ? len : 0;
	return names->owner != NULL ? 0 : -ENOMEM;
}

const struct flux_name *flux_more_name(const struct flux_more *m, uint64_t key)
{
	for (uint32_t i = 0; m->names != NULL && i < m->names->n; i++)
		if (m->names->target[i].key == key)
			return &m->names->target[i];
	return NULL;
}

int flux_more_name_target(struct flux_more *m, uint64_t key, const uint8_t *wire, uint32_t len,
			  size_t *bytes)
{
	struct flux_names *names = names_get(m, bytes);

	if (names == NULL)
		return -ENOMEM;
	if (names->n == FLUX_TOP || flux_more_name(m, key) != NULL)
		return 0;
	uint8_t *p = copy(wire, len, bytes);
	if (p == NULL)
		return -ENOMEM;
	names->target[names->n++] = (struct flux_name){key, p, len};
	return 0;
}

static bool goes_before(const struct flux_top *a, const struct flux_top *b)
{
	if (a->target->count != b->target->count)
		return a->target->count > b->target->count;
	if (a->target->first != b->target->first)
		return a->target->first < b->target->first;
	if (a->wire == NULL || b->wire == NULL)
		return a->wire != NULL;
	const int d = memcmp(a->wire, b->wire, a->len < b->len ? a->len : b->len);
	return d != 0 ? d < 0 : a->len < b->len;
}

unsigned flux_more_top(const struct flux_more *m, flux_lookup *lookup, void *ctx,
		       struct flux_top out[FLUX_TOP + 1])
{
	unsigned n = 0;

	for (uint32_t i = 0; i < m->target_cap; i++) {
		struct flux_top x = {.target = &m->target[i]};
		if (x.target->key == 0 ||
		    (n == FLUX_TOP && x.target->count < out[n - 1].target->count))
			continue;
		const struct flux_name *name = flux_more_name(m, x.target->key);
		if (name != NULL) {
			x.wire = name->wire;
			x.len = name->len;
		} else if (lookup != NULL && !lookup(ctx, x.target->key, &x.wire, &x.len)) {
			x.wire = NULL;
		}
		unsigned at = n;
		for (; at > 0 && goes_before(&x, &out[at - 1]); at--)
			out[at] = out[at - 1];
		out[at] = x;
		n = n < FLUX_TOP ? n + 1 : n;
	}
	return n;
}

int flux_more_keep_names(struct flux_more *m, const struct flux_top *top, unsigned n, size_t *bytes)
{
	struct flux_names *names = names_get(m, bytes);
	uint32_t kept = 0;
	int result = 0;

	if (names == NULL)
		return -ENOMEM;
	/* Those that stay are in `top`, and point into what is kept. */
	for (uint32_t i = 0; i < names->n; i++) {
		bool stays = false;
		for (unsigned k = 0; k < n && !stays; k++)
			stays = top[k].target->key == names->target[i].key;
		if (stays)
			names->target[kept++] = names->target[i];
		else
			give(names->target[i].wire, names->target[i].len, 1, bytes);
	}
	names->n = kept;
	for (unsigned k = 0; k < n && result == 0; k++)
		if (top[k].wire != NULL)
			result = flux_more_name_target(m, top[k].target->key, top[k].wire,
						       top[k].len, bytes);
	return result;
}

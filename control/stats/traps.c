/* SPDX-License-Identifier: BSD-3-Clause */
#include "traps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC 0x31505254u /* "TRP1" */
#define DAYS_CAP (1ull << 32)

struct entry {
	uint8_t key[TRAP_KEY_BYTES];
	bool used;
	uint16_t count[TRAP_SPAN_DAYS]; /* by day % TRAP_SPAN_DAYS; full at 65,535 */
	uint64_t day;                   /* the last one */
	uint64_t told;                  /* the day, and one, on which it was told last */
	uint64_t first_us, last_us;
	struct handful clients;
};

struct traps {
	size_t cap, slots, n; /* slots: a power of two */
	struct entry *entry;  /* [slots], open addressing */
	uint64_t swept;       /* the day on which old ones were looked for */
	uint64_t left_out;
};

struct traps *traps_create(size_t cap)
{
	struct traps *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->cap = cap;
	t->slots = 16;
	while (t->slots < 2 * cap)
		t->slots *= 2;
	t->entry = calloc(t->slots, sizeof(*t->entry));
	if (t->entry == NULL) {
		free(t);
		errno = ENOMEM;
		return NULL;
	}
	return t;
}

void traps_destroy(struct traps *t)
{
	if (t == NULL)
		return;
	free(t->entry);
	free(t);
}

uint64_t traps_left_out(const struct traps *t)
{
	return t->left_out;
}

static struct entry *place_of(const struct traps *t, struct entry *table, const uint8_t *key)
{
	size_t at = XXH3_64bits(key, TRAP_KEY_BYTES) & (t->slots - 1);

	while (table[at].used && memcmp(table[at].key, key, TRAP_KEY_BYTES) != 0)
		at = (at + 1) & (t->slots - 1);
	return &table[at];
}

/* Drops what was not asked for in thirty days; at most once a day. */
static void sweep(struct traps *t, uint64_t day)
{
	if (t->swept == day)
		return;
	struct entry *fresh = calloc(t->slots, sizeof(*fresh));
	if (fresh == NULL)
		return; /* another day */
	t->swept = day;
	t->n = 0;
	for (size_t i = 0; i < t->slots; i++) {
		const struct entry *e = &t->entry[i];
		if (!e->used || e->day + TRAP_SPAN_DAYS <= day)
			continue;
		*place_of(t, fresh, e->key) = *e;
		t->n++;
	}
	free(t->entry);
	t->entry = fresh;
}

/* The days between the last and this one had none. */
static void move_on(struct entry *e, uint64_t day)
{
	for (uint64_t k = 1; k <= TRAP_SPAN_DAYS && e->day + k <= day; k++)
		e->count[(e->day + k) % TRAP_SPAN_DAYS] = 0;
	if (e->day < day)
		e->day = day;
}

static void sum_up(const struct entry *e, struct trap *out)
{
	*out = (struct trap){
	    .clients = handful_count(&e->clients), .first_us = e->first_us, .last_us = e->last_us};
	for (unsigned i = 0; i < TRAP_SPAN_DAYS; i++) {
		out->count += e->count[i];
		out->days += e->count[i] != 0;
	}
}

bool traps_step(struct traps *t, const uint8_t *key, const struct trap_day *d, struct trap *out)
{
	struct entry *e = place_of(t, t->entry, key);

	if (!e->used && t->n >= t->cap) {
		sweep(t, d->day);
		e = place_of(t, t->entry, key);
	}
	if (!e->used && t->n >= t->cap) {
		t->left_out++;
		return false;
	}
	if (!e->used || e->day + TRAP_SPAN_DAYS <= d->day) { /* new, or all was too long ago */
		t->n += !e->used;
		memset(e, 0, sizeof(*e));
		memcpy(e->key, key, TRAP_KEY_BYTES);
		e->used = true;
		e->day = d->day;
		e->first_us = d->first_us;
	}
	move_on(e, d->day);
	uint16_t *today = &e->count[e->day % TRAP_SPAN_DAYS];
	*today = (uint16_t)(*today + d->count < UINT16_MAX ? *today + d->count : UINT16_MAX);
	if (d->last_us > e->last_us)
		e->last_us = d->last_us;
	handful_merge(&e->clients, d->clients->n, d->clients->u.regs);
	sum_up(e, out);
	if (out->count < TRAP_COUNT || out->clients < TRAP_CLIENTS || out->days < TRAP_DAYS ||
	    e->told == e->day + 1)
		return false;
	e->told = e->day + 1;
	return true;
}

/* --- snapshots: a head, then each entry --- */

struct head {
	uint32_t magic, version;
	uint64_t n, swept, left_out;
};

struct image {
	uint8_t key[TRAP_KEY_BYTES], pad[7];
	uint16_t count[TRAP_SPAN_DAYS], more_pad[2];
	uint64_t day, told, first_us, last_us;
	struct handful clients;
	uint32_t last_pad;
};
static_assert(sizeof(struct image) % 8 == 0, "no octets that nobody sets");

int traps_save(const struct traps *t, state_write_fn *write, void *ctx)
{
	const struct head h = {MAGIC, 1, t->n, t->swept, t->left_out};
	int result = write(ctx, &h, sizeof(h));

	for (size_t i = 0; i < t->slots && result == 0; i++) {
		const struct entry *e = &t->entry[i];
		struct image x = {.day = e->day,
				  .told = e->told,
				  .first_us = e->first_us,
				  .last_us = e->last_us,
				  .clients = e->clients};
		if (!e->used)
			continue;
		memcpy(x.key, e->key, sizeof(x.key));
		memcpy(x.count, e->count, sizeof(x.count));
		result = write(ctx, &x, sizeof(x));
	}
	return result;
}

static int put_entry(struct traps *t, const struct image *x)
{
	struct entry *e = place_of(t, t->entry, x->key);

	if (e->used || x->day > DAYS_CAP || x->clients.n > FT_ERROR_EXACT + 1)
		return -EBADMSG;
	memcpy(e->key, x->key, sizeof(e->key));
	memcpy(e->count, x->count, sizeof(e->count));
	e->used = true;
	e->day = x->day;
	e->told = x->told;
	e->first_us = x->first_us;
	e->last_us = x->last_us;
	e->clients = x->clients;
	t->n++;
	return 0;
}

int traps_load(struct traps *t, state_read_fn *read, void *ctx)
{
	struct head h;
	struct image x;
	int result = read(ctx, &h, sizeof(h));

	if (result == 0 && (h.magic != MAGIC || h.version != 1 || h.n > t->cap))
		result = -EBADMSG;
	for (uint64_t i = 0; result == 0 && i < h.n; i++) {
		result = read(ctx, &x, sizeof(x));
		if (result == 0)
			result = put_entry(t, &x);
	}
	if (result != 0) {
		memset(t->entry, 0, t->slots * sizeof(*t->entry));
		t->n = 0;
		return result;
	}
	t->swept = h.swept;
	t->left_out = h.left_out;
	return 0;
}

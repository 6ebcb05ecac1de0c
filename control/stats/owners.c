/* SPDX-License-Identifier: BSD-3-Clause */
#include "owners.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define UNSCATTER 0xf1de83e19937733dull /* inverse of the scatter modulo 2^64 */
#define CAP_LEAST 64u

static_assert(OWNERS_SCATTER * UNSCATTER == 1, "inverse");

uint64_t owners_key(const struct owner *o)
{
	return o->place * UNSCATTER;
}

static size_t pad_of(size_t cap)
{
	return 32 + cap / 64;
}

static size_t home_of(size_t cap, uint64_t place)
{
	return (size_t)((place << 8 >> 32) * cap >> 32);
}

static bool is_below(const struct owner *o, uint64_t place, unsigned vantage)
{
	return o->place != place ? o->place < place : o->vantage < vantage;
}

static bool is_full(const struct owners_shard *s)
{
	return (s->n + 1) * 100 > s->cap * 92;
}

void owners_fini(struct owners *t)
{
	for (unsigned i = 0; i < OWNERS_SHARDS; i++)
		if (t->shard[i].bytes != 0)
			(void)munmap(t->shard[i].slot, t->shard[i].bytes);
	*t = (struct owners){0};
}

/* Owners to the front, in order. */
static void pack(struct owners_shard *s)
{
	const size_t room = s->cap != 0 ? s->cap + pad_of(s->cap) : 0;
	size_t n = 0;

	for (size_t i = 0; i < room; i++) {
		if (s->slot[i].place == 0)
			continue;
		if (n != i) {
			s->slot[n] = s->slot[i];
			s->slot[i].place = 0;
		}
		n++;
	}
	assert(n == s->n);
}

/* From the front to their places; false where the last ones have none. */
static bool spread(struct owners_shard *s, uint32_t *at)
{
	const size_t room = s->cap + pad_of(s->cap);
	size_t next = 0;

	for (size_t i = 0; i < s->n; i++, next++) {
		const size_t home = home_of(s->cap, s->slot[i].place);
		next = home > next ? home : next;
		if (next + 1 >= room) /* the last slot stays free: searches end there */
			return false;
		at[i] = (uint32_t)next;
	}
	for (size_t i = s->n; i-- > 0;) {
		if (at[i] == i)
			continue;
		s->slot[at[i]] = s->slot[i];
		s->slot[i].place = 0;
	}
	return true;
}

static int remap(struct owners *t, struct owners_shard *s, size_t cap)
{
	const size_t bytes = ((cap + pad_of(cap)) * sizeof(struct owner) + 4095) & ~(size_t)4095;
	void *p;

	if (s->bytes == 0)
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else
		p = mremap(s->slot, s->bytes, bytes, MREMAP_MAYMOVE);
	if (p == MAP_FAILED)
		return -ENOMEM;
	t->bytes += bytes - s->bytes;
	s->slot = p;
	s->bytes = bytes;
	s->cap = cap;
	return 0;
}

/* Another number of places; grows further where the owners lie too close. */
static int resize(struct owners *t, struct owners_shard *s, size_t cap)
{
	uint32_t *at = malloc((s->n + 1) * sizeof(*at));
	int result = at != NULL ? 0 : -ENOMEM;

	if (result == 0 && s->cap != 0)
		pack(s);
	do {
		if (result == 0)
			result = remap(t, s, cap);
		cap += cap / 16 + 32;
	} while (result == 0 && !spread(s, at));
	/* Without memory they lie packed, where nobody finds them: back to their places. */
	if (result != 0 && at != NULL && s->cap != 0)
		(void)spread(s, at);
	free(at);
	return result;
}

static struct owners_shard *shard_of(const struct owners *t, uint64_t place)
{
	return (struct owners_shard *)(uintptr_t)&t->shard[place >> 56];
}

/* Where the owner is, or would be put. */
static size_t find(const struct owners_shard *s, uint64_t place, unsigned vantage)
{
	size_t i = home_of(s->cap, place);

	while (s->slot[i].place != 0 && is_below(&s->slot[i], place, vantage))
		i++;
	return i;
}

struct owner *owners_find(const struct owners *t, uint64_t key, unsigned vantage)
{
	const uint64_t place = owners_place(key);
	const struct owners_shard *s = shard_of(t, place);

	if (s->cap == 0)
		return NULL;
	struct owner *o = &s->slot[find(s, place, vantage)];
	return o->place == place && o->vantage == vantage ? o : NULL;
}

struct owner *owners_get(struct owners *t, uint64_t key, unsigned vantage, bool *fresh)
{
	const uint64_t place = owners_place(key);
	struct owners_shard *s = shard_of(t, place);
	struct owner *found = owners_find(t, key, vantage);
	size_t i, end;

	*fresh = found == NULL;
	if (found != NULL)
		return found;
	if (is_full(s) && resize(t, s, s->cap == 0 ? CAP_LEAST : s->cap + s->cap / 16 + 32) != 0)
		return NULL;
	for (;;) {
		i = end = find(s, place, vantage);
		while (s->slot[end].place != 0)
			end++;
		if (end + 1 < s->cap + pad_of(s->cap))
			break;
		if (resize(t, s, s->cap + s->cap / 16 + 32) != 0)
			return NULL;
	}
	memmove(&s->slot[i + 1], &s->slot[i], (end - i) * sizeof(struct owner));
	s->slot[i] = (struct owner){.place = place, .vantage = vantage & 3};
	s->n++;
	t->n++;
	return &s->slot[i];
}

void owners_remove(struct owners *t, struct owner *o)
{
	struct owners_shard *s = shard_of(t, o->place);
	size_t i = (size_t)(o - s->slot);

	while (s->slot[i + 1].place != 0 && home_of(s->cap, s->slot[i + 1].place) <= i) {
		s->slot[i] = s->slot[i + 1];
		i++;
	}
	s->slot[i].place = 0;
	s->n--;
	t->n--;
}

void owners_sift(struct owners *t, bool (*stays)(void *ctx, struct owner *o), void *ctx)
{
	for (unsigned i = 0; i < OWNERS_SHARDS; i++) {
		struct owners_shard *s = &t->shard[i];
		size_t n = 0;
		if (s->cap == 0)
			continue;
		pack(s);
		for (size_t k = 0; k < s->n; k++) {
			struct owner *o = &s->slot[k];
			if (stays(ctx, o))
				s->slot[n++] = *o;
		}
		memset(&s->slot[n], 0, (s->n - n) * sizeof(struct owner));
		t->n -= s->n - n;
		s->n = n;
		/* Without memory for it, the part stays as large as it is. */
		if (resize(t, s, n + n / 8 + CAP_LEAST) != 0)
			assert(s->n == 0 || s->cap > s->n);
	}
}

struct thinning {
	unsigned shift;
	void (*drop)(void *ctx, struct owner *o);
	void *ctx;
};

static bool is_in_share(void *ctx, struct owner *o)
{
	const struct thinning *t = ctx;
	const bool stays = owners_stays(owners_key(o), t->shift);

	if (!stays)
		t->drop(t->ctx, o);
	return stays;
}

void owners_thin(struct owners *t, unsigned shift, void (*drop)(void *ctx, struct owner *o),
		 void *ctx)
{
	struct thinning thinning = {shift, drop, ctx};

	owners_sift(t, is_in_share, &thinning);
}

void owners_each(const struct owners *t, void (*each)(void *ctx, const struct owner *o), void *ctx)
{
	for (unsigned i = 0; i < OWNERS_SHARDS; i++) {
		const struct owners_shard *s = &t->shard[i];
		for (size_t k = 0; s->cap != 0 && k < s->cap + pad_of(s->cap); k++)
			if (s->slot[k].place != 0)
				each(ctx, &s->slot[k]);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BUCKETS 16384u

int sink_table_init(struct sink_table *t, size_t grouped_cap, size_t others_cap)
{
	*t = (struct sink_table){
	    .buckets = BUCKETS,
	    .grouped_cap = grouped_cap,
	    .others_cap = others_cap,
	};
	t->bucket = calloc(t->buckets, sizeof(struct sink_item *));
	return t->bucket != NULL ? 0 : -ENOMEM;
}

static void item_free(struct sink_table *t, struct sink_item *i)
{
	sink_past_fini(&i->past, &t->clock);
	free(i->text);
	free(i);
}

void sink_table_fini(struct sink_table *t)
{
	for (size_t b = 0; t->bucket != NULL && b < t->buckets; b++) {
		while (t->bucket[b] != NULL) {
			struct sink_item *i = t->bucket[b];
			t->bucket[b] = i->next;
			item_free(t, i);
		}
	}
	free(t->bucket);
	*t = (struct sink_table){0};
}

static size_t bucket_of(const struct sink_table *t, const struct sink_key *key)
{
	return XXH3_64bits(key, sizeof(*key)) & (t->buckets - 1);
}

struct sink_item *sink_table_find(const struct sink_table *t, const struct sink_key *key)
{
	struct sink_item *i = t->bucket[bucket_of(t, key)];

	while (i != NULL && memcmp(&i->key, key, sizeof(*key)) != 0)
		i = i->next;
	return i;
}

static size_t *count_of(struct sink_table *t, const struct sink_key *key)
{
	return key->rule != 0 ? &t->grouped : &t->others;
}

struct sink_item *sink_table_get(struct sink_table *t, const struct sink_key *key, bool *fresh)
{
	struct sink_item *i = sink_table_find(t, key);
	size_t *count = count_of(t, key);

	*fresh = false;
	if (i != NULL)
		return i;
	if (*count == (key->rule != 0 ? t->grouped_cap : t->others_cap) ||
	    (i = calloc(1, sizeof(*i))) == NULL) {
		t->refused += key->rule != 0;
		return NULL;
	}
	struct sink_item **at = &t->bucket[bucket_of(t, key)];
	i->key = *key;
	i->next = *at;
	*at = i;
	++*count;
	*fresh = true;
	return i;
}

int sink_item_name(struct sink_item *i, const uint8_t *text, uint32_t bytes)
{
	if (i->text != NULL || text == NULL)
		return 0;
	i->text = malloc(bytes);
	if (i->text == NULL)
		return -ENOMEM;
	memcpy(i->text, text, bytes);
	i->text_bytes = bytes;
	return 0;
}

static bool is_stale(const struct sink_item *i, uint64_t before_us)
{
	for (unsigned s = 0; s < FT_SINK_SIGNALS; s++)
		if (i->seen_s[s] * 1000000ull >= before_us)
			return false;
	return i->past.last_us < before_us && i->past.from_us < before_us;
}

void sink_table_expire(struct sink_table *t, uint64_t before_us)
{
	for (size_t b = 0; b < t->buckets; b++) {
		for (struct sink_item **at = &t->bucket[b]; *at != NULL;) {
			struct sink_item *i = *at;
			if (!is_stale(i, before_us)) {
				at = &i->next;
				continue;
			}
			*at = i->next;
			--*count_of(t, &i->key);
			item_free(t, i);
		}
	}
}

struct sink_item *sink_table_next(const struct sink_table *t, const struct sink_item *i)
{
	size_t b = 0;

	if (i != NULL && i->next != NULL)
		return i->next;
	if (i != NULL)
		b = bucket_of(t, &i->key) + 1;
	while (b < t->buckets && t->bucket[b] == NULL)
		b++;
	return b < t->buckets ? t->bucket[b] : NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "dga_clusters.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS (2u * CLUSTERS_CAP)

struct clusters {
	struct cluster *slot[SLOTS]; /* open addressing */
	const struct cluster *sorted[CLUSTERS_CAP];
	size_t n;
	uint64_t left_out;
};

struct clusters *clusters_create(void)
{
	return calloc(1, sizeof(struct clusters));
}

void clusters_clear(struct clusters *c)
{
	for (size_t i = 0; i < SLOTS; i++) {
		free(c->slot[i]);
		c->slot[i] = NULL;
	}
	c->n = 0;
	c->left_out = 0;
}

void clusters_destroy(struct clusters *c)
{
	if (c == NULL)
		return;
	clusters_clear(c);
	free(c);
}

uint64_t clusters_left_out(const struct clusters *c)
{
	return c->left_out;
}

static bool same(const struct cluster *a, uint8_t vantage, uint64_t shapes, const uint8_t *tld,
		 uint32_t tld_len)
{
	return a->vantage == vantage && a->shapes == shapes && a->tld_len == tld_len &&
	       memcmp(a->tld, tld, tld_len) == 0;
}

static struct cluster *get(struct clusters *c, uint8_t vantage, uint64_t shapes, const uint8_t *tld,
			   uint32_t tld_len)
{
	size_t at = (XXH3_64bits_withSeed(tld, tld_len, shapes) + vantage) % SLOTS;

	while (c->slot[at] != NULL && !same(c->slot[at], vantage, shapes, tld, tld_len))
		at = (at + 1) % SLOTS;
	if (c->slot[at] != NULL || c->n == CLUSTERS_CAP)
		return c->slot[at];
	struct cluster *x = calloc(1, sizeof(*x));
	if (x == NULL)
		return NULL;
	x->vantage = vantage;
	x->shapes = shapes;
	x->tld_len = (uint8_t)tld_len;
	memcpy(x->tld, tld, tld_len);
	c->slot[at] = x;
	c->n++;
	return x;
}

void clusters_add(struct clusters *c, uint8_t vantage, const struct dga_name *name,
		  const uint8_t client[16])
{
	const uint32_t off = name->name[0] + 1u;

	if (name->shapes == 0 || off >= name->name_len || name->name_len - off > CLUSTER_TLD_CAP)
		return;
	struct cluster *x = get(c, vantage, name->shapes, name->name + off, name->name_len - off);
	if (x == NULL) {
		c->left_out++;
		return;
	}
	few_add(&x->names, XXH3_64bits(name->name, name->name_len));
	few_add(&x->clients, XXH3_64bits(client, 16));
}

static int order(const void *left, const void *right)
{
	const struct cluster *a = *(const struct cluster *const *)left,
			     *b = *(const struct cluster *const *)right;
	const uint64_t x = few_count(&a->names), y = few_count(&b->names);

	if (a->vantage != b->vantage)
		return a->vantage < b->vantage ? -1 : 1;
	if (x != y)
		return x > y ? -1 : 1;
	if (a->tld_len != b->tld_len)
		return a->tld_len < b->tld_len ? -1 : 1;
	const int d = memcmp(a->tld, b->tld, a->tld_len);
	if (d != 0)
		return d;
	return (a->shapes > b->shapes) - (a->shapes < b->shapes);
}

const struct cluster *const *clusters_sorted(struct clusters *c, size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < SLOTS; i++)
		if (c->slot[i] != NULL)
			c->sorted[(*n)++] = c->slot[i];
	qsort(c->sorted, *n, sizeof(struct cluster *), order);
	return c->sorted;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "rdset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rdset_fini(struct rdset *s)
{
	free(s->data);
	*s = (struct rdset){0};
}

int rdset_copy(struct rdset *to, const uint8_t *data, uint32_t bytes)
{
	uint8_t *copy = bytes != 0 ? malloc(bytes) : NULL;

	if (bytes != 0 && copy == NULL)
		return -ENOMEM;
	if (bytes != 0)
		memcpy(copy, data, bytes);
	free(to->data);
	*to = (struct rdset){copy, bytes};
	return 0;
}

bool rdset_next(const struct rdset *s, uint32_t *at, struct rdata *out)
{
	if (*at >= s->bytes)
		return false;
	out->len = s->data[*at] | (uint32_t)s->data[*at + 1] << 8;
	out->data = s->data + *at + 2;
	*at += 2 + out->len;
	return true;
}

static int order(const struct rdata *a, const struct rdata *b)
{
	const int d = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);

	return d != 0 ? d : (a->len > b->len) - (a->len < b->len);
}

bool rdset_has(const struct rdset *s, const struct rdata *one)
{
	struct rdata r;

	for (uint32_t at = 0; rdset_next(s, &at, &r);)
		if (order(&r, one) == 0)
			return true;
	return false;
}

bool rdset_is_subset(const struct rdset *part, const struct rdset *whole)
{
	struct rdata r;

	for (uint32_t at = 0; rdset_next(part, &at, &r);)
		if (!rdset_has(whole, &r))
			return false;
	return true;
}

bool rdset_equal(const struct rdset *a, const struct rdset *b)
{
	return a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

static uint32_t put(uint8_t *out, uint32_t at, const struct rdata *r)
{
	out[at] = (uint8_t)r->len;
	out[at + 1] = (uint8_t)(r->len >> 8);
	memcpy(out + at + 2, r->data, r->len);
	return at + 2 + r->len;
}

int rdset_add(struct rdset *to, const struct rdset *other, uint32_t cap)
{
	struct rdata a, b;
	uint32_t i = 0, k = 0, n = 0;
	uint8_t *out;

	if (rdset_is_subset(other, to))
		return 0;
	out = malloc((size_t)to->bytes + other->bytes);
	if (out == NULL)
		return -ENOMEM;
	bool has_a = rdset_next(to, &i, &a), has_b = rdset_next(other, &k, &b);
	while (has_a || has_b) {
		const int d = !has_a ? 1 : !has_b ? -1 : order(&a, &b);
		n = put(out, n, d <= 0 ? &a : &b);
		if (d <= 0)
			has_a = rdset_next(to, &i, &a);
		if (d >= 0)
			has_b = rdset_next(other, &k, &b);
	}
	if (n > cap) {
		free(out);
		return -E2BIG;
	}
	free(to->data);
	*to = (struct rdset){out, n};
	return 0;
}

int rdset_add_one(struct rdset *to, const uint8_t *rdata, uint32_t len, uint32_t cap)
{
	struct rdset one = {malloc(len + 2u), len + 2};

	if (one.data == NULL)
		return -ENOMEM;
	(void)put(one.data, 0, &(struct rdata){rdata, len});
	const int result = rdset_add(to, &one, cap);
	free(one.data);
	return result;
}

json_t *rdset_texts(uint16_t qtype, const struct rdset *a, const struct rdset *b)
{
	char *text = malloc(RDATA_TEXT_CAP);
	json_t *list = json_array();
	struct rdata r;

	for (uint32_t at = 0; text != NULL && rdset_next(a, &at, &r);) {
		if (b != NULL && rdset_has(b, &r))
			continue;
		rdata_text(qtype, r.data, r.len, text);
		json_array_append_new(list, json_string(text));
	}
	free(text);
	return list;
}

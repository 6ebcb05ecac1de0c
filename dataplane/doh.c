/* SPDX-License-Identifier: BSD-3-Clause */
#include "doh.h"

#include <stdlib.h>
#include <string.h>

#define NAME_CAP 256u

static int order(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

void doh_sort(struct doh_list *l)
{
	if (l->names != 0)
		qsort(l->name, l->names, sizeof(*l->name), order);
}

void doh_fini(struct doh_list *l)
{
	prefix_set_fini(&l->addrs);
	for (size_t i = 0; i < l->names; i++)
		free(l->name[i]);
	free(l->name);
	*l = (struct doh_list){0};
}

bool doh_has_addr(const struct doh_list *l, const struct addr *a)
{
	return l != NULL && l->addrs.n != 0 && prefix_set_has(&l->addrs, a);
}

static bool has(const struct doh_list *l, const char *text)
{
	size_t lo = 0, hi = l->names;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		const int c = strcmp(text, l->name[mid]);
		if (c == 0)
			return true;
		if (c > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool doh_has_name(const struct doh_list *l, const uint8_t *name, uint32_t len)
{
	char text[NAME_CAP + 1];

	if (l == NULL || l->names == 0 || len == 0 || len >= NAME_CAP)
		return false;
	/* With an octet of room in front, for the star of a name above it. */
	for (uint32_t i = 0; i < len; i++)
		text[i + 1] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	text[len + 1] = '\0';
	if (memchr(name, 0, len) != NULL)
		return false;
	if (has(l, text + 1))
		return true;
	for (uint32_t i = 2; i < len; i++) {
		if (text[i] != '.')
			continue;
		const char before = text[i - 1];
		text[i - 1] = '*';
		const bool below = has(l, text + i - 1);
		text[i - 1] = before;
		if (below)
			return true;
	}
	return false;
}

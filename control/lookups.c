/* SPDX-License-Identifier: BSD-3-Clause */
#include "lookups.h"

#include "../dataplane/name.h"
#include "../dataplane/name_text.h"
#include "linefile.h"
#include "values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Hashes of the listed names, rising; the seed is secret, so that nobody can make a name
 * that is taken for a listed one. */
struct cdn {
	uint64_t seed;
	uint64_t *key;
	size_t n;
};

static int compare_keys(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int read_names(struct cdn *c, const char *text, size_t len, const char *name, char *err,
		      size_t cap)
{
	struct linefile_line line = {0};
	char quoted[VALUE_QUOTE_CAP];
	uint8_t folded[FT_NAME_CAP];
	size_t at = 0, room = 0;
	const char *why = "";

	while (linefile_next(text, len, &at, &line) == 1) {
		const uint32_t n = line.words == 1 ? name_from_text(line.word[0].text,
								    line.word[0].len, folded, &why)
						   : 0;
		if (line.words != 1)
			return linefile_refuse(name, &line, err, cap,
					       "%u words; one name a line would be right",
					       line.words);
		if (n <= 1)
			return linefile_refuse(name, &line, err, cap,
					       "%s is no name; cdn.example would be right",
					       linefile_quote(quoted, &line.word[0]));
		if (c->n == room) {
			room = room == 0 ? 64 : room * 2;
			uint64_t *more = realloc(c->key, room * sizeof(*more));
			if (more == NULL) {
				(void)snprintf(err, cap, "%s: not enough memory", name);
				return -ENOMEM;
			}
			c->key = more;
		}
		c->key[c->n++] = name_hash(folded, n, c->seed);
	}
	if (c->n != 0)
		qsort(c->key, c->n, sizeof(*c->key), compare_keys);
	return 0;
}

struct cdn *cdn_create_text(const char *text, size_t len, const char *name, char *err, size_t cap)
{
	struct cdn *c = calloc(1, sizeof(*c));

	if (c == NULL || getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed)) {
		(void)snprintf(err, cap, "%s: not enough memory or no random numbers", name);
		free(c);
		return NULL;
	}
	if (read_names(c, text, len, name, err, cap) == 0)
		return c;
	cdn_destroy(c);
	return NULL;
}

void cdn_destroy(struct cdn *c)
{
	if (c == NULL)
		return;
	free(c->key);
	free(c);
}

bool cdn_has(const struct cdn *c, const uint8_t *folded, uint32_t len)
{
	for (uint32_t at = 0; at < len && folded[at] != 0; at += folded[at] + 1u) {
		const uint64_t key = name_hash(folded + at, len - at, c->seed);
		if (c->n != 0 && bsearch(&key, c->key, c->n, sizeof(key), compare_keys) != NULL)
			return true;
	}
	return false;
}

static struct cdn *cdn_create(const char *path, char *err, size_t cap)
{
	char *text = NULL;
	size_t len = 0;

	if (linefile_read(path, &text, &len, err, cap) != 0)
		return NULL;
	struct cdn *c = cdn_create_text(text, len, path, err, cap);
	free(text);
	return c;
}

int lookups_init(struct lookups *l, const char *asn_path, const char *cdn_path,
		 const char *psl_path, char *err, size_t cap)
{
	*l = (struct lookups){0};
	l->psl = psl_create(psl_path, err, cap);
	if (l->psl != NULL && asn_path != NULL)
		l->asn = asn_create(asn_path, err, cap);
	if (l->psl != NULL && (asn_path == NULL || l->asn != NULL) && cdn_path != NULL)
		l->cdn = cdn_create(cdn_path, err, cap);
	if (l->psl != NULL && (asn_path == NULL || l->asn != NULL) &&
	    (cdn_path == NULL || l->cdn != NULL))
		return 0;
	lookups_fini(l);
	return -EINVAL;
}

void lookups_fini(struct lookups *l)
{
	asn_destroy(l->asn);
	cdn_destroy(l->cdn);
	psl_destroy(l->psl);
	*l = (struct lookups){0};
}

uint32_t lookups_domain_off(const struct lookups *l, const uint8_t *folded, uint32_t len)
{
	uint32_t at[FT_NAME_CAP / 2 + 1], n = 0, suffix;

	if (l != NULL && l->psl != NULL)
		return psl_domain_off(l->psl, folded, len, &suffix);
	for (uint32_t i = 0; i < len && folded[i] != 0; i += folded[i] + 1u)
		at[n++] = i;
	return n >= 2 ? at[n - 2] : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "asn.h"

#include "linefile.h"
#include "values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MMDB_MARK "\xab\xcd\xefMaxMind.com"
#define MMDB_MARK_LEN 14u
#define MMDB_MARK_WITHIN (128u << 10) /* octets before the end of the file */
#define MMDB_KEY "autonomous_system_number"
#define V4_BITS_OFF 96u

struct prefix {
	u128 lo, hi; /* both inclusive */
	uint32_t asn;
	uint8_t bits;
};

struct asn {
	MMDB_s mmdb;
	bool is_mmdb;
	/* Ranges of a text: from begin[i] to begin[i + 1] it is number[i]. */
	u128 *begin;
	uint32_t *number;
	size_t n;
};

static u128 value_of(const uint8_t *octets)
{
	u128 v = 0;

	for (unsigned i = 0; i < 16; i++)
		v = v << 8 | octets[i];
	return v;
}

static int parse_asn(const struct linefile_word *w, uint32_t *out)
{
	const bool has_as = w->len > 2 && (w->text[0] | 32) == 'a' && (w->text[1] | 32) == 's';
	uint64_t v = 0;

	for (uint32_t i = has_as ? 2 : 0; i < w->len; i++) {
		if (w->text[i] < '0' || w->text[i] > '9')
			return -EINVAL;
		v = v * 10 + (uint64_t)(w->text[i] - '0');
		if (v > UINT32_MAX)
			return -EINVAL;
	}
	*out = (uint32_t)v;
	return 0;
}

static const char *parse_prefix(const struct linefile_word *w, struct prefix *out)
{
	static const char form[] = "is no prefix; 192.0.2.0/24 or 2001:db8::/32 would be right";
	char text[INET6_ADDRSTRLEN + 4];
	struct addr a;
	unsigned bits = 0, most = 128;

	if (w->len >= sizeof(text))
		return form;
	memcpy(text, w->text, w->len);
	text[w->len] = '\0';
	char *slash = strchr(text, '/');
	if (slash == NULL || slash[1] == '\0' || strlen(text) != w->len)
		return form;
	*slash = '\0';
	for (const char *p = slash + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || bits > 128)
			return form;
		bits = bits * 10 + (unsigned)(*p - '0');
	}
	uint8_t v4[4];
	if (inet_pton(AF_INET, text, v4) == 1) {
		a = addr_from_v4(v4);
		most = 32;
	} else if (inet_pton(AF_INET6, text, a.b) != 1) {
		return form;
	}
	if (bits > most)
		return most == 32 ? "is longer than 32 bits" : "is longer than 128 bits";
	bits += most == 32 ? V4_BITS_OFF : 0;
	const u128 rest = bits == 128 ? 0 : ~(u128)0 >> bits;
	out->lo = value_of(a.b);
	out->hi = out->lo | rest;
	out->bits = (uint8_t)bits;
	return (out->lo & rest) != 0 ? "has bits behind its length" : NULL;
}

static int compare_prefixes(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	if (x->bits != y->bits)
		return x->bits < y->bits ? -1 : 1;
	return (x->asn < y->asn) - (x->asn > y->asn); /* the lowest last: it counts */
}

static int read_prefixes(const char *text, size_t len, const char *name, struct prefix **out,
			 size_t *n, char *err, size_t cap)
{
	struct linefile_line line = {0};
	char quoted[VALUE_QUOTE_CAP];
	size_t at = 0, room = 0;

	while (linefile_next(text, len, &at, &line) == 1) {
		struct prefix p;
		if (line.words != 2)
			return linefile_refuse(name, &line, err, cap,
					       "%u words; `prefix asn` would be right", line.words);
		const char *why = parse_prefix(&line.word[0], &p);
		if (why != NULL)
			return linefile_refuse(name, &line, err, cap, "%s %s",
					       linefile_quote(quoted, &line.word[0]), why);
		if (parse_asn(&line.word[1], &p.asn) != 0)
			return linefile_refuse(
			    name, &line, err, cap,
			    "%s is no number of an autonomous system; 64496 would be right",
			    linefile_quote(quoted, &line.word[1]));
		if (*n == room) {
			room = room == 0 ? 256 : room * 2;
			struct prefix *more = realloc(*out, room * sizeof(p));
			if (more == NULL) {
				(void)snprintf(err, cap, "%s: not enough memory", name);
				return -ENOMEM;
			}
			*out = more;
		}
		(*out)[(*n)++] = p;
	}
	return 0;
}

/* From `at` on it is `number`, until something else is said. */
static void put(struct asn *a, u128 at, uint32_t number)
{
	if (a->n != 0 && a->begin[a->n - 1] == at)
		a->n--;
	if (a->n != 0 && a->number[a->n - 1] == number)
		return;
	a->begin[a->n] = at;
	a->number[a->n++] = number;
}

/* Sorted prefixes nest like brackets: those around the current one stand on a stack, of
 * which there are no more than lengths, and as many again where one stands twice. */
static int make_ranges(struct asn *a, struct prefix *p, size_t n)
{
	size_t *stack = malloc((n + 1) * sizeof(*stack)), depth = 0;

	a->begin = malloc((2 * n + 1) * sizeof(*a->begin));
	a->number = malloc((2 * n + 1) * sizeof(*a->number));
	if (stack == NULL || a->begin == NULL || a->number == NULL) {
		free(stack);
		return -ENOMEM;
	}
	if (n != 0)
		qsort(p, n, sizeof(*p), compare_prefixes);
	put(a, 0, 0);
	for (size_t i = 0; i <= n; i++) {
		while (depth != 0 && (i == n || p[stack[depth - 1]].hi < p[i].lo)) {
			const u128 hi = p[stack[--depth]].hi;
			if (hi != ~(u128)0)
				put(a, hi + 1, depth != 0 ? p[stack[depth - 1]].asn : 0);
		}
		if (i == n)
			break;
		put(a, p[i].lo, p[i].asn);
		stack[depth++] = i;
	}
	free(stack);
	return 0;
}

struct asn *asn_create_text(const char *text, size_t len, const char *name, char *err, size_t cap)
{
	struct asn *a = calloc(1, sizeof(*a));
	struct prefix *p = NULL;
	size_t n = 0;

	(void)snprintf(err, cap, "%s: not enough memory", name);
	int result = a != NULL ? read_prefixes(text, len, name, &p, &n, err, cap) : -ENOMEM;
	if (result == 0)
		result = make_ranges(a, p, n);
	free(p);
	if (result != 0) {
		asn_destroy(a);
		return NULL;
	}
	err[0] = '\0';
	return a;
}

static bool is_mmdb(const char *data, size_t len)
{
	const size_t from = len > MMDB_MARK_WITHIN ? len - MMDB_MARK_WITHIN : 0;

	return len != 0 && memmem(data + from, len - from, MMDB_MARK, MMDB_MARK_LEN) != NULL;
}

static uint32_t mmdb_get(const MMDB_s *db, const struct addr *a, bool *found)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool is_v4 = memcmp(a->b, mapped, sizeof(mapped)) == 0;
	MMDB_entry_data_s data;
	int error = 0;

	*found = false;
	memcpy(&v4.sin_addr, a->b + 12, 4);
	memcpy(&v6.sin6_addr, a->b, 16);
	MMDB_lookup_result_s r = MMDB_lookup_sockaddr(
	    db, is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6, &error);
	if (error != MMDB_SUCCESS || !r.found_entry)
		return 0;
	*found = true;
	if (MMDB_get_value(&r.entry, &data, MMDB_KEY, (char *)NULL) != MMDB_SUCCESS ||
	    !data.has_data)
		return 0;
	switch (data.type) {
	case MMDB_DATA_TYPE_UINT16: return data.uint16;
	case MMDB_DATA_TYPE_UINT32: return data.uint32;
	default: return 0;
	}
}

/* A database of cities would say "none" for ever: something it knows must have a number. */
static bool mmdb_has_numbers(const MMDB_s *db)
{
	bool found, any = false;

	for (unsigned i = 1; i < 224; i++) {
		const uint8_t v4[4] = {(uint8_t)i, 0, 0, 1};
		const struct addr a = addr_from_v4(v4);
		if (mmdb_get(db, &a, &found) != 0)
			return true;
		any |= found;
	}
	return !any;
}

static struct asn *create_mmdb(const char *path, char *err, size_t cap)
{
	struct asn *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		(void)snprintf(err, cap, "%s: not enough memory", path);
		return NULL;
	}
	const int result = MMDB_open(path, MMDB_MODE_MMAP, &a->mmdb);
	if (result != MMDB_SUCCESS) {
		(void)snprintf(err, cap, "%s: a damaged MaxMind DB: %s", path,
			       MMDB_strerror(result));
		free(a);
		return NULL;
	}
	a->is_mmdb = true;
	if (!mmdb_has_numbers(&a->mmdb)) {
		(void)snprintf(err, cap, "%s: has no " MMDB_KEY "; a GeoLite2-ASN would be right",
			       path);
		asn_destroy(a);
		return NULL;
	}
	return a;
}

struct asn *asn_create(const char *path, char *err, size_t cap)
{
	char *text = NULL;
	size_t len = 0;

	if (linefile_read(path, &text, &len, err, cap) != 0)
		return NULL;
	struct asn *a = is_mmdb(text, len) ? create_mmdb(path, err, cap)
					   : asn_create_text(text, len, path, err, cap);
	free(text);
	return a;
}

void asn_destroy(struct asn *a)
{
	if (a == NULL)
		return;
	if (a->is_mmdb)
		MMDB_close(&a->mmdb);
	free(a->begin);
	free(a->number);
	free(a);
}

uint32_t asn_get(const struct asn *a, const struct addr *address)
{
	bool found;

	if (a->is_mmdb)
		return mmdb_get(&a->mmdb, address, &found);
	const u128 v = value_of(address->b);
	size_t lo = 0, hi = a->n; /* begin[lo] <= v < begin[hi] */
	while (hi - lo > 1) {
		const size_t mid = lo + (hi - lo) / 2;
		if (a->begin[mid] <= v)
			lo = mid;
		else
			hi = mid;
	}
	return a->number[lo];
}

size_t asn_ranges(const struct asn *a)
{
	return a->n;
}

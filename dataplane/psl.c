/* SPDX-License-Identifier: BSD-3-Clause */
#include "psl.h"
#include "punycode.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SYSTEM_LIST "/usr/share/publicsuffix/public_suffix_list.dat"
#define FILE_CAP (8u << 20) /* the real one has 0.25 MB */
#define NAME_CAP 255u
#define LABELS_CAP 128u
#define SLOTS_FIRST 256u

/* What is known of a suffix. A name is looked up from its last label on, and no
 * further than PSL_MORE says. */
enum psl_flag {
	PSL_RULE = 1,      /* it is a rule */
	PSL_WILD = 2,      /* any label in front of it makes a public suffix */
	PSL_EXCEPTION = 4, /* it is not a public suffix, whatever PSL_WILD says */
	PSL_MORE = 8,      /* suffixes one label longer are known */
	PSL_FLAG_BITS = 4,
};

/* Open addressing: `at` is where the suffix stands in the pool (its length, then its
 * octets), shifted by PSL_FLAG_BITS, and its flags; 0: free. */
struct slot {
	uint32_t tag; /* upper half of the hash */
	uint32_t at;
};

struct psl {
	struct slot *slots;
	uint32_t slots_cap, used;
	uint8_t *pool;
	uint32_t pool_len, pool_cap;
};

/* Where the suffix is, or would be put. */
static inline struct slot *find(const struct psl *p, const uint8_t *name, uint32_t len,
				uint32_t *tag)
{
	const uint64_t hash = XXH3_64bits(name, len);

	*tag = (uint32_t)(hash >> 32);
	for (uint32_t i = (uint32_t)hash;; i++) {
		struct slot *s = &p->slots[i & (p->slots_cap - 1)];
		if (s->at == 0)
			return s;
		if (s->tag != *tag)
			continue;
		const uint8_t *known = p->pool + (s->at >> PSL_FLAG_BITS);
		if (known[0] == len && memcmp(known + 1, name, len) == 0)
			return s;
	}
}

uint32_t psl_domain_off(const struct psl *p, const uint8_t *folded, uint32_t len,
			uint32_t *suffix_off)
{
	uint8_t off[LABELS_CAP];
	uint32_t n = 0, best = 1, tag;

	for (uint32_t at = 0; n < LABELS_CAP && at < len && folded[at] != 0; at += folded[at] + 1u)
		off[n++] = (uint8_t)at;
	for (uint32_t depth = 1; depth <= n; depth++) {
		const uint32_t at = off[n - depth];
		const uint32_t flags = find(p, folded + at, len - at, &tag)->at;
		if ((flags & PSL_EXCEPTION) != 0) {
			best = depth - 1;
			break;
		}
		if ((flags & PSL_RULE) != 0)
			best = depth;
		if ((flags & PSL_WILD) != 0 && depth < n)
			best = depth + 1;
		if ((flags & PSL_MORE) == 0)
			break;
	}
	if (best >= n) {
		*suffix_off = 0;
		return 0;
	}
	*suffix_off = off[n - best];
	return off[n - best - 1];
}

bool psl_knows_tld(const struct psl *p, const uint8_t *folded, uint32_t len)
{
	uint32_t last = 0, tag;

	for (uint32_t at = 0; at < len && folded[at] != 0; at += folded[at] + 1u)
		last = at;
	return len > 1 && find(p, folded + last, len - last, &tag)->at != 0;
}

static int grow_slots(struct psl *p)
{
	const struct psl old = *p;
	uint32_t tag;
	struct slot *slots = calloc(old.slots_cap * 2u, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	p->slots = slots;
	p->slots_cap = old.slots_cap * 2;
	for (uint32_t i = 0; i < old.slots_cap; i++) {
		if (old.slots[i].at == 0)
			continue;
		const uint8_t *known = p->pool + (old.slots[i].at >> PSL_FLAG_BITS);
		*find(p, known + 1, known[0], &tag) = old.slots[i];
	}
	free(old.slots);
	return 0;
}

static int grow_pool(struct psl *p)
{
	uint8_t *pool = realloc(p->pool, p->pool_cap * 2u);

	if (pool == NULL)
		return -ENOMEM;
	p->pool = pool;
	p->pool_cap *= 2;
	return 0;
}

/* Adds flags to a suffix, which may be new. */
static int add(struct psl *p, const uint8_t *name, uint32_t len, uint32_t flags)
{
	uint32_t tag;
	struct slot *s = find(p, name, len, &tag);

	if (s->at != 0) {
		s->at |= flags;
		return 0;
	}
	if ((p->used + 1) * 2 > p->slots_cap && grow_slots(p) != 0)
		return -ENOMEM;
	if (p->pool_len + 1 + len > p->pool_cap && grow_pool(p) != 0)
		return -ENOMEM;
	if (p->pool_len >= 1u << (32 - PSL_FLAG_BITS))
		return -EFBIG;
	s = find(p, name, len, &tag);
	*s = (struct slot){tag, p->pool_len << PSL_FLAG_BITS | flags};
	p->pool[p->pool_len] = (uint8_t)len;
	memcpy(p->pool + p->pool_len + 1, name, len);
	p->pool_len += 1 + len;
	p->used++;
	return 0;
}

static bool is_host(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* The wire form of a rule's text without "!" and "*."; its length, 0 if it is bad. */
static uint32_t read_name(const char *text, size_t len, uint8_t *wire)
{
	uint32_t n = 0;

	while (len > 0) {
		uint8_t label[64];
		const char *dot = memchr(text, '.', len);
		const size_t label_len = dot != NULL ? (size_t)(dot - text) : len;
		const uint32_t k = punycode_label(text, label_len, label);

		if (k == 0 || n + 1 + k + 1 > NAME_CAP || (dot != NULL && label_len + 1 == len))
			return 0;
		for (uint32_t i = 0; i < k; i++)
			if (!is_host(label[i]))
				return 0;
		wire[n++] = (uint8_t)k;
		memcpy(wire + n, label, k);
		n += k;
		text += label_len + (dot != NULL);
		len -= label_len + (dot != NULL);
	}
	if (n > 0)
		wire[n++] = 0;
	return n;
}

/* One rule: the suffix itself, and a mark on each shorter one. 1: bad text. */
static int add_rule(struct psl *p, const char *text, size_t len)
{
	uint8_t wire[NAME_CAP];
	uint32_t flags = PSL_RULE;

	if (len > 1 && text[0] == '!') {
		flags = PSL_EXCEPTION;
		text++, len--;
	} else if (len > 2 && text[0] == '*' && text[1] == '.') {
		flags = PSL_WILD;
		text += 2, len -= 2;
	} else if (len == 1 && text[0] == '*') {
		return 0; /* what holds without any rule */
	}
	const uint32_t n = read_name(text, len, wire);
	if (n == 0 || (flags == PSL_EXCEPTION && wire[wire[0] + 1] == 0))
		return 1;
	for (uint32_t at = 0; wire[at] != 0; at += wire[at] + 1u, flags = PSL_MORE) {
		const int r = add(p, wire + at, n - at, flags);
		if (r != 0)
			return r;
	}
	return 0;
}

static struct psl *create_empty(void)
{
	struct psl *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->slots_cap = SLOTS_FIRST;
	p->slots = calloc(p->slots_cap, sizeof(*p->slots));
	p->pool_cap = 4096;
	p->pool_len = 1; /* so that no suffix is at 0 */
	p->pool = malloc(p->pool_cap);
	if (p->slots != NULL && p->pool != NULL)
		return p;
	psl_destroy(p);
	errno = ENOMEM;
	return NULL;
}

static struct psl *fail(struct psl *p, int error)
{
	psl_destroy(p);
	errno = error;
	return NULL;
}

/* A rule ends at the first blank; "//" begins a comment (publicsuffix.org/list). */
struct psl *psl_create_text(const char *text, size_t len, const char *name, char *err, size_t cap)
{
	struct psl *p = create_empty();
	size_t line = 0;
	int r = p == NULL ? -ENOMEM : 0;

	for (const char *end = text + len; r == 0 && text < end; text++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = text;

		newline = newline != NULL ? newline : end;
		line++;
		while (stop < newline && *stop != ' ' && *stop != '\t' && *stop != '\r')
			stop++;
		if (stop > text && !(stop - text >= 2 && memcmp(text, "//", 2) == 0))
			r = add_rule(p, text, (size_t)(stop - text));
		text = newline;
	}
	if (r > 0) {
		(void)snprintf(err, cap,
			       "%s:%zu: not a rule of a public suffix list; right would be "
			       "\"co.uk\", \"*.ck\" or \"!www.ck\"",
			       name, line);
		return fail(p, EINVAL);
	}
	if (r < 0) {
		(void)snprintf(err, cap, "%s: %s", name, strerror(-r));
		return fail(p, -r);
	}
	if (p->used == 0) {
		(void)snprintf(err, cap, "%s: has no rules in it", name);
		return fail(p, EINVAL);
	}
	return p;
}

/* The whole file; the caller frees it. NULL + errno. */
static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 1u << 18;

	*len = 0;
	if (f == NULL)
		return NULL;
	do {
		char *more = realloc(text, cap *= 2);
		if (more == NULL)
			goto close;
		text = more;
		*len += fread(text + *len, 1, cap - *len, f);
		if (ferror(f))
			goto close;
	} while (!feof(f) && cap < FILE_CAP);
	if (feof(f)) {
		(void)fclose(f);
		return text;
	}
	errno = EFBIG;
close:;
	const int error = errno;
	free(text);
	(void)fclose(f);
	errno = error;
	return NULL;
}

struct psl *psl_create(const char *path, char *err, size_t cap)
{
	const char *name = path != NULL ? path : SYSTEM_LIST;
	size_t len;
	char *text = read_file(name, &len);

	if (text == NULL) {
		const int error = errno;
		(void)snprintf(err, cap, "%s: %s%s", name, strerror(error),
			       path != NULL ? "" : "; package publicsuffix has it");
		errno = error;
		return NULL;
	}
	struct psl *p = psl_create_text(text, len, name, err, cap);
	const int error = errno;
	free(text);
	errno = error;
	return p;
}

void psl_destroy(struct psl *p)
{
	if (p == NULL)
		return;
	free(p->slots);
	free(p->pool);
	free(p);
}

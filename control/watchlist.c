/* SPDX-License-Identifier: BSD-3-Clause */
#include "watchlist.h"

#include "../dataplane/name_text.h"
#include "linefile.h"
#include "values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM "<owner> <type>[,<type>...] [allow=...] [baseline=RDATA[|RDATA...]]"
#define LIST_CAP 65536u /* RRsets */
#define BASELINE_CAP 16384u
#define ALLOWS_CAP 4096u
#define TYPES_CAP 10u

/* A line that is read: its entries stand in the list from `first` on. */
struct reading {
	struct watchlist *list;
	size_t room;
	const char *name;
	struct linefile_line line;
	char *err;
	size_t cap;
	size_t at[TYPES_CAP]; /* entries of this line */
	unsigned types;
};

static void entry_fini(struct watchlist_entry *e)
{
	for (size_t i = 0; i < e->allows; i++)
		free(e->allow[i].data);
	free(e->allow);
	rdset_fini(&e->baseline);
}

void watchlist_destroy(struct watchlist *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		entry_fini(&l->v[i]);
	free(l->v);
	free(l);
}

static int refuse_memory(struct reading *r)
{
	(void)snprintf(r->err, r->cap, "%s: not enough memory", r->name);
	return -ENOMEM;
}

static const char *quoted(char out[VALUE_QUOTE_CAP], const char *text, size_t len)
{
	const struct linefile_word w = {text, (uint32_t)len};

	return linefile_quote(out, &w);
}

/* The entry of an owner and type, made where it is not there. */
static int find_entry(struct reading *r, const uint8_t *owner, uint32_t len, uint16_t type)
{
	struct watchlist *l = r->list;

	for (size_t i = l->n; i > 0 && r->types < TYPES_CAP; i--) {
		const struct watchlist_entry *e = &l->v[i - 1];
		if (e->qtype != type || e->owner_len != len || memcmp(e->owner, owner, len) != 0)
			continue;
		r->at[r->types++] = i - 1;
		return 0;
	}
	if (l->n == LIST_CAP)
		return linefile_refuse(r->name, &r->line, r->err, r->cap,
				       "more than %u RRsets; give fewer", LIST_CAP);
	if (l->n == r->room) {
		const size_t room = r->room != 0 ? 2 * r->room : 16;
		struct watchlist_entry *v = realloc(l->v, room * sizeof(*v));
		if (v == NULL)
			return refuse_memory(r);
		l->v = v;
		r->room = room;
	}
	struct watchlist_entry *e = &l->v[l->n];
	*e = (struct watchlist_entry){.owner_len = len, .qtype = type};
	memcpy(e->owner, owner, len);
	r->at[r->types++] = l->n++;
	return 0;
}

static int read_types(struct reading *r, const uint8_t *owner, uint32_t len, const char *text,
		      const char *end)
{
	char q[VALUE_QUOTE_CAP];

	while (text <= end) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma != NULL ? comma : end;
		const uint16_t type = rdata_type(text, (uint32_t)(stop - text));
		if (type == 0)
			return linefile_refuse(r->name, &r->line, r->err, r->cap,
					       "%s is none of NS, MX, A, AAAA, TXT, CNAME, SOA, "
					       "DS, DNSKEY and CAA; right would be: " FORM,
					       quoted(q, text, (size_t)(stop - text)));
		for (unsigned i = 0; i < r->types; i++)
			if (r->list->v[r->at[i]].qtype == type)
				return linefile_refuse(r->name, &r->line, r->err, r->cap,
						       "%s twice; each type once would be right",
						       quoted(q, text, (size_t)(stop - text)));
		const int result = find_entry(r, owner, len, type);
		if (result != 0)
			return result;
		text = stop + 1;
	}
	return 0;
}

/* --- values --- */

static int add_allow(struct reading *r, struct watchlist_entry *e, const struct watchlist_allow *a)
{
	if (e->allows == ALLOWS_CAP)
		return linefile_refuse(r->name, &r->line, r->err, r->cap,
				       "more than %u allowed for one RRset", ALLOWS_CAP);
	struct watchlist_allow *v = realloc(e->allow, (e->allows + 1) * sizeof(*v));
	if (v == NULL)
		return refuse_memory(r);
	e->allow = v;
	uint8_t *data = malloc(a->len + 1u);
	if (data == NULL)
		return refuse_memory(r);
	memcpy(data, a->data, a->len);
	v[e->allows] = *a;
	v[e->allows++].data = data;
	return 0;
}

/* ADDRESS/LENGTH of the entry's family. */
static bool read_prefix(uint16_t qtype, const char *text, uint32_t len, struct watchlist_allow *out)
{
	const char *slash = memchr(text, '/', len);
	const unsigned most = qtype == FT_QTYPE_A ? 32 : 128;
	unsigned bits = 0;

	if (slash == NULL || (qtype != FT_QTYPE_A && qtype != FT_QTYPE_AAAA) ||
	    slash + 1 == text + len || text + len - slash > 4)
		return false;
	for (const char *p = slash + 1; p < text + len; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		bits = bits * 10 + (unsigned)(*p - '0');
	}
	const int n = rdata_from_text(qtype, text, (uint32_t)(slash - text), out->data);
	out->kind = WATCH_PREFIX;
	out->bits = (uint8_t)bits;
	out->len = (uint16_t)n;
	return n > 0 && bits <= most;
}

static bool read_suffix(uint16_t qtype, const char *text, uint32_t len, struct watchlist_allow *out)
{
	const char *why;

	if (qtype != FT_QTYPE_NS && qtype != FT_QTYPE_MX && qtype != FT_QTYPE_CNAME)
		return false;
	for (uint32_t i = 0; i < len; i++)
		if (isspace((unsigned char)text[i])) /* rdata of several words */
			return false;
	if (len > 2 && text[0] == '*' && text[1] == '.')
		text += 2, len -= 2;
	else if (len > 1 && text[0] == '.')
		text++, len--;
	const uint32_t n = name_from_text(text, len, out->data, &why);
	out->kind = WATCH_SUFFIX;
	out->len = (uint16_t)n;
	return n > 1;
}

static bool read_allow(uint16_t qtype, const char *text, uint32_t len, struct watchlist_allow *out)
{
	if (read_prefix(qtype, text, len, out) || read_suffix(qtype, text, len, out))
		return true;
	const int n = rdata_from_text(qtype, text, len, out->data);
	out->kind = WATCH_RDATA;
	out->len = (uint16_t)n;
	return n >= 0;
}

/* An address is nobody's name, and a text may be anything. */
static unsigned turn_of(uint16_t qtype)
{
	return qtype == FT_QTYPE_A || qtype == FT_QTYPE_AAAA ? 0 : qtype == FT_QTYPE_TXT ? 2 : 1;
}

/* Who takes an element: of the types of the line those of the first turn that can read it. */
static int put_element(struct reading *r, bool allow, const char *text, uint32_t len)
{
	uint8_t data[RDATA_CAP];
	bool taken = false;
	char q[VALUE_QUOTE_CAP];
	int result = 0;

	for (unsigned turn = 0; turn < 3 && !taken && result == 0; turn++)
		for (unsigned i = 0; i < r->types && result == 0; i++) {
			struct watchlist_entry *e = &r->list->v[r->at[i]];
			struct watchlist_allow a = {.data = data};
			if (turn_of(e->qtype) != turn)
				continue;
			if (allow) {
				if (!read_allow(e->qtype, text, len, &a))
					continue;
				result = add_allow(r, e, &a);
			} else {
				const int n = rdata_from_text(e->qtype, text, len, data);
				if (n < 0)
					continue;
				e->has_baseline = true;
				result =
				    rdset_add_one(&e->baseline, data, (uint32_t)n, BASELINE_CAP);
			}
			taken = true;
		}
	if (result == -E2BIG)
		return linefile_refuse(r->name, &r->line, r->err, r->cap,
				       "more than %u octets of baseline", BASELINE_CAP);
	if (result == 0 && !taken)
		return linefile_refuse(r->name, &r->line, r->err, r->cap,
				       "%s is no %s of this type; right would be: " FORM,
				       quoted(q, text, len), allow ? "allow" : "rdata");
	return result == -ENOMEM ? refuse_memory(r) : result;
}

/* Quotes around the whole of an element are not part of it, but of a TXT. */
static int put_trimmed(struct reading *r, bool allow, const char *text, const char *end)
{
	while (text < end && isspace((unsigned char)*text))
		text++;
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	bool txt = false;
	for (unsigned i = 0; i < r->types; i++)
		txt |= r->list->v[r->at[i]].qtype == FT_QTYPE_TXT;
	if (!txt && end - text >= 2 && text[0] == '"' &&
	    memchr(text + 1, '"', (size_t)(end - text - 1)) == end - 1)
		text++, end--;
	if (text == end)
		return linefile_refuse(r->name, &r->line, r->err, r->cap,
				       "an empty element; right would be: " FORM);
	return put_element(r, allow, text, (uint32_t)(end - text));
}

static int read_value(struct reading *r, bool allow, const char *text, const char *end)
{
	bool inside = false;
	const char *begin = text;

	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	if (text == end && allow)
		return linefile_refuse(r->name, &r->line, r->err, r->cap,
				       "allow= without anything");
	for (unsigned i = 0; !allow && i < r->types; i++) /* nothing: the empty set */
		r->list->v[r->at[i]].has_baseline |= text == end;
	if (text == end)
		return 0;
	for (const char *p = text; p <= end; p++) {
		inside ^= p < end && *p == '"' && (p == text || p[-1] != '\\');
		if (p < end && (inside || (*p != '|' && !(allow && *p == ','))))
			continue;
		const int result = put_trimmed(r, allow, begin, p);
		if (result != 0)
			return result;
		begin = p + 1;
	}
	return 0;
}

/* --- lines --- */

static bool starts(const char *p, const char *end, const char *key)
{
	const size_t n = strlen(key);

	return (size_t)(end - p) >= n && memcmp(p, key, n) == 0;
}

/* Where the value ends that begins at p: before the next key or comment. */
static const char *value_end(const char *p, const char *end)
{
	bool inside = false;

	for (const char *q = p; q < end; q++) {
		inside ^= *q == '"' && (q == p || q[-1] != '\\');
		if (inside || !isspace((unsigned char)*q) || q + 1 == end)
			continue;
		if (q[1] == '#' || starts(q + 1, end, "allow=") || starts(q + 1, end, "baseline="))
			return q;
	}
	return end;
}

static int read_rest(struct reading *r, const char *p, const char *end)
{
	char q[VALUE_QUOTE_CAP];

	for (;;) {
		while (p < end && isspace((unsigned char)*p))
			p++;
		if (p == end || *p == '#')
			return 0;
		const bool allow = starts(p, end, "allow=");
		if (!allow && !starts(p, end, "baseline="))
			return linefile_refuse(r->name, &r->line, r->err, r->cap,
					       "%s is neither allow= nor baseline=; right would "
					       "be: " FORM,
					       quoted(q, p, (size_t)(end - p)));
		p += allow ? 6 : 9;
		const char *stop = value_end(p, end);
		const int result = read_value(r, allow, p, stop);
		if (result != 0)
			return result;
		p = stop;
	}
}

static int read_line(struct reading *r, const char *line_end)
{
	const struct linefile_word *w = r->line.word;
	uint8_t owner[FT_NAME_CAP];
	char q[VALUE_QUOTE_CAP];
	const char *why;

	r->types = 0;
	if (r->line.words < 2)
		return linefile_refuse(r->name, &r->line, r->err, r->cap,
				       "an owner and nothing else; right would be: " FORM);
	const uint32_t len = name_from_text(w[0].text, w[0].len, owner, &why);
	if (len == 0)
		return linefile_refuse(r->name, &r->line, r->err, r->cap, "%s: %s",
				       linefile_quote(q, &w[0]), why);
	const int result = read_types(r, owner, len, w[1].text, w[1].text + w[1].len);
	return result != 0 ? result : read_rest(r, w[1].text + w[1].len, line_end);
}

static int order(const void *left, const void *right)
{
	const struct watchlist_entry *a = left, *b = right;
	const uint32_t n = a->owner_len < b->owner_len ? a->owner_len : b->owner_len;
	const int d = memcmp(a->owner, b->owner, n);

	if (d != 0)
		return d;
	return a->owner_len != b->owner_len
		   ? (a->owner_len > b->owner_len) - (a->owner_len < b->owner_len)
		   : (a->qtype > b->qtype) - (a->qtype < b->qtype);
}

struct watchlist *watchlist_parse(const char *name, const char *text, size_t len, char *err,
				  size_t cap)
{
	struct reading r = {.name = name, .err = err, .cap = cap};
	size_t at = 0;

	r.list = calloc(1, sizeof(*r.list));
	if (r.list == NULL) {
		(void)refuse_memory(&r);
		return NULL;
	}
	while (linefile_next(text, len, &at, &r.line) == 1) {
		const char *begin = r.line.word[0].text;
		const char *end = memchr(begin, '\n', (size_t)(text + len - begin));
		if (read_line(&r, end != NULL ? end : text + len) != 0) {
			watchlist_destroy(r.list);
			return NULL;
		}
	}
	if (r.list->n != 0)
		qsort(r.list->v, r.list->n, sizeof(*r.list->v), order);
	return r.list;
}

struct watchlist *watchlist_read(const char *path, char *err, size_t cap)
{
	char *text = NULL;
	size_t len = 0;

	if (linefile_read(path, &text, &len, err, cap) != 0)
		return NULL;
	struct watchlist *l = watchlist_parse(path, text, len, err, cap);
	free(text);
	return l;
}

static bool has_prefix(const struct watchlist_allow *a, const uint8_t *addr)
{
	const unsigned whole = a->bits / 8, rest = a->bits % 8;

	return memcmp(a->data, addr, whole) == 0 &&
	       (rest == 0 || (a->data[whole] ^ addr[whole]) >> (8 - rest) == 0);
}

/* Whether the name is that one or below it. */
static bool is_below(const uint8_t *name, uint32_t len, const struct watchlist_allow *a)
{
	uint32_t at = 0;

	while (at < len && len - at > a->len)
		at += name[at] + 1u;
	return at < len && len - at == a->len && memcmp(name + at, a->data, a->len) == 0;
}

bool watchlist_allows(const struct watchlist_entry *e, const struct rdata *r)
{
	const uint32_t skip = e->qtype == FT_QTYPE_MX ? 2 : 0;

	for (size_t i = 0; i < e->allows; i++) {
		const struct watchlist_allow *a = &e->allow[i];
		if (a->kind == WATCH_RDATA && a->len == r->len &&
		    memcmp(a->data, r->data, r->len) == 0)
			return true;
		if (a->kind == WATCH_PREFIX && a->len == r->len && has_prefix(a, r->data))
			return true;
		if (a->kind == WATCH_SUFFIX && r->len > skip &&
		    is_below(r->data + skip, r->len - skip, a))
			return true;
	}
	return false;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "match_form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_CAP 512u    /* of an expression with its alternatives chosen */
#define CHOICES_CAP 256u /* of one expression */
#define REPEAT_CAP 1000u

#define A(c, i) [c + i] = 1ull << (c == 'a' ? i : 26 + i)
#define A5(c, i) A(c, i), A(c, i + 1), A(c, i + 2), A(c, i + 3), A(c, i + 4)
const uint64_t form_sets[256] = {
    A5('a', 0), A5('a', 5), A5('a', 10), A5('a', 15),        A5('a', 20),
    A('a', 25), A5('0', 0), A5('0', 5),  ['-'] = 1ull << 36, ['_'] = 1ull << 37,
};
#undef A5
#undef A

/* The number of a plain character's bit. */
static uint32_t bit_of(uint8_t c)
{
	return (uint32_t)__builtin_ctzll(form_sets[c]);
}

static uint8_t fold(char c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
}

/* A letter, figure, '-' or '_': what stands for itself anywhere. */
static bool is_plain(char c)
{
	return form_sets[fold(c)] != 0;
}

static uint64_t range(uint32_t lo, uint32_t hi)
{
	return ((2ull << hi) - 1) & ~((1ull << lo) - 1);
}

struct reader {
	const char *at;
	struct form *f;
	struct form_piece *piece; /* the open one */
	uint32_t pieces_n;        /* closed ones */
	bool begin, end;          /* anchors seen */
	bool run;                 /* seen, after `head_n` pieces */
	uint32_t varying;         /* elements of the open piece that have lo != hi */
};

/* \d, \w, \. and the like, behind the backslash; 0: another one. */
static uint64_t escape_set(char c)
{
	switch (c) {
	case 'd': return range(26, 35);
	case 'w': return range(0, 35) | 1ull << 37;
	case '-':
	case '_': return form_sets[(uint8_t)c];
	case '.': return 1ull << FORM_DOT;
	default: return 0;
	}
}

/* One member of a class, or a range; 0: something else. */
static uint64_t read_member(struct reader *r)
{
	const char c = *r->at++;

	if (c == '\\')
		return *r->at != '\0' ? escape_set(*r->at++) : 0;
	if (c == '.')
		return 1ull << FORM_DOT;
	if (c == '-') /* stands for itself where nothing but the end follows, or in front */
		return *r->at == ']' || r->at[-2] == '[' || (r->at[-2] == '^' && r->at[-3] == '[')
			   ? 1ull << 36
			   : 0;
	if (!is_plain(c))
		return 0;
	const uint32_t lo = bit_of(fold(c));
	if (r->at[0] != '-' || r->at[1] == ']')
		return 1ull << lo;
	const char d = r->at[1];
	if (!is_plain(d) || d == '-' || c == '_' || d == '_')
		return 0;
	/* Both ends of one alphabet and of one case. */
	const bool digits = c <= '9', small = c >= 'a';
	const uint32_t hi = bit_of(fold(d));
	if (digits != (d <= '9') || small != (d >= 'a') || hi < lo)
		return 0;
	r->at += 2;
	return range(lo, hi);
}

/* A class behind its '['; 0: not simple. */
static uint64_t read_class(struct reader *r)
{
	const bool inverted = *r->at == '^';
	uint64_t set = 0;

	r->at += inverted;
	if (*r->at == ']')
		return 0;
	while (*r->at != ']') {
		const uint64_t member = *r->at != '\0' ? read_member(r) : 0;
		if (member == 0)
			return 0;
		set |= member;
	}
	r->at++;
	return inverted ? ~set & (FORM_ANY | 1ull << FORM_DOT) : set;
}

/* One character's set; 0: not simple. */
static uint64_t read_atom(struct reader *r)
{
	const char c = *r->at++;

	if (c == '[')
		return read_class(r);
	if (c == '\\')
		return *r->at != '\0' ? escape_set(*r->at++) : 0;
	return is_plain(c) ? form_sets[fold(c)] : 0;
}

static bool read_number(const char **at, uint32_t *v)
{
	if (**at < '0' || **at > '9')
		return false;
	for (*v = 0; **at >= '0' && **at <= '9' && *v <= REPEAT_CAP; ++*at)
		*v = *v * 10 + (uint32_t)(**at - '0');
	return *v <= REPEAT_CAP;
}

/* {n}, {n,}, {n,m}, *, +, ? or nothing; lazy and possessive ones are not simple. */
static bool read_repeat(struct reader *r, uint16_t *lo, uint16_t *hi)
{
	uint32_t a = 1, b = 1;

	if (*r->at == '*' || *r->at == '+' || *r->at == '?') {
		a = *r->at == '+';
		b = *r->at == '?' ? 1 : FORM_MANY;
		r->at++;
	} else if (*r->at == '{') {
		r->at++;
		if (!read_number(&r->at, &a))
			return false;
		b = a;
		if (*r->at == ',') {
			r->at++;
			b = FORM_MANY;
			if (*r->at != '}' && !read_number(&r->at, &b))
				return false;
		}
		if (*r->at++ != '}')
			return false;
	}
	*lo = (uint16_t)a;
	*hi = (uint16_t)b;
	if (a > b || b == 0) /* Hyperscan refuses {0}, too, and says why */
		return false;
	return *r->at == '\0' || strchr("*+?{", *r->at) == NULL;
}

static uint16_t add_lengths(uint16_t a, uint16_t b)
{
	const uint32_t sum = (uint32_t)a + b;

	return a == FORM_MANY || b == FORM_MANY || sum >= FORM_MANY ? FORM_MANY : (uint16_t)sum;
}

static bool open_piece(struct reader *r)
{
	if (r->pieces_n == FORM_PIECES_CAP)
		return false;
	r->piece = &r->f->pieces[r->pieces_n];
	*r->piece = (struct form_piece){.element_at = (uint16_t)r->f->elements_n};
	r->varying = 0;
	return true;
}

static bool add_element(struct reader *r, struct form_element e)
{
	struct form *f = r->f;

	r->varying += e.lo != e.hi;
	if (f->elements_n == FORM_ELEMENTS_CAP || r->varying > 1)
		return false;
	r->piece->lo = add_lengths(r->piece->lo, e.lo);
	r->piece->hi = add_lengths(r->piece->hi, e.hi);
	f->elements[f->elements_n++] = e;
	r->piece->element_n++;
	return true;
}

static bool close_piece(struct reader *r)
{
	r->pieces_n++;
	return open_piece(r);
}

/* "(?:[a-z]{1,63}\.)" and its repeat: whole pieces, one after another. */
static bool read_group(struct reader *r)
{
	struct form_element e;
	uint16_t lo, hi;

	r->at += strncmp(r->at, "(?:", 3) == 0 ? 3 : 1;
	e.set = *r->at != '\0' ? read_atom(r) : 0;
	if (e.set == 0 || (e.set & 1ull << FORM_DOT) != 0 || !read_repeat(r, &e.lo, &e.hi) ||
	    strncmp(r->at, "\\.)", 3) != 0)
		return false;
	r->at += 3;
	if (!read_repeat(r, &lo, &hi) || r->piece->element_n > 0 || r->piece->hi > 0)
		return false;
	if (lo == hi && lo <= FORM_PIECES_CAP) {
		for (; lo > 0; lo--)
			if (!add_element(r, e) || !close_piece(r))
				return false;
		return true;
	}
	if (!r->begin || r->run)
		return false;
	r->run = true;
	r->f->head_n = (uint8_t)r->pieces_n;
	r->f->run_set = e.set;
	r->f->run_len_lo = e.lo;
	r->f->run_len_hi = e.hi;
	r->f->run_lo = lo;
	r->f->run_hi = hi;
	return true;
}

static bool read_item(struct reader *r)
{
	struct form_element e;

	if (*r->at == '(')
		return read_group(r);
	e.set = read_atom(r);
	if (e.set == 0 || !read_repeat(r, &e.lo, &e.hi))
		return false;
	if (e.set == 1ull << FORM_DOT)
		return e.lo == 1 && e.hi == 1 && close_piece(r);
	return (e.set & 1ull << FORM_DOT) == 0 && add_element(r, e);
}

/* A piece of which only an end counts: at the open side of an element that varies, the
 * fewest characters are enough. `first`: it is the open side. */
static bool shorten(struct form *f, struct form_piece *p, bool first)
{
	for (uint32_t i = 0; i < p->element_n; i++) {
		struct form_element *e = &f->elements[p->element_at + i];
		if (e->lo == e->hi)
			continue;
		if (i != (first ? 0 : p->element_n - 1u))
			return false;
		e->hi = e->lo;
	}
	p->hi = p->lo;
	return true;
}

/* Puts the pieces where they belong by the anchors. */
static bool settle(struct reader *r)
{
	struct form *f = r->f;
	const uint32_t n = r->pieces_n + 1;

	if (r->end) {
		f->tail_n = (uint8_t)(n - f->head_n);
		f->any_before = !r->begin;
		return r->begin || shorten(f, &f->pieces[0], true);
	}
	/* What may be within a piece is a search, which Hyperscan does better. */
	if (r->run || (!r->begin && n < 2))
		return false;
	f->head_n = (uint8_t)n;
	f->any_behind = true;
	f->any_before = !r->begin;
	return shorten(f, &f->pieces[n - 1], false) &&
	       (r->begin || shorten(f, &f->pieces[0], true));
}

/* Reads an expression without alternatives. */
static bool read_form(const char *text, struct form *f)
{
	struct reader r = {.at = text, .f = f};

	memset(f, 0, sizeof(*f));
	(void)open_piece(&r);
	if (*r.at == '^') {
		r.begin = true;
		r.at++;
	}
	while (*r.at != '\0') {
		if (r.at[0] == '$' && r.at[1] == '\0') {
			r.end = true;
			break;
		}
		if (!read_item(&r))
			return false;
	}
	return settle(&r);
}

/* The end of a group of plain words, "(?:com|net)", at text; NULL: it is none. */
static const char *word_group(const char *text)
{
	const char *at = text + (strncmp(text, "(?:", 3) == 0 ? 3 : 1);

	for (; *at != ')'; at++) {
		if (at[0] == '\\' && at[1] == '.')
			at++;
		else if (!is_plain(*at) && (*at == '\0' || strchr("|^$", *at) == NULL))
			return NULL;
	}
	return at;
}

struct chooser {
	char (*texts)[TEXT_CAP];
	uint32_t n;
};

/* Writes out all choices of `rest` behind prefix[0..len). */
static bool choose(struct chooser *c, char *prefix, size_t len, const char *rest)
{
	const char *group = rest, *end = NULL;
	uint32_t depth = 0;

	for (bool class = false; *group != '\0'; group++) {
		if (*group == '\\' && group[1] != '\0')
			group++;
		else if (*group == '[' || *group == ']')
			class = *group == '[';
		else if (*group == '|' && !class)
			return false;
		else if (*group == ')' && !class)
			depth -= depth > 0;
		else if (*group == '(' && !class && (end = word_group(group)) == NULL)
			depth++;
		else if (*group == '(' && !class && depth > 0)
			return false; /* choices within what may repeat are more than these */
		else if (*group == '(' && !class)
			break;
	}
	const size_t before = (size_t)(group - rest);
	if (len + before + 1 > TEXT_CAP)
		return false;
	memcpy(prefix + len, rest, before);
	len += before;
	if (*group == '\0') {
		if (c->n == CHOICES_CAP)
			return false;
		memcpy(c->texts[c->n], prefix, len);
		c->texts[c->n++][len] = '\0';
		return true;
	}
	const bool optional = end[1] == '?';
	const char *behind = end + 1 + optional;
	if (*behind != '\0' && strchr("*+?{", *behind) != NULL)
		return false;
	if (optional && !choose(c, prefix, len, behind))
		return false;
	for (const char *word = group + (group[1] == '?' ? 3 : 1); word <= end;) {
		const size_t n = strcspn(word, "|)");
		if (len + n + 1 > TEXT_CAP)
			return false;
		memcpy(prefix + len, word, n);
		if (!choose(c, prefix, len + n, behind))
			return false;
		word += n + 1;
	}
	return true;
}

bool form_read(const char *expression, form_fn fn, void *ctx, int *result)
{
	struct chooser c = {malloc((size_t)CHOICES_CAP * TEXT_CAP), 0};
	struct form *f = malloc(sizeof(*f));
	char prefix[TEXT_CAP];
	bool simple = c.texts != NULL && f != NULL && choose(&c, prefix, 0, expression);

	*result = 0;
	for (uint32_t i = 0; i < c.n && simple; i++)
		simple = read_form(c.texts[i], f);
	for (uint32_t i = 0; i < c.n && simple && *result == 0; i++) {
		(void)read_form(c.texts[i], f);
		*result = fn(ctx, f);
	}
	free(f);
	free(c.texts);
	return simple;
}
